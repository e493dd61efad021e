//! A small world to decide about: facts written down directly, and the speakers of its nodes.

use corten_engine::advertise::bgp::BgpTable;
use corten_engine::advertise::l2::{L2Entry, L2Table, Verdict};
use corten_engine::config::selector::{Requirement, Selector, Selectors};
use corten_engine::config::{
    ConflictPolicy, Coverage, Entry, Filter, L2Advertisement, Ownership, Pool, PoolScope,
    Preference, Refresh, RejectedPool,
};
use corten_engine::event::EventRecord;
use corten_engine::facts::{
    Changes, Class, Endpoint, Endpoints, Facts, Families, FamilyPolicy, Ingress, Node, Origin,
    Requested, Service, Sharing, TrafficPolicy,
};
use corten_engine::flat::{FlatMap, FlatSet};
use corten_engine::ip::Family;
use corten_engine::membership::Membership;
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::rejection::Kind;
use corten_engine::speaker::{Action, BgpDriver, Input, LinkState, Speaker, SpeakerOptions};
use std::net::IpAddr;
use std::time::Duration;

/// Both protocols can be spoken.
pub(crate) const UP: LinkState = LinkState {
    arp: true,
    ndp: true,
};

/// Facts with every kind listed, every pool accepted, and nothing in them.
pub(crate) fn empty() -> Facts {
    let mut facts = Facts::new(Origin::Kubernetes);
    facts.listed = Kind::ALL.into();
    facts.config.coverage = Coverage::Complete;
    facts
}

/// Three nodes, a pool of 192.168.1.0/24 and 2001:db8::/64, an advertisement for it, and a Service
/// `default/web` with 192.168.1.240 and an endpoint on each node.
pub(crate) fn usual() -> Facts {
    let mut facts = empty();
    for name in ["node-a", "node-b", "node-c"] {
        add_node(&mut facts, name);
    }
    add_pool(&mut facts, "pool", &["192.168.1.0/24", "2001:db8::/64"]);
    add_ad(&mut facts, ad("ad"));
    add_service(&mut facts, service("web", &["192.168.1.240"]));
    facts
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

pub(crate) fn add_node(facts: &mut Facts, name: &str) {
    let host = facts.nodes.len() + 1;
    facts.nodes.insert(
        name.into(),
        Node {
            name: name.into(),
            labels: [("host".to_owned(), name.to_owned())].into(),
            network_unavailable: false,
            out_of_service: false,
            addresses: vec![ip(&format!("198.51.100.{host}"))],
        },
    );
}

pub(crate) fn add_pool(facts: &mut Facts, name: &str, cidrs: &[&str]) {
    let entries = cidrs.iter().map(|cidr| Entry {
        text: (*cidr).to_owned(),
        cidrs: vec![cidr.parse().unwrap()],
    });
    facts.config.pools.insert(
        name.into(),
        Pool {
            name: name.into(),
            labels: FlatMap::new(),
            entries: entries.collect(),
            auto_assign: true,
            avoid_buggy_ips: false,
            scope: PoolScope::Everyone,
        },
    );
}

/// Some pool is rejected; these are, by name.
pub(crate) fn reject(facts: &mut Facts, names: &[&str]) {
    let rejected = names.iter().map(|&n| (n.into(), RejectedPool::default()));
    facts.config.coverage = Coverage::Incomplete {
        rejected: rejected.collect(),
    };
}

pub(crate) fn ad(name: &str) -> L2Advertisement {
    L2Advertisement {
        name: name.to_owned(),
        pools: Filter::Any,
        by_label: false,
        nodes: Selectors::Everything,
        interfaces: Filter::Any,
        services: Selectors::Everything,
        preferences: Vec::new(),
        conflict: ConflictPolicy::Report,
        ownership: Ownership::Default,
        refresh: Refresh::Never,
    }
}

pub(crate) fn add_ad(facts: &mut Facts, ad: L2Advertisement) {
    facts.config.l2.insert(ad.name.clone(), ad);
}

pub(crate) fn only<T: Ord + for<'a> From<&'a str>>(items: &[&str]) -> Filter<T> {
    Filter::Only(items.iter().map(|&i| i.into()).collect())
}

/// The label `key` has one of `values`.
pub(crate) fn label(key: &str, values: &[&str]) -> Selector {
    let values = values.iter().map(|&v| v.to_owned()).collect();
    Selector {
        requirements: vec![Requirement::In(key.to_owned(), values)],
    }
}

/// These nodes.
pub(crate) fn hosts(names: &[&str]) -> Selectors {
    Selectors::AnyOf(vec![label("host", names)])
}

/// These Services.
pub(crate) fn apps(names: &[&str]) -> Selectors {
    Selectors::AnyOf(vec![label("app", names)])
}

pub(crate) fn prefer(weight: i32, nodes: &[&str]) -> Preference {
    Preference {
        weight,
        nodes: label("host", nodes),
    }
}

pub(crate) fn service(name: &str, addresses: &[&str]) -> Service {
    Service {
        key: key(name),
        created: None,
        labels: [("app".to_owned(), name.to_owned())].into(),
        is_load_balancer: true,
        class: Class::Default,
        families: Families::Single(Family::V4),
        family_policy: FamilyPolicy::SingleStack,
        primary_family: Family::V4,
        traffic_policy: TrafficPolicy::Cluster,
        selector: FlatMap::new(),
        ports: FlatSet::new(),
        requested: Requested::Any,
        requested_pool: None,
        sharing: Sharing::Absent,
        ingress: ingress(addresses),
        allocated_from: None,
        deprecated_annotations: Vec::new(),
    }
}

pub(crate) fn ingress(addresses: &[&str]) -> Ingress {
    if addresses.is_empty() {
        Ingress::Empty
    } else {
        Ingress::Addresses(addresses.iter().map(|a| ip(a)).collect())
    }
}

/// Adds a Service with a serving endpoint on every node there is.
pub(crate) fn add_service(facts: &mut Facts, service: Service) {
    let nodes: Vec<_> = facts.nodes.keys().cloned().collect();
    let on = nodes
        .iter()
        .map(|n| (Some(n.as_str()), true))
        .collect::<Vec<_>>();
    set_endpoints(facts, &service.key.clone(), &on);
    facts.services.insert(service.key.clone(), service.into());
}

/// Node and readiness of each endpoint.
pub(crate) fn set_endpoints(facts: &mut Facts, key: &ServiceKey, on: &[(Option<&str>, bool)]) {
    let endpoints = on.iter().map(|&(node, serving)| Endpoint {
        node: node.map(Into::into),
        serving,
        has_address: true,
    });
    let slices = [("slice".into(), endpoints.collect())].into();
    facts.endpoints.insert(key.clone(), Endpoints { slices });
}

pub(crate) fn web(facts: &mut Facts) -> &mut Service {
    facts.services.get_mut(&key("web")).unwrap()
}

pub(crate) fn node<'a>(facts: &'a mut Facts, name: &str) -> &'a mut Node {
    facts.nodes.get_mut(&NodeName::from(name)).unwrap()
}

