//! Flags of `corten controller` and `corten speaker`: MetalLB's names, environment and defaults
//! (`spec/metallb.md` §7.1, §7.2), so that its manifests run with only the image changed.

use super::membership::CortenMemberArgs;
use super::{Listen, LogFormat, LogLevel};
use clap::{Args, ValueEnum};
use corten_cluster::kubernetes::frr::{self, Part};
use corten_cluster::tls::{OldestTls, TlsError, TlsOptions};
use corten_engine::advertise::bgp::frr::Passwords;
use corten_engine::config::backend::Backend;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// File a pod finds its namespace in.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Give Services of a Kubernetes cluster their addresses.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    corten controller --namespace metallb-system --log-level debug\n\n\
    The API server is found by $KUBECONFIG or by the pod's ServiceAccount. Flags and environment\n\
    are those of MetalLB's controller; the binary also runs under its name, /controller.")]
pub(crate) struct ControllerArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Secret the speakers' key is kept in.
    #[arg(
        long,
        env = "METALLB_ML_SECRET_NAME",
        value_name = "NAME",
        default_value = ""
    )]
    pub(crate) ml_secret_name: String,
    /// Deployment of this controller.
    #[arg(
        long,
        env = "METALLB_DEPLOYMENT",
        value_name = "NAME",
        default_value = ""
    )]
    pub(crate) deployment: String,
    /// Whether the webhooks are served, and whether anything else is done.
    #[arg(long, value_name = "MODE", default_value = "enabled")]
    pub(crate) webhook_mode: WebhookMode,
    /// Service in front of the webhooks; their certificate is for its name.
    #[arg(long, value_name = "NAME", default_value = "metallb-webhook-service")]
    pub(crate) cert_service_name: String,
    /// Secret the webhooks' certificate is kept in.
    #[arg(long, value_name = "NAME", default_value = "metallb-webhook-cert")]
    pub(crate) webhook_secret: String,
    /// Take the certificate of the webhooks from --cert-dir, taken up anew when it changes, and leave
    /// it to others to tell the API server of its authority.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) disable_cert_rotation: bool,
    /// Directory with tls.crt and tls.key for the webhooks; counts with --disable-cert-rotation only,
    /// since else the certificate is read from its Secret.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/tmp/k8s-webhook-server/serving-certs"
    )]
    pub(crate) cert_dir: PathBuf,
    /// No effect: webhooks are asked over HTTP/1.1.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) webhook_http2: bool,
    /// Give addresses only while holding the Lease corten-controller, for more than one replica.
    #[arg(long, env = "CORTEN_LEADER_ELECT", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) leader_elect: bool,
    /// How long the Lease lasts: as long as another waits for one that is gone.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "15s",
        value_parser = lease_duration
    )]
    pub(crate) leader_elect_lease_duration: Duration,
    /// What MetalLB would be run as (native, frr, frr-k8s): what it would refuse is warned of.
    #[arg(
        long,
        env = "METALLB_BGP_TYPE",
        value_name = "MODE",
        default_value = "native"
    )]
    pub(crate) bgp_type: Backend,
}

impl ControllerArgs {
    /// Flags that are given and have no effect.
    pub(crate) fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        let http2 = self.webhook_http2.then_some("--webhook-http2");
        self.common.without_effect().chain(http2)
    }
}

impl SpeakerArgs {
    /// Flags that are given and have no effect.
    pub(crate) fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        let debounce = self.bgp_debounce_timeout.is_some();
        let debounce = debounce.then_some("--bgp-debounce-timeout");
        self.common.without_effect().chain(debounce)
    }
}

/// How long a Lease may last: whole seconds, and some of them.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = super::membership::duration(text)?;
    if duration.subsec_nanos() != 0 || !(3..=3600).contains(&duration.as_secs()) {
        return Err(format!("{text} isn't 3 to 3600 whole seconds"));
    }
    Ok(duration)
}

/// What is done about webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum WebhookMode {
    /// They are served.
    Enabled,
    /// They are not.
    Disabled,
    /// They are served, and no Service is handled.
    OnlyWebhook,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsVersion {
    #[value(name = "VersionTLS12")]
    Tls12,
    #[value(name = "VersionTLS13", alias = "")]
    Tls13,
}

/// Announce Services of a Kubernetes cluster from this node.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    corten speaker --node-name n1 --namespace metallb-system\n\n\
    The API server is found by $KUBECONFIG or by the pod's ServiceAccount. Flags and environment\n\
    are those of MetalLB's speaker; the binary also runs under its name, /speaker.")]
