//! Every value of MetalLB's chart (`spec/metallb.md` §8.1) is accepted; each is honoured, or named
//! as one without effect.

use crate::helm::{chart, helm, rendered};
use anyhow::{Context, Result, anyhow, bail, ensure};
use corten_lab::stage;
use corten_lab::trial::Trial;
use serde_json::{Map, Value, json};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;

pub(crate) const TRIALS: &[Trial] = &[
    ("the_chart_is_linted", the_chart_is_linted),
    ("every_value_is_accepted", every_value_is_accepted),
    ("wrong_values_are_refused", wrong_values_are_refused),
    ("contradictions_are_refused", contradictions_are_refused),
];

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It changes what is rendered, where this is also set.
    Changes(&'static str),
    /// It doesn't, and the notes name it.
    Nothing,
    /// It changes what admission warns of, and the notes name it.
    Warnings,
}

use Effect::{Changes, Nothing, Warnings};

const ALWAYS: Effect = Changes("");
const POD_MONITOR: Effect = Changes(
    "prometheus: {podMonitor: {enabled: true}, serviceAccount: prometheus, namespace: monitoring}",
);
const SERVICE_MONITOR: Effect = Changes(
    "prometheus: {serviceMonitor: {enabled: true}, serviceAccount: prometheus, namespace: monitoring}",
);
const RULE: Effect = Changes("prometheus: {prometheusRule: {enabled: true}}");
const POLICIES: Effect = Changes("networkpolicies: {enabled: true}");

