//! Every contradiction of a spec, all at once.
//!
//! Pure: no look at the host, no file opened. A spec that passes may still be impossible on this machine; that
//! is for the planner to find. What belljar does not do yet is refused here by name, never ignored.

use super::units::{MAX_BYTES, MAX_DURATION, MAX_MILLICPUS, MAX_PIDS, show_bytes};
use super::{
    MOST_CONNECTIONS, Mount, Network, Order, Privileges, Program, Protection, RANGE, Seccomp, Source, Spec, Userns,
};
use crate::error::{Error, Problem};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::time::Duration;

/// Less does not even hold the interpreter of a language.
const MIN_MEMORY: u64 = 1 << 20;
/// One page a second: less is no bandwidth.
const MIN_BANDWIDTH: u64 = 4 << 10;
/// Slower than this nothing ends within the patience of the programs that use it.
const LEAST_RATE: u64 = 4 << 10;
/// A tmpfs counts in pages, and some are used by what we put there.
const MIN_DISK: u64 = 64 << 10;
/// Kernel-made file systems: a mount over them would hide our masks, and a directory in them is a way to
/// objects that are not files (`/proc/self/fd/7` of CVE-2024-21626).
const KERNEL_DIRS: [&str; 3] = ["/proc", "/dev", "/sys"];
/// The profiles in `seccomp/`.
const PROFILES: [&str; 4] = ["default", "strict", "debug", PACKAGES];
/// The one under which set-user-id bits can be set.
const PACKAGES: &str = "packages";

/// `Ok`, or an error of the kind `invalid` with every contradiction of a wish, in the order of the fields.
pub fn check(spec: &Spec) -> Result<(), Error> {
    result(contradictions(spec, None))
}

/// The same of an order, with what it adds to the wish.
pub fn check_order(order: &Order) -> Result<(), Error> {
    result(contradictions(&order.spec, Some(order)))
}

fn result(problems: Vec<Problem>) -> Result<(), Error> {
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems)) }
}

fn contradictions(spec: &Spec, order: Option<&Order>) -> Vec<Problem> {
    let mut problems = Vec::new();
    match order.and_then(|order| order.own.as_ref()) {
        Some(own) => words("command", &own.words(), &mut problems),
        None => program(spec, &mut problems),
    }
    image(spec, &mut problems);
    if let Some(order) = order {
        bundle(order, &mut problems);
    }
    limits(spec, &mut problems);
    check_network(spec, &mut problems);
    super::publish::check(spec, &mut problems);
    mounts(&spec.mounts, &mut problems);
    env(spec, &mut problems);
    workdir(spec, &mut problems);
    identity(spec, &mut problems);
    seccomp(spec, &mut problems);
    input(spec, &mut problems);
    if let Some(order) = order {
        term(order, &mut problems);
        privileges(order, &mut problems);
    }
    protections(spec, &mut problems);
    problems
}

fn program(spec: &Spec, problems: &mut Vec<Problem>) {
    match &spec.program {
        Program::Command(words) => {
            match words.first() {
                // An image may have a command of its own.
                None if spec.image.as_deref().is_some_and(|image| !["", "host"].contains(&image)) => {}
                None => problems.push(
                    Problem::new("command", "no command").hint("end with what to run, as in `belljar run -- ls -l`"),
                ),
                Some(name) if name.is_empty() => {
                    problems.push(Problem::new("command", "the name of the command is empty"));
                }
                Some(_) => {}
            }
            self::words("command", words, problems);
        }
        Program::Code(code) => {
            words("code", &code.args, problems);
            match &code.source {
                Source::Text(text) if has_nul(text) => {
                    problems.push(Problem::new("code", "the code has a NUL byte in it"));
                }
                Source::File(path) => file("code", path, problems),
                Source::Text(_) | Source::Stdin => {}
            }
        }
        Program::Nothing => {}
    }
}

fn words(field: &str, words: &[OsString], problems: &mut Vec<Problem>) {
    if let Some(index) = words.iter().position(|word| has_nul(word)) {
        problems.push(Problem::new(field, format!("word {} has a NUL byte in it", index + 1)));
    }
}

fn image(spec: &Spec, problems: &mut Vec<Problem>) {
    if spec.image.as_deref() == Some("") {
        problems.push(
            Problem::new("image", "the name is empty")
                .hint("`belljar image ls` shows the images; `host` is always there"),
        );
    }
}

