//! What only an OCI bundle says of a sandbox: no flag and no field of a spec file does.

use std::path::PathBuf;

/// A root file system of the caller's own, and what its bundle wants done to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The bundle's directory, absolute.
    pub directory: PathBuf,
    /// The root file system, absolute. It is never written to.
    pub root: PathBuf,
    /// Whether the root is read-only inside, too.
    pub read_only: bool,
    /// Empty directories that can be written to, in the order of mounting.
    pub tmpfs: Vec<Tmpfs>,
    /// Absolute paths inside at which nothing is to be seen.
    pub masked: Vec<PathBuf>,
    /// Absolute paths inside below which nothing can be written.
    pub sealed: Vec<PathBuf>,
    /// Limits of each process.
    pub limits: Vec<ResourceLimit>,
    /// What tells the command to end, by name or number.
    pub stop_signal: Option<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Absolute path inside.
    pub target: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of its own, taken off the writable layer's. `None`: it is part of the writable layer.
    pub bytes: Option<u64>,
    /// Whether programs on it can be executed. It has a size of its own where they cannot.
    pub executable: bool,
    /// How many of the spec's mounts come before it.
    pub after: usize,
}

/// setrlimit(2), in the resource's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// `RLIMIT_…`.
    pub resource: u32,
    /// Its name.
    pub name: &'static str,
    /// The soft limit; `u64::MAX` for none.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

impl Bundle {
    /// Bytes of the writable layer's quota that its own file systems take.
    pub fn bytes(&self) -> u64 {
        self.tmpfs.iter().filter_map(|tmpfs| tmpfs.bytes).fold(0, u64::saturating_add)
    }
}
