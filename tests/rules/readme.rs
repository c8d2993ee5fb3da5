//! The documents' examples are run: every `$ belljar …` of a ```console block in README.md and docs/*.md, in a directory
//! with the files of `tests/programs/docs`, and what it prints is held against what the document says it prints.
//!
//! `...` stands for any text in a line, and for any number of lines where it stands alone.

use crate::common::{Scratch, belljar, fixtures};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One command of a document and what it is said to print.
#[derive(Debug, PartialEq)]
struct Example {
    /// Where it stands, as `README.md:12`.
    place: String,
    command: String,
    printed: Vec<String>,
}

/// Every command of every console block of `text`.
fn examples(name: &str, text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("```") {
            inside = line == "```console";
            open = false;
            continue;
        }
        let Some(command) = line.strip_prefix("$ ") else {
            if inside && open {
                found.last_mut().expect("an example").printed.push(line.to_owned());
            }
            assert!(!inside || open, "{name}:{number}: output before the first command");
            continue;
        };
        if inside {
            open = true;
            found.push(Example { place: format!("{name}:{number}"), command: command.to_owned(), printed: Vec::new() });
        }
    }
    found
}

/// Whether `line` is what `pattern` describes.
fn is_like(line: &str, pattern: &str) -> bool {
    match pattern.split_once("...") {
        None => line == pattern,
        Some((head, tail)) => {
            let rest = line.strip_prefix(head);
            rest.is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && is_like(&rest[at..], tail)))
        }
    }
}

/// Whether `lines` are what `patterns` describe.
fn are_like(lines: &[&str], patterns: &[String]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => (0..=lines.len()).any(|count| are_like(&lines[count..], rest)),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, others)| is_like(line, first) && are_like(others, rest))
        }
    }
}

/// What the command prints on both streams, in a directory of its own with the files that the documents name.
fn print(command: &str) -> String {
    let scratch = Scratch::new("docs");
    for entry in std::fs::read_dir(fixtures().join("docs")).expect("the documents' files") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, scratch.0.join(path.file_name().expect("a name"))).expect("copy a file");
    }
    let bin = Scratch::new("bin");
    std::os::unix::fs::symlink(belljar(), bin.0.join("belljar")).expect("a link to belljar");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1 </dev/null\n{command}")]).current_dir(&scratch.0);
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.0.display()));
    String::from_utf8_lossy(&shell.output().expect("start sh").stdout).into_owned()
}

/// README.md and the documents beside it, as they are in the tree that is tested.
fn documents() -> Vec<PathBuf> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    let listed = std::fs::read_dir(root.join("docs")).expect("list docs");
    let mut documents: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
    documents.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    documents.sort();
    documents.insert(0, root.join("README.md"));
    documents
}

fn examples_of(path: &Path) -> Vec<Example> {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    examples(&name, &std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}")))
}

#[test]
fn every_example_prints_what_its_document_says() {
    let mut wrong = String::new();
    for example in documents().iter().flat_map(|path| examples_of(path)) {
        assert!(example.command.contains("belljar "), "{}: not a command of belljar", example.place);
        let printed = print(&example.command);
        if !are_like(&printed.lines().collect::<Vec<_>>(), &example.printed) {
            let said = example.printed.join("\n");
            let Example { place, command, .. } = &example;
            let _ = writeln!(wrong, "{place}: $ {command}\n--- it says\n{said}\n--- it prints\n{printed}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_readme_has_examples() {
    let readme = documents().remove(0);
    assert!(examples_of(&readme).len() >= 5, "{:?}", examples_of(&readme));
}

#[test]
fn examples_are_found_and_compared_as_the_documents_write_them() {
    let text = "$ belljar no\n```console\n$ belljar a\n1\n...\n$ belljar b\n```\n```\n$ belljar no\n```\n";
    let example = |line: usize, command: &str, printed: &[&str]| Example {
        place: format!("X.md:{line}"),
        command: command.to_owned(),
        printed: printed.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(examples("X.md", text), [example(3, "belljar a", &["1", "..."]), example(6, "belljar b", &[])]);
    let patterns = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let table = [
        ("a\nb", "a\nb", true),
        ("a\nb", "a", false),
        ("a\nb\nc", "a\n...\nc", true),
        ("a\nc", "a\n...\nc", true),
        ("a\nb", "...", true),
        ("1 of 31: x", "... of ...: x", true),
        ("1 of 31: y", "... of ...: x", false),
    ];
    for (text, pattern, like) in table {
        assert_eq!(are_like(&text.lines().collect::<Vec<_>>(), &patterns(pattern)), like, "{text:?} {pattern:?}");
    }
}
