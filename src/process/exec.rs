//! Why a command could not be executed: execve(2) has one errno for several reasons, and the file tells them apart.
//!
//! Looks into the sandbox's root through a descriptor, never out of it, and only when nothing ever ran there.

use super::report::Stop;
use crate::error::{CommandError, CommandReason};
use crate::program;
use crate::step::Command;
use crate::sys::directory::open_within;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag};
use nix::sys::stat::SFlag;
use std::ffi::CString;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};

/// The error for `command`, of whose candidates `stop` names the one that was refused.
pub fn explain(command: &Command, image: &str, stop: Stop, root: Option<&OwnedFd>) -> CommandError {
    let (index, errno) = (stop.number(), stop.errno);
    let candidates = &command.candidates;
    let reason = match (errno, root) {
        (libc::ENOENT | libc::ENOTDIR, Some(root)) => not_found(root, candidates),
        (libc::ENOENT | libc::ENOTDIR, None) => CommandReason::NotFound,
        (libc::EACCES, Some(root)) => not_executable(root, candidates, index),
        (libc::EACCES, None) => CommandReason::NotExecutable,
        (libc::ENOEXEC, Some(root)) => wrong_format(root, candidates, index),
        (libc::E2BIG, _) => CommandReason::TooLarge,
        (other, _) => CommandReason::Other(other),
    };
    CommandError { command: program::name(command), reason, image: image.to_owned() }
}

/// A file of the sandbox as it is seen inside.
fn open(root: &OwnedFd, path: &CString, flags: OFlag) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    open_within(root, path.as_c_str(), flags, resolve)
}

fn kind(root: &OwnedFd, path: &CString) -> Option<SFlag> {
    let file = open(root, path, OFlag::O_PATH).ok()?;
    let status = nix::sys::stat::fstatat(file.as_fd(), c"", AtFlags::AT_EMPTY_PATH).ok()?;
    Some(SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT)
}

/// A file that exists and still "does not exist" lacks its interpreter.
fn not_found(root: &OwnedFd, candidates: &[CString]) -> CommandReason {
    let exists = candidates.iter().any(|path| kind(root, path) == Some(SFlag::S_IFREG));
    if exists { CommandReason::InterpreterNotFound } else { CommandReason::NotFound }
}

fn not_executable(root: &OwnedFd, candidates: &[CString], index: u8) -> CommandReason {
    match candidates.get(usize::from(index)).and_then(|path| kind(root, path)) {
        Some(SFlag::S_IFDIR) => CommandReason::Directory,
        _ => CommandReason::NotExecutable,
    }
}

fn wrong_format(root: &OwnedFd, candidates: &[CString], index: u8) -> CommandReason {
    let file =
        candidates.get(usize::from(index)).and_then(|path| open(root, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK).ok());
    let mut magic = [0u8; 4];
    let elf = file.is_some_and(|file| std::fs::File::from(file).read_exact(&mut magic).is_ok()) && &magic == b"\x7fELF";
    if elf { CommandReason::WrongArchitecture } else { CommandReason::NoInterpreterLine }
}
