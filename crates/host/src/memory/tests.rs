use super::*;

/// KiB of files in this process's memory (proc_pid_status(5)).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("RssFile:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[test]
fn only_what_is_as_its_file_is_listed() {
    let mappings = [
        ("10000-20000 r--p 00000000 fe:00 1 /usr/bin/corten", 0),
        ("20000-30000 r-xp 00010000 fe:00 1 /usr/bin/corten", 0),
        // Relocated, then protected.
        ("30000-40000 r--p 00020000 fe:00 1 /usr/bin/corten", 8),
        ("40000-50000 rw-p 00030000 fe:00 1 /usr/bin/corten", 0),
        ("50000-60000 rwxp 00000000 fe:00 2 /tmp/patched", 0),
        ("60000-70000 r-xp 00000000 00:00 0 ", 0),
        ("70000-80000 r-xs 00000000 fe:00 3 /tmp/shared", 0),
        ("80000-90000 r--p 00000000 00:00 0 [vvar]", 0),
        ("90000-a0000 r-xp 00000000 00:00 0 [vdso]", 0),
        ("nonsense r-xp", 0),
        ("fffff-10ffff r-xp 00000000 fe:00 4 /usr/lib/last.so", 0),
    ];
    let line = |(mapping, own): &(&str, u32)| {
        format!(
            "{mapping}\nSize:                 64 kB\nRss:                  64 kB\n\
             Anonymous:      {own:8} kB\nVmFlags: rd ex mr mw me\n"
        )
    };
    let listing: String = mappings.iter().map(line).collect();
    let program = Program::of(&listing);
    let found: Vec<_> = program.ranges().map(|r| (r.start, r.end)).collect();
    assert_eq!(
        found,
        [
            (0x10000, 0x20000),
            (0x20000, 0x30000),
            (0xf_ffff, 0x10_ffff)
        ]
    );
}

#[test]
fn a_forgotten_program_still_runs() {
    let program = Program::own().unwrap();
    let before = resident();
    program.forget().unwrap();
    let after = resident();
    assert!(after < before, "{before} KiB became {after}");
}
