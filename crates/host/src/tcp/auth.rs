//! Authentication of TCP segments: the kernel's option structures for TCP-MD5 (RFC 2385) and TCP-AO
//! (RFC 5925), laid out byte by byte, for the libraries have neither.
//!
//! Invariant: a key that was asked for is in force or there is an error; a connection is never
//! quietly unauthenticated.

use std::fmt;
use std::net::IpAddr;

/// Longest key either of them takes, in bytes (`TCP_MD5SIG_MAXKEYLEN`, `TCP_AO_MAXKEYLEN`).
pub const KEY_MAX: usize = 80;

/// Option names of `linux/tcp.h` that `libc` doesn't have.
pub(super) const TCP_AO_ADD_KEY: libc::c_int = 38;

/// `TCP_MD5SIG_FLAG_PREFIX`: the prefix length counts.
const FLAG_PREFIX: u8 = 1;
/// `TCP_MD5SIG_FLAG_IFINDEX`: the interface index counts.
const FLAG_INTERFACE: u8 = 2;

/// Bytes of a `sockaddr_storage`, with which both structures begin.
const ADDRESS: usize = 128;
/// Bytes of a `tcp_md5sig`.
const MD5: usize = 216;
/// Bytes of a `tcp_ao_add`.
const AO: usize = 288;
/// Bytes of `tcp_ao_add.alg_name`.
const AO_NAME: usize = 64;

/// A secret; it never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// Why a secret is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must have 1 to {KEY_MAX} bytes, this one has {length}")]
pub struct KeyError {
    /// Bytes it has.
    pub length: usize,
}

impl Key {
    /// A key of 1 to [`KEY_MAX`] bytes.
    ///
    /// # Errors
    /// Another length.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, KeyError> {
        let secret = secret.into();
        match secret.len() {
            1..=KEY_MAX => Ok(Self(secret)),
            length => Err(KeyError { length }),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Whom a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The peer, or any address of its network.
    pub address: IpAddr,
    /// Prefix length of the network; the family's full length for one peer.
    pub prefix: u8,
    /// Index of the VRF device or of the link a link-local peer is on, if the key is for that one
    /// only.
    pub interface: Option<u32>,
}

impl Whom {
    /// One peer, wherever it is.
    #[must_use]
    pub fn peer(address: IpAddr) -> Self {
        Self {
            address,
            prefix: full(address),
            interface: None,
        }
    }
}

fn full(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Algorithm of TCP-AO (RFC 5926 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1-96.
    HmacSha1,
    /// AES-128-CMAC-96.
    AesCmac,
}

impl Algorithm {
    /// The kernel's name for it.
    fn name(self) -> &'static [u8] {
        match self {
            Self::HmacSha1 => b"hmac(sha1)",
            Self::AesCmac => b"cmac(aes128)",
        }
    }
}

/// A master key tuple of TCP-AO (RFC 5925 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AoKey {
    /// The master key.
    pub key: Key,
    /// Algorithm.
    pub algorithm: Algorithm,
    /// SendID: names the key in segments sent.
    pub send_id: u8,
    /// RecvID: names the key in segments received.
    pub receive_id: u8,
}

/// Bytes of the truncated MAC of both algorithms (RFC 5926 §2.2).
const MAC: u8 = 12;

/// Writes bytes one after another into a structure that is zero elsewhere.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    /// Begins with the address of `whom` as a `sockaddr_storage`.
    fn new(address: IpAddr) -> Self {
        let mut writer = Self {
            bytes: [0; N],
            at: 0,
        };
        match address {
            // Family, port, address.
            IpAddr::V4(ip) => {
                writer.put(&(libc::AF_INET as u16).to_ne_bytes());
                writer.put(&[0; 2]);
                writer.put(&ip.octets());
            }
            // Family, port, flow, address; the scope goes by the interface's own field.
            IpAddr::V6(ip) => {
                writer.put(&(libc::AF_INET6 as u16).to_ne_bytes());
                writer.put(&[0; 6]);
                writer.put(&ip.octets());
            }
        }
        writer.at = ADDRESS;
        writer
    }

    /// What doesn't fit is dropped; the layouts below fit, as their tests show.
    fn put(&mut self, bytes: &[u8]) {
        let space = self.bytes.get_mut(self.at..).unwrap_or_default();
        for (to, from) in space.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.at += bytes.len();
    }
}

/// `struct tcp_md5sig`: address (128), flags (1), prefix length (1), key length (2), interface
/// index (4), key (80). Without a key it removes the one there is.
pub(super) fn md5(whom: Whom, key: Option<&Key>) -> [u8; MD5] {
    let mut writer = Writer::<MD5>::new(whom.address);
    let interface = whom.interface.unwrap_or_default();
    let flag = if whom.interface.is_some() {
        FLAG_INTERFACE
    } else {
        0
    };
    let key = key.map_or(&[][..], |key| &key.0);
    writer.put(&[FLAG_PREFIX | flag, whom.prefix]);
    writer.put(&(key.len() as u16).to_ne_bytes());
    writer.put(&interface.to_ne_bytes());
    writer.put(key);
    writer.bytes
}

/// `struct tcp_ao_add`: address (128), algorithm (64), interface index (4), flags (4), padding (2),
/// prefix length, SendID, RecvID, MAC length, key flags, key length (1 each), key (80).
pub(super) fn ao(whom: Whom, ao: &AoKey) -> [u8; AO] {
    let mut writer = Writer::<AO>::new(whom.address);
    writer.put(ao.algorithm.name());
    writer.at = ADDRESS + AO_NAME;
    writer.put(&whom.interface.unwrap_or_default().to_ne_bytes());
    // Current and next key at once: nothing is sent with an older one.
    writer.put(&flags(true, true).to_ne_bytes());
    writer.put(&[0; 2]);
    writer.put(&[whom.prefix, ao.send_id, ao.receive_id, MAC, 0]);
    writer.put(&[ao.key.0.len() as u8]);
    writer.put(&ao.key.0);
    writer.bytes
}

/// The bit field of `tcp_ao_add`: on little-endian machines it begins with the lowest bit.
fn flags(current: bool, next: bool) -> u32 {
    if cfg!(target_endian = "little") {
        u32::from(current) | u32::from(next) << 1
    } else {
        u32::from(current) << 31 | u32::from(next) << 30
    }
}

#[cfg(test)]
mod tests;
