//! Every cause in words and in MetalLB's names.

use super::Reason;
use crate::ip::Family;

fn ads() -> Vec<String> {
    vec!["x".to_owned(), "y".to_owned()]
}

/// A cause, MetalLB's name and the words.
type Row = (Reason, &'static str, &'static str);

fn check(rows: impl IntoIterator<Item = Row>) {
    for (reason, metallb, words) in rows {
        assert_eq!(reason.metallb_name(), metallb, "{reason:?}");
        assert_eq!(reason.to_string(), words, "{reason:?}");
    }
}

#[test]
fn what_lies_in_the_service_and_its_pool() {
    let addresses = || vec!["192.0.2.1".parse().unwrap()];
    check([
        (
            Reason::NotReady,
            "notReady",
            "not everything has been read yet",
        ),
        (
            Reason::NoSuchService,
            "serviceDeleted",
            "there is no such Service",
        ),
        (
            Reason::NotLoadBalancer,
            "notLoadBalancer",
            "the Service's type is not LoadBalancer",
        ),
        (
            Reason::OtherClass { class: "c".into() },
            "otherClass",
            "the Service's loadBalancerClass \"c\" is another's",
        ),
        (
            Reason::NoAllocation,
            "noIPAllocated",
            "the Service has no address yet",
        ),
        (
            Reason::InvalidAddress { text: "lb".into() },
            "invalidIP",
            "\"lb\" in the Service's status is no address",
        ),
        (
            Reason::NotInPool {
                addresses: addresses(),
            },
            "ipNotAllowed",
            "no pool has 192.0.2.1",
        ),
        (
            Reason::PoolUnknown {
                addresses: addresses(),
                rejected: ["p".into()].into(),
            },
            "ipNotAllowed",
            "no accepted pool has 192.0.2.1; it may be in a rejected one (p), which no \
             advertisement is for",
        ),
    ]);
}

#[test]
fn what_lies_in_advertisements_and_nodes() {
    check([
        (
            Reason::NoAdvertisement { pool: "p".into() },
            "notOwner",
            "no BGPAdvertisement is for pool p",
        ),
        (
            Reason::UnknownNode { node: "n".into() },
            "notOwner",
            "there is no Node object n",
        ),
        (
            Reason::NoMatchingNodeSelector {
                advertisements: ads(),
            },
            "notOwner",
            "no node selector of BGPAdvertisement x and y matches the node",
        ),
        (
            Reason::NoMatchingServiceSelector {
                advertisements: ads(),
            },
            "noMatchingAdvertisement",
            "no service selector of BGPAdvertisement x and y matches the Service",
        ),
        (
            Reason::ConflictingAdvertisements {
                one: "x".into(),
                local_pref: 100,
                two: "y".into(),
                other_local_pref: 0,
            },
            "conflictingAdvertisements",
            "BGPAdvertisements x (localPref 100) and y (localPref 0) conflict for the Service's \
             prefix",
        ),
        (
            Reason::NetworkUnavailable,
            "nodeNetworkUnavailable",
            "the node's network is unavailable",
        ),
        (
            Reason::NodeExcluded { label: "l".into() },
            "nodeLabeledExcludeBalancers",
            "the node carries the label l",
        ),
        (
            Reason::NoLocalEndpoint,
            "noLocalEndpoints",
            "externalTrafficPolicy is Local and the node has no endpoint that can serve",
        ),
        (
            Reason::NoServingEndpoint,
            "noEndpoints",
            "the Service has no endpoint that can serve",
        ),
    ]);
}

#[test]
fn what_lies_in_peers_and_in_what_was() {
    check([
        (
            Reason::HeldDown {
                advertisement: "x".into(),
                milliseconds: 90_000,
            },
            "heldDown",
            "the Service lost its last endpoint less than 90s ago, and BGPAdvertisement x holds \
             it down so long",
        ),
        (Reason::NoPeer, "noPeer", "no BGPPeer is for the node"),
        (
            Reason::PeerOfOtherNodes,
            "filteredByNodeSelector",
            "the peer's node selectors don't match the node",
        ),
        (
            Reason::PeerNotListed {
                advertisements: ads(),
            },
            "peerNotListed",
            "the peer isn't in the list of BGPAdvertisement x and y",
        ),
        (
            Reason::FamilyNotCarried { family: Family::V6 },
            "familyNotCarried",
            "the session with the peer doesn't carry IPv6",
        ),
    ]);
}

#[test]
fn what_lies_in_orders_and_starts() {
    check([
        (
            Reason::NodeDrained,
            "nodeDrained",
            "the node was drained (corten drain)",
        ),
        (
            Reason::NodeStarting { awaits: "x".into() },
            "nodeStarting",
            "the node has just started and waits for x",
        ),
        (
            Reason::NodeOutOfService { taint: "t".into() },
            "nodeOutOfService",
            "the node carries the taint t",
        ),
    ]);
}

#[test]
fn what_lies_in_frr() {
    check([
        (
            Reason::PeerHeldByFrr {
                configuration: Some("c".into()),
            },
            "peerHeldByFrr",
            "FRR holds the session with the peer on the node: FRRConfiguration c names it",
        ),
        (
            Reason::PeerHeldByFrr {
                configuration: None,
            },
            "peerHeldByFrr",
            "FRR may hold the session with the peer on the node: FRRConfigurations aren't listed \
             yet",
        ),
    ]);
}
