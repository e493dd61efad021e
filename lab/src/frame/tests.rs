use super::*;

const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn arp(operation: u8, mac: Mac, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut f = arp_request_to(B, mac, sender.into(), target.into());
    f[21] = operation;
    f
}

#[test]
fn arp_says_who_has_what() {
    let (a, b) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let rows = [
        (arp(1, A, a, b), Some(How::ArpRequest)),
        (arp(2, A, a, b), Some(How::ArpReply)),
        (arp(1, A, a, a), Some(How::ArpGratuitous)),
        (arp(2, A, a, a), Some(How::ArpGratuitous)),
        // A probe has no sender address and claims nothing (RFC 5227 §1.1).
        (arp(1, A, [0; 4], b), None),
        (arp(3, A, a, b), None),
    ];
    for (frame, how) in rows {
        let want = how.map(|how| Claim {
            ip: IpAddr::from(a),
            mac: A,
            how,
        });
        assert_eq!(claim(&frame), want, "{frame:?}");
    }
}

#[test]
fn no_cut_frame_claims_anything() {
    let mut na = solicitation(
        A,
        "fe80::1".parse().unwrap(),
        "2001:db8::1".parse().unwrap(),
    );
    na[54] = NA;
    na[78] = 2;
    for (whole, least) in [(arp(2, A, [1; 4], [2; 4]), 42), (na, 86)] {
        assert!(claim(&whole).is_some());
        for n in 0..least {
            if n < 80 {
                assert_eq!(claim(&whole[..n.min(41)]), None, "{n}");
            }
        }
    }
}

#[test]
fn an_advertisement_names_its_target_and_mac() {
    let target: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let mut f = solicitation(A, "fe80::1".parse().unwrap(), target);
    f[54] = NA;
    f[78] = 2;
    f[80..86].copy_from_slice(&B.0);
    let with = |how| {
        Some(Claim {
            ip: target.into(),
            mac: B,
            how,
        })
    };
    assert_eq!(claim(&f), with(How::NaUnsolicited));
    f[58] = 0x40;
    assert_eq!(claim(&f), with(How::NaSolicited));
    // Hop limit 255 proves that no router passed it on (RFC 4861 §7.1.2).
    f[21] = 64;
    assert_eq!(claim(&f), None);
}

#[test]
fn solicitations_add_up() {
    let (from, to): (Ipv6Addr, Ipv6Addr) = (
        "fe80::1".parse().unwrap(),
        "ff02::1:ff00:1".parse().unwrap(),
    );
    let f = solicitation(A, from, "2001:db8::1".parse().unwrap());
    // A message with its checksum in place sums up to nothing.
    assert_eq!(checksum(from, to, &f[54..]), 0);
}
