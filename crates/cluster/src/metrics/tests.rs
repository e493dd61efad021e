use super::*;
use corten_engine::advertise::l2::Mac;
use corten_engine::rejection::{Kind, ObjectRef};
use std::time::Duration;

const BFD: Bfd = Bfd {
    up: true,
    packets_received: 13,
    packets_sent: 14,
    echoes_returned: 18,
    echoes_sent: 19,
    ups: 15,
    downs: 16,
    notices: 17,
};

fn gossip() -> Gossip {
    Gossip {
        members: [("alive", 3), ("suspect", 1)].into(),
        health: 2,
        probes: 20,
        probes_failed: 21,
        suspicions: 22,
        refuted: 23,
        accusations: 24,
        acquittals: 25,
        exchanges: 26,
        packets_sent: 27,
        bytes_sent: 28,
        packets_received: 29,
        bytes_received: 30,
        dropped: [("the checksum is wrong".to_owned(), 31)].into(),
        broadcasts: 32,
        claims: 33,
        ownership: "sticky".to_owned(),
    }
}

fn example() -> Snapshot {
    let pool = IPAddressPoolStatus {
        assigned_ipv4: 3,
        assigned_ipv6: 1,
        available_ipv4: 253,
        available_ipv6: i64::MAX - 1,
    };
    let counters = Layer2 {
        requests_received: 5,
        responses_sent: 4,
        gratuitous_sent: 6,
    };
    let bgp = Bgp {
        up: true,
        announced_prefixes: 2,
        opens_sent: 3,
        opens_received: 4,
        notifications_sent: 5,
        updates_sent: 6,
        updates_received: 7,
        keepalives_sent: 8,
        keepalives_received: 9,
        route_refreshes_sent: 10,
        total_sent: 11,
        total_received: 12,
    };
    let ip = "10.0.0.1".parse().unwrap();
    let rejection = |subject| Rejection {
        subject,
        field: String::new(),
        cause: String::new(),
        place: String::new(),
    };
    let object = ObjectRef::new(Kind::IPAddressPool, "x", "a");
    Snapshot {
        pools: [("a".into(), pool)].into(),
        layer2: [(ip, counters)].into(),
        announced: [Announced {
            service: ServiceKey::new("shop", "web"),
            protocol: "layer2",
            node: "n1".into(),
            ip,
        }]
        .into(),
        bgp: [(("192.0.2.2:179".to_owned(), "default".to_owned()), bgp)].into(),
        bfd: [(("192.0.2.2".to_owned(), "default".to_owned()), BFD)].into(),
        gossip: Some(gossip()),
        source: Some(Source {
            updates: 9,
            update_errors: 2,
            config_loaded: true,
            config_stale: false,
        }),
        conflicts: [Conflict {
            ip,
            mac: Mac([2, 0, 0, 0, 0, 9]),
            interface: "e\"\\\n0".to_owned(),
            proxy_arp: false,
        }]
        .into(),
        rejections: vec![
            rejection(Subject::Object(object.clone())),
            rejection(Subject::Object(object)),
            rejection(Subject::Unidentified),
        ],
        version: "0.1.0".to_owned(),
        process: Process {
            cpu: Duration::from_millis(1250),
            resident_bytes: 1,
            virtual_bytes: 2,
            open_fds: 3,
            max_fds: 4,
            threads: 5,
            started: Duration::from_millis(1_700_000_000_500),
        },
    }
}

