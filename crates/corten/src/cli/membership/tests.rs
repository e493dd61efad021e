use super::*;

#[test]
fn hosts_with_and_without_port() {
    let host = |name: &str, port| {
        Ok(Host {
            name: name.to_owned(),
            port,
        })
    };
    let rows = [
        ("node-b", host("node-b", 7946)),
        ("node-b.example:17946", host("node-b.example", 17946)),
        ("10.1.0.12", host("10.1.0.12", 7946)),
        ("10.1.0.12:1", host("10.1.0.12", 1)),
        ("fd00::12", host("fd00::12", 7946)),
        ("[fd00::12]", host("fd00::12", 7946)),
        ("[fd00::12]:99", host("fd00::12", 99)),
    ];
    for (text, want) in rows {
        assert_eq!(text.parse::<Host>(), want, "{text}");
    }
    for text in [
        "",
        ":7946",
        "a:b",
        "a:99999",
        "a b",
        "http://a",
        "[fd00::12",
    ] {
        assert!(text.parse::<Host>().is_err(), "{text}");
    }
}

#[test]
fn others_can_reach_where_gossip_is_bound() {
    assert_eq!(bind("10.1.0.11"), Ok("10.1.0.11:7946".parse().unwrap()));
    assert_eq!(bind("[fd00::1]:9"), Ok("[fd00::1]:9".parse().unwrap()));
    for text in ["0.0.0.0", "::", "node-a", "10.1.0.11:0", "224.0.0.1"] {
        assert!(bind(text).is_err(), "{text}");
    }
}
