//! Peers that do everything wrong, beside one that doesn't. Their messages are written down octet by
//! octet: a fault in the code under test must not hide in its judge.

use crate::line::{DEADLINE, Frr, Line, all, object};
use anyhow::{Context as _, Result, ensure};
use corten_lab::router;
use corten_lab::wait::wait_until;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Code and subcode of the last NOTIFICATION each peer got, and how often it was connected to.
type Heard = Arc<Mutex<BTreeMap<&'static str, (Option<(u8, u8)>, usize)>>>;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap_or(u16::MAX);
    [&[0xff; 16], &length.to_be_bytes()[..], &[kind], body].concat()
}

/// Version 4, AS 64513, a hold time of 3 s, identifier 192.0.2.9, no capabilities.
fn open() -> Vec<u8> {
    message(1, &[4, 0xfc, 0x01, 0, 3, 192, 0, 2, 9, 0])
}

fn keepalive() -> Vec<u8> {
    message(4, &[])
}

/// One that does something wrong.
struct Bad {
    name: &'static str,
    /// What it says in answer to our OPEN.
    says: Vec<u8>,
    then: Then,
}

/// What it does after that.
#[derive(Clone, Copy)]
enum Then {
    /// Listens, and is told this code and subcode.
    Listens((u8, u8)),
    /// Hangs up.
    HangsUp,
}

fn bad() -> Vec<Bad> {
    let listens = |name, says, told| Bad {
        name,
        says,
        then: Then::Listens(told),
    };
    let hangs_up = |name, says| Bad {
        name,
        says,
        then: Then::HangsUp,
    };
    let up = || [open(), keepalive()].concat();
    let then = |more: Vec<u8>| [up(), more].concat();
    // Withdrawn routes that are longer than all of it.
    let withdrawn = message(2, &[0, 9, 0, 0]);
    // A prefix of 33 bits.
    let prefix = message(2, &[0, 0, 0, 0, 33, 10, 0, 0, 0, 0]);
    let mut short = keepalive();
    short.truncate(17);
    short.extend([18, 4]);
    let opens = |version, asn, hold, identifier| {
        message(1, &[version, 0xfc, asn, 0, hold, identifier, 0, 0, 0, 0])
    };
    vec![
        listens("garbage", vec![0xaa; 200], (1, 1)),
        listens("length", short, (1, 2)),
        listens("kind", message(9, &[]), (1, 3)),
        listens("version", opens(3, 1, 3, 9), (2, 1)),
        listens("as", opens(4, 9, 3, 9), (2, 2)),
        listens("identifier", opens(4, 1, 3, 0), (2, 3)),
        listens("hold", opens(4, 1, 1, 9), (2, 6)),
        listens("early", keepalive(), (5, 1)),
        listens("half", open(), (4, 0)),
        listens("silent", up(), (4, 0)),
        listens("withdrawn", then(withdrawn), (3, 1)),
        listens("prefix", then(prefix), (3, 10)),
        listens("again", then(open()), (5, 3)),
        hangs_up("flapping", up()),
        hangs_up("closing", Vec::new()),
    ]
}

/// One message, whole; its kind and body.
fn read(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 19];
    stream.read_exact(&mut head)?;
    let length = usize::from(u16::from_be_bytes([head[16], head[17]]));
    let mut body = vec![0; length.saturating_sub(19)];
    stream.read_exact(&mut body)?;
    Ok((head[18], body))
}

/// Serves one connection as its peer would; what it is told in the end.
fn serve(stream: &mut TcpStream, bad: &Bad) -> std::io::Result<Option<(u8, u8)>> {
    stream.set_read_timeout(Some(DEADLINE))?;
    read(stream)?;
    stream.write_all(&bad.says)?;
    match bad.then {
        Then::HangsUp => Ok(None),
        Then::Listens(_) => loop {
            let (kind, body) = read(stream)?;
            if kind == 3 {
                return Ok(body.first().copied().zip(body.get(1).copied()));
            }
        },
    }
}

fn listen(listener: TcpListener, bad: Bad, heard: Heard) {
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Who is hung up on hears nothing.
            let told = serve(&mut stream, &bad).ok().flatten();
            if let Ok(mut heard) = heard.lock() {
                let entry = heard.entry(bad.name).or_default();
                entry.0 = entry.0.or(told);
                entry.1 += 1;
            }
        }
    });
}

