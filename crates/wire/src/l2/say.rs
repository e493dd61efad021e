//! Building and sending what is said unasked: gratuitous rounds, probes and questions.

use super::announcer::Half;
use super::arp::{self, Operation};
use super::link::Link;
use super::mac::Mac;
use super::ndp::{ALL_NODES, Advertisement, Solicitation, solicited_node};
use super::notice::Notice;
use super::{L2, Output};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

/// Unasked frames made in one call.
const FRAMES: u32 = 64;

impl L2 {
    pub(super) fn send(&mut self, link: u32, frame: Vec<u8>) {
        if self.silent {
            return;
        }
        self.outputs.push_back(Output::Send { link, frame });
    }

    pub(super) fn tell(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    pub(super) fn name_of(&self, link: u32) -> String {
        self.ports
            .get(&link)
            .map(|port| port.link.name.clone())
            .unwrap_or_default()
    }

    /// Sends what is due and what the pace allows, on every link; what is too much for one call
    /// is left to the next.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.silent {
            return;
        }
        let gaining = self.pending.next().is_some();
        let mut left = FRAMES;
        for (&index, port) in &mut self.ports {
            while left > 0
                && let Some((ip, half)) = port.announcer.next_frame(gaining, now)
            {
                left -= 1;
                let Some(address) = self.addresses.get_mut(&ip) else {
                    continue;
                };
                if !self.pending.admits(ip, &port.link.name) {
                    continue;
                }
                if let Some(frame) = gratuitous(&port.link, ip, half) {
                    address.counters.gratuitous_sent += 1;
                    self.outputs.push_back(Output::Send { link: index, frame });
                }
            }
        }
    }

    /// Tests whether anyone on `link` has `ip` (RFC 5227 §2.1.1, RFC 4862 §5.4.2).
    pub(super) fn say_probe(&mut self, link: u32, ip: IpAddr, now: Instant) {
        let Some(port) = self.ports.get_mut(&link) else {
            return;
        };
        port.announcer.pace.debit(now);
        let frame = probe(port.link.mac, ip);
        self.send(link, frame);
    }

    /// Asks `link` for `ip`; of one station if `to` says so.
    pub(super) fn say_question(&mut self, link: u32, ip: IpAddr, to: To, now: Instant) {
        let Some(port) = self.ports.get_mut(&link) else {
            return;
        };
        if let Some(frame) = question(&port.link, ip, to) {
            port.announcer.pace.debit(now);
            self.send(link, frame);
        }
    }
}

/// Whom a question is put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Everyone,
    Station(Mac),
}

/// `spec/metallb.md` §5.3: the pair of IPv4; the unsolicited advertisement of IPv6, which has
/// Override set (RFC 4861 §7.2.6).
fn gratuitous(link: &Link, ip: IpAddr, half: Half) -> Option<Vec<u8>> {
    let operation = match half {
        Half::First => Operation::Request,
        Half::Second => Operation::Reply,
    };
    match ip {
        IpAddr::V4(ip) => {
            let packet = arp::Packet::gratuitous(operation, link.mac, ip);
            Some(packet.frame(Mac::BROADCAST))
        }
        IpAddr::V6(ip) => Some(unsolicited(link, ip)?.frame(link.mac, Mac::of_group(ALL_NODES))),
    }
}

/// An advertisement of `ip` to every node.
pub(super) fn unsolicited(link: &Link, ip: Ipv6Addr) -> Option<Advertisement> {
    Some(Advertisement {
        source: link.link_local()?,
        destination: ALL_NODES,
        target: ip,
        router: false,
        solicited: false,
        override_: true,
        target_mac: Some(link.mac),
    })
}

fn probe(mac: Mac, ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => {
            arp::Packet::question(mac, Ipv4Addr::UNSPECIFIED, ip).frame(Mac::BROADCAST)
        }
        IpAddr::V6(ip) => {
            let group = solicited_node(ip);
            let probe = Solicitation {
                source: Ipv6Addr::UNSPECIFIED,
                destination: group,
                target: ip,
                source_mac: None,
            };
            probe.frame(mac, Mac::of_group(group))
        }
    }
}

fn question(link: &Link, ip: IpAddr, to: To) -> Option<Vec<u8>> {
    match ip {
        IpAddr::V4(ip) => {
            let packet = arp::Packet::question(link.mac, link.sender_for(ip), ip);
            Some(packet.frame(match to {
                To::Everyone => Mac::BROADCAST,
                To::Station(mac) => mac,
            }))
        }
        IpAddr::V6(ip) => {
            let (destination, mac) = match to {
                To::Everyone => {
                    let group = solicited_node(ip);
                    (group, Mac::of_group(group))
                }
                To::Station(mac) => (ip, mac),
            };
            let question = Solicitation {
                source: link.link_local()?,
                destination,
                target: ip,
                source_mac: Some(link.mac),
            };
            Some(question.frame(link.mac, mac))
        }
    }
}
