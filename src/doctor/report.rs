//! The report as types: the object of `belljar doctor --json`.
//!
//! The JSON Schema (`docs/doctor.schema.json`, `belljar schema doctor`) is generated from these types by a test.

use crate::error::Blocker;
use crate::outcome::Enforcement;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that was found out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Whether a `run` with no options works, and everything it promises was seen.
    pub ok: bool,
    /// Each protection by its name.
    pub protections: BTreeMap<String, Finding>,
    /// What keeps a `run` with no options from working, the first first.
    pub blockers: Vec<Obstacle>,
    /// What this machine and this process are.
    pub host: HostFacts,
}

/// What was found out about a protection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// How far it is enforced, as in the result of `run`.
    pub enforcement: Enforcement,
    /// Whether it was seen to work, inside of a sandbox.
    pub verified: Verified,
    /// How to get more of it, where there is more to get.
    pub hint: Option<String>,
}

/// Whether a protection was seen to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// It was.
    Yes,
    /// It was seen not to; what was seen.
    No(String),
    /// It could not be looked at; why.
    NotTried(String),
}

/// Something in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Obstacle {
    /// What it is; for what `run` refuses, in the words of `run`.
    pub message: String,
    /// How to remove it, with and without root.
    pub hint: Option<String>,
}

impl From<Blocker> for Obstacle {
    fn from(Blocker { message, hint }: Blocker) -> Obstacle {
        Obstacle { message, hint }
    }
}

/// What this machine and this process are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HostFacts {
    /// Release of the kernel.
    pub kernel: String,
    /// The processor's architecture.
    pub architecture: String,
    /// Effective user id.
    pub uid: u32,
    /// Landlock's ABI version; 0 without Landlock.
    pub landlock_abi: u32,
    /// System calls that older kernels lack and filters hide, each with whether it answers.
    pub system_calls: BTreeMap<String, bool>,
    /// Whether overlay mounts can be had in user namespaces, by version and configuration of the kernel (not tried: this
    /// version makes none); null when the kernel does not say.
    pub overlay_in_user_namespaces: Option<bool>,
    /// Control groups.
    pub cgroup: Cgroup,
    /// What is around this process.
    pub security: Security,
    /// The languages of `belljar code` by name, each with its version as seen in a sandbox; null when it is not there.
    pub languages: BTreeMap<String, Option<String>>,
    /// Ranges of ids that the user may map, for `--userns range`; without it none are needed.
    pub id_ranges: IdRanges,
    /// Whether a sandbox can be held to a network policy.
    pub network_policy: NetworkPolicy,
}

/// Whether `--allow`, `--net open` and policy files work, tried in a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NetworkPolicy {
    /// Whether they do.
    pub available: bool,
    /// What the sandbox's packets leave it through, and what is held to the policy.
    pub device: Option<String>,
    /// Why they do not.
    pub reason: Option<String>,
    /// How to get them.
    pub hint: Option<String>,
}

/// Control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cgroup {
    /// `none`, `v1`, `hybrid` or `v2`.
    pub version: String,
    /// Where the cgroups of sandboxes are made.
    pub directory: Option<String>,
    /// The controllers that they have.
    pub controllers: Vec<String>,
    /// Whether sandboxes have cgroups here.
    pub delegated: bool,
    /// Whether a scope of the user's systemd is asked for to that end.
    pub scope: bool,
    /// Why not.
    pub reason: Option<String>,
    /// How to get one, with and without root.
    pub hint: Option<String>,
}

/// What is around this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Security {
    /// The kind of container, by the traces that it leaves.
    pub container: Option<String>,
    /// A seccomp filter.
    pub seccomp_filter: bool,
    /// AppArmor label.
    pub apparmor: Option<String>,
    /// AppArmor restricts unprivileged user namespaces.
    pub apparmor_restricts_user_namespaces: bool,
    /// SELinux context, where it is enforced.
    pub selinux: Option<String>,
}

/// Ranges of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IdRanges {
    /// Whether `--userns range` works.
    pub available: bool,
    /// Ids of the user in `/etc/subuid`.
    pub subuid: u64,
    /// Ids of the user in `/etc/subgid`.
    pub subgid: u64,
    /// Whether newuidmap(1) and newgidmap(1) are there.
    pub newuidmap: bool,
    /// Why ranges are not available.
    pub reason: Option<String>,
    /// How to get them.
    pub hint: Option<String>,
}
