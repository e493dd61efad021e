//! Membership among the speakers of a cluster, as MetalLB's flags say (`spec/metallb.md` §5.6).

use super::super::membership::{self, Driver, Link, Terms};
use crate::cli::kubernetes::MemberArgs;
use crate::speaker::gossip::tuning::Tuning;
use crate::speaker::l2::Answered;
use anyhow::{Context as _, ensure};
use corten_cluster::kubernetes::Client;
use corten_cluster::kubernetes::members::{Pods, pods};
use corten_engine::names::NodeName;
use corten_node::joining::Found;
use corten_wire::gossip::Label;
use futures_util::future::Either;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Between looks while something is missing.
const LOOK: Duration = Duration::from_secs(5);
/// Between looks otherwise.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long the kubelet may take to bring a new secret to every node.
const GRACE: Duration = Duration::from_secs(120);
/// The secret's file in its directory.
const SECRET: &str = "secretkey";

/// Makes the ends of the driver; the future looks for members and at the secret, and never ends.
///
/// Membership is off unless both the labels and the address are given; every Node counts then.
///
/// # Errors
/// If an address or a file can't be used.
pub(super) fn prepare(
    client: &Client,
    namespace: &str,
    node: &NodeName,
    args: MemberArgs,
    answered: watch::Receiver<Answered>,
) -> anyhow::Result<(Link, Driver, impl Future<Output = ()> + use<>)> {
    if args.ml_labels.is_empty() || args.ml_bindaddr.is_empty() {
        tracing::info!("membership is off: --ml-labels and --ml-bindaddr are not both given");
        return Ok((Link::Off, None, Either::Left(std::future::pending())));
    }
    let terms = Terms {
        node: node.0.clone(),
        address: SocketAddr::new(address(&args.ml_bindaddr)?, args.ml_bindport),
        tuning: tuning(&args.gossip_config, args.ml_wan_config)?,
        secret: secret(&args.ml_secret_key_path),
        grace: GRACE,
        // MetalLB's packets have none.
        label: Label::default(),
        detector: args.corten.gossip_detector,
        ownership: args.corten.ownership,
        answered,
    };
    if terms.secret.is_none() {
        tracing::warn!("no --ml-secret-key-path: whoever reaches the port can take part in gossip");
    }
    let (client, namespace) = (client.clone(), namespace.to_owned());
    let (labels, port) = (args.ml_labels, args.ml_bindport);
    let (found_tx, found) = watch::channel(Found::Nothing);
    let discovering = async move { discover(&client, &namespace, &labels, port, found_tx).await };
    let (link, driver, look) = membership::join(terms, found, discovering)?;
    Ok((link, driver, Either::Right(look)))
}

fn address(text: &str) -> anyhow::Result<IpAddr> {
    let context = || format!("--ml-bindaddr {text:?}");
    let ip: IpAddr = text.parse().with_context(context)?;
    ensure!(
        !ip.is_unspecified() && !ip.is_multicast(),
        "--ml-bindaddr {text:?}: others can't reach it; give the address of this pod"
    );
    Ok(ip)
}

/// As the file says, if it is there: it comes from a ConfigMap that most clusters don't have.
fn tuning(path: &Path, wan: bool) -> anyhow::Result<Tuning> {
    if path.exists() {
        return Tuning::load(Some(path));
    }
    Ok(if wan {
        Tuning::wan()
    } else {
        Tuning::default()
    })
}

fn secret(directory: &str) -> Option<PathBuf> {
    (!directory.is_empty()).then(|| Path::new(directory).join(SECRET))
}

async fn discover(
    client: &Client,
    namespace: &str,
    labels: &str,
    port: u16,
    found: watch::Sender<Found>,
) {
    let mut known = BTreeSet::new();
    let mut said = false;
    loop {
        let complete = match pods(client, namespace, labels).await {
            Ok(Pods {
                addresses,
                unaddressed,
            }) => {
                said = false;
                known = addresses
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, port))
                    .collect();
                !unaddressed
            }
            // Who was there before still is, for all that is known.
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(%error, "looking for other speakers goes on");
                }
                false
            }
        };
        found.send_replace(if complete {
            Found::All(known.clone())
        } else {
            Found::Some(known.clone())
        });
        tokio::time::sleep(if complete { LOOK_AGAIN } else { LOOK }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{address, secret};
    use std::path::Path;

    #[test]
    fn only_one_address_of_the_pod_is_taken() {
        for good in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(address(good).unwrap().to_string(), good);
        }
        for bad in ["", "x", "0.0.0.0", "::", "224.0.0.1", "192.0.2.1:7946"] {
            let error = address(bad).unwrap_err();
            assert!(
                error.to_string().contains("--ml-bindaddr"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn without_a_directory_there_is_no_secret() {
        assert_eq!(secret(""), None);
        let file = secret("/etc/ml_secret_key");
        assert_eq!(
            file.as_deref(),
            Some(Path::new("/etc/ml_secret_key/secretkey"))
        );
    }
}
