//! A power cut after each write: every call that changes what is written about sandboxes is recorded, and each beginning of the
//! recording is brought back as three kinds of disks would have kept it. No kept file is lost then, and no name is stuck.

use crate::common::chance::scaled;
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, allowed_to_be_missing, belljar, installed, said};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a process did to the disk.
#[derive(Clone)]
enum Write {
    /// Opened a file, which is new or emptied.
    Open(PathBuf, bool),
    Append(PathBuf, Vec<u8>),
    Directory(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    Link(PathBuf, PathBuf),
    Sync(PathBuf),
    /// The caller was told.
    Told,
}

/// What the disk has kept of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    Everything,
    /// Names, but no bytes of files.
    Names,
    /// Neither.
    Nothing,
}

/// Reads one line of `strace -f -y -xx`, whose strings and paths are bytes in hexadecimal.
fn parse(line: &str) -> Option<Write> {
    let call = line.split_once(' ')?.1.trim_start();
    let (name, rest) = call.split_once('(')?;
    if rest.contains(" = -1 ") {
        return None;
    }
    let bytes = |text: &str| -> Vec<u8> {
        let digits = text.split("\\x").skip(1);
        digits.map(|digits| u8::from_str_radix(&digits[..2], 16).expect("two digits")).collect()
    };
    let path = |bytes: Vec<u8>| PathBuf::from(String::from_utf8(bytes).expect("a path"));
    let strings: Vec<Vec<u8>> = rest.split('"').skip(1).step_by(2).map(bytes).collect();
    let descriptors: Vec<PathBuf> =
        rest.split('<').skip(1).map(|text| path(bytes(&text[..text.find('>').unwrap_or(0)]))).collect();
    let named = |index: usize| {
        Some(descriptors.get(index).cloned().unwrap_or_default().join(path(strings.get(index)?.clone())))
    };
    let plain = |index: usize| Some(path(strings.get(index)?.clone()));
    Some(match name {
        "open" | "openat" if rest.contains("O_CREAT") || rest.contains("O_TRUNC") => {
            Write::Open(if name == "open" { plain(0)? } else { named(0)? }, rest.contains("O_TRUNC"))
        }
        "write" if rest.starts_with("1<") => Write::Told,
        "write" => Write::Append(descriptors.first()?.clone(), strings.first()?.clone()),
        "mkdir" => Write::Directory(plain(0)?),
        "mkdirat" => Write::Directory(named(0)?),
        "rename" => Write::Rename(plain(0)?, plain(1)?),
        "renameat" | "renameat2" => Write::Rename(named(0)?, named(1)?),
        "unlink" | "rmdir" => Write::Remove(plain(0)?),
        "unlinkat" => Write::Remove(named(0)?),
        "symlink" => Write::Link(plain(0)?, plain(1)?),
        "fsync" | "fdatasync" => Write::Sync(descriptors.first()?.clone()),
        _ => return None,
    })
}

impl std::fmt::Debug for Write {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |path: &PathBuf| path.iter().rev().take(2).collect::<Vec<_>>().join("<".as_ref());
        match self {
            Write::Open(path, _) => write!(to, "open {:?}", name(path)),
            Write::Append(path, _) => write!(to, "write {:?}", name(path)),
            Write::Directory(path) => write!(to, "mkdir {:?}", name(path)),
            Write::Rename(from, into) => write!(to, "rename {:?} {:?}", name(from), name(into)),
            Write::Remove(path) => write!(to, "remove {:?}", name(path)),
            Write::Link(target, path) => write!(to, "link {target:?} {:?}", name(path)),
            Write::Sync(path) => write!(to, "sync {:?}", name(path)),
            Write::Told => write!(to, "told"),
        }
    }
}

impl Write {
    /// Whether it is about names in this directory.
    fn is_in(&self, directory: &Path) -> bool {
        match self {
            Write::Open(path, _) | Write::Directory(path) | Write::Remove(path) | Write::Link(_, path) => {
                path.parent() == Some(directory)
            }
            Write::Rename(from, to) => from.parent() == Some(directory) || to.parent() == Some(directory),
            Write::Append(..) | Write::Sync(_) | Write::Told => false,
        }
    }

