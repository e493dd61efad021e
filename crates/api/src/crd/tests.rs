//! The definitions against the tables of `spec/metallb.md` §1, both ways: every row is in the
//! definition, and the definition has nothing that is in no row.

mod fields;

use super::*;
use fields::{FIELDS, RULES, SELECTOR};
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// Kind, plural, singular, then the versions in order.
const NAMES: &[(&str, &str, &str, &[&str])] = &[
    ("BFDProfile", "bfdprofiles", "bfdprofile", &["v1beta1"]),
    (
        "BGPAdvertisement",
        "bgpadvertisements",
        "bgpadvertisement",
        &["v1beta1"],
    ),
    ("BGPPeer", "bgppeers", "bgppeer", &["v1beta1", "v1beta2"]),
    ("Community", "communities", "community", &["v1beta1"]),
    (
        "ConfigurationState",
        "configurationstates",
        "configurationstate",
        &["v1beta1"],
    ),
    (
        "IPAddressPool",
        "ipaddresspools",
        "ipaddresspool",
        &["v1beta1"],
    ),
    (
        "L2Advertisement",
        "l2advertisements",
        "l2advertisement",
        &["v1beta1"],
    ),
    (
        "ServiceBGPStatus",
        "servicebgpstatuses",
        "servicebgpstatus",
        &["v1beta1"],
    ),
    (
        "ServiceL2Status",
        "servicel2statuses",
        "servicel2status",
        &["v1beta1"],
    ),
];

/// `Kind/version`, then name, type, path and, where it isn't 0, priority of each column.
const COLUMNS: &[(&str, &[&str])] = &[
    (
        "BFDProfile/v1beta1",
        &[
            "Passive Mode|boolean|.spec.passiveMode",
            "Transmit Interval|integer|.spec.transmitInterval",
            "Receive Interval|integer|.spec.receiveInterval",
            "Multiplier|integer|.spec.detectMultiplier",
        ],
    ),
    (
        "BGPAdvertisement/v1beta1",
        &[
            "IPAddressPools|string|.spec.ipAddressPools",
            "IPAddressPool Selectors|string|.spec.ipAddressPoolSelectors",
            "Peers|string|.spec.peers",
            "Node Selectors|string|.spec.nodeSelectors|10",
        ],
    ),
    ("BGPPeer/v1beta1", PEER_COLUMNS),
    ("BGPPeer/v1beta2", PEER_COLUMNS),
    ("Community/v1beta1", &[]),
    (
        "ConfigurationState/v1beta1",
        &[
            "Result|string|.status.result",
            "ErrorSummary|string|.status.errorSummary",
            "Age|date|.metadata.creationTimestamp",
        ],
    ),
    (
        "IPAddressPool/v1beta1",
        &[
            "Auto Assign|boolean|.spec.autoAssign",
            "Avoid Buggy IPs|boolean|.spec.avoidBuggyIPs",
            "Addresses|string|.spec.addresses",
        ],
    ),
    (
        "L2Advertisement/v1beta1",
        &[
            "IPAddressPools|string|.spec.ipAddressPools",
            "IPAddressPool Selectors|string|.spec.ipAddressPoolSelectors",
            "Interfaces|string|.spec.interfaces",
            "Node Selectors|string|.spec.nodeSelectors|10",
        ],
    ),
    (
        "ServiceBGPStatus/v1beta1",
        &[
            "Node|string|.status.node",
            "Service Name|string|.status.serviceName",
            "Service Namespace|string|.status.serviceNamespace",
        ],
    ),
    (
        "ServiceL2Status/v1beta1",
        &[
            "Allocated Node|string|.status.node",
            "Service Name|string|.status.serviceName",
            "Service Namespace|string|.status.serviceNamespace",
        ],
    ),
];

const PEER_COLUMNS: &[&str] = &[
    "Address|string|.spec.peerAddress",
    "ASN|string|.spec.peerASN",
    "BFD Profile|string|.spec.bfdProfile",
    "Multi Hops|string|.spec.ebgpMultiHop",
];

