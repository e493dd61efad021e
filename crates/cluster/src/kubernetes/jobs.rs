//! Writes that are tried until they stand: for each subject the newest, one request at a time, a
//! bounded number of subjects at once.
//!
//! What is wrong with one subject delays that one. A server that can't be reached or has no time
//! delays them all: then one is tried at a time, each time another, until it has.

use super::watch::pause;
use super::{CallError, call};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// How often to say that writes fail.
const COMPLAINT: Duration = Duration::from_secs(10);

/// Does what a write asks for, unless that stands already.
pub(super) trait Write: Clone + PartialEq + Send + 'static {
    /// What it is about.
    type Subject: Clone + Ord + fmt::Display + Send + 'static;

    /// What the writes are, for the log.
    const WHAT: &'static str;

    /// Writes it; a subject that is gone is no failure.
    fn write(
        self,
        client: kube::Client,
        subject: Self::Subject,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send + 'static;
}

/// Writes on their way.
pub(super) struct Jobs<W: Write> {
    client: kube::Client,
    parallel: usize,
    jobs: BTreeMap<W::Subject, Job<W>>,
    /// Subjects whose job can begin.
    queue: VecDeque<W::Subject>,
    /// Subjects whose job waits until it is tried again.
    delayed: BTreeSet<(Instant, W::Subject)>,
    running: FuturesUnordered<BoxFuture<'static, Done<W>>>,
    /// Since when the server has no time for any of them; `None` while it has.
    trouble: Option<Trouble>,
    complained: Option<Instant>,
}

/// A server that takes no requests.
#[derive(Clone, Copy)]
struct Trouble {
    failures: u32,
    until: Instant,
}

struct Job<W> {
    write: W,
    failures: u32,
}

/// A write that ended.
struct Done<W: Write> {
    subject: W::Subject,
    write: W,
    begun: Instant,
    result: Result<(), CallError>,
}

impl<W: Write> Jobs<W> {
    /// None yet; at most `parallel` at once.
    pub(super) fn new(client: kube::Client, parallel: usize) -> Self {
        Self {
            client,
            parallel,
            jobs: BTreeMap::new(),
            queue: VecDeque::new(),
            delayed: BTreeSet::new(),
            running: FuturesUnordered::new(),
            trouble: None,
            complained: None,
        }
    }

    /// Has something written, instead of anything earlier about the subject.
    pub(super) fn put(&mut self, subject: W::Subject, write: W) {
        match self.jobs.get_mut(&subject) {
            // Queued, delayed or running: it is looked at again in any case.
            Some(job) => job.write = write,
            None => {
                self.jobs
                    .insert(subject.clone(), Job { write, failures: 0 });
                self.queue.push_back(subject);
            }
        }
    }

    /// A subject is gone: nothing about it that hasn't begun is written any more.
    pub(super) fn forget(&mut self, subject: &W::Subject) {
        self.jobs.remove(subject);
    }

    /// Goes on writing; ends after each write, and never if there is nothing to write. Nothing is
    /// lost if the future is dropped.
    pub(super) async fn progress(&mut self) {
        let now = Instant::now();
        while let Some((at, subject)) = self.delayed.pop_first() {
            if at > now {
                self.delayed.insert((at, subject));
                break;
            }
            self.queue.push_back(subject);
        }
        let at_once = match self.trouble {
            None => self.parallel,
            Some(trouble) if trouble.until <= now => 1,
            Some(_) => 0,
        };
        while self.running.len() < at_once
            && let Some(subject) = self.queue.pop_front()
        {
            self.begin(subject, now);
        }
        let due = self.due(now);
        let due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = self.running.next() => self.end(done),
            () = due => {}
        }
    }

    /// When something can begin that can't now, apart from what an ending write lets begin.
    fn due(&self, now: Instant) -> Option<Instant> {
        let delayed = self.delayed.first().map(|(at, _)| *at);
        let held = self.trouble.map(|trouble| trouble.until);
        let held = held.filter(|until| *until > now);
        match held {
            Some(until) if !self.queue.is_empty() => Some(until),
            Some(until) => delayed.map(|at| at.max(until)),
            None => delayed,
        }
    }

    fn begin(&mut self, subject: W::Subject, begun: Instant) {
        let Some(job) = self.jobs.get(&subject) else {
            return;
        };
        let (client, write) = (self.client.clone(), job.write.clone());
        self.running.push(Box::pin(async move {
            let request = write.clone().write(client, subject.clone());
            let result = call(request).await;
            Done {
                subject,
                write,
                begun,
                result,
            }
        }));
    }

    fn end(&mut self, done: Done<W>) {
        let Done {
            subject,
            write,
            begun,
            result,
        } = done;
        self.judge_server(begun, result.as_ref().err());
        let Some(job) = self.jobs.get_mut(&subject) else {
            return;
        };
        match result {
            Ok(()) if job.write == write => {
                self.jobs.remove(&subject);
            }
            Ok(()) => self.queue.push_back(subject),
            // Somebody changed it meanwhile: it is read anew.
            Err(error) if error.is_conflict() && job.failures == 0 => {
                job.failures = 1;
                self.queue.push_back(subject);
            }
            Err(error) => {
                job.failures = job.failures.saturating_add(1);
                let again = Instant::now() + pause(job.failures);
                self.delayed.insert((again, subject.clone()));
                self.complain(&subject, &error);
            }
        }
    }

    /// Whether the server takes requests, from what became of one.
    fn judge_server(&mut self, begun: Instant, error: Option<&CallError>) {
        if !error.is_some_and(CallError::is_of_server) {
            self.trouble = None;
            return;
        }
        let (failures, until) = self.trouble.map_or((0, begun), |t| (t.failures, t.until));
        // Those on their way when the first of them failed say nothing new.
        if begun >= until {
            let failures = failures.saturating_add(1);
            let until = Instant::now() + pause(failures);
            self.trouble = Some(Trouble { failures, until });
        }
    }

    fn complain(&mut self, subject: &W::Subject, error: &CallError) {
        let now = Instant::now();
        if self.complained.is_none_or(|at| now >= at + COMPLAINT) {
            self.complained = Some(now);
            let waiting = self.jobs.len();
            tracing::warn!(%subject, waiting, %error, "{} not written yet", W::WHAT);
        }
    }
}

#[cfg(test)]
mod tests;
