//! `corten-routing`: how fast a router learns what is announced over BGP, what that costs, and
//! whether BFD is right about the way between the two. The router is BIRD, in a namespace at the
//! other end of a cable; what is measured ends when BIRD's table shows it, as its client says.

use anyhow::{Context, Result, bail};
use corten_lab::corten::Corten;
use corten_lab::manifests::{self, Manifests, Stack};
use corten_lab::netns::Netns;
use corten_lab::router::{self, Bird};
use corten_lab::stage;
use corten_lab::teller::Teller;
use corten_lab::wait::wait_until;
use corten_lab::world::Node;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// When something counts as never coming.
const DEADLINE: Duration = Duration::from_secs(120);
/// Changes measured.
const CHANGES: usize = 30;
/// Losses of the way measured.
const LOSSES: usize = 10;
/// How long the way is watched, unless the command line says otherwise.
const WATCH: Duration = Duration::from_secs(600);
/// Between two looks at the router's table.
const LOOK: Duration = Duration::from_millis(2);
/// Where the router listens.
const PORT: u16 = 1790;

const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata:\n  name: node1\n---\n";

fn main() -> ExitCode {
    match stage::enter().and_then(|()| run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nnothing measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut tell = Teller::new();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] | ["table"] => tables(&mut tell),
        ["loss"] => losses(&mut tell),
        ["watch"] => watch(&mut tell, WATCH),
        ["watch", seconds] => watch(&mut tell, Duration::from_secs(seconds.parse()?)),
        _ => bail!("corten-routing [table | loss | watch [SECONDS]]"),
    }
}

/// A node, a router and what is between.
struct Place {
    node: Node,
    router: Netns,
    manifests: Manifests,
    /// One router a session, so that each has a table of its own.
    birds: Vec<Bird>,
    corten: Corten,
}

fn object(version: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: metallb.io/{version}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: \
         metallb-system\nspec: {{{spec}}}\n---\n"
    )
}

/// The router's end of session `number`.
fn address(number: usize) -> String {
    format!("192.0.2.{}", 10 + number)
}

impl Place {
    /// One with so many Services that have their addresses, and so many sessions that are up; nothing
    /// is announced yet.
    fn build(services: usize, peers: usize, bfd: bool) -> Result<Self> {
        let (near, far) = router::cable()?;
        let manifests = Manifests::new()?;
        let mut config = NODE.to_owned()
            + &manifests::namespace("default")
            + &manifests::pool("pool", &["10.64.0.0/16"])
            + &object(
                "v1beta1",
                "BFDProfile",
                "fast",
                "transmitInterval: 50, receiveInterval: 50",
            );
        let mut birds = Vec::new();
        for number in 0..peers {
            let far_end = address(number);
            far.ip(&[format!("address add {far_end}/24 dev far")])?;
            let profile = if bfd { ", bfdProfile: fast" } else { "" };
            let peer = format!(
                "myASN: 64512, peerASN: 64513, peerAddress: {far_end}, peerPort: {PORT}{profile}"
            );
            config += &object("v1beta2", "BGPPeer", &format!("router{number}"), &peer);
            let watched = if bfd { "bfd on; " } else { "" };
            let text = format!(
                "router id {far_end};\nprotocol device {{}}\n\
                 protocol bfd {{ interface \"*\" {{ interval 50 ms; multiplier 3; }}; }}\n\
                 protocol bgp corten {{ local {far_end} port {PORT} as 64513; neighbor 192.0.2.1 \
                 as 64512; passive; strict bind; error wait time 1, 1; \
                 {watched}ipv4 {{ import all; export none; }}; }}\n"
            );
            let name = format!("bird-{services}-{peers}-{number}");
            birds.push(Bird::start(&far, &name, &text)?);
        }
        manifests.write("config.yaml", &config)?;
        let mut text = String::new();
        for number in 0..services {
            let name = format!("web{number}");
            text += &manifests::service(&name, Stack::V4, &[], &["node1"]);
        }
        manifests.write("services.yaml", &text)?;
        let node = Node {
            name: "node1".to_owned(),
            ns: near,
            nics: Vec::new(),
        };
        let corten = Corten::start(&node, manifests.path(), &["--allocate"])?;
        let place = Self {
            node,
            router: far,
            manifests,
            birds,
            corten,
        };
        let allocated = |s: corten_lab::corten::Status| {
            let up = s.bgp_peers.iter().filter(|p| p.state == "Established");
            let with = s.services.iter().filter(|s| !s.addresses.is_empty());
            (up.count() == peers && with.count() == services).then_some(())
        };
        wait_until("sessions and addresses", DEADLINE, || {
            Ok(place.corten.status().ok().and_then(allocated))
        })
        .with_context(|| place.corten.story())?;
        Ok(place)
    }

    fn announce(&self) -> Result<()> {
        let advertisement = object("v1beta1", "BGPAdvertisement", "all", "");
        self.manifests.write("advertisement.yaml", &advertisement)
    }

