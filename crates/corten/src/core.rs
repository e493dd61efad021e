//! The facts side without IO: facts, controller and speaker joined, and what they ask for.

use corten_api::pool::IPAddressPoolStatus;
use corten_api::status::{InterfaceInfo, ServiceBGPStatusStatus, ServiceL2StatusStatus};
use corten_cluster::directory::status::Report;
use corten_cluster::kubernetes::Findings;
use corten_cluster::metrics;
use corten_engine::advertise::bgp::BgpTable;
use corten_engine::advertise::l2::{self, Announcement, L2Table, Verdict};
use corten_engine::config::Filter;
use corten_engine::controller::{self, Controller, ControllerOptions};
use corten_engine::event::{Assignment, Event, EventRecord, Severity};
use corten_engine::facts::{Class, Facts, Origin};
use corten_engine::membership::Membership;
use corten_engine::names::{NodeName, PoolName, ServiceKey};
use corten_engine::rejection::{Kind, Rejection, Subject};
use corten_engine::speaker::{self, BgpDriver, Input, Speaker, SpeakerOptions};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Most events kept for `corten status`.
const EVENTS_KEPT: usize = 200;

/// Facts, and what is decided on them.
pub(crate) struct Core {
    pub(crate) facts: Facts,
    pub(crate) role: Role,
    pub(crate) speaker: Speaker,
    /// `None` while it is on and not known yet.
    pub(crate) membership: Option<Membership>,
    /// What came from the source.
    pub(crate) source_counters: metrics::Source,
    /// The newest events, oldest first.
    pub(crate) events: VecDeque<(jiff::Timestamp, EventRecord)>,
}

/// What this instance does.
pub(crate) enum Role {
    /// It allocates, and announces.
    Allocator(Box<Controller>),
    /// It allocates. Its speaker stays idle: nobody tells it of interfaces.
    Controller(Box<Controller>),
    /// It announces what is allocated elsewhere.
    Follower,
}

/// What an instance is to be.
pub(crate) struct CoreOptions {
    /// Where objects come from.
    pub(crate) origin: Origin,
    /// What it does.
    pub(crate) duty: Duty,
    /// This node; empty where nothing is announced.
    pub(crate) node: NodeName,
    /// The `loadBalancerClass` handled, or none.
    pub(crate) lb_class: String,
    /// Whether nodes labelled as excluded announce all the same.
    pub(crate) ignore_exclude_lb: bool,
    /// Who is alive, before anything is told of it; `None` where that is yet to come.
    pub(crate) membership: Option<Membership>,
    /// Whether somebody speaks BGP as the table says.
    pub(crate) bgp: BgpDriver,
}

/// What an instance is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Allocate and announce.
    Both,
    /// Allocate.
    Allocate,
    /// Announce.
    Announce,
}

/// What is to be done outside.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Allocations to record.
    pub(crate) assignments: Vec<(ServiceKey, Assignment)>,
    /// The newest layer-2 table, if it changed.
    pub(crate) table: Option<L2Table>,
    /// The newest BGP table, if it changed.
    pub(crate) bgp: Option<BgpTable>,
    /// Events to record.
    pub(crate) events: Vec<EventRecord>,
    /// Services to be released after so long.
    pub(crate) held: Vec<(ServiceKey, Duration)>,
}

impl Role {
    /// What allocates, if this instance does.
    pub(crate) fn controller(&self) -> Option<&Controller> {
        match self {
            Self::Allocator(controller) | Self::Controller(controller) => Some(controller),
            Self::Follower => None,
        }
    }

    fn controller_mut(&mut self) -> Option<&mut Controller> {
        match self {
            Self::Allocator(controller) | Self::Controller(controller) => Some(controller),
            Self::Follower => None,
        }
    }

    /// Whether this instance announces.
    pub(crate) fn announces(&self) -> bool {
        match self {
            Self::Allocator(_) | Self::Follower => true,
            Self::Controller(_) => false,
        }
    }
}

