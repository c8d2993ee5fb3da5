//! Plans in numbers: each row of `rows.txt` is held against its plan.
//!
//! No kernel is asked. Another host is another literal, so that every host can be tested on any host.

mod hosts;

use super::Plan;
use crate::error::Error;
use crate::host::Host;
use crate::identity::IdMaps;
use crate::outcome::Enforcement;
use crate::spec::{Order, Privileges, Program, Seccomp, Spec, check_order, from_toml};
use crate::step::Step;
use std::borrow::Cow;
use std::ffi::CString;
use std::path::Path;

const ROWS: &str = include_str!("tests/rows.txt");

/// What `mine.json` holds in these rows: `read` and nothing else.
const PROFILE: &[u8] = br#"{"only": {"mismatch_action": {"errno": 38}, "match_action": "allow",
    "filter": [{"syscall": "read"}]}}"#;

/// What `keys.json` holds in these rows: a call that leads to the caller's keys, with certain arguments.
const KEYS_PROFILE: &[u8] = br#"{"only": {"mismatch_action": {"errno": 38}, "match_action": "allow",
    "filter": [{"syscall": "keyctl", "args": [{"index": 0, "type": "dword", "op": "eq", "val": 11}]}]}}"#;

/// `UPDATE_PLANS=1 cargo test plans_are` writes the differences anew.
#[test]
fn plans_are_what_the_rows_say() {
    let planned = planned(ROWS);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/process/plan/tests/rows.txt");
    if std::env::var_os("UPDATE_PLANS").is_some() {
        std::fs::write(path, planned).expect("write the rows");
        return;
    }
    let split = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let wrong = difference(&split(ROWS), &split(&planned));
    assert!(wrong.is_empty(), "plans differ from rows.txt (- rows, + plans):\n{}", wrong.join("\n"));
}

#[test]
fn a_build_keeps_two_capabilities_and_finds_devices_and_proc_in_the_root_that_it_makes() {
    let host = hosts::named("debian");
    let mut spec: Spec = from_toml("user = \"0\"\nmounts = [\"/dir/work:/build:rw\"]").expect("a spec").into_spec();
    spec.program = Program::Command(vec!["true".into()]);
    let host = Host { mount_is_directory: vec![true], ..host };
    let mut order = Order::from(spec);
    let plain = lines(&Plan::new(&order, &host).expect("a plan"));
    order.privileges = Privileges::Build { root: "/build/root".into() };
    check_order(&order).expect("nothing contradicts");
    let built = lines(&Plan::new(&order, &host).expect("a plan"));
    let nodes = ["full", "null", "random", "tty", "urandom", "zero"];
    let mut expected: Vec<String> =
        nodes.map(|name| format!("+ bind root/dev/{name} on build/root/dev/{name} again")).to_vec();
    expected.push("+ bind /proc/root/proc on build/root/proc again".to_owned());
    expected.push("- make proc read-only".to_owned());
    for drop in ["drop ambient and bounding capabilities", "clear capabilities"] {
        expected.push(format!("- {drop}"));
        expected.push(format!("+ {drop} but CAP_DAC_OVERRIDE CAP_SYS_CHROOT"));
    }
    expected.push("- capabilities: enforced".to_owned());
    expected.push("+ capabilities: partly: none but CAP_DAC_OVERRIDE CAP_SYS_CHROOT".to_owned());
    let found = difference(&plain, &built);
    let seccomp = |line: &&String| line.contains("seccomp");
    assert_eq!(found.iter().filter(seccomp).count(), 2, "{found:#?}");
    assert_eq!(found.iter().filter(|line| !seccomp(line)).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    order.spec = Spec { user: None, mounts: Vec::new(), ..order.spec };
    let Err(Error { problems, .. }) = check_order(&order) else {
        panic!("an ordinary user with nowhere to build");
    };
    assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["privileges"; 2]);
}

/// The text of rows with the differences that the planner makes, whatever differences stand in it.
fn planned(rows: &str) -> String {
    let mut text = String::new();
    let mut lines = rows.lines().peekable();
    let mut first = true;
    while let Some(line) = lines.next() {
        text.push_str(&format!("{line}\n"));
        let Some(name) = line.strip_prefix("host ") else { continue };
        let mut spec = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
            text.push_str(&format!("{line}\n"));
            spec.push_str(&format!("{line}\n"));
        }
        while lines.next_if(|line| line.starts_with(['+', '-', '!', '?', '='])).is_some() {}
        text.extend(row(name, &spec, first).into_iter().map(|line| format!("{line}\n")));
        first = false;
    }
    text
}

/// One row: the whole plan, the difference, or the refusal.
fn row(name: &str, spec: &str, whole: bool) -> Vec<String> {
    let host = hosts::named(name);
    let result = plan(spec, &host).and_then(|found| {
        let debian = || plan("", &hosts::named("debian"));
        let base = if spec.is_empty() { debian() } else { plan("", &host).or_else(|_| debian()) };
        Ok(difference(&if whole { Vec::new() } else { base? }, &found))
    });
    match result {
        Ok(lines) if lines.is_empty() => vec!["=".to_owned()],
        Ok(lines) => lines,
        Err(error) => refusal(&error),
    }
}

