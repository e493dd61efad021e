//! Events on Services (`spec/metallb.md` §3.6): what changed, not what was looked at again.

use super::State;
use crate::advertise::l2::{Announcement, Conflict, Reason, Verdict};
use crate::config::ConflictPolicy;
use crate::event::{EventRecord, Severity};
use crate::names::{NodeName, ServiceKey};
use std::collections::VecDeque;

/// Tells what a decision changed for the people who watch the Service.
pub(super) fn tell(
    node: &NodeName,
    service: &ServiceKey,
    before: Option<&State>,
    after: &State,
    events: &mut VecDeque<EventRecord>,
) {
    let mut emit = |severity, reason, message| {
        events.push_back(EventRecord {
            service: service.clone(),
            severity,
            reason,
            message,
        });
    };
    let verdict = before.map(|state| &state.verdict);
    match &after.verdict {
        // DEVIATION: MetalLB emits nodeAssigned on every successful reconcile; this on gain and change only.
        Verdict::Announce(now) if !verdict.is_some_and(|was| announced_alike(was, now)) => emit(
            Severity::Normal,
            "nodeAssigned",
            format!("announcing from node \"{node}\" with protocol \"layer2\""),
        ),
        // DEVIATION: MetalLB also emits nodeAssigned and sets the gauge when no named interface is there.
        Verdict::Withhold(reason @ Reason::NoInterface { .. })
            if verdict != Some(&after.verdict) =>
        {
            emit(
                Severity::Warning,
                "announceFailed",
                format!("not announcing from node \"{node}\": {reason}"),
            );
        }
        Verdict::Announce(_) | Verdict::Withhold(_) => {}
    }
    let Some(terms) = &after.held else { return };
    let known: &[Conflict] = match before {
        Some(before) if before.held.is_some() => &before.conflicts,
        Some(_) | None => &[],
    };
    for conflict in after.conflicts.iter().filter(|c| !known.contains(c)) {
        let consequence = match terms.conflict {
            ConflictPolicy::Report => "goes on announcing it",
            ConflictPolicy::Withhold => "doesn't announce it meanwhile",
            ConflictPolicy::Defend => "defends it",
        };
        emit(
            Severity::Warning,
            "AddressConflict",
            format!("{conflict}; node \"{node}\" {consequence}"),
        );
    }
}

/// Whether a verdict announces the same addresses on the same interfaces.
fn announced_alike(was: &Verdict, now: &Announcement) -> bool {
    match was {
        Verdict::Announce(was) => {
            was.addresses == now.addresses && was.interfaces == now.interfaces
        }
        Verdict::Withhold(_) => false,
    }
}
