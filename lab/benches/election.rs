//! Election of 10,000 Services × 100 nodes: what a membership change costs a speaker at most
//! before it knows its new addresses.

use corten_engine::election::{Candidate, rank};
use corten_engine::names::NodeName;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

fn election(c: &mut Criterion) {
    let nodes: Vec<NodeName> = (0..100)
        .map(|n| format!("worker-{n:03}.example.net").into())
        .collect();
    let services: Vec<IpAddr> = (0..10_000)
        .map(|n| Ipv4Addr::from_bits(0x0a00_0000 + n).into())
        .collect();
    let mut group = c.benchmark_group("election");
    group.sample_size(10);
    group.bench_function("10000 services x 100 nodes", |b| {
        b.iter(|| {
            for &ip in &services {
                let candidates = nodes.iter().map(|node| Candidate { node, score: 0 });
                black_box(rank(ip, candidates));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, election);
criterion_main!(benches);
