//! The directory as a whole, on real files. Every wait is for an event, with a limit.

mod following;
mod recording;

use super::*;
use std::time::Duration;
use tempfile::TempDir;

pub(super) const POOL: &str = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: NAME}\nspec: {addresses: [10.0.0.0/24]}\n";
pub(super) const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";

pub(super) fn pool(name: &str) -> String {
    POOL.replace("NAME", name)
}

pub(super) fn service(name: &str) -> String {
    SERVICE.replace("NAME", name)
}

pub(super) struct Host {
    pub(super) manifests: PathBuf,
    pub(super) state: TempDir,
    pub(super) directory: Option<Directory>,
    _root: Option<TempDir>,
}

impl Host {
    pub(super) fn options(&self, role: Role) -> Options {
        Options {
            manifests: self.manifests.clone(),
            state: self.state.path().to_owned(),
            node: "n1".into(),
            role,
        }
    }

    /// A host with a directory of its own holding these files.
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let root = TempDir::new().unwrap();
        let manifests = root.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        let mut host = Self::at(manifests);
        host._root = Some(root);
        for (name, text) in files {
            host.write(name, text);
        }
        host
    }

    /// A host on an existing directory.
    pub(super) fn at(manifests: PathBuf) -> Self {
        Self {
            manifests,
            state: TempDir::new().unwrap(),
            directory: None,
            _root: None,
        }
    }

    pub(super) fn start(&mut self, role: Role) {
        self.directory = None;
        self.directory = Some(Directory::open(self.options(role)).unwrap());
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.manifests.join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn directory(&mut self) -> &mut Directory {
        self.directory.as_mut().unwrap()
    }

    pub(super) async fn next(&mut self) -> Vec<String> {
        let next = self.directory.as_mut().unwrap().next();
        let events = tokio::time::timeout(Duration::from_secs(60), next).await;
        shown(events.expect("no event in time"))
    }

    /// Starts, and takes the first batch.
    pub(super) async fn started(files: &[(&str, &str)], role: Role) -> Self {
        let mut host = Self::new(files);
        host.start(role);
        host.next().await;
        host
    }

    /// Waits for a batch with this event and gives the events until then.
    pub(super) async fn until(&mut self, wanted: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while !seen.iter().any(|e: &String| e.contains(wanted)) {
            seen.extend(self.next().await);
        }
        seen
    }
}

/// Events in short.
pub(super) fn shown(events: Batch) -> Vec<String> {
    let show = |event: Event| match event {
        Event::Apply(object) => format!("apply {}", shown_object(&object)),
        Event::Allocated(service, assignment) => {
            format!("allocated {} {:?}", service.name(), assignment.ingress)
        }
        Event::Readiness(service, ready) => {
            let ready = ready.iter().map(|(node, ready)| format!(" {node}={ready}"));
            format!("readiness {}{}", service.name(), ready.collect::<String>())
        }
        Event::Delete(object) => format!("delete {object}"),
        Event::Rejections(all) => {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            format!("rejections [{}]", all.join("; "))
        }
        Event::Reserved(all) => format!("reserved {:?}", all.values().collect::<Vec<_>>()),
        Event::Frr(frr) => format!("FRR {frr:?}"),
        Event::Listed(kind) => format!("listed {kind}"),
    };
    events.map(show).collect()
}

fn shown_object(object: &Object) -> String {
    match object {
        Object::Service(o) => {
            let ingress = o.status.load_balancer.ingress.iter();
            let ips: Vec<_> = ingress.filter_map(|i| i.ip.as_deref()).collect();
            format!("Service {} {ips:?}", o.metadata.name)
        }
        Object::EndpointSlice(o) => {
            let ready = o.endpoints.iter().map(|e| {
                let node = e.node_name.clone().unwrap_or_default();
                let ready = e.conditions.ready;
                format!("{node}={}", ready.map_or("?".to_owned(), |r| r.to_string()))
            });
            let ready: Vec<_> = ready.collect();
            format!("EndpointSlice {} {}", o.metadata.name, ready.join(" "))
        }
        Object::Node(o) => format!("Node {}", o.metadata.name),
        Object::Namespace(o) => format!("Namespace {}", o.metadata.name),
        Object::IPAddressPool(o) => {
            let name = o.metadata.name.as_deref().unwrap_or_default();
            format!("IPAddressPool {name} {}", o.spec.addresses.join(","))
        }
        Object::L2Advertisement(_)
        | Object::BGPAdvertisement(_)
        | Object::BGPPeer(_)
        | Object::BFDProfile(_)
        | Object::Community(_)
        | Object::Secret(_) => format!("{object:?}"),
    }
}
