//! Label selectors, compiled (`spec/metallb.md` §2.4).
//!
//! What the API machinery takes for a valid selector is valid here; in lists a selector, an
//! expression or a value written twice is refused.

use crate::facts::Labels;
use crate::rejection::Fault;
use corten_api::{LabelSelector, LabelSelectorRequirement};
use std::collections::BTreeSet;
use std::fmt;

/// A compiled LabelSelector; without requirements it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// All must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// The label has one of these values.
    In(String, BTreeSet<String>),
    /// The label is absent or has none of these values.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label isn't there.
    DoesNotExist(String),
}

impl Selector {
    /// Whether `labels` meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|r| match r {
            Requirement::In(k, vs) => labels.get(k).is_some_and(|v| vs.contains(v)),
            Requirement::NotIn(k, vs) => labels.get(k).is_none_or(|v| !vs.contains(v)),
            Requirement::Exists(k) => labels.contains_key(k),
            Requirement::DoesNotExist(k) => !labels.contains_key(k),
        })
    }
}

/// A list of selectors in a spec: none written means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selectors {
    /// No selectors written: matches everything.
    #[default]
    Everything,
    /// Any of these matches.
    AnyOf(Vec<Selector>),
}

impl Selectors {
    /// Whether `labels` are selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Everything => true,
            Self::AnyOf(selectors) => selectors.iter().any(|s| s.matches(labels)),
        }
    }
}

/// Compiles a list of selectors, refusing duplicates.
///
/// # Errors
/// Everything that is wrong, with paths below `field`.
pub fn compile_list(field: &str, list: &[LabelSelector]) -> Result<Selectors, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut selectors = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, raw) in list.iter().enumerate() {
        let at = format!("{field}[{i}]");
        faults.extend(duplicates(&at, raw));
        let normal = Normal::of(raw);
        if let Some(again) = seen.replace(normal) {
            faults.push(Fault::new(
                &at,
                format!(
                    "duplicate definition of label selector {:?}",
                    again.to_string()
                ),
            ));
        }
        match compile(&at, raw) {
            Ok(selector) => selectors.push(selector),
            Err(more) => faults.extend(more),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(if selectors.is_empty() {
        Selectors::Everything
    } else {
        Selectors::AnyOf(selectors)
    })
}

/// Compiles one selector.
///
/// # Errors
/// Everything that is wrong, with paths below `field`.
pub fn compile(field: &str, raw: &LabelSelector) -> Result<Selector, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut requirements = Vec::new();
    for (key, value) in raw.match_labels.iter().flatten() {
        let at = format!("{field}.matchLabels");
        faults.extend(check_key(&at, key));
        faults.extend(check_value(&at, value));
        requirements.push(Requirement::In(key.clone(), [value.clone()].into()));
    }
    for (i, raw) in raw.match_expressions.iter().flatten().enumerate() {
        let at = format!("{field}.matchExpressions[{i}]");
        match compile_requirement(&at, raw) {
            Ok(requirement) => requirements.push(requirement),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() {
        Ok(Selector { requirements })
    } else {
        Err(faults)
    }
}

fn compile_requirement(
    at: &str,
    raw: &LabelSelectorRequirement,
) -> Result<Requirement, Vec<Fault>> {
    let mut faults: Vec<Fault> = check_key(&format!("{at}.key"), &raw.key)
        .into_iter()
        .collect();
    let values: BTreeSet<String> = raw.values.iter().flatten().cloned().collect();
    for (i, value) in raw.values.iter().flatten().enumerate() {
        faults.extend(check_value(&format!("{at}.values[{i}]"), value));
    }
    let operator = raw.operator.as_str();
    let takes_values = matches!(operator, "In" | "NotIn");
    if takes_values && values.is_empty() {
        let cause = format!("operator {operator} needs at least one value");
        faults.push(Fault::new(format!("{at}.values"), cause));
    }
    if matches!(operator, "Exists" | "DoesNotExist") && !values.is_empty() {
        let cause = format!("operator {operator} takes no values");
        faults.push(Fault::new(format!("{at}.values"), cause));
    }
    let key = raw.key.clone();
    let requirement = match operator {
        "In" => Some(Requirement::In(key, values)),
        "NotIn" => Some(Requirement::NotIn(key, values)),
        "Exists" => Some(Requirement::Exists(key)),
        "DoesNotExist" => Some(Requirement::DoesNotExist(key)),
        _ => {
            faults.push(Fault::new(
                format!("{at}.operator"),
                format!("{operator:?} is not a valid label selector operator (In, NotIn, Exists, DoesNotExist)"),
            ));
            None
        }
    };
    match requirement {
        Some(requirement) if faults.is_empty() => Ok(requirement),
        Some(_) | None => Err(faults),
    }
}

/// A selector as written but for the order of values: what duplicates are told by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Normal {
    labels: Labels,
    expressions: Vec<Expression>,
}

impl Normal {
    fn of(raw: &LabelSelector) -> Self {
        Self {
            labels: raw.match_labels.clone().unwrap_or_default().into(),
            expressions: raw
                .match_expressions
                .iter()
                .flatten()
                .map(Expression::of)
                .collect(),
        }
    }
}

impl fmt::Display for Normal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels.iter().map(|(k, v)| format!("{k}={v}"));
        let expressions = self.expressions.iter().map(Expression::to_string);
        f.write_str(&labels.chain(expressions).collect::<Vec<_>>().join(","))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Expression {
    key: String,
    operator: String,
    values: Vec<String>,
}

impl Expression {
    fn of(raw: &LabelSelectorRequirement) -> Self {
        let mut values = raw.values.clone().unwrap_or_default();
        values.sort();
        Self {
            key: raw.key.clone(),
            operator: raw.operator.clone(),
            values,
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({})",
            self.key,
            self.operator,
            self.values.join(",")
        )
    }
}

/// Expressions and values written twice within one selector.
fn duplicates(at: &str, raw: &LabelSelector) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, expression) in raw.match_expressions.iter().flatten().enumerate() {
        let at = format!("{at}.matchExpressions[{i}]");
        let values = expression.values.as_deref().unwrap_or_default();
        faults.extend(repeated(&format!("{at}.values"), "value", values));
        if let Some(again) = seen.replace(Expression::of(expression)) {
            let again = again.to_string();
            faults.push(Fault::new(
                at,
                format!("duplicate definition of match expression {again:?}"),
            ));
        }
    }
    faults
}

