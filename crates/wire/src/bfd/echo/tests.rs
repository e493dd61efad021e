use super::*;

const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PAYLOAD: [u8; ECHO_LENGTH] = [0, 0, 0, 42, 0, 0, 0, 7];

/// As the peer's forwarding leaves it.
fn returned() -> [u8; LENGTH] {
    let mut packet = encode(LOCAL, &PAYLOAD);
    packet[8] -= 1;
    packet
}

#[test]
fn an_echo_packet_octet_by_octet() {
    let want = [
        0x45, 0xc0, 0x00, 0x24, 0x00, 0x00, 0x40, 0x00, 0xff, 0x11, 0xf7, 0x05, 192, 0, 2, 1, 192,
        0, 2, 1, 0x0e, 0xc9, 0x0e, 0xc9, 0x00, 0x10, 0x00, 0x00, 0, 0, 0, 42, 0, 0, 0, 7,
    ];
    assert_eq!(encode(LOCAL, &PAYLOAD), want);
    // The sum over a header with its checksum is zero.
    for local in [LOCAL, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST] {
        assert_eq!(checksum(&encode(local, &PAYLOAD)[..20]), 0, "{local}");
    }
}

#[test]
fn what_comes_back_is_known() {
    let heard = Heard::Echo {
        to: LOCAL,
        payload: &PAYLOAD,
    };
    assert_eq!(decode(&returned()), Some(heard));
    // Ethernet fills up short frames.
    let mut filled = returned().to_vec();
    filled.resize(46, 0);
    assert_eq!(decode(&filled), Some(heard));
    // IP options are passed over.
    let mut options = returned().to_vec();
    options.splice(20..20, [1, 1, 1, 1]);
    options[0] = 0x46;
    options[3] += 4;
    assert_eq!(decode(&options), Some(heard));
    let mut control = encode(LOCAL, &PAYLOAD);
    control[23] = 0xc8;
    assert_eq!(decode(&control), Some(Heard::Control { from: LOCAL }));
}

#[test]
fn anything_else_is_nothing() {
    let packet = returned();
    for length in 0..packet.len() {
        assert_eq!(decode(&packet[..length]), None, "{length}");
    }
    for (place, value, what) in [
        (0, 0x65, "IPv6"),
        (0, 0x4f, "options beyond the end"),
        (3, 0x23, "a total length without all of the datagram"),
        (6, 0x20, "a fragment"),
        (7, 0x01, "another fragment"),
        (8, 253, "two hops"),
        (9, 6, "TCP"),
        (23, 0xca, "another port"),
        (25, 0x07, "a datagram shorter than its header"),
        (25, 0x11, "a datagram beyond the packet"),
    ] {
        let mut packet = packet;
        packet[place] = value;
        assert_eq!(decode(&packet), None, "{what}");
    }
    // Control packets have come no hop at all.
    let mut control = packet;
    control[23] = 0xc8;
    assert_eq!(decode(&control), None);
}
