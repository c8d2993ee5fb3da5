//! What is done in a repository without another machine.

use super::repository::{AUTHOR, Repository, object, rows};
use serde_json::{Value, json};

fn row(path: &str, staged: &str, unstaged: &str) -> (String, String, String) {
    (path.to_owned(), staged.to_owned(), unstaged.to_owned())
}

#[test]
fn a_new_repository_has_a_branch_and_no_commit() {
    let one = Repository::new("git-new");
    let status = one.told("status", &[]);
    let expected = json!({ "version": 1, "branch": "main", "commit": null, "detached": false, "upstream": null,
        "published": false, "ahead": 0, "behind": 0, "clean": true, "files": [] });
    assert_eq!(status, expected);
    assert_eq!(one.told("log", &[])["commits"], json!([]));
    assert_eq!(one.told("branch", &[]), json!({ "version": 1, "current": "main", "branches": [] }));
    assert_eq!(one.call("status", &[]).stdout, "on main, no commit yet\nnothing differs\n");
    let other = one.told("init", &["--bare", "--branch", "trunk", "bare dir"]);
    assert_eq!(other, json!({ "version": 1, "path": "/home/sandbox/bare dir", "bare": true }));
}

#[test]
fn a_commit_answers_its_hash_and_stands_in_the_log_with_its_author() {
    let one = Repository::new("git-commit");
    one.shell("echo a > a");
    assert_eq!(rows(&one.told("add", &["a"])), [row("a", "added", "unmodified")]);
    let made = one.told("commit", &[&["--message", "-first\n\nmore"], &AUTHOR[..]].concat());
    let hash = made["hash"].as_str().expect("a hash");
    assert_eq!(hash, one.shell("git rev-parse HEAD").trim());
    one.shell("echo b >> a");
    let second = one.commit("second");
    let log = one.told("log", &[]);
    let commits = log["commits"].as_array().expect("commits");
    let told: Vec<&Value> = commits.iter().map(|commit| &commit["message"]).collect();
    assert_eq!(told, [&json!("second"), &json!("-first\n\nmore")]);
    let newest = &commits[0];
    assert_eq!((&newest["hash"], &newest["parents"]), (&json!(second), &json!([hash])));
    assert_eq!((&newest["author"], &newest["email"]), (&json!("Ann"), &json!("ann@example.org")));
    assert_eq!(one.told("log", &["--limit", "1", "--skip", "1"])["commits"], json!([commits[1]]));
    assert_eq!(one.told("log", &[hash])["commits"], json!([commits[1]]));
}

#[test]
fn what_differs_is_told_as_staged_and_unstaged() {
    let one = Repository::new("git-states");
    one.shell("for f in edited staged both gone removed moved; do seq 9 > $f; done; echo '*.ign' > .gitignore");
    one.commit("first");
    one.shell(
        "echo x >> edited; echo x >> staged; git add staged; echo x >> both; git add both; echo y >> both; rm gone; \
         git rm -q removed; git mv moved 'moved to'; echo n > new; git add new; echo u > unknown; touch x.ign",
    );
    let expected = [
        row("both", "modified", "modified"),
        row("edited", "unmodified", "modified"),
        row("gone", "unmodified", "deleted"),
        row("moved to", "renamed", "unmodified"),
        row("new", "added", "unmodified"),
        row("removed", "deleted", "unmodified"),
        row("staged", "modified", "unmodified"),
        row("unknown", "untracked", "untracked"),
    ];
    let mut files = one.files();
    files.sort();
    assert_eq!(files, expected);
    let status = one.told("status", &["--untracked", "no"]);
    let renamed = status["files"].as_array().into_iter().flatten().find(|file| file["path"] == "moved to");
    assert_eq!(renamed.map(|file| &file["old_path"]), Some(&json!("moved")));
    assert!(!rows(&status).contains(&row("unknown", "untracked", "untracked")));
    assert_eq!(one.refused("status", &["--untracked", "no", "--ignored"]), "misused");
    assert!(rows(&one.told("status", &["--ignored"])).contains(&row("x.ign", "ignored", "ignored")));
}

