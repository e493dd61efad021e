use super::{AdmissionReview, ConversionReview, Verdict, beside};
use crate::directory::read::kinds as types;
use crate::kubernetes::kinds;
use crate::kubernetes::wire::Wire;
use corten_engine::config::backend::Backend;
use corten_engine::event::Object;
use corten_engine::rejection::{Kind, ObjectRef};
use serde_json::{Value, json};

fn object(kind: Kind, name: &str, spec: &Value) -> Value {
    let metadata = if kind == Kind::Node {
        json!({"name": name})
    } else {
        json!({"name": name, "namespace": "m"})
    };
    json!({"metadata": metadata, "spec": spec})
}

fn listed(kind: Kind, name: &str, spec: Value) -> Object {
    let wire: Wire = serde_json::from_value(object(kind, name, &spec)).unwrap();
    let reference = ObjectRef::new(kind, "m", name);
    types::decode(kind, kinds::version(kind), &reference, &wire.tree)
        .0
        .unwrap()
}

fn review(operation: &str, namespace: &str, object: Value, old: Value) -> AdmissionReview {
    serde_json::from_value(json!({"request": {
        "uid": "u", "operation": operation, "namespace": namespace, "object": object, "oldObject": old,
    }}))
    .unwrap()
}

fn create(kind: Kind, name: &str, spec: &Value, beside: Vec<Object>) -> Verdict {
    review("CREATE", "m", object(kind, name, spec), Value::Null).judge(
        kind,
        "m",
        beside,
        Backend::FrrK8s,
    )
}

/// Checks that a creation is denied with a text that says `expected`, or allowed if that is empty.
fn check(kind: Kind, spec: Value, beside: Vec<Object>, expected: &str) {
    match create(kind, "new", &spec, beside) {
        Verdict::Allowed(warnings) => {
            assert!(
                expected.is_empty(),
                "{kind} {spec} is allowed: {warnings:?}"
            );
        }
        Verdict::Denied { cause, .. } => {
            assert!(
                !expected.is_empty() && cause.contains(expected),
                "{kind} {spec}: {cause}"
            );
        }
    }
}

fn pool(name: &str, addresses: &str) -> Object {
    listed(Kind::IPAddressPool, name, json!({"addresses": [addresses]}))
}

