use super::*;
use crate::l2::ethernet::{Frame, Payload};
use etherparse::{ArpOperation, NetSlice, SlicedPacket};
use proptest::prelude::*;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ASKER: Mac = Mac([2, 0, 0, 0, 0, 9]);
const IP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 240);
const ASKER_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 9);

fn payload(frame: &[u8]) -> &[u8] {
    match Frame::parse(frame).unwrap().payload {
        Payload::Arp(bytes) => bytes,
        Payload::Ipv6(_) => panic!("another protocol's frame"),
    }
}

fn parse(frame: &[u8]) -> Result<Packet, DecodeError> {
    Packet::parse(payload(frame))
}

fn request() -> Packet {
    Packet::question(ASKER, ASKER_IP, IP)
}

#[test]
fn a_reply_is_byte_for_byte_this() {
    let frame = request().reply(OWN).frame(ASKER);
    #[rustfmt::skip]
    let want = [
        2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x08, 0x06,
        0, 1, 0x08, 0, 6, 4, 0, 2,
        2, 0, 0, 0, 0, 1, 192, 168, 1, 240,
        2, 0, 0, 0, 0, 9, 192, 168, 1, 9,
    ];
    assert_eq!(frame, want);
}

#[test]
fn a_gratuitous_frame_is_byte_for_byte_this() {
    for (operation, code) in [(Operation::Request, 1), (Operation::Reply, 2)] {
        let frame = Packet::gratuitous(operation, OWN, IP).frame(Mac::BROADCAST);
        #[rustfmt::skip]
        let want = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06,
            0, 1, 0x08, 0, 6, 4, 0, code,
            2, 0, 0, 0, 0, 1, 192, 168, 1, 240,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 192, 168, 1, 240,
        ];
        assert_eq!(frame, want);
    }
}

#[test]
fn padding_is_ignored_and_every_truncation_is_an_error() {
    let mut frame = request().frame(Mac::BROADCAST);
    for length in 0..PACKET_LEN {
        let bytes = &frame[ethernet::HEADER_LEN..][..length];
        assert_eq!(
            Packet::parse(bytes),
            Err(DecodeError::Truncated),
            "{length}"
        );
    }
    frame.resize(60, 0xaa);
    assert_eq!(parse(&frame), Ok(request()));
}

#[test]
fn each_wrong_field_has_its_reason() {
    let rows: [(usize, u8, DecodeError); 9] = [
        (1, 6, DecodeError::NotIpv4OverEthernet),
        (0, 1, DecodeError::NotIpv4OverEthernet),
        (2, 0x86, DecodeError::NotIpv4OverEthernet),
        (4, 8, DecodeError::NotIpv4OverEthernet),
        (5, 16, DecodeError::NotIpv4OverEthernet),
        (7, 0, DecodeError::Operation),
        (7, 3, DecodeError::Operation),
        (6, 1, DecodeError::Operation),
        (8, 0xff, DecodeError::SenderMac),
    ];
    for (at, value, want) in rows {
        let mut frame = request().frame(Mac::BROADCAST);
        frame[ethernet::HEADER_LEN + at] = value;
        assert_eq!(parse(&frame), Err(want), "byte {at} = {value}");
    }
    let nobody = Packet {
        sender_mac: Mac::ZERO,
        ..request()
    };
    assert_eq!(
        parse(&nobody.frame(Mac::BROADCAST)),
        Err(DecodeError::SenderMac)
    );
}

#[test]
fn an_announcement_is_told_from_a_question() {
    assert!(Packet::gratuitous(Operation::Request, OWN, IP).is_announcement());
    assert!(!request().is_announcement());
    assert!(!Packet::question(ASKER, Ipv4Addr::UNSPECIFIED, IP).is_announcement());
}

prop_compose! {
    fn packet()(
        reply in any::<bool>(),
        mut macs in any::<[[u8; 6]; 2]>(),
        ips in any::<[[u8; 4]; 2]>(),
    ) -> Packet {
        macs[0][0] &= 0xfe;
        macs[0][5] |= 1;
        Packet {
            operation: if reply { Operation::Reply } else { Operation::Request },
            sender_mac: Mac(macs[0]),
            sender_ip: ips[0].into(),
            target_mac: Mac(macs[1]),
            target_ip: ips[1].into(),
        }
    }
}

proptest! {
    #[test]
    fn frames_read_back_here_and_in_etherparse(packet in packet()) {
        let frame = packet.frame(Mac::BROADCAST);
        prop_assert_eq!(parse(&frame), Ok(packet));
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Arp(arp)) = sliced.net else { panic!("ARP") };
        let theirs = arp.to_packet().try_eth_ipv4().unwrap();
        let operation = match packet.operation {
            Operation::Request => ArpOperation::REQUEST,
            Operation::Reply => ArpOperation::REPLY,
        };
        prop_assert_eq!(theirs.operation, operation);
        prop_assert_eq!(theirs.sender_mac, packet.sender_mac.0);
        prop_assert_eq!(theirs.sender_ipv4, packet.sender_ip.octets());
        prop_assert_eq!(theirs.target_mac, packet.target_mac.0);
        prop_assert_eq!(theirs.target_ipv4, packet.target_ip.octets());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Packet::parse(&bytes);
    }
}
