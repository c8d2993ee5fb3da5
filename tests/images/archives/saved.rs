//! What `save` writes, and what of it comes back.

use super::{NONE, done, two};
use crate::common::archives::Tar;
use crate::common::chance::Chance;
use crate::common::images::Home;
use crate::common::{Run, Started, caller};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Entries of an archive: mode, owner, time, name.
fn entries(path: &Path) -> Vec<(u32, u64, u64, String)> {
    let bytes = std::fs::read(path).expect("read the archive");
    let mut archive = tar::Archive::new(zstd::Decoder::new(&bytes[..]).expect("it is packed with zstd"));
    let entries = archive.entries().expect("its entries").map(|entry| {
        let entry = entry.expect("an entry");
        let header = entry.header();
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("a name");
        let owner = header.uid().expect("a user") + header.gid().expect("a group");
        (header.mode().expect("a mode"), owner, header.mtime().expect("a time"), name)
    });
    entries.collect()
}

/// Names of what is beside the store.
fn beside(home: &Home, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(home.beside(directory)).expect("list it");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn what_is_saved_is_loaded_again_with_its_names_and_nothing_is_different() {
    let home = two("round");
    let file = home.beside("saved");
    home.save(&["one:1", "localhost/two:2"], &file).expect("save");
    let other = Home::new("round-other");
    assert_eq!(other.load(&file).expect("load").len(), 2);
    assert_eq!((other.names(), other.content()), (home.names(), home.content()));
    assert_eq!(other.verify(), NONE);
    // Through a pipe, and from there into a store that has it already.
    let script = "belljar image save one:1 localhost/two:2 -o - | tee copy | belljar image load -";
    let run = caller_at(&home, script);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(std::fs::read(home.beside("copy")).expect("the copy"), std::fs::read(&file).expect("the file"));
}

/// A shell that finds the store and the binary.
fn caller_at(home: &Home, script: &str) -> Run {
    caller(&home.0, &format!("export BELLJAR_HOME={}; {script}", home.path().display()))
}

#[test]
fn the_same_images_give_the_same_bytes_in_any_order_and_on_any_number_of_processors() {
    let home = two("same");
    let big: Vec<u8> = (0..9_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x3f).collect();
    home.bring_stream(&Tar::default().file("big", &big).end(), Some("big")).expect("import");
    let names = "one:1 localhost/two:2 big";
    let script = format!(
        "belljar image save {names} -o a && belljar image save big localhost/two:2 one:1 one:1 -o b && \
         taskset -c 0 \"$BELLJAR\" image save {names} -o c && cmp a b && cmp a c"
    );
    let run = caller_at(&home, &script);
    assert_eq!(run.code, Some(0), "{run:?}");
    // Another store, which has unpacked and packed everything anew.
    let other = Home::new("same-other");
    other.load(&home.beside("a")).expect("load");
    other.save(&["big", "one:1", "localhost/two:2"], &home.beside("d")).expect("save");
    assert_eq!(std::fs::read(home.beside("a")).expect("one"), std::fs::read(home.beside("d")).expect("the other"));
}

#[test]
fn an_archive_has_nothing_of_the_machine_or_the_hour() {
    let home = two("entries");
    home.save(&["one:1"], &home.beside("saved")).expect("save");
    let found = entries(&home.beside("saved"));
    let names: Vec<&str> = found.iter().map(|(.., name)| name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names[names.len() - 3..], ["index.json", "manifest.json", "oci-layout"]);
    assert_eq!(names.iter().filter(|name| name.starts_with("blobs/sha256/") && name.len() > 13).count(), 4);
    for (mode, owner, time, name) in &found {
        let wanted = if name.ends_with('/') { 0o755 } else { 0o644 };
        assert_eq!((*mode, *owner, *time), (wanted, 0, 0), "{name}");
    }
}

#[test]
fn an_image_is_saved_under_the_name_it_is_asked_for_by() {
    let home = two("asked");
    home.done(&["image", "tag", "one:1", "other:3"]);
    home.save(&["other:3"], &home.beside("saved")).expect("save");
    let digest = home.names()["one:1"].clone();
    home.save(&[&digest], &home.beside("nameless.tar")).expect("save by digest");
    let other = Home::new("asked-other");
    assert_eq!(other.load(&home.beside("saved")).expect("load"), [format!("{digest} other:3")]);
    assert_eq!(other.load(&home.beside("nameless.tar")).expect("load"), [format!("{digest} nameless:latest")]);
}

#[test]
fn a_file_is_replaced_as_a_whole_and_a_link_to_it_stays() {
    let home = two("replace");
    std::fs::write(home.beside("there"), "before").expect("write a file");
    std::os::unix::fs::symlink("there", home.beside("link")).expect("make a link");
    home.save(&["one:1"], &home.beside("link")).expect("save");
    assert!(std::fs::symlink_metadata(home.beside("link")).expect("the link").file_type().is_symlink());
    assert_eq!(entries(&home.beside("there")).len(), 9);
    let run = caller_at(&home, "umask 027; belljar image save one:1 -o new && stat -c %a new");
    assert!(run.stdout.ends_with("640\n"), "{run:?}");
    let why = home.save(&["one:1"], &home.beside(".")).expect_err("a directory");
    assert!(why.contains("is a directory"), "{why}");
    let why = home.save(&["one:1"], &home.beside("none/file")).expect_err("no directory");
    assert!(why.contains("none/file`: No such file or directory"), "{why}");
    let why = home.save(&["gone"], &home.beside("x")).expect_err("no image");
    assert!(why.contains("no image `gone` here"), "{why}");
}

#[test]
fn where_there_is_no_room_the_error_says_so_and_nothing_is_left() {
    let home = two("full");
    std::fs::create_dir(home.beside("out")).expect("make a directory");
    std::fs::write(home.beside("out/there"), "before").expect("write a file");
    let why = home.save(&["one:1"], Path::new("/dev/full")).expect_err("it is full");
    assert!(why.contains("No space left on device") && why.contains("hint: "), "{why}");
    for name in ["new", "there"] {
        let run = caller_at(&home, &format!("trap '' XFSZ; ulimit -f 0; \"$BELLJAR\" image save one:1 -o out/{name}"));
        assert!(run.code == Some(1) && run.stderr.contains("File too large"), "{run:?}");
    }
    let run = caller_at(&home, "belljar image save one:1 -o - | true; echo ${PIPESTATUS[0]}");
    // One of the two is quicker.
    assert!(run.stdout == "0\n" || run.stdout == "125\n" && run.stderr.contains("Broken pipe"), "{run:?}");
    assert_eq!(beside(&home, "out"), ["there"]);
    assert_eq!(std::fs::read_to_string(home.beside("out/there")).expect("read it"), "before");
    assert_eq!(home.files("tmp"), NONE);
}

#[test]
fn a_pipe_that_has_a_name_stays_one() {
    let home = two("fifo");
    let fifo = home.beside("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("make a fifo");
    let run = caller_at(
        &home,
        "cat fifo >copy & belljar image save one:1 -o fifo && wait && belljar image save one:1 -o file && cmp copy file",
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(std::fs::metadata(&fifo).expect("the fifo").file_type().is_fifo());
}

#[test]
fn a_kill_leaves_no_half_a_file() {
    let home = Home::new("kill");
    let noise: Vec<u8> = {
        let mut noise = vec![0; 24 << 20];
        std::fs::File::open("/dev/urandom").expect("open it").read_exact(&mut noise).expect("read it");
        noise
    };
    home.bring_stream(&Tar::default().file("noise", &noise).end(), Some("noise")).expect("import");
    std::fs::create_dir(home.beside("out")).expect("make a directory");
    home.save(&["noise"], &home.beside("whole")).expect("save");
    let whole = std::fs::read(home.beside("whole")).expect("read it");
    for delay in Chance::new("save").sample([0, 20, 60, 120, 250, 500]) {
        let file = home.beside("out/file");
        let mut command = home.command(&["image", "save", "noise", "-o", &file.to_string_lossy()]);
        let started = Started::new(command.stdin(Stdio::null()));
        std::thread::sleep(Duration::from_millis(delay));
        started.signal(nix::sys::signal::Signal::SIGKILL);
        started.finish();
        match beside(&home, "out").as_slice() {
            [] => {}
            [one] if one == "file" => assert!(std::fs::read(&file).expect("read it") == whole, "half a file"),
            // Between its two names for a moment: whole, and not yet in its place.
            other => panic!("left behind: {other:?}"),
        }
        let _ = std::fs::remove_file(&file);
    }
}

#[test]
fn what_is_damaged_in_the_store_is_never_saved() {
    let home = two("damaged");
    std::fs::create_dir(home.beside("out")).expect("make a directory");
    for blob in home.files("blobs/sha256") {
        let path = home.path().join("blobs/sha256").join(&blob);
        let good = std::fs::read(&path).expect("read a blob");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::write(&path, &bad).expect("damage it");
        let why = home.save(&["one:1", "localhost/two:2"], &home.beside("out/file")).expect_err("it is damaged");
        assert!(why.contains(&blob[..64]) && why.contains("`belljar image verify`"), "{why}");
        std::fs::write(&path, &good).expect("mend it");
        assert_eq!(beside(&home, "out"), NONE);
    }
}

#[test]
fn an_archive_can_be_seen_into_with_tar() {
    let home = two("tar");
    home.save(&["one:1"], &home.beside("saved")).expect("save");
    let listed = done(&home.0.0, "tar", &["--zstd", "-tf", "saved"]);
    assert!(listed.ends_with("index.json\nmanifest.json\noci-layout\n"), "{listed}");
    let _ = std::fs::set_permissions(home.beside("saved"), std::fs::Permissions::from_mode(0o644));
}
