//! `corten-runc`: runc for machines that lack a privilege.
//!
//! containerd gives containers limits and a priority that only `CAP_SYS_RESOURCE` may give, and
//! capabilities that nobody can give who doesn't have them. Where they are missing, as in many
//! containers, this takes them out of what runc is told, and runs it.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// Bit of the capability in the kernel's sets (capability.h).
const SYS_RESOURCE: u64 = 24;

/// Names of the capabilities in the order of their bits (capability.h).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let held = held()?;
    if let Some((file, whole)) = told(&args)
        && held != u64::MAX >> (64 - NAMES.len())
    {
        let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let mut value: Value = serde_json::from_slice(&text)?;
        let process = if whole {
            &mut value["process"]
        } else {
            &mut value
        };
        limit(process, held)?;
        std::fs::write(&file, value.to_string())?;
    }
    Err(Command::new("runc").args(&args).exec()).context("runc")
}

/// The capabilities this process may have at most.
fn held() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let set = status.lines().find_map(|l| l.strip_prefix("CapBnd:"));
    Ok(u64::from_str_radix(set.context("no CapBnd")?.trim(), 16)?)
}

/// The file runc is told what to start by, and whether it is a whole container's description.
fn told(args: &[String]) -> Option<(PathBuf, bool)> {
    let command = args
        .iter()
        .position(|a| ["create", "run", "exec"].contains(&a.as_str()))?;
    let rest = args.get(command..)?;
    let value = |names: [&str; 2]| {
        let at = rest.iter().position(|a| names.contains(&a.as_str()))?;
        rest.get(at + 1).map(PathBuf::from)
    };
    if rest.first()? == "exec" {
        Some((value(["--process", "-p"])?, false))
    } else {
        Some((value(["--bundle", "-b"])?.join("config.json"), true))
    }
}

/// Takes out of a process's description what can't be given.
fn limit(process: &mut Value, held: u64) -> Result<()> {
    let has = |bit: u64| held >> bit & 1 == 1;
    let known = |name: &Value| {
        let name = name.as_str()?.strip_prefix("CAP_")?;
        NAMES
            .iter()
            .zip(0..)
            .find(|(n, _)| **n == name)
            .map(|(_, bit)| bit)
    };
    if let Some(sets) = process["capabilities"].as_object_mut() {
        for set in sets.values_mut().filter_map(Value::as_array_mut) {
            set.retain(|name| known(name).is_some_and(has));
        }
    }
    let Some(process) = process.as_object_mut().filter(|_| !has(SYS_RESOURCE)) else {
        return Ok(());
    };
    process.remove("rlimits");
    let own: i64 = std::fs::read_to_string("/proc/self/oom_score_adj")?
        .trim()
        .parse()?;
    let asked = process.get("oomScoreAdj").and_then(Value::as_i64);
    if asked.is_some_and(|asked| asked < own) {
        process.insert("oomScoreAdj".to_owned(), json!(own));
    }
    Ok(())
}
