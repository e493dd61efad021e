//! The command line. Help teaches by example; every flag of the daemon has an environment name.

pub(crate) mod bgp;
pub(crate) mod kubernetes;
pub(crate) mod membership;

use clap::{Args, Parser, Subcommand, ValueEnum};
use corten_engine::config::backend::Backend;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Gives LoadBalancer Services an address and makes the network send it traffic.
#[derive(Debug, Parser)]
#[command(
    name = "corten",
    version,
    about,
    propagate_version = true,
    after_help = "Examples:\n  \
        corten validate manifests/            check manifests, change nothing\n  \
        corten run --node node-a --manifests manifests/ --state /var/lib/corten --allocate\n  \
        corten status                         what the daemon here announces, and as what\n  \
        corten explain default/web            who announces a Service, and why nobody else does"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run on a directory of manifests, without Kubernetes.
    Run(Box<RunArgs>),
    /// Give Services of a Kubernetes cluster their addresses.
    Controller(kubernetes::ControllerArgs),
    /// Announce Services of a Kubernetes cluster from this node.
    Speaker(kubernetes::SpeakerArgs),
    /// Show what a running instance announces.
    Status(StatusArgs),
    /// Say why a Service is announced here, there, or nowhere.
    Explain(ExplainArgs),
    /// Show BGP sessions, what they announce, and their last messages.
    Bgp(bgp::BgpArgs),
    /// Check manifests: every problem at once, with file, line and field.
    Validate(ValidateArgs),
    /// Find what of a live MetalLB won't carry over.
    Preflight(PreflightArgs),
    /// Print the CustomResourceDefinitions as YAML.
    Crds(CrdsArgs),
    /// Print a shell's completion script.
    Completions(CompletionsArgs),
}

/// Run on a directory of manifests, without Kubernetes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    # the host that hands out addresses, and announces them\n  \
    corten run --node node-a --manifests /etc/corten/manifests --state /var/lib/corten --allocate\n\n  \
    # another host, sharing the directory or holding a copy of it\n  \
    corten run --node node-b --manifests /etc/corten/manifests --state /var/lib/corten\n\n  \
    # no kube-proxy on this host: let the kernel own the addresses that are won\n  \
    corten run --node node-a --manifests /etc/corten/manifests --state /var/lib/corten --assign\n\n  \
    # know within a second or so when another host is gone\n  \
    corten run --node node-a … --gossip-bind 10.1.0.11 --join node-b --join node-c --gossip-secret /etc/corten/secret\n\n\
    Signals: SIGTERM and SIGINT leave (without membership, addresses are then unowned until another host is told so);\n\
    SIGHUP reads the manifests again.")]
pub(crate) struct RunArgs {
    /// Name of this node, as its Node manifest says.
    #[arg(long, env = "CORTEN_NODE_NAME", value_name = "NAME")]
    pub(crate) node: String,
    /// Directory of manifests; it also holds the ledger of allocations.
    #[arg(long, env = "CORTEN_MANIFESTS", value_name = "DIR")]
    pub(crate) manifests: PathBuf,
    /// Directory of this host's own state and statuses.
    #[arg(long, env = "CORTEN_STATE", value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Be the one allocator of this directory.
    #[arg(long, env = "CORTEN_ALLOCATE")]
    pub(crate) allocate: bool,
    /// Put won addresses on `lo`, for hosts where nothing else accepts their traffic.
    #[arg(long, env = "CORTEN_ASSIGN")]
    pub(crate) assign: bool,
    /// Where metrics and health are served, or `off`.
    #[arg(
        long,
        env = "CORTEN_METRICS",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:9120"
    )]
    pub(crate) metrics: Listen,
    /// Control socket; `corten.sock` in the state directory unless given.
    #[arg(long, env = "CORTEN_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// File in the form of MetalLB's excludel2.yaml: interfaces never announced on. Unless given,
    /// MetalLB's default list applies.
    #[arg(long, env = "CORTEN_EXCLUDE_INTERFACES", value_name = "FILE")]
    pub(crate) exclude_interfaces: Option<PathBuf>,
    /// Handle Services of this loadBalancerClass only.
    #[arg(
        long,
        env = "CORTEN_LB_CLASS",
        value_name = "CLASS",
        default_value = ""
    )]
    pub(crate) lb_class: String,
    /// Announce also from nodes labelled as excluded from load balancers.
    #[arg(long, env = "CORTEN_IGNORE_EXCLUDE_LB")]
    pub(crate) ignore_exclude_lb: bool,
    /// Most gratuitous frames a second on one interface.
    #[arg(
        long,
        env = "CORTEN_GRATUITOUS_RATE",
        value_name = "N",
        default_value = "3000"
    )]
    pub(crate) gratuitous_rate: NonZeroU32,
    #[command(flatten)]
    pub(crate) membership: membership::MembershipArgs,
    /// Least severe log lines to write.
    #[arg(
        long,
        env = "CORTEN_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub(crate) log_level: LogLevel,
    /// Form of log lines; text on a terminal and JSON elsewhere unless given.
    #[arg(long, env = "CORTEN_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// A listening address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Off,
    On(SocketAddr),
}

