//! Allocations: recording, following, refusing.

use super::*;
use crate::directory::ledger::{LEDGER, LEDGER_COPY, Ledger};

fn assign(name: &str, ip: &str) -> (ServiceKey, Assignment) {
    let assignment = Assignment {
        ingress: vec![ip.parse().unwrap()],
        pool: Some("a".into()),
    };
    (ServiceKey::new("default", name), assignment)
}

fn ledger(host: &Host) -> Ledger {
    Ledger::parse(&std::fs::read(host.path(LEDGER)).unwrap()).unwrap()
}

fn record(host: &mut Host, assignments: &[(&str, &str)]) -> Vec<String> {
    let all = assignments.iter().map(|(name, ip)| assign(name, ip));
    shown(host.directory().record(all.collect()).unwrap())
}

/// An allocator with a Service `web` that has 10.0.0.1.
async fn allocator() -> Host {
    let mut host = Host::started(&[("a.yaml", &service("web"))], Role::Allocator).await;
    record(&mut host, &[("web", "10.0.0.1")]);
    host
}

#[tokio::test]
async fn many_allocations_are_one_write_and_are_told_at_once() {
    let text = format!("{}---\n{}", service("web"), service("db"));
    let mut host = Host::started(&[("a.yaml", &text)], Role::Allocator).await;
    let version = ledger(&host).version;
    assert_eq!(
        record(&mut host, &[("web", "10.0.0.1"), ("db", "2001:db8::1")]),
        ["allocated db [2001:db8::1]", "allocated web [10.0.0.1]"]
    );
    let written = ledger(&host);
    assert_eq!(
        (written.version, written.allocations.len()),
        (version + 1, 2)
    );
    assert_eq!(
        record(&mut host, &[("web", "10.0.0.1")]),
        Vec::<String>::new()
    );
    assert_eq!(ledger(&host).version, version + 1);
    let cleared = Assignment {
        ingress: vec![],
        pool: None,
    };
    let events = host
        .directory()
        .record(vec![(ServiceKey::new("default", "db"), cleared)]);
    assert_eq!(shown(events.unwrap()), ["allocated db []"]);
    assert_eq!(ledger(&host).allocations.len(), 1);
}

