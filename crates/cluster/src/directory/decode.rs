//! From a document's tree to a typed object, with the field's path and line in every error.
//!
//! Reads as an API server does: an absent field and a `null` one are the same, text is never
//! taken from a bare number or boolean, and fields the type doesn't have are dropped. Those are
//! reported, since a misspelt field is the commonest mistake there is.

use super::tree::{Node, Value};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use std::cell::RefCell;
use std::fmt;

/// Why a document is no such object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecodeError {
    /// Path of the field, such as `spec.addresses[1]`; empty for the object itself.
    pub(crate) field: String,
    /// Line, counted from the document's first; 0 until known.
    pub(crate) line: u64,
    /// Cause.
    pub(crate) cause: String,
}

/// A field the type doesn't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownField {
    /// Its path.
    pub(crate) field: String,
    /// Line, counted from the document's first.
    pub(crate) line: u64,
    /// A field the type has and that differs only in case.
    pub(crate) meant: Option<&'static str>,
}

/// Reads `node` as a `T`; the second part lists fields `T` doesn't have.
pub(crate) fn decode<'de, T: Deserialize<'de>>(
    node: &'de Node,
) -> (Result<T, DecodeError>, Vec<UnknownField>) {
    let unknown = RefCell::new(Vec::new());
    let decoder = Decoder {
        node,
        path: Path::Root,
        unknown: &unknown,
    };
    let result = T::deserialize(decoder);
    (result, unknown.into_inner())
}

/// Where in the document the decoder is.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a, 'de> {
    node: &'de Node,
    path: Path<'a>,
    unknown: &'a RefCell<Vec<UnknownField>>,
}

impl<'de> Decoder<'_, 'de> {
    /// Adds path and line to an error that has none yet.
    fn locate<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|mut error| {
            if error.line == 0 {
                error.line = self.node.line.max(1);
                let missing = std::mem::take(&mut error.field);
                error.field = match missing.as_str() {
                    "" => self.path.to_string(),
                    field => Path::Field(&self.path, field).to_string(),
                };
            }
            error
        })
    }

    fn note_unknown(&self, entries: &[(String, Node)], fields: &'static [&'static str]) {
        let root = matches!(self.path, Path::Root);
        for (key, value) in entries {
            let type_meta = root && (key == "apiVersion" || key == "kind");
            if !type_meta && !fields.contains(&key.as_str()) {
                self.unknown.borrow_mut().push(UnknownField {
                    field: Path::Field(&self.path, key).to_string(),
                    line: value.line,
                    meant: fields.iter().copied().find(|f| f.eq_ignore_ascii_case(key)),
                });
            }
        }
    }
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.locate(match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(v) => visitor.visit_bool(*v),
            Value::Int(v) => visitor.visit_i64(*v),
            Value::Unsigned(v) => visitor.visit_u64(*v),
            Value::Float(v) => visitor.visit_f64(*v),
            Value::Text(v) => visitor.visit_borrowed_str(v),
            Value::Seq(items) => visitor.visit_seq(Items {
                decoder: self,
                items,
                next: 0,
            }),
            Value::Map(entries) => visitor.visit_map(Entries {
                decoder: self,
                entries,
                current: None,
                skip_null: false,
            }),
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            Value::Bool(_)
            | Value::Int(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Seq(_)
            | Value::Map(_) => visitor.visit_some(self),
        }
    }

    /// A `null` where text is wanted is empty text, as Go reads a map's value.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.value == Value::Null {
            return self.locate(visitor.visit_borrowed_str(""));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let Value::Map(entries) = &self.node.value else {
            return self.deserialize_any(visitor);
        };
        self.note_unknown(entries, fields);
        self.locate(visitor.visit_map(Entries {
            decoder: self,
            entries,
            current: None,
            skip_null: true,
        }))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.locate(visitor.visit_newtype_struct(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Text(text) => {
                let variant: StrDeserializer<'_, DecodeError> = text.as_str().into_deserializer();
                self.locate(visitor.visit_enum(variant))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Seq(_)
            | Value::Map(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier
    }
}

struct Items<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    items: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let index = self.next;
        let Some(node) = self.items.get(index) else {
            return Ok(None);
        };
        self.next += 1;
        let path = Path::Index(&self.decoder.path, index);
        let item = Decoder {
            node,
            path,
            unknown: self.decoder.unknown,
        };
        item.locate(seed.deserialize(item)).map(Some)
    }
}

struct Entries<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    entries: &'de [(String, Node)],
    current: Option<&'de (String, Node)>,
    skip_null: bool,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        while let Some((entry, rest)) = self.entries.split_first() {
            self.entries = rest;
            if self.skip_null && entry.1.value == Value::Null {
                continue;
            }
            self.current = Some(entry);
            let key: StrDeserializer<'_, DecodeError> = entry.0.as_str().into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some((key, node)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let path = Path::Field(&self.decoder.path, key);
        let value = Decoder {
            node,
            path,
            unknown: self.decoder.unknown,
        };
        value.locate(seed.deserialize(value))
    }
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            field: String::new(),
            line: 0,
            cause: message.to_string(),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            field: field.to_owned(),
            line: 0,
            cause: "required field is missing".to_owned(),
        }
    }
}

impl std::error::Error for DecodeError {}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.cause)
    }
}

#[cfg(test)]
mod tests;
