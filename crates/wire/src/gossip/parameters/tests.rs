use super::*;

#[test]
fn limits_grow_as_memberlists_do() {
    let lan = Parameters::LAN;
    let rows = [
        (0, 0, 4000, 30),
        (1, 4, 4000, 30),
        (3, 4, 4000, 30),
        (9, 4, 4000, 30),
        (10, 8, 4000, 30),
        (32, 8, 6020, 30),
        (33, 8, 6074, 60),
        (64, 8, 7224, 60),
        (65, 8, 7251, 90),
        (100, 12, 8000, 90),
        (1000, 16, 12000, 180),
    ];
    for (members, retransmits, suspicion, push_pull) in rows {
        assert_eq!(lan.retransmits(members), retransmits, "{members}");
        let got = lan.suspicion_min(members).as_millis();
        assert_eq!(got, suspicion, "{members}");
        assert_eq!(
            lan.push_pull_period(members).as_secs(),
            push_pull,
            "{members}"
        );
    }
}
