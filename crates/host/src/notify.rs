//! Telling the service manager how we are (`sd_notify(3)`), without its library.
//!
//! Outside a service manager everything here does nothing.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::sys;

/// How often the service manager wants to hear from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// Never.
    Off,
    /// [`Notifier::alive`] must be called more often than this; half of it is good.
    Every(Duration),
}

/// Where notifications go.
#[derive(Debug)]
enum Target {
    /// There is no service manager, or it doesn't listen.
    Nobody,
    /// Its socket.
    Manager(UnixDatagram),
}

/// The way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    target: Target,
    watchdog: Watchdog,
}

/// Why the service manager can't be told.
#[derive(Debug, thiserror::Error)]
#[error("service manager's socket {socket:?} (NOTIFY_SOCKET): {source}")]
pub struct NotifyError {
    socket: OsString,
    source: io::Error,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` is set but can't be used.
    pub fn from_environment() -> Result<Self, NotifyError> {
        Self::new(&|name| std::env::var_os(name), std::process::id())
    }

    /// As the variables say, for the process with number `pid`.
    fn new(variable: &dyn Fn(&str) -> Option<OsString>, pid: u32) -> Result<Self, NotifyError> {
        let target = match variable("NOTIFY_SOCKET") {
            None => Target::Nobody,
            Some(socket) => match connect(&socket) {
                Ok(connected) => Target::Manager(connected),
                Err(source) => return Err(NotifyError { socket, source }),
            },
        };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let for_us = number("WATCHDOG_PID").is_none_or(|wanted| wanted == u64::from(pid));
        let watchdog = match number("WATCHDOG_USEC") {
            Some(period) if period > 0 && for_us => Watchdog::Every(Duration::from_micros(period)),
            Some(_) | None => Watchdog::Off,
        };
        Ok(Self { target, watchdog })
    }

    /// How often to call [`alive`](Self::alive).
    #[must_use]
    pub fn watchdog(&self) -> Watchdog {
        self.watchdog
    }

    /// Start-up, or a reload, is finished.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// A reload has begun; [`ready`](Self::ready) ends it.
    pub fn reloading(&self) {
        let now = sys::monotonic().as_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// Shutdown has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Feeds the watchdog.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Describes the state in one line for people; a line break would end it.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// Sends, without ever waiting. A manager that can't be told must not stop the service.
    fn send(&self, state: &str) {
        if let Target::Manager(socket) = &self.target
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::debug!(state, %error, "the service manager was not told");
        }
    }
}

/// A socket connected to the path, or to the abstract name after `@`.
fn connect(name: &OsString) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "neither an absolute path nor an abstract name",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
