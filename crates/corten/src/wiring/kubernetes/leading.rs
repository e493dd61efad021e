//! The controller's work, and waiting for it.

use super::super::bgp::Bgp;
use super::super::membership::Link;
use super::super::{FactsSide, Line, Signals};
use crate::cli::kubernetes::CommonArgs;
use crate::core::{Core, CoreOptions, Duty};
use crate::questions::Question;
use crate::source::Source;
use corten_cluster::http::Health;
use corten_cluster::kubernetes::leader::Leader;
use corten_cluster::kubernetes::{CONTROLLER_KINDS, Client, Component, Kubernetes, Options};
use corten_cluster::metrics;
use corten_engine::facts::Origin;
use corten_engine::names::NodeName;
use std::convert::Infallible;
use tokio::sync::mpsc;

/// What ended a wait.
pub(super) enum Waited {
    /// What was waited for.
    Over,
    /// A signal to leave.
    Signalled,
}

/// Waits, and answers meanwhile as one that does nothing else: ready, since who replaces another
/// has to be before that one is stopped.
pub(super) async fn stand_by(
    awaited: impl Future<Output = ()>,
    signals: &mut Signals,
    asked: &mut mpsc::Receiver<Question>,
) -> Waited {
    let answering = async {
        while let Some(question) = asked.recv().await {
            idle(question);
        }
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        () = awaited => Waited::Over,
        never = answering => match never {},
        signal = Signals::leave(&mut signals.terminate, &mut signals.interrupt) => {
            tracing::info!(signal, "leaving");
            Waited::Signalled
        }
    }
}

fn idle(question: Question) {
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

/// What a controller does.
pub(super) struct Work<'a> {
    pub(super) args: &'a CommonArgs,
    pub(super) namespace: &'a str,
}

impl Work<'_> {
    /// Gives Services their addresses whenever the Lease is held, until a signal.
    pub(super) async fn lead(
        &self,
        mut leader: Leader,
        signals: &mut Signals,
        asked: &mut mpsc::Receiver<Question>,
    ) -> anyhow::Result<()> {
        let client = leader.connect().await?;
        loop {
            if let Waited::Signalled = stand_by(leader.acquire(), signals, asked).await {
                return Ok(());
            }
            tokio::select! {
                result = self.allocate(&client, signals, asked) => {
                    leader.release().await;
                    return result;
                }
                // Whatever was on its way is dropped, and all is read anew the next time.
                () = leader.hold() => {}
            }
        }
    }

    /// Gives Services their addresses until a signal.
    pub(super) async fn allocate(
        &self,
        client: &Client,
        signals: &mut Signals,
        asked: &mut mpsc::Receiver<Question>,
    ) -> anyhow::Result<()> {
        let source = Kubernetes::open(
            client,
            Options {
                namespace: self.namespace.to_owned(),
                kinds: CONTROLLER_KINDS.to_vec(),
                component: Component::Controller,
                pod: self.args.pod_name.clone(),
                frr: None,
            },
        );
        let link = Link::Off;
        let core = Core::new(CoreOptions {
            origin: Origin::Kubernetes,
            duty: Duty::Allocate,
            node: NodeName(String::new()),
            lb_class: self.args.lb_class.clone(),
            ignore_exclude_lb: false,
            membership: link.first(),
            bgp: Bgp::Off.driver(),
        });
        let (line, _unobserved) = Line::unused();
        let source = Source::Kubernetes(Box::new(source));
        let mut facts = FactsSide::new(core, source, &line, false, link, Bgp::Off);
        facts.run(signals, line.observed.clone(), asked).await
    }
}
