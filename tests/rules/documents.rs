//! Documents that say what the code is, held against it: the tables of layers, the list of dependencies, and the rules of
//! CONTRIBUTING.md, each of which names the tests that keep it or says that a review does.

use super::house::{LAYERS, Layers};
use super::source::{is_word, read, report, rust_under};
use std::collections::{BTreeMap, BTreeSet};

const LAYER_TABLES: &[&str] = &["src/lib.rs", "docs/architecture.md", "docs/decisions/001-one-package-in-layers.md"];

const DEPENDENCIES: &str = "docs/decisions/002-dependencies.md";
/// What is linked into the binary, or makes it.
const BINARY: &[&str] = &["dependencies", "build-dependencies"];

const CONTRIBUTING: &str = "CONTRIBUTING.md";

/// A name and the place where it stands, as `file:line`.
type Names = BTreeMap<String, String>;

#[test]
fn the_documents_tell_the_layers_that_the_code_has() {
    report(LAYER_TABLES.iter().flat_map(|path| layer_violations(path, &read(path), LAYERS)).collect());
}

#[test]
fn the_dependencies_are_those_of_decision_002() {
    let (ours, fuzz) = ("Cargo.toml", "fuzz/Cargo.toml");
    let binary = declared(ours, &read(ours), BINARY);
    let mut tests = declared(ours, &read(ours), &["dev-dependencies"]);
    tests.extend(declared(fuzz, &read(fuzz), &["dependencies"]));
    tests.retain(|name, _| name != "belljar" && !binary.contains_key(name));
    let document = read(DEPENDENCIES);
    let mut violations = dependency_violations(&listed(&document, "In the binary"), &binary);
    violations.extend(dependency_violations(&listed(&document, "In the tests only"), &tests));
    report(violations);
}

#[test]
fn each_rule_names_its_tests_or_says_that_a_review_keeps_it() {
    let known: BTreeSet<String> =
        ["src", "tests"].iter().flat_map(|folder| rust_under(folder)).flat_map(|file| tests(&file.code)).collect();
    report(rule_violations(&read(CONTRIBUTING), &known, &read("Cargo.toml")));
}

#[test]
fn documents_that_tell_other_layers_are_reported() {
    let layers: Layers<'_> = &[(0, &["sys"]), (1, &["spec", "step"]), (2, &["host"])];
    let table =
        "| layer | modules | what |\n|---|---|---|\n| 1 words | `step` `units` | `text` |\n| 0 kernel | `sys` | |\n";
    assert_eq!(
        layer_violations("a.md", table, layers),
        [
            "a.md:3: layer 1 has `units` here, and not in LAYERS in tests/rules/house.rs",
            "a.md:3: layer 1 has no `spec` here, as it has in LAYERS in tests/rules/house.rs",
            "a.md:1: layer 2 is missing, and stands in LAYERS in tests/rules/house.rs",
        ]
    );
    let lines =
        "//! In layers:\n//!\n//! 0. `sys`: one call.\n//! 1. `spec`, `step`: as `text`.\n//! 2. `host`: facts.\n";
    assert_eq!(layer_violations("a.rs", lines, layers), [""; 0]);
}

#[test]
fn dependencies_that_are_not_listed_and_lines_without_a_dependency_are_reported() {
    let manifest = "[dependencies]\na = \"1\"\n[target.'cfg(unix)'.dependencies]\nb = { version = \"1\" }\n\
                    [build-dependencies.c]\nversion = \"1\"\n[dev-dependencies]\nd = \"1\"\n";
    let document = "## One\n\n| crate | what it saves |\n|---|---|\n| `a` | Work. |\n| `e` | Work. |\n| `b` |  |\n\n## Two\n\n| `d` | |\n";
    assert_eq!(
        dependency_violations(&listed(document, "One"), &declared("Cargo.toml", manifest, BINARY)),
        [
            "Cargo.toml:5: `c` has no line in docs/decisions/002-dependencies.md that says what it saves",
            "docs/decisions/002-dependencies.md:6: `e` is no such dependency any more: remove its line",
            "docs/decisions/002-dependencies.md:7: `b` has a line that does not say what it saves",
        ]
    );
}

