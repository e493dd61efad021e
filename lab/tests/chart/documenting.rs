//! The chart's values and their documentation.

use crate::helm::repository;
use crate::values;
use anyhow::{Context, Result, ensure};
use corten_lab::trial::Trial;
use std::collections::BTreeMap;

pub(crate) const TRIALS: &[Trial] = &[("every_value_is_documented", every_value_is_documented)];

/// The values of a row's first cell: `<c>` stands for both components.
fn paths(cell: &str) -> Vec<String> {
    let spans = cell.split('`').skip(1).step_by(2);
    let each = spans.flat_map(|span| {
        let components: &[&str] = if span.contains("<c>") {
            &["controller", "speaker"]
        } else {
            &[""]
        };
        components.iter().map(move |c| span.replace("<c>", c))
    });
    each.collect()
}

fn every_value_is_documented() -> Result<()> {
    let page = repository().join("docs/reference/helm.md");
    let page = std::fs::read_to_string(page)?;
    let (_, table) = page.split_once("## Values").context("no values")?;
    let (table, _) = table.split_once("\n## ").unwrap_or((table, ""));
    let mut documented = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [value, default, _, effect] = cells[..] else {
            anyhow::bail!("four cells: {row}");
        };
        for path in paths(value) {
            let said = (default.trim_matches('`').to_owned(), effect.to_owned());
            let before = documented.insert(path.clone(), said);
            ensure!(before.is_none(), "{path} is there twice");
        }
    }
    let expected: BTreeMap<_, _> = values::documented()?.into_iter().collect();
    for (path, (default, effect)) in &expected {
        let said = documented.remove(*path);
        let (said, so) = said.with_context(|| format!("{path} isn't documented"))?;
        ensure!(so == *effect, "{path}: {so}, but {effect}");
        // A long list is told in other words.
        ensure!(
            said == *default || default.contains('{') && *default != "{}",
            "{path}: {said}"
        );
    }
    ensure!(documented.is_empty(), "no such values: {documented:?}");
    Ok(())
}
