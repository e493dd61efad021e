use super::*;
use crate::l2::ethernet::{Frame, Payload};
use etherparse::icmpv6::Icmpv6PayloadSlice;
use etherparse::{Icmpv6Type, SlicedPacket, TransportSlice};
use proptest::prelude::*;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ASKER: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn payload(frame: &[u8]) -> &[u8] {
    match Frame::parse(frame).unwrap().payload {
        Payload::Ipv6(bytes) => bytes,
        Payload::Arp(_) => panic!("another protocol's frame"),
    }
}

fn parse(frame: &[u8]) -> Result<Message, DecodeError> {
    Message::parse(payload(frame))
}

fn question() -> Solicitation {
    Solicitation {
        source: ip("fe80::9"),
        destination: ip("ff02::1:ff00:240"),
        target: ip("2001:db8::240"),
        source_mac: Some(ASKER),
    }
}

fn answer() -> Advertisement {
    Advertisement {
        source: ip("2001:db8::240"),
        destination: ip("fe80::9"),
        target: ip("2001:db8::240"),
        router: false,
        solicited: true,
        override_: true,
        target_mac: Some(OWN),
    }
}

/// Puts the right checksum in after the packet was changed by hand.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let start = ethernet::HEADER_LEN;
    let length = usize::from(u16::from_be_bytes([frame[start + 4], frame[start + 5]]));
    let (header, message) = frame[start..].split_at_mut(40);
    message[2..4].fill(0);
    let end = length.min(message.len());
    let sum = checksum(address(header, 8), address(header, 24), &message[..end]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn an_answer_is_byte_for_byte_this() {
    let frame = answer().frame(OWN, ASKER);
    let mut want = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
    want.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    want.extend(ip("2001:db8::240").octets());
    want.extend(ip("fe80::9").octets());
    want.extend([136, 0, 0xff, 0xff, 0x60, 0, 0, 0]);
    want.extend(ip("2001:db8::240").octets());
    want.extend([2, 1, 2, 0, 0, 0, 0, 1]);
    // The checksum is checked against another implementation below.
    want[56..58].copy_from_slice(&frame[56..58]);
    assert_eq!(frame, want);
}

#[test]
fn solicited_node_groups() {
    for (target, group) in [
        ("2001:db8::240", "ff02::1:ff00:240"),
        ("4037::01:800:200e:8c6c", "ff02::1:ff0e:8c6c"),
        ("fe80::ffff:ffff", "ff02::1:ffff:ffff"),
    ] {
        assert_eq!(solicited_node(ip(target)), ip(group), "{target}");
    }
    assert_eq!(
        Mac::of_group(ip("ff02::1:ff0e:8c6c")),
        Mac([0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c])
    );
}

#[test]
fn every_truncation_is_an_error() {
    for frame in [question().frame(ASKER, OWN), answer().frame(OWN, ASKER)] {
        for length in ethernet::HEADER_LEN..frame.len() {
            assert_eq!(
                parse(&frame[..length]),
                Err(DecodeError::Truncated),
                "{length}"
            );
        }
        // The same cut said honestly in the IPv6 length.
        for length in 0..32 {
            let mut frame = frame.clone();
            frame.truncate(ethernet::HEADER_LEN + 40 + length);
            frame[ethernet::HEADER_LEN + 5] = length as u8;
            if length >= 4 {
                frame = sealed(frame);
            }
            let want = match length {
                0..24 => Err(DecodeError::Truncated),
                24 => continue,
                _ => Err(DecodeError::Option),
            };
            assert_eq!(parse(&frame), want, "{length}");
        }
    }
}

#[test]
fn padding_behind_the_packet_is_ignored() {
    let mut frame = Solicitation {
        source_mac: None,
        ..question()
    }
    .frame(ASKER, OWN);
    frame.extend([0xaa; 9]);
    let want = Solicitation {
        source_mac: None,
        ..question()
    };
    assert_eq!(parse(&frame), Ok(Message::Solicitation(want)));
}

#[test]
fn each_wrong_field_has_its_reason() {
    const V6: usize = ethernet::HEADER_LEN;
    const ICMP: usize = V6 + 40;
    let rows: [(&[(usize, u8)], DecodeError); 9] = [
        (&[(V6, 0x45)], DecodeError::Version),
        (&[(V6 + 6, 0)], DecodeError::NotIcmpv6),
        (&[(V6 + 7, 254)], DecodeError::HopLimit),
        (&[(ICMP, 134)], DecodeError::MessageType),
        (&[(ICMP + 1, 1)], DecodeError::Code),
        (&[(ICMP + 8, 0xff)], DecodeError::Target),
        (&[(V6 + 8, 0xff)], DecodeError::Source),
        (&[(ICMP + 25, 0)], DecodeError::Option),
        (&[(ICMP + 26, 1)], DecodeError::Option),
    ];
    for frame in [question().frame(ASKER, OWN), answer().frame(OWN, ASKER)] {
        for (changes, want) in rows {
            let mut frame = frame.clone();
            for &(at, value) in changes {
                frame[at] = value;
            }
            if matches!(want, DecodeError::Option) {
                // Both kinds of message ignore the other's option.
                frame[ICMP + 24] = if frame[ICMP] == 135 { 1 } else { 2 };
            }
            assert_eq!(parse(&sealed(frame)), Err(want), "{changes:?}");
        }
        let mut bad = frame.clone();
        bad[ICMP + 2] ^= 1;
        assert_eq!(parse(&bad), Err(DecodeError::Checksum));
    }
}

#[test]
fn what_must_not_go_together() {
    let nobody = Ipv6Addr::UNSPECIFIED;
    let rows = [
        (
            Solicitation {
                source: nobody,
                ..question()
            }
            .frame(ASKER, OWN),
            DecodeError::Option,
        ),
        (
            Solicitation {
                source: nobody,
                destination: question().target,
                source_mac: None,
                ..question()
            }
            .frame(ASKER, OWN),
            DecodeError::Destination,
        ),
        (
            Solicitation {
                destination: ALL_NODES,
                ..question()
            }
            .frame(ASKER, OWN),
            DecodeError::Destination,
        ),
        (
            Advertisement {
                source: nobody,
                ..answer()
            }
            .frame(OWN, ASKER),
            DecodeError::Source,
        ),
        (
            Advertisement {
                destination: ALL_NODES,
                ..answer()
            }
            .frame(OWN, ASKER),
            DecodeError::Destination,
        ),
    ];
    for (frame, want) in rows {
        assert_eq!(parse(&frame), Err(want));
    }
    let probe = Solicitation {
        source: nobody,
        source_mac: None,
        ..question()
    };
    assert!(probe.is_probe() && !question().is_probe());
    assert_eq!(
        parse(&probe.frame(ASKER, OWN)),
        Ok(Message::Solicitation(probe))
    );
}

#[test]
fn unknown_options_are_skipped() {
    let mut frame = question().frame(ASKER, OWN);
    let at = frame.len() - 8;
    // A nonce option (RFC 3971) before the address.
    frame.splice(at..at, [14, 1, 1, 2, 3, 4, 5, 6]);
    frame[ethernet::HEADER_LEN + 5] += 8;
    assert_eq!(parse(&sealed(frame)), Ok(Message::Solicitation(question())));
}

prop_compose! {
    fn mac()(mut mac in any::<[u8; 6]>()) -> Mac {
        mac[0] &= 0xfe;
        mac[5] |= 1;
        Mac(mac)
    }
}

prop_compose! {
    fn unicast()(mut octets in any::<[u8; 16]>()) -> Ipv6Addr {
        octets[0] = 0x20;
        octets.into()
    }
}

prop_compose! {
    fn message()(
        solicit in any::<bool>(),
        source in unicast(),
        destination in unicast(),
        target in unicast(),
        mac in proptest::option::of(mac()),
        flags in any::<[bool; 3]>(),
    ) -> Message {
        if solicit {
            Message::Solicitation(Solicitation { source, destination, target, source_mac: mac })
        } else {
            let [router, solicited, override_] = flags;
            Message::Advertisement(Advertisement {
                source, destination, target, router, solicited, override_, target_mac: mac,
            })
        }
    }
}

proptest! {
    #[test]
    fn frames_read_back_here_and_in_etherparse(message in message()) {
        let frame = match message {
            Message::Solicitation(m) => m.frame(ASKER, OWN),
            Message::Advertisement(m) => m.frame(OWN, ASKER),
        };
        prop_assert_eq!(parse(&frame), Ok(message));
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = sliced.transport else { panic!("ICMPv6") };
        let (source, destination) = match message {
            Message::Solicitation(m) => (m.source, m.destination),
            Message::Advertisement(m) => (m.source, m.destination),
        };
        prop_assert!(icmp.is_checksum_valid(source.octets(), destination.octets()));
        match (message, icmp.payload_slice().unwrap()) {
            (Message::Solicitation(m), Icmpv6PayloadSlice::NeighborSolicitation(theirs)) => {
                prop_assert_eq!(theirs.target_address(), m.target);
                prop_assert_eq!(theirs.options().len(), if m.source_mac.is_some() { 8 } else { 0 });
            }
            (Message::Advertisement(m), Icmpv6PayloadSlice::NeighborAdvertisement(theirs)) => {
                prop_assert_eq!(theirs.target_address(), m.target);
                let Icmpv6Type::NeighborAdvertisement(flags) = icmp.icmp_type() else {
                    panic!("an advertisement")
                };
                prop_assert_eq!(
                    (flags.router, flags.solicited, flags.r#override),
                    (m.router, m.solicited, m.override_)
                );
            }
            (message, theirs) => panic!("{message:?} read as {theirs:?}"),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn nearly_right_bytes_never_panic(
        message in message(),
        changes in proptest::collection::vec((0usize..96, any::<u8>()), 0..4),
        cut in 0usize..96,
    ) {
        let mut frame = match message {
            Message::Solicitation(m) => m.frame(ASKER, OWN),
            Message::Advertisement(m) => m.frame(OWN, ASKER),
        };
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(cut);
        let _ = Message::parse(frame.get(ethernet::HEADER_LEN..).unwrap_or_default());
    }
}
