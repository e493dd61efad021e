//! Whatever is heard: no panic, and not a word about what isn't ours.

use super::*;
use proptest::prelude::*;

fn pool() -> Vec<IpAddr> {
    [
        "192.168.1.240",
        "192.168.1.241",
        "2001:db8::240",
        "2001:db8::241",
        "192.168.1.2",
    ]
    .map(ip)
    .to_vec()
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let mac = prop::sample::select(vec![OWN, OWN2, CLIENT, STRANGER, FELLOW]);
    let built =
        (0u8..3, mac, prop::sample::select(pool())).prop_map(|(kind, mac, ip)| match kind {
            0 => question(mac, ip),
            1 => probe(mac, ip),
            _ => claim(mac, ip),
        });
    let changed = (
        built.clone(),
        prop::collection::vec((0usize..90, any::<u8>()), 1..3),
    )
        .prop_map(|(mut frame, changes)| {
            for (at, value) in changes {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame
        });
    prop_oneof![built, changed, prop::collection::vec(any::<u8>(), 0..90)]
}

#[derive(Clone, Debug)]
enum Step {
    Frame(u32, Vec<u8>),
    Table(Vec<(usize, u64, u8, bool)>, Vec<usize>),
    Links(Vec<u32>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let entries = prop::collection::vec((0usize..4, 1u64..3, 0u8..3, any::<bool>()), 0..4);
    prop_oneof![
        8 => (1u32..4, frame()).prop_map(|(link, frame)| Step::Frame(link, frame)),
        2 => (entries, prop::collection::vec(0usize..4, 0..4)).prop_map(|(e, y)| Step::Table(e, y)),
        1 => prop::collection::vec(1u32..4, 0..3).prop_map(Step::Links),
        3 => (0u64..3000).prop_map(Step::Wait),
    ]
}

fn policy(of: u8) -> Policy {
    [Policy::Report, Policy::Withhold, Policy::Defend][usize::from(of)]
}

/// Everything the steps made the machine say, in order.
fn play(steps: &[Step]) -> Vec<String> {
    let mut world = World::new(&[link(1), link(2)]);
    world.zero = world.now;
    let mut ours: BTreeSet<IpAddr> = BTreeSet::new();
    let mut lost: BTreeSet<IpAddr> = BTreeSet::new();
    let mut heard = 0;
    let mut log = Vec::new();
    for step in steps {
        match step {
            Step::Frame(link, frame) => {
                heard += 1;
                world.l2.handle_frame(*link, frame, world.now);
            }
            Step::Table(entries, yielded) => {
                let entries = entries.iter().map(|&(n, epoch, of, probe)| {
                    (
                        pool()[n],
                        Entry {
                            epoch,
                            conflict: policy(of),
                            probe,
                            ..entry()
                        },
                    )
                });
                let mut table = table(entries);
                table.yielded = yielded.iter().map(|&n| pool()[n]).collect();
                table.fellows = [("b".into(), vec![ip("192.168.1.2")])].into();
                lost = &(&ours | &lost) & &table.yielded;
                ours = table.entries.keys().copied().collect();
                world.table(table);
            }
            Step::Links(of) => {
                let of: BTreeSet<u32> = of.iter().copied().collect();
                let of: Vec<Link> = of.into_iter().map(link).collect();
                world.l2.handle_links(links(&of), world.now);
            }
            Step::Wait(ms) => {
                world.now += Duration::from_millis(*ms);
                world.l2.handle_timeout(world.now);
                lost.retain(|ip| world.state(*ip).is_some());
            }
        }
        for (link, said) in world.sent() {
            let owner = match &said {
                Said::Reply(ip, _) | Said::Solicited(ip, ..) | Said::Unsolicited(ip) => Some(ip),
                Said::Request(ip) | Said::Announce(ip) => Some(ip),
                Said::Asks(..) => None,
            };
            if let Some(ip) = owner {
                assert!(
                    ours.contains(ip) || lost.contains(ip),
                    "{said:?} after {step:?}"
                );
                assert!(world.state(*ip).is_some(), "{said:?} after {step:?}");
            }
            log.push(format!("{link} {said:?}"));
        }
        log.extend(world.notices.drain(..).map(|notice| format!("{notice:?}")));
    }
    let dropped: u64 = world.l2.drops().values().sum();
    assert!(dropped <= heard);
    check_groups(&world);
    log
}

/// Joined are exactly the groups of the IPv6 addresses known, on the links there are.
fn check_groups(world: &World) {
    let mut joined = BTreeSet::new();
    for (join, link, group) in &world.groups {
        let news = if *join {
            joined.insert((*link, *group))
        } else {
            joined.remove(&(*link, *group))
        };
        assert!(news, "{join} {link} {group} twice");
    }
    let mut want = BTreeSet::new();
    for (ip, ..) in world.l2.addresses() {
        if let IpAddr::V6(ip) = ip {
            want.extend(
                world
                    .l2
                    .ports
                    .keys()
                    .map(|&link| (link, solicited_node(ip))),
            );
        }
    }
    assert_eq!(joined, want);
}

proptest! {
    #[test]
    fn only_what_is_ours_is_said_and_the_same_again(steps in prop::collection::vec(step(), 0..60)) {
        prop_assert_eq!(play(&steps), play(&steps));
    }

    #[test]
    fn arbitrary_frames_at_a_node_that_owns_nothing(frames in prop::collection::vec(frame(), 0..50)) {
        let mut world = World::new(&[link(1)]);
        for frame in &frames {
            prop_assert_eq!(world.hear(1, frame), []);
        }
        let dropped: u64 = world.l2.drops().values().sum();
        prop_assert_eq!(dropped, frames.len() as u64);
        prop_assert!(world.notices.is_empty());
    }
}