/// Path, default, another value, and what comes of it.
type Row = (&'static str, &'static str, &'static str, Effect);

const VALUES: &[Row] = &[
    ("imagePullSecrets", "[]", "[{name: pull}]", ALWAYS),
    ("nameOverride", "''", "other", ALWAYS),
    ("fullnameOverride", "''", "other", ALWAYS),
    ("loadBalancerClass", "''", "example.com/lb", ALWAYS),
    ("rbac.create", "true", "false", ALWAYS),
    ("tls.cipherSuites", "''", "TLS_AES_128_GCM_SHA256", Nothing),
    ("tls.curvePreferences", "''", "'29'", Nothing),
    ("tls.minVersion", "''", "VersionTLS12", ALWAYS),
    ("tls.controllerMetricsTLSSecret", "''", "cert", Nothing),
    ("tls.speakerMetricsTLSSecret", "''", "cert", Nothing),
    ("prometheus.scrapeAnnotations", "false", "true", ALWAYS),
    ("prometheus.metricsPort", "9120", "9999", ALWAYS),
    (
        "prometheus.rbacPrometheus",
        "true",
        "false",
        SERVICE_MONITOR,
    ),
    ("prometheus.serviceAccount", "''", "other", SERVICE_MONITOR),
    ("prometheus.namespace", "''", "other", SERVICE_MONITOR),
    (
        "prometheus.podMonitor.enabled",
        "false",
        "true",
        Changes("prometheus: {rbacPrometheus: false}"),
    ),
    (
        "prometheus.podMonitor.additionalLabels",
        "{}",
        "{a: b}",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.annotations",
        "{}",
        "{a: b}",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.jobLabel",
        "app.kubernetes.io/name",
        "job",
        POD_MONITOR,
    ),
    ("prometheus.podMonitor.interval", "null", "15s", POD_MONITOR),
    (
        "prometheus.podMonitor.metricRelabelings",
        "[]",
        "[{action: drop}]",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.relabelings",
        "[]",
        "[{action: drop}]",
        POD_MONITOR,
    ),
    (
        "prometheus.podMonitor.tlsConfig.insecureSkipVerify",
        "true",
        "false",
        POD_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.enabled",
        "false",
        "true",
        Changes("prometheus: {rbacPrometheus: false}"),
    ),
    (
        "prometheus.serviceMonitor.speaker.additionalLabels",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.speaker.annotations",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.speaker.tlsConfig.insecureSkipVerify",
        "true",
        "false",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.controller.additionalLabels",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.controller.annotations",
        "{}",
        "{a: b}",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.controller.tlsConfig.insecureSkipVerify",
        "true",
        "false",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.jobLabel",
        "app.kubernetes.io/name",
        "job",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.interval",
        "null",
        "15s",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.metricRelabelings",
        "[]",
        "[{action: drop}]",
        SERVICE_MONITOR,
    ),
    (
        "prometheus.serviceMonitor.relabelings",
        "[]",
        "[{action: drop}]",
        SERVICE_MONITOR,
    ),
    ("prometheus.prometheusRule.enabled", "false", "true", ALWAYS),
    (
        "prometheus.prometheusRule.additionalLabels",
        "{}",
        "{a: b}",
        RULE,
    ),
    (
        "prometheus.prometheusRule.annotations",
        "{}",
        "{a: b}",
        RULE,
    ),
    (
        "prometheus.prometheusRule.staleConfig.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.staleConfig.labels.severity",
        "warning",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.configNotLoaded.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.configNotLoaded.labels.severity",
        "warning",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolExhausted.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolExhausted.labels.severity",
        "critical",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolExhausted.excludePools",
        "''",
        "small.*",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolUsage.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolUsage.thresholds",
        "[{percent: 75, labels: {severity: warning}}, {percent: 85, labels: {severity: warning}}, \
         {percent: 95, labels: {severity: critical}}]",
        "[{percent: 50}]",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressPoolUsage.excludePools",
        "''",
        "small.*",
        RULE,
    ),
    (
        "prometheus.prometheusRule.bgpSessionDown.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.bgpSessionDown.labels.severity",
        "critical",
        "page",
        RULE,
    ),
    (
        "prometheus.prometheusRule.extraAlerts",
        "[]",
        "[{alert: A, expr: b}]",
        RULE,
    ),
    ("controller.enabled", "true", "false", ALWAYS),
    ("controller.logLevel", "info", "debug", ALWAYS),
    ("controller.command", "''", "/other", ALWAYS),
    ("controller.webhookMode", "enabled", "onlywebhook", ALWAYS),
    ("controller.image.tag", "null", "v9", ALWAYS),
    ("controller.image.pullPolicy", "null", "Always", ALWAYS),
    (
        "controller.strategy.type",
        "RollingUpdate",
        "Recreate",
        ALWAYS,
    ),
    ("controller.serviceAccount.create", "true", "false", ALWAYS),
    ("controller.serviceAccount.name", "''", "other", ALWAYS),
    (
        "controller.serviceAccount.annotations",
        "{}",
        "{a: b}",
        ALWAYS,
    ),
    (
        "controller.securityContext.runAsNonRoot",
        "true",
        "false",
        ALWAYS,
    ),
    (
        "controller.securityContext.runAsUser",
        "65534",
        "1000",
        ALWAYS,
    ),
    (
        "controller.securityContext.fsGroup",
        "65534",
        "1000",
        ALWAYS,
    ),
    ("controller.resources", "{}", "{limits: {cpu: 1}}", ALWAYS),
    ("controller.nodeSelector", "{}", "{a: b}", ALWAYS),
    (
        "controller.tolerations",
        "[]",
        "[{operator: Exists}]",
        ALWAYS,
    ),
    ("controller.priorityClassName", "''", "high", ALWAYS),
    ("controller.runtimeClassName", "''", "other", ALWAYS),
    ("controller.affinity", "{}", "{podAffinity: {}}", ALWAYS),
    ("controller.podAnnotations", "{}", "{a: b}", ALWAYS),
    ("controller.labels", "{}", "{a: b}", ALWAYS),
    ("controller.livenessProbe.enabled", "true", "false", ALWAYS),
    (
        "controller.livenessProbe.port",
        "17472",
        "17473",
        Changes("controller: {readinessProbe: {enabled: false}}"),
    ),
    (
        "controller.livenessProbe.failureThreshold",
        "3",
        "4",
        ALWAYS,
    ),
    (
        "controller.livenessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("controller.livenessProbe.periodSeconds", "10", "4", ALWAYS),
    (
        "controller.livenessProbe.successThreshold",
        "1",
        "4",
        ALWAYS,
    ),
    ("controller.livenessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("controller.readinessProbe.enabled", "true", "false", ALWAYS),
    (
        "controller.readinessProbe.port",
        "17472",
        "17473",
        Changes("controller: {livenessProbe: {enabled: false}}"),
    ),
    (
        "controller.readinessProbe.failureThreshold",
        "3",
        "4",
        ALWAYS,
    ),
    (
        "controller.readinessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("controller.readinessProbe.periodSeconds", "10", "4", ALWAYS),
    (
        "controller.readinessProbe.successThreshold",
        "1",
        "4",
        ALWAYS,
    ),
    ("controller.readinessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("controller.extraContainers", "[]", "[{name: side}]", ALWAYS),
    ("speaker.enabled", "true", "false", ALWAYS),
    ("speaker.logLevel", "info", "debug", ALWAYS),
    ("speaker.command", "''", "/other", ALWAYS),
    ("speaker.tolerateMaster", "true", "false", ALWAYS),
    ("speaker.memberlist.enabled", "true", "false", ALWAYS),
    ("speaker.memberlist.mlBindPort", "7946", "7947", ALWAYS),
    (
        "speaker.memberlist.mlBindAddrOverride",
        "''",
        "192.0.2.1",
        ALWAYS,
    ),
    (
        "speaker.memberlist.mlSecretKeyPath",
        "/etc/ml_secret_key",
        "/etc/other",
        ALWAYS,
    ),
    ("speaker.secretName", "''", "other", ALWAYS),
    ("speaker.wanConfig", "false", "true", Nothing),
    ("speaker.excludeInterfaces.enabled", "true", "false", ALWAYS),
    ("speaker.ignoreExcludeLB", "false", "true", ALWAYS),
    ("speaker.bgpDebounceTimeout", "null", "500", Nothing),
    ("speaker.image.tag", "null", "v9", ALWAYS),
    ("speaker.image.pullPolicy", "null", "Always", ALWAYS),
    (
        "speaker.updateStrategy.type",
        "RollingUpdate",
        "OnDelete",
        ALWAYS,
    ),
    ("speaker.serviceAccount.create", "true", "false", ALWAYS),
    ("speaker.serviceAccount.name", "''", "other", ALWAYS),
    ("speaker.serviceAccount.annotations", "{}", "{a: b}", ALWAYS),
    ("speaker.securityContext", "{}", "{runAsGroup: 0}", ALWAYS),
    ("speaker.resources", "{}", "{limits: {cpu: 1}}", ALWAYS),
    ("speaker.nodeSelector", "{}", "{a: b}", ALWAYS),
    ("speaker.tolerations", "[]", "[{operator: Exists}]", ALWAYS),
    ("speaker.priorityClassName", "''", "high", ALWAYS),
    ("speaker.affinity", "{}", "{podAffinity: {}}", ALWAYS),
    ("speaker.runtimeClassName", "''", "other", ALWAYS),
    ("speaker.podAnnotations", "{}", "{a: b}", ALWAYS),
    ("speaker.labels", "{}", "{a: b}", ALWAYS),
    ("speaker.livenessProbe.enabled", "true", "false", ALWAYS),
    (
        "speaker.livenessProbe.port",
        "17472",
        "17473",
        Changes("speaker: {readinessProbe: {enabled: false}}"),
    ),
    ("speaker.livenessProbe.failureThreshold", "3", "4", ALWAYS),
    (
        "speaker.livenessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("speaker.livenessProbe.periodSeconds", "10", "4", ALWAYS),
    ("speaker.livenessProbe.successThreshold", "1", "4", ALWAYS),
    ("speaker.livenessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("speaker.readinessProbe.enabled", "true", "false", ALWAYS),
    (
        "speaker.readinessProbe.port",
        "17472",
        "17473",
        Changes("speaker: {livenessProbe: {enabled: false}}"),
    ),
    ("speaker.readinessProbe.failureThreshold", "3", "4", ALWAYS),
    (
        "speaker.readinessProbe.initialDelaySeconds",
        "10",
        "4",
        ALWAYS,
    ),
    ("speaker.readinessProbe.periodSeconds", "10", "4", ALWAYS),
    ("speaker.readinessProbe.successThreshold", "1", "4", ALWAYS),
    ("speaker.readinessProbe.timeoutSeconds", "1", "4", ALWAYS),
    ("speaker.startupProbe.enabled", "true", "false", Nothing),
    ("speaker.startupProbe.failureThreshold", "30", "4", Nothing),
    ("speaker.startupProbe.periodSeconds", "5", "4", Nothing),
    ("speaker.frr.enabled", "false", "true", Warnings),
    ("speaker.frr.image.pullPolicy", "null", "Always", Nothing),
    ("speaker.frr.metricsPort", "9121", "9122", Nothing),
    ("speaker.frr.resources", "{}", "{limits: {cpu: 1}}", Nothing),
    (
        "speaker.reloader.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.frrMetrics.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.initContainers.cpFrrFiles.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.initContainers.cpReloader.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    (
        "speaker.initContainers.cpMetrics.resources",
        "{}",
        "{limits: {cpu: 1}}",
        Nothing,
    ),
    ("speaker.extraContainers", "[]", "[{name: side}]", ALWAYS),
    (
        "crds.enabled",
        "true",
        "false",
        Changes("crds: {enabled: true}"),
    ),
    ("crds.validationFailurePolicy", "Fail", "Ignore", ALWAYS),
    ("frrk8s.secretPassthrough", "false", "true", Nothing),
    (
        "frrk8s.external",
        "false",
        "true",
        Changes("frrk8s: {namespace: frr}"),
    ),
    ("frrk8s.namespace", "''", "frr", Nothing),
    (
        "frr-k8s.prometheus.serviceMonitor.enabled",
        "false",
        "true",
        Nothing,
    ),
    ("networkpolicies.enabled", "false", "true", ALWAYS),
    ("networkpolicies.defaultDeny", "false", "true", POLICIES),
    ("networkpolicies.apiPort", "6443", "443", POLICIES),
    // Defaults of our own: MetalLB's images aren't ours, and frr-k8s isn't needed.
    (
        "controller.image.repository",
        "corten",
        "registry.example/corten",
        ALWAYS,
    ),
    (
        "speaker.image.repository",
        "corten",
        "registry.example/corten",
        ALWAYS,
    ),
    (
        "speaker.frr.image.repository",
        "''",
        "registry.example/frr",
        Nothing,
    ),
    ("speaker.frr.image.tag", "''", "v9", Nothing),
    ("frrk8s.enabled", "false", "true", Warnings),
    // Values of our own.
    (
        "prometheus.prometheusRule.addressConflict.enabled",
        "true",
        "false",
        RULE,
    ),
    (
        "prometheus.prometheusRule.addressConflict.labels.severity",
        "critical",
        "page",
        RULE,
    ),
];

/// Paths of values that have no effect.
pub(crate) fn without_effect() -> Vec<(&'static str, &'static str)> {
    let rows = VALUES.iter().filter(|(.., effect)| *effect == Nothing);
    rows.map(|(path, _, other, _)| (*path, *other)).collect()
}

/// `value` with `other` at `path`.
pub(crate) fn with(mut value: Value, path: &str, other: &str) -> Result<Value> {
    let mut at = &mut value;
    for key in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[key];
    }
    *at = serde_saphyr::from_str(other)?;
    Ok(value)
}

/// Paths of what isn't a mapping, or an empty one.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        None => {
            found.insert(path.to_owned());
        }
        Some(map) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(value, &path, found);
            }
        }
    }
}

/// The chart's defaults.
pub(crate) fn defaults() -> Result<Value> {
    let text = std::fs::read_to_string(chart().join("values.yaml"))?;
    Ok(serde_saphyr::from_str(&text)?)
}

fn the_chart_is_linted() -> Result<()> {
    helm(&["lint", "--strict", &chart().display().to_string()])?;
    Ok(())
}

/// What is rendered with these values, but for the definitions, which are long.
fn briefly(values: &Value, file: &Path) -> Result<String> {
    let said = values["crds"]["enabled"].is_boolean();
    let values = if said {
        values.clone()
    } else {
        with(values.clone(), "crds.enabled", "false")?
    };
    std::fs::write(file, values.to_string())?;
    let (file, chart) = (file.display().to_string(), chart().display().to_string());
    helm(&["template", "metallb", &chart, "-f", &file])
}

/// What must be set for a value to count.
fn around(effect: Effect) -> &'static str {
    match effect {
        Changes(around) => around,
        Nothing | Warnings => "",
    }
}

