//! A LAN: a bridge in a namespace of its own.

use super::nodad;
use crate::frame::Mac;
use crate::netns::Netns;
use crate::sniff::Sniffer;
use crate::wait::wait_until;
use anyhow::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A broadcast domain with `10.N.0.0/24` and `fd00:N::/64`.
#[derive(Debug)]
pub struct Lan {
    /// The name.
    pub name: String,
    ns: Netns,
    number: u8,
}

/// A host's end of the cable to a LAN.
#[derive(Clone, Debug)]
pub struct Nic {
    /// The interface in the host's namespace.
    pub interface: String,
    /// The switch port at the other end, in the LAN's namespace.
    pub port: String,
    /// Link-layer address.
    pub mac: Mac,
    /// IPv4 address.
    pub ipv4: Ipv4Addr,
    /// IPv6 address, not the link-local one.
    pub ipv6: Ipv6Addr,
}

impl Lan {
    pub(crate) fn new(name: &str, number: u8) -> Result<Self> {
        let ns = Netns::new(&format!("lan-{name}"))?;
        ns.ip(&[
            "link add name br0 type bridge forward_delay 0",
            "link set dev br0 up",
        ])?;
        Ok(Self {
            name: name.to_owned(),
            ns,
            number,
        })
    }

    /// Plugs in a host: a NIC named `interface` with addresses ending in `host` (as decimal
    /// digits in both families).
    ///
    /// # Errors
    /// If the host number is taken.
    pub fn attach(&self, to: &Netns, interface: &str, host: u8) -> Result<Nic> {
        let port = format!("p{host}");
        let mac = Mac([0x02, 0xc0, 0, self.number, 0, host]);
        let nic = Nic {
            interface: interface.to_owned(),
            port: port.clone(),
            mac,
            ipv4: ipv4(self.number, host),
            ipv6: ipv6(self.number, host),
        };
        self.ns.ip(&[
            format!(
                "link add name {port} type veth peer name {interface} address {mac} netns {}",
                to.path()
            ),
            format!("link set dev {port} master br0"),
            format!("link set dev {port} up"),
        ])?;
        to.ip(&[
            format!("addr add {}/24 brd + dev {interface}", nic.ipv4),
            format!("addr add {}/64 dev {interface}{}", nic.ipv6, nodad(":")),
            format!("link set dev {interface} up"),
        ])?;
        self.wait_forwarding(&nic)?;
        Ok(nic)
    }

    /// Waits until a switch port forwards what the host sends: the bridge takes note of the
    /// carrier a moment after both ends are up, and drops frames until then.
    fn wait_forwarding(&self, nic: &Nic) -> Result<()> {
        let what = format!("a forwarding port {} of {}", nic.port, self.name);
        wait_until(&what, Duration::from_secs(60), || {
            let args = ["-json", "-details", "link", "show", "dev", &nic.port];
            let links: serde_json::Value = serde_json::from_str(&self.ns.output("ip", &args)?)?;
            let port = &links[0]["linkinfo"]["info_slave_data"];
            Ok((port["state"] == "forwarding").then_some(()))
        })
    }

    /// Pulls a cable out of the switch, or plugs it in again: the host loses its carrier.
    ///
    /// # Errors
    /// If there is no such port.
    pub fn set_cable(&self, nic: &Nic, plugged: bool) -> Result<()> {
        self.ns.set_link(&nic.port, plugged)
    }

    /// Unplugs a NIC for good: the interface disappears from its host.
    ///
    /// # Errors
    /// If there is no such port.
    pub fn remove(&self, nic: &Nic) -> Result<()> {
        self.ns.ip(&[format!("link del dev {}", nic.port)])
    }

    /// Makes the switch snoop on MLD and IGMP, and ask who wants which group: from then on a
    /// host hears only the multicast groups it joined.
    ///
    /// # Errors
    /// If the kernel's bridge can't.
    pub fn snoop(&self) -> Result<()> {
        self.ns.ip(&[
            "link set dev br0 type bridge mcast_snooping 1 mcast_querier 1 \
             mcast_query_response_interval 10 mcast_startup_query_interval 20",
        ])
    }

    /// Records every claim to an address on this LAN.
    ///
    /// # Errors
    /// If there is no raw socket to be had.
    pub fn sniff(&self) -> Result<Sniffer> {
        Sniffer::start(&self.ns)
    }

    /// The switch's namespace.
    #[must_use]
    pub fn ns(&self) -> &Netns {
        &self.ns
    }

    pub(super) fn address(&self, v6: bool, host: u8) -> IpAddr {
        address(self.number, v6, host)
    }

    pub(super) fn prefix(&self, v6: bool) -> String {
        if v6 {
            format!("fd00:{}::/64", self.number)
        } else {
            format!("10.{}.0.0/24", self.number)
        }
    }
}

pub(super) fn address(lan: u8, v6: bool, host: u8) -> IpAddr {
    if v6 {
        ipv6(lan, host).into()
    } else {
        ipv4(lan, host).into()
    }
}

fn ipv4(lan: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, lan, 0, host)
}

fn ipv6(lan: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, digits(lan), 0, 0, 0, 0, 0, digits(host))
}

/// The number whose hexadecimal digits read as `n`'s decimal ones.
fn digits(n: u8) -> u16 {
    let n = u16::from(n);
    ((n / 100) << 8) | ((n / 10 % 10) << 4) | (n % 10)
}
