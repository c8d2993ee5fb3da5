//! Whether the caller may use a part of the cgroup v2 tree, as the report says it.

use super::report::Cgroup;
use crate::host::cgroup::{self, Cgroup as Found};
use crate::spec::Spec;
use std::fs;

/// Looks, and tries: a cgroup is made and removed. No process is moved, no controller switched, no scope asked for.
pub fn probe() -> Cgroup {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let found = cgroup::find(&Spec::default(), &mut Vec::new());
    let report = Cgroup {
        version: cgroup::version(&mounts).to_owned(),
        controllers: found.controllers().names().map(str::to_owned).collect(),
        delegated: found.is_there(),
        ..Cgroup::default()
    };
    match found {
        Found::In(place) => Cgroup { directory: Some(place.directory.to_string_lossy().into_owned()), ..report },
        Found::Scope => Cgroup { scope: true, ..report },
        Found::Without { why, cure } => Cgroup { reason: Some(why), hint: Some(cure.to_owned()), ..report },
    }
}
