//! Any bytes as a source of images: they are refused and leave no image, or become images that verification finds whole.
//! Either way nothing outside the store is touched.
//!
//! No mutation would ever hit a digest, so the bytes are files from which an archive is made: each begins with a byte
//! that says what it is called and two with its length, and in its content two-byte marks stand for digest and size of an earlier one.
#![no_main]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::LazyLock;

use belljar::error::Kind;
use belljar::images::import::{Source, import};
use belljar::images::intake::Intake;
use belljar::trees::progress::Quiet;
use belljar::trees::tree::remove;
use belljar::images::verify::verify;
use belljar::images::{Digest, Reference, Store};
use libfuzzer_sys::fuzz_target;

/// In a content, before the number of a file: its digest in hexadecimal digits, and its size.
const DIGEST: u8 = 0x01;
const SIZE: u8 = 0x02;

/// A directory with a file that nobody may touch.
static OUTER: LazyLock<PathBuf> = LazyLock::new(|| {
    let outer = std::env::temp_dir().join(format!("belljar-fuzz-archive-{}", std::process::id()));
    fs::create_dir_all(&outer).expect("make a directory");
    fs::write(outer.join("victim"), "untouched").expect("write a file");
    outer
});

fuzz_target!(|bytes: &[u8]| {
    let archive = archive(bytes);
    let store = Store::new(&OUTER.join("store"));
    let intake = Intake::begin(&store).expect("begin");
    let name = Reference::parse("fuzz").expect("a name");
    // A name that is given is for one image; those of the source are for any number.
    let name = bytes.first().is_some_and(|first| first & 1 == 1).then_some(name);
    let source = Source::Stream(Box::new(&archive[..]));
    let answer = import(&intake, source, name.as_ref(), &Quiet);
    drop(intake);
    let (names, images) = (store.names().expect("names"), store.manifests().expect("images"));
    match answer {
        Ok(imported) => {
            assert!(!imported.is_empty() && images.len() <= imported.len(), "{imported:?} {images:?}");
            for name in imported.iter().flat_map(|image| &image.names) {
                store.lease(&name.name()).expect("an image that was imported is there");
            }
            let faults = verify(&store, None, &Quiet).expect("verify");
            assert!(faults.is_empty(), "{faults:?}");
        }
        Err(error) if error.kind == Kind::Setup => panic!("the system refused: {error}"),
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error that says nothing");
            assert!(names.is_empty() && images.is_empty(), "{error}: {names:?} {images:?}");
        }
    }
    assert!(store.entries("tmp").expect("list it").is_empty(), "work was left");
    let outer = File::open(&*OUTER).expect("open it");
    remove(outer.as_fd(), OsStr::new("store")).expect("remove it");
    assert_eq!(fs::read(OUTER.join("victim")).expect("still there"), b"untouched");
    assert_eq!(fs::read_dir(&*OUTER).expect("list it").count(), 1, "something was made outside");
});

/// The archive that the bytes describe.
fn archive(mut bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut files: Vec<(Digest, usize)> = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (content, behind) = rest.split_at(length);
        bytes = behind;
        let content = filled(content, &files);
        let digest = Digest::of(&content);
        files.push((digest, content.len()));
        let name = match kind >> 1 & 7 {
            0 | 1 => format!("blobs/sha256/{}", digest.hex()),
            2 => "index.json".to_owned(),
            3 => "manifest.json".to_owned(),
            4 => "oci-layout".to_owned(),
            5 => format!("{}/layer.tar", digest.hex()),
            6 => format!("{}.json", digest.hex()),
            _ => format!("etc/{}", files.len()),
        };
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &content[..]).expect("to memory");
    }
    tar.into_inner().expect("to memory")
}

/// A content with its marks replaced.
fn filled(content: &[u8], files: &[(Digest, usize)]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = content.iter();
    while let Some(byte) = rest.next() {
        match byte {
            &DIGEST | &SIZE => {
                let at = rest.next().map_or(0, |at| usize::from(*at));
                let Some((digest, size)) = files.get(at) else { continue };
                let word = if *byte == DIGEST { digest.hex() } else { size.to_string() };
                filled.extend_from_slice(word.as_bytes());
            }
            byte => filled.push(*byte),
        }
    }
    filled
}