#[tokio::test]
async fn allocations_survive_a_restart() {
    let mut host = allocator().await;
    host.start(Role::Allocator);
    let events = host.next().await;
    assert!(
        events.contains(&r#"apply Service web ["10.0.0.1"]"#.to_owned()),
        "{events:?}"
    );
}

#[tokio::test]
async fn every_host_reads_the_ledger_and_its_pool() {
    let mut first = allocator().await;
    let mut second = Host::at(first.manifests.clone());
    second.start(Role::Follower);
    let mut events = second.directory().next().await;
    let service = events.find_map(|event| {
        let Event::Apply(Object::Service(service)) = event else {
            return None;
        };
        Some(service)
    });
    let annotations = &service.unwrap().metadata.annotations;
    assert_eq!(annotations[corten_api::names::IP_ALLOCATED_FROM_POOL], "a");
    record(&mut first, &[("web", "10.0.0.2")]);
    assert_eq!(second.next().await, ["allocated web [10.0.0.2]"]);
    let error = second.directory().record(vec![assign("web", "10.0.0.3")]);
    assert!(matches!(error, Err(RecordError::NotAllocator)));
}

#[tokio::test]
async fn a_second_allocator_is_told_who_is_the_first() {
    let first = allocator().await;
    let second = Host::at(first.manifests.clone());
    let error = Directory::open(second.options(Role::Allocator)).unwrap_err();
    assert!(error.to_string().contains("node n1, process"), "{error}");
    let error = Directory::open(first.options(Role::Follower)).unwrap_err();
    assert!(
        error.to_string().contains("state directory in use"),
        "{error}"
    );
}

#[tokio::test]
async fn the_allocator_can_change() {
    let mut first = allocator().await;
    let mut second = Host::at(first.manifests.clone());
    first.directory = None;
    second.start(Role::Allocator);
    second.next().await;
    record(&mut second, &[("web", "10.0.0.2")]);
    second.directory = None;
    first.start(Role::Allocator);
    let events = first.next().await;
    assert!(
        events.contains(&r#"apply Service web ["10.0.0.2"]"#.to_owned()),
        "{events:?}"
    );
}

/// Writes a ledger over the one in the directory and checks that it is refused with this cause,
/// the allocation stays, and the allocator leaves it alone; also after a restart.
async fn check_refused(change: impl Fn(&Host) -> Vec<u8>, causes: &[&str]) {
    for role in [Role::Allocator, Role::Follower] {
        let mut host = allocator().await;
        host.start(role);
        host.next().await;
        let bytes = change(&host);
        std::fs::write(host.path(LEDGER), &bytes).unwrap();
        let events = host.next().await;
        for cause in causes {
            assert!(events.len() == 1 && events[0].contains(cause), "{events:?}");
        }
        host.start(role);
        let events = host.next().await;
        assert!(events[0].contains(causes[0]), "{events:?}");
        assert!(
            events.contains(&r#"apply Service web ["10.0.0.1"]"#.to_owned()),
            "{events:?}"
        );
        assert!(
            host.directory()
                .record(vec![assign("web", "10.0.0.9")])
                .is_err()
        );
        assert_eq!(std::fs::read(host.path(LEDGER)).unwrap(), bytes);
    }
}

fn altered(host: &Host, alter: impl Fn(&mut Ledger)) -> Vec<u8> {
    let mut other = ledger(host);
    alter(&mut other);
    other.to_text().unwrap().into_bytes()
}

#[tokio::test]
async fn a_ledger_that_can_not_follow_is_refused_by_name() {
    let other = |host: &Host| {
        altered(host, |l| {
            l.id = "f".repeat(32);
            l.allocator = "n7".to_owned();
        })
    };
    check_refused(
        other,
        &[
            "this is ledger ffffffffffffffffffffffffffffffff of allocator n7, the one used last is",
            "of allocator n1",
            "to accept it, delete",
        ],
    )
    .await;
    check_refused(
        |host| altered(host, |l| l.version -= 1),
        &["went back from version 2 to 1", "to accept it, delete"],
    )
    .await;
    check_refused(
        |host| altered(host, |l| l.allocations.clear()),
        &["has two versions 2"],
    )
    .await;
    check_refused(
        |_| Vec::new(),
        &["half-written", "the allocator writes it again"],
    )
    .await;
    check_refused(
        |host| {
            let mut bytes = std::fs::read(host.path(LEDGER)).unwrap();
            bytes.truncate(bytes.len() - 1);
            bytes
        },
        &["half-written"],
    )
    .await;
}

#[tokio::test]
async fn a_ledger_that_is_no_file_is_named_and_holds_up_nothing() {
    let mut host = allocator().await;
    std::fs::remove_file(host.path(LEDGER)).unwrap();
    // Opened as a file, a FIFO would wait for its writer for ever.
    nix::unistd::mkfifo(&host.path(LEDGER), nix::sys::stat::Mode::S_IRWXU).unwrap();
    host.until("corten.allocations.yaml: can't be read: not a regular file")
        .await;
    std::fs::remove_file(host.path(LEDGER)).unwrap();
    host.until("rejections []").await;
    assert_eq!(ledger(&host).allocations.len(), 1);
}

#[tokio::test]
async fn a_running_allocator_refuses_what_another_wrote() {
    let mut host = allocator().await;
    let bytes = altered(&host, |l| {
        l.version += 1;
        l.allocator = "n7".to_owned();
    });
    std::fs::write(host.path(LEDGER), bytes).unwrap();
    let events = host.next().await;
    assert!(events[0].contains("was also written by n7"), "{events:?}");
}

#[tokio::test]
async fn a_refused_ledger_is_accepted_by_deleting_the_copy() {
    let mut host = allocator().await;
    let bytes = altered(&host, |l| {
        l.id = "f".repeat(32);
        l.allocations.extend([assign("web", "10.0.0.7")]);
    });
    std::fs::write(host.path(LEDGER), bytes).unwrap();
    assert!(host.next().await[0].contains("ledger ffff"));
    std::fs::remove_file(host.state.path().join(LEDGER_COPY)).unwrap();
    assert_eq!(
        host.next().await,
        ["rejections []", "allocated web [10.0.0.7]"]
    );
    record(&mut host, &[("web", "10.0.0.8")]);
    assert_eq!(ledger(&host).id, "f".repeat(32));
}

#[tokio::test]
async fn a_missing_ledger_is_written_again_by_the_allocator_and_awaited_by_others() {
    let mut first = allocator().await;
    let mut second = Host::at(first.manifests.clone());
    second.start(Role::Follower);
    second.next().await;
    let before = ledger(&first);
    std::fs::remove_file(first.path(LEDGER)).unwrap();
    let events = second.next().await;
    assert!(
        events.len() == 1 && events[0].contains("missing; the allocations"),
        "{events:?}"
    );
    first.write("b.yaml", &service("db"));
    first.next().await;
    let after = ledger(&first);
    assert_eq!(
        (&after.id, &after.allocations),
        (&before.id, &before.allocations)
    );
    assert_eq!(after.version, before.version + 1);
    assert!(second.until("rejections []").await.len() < 4);
}

#[tokio::test]
async fn an_allocation_leaves_with_its_service_but_not_when_that_is_only_hidden() {
    let mut host = allocator().await;
    host.write("other.yaml", &pool("a"));
    host.until("IPAddressPool a").await;
    // Hidden: the file can't be read, so the Service may still be in it.
    host.directory = None;
    host.write("a.yaml", "]");
    host.start(Role::Allocator);
    assert_eq!(host.next().await[1], "reserved [[10.0.0.1]]");
    assert_eq!(ledger(&host).allocations.len(), 1);
    // Rejected by name: it exists.
    host.write("a.yaml", &service("web").replace("LoadBalancer", "[5]"));
    let events = host.next().await;
    assert!(
        events[0].contains("Service default/web: spec.type"),
        "{events:?}"
    );
    assert_eq!(ledger(&host).allocations.len(), 1);
    host.write("a.yaml", &service("web"));
    let events = host.until("rejections []").await;
    for told in ["reserved []", r#"apply Service web ["10.0.0.1"]"#] {
        assert!(events.iter().any(|e| e == told), "{events:?}");
    }
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    assert_eq!(host.next().await, ["delete Service default/web"]);
    assert!(ledger(&host).allocations.is_empty());
}

#[tokio::test]
async fn without_any_ledger_addresses_asked_for_are_granted() {
    let pinned = service("web").replace("type:", "loadBalancerIP: 10.0.0.5, type:");
    let mut host = Host::started(&[], Role::Follower).await;
    host.write("a.yaml", &pinned);
    assert_eq!(host.next().await, [r#"apply Service web ["10.0.0.5"]"#]);
    host.directory = None;
    host.start(Role::Allocator);
    let events = host.next().await;
    assert!(
        events.contains(&"apply Service web []".to_owned()),
        "{events:?}"
    );
}

#[tokio::test]
async fn an_allocation_that_can_not_be_written_is_written_later() {
    let mut host = allocator().await;
    // A directory where the temporary file would be.
    let blocked = host.path("corten.allocations.yaml.tmp");
    std::fs::create_dir(&blocked).unwrap();
    let error = host
        .directory()
        .record(vec![assign("web", "10.0.0.2")])
        .unwrap_err();
    assert!(error.to_string().contains(LEDGER), "{error}");
    std::fs::remove_dir(&blocked).unwrap();
    let events = host.until("10.0.0.2").await;
    assert!(
        events.contains(&"allocated web [10.0.0.2]".to_owned()),
        "{events:?}"
    );
}

#[tokio::test]
async fn an_allocator_whose_lock_file_was_replaced_takes_it_again_or_stops() {
    let mut host = allocator().await;
    let path = host.path("corten.allocator.lock");
    std::fs::remove_file(&path).unwrap();
    record(&mut host, &[("web", "10.0.0.2")]);
    std::fs::remove_file(&path).unwrap();
    let other = Lock::acquire(&path, "n7").unwrap();
    let error = host
        .directory()
        .record(vec![assign("web", "10.0.0.3")])
        .unwrap_err();
    assert!(error.to_string().contains("held by node n7"), "{error}");
    drop(other);
    assert!(host.until("10.0.0.3").await.len() < 4);
}

#[tokio::test]
async fn a_damaged_copy_is_named() {
    let mut host = allocator().await;
    host.directory = None;
    std::fs::write(host.state.path().join(LEDGER_COPY), "x").unwrap();
    let error = Directory::open(host.options(Role::Follower))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(LEDGER_COPY) && error.contains("damaged"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unusable_state_directory_is_named() {
    let mut host = Host::new(&[]);
    let file = host.state.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut options = host.options(Role::Follower);
    options.state = file.join("state");
    let error = Directory::open(options).unwrap_err().to_string();
    assert!(
        error.contains("file/state") && error.contains("Not a directory"),
        "{error}"
    );
    host.start(Role::Follower);
}

/// The child of [`a_killed_allocator_loses_nothing_it_told_of`]: records one allocation after
/// another and tells of each one that is on record.
#[tokio::test]
async fn child_that_is_killed() {
    let Ok(root) = std::env::var("CORTEN_TEST_KILLED_ALLOCATOR") else {
        return;
    };
    let root = Path::new(&root);
    let options = Options {
        manifests: root.join("manifests"),
        state: root.join("state"),
        node: "n1".into(),
        role: Role::Allocator,
    };
    let mut directory = Directory::open(options).unwrap();
    directory.next().await;
    for n in 1u32.. {
        let ip = std::net::Ipv4Addr::from(n).to_string();
        directory.record(vec![assign("web", &ip)]).unwrap();
        println!("recorded {ip}");
    }
}

#[tokio::test]
async fn a_killed_allocator_loses_nothing_it_told_of() {
    use std::io::BufRead as _;
    let mut host = Host::new(&[("a.yaml", &service("web"))]);
    let root = host.manifests.parent().unwrap().to_owned();
    for round in 1..8 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "--exact"])
            .arg("directory::tests::recording::child_that_is_killed")
            .env("CORTEN_TEST_KILLED_ALLOCATOR", &root)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = io::BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).filter_map(|l| {
            let at = l.find("recorded ")?;
            l[at + 9..].parse::<std::net::Ipv4Addr>().ok()
        });
        let last = told.take(3 * round).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let found = ledger(&host).allocations[&ServiceKey::new("default", "web")].ingress[0];
        assert!(found >= IpAddr::from(last), "{found} is before {last}");
    }
    host.start(Role::Allocator);
    host.next().await;
}

#[tokio::test]
async fn a_service_not_written_yet_at_the_start_keeps_its_allocation() {
    use std::io::Write as _;
    let text = format!("{}---\n{}", service("db"), service("web"));
    for missing in ["", "a.yaml"] {
        let mut host = allocator().await;
        host.write("z.yaml", "");
        host.directory = None;
        // A copy in progress: the second document isn't there yet, and reads as if it never was.
        let mut file = std::fs::File::create(host.path("a.yaml")).unwrap();
        file.write_all(service("db").as_bytes()).unwrap();
        if !missing.is_empty() {
            std::fs::remove_file(host.path(missing)).unwrap();
        }
        host.start(Role::Allocator);
        let events = host.next().await;
        assert!(events[0].contains("incomplete still"), "{events:?}");
        assert_eq!(events[1], "reserved [[10.0.0.1]]");
        assert_eq!(ledger(&host).allocations.len(), 1);
        host.write("a.yaml", &text);
        let events = host.until(r#"apply Service web ["10.0.0.1"]"#).await;
        assert!(events.contains(&"reserved []".to_owned()), "{events:?}");
        host.until("rejections []").await;
    }
}

#[tokio::test]
async fn a_service_that_stays_away_after_a_start_loses_its_allocation() {
    let mut host = allocator().await;
    host.directory = None;
    host.write("a.yaml", "");
    host.start(Role::Allocator);
    host.next().await;
    assert_eq!(host.next().await, ["rejections []", "reserved []"]);
    assert!(ledger(&host).allocations.is_empty());
}

#[tokio::test]
async fn a_reload_while_a_file_is_written_deletes_nothing() {
    let text = format!("{}---\n{}", service("db"), service("web"));
    for notified in [true, false] {
        let mut host = allocator().await;
        host.write("a.yaml", &text);
        host.until("apply Service db").await;
        if !notified {
            let watch = Watch::polling(&host.manifests);
            host.directory().watch = watch;
        }
        let mut file = std::fs::File::create(host.path("a.yaml")).unwrap();
        io::Write::write_all(&mut file, service("db").as_bytes()).unwrap();
        host.directory().reload();
        host.write("b.yaml", &service("new"));
        let mut events = host.until("apply Service new").await;
        drop(file);
        host.write("a.yaml", &text);
        host.write("c.yaml", &service("newer"));
        events.extend(host.until("apply Service newer").await);
        assert!(
            !events.iter().any(|e| e.starts_with("delete")),
            "{notified} {events:?}"
        );
        assert_eq!(ledger(&host).allocations.len(), 1);
    }
}

#[tokio::test]
async fn a_directory_without_manifests_is_not_believed() {
    let mut host = allocator().await;
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    for restarted in [false, true] {
        if restarted {
            host.start(Role::Allocator);
        }
        let events = host.next().await;
        assert!(events[0].contains("no manifests any more"), "{events:?}");
        assert_eq!(ledger(&host).allocations.len(), 1);
        assert_eq!(host.directory().is_loaded(), !restarted);
    }
    // Confirmed.
    host.write("none.yaml", "");
    host.until("rejections []").await;
    assert!(ledger(&host).allocations.is_empty());
    assert!(host.directory().is_loaded());
}

#[tokio::test]
async fn a_service_that_is_back_before_its_entry_could_leave_keeps_it() {
    let mut host = allocator().await;
    host.write("z.yaml", "");
    let blocked = host.path("corten.allocations.yaml.tmp");
    std::fs::create_dir(&blocked).unwrap();
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    host.until("delete Service default/web").await;
    host.write("a.yaml", &service("web"));
    let mut events = host.until("apply Service web").await;
    std::fs::remove_dir(&blocked).unwrap();
    host.write("b.yaml", &service("db"));
    events.extend(host.until("apply Service db").await);
    assert!(
        events.contains(&r#"apply Service web ["10.0.0.1"]"#.to_owned()),
        "{events:?}"
    );
    assert_eq!(ledger(&host).allocations.len(), 1);
}
