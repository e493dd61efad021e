//! The key speakers encrypt gossip with: a Secret that the controller makes once
//! (`spec/metallb.md` §5.6).

use super::{CallError, call};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use std::collections::BTreeMap;
use thiserror::Error;

/// The Secret's key.
const KEY: &str = "secretkey";
/// Random bytes in a new one.
const LENGTH: usize = 16;

/// Why there may be no key.
#[derive(Debug, Error)]
#[error("the speakers' key, Secret {namespace}/{name}: {cause}")]
pub struct KeyError {
    namespace: String,
    name: String,
    cause: CallError,
}

/// Makes the Secret `name` unless there is one; it goes with the Deployment `deployment`, or, if
/// that is empty, with nothing. One that is there stays, whatever is in it.
///
/// # Errors
/// If the API server refuses, or doesn't answer in time.
pub async fn ensure(
    client: &Client,
    namespace: &str,
    name: &str,
    deployment: &str,
) -> Result<(), KeyError> {
    let made = make(client, namespace, name, deployment).await;
    made.map_err(|cause| KeyError {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        cause,
    })
}

async fn make(
    client: &Client,
    namespace: &str,
    name: &str,
    deployment: &str,
) -> Result<(), CallError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if call(secrets.get_metadata_opt(name)).await?.is_some() {
        return Ok(());
    }
    let owner = if deployment.is_empty() {
        None
    } else {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let found = call(deployments.get_metadata(deployment)).await?;
        found.metadata.uid.map(|uid| OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: deployment.to_owned(),
            uid,
            ..OwnerReference::default()
        })
    };
    let bytes: [u8; LENGTH] = rand::random();
    let text = STANDARD_NO_PAD.encode(bytes);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            KEY.to_owned(),
            ByteString(text.into_bytes()),
        )])),
        ..Secret::default()
    };
    match call(secrets.create(&PostParams::default(), &secret)).await {
        // Another controller was faster.
        Err(error) if error.is_conflict() => Ok(()),
        made => made.map(drop),
    }
}
