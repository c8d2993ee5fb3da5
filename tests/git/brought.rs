//! Images without git: belljar brings one in.

use super::remotes::Remotes;
use super::repository::object;
use super::transfers::{Reaching, there_and_back};
use crate::common::images::Image;
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, Scratch, languages};
use serde_json::json;

/// Sandboxes with the image `bare`, of which busybox is all; with the image `git`, where it can be had.
fn bare(name: &str, git: bool) -> Option<Sandboxes> {
    let sandboxes = Sandboxes::new(name);
    let scratch = Scratch::new("bare");
    let image = Image::busybox().above("mkdir -p home/sandbox").with(json!({ "WorkingDir": "/home/sandbox" }));
    let layout = image.layout(&scratch);
    sandboxes.done(&["image", "import", "--name", "bare", &layout.display().to_string()]);
    if git {
        let archive = languages::archive("git")?.display().to_string();
        let loaded = languages::call(&sandboxes.home(), &["image", "load", &archive]);
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }
    Some(sandboxes)
}

const BARE: [&str; 2] = ["--image", "bare"];

#[test]
fn by_http_and_by_ssh_in_an_image_without_git() {
    let Some(sandboxes) = bare("git-brought", true) else { return };
    let remotes = Remotes::new("git-to-bare");
    let (http, ssh) = (remotes.http(), remotes.sshd());
    let (_agent, socket) = remotes.agent();
    let mut reaching = Reaching::of(sandboxes, &[&http, &ssh], &BARE);
    reaching.env.push(("SSH_AUTH_SOCK".to_owned(), socket.display().to_string()));
    assert_eq!(
        reaching.shell("command -v git; command -v ssh; ls /opt 2>&1 | head -1; exit 0"),
        "ls: /opt: No such file or directory\n"
    );
    let url = format!("http://{}/auth/x.git", http.place());
    there_and_back(&remotes, &reaching, &url, &["--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"]);
    let url = format!("ssh://{}@{}{}/x.git", Remotes::user(), ssh.place(), remotes.0.0.display());
    let told = reaching.told("clone", &[&url, "by-ssh", "--ssh-agent"]);
    assert_eq!((&told["commit"], &told["reached"]["signatures"]), (&json!(remotes.commit("main")), &json!(1)));
    assert_eq!(reaching.shell("ls /opt/belljar"), "git\n");
}

#[test]
fn several_calls_at_once_bring_it_once() {
    let Some(sandboxes) = bare("git-brought-once", true) else { return };
    sandboxes.create("box", &BARE);
    let names = ["a", "b", "c"];
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let calls = names.map(|name| scope.spawn(|| sandboxes.call(&["git", "box", "init", name])));
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    });
    runs.iter().for_each(|run| assert_eq!(run.code, Some(0), "{run:?}"));
    assert_eq!(sandboxes.shell("box", "ls /opt/belljar; ls").stdout, "git\na\nb\nc\n");
    let second = sandboxes.call(&["git", "box", "status", "--path", "a", "--json"]);
    assert_eq!((second.code, second.stderr.as_str()), (Some(0), ""), "nothing is brought again");
}

#[test]
fn where_there_is_no_room_it_is_said_and_nothing_stays() {
    let Some(sandboxes) = bare("git-no-room", true) else { return };
    sandboxes.create("box", &["--image", "bare", "--disk", "8M"]);
    let run = sandboxes.call(&["git", "box", "init", "r", "--json"]);
    let error = object(&run)["error"].take();
    assert_eq!((run.code, &error["kind"]), (Some(1), &json!("no_space")), "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("git cannot be brought")), "{error}");
    assert_eq!(sandboxes.shell("box", "ls -A /opt/belljar").stdout, "");
}

#[test]
fn where_this_machine_has_none_either_the_error_names_the_cure() {
    let Some(sandboxes) = bare("git-nowhere", false) else { return };
    sandboxes.create("box", &BARE);
    for words in [&["init", "r"][..], &["clone", "http://127.0.0.1:9/x.git"]] {
        let run = sandboxes.call(&[&["git", "box"], words, &["--json"]].concat());
        let error = object(&run)["error"].take();
        assert_eq!((run.code, &error["kind"]), (Some(1), &json!("no_command")), "{error}");
        assert!(error["hint"].as_str().is_some_and(|text| text.contains("`belljar image build git`")), "{error}");
    }
}
