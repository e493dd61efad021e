//! [`Assigner`]: addresses on `lo`, how they end, and who answers for them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use corten_host::assign::{AssignError, Assigner};
use corten_host::netlink::LinkMonitor;
use corten_host::packet::PacketSocket;

use crate::netns::{Netns, abandon, cable, spawn};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));
/// Tells the helper process to run.
const HELPER: &str = "CORTEN_TEST_HOLD_ADDRESSES";

/// The addresses on `lo` but its own.
async fn on_lo() -> BTreeSet<IpAddr> {
    let links = LinkMonitor::new().unwrap().next().await.unwrap();
    let lo = links.into_iter().find(|link| link.loopback).unwrap();
    let all = lo.addresses.into_iter().map(|address| address.ip);
    all.filter(|ip| !ip.is_loopback()).collect()
}

/// Waits until the kernel has taken everything off `lo`.
async fn until_gone() {
    let mut monitor = LinkMonitor::new().unwrap();
    loop {
        let links = monitor.next().await.unwrap();
        let lo = links.iter().find(|link| link.loopback).unwrap();
        if lo.addresses.iter().all(|address| address.ip.is_loopback()) {
            return;
        }
    }
}

/// A cable with 10.0.0.1 and 2001:db8::1 on `near`, 10.0.0.2 and 2001:db8::2 on `far`.
fn addressed_cable() -> (Netns, Netns) {
    let (near, far) = cable();
    for (netns, name, last) in [(&near, "near", 1), (&far, "far", 2)] {
        netns.ip(&format!("address add 10.0.0.{last}/24 dev {name}"));
        netns.ip(&format!("address add 2001:db8::{last}/64 dev {name} nodad"));
    }
    (near, far)
}

#[test]
fn assign_renew_release() {
    let netns = Netns::new();
    netns.run(|| async {
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        assigner.assign(V4).unwrap();
        assigner.assign(V6).unwrap();
        assigner.assign(V4).unwrap();
        assert_eq!(on_lo().await, BTreeSet::from([V4, V6]));
        let shown = netns.ip("address show dev lo");
        for start in [
            "inet 10.0.0.7/32 scope host",
            "inet6 2001:db8::7/128 scope global",
        ] {
            let line = shown.lines().find(|line| line.trim().starts_with(start));
            assert!(
                line.is_some_and(|line| line.contains("deprecated")),
                "{shown}"
            );
        }
        assigner.renew().unwrap();
        assigner.release(V4).unwrap();
        assert_eq!(on_lo().await, BTreeSet::from([V6]));
        assigner.release(V4).unwrap();
        assigner.close().unwrap();
        assert_eq!(on_lo().await, BTreeSet::new());
    });
}

#[test]
fn an_address_taken_off_by_someone_comes_back_with_the_renewal() {
    let netns = Netns::new();
    netns.run(|| async {
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        assigner.assign(V4).unwrap();
        netns.ip("address del 10.0.0.7/32 dev lo");
        assert_eq!(on_lo().await, BTreeSet::new());
        assigner.renew().unwrap();
        assert_eq!(on_lo().await, BTreeSet::from([V4]));
        netns.ip("address del 10.0.0.7/32 dev lo");
        assigner.release(V4).unwrap();
    });
}

#[test]
fn the_hosts_own_addresses_are_left_alone() {
    let netns = Netns::new();
    netns.ip("link add name nic type bridge");
    netns.ip("address add 10.0.0.7/32 dev lo");
    netns.ip("address add 2001:db8::7/64 dev nic nodad");
    netns.run(|| async {
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        assert_eq!(assigner.leftovers().count(), 0);
        let foreign = |result| match result {
            Err(AssignError::Foreign { ip, interface }) => (ip, interface),
            other => panic!("{other:?}"),
        };
        assert_eq!(foreign(assigner.assign(V4)), (V4, 1));
        assert_eq!(foreign(assigner.assign(V6)), (V6, netns.index("nic")));
        assigner.release(V4).unwrap();
        assigner.renew().unwrap();
        assigner.close().unwrap();
        assert_eq!(on_lo().await, BTreeSet::from([V4]));
    });
}

