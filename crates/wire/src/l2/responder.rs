//! What is heard, and the answer to it: one look-up by address, one allocation for the frame.

use super::address::Phase;
use super::arp::{self, Operation};
use super::ethernet::{Frame, Payload};
use super::mac::Mac;
use super::ndp::{ALL_NODES, Advertisement, Message, Solicitation};
use super::say::unsolicited;
use super::stats::{Answered, Drop};
use super::{L2, link::Link};
use std::net::IpAddr;
use std::time::Instant;

/// A valid question for an address.
#[derive(Clone, Copy)]
enum Question {
    Arp(arp::Packet),
    /// With the MAC to answer to.
    Ndp(Solicitation, Mac),
}

impl L2 {
    /// Takes a frame; `Err` says why it wasn't answered.
    pub(super) fn hear(&mut self, index: u32, frame: &[u8], now: Instant) -> Result<(), Drop> {
        let port = self.ports.get(&index).ok_or(Drop::UnusableLink)?;
        let frame = Frame::parse(frame)?;
        if self.macs.contains(&frame.source) {
            return Err(Drop::OwnFrame);
        }
        // Broadcast and the groups of IPv6 are addressed to us as well.
        if frame.destination.is_unicast() && frame.destination != port.link.mac {
            return Err(Drop::OtherDestination);
        }
        match frame.payload {
            Payload::Arp(bytes) => {
                if frame.destination != Mac::BROADCAST && frame.destination != port.link.mac {
                    return Err(Drop::OtherDestination);
                }
                self.hear_arp(index, arp::Packet::parse(bytes)?, now)
            }
            Payload::Ipv6(bytes) => match Message::parse(bytes)? {
                Message::Solicitation(message) => {
                    let asker = message.source_mac.unwrap_or(frame.source);
                    self.hear_solicitation(index, message, asker, now)
                }
                Message::Advertisement(message) => {
                    let owner = message.target_mac.unwrap_or(frame.source);
                    self.hear_claim(index, message.target.into(), owner, now);
                    Err(Drop::NoQuestion)
                }
            },
        }
    }

    fn hear_arp(&mut self, index: u32, packet: arp::Packet, now: Instant) -> Result<(), Drop> {
        if self.macs.contains(&packet.sender_mac) {
            return Err(Drop::OwnFrame);
        }
        let target = IpAddr::V4(packet.target_ip);
        // Whoever sends from an address says it is his (RFC 5227 §2.4).
        if !packet.sender_ip.is_unspecified() {
            self.hear_claim(index, packet.sender_ip.into(), packet.sender_mac, now);
        }
        // DEVIATION: an announcement, though a request in form, asks nothing and is not answered.
        if packet.operation == Operation::Reply || packet.is_announcement() {
            return Err(Drop::NoQuestion);
        }
        if packet.sender_ip.is_unspecified() {
            self.hear_probe(index, target, packet.sender_mac, now);
        }
        self.answer(index, target, &Question::Arp(packet), now)
    }

    fn hear_solicitation(
        &mut self,
        index: u32,
        message: Solicitation,
        asker: Mac,
        now: Instant,
    ) -> Result<(), Drop> {
        if self.macs.contains(&asker) {
            return Err(Drop::OwnFrame);
        }
        let target = IpAddr::V6(message.target);
        if message.is_probe() {
            self.hear_probe(index, target, asker, now);
        } else {
            self.hear_claim(index, message.source.into(), asker, now);
        }
        self.answer(index, target, &Question::Ndp(message, asker), now)
    }

    /// `mac` tests `ip` before using it: while we test it ourselves he wants the same address
    /// (RFC 5227 §2.1.1, RFC 4862 §5.4.3); otherwise the answer defends it.
    fn hear_probe(&mut self, index: u32, ip: IpAddr, mac: Mac, now: Instant) {
        self.catch_up(ip, now);
        let probing = self
            .addresses
            .get(&ip)
            .is_some_and(|address| matches!(address.phase, Phase::Probing { .. }));
        if probing {
            self.hear_claim(index, ip, mac, now);
        }
        self.fellow_asks(index, ip, mac, now);
    }

    fn answer(
        &mut self,
        index: u32,
        ip: IpAddr,
        question: &Question,
        now: Instant,
    ) -> Result<(), Drop> {
        self.catch_up(ip, now);
        let port = self.ports.get_mut(&index).ok_or(Drop::UnusableLink)?;
        if !port.link.speaks_for(ip) {
            return Err(Drop::UnusableLink);
        }
        port.recent.asked(ip, now);
        let address = self.addresses.get_mut(&ip).ok_or(Drop::NotOwned)?;
        if !address.on.contains(&index) {
            return Err(Drop::OtherInterface);
        }
        address.counters.requests_received += 1;
        if !address.answers(index) {
            return Err(Drop::Silent);
        }
        // A yielded address is answered for, but what the successor says goes before.
        let owner = address.phase == Phase::Active;
        let (frame, mac) = match question {
            Question::Arp(packet) => {
                let frame = packet.reply(port.link.mac).frame(packet.sender_mac);
                (frame, packet.sender_mac)
            }
            Question::Ndp(message, asker) => {
                let frame =
                    advertisement(&port.link, message, *asker, owner).ok_or(Drop::UnusableLink)?;
                (frame, *asker)
            }
        };
        address.counters.responses_sent += 1;
        address.counters.last_answered = Some(Answered {
            at: now,
            mac,
            link: index,
        });
        self.send(index, frame);
        Ok(())
    }
}

/// The answer to a solicitation. Who tests an address has none to be answered at: everyone is
/// told (RFC 4861 §7.2.4).
// DEVIATION: Override is set by the owner (RFC 4861 §7.2.4 SHOULD): a neighbour that still has
// the previous owner's MAC and asks by multicast would keep it otherwise.
fn advertisement(link: &Link, message: &Solicitation, asker: Mac, owner: bool) -> Option<Vec<u8>> {
    if message.is_probe() {
        let answer = unsolicited(link, message.target)?;
        return Some(answer.frame(link.mac, Mac::of_group(ALL_NODES)));
    }
    let answer = Advertisement {
        source: link.link_local()?,
        destination: message.source,
        target: message.target,
        router: false,
        solicited: true,
        override_: owner,
        target_mac: Some(link.mac),
    };
    Some(answer.frame(link.mac, asker))
}