    fn is_of_names(&self) -> bool {
        !matches!(self, Write::Append(..) | Write::Sync(_) | Write::Told)
    }

    /// Does it again, where `place` says. What cannot be done hangs on something that was lost before.
    fn again(&self, place: &dyn Fn(&Path) -> PathBuf) -> std::io::Result<()> {
        use std::io::Write as _;
        match self {
            Write::Open(path, empty) => {
                fs::OpenOptions::new().write(true).create(true).truncate(*empty).open(place(path)).map(drop)
            }
            Write::Append(path, bytes) => fs::OpenOptions::new().append(true).open(place(path))?.write_all(bytes),
            Write::Directory(path) => fs::create_dir(place(path)),
            Write::Rename(from, to) => fs::rename(place(from), place(to)),
            Write::Remove(path) => fs::remove_file(place(path)).or_else(|_| fs::remove_dir(place(path))),
            Write::Link(target, path) => std::os::unix::fs::symlink(target, place(path)),
            Write::Sync(_) | Write::Told => Ok(()),
        }
    }
}

/// Does again what was written, as far as a disk has kept it.
fn replay(writes: &[Write], home: &Path, to: &Path, kept: Kept) {
    let place = |path: &Path| path.strip_prefix(home).map_or_else(|_| path.to_owned(), |below| to.join(below));
    let mut unsynced: Vec<PathBuf> = Vec::new();
    for (index, write) in writes.iter().enumerate() {
        let synced =
            || writes[index..].iter().any(|later| matches!(later, Write::Sync(directory) if write.is_in(directory)));
        if kept == Kept::Nothing && write.is_of_names() && !synced() {
            continue;
        }
        // What hangs on something that was lost is lost as well.
        let _ = write.again(&place);
        match write {
            Write::Append(path, _) => unsynced.push(path.clone()),
            Write::Sync(path) => unsynced.retain(|one| one != path),
            Write::Rename(from, to) => {
                for one in &mut unsynced {
                    if let Ok(below) = one.strip_prefix(from) {
                        *one = if below == Path::new("") { to.clone() } else { to.join(below) };
                    }
                }
            }
            _ => {}
        }
    }
    if kept != Kept::Everything {
        for path in unsynced.iter().map(|path| place(path)).filter(|path| path.is_file()) {
            fs::write(path, "").expect("empty it");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let run: Run = Command::new("cp").arg("-aT").args([from, to]).output().expect("start cp").into();
    assert_eq!(said(&run), (Some(0), "", ""));
    // overlayfs leaves a directory that its owner may not look into.
    let status = Command::new("chmod").args(["-R", "u+rwX"]).arg(to).status();
    assert!(status.expect("start chmod").success());
}

/// The names that there must be: before the caller was told, which may be one of several answers, and afterwards.
struct Expected<'a> {
    before: &'a [&'a [&'a str]],
    after: &'a [&'a str],
}

/// Records what `script` writes, in which `$B` is belljar, and looks at what each cut leaves.
fn cut(name: &str, script: &str, expected: &Expected<'_>) {
    if !installed("strace") {
        return;
    }
    let boxes = Sandboxes::new(&format!("cut-{name}"));
    boxes.create("k", &["--keep"]);
    assert_eq!(boxes.shell("k", "echo kept >/tmp/file").code, Some(0));
    boxes.done(&["stop", "k"]);
    assert!(crate::common::eventually(10, || boxes.supervisors().is_empty()), "it goes on");
    let (home, base, log) = (boxes.home(), boxes.0.0.join("base"), boxes.0.0.join("log"));
    let status = Command::new("chmod").args(["-R", "u+rwX"]).arg(&home).status();
    assert!(status.expect("start chmod").success());
    copy(&home, &base);
    let mut strace = Command::new("strace");
    let calls =
        "open,openat,write,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,symlink,fsync,fdatasync";
    strace.args(["-f", "-qq", "-y", "-xx", "-s", "100000", "-e", &format!("trace={calls}"), "-o"]).arg(&log);
    strace.args(["sh", "-ec", script]).env("B", belljar()).env("MISSING", allowed_to_be_missing().join(" "));
    strace.env("BELLJAR_HOME", &home).env("BELLJAR_CGROUP_PARENT", "none");
    let run: Run = strace.output().expect("start strace").into();
    assert_eq!(run.code, Some(0), "{script}: {run:?}");
    let ours = |write: &Write| match write {
        Write::Open(path, _) | Write::Append(path, _) | Write::Directory(path) | Write::Remove(path) => {
            path.starts_with(&home)
        }
        Write::Rename(path, _) | Write::Link(_, path) | Write::Sync(path) => path.starts_with(&home),
        Write::Told => true,
    };
    let log = fs::read_to_string(&log).expect("read the log");
    let writes: Vec<Write> = log.lines().filter_map(parse).filter(ours).collect();
    let told = writes.iter().rposition(|write| matches!(write, Write::Told)).expect("the answer");
    assert!(writes.len() > 5, "{script}: {writes:?}");
    let (count, all) = (scaled(writes.len()).min(writes.len()), writes.len());
    let mut cuts: Vec<usize> = (0..count).map(|number| number * all / count).chain([told, all - 1]).collect();
    cuts.dedup();
    for at in cuts {
        for kept in [Kept::Everything, Kept::Names, Kept::Nothing] {
            let after = Sandboxes::new(&format!("cut-{name}-after"));
            copy(&base, &after.home());
            replay(&writes[..=at], &home, &after.home(), kept);
            let which = format!("{script}, {kept:?} after {at}: {:?}", &writes[..=at]);
            look(&after, if at < told { expected.before } else { std::slice::from_ref(&expected.after) }, &which);
        }
    }
}

/// Whether the sandboxes that are there after a cut are among `expected` and have their files, and whether all can be removed.
fn look(boxes: &Sandboxes, expected: &[&[&str]], which: &str) {
    // A machine is away for longer than anybody takes to fill a directory.
    for name in boxes.leavings().iter().filter(|name| name.starts_with("new.")) {
        let directory = fs::File::open(boxes.home().join("sandboxes").join(name)).expect("open it");
        directory.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("make it old");
    }
    let states = boxes.states();
    let names: Vec<&str> = states.iter().map(|(name, _)| name.as_str()).collect();
    assert!(expected.contains(&names.as_slice()), "{which}: {states:?}");
    for name in &names {
        let run = boxes.call(&["start", name]);
        assert_eq!(run.code, Some(0), "{which}: {run:?}");
        let wanted = if *name == "new" { "" } else { "kept\n" };
        let run = boxes.shell(name, "cat /tmp/file 2>/dev/null || [ $0 = sh ]");
        assert_eq!(said(&run), (Some(0), wanted, ""), "{which}");
        boxes.done(&["rm", "-f", name]);
    }
    assert_eq!(boxes.leavings(), Vec::<String>::new(), "{which}");
    boxes.create("k", &["--keep"]);
}

#[test]
fn a_sandbox_that_is_started_and_stopped_outlives_a_cut_at_any_moment() {
    let k: &[&str] = &["k"];
    cut("start", "$B start k; $B exec k -- true; $B stop k", &Expected { before: &[k], after: k });
}

#[test]
fn a_sandbox_that_is_changed_outlives_a_cut_at_any_moment() {
    let k: &[&str] = &["k"];
    cut("change", "$B label k a=b; $B resize --disk 3G k", &Expected { before: &[k], after: k });
}

#[test]
fn a_sandbox_has_its_old_name_or_its_new_one_after_a_cut_at_any_moment() {
    cut("name", "$B rename k r; echo", &Expected { before: &[&["k"], &["r"]], after: &["r"] });
}

#[test]
fn a_sandbox_that_was_told_to_be_made_is_there_after_a_cut_at_any_moment() {
    let expected = Expected { before: &[&["k"], &["k", "new"]], after: &["k", "new"] };
    cut("make", "$B create $MISSING --keep new; $B stop new >/dev/null 2>&1; exit 0", &expected);
}

#[test]
fn a_sandbox_that_is_removed_is_whole_or_gone_after_a_cut_at_any_moment() {
    cut("remove", "$B rm k; echo", &Expected { before: &[&["k"], &[]], after: &[] });
}
