//! Controller and speaker on the Kubernetes API: the same loop as on a directory.

mod members;
mod serving;

use super::bgp::Bgp;
use super::membership::Link;
use super::{FactsSide, Line, Signals, Wire, seed};
use crate::cli::kubernetes::{CommonArgs, ControllerArgs, SpeakerArgs, WebhookMode};
use crate::core::{Core, CoreOptions, Duty};
use crate::questions::Question;
use crate::source::Source;
use crate::speaker::bgp::Beside;
use crate::speaker::exclusions::Exclusions;
use crate::speaker::l2::{self, Orders};
use anyhow::Context as _;
use corten_cluster::http::{Health, everywhere};
use corten_cluster::kubernetes::frr::Part;
use corten_cluster::kubernetes::webhook::{self, WebhookOptions};
use corten_cluster::kubernetes::{
    self, CONTROLLER_KINDS, Component, Kubernetes, Options, SPEAKER_KINDS, key, standby,
};
use corten_cluster::metrics;
use corten_cluster::tls::TlsOptions;
use corten_engine::config::backend::Backend;
use corten_engine::config::frr::Frr;
use corten_engine::event::Event;
use corten_engine::facts::Origin;
use corten_engine::names::NodeName;
use corten_engine::rejection::Kind;
use futures_util::future::Either;
use serving::serve;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::sync::{mpsc, watch};

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
    // Every interface: the probes come from the node (§7.1).
    let probed = everywhere(args.common.health_probe_port);
    let (mut asked, served) = serve(&client, &args.common, &tls, probed)?;
    let webhooks = match args.webhook_mode {
        WebhookMode::Disabled => Either::Left(std::future::pending()),
        WebhookMode::Enabled | WebhookMode::OnlyWebhook => {
            let options = webhook_options(&args, &namespace, tls);
            Either::Right(webhook::serve(&client, options).context("the webhooks")?)
        }
    };
    tracing::info!(namespace, "started");
    let working = async {
        let alone = match args.webhook_mode {
            WebhookMode::OnlyWebhook => Either::Left(std::future::pending()),
            WebhookMode::Enabled | WebhookMode::Disabled => {
                let pod = &args.common.pod_name;
                Either::Right(standby::alone(client.clone(), &namespace, pod))
            }
        };
        tokio::select! {
            () = alone => {}
            never = stand_by(&mut asked) => match never {},
            signal = Signals::leave(&mut signals.terminate, &mut signals.interrupt) => {
                tracing::info!(signal, "leaving");
                return Ok(());
            }
        }
        allocate(&client, args.common, namespace, signals, asked).await
    };
    tokio::select! {
        result = working => result,
        never = served => match never {},
        never = webhooks => match never {},
    }
}

/// Answers as one that does nothing but wait: ready, since who replaces another has to be before
/// that one is stopped.
async fn stand_by(asked: &mut mpsc::Receiver<Question>) -> Infallible {
    while let Some(question) = asked.recv().await {
        match question {
            Question::Health(reply) => drop(reply.send(Health::Ready)),
            Question::Metrics(reply) => {
                let page = metrics::Snapshot {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    process: metrics::process::Process::now(),
                    ..metrics::Snapshot::default()
                };
                drop(reply.send(page.to_text()));
            }
            // Whoever asks is told that there is nobody to answer.
            Question::Status(_)
            | Question::Explain(..)
            | Question::BgpPeers(_)
            | Question::BgpRoutes(_)
            | Question::BgpMessages(_) => {}
        }
    }
    std::future::pending().await
}

/// Gives Services their addresses until a signal.
async fn allocate(
    client: &kubernetes::Client,
    args: CommonArgs,
    namespace: String,
    signals: Signals,
    asked: mpsc::Receiver<Question>,
) -> anyhow::Result<()> {
    let source = Kubernetes::open(
        client,
        Options {
            namespace,
            kinds: CONTROLLER_KINDS.to_vec(),
            component: Component::Controller,
            pod: args.pod_name,
            frr: None,
        },
    );
    let link = Link::Off;
    let core = Core::new(CoreOptions {
        origin: Origin::Kubernetes,
        duty: Duty::Allocate,
        node: NodeName(String::new()),
        lb_class: args.lb_class,
        ignore_exclude_lb: false,
        membership: link.first(),
        bgp: Bgp::Off.driver(),
    });
    let (line, _unobserved) = Line::unused();
    let source = Source::Kubernetes(Box::new(source));
    let mut facts = FactsSide::new(core, source, &line, false, link, Bgp::Off);
    facts.run(signals, line.observed.clone(), asked).await
}

fn webhook_options(args: &ControllerArgs, namespace: &str, tls: TlsOptions) -> WebhookOptions {
    WebhookOptions {
        address: everywhere(WEBHOOK_PORT),
        namespace: namespace.to_owned(),
        service: args.cert_service_name.clone(),
        secret: args.webhook_secret.clone(),
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
    let signals = Signals::new()?;
    let tls = args.common.tls.options().context("TLS")?;
    let client = kubernetes::connect().await?;
    // The speaker's ports are the host's, and the probes come from it (§7.2).
    let probed = SocketAddr::from((Ipv4Addr::LOCALHOST, args.common.health_probe_port));
    let (asked, served) = serve(&client, &args.common, &tls, probed)?;
    let (frr, passwords) = (args.frr(&namespace), args.passwords(&namespace));
    let node = NodeName(args.node_name);
    let (orders, orders_rx) = watch::channel(Orders::default());
    let prepared = members::prepare(&client, &namespace, &node, args.members, orders_rx)?;
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
    let (wire, wire_ended) = Wire::start(config, orders, driver, peers)?;
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
        result = facts.run(signals, wire.line.observed.clone(), asked) => result,
        never = served => match never {},
        () = look => Ok(()),
        ended = wire_ended => ended.context("the wire thread vanished")?,
    };
    // Answering ends last.
    wire.stop(result)
}
