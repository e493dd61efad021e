//! Odd names, odd paths, odd moments.

use crate::ledgers::refused;
use crate::small;
use anyhow::{Context, Result, ensure};
use corten_lab::corten::{Corten, binary};
use corten_lab::manifests::{self, Stack, state_directory};
use corten_lab::site::{DEADLINE, Site};
use corten_lab::trial::Trial;
use corten_lab::wait::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const TRIALS: &[Trial] = &[
    (
        "misusing::a_name_that_is_no_text_is_told",
        a_name_that_is_no_text_is_told,
    ),
    (
        "misusing::validate_reads_standard_input",
        validate_reads_standard_input,
    ),
    (
        "misusing::wrong_paths_are_told_at_start",
        wrong_paths_are_told_at_start,
    ),
    (
        "misusing::state_inside_the_manifests_works",
        state_inside_the_manifests_works,
    ),
    ("misusing::a_storm_of_sighup", a_storm_of_sighup),
    ("misusing::an_interrupted_start", an_interrupted_start),
    (
        "misusing::an_instance_that_hangs_up_is_a_failure",
        an_instance_that_hangs_up_is_a_failure,
    ),
];

fn service(name: &str) -> String {
    manifests::service(name, Stack::V4, &[], &["node1"])
}

fn running() -> Result<Site> {
    let mut site = small()?;
    site.manifests.write("web1.yaml", &service("web1"))?;
    site.start(&[])?;
    site.wait_announced()?;
    Ok(site)
}

fn a_name_that_is_no_text_is_told() -> Result<()> {
    let mut site = running()?;
    let web1 = site.addresses()?;
    let plain = site.manifests.path().join("web1.yaml");
    let odd = site
        .manifests
        .path()
        .join(OsStr::from_bytes(b"caf\xe9.yaml"));
    // Its objects are in it still, so nothing is gone.
    std::fs::rename(&plain, &odd)?;
    site.allocator()?.wait_status("the name", |s| {
        let named = |r: &String| r.contains(r"caf\xe9.yaml") && r.contains("UTF-8");
        s.rejections.iter().any(named).then_some(())
    })?;
    site.owners(0, &web1)?;
    let directory = site.manifests.path().display().to_string();
    let out = corten_lab::corten::command(&["validate", &directory])?;
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(
        !out.status.success() && said.contains(r"caf\xe9.yaml"),
        "{said}"
    );
    std::fs::rename(&odd, &plain)?;
    site.allocator()?
        .wait_status("acceptance", |s| s.rejections.is_empty().then_some(()))?;
    ensure!(site.addresses()? == web1);
    // What isn't called a manifest is nobody's concern.
    std::fs::write(
        site.manifests.path().join(OsStr::from_bytes(b"\xe9.txt")),
        "",
    )?;
    std::fs::write(
        site.manifests.path().join(OsStr::from_bytes(b".\xe9.yaml")),
        "",
    )?;
    site.manifests.write("web2.yaml", &service("web2"))?;
    let status = site
        .allocator()?
        .wait_status("web2", |s| (s.services.len() == 2).then_some(s))?;
    ensure!(status.rejections.is_empty(), "{:?}", status.rejections);
    Ok(())
}

