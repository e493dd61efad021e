//! Words that reasons of both protocols use.

use crate::names::PoolName;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// `a, b and c`.
pub(super) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<_> = items.into_iter().map(|i| i.to_string()).collect();
    match (items.pop(), items.is_empty()) {
        (None, _) => String::new(),
        (Some(last), true) => last,
        (Some(last), false) => format!("{} and {last}", items.join(", ")),
    }
}

pub(super) fn other_class(class: &str) -> String {
    if class.is_empty() {
        "the Service names no loadBalancerClass, and only one is served here".to_owned()
    } else {
        format!("the Service's loadBalancerClass \"{class}\" is another's")
    }
}

pub(super) fn pool_unknown(addresses: &[IpAddr], rejected: &BTreeSet<PoolName>) -> String {
    let addresses = list(addresses);
    if rejected.is_empty() {
        format!(
            "no accepted pool has {addresses}; it may be in a pool that can't be read, and no \
             advertisement is for every pool"
        )
    } else {
        format!(
            "no accepted pool has {addresses}; it may be in a rejected one ({}), which no \
             advertisement is for",
            list(rejected)
        )
    }
}
