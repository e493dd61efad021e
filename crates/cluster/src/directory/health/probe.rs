//! One try of a health check, against this host.

use corten_api::health::{HealthCheck, HealthKind};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::process::Stdio;
use tokio::net::TcpStream;
use tokio::process::Command;

/// Tries `check` once; an error says what was wrong.
pub(super) async fn probe(check: &HealthCheck) -> Result<(), String> {
    let tried = async {
        match &check.kind {
            HealthKind::Tcp { port } => connect(*port).await.map(drop),
            HealthKind::Http { port, path, status } => http(*port, path, status).await,
            HealthKind::Exec { command } => exec(command).await,
        }
    };
    match tokio::time::timeout(check.timeout, tried).await {
        Ok(result) => result,
        Err(_) => Err(format!("no result within {:?}", check.timeout)),
    }
}

/// A connection over either family: a server may listen on one only.
async fn connect(port: u16) -> Result<TcpStream, String> {
    let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
    let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
    match TcpStream::connect((v4, port)).await {
        Ok(stream) => Ok(stream),
        Err(first) => match TcpStream::connect((v6, port)).await {
            Ok(stream) => Ok(stream),
            Err(_) => Err(format!("port {port}: {first}")),
        },
    }
}

async fn http(port: u16, path: &str, status: &RangeInclusive<u16>) -> Result<(), String> {
    let stream = connect(port).await?;
    let failed = |error: hyper::Error| format!("port {port}: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, format!("localhost:{port}"))
        .header(hyper::header::CONNECTION, "close")
        .header(hyper::header::USER_AGENT, "corten-health")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
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
        Err(format!("port {port}: {path} answers {got}"))
    }
}

async fn exec(command: &[String]) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    let status = child.wait().await;
    group.0 = None;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// The processes of a command; killed if it is given up before it ended.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // Fails if all of them have just ended.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests;
