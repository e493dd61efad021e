//! A real API server: etcd and kube-apiserver in a network namespace of their own, reached from
//! other namespaces through a [`Relay`].
//!
//! Both servers die with the lab. What answers is the real thing: storage, admission, RBAC,
//! ServiceAccount tokens. Nobody runs pods or moves traffic here; [`full`](crate::full) does.

mod client;
pub mod components;
mod credentials;
mod granting;
mod relay;

pub use client::{Client, Kind};
pub use relay::Relay;

use crate::netns::Netns;
use crate::process::Process;
use crate::stage;
use crate::wait::wait_until;
use anyhow::{Context, Result, bail};
use credentials::Credentials;
use serde::Deserialize;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Where the API server listens, in its own namespace and wherever a [`Relay`] leads to it.
pub const PORT: u16 = 6443;
/// When to give up on a server's start: several may start at once, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(180);
/// Cluster addresses of Services, both families.
const SERVICE_RANGES: &str = "10.96.0.0/16,fd96::/108";
/// The API server's own, the first of each.
const SERVERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1)),
];

/// etcd and kube-apiserver.
#[derive(Debug)]
pub struct Kubernetes {
    client: Client,
    server: Option<Process>,
    etcd: Option<Process>,
    credentials: Credentials,
    /// Flags of the server beside those it needs.
    flags: Vec<String>,
    ns: Netns,
    dir: TempDir,
}

/// A request the API server answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// API group; empty for the core one.
    pub group: String,
    /// Resource, with its subresource after a slash.
    pub resource: String,
    /// `get`, `list` …
    pub verb: String,
    /// Status code of the answer.
    pub code: u16,
}

impl Kubernetes {
    /// Starts both servers and waits until the API server is ready.
    ///
    /// # Errors
    /// If the servers were not built (`lab/setup.sh cluster`), or with what a server logged.
    pub fn start() -> Result<Self> {
        let ns = Netns::new("kubernetes")?;
        Self::start_in(ns, Ipv4Addr::LOCALHOST.into())
    }

