//! `create --git`: sandboxes that are made with a repository.

use super::remotes::{PASSWORD, Remotes};
use crate::common::eventually;
use crate::common::sandboxes::Sandboxes;
use serde_json::{Value, json};

fn made(sandboxes: &Sandboxes, words: &[&str]) -> Value {
    let mut command = sandboxes.command(&[&["create", "--json", "--memory", "512M"], words].concat());
    let run = crate::common::Run::from(command.env("SECRET", PASSWORD).output().expect("start belljar"));
    assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
    serde_json::from_str(&run.stdout).expect("an object")
}

/// Whether it reaches the server.
fn reaches(sandboxes: &Sandboxes, name: &str, url: &str) -> bool {
    let run = sandboxes.call(&["git", name, "clone", "--json", "--timeout", "20s", url, "again"]);
    run.code == Some(0)
}

#[test]
fn a_sandbox_is_made_with_a_repository_whose_host_it_reaches_no_longer() {
    let remotes = Remotes::new("git-made");
    let server = remotes.http();
    let sandboxes = Sandboxes::new("git-create");
    let url = format!("http://ann@{}/auth/x.git", server.place());
    let open = format!("http://{}/open/x.git", server.place());
    let told = made(&sandboxes, &["--git", &url, "--password-env", "SECRET", "none"]);
    let git = &told["git"];
    assert_eq!((&git["path"], &git["branch"]), (&json!("/home/sandbox/x"), &json!("main")));
    assert_eq!(git["commit"], json!(remotes.commit("main")));
    assert_eq!(sandboxes.shell("none", "cat x/two; grep -c horse x/.git/config || true").stdout, "two\n0\n");
    assert!(!reaches(&sandboxes, "none", &open));
    let only = ["--net", "only", "--allow", "203.0.113.7:80"];
    made(&sandboxes, &[&only[..], &["--git", &format!("{open}#side"), "--git-dir", "the code", "only"]].concat());
    assert_eq!(sandboxes.shell("only", "cat 'the code/side'").stdout, "side\n");
    assert!(!reaches(&sandboxes, "only", &open));
    let known = sandboxes.inspect("only").to_string();
    assert!(known.contains("203.0.113.7") && !known.contains(&server.target()), "{known}");
    let allowed = ["--allow", &server.target()];
    made(&sandboxes, &[&allowed[..], &["--git", &open, "asked"]].concat());
    assert!(reaches(&sandboxes, "asked", &open), "what was asked for stays");
    let first = remotes.commit("v1^{commit}");
    let told = made(&sandboxes, &["--git", &format!("{open}#{first}"), "commit"]);
    assert_eq!((&told["git"]["branch"], &told["git"]["commit"]), (&Value::Null, &json!(first)));
}

#[test]
fn a_sandbox_whose_repository_cannot_be_cloned_does_not_stay() {
    let remotes = Remotes::new("git-unmade");
    let server = remotes.http();
    let sandboxes = Sandboxes::new("git-uncreated");
    for (url, kind) in [
        (format!("http://{}/auth/x.git", server.place()), "authentication"),
        (format!("http://{}/open/nowhere.git", server.place()), "repository_not_found"),
        (format!("http://{}/open/x.git#nowhere", server.place()), "ref_not_found"),
    ] {
        let run = sandboxes.call(&["create", "--json", "--git", &url, "box"]);
        let object: Value = serde_json::from_str(&run.stdout).expect("an object");
        assert_eq!((run.code, &object["error"]["kind"]), (Some(1), &json!(kind)), "{run:?}");
        assert_eq!(sandboxes.states(), []);
    }
    for words in [
        &["--git", "ext::sh -c x", "box"][..],
        &["--git", "https://example.org/x", "box", "--", "sleep", "1"],
        &["--git-dir", "x", "box"],
        &["--git", "https://example.org/x", "--username", "ann", "box"],
    ] {
        let run = sandboxes.call(&[&["create", "--json"], words].concat());
        assert_eq!(run.code, Some(2), "{words:?}: {run:?}");
    }
    assert_eq!(sandboxes.states(), []);
}

#[test]
fn a_sandbox_whose_maker_is_ended_before_the_repository_is_there_does_not_stay() {
    use nix::sys::signal::{Signal, kill};
    let remotes = Remotes::new("git-half-made");
    let server = remotes.http();
    let sandboxes = Sandboxes::new("git-uncreated-half");
    let slow = format!("http://{}/slow/x.git", server.place());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        for more in [&["--net", "none"][..], &["--keep", "--net", "open"]] {
            let words = [&["create", "--git", &slow, "--memory", "512M"], more, &["box"]].concat();
            let mut child = sandboxes.command(&words).spawn().expect("start belljar");
            let asked = || remotes.asked().contains("/slow/");
            assert!(eventually(20, asked), "git does not ask");
            // What the clone may reach is nothing that the sandbox is told to have.
            let known = sandboxes.inspect("box").to_string();
            assert!(!known.contains(&server.target()), "{known}");
            kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).expect("end it");
            child.wait().expect("wait for it");
            assert!(eventually(20, || sandboxes.states().is_empty()), "{signal} {more:?}: {:?}", sandboxes.states());
            let gone = || sandboxes.leavings().is_empty() && sandboxes.supervisors().is_empty();
            assert!(eventually(20, gone), "{signal} {more:?}: {:?}", sandboxes.leavings());
            remotes.forget();
        }
    }
}
