//! What git complains of, as a kind and a message.
//!
//! Git has no codes for its errors, but its English sentences are translated source text that changes rarely; they are looked up in a
//! table, each with the version of git that says it in the tests. What no line of the table knows is `failed`, with git's own words.

use crate::error::{Error, Kind};
use crate::name::Name;

/// Sentences, small letters, and what they mean; the first that fits decides.
const SENTENCES: &[(&str, Kind)] = &[
    ("no space left on device", Kind::NoSpace),
    ("disk quota exceeded", Kind::NoSpace),
    ("cannot change to", Kind::NotFound),
    ("stash@{", Kind::NotFound),
    ("log for 'stash' only has", Kind::NotFound),
    ("log for stash is empty", Kind::NotFound),
    ("not a git repository", Kind::NotARepository),
    ("must be run in a work tree", Kind::NotARepository),
    (".lock': file exists", Kind::Busy),
    ("host key verification failed", Kind::Transport),
    ("authentication failed", Kind::Authentication),
    ("could not read username", Kind::Authentication),
    ("could not read password", Kind::Authentication),
    ("invalid username or password", Kind::Authentication),
    ("invalid username or token", Kind::Authentication),
    ("access denied: ", Kind::Authentication),
    ("returned error: 401", Kind::Authentication),
    ("returned error: 403", Kind::Authentication),
    ("permission denied (", Kind::Authentication),
    ("repository not found", Kind::RepositoryNotFound),
    ("repository not exported", Kind::RepositoryNotFound),
    ("does not appear to be a git repository", Kind::RepositoryNotFound),
    ("service not enabled", Kind::RepositoryNotFound),
    ("returned error: 404", Kind::RepositoryNotFound),
    ("fatal: repository '", Kind::RepositoryNotFound),
    ("no such remote", Kind::NotFound),
    ("couldn't find remote ref", Kind::RefNotFound),
    ("not found in upstream", Kind::RefNotFound),
    ("a branch named '", Kind::BranchExists),
    ("[remote rejected]", Kind::RemoteRejected),
    ("protected branch", Kind::RemoteRejected),
    ("remote ref does not exist", Kind::RefNotFound),
    ("[rejected]", Kind::PushRejected),
    ("does not match any", Kind::RefNotFound),
    ("failed to push some refs", Kind::PushRejected),
    ("not possible to fast-forward", Kind::Diverged),
    ("divergent branches", Kind::Diverged),
    ("refusing to merge unrelated histories", Kind::Diverged),
    ("is not fully merged", Kind::Diverged),
    ("cannot delete branch", Kind::Busy),
    ("would be overwritten", Kind::DirtyTree),
    ("commit your changes or stash them", Kind::DirtyTree),
    ("you have unstaged changes", Kind::DirtyTree),
    ("your index contains uncommitted changes", Kind::DirtyTree),
    ("contains modified or untracked files", Kind::DirtyTree),
    ("have changes staged", Kind::DirtyTree),
    ("already exists, no checkout", Kind::DirtyTree),
    ("could not restore untracked files", Kind::DirtyTree),
    ("automatic merge failed", Kind::Conflict),
    ("conflict (", Kind::Conflict),
    ("unmerged", Kind::Conflict),
    ("needs merge", Kind::Conflict),
    ("could not apply", Kind::Conflict),
    ("resolve your current index", Kind::Conflict),
    ("not concluded your merge", Kind::Conflict),
    ("cannot do a partial commit during a merge", Kind::Conflict),
    ("middle of a merge", Kind::Conflict),
    ("nothing to commit", Kind::NothingToCommit),
    ("nothing added to commit", Kind::NothingToCommit),
    ("no changes added to commit", Kind::NothingToCommit),
    ("known to git", Kind::RefNotFound),
    ("unknown revision", Kind::RefNotFound),
    ("bad revision", Kind::RefNotFound),
    ("not a valid object name", Kind::RefNotFound),
    ("invalid object name", Kind::RefNotFound),
    ("not a valid branch name", Kind::Invalid),
    ("not a valid ref", Kind::Invalid),
    ("invalid branch name", Kind::Invalid),
    ("invalid reference", Kind::RefNotFound),
    ("could not resolve 'head'", Kind::RefNotFound),
    ("failed to resolve", Kind::RefNotFound),
    ("needed a single revision", Kind::RefNotFound),
    ("no branch named", Kind::RefNotFound),
    ("is not a commit", Kind::RefNotFound),
    ("does not point to a commit", Kind::RefNotFound),
    ("not our ref", Kind::RefNotFound),
    ("branch '", Kind::RefNotFound),
    ("already exists", Kind::Exists),
    ("did not match any files", Kind::NotFound),
    ("no stash entries", Kind::NotFound),
    ("no such file or directory", Kind::NotFound),
    ("please tell me who you are", Kind::Invalid),
    ("unable to auto-detect email", Kind::Invalid),
    ("empty ident name", Kind::Invalid),
    ("invalid key", Kind::Invalid),
    ("key does not contain", Kind::Invalid),
    ("not allowed", Kind::Invalid),
    ("could not resolve host", Kind::Transport),
    ("unable to look up", Kind::Transport),
    ("unable to access", Kind::Transport),
    ("unable to connect", Kind::Transport),
    ("unable to update url base from redirection", Kind::Transport),
    ("could not read from remote repository", Kind::Transport),
    ("hung up", Kind::Transport),
    ("early eof", Kind::Transport),
    ("rpc failed", Kind::Transport),
    ("connection ", Kind::Transport),
    ("network is unreachable", Kind::Transport),
    ("ssl certificate", Kind::Transport),
    ("protocol error", Kind::Transport),
    ("permission denied", Kind::Denied),
    ("read-only file system", Kind::Denied),
];

