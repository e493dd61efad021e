//! The machine as a whole, on a virtual clock.

use super::arp::Operation;
use super::ndp::{ALL_NODES, Advertisement, Message, Solicitation, solicited_node};
use super::*;
use crate::l2::ethernet::{Frame, Payload};
use crate::l2::link::Speaks;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

mod announcing;
mod answering;
mod anything;
mod conflicts;
mod deferring;
mod probing;
mod silence;
mod slicing;
mod yielding;

pub(super) const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(super) const OWN2: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub(super) const CLIENT: Mac = Mac([2, 0, 0, 0, 1, 1]);
pub(super) const STRANGER: Mac = Mac([2, 0, 0, 0, 6, 6]);
pub(super) const FELLOW: Mac = Mac([2, 0, 0, 0, 2, 2]);

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => panic!("{address} is IPv6"),
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(v6) => v6,
        IpAddr::V4(_) => panic!("{address} is IPv4"),
    }
}

/// The virtual clock's start; the only look at a clock.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor"
)]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// What a sent frame says, for short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    /// An ARP reply to one station.
    Reply(IpAddr, Mac),
    /// The gratuitous request.
    Request(IpAddr),
    /// The gratuitous reply.
    Announce(IpAddr),
    /// An advertisement to every node.
    Unsolicited(IpAddr),
    /// An advertisement to one station; whether Override is set.
    Solicited(IpAddr, Mac, bool),
    /// A probe or a question to everyone, or to one station.
    Asks(IpAddr, Mac),
}

pub(super) fn said(frame: &[u8]) -> Said {
    let parsed = Frame::parse(frame).unwrap();
    let to = parsed.destination;
    match parsed.payload {
        Payload::Arp(bytes) => {
            let packet = arp::Packet::parse(bytes).unwrap();
            assert_eq!(packet.sender_mac, parsed.source);
            let sender = IpAddr::from(packet.sender_ip);
            match packet.operation {
                Operation::Request if packet.is_announcement() => {
                    assert_eq!((to, packet.target_mac), (Mac::BROADCAST, Mac::BROADCAST));
                    Said::Request(sender)
                }
                Operation::Request => Said::Asks(packet.target_ip.into(), to),
                Operation::Reply if packet.is_announcement() => {
                    assert_eq!((to, packet.target_mac), (Mac::BROADCAST, Mac::BROADCAST));
                    Said::Announce(sender)
                }
                Operation::Reply => Said::Reply(sender, to),
            }
        }
        Payload::Ipv6(bytes) => match Message::parse(bytes).unwrap() {
            Message::Solicitation(m) => Said::Asks(m.target.into(), to),
            Message::Advertisement(m) => {
                assert_eq!((m.router, m.target_mac), (false, Some(parsed.source)));
                if m.destination == ALL_NODES {
                    assert!(!m.solicited && m.override_);
                    assert_eq!(to, Mac::of_group(ALL_NODES));
                    Said::Unsolicited(m.target.into())
                } else {
                    assert!(m.solicited);
                    Said::Solicited(m.target.into(), to, m.override_)
                }
            }
        },
    }
}

pub(super) fn link(index: u32) -> Link {
    Link {
        index,
        name: format!("eth{index}"),
        mac: if index == 1 { OWN } else { OWN2 },
        speaks: Speaks::Both("fe80::1".parse().unwrap()),
        addresses: vec![
            (ip("192.168.1.1"), 24),
            (ip("2001:db8::1"), 64),
            (ip("fe80::1"), 64),
        ],
    }
}

pub(super) fn links(of: &[Link]) -> Links {
    Links {
        usable: of.to_vec(),
        macs: BTreeSet::new(),
    }
}

pub(super) fn entry() -> Entry {
    Entry {
        epoch: 1,
        interfaces: Interfaces::Any,
        conflict: Policy::Report,
        refresh: Refresh::Never,
        probe: false,
    }
}

pub(super) fn table(entries: impl IntoIterator<Item = (IpAddr, Entry)>) -> Table {
    Table {
        entries: entries.into_iter().collect(),
        node: "me".into(),
        ..Table::default()
    }
}

pub(super) fn question(mac: Mac, target: IpAddr) -> Vec<u8> {
    match target {
        IpAddr::V4(target) => {
            arp::Packet::question(mac, Ipv4Addr::new(192, 168, 1, 99), target).frame(Mac::BROADCAST)
        }
        IpAddr::V6(target) => {
            let group = solicited_node(target);
            let m = Solicitation {
                source: "fe80::99".parse().unwrap(),
                destination: group,
                target,
                source_mac: Some(mac),
            };
            m.frame(mac, Mac::of_group(group))
        }
    }
}

