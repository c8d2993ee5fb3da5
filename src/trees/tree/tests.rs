//! Trees as a sandbox may leave them.

use super::*;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmodat, mkdirat};

/// A directory with `tree`, which may go, and `victim`, which may not.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let outer = std::env::temp_dir().join(format!("belljar-tree-{}-{number}", std::process::id()));
        for directory in ["tree", "victim/below"] {
            fs::create_dir_all(outer.join(directory)).expect("make a directory");
        }
        fs::write(outer.join("victim/file"), "untouched").expect("write a file");
        Scratch(outer)
    }

    fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    fn open(&self) -> OwnedFd {
        File::open(&self.0).expect("open the directory").into()
    }

    fn remove(&self) -> Result<(), Failure> {
        remove(self.open().as_fd(), OsStr::new("tree"))
    }

    fn usage(&self) -> Usage {
        usage(File::open(self.tree()).expect("open it").as_fd()).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Removes the tree, and looks whether anything else went with it.
    #[track_caller]
    fn assert_removed(self) {
        self.remove().unwrap_or_else(|failure| panic!("{failure}"));
        assert!(fs::symlink_metadata(self.tree()).is_err(), "the tree is still there");
        assert_eq!(fs::read(self.0.join("victim/file")).expect("still there"), b"untouched");
        assert!(self.0.join("victim/below").is_dir());
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.remove();
        fs::remove_dir_all(&self.0).expect("nothing else is left");
    }
}

fn close(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set a mode");
}

/// Directories within each other, deeper than any path is long.
fn dig(directory: &Path, depth: usize) {
    let mut here: OwnedFd = File::open(directory).expect("open it").into();
    for _ in 0..depth {
        mkdirat(&here, "d", Mode::S_IRWXU).expect("make a directory");
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        here = openat(&here, "d", flags, Mode::empty()).expect("open it");
    }
}

#[test]
fn a_tree_of_everything_is_removed() {
    let scratch = Scratch::new();
    let tree = scratch.tree();
    for name in ["a/b/c", "a/d", "-rf", "new\nline", "..."] {
        fs::create_dir_all(tree.join(name)).expect("make a directory");
        fs::write(tree.join(name).join("file"), "x").expect("write a file");
    }
    nix::unistd::mkfifo(&tree.join("fifo"), Mode::S_IRUSR).expect("make a fifo");
    std::os::unix::net::UnixListener::bind(tree.join("socket")).expect("make a socket");
    symlink("../victim", tree.join("out")).expect("make a link");
    symlink("/", tree.join("a/root")).expect("make a link");
    symlink("loop", tree.join("loop")).expect("make a link");
    scratch.assert_removed();
}

#[test]
fn a_file_or_a_link_is_removed_and_nothing_is_no_error() {
    for make in [|path: &Path| fs::write(path, "x"), |path: &Path| symlink("victim", path)] {
        let scratch = Scratch::new();
        fs::remove_dir(scratch.tree()).expect("remove it");
        make(&scratch.tree()).expect("make it");
        scratch.assert_removed();
    }
    let scratch = Scratch::new();
    fs::remove_dir(scratch.tree()).expect("remove it");
    scratch.assert_removed();
}

#[test]
fn directories_that_their_owner_may_not_enter_are_removed() {
    let scratch = Scratch::new();
    let tree = scratch.tree();
    for mode in [0, 0o100, 0o200, 0o400, 0o500, 0o077] {
        let directory = tree.join(format!("{mode:o}"));
        fs::create_dir_all(directory.join("below/it")).expect("make a directory");
        fs::write(directory.join("file"), "x").expect("write a file");
        close(&directory.join("below"), mode);
        close(&directory, mode);
    }
    close(&tree, 0);
    scratch.assert_removed();
}

#[test]
fn a_tree_deeper_than_any_path_or_number_of_descriptors_is_measured_and_removed() {
    let scratch = Scratch::new();
    dig(&scratch.tree(), 3000);
    assert_eq!(scratch.usage().inodes, 3001);
    scratch.assert_removed();
}

