//! Controller and speaker on the Kubernetes API: the same loop as on a directory.

use super::membership::Link;
use super::{FactsSide, Line, Signals, Wire, seed};
use crate::cli::Listen;
use crate::cli::kubernetes::{CommonArgs, ControllerArgs, SpeakerArgs, listen};
use crate::control;
use crate::core::{Core, CoreOptions, Duty};
use crate::questions::{Question, Questions};
use crate::source::Source;
use crate::speaker::exclusions::Exclusions;
use crate::speaker::l2;
use anyhow::Context as _;
use corten_cluster::kubernetes::{
    self, CONTROLLER_KINDS, Component, Kubernetes, Options, SPEAKER_KINDS,
};
use corten_engine::facts::Origin;
use corten_engine::names::NodeName;
use futures_util::future::{Either, LocalBoxFuture};
use std::convert::Infallible;
use tokio::sync::mpsc;

/// Runs `corten controller` until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps a part from starting or going on.
pub(crate) async fn controller(args: ControllerArgs, namespace: String) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    let client = kubernetes::connect().await?;
    // Every interface: the probes come from the node (§7.1).
    let (asked, served) = serve(&args.common, [0, 0, 0, 0])?;
    tracing::info!(namespace, "started");
    let source = Kubernetes::open(
        &client,
        Options {
            namespace,
            kinds: CONTROLLER_KINDS.to_vec(),
            component: Component::Controller,
            pod: args.common.pod_name,
        },
    );
    let link = Link::Off;
    let core = Core::new(CoreOptions {
        origin: Origin::Kubernetes,
        duty: Duty::Allocate,
        node: NodeName(String::new()),
        lb_class: args.common.lb_class,
        ignore_exclude_lb: false,
        membership: link.first(),
    });
    let (line, _unobserved) = Line::unused();
    let source = Source::Kubernetes(Box::new(source));
    let mut facts = FactsSide::new(core, source, &line, false, link);
    tokio::select! {
        result = facts.run(signals, line.observed.clone(), asked) => result,
        never = served => match never {},
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
    let client = kubernetes::connect().await?;
    // The speaker's ports are the host's, and the probes come from it (§7.2).
    let (asked, served) = serve(&args.common, [127, 0, 0, 1])?;
    let node = NodeName(args.node_name);
    let link = Link::Off;
    let core = Core::new(CoreOptions {
        origin: Origin::Kubernetes,
        duty: Duty::Announce,
        node: node.clone(),
        lb_class: args.common.lb_class,
        ignore_exclude_lb: args.ignore_exclude_lb,
        membership: link.first(),
    });
    // Last of all that can fail: once it runs, it has to be stopped in order.
    let config = l2::Config {
        exclusions,
        gratuitous_rate: args.gratuitous_rate,
        assign: false,
        seed: seed(),
    };
    let (wire, wire_ended) = Wire::start(config, None)?;
    tracing::info!(%node, namespace, "started");
    let source = Kubernetes::open(
        &client,
        Options {
            namespace,
            kinds: SPEAKER_KINDS.to_vec(),
            component: Component::Speaker(node),
            pod: args.common.pod_name,
        },
    );
    let source = Source::Kubernetes(Box::new(source));
    let mut facts = FactsSide::new(core, source, &wire.line, false, link);
    let result = tokio::select! {
        result = facts.run(signals, wire.line.observed.clone(), asked) => result,
        never = served => match never {},
        ended = wire_ended => ended.context("the wire thread vanished")?,
    };
    // Answering ends last.
    wire.stop(result)
}

/// What is asked, and what serves it for as long as it is polled.
type Served = (
    mpsc::Receiver<Question>,
    LocalBoxFuture<'static, Infallible>,
);

/// Serves metrics on loopback, health on `probed`, and the control socket if there is to be one.
fn serve(args: &CommonArgs, probed: [u8; 4]) -> anyhow::Result<Served> {
    let (questions, asked) = Questions::new();
    let metrics = match listen([127, 0, 0, 1], args.port) {
        Listen::Off => Either::Left(std::future::pending()),
        Listen::On(address) => {
            Either::Right(control::serve_metrics(address, questions.clone()).context("--port")?)
        }
    };
    let health = match listen(probed, args.health_probe_port) {
        Listen::Off => Either::Left(std::future::pending()),
        Listen::On(address) => Either::Right(
            control::serve_health(address, questions.clone()).context("--health-probe-port")?,
        ),
    };
    let socket = match &args.socket {
        None => Either::Left(std::future::pending()),
        Some(path) => Either::Right(control::serve(path, questions).context("--socket")?),
    };
    let served = async move {
        tokio::select! {
            never = metrics => never,
            never = health => never,
            never = socket => never,
        }
    };
    Ok((asked, Box::pin(served)))
}