#[test]
fn what_the_compiler_rejects_is_denied() {
    let addresses = |a: &str| json!({"addresses": [a]});
    let pools = || vec![pool("old", "192.0.2.0/24")];
    check(
        Kind::IPAddressPool,
        addresses("198.51.100.0/24"),
        pools(),
        "",
    );
    check(
        Kind::IPAddressPool,
        addresses("192.0.2.128/25"),
        pools(),
        "old",
    );
    check(
        Kind::IPAddressPool,
        addresses("192.0.2.0/33"),
        vec![],
        "192.0.2.0/33",
    );
    check(
        Kind::IPAddressPool,
        json!({"addresses": 7}),
        vec![],
        "spec.addresses",
    );
    let aggregated = json!({"ipAddressPools": ["old"], "aggregationLength": 20});
    check(
        Kind::BGPAdvertisement,
        aggregated,
        pools(),
        "invalid aggregation length 20",
    );
    let selectors = json!([{"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "b"}}]);
    check(
        Kind::L2Advertisement,
        json!({"nodeSelectors": selectors}),
        pools(),
        "nodeSelectors",
    );
    let community = |value: &str| json!({"communities": [{"name": "a", "value": value}]});
    check(Kind::Community, community("64512:1"), vec![], "");
    check(
        Kind::Community,
        community("nonsense"),
        vec![],
        "invalid community",
    );
    let peer = |address: &str| json!({"myASN": 1, "peerASN": 2, "peerAddress": address});
    check(Kind::BGPPeer, peer("192.0.2.1"), vec![], "");
    check(
        Kind::BGPPeer,
        peer("192.0.2.400"),
        vec![],
        "invalid BGPPeer address",
    );
}

/// What may come later is no reason to refuse.
#[test]
fn references_may_lead_nowhere_yet() {
    let peer = json!({"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "bfdProfile": "later",
        "passwordSecret": {"name": "later"}});
    check(Kind::BGPPeer, peer, vec![], "");
    check(
        Kind::BGPAdvertisement,
        json!({"communities": ["later"]}),
        vec![],
        "",
    );
}

#[test]
fn the_namespace_is_asked_for_on_creation() {
    let good = json!({"addresses": ["192.0.2.0/24"]});
    let elsewhere = |operation| {
        let object = object(Kind::IPAddressPool, "new", &good);
        review(operation, "elsewhere", object, Value::Null).judge(
            Kind::IPAddressPool,
            "m",
            Vec::new(),
            Backend::Native,
        )
    };
    let denied = Verdict::denied("resource must be created in m namespace");
    assert_eq!(elsewhere("CREATE"), denied);
    assert_eq!(elsewhere("UPDATE"), Verdict::Allowed(Vec::new()));
}

/// An object that is wrong already doesn't keep others from being put right.
#[test]
fn old_faults_are_not_the_candidates() {
    let bad = || {
        listed(
            Kind::IPAddressPool,
            "bad",
            json!({"addresses": ["nonsense"]}),
        )
    };
    check(
        Kind::IPAddressPool,
        json!({"addresses": ["192.0.2.0/24"]}),
        vec![bad()],
        "",
    );
    let still = create(
        Kind::IPAddressPool,
        "bad",
        &json!({"addresses": ["nonsense"]}),
        vec![bad()],
    );
    assert!(matches!(still, Verdict::Denied { .. }), "{still:?}");
    let mended = create(
        Kind::IPAddressPool,
        "bad",
        &json!({"addresses": ["192.0.2.0/24"]}),
        vec![bad()],
    );
    assert_eq!(mended, Verdict::Allowed(Vec::new()));
}

#[test]
fn a_profile_in_use_stays() {
    let peer = json!({"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "bfdProfile": "used"});
    for (name, denied) in [("used", true), ("unused", false)] {
        let old = object(Kind::BFDProfile, name, &json!({}));
        let verdict = review("DELETE", "m", Value::Null, old).judge(
            Kind::BFDProfile,
            "m",
            vec![listed(Kind::BGPPeer, "peer", peer.clone())],
            Backend::Native,
        );
        match verdict {
            Verdict::Denied { cause, .. } => {
                assert!(
                    denied && cause.starts_with("failed to delete BFDProfile"),
                    "{cause}"
                );
            }
            Verdict::Allowed(_) => assert!(!denied, "{name}"),
        }
    }
    assert_eq!(beside(Kind::BFDProfile, true), [Kind::BGPPeer]);
}

#[test]
fn what_metallb_would_refuse_is_warned_of() {
    let peer = json!({"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "vrf": "red"});
    let object = object(Kind::BGPPeer, "new", &peer);
    let judge = |backend| {
        review("CREATE", "m", object.clone(), Value::Null).judge(
            Kind::BGPPeer,
            "m",
            vec![],
            backend,
        )
    };
    let Verdict::Allowed(warnings) = judge(Backend::Native) else {
        panic!("denied");
    };
    assert!(
        warnings.len() == 1 && warnings[0].contains("native"),
        "{warnings:?}"
    );
    assert_eq!(judge(Backend::FrrK8s), Verdict::Allowed(vec![]));
}

#[test]
fn answers_are_what_the_server_reads() {
    let review = review(
        "CREATE",
        "m",
        object(Kind::IPAddressPool, "a", &json!({})),
        Value::Null,
    );
    let answer = review.answer(&Verdict::denied("no"));
    assert_eq!(
        answer["response"],
        json!({"uid": "u", "allowed": false, "status": {"code": 403, "message": "no"}})
    );
    let answer = review.answer(&Verdict::Allowed(vec!["odd".to_owned()]));
    assert_eq!(
        answer["response"],
        json!({"uid": "u", "allowed": true, "warnings": ["odd"]})
    );
}

fn convert(desired: &str, objects: Value) -> Value {
    let asked_in = "apiextensions.k8s.io/v1beta1";
    let review = json!({"apiVersion": asked_in, "request": {"uid": "u", "desiredAPIVersion": desired, "objects": objects}});
    let review: ConversionReview = serde_json::from_value(review).unwrap();
    let answer = review.answer();
    assert_eq!(answer["apiVersion"], asked_in);
    answer["response"].clone()
}

#[test]
fn peers_are_converted_both_ways() {
    let old = json!({"apiVersion": "metallb.io/v1beta1", "kind": "BGPPeer",
        "metadata": {"name": "a", "namespace": "m", "uid": "1"},
        "spec": {"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "holdTime": "90s"}});
    let there = convert("metallb.io/v1beta2", json!([old]));
    assert_eq!(there["result"]["status"], "Success");
    let new = &there["convertedObjects"][0];
    assert_eq!(new["apiVersion"], "metallb.io/v1beta2");
    assert_eq!(new["metadata"], old["metadata"]);
    assert_eq!(new["spec"]["peerASN"], 2);
    let back = convert("metallb.io/v1beta1", json!([new]));
    assert_eq!(
        back["convertedObjects"][0]["spec"]["peerAddress"],
        "192.0.2.1"
    );
    assert_eq!(
        convert("metallb.io/v1beta2", json!([new]))["convertedObjects"][0],
        *new
    );
}

#[test]
fn what_can_t_be_converted_is_named() {
    let odd = json!([{"apiVersion": "metallb.io/v1beta1", "metadata": {"name": "odd"}, "spec": {"myASN": "x"}}]);
    let answer = convert("metallb.io/v1beta2", odd);
    assert_eq!(answer["result"]["status"], "Failure");
    let cause = answer["result"]["message"].as_str().unwrap();
    assert!(cause.starts_with("BGPPeer odd: "), "{cause}");
    let none = convert(
        "metallb.io/v9",
        json!([{"apiVersion": "metallb.io/v1beta1", "metadata": {"name": "a"}}]),
    );
    assert_eq!(none["result"]["status"], "Failure");
}
