//! The rules of the house, enforced by reading the source: who may import whom, where `unsafe` may stand, how long a
//! file may be. A violation is reported as `file:line: what, and the rule`. When a rule is wrong, change it here, in
//! a commit that says why.

use std::fs;
use std::path::{Path, PathBuf};

/// Every top-level module and its layer. A layer may import only lower ones.
const LAYERS: &[(u8, &[&str])] = &[
    (0, &["sys"]),
    (1, &["units", "spec", "bundle", "step", "outcome", "error"]),
    (
        2,
        &[
            "host",
            "namespaces",
            "mounts",
            "seccomp",
            "landlock",
            "identity",
            "limits",
            "program",
            "cgroup",
            "network",
            "images",
        ],
    ),
    (3, &["process"]),
    (4, &["build", "code", "doctor", "sandbox", "request", "tools"]),
    (5, &["cli", "http"]),
];

/// Facilities know what the machine can do and who the payload is, but not each other: their order is decided in one
/// place, the planner.
const FACILITIES: u8 = 2;
const READABLE_BY_FACILITIES: &[&str] = &["host", "identity"];

const ADAPTERS: u8 = 5;

/// What only an adapter may do. Below, everything comes in as an argument and goes out as a value.
const ADAPTERS_ONLY: &[(&str, &str)] = &[
    ("println!", "prints"),
    ("eprintln!", "prints"),
    ("print!", "prints"),
    ("eprint!", "prints"),
    ("dbg!", "prints"),
    ("env::args", "reads argv"),
    ("env::var", "reads the environment"),
    ("clap::", "knows the command line"),
    ("tokio::", "is asynchronous"),
];

/// Where `unsafe` may stand: system calls, and the code that runs after clone.
const UNSAFE_PLACES: &[&str] = &["src/sys/", "src/process/child.rs", "src/process/init.rs", "src/process/payload.rs"];
/// One block for each system call, one system call for each function of `sys`.
const UNSAFE_BUDGET: usize = 129;

/// Where other machines are spoken to, which nothing does unasked.
const HTTP_PLACE: &str = "src/images/registry";

const LONG: usize = 500;
const TOO_LONG: usize = 800;
/// Files above `LONG` lines, each with the reason why it is still one room.
const LONG_WITH_REASON: &[(&str, &str)] = &[];
/// Tables (one row per system call) grow with the kernel, not with us; listed ones may exceed `TOO_LONG` too.
const TABLES: &str = "src/seccomp/";

const LONGEST_SCRIPT: usize = 60;

#[test]
fn a_layer_imports_only_lower_ones() {
    report(sources().iter().flat_map(import_violations).collect());
}

#[test]
fn every_top_level_module_is_in_the_layer_table() {
    let unknown = |file: &Source| {
        let unlisted = file.layer().is_none() && !file.is_root();
        unlisted.then(|| {
            format!("{}:1: module `{}` has no layer: add it to LAYERS in tests/rules/house.rs", file.path, file.module)
        })
    };
    report(sources().iter().filter_map(unknown).collect());
}

#[test]
fn nothing_below_the_adapters_prints_or_reads_argv_or_the_environment() {
    let below = |file: &&Source| file.layer().is_some_and(|layer| layer < ADAPTERS);
    let mut violations = Vec::new();
    for file in sources().iter().filter(below) {
        for (word, deed) in ADAPTERS_ONLY {
            violations.extend(
                places(file.shipped(), word)
                    .map(|at| format!("{}: `{word}` {deed}: only layer {ADAPTERS} may", file.place(at))),
            );
        }
    }
    report(violations);
}

#[test]
fn unsafe_stands_only_next_to_system_calls() {
    let elsewhere = |file: &&Source| !UNSAFE_PLACES.iter().any(|place| file.path.starts_with(place));
    let mut violations = Vec::new();
    for file in sources().iter().filter(elsewhere) {
        violations.extend(
            unsafe_code(&file.code)
                .map(|at| format!("{}: `unsafe` may stand only in {}", file.place(at), UNSAFE_PLACES.join(", "))),
        );
    }
    report(violations);
}

