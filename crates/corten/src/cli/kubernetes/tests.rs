use super::arguments;
use crate::cli::{Cli, Command, LogLevel};
use clap::Parser as _;
use corten_cluster::kubernetes::frr::Part;
use corten_engine::advertise::bgp::frr::Passwords;
use std::ffi::OsString;

fn parse(line: &str) -> Result<Command, String> {
    let given = line.split(' ').map(OsString::from);
    Cli::try_parse_from(arguments(given))
        .map(|cli| cli.command)
        .map_err(|error| error.to_string())
}

#[test]
fn the_name_of_the_binary_is_the_command() {
    for line in [
        "/controller --port=9120 --log-level=info",
        "/usr/bin/corten controller --port=9120 --log-level=info",
        "/controller -port=9120 -log-level info",
    ] {
        let Ok(Command::Controller(args)) = parse(line) else {
            panic!("{line}: {:?}", parse(line));
        };
        assert_eq!(
            (args.common.port, args.common.log_level),
            (9120, LogLevel::Info)
        );
    }
    assert!(matches!(
        parse("/speaker --node-name=n1"),
        Ok(Command::Speaker(_))
    ));
    assert!(matches!(parse("/corten crds"), Ok(Command::Crds(_))));
}

#[test]
fn defaults_are_metallbs() {
    let Ok(Command::Speaker(args)) = parse("/speaker --node-name n1") else {
        panic!("no speaker");
    };
    assert_eq!(
        (args.common.port, args.common.health_probe_port),
        (9120, 17472)
    );
    assert_eq!(
        args.exclude_interfaces.to_str(),
        Some("/etc/metallb/excludel2.yaml")
    );
    assert!(!args.ignore_exclude_lb);
    let Ok(Command::Speaker(args)) = parse("/speaker --node-name n1 --ignore-exclude-lb") else {
        panic!("no speaker");
    };
    assert!(args.ignore_exclude_lb);
}

/// Every flag of `spec/metallb.md` §7.1 and §7.2.
#[test]
fn metallbs_flags_are_taken() {
    const BOTH: &str = "--port=9120 --namespace=n --log-level=debug --pprof-bind-address=:6060 \
        --health-probe-port=17472 --lb-class=c --pod-name=p --tls-min-version=VersionTLS12 \
        --tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 --tls-curve-preferences=29,23 \
        --metrics-cert-dir=/d";
    let line = format!(
        "/controller {BOTH} --ml-secret-name=s --deployment=d --disable-cert-rotation=true \
         --cert-dir=/c --cert-service-name=s --webhook-mode=onlywebhook --webhook-secret=s \
         --webhook-http2"
    );
    let Ok(Command::Controller(args)) = parse(&line) else {
        panic!("{:?}", parse(&line));
    };
    let idle: Vec<_> = args.without_effect().collect();
    assert_eq!(idle, ["--pprof-bind-address", "--webhook-http2"]);
    assert!(args.disable_cert_rotation && !args.leader_elect);
    assert_eq!(args.leader_elect_lease_duration.as_secs(), 15);
    let line = format!(
        "/speaker {BOTH} --bgp-debounce-timeout=500 --host=192.0.2.1 --ml-bindaddr=192.0.2.1 \
         --ml-bindport=7946 --ml-labels=a=b --ml-secret-key-path=/s --ml-wan-config --node-name=n \
         --ignore-exclude-lb --frrk8s-namespace=f --frrk8s-secret-passthrough"
    );
    let Ok(Command::Speaker(args)) = parse(&line) else {
        panic!("{:?}", parse(&line));
    };
    let idle: Vec<_> = args.without_effect().collect();
    assert_eq!(idle, ["--pprof-bind-address", "--bgp-debounce-timeout"]);
}

#[test]
fn frr_k8s_speaks_or_yields_or_is_not_there() {
    let rows = [
        ("", None, Passwords::Refer),
        (
            " --bgp-type=frr-k8s",
            Some(("own", Part::Speaks)),
            Passwords::Refer,
        ),
        (
            " --bgp-type=frr-k8s --frrk8s-namespace=frr",
            Some(("frr", Part::Speaks)),
            Passwords::Clear,
        ),
        (
            " --bgp-type=frr-k8s --frrk8s-namespace=frr --frrk8s-secret-passthrough",
            Some(("frr", Part::Speaks)),
            Passwords::Unseen,
        ),
        (
            " --bgp-type=native --frrk8s-namespace=frr",
            Some(("frr", Part::Yields)),
            Passwords::Clear,
        ),
    ];
    for (more, frr, passwords) in rows {
        let line = format!("/speaker --node-name n1{more}");
        let Ok(Command::Speaker(args)) = parse(&line) else {
            panic!("{line}");
        };
        assert!(args.check().is_ok(), "{line}");
        let seen = args.frr("own");
        let seen = seen.as_ref().map(|frr| (&*frr.namespace, frr.part));
        assert_eq!(seen, frr, "{line}");
        assert_eq!(args.passwords("own"), passwords, "{line}");
    }
    for more in ["", " --bgp-type=frr-k8s", " --frrk8s-namespace=frr"] {
        let line = format!("/speaker --node-name n1 --frrk8s-secret-passthrough{more}");
        let Ok(Command::Speaker(args)) = parse(&line) else {
            panic!("{line}");
        };
        assert!(args.check().is_err(), "{line}");
    }
}

#[test]
fn what_is_not_known_is_named() {
    for (line, named) in [
        ("/controller --no-such-flag", "--no-such-flag"),
        ("/controller --port=x", "--port"),
        ("/controller --log-level=loud", "loud"),
        (
            "/controller --leader-elect-lease-duration=1s",
            "whole seconds",
        ),
        (
            "/controller --leader-elect-lease-duration=3500ms",
            "whole seconds",
        ),
        (
            "/speaker --node-name n1 --bgp-debounce-timeout=0",
            "--bgp-debounce-timeout",
        ),
        ("/speaker --node-name n1 --lb-clas x", "--lb-clas"),
    ] {
        let error = parse(line).err().unwrap_or_default();
        assert!(error.contains(named), "{line}: {error}");
    }
}
