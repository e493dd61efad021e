use super::{Health, View};
use corten_engine::event::Event;
use corten_engine::rejection::{Kind, ObjectRef};
use kube::core::Status;
use kube::runtime::watcher;

fn pool(name: &str, spec: &str) -> super::Wire {
    let text = format!(
        r#"{{"metadata": {{"name": "{name}", "namespace": "m", "resourceVersion": "1",
            "uid": "00000000-0000-0000-0000-00000000000a"}}, "spec": {spec}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

const GOOD: &str = r#"{"addresses": ["192.0.2.0/24"]}"#;
const BAD: &str = r#"{"addresses": "192.0.2.0/24"}"#;

fn forbidden() -> watcher::Error {
    let status = Status::failure("not allowed", "Forbidden").with_code(403);
    watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
}

/// Tells the view each in turn; gives what it says, in short.
fn hear(view: &mut View, said: Vec<super::Said>) -> Vec<String> {
    let mut events = Vec::new();
    for said in said {
        view.hear(said, &mut events);
    }
    let short = |event| match event {
        Event::Apply(object) => format!("apply {}", object.reference().name),
        Event::Delete(object) => format!("delete {}", object.name),
        Event::Listed(kind) => format!("listed {kind}"),
        Event::Allocated(..)
        | Event::Readiness(..)
        | Event::Rejections(_)
        | Event::Reserved(_)
        | Event::Frr(_) => "other".to_owned(),
    };
    events.into_iter().map(short).collect()
}

fn listed(names: &[&str]) -> Vec<super::Said> {
    let objects = names
        .iter()
        .map(|n| Ok(watcher::Event::InitApply(pool(n, GOOD))));
    let begin = std::iter::once(Ok(watcher::Event::Init));
    begin
        .chain(objects)
        .chain([Ok(watcher::Event::InitDone)])
        .collect()
}

#[test]
fn only_a_whole_list_deletes() {
    let mut view = View::new(Kind::IPAddressPool);
    let said = hear(&mut view, listed(&["a", "b"]));
    assert_eq!(said, ["apply a", "apply b", "listed IPAddressPool"]);

    // A list that breaks off, and another that is refused, say nothing of what they came without.
    let broken = vec![
        Ok(watcher::Event::Init),
        Ok(watcher::Event::InitApply(pool("b", GOOD))),
        Err(forbidden()),
        Ok(watcher::Event::Init),
        Err(forbidden()),
    ];
    assert_eq!(hear(&mut view, broken), ["apply b"]);
    assert_eq!(*view.health(), Health::Bad("not allowed (403)".to_owned()));

    assert_eq!(
        hear(&mut view, listed(&["b", "c"])),
        ["apply b", "apply c", "delete a"]
    );
    assert_eq!(*view.health(), Health::Good);
}

#[test]
fn the_first_list_must_be_whole() {
    let mut view = View::new(Kind::IPAddressPool);
    let broken = vec![
        Ok(watcher::Event::Init),
        Ok(watcher::Event::InitApply(pool("a", GOOD))),
        Err(forbidden()),
    ];
    assert_eq!(hear(&mut view, broken), ["apply a"]);
    assert_eq!(hear(&mut view, listed(&[])), ["listed IPAddressPool"]);
}

#[test]
fn the_server_deletes() {
    let mut view = View::new(Kind::IPAddressPool);
    hear(&mut view, listed(&["a", "b"]));
    let gone = vec![Ok(watcher::Event::Delete(pool("a", GOOD)))];
    assert_eq!(hear(&mut view, gone), ["delete a"]);
    assert_eq!(
        hear(&mut view, listed(&["b"])),
        ["apply b"],
        "once is enough"
    );
}

#[test]
fn an_object_that_is_no_such_kind_is_rejected_by_itself() {
    let mut view = View::new(Kind::IPAddressPool);
    let mut events = Vec::new();
    hear(&mut view, listed(&["a"]));
    let news = view.hear(Ok(watcher::Event::Apply(pool("bad", BAD))), &mut events);
    assert!(news.rejections && events.is_empty());
    let rejections: Vec<_> = view.rejections().map(ToString::to_string).collect();
    assert_eq!(rejections.len(), 1);
    assert!(
        rejections[0].starts_with("IPAddressPool m/bad: spec.addresses: "),
        "{rejections:?}"
    );

    let again = view.hear(Ok(watcher::Event::Apply(pool("bad", BAD))), &mut events);
    assert!(!again.rejections, "the same again is no news");
    let mended = view.hear(Ok(watcher::Event::Apply(pool("bad", GOOD))), &mut events);
    assert!(mended.rejections);
    assert_eq!(view.rejections().count(), 0);
}

#[test]
fn a_rejected_object_that_goes_is_deleted() {
    let mut view = View::new(Kind::IPAddressPool);
    let mut events = Vec::new();
    hear(&mut view, listed(&[]));
    view.hear(Ok(watcher::Event::Apply(pool("bad", BAD))), &mut events);
    let news = view.hear(Ok(watcher::Event::Delete(pool("bad", BAD))), &mut events);
    assert!(news.rejections);
    let deleted = Event::Delete(ObjectRef::new(Kind::IPAddressPool, "m", "bad"));
    assert_eq!(events, [deleted]);
}

#[test]
fn uids_are_kept() {
    let mut view = View::new(Kind::IPAddressPool);
    hear(&mut view, listed(&["a"]));
    assert_eq!(view.uid("m", "a"), Some(10));
    assert_eq!(view.uid("m", "z"), None);
}
