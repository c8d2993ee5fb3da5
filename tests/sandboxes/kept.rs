//! Sandboxes whose files outlive them.

use crate::common::images::{Home, Image};
use crate::common::installed;
use crate::common::said;
use crate::common::sandboxes::Sandboxes;
use serde_json::json;

#[test]
fn files_of_a_kept_sandbox_are_there_after_each_start_and_processes_are_not() {
    let sandboxes = Sandboxes::new("kept");
    sandboxes.create("box", &["--keep"]);
    let write = "echo home > $HOME/f; mkdir -p /var/lib/x/y; echo deep > /var/lib/x/y/f; ln -s f $HOME/link; \
        chmod 700 /var/lib/x; sleep 1010 >/dev/null 2>&1 &";
    assert_eq!(said(&sandboxes.shell("box", write)), (Some(0), "", ""));
    for _ in 0..3 {
        sandboxes.done(&["stop", "box"]);
        assert_eq!(sandboxes.states(), [("box".to_owned(), "stopped".to_owned())]);
        sandboxes.done(&["start", "box"]);
        let read = "cat $HOME/f $HOME/link /var/lib/x/y/f; stat -c %a /var/lib/x; grep -qx sleep /proc/[0-9]*/comm || echo none";
        assert_eq!(said(&sandboxes.shell("box", read)), (Some(0), "home\nhome\ndeep\n700\nnone\n", ""));
    }
    let run = sandboxes.call(&["rm", "box"]);
    assert_eq!(
        said(&run),
        (Some(1), "", "belljar: sandbox: `box` is running\nhint: stop it first: `belljar stop box`\n")
    );
    let run = sandboxes.call(&["start", "box"]);
    assert_eq!(
        said(&run),
        (Some(1), "", "belljar: sandbox: `box` is running\nhint: stop it first: `belljar stop box`\n")
    );
    sandboxes.done(&["rm", "-f", "box"]);
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn whatever_a_sandbox_has_made_of_its_files_it_can_be_removed() {
    let sandboxes = Sandboxes::new("odd");
    sandboxes.create("box", &["--keep"]);
    let odd = "cd /var; mkdir -p closed/in; touch closed/in/f; chmod 0 closed/in closed; ln -s /etc/passwd link; mkfifo fifo; \
        truncate -s 1G giant; i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done";
    assert_eq!(said(&sandboxes.shell("box", odd)), (Some(0), "", ""));
    sandboxes.done(&["rm", "-f", "box"]);
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn a_kept_sandbox_on_an_image_keeps_what_was_changed_and_leaves_the_image_alone() {
    if !installed("busybox") {
        return;
    }
    let home = Home::new("kept-image");
    home.import("small", &Image::busybox());
    let call = |words: &[&str]| home.call(words);
    let mut create = vec!["create"];
    create.extend(crate::common::allowed_to_be_missing());
    create.extend(["--keep", "--image", "small", "box"]);
    assert_eq!(said(&call(&create)), (Some(0), "box\n", ""));
    let shell = |script: &str| call(&["exec", "box", "--", "sh", "-c", script]);
    assert_eq!(said(&shell("echo new > /added; rm -r /usr; echo x > /etc/motd")), (Some(0), "", ""));
    // By then the name stands for something else.
    home.import("small", &Image::busybox().above("mkdir -p other && echo other > other/f"));
    for _ in 0..2 {
        assert_eq!(call(&["stop", "box"]).code, Some(0));
        let run = call(&["start", "box"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(said(&shell("cat /added /etc/motd; ls -d /usr /other 2>/dev/null")).1, "new\nx\n");
    }
    assert_eq!(call(&["rm", "-f", "box"]).code, Some(0));
}

#[test]
fn a_kept_sandbox_that_has_used_up_its_disk_can_still_be_read_and_cleared() {
    let sandboxes = Sandboxes::new("quota");
    sandboxes.create("box", &["--keep", "--disk", "32M"]);
    let fill =
        "echo first > /tmp/note; i=0; while :; do head -c 4M /dev/zero > /tmp/big$i; i=$((i+1)); sleep 0.05; done";
    let found = sandboxes.result(&["--timeout", "60s"], "box", fill);
    assert_eq!((&found["status"], &found["signal"]), (&json!("signaled"), &json!("SIGKILL")), "{found}");
    assert_eq!(found["limits_reached"], json!(["disk"]));
    let stats: serde_json::Value =
        serde_json::from_str(&sandboxes.done(&["stats", "--json", "box"])).expect("an object");
    assert!(stats["disk_bytes"].as_u64() > Some(32 << 20), "{stats}");
    let run = sandboxes.shell("box", "echo more > /tmp/more");
    assert_eq!(
        said(&run),
        (
            Some(125),
            "",
            "belljar: run a command in `box`, which holds more than its `--disk`: No space left on device\n\
             hint: `belljar fs rm box PATH` makes room, `belljar resize box --disk SIZE` gives more\n"
        )
    );
    assert_eq!(sandboxes.done(&["fs", "cat", "box", "/tmp/note"]), "first\n");
    for name in sandboxes.done(&["fs", "find", "box", "/tmp"]).lines().filter(|name| name.contains("/big")) {
        sandboxes.done(&["fs", "rm", "box", name]);
    }
    let run = sandboxes.shell("box", "echo more > /tmp/more; ls /tmp");
    assert_eq!(said(&run), (Some(0), "more\nnote\n", ""));
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
}

/// What a kept sandbox with 48 MiB holds after `script`, in MiB and inodes, and how that ended.
fn filled(script: &str) -> (u64, usize, serde_json::Value) {
    let sandboxes = Sandboxes::new("filled");
    sandboxes.create("box", &["--keep", "--disk", "48M"]);
    let result = sandboxes.result(&["--timeout", "60s"], "box", script);
    let upper = sandboxes.home().join("sandboxes").join(sandboxes.inspect("box")["id"].as_str().expect("an id"));
    let count = |argument: &str| {
        let run = std::process::Command::new("du").arg(argument).arg("-s").arg(upper.join("upper")).output();
        let text = String::from_utf8(run.expect("start du").stdout).expect("text");
        text.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    };
    (count("-m"), count("--inodes") as usize, result)
}

/// Python that ends only when it has written all it wants.
fn python(code: &str) -> String {
    format!("exec python3 -c '\nimport os, threading, mmap, socket, array, time\n{code}\nprint(\"all written\")'")
}

#[test]
fn no_file_of_a_kept_sandbox_is_larger_than_its_disk() {
    // No room behind the end of a file, which its length does not show.
    for script in ["-n -l 5G", "-z -n -l 5G", "-i -o 0 -l 4096"] {
        let script = format!("head -c 8192 /dev/zero >/tmp/x; fallocate {script} /tmp/x; echo $?");
        let (mebibytes, _, result) = filled(&script);
        assert_eq!((&result["stdout"], &result["exit_code"]), (&json!("1\n"), &json!(0)), "{result}");
        assert!(mebibytes <= 1, "{script}: {mebibytes} MiB");
    }
    for script in ["exec fallocate -l 10G $HOME/x", "exec truncate -s 10G $HOME/x"] {
        let (mebibytes, _, result) = filled(script);
        assert_eq!((&result["signal"], &result["limits_reached"]), (&json!("SIGXFSZ"), &json!(["disk"])), "{result}");
        assert!(mebibytes <= 49, "{mebibytes} MiB");
    }
}

#[test]
fn the_disk_of_a_kept_sandbox_holds_whatever_way_it_is_filled() {
    let ways = [
        ("for i in $(seq 99); do head -c 20M /dev/zero > $HOME/f$i; done".to_owned(), "many files"),
        (
            python(
                "for i in range(99):\n  f = open(\"/tmp/f\", \"wb\"); os.unlink(\"/tmp/f\"); f.write(bytes(9 << 20)); f.flush(); os.dup(f.fileno())",
            ),
            "open files without a name",
        ),
        (
            python(
                "for i in range(99):\n  f = open(\"/tmp/f\", \"wb+\"); os.unlink(\"/tmp/f\"); f.write(bytes(9 << 20)); f.flush(); globals()[f\"m{i}\"] = mmap.mmap(f.fileno(), 4096); f.close()",
            ),
            "mapped files without a name",
        ),
        (
            python(
                "for i in range(99):\n  f = open(\"/tmp/f\", \"wb\"); os.unlink(\"/tmp/f\"); f.write(bytes(9 << 20)); f.flush(); a, globals()[f\"s{i}\"] = socket.socketpair(); socket.send_fds(a, [b\"x\"], [f.fileno()]); f.close(); a.close()",
            ),
            "files in flight",
        ),
        (
            python(
                "os.chdir(\"/tmp\")\nfor i in range(20): os.makedirs(f\"d{i}/e/f\")\ndef move():\n  while True:\n    for i in range(20):\n      try: os.rename(f\"d{i}/e\", f\"d{i}/g\"); os.rename(f\"d{i}/g\", f\"d{(i * 7 + 1) % 20}/e\")\n      except OSError: pass\nthreading.Thread(target=move, daemon=True).start()\nfor i in range(99): open(f\"d{i % 20}/x{i}\", \"wb\").write(bytes(9 << 20)); time.sleep(.01)",
            ),
            "trees that are moved about",
        ),
        (python("for i in range(138000): open(f\"/tmp/e{i}\", \"wb\")"), "empty files"),
    ];
    for (script, way) in ways {
        let (mebibytes, inodes, result) = filled(&script);
        assert_eq!(result["limits_reached"], json!(["disk"]), "{way}: {mebibytes} MiB, {inodes} inodes, {result}");
        assert!(!result["stdout"].as_str().is_some_and(|text| text.contains("all written")), "{way}: {result}");
        assert!(mebibytes < 48 + 64 && inodes < 3 * 12288, "{way}: {mebibytes} MiB, {inodes} inodes");
    }
}
