//! The values of our own annotations on advertisements and peers, as types.
//!
//! Absent means MetalLB's behaviour. A value that can't be read is an error naming the annotation,
//! never a silent default: a misspelt `withhold` must not come to mean `report`. The value of
//! `corten.io/health` has its own module, [`crate::health`].

mod peer;

pub use peer::{PeerRole, PeerWire, Role};

use crate::duration::{self, DurationError};
use crate::names;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

/// Shortest period of the gratuitous refresh.
pub const MIN_REFRESH: Duration = Duration::from_secs(1);

/// What to do about a stranger answering for an announced address (RFC 5227 §2.4);
/// [`names::CONFLICT_POLICY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ConflictPolicy {
    /// Say so; delay and change nothing.
    #[default]
    Report,
    /// Don't announce while the stranger answers.
    Withhold,
    /// Announce again when the stranger answers, at most once every 10 s.
    Defend,
}

/// Period of the gratuitous refresh; [`names::GRATUITOUS_REFRESH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Refresh {
    /// Only on gain.
    #[default]
    Never,
    /// Also every so often.
    Every(Duration),
}

/// Whether whoever has an address keeps it; [`names::OWNERSHIP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Ownership {
    /// As the cluster's default is.
    #[default]
    Default,
    /// The hash alone decides, as in MetalLB.
    Metallb,
    /// Whoever has it keeps it.
    Sticky,
}

/// How long a Service that lost its last endpoint isn't announced again over BGP;
/// [`names::BGP_HOLD_DOWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HoldDown {
    /// It is as soon as there is one.
    #[default]
    Off,
    /// Not for so long since it lost the last one.
    For(Duration),
}

/// Why an annotation's value can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("annotation {name}: {cause}")]
pub struct AnnotationError {
    /// The annotation.
    pub name: &'static str,
    /// What is wrong with its value.
    pub cause: Cause,
}

/// What is wrong with an annotation's value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// None of the words it can be.
    #[error("{0:?} is none of report, withhold and defend")]
    Policy(String),
    /// None of the words it can be.
    #[error("{0:?} is neither metallb nor sticky")]
    Ownership(String),
    /// No duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// No number, or out of range.
    #[error("{text:?} is not a number from {low} to {high}")]
    Number {
        /// The value.
        text: String,
        /// The lowest it can be.
        low: u16,
        /// The highest.
        high: u16,
    },
    /// No role of a BGP speaker.
    #[error(
        "{0:?} is none of provider, route-server, route-server-client, customer and peer, with or \
         without \" strict\" behind it"
    )]
    Role(String),
    /// Shorter than [`MIN_REFRESH`].
    #[error("{0:?} is shorter than 1s")]
    TooShort(String),
}

impl ConflictPolicy {
    /// The policy the annotations ask for.
    ///
    /// # Errors
    /// The annotation is there and says none of the three policies.
    pub fn of(annotations: &BTreeMap<String, String>) -> Result<Self, AnnotationError> {
        let name = names::CONFLICT_POLICY;
        match annotations.get(name).map(String::as_str) {
            None => Ok(Self::default()),
            Some("report") => Ok(Self::Report),
            Some("withhold") => Ok(Self::Withhold),
            Some("defend") => Ok(Self::Defend),
            Some(other) => Err(AnnotationError {
                name,
                cause: Cause::Policy(other.to_owned()),
            }),
        }
    }
}

impl Ownership {
    /// What the annotations ask for.
    ///
    /// # Errors
    /// The annotation is there and says neither of the two.
    pub fn of(annotations: &BTreeMap<String, String>) -> Result<Self, AnnotationError> {
        let name = names::OWNERSHIP;
        match annotations.get(name).map(String::as_str) {
            None => Ok(Self::Default),
            Some("metallb") => Ok(Self::Metallb),
            Some("sticky") => Ok(Self::Sticky),
            Some(other) => Err(AnnotationError {
                name,
                cause: Cause::Ownership(other.to_owned()),
            }),
        }
    }
}

impl Refresh {
    /// The period the annotations ask for.
    ///
    /// # Errors
    /// The annotation is there and is no Go duration of at least [`MIN_REFRESH`].
    pub fn of(annotations: &BTreeMap<String, String>) -> Result<Self, AnnotationError> {
        let name = names::GRATUITOUS_REFRESH;
        let Some(text) = annotations.get(name) else {
            return Ok(Self::Never);
        };
        let refused = |cause| AnnotationError { name, cause };
        let period = duration::parse_length(text).map_err(|e| refused(e.into()))?;
        if period < MIN_REFRESH {
            return Err(refused(Cause::TooShort(text.clone())));
        }
        Ok(Self::Every(period))
    }
}

impl HoldDown {
    /// The time the annotations ask for.
    ///
    /// # Errors
    /// The annotation is there and is no Go duration.
    pub fn of(annotations: &BTreeMap<String, String>) -> Result<Self, AnnotationError> {
        let name = names::BGP_HOLD_DOWN;
        let Some(text) = annotations.get(name) else {
            return Ok(Self::Off);
        };
        let time = duration::parse_length(text).map_err(|cause| AnnotationError {
            name,
            cause: cause.into(),
        })?;
        Ok(match time {
            Duration::ZERO => Self::Off,
            time => Self::For(time),
        })
    }
}

#[cfg(test)]
mod tests;
