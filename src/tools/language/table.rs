//! Which server knows which language: a table of ours, and that of the image, which goes before it.
//!
//! The image's is `/etc/belljar/language-servers.toml` inside. It is read inside, by a process that may do no more than whoever wrote it.
//!
//! ```toml
//! [python]
//! command = ["pyright-langserver", "--stdio"]
//! extensions = ["py", "pyi"]                     # what files of it end with; those of our table where nothing is said
//! options = { }                                  # initializationOptions
//! settings = { pylsp = { plugins = { } } }       # what the server asks by workspace/configuration
//! ```

use super::lines::{Counting, Encoding, Ends};
use crate::error::{Error, Kind};
use crate::tools::Name;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Where an image has its own.
pub const PLACE: &str = "/etc/belljar/language-servers.toml";
/// The longest that is read.
const LONGEST: u64 = 1 << 20;

/// A language of our table.
struct Known {
    name: &'static str,
    /// Other names for it.
    others: &'static [&'static str],
    /// What files of it end with, and what the protocol calls those.
    files: &'static [(&'static str, &'static str)],
    command: &'static [&'static str],
    /// What to do where there is no such program.
    cure: &'static str,
    /// What lies at the top of a project.
    marks: &'static [&'static str],
}

/// What is peculiar to a program, whoever names it.
struct Peculiar {
    program: &'static str,
    /// How it counts, as far as it does not say it.
    counting: Counting,
    /// What it is told first, as JSON.
    options: &'static str,
    /// Whether it has more ends of lines than it counts, and a text that is open has [`stand_in`](super::texts::stand_in)s for those.
    stands_in: bool,
    /// Whether it knows a document only some time after it was opened, which its diagnostics say.
    hesitates: bool,
    /// What files end with that it reads beside those of the language that it was started for.
    reads: &'static [&'static str],
    /// Whether it hears that a file is another only when it is opened and closed.
    rereads: bool,
    /// What it is to do when a file has come or gone, as the JSON of a `workspace/executeCommand`.
    reloads: &'static str,
}

/// As the protocol has it.
const USUAL: Peculiar = Peculiar {
    program: "",
    counting: Counting { encoding: Encoding::Utf16, ends: Ends::Protocol, mark: false },
    options: "null",
    stands_in: false,
    hesitates: false,
    reads: &[],
    rereads: false,
    reloads: "null",
};

const FEED: Counting = Counting { ends: Ends::Feed, ..USUAL.counting };

const PECULIAR: &[Peculiar] = &[
    // Its columns are those of Python's strings. Its lines are those of jedi, and it looks for the length of one by `str.splitlines`.
    Peculiar {
        program: "pylsp",
        counting: Counting { encoding: Encoding::Utf32, ..USUAL.counting },
        stands_in: true,
        ..USUAL
    },
    // Its lines are those of ECMAScript. While a project is loaded, a second server that knows one file alone would answer, and find
    // nothing.
    Peculiar {
        program: "typescript-language-server",
        counting: Counting { ends: Ends::Ecma, ..USUAL.counting },
        options: r#"{ "tsserver": { "useSyntaxServer": "never" } }"#,
        reads: &["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx"],
        // It watches files itself, and hears of them some time after the next question.
        rereads: true,
        // What an import did not find it looks for again only where it watches the directory: none of two levels, as `/work/project`.
        reloads: r#"{ "command": "typescript.tsserverRequest", "arguments": ["reloadProjects"] }"#,
        ..USUAL
    },
    Peculiar { program: "bash-language-server", counting: FEED, hesitates: true, ..USUAL },
    Peculiar { program: "clangd", counting: Counting { mark: true, ..FEED }, ..USUAL },
    Peculiar { program: "gopls", counting: FEED, ..USUAL },
    Peculiar { program: "rust-analyzer", counting: FEED, ..USUAL },
];

