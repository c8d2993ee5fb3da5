//! A policy that changes while the sandbox runs, and who shares it: other commands, sessions, copies.

use crate::common::{Started, eventually};
use crate::world::{Kept, code};
use serde_json::Value;

const BANNER: &str = "SSH-2.0-test\n";

#[test]
fn another_policy_cuts_what_it_does_not_allow_and_lets_through_what_it_does() {
    let kept = Kept::new("net-set");
    kept.done(&["create", "--allow", "192.52.193.0/24:6004", "--allow", "192.52.193.1:22", "box"]);
    let text = code(
        "
one, two = socket.create_connection(('192.52.193.1', 6004), 4), socket.create_connection(('192.52.193.2', 6004), 4)
one.recv(10); two.recv(10); print('connected', flush=True)
one.settimeout(8); two.settimeout(1.5)
def wait(peer): return peer.recv(10)
print(guarded(wait)(one), guarded(wait)(two), tcp('192.52.193.1', 22), tcp('192.52.193.3', 22))
",
    );
    let mut exec = Started::new(&mut kept.command(&["exec", "box", "--", "python3", "-c", &text]));
    assert_eq!(exec.first_line(), "connected");
    let set: Value = serde_json::from_str(&kept.done(&[
        "net",
        "set",
        "--json",
        "box",
        "--allow",
        "192.52.193.2",
        "--allow",
        "192.52.193.3:22",
    ]))
    .expect("an object");
    assert_eq!((&set["cut"], &set["net"]), (&Value::from(1), &Value::from("only")), "{set}");
    let run = exec.finish();
    assert_eq!(run.stdout, "ECONNRESET silence ECONNREFUSED SSH-2.0-test\n", "{run:?}");
    // Nothing at all, and then everything that is public.
    kept.done(&["net", "set", "box", "--net", "none"]);
    assert_eq!(kept.python("box", "print(tcp('192.52.193.2', 22), look('allowed.example'))"), "ECONNREFUSED unknown\n");
    kept.done(&["net", "set", "box", "--net", "open", "--deny", "192.52.193.2"]);
    assert_eq!(
        kept.python("box", "print(tcp('192.52.193.2', 22), tcp('192.52.193.1', 22), tcp('10.30.0.1', 22))"),
        "ECONNREFUSED SSH-2.0-test ECONNREFUSED\n"
    );
}

#[test]
fn a_name_that_is_not_allowed_any_more_leads_nowhere_any_more() {
    let kept = Kept::new("net-names");
    kept.done(&["create", "--allow", "allowed.example", "box"]);
    assert_eq!(kept.python("box", "print(tcp('allowed.example', 22))"), BANNER);
    kept.done(&["net", "set", "box", "--allow", "other.example"]);
    assert_eq!(
        kept.python("box", "print(tcp('192.52.193.1', 22), tcp('allowed.example', 22), tcp('other.example', 22))"),
        "ECONNREFUSED unknown SSH-2.0-test\n"
    );
}

#[test]
fn the_log_tells_each_event_and_follows_what_comes() {
    let kept = Kept::new("net-log");
    kept.done(&["create", "--allow", "allowed.example:22", "box"]);
    let mut follow = Started::new(&mut kept.command(&["net", "log", "-f", "box"]));
    kept.python("box", "tcp('allowed.example', 22); tcp('192.52.193.2', 22); look('other.example')");
    let mut lines = String::new();
    while !(lines.contains("other.example") && lines.contains("closed")) {
        let line = follow.first_line();
        assert!(!line.is_empty(), "{lines}");
        lines += &line;
        lines.push('\n');
    }
    for part in [
        "query",
        "opened",
        "allowed.example (192.52.193.1:22)",
        "closed",
        "refused",
        "192.52.193.2:22",
        "--allow other.example:443",
    ] {
        assert!(lines.contains(part), "{part} is not in\n{lines}");
    }
    let events = kept.log("box");
    let opened: Vec<&Value> = events.iter().filter(|event| event["event"] == "opened").collect();
    assert_eq!(opened.len(), 1, "{events:?}");
    let shown = ["name", "address", "port", "protocol", "verdict", "rule"].map(|key| opened[0][key].to_string());
    assert_eq!(
        shown,
        ["\"allowed.example\"", "\"192.52.193.1\"", "22", "\"tcp\"", "\"allowed\"", "\"allowed.example:22\""]
    );
    kept.done(&["rm", "-f", "box"]);
    follow.finish();
}