fn validate(arguments: &[&str], input: &[u8]) -> Result<Output> {
    let mut child = Command::new(binary()?)
        .arg("validate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("standard input")?;
    stdin.write_all(input)?;
    drop(stdin);
    Ok(child.wait_with_output()?)
}

fn validate_reads_standard_input() -> Result<()> {
    let good = corten_lab::site::basics();
    let bad = good.replace("192.0.2.0/24", "192.0.2.0/99");
    let rows: &[(&[&str], &[u8], i32, &str)] = &[
        (&["-"], good.as_bytes(), 0, "3 objects, 0 problems"),
        (&["-"], bad.as_bytes(), 1, "stdin:"),
        (&["-"], b"\xff\n", 1, "stdin:1: not UTF-8"),
        (&["-", "-"], good.as_bytes(), 0, "3 objects, 0 problems"),
        (
            &["-", "/nowhere/x.yaml"],
            good.as_bytes(),
            1,
            "/nowhere/x.yaml: can't be read",
        ),
        (&["-"], b"", 0, "0 objects, 0 problems"),
    ];
    for (arguments, input, code, word) in rows {
        let out = validate(arguments, input)?;
        let said = String::from_utf8_lossy(&out.stdout);
        ensure!(
            out.status.code() == Some(*code) && said.contains(word),
            "{arguments:?}: {}: {word:?} is not in {said}",
            out.status
        );
    }
    Ok(())
}

fn wrong_paths_are_told_at_start() -> Result<()> {
    let site = small()?;
    let node = site.world.node(0)?;
    let manifests = site.manifests.path();
    let state = state_directory("node1")?;
    let file = manifests.join("config.yaml");
    for role in [&[][..], &["--allocate"]] {
        refused(
            node,
            &file,
            state.path(),
            role,
            &["config.yaml", "no directory"],
        )?;
        refused(
            node,
            manifests,
            manifests,
            role,
            &["the state needs another"],
        )?;
        refused(
            node,
            manifests,
            &file,
            role,
            &["state directory", "config.yaml"],
        )?;
    }
    // Longest is what the kernel takes, with room for the name it is made under.
    let base = state.path().join("").as_os_str().len();
    for length in 104..=109 {
        let socket = state.path().join("s".repeat(length - base));
        let socket = socket.display().to_string();
        let words = [socket.as_str(), "may have 103 bytes", &length.to_string()];
        refused(
            node,
            manifests,
            state.path(),
            &["--socket", &socket],
            &words,
        )?;
    }
    let socket = state.path().join("s".repeat(103 - base));
    let mut longest = node
        .ns
        .spawn("corten", &binary()?.display().to_string(), &{
            let mut args = corten_lab::corten::run_arguments("node1", manifests, state.path());
            args.extend(["--socket".to_owned(), socket.display().to_string()]);
            args
        })?;
    wait_until("an answer on the longest path", DEADLINE, || {
        ensure!(longest.ended()?.is_none(), "{:?}", longest.log());
        let socket = socket.display().to_string();
        let out = corten_lab::corten::command(&["status", "--socket", &socket])?;
        Ok(out.status.success().then_some(()))
    })?;
    let double = ["--manifests", "/x", "--manifests", "/y"];
    refused(node, manifests, state.path(), &double, &["--manifests"])
}

fn state_inside_the_manifests_works() -> Result<()> {
    let mut site = small()?;
    site.manifests.write("web1.yaml", &service("web1"))?;
    let state = tempfile::Builder::new()
        .prefix("state")
        .tempdir_in(site.manifests.path())?;
    let node = site.world.node(0)?;
    let instance = Corten::start_on(node, site.manifests.path(), state, &["--allocate"])?;
    site.instances.push(instance);
    site.wait_announced()?;
    let status = site.allocator()?.wait_ready()?;
    ensure!(
        status.rejections.is_empty() && status.warnings.is_empty(),
        "{status:?}"
    );
    ensure!(site.allocator()?.stop()?.success());
    Ok(())
}

fn a_storm_of_sighup() -> Result<()> {
    let mut site = running()?;
    let web1 = site.addresses()?;
    let pid = Pid::from_raw(i32::try_from(site.allocator()?.process().id())?);
    let (stop, start) = (AtomicBool::new(false), Instant::now());
    let outcome = thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) && kill(pid, Signal::SIGHUP).is_ok() {
                sent += 1;
                thread::yield_now();
            }
            sent
        });
        // In the middle of it all goes on.
        let outcome = in_the_storm(&mut site, &web1);
        stop.store(true, Ordering::Relaxed);
        storm.join().ok().context("the storm").and_then(|sent| {
            outcome?;
            Ok(sent)
        })
    });
    let sent: usize = outcome.with_context(|| site.story())?;
    let log = site.allocator()?.process().log();
    let told = log.iter().filter(|l| l.contains("SIGHUP")).count();
    println!("    {sent} sent, {told} told of in {:?}", start.elapsed());
    // As often as it is looked at most.
    let looks = start.elapsed().as_millis() / 5 + 2;
    ensure!(sent > 0 && told as u128 <= looks, "{told} of {looks}");
    ensure!(site.allocations()?["default/web1"] == web1);
    // A file was young at a SIGHUP, so for a second nothing would have been deleted.
    site.allocator()?
        .wait_status("acceptance", |s| s.rejections.is_empty().then_some(()))?;
    ensure!(site.allocator()?.stop()?.success());
    Ok(())
}

fn in_the_storm(site: &mut Site, web1: &[IpAddr]) -> Result<()> {
    site.owners(0, web1)?;
    site.manifests.write("web2.yaml", &service("web2"))?;
    site.allocator()?.wait_status("web2", |s| {
        let all = s.services.iter().all(|s| s.announced);
        (all && s.services.len() == 2).then_some(())
    })?;
    site.owners(0, web1)?;
    Ok(())
}

/// Ctrl-C at any moment of a start ends it, and the next one finds everything in order.
fn an_interrupted_start() -> Result<()> {
    let mut site = running()?;
    let web1 = site.addresses()?;
    for i in 0..20 {
        let instance = site.allocator()?;
        instance.restart()?;
        // Waiting is the point here: nothing observable marks the moments of a start.
        thread::sleep(Duration::from_millis(3 * i));
        instance.process().signal(Signal::SIGINT)?;
        let ended = instance.process().wait(DEADLINE)?;
        // The signal's own doing as long as nothing has begun, and an orderly end from then on.
        let log = instance.process().log();
        let begun = log.iter().any(|l| l.contains("started"));
        ensure!(ended.success() || !begun, "{ended}: {log:?}");
        if ended.success() {
            ensure!(!instance.state().join("corten.sock").exists(), "{log:?}");
        }
    }
    site.allocator()?.restart()?;
    site.wait_announced()?;
    ensure!(site.addresses()? == web1);
    Ok(())
}

/// Whatever moment the instance ends at: reached but not asked yet, or asked.
fn an_instance_that_hangs_up_is_a_failure() -> Result<()> {
    let directory = state_directory("node1")?;
    let path = directory.path().join("corten.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    let hanging = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            for connection in listener.incoming() {
                if !hanging.load(Ordering::Relaxed) {
                    break;
                }
                drop(connection);
            }
        });
        let asked = (0..50).try_for_each(|_| {
            let out =
                corten_lab::corten::command(&["status", "--socket", &path.display().to_string()])?;
            let said = String::from_utf8_lossy(&out.stderr);
            ensure!(
                out.status.code() == Some(1) && said.starts_with("corten: "),
                "{}: {said}",
                out.status
            );
            Ok(())
        });
        hanging.store(false, Ordering::Relaxed);
        let _last = std::os::unix::net::UnixStream::connect(&path);
        asked
    })
}
