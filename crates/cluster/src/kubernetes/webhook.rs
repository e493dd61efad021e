//! The webhooks the API server asks: whether an object may be, and BGPPeers in another version
//! (`spec/metallb.md` §2.1, §2.2).
//!
//! The decision is the engine's own compiler, on the objects there are at that moment. The
//! certificate is made here, kept in a Secret, made anew in time, and what signed it is put where
//! the API server looks for it; whenever somebody changes any of that, it is put right.

mod certificate;
mod review;

use super::watch::{self, Said, pause};
use super::wire::Wire;
use super::{CallError, call, gone_is_done, kinds};
use crate::directory::read::kinds as types;
use crate::http::{self, Request, Response};
use crate::tls::{Files, Shown, TlsOptions};
use base64::Engine as _;
use certificate::{Certificate, CertificateError};
use corten_engine::config::backend::Backend;
use corten_engine::event::Object;
use corten_engine::rejection::{Kind, ObjectRef};
use futures_util::StreamExt as _;
use futures_util::future::Either;
use futures_util::stream::{BoxStream, SelectAll};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, PostParams};
use review::{AdmissionReview, ConversionReview, Verdict, beside};
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Name of the ValidatingWebhookConfiguration.
const CONFIGURATION: &str = "metallb-webhook-configuration";
/// Name of the definition that is converted.
const DEFINITION: &str = "bgppeers.metallb.io";
/// How often the certificate's age is looked at, whatever else happens.
const CHECK: Duration = Duration::from_secs(12 * 60 * 60);
/// How long changes are collected before anything is put right.
const SETTLE: Duration = Duration::from_millis(200);
/// Largest review, in bytes: an object is at most 3 MB, and there is the old one beside it.
const MAX_REVIEW: usize = 16 << 20;

/// Where and for whom the webhooks are served.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// Address to listen on.
    pub address: SocketAddr,
    /// Corten's namespace.
    pub namespace: String,
    /// Service in front of this process; the certificate is for its name.
    pub service: String,
    /// Where the certificate is.
    pub certificate: Certificates,
    /// What MetalLB would be run as: what it would refuse is warned of.
    pub backend: Backend,
    /// TLS as it is spoken.
    pub tls: TlsOptions,
}

/// Where the webhooks' certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// In this Secret, where it is made and kept good.
    Secret(String),
    /// In `tls.crt` and `tls.key` of this directory. Somebody else keeps it good, and tells the API
    /// server of its authority.
    Files(PathBuf),
}

/// Gives what shows the webhooks' certificate, and what serves them and keeps it for as long as it
/// is polled.
///
/// # Errors
/// If the address can't be listened on or TLS can't be set up.
pub fn serve(
    client: &Client,
    options: WebhookOptions,
) -> Result<(Arc<Shown>, impl Future<Output = Infallible> + use<>), http::ListenError> {
    let failed = |source| http::ListenError::Tls {
        at: options.address.to_string(),
        source,
    };
    let (shown, keeping) = match &options.certificate {
        Certificates::Secret(secret) => {
            let shown = Arc::new(Shown::default());
            let keeper = Keeper::new(client, &options, secret, Arc::clone(&shown));
            (shown, Either::Left(keeper.run()))
        }
        Certificates::Files(directory) => {
            let files = Files::open(directory).map_err(failed)?;
            (files.shown(), Either::Right(files.keep()))
        }
    };
    let config = options.tls.server(Arc::clone(&shown)).map_err(failed)?;
    let listener = http::Listener::tls(options.address, config, MAX_REVIEW)?;
    let asked = Arc::new((client.clone(), options));
    let answering = http::serve(listener, move |request| answer(Arc::clone(&asked), request));
    let serving = async move {
        tokio::select! {
            never = answering => never,
            never = keeping => never,
        }
    };
    Ok((shown, serving))
}

