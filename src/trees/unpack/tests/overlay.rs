//! That the kernel's overlayfs, mounted as a user mounts it, understands what we write.

use super::*;
use std::process::Command;

/// What is seen through layers, the highest first, one path a line. `None` where this host gives users no overlayfs.
fn seen(layers: &[Tar]) -> Option<Vec<String>> {
    let scratches: Vec<_> = layers
        .iter()
        .map(|layer| {
            let scratch = Scratch::new();
            scratch.unpack(&layer.clone().end(), &Bounds::default()).expect("unpacked");
            scratch
        })
        .collect();
    let empty = Scratch::new();
    let lower: Vec<_> = scratches.iter().map(|scratch| scratch.layer().display().to_string()).collect();
    let script = "mount -t overlay -o userxattr,lowerdir=$1 overlay $2 || exit 77; cd $2; find . -mindepth 1 | sort";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg([lower.join(":"), empty.layer().display().to_string()].join(":"))
        .arg(empty.layer())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
        }
        Ok(output) => skipped(&String::from_utf8_lossy(&output.stderr)),
        Err(error) => skipped(&format!("unshare: {error}")),
    }
}

fn skipped(why: &str) -> Option<Vec<String>> {
    assert!(std::env::var_os("MUST_WORK").is_none(), "no overlayfs for users here: {why}");
    println!("skipped: no overlayfs for users here: {why}");
    None
}

#[test]
fn overlayfs_hides_what_whiteouts_and_opaque_directories_hide() {
    let lower = Tar::new()
        .file("kept", "")
        .file("gone", "")
        .file("directory-gone/a", "")
        .file("emptied/a", "")
        .file("emptied/b/c", "")
        .file("merged/a", "")
        .file("merged/b", "")
        .file("renewed/old", "");
    let upper = Tar::new()
        .file(".wh.gone", "")
        .file(".wh.directory-gone", "")
        .file("emptied/.wh..wh..opq", "")
        .file("emptied/.wh.a", "")
        .file("emptied/new", "")
        .file("merged/.wh.a", "")
        .file("merged/c", "")
        .file(".wh.renewed", "")
        .file("renewed/new", "");
    let Some(seen) = seen(&[upper, lower]) else { return };
    let expected =
        ["./emptied", "./emptied/new", "./kept", "./merged", "./merged/b", "./merged/c", "./renewed", "./renewed/new"];
    assert_eq!(seen, expected);
}

#[test]
fn overlayfs_does_not_look_for_the_mark_at_a_root() {
    // Why a summary has `opaque`: the caller leaves out the layers below. Were this to change, it would do no harm.
    let Some(seen) = seen(&[Tar::new().file("a", "").file(".wh..wh..opq", ""), Tar::new().file("b", "")]) else {
        return;
    };
    assert_eq!(seen, ["./a", "./b"]);
}
