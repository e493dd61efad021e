use super::*;

const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const WINDOW: Duration = Duration::from_secs(1);

/// Claims `(milliseconds, last octet of the MAC)` must give hand-overs `(from, to, overlap)`.
fn check(claims: &[(u64, u8)], want: &[(u8, u8, u64)]) {
    let start = Instant::now();
    let heard: Vec<Heard> = claims
        .iter()
        .map(|(ms, mac)| Heard {
            at: start + Duration::from_millis(*ms),
            claim: Claim {
                ip: IP,
                mac: Mac([2, 0, 0, 0, 0, *mac]),
                how: How::ArpReply,
            },
        })
        .collect();
    let found: Vec<_> = hand_overs(&heard, |_| true, WINDOW)
        .iter()
        .map(|h| (h.from.0[5], h.to.0[5], h.overlap.as_millis()))
        .collect();
    let want: Vec<_> = want
        .iter()
        .map(|(a, b, ms)| (*a, *b, u128::from(*ms)))
        .collect();
    assert_eq!(found, want, "{claims:?}");
}

#[test]
fn hand_overs_are_counted_once_and_back_and_forth() {
    check(&[(0, 1), (10, 1)], &[]);
    check(&[(0, 1), (10, 2), (20, 2)], &[(1, 2, 0)]);
    check(&[(0, 1), (10, 2), (500, 1), (900, 2)], &[(1, 2, 490)]);
    check(&[(0, 1), (10, 2), (1011, 1)], &[(1, 2, 0), (2, 1, 0)]);
    check(&[(0, 1), (10, 2), (20, 3)], &[(1, 2, 0), (2, 3, 0)]);
}
