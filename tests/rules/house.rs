//! The rules of the house, enforced by reading the source: who may import whom, where `unsafe` and I/O may stand, how
//! long a file may be. A violation is reported as `file:line: what, and the rule`. When a rule is wrong, change it here,
//! in a commit that says why.

use super::source::{Source, files_under, is_word, places, read, report, root, rust_under};
use std::collections::BTreeSet;
use std::fs;

/// The modules of each layer.
pub type Layers<'a> = &'a [(u8, &'a [&'a str])];

/// Every top-level module and its layer. A layer may import only lower ones. A module comes in with its code, not before.
pub const LAYERS: Layers<'_> = &[
    (0, &["sys"]),
    (1, &["spec", "bundle", "step", "outcome", "own", "error", "name", "git", "warm"]),
    (
        2,
        &[
            "host",
            "trees",
            "images",
            "identity",
            "namespaces",
            "network",
            "mounts",
            "landlock",
            "seccomp",
            "limits",
            "inbound",
            "program",
            "cgroup",
        ],
    ),
    (3, &["process"]),
    (4, &["build", "doctor", "sandbox", "tools"]),
    (5, &["verbs"]),
    (6, &["serve"]),
    (7, &["cli"]),
];

/// Facilities know what the machine can do, what a tree of files is and who the payload is, but not each other: their order is decided in one
/// place, the planner.
const FACILITIES: u8 = 2;
const READABLE_BY_FACILITIES: &[&str] = &["host", "trees", "identity"];

/// From here on. The one over HTTP is started by that of the command line.
const ADAPTERS: u8 = 6;
/// Its structs are the command line's arguments too: it may describe them, and reads none.
const FRONT_DOOR: u8 = 5;

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
const UNSAFE_PLACES: &[&str] = &[
    "src/sys/",
    "src/process/child.rs",
    "src/process/init.rs",
    "src/process/payload.rs",
    FORK[0],
    FORK[1],
    FORK[2],
    FORK[3],
    FORK[4],
];
/// The shared object that a warm Python loads: a program of its own, which nobody links to belljar.
const FORK: [&str; 5] =
    ["src/warm/fork.rs", "src/warm/arenas.rs", "src/warm/serve.rs", "src/warm/receive.rs", "src/warm/calls.rs"];
/// One block for each system call, one system call for each function of `sys`.
const UNSAFE_BUDGET: usize = 150;
const UNSAFE_BUDGET_OF_FORK: usize = 42;

/// The planner, and the facilities that plan for it: the same wish and the same facts always make the same plan.
const PURE_PLACES: &[&str] = &[
    "src/process/plan",
    "src/mounts",
    "src/namespaces.rs",
    "src/network/device.rs",
    "src/identity.rs",
    "src/limits.rs",
    "src/program.rs",
    "src/seccomp/",
    "src/step",
];
/// What asks the machine, or changes it.
const IMPURE: &[&str] = &[
    "fs::",
    "File::",
    "OpenOptions::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "nix::",
    "sys::",
    "env::var",
    "process::Command",
    "Instant::now",
    "SystemTime::now",
];

/// Where other machines are spoken to, which nothing does unasked.
const HTTP_PLACE: &str = "src/images/registry";
/// Who answers in TLS.
const TLS_PLACE: &str = "src/serve/tls.rs";

const LONG: usize = 500;
const TOO_LONG: usize = 800;
/// Files above `LONG` lines, each with the reason why it is still one room.
const LONG_WITH_REASON: &[(&str, &str)] = &[];
/// Tables (one row per system call) grow with the kernel, not with us; listed ones may exceed `TOO_LONG` too.
const TABLES: &str = "src/seccomp/";

const LONGEST_SCRIPT: usize = 60;

#[test]
fn a_layer_imports_only_lower_ones() {
    report(sources().iter().flat_map(|file| import_violations(file, LAYERS)).collect());
}

#[test]
fn the_layer_table_names_every_top_level_module_and_nothing_else() {
    report(table_violations(&sources(), LAYERS));
}

