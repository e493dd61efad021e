//! Which object a document is, or was meant to be.
//!
//! An object that is named wrongly would make the object really meant look deleted, so a name is
//! only believed where it can't be the beginning of a longer one.

use super::kinds;
use crate::directory::tree::{Document, Node};
use corten_engine::rejection::{Kind, ObjectRef, Subject};

/// Namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// What the outline of a broken document tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outline {
    /// This object.
    Object(ObjectRef),
    /// An object of a kind that isn't read.
    OtherKind(String),
    /// Nothing certain.
    Unknown,
}

/// The object a parsed document is.
pub(crate) fn of_node(kind: Kind, node: &Node) -> Subject {
    let metadata = node.get("metadata");
    let name = metadata.and_then(|m| m.text("name")).unwrap_or_default();
    let namespace = metadata.and_then(|m| m.text("namespace"));
    reference(kind, namespace.unwrap_or_default(), name)
        .map_or(Subject::Unidentified, Subject::Object)
}

fn reference(kind: Kind, namespace: &str, name: &str) -> Option<ObjectRef> {
    let namespace = match (kinds::is_namespaced(kind), namespace) {
        (false, _) => "",
        (true, "") => DEFAULT_NAMESPACE,
        (true, given) => given,
    };
    let valid = is_name(name) && (namespace.is_empty() || is_name(namespace));
    valid.then(|| ObjectRef::new(kind, namespace, name))
}

/// A DNS subdomain (RFC 1123), as Kubernetes wants names to be.
fn is_name(text: &str) -> bool {
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= 253
        && text.split('.').all(|part| {
            let bytes = part.as_bytes();
            edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
        })
}

/// Reads `kind` and `metadata` by indentation alone. A line at column 0 can't belong to a block
/// scalar, and a document the file ends in may be cut off anywhere, so nothing in that is certain.
pub(crate) fn outline(document: &Document<'_>) -> Outline {
    let mut kind = "";
    let (mut namespace, mut name) = ("", "");
    let (mut in_metadata, mut depth) = (false, None);
    for line in document.text.lines() {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - content.len();
        let Some((key, value)) = content.split_once(':') else {
            continue;
        };
        let value = scalar(value);
        if indent == 0 {
            in_metadata = key == "metadata" && value.is_empty();
            depth = None;
            if key == "kind" {
                kind = value;
            }
        } else if in_metadata && *depth.get_or_insert(indent) == indent {
            match key {
                "name" => name = value,
                "namespace" => namespace = value,
                _ => {}
            }
        }
    }
    if kind.is_empty() || kind.ends_with("List") || document.torn {
        return Outline::Unknown;
    }
    match kinds::by_name(kind) {
        Some(kind) => reference(kind, namespace, name).map_or(Outline::Unknown, Outline::Object),
        None if kind.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Outline::OtherKind(kind.to_owned())
        }
        None => Outline::Unknown,
    }
}

fn scalar(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or_default().trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')));
    unquoted.unwrap_or(value)
}
