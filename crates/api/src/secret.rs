//! Secret, cut down to what a BGPPeer's `passwordSecret` can mean (`spec/metallb.md` §1.3): its
//! type and its key `password`. Nothing else of a Secret is ever kept.

use crate::core::Meta;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The type a Secret with a password must have.
pub const BASIC_AUTH: &str = "kubernetes.io/basic-auth";

/// A Secret.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Metadata.
    #[serde(default)]
    pub metadata: Meta,
    /// Its type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its values in base64.
    #[serde(default)]
    pub data: Data,
    /// Its values as they are, in manifests only; they come before those of `data`.
    #[serde(default)]
    pub string_data: StringData,
}

/// The used part of a Secret's `data`.
#[derive(Serialize, Deserialize, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// The password, decoded.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "encode",
        deserialize_with = "decode"
    )]
    pub password: Option<String>,
}

/// The used part of a Secret's `stringData`.
#[derive(Serialize, Deserialize, Clone, Default, PartialEq, Eq)]
pub struct StringData {
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl Secret {
    /// The password, if there is one.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        let written = self.string_data.password.as_ref();
        written.or(self.data.password.as_ref()).map(String::as_str)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Data(..)")
    }
}

impl fmt::Debug for StringData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StringData(..)")
    }
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    // Nothing of the value is said, whatever is wrong with it.
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| serde::de::Error::custom("is not base64"))?;
    let password =
        String::from_utf8(bytes).map_err(|_| serde::de::Error::custom("is not UTF-8"))?;
    Ok(Some(password))
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn encode<S: Serializer>(password: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let encoded = password.as_ref().map(|text| STANDARD.encode(text));
    encoded.serialize(serializer)
}

#[cfg(test)]
mod tests;
