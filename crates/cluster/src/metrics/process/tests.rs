use super::*;

#[test]
fn fields_are_found() {
    let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 12345 1000 10 0";
    let process = Process::parse(
        stat,
        "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t  1024 kB\n",
        "Limit  Soft  Hard\nMax open files            1024                 4096                 files\n",
        "cpu 1\nbtime 1700000000\n",
    );
    let want = Process {
        cpu: Duration::from_secs(3),
        resident_bytes: 1 << 20,
        virtual_bytes: 2 << 20,
        open_fds: 0,
        max_fds: 1024,
        threads: 3,
        started: Duration::from_millis(1_700_000_123_450),
    };
    assert_eq!(process, want);
    assert_eq!(Process::parse("", "", "", ""), Process::default());
}

#[test]
fn this_process_is_alive() {
    let process = Process::now();
    assert!(process.resident_bytes > 1 << 20, "{process:?}");
    assert!(
        process.virtual_bytes >= process.resident_bytes,
        "{process:?}"
    );
    assert!(
        process.open_fds >= 3 && process.max_fds >= process.open_fds,
        "{process:?}"
    );
    assert!(process.threads >= 1, "{process:?}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let age = now.saturating_sub(process.started);
    assert!(age < Duration::from_secs(3600), "{age:?}");
}