pub(crate) struct SpeakerArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Name of this node.
    #[arg(long, env = "METALLB_NODE_NAME", value_name = "NAME")]
    pub(crate) node_name: String,
    /// Announce also from nodes labelled as excluded from load balancers.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) ignore_exclude_lb: bool,
    /// Ignored, as by MetalLB.
    #[arg(long, env = "METALLB_HOST", value_name = "IP", default_value = "")]
    pub(crate) host: String,
    /// File in the form of MetalLB's excludel2.yaml: interfaces never announced on. Without the
    /// file, none is excluded.
    #[arg(
        long,
        env = "CORTEN_EXCLUDE_INTERFACES",
        value_name = "FILE",
        default_value = "/etc/metallb/excludel2.yaml"
    )]
    pub(crate) exclude_interfaces: PathBuf,
    /// Most gratuitous frames a second on one interface.
    #[arg(
        long,
        env = "CORTEN_GRATUITOUS_RATE",
        value_name = "N",
        default_value = "3000"
    )]
    pub(crate) gratuitous_rate: NonZeroU32,
    #[command(flatten)]
    pub(crate) members: MemberArgs,
    /// No effect: there is no FRR to spare reloads, in milliseconds.
    #[arg(long, env = "METALLB_BGP_DEBOUNCE_TIMEOUT", value_name = "MS")]
    pub(crate) bgp_debounce_timeout: Option<NonZeroU32>,
    /// What MetalLB would be run as (native, frr, frr-k8s): with frr-k8s an FRR on this node holds
    /// the sessions, as the FRRConfiguration says that is written for it.
    #[arg(
        long,
        env = "METALLB_BGP_TYPE",
        value_name = "MODE",
        default_value = "native"
    )]
    pub(crate) bgp_type: Backend,
    /// Namespace of frr-k8s; this pod's own unless given. Given with another --bgp-type than
    /// frr-k8s: FRR gives up this node's sessions first, and keeps those that are asked of it by
    /// others.
    #[arg(
        long,
        env = "FRRK8S_NAMESPACE",
        value_name = "NAME",
        default_value = ""
    )]
    pub(crate) frrk8s_namespace: String,
    /// Leave it to frr-k8s to look passwords up, in Secrets of its own namespace.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) frrk8s_secret_passthrough: bool,
}

impl SpeakerArgs {
    /// What frr-k8s is to this node, if anything; `own` is the namespace of this pod.
    pub(crate) fn frr(&self, own: &str) -> Option<frr::Options> {
        let given = Some(&*self.frrk8s_namespace).filter(|n| !n.is_empty());
        let (namespace, part) = match self.bgp_type {
            Backend::FrrK8s => (given.unwrap_or(own), Part::Speaks),
            Backend::Native | Backend::Frr => (given?, Part::Yields),
        };
        Some(frr::Options {
            namespace: namespace.to_owned(),
            part,
        })
    }

    /// How frr-k8s gets passwords that are in Secrets.
    pub(crate) fn passwords(&self, own: &str) -> Passwords {
        let elsewhere = self.frr(own).is_some_and(|frr| frr.namespace != own);
        match (self.frrk8s_secret_passthrough, elsewhere) {
            (true, _) => Passwords::Unseen,
            (false, true) => Passwords::Clear,
            (false, false) => Passwords::Refer,
        }
    }

    /// What contradicts itself.
    ///
    /// # Errors
    /// `--frrk8s-secret-passthrough` without frr-k8s or its namespace (`spec/metallb.md` §6.6).
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let elsewhere = !self.frrk8s_namespace.is_empty() && self.bgp_type == Backend::FrrK8s;
        anyhow::ensure!(
            elsewhere || !self.frrk8s_secret_passthrough,
            "--frrk8s-secret-passthrough needs --bgp-type=frr-k8s and --frrk8s-namespace"
        );
        Ok(())
    }
}

/// Who of the speakers is alive. Off unless both the address and the labels are given.
#[derive(Debug, Args)]
pub(crate) struct MemberArgs {
    /// Address of the membership protocol.
    #[arg(
        long,
        env = "METALLB_ML_BIND_ADDR",
        value_name = "IP",
        default_value = ""
    )]
    pub(crate) ml_bindaddr: String,
    /// Port of the membership protocol.
    #[arg(
        long,
        env = "METALLB_ML_BIND_PORT",
        value_name = "PORT",
        default_value = "7946"
    )]
    pub(crate) ml_bindport: u16,
    /// Labels of the speakers' pods.
    #[arg(
        long,
        env = "METALLB_ML_LABELS",
        value_name = "SELECTOR",
        default_value = ""
    )]
    pub(crate) ml_labels: String,
    /// Directory of the membership protocol's key.
    #[arg(
        long,
        env = "METALLB_ML_SECRET_KEY_PATH",
        value_name = "DIR",
        default_value = ""
    )]
    pub(crate) ml_secret_key_path: String,
    /// Use the timers for nodes far apart.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) ml_wan_config: bool,
    /// File of timers and limits, in the form of MetalLB's memberlist config.json. Without the
    /// file, the usual ones are used.
    #[arg(
        long,
        env = "CORTEN_GOSSIP_CONFIG",
        value_name = "FILE",
        default_value = "/etc/metallb/memberlist/config.json"
    )]
    pub(crate) gossip_config: PathBuf,
    #[command(flatten)]
    pub(crate) corten: CortenMemberArgs,
}