fn parsed(around: &str) -> Result<Value> {
    let value: Option<Value> = serde_saphyr::from_str(around)?;
    Ok(value.unwrap_or_else(|| json!({})))
}

/// Checks a value against the defaults, and what comes of it against what is rendered without it.
fn check(row: &Row, defaults: &Value, before: &str, file: &Path) -> Result<()> {
    let (path, default, other, effect) = *row;
    let mut found = defaults;
    for key in path.split('.') {
        found = found.get(key).context("no such value")?;
    }
    let default: Value = serde_saphyr::from_str(default)?;
    ensure!(*found == default, "the default is {found}");
    let after = with(parsed(around(effect))?, path, other)?;
    let changes = before != briefly(&after, file)?;
    ensure!(
        changes == (effect != Nothing),
        "it changes what is rendered: {changes}"
    );
    Ok(())
}

fn every_value_is_accepted() -> Result<()> {
    let defaults = defaults()?;
    let mut there = BTreeSet::new();
    leaves(&defaults, "", &mut there);
    let listed = VALUES.iter().map(|(path, ..)| (*path).to_owned());
    let listed: BTreeSet<_> = listed.collect();
    ensure!(
        there == listed,
        "not listed here: {:?}; not in values.yaml: {:?}",
        there.difference(&listed),
        listed.difference(&there)
    );
    // As many programs at a time as there are processors, on small machines.
    let scratch = stage::scratch()?;
    let (left, right) = VALUES.split_at(VALUES.len() / 2);
    let mut before = BTreeMap::new();
    for (.., effect) in VALUES {
        if let Entry::Vacant(entry) = before.entry(around(*effect)) {
            let values = parsed(entry.key())?;
            entry.insert(briefly(&values, &scratch.join("before.json"))?);
        }
    }
    let work = |rows: &[Row], file: &str| -> Result<()> {
        let file = scratch.join(file);
        for row in rows {
            let before = before.get(around(row.3)).context("not rendered")?;
            check(row, &defaults, before, &file).with_context(|| format!("{row:?}"))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let left = scope.spawn(|| work(left, "left.json"));
        let right = work(right, "right.json");
        let left = left.join().map_err(|_| anyhow!("a check panicked"))?;
        left.and(right)
    })
}