#[test]
fn nobody_but_pulling_speaks_http() {
    let elsewhere = |file: &&Source| !file.path.starts_with(HTTP_PLACE);
    let mut violations = Vec::new();
    for file in sources().iter().filter(elsewhere) {
        let found = ["ureq::", "rustls::"].into_iter().flat_map(|word| places(&file.code, word));
        violations
            .extend(found.map(|at| format!("{}: other machines are spoken to only in {HTTP_PLACE}", file.place(at))));
    }
    report(violations);
}

#[test]
fn unsafe_code_stays_within_its_budget() {
    let count: usize = sources().iter().map(|file| unsafe_code(file.shipped()).count()).sum();
    assert!(count <= UNSAFE_BUDGET, "{count} uses of `unsafe`, the budget is {UNSAFE_BUDGET}");
}

#[test]
fn every_source_file_begins_with_its_contract() {
    // The ten lines of main.rs have their documentation demanded by rustc's own `missing_docs`.
    let bare = |file: &&Source| file.path != "src/main.rs" && !file.text.starts_with("//!");
    let message =
        |file: &Source| format!("{}:1: begin with a `//!` line: what this file is, promises and never does", file.path);
    report(sources().iter().filter(bare).map(message).collect());
}

#[test]
fn files_are_short_or_say_why_not() {
    let mut violations = Vec::new();
    for path in files_under("src").chain(files_under("tests")) {
        let path = path.as_str();
        let lines = read(path).lines().count();
        let listed = LONG_WITH_REASON.iter().any(|(long, _)| *long == path);
        if !path.ends_with(".rs") || lines <= LONG {
            continue;
        } else if !listed {
            violations.push(format!(
                "{path}:{lines}: more than {LONG} lines: divide it, or list it with its reason in LONG_WITH_REASON"
            ));
        } else if lines > TOO_LONG && !path.starts_with(TABLES) {
            violations.push(format!("{path}:{lines}: more than {TOO_LONG} lines: divide it"));
        }
    }
    for (path, _) in LONG_WITH_REASON {
        if !root().join(path).is_file() {
            violations.push(format!("{path}:1: is listed in LONG_WITH_REASON, but there is no such file"));
        }
    }
    report(violations);
}

#[test]
fn scripts_are_short() {
    let mut violations = Vec::new();
    for path in files_under(".") {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        let first = text.lines().next().unwrap_or_default();
        let script = path.ends_with(".sh") || (first.starts_with("#!") && first.ends_with("sh"));
        let lines = text.lines().count();
        if script && lines > LONGEST_SCRIPT {
            violations.push(format!(
                "{path}:{lines}: a script has at most {LONGEST_SCRIPT} lines; what is longer becomes Rust"
            ));
        }
    }
    report(violations);
}

#[test]
fn the_rules_see_through_groups_comments_and_strings() {
    let text = "//! x\nuse super::sys::fork;\nuse crate::{\n    error::Error,\n    process::{self, launch},\n};\n\
                // crate::http\nconst S: &str = \"crate::rpc unsafe {\"; const C: char = '\"';\nfn f() { crate::mounts::plan() }\n";
    let file = Source::new("src/limits.rs".into(), text.into());
    let modules: Vec<_> =
        imports(&file).into_iter().map(|(at, module)| format!("{} {module}", file.place(at))).collect();
    assert_eq!(
        modules,
        ["src/limits.rs:4 error", "src/limits.rs:5 process", "src/limits.rs:9 mounts", "src/limits.rs:2 sys",]
    );
    assert_eq!(unsafe_code(&file.code).count(), 0);
    assert_eq!(unsafe_code("unsafe { f() } unsafe fn g() {} let unsafe_x = #![allow(unsafe_code)]").count(), 2);
}

/// One file of `src/`.
struct Source {
    path: String,
    /// The name of the top-level module that the file belongs to; `lib` and `main` for the roots.
    module: String,
    text: String,
    /// The text with comments and literals blanked out, byte for byte, so that places stay true.
    code: String,
}

impl Source {
    fn new(path: String, text: String) -> Self {
        let module = path.strip_prefix("src/").unwrap_or(&path);
        let module = module.split(['/', '.']).next().unwrap_or_default().into();
        let code = without_comments_and_literals(&text);
        Self { path, module, text, code }
    }

