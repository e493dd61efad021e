//! The nftables table `arp corten`: ARP requests for assigned addresses never reach the kernel's
//! own answering (`nf_tables` over netlink).
//!
//! ```text
//! table arp corten {
//!     set silent { type ipv4_addr; flags timeout; }
//!     chain input {
//!         type filter hook input priority 0; policy accept;
//!         arp operation request arp daddr ip @silent drop
//!     }
//! }
//! ```
//!
//! Every address in the set has a timeout of its own and is renewed with the address on `lo`. So a
//! killed process leaves the kernel silent for as long as the address stays (otherwise it would
//! begin to answer for an address another node may have taken over), and then an empty set, which
//! is harmless. That is why the table isn't bound to our socket (`NFT_TABLE_F_OWNER`). A table left
//! behind is replaced at the next start, in one transaction.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use socket2::Socket;

use crate::netlink::message::Request;
use crate::netlink::socket;

const TABLE: &[u8] = b"corten\0";
const CHAIN: &[u8] = b"input\0";
const SET: &[u8] = b"silent\0";

// linux/netfilter/nfnetlink.h and nf_tables.h. Messages:
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;
const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
const DELSETELEM: u16 = 14;

/// Every message's first attribute is the table, and its second or third the object's own name.
const NAME_OF_TABLE: u16 = 1;
const LIST_ELEMENT: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_ID: u16 = 10;
const ELEMENTS: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_TIMEOUT: u16 = 4;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;

// Values:
const FLAG_TIMEOUT: u32 = 0x10;
/// nft's own number for `ipv4_addr`, for whoever lists the set.
const TYPE_IPV4: u32 = 7;
const HOOK_ARP_INPUT: u32 = 0;
const NETWORK_HEADER: u32 = 1;
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const EQUAL: u32 = 0;
const VERDICT_DROP: u32 = 0;
/// Places in an ARP packet for IPv4 over Ethernet (RFC 826).
const OPERATION: u32 = 6;
const TARGET_ADDRESS: u32 = 24;
const OPERATION_REQUEST: [u8; 2] = [0, 1];

/// Addresses in one message: an attribute is at most 64 KiB long.
const PER_MESSAGE: usize = 1000;

/// Keeps the kernel from answering ARP for some addresses.
#[derive(Debug)]
pub(super) struct Silence {
    socket: Socket,
    timeout: Duration,
}

impl Silence {
    /// Makes the table anew, with these addresses in it for `timeout`.
    pub(super) fn open(timeout: Duration, addresses: &BTreeSet<IpAddr>) -> io::Result<Self> {
        let silence = Self {
            socket: socket::open(libc::NETLINK_NETFILTER, 0)?,
            timeout,
        };
        silence.make(addresses)?;
        Ok(silence)
    }

    /// Makes the table, in place of one that is there.
    fn make(&self, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
        let mut batch = Batch::new();
        // Made first, so that there is always one to delete.
        batch.table(NEWTABLE);
        batch.table(DELTABLE);
        batch.table(NEWTABLE);
        batch.set();
        batch.chain();
        batch.rule();
        batch.elements(NEWSETELEM, addresses, Some(self.timeout));
        self.commit(batch)
    }

    /// Adds an address; IPv6 needs none of this.
    pub(super) fn add(&self, ip: IpAddr) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.elements(NEWSETELEM, &BTreeSet::from([ip]), Some(self.timeout));
        self.commit(batch)
    }

    /// Removes an address.
    pub(super) fn remove(&self, ip: IpAddr) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.elements(DELSETELEM, &BTreeSet::from([ip]), None);
        match self.commit(batch) {
            // It has expired.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    /// Makes these the addresses, each with a new timeout. A table someone removed is made again.
    pub(super) fn renew(&self, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
        // Only new kernels change the timeout of an element that is there; all of them can replace
        // the whole set in one transaction.
        let mut batch = Batch::new();
        batch.flush();
        batch.elements(NEWSETELEM, addresses, Some(self.timeout));
        match self.commit(batch) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                tracing::warn!("someone removed the nftables table arp corten; it is made again");
                self.make(addresses)
            }
            result => result,
        }
    }

    /// Removes the table.
    pub(super) fn close(self) -> io::Result<()> {
        let mut batch = Batch::new();
        batch.table(DELTABLE);
        self.commit(batch)
    }

    fn commit(&self, batch: Batch) -> io::Result<()> {
        socket::send(&self.socket, &batch.finish())?;
        socket::acknowledged(&self.socket)
    }
}

/// A transaction: all of its messages or none take effect.
struct Batch {
    request: Request,
}

impl Batch {
    fn new() -> Self {
        let mut request = Request::default();
        let flags = libc::NLM_F_REQUEST as u16;
        request.message(
            BATCH_BEGIN,
            flags,
            0,
            &nfgenmsg(libc::AF_UNSPEC, NFTABLES),
            |_| {},
        );
        Self { request }
    }

