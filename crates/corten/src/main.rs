//! Corten.
fn main() {}