#[test]
fn rules_that_nothing_keeps_are_reported() {
    let text = "## The rules, in short\n\n1. A rule. *Test: `it_holds`.*\n2. A rule.\n3. A rule\n   on two lines. *Tests: `it_holds`, `it_went`.*\n\
                4. A rule. *Review.*\n5. A rule. *Lint: `exit`. Lint: `enter`.*\n\n## Tests\n1. No rule.\n";
    let known: BTreeSet<String> = tests("#[test]\nfn it_holds() {}\nfn it_went() {}\n").into_iter().collect();
    assert_eq!(
        rule_violations(text, &known, "[lints.clippy]\nexit = \"deny\"\n"),
        [
            "CONTRIBUTING.md:4: a rule ends with its tests (`*Test: ...*`), its lint or `*Review.*`",
            "CONTRIBUTING.md:5: there is no test `it_went`",
            "CONTRIBUTING.md:8: there is no lint `enter` in Cargo.toml",
        ]
    );
}

fn layer_violations(path: &str, text: &str, layers: Layers<'_>) -> Vec<String> {
    let rows = layer_rows(text);
    let mut violations = Vec::new();
    for (line, layer, modules) in &rows {
        let ours = layers.iter().find(|(number, _)| number == layer).map_or(&[][..], |(_, modules)| modules);
        let extra = modules.iter().filter(|module| !ours.contains(module));
        violations.extend(extra.map(|module| {
            format!("{path}:{line}: layer {layer} has `{module}` here, and not in LAYERS in tests/rules/house.rs")
        }));
        let missing = ours.iter().filter(|module| !modules.contains(module));
        violations.extend(missing.map(|module| {
            format!("{path}:{line}: layer {layer} has no `{module}` here, as it has in LAYERS in tests/rules/house.rs")
        }));
    }
    let untold = layers.iter().filter(|(layer, _)| !rows.iter().any(|(_, told, _)| told == layer));
    violations.extend(
        untold.map(|(layer, _)| {
            format!("{path}:1: layer {layer} is missing, and stands in LAYERS in tests/rules/house.rs")
        }),
    );
    violations
}

/// The rows of a table of layers, in Markdown or as the numbered list of a module: line, layer, modules.
fn layer_rows(text: &str) -> Vec<(usize, u8, Vec<&str>)> {
    let mut rows = Vec::new();
    let mut in_table = false;
    for (number, line) in (1..).zip(text.lines()) {
        in_table = line.starts_with("| layer | modules |") || (in_table && line.starts_with('|'));
        let cells: Vec<&str> = match line.strip_prefix("//! ") {
            Some(item) => item.splitn(2, ". ").map(|part| part.split(':').next().unwrap_or_default()).collect(),
            None if in_table => line.trim_matches('|').split('|').collect(),
            None => continue,
        };
        let layer = cells[0].split_whitespace().next().and_then(|word| word.parse().ok());
        if let (Some(layer), Some(modules)) = (layer, cells.get(1)) {
            rows.push((number, layer, quoted(modules).collect()));
        }
    }
    rows
}

/// What a manifest declares under these headings, for any target.
fn declared(path: &str, text: &str, kinds: &[&str]) -> Names {
    let manifest: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let places = targets.into_iter().flat_map(|targets| targets.values()).filter_map(toml::Value::as_table);
    let mut found = Names::new();
    for place in places.chain([&manifest]) {
        let tables = kinds.iter().filter_map(|kind| place.get(*kind)?.as_table());
        for name in tables.flat_map(|table| table.keys()) {
            let declares = |line: &str| {
                let line = line.strip_prefix('[').map_or(line, |heading| heading.rsplit('.').next().unwrap_or(heading));
                line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([' ', '=', '.', ']']))
            };
            let line = text.lines().position(declares).map_or(1, |at| at + 1);
            found.insert(name.clone(), format!("{path}:{line}"));
        }
    }
    found
}

