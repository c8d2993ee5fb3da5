//! `belljar image` and its verbs.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// `belljar image`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    about = "Build, bring in, carry away and look after images",
    after_help = "Images are kept in $BELLJAR_HOME, else $XDG_DATA_HOME/belljar, else ~/.local/share/belljar. \
Only `pull` and `build` use the network."
)]
pub struct Image {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do with images.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Verb {
    /// Build an image from a recipe: a directory, or python, node or shell
    Build(Build),
    /// Bring in an OCI layout, a docker archive or a plain root archive
    Import(Import),
    /// Fetch an image from a registry
    Pull(Pull),
    /// Write images into one file, for `load` elsewhere
    Save(Save),
    /// Bring in what `save` wrote
    Load(Load),
    /// List the images
    Ls(Ls),
    /// Show all that is known of an image, as JSON
    Inspect(Inspect),
    /// Give an image another name
    Tag(Tag),
    /// Take names away, and images that have no name left
    Rm(Rm),
    /// Remove what no image needs: remains of what was interrupted, images without a name
    Gc(Gc),
    /// Compare everything with its digest
    Verify(Verify),
}

/// `belljar image build`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Build {
    /// A directory with a `recipe.toml`, or the name of a recipe that belljar brings
    #[arg(value_name = "DIR|NAME")]
    pub recipe: OsString,
    /// Name of the image [default: the recipe's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<OsString>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image import`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Import {
    /// An archive, plain or compressed with gzip, zstd or xz; a directory; `-` for standard input
    #[arg(value_name = "FILE|DIR")]
    pub source: OsString,
    /// Name of the image [default: the names that it comes with, or that of the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<OsString>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image pull`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Pull {
    /// Name at the registry, as in `python:3.13-slim` or `ghcr.io/owner/name@sha256:…`
    #[arg(value_name = "REF")]
    pub reference: OsString,
    /// User at the registry [default: whom Docker's configuration has for it]
    #[arg(long, value_name = "NAME")]
    pub username: Option<OsString>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image save`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Save {
    /// Images
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<OsString>,
    /// The file; `-` for standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: OsString,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image load`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Load {
    /// The file; `-` for standard input
    #[arg(value_name = "FILE")]
    pub source: OsString,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image ls`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Ls {
    /// Show digests in full
    #[arg(long)]
    pub digests: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image inspect`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Inspect {
    /// The image
    #[arg(value_name = "NAME")]
    pub name: OsString,
    /// In one line
    #[arg(long)]
    pub json: bool,
}

/// `belljar image tag`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Tag {
    /// The image
    #[arg(value_name = "NAME")]
    pub name: OsString,
    /// Another name for it
    #[arg(value_name = "NEW")]
    pub new: OsString,
}

/// `belljar image rm`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Rm {
    /// Names, or digests for all names of an image
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<OsString>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image gc`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Gc {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar image verify`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Verify {
    /// The image [default: everything]
    #[arg(value_name = "NAME")]
    pub name: Option<OsString>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
