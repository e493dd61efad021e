//! The answers: whether an object may be, and what it is in another version. No requests here.

use crate::directory::read::kinds as types;
use crate::kubernetes::kinds;
use crate::kubernetes::wire::Wire;
use corten_api::bgp::{self, conversion, v1beta1};
use corten_engine::config::backend::{self, Backend};
use corten_engine::event::{Event, Object};
use corten_engine::facts::{Facts, Origin};
use corten_engine::rejection::{Kind, ObjectRef, Rejection, Subject};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A question of admission.
#[derive(Debug, Deserialize)]
pub(super) struct AdmissionReview {
    request: AdmissionRequest,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionRequest {
    uid: String,
    operation: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    object: Option<Wire>,
    #[serde(default)]
    old_object: Option<Wire>,
}

/// What is to become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be; with what someone should know.
    Allowed(Vec<String>),
    /// It may not, and why.
    Denied { code: u16, cause: String },
}

impl Verdict {
    fn denied(cause: impl Into<String>) -> Self {
        Self::Denied {
            code: 403,
            cause: cause.into(),
        }
    }
}

impl AdmissionReview {
    /// The answer, as the API server reads it.
    pub(super) fn answer(&self, verdict: &Verdict) -> Value {
        let uid = &self.request.uid;
        let response = match verdict {
            Verdict::Allowed(warnings) => {
                json!({"uid": uid, "allowed": true, "warnings": warnings})
            }
            Verdict::Denied { code, cause } => {
                json!({"uid": uid, "allowed": false, "status": {"code": code, "message": cause}})
            }
        };
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
    }

    /// Judges the request. `own` is Corten's namespace; `listed` gives the objects there are of
    /// the kinds [`beside`] names; `backend` is what MetalLB would be run as.
    pub(super) fn judge(
        &self,
        kind: Kind,
        own: &str,
        listed: Vec<Object>,
        backend: Backend,
    ) -> Verdict {
        let request = &self.request;
        if request.operation == "DELETE" {
            return delete(kind, request.old_object.as_ref(), &listed);
        }
        if request.operation == "CREATE" && request.namespace != own {
            return Verdict::denied(format!("resource must be created in {own} namespace"));
        }
        let Some(wire) = &request.object else {
            return Verdict::Denied {
                code: 400,
                cause: "the request has no object".to_owned(),
            };
        };
        let reference = ObjectRef::new(kind, &request.namespace, wire.name());
        let (read, _unused) = types::decode(kind, kinds::version(kind), &reference, &wire.tree);
        let candidate = match read {
            Ok(candidate) => candidate,
            Err(error) => {
                return Verdict::Denied {
                    code: 400,
                    cause: format!("{reference}: {error}"),
                };
            }
        };
        weigh(&reference, candidate, listed, backend)
    }
}

/// The kinds whose objects a kind's are judged beside (`spec/metallb.md` §2.2).
pub(super) fn beside(kind: Kind, operation_is_delete: bool) -> &'static [Kind] {
    match kind {
        Kind::IPAddressPool => &[Kind::IPAddressPool],
        Kind::BGPAdvertisement => &[Kind::BGPAdvertisement, Kind::IPAddressPool, Kind::Node],
        Kind::L2Advertisement => &[Kind::L2Advertisement, Kind::IPAddressPool],
        Kind::Community => &[Kind::Community],
        Kind::BGPPeer => &[Kind::BGPPeer, Kind::Node],
        Kind::BFDProfile if operation_is_delete => &[Kind::BGPPeer],
        Kind::BFDProfile
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Node
        | Kind::Namespace
        | Kind::Secret => &[],
    }
}

impl AdmissionReview {
    /// Whether something is to be deleted.
    pub(super) fn is_delete(&self) -> bool {
        self.request.operation == "DELETE"
    }
}

/// Only a BFDProfile's deletion is asked about.
fn delete(kind: Kind, old: Option<&Wire>, listed: &[Object]) -> Verdict {
    let (Kind::BFDProfile, Some(old)) = (kind, old) else {
        return Verdict::Allowed(Vec::new());
    };
    let user = listed.iter().find_map(|object| {
        let Object::BGPPeer(peer) = object else {
            return None;
        };
        let uses = peer.spec.bfd_profile.as_deref() == Some(old.name());
        uses.then(|| peer.metadata.name.clone().unwrap_or_default())
    });
    match user {
        None => Verdict::Allowed(Vec::new()),
        Some(peer) => Verdict::denied(format!(
            "failed to delete BFDProfile {}: used by BGPPeer {peer}",
            old.name()
        )),
    }
}

