//! One node.

use super::{description, made};
use crate::kubernetes::binary;
use crate::netns::Netns;
use crate::process::Process;
use crate::stage;
use crate::world::Nic;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the archive of Corten's image is packed in the repository.
const IMAGE: &str = "target/e2e/corten.oci.tar";
/// Corten's image in the chart, as containerd writes it.
const NAME: &str = "docker.io/library/corten";

/// Where programs are in a node.
const PATH: &str = "PATH=/programs/node:/programs:/usr/sbin:/usr/bin";

/// A node with power.
#[derive(Debug)]
pub struct Node {
    /// `node1` …
    pub name: String,
    /// Its number, from 1.
    pub number: u8,
    /// Its network.
    pub ns: Netns,
    /// Its NIC on the LAN.
    pub nic: Nic,
    /// Directory that is `/config` in it.
    pub config: PathBuf,
    pub(super) process: Process,
}

/// What a node is started with.
pub(super) struct Start<'a> {
    pub(super) ns: Netns,
    pub(super) nic: Nic,
    pub(super) number: u8,
    pub(super) group: &'a str,
    pub(super) runtime: &'a Path,
    pub(super) kubeconfig: &'a str,
}

/// Addresses of a node's pods.
pub(super) fn pods4(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

/// Addresses of a node's pods.
pub(super) fn pods6(number: u8) -> String {
    format!("fd00:244:{number}::/64")
}

impl Node {
    pub(super) fn start(how: Start<'_>) -> Result<Self> {
        let name = how.ns.name().to_owned();
        let config = stage::scratch()?.join(&name);
        fs::create_dir_all(&config)?;
        fs::write(config.join("kubeconfig"), how.kubeconfig)?;
        for file in ["containerd.toml", "kubelet.yaml", "proxy.yaml"] {
            fs::copy(description(file), config.join(file)).context(file)?;
        }
        let programs = PathBuf::from(binary("kubelet")?);
        let programs = programs.parent().context("no directory")?.display();
        let args = vec![
            format!("NODE={name}"),
            format!("ADDRESSES={},{}", how.nic.ipv4, how.nic.ipv6),
            format!("PODS4={}", pods4(how.number)),
            format!("PODS6={}", pods6(how.number)),
            format!("CGROUP={}", how.group),
            format!("PROGRAMS={programs}"),
            format!("IMAGES={}", made("images")?.display()),
            format!("CONFIG={}", config.display()),
            format!("RUNTIME={}", how.runtime.display()),
            format!("IN{PATH}"),
            description("node.sh").display().to_string(),
        ];
        made("node")?;
        let process = how.ns.spawn(&name, "env", &args)?;
        Ok(Self {
            name,
            number: how.number,
            ns: how.ns,
            nic: how.nic,
            config,
            process,
        })
    }

    /// Runs a program in the node to its end and gives its standard output.
    ///
    /// # Errors
    /// If the node or the program isn't there, or with what it said if it fails.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let init = children.split_whitespace().next();
        let init = init.with_context(|| format!("{} doesn't run", self.name))?;
        let mut all = vec!["--target", init, "--mount", "--pid", "--uts", "--ipc", "--"];
        all.extend(["env", PATH, program]);
        all.extend(args);
        self.ns.output("nsenter", &all)
    }

    /// Puts Corten's image into the node, under the name the chart has for it.
    ///
    /// # Errors
    /// If it isn't packed, or containerd refuses it.
    pub fn install_corten(&self) -> Result<()> {
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(IMAGE);
        self.import(&archive, &["--base-name", NAME])
            .context("make e2e and make cluster pack it")?;
        let version = concat!(":", env!("CARGO_PKG_VERSION"));
        let (from, to) = (format!("{NAME}:corten"), format!("{NAME}{version}"));
        let tag = [
            "--namespace",
            "k8s.io",
            "images",
            "tag",
            "--force",
            &from,
            &to,
        ];
        self.output("ctr", &tag).map(drop)
    }

    /// Puts an archive of images into the node.
    ///
    /// # Errors
    /// If there is no such archive, or containerd refuses it.
    pub fn import(&self, archive: &Path, options: &[&str]) -> Result<String> {
        let file = archive.file_name().context("no file")?;
        fs::copy(archive, self.config.join(file))
            .with_context(|| format!("copying {}", archive.display()))?;
        let at = format!("/config/{}", file.display());
        let mut args = vec!["--namespace", "k8s.io", "images", "import"];
        args.extend(options);
        args.push(&at);
        let said = self.output("ctr", &args)?;
        fs::remove_file(self.config.join(file))?;
        Ok(said)
    }
}
