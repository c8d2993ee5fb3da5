//! `code`: a piece of code, in a fresh sandbox or in a persistent one.

mod existing;
mod warm;

use super::faults::{Env, Faults, problems_of};
use super::options::{EXIT_CODES, Options};
use super::parameters::Take;
use super::run::{self, Unrun};
use super::wish::{self, Request};
use super::words::{Text, Word, many};
use super::{Site, Told, Verb, session};
use crate::error::{Error, Kind, Problem};
use crate::sandbox;
use crate::spec::{Code as Piece, PartialSpec, Program, Source};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ffi::OsStr;
use std::path::PathBuf;

/// `belljar code`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[command(override_usage = "belljar code LANG [OPTIONS] (-e CODE | FILE | -) [ARG]...", after_help = EXIT_CODES)]
pub struct Code {
    /// The options of a sandbox.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub options: Options,
    /// The code, and where it runs.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub what: What,
}

/// A piece of code, and where it runs.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeWhat"))]
pub struct What {
    /// Run it in this persistent sandbox instead of a fresh one [default: none]
    #[arg(long, value_name = "NAME")]
    pub sandbox: Option<Word>,
    /// Run it by this warm template: in a fresh sandbox, with its imports done [default: none]
    ///
    /// `belljar warm create` makes one. Limits, image and network are the template's. Where no copy of it can be had the code is run
    /// without, and the result says so and why.
    #[arg(long, value_name = "NAME")]
    pub warm: Option<Text>,
    /// In an interpreter of this id that stays in the sandbox, with all that it knows from call to call [default: none]
    #[arg(long, value_name = "ID")]
    pub context: Option<String>,
    /// Save pictures and tables of a context as files in this directory, made if need be [default: they are named]
    #[arg(long, value_name = "DIR")]
    pub save: Option<Word>,
    /// Code as text, instead of FILE
    #[arg(short = 'e', value_name = "CODE", allow_hyphen_values = true)]
    pub code: Option<Word>,
    /// python, node or sh (also: python3, javascript, js, shell, bash)
    #[arg(value_name = "LANG")]
    pub lang: Option<Word>,
    /// The file of code, copied in, or `-` for standard input; then its arguments
    ///
    /// The sandbox gets a copy, never the host's file. Everything after FILE is the program's own, options too.
    /// With -e there is no FILE and these are the arguments.
    #[arg(value_name = "FILE", trailing_var_arg = true, num_args = 0..)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub file: Vec<Word>,
}

/// Code for a sandbox that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Existing {
    /// The sandbox.
    pub sandbox: String,
    /// The interpreter that stays.
    pub context: Option<String>,
    /// Where values and pictures go that are no plain text.
    pub save: Option<PathBuf>,
    /// The code.
    pub code: Piece,
    /// What is its own of the command that runs it.
    pub exec: sandbox::Exec,
}

/// Where code runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In a sandbox of its own.
    Fresh(Box<Request>),
    /// In one that is there.
    Existing(Box<Existing>),
    /// In one of its own, by the template of that name.
    Warm(String, Box<sandbox::Piece>),
}

/// What is wrong with a wish that makes no sandbox.
pub fn makes_no_sandbox() -> Problem {
    Problem::new("sandbox", "the sandbox is there already, and options that make one cannot change it")
        .hint("with `--sandbox` only `--timeout`, `--env`, `--workdir`, `--output-limit` and `--json` go along")
}

