//! Unfinished files and directories: each lies beside its target, under a name that begins with `.belljar.`.
//!
//! As long as somebody works on it, a lock (flock(2)) is held on it. So what a killed process has left behind is known from what
//! another works on, whoever that is and in which namespace, and the next call that makes one there removes it.

use crate::sys::directory::entries;
use crate::trees::tree;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat, fstatat, mkdirat};
use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

const PREFIX: &[u8] = b".belljar.";
const MOST: u32 = 1000;

/// What a draft is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, open to be written.
    File,
    /// A directory.
    Directory,
}

/// One draft; what is left of it is removed with the value.
pub struct Draft {
    above: File,
    name: String,
    open: File,
    _lock: Option<Flock<File>>,
}

impl Draft {
    /// Makes one in the directory `above`, and removes there what others have left behind.
    ///
    /// # Errors
    ///
    /// What keeps anything from being made there.
    pub fn new(above: &Path, kind: Kind) -> io::Result<Draft> {
        let directory = File::open(above)?;
        sweep(&directory);
        let mut refused = Errno::EEXIST;
        for number in 0..MOST {
            let name = format!(".belljar.{}.{number}", std::process::id());
            let made = match kind {
                Kind::File => {
                    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                    openat(&directory, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)
                }
                Kind::Directory => mkdirat(&directory, name.as_str(), Mode::S_IRWXU).and_then(|()| {
                    openat(
                        &directory,
                        name.as_str(),
                        OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
                        Mode::empty(),
                    )
                }),
            };
            let made = match made {
                // Another's, or swept between two of our calls.
                Err(errno @ (Errno::EEXIST | Errno::ENOENT)) => {
                    refused = errno;
                    continue;
                }
                made => File::from(made?),
            };
            let lock = match Flock::lock(made.try_clone()?, FlockArg::LockExclusiveNonblock) {
                // Somebody sweeps it.
                Err((_, Errno::EWOULDBLOCK)) => continue,
                // Where the file system has no locks nothing is swept either.
                lock => lock.ok(),
            };
            if is_there(&directory, name.as_bytes(), &made) {
                *at_hand() = Some((directory.try_clone()?, name.clone()));
                return Ok(Draft { above: directory, name, open: made, _lock: lock });
            }
        }
        Err(refused.into())
    }

    /// The file, or the directory.
    pub fn open(&self) -> &File {
        &self.open
    }

    /// The directory that it is in.
    pub fn above(&self) -> &File {
        &self.above
    }

    /// Gives it its name in the directory where it is.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn publish(&self, name: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.above, self.name.as_str(), &self.above, name)?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What cannot be removed is found by its name; what was asked for has been done or has failed by now.
        let _ = tree::remove(self.above.as_fd(), OsStr::new(&self.name));
        *at_hand() = None;
    }
}

/// A directory, and the name there of the draft that this process works on.
type AtHand = Option<(File, String)>;
static AT_HAND: Mutex<AtHand> = Mutex::new(None);

fn at_hand() -> MutexGuard<'static, AtHand> {
    AT_HAND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `name` still is what is open as `file`.
fn is_there(above: &File, name: &[u8], file: &File) -> bool {
    let found = fstatat(above, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    found.ok().zip(fstat(file).ok()).is_some_and(|(a, b)| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

/// Removes the drafts in `above` that nobody works on. What cannot be removed is nobody's concern but the next call's.
fn sweep(above: &File) {
    for (name, _) in entries(above.as_fd()).unwrap_or_default() {
        if is_draft(&name) && is_abandoned(above, &name) {
            let _ = tree::remove(above.as_fd(), OsStr::from_bytes(&name));
        }
    }
}

fn is_draft(name: &[u8]) -> bool {
    let numbers = name.strip_prefix(PREFIX).map(|rest| rest.split(|byte| *byte == b'.').collect::<Vec<_>>());
    let is_number = |text: &&[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    numbers.is_some_and(|numbers| numbers.len() == 2 && numbers.iter().all(is_number))
}

/// Whether nobody holds the lock of a draft of ours.
fn is_abandoned(above: &File, name: &[u8]) -> bool {
    // A fifo must not make anybody wait.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let Ok(file) = openat(above, name, flags, Mode::empty()).map(File::from) else { return false };
    let ours = fstat(&file).is_ok_and(|found| found.st_uid == geteuid().as_raw());
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => ours && is_there(above, name, &file),
        Err(_) => false,
    }
}

/// Removes the draft at hand, for a process that is about to end and cannot wait for whoever works on it.
pub fn abandon() {
    let Some((above, name)) = at_hand().take() else { return };
    // Something may come into it while it is emptied; the next call sweeps what is left then.
    let _ = tree::remove(above.as_fd(), OsStr::new(&name));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("belljar-draft-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_another_works_on_is_not() {
        let above = scratch("swept");
        for name in [".belljar.1.0", ".belljar.7.12"] {
            std::fs::create_dir(above.join(name)).unwrap();
            std::fs::write(above.join(name).join("half"), "half").unwrap();
            let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(above.join(name), closed).unwrap();
        }
        for name in [".belljar.notes", ".belljar.1", ".belljar.1.0.1", "belljar.1.0"] {
            std::fs::write(above.join(name), "somebody's own").unwrap();
        }
        let first = Draft::new(&above, Kind::Directory).unwrap();
        let second = Draft::new(&above, Kind::File).unwrap();
        assert!(above.join(&first.name).is_dir() && above.join(&second.name).is_file());
        assert_eq!(std::fs::read_dir(&above).unwrap().count(), 6);
        second.publish(OsStr::new("whole")).unwrap();
        drop((first, second));
        assert_eq!(std::fs::read_dir(&above).unwrap().count(), 5);
        std::fs::remove_dir_all(&above).unwrap();
    }
}
