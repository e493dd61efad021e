//! Corten among members of the real gossip library, in MetalLB's version and in the newest.

use anyhow::{Result, ensure};
use corten_lab::corten::Corten;
use corten_lab::manifests::state_directory;
use corten_lab::memberlist::{Member, Version};
use corten_lab::site::{Site, basics};
use corten_lab::trial::Trial;
use corten_lab::world::Plan;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[
    ("mixing::in_the_clear", in_the_clear),
    ("mixing::encrypted_labelled_compressed", encrypted),
    ("mixing::over_ipv6", over_ipv6),
    ("mixing::a_killed_corten_is_dead_for_go", a_killed_corten),
    ("mixing::a_killed_go_is_dead_for_corten", a_killed_go),
    ("mixing::a_key_changes", a_key_changes),
];

/// What the cluster of a trial has in common.
#[derive(Clone, Copy)]
struct Kind {
    v6: bool,
    go: &'static [&'static str],
    corten: &'static [&'static str],
}

const CLEAR: Kind = Kind {
    v6: false,
    go: &["-compression=false"],
    corten: &[],
};

/// Go on two nodes, Corten on the third.
struct Mix {
    site: Site,
    go: Vec<Member>,
    corten: Corten,
}

impl Mix {
    /// `old` is joined by Corten as it starts; `new` joins Corten.
    fn start(kind: Kind, further: &[&str]) -> Result<Self> {
        let site = Site::new(&Plan::default())?;
        site.manifests.write("config.yaml", &basics())?;
        let at = |i: usize| -> Result<IpAddr> {
            let nic = &site.world.node(i)?.nics[0];
            Ok(if kind.v6 {
                nic.ipv6.into()
            } else {
                nic.ipv4.into()
            })
        };
        let old = {
            let ns = &site.world.node(0)?.ns;
            Member::start(ns, Version::MetalLB, "old", at(0)?, kind.go)?
        };
        let (own, first) = (at(2)?.to_string(), at(0)?.to_string());
        let flags = ["--allocate", "--gossip-bind", &own, "--join", &first];
        let flags = [&flags[..], kind.corten, further].concat();
        let mut corten = Corten::start(site.world.node(2)?, site.manifests.path(), &flags)?;
        wait_alive(&mut corten, &["node3", "old"])?;
        let join = ["-join", &own, "-meta", "some meta data"];
        let new = {
            let ns = &site.world.node(1)?.ns;
            let flags = [kind.go, &join].concat();
            Member::start(ns, Version::Newest, "new", at(1)?, &flags)?
        };
        let mut mix = Self {
            site,
            go: vec![old, new],
            corten,
        };
        mix.wait_all()?;
        Ok(mix)
    }

    fn wait_all(&mut self) -> Result<()> {
        for member in &mut self.go {
            member.wait_present(&["new", "node3", "old"])?;
        }
        wait_alive(&mut self.corten, &["new", "node3", "old"])
    }

    /// Nobody blames himself, nobody else, and nothing was dropped for what it is.
    fn check_health(&mut self) -> Result<()> {
        for member in &self.go {
            let log = member.log();
            let bad = |l: &String| l.starts_with("unhealthy") || l.starts_with("leave");
            ensure!(!log.iter().any(bad), "{}: {log:?}", member.name);
        }
        let status = self.corten.status()?;
        let gossip = status.gossip.as_ref().map(|g| (g.health, &g.dropped));
        ensure!(
            gossip.is_some_and(|(h, d)| h == 0 && d.is_empty()),
            "{gossip:?}"
        );
        ensure!(status.alive() == ["new", "node3", "old"]);
        Ok(())
    }
}

fn wait_alive(instance: &mut Corten, nodes: &[&str]) -> Result<()> {
    let what = format!("{nodes:?} alive");
    instance.wait_status(&what, |s| (s.alive() == nodes).then_some(()))
}

/// Members come together, stay so for some probes, and go one after the other.
fn check(kind: Kind, further: &[&str]) -> Result<()> {
    let mut mix = Mix::start(kind, further)?;
    // An observation: each probes each several times meanwhile.
    std::thread::sleep(Duration::from_secs(5));
    mix.check_health()?;
    mix.go[1].leave()?;
    mix.corten
        .wait_status("new left", |s| (s.member("new") == "left").then_some(()))?;
    mix.go[0].wait_present(&["node3", "old"])?;
    let status = mix.corten.stop()?;
    ensure!(status.success(), "{status}");
    mix.go[0].wait_present(&["old"])
}

fn in_the_clear() -> Result<()> {
    check(CLEAR, &[])
}

fn encrypted() -> Result<()> {
    let (_directory, path) = secret("AAAAAAAAAAAAAAAAAAAAAA")?;
    let kind = Kind {
        v6: false,
        go: &["-secret", "AAAAAAAAAAAAAAAAAAAAAA", "-label", "blue"],
        corten: &["--gossip-label", "blue"],
    };
    check(kind, &["--gossip-secret", &path])
}

fn over_ipv6() -> Result<()> {
    let kind = Kind { v6: true, ..CLEAR };
    check(kind, &[])
}

fn secret(text: &str) -> Result<(tempfile::TempDir, String)> {
    let directory = state_directory("secret")?;
    let path = directory.path().join("secret");
    std::fs::write(&path, text)?;
    Ok((directory, path.display().to_string()))
}

fn a_killed_corten() -> Result<()> {
    let mut mix = Mix::start(CLEAR, &[])?;
    mix.corten.kill()?;
    for member in &mut mix.go {
        member.wait_present(&["new", "old"])?;
    }
    mix.corten.restart()?;
    mix.wait_all()
}

fn a_killed_go() -> Result<()> {
    let mut mix = Mix::start(CLEAR, &[])?;
    mix.go[0].kill()?;
    mix.corten
        .wait_status("old is dead", |s| (s.member("old") == "dead").then_some(()))?;
    mix.go[1].wait_present(&["new", "node3"])
}

/// The real library is stopped for a new key; Corten isn't, and knows both meanwhile.
fn a_key_changes() -> Result<()> {
    let (_directory, path) = secret("old secret")?;
    let kind = Kind {
        v6: false,
        go: &["-secret", "old secret"],
        corten: &["--gossip-secret-grace", "1s"],
    };
    let mut mix = Mix::start(kind, &["--gossip-secret", &path])?;
    std::fs::write(&path, "new secret")?;
    for member in &mut mix.go {
        member.kill()?;
    }
    let site = &mix.site;
    let own = site.world.node(2)?.nics[0].ipv4.to_string();
    let flags = ["-secret", "new secret", "-join", &own];
    let at = site.world.node(0)?.nics[0].ipv4.into();
    let ns = &site.world.node(0)?.ns;
    let mut again = Member::start(ns, Version::MetalLB, "old", at, &flags)?;
    again.wait_present(&["node3", "old"])?;
    wait_alive(&mut mix.corten, &["node3", "old"])
}
