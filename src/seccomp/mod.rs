//! Seccomp: which system calls a sandbox may make.
//!
//! The policies are data, `seccomp/*.json`, a reason beside every rule. The built-in ones are compiled when belljar is built
//! and are plain arrays here, so a start neither parses nor allocates for them; one from a file is compiled by [`compile`].
//! seccompiler reads the format and is the reference; the program that is installed is a search tree (`tree.rs`) that
//! gives the same answers and installs several times faster.
//!
//! Promises: another ABI kills, an unlisted number answers ENOSYS in the built-in profiles, and a profile that cannot mean
//! what it says is an error. Never installs anything: the payload's step does, last of all.

mod error;
mod profile;
mod reach;
mod tree;

#[cfg(test)]
mod evaluate;
#[cfg(test)]
mod tests;

pub use error::ProfileError;
pub use reach::{lets_keyrings_through, lets_through};

use seccompiler::TargetArch;

/// The built-in profiles: what `--seccomp` takes besides a file.
pub const NAMES: [&str; 4] = ["default", "strict", "debug", "packages"];

/// The profile under which images are built. Not for `--seccomp`: it answers with success to what it does not do.
pub const BUILD: &str = "build";

/// The profile of a warm template's interpreter, which enters the sandboxes that are made for its copies. Not for `--seccomp`.
pub const ZYGOTE: &str = "zygote";

/// The profile of the process that moves a sandbox's packets. Not for `--seccomp`.
pub const PACKET: &str = "packet";

/// The profile of the process that connects for a sandbox. Not for `--seccomp`.
pub const DIALER: &str = "dialer";

/// The profile of the process that takes connections for a sandbox ([`inbound`](crate::inbound)). Not for `--seccomp`.
pub const PUBLISHER: &str = "publisher";

/// A built-in profile's program, ready for the kernel.
pub fn builtin(name: &str) -> Option<&'static [libc::sock_filter]> {
    match name {
        "default" => Some(&built::DEFAULT),
        "strict" => Some(&built::STRICT),
        "debug" => Some(&built::DEBUG),
        "packages" => Some(&built::PACKAGES),
        BUILD => Some(&built::BUILD),
        ZYGOTE => Some(&built::ZYGOTE),
        PACKET => Some(&built::PACKET),
        DIALER => Some(&built::DIALER),
        PUBLISHER => Some(&built::PUBLISHER),
        _ => None,
    }
}

/// Compiles a profile, as in a file given to `--seccomp`, for this machine's architecture.
pub fn compile(json: &[u8]) -> Result<Vec<libc::sock_filter>, ProfileError> {
    let arch = std::env::consts::ARCH;
    let arch = TargetArch::try_from(arch).map_err(|_| ProfileError::UnknownArchitecture(arch.to_owned()))?;
    let profile = profile::Profile::parse(json, arch)?;
    let program = tree::compile(&profile, arch)?;
    let to_libc =
        |step: seccompiler::sock_filter| libc::sock_filter { code: step.code, jt: step.jt, jf: step.jf, k: step.k };
    Ok(program.into_iter().map(to_libc).collect())
}

/// What `build.rs` wrote.
mod built {
    use libc::sock_filter;

    include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
}
