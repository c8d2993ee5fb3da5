//! Code and commands.

use super::{Told, Tools, invalid};
use crate::error::Error;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::ContentBlock;
use rmcp::schemars::JsonSchema;
use rmcp::{schemars, tool, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The most of an output that a model reads; what is beyond is left out in the middle.
const MOST: usize = 64 << 10;
/// What belljar keeps of an output.
const KEPT: &str = "4M";
/// How long something may run unless the model says otherwise, and at most. Seconds.
const USUAL: f64 = 120.0;
const LONGEST: f64 = 3600.0;
/// The largest picture that is shown.
const PICTURE: usize = 5 << 20;

/// A piece of code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    /// The code. Of Python and JavaScript the value of the last expression is shown, and pictures of matplotlib are
    code: String,
    /// The language
    #[serde(default)]
    language: Language,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
    /// Variables are remembered from call to call in each context; another word begins another one
    context: Option<String>,
    /// Seconds after which it is interrupted
    timeout: Option<f64>,
}

/// A language.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Language {
    #[default]
    Python,
    Javascript,
    Shell,
}

/// A command.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// A line of shell
    command: String,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
    /// The directory where it runs
    workdir: Option<String>,
    /// Variables, besides those of the sandbox
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// What it reads on its standard input
    stdin: Option<String>,
    /// Seconds after which it is killed
    timeout: Option<f64>,
}

/// Seconds as belljar has them.
fn time(seconds: Option<f64>) -> Result<String, Error> {
    let seconds = seconds.unwrap_or(USUAL);
    if seconds > 0.0 && seconds <= LONGEST {
        return Ok(format!("{}ms", (seconds * 1000.0).ceil() as u64));
    }
    Err(invalid(format!("timeout: must be more than 0 and at most {LONGEST} seconds")))
}

/// A text, without its middle where it is too long.
fn shortened(text: &str) -> String {
    if text.len() <= MOST {
        return text.to_owned();
    }
    // No letter is cut in two.
    let at = |begin: usize| (begin..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let (head, tail) = (at(MOST / 2), at(text.len() - MOST / 2));
    format!("{}\n[{} bytes are left out here]\n{}", &text[..head], tail - head, &text[tail..])
}

/// What was written, each stream by its name where there are both.
fn written(told: &Value) -> String {
    let of = |key: &str| crate::serve::daytona::text_of(told, key);
    let (out, err) = (of("stdout"), of("stderr"));
    match (out.is_empty(), err.is_empty()) {
        (_, true) => shortened(&out),
        (true, false) => format!("stderr:\n{}", shortened(&err)),
        (false, false) => format!("stdout:\n{}\nstderr:\n{}", shortened(&out), shortened(&err)),
    }
}

/// How a command ended, where that is not with 0.
fn ending(told: &Value) -> String {
    match (told["status"].as_str().unwrap_or_default(), told["exit_code"].as_i64()) {
        ("exited", Some(0)) => String::new(),
        ("exited", Some(code)) => format!("[exit code {code}]"),
        ("timed_out", _) => "[it was killed: its time was over]".to_owned(),
        ("out_of_memory", _) => "[it was killed: the sandbox's memory was used up]".to_owned(),
        ("setup_failed", _) => format!("[it did not run: {}]", told["error"]["message"].as_str().unwrap_or_default()),
        (status, _) => match told["signal"].as_str() {
            Some(signal) => format!("[ended by {signal}: {status}]"),
            None => format!("[{status}]"),
        },
    }
}

/// How code in a context ended, where that is not well.
fn end_of_code(told: &Value) -> String {
    let end = &told["end"];
    let mut all = Vec::new();
    let error = &end["error"];
    if let Some(trace) = error["traceback"].as_str().filter(|trace| !trace.is_empty()) {
        all.push(shortened(trace));
    } else if let Some(name) = error["name"].as_str() {
        all.push(format!("{name}: {}", error["value"].as_str().or(error["message"].as_str()).unwrap_or_default()));
    }
    if let Some(code) = end["exit_code"].as_i64().filter(|code| *code != 0) {
        all.push(format!("[exit code {code}]"));
    }
    if end["timed_out"] == true {
        all.push("[it was interrupted: its time was over]".to_owned());
    }
    if end["session_ended"] == true {
        all.push("[the interpreter has ended, and its variables are gone]".to_owned());
    }
    all.join("\n")
}

/// Values and pictures.
fn shown(results: &Value) -> Vec<ContentBlock> {
    let results = results.as_array().into_iter().flatten();
    let one = |shown: &Value| {
        let (kind, data) = (shown["media_type"].as_str()?, shown["data"].as_str()?);
        Some(match kind {
            "image/png" | "image/jpeg" | "image/gif" | "image/webp" if data.len() <= PICTURE => {
                ContentBlock::image(data, kind)
            }
            _ if kind.starts_with("text/") || kind == "application/json" => ContentBlock::text(shortened(data)),
            _ => ContentBlock::text(format!("[{kind}, {} bytes in base64, is not shown]", data.len())),
        })
    };
    results.filter_map(one).collect()
}

/// Texts that say something, then the rest; never nothing at all.
fn content(texts: [String; 2], mut rest: Vec<ContentBlock>) -> Vec<ContentBlock> {
    let mut all: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).map(ContentBlock::text).collect();
    all.append(&mut rest);
    if all.is_empty() {
        all.push(ContentBlock::text("[no output]"));
    }
    all
}