fn bundle(order: &Order, problems: &mut Vec<Problem>) {
    let Some(bundle) = &order.bundle else { return };
    if order.spec.image.is_some() {
        let problem = Problem::new("image", "a bundle has a root file system of its own");
        problems.push(problem.hint("leave `--image` or `--bundle` out"));
    }
    if bundle.bytes() > 0 && bundle.bytes().saturating_add(MIN_DISK) > order.spec.disk {
        let message = format!(
            "{} is not enough: the bundle's own `tmpfs` mounts take {} of it",
            show_bytes(order.spec.disk),
            show_bytes(bundle.bytes())
        );
        problems.push(Problem::new("disk", message).hint("raise `--disk`, or lower their `size=`"));
    }
}

fn limits(spec: &Spec, problems: &mut Vec<Problem>) {
    size("memory", spec.memory, MIN_MEMORY, problems);
    if spec.millicpus == 0 || spec.millicpus > MAX_MILLICPUS {
        problems.push(Problem::new("cpus", "not from 0.001 to 4096").hint("give a number of CPUs, as in `--cpus 0.5`"));
    }
    if spec.pids == 0 || spec.pids > MAX_PIDS {
        problems.push(Problem::new("pids", format!("not from 1 to {MAX_PIDS}")));
    }
    size("disk", spec.disk, MIN_DISK, problems);
    if let Some(bandwidth) = spec.disk_bandwidth {
        size("disk_bandwidth", bandwidth, MIN_BANDWIDTH, problems);
    }
    time("timeout", spec.timeout, "`--timeout none` lifts the deadline", problems);
    time("cpu_time", spec.cpu_time, "leave it out for no limit but the deadline", problems);
    if let Some(limit) = spec.output_limit {
        size("output_limit", limit.bytes, 1, problems);
    }
}

fn size(field: &str, bytes: u64, least: u64, problems: &mut Vec<Problem>) {
    if bytes < least {
        problems.push(Problem::new(field, format!("{} is less than {}", show_bytes(bytes), show_bytes(least))));
    } else if bytes > MAX_BYTES {
        problems.push(Problem::new(field, "larger than the kernel can count"));
    }
}

fn time(field: &str, time: Option<Duration>, cure: &str, problems: &mut Vec<Problem>) {
    match time {
        Some(Duration::ZERO) => problems.push(Problem::new(field, "is zero").hint(cure)),
        Some(time) if time > MAX_DURATION => {
            problems.push(Problem::new(field, "longer than 1000000 hours").hint(cure));
        }
        Some(_) | None => {}
    }
}

/// What contradicts itself in what a sandbox may reach.
pub fn check_network(spec: &Spec, problems: &mut Vec<Problem>) {
    // A list that nobody enforces is worse than none: refused even where it would change nothing.
    let without = match spec.net {
        Network::None => Some(("there is no network", "leave `--net none` out, or take `--net open`")),
        Network::Host => {
            Some(("nothing holds the host's network to it", "leave `--net host` out, or take `--net open`"))
        }
        Network::Open | Network::Only => None,
    };
    if let Some((why, cure)) = without {
        let default = Spec::default();
        let said = [
            ("allow", !spec.allow.is_empty()),
            ("deny", !spec.deny.is_empty()),
            ("net_rate", spec.net_rate.is_some()),
            ("net_connections", spec.net_connections != default.net_connections),
        ];
        for (field, _) in said.into_iter().filter(|(_, said)| *said) {
            problems.push(Problem::new(field, why).hint(cure));
        }
    }
    if let Some(rate) = spec.net_rate {
        size("net_rate", rate, LEAST_RATE, problems);
    }
    if spec.net_connections == 0 {
        problems.push(Problem::new("net_connections", "is zero").hint("`--net none` is no network at all"));
    } else if spec.net_connections > MOST_CONNECTIONS {
        problems.push(Problem::new("net_connections", format!("more than {MOST_CONNECTIONS}")));
    }
}