/// One fault for each entry of `list` that was there before.
pub(super) fn repeated(field: &str, what: &str, list: &[String]) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    list.iter()
        .enumerate()
        .filter(|(_, entry)| !seen.insert(entry.as_str()))
        .map(|(i, entry)| {
            Fault::new(
                format!("{field}[{i}]"),
                format!("duplicate definition of {what} {entry:?}"),
            )
        })
        .collect()
}

/// A label's key: a name of at most 63 characters, maybe behind a DNS subdomain and a slash.
fn check_key(at: &str, key: &str) -> Option<Fault> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let good = prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_text(name);
    (!good).then(|| Fault::new(at, format!("{key:?} is not a valid label key")))
}

/// A label's value: empty, or like a name.
fn check_value(at: &str, value: &str) -> Option<Fault> {
    (!is_label_text(value)).then(|| Fault::new(at, format!("{value:?} is not a valid label value")))
}

fn is_label_text(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text
            .chars()
            .all(|c| ends(c) || matches!(c, '-' | '_' | '.'))
        && text.chars().next().is_none_or(ends)
        && text.chars().next_back().is_none_or(ends)
}

fn is_subdomain(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.chars().all(|c| ends(c) || c == '-')
            && part.chars().next().is_some_and(ends)
            && part.chars().next_back().is_some_and(ends)
    };
    text.len() <= 253 && text.split('.').all(part)
}

#[cfg(test)]
mod tests;