/// The table below a heading of decision 002: crate, line, and what it saves.
fn listed<'a>(document: &'a str, heading: &str) -> Vec<(&'a str, usize, &'a str)> {
    let lines = (1..).zip(document.lines()).skip_while(|(_, line)| line.strip_prefix("## ") != Some(heading)).skip(1);
    let rows = lines.take_while(|(_, line)| !line.starts_with("## "));
    rows.filter_map(|(number, line)| {
        let (name, saved) = line.strip_prefix("| `")?.split_once("` |")?;
        Some((name, number, saved.trim_matches(['|', ' '])))
    })
    .collect()
}

fn dependency_violations(listed: &[(&str, usize, &str)], declared: &Names) -> Vec<String> {
    let unlisted = declared.iter().filter(|(name, _)| !listed.iter().any(|(told, _, _)| told == name));
    let mut violations: Vec<String> = unlisted
        .map(|(name, place)| format!("{place}: `{name}` has no line in {DEPENDENCIES} that says what it saves"))
        .collect();
    for (name, line, saved) in listed {
        if !declared.contains_key(*name) {
            violations.push(format!("{DEPENDENCIES}:{line}: `{name}` is no such dependency any more: remove its line"));
        } else if saved.is_empty() {
            violations.push(format!("{DEPENDENCIES}:{line}: `{name}` has a line that does not say what it saves"));
        }
    }
    violations
}

/// Each rule of CONTRIBUTING.md ends in italics, with what keeps it.
fn rule_violations(text: &str, tests: &BTreeSet<String>, manifest: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for (line, rule) in rules(text) {
        let place = format!("{CONTRIBUTING}:{line}");
        let keeper = rule.trim_end().strip_suffix('*').and_then(|rule| rule.rsplit_once('*')).map(|(_, keeper)| keeper);
        let sentences: Vec<&str> =
            keeper.into_iter().flat_map(|keeper| keeper.split_inclusive('.')).map(str::trim).collect();
        let known = |sentence: &str| {
            ["Test: `", "Tests: `", "Lint: `", "Review."].iter().any(|word| sentence.starts_with(word))
        };
        if sentences.is_empty() || !sentences.iter().all(|sentence| known(sentence)) {
            violations.push(format!("{place}: a rule ends with its tests (`*Test: ...*`), its lint or `*Review.*`"));
        }
        for sentence in sentences {
            let lint = sentence.starts_with("Lint");
            violations.extend(quoted(sentence).filter_map(|name| match lint {
                true if !manifest.lines().any(|line| line.split(' ').next() == Some(name)) => {
                    Some(format!("{place}: there is no lint `{name}` in Cargo.toml"))
                }
                false if !tests.contains(name) => Some(format!("{place}: there is no test `{name}`")),
                true | false => None,
            }));
        }
    }
    violations
}

/// The numbered list of rules, each with the line where it begins.
fn rules(text: &str) -> Vec<(usize, String)> {
    let mut rules: Vec<(usize, String)> = Vec::new();
    let lines = (1..).zip(text.lines()).skip_while(|(_, line)| *line != "## The rules, in short").skip(1);
    for (number, line) in lines.take_while(|(_, line)| !line.starts_with("## ")) {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            rules.push((number, line.to_owned()));
        } else if let (Some((_, rule)), true) = (rules.last_mut(), line.starts_with(' ')) {
            rule.push(' ');
            rule.push_str(line.trim());
        }
    }
    rules
}

/// The names of a file's tests.
fn tests(code: &str) -> Vec<String> {
    let named = code.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn "));
    named.map(|(_, rest)| rest.chars().take_while(|c| is_word(*c)).collect()).collect()
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
