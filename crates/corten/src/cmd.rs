//! The commands, one file each.

pub(crate) mod completions;
pub(crate) mod crds;
pub(crate) mod explain;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod validate;
