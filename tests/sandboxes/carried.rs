//! Whole sandboxes as files.

use crate::common::archives::Tar;
use crate::common::images::{Home, Image};
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, allowed_to_be_missing, bind, installed, said};
use serde_json::{Value, json};
use std::path::Path;

fn import(sandboxes: &Sandboxes, words: &[&str]) -> Run {
    let mut all = vec!["import"];
    all.extend(allowed_to_be_missing());
    all.extend(words);
    sandboxes.call(&all)
}

#[test]
fn a_sandbox_goes_to_another_machine_as_one_file() {
    let (here, there) = (Sandboxes::new("here"), Sandboxes::new("there"));
    let file = here.0.0.join("box.belljar");
    let file = file.to_str().expect("text");
    let mounted = bind(&here.0.0, "/shown");
    for (options, name) in [(&["--keep", "--mount", &mounted][..], "kept"), (&[], "quick")] {
        let common =
            ["--memory", "300M", "--pids", "77", "--env", "GREETING=hi", "--hostname", "far", "--label", "of=me"];
        here.create(name, &[options, &common].concat());
        let write = "cd /var; mkdir -p a/b; echo one > a/b/f; ln -s f a/b/link; chmod 640 a/b/f; rm -r log; truncate -s 1G giant";
        assert_eq!(said(&here.shell(name, write)), (Some(0), "", ""));
        let run = here.call(&["export", "-o", file, name]);
        let missing: Vec<&str> = allowed_to_be_missing().iter().step_by(2).copied().collect();
        let said_so = if options.is_empty() { "" } else { "belljar: left out mounts: " };
        assert!(run.code == Some(0) && run.stderr.starts_with(said_so), "{run:?}");
        assert!(!missing.is_empty() || !options.is_empty() || run.stderr.is_empty(), "{run:?}");
        assert!(Path::new(file).metadata().expect("a file").len() < 1 << 20);
        let brought = import(&there, &[file]);
        assert_eq!((brought.code, brought.stdout), (Some(0), format!("{name}\n")));
        let look = "cd /var; stat -c '%a %s' a/b/f giant; cat a/b/link; ls -d log 2>&1; echo $GREETING; uname -n";
        let seen = "640 4\n644 1073741824\none\nls: cannot access 'log': No such file or directory\nhi\nfar\n";
        assert_eq!(there.shell(name, look).stdout, seen);
        let (one, other) = (here.inspect(name), there.inspect(name));
        for key in ["limits", "labels", "keep", "image"] {
            assert_eq!(one[key], other[key], "{key}");
        }
        // Options win, and a name can be had once.
        assert_eq!(import(&there, &["--memory", "200M", file, "second"]).stdout, "second\n");
        assert_eq!(there.inspect("second")["limits"]["memory_bytes"], 200 << 20);
        let taken = import(&there, &[file]);
        assert!(taken.code == Some(1) && taken.stderr.contains("there is a sandbox `"), "{taken:?}");
        there.done(&["rm", "-f", name, "second"]);
        here.done(&["rm", "-f", name]);
    }
    assert_eq!(there.leavings(), [""; 0]);
}

#[test]
fn a_sandbox_on_an_image_takes_it_along() {
    if !installed("busybox") {
        return;
    }
    let (here, there) = (Home::new("image-here"), Home::new("image-there"));
    here.import("small", &Image::busybox().above("mkdir -p data && echo base > data/kept && echo base > data/gone"));
    let with = |home: &Home, words: &[&str]| home.call(&[&[words[0]], allowed_to_be_missing(), &words[1..]].concat());
    assert_eq!(with(&here, &["create", "--keep", "--image", "small", "box"]).code, Some(0));
    let change = "cd /data; echo new > added; rm gone";
    assert_eq!(here.call(&["exec", "box", "--", "sh", "-c", change]).code, Some(0));
    let file = here.0.0.join("box.belljar");
    let file = file.to_str().expect("text");
    assert_eq!(here.call(&["export", "-o", file, "box"]).code, Some(0));
    assert_eq!(with(&there, &["import", file]).stdout, "box\n");
    let seen = there.call(&["exec", "box", "--", "sh", "-c", "cd /data; ls; cat added"]);
    assert_eq!(said(&seen), (Some(0), "added\nkept\nnew\n", ""));
    assert_eq!(there.call(&["diff", "box"]).stdout, here.call(&["diff", "box"]).stdout);
    assert_eq!(there.call(&["image", "verify"]).code, Some(0));
    // The image has a name that says where it came from, and stays without one as long as the sandbox is kept.
    assert_eq!(there.call(&["stop", "box"]).code, Some(0));
    let listed: Value = serde_json::from_str(&there.call(&["image", "ls", "--json"]).stdout).expect("an object");
    let name = listed["images"][0]["names"][0].as_str().expect("a name").to_owned();
    assert!(name.starts_with("sandbox-"), "{listed}");
    assert_eq!(there.call(&["image", "rm", &name]).code, Some(0));
    assert_eq!(there.call(&["image", "gc"]).code, Some(0));
    assert_eq!(said(&there.call(&["start", "box"])), (Some(0), "box\n", ""));
    // Without the image, where it is, and where it is not.
    assert_eq!(here.call(&["export", "--without-image", "-o", file, "box"]).code, Some(0));
    assert_eq!(with(&there, &["import", file, "again"]).stdout, "again\n");
    for name in ["box", "again"] {
        assert_eq!(there.call(&["rm", "-f", name]).code, Some(0));
    }
    assert_eq!(there.call(&["image", "gc"]).code, Some(0));
    let missing = with(&there, &["import", file]);
    assert!(missing.code == Some(1) && missing.stderr.contains("image: "), "{missing:?}");
    assert_eq!(there.call(&["ls", "--json"]).stdout.trim(), json!({ "version": 1, "sandboxes": [] }).to_string());
    assert_eq!(here.call(&["rm", "-f", "box"]).code, Some(0));
}

