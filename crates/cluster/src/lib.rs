//! Where facts live: the Kubernetes API, or a directory of manifests. A source turns what it reads into the
//! engine's events and carries out what the engine decides; it decides nothing itself. Beside it,
//! what every process shows of itself: metrics and health over HTTP.

pub mod directory;
pub mod http;
pub mod kubernetes;
pub mod metrics;
pub mod tls;
