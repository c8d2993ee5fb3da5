//! Clone, fetch, pull and push, by every way that git speaks.

use super::remotes::{HOST, PASSWORD, Remotes, Server};
use super::repository::{AUTHOR, object};
use crate::common::Run;
use crate::common::sandboxes::Sandboxes;
use serde_json::{Value, json};

/// A sandbox that is called `box` and reaches these.
pub struct Reaching {
    pub sandboxes: Sandboxes,
    /// On top of the caller's environment.
    pub env: Vec<(String, String)>,
}

impl Reaching {
    pub fn new(name: &str, servers: &[&Server]) -> Reaching {
        Reaching::of(Sandboxes::new(name), servers, &[])
    }

    /// The same with options of its own.
    pub fn of(sandboxes: Sandboxes, servers: &[&Server], options: &[&str]) -> Reaching {
        let targets: Vec<String> = servers.iter().map(|server| server.target()).collect();
        let mut options = [&["--memory", "512M", "--net", "only"], options].concat();
        targets.iter().for_each(|target| options.extend(["--allow", target]));
        sandboxes.create("box", &options);
        Reaching { sandboxes, env: vec![("GIT_PASSWORD_OF_TESTS".to_owned(), PASSWORD.to_owned())] }
    }

    pub fn call(&self, verb: &str, words: &[&str]) -> Run {
        let mut command =
            self.sandboxes.command(&[&["git", "box", verb, "--json", "--timeout", "60s"], words].concat());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.output().expect("start belljar").into()
    }

    pub fn told(&self, verb: &str, words: &[&str]) -> Value {
        let run = self.call(verb, words);
        assert_eq!(run.code, Some(0), "{verb} {words:?}: {run:?}");
        object(&run)
    }

    /// The error.
    pub fn refused(&self, verb: &str, words: &[&str]) -> Value {
        let run = self.call(verb, words);
        assert_eq!(run.code, Some(1), "{verb} {words:?}: {run:?}");
        object(&run)["error"].take()
    }

    pub fn shell(&self, script: &str) -> String {
        let run = self.sandboxes.shell("box", script);
        assert_eq!(run.code, Some(0), "{script}: {run:?}");
        run.stdout
    }

    /// Commits a file in the repository `x`; the hash.
    pub fn commit(&self, file: &str) -> String {
        self.shell(&format!("cd x && echo mine > {file}"));
        self.sandboxes.done(&["git", "box", "add", "--path", "x", file]);
        let words = [&["git", "box", "commit", "--json", "--path", "x", "-m", file], &AUTHOR[..]].concat();
        let made: Value = serde_json::from_str(&self.sandboxes.done(&words)).expect("an object");
        made["hash"].as_str().expect("a hash").to_owned()
    }

    fn status(&self) -> Value {
        let text = self.sandboxes.done(&["git", "box", "status", "--path", "x", "--json"]);
        serde_json::from_str(&text).expect("an object")
    }
}

