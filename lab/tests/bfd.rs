//! BFD against the BFD of BIRD and FRR, each in a network namespace of its own.
//!
//! FRR's daemons give up root for the user `frr`, so they need real root, not a user namespace's.

use anyhow::{Context, Result, ensure};
use corten_host::udp::{Received, Receiver, SendOptions, Sender};
use corten_lab::netns::Netns;
use corten_lab::process::Process;
use corten_lab::router::{self, Bird};
use corten_lab::trial::{self, Trial};
use corten_wire::bfd::{
    Change, Diagnostic, Echo, Ignored, Options, Output, Path, Role, Session, State, Timers, iana,
};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::time::{sleep_until, timeout};

const TRIALS: &[Trial] = &[
    ("bird_over_ipv4", || bird("192.0.2.1", "192.0.2.2")),
    ("bird_over_ipv6", || bird("2001:db8::1", "2001:db8::2")),
    ("frr_over_one_hop", frr_over_one_hop),
    ("frr_over_several_hops", frr_over_several_hops),
    ("a_passive_frr_is_called", a_passive_frr_is_called),
];

const DEADLINE: Duration = Duration::from_secs(60);
/// Three of them pass without a word only where nobody runs for a second.
const INTERVAL: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    trial::main(TRIALS)
}

/// Our end and the router's, joined by a cable.
struct Line {
    near: Netns,
    far: Netns,
}

impl Line {
    fn new() -> Result<Self> {
        let (near, far) = router::cable()?;
        Ok(Self { near, far })
    }
}

/// One session of ours with its sockets.
struct Driver {
    session: Session,
    receiver: Receiver,
    sender: Sender,
    peer: IpAddr,
    /// The last packet that was taken.
    heard: Instant,
    /// When what is done now was to be done, however late a busy machine lets it.
    due: Instant,
    changes: Vec<(Instant, Change)>,
}

impl Driver {
    fn open(local: IpAddr, peer: IpAddr, path: Path) -> Result<Self> {
        let port = match path {
            Path::SingleHop => iana::PORT_CONTROL,
            Path::MultiHop { .. } => iana::PORT_MULTIHOP,
        };
        let sender = Sender::open(&SendOptions {
            remote: SocketAddr::new(peer, port),
            source: Some(local),
            device: Some("near".to_owned()),
            ttl: 255,
            dscp: 48,
            seed: 7,
        })?;
        let options = Options {
            discriminator: NonZeroU32::MIN.saturating_add(41),
            timers: timers(INTERVAL),
            role: Role::Active,
            path,
            echo: Echo::Off,
            control_plane_independent: false,
            seed: 7,
        };
        Ok(Self {
            session: Session::new(options, Instant::now()),
            receiver: Receiver::bind(SocketAddr::new(local, port), None)?,
            sender,
            peer,
            heard: Instant::now(),
            due: Instant::now(),
            changes: Vec::new(),
        })
    }

    /// Goes on until the session is as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Session) -> bool) -> Result<()> {
        let work = async {
            loop {
                self.drain()?;
                if wanted(&self.session) {
                    return Ok(());
                }
                self.step().await?;
            }
        };
        timeout(DEADLINE, work)
            .await
            .with_context(|| format!("waiting for {what}"))?
    }

    /// Goes on for a while.
    async fn run(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.drain()?;
            let _over = timeout(end - Instant::now(), self.step()).await;
        }
        self.drain()
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(packet) => self.sender.send(&packet)?,
                Output::SendEcho(_) => {}
                Output::Changed(change) => self.changes.push((self.due, change)),
            }
        }
        Ok(())
    }

    fn take(&mut self, buf: &[u8], received: Received) -> Result<()> {
        ensure!(received.from.ip() == self.peer, "{received:?}");
        let payload = buf.get(..received.length).unwrap_or_default();
        self.heard = Instant::now();
        self.due = self.heard;
        let taken = self
            .session
            .handle_packet(payload, received.ttl, self.heard);
        match taken {
            Ok(()) | Err(Ignored::AdminDown) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn step(&mut self) -> Result<()> {
        let due = self
            .session
            .poll_timeout()
            .context("a session without timer")?;
        let mut buf = [0; 64];
        tokio::select! {
            received = self.receiver.recv(&mut buf) => {
                let received = received?;
                self.take(&buf, received)?;
            }
            () = sleep_until(due.into()) => {
                while let Some(received) = self.receiver.try_recv(&mut buf)? {
                    self.take(&buf, received)?;
                }
                let now = Instant::now();
                self.due = self.session.poll_timeout().unwrap_or(now).min(now);
                self.session.handle_timeout(now);
            }
        }
        Ok(())
    }
}

fn timers(interval: Duration) -> Timers {
    Timers {
        desired_min_tx: interval,
        required_min_rx: interval,
        detect_multiplier: 3,
    }
}

fn is_up(session: &Session) -> bool {
    session.state().state == State::Up
}

/// Runs `work` in a namespace on a runtime of its own.
fn within<T: Send>(ns: &Netns, work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    ns.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(work())
    })
}

