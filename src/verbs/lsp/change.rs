//! `lsp rename`, `format` and `actions`: edits that are shown, and made where that is asked for.

use super::look::place;
use super::server::File;
use super::{At, Of, ask, made_of};
use crate::error::{Error, Problem};
use crate::tools::Name;
use crate::tools::language::{Action, Asked, Edit, Point, Told as Item, What};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::words::{Text, number_or_none};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Edits of files.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FilesEdited"))]
pub struct Edited {
    /// By their paths.
    files: Vec<FileEdited>,
}

/// Edits of a file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileEdited {
    /// The file.
    path: Name,
    /// Whether it was changed; else this is what would be.
    written: bool,
    /// In the order of their places, which are those before any of them.
    edits: Vec<Edit>,
}

impl Edited {
    /// Asks for them.
    fn ask(site: &Site<'_>, (sandbox, asked): (Text, Asked)) -> Result<Edited, Error> {
        let mut told = Edited::default();
        let mut goes_on = false;
        ask(site, &sandbox, asked, &mut |item| told.take(item, &mut goes_on))?;
        Ok(told)
    }

    /// `goes_on`: whether the text of the last edit does.
    fn take(&mut self, item: Item, goes_on: &mut bool) -> bool {
        match (item, self.files.last_mut()) {
            (Item::File { path, done }, _) => self.files.push(FileEdited { path, written: done, edits: Vec::new() }),
            (Item::Edit { edit, more }, Some(file)) => {
                let is_rest = std::mem::replace(goes_on, more);
                match file.edits.last_mut().filter(|_| is_rest) {
                    Some(last) => last.text.push_str(&edit.text),
                    None => file.edits.push(edit),
                }
            }
            _ => return false,
        }
        true
    }
}

impl Told for Edited {
    fn people(&self) -> String {
        let mut lines = String::new();
        for file in &self.files {
            let done = if file.written { "changed" } else { "would change" };
            lines.push_str(&format!("{}: {done} in {} places\n", file.path, file.edits.len()));
            for edit in &file.edits {
                let end = edit.range.end;
                let at = place(&file.path, edit.range.start);
                lines.push_str(&format!("{at}-{}:{}: {:?}\n", end.line, end.column, edit.text));
            }
        }
        lines
    }
}

/// `belljar lsp SANDBOX rename`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspRename"))]
pub struct Rename {
    /// Which server.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub of: Of,
    /// Where.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub at: At,
    /// What to.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub to: Renaming,
}

/// Another name.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspRenaming"))]
pub struct Renaming {
    /// The new name
    #[arg(value_name = "NAME")]
    name: Text,
    /// Change the files, instead of showing what would change
    #[arg(long)]
    #[serde(default)]
    write: bool,
}

/// `belljar lsp SANDBOX format`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspFormat"))]
pub struct Format {
    /// Which server.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub of: Of,
    /// Which file.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub file: File,
    /// Whether it is changed.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub how: Writing,
}

/// Whether files are changed.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspWriting"))]
pub struct Writing {
    /// Change the file, instead of showing what would change
    #[arg(long)]
    #[serde(default)]
    write: bool,
}

/// `belljar lsp SANDBOX actions`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspActions"))]
pub struct Actions {
    /// Which server.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub of: Of,
    /// Where.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub at: At,
    /// What.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub what: Acting,
}

/// Which action, and how far it reaches.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspActing"))]
pub struct Acting {
    /// The line where the range ends [default: it is a place]
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    end_line: Option<u32>,
    /// The column before which the range ends [default: that of the place]
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    end_column: Option<u32>,
    /// Do the action of this number, instead of listing all; the files are changed
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    apply: Option<u32>,
    /// With --apply show what would change, and change nothing
    #[arg(long, requires = "apply")]
    #[serde(default)]
    dry_run: bool,
}

made_of! {
    Rename { of: Of, at: At, to: Renaming }
    Format { of: Of, file: File, how: Writing }
    Actions { of: Of, at: At, what: Acting }
}

impl Rename {
    fn asked(self) -> Result<(Text, Asked), Error> {
        let mut faults = Faults::default();
        let place = self.at.place(&mut faults);
        faults.not_empty("name", Some(&self.to.name));
        let what = What::Rename { place, name: self.to.name.0, write: self.to.write };
        let asked = self.of.asked(what, &mut faults);
        faults.none().map(|()| asked)
    }
}

impl Verb for Rename {
    type Told = Edited;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<Edited, Error> {
        Edited::ask(site, self.asked()?)
    }
}

impl Format {
    fn asked(self) -> Result<(Text, Asked), Error> {
        let mut faults = Faults::default();
        let what = What::Format { path: self.file.path(&mut faults), write: self.how.write };
        let asked = self.of.asked(what, &mut faults);
        faults.none().map(|()| asked)
    }
}

impl Verb for Format {
    type Told = Edited;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<Edited, Error> {
        Edited::ask(site, self.asked()?)
    }
}

/// What could be done, or what was.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeActions"))]
pub struct Acted {
    /// What could be done; nothing where one was.
    actions: Vec<Action>,
    /// The edits of the one that was done.
    files: Vec<FileEdited>,
}

impl Actions {
    fn asked(self) -> Result<(Text, Asked), Error> {
        let mut faults = Faults::default();
        let place = self.at.place(&mut faults);
        let start = place.point;
        let end = Point {
            line: self.what.end_line.unwrap_or(start.line),
            column: self.what.end_column.unwrap_or(start.column),
        };
        if end < start {
            faults.0.push(Problem::new("end_line", "the range ends before it begins"));
        }
        if self.what.dry_run && self.what.apply.is_none() {
            faults
                .0
                .push(Problem::new("dry_run", "is for `apply`").hint("leave it out: without `apply` nothing changes"));
        }
        let (apply, write) = (self.what.apply, !self.what.dry_run);
        let asked = self.of.asked(What::Actions { path: place.path, start, end, apply, write }, &mut faults);
        faults.none().map(|()| asked)
    }
}

impl Verb for Actions {
    type Told = Acted;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<Acted, Error> {
        let (sandbox, asked) = self.asked()?;
        let (mut actions, mut edited, mut goes_on) = (Vec::new(), Edited::default(), false);
        ask(site, &sandbox, asked, &mut |item| match item {
            Item::Action(one) => {
                actions.push(one);
                true
            }
            item => edited.take(item, &mut goes_on),
        })?;
        Ok(Acted { actions, files: edited.files })
    }
}

impl Told for Acted {
    fn people(&self) -> String {
        let line = |one: &Action| {
            let mark = if one.preferred { " (preferred)" } else { "" };
            let why = one.disabled.as_ref().map(|why| format!(" (cannot be taken: {why})")).unwrap_or_default();
            format!("{}  {}{mark}{why}\n", one.number, one.title)
        };
        let listed: String = self.actions.iter().map(line).collect();
        let files = self.files.iter().map(|file| {
            let done = if file.written { "changed" } else { "would change" };
            format!("{}: {done} in {} places\n", file.path, file.edits.len())
        });
        listed + &files.collect::<String>()
    }
}
