//! Images: what a sandbox on one sees and may do, and that the store stays whole whoever does what to it at once.

use crate::common::chance::Chance;
use crate::common::images::{BUSYBOX, Home, Image};
use crate::common::{Run, Scratch, Started, bind, installed, result, said};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;

/// A store with a small image in it.
fn small(name: &str) -> Option<Home> {
    if !installed("busybox") {
        return None;
    }
    let home = Home::new(name);
    home.import("small", &Image::busybox());
    Some(home)
}

#[test]
fn an_image_is_the_root_and_the_result_names_it_by_digest() {
    let Some(home) = small("root") else { return };
    let run =
        home.call(&["run", "--json", "--image", "small", "--", "sh", "-c", "ls /usr /bin/busybox; cat /etc/hostname"]);
    let found = result(&run);
    assert_eq!(found["stdout"], "/bin/busybox\n\n/usr:\nbin\nbelljar\n", "{found}");
    let digest = home.images()[0]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(found["image"], format!("small@{digest}"));
    for word in [digest.as_str(), &digest[7..19], "small:latest", &format!("small@{digest}")] {
        assert_eq!(said(&home.shell(word, "echo there")), (Some(0), "there\n", ""), "{word}");
    }
}

#[test]
fn an_image_that_is_not_there_is_refused_with_those_that_are() {
    let Some(home) = small("missing") else { return };
    let run = home.shell("none", "true");
    let hint = "hint: there are `small:latest`; `belljar image build`, `import`, `load` and `pull` bring images in, and \
        `host` is always there\n";
    assert_eq!(said(&run), (Some(125), "", &*format!("belljar: image: no image `none` here\n{hint}")));
    let other = format!("small@sha256:{}", "0".repeat(64));
    let run = home.shell(&other, "true");
    assert!(run.code == Some(125) && run.stderr.contains("here, not sha256:000"), "{run:?}");
    let run = home.shell("../escape", "true");
    assert!(run.code == Some(125) && run.stderr.contains("is no host name"), "{run:?}");
}

#[test]
fn what_looks_like_a_digest_is_no_name_and_a_name_wins_over_digits() {
    let Some(home) = small("digest-name") else { return };
    let digest = format!("sha256:{}", "a".repeat(64));
    let run = home.call(&["image", "tag", "small", &digest]);
    assert!(run.code == Some(2) && run.stderr.contains("a digest is no name"), "{run:?}");
    assert_eq!(home.shell(&digest, "true").code, Some(125));
    let digits = home.images()[0]["digest"].as_str().expect("a digest")[7..13].to_owned();
    home.import(&digits, &Image::busybox().above("mkdir -p etc; touch etc/other"));
    assert_eq!(said(&home.shell(&digits, "ls /etc/other")), (Some(0), "/etc/other\n", ""));
}

#[test]
fn a_directory_of_a_layer_in_the_place_of_a_link_is_told_when_it_comes_in() {
    if !installed("busybox") {
        return;
    }
    let (home, scratch) = (Home::new("hidden-links"), Scratch::new("hidden-links"));
    let image = Image::busybox()
        .above("mkdir -p usr/lib a/b; touch usr/lib/x; ln -s usr/lib lib; ln -s ../usr a/usr; ln -s usr/lib gone; ln -s usr/lib meant")
        .above("mkdir a; ln -s /etc a/own; touch .wh.gone; mkdir meant; touch meant/.wh..wh..opq")
        .above("mkdir -p lib a/usr a/b gone meant; touch lib/y a/usr/y");
    let layout = image.layout(&scratch);
    let run = home.call(&["image", "import", "--json", "--name", "two", &layout.to_string_lossy()]);
    let found = result(&run);
    assert_eq!(
        found["images"][0]["hidden_links"],
        json!([
            { "path": "/a/usr", "target": "../usr", "layer": 4 },
            { "path": "/lib", "target": "usr/lib", "layer": 4 },
        ]),
        "{found}"
    );
    assert!(
        run.stderr.contains("layer 4 has a directory `/lib` where a lower layer has a link to `usr/lib`"),
        "{run:?}"
    );
    assert_eq!(said(&home.shell("two", "ls /lib; ls /usr/lib")), (Some(0), "y\nx\n", ""));
}

