//! `process`: the command, and who it is.

use super::object::{Object, Reader};
use crate::spec::{Bundle, PartialSpec, Program, ResourceLimit, User};
use oci_spec::runtime::{Capability, PosixRlimit, PosixRlimitType};
use std::ffi::OsString;
use std::path::PathBuf;

/// Capabilities that a runtime gives by default. Without a second user, what they permit is permitted anyway or means
/// nothing, so that doing without them changes little; no sandbox has any.
const HARMLESS: [Capability; 14] = [
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Mknod,
    Capability::NetBindService,
    Capability::NetRaw,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// The file mode mask of every sandbox.
const MASK: u32 = 0o022;

pub fn read(reader: &mut Reader, mut process: Object, spec: &mut PartialSpec, bundle: &mut Bundle) {
    let words = reader.take::<Vec<String>>(&mut process, "args").filter(|words| !words.is_empty());
    spec.program = words.map(|words| Program::Command(words.into_iter().map(OsString::from).collect()));
    let lines: Vec<String> = reader.take(&mut process, "env").unwrap_or_default();
    for (index, line) in lines.iter().enumerate() {
        match line.split_once('=') {
            Some((name, value)) if !name.is_empty() => spec.env.push((name.into(), value.into())),
            _ => reader.wrong(&format!("{}[{index}]", process.at("env")), "is not `NAME=VALUE`", "write it so"),
        }
    }
    spec.workdir = reader.take::<String>(&mut process, "cwd").map(PathBuf::from);
    spec.tty = reader.take(&mut process, "terminal");
    if let Some(user) = reader.take_object(&mut process, "user") {
        spec.user = self::user(reader, user);
    }
    if let Some(sets) = reader.take_object(&mut process, "capabilities") {
        capabilities(reader, sets);
    }
    let limits: Vec<PosixRlimit> = reader.take(&mut process, "rlimits").unwrap_or_default();
    for (index, limit) in limits.iter().enumerate() {
        bundle.limits.extend(self::limit(reader, &format!("{}[{index}]", process.at("rlimits")), limit));
    }
    // No sandbox gets new privileges, whatever this says.
    let _: Option<bool> = reader.take(&mut process, "noNewPrivileges");
    if reader.take::<i64>(&mut process, "oomScoreAdj").is_some_and(|score| score < 0) {
        reader.wrong(
            &process.at("oomScoreAdj"),
            "is below 0",
            "who is killed for want of memory is the kernel's choice",
        );
    }
    reader.nothing_else(process);
}

fn user(reader: &mut Reader, mut user: Object) -> Option<User> {
    let uid: u32 = reader.take(&mut user, "uid").unwrap_or(0);
    let gid: u32 = reader.take(&mut user, "gid").unwrap_or(0);
    let groups: Vec<u32> = reader.take(&mut user, "additionalGids").unwrap_or_default();
    if groups.iter().any(|group| *group != gid) {
        reader.wrong(&user.at("additionalGids"), "there is one group in a sandbox", "leave them out");
    }
    if reader.take::<u32>(&mut user, "umask").is_some_and(|mask| mask != MASK) {
        reader.wrong(&user.at("umask"), "is 18 (022) in every sandbox", "leave it out, and let the command set it");
    }
    reader.nothing_else(user);
    Some(User { uid, gid })
}

fn capabilities(reader: &mut Reader, mut sets: Object) {
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        let wanted: Vec<Capability> = reader.take(&mut sets, set).unwrap_or_default();
        for capability in wanted.into_iter().filter(|capability| !HARMLESS.contains(capability)) {
            let message = format!("CAP_{capability}: no sandbox has capabilities");
            reader.wrong(&sets.at(set), &message, "take it out, if the command can do without it");
        }
    }
    reader.nothing_else(sets);
}

fn limit(reader: &mut Reader, path: &str, limit: &PosixRlimit) -> Option<ResourceLimit> {
    use PosixRlimitType as Kind;
    let (resource, name) = match limit.typ() {
        Kind::RlimitAs => (libc::RLIMIT_AS, "RLIMIT_AS"),
        Kind::RlimitCpu => (libc::RLIMIT_CPU, "RLIMIT_CPU"),
        Kind::RlimitData => (libc::RLIMIT_DATA, "RLIMIT_DATA"),
        Kind::RlimitFsize => (libc::RLIMIT_FSIZE, "RLIMIT_FSIZE"),
        Kind::RlimitLocks => (libc::RLIMIT_LOCKS, "RLIMIT_LOCKS"),
        Kind::RlimitMemlock => (libc::RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"),
        Kind::RlimitMsgqueue => (libc::RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"),
        Kind::RlimitNofile => (libc::RLIMIT_NOFILE, "RLIMIT_NOFILE"),
        Kind::RlimitRss => (libc::RLIMIT_RSS, "RLIMIT_RSS"),
        Kind::RlimitRttime => (libc::RLIMIT_RTTIME, "RLIMIT_RTTIME"),
        Kind::RlimitSigpending => (libc::RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING"),
        Kind::RlimitStack => (libc::RLIMIT_STACK, "RLIMIT_STACK"),
        // 0 is what they are in every sandbox, as far as anybody inside can tell.
        Kind::RlimitCore | Kind::RlimitNice | Kind::RlimitRtprio if limit.soft() == 0 && limit.hard() == 0 => {
            return None;
        }
        Kind::RlimitCore | Kind::RlimitNice | Kind::RlimitRtprio => {
            reader.wrong(path, "is 0 in every sandbox", "leave it out");
            return None;
        }
        Kind::RlimitNproc => {
            reader.wrong(path, "processes are counted for the whole sandbox", "set `linux.resources.pids.limit`");
            return None;
        }
    };
    if limit.soft() > limit.hard() {
        reader.wrong(path, "the soft limit is above the hard one", "lower it");
    }
    Some(ResourceLimit { resource: resource as u32, name, soft: limit.soft(), hard: limit.hard() })
}
