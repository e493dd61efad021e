//! Speakers in virtual time: whatever goes wrong, nobody lies for long. `CORTEN_SEEDS` sets how
//! many seeds are run, `CORTEN_SEED` the only one.

#[cfg(test)]
mod seeds;
