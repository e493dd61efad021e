//! What is announced, by which protocol, and why not.

pub mod l2;
