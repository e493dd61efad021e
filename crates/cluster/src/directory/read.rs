//! Manifests as text, read into objects: `spec/metallb.md` §1 and the four Kubernetes kinds.
//!
//! Everything that can be read is; whatever can't becomes a [`Rejection`] with file, line and
//! field, or, where nothing is lost by leaving it out, a [`Warning`]. Reading never fails as a
//! whole.
//!
//! * Files are `*.yaml`, `*.yml` and `*.json`, several documents each, `List`s unwrapped.
//! * A namespaced object without a namespace is in `default`. metallb.io objects may be in any
//!   namespace, and their names are unique across all of them.
//! * `status` in a manifest is ignored, except a Node's.
//! * If two documents define the same object, the first by file name and line is used and the
//!   other is rejected.

pub(crate) mod kinds;
mod subject;

use super::decode::{DecodeError, UnknownField};
use super::tree::{self, Document, Node, Value};
use corten_engine::event::Object;
use corten_engine::rejection::{Kind, ObjectRef, Rejection, Subject};
use kinds::Known;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Largest manifest file, in bytes.
pub const MAX_FILE: u64 = 16 << 20;
/// Names Corten itself writes into a manifest directory begin with this; none is a manifest.
pub const OWN_PREFIX: &str = "corten.";

/// An object and where it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Which object.
    pub object_ref: ObjectRef,
    /// The object.
    pub object: Object,
    /// Where: `pools.yaml:14`.
    pub place: String,
    /// The line of it.
    pub(crate) line: u32,
}

/// Where something was read: `pools.yaml:14`.
pub(crate) fn place(file: &str, line: u32) -> String {
    format!("{file}:{line}")
}

/// Something odd that keeps nothing from working.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// Where: `pools.yaml:14`.
    pub place: String,
    /// What, naming the object and the field.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// What manifests say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadResult {
    /// The objects, in the order read.
    pub objects: Vec<Placed>,
    /// What couldn't be read.
    pub rejections: Vec<Rejection>,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

impl ReadResult {
    /// Appends `other` without its objects: new ones go to `keep`, those seen are rejected.
    fn merge(
        &mut self,
        seen: &mut BTreeMap<Identity, String>,
        other: Self,
        keep: &mut dyn FnMut(Placed),
    ) {
        self.rejections.extend(other.rejections);
        self.warnings.extend(other.warnings);
        for placed in other.objects {
            match seen.entry(Identity::from(&placed.object_ref)) {
                std::collections::btree_map::Entry::Occupied(first) => {
                    self.rejections
                        .push(duplicate(&placed.object_ref, &placed.place, first.get()));
                }
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(placed.place.clone());
                    keep(placed);
                }
            }
        }
    }
}

/// What makes two documents the same object. Ordered by kind, namespace and name; clones share
/// the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    text: Rc<str>,
    /// Length of the namespace, with which the text begins; the name follows.
    namespace: u32,
    kind: Kind,
}

impl Identity {
    /// The object `kind namespace/name`; the namespace of metallb.io kinds doesn't matter, since
    /// their names are unique across namespaces here.
    pub(crate) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        let namespace = match kind {
            Kind::Service | Kind::EndpointSlice | Kind::Node | Kind::Namespace | Kind::Secret => {
                namespace
            }
            Kind::IPAddressPool
            | Kind::L2Advertisement
            | Kind::BGPAdvertisement
            | Kind::BGPPeer
            | Kind::BFDProfile
            | Kind::Community => "",
        };
        Self {
            text: format!("{namespace}{name}").into(),
            // Nothing in a file of at most 16 MiB is longer than that.
            namespace: u32::try_from(namespace.len()).unwrap_or_default(),
            kind,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn namespace(&self) -> &str {
        self.parts().0
    }

    pub(crate) fn name(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        let cut = self.text.split_at_checked(self.namespace as usize);
        cut.unwrap_or(("", &self.text))
    }
}

impl From<&ObjectRef> for Identity {
    fn from(object: &ObjectRef) -> Self {
        Self::new(object.kind, &object.namespace, &object.name)
    }
}

impl Ord for Identity {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.kind, self.parts()).cmp(&(other.kind, other.parts()))
    }
}

