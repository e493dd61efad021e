//! Membership and the facts side: what the gossip driver is given, what it tells, and how this
//! node leaves.

use crate::ask::{PATIENCE, ask_within};
use crate::cli::membership::{Detector, Host, MembershipArgs, Ownership};
use crate::report;
use crate::speaker::gossip::tuning::Tuning;
use crate::speaker::gossip::{Config, Ports};
use crate::speaker::l2::Answered;
use anyhow::Context as _;
use corten_engine::membership::Membership;
use corten_host::gossip::resolve;
use corten_node::joining::Found;
use corten_node::standing::Seen;
use corten_wire::gossip::{
    Claiming, Detection, Envelope, GossipOptions, Keyring, Label, Parameters, Security,
};
use futures_util::future::Either;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Between looks at the secret, and at names that couldn't be resolved.
const LOOK: Duration = Duration::from_secs(5);
/// Between looks at names that could (`spec/metallb.md` §5.6 looks for members every minute).
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Longest wait for a name.
const RESOLVE: Duration = Duration::from_secs(5);

/// Membership from the facts side.
pub(super) enum Link {
    /// It is off.
    Off,
    /// It is on.
    On {
        seen: watch::Receiver<Seen>,
        queries: mpsc::Sender<oneshot::Sender<report::Gossip>>,
        /// Dropped to leave.
        stay: Option<oneshot::Sender<()>>,
    },
}

/// What the wire thread is given.
pub(super) type Driver = Option<(Config, Ports)>;

/// How membership is run, whichever command's flags said so.
pub(super) struct Terms {
    /// This node.
    pub(super) node: String,
    /// Where it gossips.
    pub(super) address: SocketAddr,
    /// Timers and limits.
    pub(super) tuning: Tuning,
    /// File with the secret; none for no encryption.
    pub(super) secret: Option<PathBuf>,
    /// How long hosts may take to read a new secret.
    pub(super) grace: Duration,
    /// Name of the cluster.
    pub(super) label: Label,
    /// How fast a member's end is noticed.
    pub(super) detector: Detector,
    /// Who has an address when several members might.
    pub(super) ownership: Ownership,
    /// What this node answers for, and claims.
    pub(super) answered: watch::Receiver<Answered>,
}

/// Makes the ends of the driver of `corten run` as its flags say; the future looks for members
/// and at the secret, and never ends.
///
/// # Errors
/// If a file can't be read or used.
pub(super) fn prepare(
    node: &str,
    args: &MembershipArgs,
    answered: watch::Receiver<Answered>,
) -> anyhow::Result<(Link, Driver, impl Future<Output = ()> + use<>)> {
    let Some(address) = args.gossip_bind else {
        return Ok((Link::Off, None, Either::Left(std::future::pending())));
    };
    let terms = Terms {
        node: node.to_owned(),
        address,
        tuning: Tuning::load(args.gossip_config.as_deref())?,
        secret: args.gossip_secret.clone(),
        grace: args.gossip_secret_grace,
        label: Label::new(&args.gossip_label).context("--gossip-label")?,
        detector: args.corten.gossip_detector,
        ownership: args.corten.ownership,
        answered,
    };
    if terms.secret.is_none() {
        tracing::warn!("no --gossip-secret: whoever reaches the port can take part in gossip");
    }
    let (found_tx, found) = watch::channel(Found::Nothing);
    let discovering = discover(args.join.clone(), found_tx);
    let (link, driver, look) = join(terms, found, discovering)?;
    Ok((link, driver, Either::Right(look)))
}