    fn finish(mut self) -> Request {
        let flags = libc::NLM_F_REQUEST as u16;
        let fixed = nfgenmsg(libc::AF_UNSPEC, NFTABLES);
        self.request.message(BATCH_END, flags, 0, &fixed, |_| {});
        self.request
    }

    /// A message about the table or something in it.
    fn message(&mut self, kind: u16, fill: impl FnOnce(&mut Request)) {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_CREATE) as u16;
        let fixed = nfgenmsg(libc::NFPROTO_ARP, 0);
        self.request
            .message(NFTABLES << 8 | kind, flags, 0, &fixed, |request| {
                request.attribute(NAME_OF_TABLE, TABLE);
                fill(request);
            });
    }

    fn table(&mut self, kind: u16) {
        self.message(kind, |_| {});
    }

    fn set(&mut self) {
        self.message(NEWSET, |set| {
            set.attribute(SET_NAME, SET);
            set.number(SET_FLAGS, FLAG_TIMEOUT);
            set.number(SET_KEY_TYPE, TYPE_IPV4);
            set.number(SET_KEY_LENGTH, 4);
            set.number(SET_ID, 1);
        });
    }

    fn chain(&mut self) {
        self.message(NEWCHAIN, |chain| {
            chain.attribute(CHAIN_NAME, CHAIN);
            chain.nested(CHAIN_HOOK, |hook| {
                hook.number(HOOK_NUMBER, HOOK_ARP_INPUT);
                hook.number(HOOK_PRIORITY, 0);
            });
            chain.attribute(CHAIN_TYPE, b"filter\0");
        });
    }

    /// A request, for an address in the set: drop it.
    fn rule(&mut self) {
        self.message(NEWRULE, |rule| {
            rule.attribute(RULE_CHAIN, CHAIN);
            rule.nested(RULE_EXPRESSIONS, |list| {
                load(list, OPERATION, 2);
                expression(list, b"cmp\0", |cmp| {
                    cmp.number(1, REGISTER);
                    cmp.number(2, EQUAL);
                    cmp.nested(3, |data| data.attribute(DATA_VALUE, &OPERATION_REQUEST));
                });
                load(list, TARGET_ADDRESS, 4);
                expression(list, b"lookup\0", |lookup| {
                    lookup.attribute(1, SET);
                    lookup.number(2, REGISTER);
                    lookup.number(4, 1);
                });
                expression(list, b"immediate\0", |immediate| {
                    immediate.number(1, VERDICT_REGISTER);
                    immediate.nested(2, |data| {
                        data.nested(DATA_VERDICT, |verdict| verdict.number(1, VERDICT_DROP));
                    });
                });
            });
        });
    }

    /// Adds or removes the IPv4 addresses.
    fn elements(&mut self, kind: u16, addresses: &BTreeSet<IpAddr>, timeout: Option<Duration>) {
        let addresses: Vec<Ipv4Addr> = addresses
            .iter()
            .filter_map(|ip| match ip {
                IpAddr::V4(ip) => Some(*ip),
                IpAddr::V6(_) => None,
            })
            .collect();
        for part in addresses.chunks(PER_MESSAGE) {
            self.message(kind, |message| {
                message.attribute(SET_NAME, SET);
                message.nested(ELEMENTS, |list| {
                    for ip in part {
                        list.nested(LIST_ELEMENT, |element| {
                            let key = ip.octets();
                            element.nested(ELEMENT_KEY, |data| data.attribute(DATA_VALUE, &key));
                            if let Some(timeout) = timeout {
                                let milliseconds = timeout.as_millis() as u64;
                                element.attribute(ELEMENT_TIMEOUT, &milliseconds.to_be_bytes());
                            }
                        });
                    }
                });
            });
        }
    }

    /// Removes every address.
    fn flush(&mut self) {
        self.message(DELSETELEM, |message| message.attribute(SET_NAME, SET));
    }
}

/// `struct nfgenmsg`.
fn nfgenmsg(family: libc::c_int, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family as u8, 0, high, low]
}

/// Adds an expression to a rule.
fn expression(list: &mut Request, name: &[u8], fill: impl FnOnce(&mut Request)) {
    list.nested(LIST_ELEMENT, |element| {
        element.attribute(EXPRESSION_NAME, name);
        element.nested(EXPRESSION_DATA, fill);
    });
}

/// Adds the loading of a part of the ARP packet to a rule.
fn load(list: &mut Request, place: u32, length: u32) {
    expression(list, b"payload\0", |payload| {
        payload.number(1, REGISTER);
        payload.number(2, NETWORK_HEADER);
        payload.number(3, place);
        payload.number(4, length);
    });
}
