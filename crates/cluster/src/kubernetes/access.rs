//! Who may read the metrics: whoever the API server knows by the token, and lets `get` the path
//! `/metrics` (`spec/metallb.md` §7.5).
//!
//! What it said is remembered for a while, little of it and bounded, so that scraping costs it next
//! to nothing. While it can't be asked, who was let in before still is: an outage is when metrics
//! are needed.

use super::{CallError, call};
use crate::http::Bearer;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What is asked for.
const PATH: &str = "/metrics";
/// How long it counts whose a token is.
const REVIEWED: Duration = Duration::from_secs(60);
/// How long it counts that it is nobody's.
const STRANGE: Duration = Duration::from_secs(10);
/// How long it counts that a user may.
const ALLOWED: Duration = Duration::from_secs(300);
/// How long it counts that it may not.
const DENIED: Duration = Duration::from_secs(30);
/// How long after its last review a token that was let in still is, if nobody can be asked.
const OUTAGE: Duration = Duration::from_secs(600);
/// Most tokens remembered, of users and of nobody each.
const REMEMBERED: usize = 256;
/// How long an answer may take in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most tokens asked about at once.
const PARALLEL: usize = 4;
/// How often to say that nobody can be asked.
const COMPLAINT: Duration = Duration::from_secs(60);

/// Why a client may not read the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It doesn't say who it is, or the API server doesn't know it.
    Unauthenticated,
    /// It is this user, who may not.
    Forbidden {
        /// Name of the user.
        user: String,
    },
    /// The API server doesn't say.
    Unknown {
        /// Why.
        cause: String,
        /// Whether it answered at all.
        reached: bool,
    },
}

/// Whether a client may read the metrics.
type Verdict = Result<(), Refusal>;

/// Asks the API server, and remembers.
pub struct Access {
    client: Client,
    memory: Mutex<Memory>,
    asking: Semaphore,
}

/// A token, as far as it is kept: its SHA-256.
type Print = [u8; 32];

/// What the API server said.
#[derive(Default)]
struct Memory {
    users: BTreeMap<Print, Known>,
    strangers: BTreeMap<Print, Instant>,
    complained: Option<Instant>,
}

/// Whose a token is.
struct Known {
    user: UserInfo,
    reviewed: Instant,
    judged: Option<Judged>,
}

/// What its user may.
#[derive(Clone, Copy)]
struct Judged {
    allowed: bool,
    until: Instant,
}