fn mounts(mounts: &[Mount], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for mount in mounts {
        let name = mount.target.display().to_string();
        let name = name.escape_debug();
        if has_nul(mount.source.as_os_str()) || has_nul(mount.target.as_os_str()) {
            problems.push(Problem::new("mount", format!("`{name}`: a path has a NUL byte in it")));
        } else if let Err(reason) = inside(&mount.target) {
            problems.push(Problem::new("mount", format!("target `{name}` {reason}")));
        } else if mount.target == Path::new("/") {
            let problem = Problem::new("mount", "target `/` would replace the whole root file system");
            problems.push(problem.hint("mount on a directory below it, as in `--mount ./data:/data`"));
        } else if !seen.insert(mount.target.clone()) {
            problems.push(Problem::new("mount", format!("target `{name}` is mounted on twice")));
        }
    }
}

fn env(spec: &Spec, problems: &mut Vec<Problem>) {
    for (name, value) in &spec.env {
        let shown = name.display().to_string();
        let shown = shown.escape_debug();
        if name.is_empty() {
            problems.push(Problem::new("env", "a variable without a name").hint("write `--env NAME=VALUE`"));
        } else if name.as_bytes().contains(&b'=') {
            problems.push(Problem::new("env", format!("the name `{shown}` has an equals sign in it")));
        } else if has_nul(name) || has_nul(value) {
            problems.push(Problem::new("env", format!("`{shown}` has a NUL byte in it")));
        }
    }
}

fn workdir(spec: &Spec, problems: &mut Vec<Problem>) {
    let Some(path) = &spec.workdir else { return };
    if has_nul(path.as_os_str()) {
        problems.push(Problem::new("workdir", "has a NUL byte in it"));
    } else if let Err(reason) = inside(path) {
        let name = path.display().to_string();
        problems.push(Problem::new("workdir", format!("`{}` {reason}", name.escape_debug())));
    }
}

/// A path inside the sandbox that may be mounted on or worked in.
fn inside(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("is empty".to_owned());
    }
    if !path.is_absolute() {
        return Err("is not absolute".to_owned());
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("has `..` in it".to_owned());
    }
    // `components` drops `.`, repeated slashes and a final one; what is compared must be what the kernel gets.
    if path.components().collect::<std::path::PathBuf>().as_os_str() != path.as_os_str() {
        return Err("is not in its shortest form: no `.`, no `//`, no slash at the end".to_owned());
    }
    match KERNEL_DIRS.iter().find(|dir| path.starts_with(dir)) {
        Some(dir) => Err(format!("lies in `{dir}`, which belongs to the sandbox")),
        None => Ok(()),
    }
}

fn identity(spec: &Spec, problems: &mut Vec<Problem>) {
    // The kernel reads the number -1 as "leave as it is".
    if let Some(user) = spec.user.filter(|user| user.uid == u32::MAX || user.gid == u32::MAX) {
        let shown = format!("{}:{} is out of range", user.uid, user.gid);
        problems.push(Problem::new("user", shown).hint("ids go from 0 to 4294967294"));
    } else if let (Some(user), Userns::Range) = (spec.user.filter(|user| user.uid.max(user.gid) >= RANGE), spec.userns)
    {
        let shown = format!("{}:{} is not in the range", user.uid, user.gid);
        problems.push(Problem::new("user", shown).hint(format!("a range has the ids 0 to {}", RANGE - 1)));
    }
    let name = &spec.hostname;
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 64 || !name.split('.').all(label) {
        let name: String = name.chars().take(64).collect();
        problems.push(
            Problem::new("hostname", format!("`{}` is no host name", name.escape_debug()))
                .hint("letters, digits and hyphens, in labels with dots between, at most 64 in all (RFC 1123)"),
        );
    }
}

fn seccomp(spec: &Spec, problems: &mut Vec<Problem>) {
    match &spec.seccomp {
        Seccomp::Builtin(name) if !PROFILES.contains(&name.as_str()) => {
            problems.push(Problem::new("seccomp", format!("no profile `{}`", name.escape_debug())).hint(format!(
                "the profiles are {}; a file is named with a `/` or ends in `.json`",
                PROFILES.join(", ")
            )))
        }
        Seccomp::Builtin(name) if name == PACKAGES => {
            // In a directory of the host a set-user-id program lends the caller's rights to everybody there.
            for mount in spec.mounts.iter().filter(|mount| mount.writable) {
                let target = mount.target.display().to_string();
                problems.push(
                    Problem::new(
                        "seccomp",
                        format!(
                            "`packages` lets set-user-id bits through, and `{}` is the host's and writable",
                            target.escape_debug()
                        ),
                    )
                    .hint("mount it read-only, or take `--seccomp default`"),
                );
            }
        }
        Seccomp::Custom { path, json } if json.is_empty() => {
            problems.push(Problem::new("seccomp", format!("the profile `{}` is empty", path.display())));
        }
        Seccomp::Builtin(_) | Seccomp::Custom { .. } => {}
    }
}

