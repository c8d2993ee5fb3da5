//! Dockerfiles of one stage, in the forms that people and the clients' builders write.
//!
//! [`read`] takes the text alone, [`Text::plan`] the variables of what it begins with too: names are replaced as they are by Docker,
//! nowhere within single quotes. What is not understood, or cannot be done, is an error with the line's word; nothing is left out that
//! would make another image, but for what only concerns how others start it.

mod words;

use crate::serve::failure::{Answer, Failure};
use std::collections::BTreeMap;
use words::{expanded, split};

/// Where programs are looked for, unless an image says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One instruction, as it is written.
#[derive(Debug, PartialEq)]
struct Line {
    word: String,
    rest: String,
    /// What follows in lines of its own.
    here: Option<String>,
}

/// A Dockerfile, whose names are not replaced yet.
#[derive(Debug)]
pub struct Text {
    /// What it begins with.
    pub from: String,
    lines: Vec<Line>,
    given: BTreeMap<String, String>,
}

/// A step of a build.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// A command, with variables that hold for it alone beside those that were set.
    Run(Vec<String>, BTreeMap<String, String>),
    /// A variable, from here on and in the image.
    Env(String, String),
    /// Where it goes on; made where it is not there.
    Workdir(String),
    /// Files of the context.
    Copy(Copy),
}

/// Files of the context, and where they go.
#[derive(Debug, Default, PartialEq)]
pub struct Copy {
    /// Patterns, from the top of the context.
    pub sources: Vec<String>,
    /// A file, or a directory where it ends with a slash or there are several.
    pub to: String,
    /// Whose they are then.
    pub owner: Option<String>,
    /// Their permissions.
    pub mode: Option<String>,
    /// Whether archives are unpacked.
    pub unpacks: bool,
}

/// What is to be done, and how the image is to be used.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// In their order.
    pub steps: Vec<Step>,
    /// Variables of the image.
    pub env: BTreeMap<String, String>,
    /// Where commands begin.
    pub workdir: Option<String>,
    /// What runs by itself when a sandbox starts.
    pub entrypoint: Vec<String>,
}

fn wrong(word: &str, why: &str) -> Failure {
    Failure::bad(format!("dockerfile: {word}: {why}"))
}

/// Reads a Dockerfile.
///
/// # Errors
///
/// It has several stages, or none.
pub fn read(text: &str) -> Answer<Text> {
    let mut lines = lines_of(text)?;
    let at = lines.iter().position(|line| line.word == "FROM").ok_or_else(|| wrong("FROM", "is missing"))?;
    let rest = lines.split_off(at + 1);
    let from = lines.pop().map(|line| line.rest).unwrap_or_default();
    let mut given = BTreeMap::new();
    for line in lines {
        if line.word != "ARG" {
            return Err(wrong(&line.word, "stands before FROM"));
        }
        arguments(&line.rest, &mut given, &BTreeMap::new())?;
    }
    if rest.iter().any(|line| line.word == "FROM") {
        return Err(wrong("FROM", "there are several stages; one is built here"));
    }
    let from = expanded(&from, &|name| given.get(name).cloned());
    let from = from.split_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default().to_owned();
    if from.is_empty() {
        return Err(wrong("FROM", "names no image"));
    }
    Ok(Text { from, lines: rest, given })
}

/// Instructions: lines that go on are one, comments are none, and what stands in lines of its own goes along.
fn lines_of(text: &str) -> Answer<Vec<Line>> {
    let (mut all, mut logical) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && logical.is_empty()) {
            continue;
        }
        if let Some(more) = line.trim_end().strip_suffix('\\') {
            logical.push_str(if logical.is_empty() { more.trim_start() } else { more });
            continue;
        }
        logical.push_str(if logical.is_empty() { trimmed } else { line.trim_end() });
        let whole = std::mem::take(&mut logical);
        let (word, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole.as_str(), ""));
        let (word, rest) = (word.to_ascii_uppercase(), rest.trim().to_owned());
        let mut here = None;
        if matches!(word.as_str(), "RUN" | "COPY" | "ADD")
            && let Some((end, strips)) = here_of(&rest)
        {
            let mut inner = String::new();
            loop {
                let line = lines.next().ok_or_else(|| wrong(&word, &format!("`{end}` is missing at its end")))?;
                let line = if strips { line.trim_start_matches('\t') } else { line };
                if line == end {
                    break;
                }
                inner.push_str(line);
                inner.push('\n');
            }
            here = Some(inner);
        }
        all.push(Line { word, rest, here });
    }
    if logical.is_empty() { Ok(all) } else { Err(wrong("the last line", "goes on with nothing")) }
}

