//! The report of `doctor` as text: one line for each protection, then the facts, then what is missing and how to get it. Colour only
//! repeats what a word says.

use crate::doctor::{Finding, HostFacts, Report, Verified};
use crate::outcome::Enforcement;
use crate::spec::Protection;
use std::fmt::Write as _;

/// How good a line is; shown as colour, where there is any, beside the word that says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Good,
    Fair,
    Bad,
}

fn painted(word: &str, mood: Mood, colour: bool) -> String {
    let number = match mood {
        Mood::Good => 32,
        Mood::Fair => 33,
        Mood::Bad => 31,
    };
    if colour { format!("\x1b[{number}m{word}\x1b[0m") } else { word.to_owned() }
}

/// The whole report; `colour`: with what a terminal shows as colours.
pub fn lines(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}\n", verdict(report, colour));
    for protection in Protection::ALL {
        if let Some(finding) = report.protections.get(protection.name()) {
            let _ = writeln!(text, "  {:<12} {}", protection.name(), state(finding, colour));
        }
    }
    let _ = writeln!(text);
    for (name, value) in facts(&report.host) {
        let _ = writeln!(text, "  {name:<14} {value}");
    }
    text.push_str(&cures(report));
    text
}

fn verdict(report: &Report, colour: bool) -> String {
    let wrong = report.protections.values().any(|finding| matches!(finding.verified, Verified::No(_)));
    if report.ok {
        painted("Sandboxes work here.", Mood::Good, colour)
    } else if wrong {
        painted("NOT SAFE: a protection that was promised is not there.", Mood::Bad, colour)
    } else {
        painted("Sandboxes do not work here as they are meant to; what to do stands below.", Mood::Bad, colour)
    }
}

/// A word for how far a protection goes, then how, then whether that was seen.
fn state(finding: &Finding, colour: bool) -> String {
    let (word, how, mood) = match &finding.enforcement {
        Enforcement::Enforced => ("enforced", None, Mood::Good),
        Enforcement::Partly(what) => ("partly", Some(what.clone()), Mood::Fair),
        Enforcement::By { by, exact: true } => ("exact", Some(format!("by {by}")), Mood::Good),
        Enforcement::By { by, exact: false } => ("approximate", Some(format!("by {by}")), Mood::Fair),
        Enforcement::Off(why) => ("missing", Some(why.clone()), Mood::Bad),
    };
    let (word, mood) = match finding.verified {
        Verified::No(_) => ("BROKEN", Mood::Bad),
        Verified::Yes | Verified::NotTried(_) => (word, mood),
    };
    let seen = match (&finding.verified, &finding.enforcement) {
        (Verified::Yes, _) => Some("seen to work".to_owned()),
        (Verified::No(what), _) => Some(format!("SEEN NOT TO WORK: {what}")),
        (Verified::NotTried(_), Enforcement::Off(_)) => None,
        (Verified::NotTried(why), _) => Some(format!("not tried: {why}")),
    };
    let rest = how.into_iter().chain(seen).collect::<Vec<_>>().join("; ");
    format!("{} {rest}", painted(&format!("{word:<11}"), mood, colour))
}

fn facts(host: &HostFacts) -> Vec<(&'static str, String)> {
    let hidden: Vec<&str> =
        host.system_calls.iter().filter(|(_, known)| !**known).map(|(name, _)| name.as_str()).collect();
    let mut facts = vec![
        ("kernel", format!("Linux {} on {}", host.kernel, host.architecture)),
        ("user", if host.uid == 0 { "root".to_owned() } else { format!("id {}", host.uid) }),
        ("Landlock", if host.landlock_abi == 0 { "none".to_owned() } else { format!("ABI {}", host.landlock_abi) }),
        (
            "system calls",
            if hidden.is_empty() { "all there".to_owned() } else { format!("without {}", hidden.join(", ")) },
        ),
        ("cgroups", cgroups(host)),
        ("overlay", overlay(host).to_owned()),
        ("surroundings", surroundings(host)),
    ];
    for (name, version) in &host.languages {
        facts.push(match name.as_str() {
            "python" => ("python", version.clone().unwrap_or_else(|| "not below /usr".to_owned())),
            "node" => ("node", version.clone().unwrap_or_else(|| "not below /usr".to_owned())),
            _ => ("sh", version.clone().unwrap_or_else(|| "not below /usr".to_owned())),
        });
    }
    let ids = &host.id_ranges;
    let range = match &ids.reason {
        None => format!("{} uids, {} gids: `--userns range` works", ids.subuid, ids.subgid),
        Some(reason) => format!("none needed by default; {reason}"),
    };
    facts.push(("id ranges", range));
    let policy = &host.network_policy;
    let network = match (&policy.device, &policy.reason) {
        (Some(device), _) => format!("`--allow` works: {device}"),
        (None, Some(reason)) => format!("`--allow` does not work: {reason}"),
        (None, None) => "not tried".to_owned(),
    };
    facts.push(("policies", network));
    facts
}

