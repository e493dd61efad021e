//! `corten-sbom`: what the binary is made of, as CycloneDX 1.5 JSON on standard output.
//!
//! Of `cargo metadata`, what is linked into `corten` on Linux counts: no build scripts, no macros'
//! own dependencies, nothing of tests. Checksums are those of `Cargo.lock`.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    let bill = bill(&metadata(&root)?, &checksums(&lock))?;
    println!("{}", serde_json::to_string_pretty(&bill)?);
    Ok(())
}

fn metadata(root: &Path) -> Result<Metadata> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .arg("--filter-platform=x86_64-unknown-linux-musl")
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata: {said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Checksum of each package's archive, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for entry in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = entry.lines().find_map(|l| l.strip_prefix(key))?;
            Some(line.trim_start_matches(" = ").trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(sum)) =
            (value("name"), value("version"), value("checksum"))
        {
            found.insert((name, version), sum);
        }
    }
    found
}

/// A macro runs in the compiler; nothing of it is in the binary.
fn is_macro(package: &Package) -> bool {
    let mut targets = package.targets.iter();
    targets.any(|t| t.kind.iter().any(|k| k == "proc-macro"))
}

fn bill(metadata: &Metadata, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let packages: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|p| (p.id.as_str(), p))
        .collect();
    let linked: BTreeMap<&str, Vec<&str>> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| {
            let linked = node.deps.iter().filter(|d| {
                let normal = d.dep_kinds.iter().any(|k| k.kind.is_none());
                let package = packages.get(d.pkg.as_str());
                normal && package.is_some_and(|p| !is_macro(p))
            });
            (node.id.as_str(), linked.map(|d| d.pkg.as_str()).collect())
        })
        .collect();
    let root = metadata.packages.iter().find(|p| p.name == "corten");
    let root = root.context("no package corten")?;
    let mut reached = BTreeSet::from([root.id.as_str()]);
    let mut open = vec![root.id.as_str()];
    while let Some(id) = open.pop() {
        for next in linked.get(id).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    let reference = |id: &&str| packages.get(*id).map(|p| purl(p));
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for id in &reached {
        let package = packages.get(id).context("an unknown package")?;
        if package.id != root.id {
            components.push(component(package, "library", checksums));
        }
        let on: Vec<_> = linked
            .get(id)
            .into_iter()
            .flatten()
            .filter_map(reference)
            .collect();
        dependencies.push(json!({"ref": purl(package), "dependsOn": on}));
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(root, "application", checksums)},
        "components": components,
        "dependencies": dependencies,
    }))
}

fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

fn component(
    package: &Package,
    kind: &str,
    checksums: &BTreeMap<(String, String), String>,
) -> Value {
    let mut found = json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": package.name,
        "version": package.version,
        "purl": purl(package),
    });
    if let Some(license) = &package.license {
        // The old way to write OR.
        found["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    let key = (package.name.clone(), package.version.clone());
    if let Some(sum) = checksums.get(&key) {
        found["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    found
}