#[test]
fn nothing_below_the_adapters_prints_or_reads_argv_or_the_environment() {
    let below = |file: &&Source| layer_of(&file.module, LAYERS).is_some_and(|layer| layer < ADAPTERS);
    let mut violations = Vec::new();
    for file in sources().iter().filter(below) {
        let described = layer_of(&file.module, LAYERS) == Some(FRONT_DOOR);
        for (word, deed) in ADAPTERS_ONLY.iter().filter(|(word, _)| !described || *word != "clap::") {
            violations.extend(
                places(file.shipped(), word)
                    .map(|at| format!("{}: `{word}` {deed}: only layers from {ADAPTERS} on may", file.place(at))),
            );
        }
    }
    report(violations);
}

#[test]
fn the_planner_does_no_io() {
    report(sources().iter().flat_map(io_violations).collect());
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
fn openat2_is_asked_again_where_it_is_not_sure() {
    let calls_it = |file: &Source| places(&file.code, "openat2").next().is_some();
    let callers = sources().into_iter().filter(calls_it).map(|file| file.path);
    let known = ["src/sys/child.rs", "src/sys/directory.rs"];
    report(
        callers.filter(|path| !known.contains(&path.as_str())).map(|path| format!("{path}: use open_within")).collect(),
    );
}

#[test]
fn our_own_program_is_started_in_one_place() {
    // The others read its file.
    let known = ["src/own.rs", "src/sandbox/program.rs", "src/sys/fd.rs"];
    let elsewhere = |file: &Source| file.text.contains("\"/proc/self/exe\"") && !known.contains(&file.path.as_str());
    report(
        sources()
            .into_iter()
            .filter(elsewhere)
            .map(|file| format!("{}: belljar starts itself as an `Own`, by its `command`", file.path))
            .collect(),
    );
}

#[test]
fn nobody_but_pulling_speaks_http() {
    let elsewhere = |file: &&Source| !file.path.starts_with(HTTP_PLACE);
    let mut violations = Vec::new();
    for file in sources().iter().filter(elsewhere) {
        // The server's side of TLS is in one place too.
        let words = if file.path == TLS_PLACE { &["ureq::"][..] } else { &["ureq::", "rustls::"] };
        let found = words.iter().flat_map(|word| places(&file.code, word));
        violations
            .extend(found.map(|at| format!("{}: other machines are spoken to only in {HTTP_PLACE}", file.place(at))));
    }
    report(violations);
}

#[test]
fn unsafe_code_stays_within_its_budget() {
    let in_fork = |file: &Source| FORK.contains(&file.path.as_str());
    for (forked, budget) in [(false, UNSAFE_BUDGET), (true, UNSAFE_BUDGET_OF_FORK)] {
        let files = sources().into_iter().filter(|file| in_fork(file) == forked);
        let count: usize = files.map(|file| unsafe_code(file.shipped()).count()).sum();
        assert!(count <= budget, "{count} uses of `unsafe`, the budget is {budget}");
    }
}

#[test]
fn global_state_is_what_the_architecture_names() {
    let told = read("docs/architecture.md");
    let line = told.split("\n- ").find(|line| line.starts_with("Mutable state that is global")).expect("an invariant");
    let told: BTreeSet<&str> = line.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    let found: BTreeSet<String> = sources().iter().flat_map(global_state).collect();
    assert_eq!(told, found.iter().map(String::as_str).collect());
}

/// The statics that can change, as `file::NAME`.
fn global_state(file: &Source) -> Vec<String> {
    let code = file.shipped();
    let name = file.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    let statics = places(code, "static ").filter_map(|at| code[at + "static ".len()..].split_once(['=', ';']));
    let changes = ["Atomic", "Mutex", "Cell", "Once", "Lock", "Lazy", "Allocator", "mut "];
    let changing = statics.filter(|(declared, _)| changes.iter().any(|word| declared.contains(word)));
    let names = changing.filter_map(|(declared, _)| declared.split_once(':'));
    let upper = names.filter(|(word, _)| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    upper.map(|(word, _)| format!("{name}::{word}")).collect()
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

#[test]
fn adapters_that_import_each_other_are_reported() {
    let layers: Layers<'_> = &[(4, &["sandbox"]), (6, &["cli", "http"])];
    let file = |path: &str, text: &str| Source::new(path.into(), text.into());
    let over_there = file("src/http/routes.rs", "//! x\nuse super::super::cli::render;\nuse crate::sandbox::Run;\n");
    let violations = import_violations(&over_there, layers);
    assert_eq!(
        violations,
        ["src/http/routes.rs:2: `crate::cli` is an adapter like `http`: adapters do not import each other"]
    );
    let at_home = file("src/cli/run.rs", "//! x\nuse crate::cli::render;\nuse crate::sandbox::Run;\n");
    assert_eq!(import_violations(&at_home, layers), [""; 0]);
    let below = file("src/sandbox.rs", "//! x\nuse crate::cli::render;\n");
    assert_eq!(
        import_violations(&below, layers),
        ["src/sandbox.rs:2: `crate::cli` is in layer 6, above layer 4 of `sandbox`"]
    );
}

#[test]
fn modules_without_a_layer_and_layers_without_a_module_are_reported() {
    let layers: Layers<'_> = &[(0, &["sys"]), (4, &["sandbox", "sys"]), (6, &["cli", "http"])];
    let file = |path: &str| Source::new(path.into(), String::new());
    let files =
        [file("src/lib.rs"), file("src/sys/fd.rs"), file("src/sandbox.rs"), file("src/cli.rs"), file("src/rpc/mod.rs")];
    assert_eq!(
        table_violations(&files, layers),
        [
            "src/rpc/mod.rs:1: module `rpc` has no layer: add it to LAYERS in tests/rules/house.rs",
            "tests/rules/house.rs:1: LAYERS names `sys` twice",
            "tests/rules/house.rs:1: LAYERS names `http`, and there is no such module in src/",
        ]
    );
}

#[test]
fn io_in_the_planner_is_reported() {
    let file = |path: &str| Source::new(path.into(), "//! fs::read\nfn f() { std::fs::read(x) }\n".into());
    assert_eq!(
        io_violations(&file("src/process/plan/join.rs")),
        ["src/process/plan/join.rs:2: `fs::`: the planner does no I/O; what the host can do comes in as data"]
    );
    assert_eq!(io_violations(&file("src/process/launch.rs")), [""; 0]);
}

fn sources() -> Vec<Source> {
    rust_under("src")
}

fn layer_of(module: &str, layers: Layers<'_>) -> Option<u8> {
    layers.iter().find(|(_, modules)| modules.contains(&module)).map(|(layer, _)| *layer)
}

fn table_violations(files: &[Source], layers: Layers<'_>) -> Vec<String> {
    let modules: BTreeSet<&str> =
        files.iter().filter(|file| !file.is_root()).map(|file| file.module.as_str()).collect();
    let unlisted = files.iter().filter(|file| !file.is_root() && layer_of(&file.module, layers).is_none());
    let mut violations: Vec<String> = unlisted
        .map(|file| {
            format!("{}:1: module `{}` has no layer: add it to LAYERS in tests/rules/house.rs", file.path, file.module)
        })
        .collect();
    let mut seen = BTreeSet::new();
    for module in layers.iter().flat_map(|(_, modules)| *modules) {
        if !seen.insert(module) {
            violations.push(format!("tests/rules/house.rs:1: LAYERS names `{module}` twice"));
        } else if !modules.contains(module) {
            violations
                .push(format!("tests/rules/house.rs:1: LAYERS names `{module}`, and there is no such module in src/"));
        }
    }
    violations
}

fn io_violations(file: &Source) -> Vec<String> {
    if !PURE_PLACES.iter().any(|place| file.path.starts_with(place)) {
        return Vec::new();
    }
    let found = IMPURE.iter().flat_map(|word| places(file.shipped(), word).map(move |at| (word, at)));
    found
        .map(|(word, at)| {
            format!("{}: `{word}`: the planner does no I/O; what the host can do comes in as data", file.place(at))
        })
        .collect()
}

fn import_violations(file: &Source, layers: Layers<'_>) -> Vec<String> {
    let Some(layer) = layer_of(&file.module, layers) else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    for (at, module) in imports(file) {
        let rule = match layer_of(&module, layers) {
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
            Some(other) if other == layer && layer >= ADAPTERS => {
                format!("is an adapter like `{}`: adapters do not import each other", file.module)
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

fn unsafe_code(code: &str) -> impl Iterator<Item = usize> + '_ {
    places(code, "unsafe").filter(|at| {
        let rest = &code[at + "unsafe".len()..];
        rest.starts_with(char::is_whitespace) || rest.starts_with('{')
    })
}
