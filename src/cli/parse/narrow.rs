//! One verb, read with no more of the definition than it needs: that of all takes milliseconds, and belljar is started for each call.
//!
//! What reads well here means what it means to the whole definition, since both are made of the same parts. What does not is left to the
//! whole one, which says what is wrong, or helps.

use crate::cli::args::Verb;
use crate::verbs;
use clap::{Args, Command, FromArgMatches, Subcommand};
use std::ffi::OsString;

/// The verb of a command line, whose first word is the program's own name. `None`: it needs the whole definition.
pub fn read(words: &[OsString]) -> Option<Verb> {
    let rest = words.get(1..)?;
    let name = rest.first()?.to_str()?;
    Some(match name {
        "snapshot" => Verb::Snapshot(group(rest)?),
        "volume" => Verb::Volume(group(rest)?),
        "warm" => Verb::Warm(group(rest)?),
        "net" => Verb::Net(group(rest)?),
        "session" => Verb::Session(group(rest)?),
        "pty" => Verb::Pty(group(rest)?),
        "lsp" => Verb::Lsp(group(rest)?),
        "preview" => Verb::Preview(group(rest)?),
        "port" => Verb::Port(group(rest)?),
        "fs" => Verb::Fs(group(rest)?),
        "git" => Verb::Git(group(rest)?),
        "image" => Verb::Image(group(rest)?),
        _ if verbs::sandbox::Sandbox::has_subcommand(name) => Verb::Sandbox(one(words)?),
        _ if verbs::files::Copies::has_subcommand(name) => Verb::Copies(one(words)?),
        _ if verbs::host::Host::has_subcommand(name) => Verb::Host(one(words)?),
        _ => return None,
    })
}

/// A verb, or a group of them, that is one word of the command line.
fn group<A: Args>(words: &[OsString]) -> Option<A> {
    matched(A::augment_args(Command::new("belljar")), words)
}

/// One of several verbs that stand directly below `belljar`.
fn one<S: Subcommand>(words: &[OsString]) -> Option<S> {
    matched(S::augment_subcommands(Command::new("belljar")).subcommand_required(true), words)
}

fn matched<R: FromArgMatches>(command: Command, words: &[OsString]) -> Option<R> {
    command.try_get_matches_from(words).and_then(|mut matches| R::from_arg_matches_mut(&mut matches)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("belljar").chain(line.split(' ')).map(OsString::from).collect()
    }

    #[test]
    fn a_verb_means_the_same_read_alone_and_read_with_all_others() {
        let lines = [
            "start box",
            "stop box",
            "ls --json",
            "snapshot create box one",
            "volume ls",
            "warm create --ready 3 numbers",
            "net log box",
            "session ls box",
            "pty attach box one",
            "lsp box ls",
            "lsp box hover /f.py:1:2",
            "preview box 80",
            "port ls box",
            "fs stat box /x",
            "fs ls box",
            "git box status",
            "git box commit -m hello",
            "image ls",
            "cp box:/x here",
            "doctor",
        ];
        for line in lines {
            let words = words(line);
            let alone = read(&words).unwrap_or_else(|| panic!("`{line}` is not read alone"));
            let whole = super::super::whole(&words).unwrap_or_else(|wrong| panic!("{line}: {wrong:?}")).verb;
            assert_eq!(format!("{alone:?}"), format!("{whole:?}"), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_and_what_asks_for_help_is_left_to_the_whole_definition() {
        for line in
            ["git box", "git --help", "git box stat", "stop", "stop --help", "nothing", "fs", "--version", "help git"]
        {
            assert!(read(&words(line)).is_none(), "{line}");
        }
    }
}