/// The lines that aren't comments.
fn series(snapshot: &Snapshot) -> Vec<String> {
    let text = snapshot.to_text();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn names_and_labels_are_exact() {
    let want = [
        r#"metallb_allocator_addresses_total{pool="a"} 9223372036854775807"#,
        r#"metallb_allocator_ipv4_addresses_total{pool="a"} 256"#,
        r#"metallb_allocator_ipv6_addresses_total{pool="a"} 9223372036854775807"#,
        r#"metallb_allocator_addresses_in_use_total{pool="a"} 4"#,
        r#"metallb_allocator_ipv4_addresses_in_use_total{pool="a"} 3"#,
        r#"metallb_allocator_ipv6_addresses_in_use_total{pool="a"} 1"#,
        r#"metallb_layer2_requests_received{ip="10.0.0.1"} 5"#,
        r#"metallb_layer2_responses_sent{ip="10.0.0.1"} 4"#,
        r#"metallb_layer2_gratuitous_sent{ip="10.0.0.1"} 6"#,
        r#"metallb_speaker_announced{service="shop/web",protocol="layer2",node="n1",ip="10.0.0.1"} 1"#,
        r#"metallb_bgp_session_up{peer="192.0.2.2:179",vrf="default"} 1"#,
        r#"metallb_bgp_announced_prefixes_total{peer="192.0.2.2:179",vrf="default"} 2"#,
        r#"metallb_bgp_opens_sent{peer="192.0.2.2:179",vrf="default"} 3"#,
        r#"metallb_bgp_opens_received{peer="192.0.2.2:179",vrf="default"} 4"#,
        r#"metallb_bgp_notifications_sent{peer="192.0.2.2:179",vrf="default"} 5"#,
        r#"metallb_bgp_updates_total{peer="192.0.2.2:179",vrf="default"} 6"#,
        r#"metallb_bgp_updates_total_received{peer="192.0.2.2:179",vrf="default"} 7"#,
        r#"metallb_bgp_keepalives_sent{peer="192.0.2.2:179",vrf="default"} 8"#,
        r#"metallb_bgp_keepalives_received{peer="192.0.2.2:179",vrf="default"} 9"#,
        r#"metallb_bgp_route_refresh_sent{peer="192.0.2.2:179",vrf="default"} 10"#,
        r#"metallb_bgp_total_sent{peer="192.0.2.2:179",vrf="default"} 11"#,
        r#"metallb_bgp_total_received{peer="192.0.2.2:179",vrf="default"} 12"#,
        r#"metallb_bfd_session_up{peer="192.0.2.2",vrf="default"} 1"#,
        r#"metallb_bfd_control_packet_input{peer="192.0.2.2",vrf="default"} 13"#,
        r#"metallb_bfd_control_packet_output{peer="192.0.2.2",vrf="default"} 14"#,
        r#"metallb_bfd_echo_packet_input{peer="192.0.2.2",vrf="default"} 18"#,
        r#"metallb_bfd_echo_packet_output{peer="192.0.2.2",vrf="default"} 19"#,
        r#"metallb_bfd_session_up_events{peer="192.0.2.2",vrf="default"} 15"#,
        r#"metallb_bfd_session_down_events{peer="192.0.2.2",vrf="default"} 16"#,
        r#"metallb_bfd_zebra_notifications{peer="192.0.2.2",vrf="default"} 17"#,
        "metallb_k8s_client_updates_total 9",
        "metallb_k8s_client_update_errors_total 2",
        "metallb_k8s_client_config_loaded_bool 1",
        "metallb_k8s_client_config_stale_bool 0",
        r#"corten_address_conflict{ip="10.0.0.1",mac="02:00:00:00:00:09",interface="e\"\\\n0"} 1"#,
        r#"corten_gossip_members{state="alive"} 3"#,
        r#"corten_gossip_members{state="suspect"} 1"#,
        "corten_gossip_health 2",
        "corten_gossip_probes_total 20",
        "corten_gossip_probes_failed_total 21",
        "corten_gossip_suspicions_total 22",
        "corten_gossip_refutations_total 23",
        "corten_gossip_accusations_total 24",
        "corten_gossip_acquittals_total 25",
        "corten_gossip_exchanges_total 26",
        "corten_gossip_packets_sent_total 27",
        "corten_gossip_bytes_sent_total 28",
        "corten_gossip_packets_received_total 29",
        "corten_gossip_bytes_received_total 30",
        r#"corten_gossip_dropped_total{reason="the checksum is wrong"} 31"#,
        "corten_gossip_broadcasts 32",
        "corten_gossip_claims 33",
        r#"corten_gossip_ownership{policy="sticky"} 1"#,
        r#"corten_rejections{kind="IPAddressPool"} 2"#,
        r#"corten_rejections{kind="Unidentified"} 1"#,
        r#"corten_build_info{version="0.1.0"} 1"#,
        "process_cpu_seconds_total 1.25",
        "process_resident_memory_bytes 1",
        "process_virtual_memory_bytes 2",
        "process_open_fds 3",
        "process_max_fds 4",
        "process_threads 5",
        "process_start_time_seconds 1700000000.5",
    ];
    assert_eq!(series(&example()), want);
}

#[test]
fn every_series_has_its_type() {
    let text = example().to_text();
    let start = "# HELP metallb_allocator_addresses_total Addresses a pool has, without those it holds back\n# TYPE metallb_allocator_addresses_total gauge\nmetallb_allocator_addresses_total{";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("# TYPE metallb_layer2_requests_received counter\n"));
    let comments = text.lines().filter(|l| l.starts_with("# TYPE "));
    assert_eq!(comments.count(), FAMILIES.len());
}

#[test]
fn series_vanish_with_what_they_are_about() {
    let snapshot = Snapshot::default();
    let left = series(&snapshot);
    for name in [
        "allocator",
        "layer2",
        "bgp",
        "bfd",
        "announced",
        "conflict",
        "gossip",
        "rejections",
    ] {
        assert!(!left.iter().any(|l| l.contains(name)), "{left:?}");
    }
}

#[test]
fn the_reference_lists_every_family_and_no_other() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/metrics.md"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| `")).collect();
    let want: Vec<String> = FAMILIES
        .iter()
        .map(|f| {
            let labels: Vec<String> = f.labels.iter().map(|l| format!("`{l}`")).collect();
            let (name, type_, labels) = (f.name, f.type_.name(), labels.join(", "));
            format!("| `{name}` | {type_} | {labels} | {} |", f.help)
        })
        .collect();
    assert_eq!(rows, want);
}
