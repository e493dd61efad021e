//! From manifests to layer-2 tables in one process: several nodes, each with its own directory
//! reader, facts and speaker, one of them the allocator, all on one real directory, joined as
//! `corten run` joins them. No network, no privilege; the clock is virtual.

#[cfg(test)]
mod changing;
#[cfg(test)]
mod doubting;
#[cfg(test)]
mod site;
#[cfg(test)]
mod text;