pub(crate) fn the_ad(facts: &mut Facts) -> &mut L2Advertisement {
    facts.config.l2.get_mut("ad").unwrap()
}

pub(crate) fn members(names: &[&str]) -> Membership {
    Membership::Members(names.iter().map(|&n| n.into()).collect())
}

/// A speaker with the last table it sent.
pub(crate) struct Station {
    pub(crate) speaker: Speaker,
    /// Every table sent, the newest last.
    pub(crate) tables: Vec<L2Table>,
    /// Every BGP table sent, the newest last.
    pub(crate) bgp_tables: Vec<BgpTable>,
    pub(crate) events: Vec<EventRecord>,
    /// Every hold-down asked for.
    pub(crate) held: Vec<(ServiceKey, Duration)>,
}

impl Station {
    /// One that was told nothing.
    pub(crate) fn deaf(name: &str) -> Self {
        Self {
            speaker: Speaker::new(SpeakerOptions {
                node: name.into(),
                class: Class::Default,
                ignore_exclude_lb: false,
                bgp: BgpDriver::Present,
            }),
            tables: Vec::new(),
            bgp_tables: Vec::new(),
            events: Vec::new(),
            held: Vec::new(),
        }
    }

    /// One that was told all there is.
    pub(crate) fn on(name: &str, facts: &Facts, membership: &Membership) -> Self {
        let mut station = Self::deaf(name);
        station.tell(facts, Input::Membership(membership.clone()));
        station.tell(facts, Input::Links([("eth0".to_owned(), UP)].into()));
        station
    }

    pub(crate) fn tell(&mut self, facts: &Facts, input: Input) {
        self.speaker.handle(facts, input);
        while let Some(action) = self.speaker.poll_action() {
            match action {
                Action::L2(table) => self.tables.push(table),
                Action::Bgp(table) => self.bgp_tables.push(table),
                Action::Emit(event) => self.events.push(event),
                Action::HoldDown(service, time) => self.held.push((service, time)),
            }
        }
    }

    /// Says that the Service `name` changed.
    pub(crate) fn service_changed(&mut self, facts: &Facts, name: &str) {
        let changes = Changes {
            services: [key(name)].into(),
            ..Changes::default()
        };
        self.tell(facts, Input::Facts(changes));
    }

    /// Says that pools, advertisements and nodes changed.
    pub(crate) fn all_changed(&mut self, facts: &Facts) {
        let changes = Changes {
            pools: true,
            config: true,
            nodes: true,
            ..Changes::default()
        };
        self.tell(facts, Input::Facts(changes));
    }

    pub(crate) fn table(&self) -> &L2Table {
        self.tables.last().unwrap()
    }

    pub(crate) fn entry(&self, address: &str) -> Option<&L2Entry> {
        self.table().entries.get(&ip(address))
    }

    pub(crate) fn yields(&self, address: &str) -> bool {
        self.table().yielded.contains(&ip(address))
    }

    pub(crate) fn verdict(&self, name: &str) -> &Verdict {
        let mut verdicts = self.speaker.verdicts();
        verdicts.find(|(k, _)| **k == key(name)).unwrap().1
    }

    /// The reasons of the events so far, which are forgotten.
    pub(crate) fn take_events(&mut self) -> Vec<&'static str> {
        self.events.drain(..).map(|e| e.reason).collect()
    }
}

/// The speakers of every node, all told the same.
pub(crate) fn stations(facts: &Facts, membership: &Membership) -> Vec<Station> {
    let names = facts.nodes.keys();
    names
        .map(|n| Station::on(n.as_str(), facts, membership))
        .collect()
}

/// Who announces an address.
pub(crate) fn announcers(stations: &[Station], address: IpAddr) -> Vec<String> {
    let holds = |s: &&Station| {
        s.tables
            .last()
            .is_some_and(|t| t.entries.contains_key(&address))
    };
    stations
        .iter()
        .filter(holds)
        .map(|s| s.speaker.node().to_string())
        .collect()
}
