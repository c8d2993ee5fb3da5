//! `create` and `import`: new persistent sandboxes, or ones from a file.

use super::faults::{Env, Faults, problems_of};
use super::git::Reach;
use super::git::made::FromGit;
use super::options::{Options, OwnOptions, SandboxOptions};
use super::parameters::Take;
use super::published;
use super::resolve::resolve;
use super::sandbox::Made;
use super::wish::{self, Request};
use super::words::{Time, Word, many, pairs};
use super::{Site, Verb};
use crate::error::{Error, Kind, Problem};
use crate::sandbox::{self, Wish};
use crate::spec::{self, Program};
use crate::trees::progress::Followed;
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const LIFE: &str = "Life";
const GIT: &str = "Repository";

/// `belljar create`.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[command(
    override_usage = "belljar create [OPTIONS] [NAME] [-- COMMAND [ARG]...]",
    after_help = "Without a COMMAND it lasts until it is stopped, with one until that ends. It is removed when it ends, with all of \
its files, unless `--keep` is given. Sandboxes are kept in $BELLJAR_HOME, else $XDG_DATA_HOME/belljar, else ~/.local/share/belljar."
)]
pub struct Create {
    /// The options of the sandbox.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub options: SandboxOptions,
    /// How it lasts.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub life: Life,
    /// The repository that it is made with.
    #[command(flatten, next_help_heading = GIT)]
    #[cfg_attr(test, schemars(flatten))]
    pub from: FromGit,
    /// How that is reached.
    #[command(flatten, next_help_heading = GIT)]
    #[cfg_attr(test, schemars(flatten))]
    pub reach: Box<Reach>,
}

/// How a sandbox lasts, and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Life {
    /// Keep it, with its files, when it ends [default: off]
    #[arg(long, help_heading = LIFE)]
    #[serde(default)]
    pub keep: bool,
    /// Remove it after this time, as in 30s or 2h [default: never]
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub ttl: Option<Time>,
    /// Stop it when it was not called for this time [default: never]
    ///
    /// A command that runs by `exec` is a call, what goes on in the background is not.
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub idle_stop: Option<Time>,
    /// Remove it when it was not called for this time [default: never]
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub idle_rm: Option<Time>,
    /// Give it a label (repeatable) [default: none]
    #[arg(long, value_name = "K=V", help_heading = LIFE)]
    #[serde(default, deserialize_with = "pairs")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Pairs"))]
    pub label: Vec<Word>,
    /// What to call it [default: its id]
    #[arg(value_name = "NAME")]
    pub name: Option<Word>,
    /// The sandbox's own command and its arguments
    #[arg(value_name = "COMMAND", last = true, num_args = 0..)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub command: Vec<Word>,
}

impl Take for Create {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Create> {
        let (options, life) = (SandboxOptions::take(given, problems), Life::take(given, problems));
        let (from, reach) = (FromGit::take(given, problems), Reach::take(given, problems));
        Some(Create { options: options?, life: life?, from: from?, reach: Box::new(reach?) })
    }

    fn names() -> Vec<&'static str> {
        [SandboxOptions::names(), Life::names(), FromGit::names(), Reach::names()].concat()
    }
}

impl Create {
    /// What is asked for; nothing is opened.
    ///
    /// # Errors
    ///
    /// `invalid`, with everything that is wrong with it.
    pub fn request(self, env: Env<'_>) -> Result<(Request, Wish), Error> {
        let mut faults = Faults::default();
        if let Err(error) = self.from.check(&self.reach, !self.life.command.is_empty()) {
            faults.0.extend(error.problems);
        }
        let Life { keep, ttl, idle_stop, idle_rm, label, name, command } = self.life;
        let words: Vec<_> = command.into_iter().map(|word| word.0).collect();
        let program = if words.is_empty() { Program::Nothing } else { Program::Command(words) };
        let labels = label.iter().filter_map(|label| faults.label(label)).collect();
        let mut time =
            |field, word: Option<Time>| word.and_then(|word| faults.unit(field, &*word, spec::parse_duration));
        let wish = Wish {
            ttl: time("ttl", ttl),
            idle_stop: time("idle_stop", idle_stop),
            idle_rm: time("idle_rm", idle_rm),
            keep,
            labels,
            name: name.and_then(|name| faults.text("name", name.0)),
        };
        let options = Options { sandbox: self.options, own: OwnOptions::default() };
        Ok((lasting(wish::finish(options, Some(program), None, env, &mut faults)?), wish))
    }
}

/// It lasts until it is stopped, unless somebody says otherwise.
pub fn lasting(mut request: Request) -> Request {
    request.ambient.timeout = Some(None);
    request
}

/// A spec that cannot be is a request that is not understood.
pub fn misused(error: Error) -> Error {
    let kind = if error.kind == Kind::Invalid { Kind::Misused } else { error.kind };
    Error { kind, ..error }
}

impl Verb for Create {
    type Told = Made;

