//! A repository of thousands of files, with submodules and pointers of Git LFS.

use super::remotes::Remotes;
use super::transfers::Reaching;
use serde_json::json;

/// Files of each kind of name.
const FILES: usize = 5200;

/// Makes `big.git`: many files with odd names, two commits, pointers.
fn big(remotes: &Remotes) {
    remotes.shell(&format!(
        r#"mkdir big && cd big && git init -q -b main && for d in $(seq 52); do mkdir "d $d"; for f in $(seq 100); do echo "$d $f" > "d $d/f$f"; done; done
        printf x > "$(printf 'line\nend')"; printf y > "$(printf 'byte\377')"; echo '*.bin filter=lfs diff=lfs merge=lfs -text' > .gitattributes
        printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n' 7 > model.bin
        git add . && git commit -qm 'many: {FILES}' && echo more >> 'd 1/f1' && git commit -qam more && cd .. && git clone -q --bare big big.git"#
    ));
}

#[test]
fn thousands_of_files_come_over_and_are_told_exactly() {
    let remotes = Remotes::new("git-big");
    big(&remotes);
    let server = remotes.daemon();
    let reaching = Reaching::new("git-by-thousands", &[&server]);
    let url = format!("git://{}/big.git", server.place());
    reaching.told("clone", &[&url, "x"]);
    let count = |directory: &str| reaching.shell(&format!("cd {directory} && git ls-files -z | tr -dc '\\0' | wc -c"));
    assert_eq!(count("x").trim(), (FILES + 4).to_string());
    let status = |path: &str| {
        let text = reaching.sandboxes.done(&["git", "box", "status", "--path", path, "--json"]);
        serde_json::from_str::<serde_json::Value>(&text).expect("an object")
    };
    assert_eq!(status("x")["clean"], json!(true));
    assert_eq!(reaching.shell("head -1 x/model.bin"), "version https://git-lfs.github.com/spec/v1\n");
    reaching.told("clone", &[&url, "shallow", "--depth", "1"]);
    assert_eq!(reaching.shell("cd shallow && git rev-list --count HEAD"), "1\n");
    reaching.shell("cd x && for d in $(seq 52); do rm -r \"d $d\"; done");
    let files = status("x")["files"].as_array().map(Vec::len);
    assert_eq!(files, Some(FILES));
    let added: serde_json::Value =
        serde_json::from_str(&reaching.sandboxes.done(&["git", "box", "add", "--path", "x", "--json", "."]))
            .expect("an object");
    assert_eq!(added["files"].as_array().map(Vec::len), Some(FILES));
    let differs: serde_json::Value =
        serde_json::from_str(&reaching.sandboxes.done(&["git", "box", "diff", "--path", "x", "--json", "--staged"]))
            .expect("an object");
    assert_eq!((&differs["deletions"], &differs["additions"]), (&json!(FILES + 1), &json!(0)));
}
