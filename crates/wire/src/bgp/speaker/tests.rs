//! Configurations and tables as a whole.

use super::*;
use crate::bgp::tests::{message, prefix, start};
use crate::bgp::{ConnectionId, Endpoints, MAX_LEN, Message, NextHop, Open, Path, PeerAsn, State};
use std::collections::BTreeSet;

fn options(peer_asn: u32) -> PeerOptions {
    PeerOptions {
        asn: 64512,
        peer_asn: PeerAsn::Number(peer_asn),
        identifier: [10, 0, 0, 1].into(),
        ..PeerOptions::default()
    }
}

fn wanted(peers: &[(&str, u32)]) -> BTreeMap<Arc<str>, PeerOptions> {
    let peers = peers.iter();
    peers
        .map(|(name, asn)| (Arc::from(*name), options(*asn)))
        .collect()
}

fn tables(names: &[&str], routes: &Arc<Routes>) -> BTreeMap<Arc<str>, Arc<Routes>> {
    let names = names.iter();
    names
        .map(|name| (Arc::from(*name), Arc::clone(routes)))
        .collect()
}

fn routes(count: u32, med: u32) -> Arc<Routes> {
    let path = Arc::new(Path {
        med: Some(med),
        next_hop: NextHop::Own,
        ..Path::default()
    });
    let host = |n: u32| prefix(&format!("10.1.{}.{}/32", n / 256, n % 256));
    Arc::new((0..count).map(|n| (host(n), Arc::clone(&path))).collect())
}

fn drain(speaker: &mut Speaker) -> Vec<(String, Output)> {
    let outputs = std::iter::from_fn(|| speaker.poll_output());
    outputs
        .map(|(name, output)| (name.to_string(), output))
        .collect()
}

fn dials(outputs: &[(String, Output)]) -> Vec<(String, ConnectionId)> {
    let dials = outputs.iter().filter_map(|(name, output)| match output {
        Output::Connect { connection } => Some((name.clone(), *connection)),
        Output::Send { .. } | Output::Close { .. } | Output::Notice(_) => None,
    });
    dials.collect()
}

