//! The command line as people and scripts use it.

use anyhow::{Context, Result, ensure};
use corten_lab::corten::{Corten, binary, command};
use corten_lab::manifests::{Manifests, pool};
use corten_lab::site::Site;
use corten_lab::trial::Trial;
use serde_json::Value;
use std::process::{Command, Output};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "asking::validate_tells_everything_at_once",
        validate_tells_everything_at_once,
    ),
    (
        "asking::validate_for_another_backend",
        validate_for_another_backend,
    ),
    (
        "asking::colours_are_for_terminals",
        colours_are_for_terminals,
    ),
    (
        "asking::a_running_instance_explains",
        a_running_instance_explains,
    ),
    ("asking::what_is_generated", what_is_generated),
];

/// Two files, three faults; lines count from 1.
fn faulty() -> Result<Manifests> {
    let manifests = Manifests::new()?;
    manifests.write(
        "pools.yaml",
        &(pool("good", &["192.0.2.0/28"]) + &pool("bad", &["198.51.100.0/24", "10.0.0.7"])),
    )?;
    manifests.write(
        "ads.yaml",
        "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata:\n  name: twice\n  \
         namespace: metallb-system\nspec:\n  ipAddressPools:\n    - good\n    - good\n  \
         nodeSelectors:\n    - matchLabels: {\"a b\": c}\n",
    )?;
    Ok(manifests)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn validate(manifests: &Manifests, options: &[&str]) -> Result<Output> {
    let path = manifests.path().display().to_string();
    command(&[&["validate", &path], options].concat())
}

/// What a command prints, as JSON and as YAML: the same data.
fn in_both_forms(mut run: impl FnMut(&str) -> Result<String>) -> Result<Value> {
    let (json, yaml) = (run("json")?, run("yaml")?);
    ensure!(json != yaml, "two forms: {json}");
    let mut from_json: Value = serde_json::from_str(&json).context(json)?;
    let mut from_yaml: Value = serde_saphyr::from_str(&yaml).context(yaml)?;
    settle(&mut from_json);
    settle(&mut from_yaml);
    ensure!(from_json == from_yaml, "{from_json}\n{from_yaml}");
    Ok(from_json)
}

/// Takes out what goes on counting between two questions.
fn settle(value: &mut Value) {
    const COUNTING: [&str; 4] = ["uptimeSeconds", "frames", "droppedFrames", "lostFrames"];
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !COUNTING.contains(&key.as_str()));
            map.values_mut().for_each(settle);
        }
        Value::Array(list) => list.iter_mut().for_each(settle),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn validate_tells_everything_at_once() -> Result<()> {
    let manifests = faulty()?;
    let out = validate(&manifests, &[])?;
    let said = text(&out);
    ensure!(out.status.code() == Some(1), "{}: {said}", out.status);
    let dir = manifests.path().display();
    // The place is the object's first line.
    for (place, field) in [
        (
            "pools.yaml:10",
            "IPAddressPool metallb-system/bad: spec.addresses[1]: ",
        ),
        (
            "ads.yaml:1",
            "L2Advertisement metallb-system/twice: spec.ipAddressPools[1]: ",
        ),
        (
            "ads.yaml:1",
            "L2Advertisement metallb-system/twice: spec.nodeSelectors[0].matchLabels: ",
        ),
    ] {
        let line = format!("error: {dir}/{place}: {field}");
        ensure!(said.contains(&line), "no {line:?} in\n{said}");
    }
    ensure!(said.contains("3 objects, 3 problems"), "{said}");
    let report = in_both_forms(|form| {
        let out = validate(&manifests, &["-o", form])?;
        ensure!(out.status.code() == Some(1), "{}", out.status);
        Ok(text(&out))
    })?;
    let problems = report["problems"].as_array().context("problems")?;
    ensure!(problems.len() == 3, "{report}");

    // Put right, it is silent about them.
    manifests.edit("pools.yaml", "10.0.0.7", "10.0.0.7/32")?;
    manifests.remove("ads.yaml")?;
    let out = validate(&manifests, &[])?;
    ensure!(out.status.code() == Some(0), "{}", text(&out));
    Ok(())
}

