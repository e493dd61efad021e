//! The image that is packed without a container engine.

use crate::helm::repository;
use anyhow::{Context, Result, ensure};
use corten_lab::stage;
use corten_lab::trial::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

pub(crate) const TRIALS: &[Trial] = &[
    ("images_are_whole_and_run", images_are_whole_and_run),
    (
        "the_bill_of_materials_is_complete",
        the_bill_of_materials_is_complete,
    ),
];

/// What a program says when it does as told.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The blob a descriptor names, once size and digest are as it says.
fn blob<'a>(layout: &Path, descriptor: &'a Value) -> Result<(std::path::PathBuf, &'a str)> {
    let digest = descriptor["digest"].as_str().context("no digest")?;
    let name = digest.strip_prefix("sha256:").context("another digest")?;
    let path = layout.join("blobs/sha256").join(name);
    let size = std::fs::metadata(&path)?.len();
    ensure!(descriptor["size"] == json!(size), "{descriptor}: {size}");
    let sum = said(Command::new("sha256sum").arg(&path))?;
    ensure!(sum.starts_with(name), "{descriptor}: {sum}");
    Ok((path, name))
}

fn parsed(layout: &Path, descriptor: &Value) -> Result<Value> {
    let (path, _) = blob(layout, descriptor)?;
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

fn images_are_whole_and_run() -> Result<()> {
    let out = stage::scratch()?.join("image");
    // Packing is what is tested here; a program that says as what it was started will do.
    let binary = out.join("binary");
    std::fs::create_dir_all(&out)?;
    std::fs::write(&binary, "#!/bin/sh\nbasename \"$0\"\n")?;
    let pack = repository().join("deploy/image/pack.sh");
    let arch = |name: &str| format!("{name}={}", binary.display());
    let pack = || {
        said(
            Command::new(&pack)
                .arg(&out)
                .args([arch("amd64"), arch("arm64")]),
        )
    };
    pack()?;
    let layout = out.join("oci");
    let index: Value = serde_json::from_str(&std::fs::read_to_string(layout.join("index.json"))?)?;
    let mut seen = BTreeSet::new();
    let mut layers = BTreeSet::new();
    for reference in index["manifests"].as_array().context("no manifests")? {
        let name = &reference["annotations"]["org.opencontainers.image.ref.name"];
        let name = name.as_str().context("no name")?;
        let platforms = parsed(&layout, reference)?;
        for platform in platforms["manifests"].as_array().context("no platforms")? {
            let manifest = parsed(&layout, platform)?;
            let config = parsed(&layout, &manifest["config"])?;
            ensure!(
                config["config"]["Entrypoint"] == json!([format!("/{name}")]),
                "{config}"
            );
            ensure!(
                config["architecture"] == platform["platform"]["architecture"],
                "{config}"
            );
            let (layer, digest) = blob(&layout, &manifest["layers"][0])?;
            let plain = format!("zcat {} | sha256sum", layer.display());
            let plain = said(Command::new("sh").args(["-c", &plain]))?;
            let diff = config["rootfs"]["diff_ids"][0]
                .as_str()
                .context("no layer")?;
            ensure!(
                diff.strip_prefix("sha256:") == plain.split(' ').next(),
                "{diff} {plain}"
            );
            layers.insert(digest.to_owned());
            seen.insert((name.to_owned(), config["architecture"].to_string()));
        }
    }
    ensure!(seen.len() == 6, "{seen:?}");
    ensure!(
        layers.len() == 1,
        "the same binary is there once: {layers:?}"
    );

    // What is in the layer is what the chart starts.
    let root = out.join("unpacked");
    std::fs::create_dir_all(&root)?;
    let layer = layers.first().context("no layer")?;
    let layer = layout.join("blobs/sha256").join(layer);
    said(
        Command::new("tar")
            .arg("-xzf")
            .arg(layer)
            .arg("-C")
            .arg(&root),
    )?;
    for name in ["controller", "speaker", "corten"] {
        let started = said(&mut Command::new(root.join(name)))?;
        ensure!(started.trim() == name, "{name}: {started}");
    }
    let archive = out.join("corten.oci.tar");
    let sum = || said(Command::new("sha256sum").arg(&archive));
    let first = sum()?;
    pack()?;
    ensure!(sum()? == first, "the same binary gives the same image");
    Ok(())
}

fn the_bill_of_materials_is_complete() -> Result<()> {
    let text = said(&mut Command::new(env!("CARGO_BIN_EXE_corten-sbom")))?;
    let bill: Value = serde_json::from_str(&text)?;
    ensure!(bill["metadata"]["component"]["name"] == "corten", "{text}");
    let components = bill["components"].as_array().context("no components")?;
    let mut names = BTreeSet::new();
    for component in components {
        let name = component["name"].as_str().context("no name")?;
        names.insert(name);
        ensure!(
            component["licenses"][0]["expression"].is_string(),
            "{component}"
        );
        let ours = name.starts_with("corten-");
        ensure!(
            ours || component["hashes"][0]["content"].is_string(),
            "{component}"
        );
    }
    for (name, linked) in [
        ("corten-wire", true),
        ("kube-client", true),
        ("rustls", true),
        ("tokio", true),
        ("corten-lab", false),
        ("proptest", false),
        ("serde_derive", false),
        ("syn", false),
    ] {
        ensure!(names.contains(name) == linked, "{name}: {}", !linked);
    }
    Ok(())
}
