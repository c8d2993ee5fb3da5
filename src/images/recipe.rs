//! Recipes: what an image is made of, as data.
//!
//! A recipe is a directory with a `recipe.toml`: a release of a distribution, its packages, files from beside the recipe,
//! commands, and what the image says of itself. [`parse`] reads the text and nothing else; no file is opened here.
//!
//! Promises: an unknown key, a wrong type and a value that cannot mean what it says are errors with line and column, all of
//! them at once. No `source` leads out of the recipe's directory by its name.

mod read;
mod values;

#[cfg(test)]
mod tests;

pub use read::parse;

use std::path::PathBuf;

/// The file of a recipe's directory that is read.
pub const FILE: &str = "recipe.toml";

/// What an image is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// What the image is called where nobody says otherwise.
    pub name: Option<String>,
    /// What it is for, in a line.
    pub description: Option<String>,
    /// What it begins with.
    pub base: Base,
    /// Packages of the distribution, and with them what they depend on.
    pub packages: Vec<String>,
    /// What is left out beside the usual: patterns as `find -path` knows them, from the root.
    pub exclude: Vec<String>,
    /// What stays although a pattern leaves it out.
    pub keep: Vec<String>,
    /// Files that are put in after the packages.
    pub files: Vec<File>,
    /// Commands of a shell, executed in the root after the files, with the network, in order.
    pub run: Vec<String>,
    /// What the image says of itself.
    pub config: Config,
}

/// A release of a distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Code name of the release.
    pub suite: String,
    /// Parts of the archive.
    pub components: Vec<String>,
    /// Which packages are there without being named.
    pub variant: Variant,
    /// Where the packages come from. `None`: Debian's, where this machine's own apt gets them if it does.
    pub mirror: Option<String>,
    /// The file with the keys that the archive is signed with: absolute, or beside the recipe. `None`: Debian's.
    pub keyring: Option<PathBuf>,
}

/// Which packages are there without being named, in mmdebstrap's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// None: packages are unpacked and not set up, and so no command can be executed.
    Extract,
    /// Those that the distribution marks as essential.
    Essential,
    /// And apt.
    Apt,
    /// And those of the priority `required`.
    Minbase,
    /// And a compiler with what it takes to build packages.
    Buildd,
}

/// One file of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Where, absolute.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Content,
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// From the recipe itself.
    Text(String),
    /// From a file beside the recipe.
    Source(PathBuf),
}

/// What an image says of itself, as an OCI configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Variables, `NAME=VALUE`, in the order of their names.
    pub env: Vec<String>,
    /// What is executed where nothing is said.
    pub cmd: Vec<String>,
    /// What goes before it.
    pub entrypoint: Vec<String>,
    /// Where it begins.
    pub workdir: Option<PathBuf>,
    /// As whom: a name or a number, with or without `:GROUP`.
    pub user: Option<String>,
    /// Remarks, in the order of their names.
    pub labels: Vec<(String, String)>,
}

impl Variant {
    /// All of them, from the smallest.
    pub const ALL: [Variant; 5] =
        [Variant::Extract, Variant::Essential, Variant::Apt, Variant::Minbase, Variant::Buildd];

    /// The word of recipes and of mmdebstrap.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Extract => "extract",
            Variant::Essential => "essential",
            Variant::Apt => "apt",
            Variant::Minbase => "minbase",
            Variant::Buildd => "buildd",
        }
    }
}
