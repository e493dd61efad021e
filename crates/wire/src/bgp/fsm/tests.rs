//! Every state and every event of RFC 4271 §8.2.2, and the timers.

use super::*;
use crate::bgp::tests::start;

const SETTINGS: Settings = Settings {
    connect_retry: Duration::from_secs(32),
    delay_open: Duration::ZERO,
    passive: false,
    restarts: true,
};

const TIMES: Times = Times {
    hold: Duration::from_secs(90),
    keepalive: Duration::from_secs(30),
};

fn delaying() -> Settings {
    Settings {
        delay_open: Duration::from_secs(5),
        ..SETTINGS
    }
}

/// A machine in this state; `Connect+` and `Active+` have the DelayOpenTimer running.
fn machine(state: &str, now: Instant) -> Fsm {
    let settings = if state.ends_with('+') {
        delaying()
    } else {
        SETTINGS
    };
    let mut fsm = Fsm::new(settings, 7);
    let events: &[Event] = match state {
        "Idle" => &[],
        "Connect" => &[Event::ManualStart],
        "Connect+" => &[Event::ManualStart, Event::TcpConnectionAcked],
        "Active" => {
            // Where a connection that failed in OpenSent leads.
            &[
                Event::ManualStart,
                Event::TcpConnectionAcked,
                Event::TcpConnectionFails,
            ]
        }
        "Active+" => &[
            Event::ManualStart,
            Event::TcpConnectionAcked,
            Event::TcpConnectionFails,
            Event::TcpConnectionConfirmed,
        ],
        "OpenSent" => &[Event::ManualStart, Event::TcpConnectionAcked],
        "OpenConfirm" => &[
            Event::ManualStart,
            Event::TcpConnectionAcked,
            Event::Open(TIMES),
        ],
        "Established" => &[
            Event::ManualStart,
            Event::TcpConnectionAcked,
            Event::Open(TIMES),
            Event::Keepalive,
        ],
        other => panic!("{other}"),
    };
    for event in events {
        fsm.handle(event.clone(), now);
    }
    assert_eq!(fsm.state().to_string(), state.trim_end_matches('+'));
    assert_eq!(fsm.delays_open(), state.ends_with('+'));
    fsm
}

/// All of §8.1, and RFC 9687's, in order.
fn events() -> Vec<Event> {
    let stop = Notification::cease(2);
    vec![
        Event::ManualStart,
        Event::ManualStop(Some(stop.clone())),
        Event::AutomaticStart,
        Event::ManualStartPassive,
        Event::AutomaticStartPassive,
        Event::AutomaticStartDamped,
        Event::AutomaticStartDampedPassive,
        Event::AutomaticStop(Notification::cease(10)),
        Event::ConnectRetryTimerExpires,
        Event::HoldTimerExpires,
        Event::KeepaliveTimerExpires,
        Event::DelayOpenTimerExpires,
        Event::IdleHoldTimerExpires,
        Event::TcpConnectionValid,
        Event::TcpConnectionInvalid,
        Event::TcpConnectionAcked,
        Event::TcpConnectionConfirmed,
        Event::TcpConnectionFails,
        Event::Open(TIMES),
        Event::OpenDelayed(TIMES),
        Event::HeaderError(Notification::new(1, 1)),
        Event::OpenError(Notification::new(2, 2)),
        Event::OpenCollisionDump,
        Event::NotificationVersionError,
        Event::Notification,
        Event::Keepalive,
        Event::Update,
        Event::UpdateError(Notification::new(3, 1)),
        Event::SendHoldTimerExpires,
    ]
}

/// `=` is the same state without an action. `I` Idle, `C` Connect, `A` Active, `S` OpenSent,
/// `F` OpenConfirm, `E` Established; then `dial`, `drop`, `open`, `keep`, or a NOTIFICATION's
/// code and subcode. A falling to Idle that counts in the ConnectRetryCounter has a `+`.
const TABLE: &str = "
 1 | Idle C dial | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
 2 | Idle =      | Connect I drop       | Connect+ I drop      | Active I drop     | Active+ I drop       | OpenSent I 6/2 drop  | OpenConfirm I 6/2 drop | Established I 6/2 drop
 3 | Idle C dial | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
 4 | Idle C dial | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
 5 | Idle C dial | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
 6 | Idle C dial | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
 7 | Idle C dial | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
 8 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 6/10 drop + | OpenConfirm I 6/10 drop + | Established I 6/10 drop +
 9 | Idle =      | Connect C drop dial  | Connect+ C drop dial | Active C dial     | Active+ C dial       | OpenSent I 5/0 drop + | OpenConfirm I 5/0 drop + | Established I 5/0 drop +