pub(super) fn probe(mac: Mac, target: IpAddr) -> Vec<u8> {
    match target {
        IpAddr::V4(target) => {
            arp::Packet::question(mac, Ipv4Addr::UNSPECIFIED, target).frame(Mac::BROADCAST)
        }
        IpAddr::V6(target) => {
            let group = solicited_node(target);
            let m = Solicitation {
                source: Ipv6Addr::UNSPECIFIED,
                destination: group,
                target,
                source_mac: None,
            };
            m.frame(mac, Mac::of_group(group))
        }
    }
}

/// `mac` says that it has `address`, in answer to us.
pub(super) fn claim(mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => {
            let packet = arp::Packet {
                operation: Operation::Reply,
                sender_mac: mac,
                sender_ip: address,
                target_mac: OWN,
                target_ip: Ipv4Addr::UNSPECIFIED,
            };
            packet.frame(OWN)
        }
        IpAddr::V6(address) => {
            let m = Advertisement {
                source: address,
                destination: ALL_NODES,
                target: address,
                router: false,
                solicited: false,
                override_: true,
                target_mac: Some(mac),
            };
            m.frame(mac, Mac::of_group(ALL_NODES))
        }
    }
}

/// A machine and its clock.
pub(super) struct World {
    pub(super) l2: L2,
    pub(super) zero: Instant,
    pub(super) now: Instant,
    pub(super) notices: Vec<Notice>,
    pub(super) groups: Vec<(bool, u32, Ipv6Addr)>,
}

impl World {
    pub(super) fn new(of: &[Link]) -> Self {
        let zero = start();
        let mut l2 = L2::new(L2Options::default());
        l2.handle_links(links(of), zero);
        Self {
            l2,
            zero,
            now: zero,
            notices: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// One with this table on one link, after its announcements.
    pub(super) fn settled(table: Table) -> Self {
        let mut world = Self::new(&[link(1)]);
        world.table(table);
        world.run(Duration::from_secs(30));
        world.notices.clear();
        world
    }

    /// What was sent since the last look: link and words.
    pub(super) fn sent(&mut self) -> Vec<(u32, Said)> {
        let mut sent = Vec::new();
        while let Some(output) = self.l2.poll_output() {
            match output {
                Output::Send { link, frame } => sent.push((link, said(&frame))),
                Output::Join { link, group } => self.groups.push((true, link, group)),
                Output::Leave { link, group } => self.groups.push((false, link, group)),
                Output::Notice(notice) => self.notices.push(notice),
            }
        }
        sent
    }

    pub(super) fn hear(&mut self, link: u32, frame: &[u8]) -> Vec<Said> {
        self.l2.handle_frame(link, frame, self.now);
        self.sent().into_iter().map(|(_, said)| said).collect()
    }

    pub(super) fn table(&mut self, table: Table) {
        self.l2.handle_table(Arc::new(table), self.now);
        self.work();
    }

    /// Lets the machine finish what it does in slices.
    pub(super) fn work(&mut self) {
        while self.l2.pending.next().is_some() {
            self.l2.handle_timeout(self.now);
        }
    }

    /// Runs the clock on, stopping at each deadline; what was sent with its time in ms.
    pub(super) fn run(&mut self, span: Duration) -> Vec<(u128, u32, Said)> {
        let end = self.now + span;
        let mut all = Vec::new();
        loop {
            let at = (self.now - self.zero).as_millis();
            all.extend(self.sent().into_iter().map(|(link, said)| (at, link, said)));
            match self.l2.poll_timeout() {
                Some(next) if next <= end => {
                    assert!(
                        next > self.now || self.progress(next),
                        "a deadline that stays due"
                    );
                    self.now = self.now.max(next);
                    self.l2.handle_timeout(self.now);
                }
                Some(_) | None => {
                    self.now = end;
                    return all;
                }
            }
        }
    }

    /// Whether a deadline in the past goes away when it is handled, if a slice at a time.
    fn progress(&self, due: Instant) -> bool {
        let mut copy = self.l2.clone();
        (0..10_000).any(|_| {
            copy.handle_timeout(self.now);
            copy.poll_timeout() != Some(due)
        })
    }

    pub(super) fn state(&self, of: IpAddr) -> Option<State> {
        self.l2
            .addresses()
            .find(|&(ip, ..)| ip == of)
            .map(|(_, state, _)| state)
    }

    pub(super) fn counters(&self, of: IpAddr) -> Counters {
        *self.l2.addresses().find(|&(ip, ..)| ip == of).unwrap().2
    }

    pub(super) fn dropped(&self, drop: Drop) -> u64 {
        self.l2.drops().get(&drop).copied().unwrap_or(0)
    }
}
