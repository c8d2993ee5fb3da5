//! From the text of a recipe to a [`Recipe`], or to everything that is wrong with it.

use super::{Base, Config, Content, File, Recipe, Variant, values};
use crate::spec::{LoadError, MAX_FILE, position};
use std::cell::RefCell;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads the text of a recipe.
///
/// # Errors
///
/// Every fault, in the order of the text.
pub fn parse(text: &str) -> Result<Recipe, Vec<LoadError>> {
    let faults = Faults { text, found: RefCell::default() };
    if text.len() > MAX_FILE {
        let message = format!("a recipe of {} bytes; at most {MAX_FILE} are read", text.len());
        let hint = Some("keep large files beside it, as `source` of a `[[file]]`".to_owned());
        return Err(vec![LoadError { position: None, field: None, message, hint }]);
    }
    let (table, broken) = DeTable::parse_recoverable(text);
    for error in broken {
        let at = error.span().map_or(0, |span| span.start);
        faults.add(at, None, error.message().replace('\n', ", "), None);
    }
    // What is left of a broken text would be complained about a second time.
    faults.report()?;
    let recipe = recipe(&Section::new(&faults, table.get_ref(), String::new(), 0, &KEYS));
    faults.report()?;
    Ok(recipe)
}

const KEYS: [&str; 9] = ["name", "description", "base", "packages", "exclude", "keep", "file", "run", "config"];

fn recipe(root: &Section<'_>) -> Recipe {
    let recipe = Recipe {
        name: root.text("name", values::name),
        description: root.text("description", values::line),
        base: match root.section("base", &["suite", "components", "variant", "mirror", "keyring"]) {
            Some(base) => self::base(&base),
            None => {
                root.fault("base", "a recipe begins with a release", Some("add `[base]` with `suite = \"trixie\"`"));
                self::base(&Section { quiet: true, ..root.empty() })
            }
        },
        packages: root.texts("packages", values::package),
        exclude: root.texts("exclude", values::pattern),
        keep: root.texts("keep", values::pattern),
        files: root.sections("file", &["path", "mode", "content", "source"]).iter().filter_map(file).collect(),
        run: root.texts("run", values::command),
        config: root
            .section("config", &["env", "cmd", "entrypoint", "workdir", "user", "labels"])
            .map(|config| self::config(&config))
            .unwrap_or_default(),
    };
    if recipe.base.variant == Variant::Extract && !recipe.run.is_empty() {
        let hint = "take the variant `essential`, or leave `run` out";
        root.fault("run", "nothing can be executed in a root of the variant `extract`", Some(hint));
    }
    recipe
}

fn base(base: &Section<'_>) -> Base {
    let components = base.texts("components", values::component);
    Base {
        suite: base.required("suite", values::suite, "the code name of a release, as in `suite = \"trixie\"`"),
        components: if components.is_empty() { vec!["main".to_owned()] } else { components },
        variant: base.text("variant", values::variant).unwrap_or(Variant::Minbase),
        mirror: base.text("mirror", values::mirror),
        keyring: base.text("keyring", values::keyring),
    }
}

fn file(file: &Section<'_>) -> Option<File> {
    let path = file.required("path", values::file_path, "where it goes, as in `path = \"/etc/motd\"`");
    let mode = file.text("mode", values::mode).unwrap_or(0o644);
    let content = file.text("content", |text| Ok(text.to_owned()));
    let source: Option<PathBuf> = file.text("source", values::source);
    let content = match (content, source) {
        (Some(text), None) => Some(Content::Text(text)),
        (None, Some(path)) => Some(Content::Source(path)),
        (Some(_), Some(_)) => {
            file.fault("source", "`content` and `source` exclude each other", None);
            None
        }
        (None, None) if file.has("content") || file.has("source") => None,
        (None, None) => {
            let hint = "say what is in it with `content`, or name a file beside the recipe with `source`";
            file.fault("", "a file without bytes", Some(hint));
            None
        }
    };
    Some(File { path, mode, content: content? })
}

fn config(config: &Section<'_>) -> Config {
    Config {
        env: config.pairs("env", values::variable).into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
        cmd: config.texts("cmd", values::word),
        entrypoint: config.texts("entrypoint", values::word),
        workdir: config.text("workdir", values::absolute),
        user: config.text("user", values::user),
        labels: config.pairs("labels", values::label),
    }
}

/// What was found to be wrong, with where in the text.
struct Faults<'a> {
    text: &'a str,
    found: RefCell<Vec<(usize, LoadError)>>,
}

impl Faults<'_> {
    fn add(&self, at: usize, field: Option<String>, message: String, hint: Option<String>) {
        let position = Some(position(self.text, at));
        self.found.borrow_mut().push((at, LoadError { position, field, message, hint }));
    }

    fn report(&self) -> Result<(), Vec<LoadError>> {
        let mut found = self.found.take();
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(at, _)| *at);
        Err(found.into_iter().map(|(_, fault)| fault).collect())
    }
}

