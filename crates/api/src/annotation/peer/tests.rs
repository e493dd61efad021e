use super::*;

fn check(annotations: &[(&str, &str)], want: Result<PeerWire, &[&str]>) {
    let map = annotations
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let got = PeerWire::of(&map.collect());
    let got = got.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>());
    let want = want.map_err(|errors| errors.iter().map(|e| (*e).to_owned()).collect());
    assert_eq!(got, want, "{annotations:?}");
}

#[test]
fn values() {
    let none = PeerWire::default();
    let role = |role, strict| PeerWire {
        role: Some(PeerRole { role, strict }),
        ..none
    };
    check(&[], Ok(none));
    check(
        &[("corten.io/bgp-role", "customer")],
        Ok(role(Role::Customer, false)),
    );
    check(
        &[("corten.io/bgp-role", "provider strict")],
        Ok(role(Role::Provider, true)),
    );
    check(
        &[("corten.io/bgp-role", "route-server")],
        Ok(role(Role::RouteServer, false)),
    );
    let client = role(Role::RouteServerClient, true);
    check(
        &[("corten.io/bgp-role", "route-server-client strict")],
        Ok(client),
    );
    check(
        &[("corten.io/bgp-role", "peer")],
        Ok(role(Role::Peer, false)),
    );
    check(
        &[
            ("corten.io/bgp-ttl-security", "254"),
            ("corten.io/bgp-dscp", "0"),
            ("corten.io/bgp-graceful-shutdown", "1m30s"),
            ("corten.io/bgp-listen", "1790"),
            ("corten.io/bgp-mss", "1200"),
            ("corten.io/bgp-user-timeout", "20s"),
        ],
        Ok(PeerWire {
            ttl_security: Some(254),
            dscp: Some(0),
            graceful_shutdown: Some(Duration::from_secs(90)),
            listen: Some(1790),
            mss: Some(1200),
            user_timeout: Some(Duration::from_secs(20)),
            ..none
        }),
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    check(
        &[
            ("corten.io/bgp-ttl-security", "0"),
            ("corten.io/bgp-role", "Customer"),
            ("corten.io/bgp-dscp", "64"),
        ],
        Err(&[
            "annotation corten.io/bgp-ttl-security: \"0\" is not a number from 1 to 254",
            "annotation corten.io/bgp-role: \"Customer\" is none of provider, route-server, \
             route-server-client, customer and peer, with or without \" strict\" behind it",
            "annotation corten.io/bgp-dscp: \"64\" is not a number from 0 to 63",
        ]),
    );
    let text = "annotation corten.io/bgp-dscp: \"cs6\" is not a number from 0 to 63";
    check(&[("corten.io/bgp-dscp", "cs6")], Err(&[text]));
    check(
        &[
            ("corten.io/bgp-listen", "0"),
            ("corten.io/bgp-graceful-shutdown", "5"),
            ("corten.io/bgp-mss", "87"),
            ("corten.io/bgp-user-timeout", "999ms"),
        ],
        Err(&[
            "annotation corten.io/bgp-graceful-shutdown: duration \"5\": missing unit (ns, us, ms, s, m or h)",
            "annotation corten.io/bgp-listen: \"0\" is not a number from 1 to 65535",
            "annotation corten.io/bgp-mss: \"87\" is not a number from 88 to 32767",
            "annotation corten.io/bgp-user-timeout: \"999ms\" is shorter than 1s",
        ]),
    );
}
