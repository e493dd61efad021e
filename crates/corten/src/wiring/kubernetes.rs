//! Controller and speaker on the Kubernetes API: the same loop as on a directory.

mod leading;
mod members;
mod serving;

use super::bgp::Bgp;
use super::{FactsSide, Signals, Wire, seed};
use crate::cli::kubernetes::{ControllerArgs, SpeakerArgs, WebhookMode};
use crate::core::{Core, CoreOptions, Duty};
use crate::source::Source;
use crate::speaker::bgp::Beside;
use crate::speaker::exclusions::Exclusions;
use crate::speaker::l2;
use anyhow::Context as _;
use corten_cluster::http::everywhere;
use corten_cluster::kubernetes::frr::Part;
use corten_cluster::kubernetes::leader::Leader;
use corten_cluster::kubernetes::standby::{self, Rivals};
use corten_cluster::kubernetes::webhook::{self, Certificates, WebhookOptions};
use corten_cluster::kubernetes::{self, Component, Kubernetes, Options, SPEAKER_KINDS, key};
use corten_cluster::tls::TlsOptions;
use corten_engine::config::backend::Backend;
use corten_engine::config::frr::Frr;
use corten_engine::event::Event;
use corten_engine::facts::Origin;
use corten_engine::names::NodeName;
use corten_engine::rejection::Kind;
use futures_util::future::Either;
use leading::{Waited, Work, stand_by};
use serving::serve;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::sync::watch;

/// Where webhooks are served (`spec/metallb.md` §7.1).
const WEBHOOK_PORT: u16 = 9443;

/// Runs `corten controller` until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps a part from starting or going on.
pub(crate) async fn controller(args: ControllerArgs, namespace: String) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let tls = args.common.tls.options().context("TLS")?;
    let client = kubernetes::connect().await?;
    if !args.ml_secret_name.is_empty() {
        key::ensure(&client, &namespace, &args.ml_secret_name, &args.deployment).await?;
    }
    let (shown, webhooks) = match args.webhook_mode {
        WebhookMode::Disabled => (None, Either::Left(std::future::pending())),
        WebhookMode::Enabled | WebhookMode::OnlyWebhook => {
            let options = webhook_options(&args, &namespace, tls.clone());
            let (shown, serving) = webhook::serve(&client, options).context("the webhooks")?;
            (Some(shown), Either::Right(serving))
        }
    };
    // Every interface: the probes come from the node (§7.1).
    let probed = everywhere(args.common.health_probe_port);
    let (mut asked, served) = serve(&client, &args.common, &tls, probed, shown)?;
    tracing::info!(namespace, "started");
    let working = async {
        let own = &args.common.pod_name;
        let leader = args.leader_elect.then(|| {
            let lease = args.leader_elect_lease_duration;
            Leader::new(&client, &namespace, identity(own), lease)
        });
        let rivals = match leader {
            Some(_) => Rivals::WithoutLease,
            None => Rivals::All,
        };
        let alone = match args.webhook_mode {
            WebhookMode::OnlyWebhook => Either::Left(std::future::pending()),
            WebhookMode::Enabled | WebhookMode::Disabled => {
                Either::Right(standby::alone(client.clone(), &namespace, own, rivals))
            }
        };
        if let Waited::Signalled = stand_by(alone, &mut signals, &mut asked).await {
            return Ok(());
        }
        let work = Work {
            args: &args.common,
            namespace: &namespace,
        };
        match leader {
            None => work.allocate(&client, &mut signals, &mut asked).await,
            Some(leader) => work.lead(leader, &mut signals, &mut asked).await,
        }
    };
    tokio::select! {
        result = working => result,
        never = served => match never {},
        never = webhooks => match never {},
    }
}

/// What tells this process from others that want the Lease: no two run in one pod.
fn identity(pod: &str) -> String {
    if pod.is_empty() {
        format!("corten-{:016x}", seed())
    } else {
        pod.to_owned()
    }
}

fn webhook_options(args: &ControllerArgs, namespace: &str, tls: TlsOptions) -> WebhookOptions {
    WebhookOptions {
        address: everywhere(WEBHOOK_PORT),
        namespace: namespace.to_owned(),
        service: args.cert_service_name.clone(),
        certificate: if args.disable_cert_rotation {
            Certificates::Files(args.cert_dir.clone())
        } else {
            Certificates::Secret(args.webhook_secret.clone())
        },
        backend: args.bgp_type,
        tls,
    }
}

/// Runs `corten speaker` until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps a part from starting or going on.
pub(crate) async fn speaker(
    args: SpeakerArgs,
    namespace: String,
    exclusions: Exclusions,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let tls = args.common.tls.options().context("TLS")?;
    let client = kubernetes::connect().await?;
    // The speaker's ports are the host's, and the probes come from it (§7.2).
    let probed = SocketAddr::from((Ipv4Addr::LOCALHOST, args.common.health_probe_port));
    let (mut asked, served) = serve(&client, &args.common, &tls, probed, None)?;
    let (frr, passwords) = (args.frr(&namespace), args.passwords(&namespace));
    let node = NodeName(args.node_name);
    let (answered, answered_rx) = watch::channel(l2::Answered::default());
    let prepared = members::prepare(&client, &namespace, &node, args.members, answered_rx)?;
    let (link, driver, look) = prepared;
    let (speaking, peers) = match args.bgp_type {
        Backend::Native | Backend::Frr => {
            let beside = match &frr {
                Some(_) => Beside::Frr,
                None => Beside::Nobody,
            };
            let (speaking, ports, stay) = Bgp::on(beside);
            (speaking, Some((ports, stay)))
        }
        Backend::FrrK8s => (Bgp::frr(passwords), None),
    };
    let kinds = SPEAKER_KINDS.into_iter();
    // What only frr-k8s can look up isn't looked for.
    let kinds = kinds.filter(|k| !args.frrk8s_secret_passthrough || *k != Kind::Secret);
    let mut core = Core::new(CoreOptions {
        origin: Origin::Kubernetes,
        duty: Duty::Announce,
        node: node.clone(),
        lb_class: args.common.lb_class,
        ignore_exclude_lb: args.ignore_exclude_lb,
        membership: link.first(),
        bgp: speaking.driver(),
    });
    if frr.as_ref().is_some_and(|frr| frr.part == Part::Yields) {
        // Nothing is dialled that FRR may hold.
        core.source([Event::Frr(Frr::Unlisted)]);
    }
    // Last of all that can fail: once it runs, it has to be stopped in order.
    let config = l2::Config {
        exclusions,
        gratuitous_rate: args.gratuitous_rate,
        assign: false,
        seed: seed(),
    };
    let (wire, wire_ended) = Wire::start(config, answered, driver, peers)?;
    tracing::info!(%node, namespace, "started");
    let source = Kubernetes::open(
        &client,
        Options {
            namespace,
            kinds: kinds.collect(),
            component: Component::Speaker(node),
            pod: args.common.pod_name,
            frr,
        },
    );
    let source = Source::Kubernetes(Box::new(source));
    let mut facts = FactsSide::new(core, source, &wire.line, false, link, speaking);
    let result = tokio::select! {
        result = facts.run(&mut signals, wire.line.observed.clone(), &mut asked) => result,
        never = served => match never {},
        () = look => Ok(()),
        ended = wire_ended => ended.context("the wire thread vanished")?,
    };
    // Answering ends last.
    wire.stop(result)
}
