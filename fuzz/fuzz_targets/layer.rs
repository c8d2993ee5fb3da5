//! Any bytes as a layer: they are refused, or become what comparing finds equal. Either way nothing outside the
//! directory is touched, and the directory can be removed.
#![no_main]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use belljar::trees::compare::compare;
use belljar::trees::tree::{remove, usage};
use belljar::trees::unpack::{Bounds, unpack};
use libfuzzer_sys::fuzz_target;

static BOUNDS: Bounds = Bounds { bytes: 1 << 20, entries: 200, file: 1 << 30, name: 4095, plain: false };

/// A directory with a file that nobody may touch.
static OUTER: LazyLock<PathBuf> = LazyLock::new(|| {
    let outer = std::env::temp_dir().join(format!("belljar-fuzz-{}", std::process::id()));
    fs::create_dir_all(&outer).expect("make a directory");
    fs::write(outer.join("victim"), "untouched").expect("write a file");
    outer
});

fn victim() -> (Vec<u8>, u32, u64, i64, i64) {
    let path = OUTER.join("victim");
    let found = fs::symlink_metadata(&path).expect("still there");
    (fs::read(path).expect("still a file"), found.mode(), found.nlink(), found.mtime(), found.mtime_nsec())
}

fuzz_target!(|bytes: &[u8]| {
    let into = OUTER.join("into");
    fs::create_dir(&into).expect("make a directory");
    let before = victim();
    let tar = archive(bytes);
    let directory = File::open(&into).expect("open it");
    match unpack(&mut &tar[..], directory.as_fd(), None, &BOUNDS) {
        Ok(_) => {
            if let Err(difference) = compare(&mut &tar[..], directory.as_fd()) {
                panic!("what was unpacked is not found equal: {difference}");
            }
        }
        Err(refusal) => assert!(!refusal.why.is_empty(), "a refusal that says nothing"),
    }
    usage(directory.as_fd()).expect("measure it");
    let outer = File::open(&*OUTER).expect("open it");
    remove(outer.as_fd(), OsStr::new("into")).expect("remove it");
    assert_eq!(victim(), before);
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
