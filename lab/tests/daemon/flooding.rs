//! A LAN full of questions, claims and garbage.

use crate::small;
use anyhow::{Context, Result, ensure};
use corten_lab::frame::{self, Mac};
use corten_lab::manifests::Stack;
use corten_lab::site::Site;
use corten_lab::trial::Trial;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) const TRIALS: &[Trial] = &[(
    "flooding::an_owned_address_is_answered_in_a_flood",
    an_owned_address_is_answered_in_a_flood,
)];

/// How often each address is asked for, and how often a question may be lost in the flood.
const ASKED: usize = 40;
const LOST: usize = 4;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Frames sent at least before the memory is looked at.
const FRAMES: usize = 50_000;

/// The frame of this number: a new machine with another target each time, every second one broken.
fn flood(number: usize) -> Vec<u8> {
    let bytes = u32::try_from(number % (1 << 30))
        .unwrap_or_default()
        .to_be_bytes();
    let [a, b, c, d] = bytes;
    let mac = Mac([2, 0xf1, a, b, c, d]);
    let v4 = Ipv4Addr::new(10, 77, c, d);
    // Of the pools, and owned by nobody.
    let target4 = Ipv4Addr::new(192, 0, 2, d | 0x10);
    let v6 = Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        0,
        0xf1,
        u16::from_be_bytes([a, b]),
        u16::from_be_bytes([c, d]),
    );
    let [.., low, last] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let target6 = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0xf1, low, last);
    let mut frame = match number % 5 {
        0 => frame::arp_request(mac, v4, target4),
        1 => frame::solicitation(mac, v6, target6),
        2 => frame::advertisement(mac, target6),
        3 => frame::arp_request(mac, target4, target4),
        _ => frame::solicitation(mac, Ipv6Addr::UNSPECIFIED, target6),
    };
    if number % 2 == 1 {
        let at = 12 + number / 2 % (frame.len() - 12);
        if number % 4 == 1 {
            frame.truncate(at.max(14));
        } else if let Some(byte) = frame.get_mut(at) {
            *byte ^= d | 1;
        }
    }
    frame
}

/// Asks for an address again and again; how many answers came.
fn answers(site: &Site, ip: IpAddr) -> Result<usize> {
    let client = site.world.client(0)?;
    let socket = client.socket()?;
    let mut heard = 0;
    for _ in 0..ASKED {
        heard += usize::from(client.time_answer(&socket, ip, PATIENCE)?.is_some());
    }
    Ok(heard)
}

fn an_owned_address_is_answered_in_a_flood() -> Result<()> {
    let mut site = small()?;
    site.write_service("web1", Stack::Dual, &[])?;
    // Another machine than the one that asks.
    site.world.add_client(0, 102)?;
    site.start(&[])?;
    site.wait_announced()?;
    let addresses = site.addresses()?;
    let before = site.allocator()?.process().resident_kib()?;
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let flooder = site.world.clients.get(1).context("the flooder")?.socket()?;
    let heard = thread::scope(|scope| {
        scope.spawn(|| -> Result<()> {
            while !stop.load(Ordering::Relaxed) || sent.load(Ordering::Relaxed) < FRAMES {
                flooder.send(&flood(sent.fetch_add(1, Ordering::Relaxed)))?;
            }
            Ok(())
        });
        let heard: Result<Vec<_>> = addresses.iter().map(|ip| answers(&site, *ip)).collect();
        stop.store(true, Ordering::Relaxed);
        heard
    })?;
    let after = site.allocator()?.process().resident_kib()?;
    let sent = sent.into_inner();
    println!("    {heard:?} of {ASKED} answered in {sent} frames, {before} KiB, then {after}");
    ensure!(
        heard.iter().all(|n| n + LOST >= ASKED),
        "{heard:?}\n{}",
        site.story()
    );
    ensure!(after < before + (4 << 10), "{before} KiB became {after}");
    ensure!(
        site.allocator()?.process().log().len() < 40,
        "{}",
        site.story()
    );
    // All of it is over.
    site.owners(0, &addresses)?;
    ensure!(site.allocator()?.status()?.conflicts.is_empty());
    Ok(())
}
