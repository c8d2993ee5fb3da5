//! `diff` and `show`.

use super::repository::Repository;
use serde_json::{Value, json};

/// A commit, and changes of each kind over it.
fn changed(name: &str) -> (Repository, String) {
    let one = Repository::new(name);
    one.shell("seq 20 > edited; seq 30 > moved; echo x > gone; printf 'a\\0b' > binary; echo t > 'odd\"\tname'");
    let first = one.commit("first");
    one.shell(
        "echo more >> edited; git mv moved 'moved to'; echo more >> 'moved to'; git rm -q gone; \
         printf 'a\\0c' > binary; printf '\\377\\n' > 'odd\"\tname'; chmod +x edited",
    );
    (one, first)
}

fn rows(difference: &Value) -> Vec<(Value, Value, Value, Value)> {
    let row = |file: &Value| {
        (file["path"].clone(), file["state"].clone(), file["additions"].clone(), file["deletions"].clone())
    };
    difference["files"].as_array().expect("files").iter().map(row).collect()
}

#[test]
fn a_difference_is_told_as_files_with_lines_and_as_text_that_can_be_applied() {
    let (one, first) = changed("git-diff");
    one.told("add", &["."]);
    let difference = one.told("diff", &["--staged"]);
    let expected = [
        (json!("binary"), json!("modified"), Value::Null, Value::Null),
        (json!("edited"), json!("modified"), json!(1), json!(0)),
        (json!("gone"), json!("deleted"), json!(0), json!(1)),
        (json!("moved to"), json!("renamed"), json!(1), json!(0)),
        (json!("odd\"\tname"), json!("modified"), json!(1), json!(1)),
    ];
    assert_eq!(rows(&difference), expected);
    assert_eq!((&difference["additions"], &difference["deletions"]), (&json!(3), &json!(2)));
    let moved = &difference["files"][3];
    assert_eq!((&moved["old_path"], &difference["files"][1]["mode"]), (&json!("moved"), &json!("100755")));
    assert_eq!(difference["patch_encoding"], json!("base64"));
    let patch = difference["patch"].as_str().expect("a patch");
    one.shell(&format!("printf %s {patch} | base64 -d > /tmp/patch; git stash -q 2>/dev/null || git reset -q --hard"));
    one.shell("git apply --index /tmp/patch");
    assert_eq!(rows(&one.told("diff", &["--staged", "--summary"])), expected);
    assert_eq!(rows(&one.told("diff", &["--from", &first, "--", "edited"])).len(), 1);
    assert_eq!(one.told("diff", &["--staged", "--summary"])["patch"], Value::Null);
}

#[test]
fn commits_are_compared_and_names_that_are_none_refused() {
    let (one, first) = changed("git-compare");
    let second = one.commit("second");
    assert_eq!(rows(&one.told("diff", &["--from", &first, "--to", &second])).len(), 5);
    assert_eq!(rows(&one.told("diff", &["--from", &second, "--to", &second])), []);
    assert_eq!(one.refused("diff", &["--from", "nowhere"]), "ref_not_found");
    assert_eq!(one.refused("diff", &["--from=--output=/tmp/x"]), "misused");
    assert_eq!(one.refused("diff", &["--to", &first]), "misused");
}

#[test]
fn a_commit_is_shown_with_what_it_changed_and_a_merge_against_its_first_parent() {
    let (one, first) = changed("git-show");
    let second = one.commit("second\n\nbody");
    let shown = one.told("show", &[]);
    assert_eq!((&shown["commit"]["hash"], &shown["commit"]["message"]), (&json!(second), &json!("second\n\nbody")));
    assert_eq!(rows(&shown["changed"]).len(), 5);
    let root = one.told("show", &[&first, "--summary"]);
    assert_eq!((rows(&root["changed"]).len(), &root["changed"]["patch"]), (5, &Value::Null));
    one.shell("git checkout -q -b side HEAD~1; echo s > side; git add side; git -c user.name=A -c user.email=a@b commit -qm side");
    one.shell("git checkout -q main; git -c user.name=A -c user.email=a@b merge -q --no-edit side");
    let merge = one.told("show", &["--summary"]);
    assert_eq!(merge["commit"]["parents"].as_array().map(Vec::len), Some(2));
    assert_eq!(rows(&merge["changed"]), [(json!("side"), json!("added"), json!(1), json!(0))]);
    assert_eq!(one.refused("show", &["nowhere"]), "ref_not_found");
    assert_eq!(one.refused("show", &["--", "--output=/tmp/x"]), "misused");
}

#[test]
fn what_a_repository_says_reaches_no_terminal_as_it_is() {
    let one = Repository::new("git-escapes");
    one.shell(r#"printf '\033]0;owned\007\n' > "$(printf 'f\033[31m')"; git config user.email a@b; git config user.name "$(printf 'A\033[1m')""#);
    one.told("add", &["."]);
    one.shell(r#"git commit -qm "$(printf 'subject\033[2J')""#);
    for (verb, words) in
        [("log", &[][..]), ("show", &[]), ("status", &[]), ("diff", &["--from", "HEAD"]), ("config", &[])]
    {
        one.shell(r#"printf '\033[5m\n' >> f*"#);
        let run = one.call(verb, words);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(!run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'), "{verb}: {run:?}");
        let json = one.call(verb, &[words, &["--json"]].concat());
        assert!(!json.stdout.contains('\x1b'), "{verb}: {json:?}");
    }
    let failed = one.call("checkout", &["nobody"]);
    assert!(!failed.stderr.contains('\x1b'), "{failed:?}");
}

#[test]
fn settings_of_the_repository_change_no_patch() {
    let (repository, first) = changed("git-diff-settings");
    let before = (repository.told("diff", &[]), repository.told("show", &[&first]));
    assert!(before.0["patch"].is_string(), "{before:?}");
    for (key, value) in [
        ("color.diff", "always"),
        ("color.ui", "always"),
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.dstPrefix", "zz/"),
        ("diff.context", "0"),
        ("diff.external", "echo"),
        ("log.showRoot", "false"),
    ] {
        repository.shell(&format!("git config {key} {value}"));
        assert_eq!((repository.told("diff", &[]), repository.told("show", &[&first])), before, "{key}");
    }
}