/// What every router must do with us: come up, agree on intervals and on new ones, stay up, be told
/// of an administrator's wish, and be found dead in time.
async fn all_of_it(driver: &mut Driver, router: &mut Process) -> Result<()> {
    driver.until("up", is_up).await?;
    let agreed = |s: &Session| {
        let state = s.state();
        state.transmit_interval == Some(INTERVAL) && state.detection_time == Some(INTERVAL * 3)
    };
    driver.until("the agreed intervals", agreed).await?;
    let detection = driver.session.state().detection_time;
    driver.run(Duration::from_secs(1)).await?;
    ensure!(is_up(&driver.session), "{:?}", driver.changes);
    ensure!(
        detection.is_some_and(|d| d <= INTERVAL * 3),
        "{detection:?}"
    );
    // New intervals, by a poll sequence the router answers.
    let slower = INTERVAL * 2;
    driver.session.set_timers(timers(slower), Instant::now());
    let confirmed = |s: &Session| s.state().transmit_interval == Some(slower);
    driver.until("an answer to the poll", confirmed).await?;
    driver.session.set_timers(timers(INTERVAL), Instant::now());
    driver.until("an answer to the second poll", agreed).await?;
    ensure!(
        driver
            .changes
            .iter()
            .filter(|(_, c)| c.from == State::Up)
            .count()
            == 0
    );
    // Down by our wish, and up again.
    driver.session.disable(Instant::now());
    let heard = |s: &Session| s.state().peer.state == State::Down;
    driver.until("the router to go down", heard).await?;
    driver.session.enable(Instant::now());
    driver.until("up again", |s| is_up(s) && agreed(s)).await?;
    driver.run(Duration::from_millis(500)).await?;
    ensure!(is_up(&driver.session), "{:?}", driver.changes);
    // Dead: found when the detection time is over since the last word.
    let detection = driver
        .session
        .state()
        .detection_time
        .context("no detection time")?;
    router.kill()?;
    driver.until("down", |s| !is_up(s)).await?;
    let (at, change) = driver.changes.last().context("no change")?;
    ensure!(change.diagnostic == Diagnostic::TIME_EXPIRED, "{change:?}");
    let took = at.duration_since(driver.heard);
    ensure!(took == detection, "{took:?}, not {detection:?}");
    Ok(())
}

fn bird(local: &str, peer: &str) -> Result<()> {
    let line = Line::new()?;
    let text = format!(
        "router id 192.0.2.2;\nprotocol device {{}}\nprotocol bfd {{\n  interface \"far\" {{ \
         interval 300 ms; multiplier 3; }};\n  neighbor {local} dev \"far\" local {peer};\n}}\n"
    );
    let mut bird = Bird::start(&line.far, "bird", &text)?;
    let (local, peer) = (local.parse()?, peer.parse()?);
    within(&line.near, async || {
        let mut driver = Driver::open(local, peer, Path::SingleHop)?;
        all_of_it(&mut driver, &mut bird.process).await
    })
}

/// FRR's zebra and bfdd.
struct Frr {
    dir: PathBuf,
    _zebra: Process,
    bfdd: Process,
}

impl Frr {
    fn start(line: &Line, name: &str, config: &str) -> Result<Self> {
        let dir = router::scratch(name)?;
        let zebra = router::zebra(&line.far, &dir)?;
        let bfdd = router::frr(&line.far, &dir, "bfdd", config)?;
        Ok(Self {
            dir,
            _zebra: zebra,
            bfdd,
        })
    }

    /// What bfdd says of the session. The driver goes on meanwhile: it must not fall silent.
    async fn says(&self, line: &Line, driver: &mut Driver) -> Result<String> {
        let (far, dir) = (line.far.clone(), self.dir.display().to_string());
        let asked = std::thread::spawn(move || {
            let args = ["--vty_socket", &dir, "-c", "show bfd peers json"];
            far.output("vtysh", &args)
        });
        driver.until("vtysh", |_| asked.is_finished()).await?;
        asked.join().ok().context("asking panicked")?
    }
}

fn peer(local: &str, more: &str) -> String {
    format!(
        "bfd\n peer 192.0.2.1 {local}\n  detect-multiplier 3\n  receive-interval 300\n  \
         transmit-interval 300\n{more} exit\nexit\n"
    )
}

fn frr_over_one_hop() -> Result<()> {
    let line = Line::new()?;
    let config = peer("local-address 192.0.2.2 interface far", "");
    let mut frr = Frr::start(&line, "frr", &config)?;
    within(&line.near, async || {
        let (local, peer) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
        let mut driver = Driver::open(local, peer, Path::SingleHop)?;
        driver.until("up", is_up).await?;
        driver.run(Duration::from_secs(1)).await?;
        let said = frr.says(&line, &mut driver).await?;
        for fact in [
            "\"status\":\"up\"",
            "\"remote-id\":42",
            "\"remote-detect-multiplier\":3",
        ] {
            ensure!(said.contains(fact), "no {fact} in {said}");
        }
        all_of_it(&mut driver, &mut frr.bfdd).await
    })
}

fn frr_over_several_hops() -> Result<()> {
    let line = Line::new()?;
    let config = peer("multihop local-address 192.0.2.2", "  minimum-ttl 250\n");
    let mut frr = Frr::start(&line, "frr-far", &config)?;
    within(&line.near, async || {
        let (local, peer) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
        let path = Path::MultiHop { minimum_ttl: 250 };
        let mut driver = Driver::open(local, peer, path)?;
        all_of_it(&mut driver, &mut frr.bfdd).await
    })
}

fn a_passive_frr_is_called() -> Result<()> {
    let line = Line::new()?;
    let config = peer("local-address 192.0.2.2 interface far", "  passive-mode\n");
    let frr = Frr::start(&line, "frr-passive", &config)?;
    within(&line.near, async || {
        let (local, peer) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
        let mut driver = Driver::open(local, peer, Path::SingleHop)?;
        driver.until("up", is_up).await?;
        let said = frr.says(&line, &mut driver).await?;
        ensure!(said.contains("\"passive-mode\":true"), "{said}");
        Ok(())
    })
}
