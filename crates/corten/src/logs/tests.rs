use super::*;
use std::sync::mpsc::{Sender as Reader, channel};

/// Hands on each line it takes, and fails or waits as it is told.
struct Out {
    taken: Reader<String>,
    go_on: Receiver<io::Result<()>>,
}

impl Write for Out {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let told = self.go_on.recv().unwrap_or(Ok(()));
        let _ = self.taken.send(String::from_utf8_lossy(line).into_owned());
        told.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines() -> (Lines, SyncSender<io::Result<()>>, Receiver<String>) {
    let ((taken, seen), (told, go_on)) = (channel(), sync_channel(8));
    let lines = Lines::to(Out { taken, go_on }).unwrap();
    (lines, told, seen)
}

#[test]
fn a_reader_that_stopped_holds_up_nobody() {
    let (lines, told, seen) = lines();
    let mut sender = lines.sender.clone();
    // One is being written, the queue is full, and the rest is lost.
    let (more, total) = (100, QUEUE as u64 + 100);
    for _ in 0..total {
        sender.write_all(b"line\n").unwrap();
    }
    let lost = lines.sender.lost.load(Ordering::Relaxed);
    assert!(lost == more || lost == more - 1, "{lost}");
    // The reader goes on: everything that waited is there.
    drop(told);
    for _ in lost..total {
        assert_eq!(seen.recv().unwrap(), "line\n");
    }
}

#[test]
fn a_reader_that_went_away_ends_nothing() {
    let (lines, told, seen) = lines();
    let mut sender = lines.sender.clone();
    told.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
    sender.write_all(b"lost\n").unwrap();
    sender.write_all(b"read again\n").unwrap();
    drop(told);
    drop(lines);
    // Dropping waits until all of them are written.
    assert_eq!(seen.try_iter().last().as_deref(), Some("read again\n"));
}