    fn layer(&self) -> Option<u8> {
        layer_of(&self.module)
    }

    fn is_root(&self) -> bool {
        matches!(self.path.as_str(), "src/lib.rs" | "src/main.rs")
    }

    /// The code without its unit tests, which stand at the end of a file, in a `tests.rs` or below a `tests/`.
    fn shipped(&self) -> &str {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return "";
        }
        let tests = self
            .code
            .match_indices("#[cfg(test)]")
            .find(|(at, mark)| self.code[at + mark.len()..].trim_start().starts_with("mod "));
        &self.code[..tests.map_or(self.code.len(), |(at, _)| at)]
    }

    fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.code[..at].matches('\n').count() + 1)
    }

    /// How many `super::` lead from the top of this file to the root of the crate.
    fn depth(&self) -> usize {
        self.path.trim_end_matches("/mod.rs").matches('/').count()
    }
}

fn layer_of(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|(layer, _)| *layer)
}

fn import_violations(file: &Source) -> Vec<String> {
    let Some(layer) = file.layer() else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    for (at, module) in imports(file) {
        let rule = match layer_of(&module) {
            _ if module == file.module => continue,
            None => "is not in LAYERS in tests/rules/house.rs (name the module, not a re-export)".to_owned(),
            Some(other) if other > layer => {
                format!("is in layer {other}, above layer {layer} of `{}`", file.module)
            }
            Some(FACILITIES) if layer == FACILITIES && !READABLE_BY_FACILITIES.contains(&module.as_str()) => {
                format!(
                    "is a facility like `{}`: facilities know {READABLE_BY_FACILITIES:?} and lower layers, not each other",
                    file.module
                )
            }
            Some(_) => continue,
        };
        violations.push(format!("{}: `crate::{module}` {rule}", file.place(at)));
    }
    violations
}

/// The top-level modules that a file names, with the place of each.
fn imports(file: &Source) -> Vec<(usize, String)> {
    let code = file.shipped();
    let mut found = Vec::new();
    for prefix in ["crate::".to_owned(), "super::".repeat(file.depth())] {
        for start in places(code, &prefix).filter(|at| !code[..*at].ends_with("super::")) {
            let path = start + prefix.len();
            if code[path..].starts_with('{') {
                found.extend(group(code, path + 1).filter_map(|at| word_at(code, at)));
            } else {
                found.extend(word_at(code, path));
            }
        }
    }
    found.retain(|(_, module)| module != "self" && module != "super");
    found
}

/// Where each member of a `{a, b::{c, d}}` begins, given the byte after its first brace.
fn group(code: &str, start: usize) -> impl Iterator<Item = usize> {
    let mut members = vec![start];
    let mut depth = 1;
    for (offset, byte) in code[start..].bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 1 => members.push(start + offset + 1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    members.into_iter()
}

fn word_at(code: &str, at: usize) -> Option<(usize, String)> {
    let rest = code[at..].trim_start();
    let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
    // A macro of ours (`crate::name!`) belongs to no module.
    let skip = word.is_empty() || rest[word.len()..].starts_with('!');
    (!skip).then(|| (code.len() - rest.len(), word))
}

/// Where `needle` stands in the code as a word of its own, not as the end of a longer one.
fn places<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let whole = move |at: &usize| !code[..*at].ends_with(is_word);
    code.match_indices(needle).map(|(at, _)| at).filter(whole)
}

fn unsafe_code(code: &str) -> impl Iterator<Item = usize> + '_ {
    places(code, "unsafe").filter(|at| {
        let rest = &code[at + "unsafe".len()..];
        rest.starts_with(char::is_whitespace) || rest.starts_with('{')
    })
}

fn is_word(c: char) -> bool {
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

fn sources() -> Vec<Source> {
    let rust = files_under("src").filter(|path| path.ends_with(".rs"));
    rust.map(|path| Source::new(path.clone(), read(&path))).collect()
}

/// Cargo tells where the package is when the test runs; that may be a copy of the tree it was compiled from.
fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// Every file of ours below a folder, by its path from the root of the repository.
fn files_under(folder: &str) -> impl Iterator<Item = String> {
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

fn report(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
