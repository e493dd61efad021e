//! Why an object was not accepted: object, field, cause, and where it was read.

use serde::Serialize;
use std::fmt;

/// The kinds Corten reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// v1 Service.
    Service,
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice,
    /// v1 Node.
    Node,
    /// v1 Namespace.
    Namespace,
    /// metallb.io IPAddressPool.
    IPAddressPool,
    /// metallb.io L2Advertisement.
    L2Advertisement,
    /// metallb.io BGPAdvertisement.
    BGPAdvertisement,
    /// metallb.io BGPPeer.
    BGPPeer,
    /// metallb.io BFDProfile.
    BFDProfile,
    /// metallb.io Community.
    Community,
    /// v1 Secret; only those a BGPPeer names.
    Secret,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Node,
        Self::Namespace,
        Self::IPAddressPool,
        Self::L2Advertisement,
        Self::BGPAdvertisement,
        Self::BGPPeer,
        Self::BFDProfile,
        Self::Community,
        Self::Secret,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One object of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectRef {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// The object `kind namespace/name`.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Why an object, or a part of a source, was not accepted. The last good version of the object
/// stays in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rejection {
    /// The object; `Unidentified` if the text broke before its name was known.
    pub subject: Subject,
    /// Path of the field, such as `spec.addresses[1]`; empty if the object as a whole is meant.
    pub field: String,
    /// The cause, in MetalLB's words where MetalLB has some (`spec/metallb.md` §2.4, §2.6).
    pub cause: String,
    /// Where it was read, such as `pools.yaml:14`; empty if the source has no places.
    pub place: String,
}

/// What is wrong with an object, before it is said with which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Path of the field; empty if the object as a whole is meant.
    pub field: String,
    /// The cause.
    pub cause: String,
}

impl Fault {
    /// `cause` at `field`.
    #[must_use]
    pub fn new(field: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self {
            field: field.into(),
            cause: cause.to_string(),
        }
    }

    /// The rejection of `object` for this; the compiler knows no places.
    #[must_use]
    pub fn of(self, object: &ObjectRef) -> Rejection {
        Rejection {
            subject: Subject::Object(object.clone()),
            field: self.field,
            cause: self.cause,
            place: String::new(),
        }
    }
}

/// What a rejection is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// This object.
    Object(ObjectRef),
    /// A part of the source that can't be read far enough to name an object: anything may be in it.
    Unidentified,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        if let Subject::Object(o) = &self.subject {
            write!(f, "{o}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.cause)
    }
}
