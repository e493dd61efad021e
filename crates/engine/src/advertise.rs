//! What is announced, by which protocol, and why not.

pub mod bgp;
mod home;
pub mod l2;
mod subject;
mod words;
