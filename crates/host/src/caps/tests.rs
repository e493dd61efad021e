use super::{Capability, CapabilityError, effective};

#[test]
fn the_effective_set_is_found() {
    for (status, expected) in [
        (
            "Name:\tx\nCapInh:\t0\nCapEff:\t0000000000003000\nCapBnd:\tff\n",
            Some(0x3000),
        ),
        ("CapEff:\t000001ffffffffff\n", Some(0x1ff_ffff_ffff)),
        ("CapPrm:\t1\n", None),
        ("CapEff:\tnothing\n", None),
        ("", None),
    ] {
        assert_eq!(effective(status), expected, "{status:?}");
    }
}

#[test]
fn the_error_names_the_capability_and_every_way_to_grant_it() {
    for (capability, wanted) in [
        (
            Capability::NetRaw,
            [
                "CAP_NET_RAW is missing",
                "setcap cap_net_raw+ep",
                "AmbientCapabilities=CAP_NET_RAW",
                "[NET_RAW]",
            ],
        ),
        (
            Capability::NetAdmin,
            [
                "CAP_NET_ADMIN is missing",
                "setcap cap_net_admin+ep",
                "AmbientCapabilities=CAP_NET_ADMIN",
                "[NET_ADMIN]",
            ],
        ),
    ] {
        let text = CapabilityError::Missing(capability).to_string();
        for part in wanted {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}
