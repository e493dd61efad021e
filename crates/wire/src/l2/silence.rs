//! Silence as a whole: a node that was away must not answer before it knows what happened
//! meanwhile.

use super::address::Phase;
use super::{L2, Output};
use std::net::IpAddr;
use std::time::Instant;

impl L2 {
    /// Not a frame is sent from now on, and whatever is heard is thrown away, until
    /// [`Self::speak_again`]. Tables and links are taken over as ever; addresses that were only
    /// answered until their successor is heard are gone.
    pub fn fall_silent(&mut self) {
        if std::mem::replace(&mut self.silent, true) {
            return;
        }
        self.outputs
            .retain(|output| !matches!(output, Output::Send { .. }));
        for ip in self.all(|phase| matches!(phase, Phase::Yielding { .. })) {
            self.remove(ip);
        }
    }

    /// The end of silence. Addresses being probed are probed anew; those answered are announced
    /// only if their epoch was raised, which is for the caller to do.
    pub fn speak_again(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.silent, false) {
            return;
        }
        for ip in self.all(|phase| matches!(phase, Phase::Queued | Phase::Probing { .. })) {
            self.queue_probe(ip, now);
        }
        if self.asks_first() {
            self.ask_for_all(now);
        }
    }

    /// Whether nothing may be said.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    fn all(&self, wanted: impl Fn(&Phase) -> bool) -> Vec<IpAddr> {
        let all = self.addresses.iter();
        all.filter(|(_, address)| wanted(&address.phase))
            .map(|(ip, _)| *ip)
            .collect()
    }
}
