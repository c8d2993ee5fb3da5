//! The methods: every verb of the command line, its options and words as parameters by name. All of it is read from the one
//! definition of the command line, so that nothing is said twice.

use crate::cli::args;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

/// Verbs that make no sense for a program.
const NOT_OFFERED: [&str; 4] = ["rpc", "completions", "man", "help"];
/// What each request decides by itself.
const OWN: [&str; 4] = ["json", "status_fd", "help", "version"];
/// Parameters of every method besides.
pub const STREAM: &str = "stream";
/// See [`STREAM`].
pub const INPUT: &str = "input";

/// The schemas of the verbs of the front door, from their types.
const TYPED: &str = include_str!("../../../docs/rpc.json");

/// A verb that was asked for.
#[derive(Debug, PartialEq)]
pub struct Verb {
    /// The words of a command line, without the program's name.
    pub words: Vec<OsString>,
    /// Whether standard output is one JSON object.
    pub json: bool,
    /// Whether the result comes on descriptor 3.
    pub status: bool,
}

/// Why there is none.
#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// No such method.
    Method,
    /// A parameter, and what is wrong with it.
    Parameter(String),
}

/// The words of a call; `stream`: what it prints is wanted as it comes.
pub fn verb(root: &Command, method: &str, parameters: &Map<String, Value>, stream: bool) -> Result<Verb, Wrong> {
    let path: Vec<&str> = method.split('.').collect();
    let found = path.iter().try_fold(root, |command, word| command.find_subcommand(word));
    let command = found.filter(|command| is_offered(command)).ok_or(Wrong::Method)?;
    let taken: Vec<(String, &Arg)> = parameters_of(command);
    for name in parameters.keys().filter(|name| ![STREAM, INPUT].contains(&name.as_str())) {
        if !taken.iter().any(|(key, _)| key == name) {
            let known: Vec<&str> = taken.iter().map(|(key, _)| key.as_str()).collect();
            return Err(Wrong::Parameter(format!("{name}: `{method}` takes {}", known.join(", "))));
        }
    }
    let given = |key: &str| parameters.get(key).filter(|value| !value.is_null());
    let has = |long: &str| command.get_arguments().any(|arg| arg.get_long() == Some(long));
    // Code for a sandbox that is there tells its result in another way.
    let status = stream && has("status-fd") && given("sandbox").is_none();
    // What goes to standard output as it is leaves no room for an object.
    let bytes = |key: &str| given(key) == Some(&json!("-"));
    let raw = method == "cp" && bytes("to");
    let json = !stream && !raw && has("json");
    let mut words: Vec<OsString> = path.iter().map(OsString::from).collect();
    if status {
        words.push("--status-fd=3".into());
    }
    if json {
        words.push("--json".into());
    }
    let (mut before, mut after, mut last) = (Vec::new(), Vec::new(), false);
    for (key, arg) in &taken {
        let Some(value) = given(key) else { continue };
        let wrong = |why: String| Wrong::Parameter(format!("{key}: {why}"));
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            match value {
                Value::Bool(true) => words.push(format!("--{}", arg.get_long().unwrap_or_default()).into()),
                Value::Bool(false) => {}
                _ => return Err(wrong("is true or false".to_owned())),
            }
            continue;
        }
        let values = if is_many(arg) { many(value) } else { one(value).map(|value| vec![value]) }.map_err(wrong)?;
        match (arg.get_long(), arg.get_short()) {
            (Some(long), _) => words.extend(values.into_iter().map(|value| {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                word
            })),
            (None, Some(short)) => {
                values.into_iter().for_each(|value| words.extend([format!("-{short}").into(), value]))
            }
            (None, None) if arg.is_last_set() => {
                last = true;
                after.extend(values);
            }
            (None, None) => before.extend(values),
        }
    }
    let takes_last = command.get_positionals().any(Arg::is_last_set);
    if takes_last {
        // What stands before `--` must be no option.
        if let Some(word) = before.iter().find(|word| word.as_encoded_bytes().starts_with(b"-")) {
            return Err(Wrong::Parameter(format!("`{}` begins with a hyphen", word.to_string_lossy().escape_debug())));
        }
        words.extend(before);
        words.extend(last.then(|| "--".into()));
    } else {
        words.extend((!before.is_empty()).then(|| "--".into()));
        words.extend(before);
    }
    words.extend(after);
    Ok(Verb { words, json, status })
}

