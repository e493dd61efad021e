//! Where the lab plays: a network and a mount namespace of its own, so that whatever happens to
//! the process, nothing of it is left.
//!
//! Network namespaces are anonymous and held by file descriptors; children die with the thread
//! that started them; files live in a tmpfs only this process and its children see. The kernel
//! cleans all of that up after a SIGKILL as well as after a return from `main`.

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static SCRATCH: OnceLock<PathBuf> = OnceLock::new();

/// Directories that are empty on most machines; the tmpfs must not hide anything.
const EMPTY: [&str; 5] = ["/mnt", "/srv", "/media", "/opt", "/home"];

/// Enters the lab's own namespaces: straight away with CAP_SYS_ADMIN, else in a user namespace.
///
/// To be called first in `main`: a process with several threads can't enter a user namespace.
///
/// # Errors
/// Where the kernel refuses, with what to do about it.
pub fn enter() -> Result<()> {
    if SCRATCH.get().is_some() {
        return Ok(());
    }
    ensure!(
        threads()? == 1,
        "the lab is entered before any thread starts"
    );
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    if unshare(own).is_err() {
        enter_as_user(own)?;
    }
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .context("making mounts private")?;
    let at = EMPTY
        .iter()
        .map(Path::new)
        .find(|p| fs::read_dir(p).is_ok_and(|mut d| d.next().is_none()))
        .map(Path::to_path_buf)
        .with_context(|| format!("no empty directory to work in among {EMPTY:?}"))?;
    mount(
        Some("corten-lab"),
        &at,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("mode=0755,size=512m"),
    )
    .with_context(|| format!("mounting a tmpfs on {}", at.display()))?;
    SCRATCH.get_or_init(|| at);
    Ok(())
}

fn enter_as_user(own: CloneFlags) -> Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER | own).context(
        "neither privileged (CAP_SYS_ADMIN) nor allowed to make a user namespace \
         (see the sysctls user.max_user_namespaces and kernel.unprivileged_userns_clone)",
    )?;
    // A group map of an unprivileged process needs setgroups to be given up (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny").context("setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("gid_map")?;
    Ok(())
}

/// The directory for everything the lab writes.
///
/// # Errors
/// Before [`enter`].
pub fn scratch() -> Result<&'static Path> {
    SCRATCH
        .get()
        .map(PathBuf::as_path)
        .context("stage::enter() was not called")
}

fn threads() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}
