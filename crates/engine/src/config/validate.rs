//! Judging objects without using them: the same facts, the same compiler.

use super::backend::{self, Backend};
use crate::event::{Event, Object};
use crate::facts::{Facts, Families, Origin, Requested, Service};
use crate::rejection::{Fault, Kind, ObjectRef, Rejection, Subject};
use corten_api::health::HealthCheck;
use corten_api::names::HEALTH;
use std::collections::{BTreeMap, BTreeSet};

/// Everything wrong with `objects`, each with the place it was read from, sorted by place. What
/// the reader couldn't read (`unread`) is told too. With `backends`, also what those would refuse.
#[must_use]
pub fn validate_all(
    objects: Vec<(Object, String)>,
    unread: Vec<Rejection>,
    backends: &[Backend],
) -> Vec<Rejection> {
    let mut places = BTreeMap::new();
    let mut events = Vec::new();
    let mut problems = BTreeSet::new();
    for (object, place) in objects {
        let reference = object.reference();
        problems.extend(health(&object).map(|fault| fault.of(&reference)));
        places.insert(reference, place);
        events.push(Event::Apply(object));
    }
    events.push(Event::Rejections(unread));
    events.extend(Kind::ALL.into_iter().map(Event::Listed));
    let mut facts = Facts::new(Origin::Directory);
    facts.handle(events);
    problems.extend(facts.services.values().flat_map(|s| ungrantable(s)));
    problems.extend(facts.problems().iter().cloned());
    problems.extend(
        backends
            .iter()
            .flat_map(|backend| backend::check(&facts, *backend)),
    );
    let mut placed: Vec<Rejection> = problems.into_iter().map(|p| place(p, &places)).collect();
    placed.sort_by(|a, b| {
        file_and_line(a)
            .cmp(&file_and_line(b))
            .then_with(|| a.cmp(b))
    });
    placed
}

/// `pools.yaml:14` as file and line, so that line 9 comes before line 14.
fn file_and_line(problem: &Rejection) -> (&str, u64) {
    let place = problem.place.as_str();
    let split = place.rsplit_once(':');
    let numbered = split.and_then(|(file, line)| Some((file, line.parse().ok()?)));
    numbered.unwrap_or((place, 0))
}

fn place(mut problem: Rejection, places: &BTreeMap<ObjectRef, String>) -> Rejection {
    if let Subject::Object(object) = &problem.subject
        && problem.place.is_empty()
        && let Some(place) = places.get(object)
    {
        problem.place.clone_from(place);
    }
    problem
}

/// Requests of a Service that no pool can grant.
fn ungrantable(service: &Service) -> Vec<Rejection> {
    let mut faults = Vec::new();
    if !service.is_load_balancer {
        return Vec::new();
    }
    match &service.requested {
        Requested::Any | Requested::Addresses(_) => {}
        Requested::Invalid(cause) => faults.push(Fault::new("", cause)),
    }
    match service.families {
        Families::Invalid => {
            faults.push(Fault::new(
                "spec.clusterIPs",
                "not one address, nor one of each family",
            ));
        }
        Families::Headless => {
            let cause = "None: a headless Service gets no address";
            faults.push(Fault::new("spec.clusterIPs", cause));
        }
        Families::Unassigned | Families::Single(_) | Families::Dual => {}
    }
    let object = ObjectRef::new(Kind::Service, service.key.namespace(), service.key.name());
    faults.into_iter().map(|fault| fault.of(&object)).collect()
}

/// A health check that can't be read.
fn health(object: &Object) -> Option<Fault> {
    let Object::Service(service) = object else {
        return None;
    };
    let error = HealthCheck::parse(service.metadata.annotations.get(HEALTH)?).err()?;
    Some(Fault::new(format!("metadata.annotations[{HEALTH}]"), error))
}

#[cfg(test)]
mod tests;
