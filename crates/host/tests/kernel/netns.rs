//! Network namespaces that vanish with the last handle to them.

use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Child, Command, Stdio};
use std::sync::RwLock;
use std::time::Duration;

use corten_host::netlink::{Link, LinkMonitor};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::pipe2;

/// Nothing a test waits for takes longer.
const DEADLINE: Duration = Duration::from_secs(20);

/// Read by who starts a process: until it executes its program it has all of our descriptors.
static STARTING: RwLock<()> = RwLock::new(());

/// Higher than any other descriptor here.
const HIGH: RawFd = 900;

/// Starts a process; it has none of our descriptors any more.
///
/// `Command::spawn` alone returns too early: the kernel lets the parent go on when the child has
/// its new memory, and closes the descriptors after that, in their order. The end of a pipe with
/// a high number tells when it is through.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _starting = STARTING.read().unwrap();
    let (told, teller) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let last = fcntl(&teller, FcntlArg::F_DUPFD_CLOEXEC(HIGH)).unwrap();
    #[expect(
        unsafe_code,
        reason = "there is no safe call that asks for a high number"
    )]
    // SAFETY: the descriptor was made just now, and nothing else owns it.
    let last = unsafe { OwnedFd::from_raw_fd(last) };
    drop(teller);
    let child = command.spawn();
    drop(last);
    let read = File::from(told).read(&mut [0]).unwrap();
    assert_eq!(read, 0, "nobody writes");
    child.unwrap_or_else(|error| panic!("{command:?} is needed: {error}"))
}

/// Drops something while no process has a copy of its descriptors, as if its process had died.
pub(crate) fn abandon(something: impl Sized) {
    let _none_starting = STARTING.write().unwrap();
    drop(something);
}

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Netns {
    file: File,
}

impl Netns {
    /// A new one, with `lo` up.
    pub(crate) fn new() -> Self {
        let file = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect(
                "making a network namespace needs root (CAP_SYS_ADMIN) or a user namespace",
            );
            File::open("/proc/thread-self/ns/net").unwrap()
        })
        .join()
        .unwrap();
        let netns = Self { file };
        netns.ip("link set lo up");
        netns
    }

    /// Runs `work` on a thread inside the namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs a future inside the namespace, on a current-thread runtime, with a deadline.
    pub(crate) fn run<T: Send, F: Future<Output = T>>(&self, work: impl FnOnce() -> F + Send) -> T {
        self.enter(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async { tokio::time::timeout(DEADLINE, work()).await })
                .expect("the test hung")
        })
    }

    /// Runs `ip` inside the namespace; its output.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.command("ip", arguments)
    }

    /// Runs a program inside the namespace; its output.
    pub(crate) fn command(&self, program: &str, arguments: &str) -> String {
        self.enter(|| {
            let mut command = Command::new(program);
            command
                .args(arguments.split_whitespace())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let output = spawn(&mut command).wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "{program} {arguments}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap()
        })
    }

    /// A path by which other processes find the namespace.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Index of an interface.
    pub(crate) fn index(&self, name: &str) -> u32 {
        self.enter(|| nix::net::if_::if_nametoindex(name).unwrap())
    }
}

/// Two namespaces joined by a cable: `near` in the first, `far` in the second, both up and with
/// link-local addresses (without duplicate address detection).
pub(crate) fn cable() -> (Netns, Netns) {
    let (near, far) = (Netns::new(), Netns::new());
    near.ip(&format!(
        "link add near address 02:00:00:00:00:01 type veth peer name far \
         address 02:00:00:00:00:02 netns {}",
        far.path()
    ));
    for (netns, name) in [(&near, "near"), (&far, "far")] {
        netns.enter(|| {
            let knob = format!("/proc/sys/net/ipv6/conf/{name}/accept_dad");
            std::fs::write(knob, "0").unwrap();
        });
        netns.ip(&format!("link set {name} up"));
    }
    for (netns, name) in [(&near, "near"), (&far, "far")] {
        netns.run(|| async {
            let mut monitor = LinkMonitor::new().unwrap();
            let ready =
                |link: &Link| link.name == name && link.carrier && link.has_usable_link_local();
            while !monitor.next().await.unwrap().iter().any(ready) {}
        });
    }
    (near, far)
}
