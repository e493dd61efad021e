use super::*;
use crate::config::{Coverage, Filter, PoolScope};
use crate::event::manifest::{apply, custom, facts, listed, problems};
use crate::event::{Assignment, Event, Object};
use crate::rejection::Subject;
use proptest::prelude::*;

fn pools(facts: &Facts) -> Vec<String> {
    let text = |pool: &crate::config::Pool| {
        let entries: Vec<_> = pool.entries.iter().map(|e| e.text.as_str()).collect();
        format!("{} {}", pool.name, entries.join(" "))
    };
    facts.config.pools.values().map(text).collect()
}

fn pool(name: &str, addresses: &str) -> String {
    custom("IPAddressPool", name, &format!("addresses: [{addresses}]"))
}

#[test]
fn the_same_object_again_changes_nothing() {
    let text = format!("{}\n---\n{}", pool("a", "10.0.0.0/24"), SERVICE);
    let mut facts = facts(&text);
    assert_eq!(facts.handle(apply(&text)), Changes::default());
    assert_eq!(facts.handle(listed()), Changes::default());
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: \
                       {type: LoadBalancer, ports: [{port: 80}]}";

#[test]
fn a_rejected_pool_keeps_its_last_good_version() {
    let mut facts = facts(&pool("a", "10.0.0.0/24"));
    assert_eq!(facts.config.coverage, Coverage::Complete);
    let changes = facts.handle(apply(&pool("a", "10.0.0.0")));
    assert!(changes.pools && changes.rejections);
    assert_eq!(pools(&facts), ["a 10.0.0.0/24"]);
    let Coverage::Incomplete { rejected } = &facts.config.coverage else {
        panic!("complete");
    };
    let cause =
        "spec.addresses[0]: invalid CIDR \"10.0.0.0\": expected address/length or start-end";
    assert_eq!(rejected[&PoolName::from("a")].cause, cause);
    assert_eq!(problems(&facts), [format!("IPAddressPool m/a: {cause}")]);

    facts.handle(apply(&pool("a", "10.0.1.0/24")));
    assert_eq!(pools(&facts), ["a 10.0.1.0/24"]);
    assert_eq!(facts.config.coverage, Coverage::Complete);
}

#[test]
fn a_deleted_pool_really_goes() {
    let mut facts = facts(&pool("a", "10.0.0.0/24"));
    facts.handle(apply(&pool("a", "10.0.0.0")));
    let gone = ObjectRef::new(Kind::IPAddressPool, "m", "a");
    let changes = facts.handle(vec![Event::Delete(gone)]);
    assert!(changes.pools);
    assert_eq!(pools(&facts), Vec::<String>::new());
    assert_eq!(facts.config.coverage, Coverage::Complete);
    assert_eq!(problems(&facts), Vec::<String>::new());
}

#[test]
fn a_selector_that_matches_no_namespace_admits_none() {
    let text = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a}\nspec: \
                {addresses: [10.0.0.0/24], serviceAllocation: {namespaceSelectors: [{matchLabels: \
                {team: a}}]}}";
    let mut facts = facts(text);
    let namespaces = |facts: &Facts| match &facts.config.pools[&PoolName::from("a")].scope {
        PoolScope::Pinned(pinning) => pinning.namespaces.clone(),
        PoolScope::Everyone => panic!("for everyone"),
    };
    assert_eq!(namespaces(&facts), Filter::Only([].into()));
    let changes = facts.handle(apply(
        "kind: Namespace\nmetadata: {name: shop, labels: {team: a}}",
    ));
    assert!(changes.pools && changes.namespaces);
    assert_eq!(namespaces(&facts), Filter::Only(["shop".to_owned()].into()));
}

fn slice(name: &str, service: &str, nodes: &[&str]) -> String {
    let endpoints: Vec<_> = nodes
        .iter()
        .map(|node| format!("{{nodeName: {node}}}"))
        .collect();
    format!(
        "kind: EndpointSlice\nmetadata: {{name: {name}, namespace: shop, labels: \
         {{kubernetes.io/service-name: {service}}}}}\nendpoints: [{}]",
        endpoints.join(", ")
    )
}

