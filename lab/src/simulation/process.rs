//! One speaker process: the machines, and between them what the daemon does.

use super::clock::Now;
use super::plan::{Plan, Policy};
use super::site;
use corten_engine::facts::{Changes, Class, Facts};
use corten_engine::speaker::{Action, BgpDriver, Input, Speaker, SpeakerOptions};
use corten_node::joining::Found;
use corten_node::lease::Lease;
use corten_node::orders::{self, Issuer, Orders};
use corten_node::standing::{Seen, Standing};
use corten_node::words;
use corten_wire::gossip::{
    Claiming, Detection, Envelope, Event, Gossip, GossipOptions, Label, Output, Parameters,
    Security, StreamId,
};
use corten_wire::l2::link::Speaks;
use corten_wire::l2::{self, L2, L2Options, Link, Links, Mac};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

/// What a process does to the world.
pub(super) enum Effect {
    Packet {
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Open {
        stream: StreamId,
        to: SocketAddr,
    },
    Write {
        stream: StreamId,
        bytes: Vec<u8>,
    },
    Close {
        stream: StreamId,
    },
    Frame(Vec<u8>),
    /// The facts side has something to decide.
    Decide,
    /// The wire side has new orders.
    Obey,
}

pub(super) struct Process {
    /// Which of its node's it is.
    pub(super) life: u64,
    name: String,
    pub(super) gossip: Gossip,
    standing: Standing,
    lease: Lease,
    renew_at: Instant,
    pub(super) l2: L2,
    pub(super) speaker: Speaker,
    pub(super) facts: Rc<Facts>,
    issuer: Issuer,
    pub(super) seen: Seen,
    orders: Orders,
    /// The generation of what was said to be answered.
    answered: Option<u64>,
}

pub(super) fn mac(i: usize) -> Mac {
    let [a, b, c, d] = site::ip(i).octets();
    Mac([2, 0, a, b, c, d])
}

impl Process {
    pub(super) fn start(
        plan: &Plan,
        i: usize,
        life: u64,
        seed: u64,
        found: BTreeSet<SocketAddr>,
        facts: Rc<Facts>,
        now: Now,
    ) -> Self {
        let parameters = Parameters {
            detection: Detection::FAST,
            ..Parameters::LAN
        };
        let lease = Lease::new(parameters.shortest_death(), now.boot);
        let mut random = [0; 32];
        for (to, from) in random.iter_mut().zip(seed.to_be_bytes()) {
            *to = from;
        }
        let options = GossipOptions {
            name: site::name(i),
            address: site::address(i),
            meta: Vec::new(),
            envelope: Envelope {
                label: Label::default(),
                security: Security::Off,
                compression: false,
            },
            parameters,
            claiming: Claiming::On {
                sticky: plan.policy == Policy::Sticky,
            },
            seed: random,
        };
        let mut standing = Standing::new(options.address, 0, now.instant);
        standing.found(Found::All(found), now.instant);
        let mut speaker = Speaker::new(SpeakerOptions {
            node: site::name(i).as_str().into(),
            class: Class::Default,
            ignore_exclude_lb: false,
            bgp: BgpDriver::Absent,
        });
        let mut l2 = L2::new(L2Options {
            seed,
            ..L2Options::default()
        });
        let link = Link {
            index: 1,
            name: "eth0".to_owned(),
            mac: mac(i),
            speaks: Speaks::Arp,
            addresses: vec![(site::ip(i).into(), 16)],
        };
        let told = [words::link_state(&link)].into();
        speaker.handle(&facts, Input::Links(told));
        let links = Links {
            macs: [link.mac].into(),
            usable: vec![link],
        };
        l2.handle_links(links, now.instant);
        Self {
            life,
            name: options.name.clone(),
            gossip: Gossip::new(options, now.instant),
            standing,
            lease,
            renew_at: now.instant,
            l2,
            speaker,
            facts,
            issuer: Issuer::default(),
            seen: Seen::Unsettled,
            orders: Orders::default(),
            answered: None,
        }
    }

    /// When [`Self::turn`] is to be called next.
    pub(super) fn next(&self) -> Instant {
        let next = [
            self.gossip.poll_timeout(),
            self.standing.next(),
            self.l2.poll_timeout(),
        ];
        next.into_iter().flatten().fold(self.renew_at, Instant::min)
    }

