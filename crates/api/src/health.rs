//! The value of a Service's `corten.io/health` annotation: a health check of the local endpoint,
//! which stands in for the EndpointSlice where no Kubernetes says who is ready.
//!
//! The value is a YAML mapping, most readably in flow form, or JSON:
//!
//! ```yaml
//! corten.io/health: '{http: {port: 8080, path: /healthz}, interval: 1s, rise: 2, fall: 3}'
//! ```
//!
//! Exactly one of `tcp`, `http` and `exec` is given. A key that isn't known is refused by name,
//! so that a misspelt setting can't silently become its default.

use crate::duration;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;
use std::time::Duration;
use thiserror::Error;

/// A health check of the local endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is tried.
    pub kind: HealthKind,
    /// From the start of one try to the start of the next, at least [`MIN_INTERVAL`].
    pub interval: Duration,
    /// How long a try may take, more than zero.
    pub timeout: Duration,
    /// Successes in a row until healthy, at least 1.
    pub rise: u32,
    /// Failures in a row until unhealthy, at least 1.
    pub fall: u32,
}

/// What a health check tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthKind {
    /// A TCP connection is accepted.
    Tcp {
        /// Port on this host, not 0.
        port: u16,
    },
    /// A GET is answered with an expected status.
    Http {
        /// Port on this host, not 0.
        port: u16,
        /// Path with query, starting with `/`, visible ASCII only.
        path: String,
        /// Statuses that mean healthy.
        status: RangeInclusive<u16>,
    },
    /// A command exits with 0.
    Exec {
        /// Program and arguments, run without a shell; the program is not empty.
        command: Vec<String>,
    },
}

/// Shortest [`HealthCheck::interval`].
pub const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// [`HealthCheck::interval`] unless given.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(2);
/// [`HealthCheck::timeout`] unless given.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// [`HealthCheck::rise`] unless given.
pub const DEFAULT_RISE: u32 = 2;
/// [`HealthCheck::fall`] unless given.
pub const DEFAULT_FALL: u32 = 3;
/// Path of an HTTP check unless given.
pub const DEFAULT_PATH: &str = "/";
/// Statuses of an HTTP check unless given.
pub const DEFAULT_STATUS: RangeInclusive<u16> = 200..=399;

/// Why the annotation's value is no health check.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HealthError {
    /// Neither YAML nor JSON.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// A field that must be there isn't.
    #[error("{0}: missing")]
    Missing(String),
    /// A field nobody knows.
    #[error("{field}: unknown field (known: {known})")]
    Unknown {
        /// Path of the field.
        field: String,
        /// The fields it could have been.
        known: String,
    },
    /// A field that can't be used.
    #[error("{field}: {cause}")]
    Invalid {
        /// Path of the field, or `value` for the whole.
        field: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl HealthCheck {
    /// The health check an annotation's value describes.
    ///
    /// # Errors
    /// Names the field and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, HealthError> {
        let value: Value = serde_saphyr::from_str(text)
            .map_err(|e| HealthError::Syntax(e.without_snippet().to_string()))?;
        let mut fields = Fields::new(String::new(), value)?;
        let check = Self {
            kind: kind(&mut fields)?,
            interval: length(&mut fields, "interval", MIN_INTERVAL)?.unwrap_or(DEFAULT_INTERVAL),
            timeout: length(&mut fields, "timeout", Duration::from_millis(1))?
                .unwrap_or(DEFAULT_TIMEOUT),
            rise: count(&mut fields, "rise")?.unwrap_or(DEFAULT_RISE),
            fall: count(&mut fields, "fall")?.unwrap_or(DEFAULT_FALL),
        };
        fields.finish()?;
        Ok(check)
    }
}

/// A mapping being read: what was asked for is taken out, what is left was not known.
struct Fields {
    path: String,
    rest: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    fn new(path: String, value: Value) -> Result<Self, HealthError> {
        if let Value::Object(rest) = value {
            return Ok(Self {
                path,
                rest,
                known: Vec::new(),
            });
        }
        Err(HealthError::Invalid {
            field: if path.is_empty() {
                "value".to_owned()
            } else {
                path
            },
            cause: format!("expected a mapping, found {}", describe(&value)),
        })
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.rest.remove(name)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn invalid(&self, name: &str, cause: impl Into<String>) -> HealthError {
        HealthError::Invalid {
            field: self.path_of(name),
            cause: cause.into(),
        }
    }

    fn expected(&self, name: &str, what: &str, found: &Value) -> HealthError {
        self.invalid(name, format!("expected {what}, found {}", describe(found)))
    }

    fn finish(self) -> Result<(), HealthError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(name) => Err(HealthError::Unknown {
                field: self.path_of(name),
                known: self.known.join(", "),
            }),
        }
    }
}

