//! BGPPeer between v1beta1 and v1beta2 (`spec/metallb.md` §1.5).
//!
//! v1beta2 is the version that is stored and worked with. Converting it to v1beta1 and back gives
//! the same object: what v1beta1 has no field for travels in the annotation
//! [`crate::names::BGP_PEER_REMAINDER`]. A field the v1beta1 object sets always wins over the annotation,
//! also over a field that excludes it: a peer given an address is no longer reached by interface.
//!
//! Go clients can't tell an absent field from its zero value, so `peerASN: 0`, `peerAddress: ""`
//! and `peerPort: 0` of v1beta1 are absent in v1beta2, and an empty list or map of a selector is
//! an absent one.

use super::v1beta1::{self, MatchExpression, NodeSelector};
use super::{BGPPeer, BGPPeerSpec, BGPPeerStatus, SecretReference};
use crate::names::BGP_PEER_REMAINDER;
use crate::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a BGPPeer can't be converted.
#[derive(Debug, Error)]
#[error("BGPPeer {object}: annotation {BGP_PEER_REMAINDER}: {source}")]
pub struct ConversionError {
    /// `namespace/name` of the peer.
    pub object: String,
    /// What is wrong with the annotation.
    pub source: serde_json::Error,
}

/// What v1beta1 has no field for: the value of the annotation.
#[derive(Serialize, Deserialize, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Remainder {
    #[serde(default, rename = "localASN", skip_serializing_if = "Option::is_none")]
    local_asn: Option<u32>,
    #[serde(
        default,
        rename = "dynamicASN",
        skip_serializing_if = "Option::is_none"
    )]
    dynamic_asn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connect_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_secret: Option<SecretReference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enable_graceful_restart: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vrf: Option<String>,
    #[serde(default, rename = "disableMP", skip_serializing_if = "Option::is_none")]
    disable_mp: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dual_stack_address_family: Option<bool>,
}

/// The peer in v1beta2.
///
/// # Errors
/// The annotation is there and not as [`to_v1beta1`] writes it.
pub fn to_v1beta2(peer: v1beta1::BGPPeer) -> Result<BGPPeer, ConversionError> {
    let v1beta1::BGPPeer {
        mut metadata,
        spec,
        status,
    } = peer;
    let remainder = take_remainder(&mut metadata)?;
    let peer_asn = Some(spec.peer_asn).filter(|asn| *asn != 0);
    let peer_address = Some(spec.peer_address).filter(|address| !address.is_empty());
    let spec = BGPPeerSpec {
        my_asn: spec.my_asn,
        local_asn: remainder.local_asn,
        dynamic_asn: remainder.dynamic_asn.filter(|_| peer_asn.is_none()),
        peer_asn,
        interface: remainder.interface.filter(|_| peer_address.is_none()),
        peer_address,
        source_address: spec.source_address,
        peer_port: spec.peer_port.filter(|port| *port != 0),
        // DEVIATION: a timer that is not set stays so; MetalLB makes it 0s, which turns it off.
        hold_time: spec.hold_time,
        keepalive_time: spec.keepalive_time,
        connect_time: remainder.connect_time,
        router_id: spec.router_id,
        node_selectors: spec.node_selectors.into_iter().map(standard).collect(),
        password_secret: remainder
            .password_secret
            .filter(|_| spec.password.as_deref().is_none_or(str::is_empty)),
        password: spec.password,
        bfd_profile: spec.bfd_profile,
        enable_graceful_restart: remainder.enable_graceful_restart,
        ebgp_multi_hop: spec.ebgp_multi_hop,
        vrf: remainder.vrf,
        disable_mp: remainder.disable_mp,
        dual_stack_address_family: remainder.dual_stack_address_family,
    };
    Ok(BGPPeer {
        metadata,
        spec,
        status: status.map(|v1beta1::BGPPeerStatus {}| BGPPeerStatus {}),
    })
}

