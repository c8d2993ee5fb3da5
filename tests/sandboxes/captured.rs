//! Copies of a sandbox at one moment: as an image, and as another sandbox.

use crate::common::images::{Home, Image};
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, allowed_to_be_missing, installed, said};
use serde_json::{Value, json};

#[test]
fn a_fork_has_all_files_and_is_independent() {
    let sandboxes = Sandboxes::new("forked");
    sandboxes.create("box", &["--keep", "--label", "of=me"]);
    let write = "cd /var; echo one > f; ln f hard; ln -s f link; mkfifo fifo; mkdir -p closed/in; echo deep > closed/in/f; \
        chmod 0 closed/in/f; chmod 500 closed; truncate -s 1G giant; touch -d @1000000000 f; rm -r log";
    assert_eq!(said(&sandboxes.shell("box", write)), (Some(0), "", ""));
    assert_eq!(sandboxes.done(&["fork", "box", "other"]), "other\n");
    let look = "cd /var; cat f link; stat -c '%h %Y' f hard; stat -c '%F %a' fifo closed closed/in/f; stat -c '%s %b' giant; ls -d log 2>/dev/null || echo gone";
    // What its owner could not read or enter he can in a copy, as in images.
    let seen = "one\none\n2 1000000000\n2 1000000000\nfifo 644\ndirectory 700\nregular file 400\n1073741824 0\ngone\n";
    assert_eq!(said(&sandboxes.shell("other", look)), (Some(0), seen, ""));
    sandboxes.shell("other", "echo two > /var/f; rm /var/link");
    assert_eq!(said(&sandboxes.shell("box", "cat /var/f /var/link")), (Some(0), "one\none\n", ""));
    let inspected: Value = serde_json::from_str(&sandboxes.done(&["inspect", "other"])).expect("an object");
    assert_eq!((&inspected["labels"], &inspected["keep"]), (&json!({ "of": "me" }), &json!(true)));
    // Of one that is stopped as well, and of the copy.
    sandboxes.done(&["stop", "other"]);
    sandboxes.done(&["rm", "-f", "box"]);
    sandboxes.done(&["fork", "other", "third"]);
    assert_eq!(said(&sandboxes.shell("third", "cat /var/f")), (Some(0), "two\n", ""));
    let taken =
        "belljar: sandbox: there is a sandbox `other` already\nhint: choose another name, or `belljar rm` that one\n";
    assert_eq!(said(&sandboxes.call(&["fork", "third", "other"])), (Some(1), "", taken));
    // Of one that is not kept, whose files are in memory, and of the copy, whose are not.
    sandboxes.create("quick", &[]);
    assert_eq!(said(&sandboxes.shell("quick", write)), (Some(0), "", ""));
    for (from, to) in [("quick", "fourth"), ("fourth", "fifth")] {
        assert_eq!(sandboxes.done(&["fork", from, to]), format!("{to}\n"));
        assert_eq!(said(&sandboxes.shell(to, look)), (Some(0), seen, ""));
    }
    assert_eq!(sandboxes.inspect("fifth")["enforcement"]["disk"]["by"], "sampling");
    sandboxes.done(&["stop", "quick", "fourth", "fifth"]);
    assert_eq!(sandboxes.states().len(), 2);
    for name in ["other", "third"] {
        sandboxes.done(&["rm", "-f", name]);
    }
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn a_copy_has_none_of_the_sessions_of_the_original() {
    let sandboxes = Sandboxes::new("forked-sessions");
    for (from, to, options) in [("box", "other", &["--keep"][..]), ("quick", "slow", &[])] {
        sandboxes.create(from, options);
        sandboxes.done(&["session", "create", from, "sh"]);
        sandboxes.done(&["session", "exec", from, "sh", "kept=1; echo mine > /tmp/.belljar-mine"]);
        assert!(!sandboxes.done(&["diff", from]).contains(".belljar-1"), "{from}");
        sandboxes.done(&["fork", from, to]);
        assert_eq!(said(&sandboxes.shell(to, "ls -a /tmp | grep belljar")), (Some(0), ".belljar-mine\n", ""));
        assert_eq!(said(&sandboxes.call(&["session", "ls", to])), (Some(0), "no sessions\n", ""));
        let none = "belljar: no session `sh`\n";
        assert_eq!(said(&sandboxes.call(&["session", "rm", to, "sh"])), (Some(1), "", none));
        assert_eq!(said(&sandboxes.call(&["session", "create", to, "sh"])), (Some(0), "sh\n", ""));
        assert_eq!(said(&sandboxes.call(&["session", "exec", to, "sh", "echo [$kept]"])), (Some(0), "[]\n", ""));
        assert_eq!(said(&sandboxes.call(&["session", "exec", from, "sh", "echo [$kept]"])), (Some(0), "[1]\n", ""));
    }
    // What was kept over a stop is lost, and says so.
    sandboxes.done(&["stop", "box"]);
    sandboxes.done(&["start", "box"]);
    let run = sandboxes.call(&["session", "exec", "box", "sh", "true"]);
    assert!(run.code == Some(1) && run.stderr.contains("the session `sh` is lost"), "{run:?}");
    assert_eq!(said(&sandboxes.call(&["session", "create", "box", "sh"])), (Some(0), "sh\n", ""));
}

#[test]
fn nothing_moves_while_a_copy_is_made() {
    let sandboxes = Sandboxes::new("frozen");
    sandboxes.create("box", &["--keep", "--cpus", "2"]);
    // Two files that are only ever one step apart.
    let writer = "i=0; cd /var; while :; do i=$((i+1)); echo $i > a.new; mv a.new a; echo $i > b.new; mv b.new b; done >/dev/null 2>&1 &";
    assert_eq!(said(&sandboxes.shell("box", &format!("cd /var; echo 0 > a; echo 0 > b; mkdir many; cd many; i=0; while [ $i -lt 300 ]; do echo $i > $i; i=$((i+1)); done; {writer}"))), (Some(0), "", ""));
    for round in 0..5 {
        let name = format!("copy{round}");
        assert_eq!(sandboxes.done(&["fork", "box", &name]), format!("{name}\n"));
        let run = sandboxes.shell(&name, "cat /var/a /var/b");
        let numbers: Vec<i64> = run.stdout.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(matches!(numbers[..], [a, b] if a - b <= 1 && a >= b), "{run:?}");
        sandboxes.done(&["rm", "-f", &name]);
    }
    // And everything goes on afterwards.
    let counted = || sandboxes.shell("box", "cat /var/b").stdout;
    let before = counted();
    assert!(crate::common::eventually(5, || counted() != before), "{before}");
}

#[test]
fn a_snapshot_is_an_image_with_what_was_changed() {
    a_snapshot_of(&["--keep"], "snapshots");
}

#[test]
fn a_snapshot_of_files_in_memory_is_an_image_too() {
    a_snapshot_of(&[], "in-memory");
}

fn a_snapshot_of(options: &[&str], place: &str) {
    if !installed("busybox") {
        return;
    }
    let home = Home::new(place);
    home.import(
        "small",
        &Image::busybox()
            .above("mkdir -p data/sub && echo base > data/kept && echo base > data/gone && echo base > data/sub/f"),
    );
    let call = |words: &[&str]| home.call(words);
    let create = |image: &str, name: &str| {
        let mut words = vec!["create"];
        words.extend(allowed_to_be_missing());
        words.extend(options);
        words.extend(["--image", image, name]);
        call(&words)
    };
    assert_eq!(said(&create("small", "box")), (Some(0), "box\n", ""));
    let shell = |name: &str, script: &str| -> Run { call(&["exec", name, "--", "sh", "-c", script]) };
    let change = "cd /data; echo new > added; rm gone; rm -r sub; mkdir sub; echo other > sub/g; echo more >> kept";
    assert_eq!(said(&call(&["diff", "box"])), (Some(0), "", ""));
    assert_eq!(said(&shell("box", change)), (Some(0), "", ""));
    let changed = "A /data/added\nD /data/gone\nC /data/kept\nD /data/sub/f\nA /data/sub/g\n";
    assert_eq!(said(&call(&["diff", "box"])), (Some(0), changed, ""));
    let made = call(&["snapshot", "create", "box", "after"]);
    assert!(made.code == Some(0) && made.stdout.starts_with("after  sha256:"), "{made:?}");
    // What happens later is not in it.
    shell("box", "echo later > /data/added");
    assert_eq!(said(&create("after", "again")), (Some(0), "again\n", ""));
    let seen = shell("again", "cd /data; cat added kept; ls; ls sub");
    assert_eq!(said(&seen), (Some(0), "new\nbase\nmore\nadded\nkept\nsub\ng\n", ""));
    let listed: Value = serde_json::from_str(&call(&["snapshot", "ls", "--json"]).stdout).expect("an object");
    assert_eq!((&listed["snapshots"][0]["name"], &listed["snapshots"][0]["sandbox"]), (&json!("after"), &json!("box")));
    assert_eq!(call(&["image", "verify"]).code, Some(0));
    let run = call(&["snapshot", "rm", "small"]);
    let message = "belljar: image: `small` is no snapshot\nhint: `belljar image rm` removes other images\n";
    assert_eq!(said(&run), (Some(1), "", message));
    // A name by which layers hide files cannot be told from a mark.
    shell("box", "echo x > /data/.wh.kept");
    let run = call(&["snapshot", "create", "box", "odd"]);
    assert!(
        run.code == Some(1) && run.stderr.contains("`.wh.kept` in the sandbox has a name by which layers hide files"),
        "{run:?}"
    );
    for name in ["box", "again"] {
        assert_eq!(call(&["rm", "-f", name]).code, Some(0));
    }
    assert_eq!(said(&call(&["snapshot", "rm", "after"])), (Some(0), "after\n", ""));
    assert_eq!(call(&["image", "inspect", "after"]).code, Some(1));
}

#[test]
fn what_has_changed_is_listed_by_what_became_of_it() {
    let sandboxes = Sandboxes::new("changed");
    for options in [&[][..], &["--keep"]] {
        sandboxes.create("box", options);
        assert_eq!(said(&sandboxes.call(&["diff", "box"])), (Some(0), "", ""));
        let change = "cd /var; mkdir -m 0 new; echo x > /tmp/f; ln -s /etc/passwd link; rm -r log; rmdir cache/* cache 2>/dev/null; \
            echo x > cache; chmod 700 /opt; mkfifo \"$(printf 'a\\nb')\"; touch /etc/../mnt";
        assert_eq!(said(&sandboxes.shell("box", change)), (Some(0), "", ""));
        let changed = "C /opt\nA /tmp/f\nA /var/a\\nb\nC /var/cache\nA /var/link\nD /var/log\nA /var/new\n";
        assert_eq!(said(&sandboxes.call(&["diff", "box"])), (Some(0), changed, ""), "{options:?}");
        let listed: Value = serde_json::from_str(&sandboxes.done(&["diff", "--json", "box"])).expect("an object");
        assert_eq!(listed["changes"][3], json!({ "change": "changed", "kind": "file", "path": "/var/cache" }));
        sandboxes.done(&["rm", "-f", "box"]);
    }
}

/// Each level was looked up from the root of every layer on: 26 seconds.
#[test]
fn a_very_deep_tree_is_compared_in_no_time() {
    let sandboxes = Sandboxes::new("deep");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "cd /tmp; for i in $(seq 1500); do mkdir d; cd d; done; echo x > f");
    let began = std::time::Instant::now();
    assert_eq!(sandboxes.done(&["diff", "box"]).lines().count(), 1501);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}
