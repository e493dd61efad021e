//! MetalLB, built from its module and installed by its own chart, is replaced by Corten and given
//! back: what users wrote and every address stay, under a client that never stops asking.

use crate::rolling::asking;
use crate::scene::{
    self, DEADLINE, NAMESPACE, addresses, helm, populate, repository, rolled_out, with_story,
};
use anyhow::{Context, Result, ensure};
use corten_lab::full::Cluster;
use corten_lab::kubernetes::{Kind, binary};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) const TRIALS: &[Trial] = &[("metallb_is_replaced_and_given_back", || {
    // The other trials' cluster has a release of that name.
    scene::end();
    let cluster = scene::bare()?;
    replacing(&cluster).map_err(|e| with_story(&e, &cluster))
})];

/// What `lab/setup.sh full` made of MetalLB.
const CHART: &str = "metallb-chart";

/// Values of MetalLB's release: our names for its images, no FRR.
const VALUES: &str = "controller.image.repository=metallb-controller,controller.image.tag=lab,\
    speaker.image.repository=metallb-speaker,speaker.image.tag=lab,\
    speaker.frr.enabled=false,frrk8s.enabled=false";

/// What the migration guide has one set. Without any, Helm would keep MetalLB's.
const OURS: &str = "controller.image.repository=corten,speaker.image.repository=corten";

/// Kind and name of everything users wrote, and what is to stay the same object: its identity.
fn identities(cluster: &Cluster) -> Result<BTreeMap<String, String>> {
    let client = cluster.kubernetes.client();
    let mut found = BTreeMap::new();
    for (kind, namespace) in [
        (Kind::IPAddressPool, NAMESPACE),
        (Kind::L2Advertisement, NAMESPACE),
        (Kind::CustomResourceDefinition, ""),
        (Kind::Deployment, NAMESPACE),
        (Kind::DaemonSet, NAMESPACE),
        (Kind::Service, "default"),
        (Kind::Secret, NAMESPACE),
    ] {
        for object in client.list(kind, namespace)? {
            let name = object["metadata"]["name"].as_str().context("no name")?;
            let uid = object["metadata"]["uid"].as_str().context("no uid")?;
            // One of Helm's for each revision.
            if !name.starts_with("sh.helm.") {
                found.insert(format!("{} {name}", kind.name()), uid.to_owned());
            }
        }
    }
    Ok(found)
}

/// Every pod of the release is of these images. MetalLB's pods have no time to end: their deletion
/// is over before they are, and a successor that finds its port taken begins once more. MetalLB's
/// controller may, too, once it has made its certificate.
fn runs(cluster: &Cluster, expected: &str) -> Result<()> {
    rolled_out(cluster)?;
    let image = |pod: &Value| {
        pod["spec"]["containers"][0]["image"]
            .as_str()
            .map(str::to_owned)
    };
    let mut last = Vec::new();
    let pods = wait_until("pods of one release", DEADLINE, || {
        let pods = cluster.kubernetes.client().list(Kind::Pod, NAMESPACE)?;
        last = pods.iter().map(image).collect();
        let all = |i: &Option<String>| i.as_ref().is_some_and(|i| i.starts_with(expected));
        Ok((last.len() == 4 && last.iter().all(all)).then_some(pods))
    })
    .with_context(|| format!("not {expected}: {last:?}"))?;
    for pod in &pods {
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        if *restarts != 0 {
            let name = pod["metadata"]["name"].as_str().context("no name")?;
            let why = ["logs", "-n", NAMESPACE, name, "--previous", "--tail=1"];
            let why = cluster.kubernetes.kubectl(&why)?;
            println!("    {name} began again, {restarts} times: {why}");
        }
    }
    Ok(())
}

fn replacing(cluster: &Cluster) -> Result<()> {
    let chart = Path::new(&binary("kubectl")?).with_file_name(CHART);
    let metallb = chart.display().to_string();
    let corten = repository("charts/corten").display().to_string();
    for node in cluster.nodes() {
        for image in ["metallb-controller.tar", "metallb-speaker.tar"] {
            node.import(&chart.with_file_name("images").join(image), &[])?;
        }
    }
    helm(
        cluster,
        &[
            "install",
            "metallb",
            &metallb,
            "--create-namespace",
            "--set",
            VALUES,
        ],
    )?;
    runs(cluster, "metallb-")?;
    populate(cluster)?;
    let before = (
        addresses(cluster.kubernetes.client())?,
        identities(cluster)?,
    );
    let same = |when: &str| -> Result<()> {
        let now = addresses(cluster.kubernetes.client())?;
        ensure!(now == before.0, "{when}: {now:?}, not {:?}", before.0);
        // Corten brings a kind more, and its definition stays.
        let now = identities(cluster)?;
        let mut each = before.1.iter();
        let other = each.find(|(name, uid)| now.get(*name) != Some(*uid));
        ensure!(other.is_none(), "{when}: another {other:?}: {now:?}");
        Ok(())
    };
    asking(cluster, "MetalLB to Corten", 10, || {
        helm(cluster, &["upgrade", "metallb", &corten, "--set", OURS])?;
        runs(cluster, "corten:")
    })?;
    same("upgraded")?;
    asking(cluster, "Corten to MetalLB", 10, || {
        helm(cluster, &["rollback", "metallb", "1"])?;
        runs(cluster, "metallb-")
    })?;
    same("rolled back")?;
    asking(cluster, "MetalLB to Corten again", 10, || {
        helm(cluster, &["upgrade", "metallb", &corten, "--set", OURS])?;
        runs(cluster, "corten:")
    })?;
    same("upgraded again")
}