    /// How many routes a router has.
    fn routes(bird: &Bird) -> Result<usize> {
        let said = bird.says(&["show", "route", "count"])?;
        let line = said.lines().find(|line| line.contains(" routes for "));
        let count = line.and_then(|line| line.split(' ').next());
        Ok(count.context("a count")?.parse()?)
    }

    /// How long it takes, from `begin` on, until every router has so many; they are asked one after
    /// the other, which is in it.
    fn wait(&self, begin: Instant, routes: usize) -> Result<Duration> {
        for bird in &self.birds {
            while Self::routes(bird)? != routes {
                if begin.elapsed() > DEADLINE {
                    bail!("{} routes, not {routes}", Self::routes(bird)?);
                }
                std::thread::sleep(LOOK);
            }
        }
        Ok(begin.elapsed())
    }
}

/// Median, the slowest but one in a hundred, and the slowest.
fn figures(times: &mut [Duration]) -> Vec<String> {
    times.sort();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1));
    let text = |time: Option<&Duration>| time.map_or(String::new(), |t| format!("{t:.1?}"));
    vec![text(at(50)), text(at(99)), text(times.last())]
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn tables(tell: &mut Teller) -> Result<()> {
    tell.step("A table to routers, and one Service's change");
    let mut rows = vec![row([
        "ROUTES",
        "PEERS",
        "TABLE",
        "CHANGE p50",
        "p99",
        "slowest",
        "RSS KiB",
    ])];
    for services in [2001, 10_000] {
        for peers in [1, 4, 64] {
            let mut place = Place::build(services, peers, false)?;
            let begin = Instant::now();
            place.announce()?;
            let table = place.wait(begin, services)?;
            let mut times = Vec::new();
            for change in 0..CHANGES {
                let begin = Instant::now();
                let count = if change % 2 == 0 {
                    let text = manifests::service("late", Stack::V4, &[], &["node1"]);
                    place.manifests.write("late.yaml", &text)?;
                    services + 1
                } else {
                    place.manifests.remove("late.yaml")?;
                    services
                };
                times.push(place.wait(begin, count)?);
            }
            let rss = place.corten.process().resident_kib()?;
            let mut cells = vec![
                services.to_string(),
                peers.to_string(),
                format!("{table:.1?}"),
            ];
            cells.extend(figures(&mut times));
            cells.push(rss.to_string());
            rows.push(cells);
            tell.table(&rows);
        }
    }
    Ok(())
}

/// The node's packets stop, and no link goes down.
fn cut(place: &Place) -> Result<()> {
    let chain =
        |hook| format!("chain {hook} {{ type filter hook {hook} priority -300; policy drop; }}");
    let (input, output) = (chain("input"), chain("output"));
    let script = format!("table inet cut {{\n{input}\n{output}\n}}");
    place.node.ns.nft(&script)
}

fn wait_watched(place: &Place) -> Result<()> {
    wait_until("a way that is watched", DEADLINE, || {
        let status = place.corten.status().ok();
        let peer = status.and_then(|s| s.bgp_peers.into_iter().next());
        let up = |state: &str| state == "Up";
        Ok(peer.filter(|p| p.bfd.as_ref().is_some_and(|b| up(&b.state))))
    })
    .map(drop)
}

fn losses(tell: &mut Teller) -> Result<()> {
    tell.step("A node falls silent: until the router has no route, BFD at 50 ms, multiplier 3");
    let place = Place::build(10, 1, true)?;
    place.announce()?;
    let mut times = Vec::new();
    for _ in 0..LOSSES {
        wait_watched(&place)?;
        place.wait(Instant::now(), 10)?;
        let begin = Instant::now();
        cut(&place)?;
        times.push(place.wait(begin, 0)?);
        place.node.ns.nft("delete table inet cut")?;
    }
    let mut rows = vec![row(["p50", "p99", "slowest"])];
    rows.push(figures(&mut times));
    tell.table(&rows);
    Ok(())
}

fn watch(tell: &mut Teller, time: Duration) -> Result<()> {
    tell.step("BFD at 50 ms, multiplier 3, beside a core that burns");
    let place = Place::build(10, 1, true)?;
    place.announce()?;
    wait_watched(&place)?;
    let burn = ["-c".to_owned(), "while :; do :; done".to_owned()];
    let mut burner = place.router.spawn("burner", "sh", &burn)?;
    let end = Instant::now() + time;
    let mut downs = None;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_secs(1));
        let status = place.corten.status()?;
        let peer = status.bgp_peers.into_iter().next();
        downs = peer.and_then(|peer| peer.bfd).map(|bfd| bfd.downs);
    }
    burner.kill()?;
    let downs = downs.context("no BFD session")?;
    tell.say(format!("times down in {time:?}: {downs}"));
    Ok(())
}
