use super::*;
use crate::event::manifest::{apply, check_problems, custom, facts};

#[test]
fn what_a_profile_is_rejected_for() {
    let rows: &[(&str, &[&str])] = &[
        ("", &[]),
        (
            "receiveInterval: 10, transmitInterval: 60000, detectMultiplier: 2, echoInterval: 10, \
             minimumTtl: 1",
            &[],
        ),
        (
            "receiveInterval: 9",
            &["spec.receiveInterval: 9 is not between 10 and 60000"],
        ),
        (
            "transmitInterval: 60001",
            &["spec.transmitInterval: 60001 is not between 10 and 60000"],
        ),
        (
            "detectMultiplier: 1",
            &["spec.detectMultiplier: 1 is not between 2 and 255"],
        ),
        (
            "detectMultiplier: 256",
            &["spec.detectMultiplier: 256 is not between 2 and 255"],
        ),
        (
            "echoInterval: 9",
            &["spec.echoInterval: 9 is not between 10 and 60000"],
        ),
        (
            "minimumTtl: 255, echoInterval: 1",
            &[
                "spec.echoInterval: 1 is not between 10 and 60000",
                "spec.minimumTtl: 255 is not between 1 and 254",
            ],
        ),
    ];
    for (spec, expected) in rows {
        check_problems(&custom("BFDProfile", "p", spec), "BFDProfile m/p", expected);
    }
    let one = custom("BFDProfile", "p", "");
    let two = format!(
        "{one}\n---\n{}",
        one.replace("namespace: m", "namespace: z")
    );
    let cause = "metadata.name: duplicate definition of BFDProfile \"p\", also in namespace \"m\"";
    check_problems(&two, "BFDProfile z/p", &[cause]);
}

#[test]
fn defaults_are_frrs_and_the_last_good_version_stays() {
    let mut facts = facts(&custom("BFDProfile", "p", "echoMode: true"));
    let expected = BfdProfile {
        receive_interval: Duration::from_millis(300),
        transmit_interval: Duration::from_millis(300),
        detect_multiplier: 3,
        echo_interval: Duration::from_millis(50),
        echo_mode: true,
        passive_mode: false,
        minimum_ttl: 254,
    };
    assert_eq!(facts.config.bgp.bfd["p"], expected);
    facts.handle(apply(&custom("BFDProfile", "p", "minimumTtl: 0")));
    assert_eq!(facts.config.bgp.bfd["p"], expected);
}