#[test]
fn a_file_that_somebody_else_has_made_decides_nothing_of_the_host() {
    let sandboxes = Sandboxes::new("foreign");
    let description = |spec: Value| json!({ "version": 1, "name": "box", "spec": spec }).to_string();
    let whole =
        |text: &str, layer: Tar| Tar::default().file("sandbox.json", text).file("files.tar.zst", layer.end()).end();
    let good = || Tar::default().directory("var/").file("var/f", "x\n");
    let attempt = |bytes: &[u8]| {
        let file = sandboxes.0.file("foreign.belljar", bytes);
        import(&sandboxes, &[file.to_str().expect("text")])
    };
    assert_eq!(attempt(&whole(&description(json!({})), good())).stdout, "box\n");
    assert_eq!(sandboxes.shell("box", "cat /var/f").stdout, "x\n");
    sandboxes.done(&["rm", "-f", "box"]);
    for wish in [
        json!({ "mounts": ["/etc:/x"] }),
        json!({ "net": "host" }),
        json!({ "seccomp": "debug" }),
        json!({ "allow_missing": ["seccomp"] }),
        json!({ "cgroup_parent": "none" }),
        json!({ "code": { "language": "sh", "file": "/etc/passwd" } }),
        json!({ "image": "other" }),
        json!({ "stdin": "/etc/passwd" }),
    ] {
        let run = attempt(&whole(&description(wish.clone()), good()));
        assert!(run.code == Some(1) && run.stderr.contains("wants what is the host's"), "{wish}: {run:?}");
    }
    for name in ["../../x", "-x", "a/b"] {
        let text = json!({ "version": 1, "name": name, "spec": {} }).to_string();
        let run = attempt(&whole(&text, good()));
        assert!(run.code == Some(2) && run.stderr.contains("is not a valid sandbox name"), "{run:?}");
    }
    let text = json!({ "version": 1, "name": "box", "labels": { "a": "\u{1b}[2J" }, "spec": {} }).to_string();
    assert!(attempt(&whole(&text, good())).stderr.contains("no line of text"));
    let file = sandboxes.0.file("foreign.belljar", whole(&description(json!({})), good()));
    let range = import(&sandboxes, &["--userns", "range", file.to_str().expect("text")]);
    assert!(range.code == Some(1) && range.stderr.contains("userns: "), "{range:?}");
    let climbing = attempt(&whole(&description(json!({})), Tar::default().file("../../../up", "x")));
    assert_eq!(climbing.code, Some(1), "{climbing:?}");
    let large =
        attempt(&whole(&description(json!({ "disk": 1 << 20 })), Tar::default().file("f", vec![b'x'; 2 << 20])));
    assert_eq!(large.code, Some(1), "{large:?}");
    let bytes = whole(&description(json!({})), good());
    // What is in a file that is something else is nobody's to read in an error.
    let foreign = attempt(&[b"root:secret:0:0:root:/root:/bin/sh\n".as_slice(); 40].concat());
    assert!(foreign.code == Some(1) && foreign.stderr.contains("no tar archive"), "{foreign:?}");
    assert!(!foreign.stderr.contains("secret"), "{foreign:?}");
    let both = import(&sandboxes, &["--memory", "x", "nowhere"]);
    assert!(both.code == Some(2) && !both.stderr.contains("command"), "{both:?}");
    for cut in [0, 1, 511, 512, 700, 1024, 1500, 2048, 2560] {
        let run = attempt(&bytes[..cut.min(bytes.len() - 1025)]);
        assert!(run.code == Some(1) && run.stderr.contains("belljar: file: it is no sandbox"), "{cut}: {run:?}");
    }
    let newer = attempt(&whole(&json!({ "version": 2, "name": "box", "spec": {} }).to_string(), good()));
    assert!(newer.stderr.contains("it is of version 2"), "{newer:?}");
    assert_eq!((sandboxes.states(), sandboxes.leavings()), (Vec::new(), Vec::<String>::new()));
}

#[test]
fn a_sandbox_goes_through_a_pipe() {
    let sandboxes = Sandboxes::new("piped");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "head -c 3000000 /dev/urandom > /tmp/f; cksum < /tmp/f > /tmp/sum");
    let mut export = sandboxes.command(&["export", "-o", "-", "box"]);
    let mut from = export.stdout(std::process::Stdio::piped()).spawn().expect("start belljar");
    let mut words = vec!["import"];
    words.extend(allowed_to_be_missing());
    words.extend(["-", "copy"]);
    let mut into = sandboxes.command(&words);
    into.stdin(from.stdout.take().expect("its output"));
    let run = Run::from(into.output().expect("start belljar"));
    assert_eq!((from.wait().expect("wait").code(), run.code), (Some(0), Some(0)), "{run:?}");
    assert_eq!(sandboxes.shell("copy", "cksum < /tmp/f | cmp - /tmp/sum").code, Some(0));
}