/// Characters of git's words that an error has.
const LONGEST: usize = 2000;
/// Files that an error names.
const MOST_FILES: usize = 8;

/// What git complains of on its two streams.
pub fn failure(verb: &str, stdout: &[u8], stderr: &[u8]) -> Error {
    let kind = kind_of(stderr).or_else(|| kind_of(stdout)).unwrap_or(Kind::Failed);
    let said = [stderr, stdout].into_iter().map(complaint).find(|said| !said.is_empty());
    let message = match said {
        Some(said) => format!("git {verb}: {said}"),
        None => format!("git {verb}: it failed and printed no message"),
    };
    let text = String::from_utf8_lossy(&[stderr, stdout].concat()).to_lowercase();
    // What `checkout` takes for a branch can only be a file here.
    let kind = if verb == "restore" && text.contains("known to git") { Kind::NotFound } else { kind };
    let special = CURES.iter().find(|(sentence, _)| text.contains(sentence));
    let error = Error::new(kind, message);
    match special.map(|(_, hint)| *hint).or_else(|| cure(kind)) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What helps with one fault of a kind that has others.
const CURES: &[(&str, &str)] = &[
    ("refusing to merge unrelated histories", "the two have no commit in common: `remote` shows where each comes from"),
    ("is not fully merged", "it has commits that no other branch has: `--force` deletes it all the same"),
    ("cannot delete branch", "it is checked out: go to another one first, by `belljar git SANDBOX checkout`"),
    ("(already exists)", "the tag is another one there: `--force` moves it"),
    ("not found in upstream", "name a branch, a tag, or a whole hash"),
    (
        "untracked working tree files would be overwritten",
        "move them away, or put them aside with `stash --include-untracked`",
    ),
    (
        "please tell me who you are",
        "name the author with `--author` and `--email`, or set `user.name` and `user.email` by `belljar git SANDBOX config`",
    ),
    ("middle of a rebase", "end it first, with `belljar exec SANDBOX -- git rebase --continue` or `--abort`"),
];

/// The first sentence of the table that stands in git's own lines. What another machine says (`remote:`) is not git's.
fn kind_of(bytes: &[u8]) -> Option<Kind> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let own: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("remote:")).collect();
    SENTENCES.iter().find(|(sentence, _)| own.iter().any(|line| line.contains(sentence))).map(|(_, kind)| *kind)
}

/// Git's words, without advice and progress, on one line.
fn complaint(bytes: &[u8]) -> String {
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    let is_advice = |line: &[u8]| line.starts_with(b"hint:") || line.starts_with(b"warning:");
    let told: Vec<&[u8]> = lines.filter(|line| !line.is_empty() && !is_advice(line)).collect();
    let is_fault = |line: &&&[u8]| {
        const BEGINS: [&[u8]; 7] =
            [b"fatal:", b"error:", b"remote:", b"!", b"CONFLICT", b"ERROR", b"Host key verification failed"];
        // ssh's own, and the files that a fault is about.
        let is_login = line.windows(19).any(|part| part == b"Permission denied (");
        is_login || BEGINS.iter().any(|begin| line.starts_with(begin))
    };
    let faults: Vec<&[u8]> = told.iter().filter(is_fault).copied().collect();
    // Names of files stand indented below the fault that is about them.
    let files = bytes.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"\t")).take(MOST_FILES);
    let chosen: Vec<&[u8]> = if faults.is_empty() { told } else { faults.into_iter().chain(files).collect() };
    let mut text = String::new();
    for line in chosen {
        if text.len() > LONGEST {
            text.push_str(" …");
            break;
        }
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&Name(line.to_vec()).to_string());
    }
    text
}