async fn answer(asked: Arc<(Client, WebhookOptions)>, request: Request) -> Response {
    let (client, options) = &*asked;
    if request.method != "POST" {
        return Response::text(405, "only POST\n");
    }
    if request.path == corten_api::crd::CONVERSION_PATH {
        return match serde_json::from_slice::<ConversionReview>(&request.body) {
            Ok(review) => Response::json(200, &review.answer()),
            Err(error) => Response::text(400, format!("{error}\n")),
        };
    }
    let Some(kind) = judged(&request.path) else {
        return Response::text(404, "there is no such webhook\n");
    };
    let review = match serde_json::from_slice::<AdmissionReview>(&request.body) {
        Ok(review) => review,
        Err(error) => return Response::text(400, format!("{error}\n")),
    };
    let verdict = match list(client, options, beside(kind, review.is_delete())).await {
        Ok(listed) => review.judge(kind, &options.namespace, listed, options.backend),
        Err(error) => Verdict::Denied {
            code: 500,
            cause: format!("the objects beside it can't be listed: {error}"),
        },
    };
    Response::json(200, &review.answer(&verdict))
}

/// The kind a path asks about.
fn judged(path: &str) -> Option<Kind> {
    let (version, kind) = path
        .strip_prefix("/validate-metallb-io-")?
        .split_once('-')?;
    let found = match kind {
        "bgppeer" => Kind::BGPPeer,
        "bfdprofile" => Kind::BFDProfile,
        "bgpadvertisement" => Kind::BGPAdvertisement,
        "community" => Kind::Community,
        "ipaddresspool" => Kind::IPAddressPool,
        "l2advertisement" => Kind::L2Advertisement,
        _ => return None,
    };
    (version == kinds::version(found)).then_some(found)
}

/// The objects of these kinds there are now, as far as they can be read.
async fn list(
    client: &Client,
    options: &WebhookOptions,
    wanted: &[Kind],
) -> Result<Vec<Object>, CallError> {
    let mut objects = Vec::new();
    for kind in wanted {
        let api: Api<Wire> = kinds::api(client, *kind, &options.namespace);
        let list = call(api.list(&ListParams::default())).await?;
        let read = list.items.iter().filter_map(|wire| {
            let reference = ObjectRef::new(*kind, wire.namespace(), wire.name());
            let version = kinds::version(*kind);
            types::decode(*kind, version, &reference, &wire.tree).0.ok()
        });
        objects.extend(read);
    }
    Ok(objects)
}

/// Why something couldn't be put right yet.
#[derive(Debug, Error)]
enum KeepError {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("{0}")]
    Certificate(#[from] CertificateError),
}

/// Keeps the certificate, and the authority where the API server looks for it.
struct Keeper {
    client: Client,
    namespace: String,
    secret: String,
    name: String,
    shown: Arc<Shown>,
    current: Option<Certificate>,
    changes: SelectAll<BoxStream<'static, Said>>,
}

impl Keeper {
    fn new(client: &Client, options: &WebhookOptions, secret: &str, shown: Arc<Shown>) -> Self {
        let WebhookOptions {
            namespace, service, ..
        } = options;
        let own = Api::namespaced_with(client.clone(), namespace, &kinds::resource(Kind::Secret));
        let configuration = Api::all_with(client.clone(), &configuration_resource());
        let definition = Api::all_with(client.clone(), &definition_resource());
        let named = |name: &str| watch::Selector::Name(name.to_owned());
        let mut changes = SelectAll::new();
        changes.push(watch::follow(own, named(secret)));
        changes.push(watch::follow(configuration, named(CONFIGURATION)));
        changes.push(watch::follow(definition, named(DEFINITION)));
        Self {
            client: client.clone(),
            namespace: namespace.clone(),
            secret: secret.to_owned(),
            name: format!("{service}.{namespace}.svc"),
            shown,
            current: None,
            changes,
        }
    }

