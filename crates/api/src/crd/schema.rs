//! The parts of the CRD schemas that a derive can't say: integer formats, Kubernetes' own types
//! and the rules an API server evaluates.
//!
//! Kubernetes' types are described here and not taken from `k8s-openapi`'s own schemas: they
//! would carry its descriptions and miss the list and map types (`spec/metallb.md` §1).

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// An integer of no stated width.
pub(crate) fn integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer" })
}

/// An integer that Go clients hold in 32 bits.
pub(crate) fn int32(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32" })
}

/// An integer that Go clients hold in 64 bits.
pub(crate) fn int64(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int64" })
}

/// A list of label selectors.
pub(crate) fn selectors(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": selector(generator) })
}

/// A label selector, which is replaced as a whole by server-side apply.
pub(crate) fn selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Selects by labels: every one of matchLabels and of matchExpressions must hold.",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must be there with exactly this value.",
                "type": "object",
                "additionalProperties": { "type": "string" },
            },
            "matchExpressions": {
                "description": "Conditions on single labels.",
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "A condition on one label.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": { "description": "The label.", "type": "string" },
                        "operator": {
                            "description": "In, NotIn, Exists or DoesNotExist.",
                            "type": "string",
                        },
                        "values": {
                            "description": "The values of In and NotIn; none for the others.",
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string" },
                        },
                    },
                },
            },
        },
    })
}

/// The standard list of conditions, one for each type.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "The result of one reconciler.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "description": "When the status was last written.",
                    "type": "string",
                    "format": "date-time",
                },
                "message": {
                    "description": "The cause in words; may be empty.",
                    "type": "string",
                    "maxLength": 32_768,
                },
                "observedGeneration": {
                    "description": "The generation of the object the condition is about.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "The cause in one word.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "Name of the condition.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": concat!(
                        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?",
                        r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
                    ),
                },
            },
        },
    })
}

/// A field that keeps its value once it has one.
pub(crate) fn unchanged(message: &str) -> Value {
    json!([{ "rule": "self == oldSelf", "message": message }])
}

/// `connectTime`: 1 to 65535 whole seconds.
pub(crate) fn connect_time() -> Value {
    json!([
        {
            "rule": "duration(self) >= duration('1s') && duration(self) <= duration('65535s')",
            "message": "connect time should be between 1 seconds to 65535",
        },
        {
            "rule": "duration(self).getMilliseconds() % 1000 == 0",
            "message": "connect time should contain a whole number of seconds",
        },
    ])
}

/// `holdTime`: 0 or at least 3 whole seconds.
pub(crate) fn hold_time() -> Value {
    json!([{
        "rule": "duration(self).getSeconds() == 0 || duration(self).getSeconds() >= 3",
        "message": "hold time must be 0 or at least 3s",
    }])
}

/// What no BGPPeer may say, whatever else there is.
pub(crate) fn peer() -> Value {
    // DEVIATION: MetalLB's definitions take all of this; its parser refuses the whole configuration.
    json!([
        {
            "rule": "self.myASN != 0",
            "message": "myASN: 0 is not a valid AS number",
        },
        {
            "rule": one_of("peerASN", "0", "dynamicASN", "''"),
            "message": "just one of peerASN and dynamicASN is needed",
        },
        {
            "rule": one_of("peerAddress", "''", "interface", "''"),
            "message": "just one of peerAddress and interface is needed",
        },
        {
            "rule": concat!(
                "!(has(self.ebgpMultiHop) && self.ebgpMultiHop && ",
                "has(self.peerASN) && self.peerASN == self.myASN)"
            ),
            "message": "ebgpMultiHop needs a peer of another AS than myASN",
        },
        {
            "rule": concat!(
                "!(has(self.password) && self.password != '' && has(self.passwordSecret) && ",
                "has(self.passwordSecret.name) && self.passwordSecret.name != '')"
            ),
            "message": "password and passwordSecret are mutually exclusive",
        },
        {
            "rule": concat!(
                "!has(self.keepaliveTime) || !has(self.holdTime) || ",
                "duration(self.keepaliveTime) <= duration(self.holdTime)"
            ),
            "message": "keepalive time must not be longer than hold time",
        },
    ])
}

/// Just one of two fields says something other than nothing.
fn one_of(a: &str, nothing_a: &str, b: &str, nothing_b: &str) -> String {
    format!(
        "(has(self.{a}) && self.{a} != {nothing_a}) != (has(self.{b}) && self.{b} != {nothing_b})"
    )
}

/// A pool has addresses.
pub(crate) fn not_empty() -> Value {
    json!([{ "rule": "size(self) > 0", "message": "no addresses" }])
}

/// A BGPAdvertisement aggregates to a length there is; one for some Services only can't
/// aggregate at all, since the prefix would cover others.
pub(crate) fn aggregation() -> Value {
    json!([
        {
            "rule": concat!(
                "!(has(self.serviceSelectors) && size(self.serviceSelectors) > 0) || (",
                "(has(self.aggregationLength) ? self.aggregationLength == 32 : true) && ",
                "(has(self.aggregationLengthV6) ? self.aggregationLengthV6 == 128 : true))"
            ),
            "message": "serviceSelectors and aggregationLength are mutually exclusive: leave \
                        aggregationLength at 32 and aggregationLengthV6 at 128",
        },
        {
            "rule": "!has(self.aggregationLength) || self.aggregationLength <= 32",
            "message": "aggregationLength must be at most 32",
        },
        {
            "rule": "!has(self.aggregationLengthV6) || self.aggregationLengthV6 <= 128",
            "message": "aggregationLengthV6 must be at most 128",
        },
    ])
}