/// Checks that these values are refused with a text that has `cause` in it.
fn refused(values: &str, cause: &str) -> Result<()> {
    match rendered("metallb", values) {
        Ok(_) => bail!("accepted: {values}"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(cause), "{values}: {text}");
            Ok(())
        }
    }
}

fn wrong_values_are_refused() -> Result<()> {
    for (values, cause) in [
        ("controller: {logLevel: loud}", "logLevel"),
        ("controller: {webhookMode: maybe}", "webhookMode"),
        ("speaker: {bgpDebounceTimeout: 0}", "bgpDebounceTimeout"),
        ("speaker: {memberlist: {mlBindPort: 70000}}", "mlBindPort"),
        (
            "speaker: {memberlist: {mlSecretKeyPath: relative}}",
            "mlSecretKeyPath",
        ),
        (
            "crds: {validationFailurePolicy: Perhaps}",
            "validationFailurePolicy",
        ),
        ("tls: {minVersion: VersionTLS11}", "minVersion"),
        (
            "prometheus: {prometheusRule: {addressPoolUsage: {thresholds: [{percent: 101}]}}}",
            "percent",
        ),
        ("networkpolicies: {apiPort: 0}", "apiPort"),
    ] {
        refused(values, cause)?;
    }
    Ok(())
}

