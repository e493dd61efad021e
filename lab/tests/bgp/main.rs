//! `corten run` with the BGP and BFD of FRR, BIRD and GoBGP, each in a network namespace of its own.
//!
//! FRR's daemons give up root for the user `frr`, so they need real root, not a user namespace's.

mod asking;
mod bad;
mod far;
mod leaving;
mod line;
mod meeting;
mod unnumbered;
mod watching;

use corten_lab::trial::{self, Trial};
use std::process::ExitCode;

const TRIALS: &[Trial] = &[
    ("frr_hears_both_families", meeting::frr_hears_both_families),
    (
        "frr_within_the_as_with_a_password",
        meeting::frr_within_the_as,
    ),
    ("bird_connects", meeting::bird_connects),
    ("bird_over_ipv6", meeting::bird_over_ipv6),
    (
        "gobgp_hears_both_families",
        meeting::gobgp_hears_both_families,
    ),
    (
        "frr_wants_a_near_customer",
        meeting::frr_wants_a_near_customer,
    ),
    ("a_router_between", far::a_router_between),
    ("behind_a_device", far::behind_a_device),
    ("the_wrong_as_is_named", meeting::the_wrong_as_is_named),
    ("a_crash_is_noticed", meeting::a_crash_is_noticed),
    (
        "a_silent_peer_holds_nothing_up",
        meeting::a_silent_peer_holds_nothing_up,
    ),
    ("bad_peers_disturb_nobody", bad::bad_peers_disturb_nobody),
    ("exabgp_says_odd_things", bad::exabgp_says_odd_things),
    (
        "what_is_announced_is_shown",
        asking::what_is_announced_is_shown,
    ),
    (
        "frr_is_told_before_a_node_leaves",
        leaving::frr_is_told_before_a_node_leaves,
    ),
    (
        "frr_keeps_routes_over_a_restart",
        leaving::frr_keeps_routes_over_a_restart,
    ),
    ("what_flaps_is_held_down", leaving::what_flaps_is_held_down),
    ("frr_without_an_address", unnumbered::frr_without_an_address),
    ("frr_and_a_dead_cable", watching::frr_and_a_dead_cable),
    ("frr_returns_echoes", watching::frr_returns_echoes),
    ("bird_and_a_dead_cable", watching::bird_and_a_dead_cable),
    (
        "an_administrator_kills_nothing",
        watching::an_administrator_kills_nothing,
    ),
];

fn main() -> ExitCode {
    trial::main(TRIALS)
}