/// Plays the peer's part until the session is up; everything is taken at once.
fn establish(speaker: &mut Speaker, name: &str, asn: u32, id: ConnectionId, now: Instant) {
    let ends = Endpoints {
        local: "10.0.0.1:40000".parse().unwrap(),
        peer: "10.0.0.2:179".parse().unwrap(),
        ipv4: None,
        ipv6: None,
        link_local: None,
    };
    let open = Message::Open(Open::new(asn, 90, [10, 0, 0, 2].into(), vec![]));
    let open = open.encode(true, MAX_LEN).unwrap();
    let peer = speaker.peer_mut(name).unwrap();
    peer.handle_connected(id, ends, now);
    peer.handle_bytes(id, &open, now);
    peer.handle_bytes(id, &message(4, &[]), now);
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn peers_come_go_and_change_without_touching_others() {
    let now = start();
    let mut speaker = Speaker::new(1);
    speaker.handle_peers(&wanted(&[("a", 1), ("b", 2), ("c", 3)]), now);
    let first = dials(&drain(&mut speaker));
    let names: Vec<_> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for ((name, id), asn) in first.iter().zip([1, 2, 3]) {
        establish(&mut speaker, name, asn, *id, now);
    }
    drain(&mut speaker);
    // `a` stays, `b` goes, `c` changes, `d` is new.
    speaker.handle_peers(&wanted(&[("a", 1), ("c", 4), ("d", 5)]), now);
    let outputs = drain(&mut speaker);
    let who: BTreeSet<_> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(who, ["b", "c", "d"].into());
    let closed = |name: &str, words: &str| {
        let notice = outputs.iter().find_map(|(who, output)| match output {
            Output::Notice(notice) if who == name => Some(format!("{notice:?}")),
            Output::Connect { .. }
            | Output::Send { .. }
            | Output::Close { .. }
            | Output::Notice(_) => None,
        });
        assert!(notice.unwrap().contains(words));
    };
    closed("b", "subcode: 3");
    closed("c", "subcode: 6");
    // Names may come back, connections don't.
    speaker.handle_peers(&wanted(&[("a", 1), ("b", 2)]), now);
    let later = dials(&[outputs, drain(&mut speaker)].concat());
    let ids: BTreeSet<_> = first.iter().chain(&later).collect();
    assert_eq!(ids.len(), first.len() + later.len());
    assert_eq!(speaker.peers().count(), 2);
    assert_eq!(speaker.peer_mut("a").unwrap().counters().lost, 0);
}

#[test]
fn tables_are_those_of_every_peer() {
    let now = start();
    let mut speaker = Speaker::new(1);
    speaker.handle_peers(&wanted(&[("a", 1), ("b", 2), ("c", 3)]), now);
    let dials = dials(&drain(&mut speaker));
    let (one, two) = (routes(300, 1), routes(301, 1));
    speaker.handle_tables(&tables(&["a", "b"], &one), now);
    for ((name, id), asn) in dials.iter().zip([1, 2, 3]) {
        establish(&mut speaker, name, asn, *id, now);
    }
    let announced = |speaker: &Speaker| {
        let peers = speaker.peers().map(|(_, peer)| peer.announced());
        peers.collect::<Vec<_>>()
    };
    assert_eq!(announced(&speaker), [300, 300, 0]);
    drain(&mut speaker);
    speaker.handle_tables(&tables(&["a", "b"], &two), now);
    assert_eq!(announced(&speaker), [301, 301, 0]);
    // One message each, to those whose table changed.
    let sent: Vec<_> = drain(&mut speaker)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(sent, ["a", "b"]);
    // From different tables to one, which the first has already.
    speaker.handle_tables(
        &BTreeMap::from([
            ("a".into(), Arc::clone(&one)),
            ("b".into(), Arc::clone(&two)),
        ]),
        now,
    );
    speaker.handle_tables(&tables(&["a", "b"], &one), now);
    assert_eq!(announced(&speaker), [300, 300, 0]);
    speaker.handle_tables(&tables(&["a"], &one), now);
    assert_eq!(announced(&speaker), [300, 0, 0]);
    speaker.handle_tables(&tables(&["a", "b", "c"], &routes(7, 2)), now);
    assert_eq!(announced(&speaker), [7, 7, 7]);
    // A peer that is new gets its table with the next call.
    speaker.handle_peers(&wanted(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]), now);
    assert!(speaker.peer_mut("d").unwrap().routes().is_none());
    speaker.handle_tables(&tables(&["a", "b", "c", "d"], &one), now);
    assert_eq!(speaker.peer_mut("d").unwrap().routes(), Some(&one));
}

/// The network takes everything there is.
fn written(speaker: &mut Speaker, now: Instant) {
    for output in drain(speaker) {
        if let (name, Output::Send { connection, bytes }) = output {
            let peer = speaker.peer_mut(&name).unwrap();
            peer.handle_sent(connection, bytes.len(), now);
        }
    }
}

#[test]
fn everybody_is_told_at_the_end() {
    let now = start();
    let mut speaker = Speaker::new(1);
    speaker.handle_peers(&wanted(&[("a", 1), ("b", 2)]), now);
    let dials = dials(&drain(&mut speaker));
    let (name, id) = &dials[0];
    speaker.handle_tables(&tables(&["a"], &routes(3, 1)), now);
    establish(&mut speaker, name, 1, *id, now);
    speaker.handle_leave("bye", Duration::from_secs(1), now);
    let due = speaker.poll_timeout().unwrap();
    assert_eq!(due, now + Duration::from_secs(1));
    written(&mut speaker, now);
    speaker.handle_timeout(due);
    assert_eq!(speaker.peer_mut("a").unwrap().state(), State::Established);
    // The withdrawal is written: now the session ends.
    written(&mut speaker, due);
    assert!(speaker.peers().all(|(_, peer)| peer.state() == State::Idle));
    assert_eq!(speaker.poll_timeout(), None);
    drain(&mut speaker);
    speaker.handle_stop(&Stop::Restart, due);
    assert_eq!(drain(&mut speaker), []);
}
