//! What happens in a run, made from a seed; and how a plan that fails is made smaller.

use super::judge::Violation;
use super::world::run;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::time::Duration;

/// Before anything goes wrong: nodes have joined, and claims count.
pub(super) const WARM: Duration = Duration::from_secs(40);
/// Attempts to make a failing plan smaller.
const ATTEMPTS: usize = 60;

/// Who keeps an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The hash decides.
    Metallb,
    /// Whoever has it.
    Sticky,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where randomness starts.
    pub seed: u64,
    /// Speakers.
    pub nodes: usize,
    /// Services, each with one address.
    pub addresses: usize,
    /// Who keeps an address.
    pub policy: Policy,
    /// Packets and frames lost, in thousandths.
    pub loss: u32,
    /// Packets and frames that come twice, in thousandths.
    pub doubled: u32,
    /// Longest delay on the way; what overtakes what comes of it.
    pub delay: Duration,
    /// By how much the clocks of nodes differ in pace at most, in thousandths.
    pub skew: u32,
    /// Whether Node objects have addresses, so that nodes ask for each other on the LAN.
    pub fellows: bool,
    /// Others that discovery names to each node; all of them if it is none.
    pub found: Option<usize>,
    /// What goes wrong, in time's order.
    pub faults: Vec<Fault>,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When.
    pub at: Duration,
    /// How long.
    pub lasts: Duration,
    /// What.
    pub what: What,
}

impl Fault {
    pub(super) fn end(&self) -> Duration {
        self.at + self.lasts
    }
}

/// What carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// UDP and TCP of gossip.
    Gossip,
    /// Both it and the LAN of the addresses.
    Both,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// SIGKILL; started again at the end.
    Crash(usize),
    /// The power fails; started again at the end.
    PowerOff(usize),
    /// SIGSTOP until the end.
    Stop(usize),
    /// The machine sleeps: its monotonic clock stands still, CLOCK_BOOTTIME goes on.
    Sleep(usize),
    /// SIGTERM; started again at the end.
    Leave(usize),
    /// The exclude label, which each node hears of when its API server gets to it.
    Exclude(usize),
    /// Nothing passes between these nodes and the others.
    Cut {
        /// These.
        side: BTreeSet<usize>,
        /// What doesn't pass.
        medium: Medium,
        /// Whether what the others say still comes.
        one_way: bool,
    },
    /// So much more is lost, in thousandths.
    Lossy(u32),
}

impl What {
    /// Nodes that it happens to.
    pub(super) fn victims(&self) -> BTreeSet<usize> {
        match self {
            Self::Crash(i)
            | Self::PowerOff(i)
            | Self::Stop(i)
            | Self::Sleep(i)
            | Self::Leave(i)
            | Self::Exclude(i) => BTreeSet::from([*i]),
            Self::Cut { side, .. } => side.clone(),
            Self::Lossy(_) => BTreeSet::new(),
        }
    }
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = match rng.random_range(0..10) {
            0 => 2,
            1..5 => 3,
            5..8 => rng.random_range(4..7),
            _ => rng.random_range(7..11),
        };
        let mut faults = Vec::new();
        let mut at = WARM + ms(rng.random_range(0..2_000));
        for _ in 0..rng.random_range(1..4) {
            let lasts = match rng.random_range(0..3) {
                0 => ms(rng.random_range(20..1_000)),
                1 => ms(rng.random_range(1_000..8_000)),
                _ => ms(rng.random_range(8_000..30_000)),
            };
            let what = what(nodes, &mut rng);
            let busy = |f: &&Fault| f.end() > at && !f.what.victims().is_disjoint(&what.victims());
            // A node that is stopped can't be told to leave.
            at = faults
                .iter()
                .filter(busy)
                .map(Fault::end)
                .max()
                .unwrap_or(at)
                .max(at);
            faults.push(Fault { at, lasts, what });
            at += match rng.random_range(0..3) {
                0 => ms(rng.random_range(0..300)),
                1 => ms(rng.random_range(300..5_000)),
                _ => lasts + ms(rng.random_range(0..20_000)),
            };
        }
        Self {
            seed,
            nodes,
            addresses: rng.random_range(1..7),
            policy: if rng.random_range(0..3) == 0 {
                Policy::Metallb
            } else {
                Policy::Sticky
            },
            loss: [0, 0, 10, 30][rng.random_range(0..4)],
            doubled: [0, 0, 20][rng.random_range(0..3)],
            delay: ms([1, 1, 5, 20][rng.random_range(0..4)]),
            skew: [0, 1, 20][rng.random_range(0..3)],
            fellows: true,
            found: None,
            faults,
        }
    }

    /// When the last fault is over.
    pub(super) fn calm_after(&self) -> Duration {
        self.faults.iter().map(Fault::end).max().unwrap_or(WARM)
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn what(nodes: usize, rng: &mut StdRng) -> What {
    let one = rng.random_range(0..nodes);
    match rng.random_range(0..11) {
        0 | 1 => What::Crash(one),
        2 => What::PowerOff(one),
        3 => What::Stop(one),
        4 => What::Sleep(one),
        5 => What::Leave(one),
        6 => What::Exclude(one),
        7..10 => {
            let side: BTreeSet<usize> = match rng.random_range(0..2) {
                0 => BTreeSet::from([one]),
                _ => (0..nodes).filter(|_| rng.random()).collect(),
            };
            let medium = [Medium::Gossip, Medium::Both][rng.random_range(0..2)];
            let one_way = rng.random_range(0..4) == 0;
            What::Cut {
                side,
                medium,
                one_way,
            }
        }
        _ => What::Lossy(rng.random_range(50..300)),
    }
}

/// Makes a plan that fails smaller as long as it fails: fewer faults, nodes and addresses, a
/// better LAN.
#[must_use]
pub fn shrink(plan: Plan, violation: Violation) -> (Plan, Violation) {
    let mut best = (plan, violation);
    let mut attempts = 0;
    let mut again = true;
    while std::mem::take(&mut again) {
        for smaller in smaller(&best.0) {
            attempts += 1;
            if attempts > ATTEMPTS {
                return best;
            }
            if let Err(violation) = run(&smaller) {
                best = (smaller, violation);
                again = true;
                break;
            }
        }
    }
    best
}

fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    for i in 0..plan.faults.len() {
        let mut fewer = plan.clone();
        fewer.faults.remove(i);
        all.push(fewer);
    }
    let used = plan.faults.iter().flat_map(|f| f.what.victims()).max();
    if plan.nodes > 2 && used.is_none_or(|used| used + 1 < plan.nodes) {
        all.push(Plan {
            nodes: plan.nodes - 1,
            ..plan.clone()
        });
    }
    if plan.addresses > 1 {
        all.push(Plan {
            addresses: plan.addresses - 1,
            ..plan.clone()
        });
    }
    if plan.loss + plan.doubled + plan.skew > 0 || plan.delay > ms(1) {
        all.push(Plan {
            loss: 0,
            doubled: 0,
            skew: 0,
            delay: ms(1),
            ..plan.clone()
        });
    }
    all
}
