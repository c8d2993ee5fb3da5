//! Building images: from a recipe to a root file system, as a plain tar archive, without root.
//!
//! mmdebstrap installs the packages of a distribution. It runs in a sandbox like any other command, on the host's own programs,
//! as a user 0 that is the caller; the sandbox has the host's network, sees the work directory and, read-only, the cache of
//! packages, and has the privileges of a build (`Privileges::Build`): a filter pretends to change owners and identities,
//! chroot(2) is allowed, and nothing can be mounted. What the packages bring to be executed runs there too.
//!
//! Promises: no range of ids, no set-user-id program and no root is needed. Whatever the end is, nothing is left in the work
//! directory but the archive, and nothing elsewhere but packages in the cache. The same versions of the same packages make
//! the same archive. No mirror or proxy of this machine is named in the image.

mod archive;
mod cache;
mod draft;
mod failure;
mod job;
mod sandbox;

pub use draft::Draft;

use crate::error::{Blocker, Error, describe_io};
use crate::identity::PATH;
use crate::images::recipe::Config;
use crate::spec::Spec;
use job::Job;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest mmdebstrap that is known to do.
const OLDEST: (u32, u32) = (1, 3);

/// Variables of the caller that say how the network is reached, for adapters to hand over as [`Options::environment`].
pub const NETWORK_VARIABLES: [&str; 14] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "COREPACK_NPM_REGISTRY",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
];

/// What a build takes beside the recipe.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A directory where packages are kept from one build to the next; made where it is not there. `None`: they are
    /// fetched each time.
    pub cache: Option<PathBuf>,
    /// Variables for mmdebstrap and for the recipe's commands, beside the sandbox's own. They do not get into the image.
    pub environment: Vec<(OsString, OsString)>,
    /// No file of the image is newer than this, in seconds since 1970. `None`: than the release of the distribution.
    pub epoch: Option<u64>,
    /// What the build may reach: its `net`, `allow`, `deny` and their limits count, and nothing else.
    pub network: Spec,
}

/// Told what is being done, a line at a time.
pub type Progress = Box<dyn FnMut(&str)>;

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The root file system, a tar archive in the work directory; the caller's to remove.
    pub tar: PathBuf,
    /// What the image says of itself.
    pub config: Config,
    /// What the recipe calls it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// When it counts as made, in seconds since 1970: as for [`Options::epoch`].
    pub created: u64,
}

/// Builds `draft` in `work`, an empty directory of the caller's that nobody else may enter.
///
/// # Errors
///
/// `Invalid` for a package that there is none of, `Host` where mmdebstrap or the keys of the distribution are missing or
/// the mirror cannot be reached, `Setup` for all else. Nothing is left in `work` then.
pub fn build(draft: &Draft, options: &Options, work: &Path, progress: Progress) -> Result<Built, Error> {
    find_mmdebstrap()?;
    let archive = archive::find(draft)?;
    let job = Job::new(draft, options, &archive, work)?;
    let outcome = job.write().and_then(|()| sandbox::build(&job, progress));
    let created = outcome.and_then(|()| finish(&job, options));
    // Whatever became of it.
    let tidied = sandbox::tidy(&job);
    let created = created.inspect_err(|_| drop(std::fs::remove_file(&job.tar)))?;
    tidied?;
    Ok(Built {
        tar: job.tar,
        config: draft.recipe.config.clone(),
        name: draft.recipe.name.clone(),
        description: draft.recipe.description.clone(),
        created,
    })
}

/// Keeps what was fetched, and reads what the build says of itself.
fn finish(job: &Job, options: &Options) -> Result<u64, Error> {
    if let Some(directory) = &options.cache {
        cache::keep(&job.work.join("fetched"), directory)?;
    }
    let epoch = std::fs::read_to_string(job.work.join("epoch")).map_err(|error| refused("read", "epoch", &error))?;
    epoch.trim().parse().map_err(|_| {
        let attempt = format!("read the date of the release: `{}` is none", epoch.trim().escape_debug());
        Error::setup(attempt, 0)
    })
}

fn find_mmdebstrap() -> Result<(), Error> {
    let missing = |message: String| {
        let hint = "install the package mmdebstrap (Debian, Ubuntu: `apt install mmdebstrap`; Fedora: `dnf install mmdebstrap`; Arch: from the AUR), or build elsewhere and bring the image here";
        Error::from(Blocker { message, hint: Some(hint.to_owned()) })
    };
    let output = Command::new("mmdebstrap").arg("--version").env_clear().env("PATH", PATH).output();
    let output =
        output.map_err(|error| missing(format!("`mmdebstrap`, which builds images: {}", describe_io(&error))))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text.split([' ', '.']).filter_map(|word| word.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Ok(()),
        _ => Err(missing(format!("`{text}` is too old to build images: {}.{} does", OLDEST.0, OLDEST.1))),
    }
}

fn refused(verb: &str, what: &str, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(0);
    let attempt = if errno == 0 { format!("{verb} {what}: {error}") } else { format!("{verb} {what}") };
    Error::setup(attempt, errno)
}