impl Core {
    pub(crate) fn new(options: CoreOptions) -> Self {
        let CoreOptions {
            origin,
            duty,
            node,
            lb_class,
            ignore_exclude_lb,
            membership,
            bgp,
        } = options;
        let class = if lb_class.is_empty() {
            Class::Default
        } else {
            Class::Named(lb_class)
        };
        let controller = || {
            let class = class.clone();
            Box::new(Controller::new(ControllerOptions { class }))
        };
        let role = match duty {
            Duty::Both => Role::Allocator(controller()),
            Duty::Allocate => Role::Controller(controller()),
            Duty::Announce => Role::Follower,
        };
        let options = SpeakerOptions {
            node,
            class,
            ignore_exclude_lb,
            bgp,
        };
        let facts = Facts::of_node(origin, options.node.clone());
        let mut speaker = Speaker::new(options);
        if let Some(membership) = &membership {
            speaker.handle(&facts, Input::Membership(membership.clone()));
        }
        let (source_counters, events) = (metrics::Source::default(), VecDeque::new());
        Self {
            facts,
            role,
            speaker,
            membership,
            source_counters,
            events,
        }
    }

    /// Takes what the source said.
    pub(crate) fn source(&mut self, events: impl IntoIterator<Item = Event>) -> Outcome {
        let changes = self.facts.handle(events);
        self.count();
        if changes.is_empty() {
            return Outcome::default();
        }
        if let Some(controller) = self.role.controller_mut() {
            controller.handle(&self.facts, &changes);
        }
        self.tell(Input::Facts(changes))
    }

    /// Counts a batch: each is an update, and one that leaves something rejected is an error, too.
    fn count(&mut self) {
        let stale = self.own_problems().next().is_some();
        let counters = &mut self.source_counters;
        counters.updates += 1;
        counters.update_errors += u64::from(stale);
        counters.config_loaded |= match self.role {
            Role::Controller(_) => self.facts.is_listed(&[Kind::IPAddressPool]),
            Role::Allocator(_) | Role::Follower => l2::ready(&self.facts),
        };
        counters.config_stale = stale;
    }

    /// Tells the speaker something that isn't from the source.
    pub(crate) fn tell(&mut self, input: Input) -> Outcome {
        self.tell_all([input])
    }

    /// The same of several things: what is asked for is what all of them lead to.
    pub(crate) fn tell_all<const N: usize>(&mut self, inputs: [Input; N]) -> Outcome {
        for input in inputs {
            self.speaker.handle(&self.facts, input);
        }
        self.drain()
    }

    /// Whether what allocates here has decided about everything once.
    pub(crate) fn has_allocated(&self) -> bool {
        let controller = self.role.controller();
        controller.is_none_or(Controller::has_started)
    }

    /// Whether everything was listed once and the interfaces are known, so that decisions stand.
    pub(crate) fn is_ready(&self) -> bool {
        self.has_allocated() && (!self.role.announces() || self.speaker.has_started())
    }

    /// Counters of every pool; only an allocator has them.
    pub(crate) fn pools(&self) -> BTreeMap<PoolName, IPAddressPoolStatus> {
        let counters = self.role.controller().map(Controller::counters);
        let all = counters.into_iter().flatten();
        all.map(|(name, counters)| (name, counters.status()))
            .collect()
    }

    /// What the status files say beyond the ledger.
    pub(crate) fn report(&self) -> Report {
        let node = self.speaker.node();
        let layer2 = self
            .speaker
            .verdicts()
            .filter_map(|(key, verdict)| match verdict {
                Verdict::Announce(announcement) => {
                    Some((key.clone(), l2_status(key, node, announcement)))
                }
                Verdict::Withhold(_) => None,
            });
        Report {
            pools: self.pools(),
            layer2: layer2.collect(),
            bgp: self.bgp_statuses(),
        }
    }

