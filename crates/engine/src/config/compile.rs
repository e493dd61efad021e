//! All objects together, each judged by itself and against the others.

use super::resources::{Id, Resources};
use super::{Bgp, Config, bfd, bgp, community, l2, peer, pool};
use crate::facts::{Labels, Node};
use crate::names::NodeName;
use crate::rejection::{Fault, Kind, Rejection};
use std::collections::{BTreeMap, BTreeSet};

/// What a compilation looks at besides the objects.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The configuration in use: the last good version of whatever is rejected now, and the
    /// precedence of what was there first.
    pub previous: &'a Config,
    /// Kinds whose first full list is complete.
    pub listed: &'a BTreeSet<Kind>,
    /// What the sources can't read.
    pub unreadable: &'a [Rejection],
    /// Labels of namespaces.
    pub namespaces: &'a BTreeMap<String, Labels>,
    /// Nodes.
    pub nodes: &'a BTreeMap<NodeName, Node>,
}

/// A configuration and what is wrong with its objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The accepted objects, each in its last good version.
    pub config: Config,
    /// Why the others were not accepted.
    pub rejections: Vec<Rejection>,
}

/// Compiles `resources`. Objects are taken in the order of their names.
// DEVIATION: a bad object is rejected by itself; MetalLB refuses the whole configuration for it.
#[must_use]
pub fn compile(resources: &Resources, around: &Surroundings<'_>) -> Compiled {
    let mut rejections = Rejections::default();
    let (pools, coverage) = pool::compile(&resources.pools, around, &mut rejections);
    let labels = pool::labels_of(&pools, &coverage);
    let l2 = l2::compile(&resources.l2, &labels, around, &mut rejections);
    let communities = community::compile(&resources.communities, around, &mut rejections);
    let bfd = bfd::compile(&resources.bfd, around, &mut rejections);
    let secrets = &resources.secrets;
    let peers = peer::compile(&resources.peers, &bfd, secrets, around, &mut rejections);
    let others = bgp::Others {
        labels: &labels,
        pools: &pools,
        peers: &peers,
        aliases: communities
            .values()
            .flatten()
            .map(|(alias, c)| (alias.clone(), *c))
            .collect(),
    };
    let advertisements = bgp::compile(&resources.bgp, &others, around, &mut rejections);
    Compiled {
        config: Config {
            pools,
            coverage,
            l2,
            bgp: Bgp {
                advertisements,
                peers,
                bfd,
                communities,
            },
        },
        rejections: rejections.0,
    }
}

/// Who goes first where two objects are at odds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seniority {
    /// As it was in the configuration in use.
    Same,
    /// Another version is in use.
    Changed,
    /// Not in use yet.
    New,
}

/// The rejections so far.
#[derive(Debug, Default)]
pub(super) struct Rejections(pub(super) Vec<Rejection>);

impl Rejections {
    /// Adds what is wrong with an object.
    pub(super) fn add(&mut self, kind: Kind, id: &Id, faults: impl IntoIterator<Item = Fault>) {
        let object = id.object(kind);
        self.0
            .extend(faults.into_iter().map(|fault| fault.of(&object)));
    }

    /// The objects whose name no other one has, in the order of names; of several with one name
    /// the first by namespace. An object without name is rejected too.
    pub(super) fn unique<'a, T>(
        &mut self,
        kind: Kind,
        objects: &'a BTreeMap<Id, T>,
    ) -> Vec<(&'a Id, &'a T)> {
        let mut kept: Vec<(&Id, &T)> = Vec::new();
        for (id, object) in objects {
            let cause = match kept.last() {
                _ if id.name.is_empty() => "missing name".to_owned(),
                Some((first, _)) if first.name == id.name => format!(
                    "duplicate definition of {kind} {:?}, also in namespace {:?}",
                    id.name, first.namespace
                ),
                Some(_) | None => {
                    kept.push((id, object));
                    continue;
                }
            };
            self.add(kind, id, [Fault::new("metadata.name", cause)]);
        }
        kept
    }
}

#[cfg(test)]
mod tests;
