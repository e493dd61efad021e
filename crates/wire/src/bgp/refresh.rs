//! ROUTE-REFRESH (RFC 2918) with its demarcation (RFC 7313).

use super::bytes::Reader;
use super::family::AfiSafi;
use super::iana::{REFRESH_BEGIN, REFRESH_END, REFRESH_REQUEST};

/// A ROUTE-REFRESH.
///
/// ```text
/// | AFI (2) | subtype (1) | SAFI (1) | outbound filters (RFC 5291), never negotiated here |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRefresh {
    /// For which routes.
    pub family: AfiSafi,
    /// What it says.
    pub subtype: RefreshKind,
}

/// What a ROUTE-REFRESH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshKind {
    /// Send everything again.
    Request,
    /// What follows is everything (BoRR).
    Begin,
    /// That was everything (EoRR).
    End,
    /// Something else, to be ignored (RFC 7313 §5).
    Other(u8),
}

impl RefreshKind {
    fn code(self) -> u8 {
        match self {
            Self::Request => REFRESH_REQUEST,
            Self::Begin => REFRESH_BEGIN,
            Self::End => REFRESH_END,
            Self::Other(code) => code,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            REFRESH_REQUEST => Self::Request,
            REFRESH_BEGIN => Self::Begin,
            REFRESH_END => Self::End,
            _ => Self::Other(code),
        }
    }
}

impl RouteRefresh {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.family.afi.to_be_bytes());
        out.extend_from_slice(&[self.subtype.code(), self.family.safi]);
    }

    /// Reads a body; `None` if the length is wrong: RFC 7313 §5 has BoRR and EoRR of exactly
    /// four octets, a request may have filters behind.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut from = Reader::new(body);
        let afi = from.u16()?;
        let [subtype, safi] = from.array()?;
        let subtype = RefreshKind::from_code(subtype);
        let bounded = matches!(subtype, RefreshKind::Begin | RefreshKind::End);
        if bounded && !from.is_empty() {
            return None;
        }
        Some(Self {
            family: AfiSafi { afi, safi },
            subtype,
        })
    }
}
