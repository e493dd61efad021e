//! What stands isn't written, and what others have FRR hold is read.

use super::{holding, is_said};
use corten_engine::config::frr::{Frr, Held};
use corten_engine::config::peer::Remote;
use serde_json::{Value, json};

#[test]
fn what_the_server_fills_in_makes_no_difference() {
    let wanted = json!({
        "bgp": {"routers": [{"asn": 1, "prefixes": [], "neighbors": [{
            "address": "192.0.2.1", "port": 179, "ebgpMultiHop": false,
            "toAdvertise": {"allowed": {"prefixes": ["192.0.2.0/32"]}},
        }]}]},
        "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "n"}},
    });
    let mut filled = wanted.clone();
    let router = &mut filled["bgp"]["routers"][0];
    router["prefixes"] = Value::Null;
    let neighbor = &mut router["neighbors"][0];
    neighbor["toAdvertise"]["allowed"]["mode"] = json!("filtered");
    neighbor["toReceive"] = json!({"allowed": {"mode": "filtered"}});
    neighbor["passwordSecret"] = json!({});
    neighbor["disableMP"] = json!(false);
    filled["raw"] = json!({});
    assert!(is_said(&wanted, &filled));
    let at = |path: &str, value: Value| {
        let mut other = filled.clone();
        *other.pointer_mut(path).expect("a path") = value;
        other
    };
    let first = "/bgp/routers/0/neighbors/0";
    for (path, value) in [
        ("/bgp/routers/0/asn", json!(2)),
        ("/bgp/routers", json!([])),
        (&*format!("{first}/disableMP"), json!(true)),
        (&*format!("{first}/toAdvertise/allowed/mode"), json!("all")),
        (&*format!("{first}/toAdvertise/allowed/prefixes"), json!([])),
        ("/raw", json!({"rawConfig": "router bgp 1"})),
        ("/nodeSelector", json!({})),
    ] {
        assert!(!is_said(&wanted, &at(path, value)), "{path}");
    }
}

#[test]
fn holdings_are_by_place_vrf_and_node() {
    let spec = json!({
        "bgp": {"routers": [
            {"asn": 1, "neighbors": [{"address": "192.0.2.1"}, {"interface": "eth0"}, {}]},
            {"asn": 1, "vrf": "red", "neighbors": [{"address": "192.0.2.2"}]},
            {"asn": 1},
        ]},
        "nodeSelector": {"matchLabels": {"rack": "a"}},
    });
    let held = holding("c", &spec);
    let ip = |text: &str| Remote::Address(text.parse().expect("an address"));
    assert_eq!(
        held.neighbors,
        [
            (ip("192.0.2.1"), None),
            (Remote::Interface("eth0".to_owned()), None),
            (ip("192.0.2.2"), Some("red".to_owned())),
        ]
    );
    let rack = |name: &str| [("rack".to_owned(), name.to_owned())].into_iter().collect();
    assert!(held.nodes.matches(&rack("a")));
    assert!(!held.nodes.matches(&rack("b")));
    // Whatever can't be read is on the safe side, or nothing.
    for spec in [Value::Null, json!([]), json!({"bgp": {"routers": 7}})] {
        assert_eq!(holding("c", &spec).neighbors, []);
    }
    let odd = holding("c", &json!({"nodeSelector": {"matchLabels": 7}}));
    assert!(odd.nodes.matches(&rack("b")));
    assert_ne!(Frr::Holds(vec![odd]), Frr::Unlisted);
    assert_ne!(Held::By("c".to_owned()), Held::Perhaps);
}