impl PartialOrd for Identity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The rejection of a second definition.
pub(crate) fn duplicate(object: &ObjectRef, second: &str, first: &str) -> Rejection {
    Rejection {
        subject: Subject::Object(object.clone()),
        field: "metadata.name".to_owned(),
        cause: format!("already defined at {first}, which is used"),
        place: second.to_owned(),
    }
}

/// What stands for standard input in [`read_paths`].
pub const STDIN: &str = "-";

/// Reads files, the manifests of directories and, as `-`, standard input, as `corten validate`
/// does; places are the paths as given. Directories are not descended into.
#[must_use]
pub fn read_paths(paths: &[PathBuf]) -> ReadResult {
    let (mut all, mut seen) = (ReadResult::default(), BTreeMap::new());
    let mut objects = Vec::new();
    let mut keep = |placed| objects.push(placed);
    for path in paths {
        if path.as_os_str() == STDIN {
            all.merge(&mut seen, read_stdin(), &mut keep);
            continue;
        }
        if !path.is_dir() {
            let name = path.display().to_string();
            all.merge(&mut seen, read_file(path, &name), &mut keep);
            continue;
        }
        match manifest_names(path) {
            Ok(Names { readable, others }) => {
                for name in others {
                    all.rejections.push(unnamed(&path.join(name)));
                }
                for name in readable {
                    let file = path.join(&name);
                    let shown = file.display().to_string();
                    all.merge(&mut seen, read_file(&file, &shown), &mut keep);
                }
            }
            Err(error) => all.rejections.push(unreadable(path, &error)),
        }
    }
    ReadResult { objects, ..all }
}

/// The manifests of a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Sorted.
    pub(crate) readable: Vec<String>,
    /// Names that aren't UTF-8, those bytes escaped; sorted, too.
    pub(crate) others: Vec<String>,
}

/// The names of a directory's manifests. Hidden files and Corten's own are none.
///
/// # Errors
/// If the directory can't be listed.
pub(crate) fn manifest_names(directory: &Path) -> std::io::Result<Names> {
    let mut names = Names::default();
    for entry in std::fs::read_dir(directory)? {
        match entry?.file_name().into_string() {
            Ok(name) if is_manifest(&name) => names.readable.push(name),
            Err(name) if is_manifest(&name.to_string_lossy()) => {
                let escaped = name.as_encoded_bytes().escape_ascii();
                names.others.push(escaped.to_string());
            }
            Ok(_) | Err(_) => {}
        }
    }
    names.readable.sort();
    names.others.sort();
    Ok(names)
}

/// Whether a file of this name is a manifest.
pub(crate) fn is_manifest(name: &str) -> bool {
    let kind = Path::new(name).extension().and_then(|e| e.to_str());
    matches!(kind, Some("yaml" | "yml" | "json"))
        && !name.starts_with('.')
        && !name.starts_with(OWN_PREFIX)
}

/// The rejection of a file or directory that can't be read at all.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Rejection {
    Rejection {
        subject: Subject::Unidentified,
        field: String::new(),
        cause: format!("can't be read: {error}"),
        place: path.display().to_string(),
    }
}

/// The rejection of a manifest whose name is no text.
pub(crate) fn unnamed(path: &Path) -> Rejection {
    let cause = "its name isn't UTF-8; rename it";
    unreadable(path, &std::io::Error::other(cause))
}

fn read_stdin() -> ReadResult {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .and_then(|_| is_small(&bytes, MAX_FILE));
    match read {
        Ok(()) => read_text("stdin", &bytes),
        Err(error) => ReadResult {
            rejections: vec![unreadable(Path::new("stdin"), &error)],
            ..ReadResult::default()
        },
    }
}