10 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 4/0 drop + | OpenConfirm I 4/0 drop + | Established I 4/0 drop +
11 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 5/0 drop + | OpenConfirm F keep     | Established E keep
12 | Idle =      | Connect S open       | Connect+ S open      | Active S open     | Active+ S open       | OpenSent I 5/0 drop + | OpenConfirm I 5/0 drop + | Established I 5/0 drop +
13 | Idle C dial | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 5/0 drop + | OpenConfirm I 5/0 drop + | Established I 5/0 drop +
14 | Idle =      | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
15 | Idle =      | Connect =            | Connect+ =           | Active =          | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
16 | Idle =      | Connect S open       | Connect+ =           | Active S open     | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
17 | Idle =      | Connect S open       | Connect+ =           | Active S open     | Active+ =            | OpenSent =           | OpenConfirm =         | Established =
18 | Idle =      | Connect I drop       | Connect+ A drop      | Active I drop +   | Active+ I drop +     | OpenSent A drop      | OpenConfirm I drop +  | Established I drop +
19 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent F keep      | OpenConfirm I 5/2 drop + | Established I 5/3 drop +
20 | Idle =      | Connect F open keep  | Connect+ F open keep | Active F open keep | Active+ F open keep | OpenSent I 5/1 drop + | OpenConfirm I 5/2 drop + | Established I 5/3 drop +
21 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 1/1 drop + | OpenConfirm I 1/1 drop + | Established I 1/1 drop +
22 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 2/2 drop + | OpenConfirm I 2/2 drop + | Established I 5/3 drop +
23 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 6/7 drop + | OpenConfirm I 6/7 drop + | Established I 6/7 drop +
24 | Idle =      | Connect I drop +     | Connect+ I drop      | Active I drop +   | Active+ I drop       | OpenSent I drop      | OpenConfirm I drop    | Established I drop +
25 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I drop +    | OpenConfirm I drop +  | Established I drop +
26 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 5/1 drop + | OpenConfirm E         | Established =
27 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 5/1 drop + | OpenConfirm I 5/2 drop + | Established =
28 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 5/1 drop + | OpenConfirm I 5/2 drop + | Established I 3/1 drop +
29 | Idle =      | Connect I drop +     | Connect+ I drop +    | Active I drop +   | Active+ I drop +     | OpenSent I 5/0 drop + | OpenConfirm I 8/0 drop + | Established I 8/0 drop +
";

fn letter(state: State) -> &'static str {
    match state {
        State::Idle => "I",
        State::Connect => "C",
        State::Active => "A",
        State::OpenSent => "S",
        State::OpenConfirm => "F",
        State::Established => "E",
    }
}

fn outcome(from: State, fsm: &Fsm, counted: bool, actions: &[Action]) -> String {
    if fsm.state() == from && actions.is_empty() {
        return "=".to_owned();
    }
    let mut words = vec![letter(fsm.state()).to_owned()];
    words.extend(actions.iter().map(|action| match action {
        Action::Connect => "dial".to_owned(),
        Action::Drop => "drop".to_owned(),
        Action::SendOpen => "open".to_owned(),
        Action::SendKeepalive => "keep".to_owned(),
        Action::SendNotification(n) => format!("{}/{}", n.code, n.subcode),
    }));
    words.extend(counted.then(|| "+".to_owned()));
    words.join(" ")
}

#[test]
fn every_event_in_every_state() {
    let now = start();
    let rows: Vec<_> = TABLE.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), events().len());
    for (number, (row, event)) in rows.iter().zip(events()).enumerate() {
        let mut cells = row.split('|').map(str::trim);
        assert_eq!(cells.next(), Some((number + 1).to_string().as_str()));
        let mut states = 0;
        for cell in cells {
            states += 1;
            let (state, expected) = cell.split_once(' ').unwrap();
            let mut fsm = machine(state, now);
            let (from, retries) = (fsm.state(), fsm.retries());
            let actions = fsm.handle(event.clone(), now);
            let got = outcome(from, &fsm, fsm.retries() > retries, &actions);
            assert_eq!(got, expected.trim(), "event {} in {state}", number + 1);
            check_timers(&fsm, &event);
        }
        assert_eq!(states, 8);
    }
}

/// Which timers run follows from the state.
fn check_timers(fsm: &Fsm, event: &Event) {
    let timers = &fsm.timers;
    let running = (
        timers.connect_retry.is_some(),
        timers.hold.is_some(),
        timers.keepalive.is_some(),
        timers.idle_hold.is_some(),
        timers.send_hold.is_some(),
    );
    let stopped = matches!(event, Event::ManualStop(_));
    match fsm.state() {
        State::Idle => {
            let (retry, hold, keepalive, _, send) = running;
            assert!(!(retry || hold || keepalive || send));
            assert!(!stopped || timers.idle_hold.is_none());
        }
        State::Connect | State::Active => {
            let retries = timers.delay_open.is_none();
            assert_eq!(running, (retries, false, false, false, false));
        }
        State::OpenSent => assert_eq!(running, (false, true, false, false, false)),
        State::OpenConfirm | State::Established => {
            assert_eq!(running, (false, true, true, false, true));
        }
    }
}

