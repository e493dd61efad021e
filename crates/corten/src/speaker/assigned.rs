//! Addresses on `lo`: every address that is answered for is assigned while it is, and no longer.

use corten_host::assign::{AssignError, Assigner};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// Whether won addresses are put on `lo`.
#[derive(Debug)]
pub(crate) enum Assigned {
    /// They aren't: something else on the host accepts their traffic.
    Off,
    /// They are.
    On(Lease),
}

/// The addresses put on `lo`, as long as this is renewed.
#[derive(Debug)]
pub(crate) struct Lease {
    assigner: Assigner,
    /// The host had these already; said once each.
    foreign: BTreeSet<IpAddr>,
}

impl Assigned {
    /// Three renewals to a lifetime, so that one may be late.
    pub(crate) const RENEWAL: Duration = Duration::from_secs(3);

    /// Starts assigning, if that is asked for.
    ///
    /// # Errors
    /// No right to, or another process assigns in this network namespace.
    pub(crate) fn open(wanted: bool) -> Result<Self, AssignError> {
        if !wanted {
            return Ok(Self::Off);
        }
        let assigner = Assigner::open(Assigner::LIFETIME)?;
        Ok(Self::On(Lease {
            assigner,
            foreign: BTreeSet::new(),
        }))
    }

    /// Whether there is anything to do.
    pub(crate) fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }

    /// Brings `lo` in line with `wanted`.
    pub(crate) fn sync(&mut self, wanted: &BTreeSet<IpAddr>) {
        let Self::On(lease) = self else { return };
        let present: BTreeSet<_> = lease.assigner.assigned().collect();
        for &ip in present.difference(wanted) {
            if let Err(error) = lease.assigner.release(ip) {
                tracing::warn!(%ip, %error, "address not taken off lo; it expires by itself");
            }
        }
        lease.foreign.retain(|ip| wanted.contains(ip));
        for &ip in wanted.difference(&present) {
            lease.assign(ip);
        }
    }

    /// Starts every lifetime anew.
    pub(crate) fn renew(&mut self) {
        let Self::On(lease) = self else { return };
        if let Err(error) = lease.assigner.renew() {
            tracing::error!(%error, "addresses on lo not renewed");
        }
    }

    /// Takes everything off.
    pub(crate) fn close(self) {
        let Self::On(lease) = self else { return };
        if let Err(error) = lease.assigner.close() {
            tracing::warn!(%error, "addresses not taken off lo; they expire by themselves");
        }
    }
}

impl Lease {
    fn assign(&mut self, ip: IpAddr) {
        match self.assigner.assign(ip) {
            Ok(()) => {
                self.foreign.remove(&ip);
            }
            Err(error @ AssignError::Foreign { .. }) => {
                if self.foreign.insert(ip) {
                    tracing::warn!(%ip, %error, "address left as it is");
                }
            }
            Err(error) => tracing::error!(%ip, %error, "address not put on lo"),
        }
    }
}
