//! The files of the repository as the rules read them: by their paths from its root, and without what only looks like
//! code. Promises that a place in the blanked code is the same place in the file.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of Rust.
pub struct Source {
    pub path: String,
    /// Of a file of `src/`, the top-level module that it belongs to; `lib` and `main` for the roots.
    pub module: String,
    pub text: String,
    /// The text with comments and literals blanked out, byte for byte, so that places stay true.
    pub code: String,
}

impl Source {
    pub fn new(path: String, text: String) -> Self {
        let module = path.strip_prefix("src/").unwrap_or(&path);
        let module = module.split(['/', '.']).next().unwrap_or_default().into();
        let code = without_comments_and_literals(&text);
        Self { path, module, text, code }
    }

    pub fn is_root(&self) -> bool {
        matches!(self.path.as_str(), "src/lib.rs" | "src/main.rs")
    }

    /// The code without its unit tests, which stand at the end of a file, in a `tests.rs` or below a `tests/`.
    pub fn shipped(&self) -> &str {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return "";
        }
        let tests = self
            .code
            .match_indices("#[cfg(test)]")
            .find(|(at, mark)| self.code[at + mark.len()..].trim_start().starts_with("mod "));
        &self.code[..tests.map_or(self.code.len(), |(at, _)| at)]
    }

    pub fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.code[..at].matches('\n').count() + 1)
    }

    /// How many `super::` lead from the top of this file to the root of the crate.
    pub fn depth(&self) -> usize {
        self.path.trim_end_matches("/mod.rs").matches('/').count()
    }
}

/// Where `needle` stands in the code as a word of its own, not as the end of a longer one.
pub fn places<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let whole = move |at: &usize| !code[..*at].ends_with(is_word);
    code.match_indices(needle).map(|(at, _)| at).filter(whole)
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks comments, strings and characters. Not a full lexer: enough for formatted Rust.
fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal_length(rest, code.chars().next_back());
        let (skipped, kept) = (length.unwrap_or(0), first.len_utf8());
        if skipped == 0 {
            code.push(first);
            rest = &rest[kept..];
        } else {
            code.extend(rest[..skipped].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the comment or literal at the start of `rest`, if one begins there.
fn literal_length(rest: &str, before: Option<char>) -> Option<usize> {
    let until = |from: usize, end: &str| {
        let found = rest[from..].find(end);
        found.map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(until(2, "*/"));
    }
    if rest.starts_with('r') && !before.is_some_and(is_word_or_byte) {
        let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
        let open = rest[1 + hashes..].starts_with('"');
        return open.then(|| until(hashes + 2, &format!("\"{}", "#".repeat(hashes))));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return Some(1 + escaped_until(inside, b'"'));
    }
    // 'a' and '\n' are characters; 'a without the second quote is a lifetime.
    let mut after = rest.strip_prefix('\'')?.chars();
    match (after.next()?, after.next()?) {
        ('\\', _) => Some(1 + escaped_until(&rest[1..], b'\'')),
        (letter, '\'') => Some(letter.len_utf8() + 2),
        _ => None,
    }
}

/// A `b` before `r"` belongs to a raw byte string, which is a literal too.
fn is_word_or_byte(c: char) -> bool {
    c != 'b' && is_word(c)
}

fn escaped_until(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\\' if !escaped => escaped = true,
            byte if byte == quote && !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Every file of Rust below a folder.
pub fn rust_under(folder: &str) -> Vec<Source> {
    let rust = files_under(folder).filter(|path| path.ends_with(".rs"));
    rust.map(|path| Source::new(path.clone(), read(&path))).collect()
}

/// Cargo tells where the package is when the test runs; that may be a copy of the tree it was compiled from.
pub fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// Every file of ours below a folder, by its path from the root of the repository.
pub fn files_under(folder: &str) -> impl Iterator<Item = String> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.sort();
    let relative = |path: PathBuf| path.strip_prefix(root()).ok()?.to_str().map(str::to_owned);
    files.into_iter().filter_map(relative)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("list {}: {error}", folder.display()));
    for entry in entries.map(|entry| entry.expect("read a directory entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().expect("the type of a directory entry");
        let generated = ["target", ".git", "corpus", "artifacts", "node_modules"];
        if kind.is_dir() && !generated.iter().any(|folder| name == *folder) {
            collect(&path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}

pub fn report(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
