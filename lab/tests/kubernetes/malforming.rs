//! Objects of every kind with anything in them, past definitions that let everything through and
//! without webhooks.

use crate::announcing::{Membership, Site};
use crate::enduring::open_definitions;
use crate::objects::{NAMESPACE, custom};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::{Client, Kind};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop};
use proptest::prop_oneof;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Number, Value, json};
use std::net::IpAddr;

pub(crate) const TRIALS: &[Trial] = &[(
    "whatever_is_in_objects_stops_nobody",
    whatever_is_in_objects_stops_nobody,
)];

/// Kind, version, and the fields there are (`spec/metallb.md` §1).
const KINDS: &[(&str, &str, &[&str])] = &[
    (
        "IPAddressPool",
        "v1beta1",
        &[
            "addresses",
            "autoAssign",
            "avoidBuggyIPs",
            "serviceAllocation",
        ],
    ),
    (
        "L2Advertisement",
        "v1beta1",
        &[
            "ipAddressPools",
            "ipAddressPoolSelectors",
            "nodeSelectors",
            "interfaces",
        ],
    ),
    (
        "BGPAdvertisement",
        "v1beta1",
        &[
            "aggregationLength",
            "aggregationLengthV6",
            "localPref",
            "communities",
            "ipAddressPools",
            "nodeSelectors",
            "peers",
        ],
    ),
    (
        "BGPPeer",
        "v1beta2",
        &[
            "myASN",
            "peerASN",
            "peerAddress",
            "peerPort",
            "sourceAddress",
            "holdTime",
            "keepaliveTime",
            "routerID",
            "nodeSelectors",
            "password",
            "passwordSecret",
            "bfdProfile",
            "ebgpMultiHop",
            "vrf",
        ],
    ),
    (
        "BFDProfile",
        "v1beta1",
        &[
            "receiveInterval",
            "transmitInterval",
            "detectMultiplier",
            "echoInterval",
            "echoMode",
            "passiveMode",
            "minimumTtl",
        ],
    ),
    ("Community", "v1beta1", &["communities"]),
];

/// Texts that are nearly something.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        "[0-9./:a-f-]{0,40}",
        Just("192.0.2.0/33".to_owned()),
        Just("203.0.113.9-203.0.113.1".to_owned()),
        Just("0s".to_owned()),
        Just("9999999999999999h".to_owned()),
        Just("65536:65536".to_owned()),
        Just("large:4294967296:0:0".to_owned()),
        Just("a".repeat(5000)),
    ]
    .prop_map(|text| text.replace('\0', ""))
    .boxed()
}

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(|n| Number::from_f64(n).map_or(Value::Null, Value::Number)),
        text().prop_map(Value::from),
        text().prop_map(|text| json!({"matchLabels": {"a": text}})),
        text().prop_map(|text| json!({"matchExpressions": [{"key": text, "operator": text}]})),
        text().prop_map(|text| json!({"name": text, "value": text})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
    .boxed()
}

/// A `spec` of a kind with these fields; now and then something else.
fn spec(fields: &'static [&'static str]) -> BoxedStrategy<Value> {
    let field = prop::sample::select(fields);
    let fields = prop::collection::btree_map(field, value(), 0..=fields.len());
    let object = fields.prop_map(|map| {
        let entries = map.into_iter().map(|(k, v)| (k.to_owned(), v));
        Value::from(entries.collect::<Map<_, _>>())
    });
    prop_oneof![9 => object, 1 => value()].boxed()
}

/// Random objects, the same for the same seed.
fn objects(seed: u8, count: usize) -> Result<Vec<Value>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut all = Vec::new();
    for (kind, version, fields) in KINDS {
        let strategy = spec(fields);
        for i in 0..count {
            let tree = strategy.new_tree(&mut runner);
            let spec = tree.map_err(|e| anyhow::anyhow!("{e}"))?.current();
            all.push(json!({
                "apiVersion": format!("metallb.io/{version}"), "kind": kind,
                "metadata": {"name": format!("any{i}"), "namespace": NAMESPACE},
                "spec": spec,
            }));
        }
    }
    Ok(all)
}

/// Puts them all there, instead of those of the same names; how many were taken.
fn put(client: &Client, seed: u8, count: usize) -> Result<usize> {
    for i in 0..count {
        for kind in [
            Kind::IPAddressPool,
            Kind::L2Advertisement,
            Kind::BGPAdvertisement,
            Kind::BGPPeer,
            Kind::BFDProfile,
            Kind::Community,
        ] {
            // Some stay and are refused now: they are there for longer.
            if (i + usize::from(seed)) % 3 != 0 {
                client.delete(kind, NAMESPACE, &format!("any{i}"))?;
            }
        }
    }
    client.create_what_is_taken(objects(seed, count)?)
}

fn whatever_is_in_objects_stops_nobody() -> Result<()> {
    const COUNT: usize = 3;
    let each = match std::env::var("CORTEN_FUZZED") {
        Ok(each) => each.parse().context("CORTEN_FUZZED")?,
        Err(_) => 25,
    };
    // Without membership who announces depends on the objects alone: only they can move anything.
    let mut site = Site::with_services(COUNT, Membership::Off)?;
    let assigned = site.wait_assigned(COUNT)?;
    let ips: Vec<IpAddr> = assigned.values().flatten().copied().collect();
    let owners = site.wait_owned(&ips)?;
    open_definitions(site.client())?;
    let mut taken = 0;
    for seed in 1..=2 {
        taken += put(site.client(), seed, each)?;
        // The healthy rest: a new pool counts, a new Service gets its address and is announced.
        let pool = format!("addresses: [198.51.100.{seed}/32], autoAssign: false");
        let name = format!("healthy{seed}");
        site.client()
            .apply(&custom("IPAddressPool", &name, &pool))?;
        let annotation = format!("metallb.io/address-pool: {name}");
        site.add_annotated(&name, &annotation)?;
        let ip: IpAddr = format!("198.51.100.{seed}").parse()?;
        let mut last = Vec::new();
        wait_until("an address of the new pool", crate::setup::DEADLINE, || {
            let service = site.client().get(Kind::Service, "default", &name)?;
            last = service
                .map(|s| crate::setup::addresses(&s))
                .unwrap_or_default();
            Ok((last == [ip.to_string()]).then_some(()))
        })
        .with_context(|| format!("{name} has {last:?}\n{}", site.story()))?;
        site.wait_owned(&[ip])?;
        let now = site.wait_owned(&ips)?;
        ensure!(now == owners, "{owners:?} moved: {now:?}\n{}", site.story());
    }
    println!("    {taken} objects");
    ensure!(taken > each * KINDS.len(), "hardly any was taken: {taken}");
    for (process, _) in site.components() {
        let log = process.log();
        let panicked = log.iter().find(|line| line.contains("panicked"));
        ensure!(panicked.is_none(), "{}: {panicked:?}", process.label());
    }
    Ok(())
}