impl Access {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            memory: Mutex::default(),
            asking: Semaphore::new(PARALLEL),
        }
    }

    /// Judges a client by what it says it is allowed by.
    ///
    /// # Errors
    /// If it may not, or the API server doesn't say that it may.
    pub async fn judge(&self, bearer: Option<&Bearer>) -> Result<(), Refusal> {
        let Some(bearer) = bearer else {
            return Err(Refusal::Unauthenticated);
        };
        let print: Print = Sha256::digest(bearer.reveal()).into();
        if let Some(verdict) = self.memory().recall(&print) {
            return verdict;
        }
        match tokio::time::timeout(PATIENCE, self.ask(bearer, print)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => {
                let reached = error.code().is_some();
                self.memory().manage(&print, error.to_string(), reached)
            }
            Err(_) => {
                let cause = format!("no answer within {PATIENCE:?}");
                self.memory().manage(&print, cause, false)
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, bearer: &Bearer, print: Print) -> Result<Verdict, CallError> {
        // Never closed, so there is always one in the end.
        let _turn = self.asking.acquire().await;
        // Somebody may have asked the same meanwhile.
        if let Some(verdict) = self.memory().recall(&print) {
            return Ok(verdict);
        }
        if !self.memory().is_reviewed(&print) {
            let found = review(&self.client, bearer).await?;
            if !self.memory().learn(print, found) {
                return Ok(Err(Refusal::Unauthenticated));
            }
        }
        let unjudged = self.memory().unjudged(&print);
        if let Some(user) = unjudged {
            let allowed = may_read(&self.client, user).await?;
            self.memory().decide(&print, allowed);
        }
        // Nobody but a flood of other tokens can have made it forgotten since.
        let verdict = self.memory().recall(&print);
        Ok(verdict.unwrap_or(Err(Refusal::Unauthenticated)))
    }
}

impl Memory {
    /// What is known well enough.
    fn recall(&self, print: &Print) -> Option<Verdict> {
        let now = Instant::now();
        if self
            .strangers
            .get(print)
            .is_some_and(|at| now < *at + STRANGE)
        {
            return Some(Err(Refusal::Unauthenticated));
        }
        let known = self.users.get(print)?;
        let judged = known.judged.filter(|judged| now < judged.until)?;
        (now < known.reviewed + REVIEWED).then(|| {
            if judged.allowed {
                Ok(())
            } else {
                let user = known.user.username.clone().unwrap_or_default();
                Err(Refusal::Forbidden { user })
            }
        })
    }

    fn is_reviewed(&self, print: &Print) -> bool {
        let known = self.users.get(print);
        known.is_some_and(|known| Instant::now() < known.reviewed + REVIEWED)
    }

    /// Takes note of whose a token is; whether it is anybody's.
    fn learn(&mut self, print: Print, found: Option<UserInfo>) -> bool {
        let now = Instant::now();
        let Some(user) = found else {
            self.users.remove(&print);
            make_room(&mut self.strangers, |at| *at);
            self.strangers.insert(print, now);
            return false;
        };
        self.strangers.remove(&print);
        let before = self.users.remove(&print);
        // What the user may hasn't changed by its being asked about again.
        let judged = before.filter(|b| b.user == user).and_then(|b| b.judged);
        make_room(&mut self.users, |known| known.reviewed);
        let known = Known {
            user,
            reviewed: now,
            judged,
        };
        self.users.insert(print, known);
        true
    }

    /// The user of whom it is to be asked what it may.
    fn unjudged(&self, print: &Print) -> Option<UserInfo> {
        let known = self.users.get(print)?;
        let judged = known
            .judged
            .is_some_and(|judged| Instant::now() < judged.until);
        (!judged).then(|| known.user.clone())
    }

    fn decide(&mut self, print: &Print, allowed: bool) {
        if let Some(known) = self.users.get_mut(print) {
            let length = if allowed { ALLOWED } else { DENIED };
            let until = Instant::now() + length;
            known.judged = Some(Judged { allowed, until });
        }
    }

    /// Does without an answer.
    // DEVIATION: MetalLB answers 500 as soon as what it remembers is old.
    fn manage(&mut self, print: &Print, cause: String, reached: bool) -> Verdict {
        let now = Instant::now();
        if self.complained.is_none_or(|at| now >= at + COMPLAINT) {
            self.complained = Some(now);
            tracing::warn!(
                cause,
                "whether a client may read the metrics can't be asked"
            );
        }
        let let_in = self.users.get(print).is_some_and(|known| {
            known.judged.is_some_and(|j| j.allowed) && now < known.reviewed + OUTAGE
        });
        // A server that answers knows better; only one that is gone is done without.
        if let_in && !reached {
            Ok(())
        } else {
            Err(Refusal::Unknown { cause, reached })
        }
    }
}

/// Forgets the oldest where there are as many as are remembered.
fn make_room<T>(entries: &mut BTreeMap<Print, T>, age: impl Fn(&T) -> Instant) {
    while entries.len() >= REMEMBERED {
        let oldest = entries.iter().min_by_key(|(_, entry)| age(entry));
        let Some(print) = oldest.map(|(print, _)| *print) else {
            return;
        };
        entries.remove(&print);
    }
}

/// Whose the token is; nobody's if the API server says so.
async fn review(client: &Client, bearer: &Bearer) -> Result<Option<UserInfo>, CallError> {
    let api: Api<TokenReview> = Api::all(client.clone());
    let asked = TokenReview {
        spec: TokenReviewSpec {
            token: Some(bearer.reveal().to_owned()),
            ..TokenReviewSpec::default()
        },
        ..TokenReview::default()
    };
    let said = call(api.create(&PostParams::default(), &asked)).await?;
    let status = said.status.unwrap_or_default();
    let user = status.user.filter(|_| status.authenticated == Some(true));
    Ok(user)
}

/// Whether the user may read the metrics.
async fn may_read(client: &Client, user: UserInfo) -> Result<bool, CallError> {
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let asked = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username,
            uid: user.uid,
            groups: user.groups,
            extra: user.extra,
            non_resource_attributes: Some(NonResourceAttributes {
                path: Some(PATH.to_owned()),
                verb: Some("get".to_owned()),
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let said = call(api.create(&PostParams::default(), &asked)).await?;
    Ok(said.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests;
