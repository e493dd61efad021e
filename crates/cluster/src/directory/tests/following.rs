//! Following changes of the files.

use super::*;
use crate::directory::watch::Watch;
use std::io::Write as _;
use std::os::unix::fs::symlink;

const FOLLOWER: Role = Role::Follower;

#[tokio::test]
async fn the_first_batch_is_everything() {
    let mut host = Host::new(&[("a.yaml", &pool("a")), ("b.yaml", &service("web"))]);
    host.start(FOLLOWER);
    let mut want = vec![
        "rejections []".to_owned(),
        "reserved []".to_owned(),
        "apply Service web []".to_owned(),
        "apply IPAddressPool a 10.0.0.0/24".to_owned(),
    ];
    want.extend(Kind::ALL.map(|kind| format!("listed {kind}")));
    assert_eq!(host.next().await, want);
    assert!(host.directory().is_loaded());
}

#[tokio::test]
async fn only_differences_follow() {
    let mut host = Host::started(&[("a.yaml", &pool("a")), ("b.yaml", &pool("b"))], FOLLOWER).await;
    host.write("a.yaml", &pool("a").replace("10.0.0", "10.1.1"));
    assert_eq!(host.next().await, ["apply IPAddressPool a 10.1.1.0/24"]);
    // As editors do: written beside, renamed over.
    host.write(".a.yaml.swp", &pool("a").replace("10.0.0", "10.2.2"));
    std::fs::rename(host.path(".a.yaml.swp"), host.path("a.yaml")).unwrap();
    assert_eq!(host.next().await, ["apply IPAddressPool a 10.2.2.0/24"]);
    std::fs::remove_file(host.path("b.yaml")).unwrap();
    assert_eq!(host.next().await, ["delete IPAddressPool default/b"]);
    // An object that moves to another file doesn't change.
    host.write("c.yaml", &format!("{}---\n{}", pool("c"), pool("d")));
    assert_eq!(host.next().await.len(), 2);
    std::fs::rename(host.path("c.yaml"), host.path("d.yaml")).unwrap();
    host.write("e.yaml", &service("web"));
    assert_eq!(host.next().await, ["apply Service web []"]);
}

#[tokio::test]
async fn a_half_written_file_is_left_alone() {
    let mut host = Host::started(&[("a.yaml", &pool("a")), ("b.yaml", &pool("b"))], FOLLOWER).await;
    let text = pool("a").replace("10.0.0", "10.1.1");
    let mut file = std::fs::File::create(host.path("a.yaml")).unwrap();
    file.write_all(&text.as_bytes()[..20]).unwrap();
    host.write("b.yaml", &pool("b").replace("10.0.0", "10.1.1"));
    assert_eq!(host.next().await, ["apply IPAddressPool b 10.1.1.0/24"]);
    file.write_all(&text.as_bytes()[20..]).unwrap();
    drop(file);
    assert_eq!(host.next().await, ["apply IPAddressPool a 10.1.1.0/24"]);
}

#[tokio::test]
async fn a_file_that_stays_open_is_read_after_a_while() {
    let mut host = Host::started(&[], FOLLOWER).await;
    let mut file = std::fs::File::create(host.path("a.yaml")).unwrap();
    file.write_all(pool("a").as_bytes()).unwrap();
    assert_eq!(host.next().await, ["apply IPAddressPool a 10.0.0.0/24"]);
    drop(file);
}

#[tokio::test]
async fn a_broken_file_keeps_its_objects_until_it_is_mended() {
    let mut host = Host::started(&[("a.yaml", &pool("a")), ("b.yaml", &pool("b"))], FOLLOWER).await;
    host.write("a.yaml", "]");
    let events = host.next().await;
    assert!(
        events.len() == 1 && events[0].contains("a.yaml:1"),
        "{events:?}"
    );
    assert!(!host.directory().is_complete());
    // Anything may be in it, so nothing leaves.
    std::fs::remove_file(host.path("b.yaml")).unwrap();
    host.write("c.yaml", &pool("c"));
    assert_eq!(host.next().await, ["apply IPAddressPool c 10.0.0.0/24"]);
    host.write("a.yaml", &pool("a"));
    assert_eq!(
        host.next().await,
        ["rejections []", "delete IPAddressPool default/b"]
    );
}

#[tokio::test]
async fn a_broken_document_keeps_its_object_and_holds_back_no_other() {
    let text = format!("{}---\n{}", pool("a"), pool("b"));
    let mut host = Host::started(&[("a.yaml", &text)], FOLLOWER).await;
    host.write("a.yaml", &pool("a").replace("[10.0.0.0/24]", "5"));
    assert_eq!(
        host.next().await,
        [
            "rejections [a.yaml:4: IPAddressPool default/a: spec.addresses: invalid type: integer `5`, expected a sequence]",
            "delete IPAddressPool default/b"
        ]
    );
    host.write("a.yaml", "");
    assert_eq!(
        host.next().await,
        ["rejections []", "delete IPAddressPool default/a"]
    );
}

