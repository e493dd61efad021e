//! A YAML document as a tree that remembers lines, and a file cut into documents.
//!
//! Documents are cut apart before they are parsed, so that one broken document leaves its
//! neighbours readable. YAML forbids a document marker at the start of a line inside any scalar,
//! so the cut is exact (YAML 1.2 §9.1.2). Size, depth and alias expansion are bounded.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// Text, from its `---` line if it has one.
    pub(crate) text: &'a str,
    /// Line of the file the text starts at; 1 is the first.
    pub(crate) line: u64,
    /// Whether the file ends inside this document's last line, as a half-written file does.
    pub(crate) torn: bool,
}

/// A value and the line it starts at, counted from the document's first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// 1 is the document's first line.
    pub(crate) line: u64,
    /// The value.
    pub(crate) value: Value,
}

/// What YAML and JSON can say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer up to `i64::MAX`.
    Int(i64),
    /// A larger one.
    Unsigned(u64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping, in the order written; keys are unique.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of `key`, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The text of `key`, if this is a mapping that has text there.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value {
            Value::Text(t) => Some(t),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Seq(_)
            | Value::Map(_) => None,
        }
    }

    /// Removes `key`.
    pub(crate) fn remove(&mut self, key: &str) {
        if let Value::Map(entries) = &mut self.value {
            entries.retain(|(k, _)| k != key);
        }
    }
}

/// A document that is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Line, counted from the document's first.
    pub(crate) line: u64,
    /// Cause.
    pub(crate) cause: String,
}

/// Cuts a file into documents; documents without content are left out.
pub(crate) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut found = Vec::new();
    let (mut start, mut line) = ((0, 1), 0);
    let (mut has_content, mut has_directive) = (false, false);
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        line += 1;
        let (opens, ends) = (is_marker(raw, "---"), is_marker(raw, "..."));
        if (opens || ends) && has_content {
            found.push((start, at));
            has_content = false;
            start = (at, line);
        }
        let content = if opens || ends { &raw[3..] } else { raw }.trim();
        if raw.starts_with('%') && !has_content {
            has_directive = true;
        } else if !content.is_empty() && !content.starts_with('#') {
            has_content = true;
        }
        at += raw.len();
        if opens || ends {
            has_directive = false;
        }
        if ends && !has_content {
            start = (at, line + 1);
        }
    }
    if has_content || has_directive {
        found.push((start, at));
    }
    let torn = !text.ends_with('\n');
    let documents = found.into_iter().map(|((from, line), to)| Document {
        text: &text[from..to],
        line,
        torn: torn && to == text.len(),
    });
    documents.collect()
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Parses one document.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4_000_000,
            max_nodes: 2_000_000,
            max_depth: 64,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| at.line());
        let mut cause = error.without_snippet().to_string();
        if let Some(cut) = cause.rfind(" at line ") {
            cause.truncate(cut);
        }
        SyntaxError { line, cause }
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line(),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(i64::try_from(v).map_or(Value::Unsigned(v), Value::Int))
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Value, E> {
        Err(E::custom("number out of range"))
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Value, E> {
        Err(E::custom("number out of range"))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::Text(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Value::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Value>()? {
            let key = match key {
                Value::Text(text) => text,
                Value::Bool(v) => v.to_string(),
                Value::Int(v) => v.to_string(),
                Value::Unsigned(v) => v.to_string(),
                Value::Null | Value::Float(_) | Value::Seq(_) | Value::Map(_) => {
                    return Err(A::Error::custom("a key must be text"));
                }
            };
            entries.push((key, map.next_value::<Node>()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests;
