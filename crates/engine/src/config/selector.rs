//! Label selectors, compiled (`spec/metallb.md` §2.4).

use crate::facts::Labels;
use std::collections::BTreeSet;

/// A compiled LabelSelector; without requirements it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// All must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// The label has one of these values.
    In(String, BTreeSet<String>),
    /// The label is absent or has none of these values.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label isn't there.
    DoesNotExist(String),
}

impl Selector {
    /// Whether `labels` meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|r| match r {
            Requirement::In(k, vs) => labels.get(k).is_some_and(|v| vs.contains(v)),
            Requirement::NotIn(k, vs) => labels.get(k).is_none_or(|v| !vs.contains(v)),
            Requirement::Exists(k) => labels.contains_key(k),
            Requirement::DoesNotExist(k) => !labels.contains_key(k),
        })
    }
}

/// A list of selectors in a spec: none written means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selectors {
    /// No selectors written: matches everything.
    #[default]
    Everything,
    /// Any of these matches.
    AnyOf(Vec<Selector>),
}

impl Selectors {
    /// Whether `labels` are selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Everything => true,
            Self::AnyOf(selectors) => selectors.iter().any(|s| s.matches(labels)),
        }
    }
}
