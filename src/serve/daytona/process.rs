//! Commands and pieces of code that run to their end.

use super::record::Sandbox;
use super::{App, Body, sandboxes};
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most that a result holds of what a command has written.
const MOST_OUTPUT: &str = "64M";
/// A shell that reads the command from its input, with both outputs in one: clients get one text. The command itself has no input.
const SHELL: &str =
    "exec 2>&1; s=sh; for b in /bin/bash /usr/bin/bash; do [ -x $b ] && { s=$b; break; }; done; exec $s";

/// `POST /process/execute`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Execute {
    command: Option<String>,
    cwd: Option<String>,
    envs: Option<BTreeMap<String, String>>,
    timeout: Option<f64>,
}

/// `POST /process/code-run`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CodeRun {
    code: Option<String>,
    language: Option<String>,
    argv: Option<Vec<String>>,
    envs: Option<BTreeMap<String, String>>,
    timeout: Option<f64>,
    /// A warm template, of whose interpreter a copy runs the code: belljar's own. The run has a sandbox of its own then, with the template's
    /// image and limits, and this sandbox gives it variables only.
    warm: Option<String>,
}

/// What is to run.
struct Work {
    command: Vec<String>,
    input: String,
    workdir: Option<String>,
    env: BTreeMap<String, String>,
    timeout: Option<f64>,
}

/// Variables must have names.
pub fn env_of(given: Option<BTreeMap<String, String>>) -> Answer<BTreeMap<String, String>> {
    let env = given.unwrap_or_default();
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    match env.keys().find(|name| !is_name(name)) {
        Some(name) => Err(Failure::bad(format!("envs: `{}` is no name of a variable", name.escape_debug()))),
        None => Ok(env),
    }
}

/// Text that a verb gave, whatever its encoding is.
pub fn text_of(result: &Value, key: &str) -> String {
    let text = result[key].as_str().unwrap_or_default();
    if result[format!("{key}_encoding")] == "base64" {
        let bytes = STANDARD.decode(text).unwrap_or_default();
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    text.to_owned()
}

/// Runs it in a sandbox; the exit code and what was written.
async fn run(app: &App, id: &str, work: Work) -> Answer<(i64, String)> {
    let sandbox = sandboxes::find(app, id).await?;
    sandbox.running()?;
    let mut parameters = json!({
        "name": sandbox.id(), "command": work.command, "input": work.input, "output_limit": MOST_OUTPUT,
        "env": variables(&sandbox, work.env), "timeout": timeout(work.timeout),
    });
    if let Some(workdir) = work.workdir {
        parameters["workdir"] = Value::String(app.inside(&sandbox, &workdir).await?);
    }
    let workdir = parameters["workdir"].as_str().map(str::to_owned);
    let result = app.backend.call("exec", parameters).await.map_err(|error| match (workdir, error.errno) {
        (Some(workdir), Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => {
            Failure::bad(format!("cwd: `{}` is no directory that can be entered", workdir.escape_debug()))
        }
        _ => Failure::from(error),
    })?;
    end_of(&result, text_of(&result, "stdout"))
}

/// The sandbox's variables, and these.
fn variables(sandbox: &Sandbox, more: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env = sandbox.record.env.clone();
    env.extend([("DAYTONA_SANDBOX_ID".to_owned(), sandbox.id().to_owned())]);
    env.extend(more);
    env
}

/// A number of seconds as a verb reads it; null, where there is no limit.
fn timeout(seconds: Option<f64>) -> Value {
    seconds
        .filter(|seconds| *seconds > 0.0)
        .map_or(Value::Null, |seconds| json!(format!("{}ms", (seconds * 1000.0).ceil() as u64)))
}

/// The exit code and what was written, as clients are told of them.
fn end_of(result: &Value, output: String) -> Answer<(i64, String)> {
    match result["status"].as_str().unwrap_or_default() {
        "timed_out" => Err(Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("request timeout: command execution timeout; it had written: {output}"),
        )
        .code("PROCESS_EXECUTION_TIMEOUT")),
        // What belljar could not do is said as the start of a command that failed.
        "setup_failed" => Ok((-1, format!("{output}{}", result["error"]["message"].as_str().unwrap_or_default()))),
        "exited" => Ok((result["exit_code"].as_i64().unwrap_or(-1), output)),
        status => Ok((exit_code_of(result), format!("{output}{}", told(status)))),
    }
}

/// Code that a copy of a template's interpreter runs: of which template, in which language, and the code.
struct Copied {
    warm: String,
    lang: &'static str,
    code: String,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    timeout: Option<f64>,
}

/// Runs it; the exit code, what was written, where what went to standard error stands behind the rest, and how it came to be run.
async fn run_copied(app: &App, id: &str, work: Copied) -> Answer<(i64, String, Value)> {
    let sandbox = sandboxes::find(app, id).await?;
    sandbox.running()?;
    let parameters = json!({
        "warm": work.warm, "lang": work.lang, "code": work.code, "file": work.argv, "output_limit": MOST_OUTPUT,
        "env": variables(&sandbox, work.env), "timeout": timeout(work.timeout),
    });
    let mut result = app.backend.call("code", parameters).await?;
    let (exit_code, output) = end_of(&result, text_of(&result, "stdout") + &text_of(&result, "stderr"))?;
    Ok((exit_code, output, result["warm"].take()))
}

/// What people are told where belljar ended the command.
fn told(status: &str) -> &'static str {
    match status {
        "out_of_memory" => "\nbelljar: the memory limit of the sandbox was passed\n",
        "output_limit" => "\nbelljar: the output limit was passed\n",
        "cpu_time_exceeded" => "\nbelljar: the CPU time of the sandbox was used up\n",
        "forbidden_syscall" => "\nbelljar: a system call that is forbidden ended it\n",
        _ => "",
    }
}