/// Clones, pushes, is refused, pulls and fetches, with these options.
pub fn there_and_back(remotes: &Remotes, reaching: &Reaching, url: &str, options: &[&str]) {
    let with = |words: &[&'static str]| [words, options].concat();
    let cloned = reaching.told("clone", &[&[url], options].concat());
    assert_eq!((&cloned["path"], &cloned["branch"]), (&json!("/home/sandbox/x"), &json!("main")));
    assert_eq!(cloned["commit"], json!(remotes.commit("main")));
    let status = reaching.status();
    assert_eq!((&status["upstream"], &status["published"]), (&json!("origin/main"), &json!(true)));
    assert_eq!((&status["clean"], &status["ahead"], &status["behind"]), (&json!(true), &json!(0), &json!(0)));
    let mine = reaching.commit("mine");
    assert_eq!(reaching.status()["ahead"], json!(1));
    let pushed = reaching.told("push", &with(&["--path", "x"]));
    let states: Vec<&Value> = pushed["refs"].as_array().into_iter().flatten().map(|one| &one["state"]).collect();
    assert_eq!((remotes.commit("main"), states), (mine, vec![&json!("updated")]));
    let theirs = remotes.advance("theirs");
    reaching.commit("second");
    assert_eq!(reaching.refused("push", &with(&["--path", "x"]))["kind"], "push_rejected");
    let fetched = reaching.told("fetch", &with(&["--path", "x"]));
    let main =
        fetched["changed"].as_array().into_iter().flatten().find(|one| one["name"] == "refs/remotes/origin/main");
    assert_eq!(main.map(|one| &one["after"]), Some(&json!(theirs)));
    assert_eq!((&reaching.status()["ahead"], &reaching.status()["behind"]), (&json!(1), &json!(1)));
    assert_eq!(reaching.refused("pull", &with(&["--path", "x"]))["kind"], "diverged");
    reaching.sandboxes.done(&["git", "box", "reset", "--path", "x", "--mode", "hard", "--target", "HEAD~1"]);
    let pulled = reaching.told("pull", &with(&["--path", "x"]));
    assert_eq!((&pulled["after"], &pulled["branch"]), (&json!(theirs), &json!("main")));
    reaching.sandboxes.done(&["git", "box", "checkout", "--path", "x", "-b", "fresh"]);
    assert_eq!(reaching.status()["published"], json!(false));
    let words = [&["--path", "x", "--set-upstream", "origin"], options].concat();
    assert_eq!(reaching.told("push", &words)["refs"][0]["state"], "new");
    assert_eq!(reaching.status()["upstream"], json!("origin/fresh"));
    let words = [&["--path", "x", "--delete", "origin", "fresh"], options].concat();
    assert_eq!(reaching.told("push", &words)["refs"][0]["state"], "deleted");
    assert_eq!(reaching.refused("clone", &[&[url], options].concat())["kind"], "exists");
    let words = [&[url, "y", "--branch", "nowhere"], options].concat();
    assert_eq!(reaching.refused("clone", &words)["kind"], "ref_not_found");
}

#[test]
fn by_gits_own_protocol() {
    let remotes = Remotes::new("git-daemon");
    let server = remotes.daemon();
    let reaching = Reaching::new("git-by-daemon", &[&server]);
    let url = format!("git://{}/x.git", server.place());
    there_and_back(&remotes, &reaching, &url, &[]);
    let missing = format!("git://{}/nowhere", server.place());
    assert_eq!(reaching.refused("clone", &[&missing])["kind"], "repository_not_found");
}

#[test]
fn by_http_with_a_password() {
    let remotes = Remotes::new("git-http");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-http", &[&server]);
    let url = format!("http://{}/auth/x.git", server.place());
    let options = ["--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"];
    there_and_back(&remotes, &reaching, &url, &options);
    assert_eq!(reaching.refused("clone", &[&url, "z"])["kind"], "authentication");
    let missing = format!("http://{}/open/nowhere", server.place());
    assert_eq!(reaching.refused("clone", &[&missing])["kind"], "repository_not_found");
}

#[test]
fn by_ssh_with_the_callers_agent() {
    let remotes = Remotes::new("git-ssh");
    let server = remotes.sshd();
    let (_agent, socket) = remotes.agent();
    let mut reaching = Reaching::new("git-by-ssh", &[&server]);
    reaching.env.push(("SSH_AUTH_SOCK".to_owned(), socket.display().to_string()));
    let url = format!("ssh://{}@{}{}/x.git", Remotes::user(), server.place(), remotes.0.0.display());
    there_and_back(&remotes, &reaching, &url, &["--ssh-agent"]);
    let told = reaching.told("clone", &[&url, "y", "--ssh-agent"]);
    let keys = told["reached"]["host_keys"].as_str().expect("keys");
    assert!(keys.starts_with(&format!("[{HOST}]:{} ", server.port)), "{keys}");
    assert_eq!(told["reached"]["signatures"], json!(1));
    // The keys that were told are what a machine is known by from then on.
    let known = remotes.0.file("known", keys);
    let known = known.to_str().expect("a path");
    reaching.told("clone", &[&url, "z", "--ssh-agent", "--known-hosts", known]);
    remotes.shell("ssh-keygen -qt ed25519 -N '' -f other");
    let other = std::fs::read_to_string(remotes.0.0.join("other.pub")).expect("a key");
    let broken = remotes.0.file("broken", format!("[{HOST}]:{} {other}", server.port));
    let error =
        reaching.refused("clone", &[&url, "w", "--ssh-agent", "--known-hosts", broken.to_str().expect("a path")]);
    assert_eq!(error["kind"], "transport", "{error}");
    // Without the agent nobody signs, and nothing of it is left inside.
    assert_eq!(reaching.refused("clone", &[&url, "v"])["kind"].as_str().map(|kind| kind != "failed"), Some(true));
    assert_eq!(reaching.shell("ls -a /tmp | grep -c belljar-git || true; env | grep -c SSH || true"), "0\n0\n");
}

#[test]
fn a_branch_a_tag_a_commit_or_a_part_of_the_history_is_cloned() {
    let remotes = Remotes::new("git-parts");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-parts", &[&server]);
    let url = format!("http://{}/open/x.git", server.place());
    let side = reaching.told("clone", &[&url, "side", "--branch", "side"]);
    assert_eq!((&side["branch"], &side["commit"]), (&json!("side"), &json!(remotes.commit("side"))));
    let tag = reaching.told("clone", &[&url, "tag", "--branch", "v1"]);
    assert_eq!((&tag["branch"], &tag["commit"]), (&Value::Null, &json!(remotes.commit("v1^{commit}"))));
    let first = remotes.commit("v1^{commit}");
    let commit = reaching.told("clone", &[&url, "commit", "--commit", &first]);
    assert_eq!((&commit["branch"], &commit["commit"]), (&Value::Null, &json!(first)));
    assert_eq!(reaching.shell("cd commit && ls"), "one\n");
    reaching.told("clone", &[&url, "shallow dir", "--depth", "1"]);
    assert_eq!(reaching.shell("cd 'shallow dir' && git rev-list --count HEAD && ls"), "1\none\ntwo\n");
    let nowhere = "0123456789012345678901234567890123456789";
    assert_eq!(reaching.refused("clone", &[&url, "none", "--commit", nowhere])["kind"], "ref_not_found");
    let copy = reaching.told("clone", &["side", "copy"]);
    assert_eq!(copy["commit"], json!(remotes.commit("side")));
}

#[test]
fn a_machine_that_may_not_be_reached_is_named_with_the_flag_that_allows_it() {
    let remotes = Remotes::new("git-refused");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-nobody", &[]);
    let url = format!("http://{}/open/x.git", server.place());
    let error = reaching.refused("clone", &[&url]);
    assert_eq!(error["kind"], "network_refused", "{error}");
    let hint = error["hint"].as_str().unwrap_or_default();
    assert!(hint.contains(&format!("--allow host:{}", server.port)) && hint.contains("net set"), "{error}");
    reaching.sandboxes.done(&["net", "set", "box", "--allow", &server.target()]);
    reaching.told("clone", &[&url]);
    reaching.sandboxes.create("alone", &[]);
    let run = reaching.sandboxes.call(&["git", "alone", "clone", "--json", "https://example.org/x"]);
    let error = object(&run)["error"].take();
    assert_eq!(error["kind"], "network_refused", "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("--allow example.org:443")), "{error}");
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time_and_nothing_goes_on() {
    let remotes = Remotes::new("git-slow");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-patience", &[&server]);
    let url = format!("http://{}/slow/x.git", server.place());
    let run = reaching.sandboxes.call(&["git", "box", "clone", "--json", "--timeout", "1s", &url]);
    assert_eq!(object(&run)["error"]["kind"], "timed_out", "{run:?}");
    let again = reaching.sandboxes.call(&["git", "box", "clone", "--json", "--timeout", "1s", &url]);
    assert_eq!(object(&again)["error"]["kind"], "timed_out", "nothing is in the way of the next: {again:?}");
    let left = || reaching.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[g]it-remote' || true");
    assert!(crate::common::eventually(5, || left() == "0\n"), "{}", left());
}

#[test]
fn a_clone_that_fails_at_any_step_leaves_nothing() {
    let remotes = Remotes::new("git-steps");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-steps", &[&server]);
    let url = format!("http://{}/open/x.git", server.place());
    remotes.shell("git clone -q x.git sub && cd sub && git -c protocol.file.allow=always submodule -q add http://127.0.0.1:1/no inner || \
        printf '[submodule \"inner\"]\\n path = inner\\n url = http://127.0.0.1:1/no\\n' >.gitmodules; \
        git add .gitmodules && git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),inner && git commit -qm sub && git push -q origin HEAD:sub");
    let nowhere = "0123456789012345678901234567890123456789";
    for words in [&["--commit", nowhere][..], &["--branch", "nowhere"], &["--branch", "sub", "--submodules"]] {
        reaching.refused("clone", &[&[url.as_str(), "y"], words].concat());
        assert_eq!(reaching.shell("ls -A"), "", "{words:?}");
    }
    for (verb, words) in [("clone", &[url.as_str(), "--depth", "0"][..]), ("clone", &[&url, "--branch", "+main"])] {
        let run = reaching.call(verb, words);
        assert_eq!((run.code, object(&run)["error"]["kind"].take()), (Some(2), json!("misused")), "{words:?}");
    }
}

#[test]
fn of_several_clones_to_one_place_the_first_stays_whole() {
    let remotes = Remotes::new("git-rivals");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-rivals", &[&server]);
    let url = format!("http://{}/open/x.git", server.place());
    let refused = format!("http://{}/auth/x.git", server.place());
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let calls = [&url, &refused, &url, &refused].map(|url| scope.spawn(|| reaching.call("clone", &[url, "x"])));
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    });
    let whole: Vec<&Run> = runs.iter().filter(|run| run.code == Some(0)).collect();
    assert!(whole.len() <= 1, "{runs:?}");
    if !whole.is_empty() {
        assert_eq!((reaching.shell("ls x"), reaching.status()["clean"].take()), ("one\ntwo\n".to_owned(), json!(true)));
    }
    // One that fails beside a whole one, whatever it fails for, takes nothing of it away.
    reaching.call("clone", &[&url, "x"]);
    for other in [&url, &refused] {
        reaching.refused("clone", &[other, "x"]);
        assert_eq!(reaching.shell("ls x"), "one\ntwo\n");
    }
}

#[test]
fn no_name_of_a_branch_loses_commits_on_either_side() {
    let remotes = Remotes::new("git-plus");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-plus", &[&server]);
    let url = format!("http://{}/auth/x.git", server.place());
    let options = ["--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"];
    reaching.told("clone", &[&[url.as_str()], &options[..]].concat());
    reaching.commit("mine");
    let theirs = remotes.advance("theirs");
    for name in ["+main", "+main:main", "refs/heads/*", "^main", "main~1"] {
        for verb in ["push", "fetch", "pull"] {
            let run = reaching.call(verb, &[&["--path", "x", "origin", name], &options[..]].concat());
            let error = object(&run)["error"].take();
            assert_eq!(
                (run.code, &error["problems"][0]["field"]),
                (Some(2), &json!("branch")),
                "{verb} {name}: {error}"
            );
        }
    }
    assert_eq!((remotes.commit("main"), reaching.status()["ahead"].take()), (theirs, json!(1)));
}

#[test]
fn a_rebase_is_done_whole_or_undone() {
    let remotes = Remotes::new("git-rebase");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-rebase", &[&server]);
    let url = format!("http://{}/open/x.git", server.place());
    reaching.told("clone", &[&url]);
    reaching.commit("mine");
    let theirs = remotes.advance("theirs");
    // Whoever rebases commits anew.
    let without = reaching.refused("pull", &["--path", "x", "--rebase"]);
    assert_eq!(without["kind"], "invalid", "{without}");
    assert_eq!((&reaching.status()["branch"], &reaching.status()["ahead"]), (&json!("main"), &json!(1)));
    for (key, value) in [("user.name", "Ann"), ("user.email", "ann@example.org")] {
        reaching.sandboxes.done(&["git", "box", "config", "--path", "x", key, value]);
    }
    reaching.told("pull", &["--path", "x", "--rebase"]);
    assert_eq!(reaching.shell("cd x && git log --format=%s -n 1 && git rev-parse HEAD~1"), format!("mine\n{theirs}\n"));
    reaching.commit("clash");
    let mine = reaching.status()["commit"].take();
    remotes.advance("clash");
    let error = reaching.refused("pull", &["--path", "x", "--rebase"]);
    assert_eq!(error["kind"], "conflict", "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("--merge")), "{error}");
    let status = reaching.status();
    assert_eq!((&status["branch"], &status["commit"], &status["clean"]), (&json!("main"), &mine, &json!(true)));
    // One that somebody else has begun is left alone, wherever it stands.
    for begun in ["git rebase -q origin/main", "git rebase -q --exec false HEAD~1"] {
        reaching.shell(&format!("cd x && ! {begun} 2>/dev/null"));
        let error = reaching.refused("pull", &["--path", "x", "--rebase"]);
        assert!(error["message"].as_str().is_some_and(|text| text.contains("a rebase is open")), "{begun}: {error}");
        reaching.shell("cd x && test -d .git/rebase-merge && git rebase --abort");
    }
}

#[test]
fn certificates_are_checked_whatever_the_settings_inside_say() {
    let remotes = Remotes::new("git-tls");
    let server = remotes.https();
    let reaching = Reaching::new("git-by-tls", &[&server]);
    let url = format!("https://{}/auth/x.git", server.place());
    let options = ["--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"];
    let words = [&[url.as_str()], &options[..]].concat();
    let lax = format!("git config --global http.sslVerify false && git config --global 'http.{url}.sslVerify' false");
    for settings in ["true", &lax] {
        reaching.shell(settings);
        assert_eq!(reaching.refused("clone", &words)["kind"], "transport", "{settings}");
        assert!(!remotes.asked().contains("Basic"), "{}", remotes.asked());
    }
    let told = reaching.told("clone", &[&words[..], &["--insecure-tls"]].concat());
    assert_eq!(told["commit"], json!(remotes.commit("main")));
    // An address with what ends the name of a setting.
    remotes.shell("cp -r x.git 'x=y.git'");
    let odd = format!("https://{}/auth/x=y.git", server.place());
    let words = [&[odd.as_str()], &options[..]].concat();
    reaching.shell(&format!("git config --global 'http.{odd}.sslVerify' false"));
    assert_eq!(reaching.refused("clone", &words)["kind"], "transport");
    reaching.told("clone", &[&words[..], &["--insecure-tls"]].concat());
}