#[tokio::test]
async fn an_unreadable_file_holds_back_deletions_though_it_was_never_read() {
    let mut host = Host::new(&[("a.yaml", &pool("a"))]);
    symlink("nowhere", host.path("b.yaml")).unwrap();
    host.start(FOLLOWER);
    assert!(host.next().await[0].contains("b.yaml: can't be read"));
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    host.write("c.yaml", &pool("c"));
    assert_eq!(host.next().await, ["apply IPAddressPool c 10.0.0.0/24"]);
    std::fs::remove_file(host.path("b.yaml")).unwrap();
    assert_eq!(
        host.next().await,
        ["rejections []", "delete IPAddressPool default/a"]
    );
}

#[tokio::test]
async fn a_mounted_config_map_is_swapped_as_a_whole() {
    let mut host = Host::new(&[]);
    let version = |name: &str, text: &str| {
        std::fs::create_dir(host.path(name)).unwrap();
        std::fs::write(host.path(name).join("a.yaml"), text).unwrap();
    };
    version("..2026_1", &pool("a"));
    version("..2026_2", &pool("b"));
    symlink("..2026_1", host.path("..data")).unwrap();
    symlink("..data/a.yaml", host.path("a.yaml")).unwrap();
    host.start(FOLLOWER);
    assert!(
        host.next()
            .await
            .contains(&"apply IPAddressPool a 10.0.0.0/24".to_owned())
    );
    symlink("..2026_2", host.path("..data_tmp")).unwrap();
    // Told by the kernel, not found by polling.
    host.directory().watch.put_off_polling();
    std::fs::rename(host.path("..data_tmp"), host.path("..data")).unwrap();
    std::fs::remove_dir_all(host.path("..2026_1")).unwrap();
    assert_eq!(
        host.next().await,
        [
            "delete IPAddressPool default/a",
            "apply IPAddressPool b 10.0.0.0/24"
        ]
    );
}

#[tokio::test]
async fn a_directory_that_is_away_deletes_nothing() {
    let mut host = Host::started(&[("a.yaml", &pool("a")), ("b.yaml", &pool("b"))], FOLLOWER).await;
    let away = host.manifests.with_file_name("away");
    std::fs::rename(&host.manifests, &away).unwrap();
    let events = host.next().await;
    assert!(
        events.len() == 1 && events[0].contains("can't be read"),
        "{events:?}"
    );
    // Back, at first empty, as after `rm -r`, `mkdir`, `cp`: what is missing leaves only later.
    std::fs::create_dir(&host.manifests).unwrap();
    let events = host.next().await;
    assert!(
        events.len() == 1 && events[0].contains("no manifests any more"),
        "{events:?}"
    );
    host.write("b.yaml", &pool("b").replace("10.0.0", "10.1.1"));
    let events = host.next().await;
    assert!(
        events.len() == 2 && events[0].contains("was replaced"),
        "{events:?}"
    );
    assert_eq!(events[1], "apply IPAddressPool b 10.1.1.0/24");
    assert_eq!(
        host.next().await,
        ["rejections []", "delete IPAddressPool default/a"]
    );
}

#[tokio::test]
async fn a_directory_that_can_not_be_listed_is_not_empty() {
    let mut host = Host::new(&[]);
    std::fs::remove_dir(&host.manifests).unwrap();
    symlink(&host.manifests, &host.manifests).unwrap();
    host.start(FOLLOWER);
    let events = host.next().await;
    assert!(
        events.len() == 2 && events[0].contains("symbolic links"),
        "{events:?}"
    );
    assert!(!host.directory().is_loaded());
    std::fs::remove_file(&host.manifests).unwrap();
    std::fs::create_dir(&host.manifests).unwrap();
    host.write("a.yaml", &pool("a"));
    let events = host.until("listed Service").await;
    assert!(
        events.iter().any(|e| e.contains("apply IPAddressPool a")),
        "{events:?}"
    );
}

#[tokio::test]
async fn directories_given_by_mistake_are_refused() {
    let host = Host::new(&[("a.yaml", &pool("a"))]);
    let open = |manifests: PathBuf, state: PathBuf| {
        let options = Options {
            manifests,
            state,
            ..host.options(FOLLOWER)
        };
        Directory::open(options).unwrap_err().to_string()
    };
    let error = open(host.path("a.yaml"), host.state.path().to_owned());
    assert!(error.contains("a.yaml: is no directory"), "{error}");
    let link = host.state.path().join("link");
    symlink(&host.manifests, &link).unwrap();
    let error = open(host.manifests.clone(), link);
    assert!(error.contains("link: is the manifest directory"), "{error}");
}

