//! The administrator's hands: objects as YAML in, as JSON out.

use super::granting::is_binding;
use crate::netns::Netns;
use crate::wait::wait_until;
use anyhow::{Context, Result, bail};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
    WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Runtime;

/// When to give up on the API server's taking up new kinds.
const DEADLINE: Duration = Duration::from_secs(120);

/// A kind the lab works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    namespaced: bool,
}

macro_rules! kinds {
    ($($name:ident, $group:literal, $version:literal, $plural:literal, $namespaced:literal;)*) => {
        #[expect(non_upper_case_globals, reason = "named as the kinds are")]
        impl Kind {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub const $name: Self = Self {
                    name: stringify!($name),
                    group: $group,
                    version: $version,
                    plural: $plural,
                    namespaced: $namespaced,
                };
            )*
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    Namespace, "", "v1", "namespaces", false;
    Node, "", "v1", "nodes", false;
    Service, "", "v1", "services", true;
    ServiceAccount, "", "v1", "serviceaccounts", true;
    Secret, "", "v1", "secrets", true;
    Pod, "", "v1", "pods", true;
    Event, "", "v1", "events", true;
    ConfigMap, "", "v1", "configmaps", true;
    Deployment, "apps", "v1", "deployments", true;
    DaemonSet, "apps", "v1", "daemonsets", true;
    EndpointSlice, "discovery.k8s.io", "v1", "endpointslices", true;
    Lease, "coordination.k8s.io", "v1", "leases", true;
    ClusterRole, "rbac.authorization.k8s.io", "v1", "clusterroles", false;
    ClusterRoleBinding, "rbac.authorization.k8s.io", "v1", "clusterrolebindings", false;
    Role, "rbac.authorization.k8s.io", "v1", "roles", true;
    RoleBinding, "rbac.authorization.k8s.io", "v1", "rolebindings", true;
    ValidatingWebhookConfiguration, "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", false;
    CustomResourceDefinition, "apiextensions.k8s.io", "v1", "customresourcedefinitions", false;
    IPAddressPool, "metallb.io", "v1beta1", "ipaddresspools", true;
    L2Advertisement, "metallb.io", "v1beta1", "l2advertisements", true;
    BGPAdvertisement, "metallb.io", "v1beta1", "bgpadvertisements", true;
    BGPPeer, "metallb.io", "v1beta2", "bgppeers", true;
    BFDProfile, "metallb.io", "v1beta1", "bfdprofiles", true;
    Community, "metallb.io", "v1beta1", "communities", true;
    ServiceL2Status, "metallb.io", "v1beta1", "servicel2statuses", true;
    ServiceBGPStatus, "metallb.io", "v1beta1", "servicebgpstatuses", true;
    ConfigurationState, "metallb.io", "v1beta1", "configurationstates", true;
    FRRConfiguration, "frrk8s.metallb.io", "v1beta1", "frrconfigurations", true;
}

impl Kind {
    /// `BGPPeer` in its old version.
    pub const OLD_BGP_PEER: Self = Self {
        version: "v1beta1",
        ..Self::BGPPeer
    };

    /// As it is written in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    fn of(object: &DynamicObject) -> Result<Self> {
        let types = object.types.as_ref().context("an object without kind")?;
        let version = types.api_version.rsplit('/').next();
        let mut known = Self::ALL.iter().chain([&Self::OLD_BGP_PEER]);
        let found = known.find(|k| k.name == types.kind && Some(k.version) == version);
        found
            .copied()
            .with_context(|| format!("kind {} {}", types.api_version, types.kind))
    }

    fn resource(self) -> ApiResource {
        let api_version = if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        };
        ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            api_version,
            kind: self.name.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}

