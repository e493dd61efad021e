//! What a start needs, and what is said when it isn't there.

use anyhow::{Result, ensure};
use corten_lab::corten::{binary, command, run_arguments};
use corten_lab::manifests::{examples, state_directory};
use corten_lab::site::{DEADLINE, Site};
use corten_lab::trial::Trial;
use corten_lab::world::Plan;

pub(crate) const TRIALS: &[Trial] = &[
    ("starting::without_net_raw", without_net_raw),
    (
        "starting::assign_without_net_admin",
        assign_without_net_admin,
    ),
    ("starting::net_raw_is_enough", net_raw_is_enough),
    ("starting::wrong_flags", wrong_flags),
    ("starting::examples_are_valid", examples_are_valid),
    ("starting::a_busy_metrics_port", a_busy_metrics_port),
];

/// Runs the daemon with these capabilities only and gives what it said and its exit code, `None`
/// if it becomes ready instead of ending.
fn run_with(capabilities: &str, options: &[&str]) -> Result<(Option<i32>, String)> {
    let site = Site::new(&Plan::default())?;
    let node = site.world.node(0)?;
    let state = state_directory(&node.name)?;
    let mut args: Vec<String> = ["--bounding-set", capabilities, "--inh-caps", "-all", "--"]
        .iter()
        .map(ToString::to_string)
        .collect();
    args.push(binary()?.display().to_string());
    args.extend(run_arguments(
        &node.name,
        site.manifests.path(),
        state.path(),
    ));
    args.extend(options.iter().map(ToString::to_string));
    let mut process = node.ns.spawn("corten", "setpriv", &args)?;
    let socket = state.path().join("corten.sock").display().to_string();
    let code = corten_lab::wait::wait_until("an end or an answer", DEADLINE, || {
        if let Some(status) = process.ended()? {
            ensure!(status.code().is_some(), "{status}");
            return Ok(Some(status.code()));
        }
        let out = command(&["status", "--socket", &socket, "-o", "json"])?;
        Ok(out.status.success().then_some(None))
    })?;
    Ok((code, process.log().join("\n")))
}

fn without_net_raw() -> Result<()> {
    let (code, said) = run_with("-net_raw", &[])?;
    ensure!(
        code == Some(1) && said.contains("CAP_NET_RAW"),
        "{code:?}: {said}"
    );
    Ok(())
}

fn assign_without_net_admin() -> Result<()> {
    let (code, said) = run_with("-net_admin", &["--assign"])?;
    ensure!(
        code == Some(1) && said.contains("CAP_NET_ADMIN"),
        "{code:?}: {said}"
    );
    Ok(())
}

fn net_raw_is_enough() -> Result<()> {
    let (code, said) = run_with("-all,+net_raw", &["--allocate"])?;
    ensure!(code.is_none(), "{code:?}: {said}");
    Ok(())
}

fn wrong_flags() -> Result<()> {
    let rows: &[(&[&str], &str)] = &[
        (&["run"], "--node"),
        (&["run", "--node", "a", "--manifests", "/x"], "--state"),
        (&["run", "--nod", "a"], "--nod"),
        (&["announce"], "announce"),
        (&["explain", "web"], "NAMESPACE/NAME"),
        (&["status", "-o", "xml"], "xml"),
        (&["validate"], "FILE"),
    ];
    for (args, word) in rows {
        let out = command(args)?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(2), "{args:?}: {}", out.status);
        ensure!(said.contains(word), "{args:?}: {word:?} is not in {said}");
    }
    let nobody = command(&["status", "--socket", "/nowhere/corten.sock"])?;
    let said = String::from_utf8_lossy(&nobody.stderr);
    ensure!(
        !nobody.status.success() && said.contains("/nowhere/corten.sock"),
        "{said}"
    );
    Ok(())
}

fn examples_are_valid() -> Result<()> {
    let out = command(&["validate", &examples().display().to_string()])?;
    let said = [out.stdout, out.stderr].concat();
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

fn a_busy_metrics_port() -> Result<()> {
    let (code, said) = run_with("+net_raw", &["--metrics", "10.77.0.1:9120"])?;
    ensure!(
        code == Some(1) && said.contains("10.77.0.1:9120"),
        "{code:?}: {said}"
    );
    Ok(())
}
