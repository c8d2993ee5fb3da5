//! Archives and directories whose entries are not what they should be.

use super::{NONE, import_as, refused, refused_layout, root};
use crate::common::archives::{Image, Layout, Packing, Tar, blob};
use crate::common::chance::Chance;
use crate::common::images::Home;
use std::path::Path;

#[test]
fn what_is_no_archive_is_refused_and_says_what_would_be_one() {
    for bytes in [&b""[..], b"hello\n", &[0x7f; 4096], &[b'x'; 10_000]] {
        refused(bytes, &["tar archive"]);
    }
    refused(&[0; 10_240], &["there is nothing in it"]);
    refused(&Packing::Gzip.pack(&root().end())[..40], &["gzip stream"]);
    let home = Home::new("no-source");
    let why = home.bring(Path::new("/nonexistent/file"), None).expect_err("not there");
    assert!(why.contains("`/nonexistent/file`: No such file or directory"), "{why}");
    std::fs::create_dir(home.beside("empty")).expect("make a directory");
    let why = home.bring(&home.beside("empty"), None).expect_err("no layout");
    assert!(why.contains("without an `index.json`") && why.contains("tar -C DIR"), "{why}");
}

#[test]
fn an_archive_that_is_cut_off_anywhere_leaves_nothing() {
    let layout = Layout::of(&Image::small("cut"), "cut");
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let whole = packing.pack(&layout.tar().end());
        // Behind the end mark there is nothing to miss.
        let needed = if packing == Packing::Plain { whole.len() - 1023 } else { whole.len() };
        let lengths = (1..needed).step_by(if packing == Packing::Plain { 211 } else { 7 });
        for length in Chance::new("cut").sample(lengths) {
            let home = Home::new("cut");
            assert!(home.bring_stream(&whole[..length], Some("cut")).is_err(), "{packing:?} {length}");
            assert_eq!(home.content(), NONE, "{packing:?} {length}");
        }
    }
}

#[test]
fn a_changed_byte_anywhere_is_found_or_does_not_matter() {
    let image = Image::small("changed");
    let whole = Layout::of(&image, "changed").tar().end();
    for at in Chance::new("changed").sample((0..whole.len()).step_by(97)) {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        let home = Home::new("changed");
        match home.bring_stream(&changed, Some("x")) {
            Ok(taken) => {
                assert_eq!(taken, [format!("{} x:latest", image.digest())], "{at}");
                assert_eq!(home.verify(), NONE, "{at}");
            }
            Err(_) => assert_eq!(home.content(), NONE, "{at}"),
        }
    }
}

#[test]
fn what_leads_out_of_a_root_file_system_is_refused_with_its_entry() {
    for name in ["../evil", "usr/../../evil", "/etc/evil"] {
        refused(&root().file(name, "x:1").end(), &[name]);
        refused(&Tar::default().file(name, "x:1").end(), &[name]);
    }
}

#[test]
fn images_in_a_directory_of_their_archive_are_not_taken_for_a_root_file_system() {
    let layout = Layout::of(&Image::small("x"), "x:1");
    let inside = layout
        .all()
        .iter()
        .fold(Tar::default().directory("some/"), |tar, (name, bytes)| tar.file(&format!("some/{name}"), bytes));
    refused(&inside.end(), &["lie in the directory `some`", "hint: unpack it"]);
    let first = Tar::default().file("README", "x:1");
    let first = layout.all().iter().fold(first, |tar, (name, bytes)| tar.file(name, bytes));
    refused(&first.end(), &["it holds images", "hint: unpack it"]);
}

#[test]
fn entries_that_lead_out_are_refused_by_name() {
    let tar = || Layout::of(&Image::small("x"), "x:1").tar();
    for name in ["../evil", "blobs/../../evil", "/etc/evil"] {
        refused(&tar().file(name, "{}").end(), &[name]);
    }
    refused(&tar().symlink("x/layer.tar", "../../evil").end(), &["`x/layer.tar`", "leads out of the archive"]);
    refused(&tar().symlink("x/layer.tar", "/etc/passwd").end(), &["`x/layer.tar`", "leads out of the archive"]);
    refused(&tar().entry("x", tar::EntryType::Fifo, "", 0o644, b"").end(), &["`x`", "neither a file"]);
    refused(&tar().entry("x", tar::EntryType::Char, "", 0o644, b"").end(), &["`x`", "neither a file"]);
}

#[test]
fn what_is_there_twice_is_refused_unless_it_has_to_be_the_same() {
    let image = Image::small("x");
    let tar = || Layout::of(&image, "x:1").tar();
    refused(&tar().file("index.json", "{}").end(), &["`index.json`", "is there twice"]);
    refused(&tar().file("./oci-layout", "{}").end(), &["`oci-layout`", "is there twice"]);
    let home = Home::new("twice");
    let layer = &image.layers[0];
    import_as(&home, "f", &tar().file(&blob(layer), layer).end()).expect("the same blob twice");
    // The second is not what it is called.
    import_as(&home, "g", &tar().file(&blob(layer), "{}").end()).expect("the first is right");
}

#[test]
fn documents_have_a_bound() {
    let whole = Layout::of(&Image::small("x"), "x:1");
    let mut archive = whole.clone();
    archive.files.insert("index.json".to_owned(), vec![b' '; 5 << 20]);
    refused_layout(&archive, &["`index.json`", "document", "4194304"]);
    // A gigabyte that is never read.
    let huge = Tar::default().header("index.json", tar::EntryType::Regular, "", 0o644, 1 << 30).cut();
    let why = Home::new("huge").bring_stream(&huge, Some("x")).expect_err("cut off");
    assert!(why.contains("cut off"), "{why}");
    let many = (0..20).fold(Tar::default(), |tar, at| {
        tar.file(&format!("{at}.json"), format!("{{\"x\":\"{}\"}}", "y".repeat(4 << 20)[..(4 << 20) - 100].to_owned()))
    });
    refused(&many.end(), &["more than 67108864 bytes of documents"]);
}

#[test]
fn a_directory_s_links_do_not_lead_out_of_it_and_nothing_in_it_blocks() {
    let image = Image::small("x");
    let home = Home::new("links");
    let layout = Layout::of(&image, "x:1");
    layout.directory(&home.beside("d"));
    let layer = home.beside("d").join(blob(&image.layers[0]));
    std::fs::rename(&layer, home.beside("outside")).expect("move a blob");
    std::os::unix::fs::symlink(home.beside("outside"), &layer).expect("make a link");
    let why = home.bring(&home.beside("d"), None).expect_err("it leads out");
    assert!(why.contains("leads out of the directory"), "{why}");
    std::fs::remove_file(&layer).expect("remove the link");
    nix::unistd::mkfifo(&layer, nix::sys::stat::Mode::S_IRWXU).expect("make a fifo");
    let why = home.bring(&home.beside("d"), None).expect_err("a fifo");
    assert!(why.contains("is no regular file"), "{why}");
    std::fs::remove_file(&layer).expect("remove the fifo");
    std::fs::rename(home.beside("outside"), home.beside("d/inside")).expect("move it back");
    std::os::unix::fs::symlink("../../inside", &layer).expect("make a link");
    home.bring(&home.beside("d"), None).expect("a link inside is fine");
}
