//! `lsp diagnostics`.

use super::look::place;
use super::{Of, ask, file, made_of};
use crate::error::{Error, Problem};
use crate::tools::Name;
use crate::tools::language::{self, Asked, Told as Item, What};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::words::{Text, Word, some};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};

/// `belljar lsp SANDBOX diagnostics`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspDiagnostics"))]
pub struct Diagnostics {
    /// Which server.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub of: Of,
    /// Which files.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub files: Files,
}

/// Files of one project.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspFiles"))]
pub struct Files {
    /// Files inside, of one language and project
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Word>"))]
    file: Vec<Word>,
}

made_of! { Diagnostics { of: Of, files: Files } }

/// What is wrong with files.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FilesDiagnosed"))]
pub struct Diagnosed {
    /// In the order in which they were named.
    files: Vec<FileDiagnosed>,
}

/// What is wrong with a file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileDiagnosed {
    /// The file.
    path: Name,
    /// Whether the server has said anything of it, as it is now, in time. Where it has not, nobody knows whether something is wrong.
    published: bool,
    /// What is wrong.
    diagnostics: Vec<language::Diagnostic>,
}

impl Diagnostics {
    fn asked(self) -> Result<(Text, Asked), Error> {
        let mut faults = Faults::default();
        let paths = self.files.file.iter().map(|word| file(word, &mut faults)).collect();
        let asked = self.of.asked(What::Diagnostics { paths }, &mut faults);
        faults.none().map(|()| asked)
    }
}

impl Verb for Diagnostics {
    type Told = Diagnosed;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<Diagnosed, Error> {
        let (sandbox, asked) = self.asked()?;
        let mut files: Vec<FileDiagnosed> = Vec::new();
        ask(site, &sandbox, asked, &mut |item| match (item, files.last_mut()) {
            (Item::File { path, done }, _) => {
                files.push(FileDiagnosed { path, published: done, diagnostics: Vec::new() });
                true
            }
            (Item::Diagnostic(one), Some(file)) => {
                file.diagnostics.push(one);
                true
            }
            _ => false,
        })?;
        Ok(Diagnosed { files })
    }
}

impl Told for Diagnosed {
    fn people(&self) -> String {
        let mut lines = String::new();
        for file in &self.files {
            if !file.published {
                lines.push_str(&format!("{}: the server has said nothing of it in time\n", file.path));
            }
            for one in &file.diagnostics {
                let code = one.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
                let message = one.message.replace('\n', "\n    ");
                let at = place(&file.path, one.range.start);
                lines.push_str(&format!("{at}: {}: {message}{code}\n", one.severity.name()));
            }
        }
        lines
    }

    /// A file of which nothing is known is not a file with which nothing is wrong.
    fn code(&self) -> i32 {
        i32::from(self.files.iter().any(|file| !file.published))
    }
}
