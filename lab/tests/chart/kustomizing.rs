//! The component that puts Corten in MetalLB's place in manifests: side-cars go, what is left runs.

use crate::helm::{documents, object, repository};
use crate::running::{Container, FACTS};
use anyhow::{Context, Result, ensure};
use corten_lab::kubernetes::binary;
use corten_lab::stage;
use corten_lab::trial::Trial;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

pub(crate) const TRIALS: &[Trial] = &[("side_cars_are_taken_out", side_cars_are_taken_out)];

/// MetalLB's workloads as `spec/metallb.md` §8.2 and its appendix B describe them, natively and
/// with FRR.
fn manifests(frr: bool) -> Vec<Value> {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let args = json!(["--port=9120", "--log-level=info"]);
    let controller = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "controller", "namespace": "metallb-system"},
        "spec": {"template": {"spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "controller", "image": "quay.io/metallb/controller:main", "args": args,
                "env": [
                    field("METALLB_POD_NAME", "metadata.name"),
                    {"name": "METALLB_ML_SECRET_NAME", "value": "memberlist"},
                    {"name": "METALLB_DEPLOYMENT", "value": "controller"},
                ],
            }],
        }}},
    });
    let mut environment = vec![
        field("METALLB_NODE_NAME", "spec.nodeName"),
        field("METALLB_POD_NAME", "metadata.name"),
        field("METALLB_HOST", "status.hostIP"),
        field("METALLB_ML_BIND_ADDR", "status.podIP"),
        json!({"name": "METALLB_ML_LABELS", "value": "app=metallb,component=speaker"}),
        json!({"name": "METALLB_ML_SECRET_KEY_PATH", "value": "/etc/ml_secret_key"}),
    ];
    let mut mounts = vec![
        json!({"name": "memberlist", "mountPath": "/etc/ml_secret_key"}),
        json!({"name": "metallb-excludel2", "mountPath": "/etc/metallb"}),
    ];
    let mut volumes = vec![
        json!({"name": "memberlist", "secret": {"secretName": "memberlist"}}),
        json!({"name": "metallb-excludel2", "configMap": {"name": "metallb-excludel2"}}),
    ];
    let mut containers = Vec::new();
    if frr {
        let file = |name: &str, at: &str| json!({"name": name, "value": format!("/etc/frr_reloader/{at}")});
        environment.push(file("FRR_CONFIG_FILE", "frr.conf"));
        environment.push(file("FRR_RELOADER_PID_FILE", "reloader.pid"));
        environment.push(json!({"name": "METALLB_BGP_TYPE", "value": "frr"}));
        mounts.push(json!({"name": "reloader", "mountPath": "/etc/frr_reloader"}));
        for name in [
            "frr-sockets",
            "frr-conf",
            "reloader",
            "metrics",
            "frr-tmp",
            "frr-lib",
            "frr-log",
        ] {
            volumes.push(json!({"name": name, "emptyDir": {}}));
        }
        volumes.push(json!({"name": "frr-startup", "configMap": {"name": "frr-startup"}}));
        for name in ["frr", "reloader", "frr-metrics"] {
            containers.push(json!({"name": name, "image": "quay.io/frrouting/frr:10.5.3"}));
        }
    }
    containers.push(json!({
        "name": "speaker", "image": "quay.io/metallb/speaker:main", "args": args,
        "env": environment, "volumeMounts": mounts,
        "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}},
    }));
    let mut pod = json!({
        "hostNetwork": true, "terminationGracePeriodSeconds": 2,
        "containers": containers, "volumes": volumes,
    });
    if frr {
        let prepare = ["cp-frr-files", "cp-reloader", "cp-metrics"];
        pod["initContainers"] = prepare
            .map(|name| json!({"name": name, "image": "frr"}))
            .into();
        pod["shareProcessNamespace"] = json!(true);
    }
    let speaker = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "speaker", "namespace": "metallb-system"},
        "spec": {"template": {"spec": pod}},
    });
    vec![controller, speaker]
}

/// What the component makes of these manifests.
fn built(manifests: &[Value]) -> Result<Vec<Value>> {
    let dir = stage::scratch()?.join("overlay");
    std::fs::create_dir_all(dir.join("component"))?;
    for file in std::fs::read_dir(repository().join("deploy/kustomize/from-metallb"))? {
        let file = file?;
        std::fs::copy(file.path(), dir.join("component").join(file.file_name()))?;
    }
    let text: Vec<String> = manifests.iter().map(Value::to_string).collect();
    std::fs::write(dir.join("metallb.yaml"), text.join("\n---\n"))?;
    std::fs::write(
        dir.join("kustomization.yaml"),
        "resources: [metallb.yaml]\ncomponents: [component]\nimages:\n\
         - {name: quay.io/metallb/controller, newName: registry.example/corten-controller, newTag: v1}\n\
         - {name: quay.io/metallb/speaker, newName: registry.example/corten-speaker, newTag: v1}\n",
    )?;
    let output = Command::new(binary("kustomize")?)
        .arg("build")
        .arg(&dir)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{error}");
    documents(&String::from_utf8(output.stdout)?)
}

/// The names in a list of containers, volumes and the like.
fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item[key].as_str()).collect()
}

fn side_cars_are_taken_out() -> Result<()> {
    let root = stage::scratch()?.join("overlaid");
    for frr in [false, true] {
        let objects = built(&manifests(frr))?;
        let speaker = object(&objects, "DaemonSet", "speaker")?;
        let pod = &speaker["spec"]["template"]["spec"];
        ensure!(names(&pod["containers"], "name") == ["speaker"], "{pod}");
        ensure!(
            names(&pod["volumes"], "name") == ["memberlist", "metallb-excludel2"],
            "{pod}"
        );
        ensure!(pod.get("initContainers").is_none(), "{pod}");
        ensure!(pod.get("shareProcessNamespace").is_none(), "{pod}");
        ensure!(pod["terminationGracePeriodSeconds"] == 10, "{pod}");
        let container = &pod["containers"][0];
        let mounts = names(&container["volumeMounts"], "mountPath");
        ensure!(
            mounts == ["/etc/ml_secret_key", "/etc/metallb"],
            "{mounts:?}"
        );
        let context = &container["securityContext"];
        ensure!(context["runAsUser"] == 0, "{context}");
        ensure!(
            context["capabilities"]["add"] == json!(["NET_RAW"]),
            "{context}"
        );
        for (kind, component) in [("Deployment", "controller"), ("DaemonSet", "speaker")] {
            let found = object(&objects, kind, component)?;
            let container = &found["spec"]["template"]["spec"]["containers"][0];
            let image = format!("registry.example/corten-{component}:v1");
            ensure!(container["image"] == image.as_str(), "{container}");
            // What MetalLB's manifest gives to its own program is understood.
            let container = Container::read(container, component, &FACTS)?;
            let line = container.command_line(Path::new("/nonexistent"), &root)?;
            let (program, arguments) = line.split_first().context("nothing to run")?;
            let output = Command::new("env")
                .arg(program)
                .args(arguments)
                .arg("--namespace=metallb-system")
                .output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.code() == Some(1) && said.contains("/nonexistent"),
                "{line:?}: {}: {said}",
                output.status
            );
        }
    }
    Ok(())
}
