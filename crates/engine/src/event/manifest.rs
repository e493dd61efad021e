//! Objects from YAML, for tests.

use super::{Event, Object};
use crate::facts::{Facts, Origin};
use crate::rejection::Kind;

/// A metallb.io object of namespace `m`; `spec` is the inside of a flow mapping.
pub(crate) fn custom(kind: &str, name: &str, spec: &str) -> String {
    format!("kind: {kind}\nmetadata: {{name: {name:?}, namespace: m}}\nspec: {{{spec}}}")
}

/// The objects of documents separated by `---`.
pub(crate) fn objects(text: &str) -> Vec<Object> {
    text.split("\n---\n").map(object).collect()
}

fn object(document: &str) -> Object {
    let mut value: serde_json::Value = serde_saphyr::from_str(document).unwrap();
    let kind = value["kind"].as_str().unwrap().to_owned();
    value["apiVersion"] = "metallb.io/v1beta1".into();
    macro_rules! read {
        ($($name:ident),*) => {
            match kind.as_str() {
                $(stringify!($name) => Object::$name(serde_json::from_value(value).unwrap()),)*
                other => panic!("kind {other}"),
            }
        };
    }
    read!(
        Service,
        EndpointSlice,
        Node,
        Namespace,
        IPAddressPool,
        L2Advertisement,
        BGPAdvertisement,
        BGPPeer,
        BFDProfile,
        Community,
        Secret
    )
}

/// Events that say these objects are there.
pub(crate) fn apply(text: &str) -> Vec<Event> {
    objects(text).into_iter().map(Event::Apply).collect()
}

/// Every kind's first list is complete.
pub(crate) fn listed() -> Vec<Event> {
    Kind::ALL.into_iter().map(Event::Listed).collect()
}

/// Facts of a directory with just these objects.
pub(crate) fn facts(text: &str) -> Facts {
    let mut facts = Facts::new(Origin::Directory);
    let mut events = apply(text);
    events.extend(listed());
    facts.handle(events);
    facts
}

/// What is wrong, one text each.
pub(crate) fn problems(facts: &Facts) -> Vec<String> {
    facts.problems().iter().map(ToString::to_string).collect()
}

/// Checks what is wrong with `text`; `expected` without the object in question.
pub(crate) fn check_problems(text: &str, object: &str, expected: &[&str]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|cause| format!("{object}: {cause}"))
        .collect();
    assert_eq!(problems(&facts(text)), expected, "{text}");
}