/// The peer in v1beta1.
///
/// # Errors
/// None that is known of: writing the annotation's JSON can't fail for these fields.
pub fn to_v1beta1(peer: BGPPeer) -> Result<v1beta1::BGPPeer, ConversionError> {
    let BGPPeer {
        mut metadata,
        spec,
        status,
    } = peer;
    let remainder = Remainder {
        local_asn: spec.local_asn,
        dynamic_asn: spec.dynamic_asn,
        interface: spec.interface,
        connect_time: spec.connect_time,
        password_secret: spec.password_secret,
        enable_graceful_restart: spec.enable_graceful_restart,
        vrf: spec.vrf,
        disable_mp: spec.disable_mp,
        dual_stack_address_family: spec.dual_stack_address_family,
    };
    // DEVIATION: what v1beta1 has no field for is kept in an annotation; MetalLB drops it.
    put_remainder(&mut metadata, &remainder)?;
    let spec = v1beta1::BGPPeerSpec {
        my_asn: spec.my_asn,
        peer_asn: spec.peer_asn.unwrap_or_default(),
        peer_address: spec.peer_address.unwrap_or_default(),
        source_address: spec.source_address,
        peer_port: spec.peer_port,
        hold_time: spec.hold_time,
        keepalive_time: spec.keepalive_time,
        router_id: spec.router_id,
        node_selectors: spec.node_selectors.into_iter().map(legacy).collect(),
        password: spec.password,
        bfd_profile: spec.bfd_profile,
        ebgp_multi_hop: spec.ebgp_multi_hop,
    };
    Ok(v1beta1::BGPPeer {
        metadata,
        spec,
        status: status.map(|BGPPeerStatus {}| v1beta1::BGPPeerStatus {}),
    })
}

fn take_remainder(metadata: &mut ObjectMeta) -> Result<Remainder, ConversionError> {
    let Some(text) = remove_annotation(metadata) else {
        return Ok(Remainder::default());
    };
    serde_json::from_str(&text).map_err(|source| ConversionError {
        object: key(metadata),
        source,
    })
}

fn put_remainder(metadata: &mut ObjectMeta, remainder: &Remainder) -> Result<(), ConversionError> {
    remove_annotation(metadata);
    if *remainder == Remainder::default() {
        return Ok(());
    }
    let text = serde_json::to_string(remainder).map_err(|source| ConversionError {
        object: key(metadata),
        source,
    })?;
    metadata
        .annotations
        .get_or_insert_default()
        .insert(BGP_PEER_REMAINDER.to_owned(), text);
    Ok(())
}

fn remove_annotation(metadata: &mut ObjectMeta) -> Option<String> {
    let annotations = metadata.annotations.as_mut()?;
    let text = annotations.remove(BGP_PEER_REMAINDER);
    if annotations.is_empty() {
        metadata.annotations = None;
    }
    text
}

fn key(metadata: &ObjectMeta) -> String {
    format!(
        "{}/{}",
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default()
    )
}

fn standard(selector: NodeSelector) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector.match_labels).filter(|labels| !labels.is_empty()),
        match_expressions: Some(selector.match_expressions)
            .filter(|expressions| !expressions.is_empty())
            .map(|expressions| expressions.into_iter().map(requirement).collect()),
    }
}

fn requirement(expression: MatchExpression) -> LabelSelectorRequirement {
    LabelSelectorRequirement {
        key: expression.key,
        operator: expression.operator,
        values: Some(expression.values).filter(|values| !values.is_empty()),
    }
}

fn legacy(selector: LabelSelector) -> NodeSelector {
    NodeSelector {
        match_labels: selector.match_labels.unwrap_or_default(),
        match_expressions: selector
            .match_expressions
            .unwrap_or_default()
            .into_iter()
            .map(|requirement| MatchExpression {
                key: requirement.key,
                operator: requirement.operator,
                values: requirement.values.unwrap_or_default(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