#[test]
fn everything_in_an_image_can_be_written_over_and_the_image_stays_as_it_is() {
    let Some(home) = small("write") else { return };
    let script = "echo x >/etc/passwd && rm -r /usr && mkdir /usr && touch /usr/y && mkdir /new && echo z >/bin/added && ls /usr";
    assert_eq!(said(&home.shell("small", script)), (Some(0), "y\n", ""));
    assert_eq!(
        said(&home.shell("small", "ls /usr; ls -d /new /bin/added 2>/dev/null; grep -c ^app: /etc/passwd")).1.trim(),
        "bin\n1"
    );
}

#[test]
fn what_is_written_counts_for_the_disk_limit() {
    let Some(home) = small("disk") else { return };
    let words =
        ["run", "--image", "small", "--disk", "1M", "--", "sh", "-c", "cat /dev/zero >/etc/big; stat -c %s /etc/big"];
    let run = home.call(&words);
    let size: u64 = run.stdout.trim().parse().expect("a size");
    assert!((512 << 10..=1 << 20).contains(&size), "{run:?}");
}

#[test]
fn the_configuration_of_an_image_is_honoured() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("config");
    let config = json!({
        "Entrypoint": ["/bin/sh", "-c", "echo \"$0 $1\"; pwd; id -u; id -g; env | grep -E '^(GREETING|PATH|HOME|USER)='"],
        "Cmd": ["one", "two"], "Env": ["GREETING=hello", "PATH=/bin:/app"], "WorkingDir": "/srv/app", "User": "app",
    });
    home.import("app", &Image::busybox().with(config));
    let run = home.call(&["run", "--image", "app"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let mut lines: Vec<&str> = run.stdout.lines().collect();
    lines[4..].sort_unstable();
    let wanted = ["one two", "/srv/app", "77", "78", "GREETING=hello", "HOME=/home/app", "PATH=/bin:/app", "USER=app"];
    assert_eq!(lines, wanted);
    let words = ["run", "--image", "app", "--user", "5:6", "--workdir", "/tmp", "--env", "GREETING=you", "--", "three"];
    let run = home.call(&words);
    assert!(run.stdout.starts_with("three \n/tmp\n5\n6\n") && run.stdout.contains("GREETING=you\n"), "{run:?}");
}

#[test]
fn an_image_without_a_command_needs_one() {
    let Some(home) = small("command") else { return };
    let run = home.call(&["run", "--image", "small"]);
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(
        run.stderr.starts_with("belljar: command: no command, and the image has none of its own\nhint: "),
        "{run:?}"
    );
}

#[test]
fn the_stop_signal_of_an_image_tells_its_command_to_end() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("stop");
    let script = "trap 'echo caught; exit 7' USR1; echo ready; while :; do sleep 0.05; done";
    let config = json!({ "Cmd": ["/bin/sh", "-c", script], "StopSignal": "SIGUSR1" });
    home.import("app", &Image::busybox().with(config));
    let mut started = home.command(&["run", "--image", "app"]).stdout(Stdio::piped()).spawn().expect("start belljar");
    let mut line = [0; 6];
    std::io::Read::read_exact(started.stdout.as_mut().expect("its output"), &mut line).expect("read a line");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(started.id() as i32), nix::sys::signal::SIGTERM)
        .expect("signal it");
    let output = started.wait_with_output().expect("wait for it");
    assert_eq!((&line, String::from_utf8_lossy(&output.stdout)), (b"ready\n", "caught\n".into()));
}

#[test]
fn code_runs_on_the_image_of_its_language_where_there_is_one() {
    let Some(home) = small("code") else { return };
    let image = |words: &[&str]| {
        let run = home.call(&[&["code"], words].concat());
        result(&run)["image"].as_str().unwrap_or_else(|| panic!("{run:?}")).to_owned()
    };
    assert_eq!(image(&["sh", "--json", "-e", "true"]), "host");
    home.done(&["image", "tag", "small", "shell"]);
    assert!(image(&["sh", "--json", "-e", "true"]).starts_with("shell@sha256:"));
    assert_eq!(image(&["sh", "--json", "--image", "host", "-e", "true"]), "host");
    let file = home.0.file("code.sh", "echo ok");
    let run = home.call(&["code", "sh", &file.to_string_lossy()]);
    assert_eq!(said(&run), (Some(0), "ok\n", ""));
}