const KNOWN: &[Known] = &[
    // The one that Debian, pip and the image `python` have; needs no Node, unlike pyright.
    Known {
        name: "python",
        others: &["py", "python3"],
        files: &[("py", "python"), ("pyi", "python")],
        command: &["pylsp"],
        cure: "install it: `pip install python-lsp-server` in a sandbox with `--net open` or `--allow pypi.org`, or the package python3-pylsp of Debian; the image `python` has it",
        marks: &["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"],
    },
    // What every editor speaks to the compiler's own server by.
    Known {
        name: "typescript",
        others: &["ts", "tsx", "typescriptreact"],
        files: &[("ts", "typescript"), ("mts", "typescript"), ("cts", "typescript"), ("tsx", "typescriptreact")],
        command: &["typescript-language-server", "--stdio"],
        cure: TYPESCRIPT,
        marks: &["tsconfig.json", "package.json"],
    },
    Known {
        name: "javascript",
        others: &["js", "jsx", "node", "javascriptreact"],
        files: &[("js", "javascript"), ("mjs", "javascript"), ("cjs", "javascript"), ("jsx", "javascriptreact")],
        command: &["typescript-language-server", "--stdio"],
        cure: TYPESCRIPT,
        marks: &["jsconfig.json", "tsconfig.json", "package.json"],
    },
    // A part of LLVM, and a package of every distribution.
    Known {
        name: "cpp",
        others: &["c", "c++", "cxx"],
        files: &[
            ("c", "c"),
            ("h", "c"),
            ("cc", "cpp"),
            ("cpp", "cpp"),
            ("cxx", "cpp"),
            ("hh", "cpp"),
            ("hpp", "cpp"),
            ("hxx", "cpp"),
        ],
        command: &["clangd"],
        cure: "install the package clangd of the distribution, or have it in the image",
        marks: &["compile_commands.json", "compile_flags.txt", "CMakeLists.txt"],
    },
    // The only one there is.
    Known {
        name: "bash",
        others: &["sh", "shell", "shellscript"],
        files: &[("sh", "shellscript"), ("bash", "shellscript")],
        command: &["bash-language-server", "start"],
        cure: "install it: `npm install -g bash-language-server` in a sandbox with `--net open` or `--allow registry.npmjs.org`, or have it in the image",
        marks: &[],
    },
    // The language's own.
    Known {
        name: "rust",
        others: &["rs"],
        files: &[("rs", "rust")],
        command: &["rust-analyzer"],
        cure: "install it: `rustup component add rust-analyzer` in the image, or the package rust-analyzer of the distribution",
        marks: &["Cargo.toml"],
    },
    // The language's own.
    Known {
        name: "go",
        others: &["golang"],
        files: &[("go", "go"), ("mod", "go.mod")],
        command: &["gopls"],
        cure: "install it: `go install golang.org/x/tools/gopls@latest` in the image, or the package gopls of the distribution",
        marks: &["go.mod", "go.work"],
    },
];

const TYPESCRIPT: &str = "install it: `npm install -g typescript typescript-language-server` in a sandbox with `--net open` or `--allow registry.npmjs.org`; the image `node` has it";

/// How a server of a language is started, and what it is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The language.
    pub language: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// What to do where there is none.
    pub cure: String,
    /// What files end with.
    pub extensions: Vec<String>,
    /// What lies at the top of a project.
    pub marks: Vec<String>,
    /// What it is told first.
    pub options: Option<Value>,
    /// What it may ask.
    pub settings: Option<Value>,
    /// How it counts, as far as it does not say it.
    pub counting: Counting,
    /// Whether a text that is open has stand-ins for some ends of lines.
    pub stands_in: bool,
    /// Whether it knows a document only some time after it was opened.
    pub hesitates: bool,
    /// What files end with whose changes it is told; any file, where nothing is said.
    pub reads: Vec<String>,
    /// Whether it hears that a file is another only when it is opened and closed.
    pub rereads: bool,
    /// What it is to do when a file has come or gone.
    pub reloads: Option<Value>,
}

impl Entry {
    /// The same by that command.
    pub fn by(mut self, command: Vec<String>) -> Entry {
        self.command = command;
        self.reads.clone_from(&self.extensions);
        let program =
            self.command.first().and_then(|program| Path::new(program).file_name()).and_then(|name| name.to_str());
        if let Some(peculiar) = PECULIAR.iter().find(|peculiar| Some(peculiar.program) == program) {
            self.counting = peculiar.counting;
            self.stands_in = peculiar.stands_in;
            self.hesitates = peculiar.hesitates;
            self.reads.extend(peculiar.reads.iter().map(|end| (*end).to_owned()));
            let json = |text: &str| serde_json::from_str(text).ok().filter(|value: &Value| !value.is_null());
            self.options = self.options.or_else(|| json(peculiar.options));
            self.rereads = peculiar.rereads;
            self.reloads = json(peculiar.reloads);
        }
        self
    }
}

/// One language in the image's table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    command: Option<Vec<String>>,
    extensions: Option<Vec<String>>,
    options: Option<Value>,
    settings: Option<Value>,
}

