//! A certificate in files, as Kubernetes mounts a Secret, taken up anew whenever they change.
//!
//! They are read every few seconds and compared by what is in them: that sees a file written in place,
//! one moved over another, and Kubernetes' exchange of the whole directory by a symbolic link alike.

use super::{Shown, TlsError, pair};
use std::convert::Infallible;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often to look.
const LOOK: Duration = Duration::from_secs(2);
/// Most bytes of a file.
const LARGEST: u64 = 1 << 20;

/// `tls.crt` and `tls.key` of a directory.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    shown: Arc<Shown>,
    last: Texts,
    fault: Fault,
}

/// What was in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Texts {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What is wrong with the files as they are now.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// This, seen once: somebody may be about to write the other file.
    Seen(String),
    /// This, and the log says so.
    Said(String),
}

impl Files {
    /// Reads them.
    ///
    /// # Errors
    /// If one can't be read, or they can't be used.
    pub fn open(directory: &Path) -> Result<Self, TlsError> {
        let last = read(directory)?;
        let files = Self {
            directory: directory.to_owned(),
            shown: Arc::default(),
            last,
            fault: Fault::None,
        };
        files.shown.show(files.use_texts(&files.last)?);
        Ok(files)
    }

    /// What shows the certificate.
    #[must_use]
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Takes up what changes, for as long as it is polled.
    pub async fn keep(mut self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look();
        }
    }

    fn use_texts(&self, texts: &Texts) -> Result<Arc<rustls::sign::CertifiedKey>, TlsError> {
        pair(&texts.certificate, &texts.key).map_err(|cause| TlsError::Pair {
            what: self.directory.display().to_string(),
            cause,
        })
    }

    fn look(&mut self) {
        let found = read(&self.directory).and_then(|texts| {
            if texts == self.last {
                return Ok(None);
            }
            let key = self.use_texts(&texts)?;
            Ok(Some((texts, key)))
        });
        match found {
            Ok(None) => self.fault = Fault::None,
            Ok(Some((texts, key))) => {
                self.last = texts;
                self.fault = Fault::None;
                self.shown.show(key);
                tracing::info!(directory = %self.directory.display(), "a new certificate is shown");
            }
            Err(error) => self.complain(error.to_string()),
        }
    }

    fn complain(&mut self, error: String) {
        self.fault = match std::mem::replace(&mut self.fault, Fault::None) {
            Fault::Said(before) if before == error => Fault::Said(before),
            Fault::Seen(before) if before == error => {
                tracing::error!(error, "the certificate from before is shown");
                Fault::Said(before)
            }
            Fault::None | Fault::Seen(_) | Fault::Said(_) => Fault::Seen(error),
        };
    }
}

fn read(directory: &Path) -> Result<Texts, TlsError> {
    let file = |name: &str| {
        let path = directory.join(name);
        let read = File::open(&path).and_then(|file| {
            let mut text = Vec::new();
            file.take(LARGEST).read_to_end(&mut text)?;
            Ok(text)
        });
        read.map_err(|source| TlsError::File { path, source })
    };
    Ok(Texts {
        certificate: file("tls.crt")?,
        key: file("tls.key")?,
    })
}

#[cfg(test)]
mod tests;