#[test]
fn upper_layers_hide_and_remove_what_is_below() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("layers");
    let image = Image {
        layers: vec![format!("{BUSYBOX} && mkdir a b c && touch a/1 a/2 b/1 c/1 && echo low >f")],
        config: json!({}),
    }
    .above("mkdir a b && touch a/.wh.1 b/.wh..wh..opq b/2 .wh.c && echo high >f");
    home.import("layered", &image);
    assert_eq!(said(&home.shell("layered", "cd /; echo a/* b/* c/*; cat f")), (Some(0), "a/2 b/2 c/*\nhigh\n", ""));
}

#[test]
fn links_in_the_place_of_mount_points_lead_nowhere_outside() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("links");
    let outside = Scratch::new("outside");
    outside.file("secret", "secret");
    let there = outside.0.display();
    // What the sandbox mounts over or writes is a link of the image's to a directory of the host's.
    let script = format!(
        "mkdir etc; for name in dev proc sys work; do ln -s {there} $name; done; \
         ln -s {there}/hosts etc/hosts; ln -s {there}/resolv etc/resolv.conf; mkdir run; ln -s {there} run/code; ln -s / up"
    );
    home.import("links", &Image::busybox().above(&script));
    let data = Scratch::new("data");
    data.file("in", "in");
    let into = bind(&data.0, "/work/data:rw");
    let run = home.call(&["run", "--image", "links", "--mount", &into, "--", "true"]);
    assert!(run.code == Some(125) && run.stderr.contains("have directory work"), "{run:?}");
    let into = bind(&data.0, "/up/etc/deep");
    let script = "cat /etc/deep/in; echo w >/etc/hosts; ls /dev";
    let run = home.call(&["run", "--image", "links", "--mount", &into, "--", "sh", "-c", script]);
    assert!(run.code == Some(0) && run.stdout.starts_with("in") && run.stdout.contains("null"), "{run:?}");
    let mut left: Vec<_> =
        std::fs::read_dir(&outside.0).expect("read it").map(|entry| entry.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["secret"]);
}

#[test]
fn set_user_id_bits_and_devices_of_an_image_come_to_nothing() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("setuid");
    home.import(
        "bits",
        &Image::busybox().above("mkdir bin && cp \"$(command -v busybox)\" bin/suid && chmod 6755 bin/suid"),
    );
    assert_eq!(said(&home.shell("bits", "stat -c %a /bin/suid")), (Some(0), "755\n", ""));
}

#[test]
fn a_mount_point_that_an_image_lacks_is_made_inside_only() {
    let Some(home) = small("points") else { return };
    let data = Scratch::new("data");
    let file = data.file("in", "in");
    let (tree, single) = (bind(&data.0, "/a/b/c"), bind(&file, "/d/e"));
    let run =
        home.call(&["run", "--image", "small", "--mount", &tree, "--mount", &single, "--", "cat", "/a/b/c/in", "/d/e"]);
    assert_eq!(said(&run), (Some(0), "inin", ""));
    assert_eq!(said(&home.shell("small", "ls -d /a /d 2>/dev/null | wc -l")).1, "0\n");
}

