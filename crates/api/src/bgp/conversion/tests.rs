//! Round trips both ways, and the cases a round trip can't show.

use super::*;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn word() -> impl Strategy<Value = String> {
    "[a-z0-9./:-]{1,12}"
}

fn timer() -> impl Strategy<Value = Option<String>> {
    of(prop_oneof![
        Just("0s".to_owned()),
        "[1-9][0-9]{0,4}(ms|s|m)"
    ])
}

fn metadata() -> impl Strategy<Value = ObjectMeta> {
    (
        word(),
        of(word()),
        of(btree_map("[a-z]{1,5}/[a-z]{1,5}", word(), 1..3)),
        of(btree_map(word(), word(), 1..3)),
    )
        .prop_map(|(name, namespace, annotations, labels)| ObjectMeta {
            name: Some(name),
            namespace,
            annotations,
            labels,
            ..ObjectMeta::default()
        })
}

fn requirements() -> impl Strategy<Value = LabelSelectorRequirement> {
    (word(), of(vec(word(), 1..3))).prop_map(|(key, values)| LabelSelectorRequirement {
        key,
        operator: if values.is_some() { "In" } else { "Exists" }.to_owned(),
        values,
    })
}

fn selectors() -> impl Strategy<Value = Vec<LabelSelector>> {
    let selector = (
        of(btree_map(word(), word(), 1..3)),
        of(vec(requirements(), 1..3)),
    )
        .prop_map(|(match_labels, match_expressions)| LabelSelector {
            match_expressions,
            match_labels,
        });
    vec(selector, 0..3)
}

/// One of the two, or neither.
fn either<A: Clone + std::fmt::Debug, B: Clone + std::fmt::Debug>(
    a: impl Strategy<Value = A>,
    b: impl Strategy<Value = B>,
) -> impl Strategy<Value = (Option<A>, Option<B>)> {
    (of(a), of(b)).prop_map(|(a, b)| if a.is_some() { (a, None) } else { (a, b) })
}

/// Fields in both versions, in the order of [`peer`].
type Shared = (
    u32,
    Option<String>,
    Option<u16>,
    Option<String>,
    Option<String>,
    Option<String>,
    Vec<LabelSelector>,
    Option<String>,
    Option<bool>,
);

fn shared() -> impl Strategy<Value = Shared> {
    (
        any::<u32>(),
        of(word()),
        of(1_u16..=16384),
        timer(),
        timer(),
        of(word()),
        selectors(),
        of(word()),
        of(any::<bool>()),
    )
}

fn secret() -> impl Strategy<Value = SecretReference> {
    (of(word()), of(word())).prop_map(|(name, namespace)| SecretReference { name, namespace })
}

/// Every legal v1beta2 peer.
fn peer() -> impl Strategy<Value = BGPPeer> {
    let extra = (
        of(1_u32..),
        timer(),
        of(any::<bool>()),
        of(word()),
        of(any::<bool>()),
        of(any::<bool>()),
    );
    let exclusive = (
        either(1_u32.., word()),
        either(word(), word()),
        either(word(), secret()),
    );
    (
        metadata(),
        shared(),
        exclusive,
        extra,
        of(Just(BGPPeerStatus {})),
    )
        .prop_map(|(metadata, shared, exclusive, extra, status)| {
            let ((peer_asn, dynamic_asn), (peer_address, interface), (password, password_secret)) =
                exclusive;
            BGPPeer {
                metadata,
                spec: BGPPeerSpec {
                    my_asn: shared.0,
                    source_address: shared.1,
                    peer_port: shared.2,
                    hold_time: shared.3,
                    keepalive_time: shared.4,
                    router_id: shared.5,
                    node_selectors: shared.6,
                    bfd_profile: shared.7,
                    ebgp_multi_hop: shared.8,
                    peer_asn,
                    dynamic_asn,
                    peer_address,
                    interface,
                    password,
                    password_secret,
                    local_asn: extra.0,
                    connect_time: extra.1,
                    enable_graceful_restart: extra.2,
                    vrf: extra.3,
                    disable_mp: extra.4,
                    dual_stack_address_family: extra.5,
                },
                status,
            }
        })
}

/// Every legal v1beta1 peer nobody converted yet.
fn old_peer() -> impl Strategy<Value = v1beta1::BGPPeer> {
    (metadata(), shared(), any::<u32>(), word(), of(word())).prop_map(
        |(metadata, shared, peer_asn, peer_address, password)| v1beta1::BGPPeer {
            metadata,
            spec: v1beta1::BGPPeerSpec {
                my_asn: shared.0,
                peer_asn,
                peer_address,
                source_address: shared.1,
                peer_port: shared.2,
                hold_time: shared.3,
                keepalive_time: shared.4,
                router_id: shared.5,
                node_selectors: shared.6.into_iter().map(legacy).collect(),
                password,
                bfd_profile: shared.7,
                ebgp_multi_hop: shared.8,
            },
            status: None,
        },
    )
}

