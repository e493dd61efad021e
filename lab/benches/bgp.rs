//! What BGP costs: messages read and written, a full table to one peer, one change of it to many.
//!
//! `cargo bench -p corten-lab --bench bgp`

use corten_wire::bgp::{
    ConnectionId, Endpoints, Framer, MAX_LEN, Message, Open, Output, Path, PeerOptions, Prefix,
    Routes, Speaker, UpdateContext,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONTEXT: UpdateContext = UpdateContext {
    four_octet_as: true,
    external: true,
    extended_next_hop: false,
};

/// Host routes of a few different paths.
fn routes(count: u32) -> Arc<Routes> {
    let paths: Vec<_> = (0..4)
        .map(|med| {
            Arc::new(Path {
                med: Some(med),
                ..Path::default()
            })
        })
        .collect();
    let host = |n: u32| {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + n);
        Prefix::new(address.into(), 32)
    };
    let prefixes = (0..count).filter_map(host);
    Arc::new(
        prefixes
            .zip(paths.iter().cycle())
            .map(|(prefix, path)| (prefix, Arc::clone(path)))
            .collect(),
    )
}

fn tables(speaker: &Speaker, routes: &Arc<Routes>) -> BTreeMap<Arc<str>, Arc<Routes>> {
    let names = speaker.peers().map(|(name, _)| Arc::clone(name));
    names.map(|name| (name, Arc::clone(routes))).collect()
}

/// Everything there is to do, all of it taken at once; the octets sent.
fn drain(speaker: &mut Speaker, now: Instant) -> Vec<u8> {
    let mut sent = Vec::new();
    while let Some((name, output)) = speaker.poll_output() {
        if let Output::Send { connection, bytes } = output {
            if let Some(peer) = speaker.peer_mut(&name) {
                peer.handle_sent(connection, bytes.len(), now);
            }
            sent.extend_from_slice(&bytes);
        }
    }
    sent
}

/// A speaker with sessions to so many peers, and empty tables.
fn speaker(peers: u32, now: Instant) -> Speaker {
    let mut speaker = Speaker::new(1);
    let options = PeerOptions {
        asn: 64512,
        identifier: Ipv4Addr::new(10, 255, 0, 1),
        ..PeerOptions::default()
    };
    let names = (0..peers).map(|n| (Arc::from(format!("peer-{n}")), options.clone()));
    speaker.handle_peers(&names.collect(), now);
    let empty = tables(&speaker, &Arc::default());
    speaker.handle_tables(&empty, now);
    let mut dials: Vec<(Arc<str>, ConnectionId)> = Vec::new();
    while let Some((name, output)) = speaker.poll_output() {
        if let Output::Connect { connection } = output {
            dials.push((name, connection));
        }
    }
    let ends = Endpoints {
        local: (Ipv4Addr::new(10, 255, 0, 1), 40_000).into(),
        peer: (Ipv4Addr::new(10, 255, 0, 2), 179).into(),
        ipv4: None,
        ipv6: None,
        link_local: None,
    };
    let open = Open::new(64513, 90, Ipv4Addr::new(10, 255, 0, 2), Vec::new());
    for message in [Message::Open(open), Message::Keepalive] {
        let bytes = message.encode(true, MAX_LEN).unwrap_or_default();
        for (name, id) in &dials {
            if let Some(peer) = speaker.peer_mut(name) {
                peer.handle_connected(*id, ends, now);
                peer.handle_bytes(*id, &bytes, now);
            }
        }
    }
    drain(&mut speaker, now);
    assert!(speaker.peers().all(|(_, peer)| peer.session().is_some()));
    speaker
}

fn codec(c: &mut Criterion) {
    let now = Instant::now();
    let mut one = speaker(1, now);
    let mut group = c.benchmark_group("codec");
    for count in [1, 10_000] {
        let table = tables(&one, &routes(count));
        one.handle_tables(&table, now);
        let stream = drain(&mut one, now);
        group.throughput(Throughput::Bytes(
            stream.len().try_into().unwrap_or_default(),
        ));
        group.bench_function(format!("read {count} prefixes"), |b| {
            b.iter(|| {
                let mut framer = Framer::default();
                framer.push(&stream);
                let mut prefixes = 0;
                while let Ok(Some(frame)) = framer.next_frame() {
                    prefixes += usize::from(black_box(frame.decode(&CONTEXT)).is_ok());
                }
                assert!(prefixes > 0);
            });
        });
    }
    group.finish();
}

fn table(c: &mut Criterion) {
    let now = Instant::now();
    for peers in [1, 4, 64] {
        let empty = speaker(peers, now);
        for count in [2_001, 10_000] {
            let full = tables(&empty, &routes(count));
            c.bench_function(&format!("full table of {count} to {peers} peers"), |b| {
                b.iter_batched_ref(
                    || empty.clone(),
                    |speaker| {
                        speaker.handle_tables(&full, now);
                        drain(speaker, now)
                    },
                    BatchSize::LargeInput,
                );
            });
        }
        let full = routes(10_000);
        let mut fewer = Routes::clone(&full);
        fewer.pop_first();
        let (full, fewer) = (tables(&empty, &full), tables(&empty, &Arc::new(fewer)));
        let mut speaker = empty.clone();
        speaker.handle_tables(&full, now);
        drain(&mut speaker, now);
        let mut turn = false;
        c.bench_function(&format!("one change of 10000 to {peers} peers"), |b| {
            b.iter(|| {
                turn = !turn;
                speaker.handle_tables(if turn { &fewer } else { &full }, now);
                let sent = drain(&mut speaker, now);
                assert!(!sent.is_empty());
                sent
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = codec, table
}
criterion_main!(benches);