#[test]
fn commands_and_sessions_are_in_the_network_of_their_sandbox() {
    let kept = Kept::new("net-joined");
    kept.done(&["create", "--allow", "192.52.193.1:22", "box"]);
    let ask = "print(tcp('192.52.193.1', 22), tcp('192.52.193.2', 22))";
    let expected = "SSH-2.0-test ECONNREFUSED\n";
    for _ in 0..2 {
        assert_eq!(kept.python("box", ask), expected);
    }
    let text = code(ask);
    assert_eq!(kept.done(&["code", "python", "--sandbox", "box", "-e", &text]), expected);
}

#[test]
fn a_copy_has_the_policy_of_what_it_was_made_from() {
    let kept = Kept::new("net-fork");
    kept.done(&[
        "create",
        "--keep",
        "--allow",
        "192.52.193.1:22",
        "--deny",
        "192.52.193.3",
        "--net-connections",
        "99",
        "box",
    ]);
    kept.done(&["net", "set", "box", "--allow", "192.52.193.2:22"]);
    kept.done(&["fork", "box", "copy"]);
    let ask = "print(tcp('192.52.193.1', 22), tcp('192.52.193.2', 22))";
    assert_eq!(kept.python("copy", ask), "ECONNREFUSED SSH-2.0-test\n");
    // Each has its own from then on.
    kept.done(&["net", "set", "copy", "--net", "none"]);
    assert_eq!(kept.python("copy", ask), "ECONNREFUSED ECONNREFUSED\n");
    assert_eq!(kept.python("box", ask), "ECONNREFUSED SSH-2.0-test\n");
    kept.done(&["stop", "box"]);
    kept.done(&["start", "box"]);
    assert_eq!(kept.python("box", ask), "ECONNREFUSED SSH-2.0-test\n");
}

#[test]
fn two_sandboxes_do_not_see_each_other() {
    let kept = Kept::new("net-two");
    for name in ["one", "two"] {
        kept.done(&["create", "--net", "open", name]);
    }
    let serve = code("server = socket.create_server(('0.0.0.0', 8099)); print('listens', flush=True); time.sleep(20)");
    let mut server = Started::new(&mut kept.command(&["exec", "one", "--", "python3", "-c", &serve]));
    assert_eq!(server.first_line(), "listens");
    assert_eq!(
        kept.python("two", "print(tcp('192.0.0.2', 8099), tcp('192.0.0.3', 8099), tcp('192.0.0.1', 8099))"),
        "ECONNREFUSED ECONNREFUSED ECONNREFUSED\n"
    );
    assert_eq!(kept.python("one", "print(quick(tcp, '127.0.0.1', 8098))"), "ECONNREFUSED\n");
    kept.done(&["rm", "-f", "one"]);
    assert!(eventually(5, || true));
    server.finish();
}

#[test]
fn who_brings_a_sandbox_in_says_anew_what_it_may_reach() {
    let kept = Kept::new("net-import");
    kept.done(&["create", "--keep", "--allow", "192.52.193.1:22", "box"]);
    kept.done(&["stop", "box"]);
    let scratch = crate::common::Scratch::new("net-export");
    let file = scratch.0.join("box.tar");
    let file = file.to_str().expect("a path");
    let run = kept.call(&["export", "-o", file, "box"]);
    assert!(run.code == Some(0) && run.stderr.contains("net"), "{run:?}");
    let ask = "print(tcp('192.52.193.1', 22), tcp('192.52.193.2', 22))";
    let run = kept.call(&["import", file, "without"]);
    let told = "belljar: left out its network, which was made with --net=only --allow=192.52.193.1:22\n";
    assert!(run.code == Some(0) && run.stderr.contains(told), "{run:?}");
    assert_eq!(kept.python("without", ask), "ENETUNREACH ENETUNREACH\n");
    kept.done(&["import", "--allow", "192.52.193.2:22", file, "with"]);
    assert_eq!(kept.python("with", ask), "ECONNREFUSED SSH-2.0-test\n");
}