#[test]
fn a_deep_tree_of_closed_directories_is_measured_as_it_is_and_removed() {
    let scratch = Scratch::new();
    dig(&scratch.tree(), 200);
    let mut here: OwnedFd = File::open(scratch.tree()).expect("open it").into();
    let mut all = Vec::new();
    for _ in 0..200 {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let next = openat(&here, "d", flags, Mode::empty()).expect("open it");
        all.push(std::mem::replace(&mut here, next));
    }
    for directory in all.iter().rev() {
        fchmodat(directory, "d", Mode::empty(), nix::sys::stat::FchmodatFlags::FollowSymlink).expect("set a mode");
    }
    assert_eq!(scratch.usage().inodes, 201);
    let first = fs::metadata(scratch.tree().join("d")).expect("it is there");
    assert_eq!(first.mode() & 0o7777, 0, "measuring changes no mode");
    scratch.assert_removed();
}

#[test]
fn many_entries_are_removed() {
    let scratch = Scratch::new();
    for number in 0..1500 {
        File::create(scratch.tree().join(format!("{number}-{}", "x".repeat(100)))).expect("make a file");
    }
    for number in 0..200 {
        fs::create_dir(scratch.tree().join(format!("d{number}"))).expect("make a directory");
    }
    assert_eq!(scratch.usage().inodes, 1701);
    scratch.assert_removed();
}

#[test]
fn usage_counts_blocks_and_each_file_once() {
    let scratch = Scratch::new();
    let empty = scratch.usage();
    assert_eq!(empty.inodes, 1);
    fs::write(scratch.tree().join("file"), vec![7; 1 << 20]).expect("write a file");
    fs::hard_link(scratch.tree().join("file"), scratch.tree().join("again")).expect("link it");
    File::create(scratch.tree().join("hole")).and_then(|file| file.set_len(1 << 30)).expect("make a hole");
    symlink("/usr", scratch.tree().join("link")).expect("make a link");
    let usage = scratch.usage();
    assert_eq!(usage.inodes, 4);
    assert!((1 << 20..(1 << 20) + (64 << 10)).contains(&(usage.bytes - empty.bytes)), "{usage:?}");
}

#[test]
fn a_mount_is_not_entered() {
    // In a mount namespace of its own, with the sandbox's user as root: this test runs itself there.
    let program = std::env::current_exe().expect("this test");
    let inner = "trees::tree::tests::beside_a_mount";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(program)
        .args(["--exact", inner, "--include-ignored", "--nocapture"])
        .output();
    let said = output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    );
    if said.contains("1 passed") {
        return;
    }
    let impossible = said.contains("unshare");
    assert!(impossible && std::env::var_os("MUST_WORK").is_none(), "{said}");
    println!("skipped: no user namespaces here: {said}");
}

#[test]
#[ignore = "runs in a mount namespace, started by the test above"]
fn beside_a_mount() {
    let scratch = Scratch::new();
    let mounted = scratch.tree().join("a/mounted");
    fs::create_dir_all(&mounted).expect("make a directory");
    fs::write(scratch.tree().join("a/file"), "x").expect("write a file");
    let flags = nix::mount::MsFlags::MS_BIND;
    nix::mount::mount(Some(&scratch.0.join("victim")), &mounted, None::<&str>, flags, None::<&str>).expect("mount");
    let failure = scratch.remove().expect_err("something is mounted there");
    assert_eq!(failure.to_string(), "remove `mounted`: Cross-device link");
    assert_eq!(failure.hint.as_deref(), Some("something is mounted there: unmount it first"));
    // All else is gone.
    assert!(!scratch.tree().join("a/file").exists());
    assert_eq!(fs::read(mounted.join("file")).expect("still there"), b"untouched");
    let failure = usage(File::open(scratch.tree()).expect("open it").as_fd()).expect_err("a mount");
    assert_eq!(failure.errno, libc::EXDEV);
    nix::mount::umount(&mounted).expect("unmount");
}