fn input(spec: &Spec, problems: &mut Vec<Problem>) {
    if let Some(path) = &spec.stdin {
        file("stdin", path, problems);
        if spec.tty {
            let problem = Problem::new("tty", "a terminal of its own and a file as standard input exclude each other");
            problems.push(problem.hint("leave out `--tty` or `--stdin`"));
        }
    }
}

fn term(order: &Order, problems: &mut Vec<Problem>) {
    if order.term.as_ref().is_some_and(|term| term.contains('\0')) {
        problems.push(Problem::new("term", "has a NUL byte in it"));
    }
}

fn file(field: &str, path: &Path, problems: &mut Vec<Problem>) {
    if path.as_os_str().is_empty() {
        problems.push(Problem::new(field, "the name of the file is empty"));
    } else if has_nul(path.as_os_str()) {
        problems.push(Problem::new(field, "the name of the file has a NUL byte in it"));
    }
}

/// Nobody's request but our own: what is wrong here is for whoever writes belljar.
fn privileges(order: &Order, problems: &mut Vec<Problem>) {
    let Privileges::Build { root } = &order.privileges else { return };
    if !order.spec.mounts.iter().any(|mount| mount.writable && root.starts_with(&mount.target)) {
        problems.push(Problem::new("privileges", format!("`{}` lies in no writable mount", root.display())));
    }
    if order.spec.user.is_none_or(|user| user.uid != 0) {
        problems.push(Problem::new("privileges", "are kept by user 0 only"));
    }
    if order.spec.userns == Userns::Range {
        problems.push(Problem::new("privileges", "are for a sandbox of one id"));
    }
}

fn protections(spec: &Spec, problems: &mut Vec<Problem>) {
    for protection in spec.allow_missing.iter().filter(|protection| !can_be_missing(**protection)) {
        problems.push(
            Problem::new("allow_missing", format!("`{}` cannot be missing from a sandbox", protection.name()))
                .hint("only `landlock`, the second layer of file access control, can be missing"),
        );
    }
    for requirement in &spec.require {
        let protection = requirement.protection;
        let name = protection.name();
        if spec.allow_missing.contains(&protection) {
            problems.push(Problem::new("require", format!("`{name}` is both required and allowed to be missing")));
        }
        if requirement.exact && !is_limit(protection) {
            problems.push(
                Problem::new("require", format!("`{name}=exact`: only limits are exact or approximate"))
                    .hint(format!("write `--require {name}`")),
            );
        }
        let unset = match protection {
            Protection::CpuTime => spec.cpu_time.is_none(),
            Protection::Timeout => spec.timeout.is_none(),
            _ => false,
        };
        if unset {
            problems.push(Problem::new("require", format!("`{name}` is required, and no such limit is set")));
        }
    }
}

/// Whether a sandbox without this protection would still be one. Everything else is there or the run fails.
fn can_be_missing(protection: Protection) -> bool {
    match protection {
        Protection::Landlock => true,
        Protection::Namespaces
        | Protection::Capabilities
        | Protection::Network
        | Protection::Seccomp
        | Protection::Proc
        | Protection::Memory
        | Protection::Cpu
        | Protection::CpuTime
        | Protection::Pids
        | Protection::Disk
        | Protection::DiskBandwidth
        | Protection::Timeout => false,
    }
}

fn is_limit(protection: Protection) -> bool {
    match protection {
        Protection::Memory
        | Protection::Cpu
        | Protection::CpuTime
        | Protection::Pids
        | Protection::Disk
        | Protection::DiskBandwidth
        | Protection::Timeout => true,
        Protection::Namespaces
        | Protection::Capabilities
        | Protection::Network
        | Protection::Seccomp
        | Protection::Landlock
        | Protection::Proc => false,
    }
}

fn has_nul(word: &OsStr) -> bool {
    word.as_bytes().contains(&0)
}

#[cfg(test)]
mod tests;