impl Code {
    /// What is asked for; nothing is opened.
    ///
    /// # Errors
    ///
    /// `invalid`, with everything that is wrong with it.
    pub fn request(self, env: Env<'_>) -> Result<Place, Error> {
        let (options, what) = (self.options, self.what);
        let mut faults = Faults::default();
        for (field, given, needs, there) in [
            ("context", what.context.is_some(), "sandbox", what.sandbox.is_some()),
            ("save", what.save.is_some(), "context", what.context.is_some()),
        ] {
            if given && !there {
                let problem = Problem::new(field, format!("needs `{needs}`"));
                faults.0.push(problem.hint(format!("add `--{needs}`, or leave `--{field}` out")));
            }
        }
        let program = wish::code_program(what.lang, what.code, what.file, options.sandbox.spec.is_some(), &mut faults);
        if let Some(Program::Code(Piece { source: Source::Stdin, .. })) = &program
            && options.sandbox.spec.as_deref() == Some(OsStr::new("-"))
        {
            let problem = Problem::new("spec", "standard input cannot hold both the spec and the code");
            faults.0.push(problem.hint("put one of them into a file"));
        }
        let request = wish::finish(options, program, None, env, &mut faults)?;
        if let Some(Text(name)) = what.warm {
            let piece = warm::piece(request, what.sandbox.is_some())?;
            return Ok(Place::Warm(name, Box::new(piece)));
        }
        let Some(name) = what.sandbox else { return Ok(Place::Fresh(Box::new(request))) };
        let wish = request.wish;
        let own = PartialSpec {
            program: wish.program.clone(),
            timeout: wish.timeout,
            output_limit: wish.output_limit,
            env: wish.env.clone(),
            workdir: wish.workdir.clone(),
            ..PartialSpec::default()
        };
        let Some(Program::Code(code)) = own.program.clone() else {
            let problem = Problem::new("code", "is missing");
            let hint = "give `-e CODE`, a FILE, or `-` for standard input";
            return Err(Error::misused(vec![problem.hint(hint)]));
        };
        if own != wish || request.spec_file.is_some() || request.dry_run {
            return Err(makes_no_sandbox().into());
        }
        let exec = sandbox::Exec {
            env: wish.env,
            workdir: wish.workdir,
            timeout: wish.timeout.flatten(),
            output_limit: wish.output_limit,
            ..sandbox::Exec::default()
        };
        let sandbox = name.to_string_lossy().into_owned();
        let save = what.save.map(|path| PathBuf::from(path.0));
        Ok(Place::Existing(Box::new(Existing { sandbox, context: what.context, save, code, exec })))
    }
}

impl Take for Code {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Code> {
        let (options, what) = (Options::take(given, problems), What::take(given, problems));
        Some(Code { options: options?, what: what? })
    }

    fn names() -> Vec<&'static str> {
        [Options::names(), What::names()].concat()
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeTold"))]
#[serde(untagged)]
pub enum Coded {
    /// It ran as a command.
    Ran(run::Ran),
    /// It ran as a job of an interpreter that stays.
    Job {
        /// What came of the job.
        #[serde(flatten)]
        job: Box<session::Ran>,
        /// Version of this object; 1.
        version: u32,
    },
}

impl Told for Coded {
    const HAS_VERSION: bool = true;

    fn people(&self) -> String {
        match self {
            Coded::Ran(ran) => ran.people(),
            Coded::Job { job, .. } => job.people(),
        }
    }

    fn code(&self) -> i32 {
        match self {
            Coded::Ran(ran) => ran.code(),
            Coded::Job { job, .. } => job.code(),
        }
    }
}

/// Runs a piece of code where it is to run.
///
/// # Errors
///
/// Whatever keeps it from being run.
pub fn carry_out(place: Place, site: &Site<'_>) -> Result<Coded, Unrun> {
    let there = match place {
        Place::Fresh(request) => return run::carry_out(Ok(*request), site).map(Coded::Ran),
        Place::Existing(there) => there,
        Place::Warm(name, piece) => return warm::run(&name, &piece, site).map(Coded::Ran),
    };
    let unrun = |error| Box::new((error, None));
    match there.context.clone() {
        Some(context) => {
            let job = existing::in_context(&there, &context, site).map_err(unrun)?;
            Ok(Coded::Job { job: Box::new(job), version: 1 })
        }
        None => {
            let (outcome, spec) = existing::once(*there, site).map_err(unrun)?;
            Ok(Coded::Ran(run::Ran::Ran { outcome: Box::new(outcome), spec: Box::new(spec) }))
        }
    }
}

impl Verb for Code {
    type Told = Coded;

    const RUNS_A_COMMAND: bool = true;

    fn faults(self, env: Env<'_>) -> Vec<Problem> {
        problems_of(self.request(env))
    }

    fn run(self, site: &Site<'_>) -> Result<Coded, Error> {
        carry_out(self.request(site.env)?, site).map_err(|unrun| unrun.0)
    }

    fn exit_code(error: &Error) -> i32 {
        if error.kind == Kind::Misused { 2 } else { error.exit_code() }
    }
}