/// Our name of a language, whatever it was called.
fn known(language: &str) -> Option<&'static Known> {
    let language = language.to_ascii_lowercase();
    KNOWN.iter().find(|known| known.name == language || known.others.contains(&language.as_str()))
}

fn table() -> Result<BTreeMap<String, Own>, Error> {
    let bytes = match super::texts::read(Path::new(PLACE), LONGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        read => read.map_err(|error| Error::of_io(&error).about(&PLACE.into()))?,
    };
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Result<BTreeMap<String, Own>, Error> {
    let wrong = |what: &str| {
        let message = format!("the image's table of language servers: {what}");
        Error::new(Kind::Invalid, message).about(&Name::from(PLACE))
    };
    let mut table: BTreeMap<String, Own> = toml::from_str(text).map_err(|error| wrong(error.message()))?;
    for (language, own) in &mut table {
        for end in own.extensions.iter_mut().flatten() {
            // Both ways to write it are usual.
            let bare = end.strip_prefix('.').unwrap_or(end).to_ascii_lowercase();
            if bare.is_empty() || bare.contains(['.', '/']) {
                let what = format!("`{}` in `extensions` of `{language}` ends no name of a file", end.escape_debug());
                return Err(wrong(&what).hint("write what stands behind the last dot of the name, as in `py`"));
            }
            *end = bare;
        }
    }
    Ok(table)
}

/// The entry of a language.
///
/// # Errors
///
/// Nobody knows it.
pub fn entry(language: &str) -> Result<Entry, Error> {
    of(language, &mut table()?)
}

fn of(language: &str, table: &mut BTreeMap<String, Own>) -> Result<Entry, Error> {
    let known = known(language);
    let lower = language.to_ascii_lowercase();
    let names = [Some(lower.as_str()), known.map(|known| known.name)];
    let own = names.into_iter().flatten().find_map(|name| table.remove(name));
    let unknown = || {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        Error::new(Kind::NotFound, format!("no language server is known for `{}`", language.escape_debug()))
            .hint(format!("name one of {}, give its command to `belljar lsp start` behind `--`, or have it in the image's {PLACE}", names.join(", ")))
    };
    let is_name = |name: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !name.is_empty() && name.len() <= 32 && name.bytes().all(good)
    };
    if known.is_none() && (own.is_none() || !is_name(&lower)) {
        return Err(unknown());
    }
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut entry = Entry { language: lower, ..Entry::default() };
    if let Some(known) = known {
        known.name.clone_into(&mut entry.language);
        entry.command = words(known.command);
        known.cure.clone_into(&mut entry.cure);
        entry.extensions = known.files.iter().map(|(end, _)| (*end).to_owned()).collect();
        entry.marks = words(known.marks);
    }
    if let Some(own) = own {
        if let Some(command) = own.command {
            entry.command = command;
            entry.cure = format!("the image's {PLACE} names it");
        }
        entry.extensions = own.extensions.unwrap_or(entry.extensions);
        (entry.options, entry.settings) = (own.options, own.settings);
    }
    if entry.command.is_empty() {
        return Err(unknown());
    }
    let command = std::mem::take(&mut entry.command);
    Ok(entry.by(command))
}

/// The entry of any language, for whoever brings the command along.
pub fn entry_or_bare(language: &str) -> Result<Entry, Error> {
    entry(language).or_else(|error| {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let is_name = !language.is_empty() && language.len() <= 32 && language.bytes().all(good);
        if error.kind == Kind::NotFound && is_name {
            return Ok(Entry { language: language.to_owned(), ..Entry::default() });
        }
        Err(error)
    })
}

/// The language of a file, by the end of its name: in the image's table, or in ours.
///
/// # Errors
///
/// The image's table cannot be read.
pub fn language_of(path: &Path) -> Result<Option<String>, Error> {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    let own = table()?.into_iter().find(|(_, own)| own.extensions.as_ref().is_some_and(|ends| ends.contains(&end)));
    Ok(own.map(|(name, _)| name).or_else(|| of_path(path).map(str::to_owned)))
}

/// The same in our table alone.
pub fn of_path(path: &Path) -> Option<&'static str> {
    let end = path.extension()?.to_str()?.to_ascii_lowercase();
    let is_it = |known: &&Known| known.files.iter().any(|(one, _)| *one == end);
    KNOWN.iter().find(is_it).map(|known| known.name)
}

