//! Connections of this network namespace, whoever has them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kernel's code for a connection that is up (`TCP_ESTABLISHED`).
const ESTABLISHED: &str = "01";

/// Both ends of every TCP connection that is up now in this thread's network namespace, the local
/// one first.
///
/// # Errors
/// If the kernel's tables can't be read.
pub fn established() -> io::Result<Vec<(SocketAddr, SocketAddr)>> {
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        match std::fs::read_to_string(format!("/proc/thread-self/net/{table}")) {
            Ok(text) => found.extend(text.lines().filter_map(connection)),
            // A kernel without IPv6 has no table of it.
            Err(error) if table == "tcp6" && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// A line of the table: number, local end, remote end, state, and more.
fn connection(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (end(words.next()?)?, end(words.next()?)?);
    (words.next()? == ESTABLISHED).then_some((local, remote))
}

/// An address in words of the host's byte order, and a port.
fn end(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::{connection, established};
    use std::net::{TcpListener, TcpStream};

    #[cfg(target_endian = "little")]
    #[test]
    fn lines() {
        let rows = [
            (
                "   1: 0100007F:0016 0200007F:D431 01 00000000:00000000 00:0 0",
                Some("127.0.0.1:22 127.0.0.2:54321"),
            ),
            (
                "   2: B80D0120000000000000000001000000:00B3 \
                 0000000000000000FFFF0000010200C0:0400 01 0",
                Some("[2001:db8::1]:179 192.0.2.1:1024"),
            ),
            // Listening, the heading, and half a line.
            ("   0: 00000000:0016 00000000:0000 0A 0", None),
            ("  sl  local_address rem_address   st tx_queue", None),
            ("   1: 0100007F:0016 0200007F:D4", None),
            ("", None),
        ];
        for (line, want) in rows {
            let got = connection(line).map(|(local, remote)| format!("{local} {remote}"));
            assert_eq!(got.as_deref(), want, "{line}");
        }
    }

    #[test]
    fn one_of_ours_is_there_until_it_is_closed() -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        let (far, _) = listener.accept()?;
        let ends = (near.local_addr()?, near.peer_addr()?);
        assert!(established()?.contains(&ends));
        drop((near, far));
        assert!(!established()?.contains(&ends));
        Ok(())
    }
}
