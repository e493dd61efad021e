//! What isn't known about pools, and therefore isn't acted on: unknown is not gone.

use crate::config::Coverage;
use crate::facts::Facts;
use crate::names::PoolName;
use crate::rejection::{Kind, Subject};

/// What isn't known about pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    /// Whether the accepted pools are all there are.
    pub(super) pools: Coverage,
    /// Whether a Namespace, and with it what pools select by, can't be read.
    pub(super) namespaces: bool,
}

impl Doubts {
    /// What isn't known now.
    pub(super) fn of(facts: &Facts) -> Self {
        let hides_namespace = |subject: &Subject| match subject {
            Subject::Object(object) => object.kind == Kind::Namespace,
            Subject::Unidentified => true,
        };
        Self {
            pools: facts.config.coverage.clone(),
            namespaces: facts.rejections.iter().any(|r| hides_namespace(&r.subject)),
        }
    }

    /// Names of rejected pools, or `None` if every pool is accepted.
    pub(super) fn rejected(&self) -> Option<Vec<PoolName>> {
        match &self.pools {
            Coverage::Complete => None,
            Coverage::Incomplete { rejected } => Some(rejected.keys().cloned().collect()),
        }
    }
}
