//! The ring keeps what is worth keeping, and a capture of it is a good one.

use super::*;
use crate::bgp::tests::{message, start};
use std::time::Duration;

fn recorded(at: Instant, direction: Direction, bytes: Vec<u8>, ipv6: bool) -> Recorded {
    let address = |v4: &str, v6: &str| if ipv6 { v6 } else { v4 }.parse().unwrap();
    Recorded {
        at,
        direction,
        local: address("10.0.0.1:40000", "[2001:db8::1]:40000"),
        peer: address("10.0.0.2:179", "[2001:db8::2]:179"),
        length: bytes.len(),
        bytes,
    }
}

#[test]
fn keepalives_go_first_and_octets_are_bounded() {
    let now = start();
    let mut ring = Ring::new(4);
    let mut push = |bytes: Vec<u8>| ring.push(recorded(now, Direction::Sent, bytes, false));
    push(message(1, &[1; 10]));
    for _ in 0..10 {
        push(message(4, &[]));
    }
    push(message(2, &[0; 4]));
    push(message(2, &[0; 5]));
    let kinds: Vec<_> = ring.iter().map(|message| message.bytes[18]).collect();
    assert_eq!(kinds, [1, 4, 2, 2]);
    let mut ring = Ring::new(1000);
    for _ in 0..100 {
        ring.push(recorded(
            now,
            Direction::Sent,
            message(2, &[0; 4077]),
            false,
        ));
    }
    assert_eq!(ring.iter().count(), RING_LEN / 4096);
    let mut none = Ring::new(0);
    none.push(recorded(now, Direction::Sent, message(4, &[]), false));
    assert_eq!((none.iter().count(), none.octets), (0, 0));
}

/// The packets of a capture: time, length in the file, length on the wire, content.
fn packets(mut capture: &[u8]) -> Vec<(u32, u32, usize, Vec<u8>)> {
    let word = |capture: &mut &[u8]| {
        let (head, rest) = capture.split_first_chunk::<4>().unwrap();
        *capture = rest;
        u32::from_be_bytes(*head)
    };
    let head: Vec<_> = (0..6).map(|_| word(&mut capture)).collect();
    assert_eq!(head, [0xa1b2_c3d4, 0x0002_0004, 0, 0, 65535, 101]);
    let mut packets = Vec::new();
    while !capture.is_empty() {
        let (seconds, micros) = (word(&mut capture), word(&mut capture));
        let (kept, length) = (word(&mut capture), word(&mut capture));
        let (packet, rest) = capture.split_at(usize::try_from(kept).unwrap());
        capture = rest;
        let length = usize::try_from(length).unwrap();
        packets.push((seconds, micros, length, packet.to_owned()));
    }
    packets
}

#[test]
fn a_capture_is_read_by_another_implementation() {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    let now = start();
    for ipv6 in [false, true] {
        let later = now + Duration::from_micros(1_500_001);
        let mut long = recorded(later, Direction::Sent, message(2, &[7; 4077]), ipv6);
        long.length = 60_000;
        let messages = [
            recorded(now, Direction::Sent, message(1, &[1; 10]), ipv6),
            recorded(now, Direction::Received, message(4, &[]), ipv6),
            long,
            recorded(later, Direction::Received, message(4, &[]), ipv6),
            recorded(later, Direction::Sent, message(4, &[]), ipv6),
        ];
        let capture = to_pcap(&messages, |at| Duration::from_secs(1_000) + (at - now));
        let packets = packets(&capture);
        assert_eq!(packets.len(), messages.len());
        let mut streams = Vec::new();
        for ((seconds, micros, length, packet), message) in packets.iter().zip(&messages) {
            let at = if message.at == now {
                (1_000, 0)
            } else {
                (1_001, 500_001)
            };
            assert_eq!((*seconds, *micros), at);
            let sliced = SlicedPacket::from_ip(packet).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
                panic!("no TCP");
            };
            let sum = match sliced.net.unwrap() {
                NetSlice::Ipv4(ip) => {
                    let header = ip.header();
                    assert_eq!(
                        header.to_header().calc_header_checksum(),
                        header.header_checksum()
                    );
                    tcp.calc_checksum_ipv4(header.source(), header.destination())
                        .unwrap()
                }
                NetSlice::Ipv6(ip) => {
                    let header = ip.header().to_header();
                    tcp.calc_checksum_ipv6(header.source, header.destination)
                        .unwrap()
                }
                NetSlice::Arp(_) => panic!("ARP"),
            };
            assert_eq!(sum, tcp.checksum());
            assert_eq!(tcp.payload(), message.bytes);
            assert_eq!(*length - packet.len(), message.length - message.bytes.len());
            let ours = message.direction == Direction::Sent;
            let ports = (tcp.source_port(), tcp.destination_port());
            assert_eq!(ports, if ours { (40000, 179) } else { (179, 40000) });
            streams.push((tcp.sequence_number(), tcp.acknowledgment_number()));
        }
        assert_eq!(
            streams,
            [(1, 1), (1, 30), (30, 20), (20, 60_030), (60_030, 39)]
        );
    }
}

#[test]
fn a_message_is_a_line_of_words() {
    use crate::bgp::tests::hex;
    let now = start();
    let check = |kind: u8, body: &str, words: &str| {
        let bytes = message(kind, &hex(body));
        let one = recorded(now, Direction::Received, bytes, false);
        assert_eq!(one.to_string(), format!("received {words}"));
    };
    check(
        1,
        "04 fde8 005a 0a000001 08 02 06 41 04 fa56ea00",
        "OPEN, AS 4200000000, identifier 10.0.0.1, hold time 90 s, capabilities: 1",
    );
    check(1, "03 fde8 005a 0a000001 00", "OPEN that can't be read");
    check(2, "0000 0000", "UPDATE, End-of-RIB of IPv4 unicast");
    check(2, "0004 18c00002 0000", "UPDATE, 1 withdrawn: 192.0.2.0/24");
    let four = "40010100 40020602010000fc00 4003040a000001";
    let two = "40010100 4002040201fc00 4003040a000001";
    let both = "18c00002 18c63364";
    let announced = "UPDATE, 2 announced: 192.0.2.0/24, …";
    check(2, &format!("0000 0014 {four} {both}"), announced);
    check(2, &format!("0000 0012 {two} {both}"), announced);
    let broken = format!("0000 0014 40010109 {} 18c00002", &four[9..]);
    let words = "UPDATE, 1 withdrawn: 192.0.2.0/24; attribute 1 is malformed";
    check(2, &broken, words);
    check(
        3,
        "0602 03 627965",
        "NOTIFICATION, Cease/Administrative Shutdown: \"bye\"",
    );
    check(4, "", "KEEPALIVE");
    check(5, "0001 00 01", "ROUTE-REFRESH, request of IPv4 unicast");
    check(
        5,
        "0019 01 46",
        "ROUTE-REFRESH, beginning of AFI 25 SAFI 70",
    );
    let mut cut = recorded(now, Direction::Sent, message(2, &[0; 4077]), false);
    cut.length = 60_000;
    cut.bytes[16] = 0xea;
    cut.bytes[17] = 0x60;
    assert_eq!(cut.to_string(), "sent UPDATE of 60000 octets");
}
