use super::*;
use crate::http::{self, Listener, Response};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn spoken(options: &TlsOptions) -> (Vec<String>, Vec<u16>) {
    let suites = options.provider.cipher_suites.iter();
    let suites = suites.filter(|s| s.tls13().is_none());
    let suites = suites.map(|s| s.suite().as_str().unwrap_or_default().to_owned());
    let curves = options.provider.kx_groups.iter();
    (suites.collect(), curves.map(|g| g.name().into()).collect())
}

#[test]
fn suites_and_curves_are_chosen_as_metallbs_flags_do() {
    use OldestTls::{V12, V13};
    const GCM: &str = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    const CHACHA: &str = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    let check = |oldest, suites: &str, curves: &str, expected: Result<(&[&str], &[u16]), &str>| {
        let found = TlsOptions::new(oldest, suites, curves);
        match (found, expected) {
            (Ok(options), Ok((suites, curves))) => {
                let (found_suites, found_curves) = spoken(&options);
                assert_eq!(found_suites, suites);
                assert_eq!(found_curves, curves);
            }
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, expected) => panic!("{suites} {curves}: {found:?}, not {expected:?}"),
        }
    };
    check(V12, GCM, "29", Ok((&[GCM], &[29])));
    check(V12, GCM, "24, 23", Ok((&[GCM], &[24, 23])));
    check(
        V12,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        "29",
        Ok((&[CHACHA], &[29])),
    );
    // What isn't spoken is left out, and TLS 1.3 stays.
    check(V12, "TLS_RSA_WITH_AES_128_CBC_SHA", "29", Ok((&[], &[29])));
    check(V12, "TLS_AES_128_GCM_SHA256", "25,29", Ok((&[], &[29])));
    check(V13, "", "4588,29", Ok((&spoken_by_default(), &[29])));
    check(V13, GCM, "", Err("TLS 1.3 is the least version"));
    check(
        V12,
        "TLS_NONSENSE",
        "",
        Err("\"TLS_NONSENSE\" is no cipher suite"),
    );
    check(V12, "", "25", Err("none of the curves"));
    check(V12, "", "1", Err("\"1\" is no curve"));
    check(V12, "", "X25519", Err("\"X25519\" is no curve"));
    check(V12, "", "29,29", Err("29 is named twice"));
}

fn spoken_by_default() -> Vec<&'static str> {
    let suites = ring::ALL_CIPHER_SUITES.iter();
    let suites = suites.filter(|s| s.tls13().is_none());
    suites.filter_map(|s| s.suite().as_str()).collect()
}

/// A client that takes any certificate.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The newest version a client speaks.
fn connector(newest: &'static SupportedProtocolVersion) -> TlsConnector {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[newest])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// What a server answers; an error if it ends the connection.
async fn get(to: SocketAddr, newest: &'static SupportedProtocolVersion) -> std::io::Result<String> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector(newest).connect(name, stream).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// Runs `client` beside a server with a certificate of its own.
async fn with_server<T>(oldest: OldestTls, client: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let server = TlsOptions::new(oldest, "", "").unwrap();
    let server = server.server(Own::new().unwrap().shown()).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::tls(address, server, http::MAX_BODY).unwrap();
    let address = listener.address().unwrap();
    let answer = async |_| Response::text(200, "hello");
    tokio::select! {
        never = http::serve(listener, answer) => match never {},
        result = client(address) => result,
    }
}

#[tokio::test]
async fn the_least_version_is_kept() {
    with_server(OldestTls::V13, async |address| {
        let answer = get(address, &version::TLS13).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
        get(address, &version::TLS12).await.unwrap_err();
    })
    .await;
    with_server(OldestTls::V12, async |address| {
        let answer = get(address, &version::TLS12).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_never_agrees_on_tls_makes_room_for_others() {
    with_server(OldestTls::V13, async |address| {
        let mut silent = Vec::new();
        for i in 0..http::MAX_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Nothing, garbage, or the beginning of a ClientHello.
            let said: &[u8] = [
                &b""[..],
                b"GET / HTTP/1.1\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01",
            ][i % 3];
            stream.write_all(said).await.unwrap();
            silent.push(stream);
        }
        let start = tokio::time::Instant::now();
        let answer = get(address, &version::TLS13).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
        assert!(start.elapsed().as_secs() < 15, "{:?}", start.elapsed());
    })
    .await;
}
