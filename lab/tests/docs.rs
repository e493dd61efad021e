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

/// What `corten` says about itself and every subcommand.
fn help() -> String {
    let binary = corten_lab::corten::binary().unwrap();
    let ask = |arguments: &[&str]| {
        let output = Command::new(&binary).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut help = ask(&["--help"]);
    for command in [
        "run",
        "controller",
        "speaker",
        "status",
        "explain",
        "validate",
        "crds",
        "completions",
    ] {
        help.push_str(&ask(&[command, "--help"]));
    }
    help
}

#[test]
fn flags_exist() {
    let help = help();
    let flag = |word: &str| {
        let end = word.find(|c: char| c != '-' && !c.is_ascii_lowercase());
        word[..end.unwrap_or(word.len())].to_owned()
    };
    let known: BTreeSet<_> = help
        .split(|c: char| c.is_whitespace() || c == '[' || c == '`')
        .filter(|word| word.starts_with("--"))
        .map(flag)
        .collect();
    let mut named = 0;
    for (path, text) in files(&root(), ".md") {
        for line in code(&text) {
            let Some((_, arguments)) = line.split_once("corten ") else {
                continue;
            };
            // What follows `--` is somebody else's.
            let words = arguments
                .split_whitespace()
                .take_while(|word| *word != "--");
            for word in words.filter(|word| word.starts_with("--")) {
                named += 1;
                assert!(known.contains(&flag(word)), "{}: {line}", path.display());
            }
        }
    }
    assert!(named > 0);
}