/// Makes the ends of the driver; the future carries on with `discovering`, which says in `found`
/// where members may be, and looks at the secret. It never ends.
///
/// # Errors
/// If the secret can't be read or used.
pub(super) fn join<D: Future<Output = ()>>(
    terms: Terms,
    found: watch::Receiver<Found>,
    discovering: D,
) -> anyhow::Result<(Link, Driver, impl Future<Output = ()> + use<D>)> {
    let Terms {
        node,
        address,
        tuning,
        secret,
        grace,
        label,
        detector,
        ownership,
        answered,
    } = terms;
    let keyring = secret.as_deref().map(read_secret).transpose()?;
    let security = match &keyring {
        None => Security::Off,
        Some(keyring) => Security::On {
            keyring: keyring.clone(),
            incoming: tuning.verify_incoming,
            outgoing: tuning.verify_outgoing,
        },
    };
    let config = Config {
        gossip: GossipOptions {
            name: node,
            address,
            meta: Vec::new(),
            envelope: Envelope {
                label,
                security,
                compression: tuning.compression,
            },
            parameters: Parameters {
                detection: match detector {
                    Detector::Fast => Detection::FAST,
                    Detector::Conservative => Detection::CONSERVATIVE,
                    Detector::Off => Detection::Off,
                },
                ..tuning.parameters
            },
            claiming: Claiming::On {
                sticky: ownership == Ownership::Sticky,
            },
            seed: rand::random(),
        },
        grace,
    };
    let (keys_tx, keys) = watch::channel(keyring);
    let (seen_tx, seen) = watch::channel(Seen::Unsettled);
    let (queries, queries_rx) = mpsc::channel(8);
    let (stay, leave) = oneshot::channel();
    let ports = Ports {
        found,
        keys,
        seen: seen_tx,
        answered,
        queries: queries_rx,
        leave,
    };
    let link = Link::On {
        seen,
        queries,
        stay: Some(stay),
    };
    let look = async {
        tokio::join!(discovering, follow(secret, keys_tx));
    };
    Ok((link, Some((config, ports)), look))
}

async fn discover(hosts: Vec<Host>, found: watch::Sender<Found>) {
    loop {
        let mut addresses = BTreeSet::<SocketAddr>::new();
        let mut missing = false;
        for host in &hosts {
            let looked = tokio::time::timeout(RESOLVE, resolve(&host.name, host.port)).await;
            match looked {
                Ok(Ok(more)) => addresses.extend(more),
                Ok(Err(_)) | Err(_) => missing = true,
            }
        }
        let rest = if missing { LOOK } else { LOOK_AGAIN };
        found.send_replace(if missing {
            Found::Some(addresses)
        } else {
            Found::All(addresses)
        });
        tokio::time::sleep(rest).await;
    }
}

async fn follow(secret: Option<PathBuf>, keys: watch::Sender<Option<Keyring>>) {
    let Some(path) = secret else {
        return std::future::pending().await;
    };
    let mut said = false;
    loop {
        tokio::time::sleep(LOOK).await;
        match read_secret(&path) {
            Ok(ring) => {
                said = false;
                keys.send_if_modified(|known| {
                    let changed = known.as_ref() != Some(&ring);
                    if changed {
                        *known = Some(ring);
                    }
                    changed
                });
            }
            // Unreadable isn't changed: the secret known stays.
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "keeping the gossip secret known"
                    );
                }
            }
        }
    }
}

/// The keys of the secret in a file; a line's end behind it doesn't count.
fn read_secret(path: &Path) -> anyhow::Result<Keyring> {
    let context = || format!("the secret of gossip, {}", path.display());
    let text = std::fs::read(path).with_context(context)?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Keyring::of_secret(text).with_context(context)
}

impl Link {
    /// Membership before anything is known of it; `None` where it is yet to come.
    pub(super) fn first(&self) -> Option<Membership> {
        match self {
            Self::Off => Some(Membership::Disabled),
            Self::On { .. } => None,
        }
    }

    /// Waits for news.
    ///
    /// # Errors
    /// If the wire thread ended.
    pub(super) async fn changed(&mut self) -> anyhow::Result<Seen> {
        match self {
            Self::Off => std::future::pending().await,
            Self::On { seen, .. } => {
                seen.changed().await.context("the wire thread ended")?;
                Ok(seen.borrow_and_update().clone())
            }
        }
    }

    /// Begins to leave; false if there is nothing to leave, or it has begun.
    pub(super) fn leave(&mut self) -> bool {
        match self {
            Self::Off => false,
            Self::On { stay, .. } => stay.take().is_some(),
        }
    }

    /// What people are shown of it; `None` if it is off or the wire thread doesn't answer.
    pub(super) async fn report(&self) -> Option<report::Gossip> {
        let Self::On { queries, .. } = self else {
            return None;
        };
        ask_within(PATIENCE, queries, |reply| reply).await
    }
}
