//! The program: from a command line, or a piece of code, to what execve(2) takes.

use crate::error::{Error, Problem};
use crate::host::Host;
use crate::identity;
use crate::spec::{Code, Language, Order, Runs, Source, Warm};
use crate::step::{Command, Slot, Step, c_string};
use crate::warm;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Where code that comes as a file is found inside.
const CODE_DIRECTORY: &str = "/run/code";

/// Longest single argument of execve(2): `MAX_ARG_STRLEN`, 32 pages, with its NUL.
pub const LONGEST_ARGUMENT: usize = 32 * 4096 - 1;

/// What the command line names, for messages.
pub fn name(command: &Command) -> String {
    command.arguments.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What to execute.
///
/// # Errors
///
/// `Invalid`, where neither the request nor the image names a command.
pub fn command(order: &Order, host: &Host) -> Result<Command, Error> {
    let words = words(order, host);
    let environment = identity::environment(order, host);
    let Some(first) = words.first() else {
        let problem = Problem::new("command", "no command, and the image has none of its own");
        return Err(Error::invalid(vec![
            problem.hint("end with what to run, as in `belljar run --image NAME -- ls -l`"),
        ]));
    };
    // Ours has no name inside: it is executed by its descriptor.
    let own = matches!(order.runs(), Runs::Own(_));
    let candidates = if own { Vec::new() } else { candidates(first, &environment) };
    Ok(Command { candidates, arguments: arguments(&words), environment })
}

/// What to execute in a sandbox for a run by a template, where the interpreter cannot be copied.
pub fn parked(template: &Warm, order: &Order, host: &Host) -> Option<Command> {
    let words = (template.language == Language::Node).then(|| warm::parked_words(&template.preload))?;
    let environment = identity::environment(order, host);
    let candidates = candidates(words.first()?, &environment);
    Some(Command { candidates, arguments: arguments(&words), environment })
}

fn arguments(words: &[OsString]) -> Vec<CString> {
    words.iter().map(|word| c_string(word.as_bytes())).collect()
}

/// The step that brings code into the sandbox as a file, where it does not come on the command line.
///
/// `place` says where on the scaffold a path of the root is made.
pub fn code_file(order: &Order, place: impl Fn(&str) -> String) -> Option<Step> {
    let path = code_path(order)?;
    Some(Step::CopyIn { path: c_string(place(path.trim_start_matches('/'))), mode: 0o444, from: Slot::Code })
}

/// Where code from that file is inside.
pub fn code_file_path(path: &Path, language: Language) -> OsString {
    format!("{CODE_DIRECTORY}/{}", file_name(path, language)).into()
}

/// Where the code is inside, if it is a file.
fn code_path(order: &Order) -> Option<String> {
    let Runs::Code(code) = order.runs() else { return None };
    match &code.source {
        Source::File(path) => Some(format!("{CODE_DIRECTORY}/{}", file_name(path, code.language))),
        Source::Text(text) if text.len() > LONGEST_ARGUMENT => {
            Some(format!("{CODE_DIRECTORY}/{}", file_name(Path::new(""), code.language)))
        }
        Source::Text(_) | Source::Stdin => None,
    }
}

/// The file's own name, which interpreters show in their messages and Node reads the kind of module from.
pub fn file_name(path: &Path, language: Language) -> String {
    let fallback = match language {
        Language::Python => "main.py",
        Language::Node => "main.js",
        Language::Shell => "main.sh",
    };
    path.file_name().and_then(OsStr::to_str).filter(|name| name.len() <= 200).unwrap_or(fallback).to_owned()
}

/// The command line. An image's entry point comes before the command that is asked for, or before the image's own;
/// code needs none.
fn words(order: &Order, host: &Host) -> Vec<OsString> {
    if let Some(warm) = &order.warm {
        return warm::words_of(warm.language);
    }
    match order.runs() {
        Runs::Command(words) => {
            let Some(config) = host.image.as_ref().map(|image| &image.config) else { return words.to_vec() };
            let entrypoint = config.entrypoint.iter().map(OsString::from);
            match words {
                [] => entrypoint.chain(config.cmd.iter().map(OsString::from)).collect(),
                words => entrypoint.chain(words.iter().cloned()).collect(),
            }
        }
        Runs::Code(code) => code_words(code, code_path(order).as_deref().map(OsStr::new)),
        Runs::Own(own) => std::iter::once("belljar".into()).chain(own.words()).collect(),
        Runs::Nothing => Vec::new(),
    }
}

/// The interpreter's command line, for code that is in a file at `path` or comes along.
pub fn code_words(code: &Code, path: Option<&OsStr>) -> Vec<OsString> {
    let interpreter = match code.language {
        Language::Python => "python3",
        Language::Node => "node",
        Language::Shell => "sh",
    };
    let mut words = vec![OsString::from(interpreter)];
    if code.language == Language::Python {
        // What it has written is there when its time is over.
        words.push("-u".into());
    }
    match (&code.source, path) {
        (_, Some(path)) => words.push(path.into()),
        (Source::Text(text), None) => {
            let flag = if code.language == Language::Node { "-e" } else { "-c" };
            words.extend([OsString::from(flag), text.clone()]);
            match code.language {
                // The word after the code is `$0`.
                Language::Shell => words.push("sh".into()),
                // Without it node would take the program's options for its own.
                Language::Node => words.push("--".into()),
                Language::Python => {}
            }
        }
        (Source::Stdin | Source::File(_), None) => words.push(match code.language {
            Language::Shell => "-s".into(),
            Language::Python | Language::Node => "-".into(),
        }),
    }
    words.extend(code.args.iter().cloned());
    words
}

/// The paths to try for `command`, as execvp(3) would: itself when it has a slash, else one for each directory of
/// the sandbox's `PATH`.
fn candidates(command: &OsStr, environment: &[CString]) -> Vec<CString> {
    if command.as_bytes().contains(&b'/') {
        return vec![c_string(command.as_bytes())];
    }
    let path = environment.iter().find_map(|line| line.as_bytes().strip_prefix(b"PATH=")).unwrap_or_default();
    path.split(|byte| *byte == b':')
        .map(|directory| {
            let mut candidate = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
            candidate.push(b'/');
            candidate.extend_from_slice(command.as_bytes());
            c_string(candidate)
        })
        .collect()
}
