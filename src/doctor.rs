//! What this host can enforce, found out by making sandboxes.
//!
//! [`examine`] makes real sandboxes, one after the other, through the same main path as `run`: one in which the
//! programs of the host look around, and small ones that run into each limit. What was promised is held against what
//! was seen; a difference is a blocker like any other. Where no sandbox can be made, the blockers are those that `run`
//! names, from the same table.
//!
//! Promises: changes nothing on the host, but for an empty cgroup directory that is removed at once. Never prints.

mod apparmor;
mod cgroup;
mod evidence;
mod facts;
mod inside;
mod report;
mod trials;

pub use apparmor::profile as apparmor_profile;
pub use report::{Cgroup, Finding, HostFacts, IdRanges, NetworkPolicy, Obstacle, Report, Security, Verified};

use crate::error::{Blocker, Error};
use crate::host::diagnose;
use crate::host::surroundings::Surroundings;
use crate::outcome::Enforcement;
use crate::spec::Protection;
use crate::sys::proc;
use inside::Looked;
use std::collections::BTreeMap;

/// Examines the host. Takes about a second where sandboxes work.
pub fn examine() -> Report {
    let surroundings = Surroundings::look();
    let mut host = facts::gather(&surroundings);
    let (first, obstacles) = first_look(&surroundings);
    let mut blockers: Vec<Obstacle> = obstacles.into_iter().map(Obstacle::from).collect();
    let protections = match first {
        Some(looked) => {
            host.languages = facts::languages();
            host.network_policy = facts::network_policy();
            let findings = findings(&looked, &host);
            blockers.extend(contradictions(&findings));
            findings
        }
        None => nothing(&blockers),
    };
    let protections = protections.into_iter().map(|(protection, finding)| (protection.name().to_owned(), finding));
    Report { ok: blockers.is_empty(), protections: protections.collect(), blockers, host }
}

/// The first sandbox, and what keeps a default `run` from making it. Without Landlock there is one all the same, to
/// see the rest.
fn first_look(surroundings: &Surroundings) -> (Option<Looked>, Vec<Blocker>) {
    let error = match inside::look(true) {
        Ok(looked) => return (Some(looked), Vec::new()),
        Err(error) => error,
    };
    let Err(errno) = proc::landlock_version() else { return (None, refusals(error, surroundings)) };
    let landlock = Blocker {
        message: "landlock: the kernel has no Landlock".to_owned(),
        hint: Some(diagnose::landlock_cure(surroundings, errno)),
    };
    match inside::look(false) {
        Ok(looked) => (Some(looked), vec![landlock]),
        Err(error) => (None, [refusals(error, surroundings), vec![landlock]].concat()),
    }
}

/// What was refused, first and in the words of `run`, and what else is certain to be.
fn refusals(error: Error, surroundings: &Surroundings) -> Vec<Blocker> {
    let first = Blocker { message: error.to_string(), hint: error.hint };
    let mut others = diagnose::certain_blockers(surroundings);
    others.retain(|blocker| blocker.message != first.message);
    others.insert(0, first);
    others
}

/// Each protection: what the sandbox promised, whether it was seen, and how to get more.
fn findings(looked: &Looked, host: &HostFacts) -> BTreeMap<Protection, Finding> {
    let mut verified = evidence::hold(looked);
    verified.extend(trials::run_all());
    Protection::ALL
        .into_iter()
        .filter_map(|protection| {
            let enforcement = looked.enforcement.get(&protection)?.clone();
            let verified = match &enforcement {
                Enforcement::Off(_) => Verified::NotTried("it is missing".to_owned()),
                Enforcement::Enforced | Enforcement::Partly(_) | Enforcement::By { .. } => verified
                    .remove(&protection)
                    .unwrap_or_else(|| Verified::NotTried("nothing inside shows it".to_owned())),
            };
            let hint = facts::hint(protection, &enforcement, host);
            Some((protection, Finding { enforcement, verified, hint }))
        })
        .collect()
}

/// Promises that were not kept.
fn contradictions(findings: &BTreeMap<Protection, Finding>) -> Vec<Obstacle> {
    let broken = findings.iter().filter_map(|(protection, finding)| match &finding.verified {
        Verified::No(seen) => Some(Obstacle {
            message: format!("{} was promised and is not there: {seen}", protection.name()),
            hint: Some("do not rely on this protection here, and report it as a fault of belljar".to_owned()),
        }),
        Verified::Yes | Verified::NotTried(_) => None,
    });
    broken.collect()
}

/// The findings where there is no sandbox.
fn nothing(blockers: &[Obstacle]) -> BTreeMap<Protection, Finding> {
    let why = blockers.first().map_or_else(|| "no sandbox".to_owned(), |blocker| blocker.message.clone());
    let finding = Finding {
        enforcement: Enforcement::Off("no sandbox can be made here".to_owned()),
        verified: Verified::NotTried(why),
        hint: None,
    };
    Protection::ALL.into_iter().map(|protection| (protection, finding.clone())).collect()
}
