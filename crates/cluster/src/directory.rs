//! A directory of manifests as the source of facts.

mod decode;
pub mod read;
mod tree;
