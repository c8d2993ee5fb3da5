//! What changes in a directory, as it changes (inotify(7)).
//!
//! A file that is written all at once, as belljar writes files, was written: nothing is told of the draft. A directory that comes is
//! watched with what is in it already, which is told as created, whatever was written to it before. Changes that come faster than anybody takes them end the watching: none is left out unsaid.

use super::Answer;
use crate::error::{Error, Kind};
use crate::tools::{Changed, Name, What};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Between two signs of life.
const WAIT_MS: u16 = 500;
/// What the names of drafts begin with.
const DRAFT: &str = ".belljar.";

/// Tells what changes, until nobody listens any more or the directory has gone.
pub fn watch(path: &Name, recursive: bool, answer: &mut Answer<'_>) -> Result<(), Error> {
    let root = std::fs::canonicalize(path.path()).map_err(|error| Error::of_io(&error).about(path))?;
    if !root.is_dir() {
        return Err(Error::new(Kind::NotADirectory, "no directory").about(path));
    }
    let failed = |errno: Errno| Error::of_io(&errno.into()).about(path);
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?;
    let mut watcher = Watcher {
        inotify,
        root,
        recursive,
        directories: HashMap::new(),
        known: HashSet::new(),
        drafts: HashSet::new(),
    };
    watcher.add(Path::new(""), answer, false)?;
    tell(answer, What::Begun, Path::new(""))?;
    loop {
        poll(&mut [PollFd::new(watcher.inotify.as_fd(), PollFlags::POLLIN)], WAIT_MS)
            .map_or_else(|errno| if errno == Errno::EINTR { Ok(()) } else { Err(failed(errno)) }, |_| Ok(()))?;
        match watcher.inotify.read_events() {
            Ok(events) => {
                for event in events {
                    watcher.take(&event, answer)?;
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        if watcher.directories.is_empty() {
            return Ok(());
        }
        answer.pulse().map_err(|error| Error::of_io(&error))?;
    }
}

fn tell(answer: &mut Answer<'_>, what: What, path: &Path) -> Result<(), Error> {
    let told = answer.item(&Changed { path: Name::from(path), what });
    told.and_then(|()| answer.to.flush()).map_err(|error| Error::of_io(&error))
}

struct Watcher {
    inotify: Inotify,
    root: PathBuf,
    recursive: bool,
    /// By what the kernel calls them; paths count from the root.
    directories: HashMap<WatchDescriptor, PathBuf>,
    /// What is there, to tell a file that is written anew from one that was there.
    known: HashSet<PathBuf>,
    /// Drafts that were renamed and have not come to their place yet.
    drafts: HashSet<u32>,
}

impl Watcher {
    /// Watches a directory; `new` tells what is in it.
    fn add(&mut self, directory: &Path, answer: &mut Answer<'_>, new: bool) -> Result<(), Error> {
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        let place = self.root.join(directory);
        let watched = match self.inotify.add_watch(&place, flags) {
            Ok(watched) => watched,
            // It has gone again.
            Err(Errno::ENOENT | Errno::ENOTDIR) if !directory.as_os_str().is_empty() => return Ok(()),
            Err(Errno::ENOSPC) => {
                return Err(Error::new(Kind::Failed, "there are more directories than can be watched")
                    .about(&place.as_path().into()));
            }
            Err(errno) => return Err(Error::of_io(&errno.into()).about(&place.as_path().into())),
        };
        self.directories.insert(watched, directory.to_owned());
        // One that cannot be read is watched all the same.
        for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
            if is_draft(&entry.file_name()) {
                continue;
            }
            let path = directory.join(entry.file_name());
            if self.known.insert(path.clone()) && new {
                tell(answer, What::Created, &path)?;
            }
            answer.pulse().map_err(|error| Error::of_io(&error))?;
            if self.recursive && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add(&path, answer, new)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &InotifyEvent, answer: &mut Answer<'_>) -> Result<(), Error> {
        let is = |flag: AddWatchFlags| event.mask.contains(flag);
        if is(AddWatchFlags::IN_Q_OVERFLOW) {
            return Err(Error::new(Kind::Failed, "changes came faster than they were taken")
                .hint("watch again, and look at the directory anew"));
        }
        let Some(directory) = self.directories.get(&event.wd).cloned() else { return Ok(()) };
        if is(AddWatchFlags::IN_IGNORED) {
            self.directories.remove(&event.wd);
            return Ok(());
        }
        let Some(name) = &event.name else {
            // The directory itself; what is in another one is told by that one.
            let what = match () {
                () if is(AddWatchFlags::IN_DELETE_SELF) => What::Removed,
                () if is(AddWatchFlags::IN_MOVE_SELF) => What::Renamed,
                () => return Ok(()),
            };
            return if directory.as_os_str().is_empty() { tell(answer, what, &directory) } else { Ok(()) };
        };
        if is_draft(name) {
            if is(AddWatchFlags::IN_MOVED_FROM) {
                self.drafts.insert(event.cookie);
            }
            return Ok(());
        }
        let path = directory.join(name);
        let is_directory = is(AddWatchFlags::IN_ISDIR);
        if is(AddWatchFlags::IN_CREATE) || is(AddWatchFlags::IN_MOVED_TO) {
            let written = self.drafts.remove(&event.cookie);
            if self.known.insert(path.clone()) || !written {
                tell(answer, What::Created, &path)?;
            }
            if written {
                tell(answer, What::Written, &path)?;
            }
            return if is_directory && self.recursive { self.add(&path, answer, true) } else { Ok(()) };
        }
        if is(AddWatchFlags::IN_MOVED_FROM) || is(AddWatchFlags::IN_DELETE) {
            self.known.remove(&path);
            if is_directory {
                self.forget(&path);
            }
            return tell(answer, if is(AddWatchFlags::IN_DELETE) { What::Removed } else { What::Renamed }, &path);
        }
        tell(answer, if is(AddWatchFlags::IN_MODIFY) { What::Written } else { What::Permissions }, &path)
    }

    /// Watches what is below a path no more: it has another name now, or none.
    fn forget(&mut self, path: &Path) {
        let gone: Vec<WatchDescriptor> = self
            .directories
            .iter()
            .filter(|(_, directory)| directory.starts_with(path))
            .map(|(watched, _)| *watched)
            .collect();
        for watched in gone {
            // The kernel forgets by itself what was removed.
            let _ = self.inotify.rm_watch(watched);
            self.directories.remove(&watched);
        }
        self.known.retain(|known| !known.starts_with(path));
    }
}

fn is_draft(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(DRAFT.as_bytes())
}