    async fn run(mut self) -> Infallible {
        let mut failures = 0u32;
        loop {
            let wait = match self.put_right().await {
                Ok(()) => {
                    failures = 0;
                    CHECK
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(%error, "the webhooks' certificate isn't in place yet");
                    pause(failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.changed() => {}
            }
        }
    }

    /// Waits for a change of what is kept, and until changes settle.
    async fn changed(&mut self) {
        while let Some(said) = self.changes.next().await {
            if said.is_ok() {
                break;
            }
        }
        let settled = tokio::time::sleep(SETTLE);
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => return,
                _ = self.changes.next() => {}
            }
        }
    }

    async fn put_right(&mut self) -> Result<(), KeepError> {
        let certificate = self.certificate().await?;
        if self.current.as_ref() != Some(&certificate) {
            let key = certificate.to_key()?;
            self.shown.show(key);
            tracing::info!(name = self.name, "the webhooks show their certificate");
            self.current = Some(certificate.clone());
        }
        let bundle = base64::engine::general_purpose::STANDARD.encode(&certificate.authority);
        let configurations = Api::all_with(self.client.clone(), &configuration_resource());
        put_bundle(&configurations, CONFIGURATION, |data| {
            webhooks(data, &bundle)
        })
        .await?;
        let definitions = Api::all_with(self.client.clone(), &definition_resource());
        put_bundle(&definitions, DEFINITION, |data| conversion(data, &bundle)).await?;
        Ok(())
    }

    /// The certificate in the Secret, made anew if it isn't good.
    async fn certificate(&self) -> Result<Certificate, KeepError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = call(api.get_opt(&self.secret)).await?;
        let now = jiff::Timestamp::now().as_second();
        let data = found.as_ref().and_then(|secret| secret.data.clone());
        let data = data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0));
        if let Some(certificate) = Certificate::from_data(&data.collect())
            && certificate.is_good(&self.name, now)
        {
            return Ok(certificate);
        }
        let made = Certificate::make(&self.name, now)?;
        let data = made.to_data().into_iter().map(|(k, v)| (k, ByteString(v)));
        let data = Some(data.collect());
        let how = PostParams::default();
        match found {
            None => {
                let secret = Secret {
                    metadata: ObjectMeta {
                        name: Some(self.secret.clone()),
                        ..ObjectMeta::default()
                    },
                    data,
                    ..Secret::default()
                };
                call(api.create(&how, &secret)).await?;
            }
            Some(mut secret) => {
                secret.data = data;
                call(api.replace(&self.secret, &how, &secret)).await?;
            }
        }
        Ok(made)
    }
}

/// Changes an object if `put` finds something to change; one that isn't there is left alone.
async fn put_bundle(
    api: &Api<DynamicObject>,
    name: &str,
    put: impl Fn(&mut Value) -> bool,
) -> Result<(), CallError> {
    let Some(mut object) = call(api.get_opt(name)).await? else {
        return Ok(());
    };
    if !put(&mut object.data) {
        return Ok(());
    }
    object.metadata.managed_fields = None;
    let how = PostParams {
        field_manager: Some("MetalLB".to_owned()),
        ..PostParams::default()
    };
    call(async { gone_is_done(api.replace(name, &how, &object).await) }).await
}

/// Puts the bundle into every webhook; whether that changes anything.
fn webhooks(data: &mut Value, bundle: &str) -> bool {
    let webhooks = data["webhooks"].as_array_mut();
    let mut changed = false;
    for webhook in webhooks.into_iter().flatten() {
        changed |= set(&mut webhook["clientConfig"], bundle);
    }
    changed
}

/// Puts the bundle into a definition that is converted by a webhook; whether that changes anything.
fn conversion(data: &mut Value, bundle: &str) -> bool {
    let config = data.pointer_mut("/spec/conversion/webhook/clientConfig");
    config.is_some_and(|config| set(config, bundle))
}

fn set(config: &mut Value, bundle: &str) -> bool {
    let changed = config["caBundle"] != bundle;
    if changed {
        config["caBundle"] = bundle.into();
    }
    changed
}

fn configuration_resource() -> kube::api::ApiResource {
    kinds::api_resource(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
    )
}

fn definition_resource() -> kube::api::ApiResource {
    kinds::api_resource(
        "CustomResourceDefinition",
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
    )
}
