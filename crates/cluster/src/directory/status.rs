//! What this node knows, as files for people and scripts: one file a kind, one line an object,
//! written only when something differs. Nothing reads them back.

use super::atomic;
use corten_api::pool::IPAddressPoolStatus;
use corten_api::status::{ServiceBGPStatusStatus, ServiceL2StatusStatus};
use corten_engine::event::Assignment;
use corten_engine::names::{PoolName, ServiceKey};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the directory in the state directory.
pub(crate) const STATUS: &str = "status";

/// What the engine knows beyond the directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Counters of the pools; only an allocator has them.
    pub pools: BTreeMap<PoolName, IPAddressPoolStatus>,
    /// What this node announces on layer 2.
    pub layer2: BTreeMap<ServiceKey, ServiceL2StatusStatus>,
    /// The BGP peers this node tells of a Service; `None` while nothing was decided about BGP, for
    /// what stands from before is no more wrong then than nothing.
    pub bgp: Option<BTreeMap<ServiceKey, ServiceBGPStatusStatus>>,
}

/// Addresses of a Service, as they are written.
#[derive(Serialize)]
struct Addresses<'a> {
    addresses: &'a [std::net::IpAddr],
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: &'a Option<PoolName>,
}

/// The status files of this node.
#[derive(Debug)]
pub(crate) struct StatusFiles {
    directory: PathBuf,
    /// Hashes of what was written last.
    written: BTreeMap<&'static str, u64>,
}

impl StatusFiles {
    /// The files in the state directory; none is written yet.
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            directory: state.join(STATUS),
            written: BTreeMap::new(),
        }
    }

    /// Writes what differs from what was written last.
    ///
    /// # Errors
    /// If a file can't be written, which is named; it is tried again the next time.
    pub(crate) fn write<'a>(
        &mut self,
        services: impl IntoIterator<Item = (&'a ServiceKey, &'a Assignment)>,
        report: &Report,
    ) -> io::Result<()> {
        let services = services.into_iter().map(|(service, assignment)| {
            let Assignment { ingress, pool } = assignment;
            let addresses = Addresses {
                addresses: ingress,
                pool,
            };
            (service, addresses)
        });
        self.file("services.yaml", lines(services)?)?;
        self.file("pools.yaml", lines(report.pools.iter())?)?;
        self.file("layer2.yaml", lines(report.layer2.iter())?)?;
        match &report.bgp {
            Some(bgp) => self.file("bgp.yaml", lines(bgp.iter())?),
            None => Ok(()),
        }
    }

    fn file(&mut self, name: &'static str, text: String) -> io::Result<()> {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if self.written.get(name) == Some(&hash) {
            return Ok(());
        }
        let path = self.directory.join(name);
        std::fs::create_dir_all(&self.directory)
            .and_then(|()| atomic::write(&path, text.as_bytes()))
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        self.written.insert(name, hash);
        Ok(())
    }
}

/// A YAML mapping, one line an entry.
fn lines<K: Display, V: Serialize>(entries: impl Iterator<Item = (K, V)>) -> io::Result<String> {
    let mut text = String::new();
    for (key, value) in entries {
        let key = serde_json::to_string(&key.to_string())?;
        let value = serde_json::to_string(&value)?;
        // Writing to a String can't fail.
        let _ = writeln!(text, "{key}: {value}");
    }
    if text.is_empty() {
        text.push_str("{}\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
