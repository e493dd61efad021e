//! The documentation and what it speaks of: deviations, links, make targets, command-line flags.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every file below `at` with this ending, with its text; nothing that is built, cached or hidden.
fn files(at: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// `crates/wire/src/l2/link.rs` is `wire::l2::link`.
fn module(path: &Path) -> String {
    let path = path.strip_prefix(root().join("crates")).unwrap();
    let path = path.with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap());
    let parts: Vec<_> = parts.filter(|part| *part != "src").collect();
    parts.join("::")
}

#[test]
fn deviations_are_listed_and_marked() {
    let mut marked: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in files(&root().join("crates"), ".rs") {
        let marks = text
            .lines()
            .filter(|l| l.trim().starts_with("// DEVIATION:"));
        let marks = marks.count();
        if marks > 0 {
            marked.insert(module(&path), marks);
        }
    }
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    let table = fs::read_to_string(root().join("docs/deviations.md")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 5, "{row}");
        let place = cells[4].trim().trim_matches('`');
        *listed.entry(place.to_owned()).or_default() += 1;
    }
    assert!(!marked.is_empty());
    assert_eq!(listed, marked, "left: docs/deviations.md, right: the code");
}

/// The targets of the links in a Markdown text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let rest = text.split("](").skip(1);
    rest.filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for (path, text) in files(&root(), ".md") {
        for link in links(&text) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            followed += 1;
            if !path.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(followed > 0);
    assert_eq!(broken, Vec::<String>::new());
}

/// Lines of code in a Markdown text: spans between backticks, and the lines of fenced blocks.
fn code(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (i, part) in text.split("```").enumerate() {
        if i % 2 == 1 {
            lines.extend(part.replace("\\\n", " ").lines().map(str::to_owned));
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            lines.extend(spans.map(|span| span.replace('\n', " ")));
        }
    }
    lines
}

#[test]
fn make_targets_exist() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(target, _)| target)
        .collect();
    let mut named = 0;
    for (path, text) in files(&root(), ".md") {
        for line in code(&text) {
            if let Some(("", target)) = line.trim_start_matches("$ ").split_once("make ") {
                named += 1;
                let target = target.split_whitespace().next().unwrap();
                assert!(targets.contains(target), "{}: {line}", path.display());
            }
        }
    }
    assert!(named > 0);
}

/// What `corten` says about itself, under the empty name, and about each of its commands, and
/// theirs.
fn help() -> BTreeMap<String, String> {
    let binary = corten_lab::corten::binary().unwrap();
    let ask = |command: &str| {
        let arguments = command.split_whitespace().chain(["--help"]);
        let output = Command::new(&binary).args(arguments).output().unwrap();
        assert!(output.status.success(), "{command}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut pages = BTreeMap::new();
    let mut asking = vec![String::new()];
    while let Some(command) = asking.pop() {
        let page = if command == "help" {
            // Its own help isn't asked for with `--help`.
            String::new()
        } else {
            ask(&command)
        };
        let within = page.lines().skip_while(|line| *line != "Commands:");
        let within = within.skip(1).take_while(|line| !line.is_empty());
        // A long description goes on in a line that is indented further.
        let within = within.filter_map(|line| line.strip_prefix("  "));
        let within = within.filter_map(|line| line.split(' ').next().filter(|c| !c.is_empty()));
        let within = within.filter(|c| command.is_empty() || *c != "help");
        asking.extend(within.map(|c| format!("{command} {c}").trim().to_owned()));
        pages.insert(command, page);
    }
    assert!(pages.len() > 1);
    pages
}

/// An option, as help describes it.
#[derive(Debug)]
struct Flag {
    /// Its names, such as `-o` and `--output`.
    names: Vec<String>,
    environment: Option<String>,
    default: Option<String>,
}

/// The options a page of help describes; not what its examples name.
fn flags(page: &str) -> Vec<Flag> {
    let starts = |line: &str| {
        let line = line.trim_start();
        line.starts_with('-') && line.split([',', ' ']).next() != Some("-")
    };
    let mut described: Vec<String> = Vec::new();
    let lines = page.lines().skip_while(|line| *line != "Options:").skip(1);
    for line in lines.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        if starts(line) {
            described.push(line.trim().to_owned());
        } else if let Some(last) = described.last_mut() {
            last.push(' ');
            last.push_str(line.trim());
        }
    }
    let within = |text: &str, start: &str, end: char| {
        let (_, rest) = text.split_once(start)?;
        Some(rest.split_once(end)?.0.trim().to_owned())
    };
    let flag = |text: &String| Flag {
        names: text
            .split_whitespace()
            .map(|word| word.trim_end_matches(','))
            .take_while(|word| word.starts_with('-'))
            // `--flag[=<VALUE>]` is a flag that need not have a value.
            .map(|word| word.split("[=").next().unwrap_or(word).to_owned())
            .collect(),
        environment: within(text, "[env: ", '='),
        default: within(text, "[default: ", ']'),
    };
    described.iter().map(flag).collect()
}

/// What `corten` is called with in a line of code. What ends in its name, as `charts/corten` does,
/// is something else.
fn called(line: &str) -> Option<&str> {
    let mut calls = line.match_indices("corten ");
    calls.find_map(|(at, name)| {
        let (before, call) = line.split_at(at);
        let program = before.is_empty() || before.ends_with(' ') || before.ends_with(" /");
        call.strip_prefix(name).filter(|_| program)
    })
}

#[test]
fn flags_exist() {
    let pages = help();
    let known: BTreeMap<&str, BTreeSet<String>> = pages
        .iter()
        .map(|(command, page)| {
            let flags = flags(page).into_iter();
            (command.as_str(), flags.flat_map(|f| f.names).collect())
        })
        .collect();
    let mut named = 0;
    for (path, text) in files(&root(), ".md") {
        for line in code(&text) {
            let Some(arguments) = called(&line) else {
                continue;
            };
            // What follows `--` or a pipe is somebody else's.
            let words: Vec<_> = arguments
                .split_whitespace()
                .take_while(|word| *word != "--" && *word != "|")
                .collect();
            // `bgp messages` is a command of the command `bgp`.
            let command = [2, 1].into_iter().find_map(|length| {
                let command = words.get(..length)?.join(" ");
                known.contains_key(command.as_str()).then_some(command)
            });
            let of = |word: &&str| match &command {
                Some(command) => known[command.as_str()].contains(*word),
                None => known.values().any(|flags| flags.contains(*word)),
            };
            for word in words.iter().filter(|word| word.starts_with("--")) {
                named += 1;
                let end = word.find(|c: char| c != '-' && !c.is_ascii_alphanumeric());
                let flag = &word[..end.unwrap_or(word.len())];
                assert!(of(&flag), "{}: {line}", path.display());
            }
        }
    }
    assert!(named > 0);
}

/// Whether a line of documentation says all that help says of an option but its meaning.
fn describes(line: &str, flag: &Flag) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words: BTreeSet<_> = line.split(|c| !part(c)).collect();
    let mut names = flag.names.iter().chain(&flag.environment);
    let default = flag.default.as_ref();
    names.all(|name| words.contains(name.as_str()))
        && default.is_none_or(|default| line.contains(&format!("`{default}`")))
}