proptest! {
    #[test]
    fn v1beta2_survives_v1beta1(peer in peer()) {
        let old = to_v1beta1(peer.clone()).unwrap();
        prop_assert_eq!(to_v1beta2(old).unwrap(), peer);
    }

    #[test]
    fn v1beta2_survives_v1beta1_as_text(peer in peer()) {
        let old = serde_json::to_string(&to_v1beta1(peer.clone()).unwrap()).unwrap();
        let old: v1beta1::BGPPeer = serde_json::from_str(&old).unwrap();
        prop_assert_eq!(to_v1beta2(old).unwrap(), peer);
    }

    #[test]
    fn v1beta1_survives_v1beta2(peer in old_peer()) {
        let new = to_v1beta2(peer.clone()).unwrap();
        prop_assert_eq!(to_v1beta1(new).unwrap(), peer);
    }
}

fn old(spec: v1beta1::BGPPeerSpec, remainder: Option<&str>) -> v1beta1::BGPPeer {
    let mut peer = v1beta1::BGPPeer::new("tor", spec);
    peer.metadata.namespace = Some("metallb-system".to_owned());
    peer.metadata.annotations =
        remainder.map(|text| BTreeMap::from([(BGP_PEER_REMAINDER.to_owned(), text.to_owned())]));
    peer
}

fn minimal() -> v1beta1::BGPPeerSpec {
    v1beta1::BGPPeerSpec {
        my_asn: 64512,
        ..v1beta1::BGPPeerSpec::default()
    }
}

#[test]
fn timers_that_were_never_set_stay_unset() {
    let spec = to_v1beta2(old(minimal(), None)).unwrap().spec;
    assert_eq!((spec.hold_time, spec.keepalive_time), (None, None));
    let zero = v1beta1::BGPPeerSpec {
        hold_time: Some("0s".to_owned()),
        ..minimal()
    };
    let spec = to_v1beta2(old(zero, None)).unwrap().spec;
    assert_eq!(
        (spec.hold_time.as_deref(), spec.keepalive_time),
        (Some("0s"), None)
    );
}

#[test]
fn zero_values_are_absent() {
    let spec = v1beta1::BGPPeerSpec {
        peer_port: Some(0),
        node_selectors: vec![NodeSelector::default()],
        ..minimal()
    };
    let expected = BGPPeerSpec {
        my_asn: 64512,
        node_selectors: vec![LabelSelector::default()],
        ..BGPPeerSpec::default()
    };
    assert_eq!(to_v1beta2(old(spec, None)).unwrap().spec, expected);
}

#[test]
fn what_v1beta1_sets_wins_over_the_annotation() {
    let remainder =
        r#"{"dynamicASN":"external","interface":"eth0","passwordSecret":{"name":"s"},"vrf":"red"}"#;
    let kept = to_v1beta2(old(minimal(), Some(remainder))).unwrap().spec;
    assert_eq!(kept.dynamic_asn.as_deref(), Some("external"));
    assert_eq!(kept.interface.as_deref(), Some("eth0"));
    assert!(kept.password_secret.is_some());
    let set = v1beta1::BGPPeerSpec {
        peer_asn: 64513,
        peer_address: "192.0.2.1".to_owned(),
        password: Some("secret".to_owned()),
        ..minimal()
    };
    let expected = BGPPeerSpec {
        my_asn: 64512,
        peer_asn: Some(64513),
        peer_address: Some("192.0.2.1".to_owned()),
        password: Some("secret".to_owned()),
        vrf: Some("red".to_owned()),
        ..BGPPeerSpec::default()
    };
    assert_eq!(
        to_v1beta2(old(set, Some(remainder))).unwrap().spec,
        expected
    );
}

#[test]
fn a_broken_annotation_is_named() {
    for (text, cause) in [
        ("", "EOF"),
        ("{\"vfr\":\"red\"}", "unknown field `vfr`"),
        ("{\"localASN\":-1}", "invalid value"),
    ] {
        let error = to_v1beta2(old(minimal(), Some(text)))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("BGPPeer metallb-system/tor: annotation corten.io/bgppeer-v1beta2: ")
                && error.contains(cause),
            "{error}"
        );
    }
}

#[test]
fn nothing_to_keep_leaves_no_annotation() {
    let peer = BGPPeer::new(
        "tor",
        BGPPeerSpec {
            my_asn: 64512,
            peer_asn: Some(64513),
            peer_address: Some("192.0.2.1".to_owned()),
            ..BGPPeerSpec::default()
        },
    );
    assert_eq!(to_v1beta1(peer).unwrap().metadata.annotations, None);
}