/// The definitions as JSON, one for each kind and version, with the kind's other parts.
fn versions() -> BTreeMap<String, Value> {
    all(DEFAULT_NAMESPACE)
        .iter()
        .flat_map(|crd| {
            let kind = &crd.spec.names.kind;
            crd.spec.versions.iter().map(move |version| {
                let mut value = serde_json::to_value(version).unwrap();
                whole_numbers(&mut value);
                (format!("{kind}/{}", version.name), value)
            })
        })
        .collect()
}

fn root_of(version: &Value) -> &Map<String, Value> {
    version["schema"]["openAPIV3Schema"].as_object().unwrap()
}

/// Called with path, schema and whether the field is required.
type Visit<'a> = dyn FnMut(&str, &Map<String, Value>, bool) + 'a;

/// Calls `visit` for a schema and everything below it.
fn walk(path: &str, schema: &Map<String, Value>, required: bool, visit: &mut Visit<'_>) {
    visit(path, schema, required);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let demanded = schema.get("required").and_then(Value::as_array);
        for name in demanded.into_iter().flatten() {
            assert!(
                properties.contains_key(name.as_str().unwrap()),
                "{path}: {name}"
            );
        }
        for (name, property) in properties {
            let required = demanded.is_some_and(|d| d.contains(&json!(name)));
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{name}");
            walk(&path, property.as_object().unwrap(), required, visit);
        }
    }
    for (keyword, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(keyword) {
            let path = format!("{path}{mark}");
            walk(&path, inner.as_object().unwrap(), false, visit);
        }
    }
}

/// A schema as a row of [`FIELDS`].
fn row(path: &str, schema: &Map<String, Value>, required: bool) -> String {
    // Children and rules have rows of their own; descriptions are free.
    const ELSEWHERE: [&str; 8] = [
        "type",
        "format",
        "description",
        "properties",
        "items",
        "additionalProperties",
        "required",
        "x-kubernetes-validations",
    ];
    let mut row = format!("{path}: {}", schema["type"].as_str().unwrap());
    if let Some(format) = schema.get("format") {
        row += &format!("/{}", format.as_str().unwrap());
    }
    let further: BTreeMap<_, _> = schema
        .iter()
        .filter(|(keyword, _)| !ELSEWHERE.contains(&keyword.as_str()))
        .collect();
    for (keyword, value) in further {
        row += &format!(" {keyword}={value}");
    }
    if required {
        row += " required";
    }
    row
}

/// The table's row as the rows it stands for.
fn expand(row: &str) -> Vec<String> {
    let (path, rest) = row.split_once(": ").unwrap();
    let Some(required) = rest.strip_prefix("selector") else {
        return vec![row.to_owned()];
    };
    let mut rows: Vec<String> = SELECTOR.iter().map(|r| format!("{path}{r}")).collect();
    rows[0] += required;
    rows
}

#[test]
fn every_field_is_as_in_the_tables() {
    let versions = versions();
    assert_eq!(
        versions.keys().collect::<Vec<_>>(),
        FIELDS.iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    );
    for (kind, rows) in FIELDS {
        let mut expected: Vec<String> = rows.iter().flat_map(|row| expand(row)).collect();
        let mut found = Vec::new();
        walk(
            "",
            root_of(&versions[*kind]),
            false,
            &mut |path, schema, required| {
                if path.is_empty() {
                    assert_eq!(row("", schema, false), ": object", "{kind}");
                } else {
                    found.push(row(path, schema, required));
                }
            },
        );
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{kind}");
    }
}