fn read_file(path: &Path, shown: &str) -> ReadResult {
    match read_bytes(path, MAX_FILE) {
        Ok(bytes) => read_text(shown, &bytes),
        Err(error) => ReadResult {
            rejections: vec![unreadable(Path::new(shown), &error)],
            ..ReadResult::default()
        },
    }
}

/// The content of a file of at most `limit` bytes, such as [`MAX_FILE`].
///
/// # Errors
/// If it is no regular file, is larger than that, or can't be read.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a FIFO would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let file = std::fs::File::open(path)?;
    // Just enough: a vector that grows is up to twice as large.
    let size = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    is_small(&bytes, limit)?;
    Ok(bytes)
}

fn is_small(bytes: &[u8], limit: u64) -> std::io::Result<()> {
    if bytes.len() as u64 > limit {
        let limit = limit >> 20;
        return Err(std::io::Error::other(format!("larger than {limit} MiB")));
    }
    Ok(())
}

/// Reads the text of one file; `name` is how places show it.
#[must_use]
pub fn read_text(name: &str, bytes: &[u8]) -> ReadResult {
    let mut objects = Vec::new();
    let rest = read_each(name, bytes, &mut |placed| objects.push(placed));
    ReadResult { objects, ..rest }
}

/// As [`read_text`], but hands the objects to `keep` one by one: all those of a large file at once
/// take many times its size.
pub(crate) fn read_each(name: &str, bytes: &[u8], keep: &mut dyn FnMut(Placed)) -> ReadResult {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let line = 1 + good.iter().filter(|b| **b == b'\n').count();
            return ReadResult {
                rejections: vec![Rejection {
                    subject: Subject::Unidentified,
                    field: String::new(),
                    cause: "not UTF-8 text".to_owned(),
                    place: format!("{name}:{line}"),
                }],
                ..ReadResult::default()
            };
        }
    };
    let (mut all, mut seen) = (ReadResult::default(), BTreeMap::new());
    for document in tree::documents(text) {
        let mut reader = Reader {
            name,
            document,
            out: ReadResult::default(),
        };
        reader.read();
        all.merge(&mut seen, reader.out, keep);
    }
    all
}

/// Reads one document.
struct Reader<'a> {
    name: &'a str,
    document: Document<'a>,
    out: ReadResult,
}

