//! The process as the kernel sees it, from `/proc/self` (proc(5)).

use std::time::Duration;

/// Clock ticks a second in `/proc`: USER_HZ, 100 on every architecture Linux gives us.
const TICKS: u64 = 100;

/// What the process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Address space, bytes.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Limit of open file descriptors.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
    /// Start, since 1970.
    pub started: Duration,
}

impl Process {
    /// This process now. What can't be read is 0.
    #[must_use]
    pub fn now() -> Self {
        let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
        let open_fds = std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as u64);
        Self {
            // Reading the directory takes one itself.
            open_fds: open_fds.saturating_sub(1),
            ..Self::parse(
                &read("/proc/self/stat"),
                &read("/proc/self/status"),
                &read("/proc/self/limits"),
                &read("/proc/stat"),
            )
        }
    }

    fn parse(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The second field is the program's name, in parentheses, with anything in it.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<u64> = fields
            .split_whitespace()
            .map(|f| f.parse().unwrap_or(0))
            .collect();
        // Counted from the third field of the line, the first of these.
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
        let ticks = |n: u64| Duration::from_millis(n.saturating_mul(1000 / TICKS));
        let kib = |name: &str| number(status, name).saturating_mul(1024);
        Self {
            cpu: ticks(field(14).saturating_add(field(15))),
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            open_fds: 0,
            max_fds: number(limits, "Max open files"),
            threads: field(20),
            started: Duration::from_secs(number(system, "btime")) + ticks(field(22)),
        }
    }
}

/// The first number after `name` at the start of a line.
fn number(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
