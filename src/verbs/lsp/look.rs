//! `lsp completions`, `hover`, `signature`, `definition`, `references`, `symbols` and `find`.

use super::server::File;
use super::{At, Of, ask, made_of, timeout};
use crate::error::{Error, Problem};
use crate::tools::Name;
use crate::tools::language::{self, Asked, Location, Place, Symbol, Told as Item, Units, What};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::text::table;
use crate::verbs::words::{Text, Time, Word};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Verbs about a place.
macro_rules! at_a_place {
    ($($(#[doc = $about:literal])+ $verb:ident, $name:literal, $told:ty;)+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Args)]
        #[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = $name))]
        pub struct $verb {
            /// Which server.
            #[command(flatten)]
            #[cfg_attr(test, schemars(flatten))]
            pub of: Of,
            /// Where.
            #[command(flatten)]
            #[cfg_attr(test, schemars(flatten))]
            pub at: At,
        }

        made_of! { $verb { of: Of, at: At } }

        impl $verb {
            fn asked(self) -> Result<(Text, Asked), Error> {
                about_a_place(self.of, &self.at, What::$verb)
            }
        }

        impl Verb for $verb {
            type Told = $told;

            fn faults(self, _: Env<'_>) -> Vec<Problem> {
                problems_of(self.asked())
            }

            fn run(self, site: &Site<'_>) -> Result<$told, Error> {
                let (sandbox, asked) = self.asked()?;
                let mut told = <$told>::default();
                ask(site, &sandbox, asked, &mut |item| told.take(item))?;
                Ok(told)
            }
        }
    )+};
}

at_a_place! {
    /// `belljar lsp SANDBOX completions`.
    Completions, "LspCompletions", Completed;
    /// `belljar lsp SANDBOX hover`.
    Hover, "LspHover", Hovered;
    /// `belljar lsp SANDBOX signature`.
    Signature, "LspSignature", Signatures;
    /// `belljar lsp SANDBOX definition`.
    Definition, "LspDefinition", Locations;
    /// `belljar lsp SANDBOX references`.
    References, "LspReferences", Locations;
}

fn about_a_place(of: Of, at: &At, what: impl FnOnce(Place) -> What) -> Result<(Text, Asked), Error> {
    let mut faults = Faults::default();
    let place = at.place(&mut faults);
    let asked = of.asked(what(place), &mut faults);
    faults.none().map(|()| asked)
}

/// What could stand there.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CompletionList"))]
pub struct Completed {
    /// Whether there are more, which are told when more is typed.
    incomplete: bool,
    /// In the order in which the server says them.
    items: Vec<language::Completion>,
}

impl Completed {
    fn take(&mut self, item: Item) -> bool {
        match item {
            Item::Incomplete => self.incomplete = true,
            Item::Completion(one) => self.items.push(one),
            _ => return false,
        }
        true
    }
}

impl Told for Completed {
    fn people(&self) -> String {
        let row = |one: &language::Completion| {
            let detail = one.detail.as_deref().unwrap_or_default().lines().next().unwrap_or_default().to_owned();
            vec![one.label.clone(), one.kind.clone().unwrap_or_default(), detail]
        };
        table(&self.items.iter().map(row).collect::<Vec<_>>())
    }
}

/// What is known of it.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Hovered"))]
pub struct Hovered {
    /// Null where nothing is.
    hover: Option<language::Hover>,
}

impl Hovered {
    fn take(&mut self, item: Item) -> bool {
        match item {
            Item::Hover(one) => self.hover = Some(one),
            _ => return false,
        }
        true
    }
}

impl Told for Hovered {
    fn people(&self) -> String {
        self.hover.as_ref().map(|one| format!("{}\n", one.text.trim_end())).unwrap_or_default()
    }
}

/// How the function is called.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Signatures"))]
pub struct Signatures {
    /// The ways in which it can be.
    signatures: Vec<language::Signature>,
}

impl Signatures {
    fn take(&mut self, item: Item) -> bool {
        match item {
            Item::Signature(one) => self.signatures.push(one),
            _ => return false,
        }
        true
    }
}

impl Told for Signatures {
    fn people(&self) -> String {
        let line = |one: &language::Signature| {
            let at = one.active_parameter.and_then(|number| one.parameters.get(number as usize - 1));
            let at = at.map(|parameter| format!("  <- {parameter}")).unwrap_or_default();
            format!("{}{at}\n", one.label)
        };
        self.signatures.iter().map(line).collect()
    }
}

/// Places in files.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeLocations"))]
pub struct Locations {
    /// In the order in which the server says them.
    locations: Vec<Location>,
}

impl Locations {
    fn take(&mut self, item: Item) -> bool {
        match item {
            Item::Location(one) => self.locations.push(one),
            _ => return false,
        }
        true
    }
}

/// Where something is, as a compiler says it.
pub fn place(path: &Name, at: language::Point) -> String {
    format!("{path}:{}:{}", at.line, at.column)
}

impl Told for Locations {
    fn people(&self) -> String {
        let line = |one: &Location| {
            let text = one.text.as_deref().map(|text| format!(": {}", text.trim())).unwrap_or_default();
            format!("{}{text}\n", place(&one.path, one.range.start))
        };
        self.locations.iter().map(line).collect()
    }
}

/// `belljar lsp SANDBOX symbols`.
#[derive(Clone, Debug, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspSymbols"))]
pub struct Symbols {
    /// Which server.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub of: Of,
    /// Which file.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub file: File,
}

made_of! { Symbols { of: Of, file: File } }

/// What code defines.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeSymbols"))]
pub struct Found {
    /// In the order in which the server says them; of a tree each is before what is in it.
    symbols: Vec<Symbol>,
}

impl Told for Found {
    fn people(&self) -> String {
        let row = |one: &Symbol| {
            let of = one.container.as_deref().map(|container| format!("in {container}")).unwrap_or_default();
            vec![place(&one.path, one.selection.start), one.kind.clone(), one.name.clone(), of]
        };
        table(&self.symbols.iter().map(row).collect::<Vec<_>>())
    }
}

fn symbols_of(site: &Site<'_>, (sandbox, asked): (Text, Asked)) -> Result<Found, Error> {
    let mut symbols = Vec::new();
    ask(site, &sandbox, asked, &mut |item| match item {
        Item::Symbol(one) => {
            symbols.push(one);
            true
        }
        _ => false,
    })?;
    Ok(Found { symbols })
}

impl Symbols {
    fn asked(self) -> Result<(Text, Asked), Error> {
        let mut faults = Faults::default();
        let path = self.file.path(&mut faults);
        let asked = self.of.asked(What::Symbols { path }, &mut faults);
        faults.none().map(|()| asked)
    }
}

impl Verb for Symbols {
    type Told = Found;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<Found, Error> {
        symbols_of(site, self.asked()?)
    }
}

/// `belljar lsp SANDBOX find`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspFind"))]
pub struct Find {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The language
    #[arg(value_name = "LANG")]
    language: Text,
    /// A part of the name
    #[arg(value_name = "QUERY")]
    query: Text,
    /// The project's directory [default: that of the only server of the language, or the sandbox's working directory]
    #[arg(long, value_name = "DIR")]
    project: Option<Word>,
    /// How long it may take [default: 20s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
    /// Columns count units of UTF-16, as the protocol does, instead of characters
    #[arg(long)]
    #[serde(default)]
    utf16: bool,
}

impl Find {
    fn asked(self) -> Result<(Text, Asked), Error> {
        let mut faults = Faults::default();
        let timeout_ms = timeout(self.timeout.as_ref(), &mut faults).as_millis() as u64;
        let units = if self.utf16 { Units::Utf16 } else { Units::Characters };
        let what = What::WorkspaceSymbols { query: self.query.0 };
        faults.none()?;
        let (language, project) = (Some(self.language.0), self.project.map(Name::from));
        Ok((self.sandbox, Asked { language, project, timeout_ms, units, what }))
    }
}

impl Verb for Find {
    type Told = Found;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<Found, Error> {
        symbols_of(site, self.asked()?)
    }
}
