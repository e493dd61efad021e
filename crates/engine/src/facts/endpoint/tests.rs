use super::*;

#[test]
fn who_can_serve() {
    let rows = [
        ("{}", true),
        ("{ready: true}", true),
        ("{ready: false}", false),
        ("{ready: false, serving: true}", true),
        ("{ready: true, serving: false}", true),
        ("{serving: false}", true),
        ("{ready: false, serving: false}", false),
    ];
    for (conditions, serving) in rows {
        let text = format!("addresses: [10.0.0.1]\nnodeName: n\nconditions: {conditions}");
        let endpoint = parse(&serde_saphyr::from_str(&text).unwrap());
        let expected = Endpoint {
            node: Some(NodeName::from("n")),
            serving,
            has_address: true,
        };
        assert_eq!(endpoint, expected, "{conditions}");
    }
    let endpoint = parse(&serde_saphyr::from_str("nodeName: ''").unwrap());
    assert!(endpoint.node.is_none() && !endpoint.has_address);
}