fn contradictions_are_refused() -> Result<()> {
    for (values, cause) in [
        (
            "configInline: {address-pools: []}",
            "configInline is not read",
        ),
        (
            "speaker: {image: {repository: quay.io/metallb/speaker}}",
            "speaker.image.repository is quay.io/metallb/speaker, which is MetalLB's image",
        ),
        (
            "controller: {image: {repository: mirror.example/quay/metallb/controller}}",
            "which is MetalLB's image",
        ),
        (
            "speaker: {memberlist: {enabled: false}, nodeSelector: {a: b}}",
            "speaker.nodeSelector needs speaker.memberlist.enabled",
        ),
        (
            "prometheus: {podMonitor: {enabled: true}, serviceMonitor: {enabled: true}, \
             rbacPrometheus: false}",
            "enable one",
        ),
        (
            "prometheus: {podMonitor: {enabled: true}}",
            "prometheus.serviceAccount",
        ),
        (
            "prometheus: {serviceMonitor: {enabled: true}, serviceAccount: p}",
            "prometheus.namespace",
        ),
        (
            "speaker: {frr: {enabled: true}}\nfrrk8s: {enabled: true}",
            "contradict",
        ),
        (
            "speaker: {frr: {enabled: true}}\nfrrk8s: {external: true, namespace: a}",
            "contradict",
        ),
        (
            "frrk8s: {enabled: true, external: true, namespace: a}",
            "contradict",
        ),
        ("frrk8s: {external: true}", "frrk8s.namespace"),
        (
            "controller: {livenessProbe: {port: 1}}",
            "both are served on one port",
        ),
    ] {
        refused(values, cause)?;
    }
    Ok(())
}