fn cgroups(host: &HostFacts) -> String {
    let cgroup = &host.cgroup;
    let (version, controllers) = (&cgroup.version, cgroup.controllers.join(" "));
    match (&cgroup.reason, &cgroup.directory) {
        (None, Some(directory)) => format!("{version}: sandboxes have theirs in {directory}, with {controllers}"),
        (None, None) => format!("{version}: the user's systemd makes a scope for sandboxes, with {controllers}"),
        (Some(_), _) if version == "none" => "none mounted".to_owned(),
        (Some(reason), _) => format!("{version}, none is ours: {reason}"),
    }
}

fn overlay(host: &HostFacts) -> &'static str {
    match host.overlay_in_user_namespaces {
        Some(true) => "in user namespaces by the kernel's version, not tried (not used yet)",
        Some(false) => "not in user namespaces (not used yet)",
        None => "not loaded (not used yet)",
    }
}

fn surroundings(host: &HostFacts) -> String {
    let security = &host.security;
    let mut found = Vec::new();
    found.extend(security.container.iter().map(|kind| format!("container ({kind})")));
    found.extend(security.seccomp_filter.then(|| "seccomp filter".to_owned()));
    found.extend(security.apparmor.iter().map(|label| format!("AppArmor ({label})")));
    let restricts = "AppArmor restricts user namespaces";
    found.extend(security.apparmor_restricts_user_namespaces.then(|| restricts.to_owned()));
    found.extend(security.selinux.iter().map(|context| format!("SELinux ({context})")));
    if found.is_empty() { "no container, filter, AppArmor or SELinux".to_owned() } else { found.join(", ") }
}

/// What is missing and how to get it; where nothing is, what could be better.
fn cures(report: &Report) -> String {
    let cgroup = report.host.cgroup.hint.as_deref();
    let (title, cures): (_, Vec<(String, Option<&str>)>) = if report.blockers.is_empty() {
        let better = improvements(report).into_iter().map(|(names, hint)| (names.join(", "), Some(hint)));
        let cgroup = cgroup.map(|hint| ("a cgroup v2 of one's own, which holds limits exactly".to_owned(), Some(hint)));
        let ranges = report.host.id_ranges.hint.as_deref();
        let ranges = ranges.map(|hint| ("a range of ids, for `--userns range`".to_owned(), Some(hint)));
        let policy = report.host.network_policy.hint.as_deref();
        let policy = policy.map(|hint| ("network policies, for `--allow`".to_owned(), Some(hint)));
        ("What could be better:", better.chain(cgroup).chain(ranges).chain(policy).collect())
    } else {
        let missing = report.blockers.iter().map(|blocker| (blocker.message.clone(), blocker.hint.as_deref()));
        ("What is missing, and how to get it:", missing.collect())
    };
    let mut text = String::new();
    if !cures.is_empty() {
        let _ = writeln!(text, "\n{title}");
    }
    for (what, hint) in cures {
        let _ = writeln!(text, "  - {what}");
        for line in hint.iter().flat_map(|hint| hint.lines()) {
            let _ = writeln!(text, "    hint: {line}");
        }
    }
    text
}

/// Protections that share a hint stand together.
fn improvements(report: &Report) -> Vec<(Vec<&'static str>, &str)> {
    let mut better: Vec<(Vec<&'static str>, &str)> = Vec::new();
    for protection in Protection::ALL {
        let hint = report.protections.get(protection.name()).and_then(|finding| finding.hint.as_deref());
        match (hint, better.iter_mut().find(|(_, known)| Some(*known) == hint)) {
            (Some(_), Some((names, _))) => names.push(protection.name()),
            (Some(hint), None) => better.push((vec![protection.name()], hint)),
            (None, _) => {}
        }
    }
    better
}
