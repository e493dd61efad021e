//! BGP communities and their aliases (`spec/metallb.md` §1.7, §2.4 "Communities").

use super::compile::{Rejections, Seniority, Surroundings};
use super::resources::Id;
use crate::rejection::{Fault, Kind};
use corten_api::bgp;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A BGP community.
///
/// The order is that of announcements (§6.2): by value, a standard one as if it were the large
/// one `value:0:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Community {
    /// RFC 1997: AS number and value.
    Standard(u16, u16),
    /// RFC 8092: global administrator and two values.
    Large(u32, u32, u32),
}

impl Community {
    fn sort_key(self) -> (u32, u32, u32, bool) {
        match self {
            Self::Standard(a, b) => (u32::from(a) << 16 | u32::from(b), 0, 0, false),
            Self::Large(a, b, c) => (a, b, c, true),
        }
    }
}

impl PartialOrd for Community {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Community {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(a, b) => write!(f, "{a}:{b}"),
            Self::Large(a, b, c) => write!(f, "large:{a}:{b}:{c}"),
        }
    }
}

impl Serialize for Community {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Why a text is no community.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommunityError {
    /// Neither two parts nor four.
    #[error("invalid community format: {0}")]
    Format(String),
    /// Four parts, the first of them not `large`.
    #[error("invalid community format: {0}: four parts, expected large:a:b:c")]
    NotLarge(String),
    /// A part out of range.
    #[error("invalid community format: {text}: {part:?} is not a number from 0 to {max}")]
    Part {
        /// The whole text.
        text: String,
        /// The part.
        part: String,
        /// The highest number.
        max: u32,
    },
}

impl FromStr for Community {
    type Err = CommunityError;

    fn from_str(text: &str) -> Result<Self, CommunityError> {
        match text.split(':').collect::<Vec<_>>().as_slice() {
            [a, b] => Ok(Self::Standard(
                number(text, a, u16::MAX.into())?,
                number(text, b, u16::MAX.into())?,
            )),
            ["large", a, b, c] => Ok(Self::Large(
                number(text, a, u32::MAX)?,
                number(text, b, u32::MAX)?,
                number(text, c, u32::MAX)?,
            )),
            [_, _, _, _] => Err(CommunityError::NotLarge(text.to_owned())),
            _ => Err(CommunityError::Format(text.to_owned())),
        }
    }
}

fn number<T: FromStr>(text: &str, part: &str, max: u32) -> Result<T, CommunityError> {
    let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| part.parse().ok())
        .flatten()
        .ok_or_else(|| CommunityError::Part {
            text: text.to_owned(),
            part: part.to_owned(),
            max,
        })
}

/// The aliases one Community object defines.
pub type Aliases = BTreeMap<String, Community>;

/// Compiles every Community. An alias two objects define is the senior one's, else the first
/// one's by name.
pub(super) fn compile(
    objects: &BTreeMap<Id, bgp::Community>,
    around: &Surroundings<'_>,
    rejections: &mut Rejections,
) -> BTreeMap<String, Aliases> {
    let previous = &around.previous.bgp.communities;
    let mut candidates = Vec::new();
    let mut refused = Vec::new();
    for (id, object) in rejections.unique(Kind::Community, objects) {
        match judge(object) {
            Ok(aliases) => {
                let seniority = match previous.get(&id.name) {
                    Some(before) if *before == aliases => Seniority::Same,
                    Some(_) => Seniority::Changed,
                    None => Seniority::New,
                };
                candidates.push((seniority, id, aliases));
            }
            Err(faults) => {
                rejections.add(Kind::Community, id, faults);
                refused.push(id);
            }
        }
    }
    candidates.sort_by_key(|(seniority, id, _)| (*seniority, *id));
    let mut accepted: BTreeMap<String, Aliases> = BTreeMap::new();
    for (_, id, aliases) in candidates {
        let faults: Vec<Fault> = clashes(&accepted, &aliases);
        if faults.is_empty() {
            accepted.insert(id.name.clone(), aliases);
        } else {
            rejections.add(Kind::Community, id, faults);
            refused.push(id);
        }
    }
    for id in refused {
        if let Some(aliases) = previous.get(&id.name)
            && clashes(&accepted, aliases).is_empty()
        {
            accepted.insert(id.name.clone(), aliases.clone());
        }
    }
    accepted
}

fn clashes(accepted: &BTreeMap<String, Aliases>, aliases: &Aliases) -> Vec<Fault> {
    let twice = |alias: &&String| accepted.values().any(|other| other.contains_key(*alias));
    let fault = |alias: &String| duplicate("spec.communities".to_owned(), alias);
    aliases.keys().filter(twice).map(fault).collect()
}

fn duplicate(field: String, alias: &str) -> Fault {
    Fault::new(
        field,
        format!("duplicate definition of community {alias:?}"),
    )
}

fn judge(object: &bgp::Community) -> Result<Aliases, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut aliases = Aliases::new();
    for (i, raw) in object.spec.communities.iter().enumerate() {
        let at = format!("spec.communities[{i}]");
        let name = raw.name.clone().unwrap_or_default();
        if name.is_empty() {
            faults.push(Fault::new(format!("{at}.name"), "missing name"));
            continue;
        }
        match raw.value.as_deref().unwrap_or_default().parse() {
            Ok(community) => {
                if aliases.insert(name.clone(), community).is_some() {
                    faults.push(duplicate(format!("{at}.name"), &name));
                }
            }
            Err(error) => {
                let error: CommunityError = error;
                faults.push(Fault::new(format!("{at}.value"), error));
            }
        }
    }
    if faults.is_empty() {
        Ok(aliases)
    } else {
        Err(faults)
    }
}

#[cfg(test)]
mod tests;