#[tool_router(router = run_tools, vis = "pub(super)")]
impl Tools {
    /// Run a piece of code in an interpreter that stays: variables, imports and functions are there in the next call. Answers what it
    /// wrote, the value of its last expression, and pictures.
    #[tool(annotations(open_world_hint = true))]
    async fn run_code(&self, Parameters(asked): Parameters<Code>) -> Told {
        let told = async {
            let timeout = time(asked.timeout)?;
            let language = match asked.language {
                Language::Python => "python",
                Language::Javascript => "node",
                Language::Shell => "sh",
            };
            let context = format!("{language}-{}", asked.context.as_deref().unwrap_or("main"));
            let id = self.boxes.find(asked.sandbox.as_deref()).await?;
            let parameters = json!({
                "sandbox": id, "lang": language, "code": asked.code, "context": context, "timeout": timeout,
            });
            let told = self.boxes.ask("code", parameters).await?;
            Ok(content([written(&told), end_of_code(&told)], shown(&told["results"])))
        };
        Told::of(told.await)
    }

    /// Run a line of shell, to its end. Answers what it wrote, and its exit code where that is not 0.
    #[tool(annotations(open_world_hint = true))]
    async fn run_command(&self, Parameters(asked): Parameters<Command>) -> Told {
        let told = async {
            let timeout = time(asked.timeout)?;
            if asked.command.trim().is_empty() {
                return Err(invalid("command: is empty"));
            }
            let id = self.boxes.find(asked.sandbox.as_deref()).await?;
            let mut parameters = json!({
                "name": id, "command": ["sh", "-c", asked.command], "env": asked.env, "timeout": timeout,
                "output_limit": KEPT, "input": asked.stdin.unwrap_or_default(),
            });
            if let Some(workdir) = asked.workdir {
                parameters["workdir"] = Value::String(workdir);
            }
            let told = self.boxes.ask("exec", parameters).await?;
            Ok(content([written(&told), ending(&told)], Vec::new()))
        };
        Told::of(told.await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_output_keeps_its_beginning_and_its_end_and_says_what_is_missing() {
        let text = format!("first{}ä{}last", "x".repeat(MOST), "y".repeat(MOST));
        let short = shortened(&text);
        assert!(short.starts_with("first") && short.ends_with("last") && short.len() < MOST + 60, "{}", short.len());
        assert!(
            short.contains(&format!("[{} bytes are left out here]", text.len() - MOST)),
            "{}",
            &short[MOST / 2..][..60]
        );
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn a_time_is_more_than_nothing_and_no_longer_than_an_hour() {
        assert_eq!(time(None).unwrap(), "120000ms");
        assert_eq!(time(Some(0.5)).unwrap(), "500ms");
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 3601.0] {
            assert!(time(Some(wrong)).unwrap_err().to_string().starts_with("timeout: "), "{wrong}");
        }
    }

    #[test]
    fn how_it_ended_is_said_unless_that_is_well() {
        let of = |told: Value| ending(&told);
        assert_eq!(of(json!({ "status": "exited", "exit_code": 0 })), "");
        assert_eq!(of(json!({ "status": "exited", "exit_code": 3 })), "[exit code 3]");
        assert_eq!(of(json!({ "status": "signaled", "signal": "SIGSEGV" })), "[ended by SIGSEGV: signaled]");
        assert_eq!(
            of(json!({ "status": "setup_failed", "error": { "message": "no such program" } })),
            "[it did not run: no such program]"
        );
    }
}