/// A client; its requests run in the API server's namespace.
pub struct Client {
    runtime: Runtime,
    client: kube::Client,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// One that goes by this kubeconfig.
    pub(super) fn connect(ns: &Netns, kubeconfig: String) -> Result<Self> {
        // Its threads are born in the namespace and stay there.
        let runtime = ns.run(|| {
            Ok(tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?)
        })?;
        let client = runtime.block_on(runtime.spawn(async move {
            let kubeconfig = Kubeconfig::from_yaml(&kubeconfig)?;
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            anyhow::Ok(kube::Client::try_from(config)?)
        }))??;
        Ok(Self { runtime, client })
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.runtime.block_on(self.runtime.spawn(work))?
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        let resource = kind.resource();
        if kind.namespaced && !namespace.is_empty() {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    /// Whether the API server says that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let client = self.client.clone();
        self.run(async move {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await?)
        })
        .is_ok()
    }

    /// Applies every document, in order. What a binding grants counts from then on.
    ///
    /// # Errors
    /// With the first object that is refused, and why.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        let mut bindings = Vec::new();
        for object in documents(yaml)? {
            let kind = Kind::of(&object)?;
            if is_binding(kind) {
                bindings.push(serde_json::to_value(&object)?);
            }
            let api = self.api(
                kind,
                object.metadata.namespace.as_deref().unwrap_or_default(),
            );
            let name = object
                .metadata
                .name
                .clone()
                .context("an object without name")?;
            self.run(async move {
                let how = PatchParams::apply("lab").force();
                let done = api.patch(&name, &how, &Patch::Apply(&object)).await;
                done.with_context(|| format!("applying {name}"))?;
                Ok(())
            })?;
        }
        bindings.iter().try_for_each(|b| self.wait_granted(b))
    }

    /// Whether the API server would take an object as it is now.
    ///
    /// # Errors
    /// If it would not, and why.
    pub fn would_apply(&self, yaml: &str) -> Result<()> {
        for object in documents(yaml)? {
            let namespace = object.metadata.namespace.clone().unwrap_or_default();
            let api = self.api(Kind::of(&object)?, &namespace);
            self.run(async move {
                let name = object.metadata.name.clone().unwrap_or_default();
                let how = PatchParams::apply("lab").force().dry_run();
                api.patch(&name, &how, &Patch::Apply(&object)).await?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Creates every document, many at a time.
    ///
    /// # Errors
    /// With the first object that is refused, and why.
    pub fn create_all(&self, yaml: &str) -> Result<()> {
        let mut work = Vec::new();
        for object in documents(yaml)? {
            let api = self.api(
                Kind::of(&object)?,
                object.metadata.namespace.as_deref().unwrap_or_default(),
            );
            work.push(async move {
                let name = object.metadata.name.clone().unwrap_or_default();
                let done = api.create(&PostParams::default(), &object).await;
                done.with_context(|| format!("creating {name}")).map(drop)
            });
        }
        self.run(async move { iter(work).buffer_unordered(16).try_collect().await })
    }

    /// Creates these objects, many at a time, as far as they are taken; gives how many were.
    ///
    /// # Errors
    /// If one is of a kind the lab doesn't know.
    pub fn create_what_is_taken(&self, objects: Vec<Value>) -> Result<usize> {
        let mut work = Vec::new();
        for object in objects {
            let object: DynamicObject = serde_json::from_value(object)?;
            let api = self.api(
                Kind::of(&object)?,
                object.metadata.namespace.as_deref().unwrap_or_default(),
            );
            work.push(async move {
                let done = api.create(&PostParams::default(), &object).await;
                usize::from(done.is_ok())
            });
        }
        self.run(async move {
            let taken = iter(work).buffer_unordered(16);
            Ok(taken.fold(0, async |sum, taken| sum + taken).await)
        })
    }

    /// Applies CRDs and waits until their kinds can be listed.
    ///
    /// # Errors
    /// If one is refused or not taken up.
    pub fn apply_crds(&self, yaml: &str) -> Result<()> {
        self.apply(yaml)?;
        for kind in Kind::ALL.iter().filter(|k| k.group == "metallb.io") {
            wait_until(&format!("kind {}", kind.name), DEADLINE, || {
                Ok(self.list(*kind, "").is_ok().then_some(()))
            })?;
        }
        Ok(())
    }

    /// Objects of a kind in a namespace; in all of them if it is empty.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn list(&self, kind: Kind, namespace: &str) -> Result<Vec<Value>> {
        let api = self.api(kind, namespace);
        self.run(async move {
            let list = api.list(&ListParams::default()).await?;
            Ok(list
                .items
                .into_iter()
                .map(serde_json::to_value)
                .collect::<Result<_, _>>()?)
        })
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>> {
        let (api, name) = (self.api(kind, namespace), name.to_owned());
        self.run(async move {
            let found = api.get_opt(&name).await?;
            Ok(found.map(serde_json::to_value).transpose()?)
        })
    }

    /// Shows every object of a kind to `done`, now and whenever one changes, until it says that
    /// it has seen enough. The API server may end a watch at any time, as it does with one that
    /// falls behind on a busy machine; everything is shown again then.
    ///
    /// # Errors
    /// If that takes longer than `deadline`, or the API server refuses.
    pub fn watch_until(
        &self,
        kind: Kind,
        namespace: &str,
        deadline: Duration,
        mut done: impl FnMut(&Value) -> bool + Send + 'static,
    ) -> Result<()> {
        let api = self.api(kind, namespace);
        let seen = async move {
            loop {
                let list = api.list(&ListParams::default()).await?;
                for object in list.items {
                    if done(&serde_json::to_value(object)?) {
                        return Ok(());
                    }
                }
                let from = list.metadata.resource_version.unwrap_or_default();
                let events = api.watch(&WatchParams::default(), &from).await?;
                let mut events = std::pin::pin!(events);
                while let Some(event) = events.try_next().await? {
                    if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
                        && done(&serde_json::to_value(object)?)
                    {
                        return Ok(());
                    }
                }
            }
        };
        self.run(async move {
            let limited = tokio::time::timeout(deadline, seen).await;
            limited.with_context(|| format!("not within {deadline:?}"))?
        })
    }

    /// Removes an object; it need not be there.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> Result<()> {
        let (api, name) = (self.api(kind, namespace), name.to_owned());
        self.run(async move {
            match api.delete(&name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                done => Ok(done.map(drop)?),
            }
        })
    }

    /// Changes an object by a merge patch.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn patch(&self, kind: Kind, namespace: &str, name: &str, patch: Value) -> Result<()> {
        let (api, name) = (self.api(kind, namespace), name.to_owned());
        self.run(async move {
            let how = PatchParams::default();
            api.patch(&name, &how, &Patch::Merge(&patch)).await?;
            Ok(())
        })
    }

    /// Changes an object's status by a merge patch.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn patch_status(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> Result<()> {
        let (api, name) = (self.api(kind, namespace), name.to_owned());
        self.run(async move {
            let how = PatchParams::default();
            api.patch_status(&name, &how, &Patch::Merge(&patch)).await?;
            Ok(())
        })
    }

    /// What the API server answers to what is posted to a path.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(body)?)?;
        let client = self.client.clone();
        self.run(async move { Ok(client.request(request).await?) })
    }

    /// A token of a ServiceAccount, which is made if there is none.
    pub(super) fn service_account_token(&self, namespace: &str, name: &str) -> Result<String> {
        self.apply(&format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        ))?;
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [], "expirationSeconds": 7200},
        });
        let answer = self.post(&path, &body)?;
        let token = answer["status"]["token"].as_str();
        Ok(token.context("no token in the answer")?.to_owned())
    }
}

/// The documents of a YAML stream.
fn documents(yaml: &str) -> Result<Vec<DynamicObject>> {
    let mut found = Vec::new();
    for text in yaml.split("\n---\n") {
        let text = text.strip_prefix("---\n").unwrap_or(text);
        if text.trim().is_empty() {
            continue;
        }
        match serde_saphyr::from_str::<Value>(text) {
            Ok(value) => found.push(serde_json::from_value(value)?),
            Err(error) => bail!("{error}\n{text}"),
        }
    }
    Ok(found)
}
