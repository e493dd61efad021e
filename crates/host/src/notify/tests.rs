use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::{Notifier, Watchdog};

/// A notifier with the variables as given.
fn notifier(variables: &[(&str, &str)]) -> Result<Notifier, super::NotifyError> {
    let get = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Notifier::new(&get, 7)
}

/// Everything a notifier says, as the service manager hears it.
fn check_said(manager: &UnixDatagram, notifier: &Notifier) {
    let hear = || {
        let mut buf = [0; 256];
        let length = manager.recv(&mut buf).unwrap();
        String::from_utf8(buf[..length].to_vec()).unwrap()
    };
    notifier.ready();
    assert_eq!(hear(), "READY=1");
    notifier.status("two\nlines");
    assert_eq!(hear(), "STATUS=two lines");
    notifier.alive();
    assert_eq!(hear(), "WATCHDOG=1");
    notifier.stopping();
    assert_eq!(hear(), "STOPPING=1");
    notifier.reloading();
    let reloading = hear();
    let since = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(since.parse::<u64>().unwrap() > 0);
}

#[test]
fn a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    check_said(
        &manager,
        &notifier(&[("NOTIFY_SOCKET", path.to_str().unwrap())]).unwrap(),
    );
}

#[test]
fn an_abstract_name() {
    let name = format!("corten-notify-test-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    check_said(
        &manager,
        &notifier(&[("NOTIFY_SOCKET", &format!("@{name}"))]).unwrap(),
    );
}

#[test]
fn nobody_listens() {
    notifier(&[]).unwrap().ready();
    for bad in ["", "relative", "/nowhere/notify", "@"] {
        let error = notifier(&[("NOTIFY_SOCKET", bad)]).unwrap_err().to_string();
        assert!(error.contains("NOTIFY_SOCKET"), "{error}");
    }
}

#[test]
fn the_watchdog_is_parsed() {
    let on = Watchdog::Every(Duration::from_secs(3));
    for (variables, expected) in [
        (&[][..], Watchdog::Off),
        (&[("WATCHDOG_USEC", "3000000")], on),
        (&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "7")], on),
        (
            &[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "8")],
            Watchdog::Off,
        ),
        (&[("WATCHDOG_USEC", "0")], Watchdog::Off),
        (&[("WATCHDOG_USEC", "soon")], Watchdog::Off),
    ] {
        assert_eq!(
            notifier(variables).unwrap().watchdog(),
            expected,
            "{variables:?}"
        );
    }
}