#[test]
fn every_rule_is_as_in_the_tables() {
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    for (kind, version) in versions() {
        walk("", root_of(&version), false, &mut |path, schema, _| {
            if let Some(rules) = schema.get("x-kubernetes-validations") {
                let messages = rules.as_array().unwrap().iter().map(|rule| {
                    assert!(
                        rule["rule"].as_str().unwrap().contains("self"),
                        "{kind} {path}"
                    );
                    rule["message"].as_str().unwrap().to_owned()
                });
                found.push((kind.clone(), path.to_owned(), messages.collect()));
            }
        });
    }
    let expected: Vec<(String, String, Vec<String>)> = RULES
        .iter()
        .map(|(kind, path, messages)| {
            let messages = messages.iter().map(|m| (*m).to_owned()).collect();
            ((*kind).to_owned(), (*path).to_owned(), messages)
        })
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn every_field_says_what_it_is() {
    for (kind, version) in versions() {
        walk("", root_of(&version), false, &mut |path, schema, _| {
            let described = schema.get("description").and_then(Value::as_str);
            if !path.ends_with("[]") && !path.ends_with("{}") {
                assert!(described.is_some_and(|d| !d.is_empty()), "{kind} {path}");
            }
        });
    }
}

#[test]
fn columns_are_as_in_the_tables() {
    let versions = versions();
    assert_eq!(COLUMNS.len(), versions.len());
    for (kind, columns) in COLUMNS {
        let found: Vec<String> = versions[*kind]["additionalPrinterColumns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|column| {
                let text = |key: &str| column[key].as_str().unwrap().to_owned();
                let priority = column.get("priority").map(|p| format!("|{p}"));
                format!(
                    "{}|{}|{}{}",
                    text("name"),
                    text("type"),
                    text("jsonPath"),
                    priority.unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(found, *columns, "{kind}");
    }
}

#[test]
fn names_and_scope() {
    let crds = all(DEFAULT_NAMESPACE);
    assert_eq!(crds.len(), NAMES.len());
    for (crd, (kind, plural, singular, versions)) in crds.iter().zip(NAMES) {
        let mut crd = serde_json::to_value(crd).unwrap();
        assert_eq!(
            crd["metadata"],
            json!({ "name": format!("{plural}.metallb.io") })
        );
        let spec = crd["spec"].as_object_mut().unwrap();
        let found: Vec<Value> = spec
            .remove("versions")
            .unwrap()
            .as_array()
            .unwrap()
            .to_vec();
        let found: Vec<&str> = found.iter().map(|v| v["name"].as_str().unwrap()).collect();
        assert_eq!(found, *versions);
        spec.remove("conversion");
        assert_eq!(
            crd["spec"],
            json!({
                "group": "metallb.io",
                "scope": "Namespaced",
                "names": {
                    "kind": kind,
                    "listKind": format!("{kind}List"),
                    "plural": plural,
                    "singular": singular,
                },
            })
        );
    }
}

#[test]
fn versions_are_served_and_stored() {
    for (kind, version) in versions() {
        let mut rest = version.as_object().unwrap().clone();
        rest.remove("schema");
        rest.remove("additionalPrinterColumns");
        let (_, name) = kind.split_once('/').unwrap();
        let mut expected = json!({
            "name": name,
            "served": true,
            "storage": kind != "BGPPeer/v1beta1",
            "subresources": { "status": {} },
        });
        if kind == "BGPPeer/v1beta1" {
            expected["deprecated"] = json!(true);
            expected["deprecationWarning"] = json!("v1beta1 is deprecated, please use v1beta2");
        }
        assert_eq!(Value::Object(rest), expected, "{kind}");
    }
}

#[test]
fn only_peers_are_converted() {
    for crd in all("elsewhere") {
        let conversion = serde_json::to_value(&crd.spec.conversion).unwrap();
        let expected = if crd.spec.names.kind == "BGPPeer" {
            json!({
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {
                        "service": {
                            "name": "metallb-webhook-service",
                            "namespace": "elsewhere",
                            "path": "/convert",
                        },
                    },
                    "conversionReviewVersions": ["v1beta1", "v1beta2"],
                },
            })
        } else {
            Value::Null
        };
        assert_eq!(conversion, expected);
    }
}

#[test]
fn the_yaml_reads_back_as_the_definitions() {
    let text = yaml(DEFAULT_NAMESPACE).unwrap();
    assert_eq!(text, yaml(DEFAULT_NAMESPACE).unwrap());
    let read: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(read, all(DEFAULT_NAMESPACE));
    let names: Vec<_> = read.iter().map(|crd| crd.metadata.name.clone()).collect();
    assert!(names.is_sorted());
    assert_eq!(text.matches("---\n").count(), NAMES.len());
    assert!(!text.contains(".0\n"), "a bound is written as a fraction");
}
