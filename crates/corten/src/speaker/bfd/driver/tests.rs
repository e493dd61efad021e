use super::*;
use wire::State::{AdminDown, Down, Init, Up};

fn watch() -> Watch {
    let interval = Duration::from_millis(50);
    Watch {
        settings: Settings {
            timers: wire::Timers {
                desired_min_tx: interval,
                required_min_rx: interval,
                detect_multiplier: 3,
            },
            role: wire::Role::Active,
            minimum_ttl: 254,
            echo: Echo::Off,
        },
        running: None,
        error: None,
        mute: None,
        hardware: None,
        ups: 0,
        downs: 0,
        notices: 0,
    }
}

#[test]
fn only_a_dead_way_is_news_of_death() {
    let check = |from, to, peer, want: Option<News>| {
        let change = wire::Change {
            from,
            to,
            diagnostic: wire::Diagnostic::TIME_EXPIRED,
            peer,
            peer_control_plane_independent: false,
        };
        let mut watch = watch();
        assert_eq!(watch.note(&change), want, "{change:?}");
        let told = u64::from(want.is_some());
        assert_eq!(watch.notices, told, "{change:?}");
        let up = u64::from(to == Up);
        assert_eq!((watch.ups, watch.downs), (up, told - up), "{change:?}");
    };
    let dead = News::Dead("control detection time expired".to_owned());
    check(Down, Up, Init, Some(News::Up));
    check(Init, Up, Up, Some(News::Up));
    check(Up, Down, Up, Some(dead.clone()));
    check(Up, Down, Down, Some(dead));
    check(Up, Down, AdminDown, Some(News::Unwatched));
    check(Up, AdminDown, Up, Some(News::Unwatched));
    check(Down, Init, Down, None);
    check(Init, Down, Down, None);
    check(AdminDown, Down, Down, None);
}

#[test]
fn packets_arrive_where_the_rfcs_say() {
    let check = |local: &str, remote: &str, multihop, want: &str| {
        let way = Way {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            device: None,
            multihop,
        };
        let want = (want.parse::<SocketAddr>().unwrap(), None);
        assert_eq!(door(&way), want, "{way:?}");
    };
    check("192.0.2.1", "192.0.2.2:179", false, "192.0.2.1:3784");
    check("192.0.2.1", "192.0.2.2:179", true, "192.0.2.1:4784");
    check(
        "2001:db8::1",
        "[2001:db8::2]:179",
        false,
        "[2001:db8::1]:3784",
    );
    check("fe80::1", "[fe80::2%7]:0", false, "[fe80::1%7]:3784");
}

#[test]
fn what_is_not_wanted_any_more_is_let_go() {
    let (news, _receiver) = mpsc::unbounded_channel();
    let mut driver = Driver::new(1, news);
    let way = Way {
        // No host has it, so that no socket is opened.
        local: "192.0.2.77".parse().unwrap(),
        remote: "192.0.2.78:179".parse().unwrap(),
        device: None,
        multihop: false,
    };
    let now = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _within = runtime.enter();
    driver.apply(&[(way.clone(), watch().settings)].into(), now);
    let seen = driver.report();
    let error = seen[&way].error.as_deref().unwrap();
    assert!(error.contains("192.0.2.77"), "{error}");
    assert!(seen[&way].session.is_none());
    // It is tried again.
    assert_eq!(driver.next(), Some(now + LOOK));
    driver.apply(&Wanted::new(), now);
    assert_eq!(driver.next(), None);
    assert!(driver.report().is_empty());
}
