//! `lsp start`, `stop`, `ls`, `open` and `close`.

use super::{Of, ask, ask_state, file, made_of, timeout};
use crate::error::{Error, Problem};
use crate::spec;
use crate::tools::Name;
use crate::tools::language::{Asked, Phase, State, Told as Item, Units, What};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::text::{heading, table};
use crate::verbs::words::{Text, Time, Word, many};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};

/// `belljar lsp SANDBOX start`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspStart"))]
pub struct Start {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The language, as in `python`
    #[arg(value_name = "LANG")]
    language: Text,
    /// The project's directory [default: the sandbox's working directory]
    #[arg(value_name = "PROJECT")]
    project: Option<Word>,
    /// Stop it when nobody has asked for so long [default: 15m]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    idle: Option<Time>,
    /// How long it may take [default: 20s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
    /// The server's command and its arguments [default: that of the image's table, or of belljar's]
    #[arg(value_name = "COMMAND", last = true, num_args = 0..)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Text>"))]
    server: Vec<Text>,
}

/// A server that somebody wanted something of.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LanguageServerTold"))]
pub struct One(State);

impl Told for One {
    fn people(&self) -> String {
        let one = &self.0;
        format!("{} in {}: {}, by {}\n", one.language, one.project, one.state.name(), one.server.join(" "))
    }
}

impl Start {
    fn asked(self) -> Result<(Text, Asked), Error> {
        let mut faults = Faults::default();
        let idle = self.idle.as_ref().and_then(|time| faults.unit("idle", &**time, spec::parse_duration));
        let timeout_ms = timeout(self.timeout.as_ref(), &mut faults).as_millis() as u64;
        let server = self.server.into_iter().map(|word| word.0).collect();
        let what = What::Start { server, idle_ms: idle.map(|time| time.as_millis() as u64) };
        let (language, project) = (Some(self.language.0), self.project.map(Name::from));
        faults.none()?;
        Ok((self.sandbox, Asked { language, project, timeout_ms, units: Units::default(), what }))
    }
}

impl Verb for Start {
    type Told = One;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<One, Error> {
        let (sandbox, asked) = self.asked()?;
        ask_state(site, &sandbox, asked).map(One)
    }
}

/// A question about a server that needs no time of it.
fn at_once(language: Option<Text>, project: Option<Word>, what: What) -> Asked {
    let timeout_ms = super::TIMEOUT.as_millis() as u64;
    let (language, project) = (language.map(|language| language.0), project.map(Name::from));
    Asked { language, project, timeout_ms, units: Units::default(), what }
}

/// `belljar lsp SANDBOX stop`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspStop"))]
pub struct Stop {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The language
    #[arg(value_name = "LANG")]
    language: Text,
    /// The project's directory [default: that of the only server of the language, or the sandbox's working directory]
    #[arg(value_name = "PROJECT")]
    project: Option<Word>,
}

impl Verb for Stop {
    type Told = One;

    fn run(self, site: &Site<'_>) -> Result<One, Error> {
        let asked = at_once(Some(self.language), self.project, What::Stop);
        ask_state(site, &self.sandbox, asked).map(One)
    }
}

/// `belljar lsp SANDBOX ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspLs"))]
pub struct Ls {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
}

/// The servers of a sandbox.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LanguageServers"))]
pub struct Servers {
    /// By their sessions.
    servers: Vec<State>,
}

impl Verb for Ls {
    type Told = Servers;

    fn run(self, site: &Site<'_>) -> Result<Servers, Error> {
        let mut servers = Vec::new();
        ask(site, &self.sandbox, at_once(None, None, What::Look), &mut |told| match told {
            Item::State(one) => {
                servers.push(one);
                true
            }
            _ => false,
        })?;
        Ok(Servers { servers })
    }
}

impl Told for Servers {
    fn people(&self) -> String {
        if self.servers.is_empty() {
            return "no language servers\n".to_owned();
        }
        let mut rows = vec![heading(["LANGUAGE", "PROJECT", "STATE", "DOCUMENTS", "RESTARTS", "SERVER", "FAILURE"])];
        rows.extend(self.servers.iter().map(|one| {
            let failure = if one.state == Phase::Running { None } else { one.failure.clone() };
            vec![
                one.language.clone(),
                one.project.to_string(),
                one.state.name().to_owned(),
                one.documents.to_string(),
                one.restarts.to_string(),
                one.server.join(" "),
                failure.unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
            ]
        }));
        table(&rows)
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspFile"))]
pub struct File {
    /// The file inside
    #[arg(value_name = "FILE")]
    file: Word,
}

impl File {
    /// Its path.
    pub fn path(&self, faults: &mut Faults) -> Name {
        file(&self.file, faults)
    }
}

/// `belljar lsp SANDBOX open`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspOpen"))]
pub struct Open {
    /// Which server.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub of: Of,
    /// Which file.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub file: File,
}

/// `belljar lsp SANDBOX close`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspClose"))]
pub struct Close {
    /// Which server.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub of: Of,
    /// Which file.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub file: File,
}

made_of! {
    Open { of: Of, file: File }
    Close { of: Of, file: File }
}

fn about_a_file(of: Of, file: &File, what: impl FnOnce(Name) -> What) -> Result<(Text, Asked), Error> {
    let mut faults = Faults::default();
    let path = file.path(&mut faults);
    let asked = of.asked(what(path), &mut faults);
    faults.none().map(|()| asked)
}

impl Verb for Open {
    type Told = One;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(about_a_file(self.of, &self.file, |path| What::Open { path }))
    }

    fn run(self, site: &Site<'_>) -> Result<One, Error> {
        let (sandbox, asked) = about_a_file(self.of, &self.file, |path| What::Open { path })?;
        ask_state(site, &sandbox, asked).map(One)
    }
}

impl Verb for Close {
    type Told = One;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(about_a_file(self.of, &self.file, |path| What::Close { path }))
    }

    fn run(self, site: &Site<'_>) -> Result<One, Error> {
        let (sandbox, asked) = about_a_file(self.of, &self.file, |path| What::Close { path })?;
        ask_state(site, &sandbox, asked).map(One)
    }
}
