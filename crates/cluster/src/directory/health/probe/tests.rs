use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn check(text: &str) -> HealthCheck {
    HealthCheck::parse(text).unwrap()
}

async fn probe(check: &HealthCheck) -> Result<(), String> {
    super::probe(check).await.map_err(|fault| fault.to_string())
}

/// Serves `answer` to every connection, while `client` runs.
async fn with_server<T>(at: &str, answer: &str, client: impl AsyncFnOnce(u16) -> T) -> T {
    let listener = TcpListener::bind(at).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    };
    tokio::select! {
        () = serve => unreachable!(),
        result = client(port) => result,
    }
}

#[tokio::test]
async fn http_is_judged_by_its_status() {
    let cases = [
        ("127.0.0.1:0", "HTTP/1.1 204 No Content\r\n\r\n", ""),
        (
            "[::1]:0",
            "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx",
            "",
        ),
        ("127.0.0.1:0", "HTTP/1.1 503 No\r\n\r\n", "/x answers 503"),
        ("127.0.0.1:0", "nonsense", "port"),
        ("127.0.0.1:0", "", "port"),
    ];
    for (at, answer, want) in cases {
        let result = with_server(at, answer, async |port| {
            probe(&check(&format!("{{http: {{port: {port}, path: /x}}}}"))).await
        })
        .await;
        let got = result.err().unwrap_or_default();
        assert!(
            got.is_empty() == want.is_empty() && got.contains(want),
            "{answer}: {got}"
        );
    }
}

#[tokio::test]
async fn tcp_needs_a_connection_only() {
    let result = with_server("127.0.0.1:0", "", async |port| {
        probe(&check(&format!("{{tcp: {{port: {port}}}}}"))).await
    })
    .await;
    assert_eq!(result, Ok(()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = probe(&check(&format!("{{tcp: {{port: {port}}}}}"))).await;
    assert!(error.unwrap_err().contains("refused"));
}

#[tokio::test]
async fn commands_are_judged_by_their_exit() {
    let cases = [
        ("[\"true\"]", ""),
        ("[\"false\"]", "exit status: 1"),
        ("[/nonexistent/x]", "No such file"),
        ("[sh, -c, 'kill -9 $$']", "signal: 9"),
    ];
    for (command, want) in cases {
        let result = probe(&check(&format!(
            "{{exec: {{command: {command}}}, timeout: 10s}}"
        )))
        .await;
        let got = result.err().unwrap_or_default();
        assert!(
            got.is_empty() == want.is_empty() && got.contains(want),
            "{command}: {got}"
        );
    }
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("alive");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The grandchild holds the FIFO open for writing for as long as it lives.
    let script = format!(
        "sh -c 'exec 3>{0}; exec tail -f /dev/null' & wait",
        fifo.display()
    );
    let text = serde_json::json!({
        "exec": {"command": ["sh", "-c", script]}, "timeout": "500ms", "interval": "1s"
    });
    let mut reader = tokio::net::unix::pipe::OpenOptions::new()
        .open_receiver(&fifo)
        .unwrap();
    let error = probe(&check(&text.to_string())).await.unwrap_err();
    assert!(error.contains("500ms"), "{error}");
    let mut rest = Vec::new();
    let end = reader.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(10), end)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_command_that_ended_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("alive");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The child holds the FIFO open for writing before its parent ends.
    let script = format!("exec 3>{0}; tail -f /dev/null & exit 0", fifo.display());
    let text = serde_json::json!({"exec": {"command": ["sh", "-c", script]}, "timeout": "10s"});
    let mut reader = tokio::net::unix::pipe::OpenOptions::new()
        .open_receiver(&fifo)
        .unwrap();
    assert_eq!(probe(&check(&text.to_string())).await, Ok(()));
    let mut rest = Vec::new();
    let end = reader.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(10), end)
        .await
        .unwrap()
        .unwrap();
}

#[test]
fn what_this_process_lacks_is_nobody_elses_failure() {
    let cases = [
        (Errno::EMFILE, true),
        (Errno::ENFILE, true),
        (Errno::ECONNREFUSED, false),
        (Errno::ECONNRESET, false),
        (Errno::EADDRNOTAVAIL, false),
    ];
    for (errno, not_tried) in cases {
        let fault = Fault::of("port 1", &io::Error::from(errno));
        assert_eq!(matches!(fault, Fault::NotTried(_)), not_tried, "{errno}");
    }
}