#[test]
fn names_may_be_anything_that_a_file_may_be_called() {
    let one = Repository::new("git-names");
    one.shell(r#"for n in 'a b' "$(printf 'new\nline')" "$(printf 'not\377text')" -dash ':(top)x' '*' '"q"' 'größe'; do echo x > "./$n"; done"#);
    let status = one.told("add", &["."]);
    let mut names: Vec<Value> =
        status["files"].as_array().into_iter().flatten().map(|file| file["path"].clone()).collect();
    names.sort_by_key(Value::to_string);
    let expected = [
        json!("*"),
        json!("-dash"),
        json!(":(top)x"),
        json!("\"q\""),
        json!("a b"),
        json!("größe"),
        json!("new\nline"),
        json!({ "base64": "bm90/3RleHQ=" }),
    ];
    assert_eq!(names, expected);
    let shown = one.call("status", &[]).stdout;
    assert!(shown.contains("A  new\\nline\n") && shown.contains("A  not\\xfftext\n"), "{shown}");
    one.commit("odd");
    // A name is no pattern and no option.
    one.shell("for f in *; do echo y >> \"./$f\"; done");
    assert_eq!(rows(&one.told("restore", &["--", "*", "-dash", ":(top)x"])).len(), 5);
}

#[test]
fn branches_are_made_listed_renamed_and_deleted() {
    let one = Repository::new("git-branches");
    one.shell("echo a > a");
    let first = one.commit("first");
    one.shell("echo b > a");
    let second = one.commit("second");
    assert_eq!(one.told("branch", &["topic", "--from", &first])["current"], json!("main"));
    assert_eq!(one.refused("branch", &["topic"]), "branch_exists");
    assert_eq!(one.refused("branch", &["other", "--from", "nowhere"]), "ref_not_found");
    assert_eq!(one.refused("branch", &["-D"]), "misused");
    assert_eq!(one.refused("branch", &["--", "--force"]), "misused");
    let listed = one.told("branch", &[]);
    let told: Vec<(&Value, &Value, &Value)> = listed["branches"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|branch| (&branch["name"], &branch["commit"], &branch["current"]))
        .collect();
    assert_eq!(told, [(&json!("main"), &json!(second), &json!(true)), (&json!("topic"), &json!(first), &json!(false))]);
    one.told("branch", &["--rename", "renamed", "topic"]);
    assert_eq!(one.told("checkout", &["renamed"])["branch"], json!("renamed"));
    assert_eq!(one.refused("branch", &["--delete", "nobody"]), "ref_not_found");
    assert_eq!(one.refused("checkout", &["nobody"]), "ref_not_found");
    one.told("checkout", &["main"]);
    let left = one.told("branch", &["--delete", "renamed"]);
    assert_eq!(left["branches"].as_array().map(Vec::len), Some(1));
    let made = one.told("checkout", &["-b", "fresh", "--from", &first]);
    assert_eq!(made, json!({ "version": 1, "branch": "fresh", "commit": first, "detached": false }));
}

#[test]
fn a_commit_that_is_checked_out_detaches_the_head() {
    let one = Repository::new("git-detached");
    one.shell("echo a > a");
    let first = one.commit("first");
    one.shell("echo b > a");
    one.commit("second");
    let head = one.told("checkout", &[&first[..10]]);
    assert_eq!(head, json!({ "version": 1, "branch": null, "commit": first, "detached": true }));
    let status = one.told("status", &[]);
    assert_eq!((&status["branch"], &status["detached"]), (&Value::Null, &json!(true)));
    assert_eq!(one.told("branch", &[])["current"], Value::Null);
}

#[test]
fn changes_that_would_be_lost_are_not_overwritten() {
    let one = Repository::new("git-dirty");
    one.shell("echo a > a");
    one.commit("first");
    one.told("branch", &["other"]);
    one.shell("echo b > a");
    one.commit("second");
    one.shell("echo mine > a");
    assert_eq!(one.refused("checkout", &["other"]), "dirty_tree");
    assert_eq!(one.shell("cat a"), "mine\n");
    one.told("checkout", &["--force", "other"]);
    assert_eq!(one.shell("cat a"), "a\n");
}

#[test]
fn a_conflict_is_told_with_what_both_sides_did() {
    let one = Repository::new("git-conflict");
    one.shell("echo a > 'the file'; echo x > gone");
    one.commit("first");
    one.told("checkout", &["-b", "other"]);
    one.shell("echo theirs > 'the file'; rm gone");
    one.commit("theirs");
    one.told("checkout", &["main"]);
    one.shell("echo ours > 'the file'; echo y > gone");
    one.commit("ours");
    one.shell("! git -c user.name=A -c user.email=a@b merge -q other");
    let status = one.told("status", &[]);
    let conflicts: Vec<(&Value, &Value)> =
        status["files"].as_array().into_iter().flatten().map(|file| (&file["path"], &file["conflict"])).collect();
    assert_eq!(conflicts, [(&json!("gone"), &json!("UD")), (&json!("the file"), &json!("UU"))]);
    assert_eq!(one.refused("commit", &[&["-m", "x"], &AUTHOR[..]].concat()), "conflict");
    assert_eq!(one.refused("checkout", &["other"]), "conflict");
    one.told("reset", &["--mode", "hard"]);
    assert_eq!(one.told("status", &[])["clean"], json!(true));
}

#[test]
fn files_and_branches_are_set_back() {
    let one = Repository::new("git-reset");
    one.shell("echo a > a; echo b > b");
    let first = one.commit("first");
    one.shell("echo a2 > a; echo b2 > b");
    one.told("add", &["."]);
    assert_eq!(
        rows(&one.told("reset", &["a"])),
        [row("a", "unmodified", "modified"), row("b", "modified", "unmodified")]
    );
    assert_eq!(rows(&one.told("restore", &["a"])), [row("b", "modified", "unmodified")]);
    assert_eq!(rows(&one.told("restore", &["--staged", "--worktree", "b"])), []);
    one.shell("echo a3 > a");
    one.commit("second");
    assert_eq!(one.told("reset", &["--mode", "soft", "--target", &first])["commit"], json!(first));
    assert_eq!(one.files(), [row("a", "modified", "unmodified")]);
    one.told("reset", &["--mode", "hard"]);
    assert_eq!(one.shell("cat a b"), "a\nb\n");
    one.told("restore", &["--source", "HEAD", "a"]);
    assert_eq!(one.refused("reset", &["--target", "nowhere"]), "ref_not_found");
    assert_eq!(one.refused("restore", &["nothing"]), "not_found");
    assert_eq!(one.refused("reset", &["--mode", "hard", "a"]), "misused");
    // A commit is no file.
    assert_eq!(one.refused("reset", &["HEAD~1"]), "not_found");
}

#[test]
fn changes_are_put_aside_and_come_back() {
    let one = Repository::new("git-stash");
    one.shell("echo a > a");
    one.commit("first");
    one.shell("echo b > a; echo u > unknown; git config user.name A; git config user.email a@b");
    let put = one.told("stash", &["-u", "-m", "-mine"]);
    assert_eq!((&put["stashes"][0]["index"], &put["stashes"][0]["message"]), (&json!(0), &json!("On main: -mine")));
    assert_eq!(one.files(), []);
    assert_eq!(one.told("stash", &["list"]), put);
    one.told("stash", &["apply"]);
    assert_eq!(one.shell("cat a unknown"), "b\nu\n");
    one.told("reset", &["--mode", "hard"]);
    one.shell("rm unknown");
    assert_eq!(one.told("stash", &["pop", "0"])["stashes"], json!([]));
    assert_eq!(one.shell("cat a unknown"), "b\nu\n");
    assert_eq!(one.refused("stash", &["drop", "7"]), "not_found");
    assert_eq!(one.refused("stash", &["list", "-u"]), "misused");
}

#[test]
fn settings_are_listed_changed_and_removed_by_scope() {
    let one = Repository::new("git-config");
    assert_eq!(one.told("config", &["user.name"])["value"], Value::Null);
    assert_eq!(one.told("config", &["--scope", "global", "user.name", "Global"])["value"], json!("Global"));
    let local = one.told("config", &["User.Name", "two\nlines"]);
    assert_eq!(local["value"], json!("two\nlines"));
    let scopes: Vec<&Value> =
        local["settings"].as_array().into_iter().flatten().map(|setting| &setting["scope"]).collect();
    assert_eq!(scopes, ["global", "local"]);
    assert_eq!(one.told("config", &["user.name", "--unset"])["value"], json!("Global"));
    assert_eq!(one.refused("config", &["user.name", "--unset"]), "not_found");
    assert_eq!(one.refused("config", &["odd", "x"]), "invalid");
    assert_eq!(one.refused("config", &["--", "--global"]), "misused");
    let all = one.told("config", &[]);
    let keys: Vec<&str> =
        all["settings"].as_array().into_iter().flatten().filter_map(|setting| setting["key"].as_str()).collect();
    assert!(keys.contains(&"core.bare") && keys.contains(&"user.name"), "{keys:?}");
    assert!(!keys.contains(&"safe.directory"), "what a call sets for itself is no setting: {keys:?}");
}

#[test]
fn remotes_are_kept_without_the_passwords_in_their_addresses() {
    let one = Repository::new("git-remotes");
    let added = one.told("remote", &["add", "origin", "https://ann:hidden@example.org/x.git"]);
    let remote = json!({ "name": "origin", "url": "https://example.org/x.git", "push_url": null });
    assert_eq!(added["remotes"], json!([remote]));
    assert_eq!(one.shell("grep -rc hidden .git/config || true"), "0\n");
    assert_eq!(one.refused("remote", &["add", "origin", "https://example.org/y"]), "exists");
    let replaced = one.told("remote", &["add", "origin", "https://example.org/y", "--overwrite"]);
    assert_eq!(replaced["remotes"][0]["url"], json!("https://example.org/y"));
    let changed = one.told("remote", &["set-url", "origin", "git@example.org:z"]);
    assert_eq!(changed["remotes"][0]["url"], json!("git@example.org:z"));
    assert_eq!(one.told("remote", &["rename", "origin", "up"])["remotes"][0]["name"], json!("up"));
    assert_eq!(one.refused("remote", &["rm", "origin"]), "not_found");
    assert_eq!(one.told("remote", &["rm", "up"])["remotes"], json!([]));
    for url in ["ext::sh -c touch% x", "--upload-pack=x", "ssh://-oProxyCommand=x/y", "odd://x/y"] {
        assert_eq!(one.refused("remote", &["add", "--", "o", url]), "misused", "{url}");
    }
}

#[test]
fn what_is_no_repository_or_has_no_git_is_told_with_the_cure() {
    let one = Repository::new("git-none");
    let run = one.0.call(&["git", "box", "status", "--path", "/tmp", "--json"]);
    let error = object(&run)["error"].take();
    assert_eq!((run.code, &error["kind"], &error["path"]), (Some(1), &json!("not_a_repository"), &json!("/tmp")));
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("--path")), "{error}");
    let run = one.0.call(&["git", "box", "status", "--path", "nowhere", "--json"]);
    assert_eq!(object(&run)["error"]["kind"], json!("not_found"));
    one.0.create("bare", &["--env", "PATH=/nowhere"]);
    let run = one.0.call(&["git", "bare", "status", "--json"]);
    let error = object(&run)["error"].take();
    assert_eq!((run.code, &error["kind"]), (Some(1), &json!("no_command")), "{run:?}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("package `git`")), "{error}");
}

#[test]
fn what_cannot_be_deleted_or_put_aside_is_told_as_what_it_is() {
    let repository = Repository::new("git-kinds");
    repository.shell("echo one > one");
    repository.commit("one");
    repository.told("checkout", &["-b", "side"]);
    repository.shell("echo two > two");
    repository.commit("two");
    assert_eq!(repository.refused("branch", &["--delete", "side"]), "busy");
    repository.told("checkout", &["main"]);
    assert_eq!(repository.refused("branch", &["--delete", "side"]), "diverged");
    repository.told("branch", &["--delete", "--force", "side"]);
    repository.shell("echo more > untracked");
    assert_eq!(repository.refused("stash", &[]), "nothing_to_commit");
    assert_eq!(repository.refused("stash", &["pop", "7"]), "not_found");
    assert_eq!(repository.refused("restore", &["nofile"]), "not_found");
}
