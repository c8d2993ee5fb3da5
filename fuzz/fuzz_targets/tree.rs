//! Any bytes as a tree that comes out of a sandbox: it is refused, or put where it was to go. Either way nothing else is
//! touched, and no draft is left.
#![no_main]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::LazyLock;

use belljar::trees::tree::remove;
use belljar::tools::tree::put;
use libfuzzer_sys::fuzz_target;

/// A directory with a file that nobody may touch, and a link to it.
static OUTER: LazyLock<PathBuf> = LazyLock::new(|| {
    let outer = std::env::temp_dir().join(format!("belljar-fuzz-tree-{}", std::process::id()));
    fs::create_dir_all(&outer).expect("make a directory");
    fs::write(outer.join("victim"), "untouched").expect("write a file");
    outer
});

fuzz_target!(|bytes: &[u8]| {
    let into = OUTER.join("into");
    fs::create_dir(&into).expect("make a directory");
    std::os::unix::fs::symlink("../victim", into.join("link")).expect("make a link");
    fs::create_dir(into.join("there")).expect("make a directory");
    let (merge, bytes) = bytes.split_first().map_or((false, bytes), |(first, rest)| (first % 2 == 0, rest));
    let tar = archive(bytes);
    let name = if merge { "." } else { "new" };
    if let Err(error) = put(&mut &tar[..], &into, OsStr::new(name), Some(1 << 20)) {
        assert!(!error.message.is_empty(), "an error that says nothing");
    }
    let names = fs::read_dir(&into).expect("list it").map(|entry| entry.expect("an entry").file_name());
    assert!(names.into_iter().all(|name| merge || ["link", "there", "new"].iter().any(|known| name == *known)));
    assert_eq!(fs::read(OUTER.join("victim")).expect("still a file"), b"untouched");
    let outer = File::open(&*OUTER).expect("open it");
    remove(outer.as_fd(), OsStr::new("into")).expect("remove it");
    assert_eq!(fs::read_dir(&*OUTER).expect("list it").count(), 1, "something was made outside");
});

/// The bytes as blocks, an end behind them, and the checksum right in all that look like headers: no mutation would ever
/// hit it.
fn archive(bytes: &[u8]) -> Vec<u8> {
    let mut tar = bytes.to_vec();
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    for block in tar.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().copied().map(u32::from).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
    tar
}
