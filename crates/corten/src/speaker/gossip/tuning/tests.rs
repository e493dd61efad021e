use super::*;

const DURATIONS: &str = r#""TCPTimeout": "5s", "PushPullInterval": "0", "ProbeTimeout": "100ms",
    "ProbeInterval": "250ms", "GossipInterval": "50ms", "GossipToTheDeadTime": "1m",
    "QueueCheckInterval": "30s""#;

#[test]
fn everything_can_be_set() {
    let text = format!(
        r#"{{ {DURATIONS}, "IndirectChecks": 2, "RetransmitMult": 5, "SuspicionMult": 3,
        "SuspicionMaxTimeoutMult": 7, "DisableTcpPings": true, "AwarenessMaxMultiplier": 4,
        "GossipNodes": 6, "GossipVerifyIncoming": false, "GossipVerifyOutgoing": false,
        "EnableCompression": false, "HandoffQueueDepth": 10, "UDPBufferSize": 1300 }}"#
    );
    let want = Tuning {
        parameters: Parameters {
            stream_timeout: Duration::from_secs(5),
            indirect_checks: 2,
            retransmit_mult: 5,
            suspicion_mult: 3,
            suspicion_max_timeout_mult: 7,
            push_pull_interval: Duration::ZERO,
            probe_timeout: Duration::from_millis(100),
            probe_interval: Duration::from_millis(250),
            stream_pings: false,
            awareness_max: 4,
            gossip_nodes: 6,
            gossip_interval: Duration::from_millis(50),
            gossip_to_the_dead: Duration::from_secs(60),
            packet_size: 1300,
            ..Parameters::LAN
        },
        verify_incoming: false,
        verify_outgoing: false,
        compression: false,
    };
    assert_eq!(Tuning::of(&text).unwrap(), want);
}

#[test]
fn a_missing_number_or_switch_is_the_lan_profiles() {
    let tuning = Tuning::of(&format!("{{ {DURATIONS} }}")).unwrap();
    assert!(tuning.verify_incoming && tuning.verify_outgoing && tuning.compression);
    assert_eq!(tuning.parameters.gossip_nodes, Parameters::LAN.gossip_nodes);
    assert!(tuning.parameters.stream_pings);
}

#[test]
fn what_is_wrong_is_named() {
    let replaced = |from: &str, to: &str| format!("{{ {} }}", DURATIONS.replace(from, to));
    let rows = [
        (replaced(r#""ProbeTimeout": "100ms","#, ""), "ProbeTimeout"),
        (replaced("250ms", "250"), "ProbeInterval"),
        (replaced("\"50ms", "\"-50ms"), "negative"),
        (replaced("5s", "0"), "TCPTimeout"),
        (
            format!(r#"{{ {DURATIONS}, "UDPBufferSize": 100 }}"#),
            "UDPBufferSize",
        ),
        (format!(r#"{{ {DURATIONS}, "GossipNodes": -1 }}"#), "-1"),
        (String::new(), "EOF"),
    ];
    for (text, want) in rows {
        let error = format!("{:#}", Tuning::of(&text).unwrap_err());
        assert!(error.contains(want), "{error}: {want}");
    }
}
