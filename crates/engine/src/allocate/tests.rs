//! Tables for allocation; the property tests against a model are in `tests/allocation.rs`.

use super::{Allocator, Claim, PoolCounters, Refusal, Request, SharingKey, Tenure, Wanted, list};
use crate::config::selector::{Requirement, Selector, Selectors};
use crate::config::{Entry, Filter, Pinning, Pool, PoolScope};
use crate::facts::{Labels, Port, Protocol};
use crate::flat::FlatSet;
use crate::ip::Family;
use crate::names::{PoolName, ServiceKey};
use std::collections::BTreeMap;
use std::net::IpAddr;

fn pool(name: &str, cidrs: &[&str]) -> Pool {
    let entries = cidrs.iter().map(|c| Entry {
        text: (*c).to_owned(),
        cidrs: vec![c.parse().unwrap()],
    });
    Pool {
        name: name.into(),
        labels: Labels::new(),
        entries: entries.collect(),
        auto_assign: true,
        avoid_buggy_ips: false,
        scope: PoolScope::Everyone,
    }
}

fn pinned(name: &str, cidrs: &[&str], priority: i64) -> Pool {
    Pool {
        scope: PoolScope::Pinned(Pinning {
            priority,
            namespaces: Filter::Any,
            services: Selectors::Everything,
        }),
        ..pool(name, cidrs)
    }
}

fn namespaced(mut pool: Pool, namespaces: &[&str]) -> Pool {
    let names = namespaces.iter().map(|n| (*n).to_owned()).collect();
    if let PoolScope::Pinned(p) = &mut pool.scope {
        p.namespaces = Filter::Only(names);
    }
    pool
}

fn buggy(pool: Pool) -> Pool {
    Pool {
        avoid_buggy_ips: true,
        ..pool
    }
}

fn allocator(pools: &[Pool]) -> Allocator {
    let mut a = Allocator::default();
    a.set_pools(&map(pools));
    a
}

fn map(pools: &[Pool]) -> BTreeMap<PoolName, Pool> {
    pools.iter().map(|p| (p.name.clone(), p.clone())).collect()
}

fn tcp(ports: &[u16]) -> FlatSet<Port> {
    let tcp = |port: &u16| Port {
        protocol: Protocol::Tcp,
        port: *port,
    };
    ports.iter().map(tcp).collect()
}

fn alone(ports: &[u16]) -> Claim {
    Claim {
        sharing: SharingKey::Exclusive,
        ports: tcp(ports),
    }
}

fn shared(key: &str, backend: &str, ports: &[u16]) -> Claim {
    Claim {
        sharing: SharingKey::Shared {
            key: key.into(),
            backend: backend.into(),
        },
        ports: tcp(ports),
    }
}

fn ips(text: &[&str]) -> Vec<IpAddr> {
    text.iter().map(|t| t.parse().unwrap()).collect()
}

const V4: Wanted = Wanted::Single(Family::V4);
const V6: Wanted = Wanted::Single(Family::V6);

/// One step: a Service asks for addresses, or for any.
struct Step<'a> {
    service: &'a str,
    claim: Claim,
    wanted: Wanted,
    ask: Ask<'a>,
    want: Result<&'a [&'a str], &'a str>,
}

enum Ask<'a> {
    These(&'a [&'a str]),
    Any,
    From(&'a str),
}

fn step<'a>(
    service: &'a str,
    claim: Claim,
    wanted: Wanted,
    ask: Ask<'a>,
    want: Result<&'a [&'a str], &'a str>,
) -> Step<'a> {
    Step {
        service,
        claim,
        wanted,
        ask,
        want,
    }
}