pub(crate) fn bad_peers_disturb_nobody() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2";
    let line = Line::new(peer, "")?;
    let heard = Heard::default();
    let mut config = String::new();
    for (port, bad) in (1801_u16..).zip(bad()) {
        let bind = || Ok(TcpListener::bind(("192.0.2.2", port))?);
        let spec = format!("{peer}, peerPort: {port}, connectTime: 1s");
        config += &object("v1beta2", "BGPPeer", bad.name, &spec);
        listen(line.router.run(bind)?, bad, Arc::clone(&heard));
    }
    line.manifests.write("bad.yaml", &config)?;
    let frr = Frr::start(&line, "frr-among-bad", "neighbor 192.0.2.1 remote-as 64512")?;
    let corten = line.start()?;
    frr.wait_route("198.51.100.0/32", true)?;
    // Everybody is told what is wrong, and met again by those that hang up.
    let mut last = BTreeMap::new();
    wait_until("a word to everybody", DEADLINE, || {
        last = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
        let all = bad().into_iter().all(|bad| {
            let (told, times) = last.get(bad.name).copied().unwrap_or_default();
            match bad.then {
                Then::Listens(code) => told == Some(code),
                Then::HangsUp => times > 2,
            }
        });
        Ok(all.then_some(()))
    })
    .with_context(|| format!("{last:?}\n{}", corten.story()))?;
    line.service("web3")?;
    frr.wait_route("198.51.100.2/32", true)?;
    let seen = frr.neighbour()?;
    ensure!(
        seen["connectionsEstablished"] == 1 && seen["connectionsDropped"] == 0,
        "{seen}"
    );
    all(
        &corten.bgp(&["peers", "garbage"])?,
        &["Connection Not Synchronized"],
    )
}

/// ExaBGP says what routers don't: attributes nobody knows, attributes that are malformed, and more
/// routes than anybody wants. None of it ends the session or is taken.
pub(crate) fn exabgp_says_odd_things() -> Result<()> {
    let peer = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2, peerPort: 1790";
    let line = Line::new(peer, "")?;
    let dir = router::scratch("exabgp")?;
    let file = dir.join("exabgp.conf").display().to_string();
    // The second attribute is a MULTI_EXIT_DISC of two octets: treated as withdrawn (RFC 7606).
    let config = "neighbor 192.0.2.1 {\n router-id 192.0.2.2;\n local-address 192.0.2.2;\n \
                  local-as 64513;\n peer-as 64512;\n passive true;\n listen 1790;\n \
                  family { ipv4 unicast; }\n static {\n  \
                  route 10.0.0.0/13 next-hop 192.0.2.2 split /24;\n  \
                  route 10.64.0.0/16 next-hop 192.0.2.2 attribute [ 0x99 0xc0 0x01020304 ];\n  \
                  route 10.65.0.0/16 next-hop 192.0.2.2 attribute [ 0x04 0x80 0x0102 ];\n }\n}\n";
    fs::write(&file, config)?;
    let env = [
        "exabgp.daemon.drop=false",
        "exabgp.api.cli=false",
        "exabgp.log.level=INFO",
    ];
    let mut args: Vec<_> = env.into_iter().map(str::to_owned).collect();
    args.extend(["exabgp".to_owned(), file]);
    let exabgp = line.router.spawn("exabgp", "env", &args)?;
    let corten = line.start()?;
    let mut last = String::new();
    wait_until("all it says", DEADLINE, || {
        last = corten.bgp(&["peers"]).unwrap_or_default();
        let all = ["Established for ", "the peer's: at least 1024, all dropped"];
        Ok(all.iter().all(|fact| last.contains(fact)).then_some(()))
    })
    .with_context(|| format!("{last}\n{}\n{:?}", corten.story(), exabgp.log()))?;
    let said = corten.bgp(&["messages"])?;
    all(&said, &["sent UPDATE, 2 announced: 198.51.100.0/32"])?;
    ensure!(!said.contains("NOTIFICATION"), "{said}");
    Ok(())
}