/// All methods, in the form of OpenRPC 1.3 (<https://spec.open-rpc.org>).
pub fn document() -> Value {
    let root = args::whole();
    let typed: Value = serde_json::from_str(TYPED).unwrap_or_default();
    let mut methods = Vec::new();
    describe(&root, "", &mut methods);
    for method in &mut methods {
        let known = typed["methods"].as_array().into_iter().flatten().find(|known| known["name"] == method["name"]);
        if let Some(known) = known {
            method.clone_from(known);
        }
    }
    methods.extend([
        own("cancel", "End a request that is in flight, as Ctrl-C does", json!([id_parameter()])),
        own(
            "input",
            "Give standard input to a request that has `input` true; answered when it has taken all",
            json!([
                id_parameter(),
                { "name": "data", "schema": bytes() },
                { "name": "end", "summary": "Nothing comes after it", "schema": { "type": "boolean" } },
            ]),
        ),
        own("version", "The version of belljar", json!([])),
    ]);
    json!({
        "openrpc": "1.3.2",
        "info": { "title": "belljar rpc", "version": env!("CARGO_PKG_VERSION"), "description": "JSON-RPC 2.0 over standard input \
            and output, one object a line. docs/rpc.md tells the protocol." },
        "methods": methods,
        "components": typed["components"],
    })
}

fn id_parameter() -> Value {
    json!({ "name": "id", "summary": "The id of the request", "required": true, "schema": { "type": ["string", "number"] } })
}

fn own(name: &str, summary: &str, parameters: Value) -> Value {
    let result = json!({ "name": "result", "schema": { "type": "object" } });
    json!({ "name": name, "summary": summary, "paramStructure": "by-name", "params": parameters, "result": result })
}

fn describe(command: &Command, path: &str, methods: &mut Vec<Value>) {
    for below in command.get_subcommands().filter(|below| !NOT_OFFERED.contains(&below.get_name())) {
        let path = if path.is_empty() { below.get_name().to_owned() } else { format!("{path}.{}", below.get_name()) };
        if below.has_subcommands() {
            describe(below, &path, methods);
            continue;
        }
        let mut parameters: Vec<Value> = parameters_of(below).iter().map(|(key, arg)| parameter(key, arg)).collect();
        parameters.extend([
            json!({ "name": STREAM, "summary": "Tell what it prints as it comes", "schema": { "type": "boolean" } }),
            json!({ "name": INPUT, "summary": "Standard input: all of it, or true for what `input` gives",
                "schema": { "anyOf": [bytes(), { "type": "boolean" }] } }),
        ]);
        let about = below.get_about().map(ToString::to_string).unwrap_or_default();
        methods.push(own(&path, about.trim_end_matches('.'), Value::Array(parameters)));
    }
}

fn parameter(key: &str, arg: &Arg) -> Value {
    let schema = match (arg.get_action(), is_many(arg)) {
        (ArgAction::SetTrue, _) => json!({ "type": "boolean" }),
        (_, true) if is_pairs(arg) => {
            json!({ "anyOf": [{ "type": "array", "items": bytes() }, { "type": "object" }, bytes()] })
        }
        (_, true) => json!({ "anyOf": [{ "type": "array", "items": bytes() }, bytes()] }),
        (_, false) => bytes(),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    json!({ "name": key, "summary": help, "required": arg.is_required_set(), "schema": schema })
}

/// Text, a number that stands for its digits, or bytes that may be no text.
fn bytes() -> Value {
    let encoded = json!({ "type": "object", "properties": { "base64": { "type": "string" } }, "required": ["base64"] });
    json!({ "anyOf": [{ "type": ["string", "number"] }, encoded] })
}

fn is_offered(command: &Command) -> bool {
    !command.has_subcommands() && !command.is_hide_set() && !NOT_OFFERED.contains(&command.get_name())
}

/// The parameters of a verb, options first, then words in their order.
fn parameters_of(command: &Command) -> Vec<(String, &Arg)> {
    let keyed = command.get_opts().chain(command.get_positionals()).map(|arg| (key(arg), arg));
    let flags = command.get_arguments().filter(|arg| matches!(arg.get_action(), ArgAction::SetTrue));
    let mut all: Vec<(String, &Arg)> = flags.map(|arg| (key(arg), arg)).collect();
    all.extend(keyed.filter(|(_, arg)| !matches!(arg.get_action(), ArgAction::SetTrue)));
    all.retain(|(key, _)| !OWN.contains(&key.as_str()));
    all
}

/// `--output-limit` is `output_limit`; a word is called as in the help, `FILE|DIR` by the first of both.
fn key(arg: &Arg) -> String {
    match arg.get_long() {
        Some(long) => long.replace('-', "_"),
        None => {
            let shown =
                arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
            if shown.contains('=') {
                return arg.get_id().to_string();
            }
            shown.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_lowercase()
        }
    }
}

fn is_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) || arg.get_num_args().is_some_and(|range| range.max_values() > 1)
}