    /// Both loops of the wire thread go round once.
    pub(super) fn turn(&mut self, now: Now, out: &mut Vec<Effect>) {
        let term = self.lease.renew(now.boot);
        self.renew_at = now.instant + self.lease.period();
        self.flush(out);
        self.standing.renewed(term, now.instant);
        if self
            .gossip
            .poll_timeout()
            .is_some_and(|at| at <= now.instant)
        {
            self.gossip.handle_timeout(now.instant);
        }
        self.standing.due(&mut self.gossip, now.instant);
        self.flush(out);
        let seen = self.standing.see(&self.gossip);
        if seen != self.seen {
            self.seen = seen;
            out.push(Effect::Decide);
        }
        self.watch(now);
        if self.l2.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.l2.handle_timeout(now.instant);
        }
        let contested = self.l2.contested();
        self.standing
            .contested(contested, &mut self.gossip, now.instant);
        let generation = Some(self.l2.answering_generation());
        if self.answered != generation && self.l2.has_settled() {
            self.answered = generation;
            let answered = self.l2.answered().collect();
            self.standing.answers(&answered, now.instant);
        }
        self.flush(out);
    }

    fn watch(&mut self, now: Now) {
        orders::watch(&mut self.l2, self.lease.check(now.boot));
    }

    /// A frame was heard.
    pub(super) fn frame(&mut self, frame: &[u8], now: Now, out: &mut Vec<Effect>) {
        self.watch(now);
        self.l2.handle_frame(1, frame, now.instant);
        self.turn(now, out);
    }

    /// SIGTERM.
    pub(super) fn leave(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.standing.leave(&mut self.gossip, now.instant);
        self.turn(now, out);
    }

    /// The facts side takes what was seen last. Whether the process ends with it.
    pub(super) fn decide(&mut self, out: &mut Vec<Effect>) -> bool {
        let Some(view) = self.seen.view().cloned() else {
            return false;
        };
        let inputs = [
            Input::Ownership(words::ownership(&view)),
            Input::Membership(words::membership(&view)),
        ];
        for input in inputs {
            self.speaker.handle(&self.facts, input);
        }
        let table = self.table();
        match self.issuer.decided(view.term, table, &self.speaker) {
            Some(table) => self.orders = self.issuer.orders(table, &self.name),
            None => self.orders.term = view.term,
        }
        out.push(Effect::Obey);
        matches!(self.seen, Seen::Left(_))
    }

    /// The API says something new of the nodes.
    pub(super) fn learn(&mut self, facts: Rc<Facts>, out: &mut Vec<Effect>) {
        self.facts = facts;
        let changes = Changes {
            nodes: true,
            ..Changes::default()
        };
        self.speaker.handle(&self.facts, Input::Facts(changes));
        if let Some(table) = self.table() {
            self.orders = self.issuer.orders(table, &self.name);
            out.push(Effect::Obey);
        }
    }

    fn table(&mut self) -> Option<corten_engine::advertise::l2::L2Table> {
        let mut newest = None;
        while let Some(action) = self.speaker.poll_action() {
            match action {
                Action::L2(table) => newest = Some(table),
                Action::Bgp(_) | Action::Emit(_) | Action::HoldDown(..) => {}
            }
        }
        newest
    }

    /// The wire side takes the newest orders.
    pub(super) fn obey(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.watch(now);
        let lease = &mut self.lease;
        let resume = |term| lease.resume(term, now.boot);
        orders::follow(&mut self.l2, self.orders.clone(), resume, now.instant);
        self.turn(now, out);
    }

    /// Addresses it answers for.
    pub(super) fn answers(&self) -> BTreeSet<IpAddr> {
        if self.l2.is_silent() {
            return BTreeSet::new();
        }
        self.l2.answered().collect()
    }

    fn flush(&mut self, out: &mut Vec<Effect>) {
        while let Some(output) = self.gossip.poll_output() {
            match output {
                Output::Packet { to, bytes } => out.push(Effect::Packet { to, bytes }),
                Output::Open { stream, to } => out.push(Effect::Open { stream, to }),
                Output::Write { stream, bytes } => out.push(Effect::Write { stream, bytes }),
                Output::Close { stream } => out.push(Effect::Close { stream }),
                Output::Event(Event::Exchanged { with }) => self.standing.exchanged(with),
                Output::Event(Event::NotExchanged { with, .. }) => {
                    self.standing.not_exchanged(with);
                }
                Output::Event(Event::Left) => self.standing.left(),
                Output::Event(
                    Event::Member { .. }
                    | Event::Conflict { .. }
                    | Event::User { .. }
                    | Event::UserState { .. },
                ) => {}
            }
        }
        while let Some(output) = self.l2.poll_output() {
            match output {
                l2::Output::Send { frame, .. } => out.push(Effect::Frame(frame)),
                l2::Output::Join { .. } | l2::Output::Leave { .. } | l2::Output::Notice(_) => {}
            }
        }
    }
}
