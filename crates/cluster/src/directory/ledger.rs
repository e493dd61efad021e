//! The allocation ledger: which Service has which addresses, in a file every host reads and only
//! the allocator writes.
//!
//! A ledger is known by a random id and a version that only rises. Whoever uses one keeps a copy
//! of the last version used, so that a ledger that is missing, damaged, older or another's is
//! refused by name while the allocations last known stay, also across a restart.

mod keeper;

pub(crate) use keeper::Keeper;
pub use keeper::RecordError;

use corten_engine::event::Assignment;
use corten_engine::names::{PoolName, ServiceKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use thiserror::Error;

/// Name of the ledger in the manifest directory.
pub const LEDGER: &str = "corten.allocations.yaml";
/// Name of the copy of the last version used, in the state directory.
pub const LEDGER_COPY: &str = "allocations.yaml";

const CHECKSUM: &str = "checksum: ";

/// One version of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// 128 random bits in hex; another id is another ledger.
    pub id: String,
    /// Rises with every write.
    pub version: u64,
    /// Node that wrote it.
    pub allocator: String,
    /// The allocations; none of them is empty.
    pub allocations: BTreeMap<ServiceKey, Assignment>,
}

/// Why a text is no ledger.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// Not all of it is there, or not as it was written.
    #[error("damaged, half-written or edited: its checksum doesn't fit")]
    Checksum,
    /// Complete, but not understood.
    #[error("not understood: {0}")]
    Format(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    id: String,
    version: u64,
    allocator: String,
    allocations: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
}

const API_VERSION: &str = "corten.io/v1";
const KIND: &str = "AllocationLedger";

impl Ledger {
    /// An empty ledger with a new id.
    pub(crate) fn new(allocator: &str) -> Self {
        Self {
            id: format!("{:032x}", rand::random::<u128>()),
            version: 0,
            allocator: allocator.to_owned(),
            allocations: BTreeMap::new(),
        }
    }

    /// The text of the ledger, one line an allocation and a checksum at the end.
    ///
    /// # Errors
    /// If a name can't be written as JSON, which no name can cause.
    pub(crate) fn to_text(&self) -> Result<String, serde_json::Error> {
        let quoted = |text: &str| serde_json::to_string(text);
        let mut text = format!(
            "# Addresses of Services, written by Corten's allocator. Not to be edited: see\n\
             # docs/reference/directory.md for what to do with a ledger that is refused.\n\
             apiVersion: {API_VERSION}\nkind: {KIND}\nid: {}\nversion: {}\nallocator: {}\n",
            quoted(&self.id)?,
            self.version,
            quoted(&self.allocator)?,
        );
        text.push_str(if self.allocations.is_empty() {
            "allocations: {}\n"
        } else {
            "allocations:\n"
        });
        for (service, assignment) in &self.allocations {
            let entry = serde_json::to_string(&Entry {
                addresses: assignment.ingress.clone(),
                pool: assignment.pool.as_ref().map(|p| p.0.clone()),
            })?;
            let service = quoted(&service.to_string())?;
            // Writing to a String can't fail.
            let _ = writeln!(text, "  {service}: {entry}");
        }
        let sum = checksum(text.as_bytes());
        let _ = writeln!(text, "{CHECKSUM}\"{sum:016x}\"");
        Ok(text)
    }

    /// Reads a ledger.
    ///
    /// # Errors
    /// If anything of it is missing or altered, or it is of a later format.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, LedgerError> {
        let text = std::str::from_utf8(bytes).map_err(|_| LedgerError::Checksum)?;
        let (body, sum) = text.rsplit_once(CHECKSUM).ok_or(LedgerError::Checksum)?;
        if sum != format!("\"{:016x}\"\n", checksum(body.as_bytes())) {
            return Err(LedgerError::Checksum);
        }
        let format = |error: String| LedgerError::Format(error);
        // The writer is trusted once the checksum fits, so no budget but the file's size applies.
        let options = serde_saphyr::options! { budget: None, with_snippet: false };
        let read: Text = serde_saphyr::from_str_with_options(body, options)
            .map_err(|e| format(e.to_string()))?;
        if (read.api_version.as_str(), read.kind.as_str()) != (API_VERSION, KIND) {
            let (version, kind) = (read.api_version, read.kind);
            return Err(format(format!("{version} {kind}")));
        }
        let mut allocations = Vec::new();
        for (service, entry) in read.allocations {
            let Some((namespace, name)) = service.split_once('/') else {
                return Err(format(format!("{service} is no namespace/name")));
            };
            let assignment = Assignment {
                ingress: entry.addresses,
                pool: entry.pool.map(PoolName),
            };
            allocations.push((ServiceKey::new(namespace, name), assignment));
        }
        Ok(Self {
            id: read.id,
            version: read.version,
            allocator: read.allocator,
            allocations: allocations.into_iter().collect(),
        })
    }
}

/// FNV-1a, 64 bits: tells damage, not malice.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
#[cfg(test)]
mod tests;