/// The word that ends what follows in lines of its own, and whether tabs before lines go.
fn here_of(rest: &str) -> Option<(String, bool)> {
    let word = rest.split_whitespace().find_map(|word| word.strip_prefix("<<"))?;
    let (word, strips) = word.strip_prefix('-').map_or((word, false), |word| (word, true));
    let word = word.trim_matches(['"', '\'']);
    let is_name = !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    is_name.then(|| (word.to_owned(), strips))
}

/// `ARG A B=c`.
fn arguments(rest: &str, given: &mut BTreeMap<String, String>, env: &BTreeMap<String, String>) -> Answer<()> {
    let know = |given: &BTreeMap<String, String>, name: &str| env.get(name).or_else(|| given.get(name)).cloned();
    let words = split(rest, &|name| know(given, name)).ok_or_else(|| wrong("ARG", "a quote has no end"))?;
    for word in words {
        if let Some((name, value)) = word.split_once('=') {
            given.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(())
}

/// Words in brackets, if it is a list of them.
fn list_of(rest: &str) -> Option<Vec<String>> {
    serde_json::from_str::<Vec<String>>(rest).ok().filter(|words| !words.is_empty())
}

impl Text {
    /// The steps, with all names replaced; `env` is what the base sets.
    ///
    /// # Errors
    ///
    /// Something is not understood, or not done here.
    pub fn plan(&self, env: &BTreeMap<String, String>) -> Answer<Plan> {
        let mut planning =
            Planning { base: env, plan: Plan::default(), given: BTreeMap::new(), shell: None, command: None };
        let mut entrypoint = Vec::new();
        for line in &self.lines {
            let rest = line.rest.as_str();
            match line.word.as_str() {
                "RUN" => planning.run(line)?,
                "ENV" => planning.env(rest)?,
                "WORKDIR" => planning.workdir(rest)?,
                "COPY" | "ADD" => planning.copy(line)?,
                "ARG" => {
                    // One that stands before FROM too has that value, where it has none here.
                    for name in rest.split_whitespace().filter(|word| !word.contains('=')) {
                        if let Some(value) = self.given.get(name) {
                            planning.given.insert(name.to_owned(), value.clone());
                        }
                    }
                    arguments(rest, &mut planning.given, &planning.plan.env)?;
                }
                "USER" => planning.user(rest)?,
                "SHELL" => {
                    planning.shell = Some(list_of(rest).ok_or_else(|| wrong("SHELL", "is no list of words"))?);
                }
                "ENTRYPOINT" => (entrypoint, planning.command) = (planning.started(rest), None),
                "CMD" => planning.command = Some(planning.started(rest)),
                // They only concern how others start and look at it.
                "LABEL" | "EXPOSE" | "HEALTHCHECK" | "STOPSIGNAL" | "MAINTAINER" | "VOLUME" => {}
                word => return Err(wrong(&word.escape_debug().to_string(), "is not understood")),
            }
        }
        entrypoint.extend(planning.command.take().unwrap_or_default());
        Ok(Plan { entrypoint, ..planning.plan })
    }
}

struct Planning<'b> {
    base: &'b BTreeMap<String, String>,
    plan: Plan,
    given: BTreeMap<String, String>,
    shell: Option<Vec<String>>,
    command: Option<Vec<String>>,
}

impl Planning<'_> {
    fn know(&self, name: &str) -> Option<String> {
        let known = self.plan.env.get(name).or_else(|| self.given.get(name)).or_else(|| self.base.get(name));
        known.cloned().or_else(|| (name == "PATH").then(|| PATH.to_owned()))
    }

    fn words(&self, word: &str, rest: &str) -> Answer<Vec<String>> {
        split(rest, &|name| self.know(name))
            .ok_or_else(|| wrong(word, &format!("`{}`: a quote has no end", rest.escape_debug())))
    }

    fn by_shell(&self, text: &str) -> Vec<String> {
        let shell = self.shell.clone().unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
        shell.into_iter().chain([text.to_owned()]).collect()
    }

    /// A command that starts by itself: words in brackets as they are, anything else by a shell.
    fn started(&self, rest: &str) -> Vec<String> {
        match serde_json::from_str::<Vec<String>>(rest) {
            Ok(words) => words,
            Err(_) => self.by_shell(rest),
        }
    }

    fn run(&mut self, line: &Line) -> Answer<()> {
        let mut rest = line.rest.as_str();
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, more) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
            // Without a cache it takes longer, and makes the same.
            if !flag.starts_with("mount=type=cache") {
                return Err(wrong("RUN", &format!("--{} is not done here", flag.escape_debug())));
            }
            rest = more.trim_start();
        }
        let command = match (&line.here, list_of(rest)) {
            (Some(script), _) => {
                let before = rest.split("<<").next().unwrap_or_default().trim();
                if before.is_empty() {
                    self.by_shell(script)
                } else {
                    self.by_shell(&format!(
                        "{rest}\n{script}{}\n",
                        here_of(rest).map(|(end, _)| end).unwrap_or_default()
                    ))
                }
            }
            (None, Some(words)) => words,
            (None, None) if rest.is_empty() => return Err(wrong("RUN", "is empty")),
            (None, None) => self.by_shell(rest),
        };
        self.plan.steps.push(Step::Run(command, self.given.clone()));
        Ok(())
    }

    /// `K=V K2='v w'`, or `K v w`.
    fn env(&mut self, rest: &str) -> Answer<()> {
        let first = rest.split_whitespace().next().unwrap_or_default();
        let pairs = if first.contains('=') {
            let words = self.words("ENV", rest)?;
            let pair = |word: String| {
                let pair = word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
                pair.ok_or_else(|| wrong("ENV", &format!("`{}` is no NAME=VALUE", word.escape_debug())))
            };
            words.into_iter().map(pair).collect::<Answer<Vec<_>>>()?
        } else {
            let (name, value) =
                rest.split_once(char::is_whitespace).ok_or_else(|| wrong("ENV", "a value is missing"))?;
            vec![(name.to_owned(), expanded(value.trim(), &|name| self.know(name)))]
        };
        for (name, value) in pairs {
            self.plan.steps.push(Step::Env(name.clone(), value.clone()));
            self.plan.env.insert(name, value);
        }
        Ok(())
    }

    fn below(&self, path: &str) -> String {
        match (path.starts_with('/'), &self.plan.workdir) {
            (true, _) => path.to_owned(),
            (false, workdir) => format!("{}/{path}", workdir.as_deref().unwrap_or_default().trim_end_matches('/')),
        }
    }

    fn workdir(&mut self, rest: &str) -> Answer<()> {
        let path = self.words("WORKDIR", rest)?.join(" ");
        if path.is_empty() {
            return Err(wrong("WORKDIR", "is empty"));
        }
        let path = self.below(&path);
        self.plan.steps.push(Step::Workdir(path.clone()));
        self.plan.workdir = Some(path);
        Ok(())
    }

    fn copy(&mut self, line: &Line) -> Answer<()> {
        let word = line.word.as_str();
        if line.here.is_some() {
            return Err(wrong(word, "files whose content stands in the Dockerfile are not made here; use RUN"));
        }
        let mut copy = Copy { unpacks: word == "ADD", ..Copy::default() };
        let mut rest = line.rest.as_str();
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, more) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            let value = expanded(value, &|name| self.know(name));
            match name {
                "chown" => copy.owner = Some(value),
                "chmod" => copy.mode = Some(value),
                // It changes layers, and there is one.
                "link" => {}
                _ => return Err(wrong(word, &format!("--{} is not done here", name.escape_debug()))),
            }
            rest = more.trim_start();
        }
        let mut words = match list_of(rest) {
            Some(words) => words.iter().map(|word| expanded(word, &|name| self.know(name))).collect(),
            None => self.words(word, rest)?,
        };
        let to = words.pop().filter(|_| !words.is_empty()).ok_or_else(|| wrong(word, "names no place"))?;
        for source in &words {
            if source.contains("://") || source.starts_with("git@") {
                return Err(wrong(
                    word,
                    &format!("`{}`: nothing is fetched from elsewhere; use RUN", source.escape_debug()),
                ));
            }
            if source.split('/').any(|part| part == "..") {
                return Err(wrong(word, &format!("`{}` lies outside of the context", source.escape_debug())));
            }
        }
        // What ends with `/.` is a directory too.
        let is_directory = to.ends_with('/') || to == "." || to.ends_with("/.");
        let whole = self.below(to.trim_end_matches("/.").trim_end_matches('/'));
        copy.to = match (is_directory || words.len() > 1, to.as_str()) {
            (_, "." | "./") => format!("{}/", self.below("").trim_end_matches('/')),
            (true, _) => format!("{}/", whole.trim_end_matches('/')),
            (false, _) => whole,
        };
        copy.sources = words;
        self.plan.steps.push(Step::Copy(copy));
        Ok(())
    }

    fn user(&mut self, rest: &str) -> Answer<()> {
        let user = expanded(rest, &|name| self.know(name));
        match user.split(':').next() {
            Some("root" | "0") => Ok(()),
            _ => Err(wrong(
                "USER",
                &format!(
                    "`{}`: a sandbox has one user, who may do everything in it; leave the line out",
                    user.escape_debug()
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