/// 128 and the number of the signal.
fn exit_code_of(result: &Value) -> i64 {
    let signal = result["signal"].as_str().and_then(|name| name.parse::<nix::sys::signal::Signal>().ok());
    signal.map_or(137, |signal| 128 + i64::from(signal as i32))
}

/// `POST /process/execute`.
pub async fn execute(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Execute>,
) -> Answer<Json<Value>> {
    let command = wish
        .command
        .filter(|command| !command.trim().is_empty())
        .ok_or_else(|| Failure::bad("bad request: empty command"))?;
    let work = Work {
        command: ["sh", "-c", SHELL].map(str::to_owned).to_vec(),
        input: command,
        workdir: wish.cwd.filter(|cwd| !cwd.is_empty()),
        env: env_of(wish.envs)?,
        timeout: wish.timeout,
    };
    let (exit_code, result) = run(&app, &id, work).await?;
    Ok(Json(json!({ "exitCode": exit_code, "result": result })))
}

/// `POST /process/code-run`.
pub async fn code_run(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<CodeRun>,
) -> Answer<Json<Value>> {
    let code = wish.code.ok_or_else(|| Failure::bad("code: is missing"))?;
    let language = wish.language.as_deref().unwrap_or("python");
    let script = match language {
        "python" => "exec python3 -u - \"$@\" 2>&1",
        "javascript" => "exec node - \"$@\" 2>&1",
        // Types are taken away and not looked at, which needs no package.
        "typescript" => {
            "exec node --experimental-strip-types --no-warnings --input-type=module-typescript - \"$@\" 2>&1"
        }
        other => return Err(Failure::bad(format!("bad request: unsupported language: {}", other.escape_debug()))),
    };
    let (code, has_charts) = match language {
        "python" if code.contains("matplotlib") => (with_charts(&code), true),
        "javascript" if wish.warm.is_none() => (format!("process.argv.splice(1, 1);\n{code}"), false),
        _ => (code, false),
    };
    let (argv, env, timeout) = (wish.argv.unwrap_or_default(), env_of(wish.envs)?, wish.timeout);
    let (exit_code, output, warm) = match (wish.warm, language) {
        (Some(_), "typescript") => return Err(Failure::bad("warm: templates run Python and JavaScript")),
        (Some(warm), _) => {
            let lang = if language == "python" { "python" } else { "node" };
            run_copied(&app, &id, Copied { warm, lang, code, argv, env, timeout }).await?
        }
        (None, _) => {
            let mut command: Vec<String> = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
            command.extend(argv);
            let work = Work { command, input: code, workdir: None, env, timeout };
            let (exit_code, output) = run(&app, &id, work).await?;
            (exit_code, output, Value::Null)
        }
    };
    let (output, charts) = if has_charts { charts_of(&output) } else { (output, Vec::new()) };
    let mut answer = json!({ "exitCode": exit_code, "result": output });
    if has_charts {
        answer["artifacts"] = json!({ "charts": charts });
    }
    if !warm.is_null() {
        answer["warm"] = warm;
    }
    Ok(Json(answer))
}

/// What a line begins with that has a chart.
const MARK: &str = "belljar-chart:";
/// Figures that are shown are written as lines, in the place of a window.
const CHARTS: &str = concat!(include_str!("../figures.py"), include_str!("charts.py"));

fn with_charts(code: &str) -> String {
    // The code stands in a text of its own, so that its lines keep their numbers.
    let text = Value::String(code.to_owned());
    format!("{CHARTS}\nexec(compile({text}, '<stdin>', 'exec'))\n")
}

/// Takes charts out of what was written.
fn charts_of(output: &str) -> (String, Vec<Value>) {
    let mut charts = Vec::new();
    let rest = output.split_inclusive('\n').filter(|line| {
        let chart = line.strip_prefix(MARK).and_then(|text| serde_json::from_str(text.trim_end()).ok());
        let is_chart = chart.is_some();
        charts.extend(chart);
        !is_chart
    });
    let rest: String = rest.collect();
    (rest, charts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_are_taken_out_of_the_text_and_nothing_else_is() {
        let (text, charts) = charts_of("a\nbelljar-chart:{\"type\":\"line\"}\nbelljar-chart:no json\nb");
        assert_eq!((text.as_str(), charts), ("a\nbelljar-chart:no json\nb", vec![json!({ "type": "line" })]));
    }

    #[test]
    fn variables_have_names() {
        let of = |name: &str| env_of(Some([(name.to_owned(), "x".to_owned())].into())).is_ok();
        assert!(of("A") && of("_a1"));
        assert!(!of("") && !of("1a") && !of("a-b") && !of("a=b"));
    }
}
