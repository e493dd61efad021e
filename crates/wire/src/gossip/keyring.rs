//! AES-GCM keys: one encrypts, any decrypts, so that a key can be exchanged without a stop.
//!
//! A sealed message is `version (1) | nonce (12) | ciphertext | tag (16)`; version 0 pads the
//! text to whole blocks (PKCS #7), version 1 doesn't. What is authenticated beside it is the
//! label, and on streams the frame's header before that.

use super::code::{ENCRYPTION_PADDED, ENCRYPTION_PLAIN};
use super::malformed::Malformed;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::aes::Aes192;
use aes_gcm::aes::cipher::consts::U12;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const BLOCK_LEN: usize = 16;
/// What sealing without padding adds.
pub(super) const OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

/// A key that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// AES has keys of 16, 24 and 32 bytes.
    #[error("a key has 16, 24 or 32 bytes, not {0}")]
    Length(usize),
    /// A key made of nothing is known to everybody.
    #[error("the secret is empty")]
    EmptySecret,
}

/// One AES key.
#[derive(Clone)]
pub struct Key {
    bytes: Vec<u8>,
    cipher: Cipher,
}

#[derive(Clone)]
enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<Aes256Gcm>),
}

impl Key {
    /// A key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// For any other length.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        let length = |_| KeyError::Length(bytes.len());
        let cipher = match bytes.len() {
            16 => Cipher::Aes128(Box::new(Aes128Gcm::new_from_slice(bytes).map_err(length)?)),
            24 => Cipher::Aes192(Box::new(
                AesGcm::<Aes192, U12>::new_from_slice(bytes).map_err(length)?,
            )),
            32 => Cipher::Aes256(Box::new(Aes256Gcm::new_from_slice(bytes).map_err(length)?)),
            other => return Err(KeyError::Length(other)),
        };
        Ok(Self {
            bytes: bytes.to_vec(),
            cipher,
        })
    }

    fn encrypt(&self, nonce: [u8; NONCE_LEN], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        let nonce = nonce.into();
        match &self.cipher {
            Cipher::Aes128(c) => c.encrypt(&nonce, payload),
            Cipher::Aes192(c) => c.encrypt(&nonce, payload),
            Cipher::Aes256(c) => c.encrypt(&nonce, payload),
        }
        .ok()
    }

    fn decrypt(&self, nonce: [u8; NONCE_LEN], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        let nonce = nonce.into();
        match &self.cipher {
            Cipher::Aes128(c) => c.decrypt(&nonce, payload),
            Cipher::Aes192(c) => c.decrypt(&nonce, payload),
            Cipher::Aes256(c) => c.decrypt(&nonce, payload),
        }
        .ok()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bits)", self.bytes.len() * 8)
    }
}

/// The keys in use: the first encrypts, each decrypts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    primary: Key,
    others: Vec<Key>,
}

impl Keyring {
    /// A ring of one key.
    #[must_use]
    pub fn new(primary: Key) -> Self {
        Self {
            primary,
            others: Vec::new(),
        }
    }

    /// The ring of a MetalLB secret: the key MetalLB makes of it encrypts, and the plain SHA-256
    /// of the secret decrypts, too.
    ///
    /// MetalLB's key is the first 32 bytes of the secret's text followed by the SHA-256 of nothing
    /// (`spec/metallb.md` §5.6, §12 quirk 1). A hash of the secret was surely meant; a peer that
    /// does so is understood.
    ///
    /// # Errors
    /// If the secret is empty.
    pub fn of_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.is_empty() {
            return Err(KeyError::EmptySecret);
        }
        let mut bytes: Vec<u8> = [secret, &Sha256::digest([])].concat();
        bytes.truncate(32);
        let mut ring = Self::new(Key::new(&bytes)?);
        ring.install(Key::new(&Sha256::digest(secret))?);
        Ok(ring)
    }

    /// The key that encrypts.
    #[must_use]
    pub fn primary(&self) -> &Key {
        &self.primary
    }

    /// Every key, the one that encrypts first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.primary).chain(&self.others)
    }

    /// Lets a key decrypt.
    pub fn install(&mut self, key: Key) {
        if !self.keys().any(|k| *k == key) {
            self.others.push(key);
        }
    }

    /// Lets a key encrypt; the one before goes on decrypting.
    pub fn promote(&mut self, key: Key) {
        self.others.retain(|k| *k != key);
        if self.primary != key {
            let before = std::mem::replace(&mut self.primary, key);
            self.others.insert(0, before);
        }
    }

    /// Takes a key away, unless it is the one that encrypts.
    pub fn remove(&mut self, key: &Key) {
        self.others.retain(|k| k != key);
    }

    /// Encrypts without padding; `None` only for texts beyond what AES-GCM can do.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        text: &[u8],
        beside: &[u8],
    ) -> Option<Vec<u8>> {
        let payload = Payload {
            msg: text,
            aad: beside,
        };
        let sealed = self.primary.encrypt(nonce, payload)?;
        let mut out = Vec::with_capacity(OVERHEAD + text.len());
        out.push(ENCRYPTION_PLAIN);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Some(out)
    }

    /// Decrypts with whichever key does.
    pub(super) fn open(&self, sealed: &[u8], beside: &[u8]) -> Result<Vec<u8>, Malformed> {
        let (&version, rest) = sealed.split_first().ok_or(Malformed::Truncated)?;
        let least = match version {
            ENCRYPTION_PADDED => BLOCK_LEN + TAG_LEN,
            ENCRYPTION_PLAIN => TAG_LEN,
            _ => return Err(Malformed::EncryptionVersion),
        };
        let (&nonce, sealed) = rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        if sealed.len() < least {
            return Err(Malformed::Truncated);
        }
        let open = |key: &Key| {
            let payload = Payload {
                msg: sealed,
                aad: beside,
            };
            key.decrypt(nonce, payload)
        };
        let mut text = self.keys().find_map(open).ok_or(Malformed::Key)?;
        if version == ENCRYPTION_PADDED {
            unpad(&mut text)?;
        }
        Ok(text)
    }
}

/// Takes PKCS #7 padding off: 1 to 16 bytes, each saying how many.
fn unpad(text: &mut Vec<u8>) -> Result<(), Malformed> {
    let &count = text.last().ok_or(Malformed::Padding)?;
    let start = text
        .len()
        .checked_sub(usize::from(count))
        .ok_or(Malformed::Padding)?;
    let whole = (1..=BLOCK_LEN).contains(&usize::from(count));
    if !whole || text.iter().skip(start).any(|&b| b != count) {
        return Err(Malformed::Padding);
    }
    text.truncate(start);
    Ok(())
}

#[cfg(test)]
mod tests;