/// The lines of the plan of `text`, which runs `true` where it says nothing else.
fn plan(text: &str, host: &Host) -> Result<Vec<String>, Error> {
    let mut spec: Spec = from_toml(text).expect("the spec of a row").into_spec();
    if spec.program == Program::Command(Vec::new()) && host.image.is_none() {
        spec.program = Program::Command(vec!["true".into()]);
    }
    // As the adapter does: it reads the profile and copies the caller's terminal.
    if let Seccomp::Custom { path, json } = &mut spec.seccomp {
        *json = match path.file_name().and_then(|name| name.to_str()) {
            Some("mine.json") => PROFILE.to_vec(),
            Some("keys.json") => KEYS_PROFILE.to_vec(),
            _ => b"{".to_vec(),
        };
    }
    // The command is the row's, or the image's.
    if host.image.is_some() {
        spec.image = Some("app".to_owned());
    }
    let order = Order { term: Some("xterm".to_owned()), ..Order::from(spec) };
    check_order(&order)?;
    let is_directory = order.spec.mounts.iter().map(|mount| mount.source.starts_with("/dir")).collect();
    Ok(lines(&Plan::new(&order, &Host { mount_is_directory: is_directory, ..host.clone() })?))
}

/// The plan as `--dry-run` prints it, with what that leaves out (contents, arguments, environment, worth), and with
/// neighbours that differ in a path only on one line.
fn lines(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.cgroup.iter().map(ToString::to_string).collect();
    for step in plan.steps.init.iter().chain(&plan.steps.payload) {
        match step {
            Step::File { path, mode, content } => {
                let path = path.to_string_lossy();
                lines.push(format!("write file {path} {mode:04o}"));
                lines.extend(String::from_utf8_lossy(content).lines().map(|line| format!("  {path}: {line}")));
            }
            Step::Own { path, uid, gid } => gather(&mut lines, &format!("give to {uid}:{gid}:"), path),
            Step::Landlock { rules } => {
                rules.iter().for_each(|(path, access)| gather(&mut lines, &format!("landlock {access:#x}:"), path));
            }
            Step::Execute(command) => {
                let words: Vec<_> = command.arguments.iter().map(|word| word.to_string_lossy()).collect();
                let places: Vec<_> = command.candidates.iter().map(|path| path.to_string_lossy()).collect();
                let name = format!("/{}", words.first().map(AsRef::as_ref).unwrap_or_default());
                lines.push(format!("execute {words:?}"));
                lines.push(format!("  found in {}", places.join(":").replace(&name, "")));
                lines.extend(command.environment.iter().map(|line| format!("  with {}", line.to_string_lossy())));
            }
            // How long a profile of ours is, is not the planner's business.
            Step::Seccomp { name, program: Cow::Borrowed(_) } => lines.push(format!("install seccomp profile {name}")),
            _ => lines.push(step.to_string()),
        }
    }
    if let Some(IdMaps { uids, gids, helpers }) = &plan.id_maps {
        let who = if helpers.is_some() { "newuidmap" } else { "supervisor" };
        lines.push(format!("{who} maps uid {uids:?}, gid {gids:?}"));
    }
    for (protection, enforcement) in &plan.enforcement {
        let worth = match enforcement {
            Enforcement::Enforced => "enforced".to_owned(),
            Enforcement::Partly(why) => format!("partly: {why}"),
            Enforcement::Off(why) => format!("off: {why}"),
            Enforcement::By { by, exact: true } => format!("exact, by {by}"),
            Enforcement::By { by, exact: false } => format!("approximate, by {by}"),
        };
        lines.push(format!("{}: {worth}", protection.name()));
    }
    lines
}

/// Adds `path` to the last line, if that is of the same kind.
fn gather(lines: &mut Vec<String>, kind: &str, path: &CString) {
    match lines.last_mut().filter(|line| line.starts_with(kind)) {
        Some(line) => *line = format!("{line} {}", path.to_string_lossy()),
        None => lines.push(format!("{kind} {}", path.to_string_lossy())),
    }
}

fn refusal(error: &Error) -> Vec<String> {
    let hints = error.hints();
    std::iter::once(format!("! {error}")).chain(hints.map(|hint| format!("? {hint}"))).collect()
}

/// What is in one list only, in the order of both: a longest common subsequence, the rest marked.
fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let mut common = vec![vec![0usize; after.len() + 1]; before.len() + 1];
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in after.iter().enumerate().rev() {
            common[i][j] = if old == new { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == after.len() || (i < before.len() && common[i + 1][j] >= common[i][j + 1]) {
            found.push(format!("- {}", before[i]));
            i += 1;
        } else {
            found.push(format!("+ {}", after[j]));
            j += 1;
        }
    }
    found
}

#[test]
fn a_difference_names_what_is_in_one_plan_only_and_in_order() {
    let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    assert_eq!(difference(&list("abcd"), &list("abcd")), [""; 0]);
    assert_eq!(difference(&list("abcd"), &list("xbdc")), ["- a", "+ x", "- c", "+ c"].map(String::from).to_vec());
}

#[test]
fn code_longer_than_an_argument_becomes_a_file() {
    let becomes_a_file = |length: usize| {
        let text = format!("code = {{ language = \"python\", text = \"{}\" }}", "#".repeat(length));
        let plan = plan(&text, &hosts::named("debian")).expect("a plan");
        plan.iter().any(|line| line == "copy in root/run/code/main.py 0444")
    };
    assert_eq!([131_071, 131_072].map(becomes_a_file), [false, true]);
}