fn kind(fields: &mut Fields) -> Result<HealthKind, HealthError> {
    let given: Vec<(&str, Value)> = ["tcp", "http", "exec"]
        .into_iter()
        .filter_map(|name| fields.take(name).map(|value| (name, value)))
        .collect();
    let [(name, value)] = <[(&str, Value); 1]>::try_from(given).map_err(|given| {
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        HealthError::Invalid {
            field: "value".to_owned(),
            cause: if names.is_empty() {
                "one of tcp, http and exec must be given".to_owned()
            } else {
                format!(
                    "only one of tcp, http and exec can be given, found {}",
                    names.join(" and ")
                )
            },
        }
    })?;
    let mut inner = Fields::new(name.to_owned(), value)?;
    let kind = match name {
        "tcp" => HealthKind::Tcp {
            port: port(&mut inner)?,
        },
        "http" => HealthKind::Http {
            port: port(&mut inner)?,
            path: path(&mut inner)?,
            status: status(&mut inner)?,
        },
        _ => HealthKind::Exec {
            command: command(&mut inner)?,
        },
    };
    inner.finish()?;
    Ok(kind)
}

fn port(fields: &mut Fields) -> Result<u16, HealthError> {
    let Some(value) = fields.take("port") else {
        return Err(HealthError::Missing(fields.path_of("port")));
    };
    value
        .as_u64()
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| *n > 0)
        .ok_or_else(|| fields.expected("port", "a port from 1 to 65535", &value))
}

fn path(fields: &mut Fields) -> Result<String, HealthError> {
    match fields.take("path") {
        None => Ok(DEFAULT_PATH.to_owned()),
        // Only visible ASCII: the path goes into a request line as it is.
        Some(Value::String(text))
            if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Ok(text)
        }
        Some(other) => {
            Err(fields.expected("path", "a path starting with / without spaces", &other))
        }
    }
}

fn status(fields: &mut Fields) -> Result<RangeInclusive<u16>, HealthError> {
    let Some(value) = fields.take("status") else {
        return Ok(DEFAULT_STATUS);
    };
    let code = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|n| (100..=599).contains(n) && text.len() == 3)
    };
    let range = match &value {
        Value::Number(n) => code(&n.to_string()).map(|n| n..=n),
        Value::String(text) => match text.split_once('-') {
            None => code(text).map(|n| n..=n),
            Some((first, last)) => code(first)
                .zip(code(last))
                .filter(|(first, last)| first <= last)
                .map(|(first, last)| first..=last),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    range.ok_or_else(|| {
        fields.expected(
            "status",
            "a status such as 204 or a range such as 200-299",
            &value,
        )
    })
}

fn command(fields: &mut Fields) -> Result<Vec<String>, HealthError> {
    let Some(value) = fields.take("command") else {
        return Err(HealthError::Missing(fields.path_of("command")));
    };
    let Value::Array(items) = value else {
        return Err(fields.expected("command", "a list of words", &value));
    };
    let mut command = Vec::with_capacity(items.len());
    for item in items {
        let Some(word) = item.as_str().filter(|word| !word.contains('\0')) else {
            let name = format!("command[{}]", command.len());
            return Err(fields.expected(&name, "text (put it in quotes)", &item));
        };
        command.push(word.to_owned());
    }
    if command.first().is_none_or(String::is_empty) {
        return Err(fields.invalid("command", "the program to run is empty"));
    }
    Ok(command)
}

fn length(
    fields: &mut Fields,
    name: &'static str,
    min: Duration,
) -> Result<Option<Duration>, HealthError> {
    match fields.take(name) {
        None => Ok(None),
        Some(Value::String(text)) => {
            let length =
                duration::parse_length(&text).map_err(|e| fields.invalid(name, e.to_string()))?;
            if length < min {
                let cause = format!("{text:?} is shorter than {}ms", min.as_millis());
                return Err(fields.invalid(name, cause));
            }
            Ok(Some(length))
        }
        Some(other) => Err(fields.expected(name, "a duration with unit such as 2s", &other)),
    }
}

fn count(fields: &mut Fields, name: &'static str) -> Result<Option<u32>, HealthError> {
    let Some(value) = fields.take(name) else {
        return Ok(None);
    };
    match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
        Some(n) if n > 0 => Ok(Some(n)),
        _ => Err(fields.expected(name, "a number from 1", &value)),
    }
}

/// A value for an error message.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
