//! A directory of manifests as a user keeps one, and the objects the scenarios put into it.

use crate::stage;
use crate::world::Node;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory of manifests; gone when dropped.
#[derive(Debug)]
pub struct Manifests {
    dir: TempDir,
}

impl Manifests {
    /// An empty one.
    ///
    /// # Errors
    /// If the lab was not entered.
    pub fn new() -> Result<Self> {
        Ok(Self {
            dir: tempfile::Builder::new()
                .prefix("manifests-")
                .tempdir_in(stage::scratch()?)?,
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A copy of it as it is now, ledger included.
    ///
    /// # Errors
    /// If a file can't be copied.
    pub fn copy(&self) -> Result<Self> {
        let copy = Self::new()?;
        copy.take(self.path())?;
        Ok(copy)
    }

    /// Copies every YAML file of another directory into it.
    ///
    /// # Errors
    /// If one can't be read.
    pub fn take(&self, from: &Path) -> Result<()> {
        for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "yaml") {
                let name = path.file_name().context("a file without name")?;
                fs::copy(&path, self.path().join(name))?;
            }
        }
        Ok(())
    }

    /// Writes a file the way careful editors do: aside, then renamed over.
    ///
    /// # Errors
    /// If the directory can't be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let aside = self.path().join(format!(".{name}.new"));
        fs::write(&aside, text)?;
        fs::rename(&aside, self.path().join(name))?;
        Ok(())
    }

    /// The text of a file.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.path().join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Replaces text in a file; it must be there.
    ///
    /// # Errors
    /// If the file doesn't have it.
    pub fn edit(&self, name: &str, from: &str, to: &str) -> Result<()> {
        let text = self.read(name)?;
        anyhow::ensure!(text.contains(from), "{name} doesn't contain {from:?}");
        self.write(name, &text.replace(from, to))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn remove(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.path().join(name))?)
    }
}

/// A directory of one process's state; gone when dropped.
///
/// # Errors
/// If the lab was not entered.
pub fn state_directory(node: &str) -> Result<TempDir> {
    Ok(tempfile::Builder::new()
        .prefix(&format!("state-{node}-"))
        .tempdir_in(stage::scratch()?)?)
}

/// The manifest of a node, its addresses those of its NICs.
#[must_use]
pub fn node(node: &Node) -> String {
    let mut text = format!(
        "apiVersion: v1\nkind: Node\nmetadata:\n  name: {}\nstatus:\n  addresses:\n",
        node.name
    );
    for nic in &node.nics {
        for ip in [nic.ipv4.to_string(), nic.ipv6.to_string()] {
            let _ = writeln!(text, "    - {{type: InternalIP, address: \"{ip}\"}}");
        }
    }
    text + "---\n"
}

/// The manifest of a namespace.
#[must_use]
pub fn namespace(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n---\n")
}

/// The manifest of a pool.
#[must_use]
pub fn pool(name: &str, addresses: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: {name}\n  \
         namespace: metallb-system\nspec:\n  addresses:\n"
    );
    for a in addresses {
        let _ = writeln!(text, "    - {a:?}");
    }
    text + "---\n"
}

/// The manifest of an advertisement of every pool.
#[must_use]
pub fn advertisement(name: &str, annotations: &[(&str, &str)], interfaces: &[&str]) -> String {
    format!(
        "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata:\n  name: {name}\n  \
         namespace: metallb-system\n{}spec: {{interfaces: {interfaces:?}}}\n---\n",
        map("annotations", annotations, 2)
    )
}

/// The families a Service asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Both.
    Dual,
}

/// The manifest of a Service of namespace `default` and its EndpointSlice, with one ready
/// endpoint on each of `nodes`.
#[must_use]
pub fn service(name: &str, stack: Stack, annotations: &[(&str, &str)], nodes: &[&str]) -> String {
    let (families, policy) = match stack {
        Stack::V4 => ("[IPv4]", "SingleStack"),
        Stack::V6 => ("[IPv6]", "SingleStack"),
        Stack::Dual => ("[IPv4, IPv6]", "RequireDualStack"),
    };
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: default\n{}\
         spec:\n  type: LoadBalancer\n  ipFamilyPolicy: {policy}\n  ipFamilies: {families}\n  \
         ports: [{{port: 80}}]\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {name}-1\n  \
         namespace: default\n  labels: {{kubernetes.io/service-name: {name}}}\n\
         addressType: IPv4\nendpoints:\n",
        map("annotations", annotations, 2)
    );
    for (node, i) in nodes.iter().zip(1..) {
        let _ = writeln!(
            text,
            "  - {{addresses: [\"10.244.0.{i}\"], conditions: {{ready: true}}, nodeName: {node}}}"
        );
    }
    text + "---\n"
}

fn map(key: &str, entries: &[(&str, &str)], indent: usize) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let pad = " ".repeat(indent);
    let mut text = format!("{pad}{key}:\n");
    for (k, v) in entries {
        let _ = writeln!(text, "{pad}  {k}: {v:?}");
    }
    text
}

/// Path of the examples a user reads.
#[must_use]
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/standalone")
}