    /// The same in a namespace that is there already, where the API server listens on `address`.
    ///
    /// # Errors
    /// Those of [`Kubernetes::start`].
    pub fn start_in(ns: Netns, address: IpAddr) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("kubernetes-")
            .tempdir_in(stage::scratch()?)?;
        let credentials = Credentials::create(dir.path(), address, &SERVERS)?;
        let client = Client::connect(&ns, credentials.administrator())?;
        let mut cluster = Self {
            client,
            server: None,
            etcd: None,
            credentials,
            flags: Vec::new(),
            ns,
            dir,
        };
        cluster.start_server()?;
        Ok(cluster)
    }

    /// The administrator's client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Another client of the administrator's.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn another_client(&self) -> Result<Client> {
        Client::connect(&self.ns, self.credentials.administrator())
    }

    /// Kills the API server; what is stored stays.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub fn kill_server(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut s| s.kill())
    }

    /// Replaces the API server by one with these flags beside those it needs.
    ///
    /// # Errors
    /// Those of [`Kubernetes::start_server`].
    pub fn restart_server(&mut self, flags: &[&str]) -> Result<()> {
        self.kill_server()?;
        self.flags = flags.iter().map(ToString::to_string).collect();
        self.start_server()
    }

    /// Kills the API server and its storage; what was written stays.
    ///
    /// # Errors
    /// If one can't be waited for.
    pub fn kill_everything(&mut self) -> Result<()> {
        self.kill_server()?;
        self.etcd.take().map_or(Ok(()), |mut etcd| etcd.kill())
    }

    /// Starts the API server, and its storage if that doesn't run, and waits until it is ready.
    ///
    /// # Errors
    /// With what it logged, if it doesn't get there.
    pub fn start_server(&mut self) -> Result<()> {
        if self.etcd.is_none() {
            self.etcd = Some(start_etcd(&self.ns, self.dir.path())?);
        }
        let mut args = self.credentials.server_arguments(SERVICE_RANGES);
        args.extend_from_slice(&self.flags);
        let program = binary("kube-apiserver")?;
        let mut server = self.ns.spawn("kube-apiserver", &program, &args)?;
        wait_until("a ready API server", DEADLINE, || {
            if let Some(status) = server.ended()? {
                bail!("kube-apiserver ended: {status}");
            }
            Ok(self.client.is_ready().then_some(()))
        })
        .with_context(|| format!("kube-apiserver logged:\n  {}", server.log().join("\n  ")))?;
        self.server = Some(server);
        Ok(())
    }

    /// Leads the API server's address of another namespace here.
    ///
    /// # Errors
    /// If the port is taken there.
    pub fn relay_to(&self, other: &Netns) -> Result<Relay> {
        Relay::start(other, &self.ns, PORT)
    }

    /// Does for the API server what kube-proxy would: what it sends to a Service's first cluster
    /// address and `port` reaches `target` on loopback of its namespace.
    ///
    /// # Errors
    /// If there is no such Service, or the kernel has no nftables.
    pub fn proxy(&self, namespace: &str, service: &str, port: u16, target: u16) -> Result<()> {
        let found = self.client.get(Kind::Service, namespace, service)?;
        let found = found.with_context(|| format!("no Service {namespace}/{service}"))?;
        let ip = found["spec"]["clusterIP"].as_str().context("clusterIP")?;
        self.ns.ip(&[format!("route add local {ip} dev lo")])?;
        self.ns.nft(&format!(
            "table ip proxy {{\nchain output {{ type nat hook output priority -100; \
             ip daddr {ip} tcp dport {port} redirect to :{target}; }}\n}}\n"
        ))
    }

    /// What a ServiceAccount asked for so far.
    ///
    /// # Errors
    /// If the log can't be read.
    pub fn requests(&self, namespace: &str, account: &str) -> Result<Vec<Request>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Line {
            user: User,
            verb: String,
            object_ref: Option<Object>,
            response_status: Option<Status>,
        }
        #[derive(Deserialize)]
        struct User {
            username: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Object {
            #[serde(default)]
            api_group: String,
            #[serde(default)]
            resource: String,
            subresource: Option<String>,
        }
        #[derive(Deserialize)]
        struct Status {
            code: u16,
        }
        let text = fs::read_to_string(self.dir.path().join(credentials::AUDIT_LOG))?;
        let username = format!("system:serviceaccount:{namespace}:{account}");
        // The last line may be half written.
        let lines = text
            .lines()
            .filter_map(|l| serde_json::from_str::<Line>(l).ok());
        let asked = lines.filter(|line| line.user.username == username);
        let found = asked.filter_map(|line| {
            let object = line.object_ref?;
            let resource = match object.subresource {
                Some(subresource) => format!("{}/{subresource}", object.resource),
                None => object.resource,
            };
            Some(Request {
                group: object.api_group,
                resource,
                verb: line.verb,
                code: line.response_status.map_or(0, |status| status.code),
            })
        });
        Ok(found.collect())
    }

    /// The namespace the servers are in.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.ns
    }

    /// What kubectl says when it does as told, as the administrator.
    ///
    /// # Errors
    /// With what it says when it doesn't.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.program("kubectl", args)
    }

    /// What one of the cached programs that read `KUBECONFIG` says when it does as told.
    ///
    /// # Errors
    /// With what it says when it doesn't.
    pub fn program(&self, name: &str, args: &[&str]) -> Result<String> {
        let kubeconfig = format!("KUBECONFIG={}", self.administrator()?.display());
        let home = format!("HOME={}", self.dir.path().display());
        let program = binary(name)?;
        let mut all = vec![kubeconfig.as_str(), &home, &program];
        all.extend(args);
        self.ns.output("env", &all)
    }

    /// The key ServiceAccounts' tokens are signed with, and the authority clients trust.
    pub(crate) fn authority_files(&self) -> [String; 2] {
        ["accounts.key", "server.crt"].map(|name| self.credentials.file(name))
    }

    /// Writes a kubeconfig with a token of a ServiceAccount, which is made if there is none.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.client.service_account_token(namespace, name)?;
        self.write_kubeconfig(&format!("{namespace}-{name}"), &token)
    }

    /// A token of a ServiceAccount, which is made if there is none.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn token(&self, namespace: &str, name: &str) -> Result<String> {
        self.client.service_account_token(namespace, name)
    }

    /// Writes the administrator's kubeconfig.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn administrator(&self) -> Result<PathBuf> {
        self.write_kubeconfig("admin", credentials::ADMINISTRATOR_TOKEN)
    }

    fn write_kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(format!("{name}.kubeconfig"));
        fs::write(&path, self.credentials.kubeconfig(token))?;
        Ok(path)
    }
}

fn start_etcd(ns: &Netns, dir: &Path) -> Result<Process> {
    let data = dir.join("etcd");
    let args = [
        "--data-dir",
        &data.display().to_string(),
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
    ]
    .map(str::to_owned);
    ns.spawn("etcd", &binary("etcd")?, &args)
}

/// A program in the cache `lab/setup.sh cluster` fills, or in `$CORTEN_CLUSTER_BIN`.
///
/// # Errors
/// If it isn't there.
pub fn binary(name: &str) -> Result<String> {
    let dir = std::env::var_os("CORTEN_CLUSTER_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/cluster"),
        PathBuf::from,
    );
    let path = dir.join(name);
    if !path.is_file() {
        bail!("there is no {}: run lab/setup.sh cluster", path.display());
    }
    Ok(path.display().to_string())
}