/// Whether that can be a name in a language: letters, digits and what the language has beside them, and none but letters first. Of a
/// language that is not in our table only what has a space in it is known to be none.
pub fn is_name(name: &str, language: &str) -> bool {
    let more = match language {
        "typescript" | "javascript" => "_$#",
        "rust" => "_#'",
        "python" | "cpp" | "bash" | "go" => "_",
        _ => return !name.contains(|letter: char| letter.is_whitespace() || letter.is_control()),
    };
    let is_of_it = |letter: char| letter.is_alphanumeric() || more.contains(letter) || !letter.is_ascii();
    let is_blank = |letter: char| letter.is_whitespace() || letter.is_control();
    !name.starts_with(|letter: char| letter.is_numeric()) && name.chars().all(|one| is_of_it(one) && !is_blank(one))
}

/// What the protocol calls the language of a file.
pub fn document_language<'l>(path: &Path, language: &'l str) -> &'l str {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    let files = known(language).into_iter().flat_map(|known| known.files);
    files.clone().find(|(one, _)| *one == end).or_else(|| files.clone().next()).map_or(language, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(language: &str, text: &str) -> Result<Entry, Error> {
        of(language, &mut parse(text)?)
    }

    #[test]
    fn a_language_has_several_names_and_the_image_goes_before_us() {
        assert_eq!(found("TS", "").unwrap().command, ["typescript-language-server", "--stdio"]);
        assert_eq!(found("c++", "").unwrap().language, "cpp");
        let own =
            "[python]\ncommand = ['other']\nsettings = { a = 1 }\n[lua]\ncommand = ['lua-ls']\nextensions = ['lua']\n";
        let python = found("py", own).unwrap();
        assert_eq!((python.command, python.settings), (vec!["other".to_owned()], Some(serde_json::json!({ "a": 1 }))));
        assert_eq!(python.extensions, ["py", "pyi"]);
        assert_eq!(found("lua", own).unwrap().command, ["lua-ls"]);
        let dotted = "[bar]\ncommand = ['bar']\nextensions = ['.Bar', 'foo']\n";
        assert_eq!(found("bar", dotted).unwrap().extensions, ["bar", "foo"]);
        for wrong in ["", ".", "d.ts", "a/b"] {
            let text = format!("[bar]\ncommand = ['bar']\nextensions = ['{wrong}']\n");
            assert_eq!(found("bar", &text).unwrap_err().kind, Kind::Invalid, "{wrong}");
        }
        assert_eq!(found("lua", "").unwrap_err().kind, Kind::NotFound);
        assert_eq!(found("python", "[python]\ncomand = []").unwrap_err().kind, Kind::Invalid);
        assert_eq!(found("python", "[python]\ncommand = []").unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn a_name_is_what_the_language_has() {
        let names = |language: &str| {
            ["a_1", "\u{e4}\u{301}", "$a", "a-b", "a b", "1a", "a\u{a0}b"].map(|name| is_name(name, language))
        };
        assert_eq!(names("python"), [true, true, false, false, false, false, false]);
        assert_eq!(names("typescript"), [true, true, true, false, false, false, false]);
        assert_eq!(names("lua"), [true, true, true, true, false, true, false]);
    }

    #[test]
    fn each_language_and_each_end_of_a_name_is_there_once() {
        let mut names: Vec<&str> =
            KNOWN.iter().flat_map(|known| known.others.iter().chain([&known.name])).copied().collect();
        let mut ends: Vec<&str> = KNOWN.iter().flat_map(|known| known.files).map(|(end, _)| *end).collect();
        for list in [&mut names, &mut ends] {
            let count = list.len();
            list.sort_unstable();
            list.dedup();
            assert_eq!(list.len(), count);
        }
        assert_eq!(of_path(Path::new("/a/b.TSX")), Some("typescript"));
        assert_eq!(document_language(Path::new("b.tsx"), "typescript"), "typescriptreact");
        assert_eq!(document_language(Path::new("b"), "lua"), "lua");
        for peculiar in PECULIAR {
            for text in [peculiar.options, peculiar.reloads] {
                let value: Value = serde_json::from_str(text).unwrap();
                assert!(value.is_null() || value.is_object());
            }
            let known = KNOWN.iter().any(|known| known.command.first() == Some(&peculiar.program));
            assert!(known, "{}", peculiar.program);
        }
        let by = found("python", "").unwrap().by(vec!["/opt/other".to_owned()]);
        assert_eq!((by.command, by.options), (vec!["/opt/other".to_owned()], None));
    }
}
