//! The chart's alerts, judged by promtool.

use crate::helm::{object, rendered, repository};
use anyhow::{Result, ensure};
use corten_lab::kubernetes::binary;
use corten_lab::stage;
use corten_lab::trial::Trial;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

pub(crate) const TRIALS: &[Trial] = &[
    ("alerts_fire_when_they_should", alerts_fire_when_they_should),
    (
        "alerts_ask_for_what_is_served",
        alerts_ask_for_what_is_served,
    ),
];

/// Two pools that are always full are none of the alerts' business.
const VALUES: &str = "prometheus: {prometheusRule: {enabled: true, \
    addressPoolExhausted: {excludePools: small.*}, addressPoolUsage: {excludePools: small.*}, \
    extraAlerts: [{alert: Extra, expr: vector(1)}]}}";

fn rules() -> Result<Value> {
    let objects = rendered("metallb", VALUES)?;
    Ok(object(&objects, "PrometheusRule", "metallb")?["spec"].clone())
}

fn alerts_fire_when_they_should() -> Result<()> {
    let dir = stage::scratch()?.join("alerts");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("rules.yaml"), rules()?.to_string())?;
    let tests = repository().join("lab/tests/chart/alerts.yaml");
    std::fs::copy(tests, dir.join("tests.yaml"))?;
    for (verb, file) in [("check", "rules.yaml"), ("test", "tests.yaml")] {
        let mut promtool = Command::new(binary("promtool")?);
        let output = promtool
            .args([verb, "rules", file])
            .current_dir(&dir)
            .output()?;
        ensure!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Words of an expression that are names of metrics of ours.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = expression.split(part);
    words.filter(|w| w.starts_with("metallb_") || w.starts_with("corten_"))
}

fn alerts_ask_for_what_is_served() -> Result<()> {
    let documented = std::fs::read_to_string(repository().join("docs/reference/metrics.md"))?;
    let rules = rules()?;
    let rules = rules["groups"][0]["rules"].as_array().into_iter().flatten();
    let mut names = BTreeSet::new();
    for rule in rules {
        names.insert(rule["alert"].as_str().unwrap_or_default().to_owned());
        for metric in metrics(rule["expr"].as_str().unwrap_or_default()) {
            let row = format!("| `{metric}` |");
            ensure!(
                documented.contains(&row),
                "{metric} isn't in the documentation"
            );
        }
    }
    let expected = [
        "MetalLBStaleConfig",
        "MetalLBConfigNotLoaded",
        "MetalLBAddressPoolExhausted",
        "MetalLBAddressPoolUsage75Percent",
        "MetalLBAddressPoolUsage85Percent",
        "MetalLBAddressPoolUsage95Percent",
        "MetalLBBGPSessionDown",
        "CortenAddressConflict",
        "Extra",
    ];
    ensure!(names == expected.map(str::to_owned).into(), "{names:?}");
    Ok(())
}
