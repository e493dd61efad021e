//! A small disk under a directory, to be filled up and made read-only.

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// What a file takes at least, and the unit of a disk's size.
pub const PAGE: u64 = 4096;
/// Hidden, so that it is no manifest.
const FILLER: &str = ".filler";
/// Most files and directories on a disk.
const NAMES: u32 = 256;

/// A tmpfs of its own mounted over a directory, whose files are on it; gone when dropped.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    /// Leads past whatever is mounted over `at` later.
    root: File,
    read_only: bool,
}

impl Disk {
    /// Mounts one of this many pages over `at` and moves its files onto it.
    ///
    /// # Errors
    /// If the lab was not entered, or the files need more.
    pub fn under(at: &Path, pages: u64) -> Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(at).with_context(|| at.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push((entry.file_name(), fs::read(entry.path())?));
            }
        }
        let size = format!("mode=0755,size={},nr_inodes={NAMES}", pages * PAGE);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("disk"), at, Some("tmpfs"), flags, Some(size.as_str()))
            .with_context(|| format!("mounting a disk on {}", at.display()))?;
        let disk = Self {
            at: at.to_owned(),
            root: File::open(at)?,
            read_only: false,
        };
        for (name, content) in files {
            fs::write(at.join(name), content)?;
        }
        Ok(disk)
    }

    /// Writes a file aside and renames it, also where the disk is read-only for everybody else.
    ///
    /// # Errors
    /// If it is full.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let root = PathBuf::from(format!("/proc/self/fd/{}", self.root.as_raw_fd()));
        let aside = root.join(format!(".{name}.new"));
        fs::write(&aside, text)?;
        Ok(fs::rename(&aside, root.join(name))?)
    }

    /// Fills it up to the last byte but this many pages.
    ///
    /// # Errors
    /// If it can't be written, or had less room than that.
    pub fn fill_but(&self, pages: u64) -> Result<()> {
        let mut options = OpenOptions::new();
        let mut filler = options.create(true).append(true).open(self.filler())?;
        let page = [0; 4096];
        let full = loop {
            if let Err(error) = filler.write_all(&page) {
                break error;
            }
        };
        ensure!(full.kind() == ErrorKind::StorageFull, "{full}");
        let size = filler.metadata()?.len() / PAGE * PAGE;
        let rest = size
            .checked_sub(pages * PAGE)
            .context("a disk without room")?;
        Ok(filler.set_len(rest)?)
    }

    /// Makes files until not even an empty one can be.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn use_up_names(&self) -> Result<()> {
        for i in 0..=NAMES {
            match File::create(self.at.join(format!("{FILLER}{i}"))) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        bail!("{NAMES} files and more")
    }

    /// Takes away what filled it.
    ///
    /// # Errors
    /// If a file can't be removed.
    pub fn make_room(&self) -> Result<()> {
        for entry in fs::read_dir(&self.at)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(FILLER) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Makes it read-only at its path. The file system itself can't be while files of it are open
    /// for writing; what a process opens from now on fails in the same way.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn make_read_only(&mut self) -> Result<()> {
        let bind = MsFlags::MS_BIND;
        mount(Some(&self.at), &self.at, None::<&str>, bind, None::<&str>)?;
        self.read_only = true;
        let flags = bind
            | MsFlags::MS_REMOUNT
            | MsFlags::MS_RDONLY
            | MsFlags::MS_NOSUID
            | MsFlags::MS_NODEV;
        Ok(mount(
            None::<&str>,
            &self.at,
            None::<&str>,
            flags,
            None::<&str>,
        )?)
    }

    /// Makes it writable again.
    ///
    /// # Errors
    /// If it was not read-only.
    pub fn make_writable(&mut self) -> Result<()> {
        umount2(&self.at, MntFlags::MNT_DETACH)?;
        self.read_only = false;
        Ok(())
    }

    fn filler(&self) -> PathBuf {
        self.at.join(FILLER)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Best effort: the mounts go with the lab's namespace in any case.
        if self.read_only {
            let _ = umount2(&self.at, MntFlags::MNT_DETACH);
        }
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}
