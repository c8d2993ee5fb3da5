//! Errors of the command line in belljar's words: each parameter at fault, and a hint that works.
//!
//! clap finds the fault and we say it: none of clap's own sentences reaches people. A field is a parameter's name as `rpc` has
//! it. Nothing here is called for a command line that is right.

use crate::error::Problem;
use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;
use std::ffi::OsString;

/// The field of what is wrong with no parameter.
const LINE: &str = "command line";

/// The verb, or noun, whose words are wrong.
pub struct Place<'c> {
    /// Its definition.
    pub command: &'c Command,
    /// As it is typed, `belljar fs write`.
    pub name: &'c str,
}

impl Place<'_> {
    /// Everything that clap says is wrong with these words.
    pub fn problems(&self, error: &clap::Error, words: &[OsString]) -> Vec<Problem> {
        let at_fault = texts(error, ContextKind::InvalidArg);
        let fault = at_fault.first().copied().unwrap_or_default();
        let value = texts(error, ContextKind::InvalidValue).concat();
        let (field, message) = match error.kind() {
            ErrorKind::MissingRequiredArgument if !at_fault.is_empty() => return self.missing(error, &at_fault),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                (None, "no verb".to_owned())
            }
            ErrorKind::InvalidSubcommand => (
                None,
                format!("`{}` is no verb of `{}`", texts(error, ContextKind::InvalidSubcommand).concat(), self.name),
            ),
            ErrorKind::UnknownArgument if fault.len() > 1 && fault.starts_with('-') && !is_word(words, fault) => {
                (Some(fault), format!("`{}` is no option of `{}`", option(fault), self.name))
            }
            ErrorKind::UnknownArgument => (None, format!("`{fault}` is one word too many for `{}`", self.name)),
            ErrorKind::InvalidValue if value.is_empty() => (Some(fault), format!("`{}` has no value", option(fault))),
            ErrorKind::InvalidValue => {
                (Some(fault), format!("`{value}` is not {}", one_of(&texts(error, ContextKind::ValidValue))))
            }
            ErrorKind::TooManyValues => {
                (Some(fault), format!("`{}` takes no value, and `{value}` is one", option(fault)))
            }
            ErrorKind::ArgumentConflict => (Some(fault), conflict(fault, &texts(error, ContextKind::PriorArg))),
            ErrorKind::InvalidUtf8 => (None, not_text(words)),
            ErrorKind::ValueValidation => {
                let why = error.source().map_or_else(|| "is no value of it".to_owned(), ToString::to_string);
                (Some(fault), format!("`{value}`: {why}"))
            }
            // No option of ours takes several values or wants an equals sign, and the others are no faults of a command line.
            ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
                (Some(fault), format!("the value of `{}` is not understood", option(fault)))
            }
            _ => (None, "it is not understood".to_owned()),
        };
        let field = field.map_or_else(|| LINE.to_owned(), |shown| self.field(shown));
        vec![Problem::new(&field, message).hint(self.hint(error, fault, words))]
    }

    /// One problem for each parameter that is missing.
    fn missing(&self, error: &clap::Error, shown: &[&str]) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            shown.iter().map(|shown| Problem::new(&self.field(shown), "is missing")).collect();
        let usage = match error.get(ContextKind::Usage) {
            Some(ContextValue::StyledStr(usage)) => usage.to_string(),
            _ => String::new(),
        };
        let hint = match usage.trim().strip_prefix("Usage: ") {
            Some(usage) => {
                let forms: Vec<&str> = usage.lines().map(str::trim).collect();
                format!("write {}; `{} --help` tells more", listed(&forms, "or"), self.name)
            }
            None => format!("try `{} --help`", self.name),
        };
        // Said once, below the last of them.
        if let Some(last) = problems.last_mut() {
            last.hint = Some(hint);
        }
        problems
    }

    /// What is like the word that is wrong, and where all is told.
    fn hint(&self, error: &clap::Error, fault: &str, words: &[OsString]) -> String {
        let help = format!("try `{} --help`", self.name);
        let similar = |what: &str, kind| match texts(error, kind).as_slice() {
            [] => None,
            [one] => Some(format!("a similar {what} is `{one}`")),
            several => Some(format!("similar {what}s are {}", listed(several, "and"))),
        };
        let similar = [
            similar("verb", ContextKind::SuggestedSubcommand),
            similar("option", ContextKind::SuggestedArg),
            similar("value", ContextKind::SuggestedValue),
        ];
        let similar = similar.into_iter().flatten().next().or_else(|| self.below(fault, words));
        similar.map_or_else(|| help.clone(), |similar| format!("{similar}; {help}"))
    }

    /// That a verb of this noun has the option, which stands before that verb.
    fn below(&self, fault: &str, words: &[OsString]) -> Option<String> {
        let long = fault.strip_prefix("--")?;
        let verb = words.iter().find_map(|word| self.command.find_subcommand(word))?;
        let has = verb.get_arguments().any(|argument| argument.get_long() == Some(long));
        has.then(|| format!("an option stands behind its verb, as in `{} {} {fault}`", self.name, verb.get_name()))
    }

    /// The parameter that clap shows as `--cpu-time <TIME>` or `<PATH>`.
    fn field(&self, shown: &str) -> String {
        let known = self.command.get_arguments().find(|argument| argument.to_string() == shown);
        match known {
            Some(argument) => argument.get_id().to_string(),
            // That of a noun, which stands before its verb, has the name that it has in its verbs.
            None => option(shown).trim_start_matches('-').replace('-', "_").to_lowercase(),
        }
    }
}

/// `--cpu-time` of `--cpu-time <TIME>`; `PATH` of `<PATH>...`.
fn option(shown: &str) -> &str {
    let word = shown.split([' ', '=']).next().unwrap_or_default();
    if word.starts_with('-') { word } else { word.trim_matches(['<', '>', '[', ']', '.']) }
}

/// Whether it stands behind `--`, and so is no option.
fn is_word(words: &[OsString], fault: &str) -> bool {
    let mut parts = words.splitn(2, |word| word == "--");
    let mut has = |is: fn(&str, &str) -> bool| {
        parts.next().into_iter().flatten().any(|word| word.to_str().is_some_and(|word| is(word, fault)))
    };
    !has(|word, fault| word.starts_with(fault)) && has(|word, fault| word == fault)
}

fn conflict(fault: &str, others: &[&str]) -> String {
    let fault = option(fault);
    let others: Vec<&str> = others.iter().map(|other| option(other)).collect();
    match others.as_slice() {
        [] => format!("`{fault}` cannot be used with the other options"),
        [other] if *other == fault => format!("`{fault}` is given twice"),
        others => format!("`{fault}` cannot be used with {}", listed(others, "or")),
    }
}

fn not_text(words: &[OsString]) -> String {
    let word = words.iter().find(|word| word.to_str().is_none()).map(|word| word.display().to_string());
    format!("`{}` is not UTF-8", word.unwrap_or_default())
}

fn one_of(values: &[&str]) -> String {
    if values.is_empty() { "a value of it".to_owned() } else { listed(values, "or") }
}

/// `a`, `b` and `c`.
fn listed(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((end, begin)) if !begin.is_empty() => format!("{} {last} {end}", begin.join(", ")),
        _ => quoted.concat(),
    }
}

/// What clap knows of that kind.
fn texts(error: &clap::Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
