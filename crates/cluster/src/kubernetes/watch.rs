//! One kind's watch: begins with everything there is, resumes, and never gives up.
//!
//! What there is comes as a streaming list where the server has them, object by object; else in
//! pages. Either way it is as new as the request: never what a server that lags behind remembers,
//! since who allocates from an old list gives an address away twice.
//!
//! Whatever fails is said, and tried again after a pause that grows and differs between
//! processes. A watch that can't be resumed from where it was is begun anew with a list; objects
//! only count as gone when a whole list came without them.

use super::wire::Wire;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use rand::RngExt as _;
use std::time::Duration;

/// Objects a page of a list: small, since a page is what is held in memory in full.
const PAGE: u32 = 50;
/// How a streaming list is asked for; a watch from version 0 begins with whatever the server has
/// in memory, one from none with what there is.
const STREAMED: &str = "sendInitialEvents=true";
const FROM_MEMORY: &str = "resourceVersion=0";
/// The first pause.
const SHORTEST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(20);
/// Failures in a row after which what is known of the watch is given up and a list is made.
const PATIENCE: u32 = 5;

/// What a watch says.
pub(super) type Said = Result<Event<Wire>, watcher::Error>;

/// Which objects are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// All.
    All,
    /// Those with this label.
    Label(&'static str),
    /// The one of this name.
    Name(String),
}

struct Following {
    api: Api<Wire>,
    selector: Selector,
    stream: BoxStream<'static, Said>,
    lists: Lists,
    failures: u32,
}

/// How a list comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    /// As the beginning of a watch.
    Streamed,
    /// In pages: the server doesn't stream them.
    Paged,
}

/// Follows the objects of `api`, for ever.
pub(super) fn follow(api: Api<Wire>, selector: Selector) -> BoxStream<'static, Said> {
    let lists = Lists::Streamed;
    let stream = begin(&api, &selector, lists);
    let following = Following {
        api,
        selector,
        stream,
        lists,
        failures: 0,
    };
    unfold(following, |mut following| async move {
        let said = following.next().await;
        Some((said, following))
    })
    .boxed()
}

/// What a request of ours becomes before it is sent: kube begins streaming lists from what the
/// server has in memory, and has no setting for it.
pub(super) fn newest<B>(mut request: Request<B>) -> Request<B> {
    let query = request.uri().query().unwrap_or_default();
    let parameters = || query.split('&');
    if !parameters().any(|p| p == STREAMED) {
        return request;
    }
    let kept: Vec<&str> = parameters().filter(|p| *p != FROM_MEMORY).collect();
    let target = format!("{}?{}", request.uri().path(), kept.join("&"));
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

fn begin(api: &Api<Wire>, selector: &Selector, lists: Lists) -> BoxStream<'static, Said> {
    let config = match lists {
        Lists::Streamed => watcher::Config::default().streaming_lists(),
        Lists::Paged => watcher::Config::default().page_size(PAGE),
    };
    let config = match selector {
        Selector::All => config,
        Selector::Label(label) => config.labels(label),
        Selector::Name(name) => config.fields(&format!("metadata.name={name}")),
    };
    watcher(api.clone(), config).boxed()
}

impl Following {
    async fn next(&mut self) -> Said {
        if self.failures > 0 {
            tokio::time::sleep(pause(self.failures)).await;
        }
        let said = loop {
            match self.stream.next().await {
                Some(Err(error)) if self.lists == Lists::Streamed && is_not_streamed(&error) => {
                    tracing::debug!(%error, "lists come in pages");
                    self.lists = Lists::Paged;
                    self.begin();
                }
                Some(said) => break said,
                None => self.begin(),
            }
        };
        match &said {
            // The beginning of a list was not heard from the server.
            Ok(Event::Init) => {}
            Ok(_) => self.failures = 0,
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if is_lost(error) || self.failures.is_multiple_of(PATIENCE) {
                    self.begin();
                }
            }
        }
        said
    }

    fn begin(&mut self) {
        self.stream = begin(&self.api, &self.selector, self.lists);
    }
}

/// Whether the server takes no streaming lists: it refuses what asks for them as invalid.
fn is_not_streamed(error: &watcher::Error) -> bool {
    matches!(refusal(error), Some(400 | 422))
}

/// Whether the server doesn't know the kind.
pub(super) fn is_unknown(error: &watcher::Error) -> bool {
    refusal(error) == Some(404)
}

/// The code a list or watch was refused with.
fn refusal(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}

/// Whether the server has forgotten where the watch was (410), or never knew.
fn is_lost(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::WatchStartFailed(_)
        | watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

/// How long to wait after so many failures: doubled each time, and anything from half of that up.
pub(super) fn pause(failures: u32) -> Duration {
    let doubled = SHORTEST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    within(doubled.min(LONGEST))
}

/// Anything from half of it up, so that processes differ.
pub(super) fn within(longest: Duration) -> Duration {
    longest.mul_f64(rand::rng().random_range(0.5..1.0))
}

#[cfg(test)]
mod tests;