    /// What `ServiceBGPStatus` says of the Services that a peer is told of (`spec/metallb.md` §1.9,
    /// §6.8); `None` before anything was decided.
    fn bgp_statuses(&self) -> Option<BTreeMap<ServiceKey, ServiceBGPStatusStatus>> {
        if self.speaker.bgp_driver() == BgpDriver::Absent {
            return Some(BTreeMap::new());
        }
        if !self.speaker.bgp_has_started() {
            return None;
        }
        let statuses = self.speaker.bgp_verdicts().filter_map(|(key, _)| {
            let peers = self.speaker.bgp_peers(key).into_iter();
            let status = ServiceBGPStatusStatus {
                node: Some(self.speaker.node().to_string()),
                service_name: Some(key.name().to_owned()),
                service_namespace: Some(key.namespace().to_owned()),
                peers: peers.map(str::to_owned).collect(),
            };
            (!status.peers.is_empty()).then(|| (key.clone(), status))
        });
        Some(statuses.collect())
    }

    /// What is found about the configuration this instance uses; `unwatched` is why a part of it
    /// can't be read now, if one can't.
    pub(crate) fn findings(&self, unwatched: Option<String>) -> Findings {
        if !self.source_counters.config_loaded {
            return Findings::Unread;
        }
        if let Some(cause) = unwatched {
            return Findings::Unknown(cause);
        }
        let of_config = |rejection: &&Rejection| match &rejection.subject {
            Subject::Object(object) => is_configuration(object.kind),
            Subject::Unidentified => true,
        };
        let rejected = self.own_problems().filter(of_config);
        let causes: Vec<_> = rejected.map(|r| r.cause.clone()).collect();
        if causes.is_empty() {
            Findings::Valid
        } else {
            Findings::Invalid(causes)
        }
    }

    /// What is rejected of what is for this node.
    fn own_problems(&self) -> impl Iterator<Item = &Rejection> {
        let all = self.facts.problems().iter();
        all.filter(|rejection| self.facts.concerns(rejection))
    }

    fn drain(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut emitted = Vec::new();
        if let Some(controller) = self.role.controller_mut() {
            while let Some(action) = controller.poll_action() {
                match action {
                    controller::Action::Assign {
                        service,
                        assignment,
                    } => {
                        outcome.assignments.push((service, assignment));
                    }
                    controller::Action::Emit(record) => emitted.push(record),
                    // The status files take every pool's counters from the controller at once.
                    controller::Action::PoolStatus { .. } => {}
                }
            }
        }
        while let Some(action) = self.speaker.poll_action() {
            match action {
                speaker::Action::L2(table) => outcome.table = Some(table),
                speaker::Action::Bgp(table) => outcome.bgp = Some(table),
                speaker::Action::Emit(record) => emitted.push(record),
                speaker::Action::HoldDown(service, time) => outcome.held.push((service, time)),
            }
        }
        for record in &emitted {
            self.record(record.clone());
        }
        outcome.events = emitted;
        outcome
    }

    fn record(&mut self, record: EventRecord) {
        let EventRecord {
            service,
            severity,
            reason,
            message,
        } = &record;
        match severity {
            Severity::Normal => tracing::info!(%service, reason, "{message}"),
            Severity::Warning => tracing::warn!(%service, reason, "{message}"),
        }
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back((jiff::Timestamp::now(), record));
    }
}

/// What `ServiceL2Status` says of an announced Service (`spec/metallb.md` §1.8).
fn l2_status(
    key: &ServiceKey,
    node: &NodeName,
    announcement: &Announcement,
) -> ServiceL2StatusStatus {
    let interfaces = match &announcement.interfaces {
        Filter::Any => Vec::new(),
        Filter::Only(names) => names
            .iter()
            .map(|name| InterfaceInfo {
                name: Some(name.clone()),
            })
            .collect(),
    };
    ServiceL2StatusStatus {
        node: Some(node.to_string()),
        service_name: Some(key.name().to_owned()),
        service_namespace: Some(key.namespace().to_owned()),
        interfaces,
    }
}

/// Whether objects of the kind are configuration (`spec/metallb.md` §2.3).
fn is_configuration(kind: Kind) -> bool {
    match kind {
        Kind::IPAddressPool
        | Kind::L2Advertisement
        | Kind::BGPAdvertisement
        | Kind::BGPPeer
        | Kind::BFDProfile
        | Kind::Community
        | Kind::Secret => true,
        Kind::Service | Kind::EndpointSlice | Kind::Node | Kind::Namespace => false,
    }
}
