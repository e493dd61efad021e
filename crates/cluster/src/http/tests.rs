use super::*;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

async fn echo(request: Request) -> Response {
    let Request {
        method,
        path,
        query,
        bearer,
        body,
    } = request;
    let bearer = bearer.map_or_else(String::new, |b| format!(" {}", b.reveal()));
    Response::text(
        200,
        format!("{method} {path} {query} {}{bearer}", body.len()),
    )
}

/// Runs `client` beside a server.
async fn with_server<T>(client: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    tokio::select! {
        never = serve(listener, echo) => match never {},
        result = client(address) => result,
    }
}

async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), sent: &[u8]) -> String {
    // A server that refuses early may close before all is sent.
    let _ = stream.write_all(sent).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, sent).await
}

#[tokio::test]
async fn requests_are_answered() {
    with_server(async |address| {
        let answer = ask(address, b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nGET /a b=c 0"), "{answer}");
        let sent = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz";
        assert!(ask(address, sent).await.ends_with("POST /a  3"));
        let answer = ask(address, b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn garbage_and_excess_end_only_their_connection() {
    with_server(async |address| {
        let long = [b"GET /".to_vec(), vec![b'a'; 2 * MAX_HEADER]].concat();
        let large = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            MAX_BODY + 1
        );
        let large = [large.into_bytes(), vec![b'a'; MAX_BODY + 1]].concat();
        let cases: [(&[u8], &str); 5] = [
            (b"\x16\x03\x01\x02\x00\x01\x00", "HTTP/1.1 400"),
            (b"\0\0\0\0\r\n\r\n", "HTTP/1.1 400"),
            (b"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 4"),
            (&long, "HTTP/1.1 4"),
            (&large, "HTTP/1.1 413"),
        ];
        for (sent, want) in cases {
            let answer = ask(address, sent).await;
            assert!(answer.starts_with(want), "{answer}");
        }
        drop(TcpStream::connect(address).await.unwrap());
        let answer = ask(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.contains("200 OK"), "{answer}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn silent_clients_are_dropped_and_others_then_served() {
    with_server(async |address| {
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HT").await.unwrap();
            silent.push(stream);
        }
        let start = tokio::time::Instant::now();
        // Over the limit: answered once the silent ones have had their time.
        let answer = ask(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.contains("200 OK"), "{answer}");
        assert!(start.elapsed() < CONNECTION_TIME, "{:?}", start.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_unix_socket_is_private_and_replaced_only_when_dead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("corten.sock");
    // Left behind by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::unix(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = Listener::unix(&path).unwrap_err().to_string();
    assert!(error.contains("another process listens"), "{error}");
    let client = async {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        exchange(&mut stream, b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await
    };
    let answer = tokio::select! {
        never = serve(listener, echo) => match never {},
        answer = client => answer,
    };
    assert!(answer.ends_with("GET /x  0"), "{answer}");
    assert!(!path.exists());
    std::fs::write(&path, "data").unwrap();
    let error = Listener::unix(&path).unwrap_err().to_string();
    assert!(error.contains("is no socket"), "{error}");
    let error = Listener::unix(&dir.path().join("absent/x")).unwrap_err();
    assert!(error.to_string().contains("absent/x"), "{error}");
}

#[test]
fn health_says_what_is_wrong() {
    let check = |path: &str, how: Health, status: u16, body: &str| {
        let response = health(path, &how).unwrap();
        assert_eq!(response.status, status, "{path} {how:?}");
        assert!(response.body.contains(body), "{path}: {}", response.body);
    };
    check("/healthz", Health::Waiting, 200, "ok");
    check("/healthz", Health::Ready, 200, "ok");
    check("/healthz", Health::Stuck("it"), 503, "it doesn't answer");
    check("/readyz", Health::Waiting, 503, "not everything");
    check("/readyz", Health::Ready, 200, "ok");
    check("/readyz", Health::Stuck("it"), 503, "it doesn't answer");
    assert_eq!(health("/", &Health::Ready), None);
}

#[tokio::test]
async fn only_bearer_tokens_are_taken_and_nothing_prints_them() {
    for (header, token) in [
        ("Bearer abc", Some("abc")),
        ("bearer  abc ", Some("abc")),
        ("Bearer ", None),
        ("Bearer", None),
        ("Basic abc", None),
        ("", None),
    ] {
        let found = Bearer::parse(header);
        assert_eq!(found.as_ref().map(Bearer::reveal), token, "{header}");
        assert!(!format!("{found:?}").contains("abc"));
    }
    with_server(async |address| {
        let sent = b"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\n\r\n";
        let answer = ask(address, sent).await;
        assert!(answer.ends_with("GET /a  0 abc"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn everywhere_is_both_families() {
    let listener = Listener::tcp(everywhere(0)).unwrap();
    let port = listener.address().unwrap().port();
    let both = async {
        for host in ["127.0.0.1", "::1"] {
            let address = format!("{host}:{port}").replace("::1:", "[::1]:");
            let answer = ask(
                address.parse().unwrap(),
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            );
            assert!(answer.await.contains("200 OK"), "{host}");
        }
    };
    tokio::select! {
        never = serve(listener, echo) => match never {},
        () = both => {}
    }
}

#[test]
fn json_is_encoded() {
    let response = Response::json(200, &["a"]);
    assert_eq!(
        (response.body.as_str(), response.content_type),
        ("[\"a\"]", JSON)
    );
}