#[tokio::test]
async fn a_symlink_to_the_directory_is_followed_when_it_is_moved() {
    let root = TempDir::new().unwrap();
    for name in ["1", "2"] {
        std::fs::create_dir(root.path().join(name)).unwrap();
        std::fs::write(
            root.path().join(name).join("a.yaml"),
            pool(&format!("p{name}")),
        )
        .unwrap();
    }
    symlink("1", root.path().join("current")).unwrap();
    let mut host = Host::at(root.path().join("current"));
    host.start(FOLLOWER);
    host.next().await;
    symlink("2", root.path().join("next")).unwrap();
    std::fs::rename(root.path().join("next"), root.path().join("current")).unwrap();
    let events = host.until("delete IPAddressPool default/p1").await;
    assert!(
        events.contains(&"apply IPAddressPool p2 10.0.0.0/24".to_owned()),
        "{events:?}"
    );
}

#[tokio::test]
async fn without_notifications_changes_are_polled_for() {
    let mut host = Host::started(&[("a.yaml", &pool("a")), ("b.yaml", "")], FOLLOWER).await;
    let watch = Watch::polling(&host.manifests);
    host.directory().watch = watch;
    host.write("a.yaml", &pool("a").replace("10.0.0", "10.1.1"));
    assert_eq!(host.next().await, ["apply IPAddressPool a 10.1.1.0/24"]);
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    assert_eq!(host.next().await, ["delete IPAddressPool default/a"]);
}

#[tokio::test]
async fn a_reload_reads_again() {
    let mut host = Host::started(&[("a.yaml", &pool("a"))], FOLLOWER).await;
    let mut watch = Watch::polling(&host.manifests);
    watch.reload();
    watch.put_off_polling();
    host.directory().watch = watch;
    host.write("a.yaml", &pool("b"));
    assert_eq!(host.next().await.len(), 2);
}

#[tokio::test]
async fn two_definitions_are_told_across_files() {
    let mut host = Host::new(&[("a.yaml", &pool("a")), ("b.yaml", &pool("a"))]);
    host.start(FOLLOWER);
    let first = host.next().await;
    assert_eq!(
        first[0],
        "rejections [b.yaml:1: IPAddressPool default/a: metadata.name: already defined at a.yaml:1, which is used]"
    );
}

#[tokio::test]
async fn an_object_hidden_by_another_document_is_read_again_when_that_goes() {
    let other = pool("a").replace("10.0.0.0", "10.9.9.0");
    let files = [("b.yaml", pool("a"))];
    let files: Vec<_> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
    let mut host = Host::started(&files, Role::Follower).await;
    host.write("a.yaml", &other);
    host.until("apply IPAddressPool a 10.9.9.0/24").await;
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    host.until("apply IPAddressPool a 10.0.0.0/24").await;
}

#[test]
fn an_object_whose_file_changed_meanwhile_is_not_believed_yet() {
    let host = Host::new(&[("b.yaml", &pool("a"))]);
    let mut files = Files::new(&host.manifests, false);
    let mut view = View::default();
    files.look(&Look::everything());
    let applied = |difference: &Difference| difference.applied.len();
    assert_eq!(applied(&view.update(&files, Absent::Deleted)), 1);
    let said = view.objects().next().unwrap().take_object();
    assert!(said.is_some());
    host.write("a.yaml", &pool("a").replace("10.0.0.0", "10.9.9.0"));
    files.look(&Look::everything());
    assert_eq!(applied(&view.update(&files, Absent::Deleted)), 1);
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    files.look(&Look::everything());
    // Half of it is there, and nobody has told yet.
    host.write("b.yaml", "apiVersion: metallb.io/v1beta1\nkind: IPAddr");
    let difference = view.update(&files, Absent::Deleted);
    assert!(view.lacking && applied(&difference) == 0 && difference.deleted.is_empty());
    let told = view.rejections.iter().map(ToString::to_string);
    let told: Vec<_> = told.filter(|r| r.contains("read again")).collect();
    assert!(told[0].contains("IPAddressPool default/a"), "{told:?}");
    host.write("b.yaml", &pool("a"));
    let difference = view.update(&files, Absent::Deleted);
    assert!(!view.lacking && applied(&difference) == 1, "{difference:?}");
    assert!(view.rejections.is_empty());
}

/// A file of so many objects is read once for all of them: once for each would take an hour.
#[test]
fn many_objects_hidden_together_are_read_again_together() {
    let all = |port: &str| -> String {
        let one = |n| service(&format!("s{n}")).replace("port: 80", &format!("port: {port}"));
        (0..2000).map(|n| one(n) + "---\n").collect()
    };
    let host = Host::new(&[("b.yaml", &all("80"))]);
    let mut files = Files::new(&host.manifests, false);
    let mut view = View::default();
    let mut said = |files: &mut Files| {
        files.look(&Look::everything());
        let difference = view.update(files, Absent::Deleted);
        for kept in view.objects() {
            kept.take_object();
        }
        difference.applied.len()
    };
    assert_eq!(said(&mut files), 2000);
    host.write("a.yaml", &all("81"));
    assert_eq!(said(&mut files), 2000);
    std::fs::remove_file(host.path("a.yaml")).unwrap();
    assert_eq!(said(&mut files), 2000);
}
