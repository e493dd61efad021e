//! The right to write, and the gate every change passes.

use hyper::Method;
use kube::client::Body;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower::{Layer, Service};

/// Whether changes may be made; cheap to clone, and the same in all clones.
#[derive(Clone, Debug, Default)]
pub struct Right(Arc<Mutex<State>>);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// None may.
    #[default]
    Lost,
    /// They may.
    Held {
        /// Until when one may be begun.
        until: Instant,
        /// When one that was begun is given up.
        given_up: Instant,
    },
}

impl Right {
    /// Until when a change may be begun; none if none may.
    pub(super) fn until(&self) -> Option<Instant> {
        self.now().map(|(until, _)| until)
    }

    pub(super) fn extend(&self, until: Instant, given_up: Instant) {
        self.set(State::Held { until, given_up });
    }

    pub(super) fn lose(&self) {
        self.set(State::Lost);
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn now(&self) -> Option<(Instant, Instant)> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Held { until, given_up } if Instant::now() < until => Some((until, given_up)),
            State::Held { .. } | State::Lost => None,
        }
    }
}

/// Puts the gate before a client.
pub(super) struct Guard(pub(super) Right);

impl<S> Layer<S> for Guard {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate {
            right: self.0.clone(),
            inner,
        }
    }
}

/// Lets reading through, and changes while there is the right to them.
pub(super) struct Gate<S> {
    right: Right,
    inner: S,
}

type Refused = Box<dyn Error + Send + Sync>;

impl<S> Service<hyper::Request<Body>> for Gate<S>
where
    S: Service<hyper::Request<Body>>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: Into<Refused>,
{
    type Response = S::Response;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Refused>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            let reading = self.inner.call(request);
            return Box::pin(async move { reading.await.map_err(Into::into) });
        }
        let Some((_, given_up)) = self.right.now() else {
            return Box::pin(async { Err("the Lease isn't held".into()) });
        };
        let changing = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout_at(given_up, changing).await {
                Ok(changed) => changed.map_err(Into::into),
                Err(_) => Err("given up, since the Lease may be another's soon".into()),
            }
        })
    }
}
