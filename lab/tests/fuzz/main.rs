//! Decoders and machines get packets that are almost right (see `fuzz/README.md`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod mutate;

use corten_wire::bfd;
use corten_wire::bgp::{self, Framer, Output, Peer, PeerAsn, PeerOptions, Recorded, UpdateContext};
use corten_wire::gossip::{Envelope, Label, Message, Security};
use corten_wire::l2::ethernet::{Frame, Payload};
use corten_wire::l2::{arp, ndp};
use mutate::Mutator;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Packets made of the corpus of a protocol where no time is given.
const PACKETS: u64 = 20_000;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let text = std::fs::read_to_string(root.join(format!("{name}.hex"))).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    lines
        .map(|line| line.as_bytes().chunks(2).map(octet).collect())
        .collect()
}

/// Gives `target` the corpus, each packet of which has to be taken, and what becomes of it.
fn fuzz(name: &str, target: impl Fn(&[u8]) -> bool) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty());
    for packet in &corpus {
        assert!(target(packet), "not taken: {packet:02x?}");
    }
    let seconds = std::env::var("CORTEN_FUZZ").ok();
    let until = seconds.map(|text| Instant::now() + Duration::from_secs(text.parse().unwrap()));
    let mut mutator = Mutator::new(7);
    let (mut count, mut taken) = (0_u64, 0_u64);
    while until.map_or(count < PACKETS, |until| Instant::now() < until) {
        let packet = mutator.next(&corpus);
        match catch_unwind(AssertUnwindSafe(|| target(&packet))) {
            Ok(is_taken) => taken += u64::from(is_taken),
            Err(_) => panic!("{name}: packet {count} made it fail: {packet:02x?}"),
        }
        count += 1;
    }
    // Some are still right and some aren't, or the changes are of no use.
    assert!(
        0 < taken && taken < count,
        "{name}: {taken} of {count} taken"
    );
    println!("{name}: {count} packets, {taken} taken");
}

#[test]
fn arp_is_total() {
    fuzz("arp", |bytes| match Frame::parse(bytes) {
        Ok(Frame {
            payload: Payload::Arp(packet),
            ..
        }) => arp::Packet::parse(packet).is_ok(),
        Ok(_) | Err(_) => false,
    });
}

#[test]
fn ndp_is_total() {
    let target: fn(&[u8]) -> bool = |bytes| match Frame::parse(bytes) {
        Ok(Frame {
            payload: Payload::Ipv6(packet),
            ..
        }) => ndp::Message::parse(packet).is_ok(),
        Ok(_) | Err(_) => false,
    };
    // Few get past the checksum as they are.
    fuzz("ndp", |bytes| target(bytes) | target(&with_checksum(bytes)));
}

/// A frame whose ICMPv6 checksum is right (RFC 4443 §2.3), if it is long enough to have one.
fn with_checksum(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let Some((_, ipv6)) = frame.split_at_mut_checked(14) else {
        return frame;
    };
    let length = usize::from(u16::from_be_bytes(
        *ipv6
            .get(4..)
            .and_then(<[u8]>::first_chunk)
            .unwrap_or(&[0; 2]),
    ));
    let (addresses, message) = match ipv6.split_at_mut_checked(40) {
        Some((header, rest)) if rest.len() >= length.max(4) => (&header[8..], &mut rest[..length]),
        Some(_) | None => return frame,
    };
    if message.len() < 4 {
        return frame;
    }
    message[2..4].fill(0);
    let sum = |octets: &[u8]| -> usize {
        let words = octets.chunks(2);
        words
            .map(|w| usize::from(w[0]) << 8 | usize::from(*w.get(1).unwrap_or(&0)))
            .sum()
    };
    let mut sum = sum(addresses) + sum(message) + length + 58;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).unwrap();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    frame
}

#[test]
fn echoes_are_total() {
    fuzz("echo", |bytes| bfd::echo::decode(bytes).is_some());
}