impl std::str::FromStr for Listen {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s == "off" {
            return Ok(Self::Off);
        }
        s.parse()
            .map(Self::On)
            .map_err(|_| format!("{s:?} is neither ADDRESS:PORT nor off"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Everything.
    All,
    Debug,
    Info,
    Warn,
    Error,
    /// Nothing.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Json,
    Text,
}

/// Show what a running instance announces.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  corten status\n  corten status -o json | jq '.services[].addresses'"
)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Say why a Service is announced here, there, or nowhere.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  corten explain default/web\n  corten explain default/web -o yaml"
)]
pub(crate) struct ExplainArgs {
    /// The Service.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service_key)]
    pub(crate) service: (String, String),
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

fn service_key(s: &str) -> Result<(String, String), String> {
    match s.split_once('/') {
        Some((ns, name)) if !ns.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((ns.to_owned(), name.to_owned()))
        }
        _ => Err("a Service is named NAMESPACE/NAME, such as default/web".to_owned()),
    }
}

/// How to reach the running instance.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Control socket of the instance.
    #[arg(
        long,
        env = "CORTEN_SOCKET",
        value_name = "PATH",
        default_value = "/var/lib/corten/corten.sock"
    )]
    pub(crate) socket: PathBuf,
}

/// Form of the output.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Form of the output.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Table,
    Json,
    Yaml,
}

/// Check manifests: every problem at once, with file, line and field.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  corten validate pools.yaml services.yaml\n  corten validate manifests/\n  \
    kustomize build . | corten validate -\n\n\
    Exit code: 0 without problems, 1 with problems, 2 when called wrongly."
)]
pub(crate) struct ValidateArgs {
    /// Files, directories, and `-` for standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub(crate) paths: Vec<PathBuf>,
    /// Say also what MetalLB would refuse in this mode: metallb-native, frr or frr-k8s.
    #[arg(long = "for", value_name = "MODE", value_parser = backend)]
    pub(crate) backends: Vec<Backend>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Find what of a live MetalLB won't carry over.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  corten preflight --namespace metallb-system\n\n\
    The API server is found by $KUBECONFIG or by the pod's ServiceAccount; nothing is changed there.\n\n\
    Exit code: 0 if all carries over, 1 if not, 2 when called wrongly, 3 if the cluster can't be asked."
)]
pub(crate) struct PreflightArgs {
    /// Namespace of MetalLB.
    #[arg(
        long,
        env = "METALLB_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "metallb-system"
    )]
    pub(crate) namespace: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Print the CustomResourceDefinitions as YAML.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  corten crds | kubectl apply --server-side -f -")]
pub(crate) struct CrdsArgs {
    /// Namespace of the conversion webhook's Service.
    #[arg(long, value_name = "NAMESPACE", default_value = "metallb-system")]
    pub(crate) namespace: String,
}

/// Print a shell's completion script.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  corten completions bash > /etc/bash_completion.d/corten")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

/// `metallb-native` is what people say; `native` is what the setting is called.
fn backend(text: &str) -> Result<Backend, String> {
    text.strip_prefix("metallb-")
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("{text:?} is none of metallb-native, frr, frr-k8s"))
}