fn take(
    a: &mut Allocator,
    key: &ServiceKey,
    labels: &Labels,
    s: &Step<'_>,
) -> Result<Vec<IpAddr>, Refusal> {
    let request = Request {
        service: key,
        labels,
        claim: &s.claim,
        wanted: s.wanted,
    };
    let addresses = match s.ask {
        Ask::These(addresses) => ips(addresses),
        Ask::Any => a.choose(request)?.1,
        Ask::From(pool) => a.choose_from(request, &pool.into())?.1,
    };
    a.assign(request, &addresses, Tenure::New)?;
    Ok(addresses)
}

fn check(name: &str, pools: &[Pool], steps: &[Step<'_>]) {
    let mut a = allocator(pools);
    for (i, s) in steps.iter().enumerate() {
        let (namespace, name_) = s.service.split_once('/').unwrap_or(("ns", s.service));
        let key = ServiceKey::new(namespace, name_);
        let labels = Labels::from([("app".to_owned(), name_.to_owned())]);
        let before = a.get(&key).cloned();
        let got = take(&mut a, &key, &labels, s);
        let want = s.want.map(ips).map_err(str::to_owned);
        if want.is_err() {
            assert_eq!(a.get(&key), before.as_ref(), "{name}, step {i}: unchanged");
        }
        assert_eq!(got.map_err(|e| e.to_string()), want, "{name}, step {i}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of steps")]
fn addresses_asked_for() {
    use Ask::These;
    check(
        "sharing",
        &[
            pool("a", &["1.2.3.0/28", "fd00::/124"]),
            pool("b", &["1.2.4.0/30"]),
        ],
        &[
            step(
                "s1",
                alone(&[80]),
                V4,
                These(&["1.2.3.4"]),
                Ok(&["1.2.3.4"]),
            ),
            // again, and elsewhere
            step(
                "s1",
                alone(&[80]),
                V4,
                These(&["1.2.3.4"]),
                Ok(&["1.2.3.4"]),
            ),
            step(
                "s1",
                alone(&[80]),
                V4,
                These(&["1.2.4.1"]),
                Ok(&["1.2.4.1"]),
            ),
            step(
                "s2",
                alone(&[81]),
                V4,
                These(&["1.2.3.4"]),
                Ok(&["1.2.3.4"]),
            ),
            // without key, nobody joins
            step(
                "s3",
                alone(&[82]),
                V4,
                These(&["1.2.3.4"]),
                Err("can't change sharing key for ns/s3, address also in use by ns/s2"),
            ),
            step(
                "s3",
                shared("k", "", &[82]),
                V4,
                These(&["1.2.3.4"]),
                Err("can't change sharing key for ns/s3, address also in use by ns/s2"),
            ),
            // a sole owner changes its key in place
            step(
                "s2",
                shared("k", "", &[81]),
                V4,
                These(&["1.2.3.4"]),
                Ok(&["1.2.3.4"]),
            ),
            step(
                "s3",
                shared("k", "", &[82]),
                V4,
                These(&["1.2.3.4"]),
                Ok(&["1.2.3.4"]),
            ),
            step(
                "s2",
                shared("other", "", &[81]),
                V4,
                These(&["1.2.3.4"]),
                Err("can't change sharing key for ns/s2, address also in use by ns/s3"),
            ),
            step(
                "s4",
                shared("k", "", &[82, 83]),
                V4,
                These(&["1.2.3.4"]),
                Err("port TCP/82 is already in use on 1.2.3.4"),
            ),
            step(
                "s4",
                shared("k", "app=x", &[84]),
                V4,
                These(&["1.2.3.4"]),
                Err("can't change sharing key for ns/s4, address also in use by ns/s2,ns/s3"),
            ),
            // its own port is no obstacle
            step(
                "s3",
                shared("k", "", &[82, 90]),
                V4,
                These(&["1.2.3.4"]),
                Ok(&["1.2.3.4"]),
            ),
            // both families, one pool
            step(
                "s5",
                alone(&[80]),
                Wanted::Both,
                These(&["fd00::1", "1.2.3.9"]),
                Ok(&["fd00::1", "1.2.3.9"]),
            ),
            step(
                "s6",
                alone(&[80]),
                Wanted::Both,
                These(&["fd00::2", "1.2.4.2"]),
                Err(r#"["fd00::2" "1.2.4.2"] is not allowed in config"#),
            ),
            step(
                "s6",
                alone(&[80]),
                V4,
                These(&["9.9.9.9"]),
                Err(r#"["9.9.9.9"] is not allowed in config"#),
            ),
            step(
                "s6",
                alone(&[80]),
                V4,
                These(&["1.2.3.16"]),
                Err(r#"["1.2.3.16"] is not allowed in config"#),
            ),
        ],
    );
}

#[test]
fn lowest_free_or_shareable() {
    use Ask::{Any, From};
    let k = |ports: &[u16]| shared("k", "", ports);
    check(
        "order",
        &[
            pool("a", &["10.0.0.2/31", "10.0.0.0/31"]),
            pool("b", &["10.1.0.0/31"]),
        ],
        &[
            step("s1", alone(&[80]), V4, Any, Ok(&["10.0.0.2"])),
            step("s2", k(&[80]), V4, Any, Ok(&["10.0.0.3"])),
            step("s3", k(&[81]), V4, Any, Ok(&["10.0.0.3"])),
            step("s4", k(&[80]), V4, Any, Ok(&["10.0.0.0"])),
            step("s5", k(&[81]), V4, Any, Ok(&["10.0.0.0"])),
            step("s6", alone(&[81]), V4, Any, Ok(&["10.0.0.1"])),
            step("s7", k(&[82]), V4, From("a"), Ok(&["10.0.0.3"])),
            step(
                "s8",
                alone(&[1]),
                V4,
                From("a"),
                Err("no available IPv4 addresses in pool a"),
            ),
            step("s8", alone(&[1]), V4, Any, Ok(&["10.1.0.0"])),
            step("s9", alone(&[1]), V4, Any, Ok(&["10.1.0.1"])),
            step("s10", alone(&[1]), V4, Any, Err("no available IPs")),
            step("s11", alone(&[1]), V6, Any, Err("no available IPs")),
            step(
                "s11",
                alone(&[1]),
                V6,
                From("b"),
                Err("pool b has no IPv6 addresses"),
            ),
            step("s11", alone(&[1]), V6, From("c"), Err("unknown pool c")),
        ],
    );
}

#[test]
fn families() {
    use Ask::Any;
    let pools = [
        pool("a", &["10.0.0.0/31"]),
        pool("b", &["fd00::/127"]),
        pool("c", &["fd01::/128", "10.1.0.0/31"]),
    ];
    check(
        "both",
        &pools,
        &[
            step(
                "s1",
                alone(&[80]),
                Wanted::Both,
                Any,
                Ok(&["10.1.0.0", "fd01::"]),
            ),
            step(
                "s2",
                alone(&[80]),
                Wanted::Both,
                Any,
                Err("no available IPs"),
            ),
            step(
                "s3",
                alone(&[80]),
                Wanted::BothOr(Family::V4),
                Any,
                Ok(&["10.0.0.0"]),
            ),
            step(
                "s4",
                alone(&[80]),
                Wanted::BothOr(Family::V6),
                Any,
                Ok(&["fd00::"]),
            ),
            step("s5", alone(&[80]), V6, Any, Ok(&["fd00::1"])),
            step(
                "s6",
                alone(&[80]),
                Wanted::BothOr(Family::V6),
                Any,
                Ok(&["10.0.0.1"]),
            ),
            step(
                "s7",
                alone(&[80]),
                Wanted::BothOr(Family::V4),
                Ask::From("c"),
                Ok(&["10.1.0.1"]),
            ),
            step(
                "s8",
                alone(&[80]),
                Wanted::BothOr(Family::V6),
                Ask::From("a"),
                Err("pool a has no IPv6 addresses"),
            ),
        ],
    );
}

#[test]
fn pinned_pools_go_first() {
    use Ask::{Any, From};
    let never = Pool {
        auto_assign: false,
        ..pool("aa-manual", &["10.9.0.0/32"])
    };
    let mut selected = pinned("selected", &["10.5.0.0/32"], 1);
    if let PoolScope::Pinned(p) = &mut selected.scope {
        p.services = Selectors::AnyOf(vec![Selector {
            requirements: vec![Requirement::In("app".into(), ["gold".into()].into())],
        }]);
    }
    let pools = [
        never,
        pool("plain", &["10.0.0.0/32"]),
        pinned("last", &["10.1.0.0/32"], 0),
        pinned("low", &["10.2.0.0/32"], 20),
        pinned("high", &["10.3.0.0/32"], 10),
        namespaced(pinned("elsewhere", &["10.4.0.0/32"], 1), &["other"]),
        namespaced(pinned("nowhere", &["10.6.0.0/32"], 1), &[]),
        selected,
    ];
    let one = |name, want| step(name, alone(&[80]), V4, Any, want);
    check(
        "priority",
        &pools,
        &[
            one("s1", Ok(&["10.3.0.0"])),
            one("gold", Ok(&["10.5.0.0"])),
            one("other/s1", Ok(&["10.4.0.0"])),
            one("s2", Ok(&["10.2.0.0"])),
            one("s3", Ok(&["10.1.0.0"])),
            one("s4", Ok(&["10.0.0.0"])),
            one("s5", Err("no available IPs")),
            step("s5", alone(&[80]), V4, From("aa-manual"), Ok(&["10.9.0.0"])),
            step(
                "s6",
                alone(&[80]),
                V4,
                From("elsewhere"),
                Err("pool elsewhere is not for this service"),
            ),
            step(
                "s6",
                alone(&[80]),
                V4,
                Ask::These(&["10.4.0.0"]),
                Err("pool elsewhere is not for this service"),
            ),
            step(
                "s6",
                alone(&[80]),
                V4,
                From("nowhere"),
                Err("pool nowhere is not for this service"),
            ),
        ],
    );
}

#[test]
fn buggy_addresses() {
    use Ask::{Any, These};
    let pools = [buggy(pool(
        "a",
        &["1.2.3.0/31", "1.2.3.254/31", "1.2.4.0/32", "fd00::/127"],
    ))];
    check(
        "avoided",
        &pools,
        &[
            step("s1", alone(&[80]), V4, Any, Ok(&["1.2.3.1"])),
            step("s2", alone(&[80]), V4, Any, Ok(&["1.2.3.254"])),
            step("s3", alone(&[80]), V4, Any, Err("no available IPs")),
            step(
                "s3",
                alone(&[80]),
                V4,
                These(&["1.2.3.0"]),
                Err("1.2.3.0 ends in .0 or .255, which pool a avoids"),
            ),
            step(
                "s3",
                alone(&[80]),
                V4,
                These(&["1.2.3.255"]),
                Err("1.2.3.255 ends in .0 or .255, which pool a avoids"),
            ),
            step("s3", alone(&[80]), V6, Any, Ok(&["fd00::"])),
        ],
    );
}

#[test]
fn sizes_and_first_addresses() {
    let max = i64::MAX;
    type Row<'a> = (&'a [&'a str], bool, (i64, i64, i64), &'a str);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (&["1.2.3.0/24"],                false, (256, 256, 0),          "1.2.3.0"),
        (&["1.2.3.0/24"],                true,  (254, 254, 0),          "1.2.3.1"),
        (&["10.0.0.0/23"],               false, (512, 512, 0),          "10.0.0.0"),
        (&["10.0.0.0/23"],               true,  (508, 508, 0),          "10.0.0.1"),
        (&["1.2.3.0/25"],                true,  (127, 127, 0),          "1.2.3.1"),
        (&["1.2.3.128/25"],              true,  (127, 127, 0),          "1.2.3.128"),
        (&["1.2.3.64/26"],               true,  (64, 64, 0),            "1.2.3.64"),
        (&["0.0.0.0/0"],                 true,  (254 << 24, 254 << 24, 0), "0.0.0.1"),
        (&["0.0.0.0/0"],                 false, (1 << 32, 1 << 32, 0),  "0.0.0.0"),
        (&["fc00::/120"],                true,  (256, 0, 256),          "fc00::"),
        (&["fd00::/67"],                 false, (1 << 61, 0, 1 << 61),  "fd00::"),
        (&["fd00::/66"],                 false, (max, 0, max),          "fd00::"),
        (&["::/0"],                      false, (max, 0, max),          "::"),
        (&["fd00::/64", "1.2.3.0/24"],   false, (max, 256, max),        "1.2.3.0"),
        (&["1.2.3.0/24", "fd00::/64"],   false, (max, 256, max),        "1.2.3.0"),
        (&["fd00::/64", "fd01::/64"],    false, (max, 0, max),          "fd00::"),
    ];
    for (cidrs, avoid, (total, v4, v6), first) in rows {
        let p = Pool {
            avoid_buggy_ips: *avoid,
            ..pool("p", cidrs)
        };
        let a = allocator(&[p]);
        let counters = a.counters()[&PoolName::from("p")];
        let got = (
            counters.both().total,
            counters.ipv4.total,
            counters.ipv6.total,
        );
        assert_eq!(got, (*total, *v4, *v6), "{cidrs:?} {avoid}");
        let first: IpAddr = first.parse().unwrap();
        let (key, labels, claim) = (ServiceKey::new("n", "s"), Labels::new(), alone(&[80]));
        let request = Request {
            service: &key,
            labels: &labels,
            claim: &claim,
            wanted: Wanted::Single(Family::of(first)),
        };
        assert_eq!(
            a.choose(request),
            Ok(("p".into(), vec![first])),
            "{cidrs:?}"
        );
    }
}

#[test]
fn nearly_full_without_counting_up() {
    for (cidr, avoid) in [
        ("10.0.0.0/8", false),
        ("10.0.0.0/8", true),
        ("fd00::/64", false),
    ] {
        let p = Pool {
            avoid_buggy_ips: avoid,
            ..pool("p", &[cidr])
        };
        let last: IpAddr = match (cidr, avoid) {
            ("fd00::/64", _) => "fd00::ffff:ffff:ffff:ffff".parse().unwrap(),
            (_, true) => "10.255.255.254".parse().unwrap(),
            (_, false) => "10.255.255.255".parse().unwrap(),
        };
        let mut a = allocator(&[p]);
        a.leave_free(&[last]);
        let (key, labels, claim) = (ServiceKey::new("n", "s"), Labels::new(), alone(&[80]));
        let request = Request {
            service: &key,
            labels: &labels,
            claim: &claim,
            wanted: Wanted::Single(Family::of(last)),
        };
        assert_eq!(a.choose(request).unwrap().1, [last], "{cidr}");
        a.assign(request, &[last], Tenure::New).unwrap();
        let other = ServiceKey::new("n", "t");
        let request = Request {
            service: &other,
            ..request
        };
        assert_eq!(a.choose(request), Err(Refusal::NothingAvailable), "{cidr}");
    }
}

#[test]
fn reserved_is_nobody_elses() {
    let (labels, claim) = (Labels::new(), shared("k", "", &[80]));
    let mut a = allocator(&[pool("p", &["10.0.0.0/30"])]);
    let hidden = ServiceKey::new("n", "hidden");
    a.set_reserved(&[(hidden.clone(), ips(&["10.0.0.0"]))].into());
    let key = ServiceKey::new("n", "s");
    let request = Request {
        service: &key,
        labels: &labels,
        claim: &claim,
        wanted: V4,
    };
    assert_eq!(a.counters()[&"p".into()].ipv4.in_use, 1);
    assert_eq!(a.choose(request).unwrap().1, ips(&["10.0.0.1"]));
    let refused = a.assign(request, &ips(&["10.0.0.0"]), Tenure::New);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "10.0.0.0 is on record for n/hidden"
    );
    // A Service that has it in its status keeps it; the one on record takes it up again.
    a.assign(request, &ips(&["10.0.0.0"]), Tenure::Held)
        .unwrap();
    let other = shared("k", "", &[81]);
    let back = Request {
        service: &hidden,
        claim: &other,
        ..request
    };
    a.assign(back, &ips(&["10.0.0.0"]), Tenure::New).unwrap();
    a.set_reserved(&BTreeMap::new());
    assert_eq!(a.counters()[&"p".into()].ipv4.in_use, 1);
    a.release(&key);
    a.release(&hidden);
    assert_eq!(a.counters()[&"p".into()].ipv4.in_use, 0);
}

#[test]
fn pools_change_under_allocations() {
    let (labels, claim) = (Labels::new(), alone(&[80]));
    let key = ServiceKey::new("n", "s");
    let request = Request {
        service: &key,
        labels: &labels,
        claim: &claim,
        wanted: Wanted::Both,
    };
    let kept = |name: &str| super::Home::Kept(Some(name.into()));
    let in_pool = |name: &str| super::Home::Pool(name.into());
    #[rustfmt::skip]
    let rows: &[(&str, &[Pool], super::Home, i64)] = &[
        ("expanded",    &[pool("a", &["10.0.0.0/23", "fd00::/120"])], in_pool("a"), 1),
        ("shrunk",      &[pool("a", &["10.0.0.0/31", "fd00::/120"])], in_pool("a"), 1),
        ("shrunk past", &[pool("a", &["10.0.0.2/31", "fd00::/120"])], kept("a"), 0),
        ("renamed",     &[pool("b", &["10.0.0.0/24", "fd00::/120"])], in_pool("b"), 1),
        ("split",       &[pool("a", &["10.0.0.0/24"]), pool("b", &["fd00::/120"])], kept("a"), 1),
        ("gone",        &[], kept("a"), 0),
        ("avoided",     &[buggy(pool("a", &["10.0.0.0/24", "fd00::/120"]))], in_pool("a"), 0),
    ];
    for (name, pools, home, in_use) in rows {
        let mut a = allocator(&[pool("a", &["10.0.0.0/24", "fd00::/120"])]);
        let addresses = a.choose(request).unwrap().1;
        a.assign(request, &addresses, Tenure::New).unwrap();
        a.set_pools(&map(pools));
        assert_eq!(a.get(&key).unwrap().home, *home, "{name}");
        let v4 = a.counters().values().map(|c| c.ipv4.in_use).sum::<i64>();
        assert_eq!(v4, *in_use, "{name}");
        a.release(&key);
        let empty = a.counters().values().all(|c| c.both().in_use == 0);
        assert!(empty, "{name}: everything given back");
    }
}

#[test]
fn counters_as_status() {
    let mut counters = PoolCounters::default();
    counters.ipv4.total = 4;
    counters.ipv4.in_use = 1;
    counters.ipv6.total = i64::MAX;
    counters.ipv6.in_use = 2;
    let status = counters.status();
    assert_eq!(
        (
            status.assigned_ipv4,
            status.available_ipv4,
            status.assigned_ipv6,
            status.available_ipv6
        ),
        (1, 3, 2, i64::MAX - 2)
    );
    assert_eq!(counters.both().total, i64::MAX);
}

#[test]
fn lists_are_quoted() {
    assert_eq!(list(&ips(&["1.2.3.4"])), r#"["1.2.3.4"]"#);
    assert_eq!(
        list(&ips(&["1.2.3.4", "fc00::1"])),
        r#"["1.2.3.4" "fc00::1"]"#
    );
}