#[test]
fn bfd_is_total_and_reads_what_it_writes() {
    fuzz("bfd", |bytes| {
        let interval = Duration::from_millis(50);
        let mut now = Instant::now();
        let options = bfd::Options {
            discriminator: NonZeroU32::MIN.saturating_add(6),
            timers: bfd::Timers {
                desired_min_tx: interval,
                required_min_rx: interval,
                detect_multiplier: 3,
            },
            role: bfd::Role::Active,
            path: bfd::Path::SingleHop,
            echo: bfd::Echo::On {
                interval,
                returned: true,
            },
            control_plane_independent: false,
            seed: 7,
        };
        let mut session = bfd::Session::new(options, now);
        for _ in 0..3 {
            // Whether it changes anything is the session's to know.
            let _ignored = session.handle_packet(bytes, 255, now);
            session.handle_echo(bytes, now);
            now = session.poll_timeout().unwrap_or(now).max(now);
            session.handle_timeout(now);
            while session.poll_output().is_some() {}
        }
        match bfd::Packet::decode(bytes) {
            Ok(packet) => {
                assert_eq!(bfd::Packet::decode(&packet.encode()), Ok(packet));
                true
            }
            // It is right, and refused for all that: nobody asked for authentication.
            Err(bfd::DecodeError::Authenticated(_)) => bytes.len() == 28,
            Err(_) => false,
        }
    });
}

#[test]
fn bgp_messages_are_total() {
    fuzz("bgp", |bytes| {
        let mut framer = Framer::default();
        framer.push(bytes);
        let mut taken = false;
        while let Ok(Some(frame)) = framer.next_frame() {
            for bits in 0..8_u8 {
                let context = UpdateContext {
                    four_octet_as: bits & 1 != 0,
                    external: bits & 2 != 0,
                    extended_next_hop: bits & 4 != 0,
                };
                taken |= frame.decode(&context).is_ok();
            }
        }
        let recorded = Recorded {
            at: Instant::now(),
            direction: bgp::Direction::Received,
            local: "192.0.2.1:179".parse().unwrap(),
            peer: "192.0.2.2:179".parse().unwrap(),
            bytes: bytes.to_vec(),
            length: bytes.len(),
        };
        assert!(!recorded.to_string().is_empty());
        taken
    });
}

/// A peer that has just connected hears a good OPEN and KEEPALIVE first.
#[test]
fn bgp_sessions_survive_anything() {
    fuzz("bgp", |bytes| {
        let corpus = corpus("bgp");
        let now = Instant::now();
        let options = PeerOptions {
            asn: 64512,
            peer_asn: PeerAsn::External,
            identifier: "192.0.2.1".parse().unwrap(),
            ..PeerOptions::default()
        };
        let mut peer = Peer::new(options, 7);
        peer.handle_routes(std::sync::Arc::default(), now);
        peer.handle_start(now);
        let Some(Output::Connect { connection }) = peer.poll_output() else {
            panic!("it doesn't connect");
        };
        let ends = bgp::Endpoints {
            local: "192.0.2.1:40000".parse().unwrap(),
            peer: "192.0.2.2:179".parse().unwrap(),
            ipv4: None,
            ipv6: None,
            link_local: None,
        };
        peer.handle_connected(connection, ends, now);
        // BIRD's OPEN, and a KEEPALIVE.
        peer.handle_bytes(connection, &corpus[1], now);
        peer.handle_bytes(connection, &corpus[2], now);
        assert!(peer.session().is_some());
        peer.handle_bytes(connection, bytes, now);
        let up = peer.session().is_some();
        while peer.poll_output().is_some() {}
        peer.handle_timeout(now + Duration::from_secs(3600));
        while peer.poll_output().is_some() {}
        // An OPEN or a NOTIFICATION ends a session, as it should.
        up || [Some(&1), Some(&3)].contains(&bytes.get(18)) && corpus.iter().any(|one| one == bytes)
    });
}

#[test]
fn gossip_is_total_and_reads_what_it_writes() {
    fuzz("gossip", |bytes| {
        if let Ok(message) = Message::decode(bytes) {
            let again = Message::decode(&message.encode());
            assert_eq!(again.as_ref(), Ok(&message));
        }
        let envelope = Envelope {
            label: Label::default(),
            security: Security::Off,
            compression: true,
        };
        match envelope.open(bytes) {
            Ok(opened) => !opened.messages.is_empty() && opened.malformed.is_empty(),
            Err(_) => Message::decode(bytes).is_ok(),
        }
    });
}
