//! Writes that are tried until they stand: for each subject the newest, one request at a time, a
//! bounded number of subjects at once.

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
    complained: Option<Instant>,
}

struct Job<W> {
    write: W,
    failures: u32,
}

/// A write that ended.
struct Done<W: Write> {
    subject: W::Subject,
    write: W,
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
        while self.running.len() < self.parallel
            && let Some(subject) = self.queue.pop_front()
        {
            self.begin(subject);
        }
        let due = self.delayed.first().map(|(at, _)| *at);
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

    fn begin(&mut self, subject: W::Subject) {
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
                result,
            }
        }));
    }

    fn end(&mut self, done: Done<W>) {
        let Done {
            subject,
            write,
            result,
        } = done;
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

    fn complain(&mut self, subject: &W::Subject, error: &CallError) {
        let now = Instant::now();
        if self.complained.is_none_or(|at| now >= at + COMPLAINT) {
            self.complained = Some(now);
            let waiting = self.jobs.len();
            tracing::warn!(%subject, waiting, %error, "{} not written yet", W::WHAT);
        }
    }
}
