//! What a call is given stays nowhere inside, during it and after it, and goes to no other machine.

use super::remotes::{HOST, PASSWORD, Remotes};
use super::transfers::Reaching;
use serde_json::{Value, json};

/// Looks for the password in all files that can be read inside, and in the command lines and environments of all processes. It is
/// written so that it does not find itself.
const SEARCH: &str = r#"
import os, sys
needle = b' '.join([b'correct', b'horse'])
import base64
needles = [needle, base64.b64encode(b'ann:' + needle), b'correct%20horse', base64.b64encode(needle).rstrip(b'=')]
found = []
def look(path):
    try:
        with open(path, 'rb') as file:
            data = file.read(64 << 20)
    except OSError:
        return
    if any(one in data for one in needles): found.append(path)
for pid in filter(str.isdigit, os.listdir('/proc')):
    if int(pid) != os.getpid():
        for name in ('cmdline', 'environ', 'comm'): look(f'/proc/{pid}/{name}')
for top in ('/home', '/tmp', '/dev/shm', '/run', '/etc', '/var/tmp', '/root'):
    for directory, _, files in os.walk(top):
        for name in files:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path): look(path)
print(found)
"#;

fn search(reaching: &Reaching) -> String {
    let run = reaching.sandboxes.call(&["exec", "box", "--", "python3", "-c", SEARCH]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.stdout
}

#[test]
fn the_search_finds_a_password_that_is_there() {
    let remotes = Remotes::new("git-search");
    let server = remotes.http();
    let reaching = Reaching::new("git-searched", &[&server]);
    assert_eq!(search(&reaching), "[]\n");
    reaching.shell(&format!("echo 'x{PASSWORD}x' > ~/kept"));
    assert_eq!(search(&reaching), "['/home/sandbox/kept']\n");
}

#[test]
fn a_password_is_nowhere_inside_while_git_works_and_when_it_is_done() {
    let remotes = Remotes::new("git-secret");
    // Big enough that the search runs several times meanwhile.
    remotes.shell("cd work && dd if=/dev/urandom of=big bs=1M count=24 status=none && git add . && git commit -qm big && git push -q origin main");
    let server = remotes.http();
    let reaching = Reaching::new("git-kept-secret", &[&server]);
    let url = format!("http://ann:correct%20horse@{}/auth/x.git", server.place());
    let done = std::sync::atomic::AtomicBool::new(false);
    let searches = std::thread::scope(|scope| {
        let searching = scope.spawn(|| {
            let mut searches = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(search(&reaching), "[]\n");
                searches += 1;
            }
            searches
        });
        for at in 0..4 {
            let told = reaching.told("clone", &[&url, &format!("x{at}"), "--submodules"]);
            assert_eq!(told["reached"]["password_for"], json!([format!("http://{}", server.place())]));
            assert_eq!(told["url"], json!(format!("http://{}/auth/x.git", server.place())));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        searching.join().expect("the search")
    });
    assert!(searches > 0, "{searches}");
    assert_eq!(search(&reaching), "[]\n");
    // Asked again without one, git has none.
    let error = reaching.refused("fetch", &["--path", "x0"]);
    assert_eq!(error["kind"], "authentication", "{error}");
    assert!(std::fs::read_to_string(remotes.log()).is_ok_and(|log| log.contains("Basic")), "it was used");
}

#[test]
fn a_wrong_password_is_told_and_asked_for_once() {
    let remotes = Remotes::new("git-wrong");
    let server = remotes.http();
    let mut reaching = Reaching::new("git-by-wrong", &[&server]);
    reaching.env = vec![("WRONG".to_owned(), "guess".to_owned())];
    let url = format!("http://{}/auth/x.git", server.place());
    let error = reaching.refused("clone", &[&url, "--username", "ann", "--password-env", "WRONG"]);
    assert_eq!(error["kind"], "authentication", "{error}");
    let log = std::fs::read_to_string(remotes.log()).expect("a log");
    assert_eq!(log.matches("Basic").count(), 1, "{log}");
    let missing = reaching.call("clone", &[&url, "--username", "ann", "--password-env", "NOT_SET"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    let missing = reaching.call("clone", &[&url, "--username", "ann"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    let twice = reaching.call("clone", &[&url, "--password-env", "WRONG", "--password-stdin"]);
    assert_eq!(twice.code, Some(2), "{twice:?}");
    let useless = reaching.call("clone", &[&format!("git://{HOST}/x"), "--password-env", "WRONG"]);
    assert_eq!(useless.code, Some(2), "{useless:?}");
}

#[test]
fn a_redirect_to_another_machine_is_given_nothing() {
    let remotes = Remotes::new("git-redirect");
    let (first, second) = (remotes.http(), remotes.http());
    let reaching = Reaching::new("git-by-redirect", &[&first, &second]);
    let url = format!("http://{}/to/{}/auth/x.git", first.place(), second.place());
    let error = reaching.refused("clone", &[&url, "--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"]);
    assert_eq!(error["kind"], "authentication", "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains(&second.place())), "{error}");
    let log = std::fs::read_to_string(remotes.log()).expect("a log");
    assert!(log.contains(&second.place()) && !log.contains("Basic"), "{log}");
}

#[test]
fn submodules_of_another_machine_are_given_nothing_and_those_of_the_same_their_password() {
    let remotes = Remotes::new("git-submodules");
    let (first, second) = (remotes.http(), remotes.http());
    let of = |name: &str, place: String, more: &str| {
        remotes.shell(&format!(
            "git clone -q x.git with-{name} && cd with-{name} && printf '[submodule \"s\"]\\n\\tpath = s\\n\\turl = http://{place}/auth/x.git\\n{more}' \
             > .gitmodules && git add .gitmodules && git update-index --add --cacheinfo 160000,{},s && git commit -qm s && cd .. && \
             git clone -q --bare with-{name} {name}.git",
            remotes.commit("main")
        ));
    };
    of("same", first.place(), "");
    of("other", second.place(), "");
    of("odd", first.place(), "\\tupdate = !touch /tmp/owned\\n");
    let reaching = Reaching::new("git-by-submodules", &[&first, &second]);
    let options = ["--submodules", "--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"];
    let same = format!("http://{}/auth/same.git", first.place());
    reaching.told("clone", &[&[same.as_str()], &options[..]].concat());
    assert_eq!(reaching.shell("cat same/s/two; ls /tmp"), "two\n");
    let odd = format!("http://{}/auth/odd.git", first.place());
    reaching.refused("clone", &[&[odd.as_str()], &options[..]].concat());
    assert_eq!(reaching.shell("ls /tmp"), "");
    let other = format!("http://{}/auth/other.git", first.place());
    let error = reaching.refused("clone", &[&[other.as_str()], &options[..]].concat());
    assert_eq!(error["kind"], "authentication", "{error}");
    let log = std::fs::read_to_string(remotes.log()).expect("a log");
    assert!(!log.lines().any(|line| line.contains(&second.place()) && line.contains("Basic")), "{log}");
}

#[test]
fn a_push_that_a_rule_of_the_other_side_refuses_is_told_so() {
    let remotes = Remotes::new("git-rules");
    remotes.shell("printf '#!/bin/sh\\necho never on a Sunday\\nexit 1\\n' > x.git/hooks/pre-receive && chmod +x x.git/hooks/pre-receive");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-rules", &[&server]);
    let url = format!("http://{}/auth/x.git", server.place());
    let options = ["--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"];
    reaching.told("clone", &[&[url.as_str()], &options[..]].concat());
    reaching.commit("mine");
    let error = reaching.refused("push", &[&["--path", "x"], &options[..]].concat());
    assert_eq!(error["kind"], "remote_rejected", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("never on a Sunday")), "{error}");
}

#[test]
fn an_agent_is_lent_for_logins_alone() {
    let remotes = Remotes::new("git-agent");
    let server = remotes.sshd();
    let (_agent, socket) = remotes.agent();
    let mut reaching = Reaching::new("git-by-agent", &[&server]);
    reaching.env.push(("SSH_AUTH_SOCK".to_owned(), socket.display().to_string()));
    // An ssh of the repository's choice, which tries to sign something else before it goes on.
    reaching.shell(
        "mkdir bin && printf '#!/bin/sh\\nssh-add -L > /tmp/listed 2>&1; ssh-add -L > /tmp/key.pub; echo x > /tmp/text; \
         ssh-keygen -Y sign -f /tmp/key.pub -n file /tmp/text > /tmp/signed 2>&1; ssh-add -D > /tmp/removed 2>&1; exec /usr/bin/ssh \"$@\"\\n' > bin/ssh && chmod +x bin/ssh",
    );
    reaching.sandboxes.create(
        "odd",
        &["--net", "only", "--allow", &server.target(), "--env", "PATH=/home/sandbox/bin:/usr/bin:/bin"],
    );
    let script = reaching.shell("cat bin/ssh");
    let run = reaching.sandboxes.call(&[
        "exec",
        "odd",
        "--",
        "sh",
        "-c",
        &format!("mkdir bin && cat > bin/ssh <<'END'\n{script}END\nchmod +x bin/ssh"),
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let url = format!("ssh://{}@{}{}/x.git", Remotes::user(), server.place(), remotes.0.0.display());
    let mut command = reaching.sandboxes.command(&["git", "odd", "clone", "--json", &url, "--ssh-agent"]);
    command.env("SSH_AUTH_SOCK", &socket);
    let run = crate::common::Run::from(command.output().expect("start belljar"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let told: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(told["reached"]["signatures"], json!(1), "the login, and not the file");
    let seen = reaching.sandboxes.shell("odd", "cat /tmp/listed; ls /tmp/text.sig; cat /tmp/signed").stdout;
    assert!(
        seen.starts_with("ssh-ed25519 ") && !seen.contains("text.sig\n") && !seen.contains("Write signature"),
        "{seen}"
    );
    // The key is still there: nobody inside has removed it.
    assert!(remotes.shell(&format!("SSH_AUTH_SOCK={} ssh-add -l", socket.display())).contains("ED25519"));
}
