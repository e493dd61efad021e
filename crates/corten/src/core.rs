//! The facts side without IO: facts, controller and speaker joined, and what they ask for.

use crate::cli::RunArgs;
use corten_api::pool::IPAddressPoolStatus;
use corten_api::status::{InterfaceInfo, ServiceL2StatusStatus};
use corten_cluster::directory::status::Report;
use corten_cluster::metrics;
use corten_engine::advertise::l2::{self, Announcement, L2Table, Verdict};
use corten_engine::config::Filter;
use corten_engine::controller::{self, Controller, ControllerOptions};
use corten_engine::event::{Assignment, Event, EventRecord, Severity};
use corten_engine::facts::{Class, Facts, Origin};
use corten_engine::membership::Membership;
use corten_engine::names::{NodeName, PoolName, ServiceKey};
use corten_engine::speaker::{self, BgpDriver, Input, Speaker, SpeakerOptions};
use std::collections::{BTreeMap, VecDeque};

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

/// Whether this instance allocates.
pub(crate) enum Role {
    /// It is the allocator of its directory.
    Allocator(Box<Controller>),
    /// It takes allocations as the ledger says.
    Follower,
}

/// What is to be done outside.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Allocations to record.
    pub(crate) assignments: Vec<(ServiceKey, Assignment)>,
    /// The newest layer-2 table, if it changed.
    pub(crate) table: Option<L2Table>,
}

impl Core {
    pub(crate) fn new(args: &RunArgs, membership: Option<Membership>) -> Self {
        let class = if args.lb_class.is_empty() {
            Class::Default
        } else {
            Class::Named(args.lb_class.clone())
        };
        let role = if args.allocate {
            let options = ControllerOptions {
                class: class.clone(),
            };
            Role::Allocator(Box::new(Controller::new(options)))
        } else {
            Role::Follower
        };
        let options = SpeakerOptions {
            node: NodeName(args.node.clone()),
            class,
            ignore_exclude_lb: args.ignore_exclude_lb,
            // The process has no BGP driver: what the speaker decides of it is explained only.
            bgp: BgpDriver::Absent,
        };
        let facts = Facts::new(Origin::Directory);
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
        if let Role::Allocator(controller) = &mut self.role {
            controller.handle(&self.facts, &changes);
        }
        self.tell(Input::Facts(changes))
    }

    /// Counts a batch: each is an update, and one that leaves something rejected is an error, too.
    fn count(&mut self) {
        let stale = !self.facts.problems().is_empty();
        let counters = &mut self.source_counters;
        counters.updates += 1;
        counters.update_errors += u64::from(stale);
        counters.config_loaded |= l2::ready(&self.facts);
        counters.config_stale = stale;
    }

    /// Tells the speaker something that isn't from the source.
    pub(crate) fn tell(&mut self, input: Input) -> Outcome {
        self.speaker.handle(&self.facts, input);
        self.drain()
    }

    /// Whether everything was listed once and the interfaces are known, so that decisions stand.
    pub(crate) fn is_ready(&self) -> bool {
        let controller = match &self.role {
            Role::Allocator(controller) => controller.has_started(),
            Role::Follower => true,
        };
        controller && self.speaker.has_started()
    }

    /// Counters of every pool; only an allocator has them.
    pub(crate) fn pools(&self) -> BTreeMap<PoolName, IPAddressPoolStatus> {
        match &self.role {
            Role::Allocator(controller) => controller
                .counters()
                .into_iter()
                .map(|(name, counters)| (name, counters.status()))
                .collect(),
            Role::Follower => BTreeMap::new(),
        }
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
        }
    }

    fn drain(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut emitted = Vec::new();
        if let Role::Allocator(controller) = &mut self.role {
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
                // Nobody here speaks BGP.
                speaker::Action::Bgp(_) => {}
                speaker::Action::Emit(record) => emitted.push(record),
            }
        }
        for record in emitted {
            self.record(record);
        }
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
