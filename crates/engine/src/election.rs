//! Who announces an address: preference score, then MetalLB's hash (`spec/metallb.md` §5.2).
