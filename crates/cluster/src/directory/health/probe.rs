//! One try of a health check, against this host.

use corten_api::health::{HealthCheck, HealthKind};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::process::Stdio;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::process::Command;

/// Why a try didn't succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    /// What is checked failed.
    #[error("{0}")]
    Failed(String),
    /// This process couldn't try, which says nothing of what is checked.
    #[error("not tried: {0}")]
    NotTried(String),
}

impl Fault {
    fn of(what: &str, error: &io::Error) -> Self {
        let text = format!("{what}: {error}");
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS) => {
                Self::NotTried(text)
            }
            Some(_) | None => Self::Failed(text),
        }
    }
}

/// Tries `check` once; an error says what was wrong.
pub(super) async fn probe(check: &HealthCheck) -> Result<(), Fault> {
    let tried = async {
        match &check.kind {
            HealthKind::Tcp { port } => connect(*port).await.map(drop),
            HealthKind::Http { port, path, status } => http(*port, path, status).await,
            HealthKind::Exec { command } => exec(command).await,
        }
    };
    match tokio::time::timeout(check.timeout, tried).await {
        Ok(result) => result,
        Err(_) => Err(Fault::Failed(format!(
            "no result within {:?}",
            check.timeout
        ))),
    }
}

/// A connection over either family: a server may listen on one only.
async fn connect(port: u16) -> Result<TcpStream, Fault> {
    let what = format!("port {port}");
    let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
    let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
    match TcpStream::connect((v4, port)).await {
        Ok(stream) => Ok(stream),
        Err(first) => match TcpStream::connect((v6, port)).await {
            Ok(stream) => Ok(stream),
            Err(second) => match Fault::of(&what, &second) {
                not_tried @ Fault::NotTried(_) => Err(not_tried),
                Fault::Failed(_) => Err(Fault::of(&what, &first)),
            },
        },
    }
}

async fn http(port: u16, path: &str, status: &RangeInclusive<u16>) -> Result<(), Fault> {
    let stream = connect(port).await?;
    let failed = |error: hyper::Error| Fault::Failed(format!("port {port}: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, format!("localhost:{port}"))
        .header(hyper::header::CONNECTION, "close")
        .header(hyper::header::USER_AGENT, "corten-health")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Fault::Failed(error.to_string()))?;
    let response = sender.send_request(request);
    tokio::pin!(response);
    // The answer is judged by its head; the connection is dropped with the body unread. It may
    // end, well or badly, with the head just read.
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        _ = connection => response.await,
    };
    let response = response.map_err(failed)?;
    let got = response.status().as_u16();
    if status.contains(&got) {
        Ok(())
    } else {
        Err(Fault::Failed(format!("port {port}: {path} answers {got}")))
    }
}

async fn exec(command: &[String]) -> Result<(), Fault> {
    let failed = |text: String| Err(Fault::Failed(text));
    let Some((program, arguments)) = command.split_first() else {
        return failed("no command".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Fault::of(program, &error))?;
    let _group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => failed(format!("{program}: {status}")),
        Err(error) => failed(format!("{program}: {error}")),
    }
}

/// The processes of a command; killed when it is given up, and when it ended and left some: one
/// more each time would be too many. Its id is nobody else's as long as one of them lives, and if
/// none does, ids are handed out in turn: it won't come round again that soon.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // Fails if all of them have ended.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests;
