//! The command line: reads arguments, calls a verb, prints its result, sets the exit code. No policy lives here.
//!
//! [`parse`] reads the arguments and touches nothing; the handlers read what the request names, hand it to the
//! layer below and tell what happened. No layer below prints, reads arguments or the environment.

mod args;
mod files;
mod generate;
mod mcp;
mod parse;
mod progress;
mod render;
mod rpc;
mod run;
mod sandbox;
mod serve;
mod terminal;

pub use parse::{Env, Report, Request, Usage, parse};
pub use rpc::understand;

use crate::error::{Error, Problem};
use crate::own::Own;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use terminal::Terminal;

/// Does what the arguments ask; the exit code of the process.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    let ahead = match makes_ready(std::env::var_os(AHEAD).as_deref()) {
        Ok(ahead) => ahead,
        Err(problem) => {
            render::problems(&[problem]);
            return render::FAILED;
        }
    };
    match parse(args, &|name| std::env::var_os(name)) {
        Ok(Request::Run(asked)) => run::run(*asked),
        Ok(Request::Code(asked)) => run::code(*asked),
        Ok(Request::Exec(asked)) => run::exec(*asked),
        Ok(Request::Host(verb)) => verb.tell(&Terminal),
        Ok(Request::Sandbox(verb)) => verb.tell(&Terminal),
        Ok(Request::Snapshot(verb)) => verb.tell(&Terminal),
        Ok(Request::Copies(verb)) => verb.tell(&Terminal),
        Ok(Request::Fs(verb)) => verb.tell(&Terminal),
        Ok(Request::Own(own, home)) => run_own(&own, home.as_deref(), ahead),
        Ok(Request::Pty(verb)) => verb.tell(&Terminal),
        Ok(Request::Preview(asked)) => sandbox::preview(asked),
        Ok(Request::Port(verb)) => verb.tell(&Terminal),
        Ok(Request::Session(verb)) => verb.tell(&Terminal),
        Ok(Request::Git(verb)) => verb.tell(&Terminal),
        Ok(Request::Lsp(verb)) => verb.tell(&Terminal),
        Ok(Request::Image(verb)) => verb.tell(&Terminal),
        Ok(Request::Volume(verb)) => verb.tell(&Terminal),
        Ok(Request::Warm(verb)) => verb.tell(&Terminal),
        Ok(Request::Net(verb)) => verb.tell(&Terminal),
        Ok(Request::Rpc(asked)) => {
            let workers = asked.workers.unwrap_or(if ahead { rpc::USUALLY_AHEAD } else { 0 });
            rpc::serve(workers, asked.ready.unwrap_or_default())
        }
        Ok(Request::Serve(asked)) => serve::serve(asked),
        Ok(Request::Mcp(asked)) => mcp::mcp(asked),
        Ok(Request::Completions(shell)) => generate::completions(&shell),
        Ok(Request::Man(dir)) => generate::man(&dir),
        Err(Usage::Asked(text)) => render::print(&text, 0),
        Err(Usage::Wrong { problems, exit_code: render::FAILED, report }) => refuse(problems, report),
        Err(Usage::Wrong { problems, exit_code, report }) => {
            render::problems(&problems);
            if !report.json {
                return exit_code;
            }
            render::error_object(&Error::misused(problems), exit_code)
        }
    }
}

/// The variable that says what may be made ready before it is asked for.
const AHEAD: &str = "BELLJAR_AHEAD";
/// Its one value: nothing.
const NOTHING: &str = "none";

/// Whether anything may be made ready where nobody has asked for that.
fn makes_ready(ahead: Option<&OsStr>) -> Result<bool, Problem> {
    match ahead {
        None => Ok(true),
        Some(word) if word == NOTHING => Ok(false),
        Some(word) => {
            let problem =
                Problem::new(AHEAD, format!("`{}` is not `{NOTHING}`", word.to_string_lossy().escape_debug()));
            Err(problem.hint(format!(
                "`{AHEAD}={NOTHING}` has nothing made ready ahead; leave the variable out for what is usual"
            )))
        }
    }
}

/// Does what belljar has started itself for; the exit code of the process.
fn run_own(own: &Own, home: Option<&Path>, ahead: bool) -> i32 {
    match own {
        Own::Supervise { id } => sandbox::supervise(id, home, ahead),
        Own::StandBy { id } => sandbox::stand_by(id, home),
        Own::Spares { id } => sandbox::make_spares(id, home),
        Own::Enter { sandbox, stopped_too, descriptor } => {
            files::enter_sandbox(sandbox, *stopped_too, *descriptor, home)
        }
        Own::Tools { room } => files::serve_tools(*room),
        Own::Session { id, kind, words } => files::keep_session(id, kind, words),
        Own::Terminal { path, words } => files::take_terminal(path, words),
        Own::Scope { pid } => match crate::cgroup::scope::ask(*pid) {
            Ok(()) => 0,
            // Read by the supervisor, which names itself.
            Err(why) => {
                render::bare(&why);
                render::FAILED
            }
        },
    }
}

/// A run that cannot be understood still reports where its caller listens.
fn refuse(mut problems: Vec<Problem>, report: Report) -> i32 {
    let status = run::status_fd(report).unwrap_or_else(|problem| {
        if !problems.iter().any(|said| said.field == problem.field) {
            problems.push(problem);
        }
        None
    });
    render::error(&Error::misused(problems), None, report, status)
}
