//! What MetalLB's own end-to-end suite asks of it, asked of Corten on a real API server
//! (`spec/metallb.md` §9.4, §9.6): the lines that need no kubelet.

pub(crate) mod assignment;
pub(crate) mod families;
pub(crate) mod layer2;
pub(crate) mod metrics;
pub(crate) mod state;