    fn faults(self, env: Env<'_>) -> Vec<Problem> {
        problems_of(self.request(env))
    }

    fn run(self, site: &Site<'_>) -> Result<Made, Error> {
        let (from, reach) = (self.from.clone(), self.reach.clone());
        let (request, wish) = self.request(site.env).map_err(misused)?;
        let (sandboxes, store) = (site.sandboxes()?, site.store()?);
        let mut order = resolve(request, site.home.as_deref()).map_err(misused)?;
        let repository = from.open(&reach, site)?;
        let lent = repository.as_ref().map(|wanted| wanted.lent(&mut order.spec)).transpose()?.flatten();
        let wanted = order.spec.publish.clone();
        // What is lent for a repository is of this one only.
        let ready = site.ready.sandboxes.filter(|_| repository.is_none());
        let (entry, run) = sandbox::create_or_take(&sandboxes, Some(&store), order, &wish, ready)?;
        let mut made = Made::of((entry.clone(), run));
        if let Some(repository) = repository {
            match repository.bring(site, entry, lent) {
                Ok(cloned) => made.git = Some(cloned),
                Err(error) => {
                    // The result is why there is no repository; that the sandbox is still there is said too.
                    match sandbox::remove(&sandboxes, &made.id, true) {
                        Err(left) if left.kind != Kind::NotFound => (site.complain)(&left),
                        _ => {}
                    }
                    return Err(error);
                }
            }
        }
        published::say(site, &wanted, &made.published);
        Ok(made)
    }
}

/// `belljar import`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[command(
    override_usage = "belljar import [OPTIONS] FILE [NAME]",
    after_help = "Limits, variables, command and labels are the file's, unless options say otherwise. What is the host's is never taken from a file: give \
`--mount`, `--volume`, `--net` and the like again."
)]
pub struct Import {
    /// The options of the sandbox, over those of the file.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub options: SandboxOptions,
    /// Where it comes from.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub from: From,
}

/// Where a sandbox comes from.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct From {
    /// The file, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: Word,
    /// What to call it [default: as it was called]
    #[arg(value_name = "NAME")]
    pub name: Option<Word>,
}

impl Take for Import {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Import> {
        let (options, from) = (SandboxOptions::take(given, problems), From::take(given, problems));
        Some(Import { options: options?, from: from? })
    }

    fn names() -> Vec<&'static str> {
        [SandboxOptions::names(), From::names()].concat()
    }
}

impl Import {
    /// What is wished over what the file says, the name, and the file.
    fn request(self, env: Env<'_>) -> Result<(Request, Option<String>, Word), Error> {
        let mut faults = Faults::default();
        let name = self.from.name.and_then(|name| faults.text("name", name.0));
        if self.options.image.is_some() {
            faults.0.push(Problem::new("image", "the file says which image it is").hint("leave `--image` out"));
        }
        let options = Options { sandbox: self.options, own: OwnOptions::default() };
        // The file says what runs, so that none is missing here.
        let mut request = lasting(wish::finish(options, Some(Program::Nothing), None, env, &mut faults)?);
        request.wish.program = None;
        Ok((request, name, self.from.file))
    }
}

impl Verb for Import {
    type Told = Made;

    fn faults(self, env: Env<'_>) -> Vec<Problem> {
        problems_of(self.request(env))
    }

    fn run(self, site: &Site<'_>) -> Result<Made, Error> {
        let (mut request, name, file) = self.request(site.env).map_err(misused)?;
        let (sandboxes, store) = (site.sandboxes()?, site.store()?);
        let mut size = None;
        let opened: Box<dyn Read> = if &*file == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            let hint = "name a file that `belljar export` wrote";
            let unread = |error| Error::of_file("file", Path::new(&*file), &error).hint(hint);
            let opened = File::open(&file.0).map_err(unread)?;
            if opened.metadata().map_err(unread)?.is_dir() {
                return Err(unread(std::io::Error::from_raw_os_error(libc::EISDIR)));
            }
            size = opened.metadata().ok().filter(std::fs::Metadata::is_file).map(|found| found.len());
            Box::new(opened)
        };
        let progress = (site.progress)();
        let task = progress.begin(&format!("importing {}", file.to_string_lossy()), size);
        let mut brought = sandbox::read(Box::new(Followed::new(opened, task)))?;
        request.ambient = request.ambient.over(brought.spec.clone());
        let had = std::mem::take(&mut brought.network);
        let order = resolve(request, site.home.as_deref()).map_err(misused)?;
        if let Some(name) = name {
            brought.name = name;
        }
        let wanted = order.spec.publish.clone();
        let without = !order.spec.net.has_policy();
        let made = sandbox::import(&sandboxes, &store, brought, order).map(Made::of)?;
        published::say(site, &wanted, &made.published);
        if without && !had.is_empty() {
            (site.say)(&format!("left out its network, which was made with {}", had.join(" ")));
        }
        Ok(made)
    }
}
