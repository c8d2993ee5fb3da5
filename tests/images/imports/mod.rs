//! What can be brought in as an image, and what cannot: sources of every kind, most of them damaged or hostile.

mod entries;
mod kinds;
mod lists;

use crate::common::archives::{Image, Layout, Tar};
use crate::common::images::Home;
use belljar::images::Digest;
use serde_json::{Value, json};

/// No words at all.
pub const NONE: [&str; 0] = [];

/// Brings in `bytes` as a file of that name.
pub fn import_as(home: &Home, file: &str, bytes: &[u8]) -> Result<Vec<String>, String> {
    home.bring(&home.0.file(file, bytes), None)
}

/// Asserts that `bytes` are refused for a reason that has all of `parts`, as a file and as a stream, and that nothing is
/// left of it.
pub fn refused(bytes: &[u8], parts: &[&str]) {
    let home = Home::new("refused");
    let whys = [import_as(&home, "source", bytes), home.bring_stream(bytes, None)]
        .map(|answer| answer.expect_err("it was taken"));
    for why in whys {
        // A root file system has no name of its own.
        let nameless =
            why.ends_with("hint: give it a name with `--name`") && !parts.iter().any(|part| why.contains(part));
        let why = if nameless { home.bring_stream(bytes, Some("streamed")).expect_err("it was taken") } else { why };
        for part in parts {
            assert!(why.contains(part), "`{part}` is not in: {why}");
        }
        assert_eq!(home.content(), NONE, "{why}");
    }
}

/// The same for a layout, as an archive and as a directory.
pub fn refused_layout(layout: &Layout, parts: &[&str]) {
    refused(&layout.tar().end(), parts);
    let home = Home::new("refused-directory");
    layout.directory(&home.beside("layout"));
    let why = home.bring(&home.beside("layout"), None).expect_err("it was taken");
    for part in parts {
        assert!(why.contains(part), "`{part}` is not in: {why}");
    }
    assert_eq!(home.content(), NONE, "{why}");
}

/// An archive of `docker save`, the older form: layers in directories, one of them a link to another.
pub fn docker(images: &[(&Image, Value)]) -> Tar {
    let (mut tar, mut list) = (Tar::default(), Vec::new());
    for (image, tags) in images {
        let config = format!("{}.json", Digest::of(&image.config_file()).hex());
        let mut layers = Vec::new();
        for (at, layer) in image.layers.iter().enumerate() {
            let directory = Digest::of(format!("{config}{at}").as_bytes()).hex();
            let file = format!("{directory}/layer.tar");
            tar = tar.directory(&format!("{directory}/")).file(&format!("{directory}/VERSION"), "1.0");
            tar = match image.layers[..at].iter().position(|other| other == layer) {
                Some(other) => {
                    let target = Digest::of(format!("{config}{other}").as_bytes()).hex();
                    tar.symlink(&file, &format!("../{target}/layer.tar"))
                }
                None => tar.file(&file, layer).file(&format!("{directory}/json"), r#"{"id":"x"}"#),
            };
            layers.push(file);
        }
        tar = tar.file(&config, image.config_file());
        list.push(json!({ "Config": config, "RepoTags": tags, "Layers": layers }));
    }
    tar.file("manifest.json", json!(list).to_string()).file("repositories", "{}")
}

/// A root file system, with a shell behind the link of a merged `/usr`.
pub fn root() -> Tar {
    Tar::default()
        .directory("./")
        .symlink("./bin", "usr/bin")
        .directory("./usr/")
        .directory("./usr/bin/")
        .program("./usr/bin/sh", "#!")
}