fn validate_for_another_backend() -> Result<()> {
    let manifests = Manifests::new()?;
    manifests.write(
        "bgp.yaml",
        "apiVersion: metallb.io/v1beta1\nkind: Community\nmetadata:\n  name: c\n  \
         namespace: metallb-system\nspec:\n  communities:\n    - {name: x, value: \
         'large:1:2:3'}\n",
    )?;
    let rows: &[(&[&str], i32, &str)] = &[
        (&[], 0, "0 problems"),
        (
            &["--for", "metallb-native"],
            1,
            "is not supported on native bgp mode",
        ),
        (
            &["--for", "native"],
            1,
            "is not supported on native bgp mode",
        ),
        (&["--for", "frr"], 0, "0 problems"),
    ];
    for (options, code, word) in rows {
        let out = validate(&manifests, options)?;
        let said = text(&out);
        let fits = out.status.code() == Some(*code) && said.contains(word);
        ensure!(fits, "{options:?}: {}: {said}", out.status);
    }
    Ok(())
}

fn colours_are_for_terminals() -> Result<()> {
    let manifests = faulty()?;
    let piped = validate(&manifests, &[])?;
    ensure!(!piped.stdout.contains(&0x1b), "{}", text(&piped));
    let line = format!(
        "{} validate {}",
        binary()?.display(),
        manifests.path().display()
    );
    for (no_color, coloured) in [("", true), ("1", false)] {
        // script(1) is what gives a program a terminal.
        let out = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("NO_COLOR", no_color)
            .output()
            .context("running script")?;
        ensure!(out.status.code() == Some(1), "{}", out.status);
        let has = out.stdout.contains(&0x1b);
        ensure!(has == coloured, "NO_COLOR={no_color:?}: {}", text(&out));
    }
    Ok(())
}

fn ask(instance: &Corten, arguments: &[&str]) -> Result<String> {
    let socket = instance.state().join("corten.sock").display().to_string();
    let out = command(&[arguments, &["--socket", &socket]].concat())?;
    ensure!(out.status.success(), "{arguments:?}: {}", out.status);
    Ok(text(&out))
}

fn a_running_instance_explains() -> Result<()> {
    let mut site = Site::with_services(1)?;
    let address = *site.addresses()?.first().context("an address")?;
    let owner = site.owners(0, &[address])?[&address].name.clone();
    let asker = site.world.client(0)?.nic.mac.to_string();
    let instance = site.instance(&owner)?;
    for arguments in [&["status"][..], &["explain", "default/web1"]] {
        let table = ask(instance, arguments)?;
        ensure!(!table.contains('\x1b'), "{table}");
        for word in [&address.to_string(), "default/web1", "eth0", &owner] {
            ensure!(table.contains(word), "{word:?} is not in\n{table}");
        }
        in_both_forms(|form| ask(instance, &[arguments, &["-o", form]].concat()))?;
    }
    let explained = instance.explain("default/web1")?;
    let last = explained
        .lines()
        .find(|l| l.contains("last answer"))
        .with_context(|| explained.clone())?;
    ensure!(
        last.trim_start().starts_with(&format!("{address}: ")),
        "{last}"
    );
    ensure!(
        last.ends_with(&format!(" s ago to {asker} on eth0")),
        "{last}"
    );
    let nowhere = command(&[
        "explain",
        "default/nothing",
        "--socket",
        &instance.state().join("corten.sock").display().to_string(),
    ])?;
    let said = String::from_utf8_lossy(&nowhere.stderr);
    ensure!(
        nowhere.status.code() == Some(1) && said.contains("default/nothing"),
        "{said}"
    );
    Ok(())
}

fn what_is_generated() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let out = command(&["completions", shell])?;
        let script = text(&out);
        ensure!(out.status.success(), "{shell}: {}", out.status);
        for word in ["corten", "validate", "gratuitous-rate"] {
            ensure!(script.contains(word), "{shell}: no {word:?}");
        }
    }
    let out = command(&["crds", "--namespace", "elsewhere"])?;
    let crds: Vec<Value> = serde_saphyr::from_multiple(&text(&out))?;
    let mut kinds: Vec<&str> = crds
        .iter()
        .filter(|crd| crd["kind"] == "CustomResourceDefinition")
        .filter_map(|crd| crd["spec"]["names"]["kind"].as_str())
        .collect();
    kinds.sort_unstable();
    let wanted = [
        "BFDProfile",
        "BGPAdvertisement",
        "BGPPeer",
        "Community",
        "ConfigurationState",
        "IPAddressPool",
        "L2Advertisement",
        "ServiceBGPStatus",
        "ServiceL2Status",
    ];
    ensure!(kinds == wanted && crds.len() == wanted.len(), "{kinds:?}");
    let peer = crds
        .iter()
        .find(|c| c["spec"]["names"]["kind"] == "BGPPeer");
    let webhook = &peer.context("BGPPeer")?["spec"]["conversion"]["webhook"];
    let namespace = &webhook["clientConfig"]["service"]["namespace"];
    ensure!(namespace == "elsewhere", "{webhook}");
    Ok(())
}
