//! The commands, one file each.

pub(crate) mod bgp;
pub(crate) mod completions;
pub(crate) mod controller;
pub(crate) mod crds;
pub(crate) mod explain;
pub(crate) mod preflight;
pub(crate) mod run;
pub(crate) mod speaker;
pub(crate) mod status;
pub(crate) mod validate;