#[test]
fn commands_and_flags_are_documented() {
    let documents = files(&root().join("docs"), ".md");
    let lines: BTreeSet<_> = documents
        .iter()
        .flat_map(|(_, text)| text.lines())
        .collect();
    let spans: BTreeSet<_> = documents.iter().flat_map(|(_, text)| code(text)).collect();
    let mut missing = Vec::new();
    for (command, page) in help() {
        let call = format!("corten {command}").trim_end().to_owned();
        if !spans.iter().any(|span| span.starts_with(&call)) {
            missing.push(format!("`{call}`"));
        }
        let flags = flags(&page);
        let described = page.lines().any(|line| line == "Options:");
        assert_eq!(flags.is_empty(), !described, "{call}: {page}");
        for flag in flags {
            if !lines.iter().any(|line| describes(line, &flag)) {
                missing.push(format!("{call}: no line has all of {flag:?}"));
            }
        }
    }
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "add to docs/reference/cli.md"
    );
}

/// What `docs/reference/compatibility.md` begins with.
const COMPATIBILITY: &str = "# Compatibility with MetalLB

What MetalLB does, and how Corten compares: *same*, *more* (all of it and something beyond),
*differs* (see [deviations](../deviations.md)) or *no*. Each row names the tests that show it. This
page is made from `compatibility.tsv` beside it, and a test keeps the two equal and looks for every
test named.

What MetalLB's own end-to-end suite asks of assignment, layer 2 and ConfigurationState is asked of
Corten in `lab/tests/kubernetes`, on a real API server with nodes as network namespaces. Specs that
need pods that run, a Prometheus inside the cluster, or a network plugin with policies are not.
";

/// The page that says what the table says.
fn compatibility(table: &str) -> String {
    let mut page = COMPATIBILITY.to_owned();
    for line in table.lines().skip(1) {
        let cells: Vec<_> = line.split('\t').collect();
        assert_eq!(cells.len(), 4, "{line:?}");
        let (section, feature, compared, tests) = (cells[0], cells[1], cells[2], cells[3]);
        if section == "#" {
            page += &format!("\n## {feature}\n\n| what | compared | tests |\n|---|---|---|\n");
            continue;
        }
        let tests: Vec<String> = tests
            .split_whitespace()
            .map(|test| format!("`{}`", test.rsplit(':').next().unwrap()))
            .collect();
        page += &format!("| {feature} | {compared} | {} |\n", tests.join(", "));
    }
    page
}

#[test]
fn the_compatibility_page_is_its_table() {
    let dir = root().join("docs/reference");
    let table = fs::read_to_string(dir.join("compatibility.tsv")).unwrap();
    for line in table.lines().skip(1) {
        let cells: Vec<_> = line.split('\t').collect();
        let known = ["same", "more", "differs", "no", ""];
        assert!(known.contains(&cells[2]), "{line:?}");
        let named = cells[3].split_whitespace();
        assert_eq!(
            named.clone().count() == 0,
            matches!(cells[2], "no" | ""),
            "{line:?}"
        );
        for test in named {
            let (file, name) = test.split_once(':').unwrap();
            let text = fs::read_to_string(root().join(file)).unwrap_or_default();
            assert!(text.contains(&format!("fn {name}(")), "no test {test}");
        }
    }
    let (path, page) = (dir.join("compatibility.md"), compatibility(&table));
    if std::env::var_os("CORTEN_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        page,
        "renew it: CORTEN_WRITE_DOCS=1 cargo test -p corten-lab --test docs"
    );
}
