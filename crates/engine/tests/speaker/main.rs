//! The speaker from outside: facts in; verdicts, tables and events out.

#[cfg(test)]
mod bgp;
#[cfg(test)]
mod bgp_model;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod model;
#[cfg(test)]
mod owning;
#[cfg(test)]
mod reducer;
#[cfg(test)]
mod rejected;
#[cfg(test)]
mod world;
