//! One call of git in a sandbox.

use super::brought;
use crate::error::{Error, Kind, Problem};
use crate::git::{self, Deed};
use crate::outcome::{Encoding, Outcome, Status};
use crate::process::Delivery;
use crate::sandbox::{self, Exec};
use crate::spec::OutputLimit;
use crate::verbs::Site;
use crate::verbs::words::Word;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::cell::Cell;
use std::ffi::{OsStr, OsString};

/// Bytes that one call may print.
const LONGEST: u64 = 64 << 20;

/// A repository in a sandbox.
pub struct Repository<'a> {
    site: &'a Site<'a>,
    sandbox: &'a str,
    path: &'a OsStr,
    /// Variables on top of those of every call.
    pub env: Vec<(OsString, OsString)>,
    /// What git is called there, once it has answered.
    program: Cell<Option<&'static str>>,
}

/// What a call has printed, and its exit code.
pub struct Answer {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub code: i32,
}

impl<'a> Repository<'a> {
    /// That in the directory `path`, or above it.
    pub fn new(site: &'a Site<'a>, sandbox: &'a str, path: &'a Word) -> Repository<'a> {
        Repository { site, sandbox, path: path.as_ref(), env: Vec::new(), program: Cell::new(None) }
    }

    /// Asks something; what git prints.
    pub fn look<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Result<Vec<u8>, Error> {
        self.succeed(Deed::Look, words)
    }

    /// Changes something; what git prints.
    pub fn change<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Result<Vec<u8>, Error> {
        self.succeed(Deed::Change, words)
    }

    fn succeed<W: AsRef<OsStr>>(&self, deed: Deed, words: impl IntoIterator<Item = W>) -> Result<Vec<u8>, Error> {
        let words: Vec<OsString> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let verb = verb_of(&words);
        let answer = self.call(deed, &words)?;
        match answer.code {
            0 => Ok(answer.stdout),
            _ => Err(self.failure(&verb, &answer)),
        }
    }

    /// What git complains of.
    pub fn failure(&self, verb: &str, answer: &Answer) -> Error {
        let error = git::failure(verb, &answer.stdout, &answer.stderr);
        if error.kind == Kind::NotARepository || (error.kind == Kind::NotFound && answer.is_about_directory()) {
            return error.about(&crate::name::Name::from(self.path.to_owned()));
        }
        error
    }

    /// Calls it, whatever becomes of that.
    pub fn call(&self, deed: Deed, words: &[OsString]) -> Result<Answer, Error> {
        if let Some(program) = self.program.get() {
            return self.call_it(program, deed, words);
        }
        brought::with(self.site, self.sandbox, |program| {
            let answer = self.call_it(program, deed, words)?;
            self.program.set(Some(program));
            Ok(answer)
        })
    }

    fn call_it(&self, program: &str, deed: Deed, words: &[OsString]) -> Result<Answer, Error> {
        let mut env = git::variables(deed);
        env.extend(self.env.iter().cloned());
        let exec = Exec {
            words: [vec![program.into()], git::words(self.path, words)].concat(),
            env,
            // Nobody types anything.
            stdin: Some("/dev/null".into()),
            output_limit: Some(OutputLimit { bytes: LONGEST, kill: false }),
            ..Exec::default()
        };
        let delivery = Delivery { capture: true, fail_step: None };
        let (sandboxes, store) = (self.site.sandboxes()?, self.site.store()?);
        let (outcome, _) = sandbox::exec(&sandboxes, self.sandbox, Some(&store), &exec, delivery)?;
        Answer::of(outcome)
    }
}

/// The verb of git among its words.
fn verb_of(words: &[OsString]) -> String {
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.to_str() {
            Some("-c") => drop(rest.next()),
            Some(verb) if !verb.starts_with('-') => return verb.to_owned(),
            _ => {}
        }
    }
    String::new()
}

impl Answer {
    fn of(outcome: Outcome) -> Result<Answer, Error> {
        if let Some(error) = outcome.error {
            return Err(error);
        }
        let Some(output) = outcome.output else {
            return Err(Error::new(Kind::Failed, "git inside has ended and nothing it wrote was kept"));
        };
        let code = match (outcome.status, outcome.exit_code) {
            (Status::Exited, Some(code)) => code,
            (status, _) => {
                let how = outcome.signal.unwrap_or_else(|| format!("{status:?}"));
                return Err(Error::new(Kind::Ended, format!("git inside was ended before it was done ({how})")));
            }
        };
        if output.stdout_truncated {
            let error = Error::new(Kind::TooLarge, "git inside printed more than 64 MiB");
            return Err(error.hint("ask for less at once, as with `--limit`, or name files"));
        }
        let bytes = |text: String, encoding| match encoding {
            Encoding::Utf8 => Ok(text.into_bytes()),
            Encoding::Base64 => STANDARD.decode(text).map_err(|error| Error::new(Kind::Failed, error.to_string())),
        };
        let stdout = bytes(output.stdout, output.stdout_encoding)?;
        let stderr = bytes(output.stderr, output.stderr_encoding)?;
        Ok(Answer { stdout, stderr, code })
    }

    /// Whether the directory that git was to go to is not there.
    fn is_about_directory(&self) -> bool {
        self.stderr.windows(16).any(|window| window == b"cannot change to")
    }
}

/// Refuses names that git would take for options or for nothing: what is wrong with each parameter that was given.
pub fn check_names<'w>(names: impl IntoIterator<Item = (&'static str, Option<&'w Word>)>) -> Result<(), Error> {
    check(names, git::why_no_name)
}

/// The same of what is a branch, tag or commit of another repository and nothing else.
pub fn check_branch(field: &'static str, name: Option<&Word>) -> Result<(), Error> {
    check([(field, name)], git::why_no_branch)
}

fn check<'w>(
    names: impl IntoIterator<Item = (&'static str, Option<&'w Word>)>,
    why: impl Fn(&OsStr) -> Option<&'static str>,
) -> Result<(), Error> {
    let given = names.into_iter().filter_map(|(field, word)| Some((field, word?)));
    let problems: Vec<Problem> = given
        .filter_map(|(field, word)| Some(Problem::new(field, why(word)?)))
        .map(|problem| problem.hint("as in `main`, `origin` or the first digits of a commit"))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::misused(problems)) }
}
