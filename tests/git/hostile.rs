//! Repositories that nobody has read: whatever they make git start acts inside, or not at all.

use super::remotes::{PASSWORD, Remotes};
use super::repository::Repository;
use super::transfers::Reaching;
use std::path::PathBuf;

/// A file on the host that nobody inside can know; made by nothing but a hole.
fn marker(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("belljar-owned-{name}-{}", std::process::id()))
}

/// Settings and hooks that make git start a program wherever it can be made to.
fn arm(one: &Repository, marker: &str) {
    one.shell(&format!(
        "printf '#!/bin/sh\\ntouch {marker}; exit 0\\n' > /tmp/evil && chmod +x /tmp/evil && \
         for hook in pre-commit post-commit post-checkout post-merge pre-push post-index-change reference-transaction prepare-commit-msg; do \
         cp /tmp/evil .git/hooks/$hook; done; \
         for key in core.fsmonitor core.sshCommand core.pager core.editor core.askPass diff.external diff.x.textconv diff.x.command \
         filter.x.clean filter.x.smudge filter.x.process gpg.program credential.helper core.gitProxy core.alternateRefsCommand \
         uploadpack.packObjectsHook sequence.editor; do git config $key /tmp/evil; done; \
         git config alias.status '!/tmp/evil'; git config filter.x.required false; git config --unset filter.x.process; \
         echo '* filter=x diff=x' > .git/info/attributes"
    ));
}

#[test]
fn whatever_a_repository_makes_git_start_never_acts_on_the_host() {
    let one = Repository::new("git-armed");
    let marker = marker("armed");
    let path = marker.to_str().expect("a path");
    one.shell("echo a > a");
    one.commit("first");
    arm(&one, path);
    one.shell("echo b >> a");
    one.told("status", &[]);
    one.told("diff", &[]);
    one.told("log", &[]);
    one.told("show", &[]);
    one.told("branch", &["other"]);
    one.told("stash", &["list"]);
    one.call("add", &["."]);
    one.call("commit", &["-m", "x", "--author", "A", "--email", "a@b"]);
    one.call("checkout", &["other"]);
    one.call("reset", &["--mode", "hard"]);
    one.call("fetch", &["origin"]);
    one.shell("git remote add origin /tmp/nowhere");
    one.call("fetch", &["origin"]);
    one.call("push", &["origin", "main"]);
    assert!(!marker.exists(), "something ran on the host");
    // The programs are real: the same git, asked without belljar's care, starts them, inside.
    one.shell(&format!("git status -s > /dev/null 2>&1; git checkout -q main > /dev/null 2>&1; ls {path}"));
    assert!(!marker.exists(), "what is inside is inside");
}

#[test]
fn names_that_begin_with_a_dash_are_no_options_of_git() {
    let one = Repository::new("git-dashes");
    one.shell("echo a > a");
    one.commit("first");
    for (verb, words) in [
        ("clone", &["--", "--upload-pack=touch /tmp/owned"][..]),
        ("clone", &["--branch=--upload-pack=touch /tmp/owned", "/home/sandbox/r", "y"]),
        ("fetch", &["--", "--upload-pack=touch /tmp/owned"]),
        ("fetch", &["--", "origin", "--upload-pack=touch /tmp/owned"]),
        ("pull", &["--", "--upload-pack=touch /tmp/owned"]),
        ("push", &["--", "--receive-pack=touch /tmp/owned"]),
        ("push", &["--", "origin", "--receive-pack=touch /tmp/owned"]),
        ("checkout", &["--", "--orphan=x"]),
        ("log", &["--", "--output=/tmp/owned"]),
        ("show", &["--", "--output=/tmp/owned"]),
        ("diff", &["--from=--output=/tmp/owned"]),
        ("branch", &["--", "--edit-description"]),
        ("remote", &["add", "--", "--mirror=fetch", "/x"]),
        ("clone", &["ext::sh -c touch% /tmp/owned"]),
        ("clone", &["ssh://-oProxyCommand=touch%20/tmp/owned/x"]),
    ] {
        let run = one.call(verb, words);
        assert_ne!(run.code, Some(0), "{verb} {words:?}: {run:?}");
    }
    assert_eq!(one.shell("ls /tmp"), "");
    // A branch of that name can be made by other means, and is shown for what it is.
    one.shell("git update-ref refs/heads/-odd HEAD");
    let listed = one.told("branch", &[]);
    assert_eq!(listed["branches"][0]["name"], "-odd");
}

#[test]
fn hooks_and_helpers_of_a_repository_do_not_run_while_a_password_is_there() {
    let remotes = Remotes::new("git-hooked");
    let server = remotes.http();
    let reaching = Reaching::new("git-by-hooks", &[&server]);
    let url = format!("http://{}/auth/x.git", server.place());
    let options = ["--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"];
    reaching.told("clone", &[&[url.as_str()], &options[..]].concat());
    reaching.shell(
        "cd x && printf '#!/bin/sh\\nenv > /tmp/hook-env; ls -l /proc/$$/fd > /tmp/hook-fds; exit 1\\n' > .git/hooks/pre-push && chmod +x .git/hooks/pre-push && \
         git config credential.helper '!f() { cat > /tmp/helped; }; f' && git config http.x.helper y",
    );
    reaching.commit("mine");
    reaching.told("push", &[&["--path", "x"], &options[..]].concat());
    assert_eq!(reaching.shell("ls /tmp"), "", "a hook or helper ran, or something was left");
    assert!(!reaching.shell("cat x/.git/config").contains(PASSWORD));
}

#[test]
fn a_remote_that_leads_elsewhere_is_the_machine_that_the_password_goes_to_and_the_result_says_so() {
    let remotes = Remotes::new("git-turned");
    let (first, second) = (remotes.http(), remotes.http());
    let reaching = Reaching::new("git-by-turning", &[&first, &second]);
    let url = format!("http://{}/auth/x.git", first.place());
    let options = ["--username", "ann", "--password-env", "GIT_PASSWORD_OF_TESTS"];
    reaching.told("clone", &[&[url.as_str()], &options[..]].concat());
    let fetched = reaching.told("fetch", &[&["--path", "x"], &options[..]].concat());
    assert_eq!(fetched["reached"]["password_for"][0], format!("http://{}", first.place()));
    // With `--password-for` the caller says which machine it is meant for, whatever the settings inside say.
    reaching.shell(&format!("cd x && git remote set-url origin http://{}/auth/x.git", second.place()));
    let error = reaching.refused("fetch", &[&["--path", "x", "--password-for", &first.place()], &options[..]].concat());
    assert_eq!(error["kind"], "authentication", "{error}");
    let log = std::fs::read_to_string(remotes.log()).expect("a log");
    assert!(!log.lines().any(|line| line.starts_with(&second.place()) && line.contains("Basic")), "{log}");
}
