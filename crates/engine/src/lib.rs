//! What is decided: facts in, one decision, actions out. Pure: no IO, no clock, no randomness,
//! ordered maps only; the same inputs give the same outputs, byte for byte.
//!
//! Data's way: a source turns objects into [`event::Event`]s; [`facts::Facts`] keeps the last
//! known objects and the compiled [`config::Config`]; [`controller::Controller`] allocates
//! addresses and [`speaker::Speaker`] decides what this node announces. `explain` renders the
//! verdicts the speaker acts on.

pub mod advertise;
pub mod allocate;
pub mod aside;
pub mod config;
pub mod controller;
pub mod election;
pub mod event;
pub mod explain;
pub mod facts;
pub mod flat;
pub mod ip;
pub mod membership;
pub mod names;
pub mod ownership;
pub mod rejection;
pub mod speaker;
