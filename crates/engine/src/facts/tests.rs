use super::*;
use crate::config::{Coverage, Filter, PoolScope};
use crate::event::{Event, Object};

/// Objects from YAML documents, each a metallb.io or core kind.
fn objects(text: &str) -> Vec<Object> {
    let mut objects = Vec::new();
    for document in text.split("\n---\n") {
        let value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
        let kind = value["kind"].as_str().unwrap().to_owned();
        macro_rules! object {
            ($($name:ident),*) => {
                match kind.as_str() {
                    $(stringify!($name) => Object::$name(serde_json::from_value(value).unwrap()),)*
                    other => panic!("kind {other}"),
                }
            };
        }
        objects.push(object!(
            Service,
            EndpointSlice,
            Node,
            Namespace,
            IPAddressPool,
            L2Advertisement,
            BGPAdvertisement,
            BGPPeer,
            BFDProfile,
            Community
        ));
    }
    objects
}

fn apply(text: &str) -> Vec<Event> {
    objects(text).into_iter().map(Event::Apply).collect()
}

fn listed() -> Vec<Event> {
    Kind::ALL.into_iter().map(Event::Listed).collect()
}

/// Facts whose first lists are complete with these objects.
fn facts(text: &str) -> Facts {
    let mut facts = Facts::new(Origin::Directory);
    let mut events = apply(text);
    events.extend(listed());
    facts.handle(events);
    facts
}

fn pool(name: &str, addresses: &str) -> String {
    format!(
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: {name}, namespace: \
         m}}\nspec: {{addresses: [{addresses}]}}"
    )
}

fn pools(facts: &Facts) -> Vec<String> {
    let text = |pool: &crate::config::Pool| {
        let entries: Vec<_> = pool.entries.iter().map(|e| e.text.as_str()).collect();
        format!("{} {}", pool.name, entries.join(" "))
    };
    facts.config.pools.values().map(text).collect()
}

fn problems(facts: &Facts) -> Vec<String> {
    facts.problems().iter().map(ToString::to_string).collect()
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
