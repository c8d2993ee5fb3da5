//! Reads a bundle's directory: its configuration, and the host's paths in it.
//!
//! Promises: nothing outside the directory is named by the bundle. No link is followed on the way to its configuration,
//! its root and what it mounts.

use crate::bundle::{self, FILE, Wish};
use crate::error::{Error, Problem, describe_io};
use crate::spec::User;
use crate::sys::directory::open_within;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::unistd::{getegid, geteuid};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// The largest configuration that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// What the bundle in `path` wishes, with every path of the host absolute.
///
/// # Errors
///
/// `Invalid`, with everything that is wrong with it.
pub fn read(path: &Path) -> Result<Wish, Error> {
    let failed = |path: &Path, error: &io::Error| {
        let problem = Problem::new("bundle", format!("`{}`: {}", path.display(), describe_io(error)));
        Error::invalid(vec![problem.hint(format!("name the directory that holds the bundle's `{FILE}`"))])
    };
    let directory = std::path::absolute(path).map_err(|error| failed(path, &error))?;
    let opened = File::options().read(true).custom_flags(libc::O_DIRECTORY).open(&directory);
    let opened = opened.map_err(|error| failed(path, &error))?;
    let file = path.join(FILE);
    let text = text(&opened).map_err(|error| failed(&file, &error))?;
    let caller = User { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    let mut wish = bundle::read(&text, caller).map_err(|problems| of_file(&file, problems))?;
    let problems = settle(&mut wish, &directory, &opened);
    if problems.is_empty() { Ok(wish) } else { Err(of_file(&file, problems)) }
}

/// What the caller has to say himself, and has not.
pub fn consent(wish: &Wish, path: &Path, seccomp_is_said: bool) -> Result<(), Error> {
    if !wish.filter || seccomp_is_said {
        return Ok(());
    }
    let problem = Problem::new("linux.seccomp", "a filter of belljar's own takes its place");
    let cure = "say which: `--seccomp default`, or `strict`, or the file of a profile";
    Err(of_file(&path.join(FILE), vec![problem.hint(cure)]))
}

/// The same problems, said of the file.
fn of_file(file: &Path, problems: Vec<Problem>) -> Error {
    let said = |problem: Problem| Problem {
        field: "bundle".to_owned(),
        message: format!("`{}`: {}: {}", file.display(), problem.field, problem.message),
        hint: problem.hint,
    };
    Error::invalid(problems.into_iter().map(said).collect())
}

fn text(directory: &File) -> io::Result<String> {
    let file = File::from(below(directory, Path::new(FILE), OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("more than {LARGEST} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("is not UTF-8"))
}

fn below(directory: &File, path: &Path, flags: OFlag) -> io::Result<std::os::fd::OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    Ok(open_within(directory, path, flags, resolve)?)
}

/// Makes its paths absolute; what does not lie in the directory is a problem.
fn settle(wish: &mut Wish, directory: &Path, opened: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut place = |path: &Path, field: &str, is_root: bool| -> Option<PathBuf> {
        let inside = path.strip_prefix(directory).unwrap_or(path);
        let plain = inside.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let found = match plain && !inside.as_os_str().is_empty() {
            true => below(opened, inside, OFlag::O_PATH).and_then(|found| File::from(found).metadata()),
            false => Err(io::Error::from_raw_os_error(libc::EXDEV)),
        };
        let shown = path.display().to_string();
        let shown = shown.escape_debug();
        let cure = "name what lies in the bundle's directory; the host's files are shown by `--mount`";
        let wrong = match found {
            Ok(found) if is_root && !found.is_dir() => Problem::new(field, format!("`{shown}` is no directory")),
            Ok(_) => return Some(directory.join(inside)),
            Err(error) => match error.raw_os_error() {
                Some(libc::EXDEV) => Problem::new(field, format!("`{shown}` does not lie in the bundle")).hint(cure),
                Some(libc::ELOOP) => Problem::new(field, format!("`{shown}` leads through a symbolic link")).hint(cure),
                _ => Problem::new(field, format!("`{shown}`: {}", describe_io(&error))),
            },
        };
        problems.push(wrong);
        None
    };
    wish.bundle.directory = directory.to_owned();
    wish.bundle.root = place(&wish.bundle.root, "root.path", true).unwrap_or_default();
    for mount in &mut wish.spec.mounts {
        let field = format!("mounts: `{}`", mount.target.display());
        mount.source = place(&mount.source, &field, false).unwrap_or_default();
    }
    problems
}
