//! What nodes say of their own health, as files beside the manifests that each node reads.

use super::super::atomic;
use super::super::overlay::Readiness;
use super::super::read::{MAX_FILE, read_bytes};
use corten_engine::names::{NodeName, ServiceKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PREFIX: &str = "corten.health.";
const SUFFIX: &str = ".json";

/// The health files of a directory.
pub(super) struct Published {
    directory: PathBuf,
    own: PathBuf,
    node: NodeName,
    /// What other nodes said last.
    others: BTreeMap<NodeName, BTreeMap<ServiceKey, bool>>,
    /// What was wrong with other nodes' files the last time; said once.
    faults: BTreeMap<NodeName, String>,
    written: Option<BTreeMap<ServiceKey, bool>>,
    failing: bool,
}

#[derive(Serialize, Deserialize)]
struct Text {
    node: String,
    ready: BTreeMap<String, bool>,
}

impl Published {
    pub(super) fn new(directory: &Path, node: &NodeName) -> Self {
        Self {
            directory: directory.to_owned(),
            own: directory.join(format!("{PREFIX}{node}{SUFFIX}")),
            node: node.clone(),
            others: BTreeMap::new(),
            faults: BTreeMap::new(),
            written: None,
            failing: false,
        }
    }

    /// Readiness of a Service on the other nodes that said something about it.
    pub(super) fn of(&self, service: &ServiceKey) -> Readiness {
        let said = self.others.iter();
        said.filter_map(|(node, ready)| Some((node.clone(), *ready.get(service)?)))
            .collect()
    }

    /// Reads what the other nodes say. A file that can't be read leaves what it said last; one
    /// that is gone says nothing.
    pub(super) fn read(&mut self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else {
            return;
        };
        let mut before = std::mem::take(&mut self.others);
        let faults = std::mem::take(&mut self.faults);
        for entry in entries.flatten() {
            let name = entry.file_name();
            let node = name.to_str().and_then(|n| n.strip_prefix(PREFIX));
            let Some(node) = node.and_then(|n| n.strip_suffix(SUFFIX)) else {
                continue;
            };
            let node = NodeName::from(node);
            if node == self.node {
                continue;
            }
            let said = match read(&entry.path(), &node) {
                Ok(said) => Some(said),
                Err(fault) => {
                    if faults.get(&node) != Some(&fault) {
                        tracing::warn!(path = %entry.path().display(), "a node's health {fault}");
                    }
                    self.faults.insert(node.clone(), fault);
                    before.remove(&node)
                }
            };
            if let Some(said) = said {
                self.others.insert(node, said);
            }
        }
    }

    /// Says what this node found, if that is new. Nothing is written before there is a check.
    pub(super) fn write(&mut self, ready: &BTreeMap<ServiceKey, bool>) {
        if self.written.as_ref() == Some(ready) || (self.written.is_none() && ready.is_empty()) {
            return;
        }
        let text = Text {
            node: self.node.0.clone(),
            ready: ready.iter().map(|(s, r)| (s.to_string(), *r)).collect(),
        };

        let result = serde_json::to_string_pretty(&text)
            .map_err(std::io::Error::from)
            .and_then(|text| atomic::write(&self.own, format!("{text}\n").as_bytes()));
        match result {
            Ok(()) => {
                self.written = Some(ready.clone());
                self.failing = false;
            }
            Err(error) if !self.failing => {
                self.failing = true;
                let path = self.own.display();
                tracing::warn!(%path, %error, "other hosts aren't told of this node's health");
            }
            Err(_) => {}
        }
    }
}

/// What a node says, or what is wrong with its file.
fn read(path: &Path, node: &NodeName) -> Result<BTreeMap<ServiceKey, bool>, String> {
    let bytes = read_bytes(path, MAX_FILE).map_err(|error| format!("can't be read: {error}"))?;
    let text: Text =
        serde_json::from_slice(&bytes).map_err(|error| format!("is not understood: {error}"))?;
    if text.node != node.0 {
        return Err(format!("is that of node {}", text.node.escape_debug()));
    }
    let key = |(service, ready): (String, bool)| {
        let (namespace, name) = service.split_once('/')?;
        Some((ServiceKey::new(namespace, name), ready))
    };
    Ok(text.ready.into_iter().filter_map(key).collect())
}

#[cfg(test)]
mod tests;
