//! LZW as Go's `compress/lzw` has it, decompressed only up to a limit: a few bytes can stand for
//! very many.

use super::malformed::Malformed;
use weezl::decode::Decoder;
use weezl::encode::Encoder;
use weezl::{BitOrder, LzwStatus};

/// Literals are bytes.
const LITERAL_BITS: u8 = 8;
/// Decompressed at a time.
const CHUNK: usize = 4096;

/// Compresses; `None` if that can't be done.
pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    Encoder::new(BitOrder::Lsb, LITERAL_BITS).encode(bytes).ok()
}

/// Decompresses, at most `limit` bytes.
pub(super) fn decompress(mut bytes: &[u8], limit: usize) -> Result<Vec<u8>, Malformed> {
    let mut decoder = Decoder::new(BitOrder::Lsb, LITERAL_BITS);
    let mut out = Vec::new();
    let mut chunk = [0; CHUNK];
    loop {
        let step = decoder.decode_bytes(bytes, &mut chunk);
        let status = step.status.map_err(|_| Malformed::Compression)?;
        out.extend_from_slice(chunk.get(..step.consumed_out).unwrap_or_default());
        bytes = bytes.get(step.consumed_in..).unwrap_or_default();
        if out.len() > limit {
            return Err(Malformed::Size);
        }
        match status {
            LzwStatus::Done => return Ok(out),
            LzwStatus::Ok if step.consumed_in > 0 || step.consumed_out > 0 => {}
            // The end marker is missing.
            LzwStatus::Ok | LzwStatus::NoProgress => return Err(Malformed::Compression),
        }
    }
}

#[cfg(test)]
mod tests;