impl Reader<'_> {
    fn read(&mut self) {
        match tree::parse(self.document.text) {
            Ok(node) => self.object(node, None),
            Err(error) => self.broken(&error),
        }
    }

    /// The line of the file, from one of the document.
    fn line(&self, line: u64) -> u32 {
        let line = self.document.line + line.max(1) - 1;
        // A file of at most 16 MiB has fewer.
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    fn place(&self, line: u64) -> String {
        place(self.name, self.line(line))
    }

    fn reject(&mut self, subject: Subject, field: &str, cause: &str, line: u64) {
        let place = self.place(line);
        self.out.rejections.push(Rejection {
            subject,
            field: field.to_owned(),
            cause: cause.to_owned(),
            place,
        });
    }

    fn warn(&mut self, text: String, line: u64) {
        let place = self.place(line);
        self.out.warnings.push(Warning { place, text });
    }

    /// A document that is no YAML: which object it was meant to be is told from its outline.
    fn broken(&mut self, error: &tree::SyntaxError) {
        let subject = match subject::outline(&self.document) {
            subject::Outline::Object(object) => Subject::Object(object),
            subject::Outline::Unknown => Subject::Unidentified,
            subject::Outline::OtherKind(kind) => {
                let cause = &error.cause;
                self.warn(
                    format!("{kind} is not read here; broken, too: {cause}"),
                    error.line,
                );
                return;
            }
        };
        self.reject(subject, "", &error.cause, error.line);
    }

    /// One object, or a list of them; `item_of` are apiVersion and kind of a typed list's items.
    fn object(&mut self, mut node: Node, item_of: Option<(&str, &str)>) {
        if !matches!(node.value, Value::Map(_)) {
            self.reject(Subject::Unidentified, "", "not an object", node.line);
            return;
        }
        let named = node.text("apiVersion").zip(node.text("kind"));
        let Some((version, kind)) = named.or(item_of) else {
            let cause = "apiVersion and kind are required";
            self.reject(Subject::Unidentified, "", cause, node.line);
            return;
        };
        let (version, kind) = (version.to_owned(), kind.to_owned());
        if let Some(item_kind) = kind.strip_suffix("List")
            && node.get("items").is_some()
        {
            self.list(&mut node, &version, item_kind);
            return;
        }
        match kinds::known(&version, &kind) {
            Known::Kind(known) => self.known(known, &version, node),
            Known::Version(known) => {
                let subject = subject::of_node(known, &node);
                let cause = format!("{kind} is not known in version {version}");
                self.reject(subject, "apiVersion", &cause, node.line);
            }
            Known::No => {
                let name = node.get("metadata").and_then(|m| m.text("name"));
                let name = name.unwrap_or("without a name");
                let text = format!("{version} {kind} {name}: this kind is not read here");
                self.warn(text, node.line);
            }
        }
    }

    fn list(&mut self, node: &mut Node, version: &str, item_kind: &str) {
        let Value::Map(entries) = &mut node.value else {
            return;
        };
        let items = entries.iter_mut().find(|(key, _)| key == "items");
        let Some((_, items)) = items else {
            return;
        };
        match std::mem::replace(&mut items.value, Value::Null) {
            Value::Seq(items) => {
                for item in items {
                    let typed = (!item_kind.is_empty()).then_some((version, item_kind));
                    self.object(item, typed);
                }
            }
            Value::Null => {}
            Value::Bool(_)
            | Value::Int(_)
            | Value::Unsigned(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Map(_) => {
                let line = items.line;
                self.reject(Subject::Unidentified, "items", "not a sequence", line);
            }
        }
    }

    fn known(&mut self, kind: Kind, version: &str, mut node: Node) {
        let subject = subject::of_node(kind, &node);
        let Subject::Object(object_ref) = subject else {
            let cause = format!("{kind} without a usable name");
            self.reject(subject, "metadata.name", &cause, node.line);
            return;
        };
        if kind != Kind::Node {
            node.remove("status");
        }
        let (object, unknown) = kinds::decode(kind, version, &object_ref, &node);
        self.unknown_fields(&object_ref, unknown);
        match object {
            Ok(object) => {
                let line = self.line(node.line);
                self.out.objects.push(Placed {
                    object_ref,
                    object,
                    place: place(self.name, line),
                    line,
                });
            }
            Err(DecodeError { field, line, cause }) => {
                let subject = if self.name_may_be_cut(&node) {
                    Subject::Unidentified
                } else {
                    Subject::Object(object_ref)
                };
                self.reject(subject, &field, &cause, line);
            }
        }
    }

    /// Whether the file ends in the very line the name is in, as a half-written one may.
    fn name_may_be_cut(&self, node: &Node) -> bool {
        let name = node.get("metadata").and_then(|m| m.get("name"));
        let last = self.document.text.lines().count() as u64;
        self.document.torn && name.is_none_or(|name| name.line >= last)
    }

    /// The Kubernetes kinds are cut down here, so a field is only odd there if it looks misspelt.
    fn unknown_fields(&mut self, object: &ObjectRef, unknown: Vec<UnknownField>) {
        let complete = kinds::is_complete(object.kind);
        for UnknownField { field, line, meant } in unknown {
            let text = match meant {
                Some(meant) => format!("{object}: {field}: unknown field; is {meant} meant?"),
                None if complete => format!("{object}: {field}: unknown field, ignored"),
                None => continue,
            };
            self.warn(text, line);
        }
    }
}

#[cfg(test)]
mod tests;
