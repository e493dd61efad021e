//! Metrics and health as Prometheus and the kubelet see them: TLS, tokens the API server knows, and
//! what happens while it is gone.

use crate::objects::{NAMESPACE, custom, service};
use crate::setup::{self, DEADLINE, wait, wait_addresses};
use anyhow::{Context, Result, ensure};
use corten_lab::https::{self, Answer};
use corten_lab::kubernetes::{Kind, Kubernetes};
use corten_lab::manifests::state_directory;
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use rcgen::{CertificateParams, KeyPair};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    (
        "metrics_are_for_those_who_may_read_them",
        metrics_are_for_those_who_may_read_them,
    ),
    ("a_stuck_thread_is_noticed", a_stuck_thread_is_noticed),
];

const METRICS: u16 = 9120;
const HEALTH: u16 = 17472;

/// Asks for the metrics of what runs in a namespace.
pub(crate) fn scrape(ns: &Netns, token: Option<&str>) -> Result<Answer> {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, METRICS));
    ns.run(|| https::get(to, "/metrics", token, DEADLINE))
}

/// A token of somebody who may read metrics.
pub(crate) fn reader(cluster: &Kubernetes, name: &str) -> Result<String> {
    cluster.client().apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n\
         metadata: {{name: {name}}}\n\
         rules: [{{nonResourceURLs: [/metrics], verbs: [get]}}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
         metadata: {{name: {name}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\n\
         subjects: [{{kind: ServiceAccount, name: {name}, namespace: default}}]\n"
    ))?;
    cluster.token("default", name)
}

/// Asks something in the clear; gives all that is answered.
fn ask(ns: &Netns, port: u16, path: &str) -> Result<String> {
    ns.run(|| {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&to, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    })
}

/// Writes a certificate as the kubelet mounts a Secret: a version of its own, and a link to it that
/// is exchanged. Gives it as DER.
fn mount(dir: &Path, version: &str) -> Result<Vec<u8>> {
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["metrics".to_owned()])?;
    let certificate = params.self_signed(&key)?;
    let place = dir.join(version);
    std::fs::create_dir(&place)?;
    std::fs::write(place.join("tls.crt"), certificate.pem())?;
    std::fs::write(place.join("tls.key"), key.serialize_pem())?;
    exchange(dir, version)?;
    Ok(certificate.der().to_vec())
}

fn exchange(dir: &Path, version: &str) -> Result<()> {
    symlink(version, dir.join("..new"))?;
    Ok(std::fs::rename(dir.join("..new"), dir.join("..data"))?)
}

fn wait_logged(process: &mut Process, text: &str) -> Result<()> {
    wait_until(text, DEADLINE, || {
        let said = process.log().iter().any(|line| line.contains(text));
        Ok(said.then_some(()))
    })
    .with_context(|| process.log().join("\n  "))
}

fn metrics_are_for_those_who_may_read_them() -> Result<()> {
    let mut cluster = setup::cluster()?;
    let pool = custom("IPAddressPool", "pool", "addresses: [192.0.2.0/24]");
    cluster.client().apply(&pool)?;
    let directory = state_directory("certificate")?;
    let dir = directory.path();
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), dir.join(name))?;
    }
    let first = mount(dir, "..first")?;
    let flags = [
        format!("--metrics-cert-dir={}", dir.display()),
        format!("--cert-dir={}", dir.display()),
        "--disable-cert-rotation".to_owned(),
    ];
    let flags = flags.each_ref().map(String::as_str);
    let ns = cluster.netns().clone();
    let mut controller = setup::start(&cluster, &ns, "controller", &flags)?;
    wait(&mut controller, "readiness", || {
        let ready = ask(&ns, HEALTH, "/readyz").is_ok_and(|said| said.contains("200 OK"));
        Ok(ready.then_some(()))
    })?;
    let reader = reader(&cluster, "prometheus")?;
    let other = cluster.token("default", "other")?;
    for (token, status, said) in [
        (None, 401, "bearer token"),
        (Some("nonsense"), 401, "bearer token"),
        (Some(other.as_str()), 403, "default:other may not get"),
        (
            Some(&reader),
            200,
            "metallb_allocator_addresses_total{pool=\"pool\"} 256",
        ),
    ] {
        let answer = scrape(&ns, token)?;
        ensure!(
            answer.status == status && answer.body.contains(said),
            "{token:?}: {answer:?}"
        );
        ensure!(answer.certificate == first, "another certificate");
    }
    let secret = cluster
        .client()
        .get(Kind::Secret, NAMESPACE, "metallb-webhook-cert")?;
    ensure!(secret.is_none(), "a certificate that nobody asked for");
    let health = ask(&ns, HEALTH, "/metrics")?;
    ensure!(health.contains("404"), "{health}");
    let clear = ask(&ns, METRICS, "/metrics").unwrap_or_default();
    ensure!(!clear.contains("metallb_"), "in the clear: {clear}");

    slow_clients_stop_nobody(&cluster, &mut controller, &reader)?;
    certificates_are_taken_up(&ns, dir, &mut controller)?;

    // Who was let in before still is without the API server; nobody else is.
    cluster.kill_server()?;
    let answer = scrape(&ns, Some(&reader))?;
    ensure!(answer.status == 200, "{answer:?}");
    let answer = scrape(&ns, Some("never seen"))?;
    ensure!(
        answer.status == 503 && answer.body.contains("can't be asked"),
        "{answer:?}"
    );
    ensure!(ask(&ns, HEALTH, "/healthz")?.contains("200 OK"), "healthz");
    Ok(())
}

