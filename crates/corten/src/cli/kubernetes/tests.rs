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
        ("/speaker --node-name n1 --lb-clas x", "--lb-clas"),
    ] {
        let error = parse(line).err().unwrap_or_default();
        assert!(error.contains(named), "{line}: {error}");
    }
}
