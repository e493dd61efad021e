//! Interfaces never announced on: regular expressions, in the form of MetalLB's excludel2.yaml
//! (`spec/metallb.md` §5.3, §7.3).

use anyhow::Context as _;
use regex_lite::Regex;
use serde::Deserialize;
use std::path::Path;

/// What applies unless a file says otherwise: MetalLB's default list (§7.3).
const DEFAULT: [&str; 14] = [
    "^docker.*",
    "^cbr.*",
    "^dummy.*",
    "^virbr.*",
    "^lxcbr.*",
    "^veth.*",
    "^lo$",
    "^cali.*",
    "^tunl.*",
    "^flannel.*",
    "^kube-ipvs.*",
    "^cni.*",
    "^nodelocaldns.*",
    "^lxc.*",
];

/// Interfaces never announced on.
#[derive(Clone, Debug)]
pub(crate) struct Exclusions(Vec<Regex>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    announced_interfaces_to_exclude: Vec<String>,
}

impl Exclusions {
    /// Reads `path`, or takes the default list.
    ///
    /// # Errors
    /// The file can't be read, or an entry is no regular expression (the message names it).
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Self::compile(DEFAULT);
        };
        let context = || format!("--exclude-interfaces {}", path.display());
        let text = std::fs::read_to_string(path).with_context(context)?;
        let file: File = serde_saphyr::from_str(&text).with_context(context)?;
        Self::compile(
            file.announced_interfaces_to_exclude
                .iter()
                .map(String::as_str),
        )
        .with_context(context)
    }

    /// Excludes nothing.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    fn compile<'a>(patterns: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Self> {
        patterns
            .into_iter()
            .enumerate()
            .map(|(i, pattern)| {
                // DEVIATION: MetalLB also knows Unicode classes such as \p{Greek}.
                Regex::new(pattern)
                    .with_context(|| format!("announcedInterfacesToExclude[{i}]: {pattern:?}"))
            })
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// Whether an interface is excluded; a pattern may match anywhere in the name.
    pub(crate) fn excludes(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(name))
    }
}

#[cfg(test)]
mod tests;