/// Denies what is wrong about the candidate, and what only becomes wrong by it.
fn weigh(
    reference: &ObjectRef,
    candidate: Object,
    mut listed: Vec<Object>,
    backend: Backend,
) -> Verdict {
    listed.retain(|object| object.reference() != *reference);
    let before = facts(listed.clone());
    listed.push(candidate);
    let after = facts(listed);
    let of_candidate = |r: &&Rejection| r.subject == Subject::Object(reference.clone());
    let known: BTreeSet<_> = before.problems().iter().collect();
    let wrong: Vec<String> = after
        .problems()
        .iter()
        .filter(|r| of_candidate(r) || !known.contains(r))
        .map(ToString::to_string)
        .collect();
    if !wrong.is_empty() {
        return Verdict::denied(wrong.join("\n"));
    }
    let known: BTreeSet<_> = backend::check(&before, backend).into_iter().collect();
    let refused = backend::check(&after, backend);
    let new = refused
        .iter()
        .filter(|r| of_candidate(r) || !known.contains(r));
    Verdict::Allowed(
        new.map(|r| format!("MetalLB in mode {backend} would refuse this: {r}"))
            .collect(),
    )
}

/// Facts of just these objects, references that may yet come left out (§2.2).
fn facts(objects: Vec<Object>) -> Facts {
    let mut events: Vec<Event> = objects
        .into_iter()
        .map(without_transient)
        .map(Event::Apply)
        .collect();
    events.extend(Kind::ALL.into_iter().map(Event::Listed));
    let mut facts = Facts::new(Origin::Kubernetes);
    facts.handle(events);
    facts
}

fn without_transient(mut object: Object) -> Object {
    if let Object::BGPPeer(peer) = &mut object {
        peer.spec.bfd_profile = None;
        peer.spec.password_secret = None;
    }
    if let Object::BGPAdvertisement(advertisement) = &mut object {
        advertisement.spec.communities.retain(|c| c.contains(':'));
    }
    object
}

/// A question of conversion; answered in the version it is asked in, which is v1beta1 where the
/// definition says what MetalLB's says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversionReview {
    api_version: String,
    request: ConversionRequest,
}

#[derive(Debug, Deserialize)]
struct ConversionRequest {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired: String,
    objects: Vec<Value>,
}

impl ConversionReview {
    /// The objects in the version asked for, or why there are none.
    pub(super) fn answer(self) -> Value {
        let asked_in = self.api_version;
        let ConversionRequest {
            uid,
            desired,
            objects,
        } = self.request;
        let converted: Result<Vec<_>, _> =
            objects.into_iter().map(|o| convert(o, &desired)).collect();
        let response = match converted {
            Ok(objects) => {
                json!({"uid": uid, "result": {"status": "Success"}, "convertedObjects": objects})
            }
            Err(cause) => json!({"uid": uid, "result": {"status": "Failure", "message": cause}}),
        };
        json!({"apiVersion": asked_in, "kind": "ConversionReview", "response": response})
    }
}

fn convert(object: Value, desired: &str) -> Result<Value, String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let name = name.to_owned();
    let failed = |error: String| format!("BGPPeer {name}: {error}");
    let read = |error: serde_json::Error| failed(error.to_string());
    let version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
    if version == desired {
        return Ok(object);
    }
    match (version.as_str(), desired) {
        ("metallb.io/v1beta1", "metallb.io/v1beta2") => {
            let peer: v1beta1::BGPPeer = serde_json::from_value(object).map_err(read)?;
            let peer = conversion::to_v1beta2(peer).map_err(|e| failed(e.to_string()))?;
            serde_json::to_value(peer).map_err(read)
        }
        ("metallb.io/v1beta2", "metallb.io/v1beta1") => {
            let peer: bgp::BGPPeer = serde_json::from_value(object).map_err(read)?;
            let peer = conversion::to_v1beta1(peer).map_err(|e| failed(e.to_string()))?;
            serde_json::to_value(peer).map_err(read)
        }
        (version, desired) => Err(failed(format!("no conversion from {version} to {desired}"))),
    }
}

#[cfg(test)]
mod tests;