fn slow_clients_stop_nobody(
    cluster: &Kubernetes,
    controller: &mut Process,
    reader: &str,
) -> Result<()> {
    let ns = cluster.netns();
    let slow: Vec<TcpStream> = ns.run(|| {
        let said: [&[u8]; 3] = [
            b"",
            b"GET /metrics HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\0\x01",
        ];
        let open = said.iter().cycle().take(60).map(|said| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, METRICS))?;
            stream.write_all(said)?;
            Ok(stream)
        });
        open.collect()
    })?;
    cluster.client().apply(&service("web", "", ""))?;
    wait_addresses(cluster.client(), controller, "web", &["192.0.2.0"])?;
    ensure!(ask(ns, HEALTH, "/healthz")?.contains("200 OK"), "healthz");
    let answer = scrape(ns, Some(reader))?;
    ensure!(answer.status == 200, "{answer:?}");
    drop(slow);
    Ok(())
}

fn certificates_are_taken_up(ns: &Netns, dir: &Path, controller: &mut Process) -> Result<()> {
    let second = mount(dir, "..second")?;
    wait(controller, "the second certificate", || {
        let answer = scrape(ns, None)?;
        Ok((answer.certificate == second).then_some(()))
    })?;
    // A version whose key isn't the certificate's.
    std::fs::create_dir(dir.join("..third"))?;
    std::fs::copy(dir.join("..first/tls.crt"), dir.join("..third/tls.crt"))?;
    std::fs::copy(dir.join("..second/tls.key"), dir.join("..third/tls.key"))?;
    exchange(dir, "..third")?;
    wait_logged(controller, "the certificate from before is shown")?;
    ensure!(scrape(ns, None)?.certificate == second, "a bad pair");
    // The webhooks' is in the same files here.
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 9443));
    wait(controller, "the webhooks' second certificate", || {
        let webhook = ns.run(|| https::get(to, "/", None, DEADLINE))?;
        Ok((webhook.certificate == second).then_some(()))
    })?;
    let fourth = mount(dir, "..fourth")?;
    wait(controller, "the fourth certificate", || {
        let answer = scrape(ns, None)?;
        Ok((answer.certificate == fourth).then_some(()))
    })
}

/// The kubelet restarts a speaker that doesn't answer the LAN any more.
fn a_stuck_thread_is_noticed() -> Result<()> {
    let cluster = setup::cluster()?;
    let ns = cluster.netns();
    let mut speaker = setup::start(&cluster, ns, "speaker", &["--node-name=n1"])?;
    for path in ["/readyz", "/healthz"] {
        wait(&mut speaker, path, || {
            let good = ask(ns, HEALTH, path).is_ok_and(|said| said.contains("200 OK"));
            Ok(good.then_some(()))
        })?;
    }
    let stopped = speaker.stop_thread("wire")?;
    for path in ["/healthz", "/readyz"] {
        let said = ask(ns, HEALTH, path)?;
        ensure!(
            said.contains("503") && said.contains("the thread that answers the LAN"),
            "{said}"
        );
    }
    drop(stopped);
    wait(&mut speaker, "good health", || {
        let said = ask(ns, HEALTH, "/healthz")?;
        Ok(said.contains("200 OK").then_some(()))
    })?;
    // One that decides nothing any more doesn't answer at all.
    let stopped = speaker.stop_thread("corten")?;
    let silent = ns.run(|| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, HEALTH))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")?;
        Ok(stream.read(&mut [0]).is_err())
    })?;
    ensure!(silent, "answered");
    drop(stopped);
    wait(&mut speaker, "good health again", || {
        let said = ask(ns, HEALTH, "/healthz")?;
        Ok(said.contains("200 OK").then_some(()))
    })
}