#[test]
fn an_image_in_use_outlives_its_removal() {
    let Some(home) = small("lease") else { return };
    let mut command =
        home.command(&["run", "--image", "small", "--", "sh", "-c", "echo up; read line; ls /bin/busybox"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
    let mut line = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().expect("its output"), &mut line).expect("read a line");
    let told = home.done(&["image", "rm", "small"]);
    assert!(told.contains("is in use"), "{told}");
    assert_eq!(home.images().len(), 1);
    drop(child.stdin.take());
    let output = child.wait_with_output().expect("wait for it");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/bin/busybox\n");
    home.done(&["image", "gc"]);
    assert_eq!((home.images().len(), home.files("layers").len(), home.files("blobs/sha256").len()), (0, 0, 0));
}

#[test]
fn names_come_and_go_and_the_image_goes_with_the_last() {
    let Some(home) = small("names") else { return };
    home.done(&["image", "tag", "small", "registry.example:5000/team/other:1.0"]);
    let listed = home.done(&["image", "ls"]);
    assert!(listed.contains("registry.example:5000/team/other:1.0 ") && listed.contains("small "), "{listed}");
    home.done(&["image", "rm", "small"]);
    assert_eq!(said(&home.shell("registry.example:5000/team/other:1.0", "echo still")).1, "still\n");
    for name in ["host", "A", "a@sha256:0"] {
        assert_eq!(home.call(&["image", "tag", "registry.example:5000/team/other:1.0", name]).code, Some(2), "{name}");
    }
    home.done(&["image", "rm", "registry.example:5000/team/other:1.0"]);
    assert_eq!((home.images().len(), home.files("layers").len()), (0, 0));
    assert_eq!(home.call(&["image", "rm", "small"]).code, Some(1));
}

#[test]
fn an_image_that_is_not_there_is_not_found_whatever_is_asked_of_it() {
    let Some(home) = small("not-found") else { return };
    let other = format!("small@sha256:{}", "0".repeat(64));
    for words in [
        &["image", "inspect", "--json", "none"][..],
        &["image", "inspect", "--json", &other],
        &["image", "tag", "--json", "none", "new"],
        &["image", "rm", "--json", "none"],
        &["image", "save", "--json", "none", "-o", "file"],
        &["image", "verify", "--json", "none"],
        &["create", "--json", "--image", "none"],
        &["run", "--json", "--image", "none", "--", "true"],
    ] {
        let run = home.call(words);
        let code = if words.contains(&"run") { 125 } else { 1 };
        assert_eq!((run.code, &result(&run)["error"]["kind"]), (Some(code), &json!("not_found")), "{words:?}: {run:?}");
    }
}

#[test]
fn everything_that_is_wrong_with_names_of_images_is_said_at_once() {
    let Some(home) = small("all-wrong") else { return };
    let fields = |words: &[&str]| {
        let run = home.call(words);
        let error = result(&run)["error"].take();
        (run.code, error["kind"].clone(), error["fields"].clone())
    };
    let missing = json!(["name", "name"]);
    assert_eq!(
        fields(&["image", "rm", "--json", "none", "small", "no"]),
        (Some(1), json!("not_found"), missing.clone())
    );
    assert_eq!(home.images().len(), 1);
    let words = ["image", "save", "--json", "none", "small", "no", "-o", "file"];
    assert_eq!(fields(&words), (Some(1), json!("not_found"), missing));
    let both = json!(["new", "name"]);
    assert_eq!(fields(&["image", "tag", "--json", "none", "A B"]), (Some(2), json!("misused"), both));
    let login = json!(["ref", "username"]);
    assert_eq!(fields(&["image", "pull", "--json", "A B", "--username", "me"]), (Some(2), json!("misused"), login));
    let output = json!(["output"]);
    assert_eq!(fields(&["image", "save", "--json", "small", "-o", "-"]), (Some(1), json!("invalid"), output));
}

#[test]
fn another_name_is_told_as_an_object_too() {
    let Some(home) = small("tagged") else { return };
    let told = result(&home.call(&["image", "tag", "--json", "small", "other:1"]));
    let digest = &home.images()[0]["digest"];
    assert_eq!(told, json!({ "version": 1, "digest": digest, "name": "other:1" }));
    assert_eq!(said(&home.call(&["image", "tag", "small", "third"])), (Some(0), "", ""));
}

#[test]
fn inspect_tells_all_that_is_known() {
    let Some(home) = small("inspect") else { return };
    let object: serde_json::Value =
        serde_json::from_str(&home.done(&["image", "inspect", "small"])).expect("an object");
    assert_eq!(object["names"], json!(["small:latest"]));
    assert_eq!(object["config"]["os"], "linux");
    assert_eq!(object["manifest"]["layers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_import_that_is_killed_leaves_nothing_to_be_seen() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("killed");
    let scratch = Scratch::new("source");
    let filler = "i=0; while [ $i -lt 400 ]; do head -c 20000 /dev/urandom >f$i; i=$((i+1)); done";
    let image = Image::busybox().above(filler);
    let source = image.layout(&scratch);
    let words = ["image", "import", "--name", "big", &source.to_string_lossy()];
    for moment in Chance::new("import").sample(0..40) {
        let mut child =
            home.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start belljar");
        std::thread::sleep(Duration::from_millis(moment * 4));
        child.kill().expect("kill it");
        child.wait().expect("wait for it");
        // Whole, or not there.
        for image in home.images() {
            let digest = image["digest"].as_str().expect("a digest");
            assert_eq!(said(&home.shell(digest, "ls /f399")), (Some(0), "/f399\n", ""), "{moment}");
        }
        home.done(&["image", "gc"]);
        assert_eq!(home.files("tmp"), [""; 0], "{moment}");
        if home.images().is_empty() {
            assert_eq!((home.files("layers").len(), home.files("blobs/sha256").len()), (0, 0), "{moment}");
        }
    }
    home.done(&words);
    assert_eq!(said(&home.shell("big", "ls /f399")).1, "/f399\n");
    home.done(&["image", "verify"]);
}

#[test]
fn many_may_add_use_and_remove_at_once() {
    let Some(home) = small("many") else { return };
    let scratch = Scratch::new("source");
    let source = Image::busybox().above("echo one >one").layout(&scratch);
    let source = source.to_string_lossy();
    let mut started: Vec<Started> = Vec::new();
    for round in 0..6 {
        let name = format!("copy{round}");
        started.push(Started::new(&mut home.command(&["image", "import", "--name", &name, &source])));
        started.push(Started::new(&mut home.command(&[
            "run",
            "--image",
            "small",
            "--",
            "sh",
            "-c",
            "ls /bin/busybox",
        ])));
        started.push(Started::new(&mut home.command(&["image", "gc"])));
    }
    for one in started {
        let run = one.finish();
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert_eq!(home.images().len(), 2);
    assert_eq!(said(&home.shell("copy5", "cat /one")).1, "one\n");
    home.done(&["image", "verify"]);
}

#[test]
fn a_full_disk_ends_an_import_with_nothing_left() {
    if !installed("busybox") || !installed("unshare") {
        return;
    }
    let scratch = Scratch::new("full");
    let source = Image::busybox().above("head -c 8000000 /dev/urandom >big").layout(&scratch);
    // A file system of its own for the store, too small for the second layer.
    let script = "mount -t tmpfs -o size=6M none \"$1\" && { BELLJAR_HOME=$1/store \"$2\" image import --name big \"$3\"; code=$?; \
        \"$2\" image ls; BELLJAR_HOME=$1/store \"$2\" image gc >/dev/null; find \"$1/store\" -type f | grep -v -e /lock -e /version; exit $code; }";
    let place = Scratch::new("place");
    let output = std::process::Command::new("unshare")
        .args(["-Urm", "--", "sh", "-c", script, "sh"])
        .args([&place.0, &crate::common::belljar(), &source])
        .env("BELLJAR_HOME", place.0.join("store"))
        .output()
        .expect("start unshare");
    let run = Run::from(output);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("No space left on device") && run.stderr.contains("hint: "), "{run:?}");
    assert_eq!(run.stdout, "no images yet; add one with `belljar image build`, `import`, `load` or `pull`\n");
}

#[test]
fn a_closed_pipe_ends_a_listing_without_a_panic() {
    let Some(home) = small("pipe") else { return };
    let mut child =
        home.command(&["image", "ls"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start belljar");
    drop(child.stdout.take());
    let run = Run::from(child.wait_with_output().expect("wait for it"));
    assert!(!run.stderr.contains("panicked") && run.code != Some(134), "{run:?}");
}

#[test]
fn a_second_sandbox_of_an_image_adds_nothing_to_the_disk_and_reads_nothing_from_it() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("shared");
    home.import("small", &Image::busybox().above("head -c 8388608 /dev/urandom >big"));
    let used = || crate::common::images::shell(&home.path(), "du -sk . | cut -f1");
    let script = "cat /big >/dev/null; while read -r name count; do [ \"$name\" != read_bytes: ] || echo $count; done </proc/$$/io";
    let (before, first) = (used(), home.shell("small", script));
    assert_eq!(first.code, Some(0), "{first:?}");
    let other = ["run", "--image", "small", "--", "sh", "-c", "cat /big >/dev/null; echo up; sleep 60"];
    let mut held = Started::new(&mut home.command(&other));
    assert_eq!(held.first_line(), "up");
    assert_eq!(said(&home.shell("small", script)), (Some(0), "0\n", ""), "after {first:?}");
    assert_eq!(used(), before);
    held.signal(nix::sys::signal::Signal::SIGTERM);
    held.finish();
}
