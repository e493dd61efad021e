//! Every value of MetalLB's chart (`spec/metallb.md` §8.1) is accepted; each is honoured, or named
//! as one without effect.

mod table;

use crate::helm::{chart, helm, rendered};
use anyhow::{Context, Result, anyhow, bail, ensure};
use corten_lab::stage;
use corten_lab::trial::Trial;
use serde_json::{Map, Value, json};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use table::{Effect, Row, VALUES};

pub(crate) const TRIALS: &[Trial] = &[
    ("the_chart_is_linted", the_chart_is_linted),
    ("every_value_is_accepted", every_value_is_accepted),
    ("wrong_values_are_refused", wrong_values_are_refused),
    ("contradictions_are_refused", contradictions_are_refused),
];

/// Paths of values that have no effect.
pub(crate) fn without_effect() -> Vec<(&'static str, &'static str)> {
    let rows = VALUES
        .iter()
        .filter(|(.., effect)| *effect == Effect::Nothing);
    rows.map(|(path, _, other, _)| (*path, *other)).collect()
}

/// Each value with its default as JSON or bare text, and what the documentation says of its effect.
pub(crate) fn documented() -> Result<Vec<(&'static str, (String, &'static str))>> {
    let row = |(path, default, _, effect): &Row| -> Result<_> {
        let default: Value = serde_saphyr::from_str(default)?;
        let default = match default.as_str() {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => default.to_string(),
        };
        Ok((*path, (default, effect.word())))
    };
    VALUES.iter().map(row).collect()
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
    let after = with(parsed(effect.around())?, path, other)?;
    let changes = before != briefly(&after, file)?;
    ensure!(
        changes == (effect != Effect::Nothing),
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
        if let Entry::Vacant(entry) = before.entry(effect.around()) {
            let values = parsed(entry.key())?;
            entry.insert(briefly(&values, &scratch.join("before.json"))?);
        }
    }
    let work = |rows: &[Row], file: &str| -> Result<()> {
        let file = scratch.join(file);
        for row in rows {
            let before = before.get(row.3.around()).context("not rendered")?;
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
        ("controller: {replicas: -1}", "replicas"),
        ("speaker: {ownership: mine}", "ownership"),
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
        ("frrk8s: {takeOver: true}", "frrk8s.external"),
        (
            "controller: {replicas: 2, leaderElection: {enabled: false}}",
            "needs controller.leaderElection.enabled",
        ),
        (
            "tls: {cipherSuites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}",
            "tls.cipherSuites needs tls.minVersion=VersionTLS12",
        ),
        (
            "controller: {livenessProbe: {port: 1}}",
            "both are served on one port",
        ),
    ] {
        refused(values, cause)?;
    }
    Ok(())
}
