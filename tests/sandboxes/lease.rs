//! Sandboxes that end with whoever holds them: `wait --lease`.

use crate::common::eventually;
use crate::common::sandboxes::Sandboxes;
use crate::rpc::Driver;
use serde_json::json;
use std::process::{Child, Stdio};

/// Holds a sandbox, and has been heard.
fn holder(sandboxes: &Sandboxes, name: &str) -> Child {
    let before = sandboxes.leases(name);
    let mut command = sandboxes.command(&["wait", "--lease", name]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start belljar");
    assert!(eventually(10, || sandboxes.leases(name) > before), "nobody holds it");
    child
}

fn ends(mut child: Child) {
    child.kill().expect("kill it");
    child.wait().expect("its end");
}

#[test]
fn a_sandbox_ends_with_the_last_who_has_a_lease_on_it_though_that_was_killed() {
    let sandboxes = Sandboxes::new("lease");
    sandboxes.create("box", &[]);
    let (one, other) = (holder(&sandboxes, "box"), holder(&sandboxes, "box"));
    ends(one);
    assert_eq!(sandboxes.shell("box", "echo here").stdout, "here\n");
    ends(other);
    assert!(eventually(10, || sandboxes.states().is_empty()), "{:?}", sandboxes.states());
    assert!(eventually(10, || sandboxes.leavings().is_empty()), "{:?}", sandboxes.leavings());
}

#[test]
fn what_is_kept_stays_and_says_why_it_was_stopped() {
    let sandboxes = Sandboxes::new("lease-kept");
    sandboxes.create("box", &["--keep"]);
    let one = holder(&sandboxes, "box");
    ends(one);
    assert!(eventually(10, || sandboxes.states() == [("box".to_owned(), "stopped".to_owned())]));
    let known: serde_json::Value = serde_json::from_str(&sandboxes.done(&["inspect", "box"])).expect("an object");
    assert_eq!(known["end"]["reason"], "lease_over", "{known}");
    sandboxes.done(&["rm", "box"]);
}

#[test]
fn who_waits_with_a_lease_hears_how_it_ended_and_an_idle_sandbox_still_ends() {
    let sandboxes = Sandboxes::new("lease-end");
    sandboxes.create("box", &["--idle-stop", "1s"]);
    let run = sandboxes.call(&["wait", "--lease", "box"]);
    assert!(run.code.is_some_and(|code| code > 128), "{run:?}");
    assert!(eventually(10, || sandboxes.states().is_empty()));
    sandboxes.create("again", &[]);
    let mut one = holder(&sandboxes, "again");
    sandboxes.done(&["stop", "again"]);
    assert!(one.wait().expect("its end").code().is_some_and(|code| code > 128));
}

#[test]
fn what_an_rpc_holds_ends_with_it_though_it_was_killed() {
    let sandboxes = Sandboxes::new("lease-rpc");
    let mut rpc = Driver::new(&sandboxes);
    rpc.result("create", json!({ "name": "mine" }));
    rpc.result("create", json!({ "name": "other" }));
    rpc.asks(7, "wait", json!({ "name": "mine", "lease": true }));
    rpc.asks(8, "wait", json!({ "name": "other", "lease": true }));
    assert!(eventually(10, || sandboxes.leases("mine") + sandboxes.leases("other") == 2));
    rpc.asks(9, "cancel", json!({ "id": 8 }));
    let left = || sandboxes.states().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(eventually(10, || left() == ["mine"]), "{:?}", left());
    rpc.killed();
    assert!(eventually(10, || left().is_empty()), "{:?}", left());
}
