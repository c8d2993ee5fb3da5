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
    assert_eq!(said(&run), (Some(1), "", "belljar: sandbox: `box` runs\nhint: `belljar stop` it before\n"));
    let run = sandboxes.call(&["start", "box"]);
    assert_eq!(said(&run), (Some(1), "", "belljar: sandbox: `box` runs\nhint: `belljar stop` it before\n"));
    sandboxes.done(&["rm", "-f", "box"]);
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn whatever_a_sandbox_has_made_of_its_files_it_can_be_removed() {
    let sandboxes = Sandboxes::new("odd");
    sandboxes.create("box", &["--keep"]);
    let odd = "cd /var; mkdir -p closed/in; touch closed/in/f; chmod 0 closed/in closed; ln -s /etc/passwd link; mkfifo fifo; \
        truncate -s 1T giant; i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done";
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
        "echo first > $HOME/note; i=0; while :; do head -c 4M /dev/zero > $HOME/big$i; i=$((i+1)); sleep 0.05; done";
    let found = sandboxes.result(&["--timeout", "60s"], "box", fill);
    assert_eq!((&found["status"], &found["signal"]), (&json!("signaled"), &json!("SIGKILL")), "{found}");
    assert_eq!(found["limits_reached"], json!(["disk"]));
    let stats: serde_json::Value =
        serde_json::from_str(&sandboxes.done(&["stats", "--json", "box"])).expect("an object");
    assert!(stats["disk_bytes"].as_u64() > Some(32 << 20), "{stats}");
    // Each pause is longer than that between two walks through the files, which end nobody who writes no more.
    let script = "sleep 1.5; cat $HOME/note; rm $HOME/big*; sleep 1.5; echo more > $HOME/more; sleep 1.2; ls $HOME";
    assert_eq!(said(&sandboxes.shell("box", script)), (Some(0), "first\nmore\nnote\n", ""));
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
}