#[test]
fn leftovers_are_taken_over_or_released() {
    let netns = Netns::new();
    netns.run(|| async {
        let mut first = Assigner::open(Assigner::LIFETIME).unwrap();
        first.assign(V4).unwrap();
        first.assign(V6).unwrap();
        assert!(matches!(
            Assigner::open(Assigner::LIFETIME),
            Err(AssignError::AlreadyRunning)
        ));
        // As a crash leaves it.
        abandon(first);
        let mut second = Assigner::open(Assigner::LIFETIME).unwrap();
        assert_eq!(second.leftovers().collect::<Vec<_>>(), [V4, V6]);
        second.assign(V4).unwrap();
        assert_eq!(second.leftovers().collect::<Vec<_>>(), [V6]);
        second.release(V6).unwrap();
        assert_eq!(on_lo().await, BTreeSet::from([V4]));
        assert_eq!(second.assigned().collect::<Vec<_>>(), [V4]);
    });
}

#[test]
fn lifetimes_out_of_range_are_refused() {
    for seconds in [0, 3601] {
        let lifetime = Duration::from_secs(seconds);
        assert!(matches!(
            Assigner::open(lifetime),
            Err(AssignError::Lifetime(_))
        ));
    }
}

/// Not a test of its own: the process that the next test starts and kills.
#[test]
fn hold_addresses_until_killed() {
    if std::env::var_os(HELPER).is_none() {
        return;
    }
    let mut assigner = Assigner::open(Duration::from_secs(6)).unwrap();
    assigner.assign(V4).unwrap();
    assigner.assign(V6).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn the_kernel_ends_what_a_killed_process_left() {
    let netns = Netns::new();
    netns.run(|| async {
        let mut monitor = LinkMonitor::new().unwrap();
        let mut helper = Command::new(std::env::current_exe().unwrap());
        helper
            .args(["--exact", "assigned::hold_addresses_until_killed"])
            .env(HELPER, "1")
            .stdout(std::process::Stdio::null());
        let mut helper = spawn(&mut helper);
        loop {
            let links = monitor.next().await.unwrap();
            let lo = links.iter().find(|link| link.loopback).unwrap();
            if [V4, V6]
                .iter()
                .all(|ip| lo.addresses.iter().any(|a| a.ip == *ip))
            {
                break;
            }
        }
        helper.kill().unwrap();
        helper.wait().unwrap();
        assert_eq!(on_lo().await, BTreeSet::from([V4, V6]));
        until_gone().await;
        // Its lock and its table are no obstacle.
        Assigner::open(Assigner::LIFETIME).unwrap().close().unwrap();
    });
}

/// An ARP request from `far` for `target`.
fn request(target: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
    frame.extend_from_slice(&target.octets());
    frame
}

/// Who `near` answers for, of the targets; the last one it always answers for.
fn answered(far: &Netns, targets: &[Ipv4Addr]) -> Vec<Ipv4Addr> {
    let index = far.index("far");
    far.run(|| async {
        let socket = PacketSocket::open(index).unwrap();
        for target in targets {
            socket.try_send(&request(*target)).unwrap();
        }
        let mut answered = Vec::new();
        while answered.last() != targets.last() {
            let mut buf = [0; PacketSocket::FRAME_MAX];
            let length = socket.recv(&mut buf).await.unwrap();
            if buf[12..22] == [8, 6, 0, 1, 8, 0, 6, 4, 0, 2] && length >= 42 {
                answered.push(Ipv4Addr::new(buf[28], buf[29], buf[30], buf[31]));
            }
        }
        answered
    })
}

#[test]
fn the_kernel_is_silent_but_packet_sockets_see_the_request() {
    let (near, far) = addressed_cable();
    let (ours, own) = (Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(10, 0, 0, 1));
    let index = near.index("near");
    near.run(|| async {
        let tap = PacketSocket::open(index).unwrap();
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        assigner.assign(V4).unwrap();
        assert_eq!(answered(&far, &[ours, own]), [own]);
        assigner.renew().unwrap();
        assert_eq!(answered(&far, &[ours, own]), [own]);
        let mut buf = [0; PacketSocket::FRAME_MAX];
        let mut seen = Vec::new();
        while let Some(length) = tap.try_recv(&mut buf).unwrap() {
            seen.push(buf[..length].to_vec());
        }
        let requests = seen.iter().filter(|frame| **frame == request(ours));
        assert_eq!(requests.count(), 2);

        // Someone's `nft flush ruleset` is mended by the next renewal.
        near.command("nft", "flush ruleset");
        assert_eq!(answered(&far, &[ours, own]), [ours, own]);
        assigner.renew().unwrap();
        assert_eq!(answered(&far, &[ours, own]), [own]);

        // After a crash the silence lasts, and a restart keeps it.
        abandon(assigner);
        assert_eq!(answered(&far, &[ours, own]), [own]);
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        assert_eq!(answered(&far, &[ours, own]), [own]);
        assigner.assign(V4).unwrap();
        assigner.close().unwrap();
        near.ip("address add 10.0.0.7/32 dev lo");
        assert_eq!(answered(&far, &[ours, own]), [ours, own]);
    });
}

#[test]
fn connections_to_the_address_work() {
    let (near, far) = addressed_cable();
    far.ip("neighbour add 10.0.0.7 lladdr 02:00:00:00:00:01 dev far");
    far.ip("neighbour add 2001:db8::7 lladdr 02:00:00:00:00:01 dev far");
    near.enter(|| {
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        for ip in [V4, V6] {
            assigner.assign(ip).unwrap();
            let listener = TcpListener::bind((ip, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let client = far.enter(|| {
                let limit = Duration::from_secs(10);
                TcpStream::connect_timeout(&address, limit).unwrap()
            });
            let (server, _) = listener.accept().unwrap();
            assert_eq!(server.local_addr().unwrap(), address);
            assert_eq!(client.peer_addr().unwrap(), address);
        }
    });
}

#[test]
fn the_address_is_never_a_source_address() {
    let (near, _far) = addressed_cable();
    near.ip("link add name bare type veth peer name bare2");
    near.ip("link set bare up");
    near.ip("link set bare2 up");
    near.ip("route add 203.0.113.0/24 dev bare");
    near.ip("route add 2001:db8:1::/64 dev bare");
    near.enter(|| {
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        assigner.assign(V4).unwrap();
        assigner.assign(V6).unwrap();
        for (any, to, source) in [
            ("0.0.0.0:0", "10.0.0.2:9", "10.0.0.1"),
            ("0.0.0.0:0", "203.0.113.9:9", "10.0.0.1"),
            ("[::]:0", "[2001:db8::2]:9", "2001:db8::1"),
            ("[::]:0", "[2001:db8:1::9]:9", "2001:db8::1"),
        ] {
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect(to).unwrap();
            let chosen = socket.local_addr().unwrap().ip();
            assert_eq!(chosen, source.parse::<IpAddr>().unwrap(), "towards {to}");
        }
        // Nor where there is no other address.
        near.ip("address flush dev near scope global");
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("203.0.113.9:9").is_ok() {
            assert_ne!(socket.local_addr().unwrap().ip(), V4);
        }
    });
}

/// A neighbour solicitation from `far` for `target`.
fn solicitation(target: Ipv6Addr) -> Vec<u8> {
    let source = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    let [.., high, low] = target.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00,
        u16::from_be_bytes([high, low]),
    );
    let mut icmp = vec![135, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend_from_slice(&target.octets());
    icmp.extend_from_slice(&[1, 1, 2, 0, 0, 0, 0, 2]);
    let pseudo = [
        &source.octets()[..],
        &group.octets(),
        &[0, 0, 0, 32, 0, 0, 0, 58],
        &icmp,
    ];
    let words = pseudo.concat();
    let sum: u32 = words
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((folded & 0xffff) + (folded >> 16)) as u16);
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0xff, 0, high, low, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
    frame.extend_from_slice(&[0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend_from_slice(&source.octets());
    frame.extend_from_slice(&group.octets());
    frame.extend_from_slice(&icmp);
    frame
}

#[test]
fn the_kernel_answers_no_solicitation_for_it() {
    let (near, far) = addressed_cable();
    let own = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let ours = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
    let (near_index, far_index) = (near.index("near"), far.index("far"));
    near.enter(|| {
        let mut assigner = Assigner::open(Assigner::LIFETIME).unwrap();
        assigner.assign(V6).unwrap();
        // The group is joined, as it is when we answer ourselves.
        let mut groups = corten_host::groups::SolicitedNodeGroups::new();
        groups.join(near_index, ours).unwrap();
        far.run(|| async {
            let socket = PacketSocket::open(far_index).unwrap();
            socket.try_send(&solicitation(ours)).unwrap();
            socket.try_send(&solicitation(own)).unwrap();
            loop {
                let mut buf = [0; PacketSocket::FRAME_MAX];
                socket.recv(&mut buf).await.unwrap();
                if buf[54] == 136 {
                    assert_eq!(buf[62..78], own.octets());
                    break;
                }
            }
        });
    });
}