/// Nodes of each Service's endpoints.
fn nodes_of(facts: &Facts) -> Vec<String> {
    let nodes = |(key, endpoints): (&ServiceKey, &Endpoints)| {
        let nodes = endpoints
            .iter()
            .map(|e| e.node.as_ref().map_or("", NodeName::as_str));
        format!("{}: {}", key.name(), nodes.collect::<Vec<_>>().join(" "))
    };
    facts.endpoints.iter().map(nodes).collect()
}

fn delete(kind: Kind, namespace: &str, name: &str) -> Vec<Event> {
    vec![Event::Delete(ObjectRef::new(kind, namespace, name))]
}

#[test]
fn slices_are_gathered_by_service() {
    let web = ServiceKey::new("shop", "web");
    let api = ServiceKey::new("shop", "api");
    let mut facts = Facts::new(Origin::Directory);
    let steps: Vec<(Vec<Event>, Vec<&str>, Vec<&ServiceKey>)> = vec![
        (
            apply(&slice("b", "web", &["n2"])),
            vec!["web: n2"],
            vec![&web],
        ),
        (
            apply(&slice("a", "web", &["n1", "n3"])),
            vec!["web: n1 n3 n2"],
            vec![&web],
        ),
        (
            apply(&slice("a", "web", &["n1", "n3"])),
            vec!["web: n1 n3 n2"],
            vec![],
        ),
        (
            apply(&slice("a", "web", &["n1"])),
            vec!["web: n1 n2"],
            vec![&web],
        ),
        (
            apply(&slice("a", "api", &["n1"])),
            vec!["api: n1", "web: n2"],
            vec![&web, &api],
        ),
        (
            delete(Kind::EndpointSlice, "shop", "b"),
            vec!["api: n1"],
            vec![&web],
        ),
        (
            delete(Kind::EndpointSlice, "shop", "b"),
            vec!["api: n1"],
            vec![],
        ),
        (apply(&slice("a", "''", &["n1"])), vec![], vec![&api]),
    ];
    for (events, expected, changed) in steps {
        let changes = facts.handle(events);
        assert_eq!(nodes_of(&facts), expected);
        assert_eq!(changes.services, changed.into_iter().cloned().collect());
    }
}

#[test]
fn a_service_that_cant_be_parsed_keeps_its_last_good_version() {
    let key = ServiceKey::new("shop", "web");
    let mut facts = facts(SERVICE);
    let good = facts.services[&key].clone();
    let changes = facts.handle(apply(&SERVICE.replace("port: 80", "port: 0")));
    assert!(changes.services.is_empty() && changes.rejections);
    assert_eq!(facts.services[&key], good);
    let expected = "Service shop/web: spec.ports[0].port: port 0 is not between 1 and 65535";
    assert_eq!(problems(&facts), [expected]);
    let changes = facts.handle(apply(SERVICE));
    assert!(changes.services.is_empty() && changes.rejections);
    assert_eq!(problems(&facts), Vec::<String>::new());
    let changes = facts.handle(delete(Kind::Service, "shop", "web"));
    assert_eq!(changes.services, [key].into());
    assert!(facts.services.is_empty());
}