/// A value as a recipe writes it, or why it cannot be one: the message, and the cure.
pub type Read<T> = Result<T, (String, Option<&'static str>)>;

/// One table of the recipe.
struct Section<'a> {
    faults: &'a Faults<'a>,
    table: Option<&'a DeTable<'a>>,
    /// Its name, with a dot at the end.
    path: String,
    at: usize,
    /// Nothing is missed in a table that is itself missing.
    quiet: bool,
}

impl<'a> Section<'a> {
    /// The table at offset `at`; keys that are none of `keys` are faults.
    fn new(faults: &'a Faults<'a>, table: &'a DeTable<'a>, path: String, at: usize, keys: &[&str]) -> Section<'a> {
        for (key, _) in table.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().escape_debug();
            let message = format!("unknown key `{path}{name}`, expected one of `{}`", keys.join("`, `"));
            faults.add(key.span().start, None, message, None);
        }
        Section { faults, table: Some(table), path, at, quiet: false }
    }

    fn empty(&self) -> Section<'a> {
        Section { faults: self.faults, table: None, path: String::new(), at: 0, quiet: false }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref().as_ref() == key)?;
        Some(value)
    }

    fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Of the key where it is there, else of the table.
    fn fault(&self, key: &str, message: &str, hint: Option<&str>) {
        let at = self.value(key).map_or(self.at, |value| value.span().start);
        let field = format!("{}{key}", self.path).trim_end_matches('.').to_owned();
        self.faults.add(at, Some(field), message.to_owned(), hint.map(str::to_owned));
    }

    fn wrong(&self, value: &Spanned<DeValue<'_>>, field: String, message: String, hint: Option<&str>) {
        self.faults.add(value.span().start, Some(field), message, hint.map(str::to_owned));
    }

    fn mistyped(&self, value: &Spanned<DeValue<'_>>, field: String, expected: &str) {
        self.wrong(value, field, format!("{}, expected {expected}", article(value.get_ref().type_str())), None);
    }

    /// One value that is written as text.
    fn read<T>(&self, value: &Spanned<DeValue<'_>>, field: String, read: impl Fn(&str) -> Read<T>) -> Option<T> {
        let DeValue::String(text) = value.get_ref() else {
            self.mistyped(value, field, "a string");
            return None;
        };
        match read(text) {
            Ok(found) => Some(found),
            Err((message, hint)) => {
                self.wrong(value, field, message, hint);
                None
            }
        }
    }

    fn text<T>(&self, key: &str, read: impl Fn(&str) -> Read<T>) -> Option<T> {
        self.read(self.value(key)?, format!("{}{key}", self.path), read)
    }

    fn required<T: Default>(&self, key: &str, read: impl Fn(&str) -> Read<T>, hint: &str) -> T {
        if !self.has(key) && !self.quiet {
            self.fault(key, "is missing", Some(hint));
        }
        self.text(key, read).unwrap_or_default()
    }

    fn texts<T: PartialEq>(&self, key: &str, read: impl Fn(&str) -> Read<T>) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(values) = value.get_ref() else {
            self.mistyped(value, format!("{}{key}", self.path), "an array of strings");
            return Vec::new();
        };
        let field = |index: usize| format!("{}{key}[{index}]", self.path);
        values.iter().enumerate().filter_map(|(index, value)| self.read(value, field(index), &read)).collect()
    }

    fn pairs(&self, key: &str, read: impl Fn(&str, &str) -> Read<()>) -> Vec<(String, String)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            self.mistyped(value, format!("{}{key}", self.path), "a table of strings");
            return Vec::new();
        };
        let pair = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            let field = format!("{}{key}.{}", self.path, name.escape_debug());
            self.read(value, field, |text| read(name, text).map(|()| (name.to_string(), text.to_owned())))
        };
        table.iter().filter_map(pair).collect()
    }

    fn section(&self, key: &str, keys: &[&str]) -> Option<Section<'a>> {
        let value = self.value(key)?;
        let path = format!("{}{key}", self.path);
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(Section::new(self.faults, table, format!("{path}."), value.span().start, keys))
            }
            _ => {
                self.mistyped(value, path, "a table");
                Some(Section { quiet: true, ..self.empty() })
            }
        }
    }

    fn sections(&self, key: &str, keys: &[&str]) -> Vec<Section<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(values) = value.get_ref() else {
            self.mistyped(value, format!("{}{key}", self.path), &format!("`[[{key}]]`, an array of tables"));
            return Vec::new();
        };
        let section = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let path = format!("{}{key}[{index}]", self.path);
            let DeValue::Table(table) = value.get_ref() else {
                self.mistyped(value, path, "a table");
                return None;
            };
            Some(Section::new(self.faults, table, format!("{path}."), value.span().start, keys))
        };
        values.iter().enumerate().filter_map(section).collect()
    }
}

/// `a string`, `an integer`.
fn article(kind: &str) -> String {
    format!("{} {kind}", if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
}