/// What both have.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// Namespace of the metallb.io objects; the pod's own unless given.
    #[arg(long, env = "METALLB_NAMESPACE", value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Name of this pod.
    #[arg(
        long,
        env = "METALLB_POD_NAME",
        value_name = "NAME",
        default_value = ""
    )]
    pub(crate) pod_name: String,
    /// Port of the metrics, over TLS and for those who may get the nonResourceURL /metrics; 0 serves
    /// none.
    #[arg(long, value_name = "PORT", default_value = "9120")]
    pub(crate) port: u16,
    /// Directory with tls.crt and tls.key for the metrics, taken up anew when they change. Without
    /// it the certificate is an own one, signed by itself.
    #[arg(long, value_name = "DIR", default_value = "")]
    pub(crate) metrics_cert_dir: String,
    /// Address on which metrics are also served without TLS and to everybody, or off.
    #[arg(
        long,
        env = "CORTEN_METRICS_HTTP",
        value_name = "ADDR:PORT",
        default_value = "off"
    )]
    pub(crate) metrics_http: Listen,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// No effect: there is no profile of Go's to be had.
    #[arg(long, value_name = "ADDR:PORT", default_value = "")]
    pub(crate) pprof_bind_address: String,
    /// Port of /healthz and /readyz; 0 serves none.
    #[arg(long, value_name = "PORT", default_value = "17472")]
    pub(crate) health_probe_port: u16,
    /// Handle Services of this loadBalancerClass only.
    #[arg(long, value_name = "CLASS", default_value = "")]
    pub(crate) lb_class: String,
    /// Control socket for `corten status` and `corten explain`; none unless given.
    #[arg(long, env = "CORTEN_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Least severe log lines to write.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LogLevel,
    /// Form of log lines; text on a terminal and JSON elsewhere unless given.
    #[arg(long, env = "CORTEN_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// TLS of metrics and webhooks.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// Least TLS version.
    #[arg(long, value_name = "VERSION", default_value = "VersionTLS13")]
    pub(crate) tls_min_version: TlsVersion,
    /// Cipher suites of TLS 1.2, by their names, separated by commas; all there are unless given.
    #[arg(long, value_name = "NAMES", default_value = "")]
    pub(crate) tls_cipher_suites: String,
    /// Curves by IANA's numbers, separated by commas, best first: 29 (X25519), 23 (P-256), 24
    /// (P-384); all of them unless given.
    #[arg(long, value_name = "NUMBERS", default_value = "")]
    pub(crate) tls_curve_preferences: String,
}

impl TlsArgs {
    /// What they ask for.
    ///
    /// # Errors
    /// If that can't be.
    pub(crate) fn options(&self) -> Result<TlsOptions, TlsError> {
        let oldest = match self.tls_min_version {
            TlsVersion::Tls12 => OldestTls::V12,
            TlsVersion::Tls13 => OldestTls::V13,
        };
        TlsOptions::new(oldest, &self.tls_cipher_suites, &self.tls_curve_preferences)
    }
}

impl CommonArgs {
    fn without_effect(&self) -> impl Iterator<Item = &'static str> + use<> {
        let pprof = !self.pprof_bind_address.is_empty();
        pprof.then_some("--pprof-bind-address").into_iter()
    }

    /// The namespace of the metallb.io objects.
    ///
    /// # Errors
    /// If none is given and this is no pod.
    pub(crate) fn namespace(&self) -> anyhow::Result<String> {
        if let Some(namespace) = self.namespace.as_deref().filter(|n| !n.is_empty()) {
            return Ok(namespace.to_owned());
        }
        let namespace = std::fs::read_to_string(POD_NAMESPACE).map_err(|error| {
            anyhow::anyhow!("--namespace isn't given, and this is no pod: {POD_NAMESPACE}: {error}")
        })?;
        Ok(namespace.trim().to_owned())
    }
}

/// The command line as Corten's own: under the name `controller` or `speaker` the binary is that
/// command, and a flag of theirs may have one hyphen, as MetalLB's may.
pub(crate) fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut given: Vec<_> = given.into_iter().collect();
    let name = given.first().map(Path::new).and_then(Path::file_name);
    if let Some(command) = ["controller", "speaker"]
        .into_iter()
        .find(|c| name == Some(c.as_ref()))
    {
        given.insert(1, command.into());
    }
    if given
        .get(1)
        .is_some_and(|c| c == "controller" || c == "speaker")
    {
        for argument in given.iter_mut().skip(2) {
            let long = argument.to_str().and_then(|text| {
                let name = text.strip_prefix('-')?;
                let is_long = name.len() > 1 && !name.starts_with('-');
                is_long.then(|| OsString::from(format!("--{name}")))
            });
            if let Some(long) = long {
                *argument = long;
            }
        }
    }
    given
}

#[cfg(test)]
mod tests;
