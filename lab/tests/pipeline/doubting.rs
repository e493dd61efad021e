//! Unknown is not gone: broken, vanished and unlisted parts clear and move nothing.

use super::site::Site;
use super::text::{l2, pool, port, service};
use corten_engine::membership::Membership;

const GARBAGE: &str = "{{{ this: [is no YAML\n";
/// The name is there, the rest isn't.
const TORN: &str = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: p1}\nspec:\n  addresses: [300.0.0.0/24]\n";
const SERVICE_BAD_FIELD: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  type: LoadBalancer\n  ports: [{port: 99999}]\n";
const SERVICE_BAD_TYPE: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  type: [LoadBalancer]\n";

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("pool-1.yaml", pool("p1", &["10.0.0.0/30"])),
        ("pool-2.yaml", pool("p2", &["10.0.1.0/30"])),
        ("l2.yaml", l2("all", "")),
        ("svc-a.yaml", service("a", "", &port(80))),
        ("svc-b.yaml", service("b", "", &port(80))),
        (
            "svc-c.yaml",
            service("c", "metallb.io/address-pool: p2", &port(80)),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn with_membership_off_every_address_has_one_announcer() {
    let site = Site::new(&files()).await;
    site.announced_once(&["a", "b", "c"]);
    // The same site with nobody alive: off and empty are not the same.
    let site = Site::with(Membership::Members([].into()), &files()).await;
    for ips in site.ledger().values() {
        assert_eq!(site.announcers(ips[0]), Vec::<&str>::new());
    }
}

/// Writes a broken file over a good one, first while everything runs, then from the start on.
async fn broken(file: &str, text: &str, ads: &str, services: &[&str]) {
    let mut files = files();
    files.push(("l2.yaml", l2("all", ads)));
    let mut site = Site::new(&files).await;
    let before = site.ledger();
    assert_eq!(before.len(), 3);
    let said = format!("{file} {text:?} {ads}");
    site.edit(file, text).await;
    assert_eq!(site.ledger(), before, "{said}: while running");
    site.announced_once(services);
    site.restart().await;
    assert_eq!(site.ledger(), before, "{said}: after a restart");
    site.announced_once(services);
    // Newcomers get nothing that is on record, and all there is besides.
    for n in 0..8 {
        let name = format!("new-{n}");
        site.write(&format!("svc-{name}.yaml"), &service(&name, "", &port(80)));
    }
    site.settle().await;
    let mut ledger = site.ledger();
    let mut addresses: Vec<_> = ledger.values().flatten().copied().collect();
    let all = addresses.len();
    addresses.sort();
    addresses.dedup();
    assert_eq!(
        addresses.len(),
        all,
        "{said}: an address was given twice: {ledger:?}"
    );
    ledger.retain(|name, _| before.contains_key(name));
    assert_eq!(ledger, before, "{said}: after newcomers");
    // Repaired, nothing has moved.
    let good = files.iter().rfind(|(name, _)| *name == file).unwrap();
    site.edit(file, &good.1).await;
    let mut ledger = site.ledger();
    ledger.retain(|name, _| before.contains_key(name));
    assert_eq!(ledger, before, "{said}: once repaired");
    site.announced_once(&["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_pool_clears_and_moves_nothing() {
    for text in [TORN, GARBAGE, &pool("p1", &["nonsense"])] {
        for ads in ["", "ipAddressPools: [p1, p2]"] {
            broken("pool-1.yaml", text, ads, &["a", "b", "c"]).await;
        }
    }
    let by_label = "ipAddressPoolSelectors: [{matchLabels: {pool: p1}}, {matchLabels: {pool: p2}}]";
    broken(
        "pool-1.yaml",
        &pool("p1", &["nonsense"]),
        by_label,
        &["a", "b", "c"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_out_of_sight_may_have_any_label() {
    let by_label = "ipAddressPoolSelectors: [{matchLabels: {pool: p1}}, {matchLabels: {pool: p2}}]";
    let mistyped = pool("p1", &[]).replace("[]", "5");
    for text in [&mistyped, GARBAGE] {
        broken("pool-1.yaml", text, by_label, &["a", "b", "c"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_service_keeps_its_addresses() {
    for text in [SERVICE_BAD_FIELD, SERVICE_BAD_TYPE, GARBAGE] {
        broken("svc-a.yaml", text, "", &["b", "c"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_vanished_directory_keeps_everything() {
    let mut site = Site::new(&files()).await;
    let before = site.ledger();
    let aside = site.manifests.with_extension("aside");
    std::fs::rename(&site.manifests, &aside).unwrap();
    site.settle().await;
    assert_eq!(site.ledger(), before);
    site.announced_once(&["a", "b", "c"]);
    std::fs::rename(&aside, &site.manifests).unwrap();
    site.settle().await;
    assert_eq!(site.ledger(), before);
    site.announced_once(&["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_really_gone_is_given_up() {
    let mut site = Site::new(&files()).await;
    site.delete("svc-a.yaml").await;
    assert_eq!(site.addresses("a"), "");
    assert!(site.announcers("10.0.0.0".parse().unwrap()).is_empty());
    site.delete("pool-2.yaml").await;
    assert_eq!(site.addresses("c"), "");
    assert!(site.announcers("10.0.1.0".parse().unwrap()).is_empty());
    assert_eq!(site.addresses("b"), "10.0.0.1");
    site.announced_once(&["b"]);
}
