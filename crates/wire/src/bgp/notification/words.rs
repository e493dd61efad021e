//! The registries' names of error codes and subcodes.

use crate::bgp::iana::{
    ERROR_CEASE, ERROR_FSM, ERROR_HOLD_TIMER, ERROR_MESSAGE_HEADER, ERROR_OPEN,
    ERROR_ROUTE_REFRESH, ERROR_SEND_HOLD_TIMER, ERROR_UPDATE,
};

pub(super) const UNKNOWN: &str = "unknown error";

pub(super) fn code(code: u8) -> &'static str {
    match code {
        ERROR_MESSAGE_HEADER => "Message Header Error",
        ERROR_OPEN => "OPEN Message Error",
        ERROR_UPDATE => "UPDATE Message Error",
        ERROR_HOLD_TIMER => "Hold Timer Expired",
        ERROR_FSM => "Finite State Machine Error",
        ERROR_CEASE => "Cease",
        ERROR_ROUTE_REFRESH => "ROUTE-REFRESH Message Error",
        ERROR_SEND_HOLD_TIMER => "Send Hold Timer Expired",
        _ => UNKNOWN,
    }
}

/// The name; empty for subcode 0, which says nothing more; `None` for one without a name.
pub(super) fn subcode(code: u8, subcode: u8) -> Option<&'static str> {
    let names: &[&str] = match code {
        ERROR_MESSAGE_HEADER => &[
            "",
            "Connection Not Synchronized",
            "Bad Message Length",
            "Bad Message Type",
        ],
        ERROR_OPEN => &[
            "",
            "Unsupported Version Number",
            "Bad Peer AS",
            "Bad BGP Identifier",
            "Unsupported Optional Parameter",
            "Authentication Failure",
            "Unacceptable Hold Time",
            "Unsupported Capability",
            "subcode 8",
            "subcode 9",
            "subcode 10",
            "Role Mismatch",
        ],
        ERROR_UPDATE => &[
            "",
            "Malformed Attribute List",
            "Unrecognized Well-known Attribute",
            "Missing Well-known Attribute",
            "Attribute Flags Error",
            "Attribute Length Error",
            "Invalid ORIGIN Attribute",
            "AS Routing Loop",
            "Invalid NEXT_HOP Attribute",
            "Optional Attribute Error",
            "Invalid Network Field",
            "Malformed AS_PATH",
        ],
        ERROR_FSM => &[
            "",
            "Receive Unexpected Message in OpenSent State",
            "Receive Unexpected Message in OpenConfirm State",
            "Receive Unexpected Message in Established State",
        ],
        ERROR_CEASE => &[
            "",
            "Maximum Number of Prefixes Reached",
            "Administrative Shutdown",
            "Peer De-configured",
            "Administrative Reset",
            "Connection Rejected",
            "Other Configuration Change",
            "Connection Collision Resolution",
            "Out of Resources",
            "Hard Reset",
            "BFD Down",
        ],
        ERROR_ROUTE_REFRESH => &["", "Invalid Message Length"],
        _ => &[""],
    };
    names.get(usize::from(subcode)).copied()
}