#[test]
fn nodes() {
    let node = "kind: Node\nmetadata: {name: one, labels: {a: b}}\nstatus: {addresses: [{type: \
                InternalIP, address: 10.0.0.1}, {type: Hostname, address: one}, {type: ExternalIP, \
                address: 'fd00::1'}], conditions: [{type: NetworkUnavailable, status: 'False'}]}";
    let mut facts = facts(node);
    let name = NodeName::from("one");
    let expected = Node {
        name: name.clone(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        network_unavailable: false,
        out_of_service: false,
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
    };
    assert_eq!(facts.nodes[&name], expected);
    let changes = facts.handle(apply(&node.replace("'False'", "'True'")));
    assert!(changes.nodes && facts.nodes[&name].network_unavailable);
    facts.handle(apply(&node.replace("'False'", "Unknown")));
    assert!(!facts.nodes[&name].network_unavailable);

    let tainted = |key: &str, effect: &str| {
        let spec = format!("spec: {{taints: [{{key: {key}, value: down, effect: {effect}}}]}}");
        node.replace("\nstatus:", &format!("\n{spec}\nstatus:"))
    };
    for (key, effect, out) in [
        ("node.kubernetes.io/out-of-service", "NoExecute", true),
        ("node.kubernetes.io/unschedulable", "NoSchedule", false),
        ("node.kubernetes.io/out-of-service", "NoSchedule", true),
    ] {
        let changes = facts.handle(apply(&tainted(key, effect)));
        assert!(
            changes.nodes && facts.nodes[&name].out_of_service == out,
            "{key}"
        );
    }
    facts.handle(apply(node));

    let changes = facts.handle(apply(&node.replace("10.0.0.1", "ten")));
    assert!(!changes.nodes);
    assert_eq!(facts.nodes[&name], expected);
    let problem = "Node one: status.addresses[0].address: \"ten\" is not an IP address";
    assert_eq!(problems(&facts), [problem]);
    assert!(facts.handle(delete(Kind::Node, "", "one")).nodes && facts.nodes.is_empty());
}

fn unreadable(subject: Subject) -> Vec<Event> {
    vec![Event::Rejections(vec![Rejection {
        subject,
        field: String::new(),
        cause: "not YAML".to_owned(),
        place: "pools.yaml:1".to_owned(),
    }])]
}

/// What the source can't read: whether the accepted pools may be all there are.
#[test]
fn coverage_is_incomplete_while_a_pool_may_be_hidden() {
    let object = |kind| Subject::Object(ObjectRef::new(kind, "m", "x"));
    let rows = [
        (unreadable(object(Kind::IPAddressPool)), vec!["x"], false),
        (unreadable(Subject::Unidentified), vec![], false),
        (unreadable(object(Kind::Service)), vec![], true),
        (unreadable(object(Kind::L2Advertisement)), vec![], true),
        (vec![], vec![], true),
    ];
    for (events, names, complete) in rows {
        let mut facts = facts(&pool("a", "10.0.0.0/24"));
        facts.handle(events.clone());
        assert_eq!(pools(&facts), ["a 10.0.0.0/24"]);
        match &facts.config.coverage {
            Coverage::Complete => assert!(complete, "{events:?}"),
            Coverage::Incomplete { rejected } => {
                assert!(!complete, "{events:?}");
                assert_eq!(
                    rejected.keys().map(PoolName::as_str).collect::<Vec<_>>(),
                    names
                );
            }
        }
        let changes = facts.handle(vec![Event::Rejections(Vec::new())]);
        assert_eq!(changes.pools, !complete);
        assert_eq!(facts.config.coverage, Coverage::Complete);
    }
}

/// An object the source can't read any more stays as last read.
#[test]
fn an_unreadable_object_keeps_its_last_good_version() {
    let mut facts = facts(&pool("a", "10.0.0.0/24"));
    facts.handle(unreadable(Subject::Object(ObjectRef::new(
        Kind::IPAddressPool,
        "m",
        "a",
    ))));
    assert_eq!(pools(&facts), ["a 10.0.0.0/24"]);
    assert_eq!(
        problems(&facts),
        ["pools.yaml:1: IPAddressPool m/a: not YAML"]
    );
}

#[test]
fn without_a_last_good_version_a_rejected_pool_is_known_by_name() {
    let text = "kind: IPAddressPool\nmetadata: {name: a, namespace: m, labels: {team: \
                x}}\nspec: {addresses: [10.0.0.0]}";
    let facts = facts(text);
    assert_eq!(pools(&facts), Vec::<String>::new());
    let Coverage::Incomplete { rejected } = &facts.config.coverage else {
        panic!("complete");
    };
    assert_eq!(
        rejected[&PoolName::from("a")]
            .labels
            .as_ref()
            .unwrap()
            .get("team")
            .unwrap(),
        "x"
    );
}

#[test]
fn coverage_is_incomplete_until_pools_are_listed() {
    let mut facts = Facts::new(Origin::Directory);
    facts.handle(apply(&pool("a", "10.0.0.0/24")));
    assert_eq!(facts.config.coverage, Coverage::default());
    let kinds = [Kind::IPAddressPool, Kind::Service];
    let changes = facts.handle(vec![Event::Listed(Kind::IPAddressPool)]);
    assert!(changes.listed && changes.pools);
    assert_eq!(facts.config.coverage, Coverage::Complete);
    assert!(facts.is_listed(&kinds[..1]) && !facts.is_listed(&kinds));
}

#[test]
fn reserved_addresses_are_the_whole_list() {
    let key = ServiceKey::new("shop", "web");
    let reserved = Event::Reserved([(key.clone(), vec!["10.0.0.1".parse().unwrap()])].into());
    let mut facts = facts(SERVICE);
    assert!(facts.handle(vec![reserved.clone()]).reserved);
    assert!(facts.handle(vec![reserved]).is_empty());
    assert_eq!(facts.reserved.keys().collect::<Vec<_>>(), [&key]);
    assert!(
        facts
            .handle(vec![Event::Reserved(BTreeMap::new())])
            .reserved
    );
}

#[test]
fn what_is_deleted_is_no_problem_any_more() {
    let mut facts = facts(&SERVICE.replace("port: 80", "port: 0"));
    assert_eq!(problems(&facts).len(), 1);
    facts.handle(delete(Kind::Service, "shop", "web"));
    assert_eq!(problems(&facts), Vec::<String>::new());
}

#[test]
fn a_service_that_cant_be_parsed_keeps_what_it_has() {
    let has = |port: u32, ip: &str| {
        let status = format!("status: {{loadBalancer: {{ingress: [{{ip: {ip}}}]}}}}");
        apply(&format!(
            "{}\n{status}",
            SERVICE.replace("80", &port.to_string())
        ))
    };
    let key = ServiceKey::new("shop", "web");
    let ingress = |facts: &Facts| facts.services.get(&key).map(|s| s.ingress.clone());
    let addresses = |ip: &str| vec![ip.parse::<IpAddr>().unwrap()];

    // It never could be: nobody else gets its address.
    let mut facts = Facts::new(Origin::Directory);
    assert!(facts.handle(has(99999, "10.0.0.1")).reserved);
    assert_eq!(
        facts.reserved,
        [(key.clone(), addresses("10.0.0.1"))].into()
    );
    assert!(facts.handle(has(99999, "10.0.0.2")).reserved);
    assert_eq!(
        facts.reserved,
        [(key.clone(), addresses("10.0.0.2"))].into()
    );
    let changes = facts.handle(has(80, "10.0.0.2"));
    assert!(changes.reserved && facts.reserved.is_empty());
    assert_eq!(
        ingress(&facts),
        Some(Ingress::Addresses(addresses("10.0.0.2")))
    );

    // It could: the spec stays as it was, the status is what it is.
    let changes = facts.handle(has(99999, "10.0.0.3"));
    assert_eq!(changes.services, [key.clone()].into());
    assert_eq!(
        ingress(&facts),
        Some(Ingress::Addresses(addresses("10.0.0.3")))
    );
    assert_eq!(facts.services[&key].ports.first().map(|p| p.port), Some(80));

    // Deleted, it has nothing.
    let mut facts = Facts::new(Origin::Directory);
    facts.handle(has(99999, "10.0.0.1"));
    let gone = ObjectRef::new(Kind::Service, "shop", "web");
    assert!(facts.handle(vec![Event::Delete(gone)]).reserved);
    assert!(facts.reserved.is_empty());
}

#[test]
fn problems_are_sorted_and_said_once() {
    let mut facts = facts(&format!("{}\n---\n{}", pool("b", "x"), pool("a", "x")));
    let object = Subject::Object(ObjectRef::new(Kind::IPAddressPool, "m", "a"));
    let twice = [unreadable(object.clone()), unreadable(object)].concat();
    facts.handle(twice);
    let found = problems(&facts);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(facts.problems().is_sorted());
}

/// Objects of every kind, good, bad and at odds with each other.
fn world() -> Vec<Event> {
    let peer = |name: &str, spec: &str| {
        custom(
            "BGPPeer",
            name,
            &format!("myASN: 1, peerASN: 2, peerAddress: 10.9.9.9, {spec}"),
        )
    };
    let texts = [
        pool("a", "10.0.0.0/24"),
        pool("b", "10.0.0.128/25"),
        pool("c", "10.0.1.0/24, 'fd00::/64'"),
        pool("d", "10.0.2.0"),
        SERVICE.to_owned(),
        slice("s", "web", &["one"]),
        slice("t", "web", &["two"]),
        "kind: Node\nmetadata: {name: one}".to_owned(),
        "kind: Namespace\nmetadata: {name: shop, labels: {a: b}}".to_owned(),
        custom("L2Advertisement", "l", "ipAddressPoolSelectors: [{}]"),
        custom("L2Advertisement", "m", "ipAddressPools: [q, q]"),
        custom("BGPAdvertisement", "x", "localPref: 1, communities: [gold]"),
        custom("BGPAdvertisement", "z", "localPref: 2"),
        custom(
            "Community",
            "k",
            "communities: [{name: gold, value: '1:2'}]",
        ),
        custom(
            "Community",
            "l",
            "communities: [{name: gold, value: '1:3'}]",
        ),
        custom("BFDProfile", "f", "echoMode: true"),
        peer("p", "bfdProfile: f"),
        peer("q", "bfdProfile: g"),
    ];
    let mut events: Vec<_> = texts.iter().flat_map(|text| apply(text)).collect();
    events.extend(unreadable(Subject::Object(ObjectRef::new(
        Kind::Service,
        "shop",
        "api",
    ))));
    events
}

proptest! {
    /// First lists may come in any order and in any batches.
    #[test]
    fn the_order_of_events_makes_no_difference(
        events in Just(world()).prop_shuffle(), cuts in prop::collection::vec(any::<bool>(), 32),
    ) {
        let mut expected = Facts::new(Origin::Directory);
        expected.handle(world().into_iter().chain(listed()));
        let mut facts = Facts::new(Origin::Directory);
        let mut batch = Vec::new();
        for (event, cut) in events.into_iter().zip(cuts) {
            batch.push(event);
            if cut {
                facts.handle(std::mem::take(&mut batch));
            }
        }
        facts.handle(batch);
        facts.handle(listed());
        prop_assert_eq!(facts.resources(), expected.resources());
        prop_assert_eq!(format!("{facts:?}"), format!("{expected:?}"));
    }

    /// Whatever is written in the fields: an object is used or what is wrong is said.
    #[test]
    fn no_bgp_object_panics(
        texts in prop::collection::vec(
            "10\\.0\\.0\\.1|fd00::1|[0-9]{1,20}(s|ms|h)|large:1:2:[0-9]{1,12}|[0-9]:[0-9]{1,6}|[ -~é]{0,4}", 10,
        ),
        numbers in prop::collection::vec(any::<u32>(), 6), length: i32, small in 0..70_i32,
    ) {
        let text = |i: usize| serde_json::to_string(&texts[i]).unwrap();
        let peer = format!(
            "myASN: {}, peerASN: {}, localASN: {}, peerAddress: {}, sourceAddress: {}, routerID: \
             {}, holdTime: {}, keepaliveTime: {}, connectTime: {}, bfdProfile: f",
            numbers[0], numbers[1], numbers[2], text(0), text(1), text(2), text(3), text(4), text(5),
        );
        let objects = [
            custom("BGPPeer", "p", &peer),
            custom("BFDProfile", "f", &format!("detectMultiplier: {}, echoInterval: {}", numbers[3], numbers[4])),
            custom("Community", "c", &format!("communities: [{{name: {}, value: {}}}]", text(6), text(7))),
            custom("BGPAdvertisement", "x", &format!(
                "aggregationLength: {small}, aggregationLengthV6: {length}, localPref: {}, communities: [{}, {}]",
                numbers[5], text(8), text(9),
            )),
            custom("IPAddressPool", "a", "addresses: [10.0.0.0/24, 'fd00::/64']"),
        ];
        let facts = facts(&objects.join("\n---\n"));
        let bgp = &facts.config.bgp;
        let used = [bgp.peers.len(), bgp.bfd.len(), bgp.communities.len(), bgp.advertisements.len()];
        let refused: BTreeSet<_> = facts.problems().iter().map(|p| p.subject.clone()).collect();
        prop_assert_eq!(used.iter().sum::<usize>() + refused.len(), 4);
    }

    /// Whatever is in the objects: what is rejected is said, and pools never overlap.
    #[test]
    fn no_object_panics(
        pools in prop::collection::vec(("[ab]", prop::collection::vec(
            "10\\.0\\.0\\.[0-9]{1,2}/(2[0-9]|3[0-9])|10\\.0\\.0\\.[0-9]-10\\.0\\.0\\.[0-9]{2}|.{0,4}", 0..3,
        )), 1..6),
    ) {
        let mut facts = facts(SERVICE);
        for (name, addresses) in pools {
            let mut event = apply(&pool(&name, ""));
            if let [Event::Apply(Object::IPAddressPool(pool))] = event.as_mut_slice() {
                pool.spec.addresses = addresses;
            }
            let had = facts.config.pools.len();
            facts.handle(event);
            prop_assert!(facts.config.pools.len() >= had, "a pool that is still there went");
            let mut taken = crate::ip::Disjoint::default();
            for pool in facts.config.pools.values() {
                for cidr in pool.entries.iter().flat_map(|e| &e.cidrs) {
                    prop_assert!(taken.overlaps(cidr).next().is_none());
                    taken.insert(*cidr, ());
                }
            }
        }
    }
}

fn service_key() -> ServiceKey {
    ServiceKey::new("shop", "web")
}

fn allocated(ips: &[&str], pool: Option<&str>) -> Vec<Event> {
    let ingress = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    let pool = pool.map(PoolName::from);
    vec![Event::Allocated(
        service_key(),
        Assignment { ingress, pool },
    )]
}

#[test]
fn an_allocation_said_apart_takes_the_place_of_the_status() {
    const WEB: &str = "kind: Service\nmetadata: {name: web, namespace: shop}\nspec: {type: LoadBalancer, ports: [{port: 80}]}";
    let mut facts = Facts::new(Origin::Directory);
    // Of a Service nobody has said anything of, nothing is believed.
    assert!(facts.handle(allocated(&["10.0.0.1"], None)).is_empty());
    facts.handle(apply(WEB));
    let changes = facts.handle(allocated(&["10.0.0.1"], Some("a")));
    assert_eq!(changes.services, [service_key()].into());
    let web = facts.services[&service_key()].clone();
    assert_eq!(
        web.ingress,
        Ingress::Addresses(vec!["10.0.0.1".parse().unwrap()])
    );
    assert_eq!(web.allocated_from, Some(PoolName::from("a")));
    assert!(facts.handle(allocated(&["10.0.0.1"], Some("a"))).is_empty());
    assert!(!facts.handle(allocated(&[], None)).is_empty());
    let web = &facts.services[&service_key()];
    assert_eq!(
        (&web.ingress, &web.allocated_from),
        (&Ingress::Empty, &None)
    );
}

#[test]
fn an_allocation_of_a_service_that_can_not_be_parsed_is_reserved() {
    const BAD: &str = "kind: Service\nmetadata: {name: web, namespace: shop}\nspec: {type: LoadBalancer, ipFamilyPolicy: Both, ports: [{port: 80}]}";
    let mut facts = Facts::new(Origin::Directory);
    facts.handle(apply(BAD));
    assert!(facts.reserved.is_empty());
    assert!(facts.handle(allocated(&["10.0.0.1"], None)).reserved);
    assert_eq!(facts.reserved[&service_key()].len(), 1);
    assert!(facts.handle(allocated(&[], None)).reserved);
    assert!(facts.reserved.is_empty());
}

#[test]
fn readiness_said_apart_overrides_slices_until_it_is_taken_back() {
    let serving = |facts: &Facts| -> Vec<String> {
        let endpoints = facts.endpoints.get(&service_key());
        let endpoints = endpoints.into_iter().flat_map(Endpoints::iter);
        let shown = |e: &Endpoint| {
            format!(
                "{}={}",
                e.node.clone().unwrap_or_else(|| "?".into()),
                e.serving
            )
        };
        endpoints.map(shown).collect()
    };
    let ready = |nodes: &[(&str, bool)]| {
        let nodes = nodes.iter().map(|(n, r)| (NodeName::from(*n), *r));
        vec![Event::Readiness(service_key(), nodes.collect())]
    };
    let mut facts = Facts::new(Origin::Directory);
    // Also where it is said first.
    assert!(facts.handle(ready(&[("n1", false)])).is_empty());
    facts.handle(apply(&slice("s", "web", &["n1", "n2"])));
    assert_eq!(serving(&facts), ["n1=false", "n2=true"]);
    assert!(
        facts
            .handle(ready(&[("n1", false), ("n9", true)]))
            .is_empty()
    );
    let changes = facts.handle(ready(&[("n2", false)]));
    assert_eq!(changes.services, [service_key()].into());
    assert_eq!(serving(&facts), ["n1=true", "n2=false"]);
    facts.handle(apply(&slice("s", "web", &["n2", "n3"])));
    assert_eq!(serving(&facts), ["n2=false", "n3=true"]);
    // None said is not nobody ready.
    facts.handle(ready(&[]));
    assert_eq!(serving(&facts), ["n2=true", "n3=true"]);
    facts.handle(delete(Kind::EndpointSlice, "shop", "s"));
    assert!(serving(&facts).is_empty());
}