/// What helps, where that is always the same.
fn cure(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::NotARepository => "name its directory with `--path`, or make one with `belljar git SANDBOX init`",
        Kind::Authentication => {
            "give `--username` with `--password-env VARIABLE` or `--password-stdin`, or `--ssh-agent`"
        }
        Kind::PushRejected => "`belljar git SANDBOX pull`, then push again",
        Kind::RefNotFound => {
            "`belljar git SANDBOX branch` lists branches, `log` commits; `fetch` brings in those of remotes"
        }
        Kind::BranchExists => "take another name, or `belljar git SANDBOX checkout` that one",
        Kind::Busy => {
            "another git is at work there; where none is, a call was ended in the middle: remove the file by `belljar fs rm SANDBOX FILE`"
        }
        Kind::DirtyTree => "commit the changes, put them aside with `stash`, or drop them with `restore`",
        Kind::Conflict => "`belljar git SANDBOX status` lists the files; edit them, `add` them, and commit",
        Kind::Diverged => {
            "`belljar git SANDBOX pull --merge` merges, `pull --rebase` puts your commits behind theirs; `reset --mode hard --target \
             @{upstream}` takes theirs, and drops your commits and changes"
        }
        Kind::NothingToCommit => "`belljar git SANDBOX add` stages files; `--allow-empty` commits all the same",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_of_git_have_their_kinds() {
        for (text, kind) in [
            ("fatal: not a git repository (or any of the parent directories): .git", Kind::NotARepository),
            ("fatal: Authentication failed for 'http://127.0.0.1:9/x/'", Kind::Authentication),
            ("fatal: could not read Username for 'https://x': terminal prompts disabled", Kind::Authentication),
            (
                "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                Kind::Authentication,
            ),
            ("remote: Repository not found.\nfatal: repository 'https://x/y/' not found", Kind::RepositoryNotFound),
            ("fatal: remote error: access denied or repository not exported: /x", Kind::RepositoryNotFound),
            ("fatal: a branch named 'x' already exists", Kind::BranchExists),
            (
                " ! [rejected]        main -> main (fetch first)\nerror: failed to push some refs to 'x'",
                Kind::PushRejected,
            ),
            (
                " ! [remote rejected] main -> main (pre-receive hook declined)\nerror: failed to push some refs",
                Kind::RemoteRejected,
            ),
            ("error: src refspec nope does not match any\nerror: failed to push some refs to 'x'", Kind::RefNotFound),
            (
                "error: Your local changes to the following files would be overwritten by checkout:\n\ta\nAborting",
                Kind::DirtyTree,
            ),
            ("CONFLICT (content): Merge conflict in a\nAutomatic merge failed; fix conflicts", Kind::Conflict),
            ("fatal: Not possible to fast-forward, aborting.", Kind::Diverged),
            ("error: the branch 'x' is not fully merged", Kind::Diverged),
            ("error: cannot delete branch 'x' used by worktree at '/r'", Kind::Busy),
            ("error: unable to delete 'x': remote ref does not exist", Kind::RefNotFound),
            ("Host key verification failed.\nfatal: Could not read from remote repository.", Kind::Transport),
            ("error: pathspec 'x' did not match any file(s) known to git", Kind::RefNotFound),
            ("fatal: pathspec 'x' did not match any files", Kind::NotFound),
            ("fatal: ambiguous argument 'x': unknown revision or path not in the working tree.", Kind::RefNotFound),
            ("fatal: Remote branch x not found in upstream origin", Kind::RefNotFound),
            ("fatal: couldn't find remote ref x", Kind::RefNotFound),
            ("fatal: unable to access 'https://x/': Could not resolve host: x", Kind::Transport),
            ("fatal: destination path 'x' already exists and is not an empty directory.", Kind::Exists),
            ("error: remote origin already exists.", Kind::Exists),
            ("fatal: Unable to create '/r/.git/index.lock': File exists.", Kind::Busy),
            ("nothing to commit, working tree clean", Kind::NothingToCommit),
            ("fatal: something new", Kind::Failed),
            ("remote: fatal: Authentication failed\nfatal: something new", Kind::Failed),
        ] {
            assert_eq!(failure("x", b"", text.as_bytes()).kind, kind, "{text}");
        }
    }

    #[test]
    fn what_git_says_is_on_one_line_without_what_a_terminal_acts_on() {
        let error = failure("push", b"", b"To x\nerror: \x1b[31mred\nhint: do that\nfatal: `end`\n");
        assert_eq!(error.message, "git push: error: \\u{1b}[31mred; fatal: \\`end\\`");
        assert_eq!(failure("x", b"", b"").message, "git x: it failed and printed no message");
        assert_eq!(failure("x", b"said there", b"").message, "git x: said there");
        assert!(failure("x", b"", &b"fatal: long line of words\n".repeat(1000)).message.len() < 2200);
    }
}