fn is_pairs(arg: &Arg) -> bool {
    arg.get_value_names().is_some_and(|names| names.iter().any(|name| name.as_str() == "K=V"))
}

/// The bytes behind a value: text, a number's digits, or `{"base64": "..."}`.
pub fn one(value: &Value) -> Result<OsString, String> {
    match value {
        Value::String(text) => Ok(text.into()),
        Value::Number(number) => Ok(number.to_string().into()),
        Value::Object(object) if object.len() == 1 => match object.get("base64").and_then(Value::as_str) {
            Some(text) => STANDARD.decode(text).map(OsString::from_vec).map_err(|error| format!("base64: {error}")),
            None => Err("is text, a number or {\"base64\": \"...\"}".to_owned()),
        },
        _ => Err("is text, a number or {\"base64\": \"...\"}".to_owned()),
    }
}

fn many(value: &Value) -> Result<Vec<OsString>, String> {
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        Value::Object(pairs) if !pairs.contains_key("base64") => pairs
            .iter()
            .map(|(key, value)| {
                let mut word = OsString::from(format!("{key}="));
                word.push(one(value)?);
                Ok(word)
            })
            .collect(),
        value => Ok(vec![one(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(method: &str, parameters: Value, stream: bool) -> Result<String, Wrong> {
        let verb = verb(&args::whole(), method, parameters.as_object().unwrap(), stream)?;
        Ok(verb.words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    fn wrong(method: &str, parameters: Value) -> String {
        match words(method, parameters, false) {
            Err(Wrong::Parameter(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parameters_become_the_words_of_a_command_line() {
        let exec = json!({ "name": "box", "command": ["ls", "-l"], "timeout": 5, "env": { "A": "1" }, "tty": false });
        assert_eq!(words("exec", exec.clone(), false).unwrap(), "exec --json --timeout=5 --env=A=1 -- box ls -l");
        assert_eq!(words("exec", exec, true).unwrap(), "exec --status-fd=3 --timeout=5 --env=A=1 -- box ls -l");
        let code = json!({ "lang": "python", "code": "-x", "sandbox": "box" });
        assert_eq!(words("code", code, true).unwrap(), "code --sandbox=box -e -x -- python");
        let create = json!({ "name": "box", "keep": true, "command": ["sleep", "1"] });
        assert_eq!(words("create", create, false).unwrap(), "create --json --keep box -- sleep 1");
        let bytes = json!({ "sandbox": "box", "path": { "base64": "LS1mb3JjZQ==" } });
        assert_eq!(words("fs.cat", bytes, false).unwrap(), "fs cat --json -- box --force");
        assert_eq!(
            words("cp", json!({ "from": "box:/etc/passwd", "to": "-" }), false).unwrap(),
            "cp -- box:/etc/passwd -"
        );
    }

    #[test]
    fn no_value_becomes_an_option() {
        assert_eq!(wrong("create", json!({ "name": "--keep" })), "`--keep` begins with a hyphen");
        assert_eq!(words("rm", json!({ "name": "--force" }), false).unwrap(), "rm --json -- --force");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(wrong("stats", json!({ "nmae": "box" })).starts_with("nmae: `stats` takes name"));
        assert_eq!(wrong("create", json!({ "keep": "yes" })), "keep: is true or false");
        assert_eq!(wrong("stats", json!({ "name": ["a"] })), "name: is text, a number or {\"base64\": \"...\"}");
        for method in ["rpc", "man", "fs", "supervise-sandbox", "nothing", "", "fs.", "help"] {
            assert_eq!(words(method, json!({}), false), Err(Wrong::Method), "{method}");
        }
    }

    #[test]
    fn every_verb_is_a_method_whose_parameters_have_names_of_their_own() {
        let document = document();
        let methods = document["methods"].as_array().unwrap();
        assert!(methods.len() > 50, "{}", methods.len());
        for method in methods {
            let mut names: Vec<&str> =
                method["params"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert!(count == names.len() && !names.contains(&""), "{}: {names:?}", method["name"]);
        }
    }
}
