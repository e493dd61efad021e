//! Network-namespace topologies, clients and scenarios for tests, demo and benches.
//!
//! A [`world::World`] is made of anonymous network namespaces on one machine; [`stage::enter`]
//! comes first. See `docs/contributing/lab.md`.

pub mod bench;
pub mod corten;
pub mod disk;
pub mod frame;
pub mod full;
pub mod http;
pub mod https;
pub mod kubernetes;
pub mod manifests;
pub mod memberlist;
pub mod netns;
pub mod probe;
pub mod process;
pub mod raw;
pub mod router;
pub mod simulation;
pub mod site;
pub mod sniff;
pub mod stage;
pub mod teller;
pub mod trial;
pub mod wait;
pub mod world;
