//! Durations as the Go ecosystem writes them: `1h15m30.918s`, `-1.5h`, `300ms`, `0`.
//!
//! MetalLB's timers and our own annotations use this form. Reading accepts what Go's
//! `time.ParseDuration` accepts and gives the same nanoseconds; writing gives the shortest of
//! Go's forms, so a value that passed through Kubernetes' own types compares equal as text.

use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// A signed span of time, about ±292 years, in whole nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("empty duration")]
    Empty,
    /// No number where one must be.
    #[error("duration {0:?}: expected a number followed by a unit, such as 10s")]
    NotANumber(String),
    /// A number without unit.
    #[error("duration {0:?}: missing unit (ns, us, ms, s, m or h)")]
    MissingUnit(String),
    /// A unit Go doesn't know.
    #[error("duration {text:?}: unknown unit {unit:?} (ns, us, ms, s, m or h)")]
    UnknownUnit {
        /// The whole text.
        text: String,
        /// The unit.
        unit: String,
    },
    /// More than 64 bits of nanoseconds.
    #[error("duration {0:?}: too long")]
    Overflow(String),
    /// Below zero where only a length makes sense.
    #[error("duration {0:?}: must not be negative")]
    Negative(String),
}

impl GoDuration {
    /// The span of this many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds, negative for a negative span.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The length, or `None` if the span is negative.
    #[must_use]
    pub fn to_std(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }
}

impl std::str::FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", Decimal(nanos, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", Decimal(nanos, 1_000_000)),
            _ => {
                let minutes = nanos / MINUTE;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", Decimal(nanos % MINUTE, 1_000_000_000))
            }
        }
    }
}

/// The duration `text` says, negative ones included.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse(text: &str) -> Result<GoDuration, DurationError> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(GoDuration(0));
    }
    if rest.is_empty() {
        return Err(if text.is_empty() {
            DurationError::Empty
        } else {
            DurationError::NotANumber(text.to_owned())
        });
    }
    let overflow = || DurationError::Overflow(text.to_owned());
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanos, after) = term(text, rest)?;
        total = total.checked_add(nanos).ok_or_else(overflow)?;
        rest = after;
    }
    let signed = if negative {
        0_i64.checked_sub_unsigned(total)
    } else {
        i64::try_from(total).ok()
    };
    signed.map(GoDuration).ok_or_else(overflow)
}

/// The length `text` says, for settings that can't be negative.
///
/// # Errors
/// As [`parse`], and [`DurationError::Negative`].
pub fn parse_length(text: &str) -> Result<Duration, DurationError> {
    parse(text)?
        .to_std()
        .ok_or_else(|| DurationError::Negative(text.to_owned()))
}

const MINUTE: u64 = 60_000_000_000;

/// One number with its unit at the start of `rest`: its nanoseconds and what follows.
fn term<'a>(text: &str, rest: &'a str) -> Result<(u64, &'a str), DurationError> {
    let overflow = || DurationError::Overflow(text.to_owned());
    let (whole, after) = digits(rest);
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => digits(after),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::NotANumber(text.to_owned()));
    }
    let end = after
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(after.len());
    let (unit, after) = after.split_at(end);
    let scale = match unit {
        "" => return Err(DurationError::MissingUnit(text.to_owned())),
        "ns" => 1,
        // Go takes the micro sign, the Greek letter and plain u.
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => MINUTE,
        "h" => 60 * MINUTE,
        unknown => {
            return Err(DurationError::UnknownUnit {
                text: text.to_owned(),
                unit: unknown.to_owned(),
            });
        }
    };
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| overflow())?
    };
    let nanos = whole
        .checked_mul(scale)
        .and_then(|n| n.checked_add(fraction_of(fraction, scale)))
        .ok_or_else(overflow)?;
    Ok((nanos, after))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The nanoseconds of `0.<digits>` units, in double precision as Go computes them, so that
/// `0.3333333333333333333h` is 20 minutes and not a nanosecond less.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0_i64, 1.0_f64);
    for digit in digits.bytes() {
        // Digits that no longer fit can't change the result.
        let Some(longer) = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i64::from(digit - b'0')))
        else {
            break;
        };
        (value, scale) = (longer, scale * 10.0);
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// A count of nanoseconds in a larger unit, without trailing zeros.
struct Decimal(u64, u64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(nanos, unit) = *self;
        write!(f, "{}", nanos / unit)?;
        let mut rest = nanos % unit;
        if rest > 0 {
            f.write_str(".")?;
        }
        let mut place = unit;
        while rest > 0 {
            place /= 10;
            write!(f, "{}", rest / place)?;
            rest %= place;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