#[test]
fn a_passive_machine_never_dials() {
    let now = start();
    let settings = Settings {
        passive: true,
        ..SETTINGS
    };
    for event in [
        Event::ManualStart,
        Event::AutomaticStart,
        Event::ManualStartPassive,
        Event::AutomaticStartPassive,
        Event::AutomaticStartDampedPassive,
        Event::IdleHoldTimerExpires,
    ] {
        let mut fsm = Fsm::new(settings, 7);
        assert_eq!(fsm.handle(event, now), []);
        assert_eq!((fsm.state(), fsm.next()), (State::Active, None));
        assert_eq!(
            fsm.handle(Event::TcpConnectionConfirmed, now),
            [Action::SendOpen]
        );
        // Back to waiting, still without a timer.
        assert_eq!(fsm.handle(Event::TcpConnectionFails, now), [Action::Drop]);
        assert_eq!((fsm.state(), fsm.next()), (State::Active, None));
    }
}

#[test]
fn attempts_back_off_up_to_the_connect_retry_time() {
    let mut now = start();
    let mut fsm = machine("Connect", now);
    let mut waits = Vec::new();
    for _ in 0..8 {
        fsm.handle(Event::TcpConnectionFails, now);
        let wait = fsm.next().unwrap() - now;
        waits.push(wait.as_secs_f64());
        // Damped: an automatic start before that changes nothing.
        assert_eq!(fsm.handle(Event::AutomaticStartDamped, now), []);
        now += wait;
        let due = fsm.pop_due(now);
        assert_eq!(due, Some(Event::IdleHoldTimerExpires));
        assert_eq!(fsm.handle(due.unwrap(), now), [Action::Connect]);
    }
    let expected = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0];
    for (wait, most) in waits.iter().zip(expected) {
        assert!((most * 0.75..=most).contains(wait), "{waits:?}");
    }
}

#[test]
fn only_a_stable_session_ends_the_back_off() {
    let check = |lasts: u64, at_once: bool| {
        let now = start();
        let mut fsm = machine("Connect", now);
        for _ in 0..3 {
            fsm.handle(Event::TcpConnectionFails, now);
            fsm.handle(Event::IdleHoldTimerExpires, now);
        }
        for event in [
            Event::TcpConnectionAcked,
            Event::Open(TIMES),
            Event::Keepalive,
        ] {
            fsm.handle(event, now);
        }
        let end = now + Duration::from_secs(lasts);
        fsm.handle(Event::Notification, end);
        assert_eq!(fsm.next() == Some(end), at_once, "after {lasts} s");
    };
    check(29, false);
    check(30, true);
}

#[test]
fn timers_expire_in_their_order() {
    let now = start();
    let mut fsm = machine("Established", now);
    let seconds = |fsm: &Fsm| (fsm.next().unwrap() - now).as_secs_f64();
    assert!(
        (22.5..=30.0).contains(&seconds(&fsm)),
        "keepalive, with jitter"
    );
    let late = now + Duration::from_secs(1000);
    let mut due = Vec::new();
    while let Some(event) = fsm.pop_due(late) {
        due.push(event);
    }
    let expected = [
        Event::KeepaliveTimerExpires,
        Event::HoldTimerExpires,
        Event::SendHoldTimerExpires,
    ];
    assert_eq!(due, expected);
    assert_eq!(fsm.pop_due(late), None);
}

#[test]
fn a_hold_time_of_zero_has_no_timers() {
    let now = start();
    let mut fsm = machine("OpenSent", now);
    fsm.handle(Event::Open(Times::default()), now);
    assert_eq!(fsm.next(), None);
    fsm.handle(Event::Keepalive, now);
    fsm.handle(Event::Update, now);
    fsm.said_something(now);
    fsm.sent(now);
    assert_eq!((fsm.state(), fsm.next()), (State::Established, None));
}

#[test]
fn what_arrives_and_what_leaves_restart_their_timers() {
    let now = start();
    let later = now + Duration::from_secs(20);
    let mut fsm = machine("Established", now);
    fsm.handle(Event::Update, later);
    assert_eq!(fsm.timers.hold, Some(later + TIMES.hold));
    fsm.sent(later);
    assert_eq!(fsm.timers.send_hold, Some(later + SEND_HOLD_TIME));
    fsm.said_something(later);
    assert!(fsm.timers.keepalive.unwrap() >= later + Duration::from_millis(22_500));
}

#[test]
fn one_that_rests_waits_that_long() {
    let now = start();
    let mut fsm = machine("Established", now);
    fsm.rest(Duration::from_secs(300), now);
    assert_eq!(fsm.state(), State::Established);
    fsm.handle(Event::AutomaticStop(Notification::cease(1)), now);
    fsm.rest(Duration::from_secs(300), now);
    assert_eq!(fsm.next(), Some(now + Duration::from_secs(300)));
}
