//! Regular files and fifos.

use super::Unpacking;
use super::archive::Archive;
use super::attributes::{UNCHANGED, describe, spec};
use super::entry::Entry;
use super::names::split;
use super::refusal::Refusal;
use super::sparse::Map;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, utimensat};
use nix::unistd::{UnlinkatFlags, fchownat, ftruncate, mkfifoat, unlinkat};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;

impl Unpacking {
    pub(super) fn file(&mut self, entry: &Entry, map: Option<&Map>, archive: &mut Archive<'_>) -> Result<(), Refusal> {
        // Nobody else's to read before it is whole.
        let mode = Mode::from_bits_truncate(0o600);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = self.create(entry, |directory, name| openat(directory, name, flags, mode))?;
        let mut file = File::from(made);
        // First of all, since it says whether the file system can hold it.
        if let Some(map) = map {
            let size = i64::try_from(map.size).map_err(|_| Refusal::new("is longer than any file can be"))?;
            ftruncate(file.as_fd(), size).map_err(|errno| Refusal::kernel("cannot make it as long as it is", errno))?;
        }
        match map {
            Some(map) => self.fill_sparse(&mut file, map, archive)?,
            None => self.fill(&mut file, u64::MAX, archive)?,
        }
        describe(file.as_fd(), entry, self.owner)
    }

    pub(super) fn fifo(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let mode = Mode::from_bits_truncate(0o600);
        self.create(entry, |directory, name| mkfifoat(directory, name, mode))?;
        let (here, name) = (self.directories.here(), split(&entry.path).1);
        // Not opened: that would wait for somebody at its other end.
        fchmodat(here, name, Mode::from_bits_truncate(entry.mode), FchmodatFlags::NoFollowSymlink)
            .map_err(|errno| Refusal::kernel("cannot set its mode", errno))?;
        self.describe_closed(entry)
    }

    /// Makes something where nothing is, with `make`, which must not follow a link or take what is there. What an
    /// earlier entry has made there is removed first.
    pub(super) fn create<T>(
        &mut self,
        entry: &Entry,
        make: impl Fn(std::os::fd::BorrowedFd<'_>, &[u8]) -> nix::Result<T>,
    ) -> Result<T, Refusal> {
        let (parent, name) = split(&entry.path);
        self.directories.enter(parent)?;
        let made = match make(self.directories.here(), name) {
            Err(Errno::EEXIST) => {
                self.directories.make_room(name)?;
                make(self.directories.here(), name)
            }
            answer => answer,
        };
        let made = made.map_err(|errno| Refusal::kernel("cannot make it", errno))?;
        self.directories.changed();
        Ok(made)
    }

    /// Owner and time of what cannot be opened, which has just been made here.
    pub(super) fn describe_closed(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let (here, name) = (self.directories.here(), split(&entry.path).1);
        if let Some((user, group)) = self.owner {
            fchownat(here, name, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(|errno| Refusal::kernel("cannot give it to its owner", errno))?;
        }
        utimensat(here, name, &UNCHANGED, &spec(entry.time), UtimensatFlags::NoFollowSymlink)
            .map_err(|errno| Refusal::kernel("cannot set its time", errno))
    }

    /// Copies content, at the most `length` bytes.
    fn fill(&mut self, file: &mut File, mut length: u64, archive: &mut Archive<'_>) -> Result<(), Refusal> {
        while length > 0 {
            let moved = archive.pass(file, length)?;
            if moved == 0 {
                break;
            }
            length -= moved;
        }
        while length > 0 {
            let piece = self.buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            let count = archive.read(&mut self.buffer[..piece])?;
            if count == 0 {
                break;
            }
            file.write_all(&self.buffer[..count]).map_err(|error| unwritable(&error))?;
            length -= count as u64;
        }
        Ok(())
    }

    fn fill_sparse(&mut self, file: &mut File, map: &Map, archive: &mut Archive<'_>) -> Result<(), Refusal> {
        for (offset, length) in map.parts.iter().filter(|(_, length)| *length > 0) {
            file.seek(SeekFrom::Start(*offset)).map_err(|error| unwritable(&error))?;
            self.fill(file, *length, archive)?;
        }
        Ok(())
    }

    /// Takes back what was made of an entry.
    pub(super) fn remove(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let name = split(&entry.path).1;
        unlinkat(self.directories.here(), name, UnlinkatFlags::NoRemoveDir)
            .map_err(|errno| Refusal::kernel("cannot remove what came of it", errno))
    }
}

fn unwritable(error: &std::io::Error) -> Refusal {
    Refusal::kernel("cannot write it", Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}
