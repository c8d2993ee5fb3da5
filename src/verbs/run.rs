//! `run`: one command, in a fresh sandbox that is destroyed afterwards.

use super::faults::{Env, Faults, problems_of};
use super::options::{EXIT_CODES, FILES, Options};
use super::parameters::Take;
use super::published::Announcer;
use super::resolve::resolve;
use super::wish::{self, Request};
use super::words::{Word, many};
use super::{Site, Told, Verb};
use crate::error::{Error, Problem};
use crate::outcome::Outcome;
use crate::process;
use crate::spec::{Program, Spec};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// `belljar run`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[command(override_usage = "belljar run [OPTIONS] [--] COMMAND [ARG]...", after_help = EXIT_CODES)]
pub struct Run {
    /// The options of a sandbox.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub options: Options,
    /// What is its own.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub what: What,
}

/// What `run` runs.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct What {
    /// Run the OCI bundle in DIR: its root file system, and what its config.json says [default: none]
    ///
    /// Options win over config.json. What it wants and belljar does not do is refused by its place in the file.
    #[arg(long, value_name = "DIR", help_heading = FILES)]
    pub bundle: Option<Word>,
    /// The command and its arguments
    ///
    /// The command is looked up in the sandbox's PATH. Everything from it on is its own, options too.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, num_args = 0..)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub command: Vec<Word>,
}

impl Take for Run {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Run> {
        let (options, what) = (Options::take(given, problems), What::take(given, problems));
        Some(Run { options: options?, what: what? })
    }

    fn names() -> Vec<&'static str> {
        [Options::names(), What::names()].concat()
    }
}

impl Run {
    /// What is asked for; nothing is opened.
    ///
    /// # Errors
    ///
    /// `invalid`, with everything that is wrong with it.
    pub fn request(self, env: Env<'_>) -> Result<Request, Error> {
        let mut faults = Faults::default();
        if self.what.bundle.is_some() && self.options.sandbox.image.is_some() {
            let problem = Problem::new("bundle", "has its own root file system, and takes no image");
            faults.0.push(problem.hint("leave `--bundle` or `--image` out"));
        }
        let command = self.what.command.into_iter().map(|word| word.0).collect::<Vec<_>>();
        let program = (!command.is_empty()).then_some(Program::Command(command));
        let bundle = self.what.bundle.map(|path| PathBuf::from(path.0));
        wish::finish(self.options, program, bundle, env, &mut faults)
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RunTold"))]
#[serde(untagged)]
pub enum Ran {
    /// The command ran.
    Ran {
        /// How it went.
        #[serde(flatten)]
        outcome: Box<Outcome>,
        /// What was wished, for what is said of limits.
        #[serde(skip)]
        spec: Box<Spec>,
    },
    /// `--dry-run`: nothing was done.
    Planned {
        /// Version of this object; 1.
        version: u32,
        /// The root file system that it would have.
        image: String,
        /// What would be done, step by step.
        steps: Vec<String>,
        /// The same for people.
        #[serde(skip)]
        text: String,
    },
}

impl Told for Ran {
    const HAS_VERSION: bool = true;

    fn people(&self) -> String {
        match self {
            Ran::Ran { .. } => String::new(),
            Ran::Planned { text, .. } => text.clone(),
        }
    }

    fn code(&self) -> i32 {
        match self {
            Ran::Ran { outcome, .. } => outcome.exit_code(),
            Ran::Planned { .. } => 0,
        }
    }
}

/// Why nothing ran, and what was wished, as far as that is known.
pub type Unrun = Box<(Error, Option<Spec>)>;

/// Carries a request out.
///
/// # Errors
///
/// Whatever keeps the command from being run.
pub fn carry_out(request: Result<Request, Error>, site: &Site<'_>) -> Result<Ran, Unrun> {
    let early = |error| Box::new((error, None));
    let request = request.map_err(early)?;
    let dry_run = request.dry_run;
    let store = site.home.is_some().then(|| site.store()).transpose().map_err(early)?;
    let order = resolve(request, site.home.as_deref()).map_err(early)?;
    let ran = match dry_run {
        true => process::plan(&order, store.as_ref()).map(|plan| Ran::Planned {
            version: 1,
            text: plan.to_string(),
            steps: plan.lines(),
            image: plan.image,
        }),
        false => {
            let mut announcer = Announcer::of(site, &order.spec);
            process::run_attended(&order, store.as_ref(), site.delivery(), site.ready.run, &mut announcer)
                .map(|outcome| Ran::Ran { outcome: Box::new(outcome), spec: Box::new(order.spec.clone()) })
        }
    };
    ran.map_err(|error| Box::new((error, Some(order.spec))))
}

impl Verb for Run {
    type Told = Ran;

    const RUNS_A_COMMAND: bool = true;

    fn faults(self, env: Env<'_>) -> Vec<Problem> {
        problems_of(self.request(env))
    }

    fn run(self, site: &Site<'_>) -> Result<Ran, Error> {
        carry_out(self.request(site.env), site).map_err(|unrun| unrun.0)
    }
}
