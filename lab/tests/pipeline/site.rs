//! Nodes on one directory, joined as `corten run` joins its parts.

use corten_cluster::directory::{Directory, Options, Role};
use corten_engine::advertise::l2::{LinkState, Verdict};
use corten_engine::controller::{self, AllocationState, Controller, ControllerOptions};
use corten_engine::event::Event;
use corten_engine::facts::{Class, Facts, Ingress, Origin};
use corten_engine::membership::Membership;
use corten_engine::names::{NodeName, ServiceKey};
use corten_engine::speaker::{self, BgpDriver, Input, Speaker, SpeakerOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than the directory polls and than it waits for a replaced directory to settle.
const QUIET: Duration = Duration::from_millis(2500);

/// One node: what a process of `corten run` is made of, without sockets.
pub(crate) struct Member {
    directory: Directory,
    facts: Facts,
    controller: Option<Controller>,
    speaker: Speaker,
    /// What its layer-2 table has, once it sent one.
    table: BTreeSet<IpAddr>,
}

impl Member {
    fn start(name: &str, manifests: &Path, state: &Path, membership: &Membership) -> Self {
        let role = if name == "n1" {
            Role::Allocator
        } else {
            Role::Follower
        };
        let directory = Directory::open(Options {
            manifests: manifests.to_owned(),
            state: state.join(name),
            node: NodeName::from(name),
            role,
        });
        let facts = Facts::new(Origin::Directory);
        let mut speaker = Speaker::new(SpeakerOptions {
            node: NodeName::from(name),
            class: Class::Default,
            ignore_exclude_lb: false,
            bgp: BgpDriver::Absent,
        });
        speaker.handle(&facts, Input::Membership(membership.clone()));
        let link = LinkState {
            arp: true,
            ndp: true,
        };
        let links = BTreeMap::from([("eth0".to_owned(), link)]);
        speaker.handle(&facts, Input::Links(links));
        let options = ControllerOptions {
            class: Class::Default,
        };
        Self {
            directory: directory.unwrap(),
            facts,
            controller: (role == Role::Allocator).then(|| Controller::new(options)),
            speaker,
            table: BTreeSet::new(),
        }
    }

    /// Takes a batch, and the ledger's echoes of what it leads to.
    fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut events: Vec<Event> = events.into_iter().collect();
        for _ in 0..50 {
            let changes = self.facts.handle(events);
            let mut assignments = Vec::new();
            if let Some(controller) = &mut self.controller {
                controller.handle(&self.facts, &changes);
                while let Some(action) = controller.poll_action() {
                    if let controller::Action::Assign {
                        service,
                        assignment,
                    } = action
                    {
                        assignments.push((service, assignment));
                    }
                }
            }
            self.speaker.handle(&self.facts, Input::Facts(changes));
            while let Some(action) = self.speaker.poll_action() {
                if let speaker::Action::L2(table) = action {
                    self.table = table.entries.keys().copied().collect();
                }
            }
            if assignments.is_empty() {
                return;
            }
            match self.directory.record(assignments) {
                Ok(echo) => events = echo.collect(),
                Err(_) => return,
            }
        }
        panic!("the controller and the ledger never agree");
    }
}

/// Three nodes on one directory, `n1` the allocator.
pub(crate) struct Site {
    root: TempDir,
    pub(crate) manifests: PathBuf,
    membership: Membership,
    pub(crate) nodes: BTreeMap<String, Member>,
}

impl Site {
    /// The nodes on a directory with these files, settled.
    pub(crate) async fn new(files: &[(&str, String)]) -> Self {
        Self::with(Membership::Disabled, files).await
    }

    /// As [`Self::new`], with these members.
    pub(crate) async fn with(membership: Membership, files: &[(&str, String)]) -> Self {
        let root = TempDir::new().unwrap();
        let manifests = root.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        let mut site = Self {
            root,
            manifests,
            membership,
            nodes: BTreeMap::new(),
        };
        for name in ["n1", "n2", "n3"] {
            site.write(&format!("node-{name}.yaml"), &super::text::node(name, ""));
        }
        for (name, text) in files {
            site.write(name, text);
        }
        site.restart().await;
        site
    }

