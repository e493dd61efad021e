//! An object as the API server sends it, cut down while it is read: what nobody uses
//! (`managedFields`) is never built, and what `kubectl apply` keeps is set aside.
//!
//! Reading never fails for what is in an object: one that is no such kind is a value of its own,
//! so that it can't end the watch of its neighbours.

use crate::directory::tree::{Node, Value};
use kube::api::{ApiResource, ObjectMeta, Resource};
use kube::core::DynamicResourceScope;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting read; the API server allows no deeper objects of these kinds.
const MAX_DEPTH: usize = 64;
/// Left out wherever it is.
const UNUSED: &str = "managedFields";
/// The annotation `kubectl apply` keeps an object in.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object, not yet judged.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    /// What the watch itself needs: names, `resourceVersion`.
    meta: ObjectMeta,
    /// What `kubectl apply` keeps in an annotation.
    applied: Option<Node>,
    /// The object, without that.
    pub(super) tree: Node,
}

impl Wire {
    /// Name.
    pub(super) fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    /// Namespace; empty for cluster-scoped kinds.
    pub(super) fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }

    /// Identity of the object among those of its name over time.
    pub(super) fn uid(&self) -> &str {
        self.meta.uid.as_deref().unwrap_or_default()
    }

    /// The object as JSON, whole but for `managedFields`.
    pub(super) fn json(&self) -> serde_json::Value {
        let mut object = json(&self.tree);
        if let Some(applied) = &self.applied {
            object["metadata"]["annotations"][APPLIED] = json(applied);
        }
        object
    }
}

impl Resource for Wire {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tree = Tree { depth: 0 }.deserialize(deserializer)?;
        let applied = set_aside(&mut tree);
        let text = |key: &str| {
            let metadata = tree.get("metadata")?;
            metadata.text(key).map(str::to_owned)
        };
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self {
            meta,
            applied,
            tree,
        })
    }
}

/// Takes what `kubectl apply` keeps out of an object.
fn set_aside(tree: &mut Node) -> Option<Node> {
    let mut inner = tree;
    for key in ["metadata", "annotations"] {
        let Value::Map(entries) = &mut inner.value else {
            return None;
        };
        inner = entries.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)?;
    }
    let Value::Map(entries) = &mut inner.value else {
        return None;
    };
    let at = entries.iter().position(|(k, _)| k == APPLIED)?;
    Some(entries.swap_remove(at).1)
}

/// A tree that came from JSON as JSON.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::Unsigned(v) => (*v).into(),
        Value::Float(v) => (*v).into(),
        Value::Text(v) => v.as_str().into(),
        Value::Seq(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|(k, v)| (k.clone(), json(v))).collect(),
    }
}

/// Reads a value as a tree; lines say nothing here and are all 1.
#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
}

impl Tree {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

fn node(value: Value) -> Node {
    Node { line: 1, value }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(node(Value::Null))
    }

    fn visit_bool<E>(self, v: bool) -> Result<Node, E> {
        Ok(node(Value::Bool(v)))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Node, E> {
        Ok(node(Value::Int(v)))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Node, E> {
        Ok(node(
            i64::try_from(v).map_or(Value::Unsigned(v), Value::Int),
        ))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Node, E> {
        Ok(node(Value::Float(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Node, E> {
        Ok(node(Value::Text(v.to_owned())))
    }

    fn visit_string<E>(self, v: String) -> Result<Node, E> {
        Ok(node(Value::Text(v)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(node(Value::Seq(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == UNUSED {
                map.next_value::<IgnoredAny>()?;
            } else {
                entries.push((key, map.next_value_seed(inner)?));
            }
        }
        Ok(node(Value::Map(entries)))
    }
}

#[cfg(test)]
mod tests;
