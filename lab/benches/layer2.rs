//! What answers on layer 2 cost, and how long one slice of a big table keeps them waiting.
//!
//! `cargo bench -p corten-lab --bench layer2`

use corten_wire::l2::arp::Packet;
use corten_wire::l2::link::Speaks;
use corten_wire::l2::ndp::{Solicitation, solicited_node};
use corten_wire::l2::{Entry, Interfaces, L2, L2Options, Link, Links, Mac, Policy, Refresh, Table};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MANY: u32 = 10_000;
const CLIENT: Mac = Mac([2, 0, 0, 0, 1, 1]);

fn v4(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + n)
}

fn v6(n: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + u128::from(n))
}

/// As many addresses, half of each family.
fn table(count: u32, epoch: u64) -> Arc<Table> {
    let ips = (0..count.div_ceil(2)).flat_map(|n| [IpAddr::V4(v4(n)), IpAddr::V6(v6(n))]);
    let entry = Entry {
        epoch,
        interfaces: Interfaces::Any,
        conflict: Policy::Report,
        refresh: Refresh::Never,
        probe: false,
    };
    Arc::new(Table {
        entries: ips.map(|ip| (ip, entry.clone())).collect(),
        node: "bench".to_owned(),
        ..Table::default()
    })
}

fn links(count: u32) -> Links {
    let link = |index| Link {
        index,
        name: format!("eth{index}"),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        speaks: Speaks::Both(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        addresses: vec![(Ipv4Addr::new(10, 0, 255, 1).into(), 16)],
    };
    Links {
        usable: (1..=count).map(link).collect(),
        macs: BTreeSet::new(),
    }
}

fn drain(l2: &mut L2) {
    while let Some(output) = l2.poll_output() {
        black_box(output);
    }
}

/// Runs slices until nothing is due; the longest of them, and how many there were.
fn finish(l2: &mut L2, at: Instant) -> (Duration, u32) {
    let (mut longest, mut slices) = (Duration::ZERO, 0);
    while l2.poll_timeout().is_some_and(|due| due <= at) {
        let begin = Instant::now();
        l2.handle_timeout(at);
        longest = longest.max(begin.elapsed());
        slices += 1;
        drain(l2);
    }
    (longest, slices)
}

fn machine(count: u32, at: Instant) -> L2 {
    let mut l2 = L2::new(L2Options::default());
    l2.handle_links(links(1), at);
    l2.handle_table(table(count, 1), at);
    drain(&mut l2);
    finish(&mut l2, at);
    l2
}

fn answers(c: &mut Criterion) {
    let at = Instant::now();
    for count in [1, MANY] {
        // The highest of each family; with one address, the only one, of IPv4 and IPv6.
        let last = (count - 1) / 2;
        let mut l2 = machine(count.max(2), at);
        let arp = Packet::question(CLIENT, Ipv4Addr::new(10, 0, 255, 9), v4(last));
        let group = solicited_node(v6(last));
        let ndp = Solicitation {
            source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9),
            destination: group,
            target: v6(last),
            source_mac: Some(CLIENT),
        };
        let frames = [
            ("arp", arp.frame(Mac::BROADCAST)),
            ("ndp", ndp.frame(CLIENT, Mac::of_group(group))),
        ];
        for (name, frame) in frames {
            c.bench_function(&format!("answer/{name}/{count}"), |b| {
                b.iter(|| {
                    l2.handle_frame(1, black_box(&frame), at);
                    let answer = l2.poll_output();
                    assert!(answer.is_some(), "not answered");
                    answer
                });
            });
        }
    }
}

/// Times what `change` makes of a machine: all slices together, and says the longest.
fn slices(c: &mut Criterion, name: &str, from: &L2, change: impl Fn(&mut L2, Instant)) {
    let at = Instant::now();
    let mut longest: Vec<Duration> = Vec::new();
    let mut count = 0;
    c.bench_function(&format!("slices/{name}"), |b| {
        b.iter_batched(
            || from.clone(),
            |mut l2| {
                let begin = Instant::now();
                change(&mut l2, at);
                let first = begin.elapsed();
                drain(&mut l2);
                let (rest, slices) = finish(&mut l2, at);
                longest.push(first.max(rest));
                count = slices + 1;
                l2
            },
            BatchSize::LargeInput,
        );
    });
    longest.sort();
    if let (Some(median), Some(worst)) = (longest.get(longest.len() / 2), longest.last()) {
        println!(
            "slices/{name}: {count} slices, longest {median:?} (median run), {worst:?} (worst)"
        );
    }
}

fn changes(c: &mut Criterion) {
    let at = Instant::now();
    let empty = {
        let mut l2 = L2::new(L2Options::default());
        l2.handle_links(links(1), at);
        l2
    };
    let full = machine(MANY, at);
    let (first, second, none) = (table(MANY, 1), table(MANY, 2), table(0, 1));
    let mut one = Table::clone(&first);
    one.entries.pop_last();
    let one = Arc::new(one);
    let give = |table: &Arc<Table>| {
        let table = Arc::clone(table);
        move |l2: &mut L2, at| l2.handle_table(Arc::clone(&table), at)
    };
    slices(c, "gain of 10,000", &empty, give(&first));
    slices(c, "unchanged 10,000", &full, give(&first));
    slices(c, "one lost of 10,000", &full, give(&one));
    slices(c, "epoch raised on 10,000", &full, give(&second));
    slices(c, "loss of 10,000", &full, give(&none));
    slices(c, "second link for 10,000", &full, |l2, at| {
        l2.handle_links(links(2), at);
    });
    c.bench_function("dropping a table of 10,000", |b| {
        b.iter_batched(|| Table::clone(&first), drop, BatchSize::LargeInput);
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = answers, changes
}
criterion_main!(benches);