    /// Ends every process and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.nodes.clear();
        for name in ["n1", "n2", "n3"] {
            let member = Member::start(name, &self.manifests, self.root.path(), &self.membership);
            self.nodes.insert(name.to_owned(), member);
        }
        self.settle().await;
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.manifests.join(name), text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.manifests.join(name));
    }

    /// Writes a file and lets everyone settle.
    pub(crate) async fn edit(&mut self, name: &str, text: &str) {
        self.write(name, text);
        self.settle().await;
    }

    /// Removes a file and lets everyone settle.
    pub(crate) async fn delete(&mut self, name: &str) {
        self.remove(name);
        self.settle().await;
    }

    /// Has everyone take what there is, until there is nothing new.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..50 {
            let mut news = false;
            for member in self.nodes.values_mut() {
                member.directory.reload();
                let next = tokio::time::timeout(QUIET, member.directory.next());
                if let Ok(events) = next.await {
                    news = true;
                    member.take(events);
                }
            }
            if !news {
                return;
            }
        }
        panic!("the site never settles");
    }

    pub(crate) fn allocator(&self) -> &Member {
        &self.nodes["n1"]
    }

    /// What the allocator says of a Service.
    pub(crate) fn state(&self, service: &str) -> Option<&AllocationState> {
        let controller = self.allocator().controller.as_ref()?;
        controller.state(&key(service))
    }

    /// Addresses on record, of Services seen and not seen.
    pub(crate) fn ledger(&self) -> BTreeMap<String, Vec<IpAddr>> {
        let facts = &self.allocator().facts;
        let seen = facts
            .services
            .iter()
            .filter_map(|(key, service)| match &service.ingress {
                Ingress::Addresses(ips) => Some((key.name().to_owned(), ips.clone())),
                Ingress::Empty | Ingress::Unreadable(_) => None,
            });
        let reserved = facts.reserved.iter();
        let reserved = reserved.map(|(key, ips)| (key.name().to_owned(), ips.clone()));
        reserved.chain(seen).collect()
    }

    /// The addresses of a Service, as text.
    pub(crate) fn addresses(&self, service: &str) -> String {
        let ips = self.ledger().remove(service).unwrap_or_default();
        let ips: Vec<_> = ips.iter().map(ToString::to_string).collect();
        ips.join(" ")
    }

    /// The nodes whose tables have an address.
    pub(crate) fn announcers(&self, ip: IpAddr) -> Vec<&str> {
        let nodes = self.nodes.iter();
        let has = nodes.filter(|(_, member)| member.table.contains(&ip));
        has.map(|(name, _)| name.as_str()).collect()
    }

    /// Panics unless each address on record for these Services is in exactly one table.
    pub(crate) fn announced_once(&self, services: &[&str]) {
        let ledger = self.ledger();
        for service in services {
            let ips = ledger
                .get(*service)
                .unwrap_or_else(|| panic!("{service} has no address"));
            for ip in ips {
                let by = self.announcers(*ip);
                assert_eq!(
                    by.len(),
                    1,
                    "{service}: {ip} is announced by {by:?}: {}",
                    self.why(service)
                );
            }
        }
    }

    /// Every node's verdict on a Service.
    pub(crate) fn why(&self, service: &str) -> String {
        let verdict = |(name, member): (&String, &Member)| {
            let found = member.speaker.verdicts().find(|(k, _)| k.name() == service);
            match found {
                Some((_, verdict @ (Verdict::Announce(_) | Verdict::Withhold(_)))) => {
                    format!("{name}: {verdict}")
                }
                None => format!("{name}: nothing"),
            }
        };
        let all: Vec<_> = self.nodes.iter().map(verdict).collect();
        all.join("; ")
    }
}

/// A Service of the namespace `default`.
pub(crate) fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}
