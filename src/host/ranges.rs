//! Ranges of ids: what the administrator lets the caller map beside the own id (subuid(5)), and who maps them.
//!
//! For `userns = "range"` only. Reads `/etc/subuid` and `/etc/subgid`, or asks getsubids(1) where the host keeps them
//! elsewhere, and looks whether newuidmap(1) and newgidmap(1) are able to do their work. All that is missing is told at
//! once, with the package, the line and the command that cure it.

use super::UNPRIVILEGED_ID;
use super::surroundings::{self, read};
use crate::error::{Blocker, Error};
use crate::spec::RANGE;
use crate::sys::proc;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many of a sandbox's ids are subordinate ones; id 0 is the caller's own. No fewer will do, so that an image that
/// works on one host works on the next.
const NEEDED: u32 = RANGE - 1;
/// Where the first range of a host begins by convention, and how long each is.
const USUAL: (u32, u32) = (100_000, 65_536);
/// The first kernel that counts what all ids of a user namespace have together.
const COUNTS_TOGETHER: (u32, u32) = (5, 14);
/// Where distributions put set-user-id programs; the last is NixOS's place for them.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"];

/// What a range maps beside the caller's own id, which is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// User ids.
    pub uids: Vec<Extent>,
    /// Group ids.
    pub gids: Vec<Extent>,
    /// Who maps them; nobody where the caller is root and may do it.
    pub helpers: Option<Helpers>,
}

/// Ids that follow each other inside and outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first inside.
    pub inside: u32,
    /// The first outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The programs that may map ids which are not the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helpers {
    /// newuidmap(1).
    pub uids: PathBuf,
    /// newgidmap(1).
    pub gids: PathBuf,
}

/// One of the two kinds of ids.
struct Kind {
    file: &'static str,
    helper: &'static str,
    flag: Option<&'static str>,
}

const UIDS: Kind = Kind { file: "/etc/subuid", helper: "newuidmap", flag: None };
const GIDS: Kind = Kind { file: "/etc/subgid", helper: "newgidmap", flag: Some("-g") };

/// What an administrator gave: the first id and how many.
type Given = Vec<(u32, u32)>;

/// The caller's ranges.
///
/// # Errors
///
/// `Host` names everything that is missing.
pub fn find(uid: u32, gid: u32, real_root: bool) -> Result<Ranges, Error> {
    let mut lacks = Vec::new();
    let kernel = surroundings::kernel();
    if kernel < COUNTS_TOGETHER {
        lacks.push(lack(
            format!("Linux {}.{} limits the processes of each id for itself", kernel.0, kernel.1),
            "boot Linux 5.14 or newer",
        ));
    }
    let helpers = if real_root { None } else { helpers(&mut lacks) };
    let name = name(uid);
    let reserved = |own: u32| if real_root { vec![0, UNPRIVILEGED_ID] } else { vec![0, own] };
    let uids = extents(&UIDS, &name, given(&UIDS, &name, uid, &mut lacks), &reserved(uid), &mut lacks);
    let gids = extents(&GIDS, &name, given(&GIDS, &name, uid, &mut lacks), &reserved(gid), &mut lacks);
    let short: Vec<&str> = [(&UIDS, &uids), (&GIDS, &gids)]
        .iter()
        .filter(|(_, found)| found.is_none())
        .map(|(kind, _)| kind.file)
        .collect();
    if !short.is_empty() {
        lacks.push(no_range(&name, &short));
    }
    match (uids, gids) {
        (Some(uids), Some(gids)) if lacks.is_empty() => Ok(Ranges { uids, gids, helpers }),
        _ => {
            // Both kinds may lack the same.
            lacks.dedup();
            Err(together(lacks).into())
        }
    }
}

/// How many subordinate user and group ids the caller has.
pub fn counts(uid: u32) -> (u64, u64) {
    let name = name(uid);
    let sum = |kind| given(kind, &name, uid, &mut Vec::new()).iter().map(|(_, count)| u64::from(*count)).sum();
    (sum(&UIDS), sum(&GIDS))
}

/// Whether newuidmap(1) and newgidmap(1) are there.
pub fn has_helpers() -> bool {
    [UIDS, GIDS].iter().all(|kind| place(kind.helper).is_some())
}

fn lack(message: impl Into<String>, hint: impl Into<String>) -> Blocker {
    Blocker { message: message.into(), hint: Some(hint.into()) }
}

fn together(lacks: Vec<Blocker>) -> Blocker {
    let join = |words: Vec<String>| words.join("; ");
    let (messages, hints): (Vec<String>, Vec<Option<String>>) =
        lacks.into_iter().map(|lack| (lack.message, lack.hint)).unzip();
    Blocker {
        message: format!("a range of ids (`userns`) cannot be had: {}", join(messages)),
        hint: Some(join(hints.into_iter().flatten().collect())),
    }
}

/// By whom the files name the caller: by name, or by number where nobody knows a name.
fn name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn place(program: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(program)).find(|path| path.exists())
}

fn helpers(lacks: &mut Vec<Blocker>) -> Option<Helpers> {
    let (Some(uids), Some(gids)) = (place(UIDS.helper), place(GIDS.helper)) else {
        lacks.push(lack(
            "newuidmap and newgidmap are not installed",
            "as root install the package `uidmap` (Debian, Ubuntu), `shadow-utils` (Fedora), `shadow` (Arch, openSUSE) or `shadow-uidmap` (Alpine)",
        ));
        return None;
    };
    for program in [&uids, &gids] {
        if !is_privileged(program) {
            let program = program.display();
            lacks.push(lack(
                format!("`{program}` has neither the set-user-id bit nor a capability"),
                format!("as root: `chmod u+s {program}`, or install its package anew"),
            ));
        }
    }
    if proc::no_new_privileges() {
        lacks.push(lack(
            "this process and what it starts may not gain privileges (no_new_privs), and newuidmap has to",
            "start belljar where `NoNewPrivs` in /proc/self/status is 0",
        ));
    }
    Some(Helpers { uids, gids })
}

/// Distributions give them root's rights, or just the capability.
fn is_privileged(program: &Path) -> bool {
    let set_user_id =
        program.metadata().is_ok_and(|status| status.uid() == 0 && status.permissions().mode() & libc::S_ISUID != 0);
    set_user_id || proc::extended_attribute(program, "security.capability").is_some()
}

/// What the administrator gave the caller, wherever the host keeps that.
fn given(kind: &Kind, name: &str, uid: u32, lacks: &mut Vec<Blocker>) -> Given {
    let services = read("/etc/nsswitch.conf").unwrap_or_default();
    let Some(source) = elsewhere(&services) else {
        return entries(&read(kind.file).unwrap_or_default(), name, uid);
    };
    let mut command = Command::new(place("getsubids").unwrap_or_else(|| "/usr/bin/getsubids".into()));
    command.args(kind.flag).arg(name).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    match command.output() {
        Ok(output) => listed(&String::from_utf8_lossy(&output.stdout)),
        Err(error) => {
            lacks.push(lack(
                format!(
                    "ranges are kept in `{source}` here (/etc/nsswitch.conf), and getsubids does not tell them: {error}"
                ),
                "as root install the package that has getsubids(1): that of newuidmap(1)",
            ));
            Vec::new()
        }
    }
}

/// Where ranges are kept, if not in files: the line `subid:` of nsswitch.conf(5) names one source.
fn elsewhere(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("subid:"))?;
    line.split_ascii_whitespace().next().filter(|source| *source != "files")
}

/// Lines of a file like `/etc/subuid`, by name and by number (subuid(5)).
fn entries(text: &str, name: &str, uid: u32) -> Given {
    let number = uid.to_string();
    let line = |line: &str| {
        let [owner, first, count] = line.trim().split(':').collect::<Vec<_>>()[..] else { return None };
        let is_ours = owner == name || owner == number;
        is_ours.then_some((first.parse().ok()?, count.parse().ok()?))
    };
    text.lines().filter_map(line).filter(|(_, count)| *count > 0).collect()
}

/// Lines of getsubids(1), as `0: ana 100000 65536`.
fn listed(text: &str) -> Given {
    let line = |line: &str| {
        let [_, _, first, count] = line.split_ascii_whitespace().collect::<Vec<_>>()[..] else { return None };
        Some((first.parse().ok()?, count.parse().ok()?))
    };
    text.lines().filter_map(line).filter(|(_, count)| *count > 0).collect()
}

/// The extents of as many ids as are needed, or nothing; ids that stand for somebody else already are refused.
fn extents(kind: &Kind, name: &str, given: Given, reserved: &[u32], lacks: &mut Vec<Blocker>) -> Option<Vec<Extent>> {
    let holds = |(first, count): (u32, u32), id: u32| id.checked_sub(first).is_some_and(|offset| offset < count);
    let mut found: Vec<Extent> = Vec::new();
    let mut inside = 1;
    for (first, count) in given {
        if let Some(id) = reserved.iter().find(|id| holds((first, count), **id)) {
            lacks.push(lack(
                format!("`{}` gives `{name}` id {id} of the host, which is no subordinate one", kind.file),
                format!("as root correct its line `{name}:{first}:{count}`"),
            ));
            continue;
        }
        let is_known =
            |extent: &Extent| holds((extent.outside, extent.count), first) || holds((first, count), extent.outside);
        // Given twice: the kernel wants each id once.
        if inside == RANGE || found.iter().any(is_known) || first.checked_add(count - 1).is_none() {
            continue;
        }
        let count = count.min(RANGE - inside);
        found.push(Extent { inside, outside: first, count });
        inside += count;
    }
    (inside == RANGE).then_some(found)
}

fn no_range(name: &str, files: &[&str]) -> Blocker {
    let texts = [UIDS, GIDS].map(|kind| read(kind.file).unwrap_or_default());
    let first = free(&texts.join("\n"));
    let last = first + (USUAL.1 - 1);
    let flags: Vec<String> = files
        .iter()
        .map(|file| if *file == UIDS.file { "--add-subuids" } else { "--add-subgids" })
        .map(|flag| format!("{flag} {first}-{last}"))
        .collect();
    let verb = if files.len() == 1 { "has" } else { "have" };
    lack(
        format!("{} {verb} no range of {NEEDED} ids for `{name}`", files.join(" and ")),
        format!(
            "as root: `usermod {} {name}`, or the line `{name}:{first}:{}` in {}",
            flags.join(" "),
            USUAL.1,
            files.join(" and ")
        ),
    )
}

/// The first id above all ranges of all users: two users who share ids can read each other's files.
fn free(text: &str) -> u32 {
    let end = |line: &str| {
        let mut words = line.trim().split(':').skip(1).map(|word| word.parse::<u32>().ok());
        words.next()??.checked_add(words.next()??)
    };
    let highest = text.lines().filter_map(end).max().unwrap_or(0).max(USUAL.0);
    if highest.checked_add(USUAL.1).is_some() { highest } else { USUAL.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(inside: u32, outside: u32, count: u32) -> Extent {
        Extent { inside, outside, count }
    }

    #[test]
    fn entries_count_by_name_and_by_number() {
        let text = "ana:100000:65536\nbob:165536:65536\n1000:300000:10\nana:x:y\nana:5\n# ana:1:2\nana:7:0\n";
        assert_eq!(entries(text, "ana", 1000), [(100_000, 65536), (300_000, 10)]);
        assert_eq!(entries(text, "bob", 1001), [(165_536, 65536)]);
        assert_eq!(entries(text, "7", 7), []);
        assert_eq!(listed("0: ana 100000 65536\n1: ana 300000 10\n"), [(100_000, 65536), (300_000, 10)]);
    }

    #[test]
    fn ranges_are_kept_elsewhere_only_where_nsswitch_says_so() {
        assert_eq!(elsewhere("passwd: files\nsubid: files\n"), None);
        assert_eq!(elsewhere("passwd: files sss\n"), None);
        assert_eq!(elsewhere("passwd: files\nsubid: sss\n"), Some("sss"));
    }

    #[test]
    fn several_ranges_make_one_and_what_is_left_over_is_not_mapped() {
        let made = |given: &[(u32, u32)]| extents(&UIDS, "ana", given.to_vec(), &[0, 1000], &mut Vec::new());
        assert_eq!(made(&[(100_000, 65536)]), Some(vec![extent(1, 100_000, 65535)]));
        assert_eq!(
            made(&[(100_000, 1000), (100_000, 1000), (100_500, 9), (300_000, 70_000)]),
            Some(vec![extent(1, 100_000, 1000), extent(1001, 300_000, 64535)])
        );
        assert_eq!((made(&[(100_000, 65534)]), made(&[(u32::MAX, 2)]), made(&[])), (None, None, None));
    }

    #[test]
    fn an_id_of_somebody_else_is_no_subordinate_one() {
        for (first, id) in [(0, 0), (1000, 1000), (936, 1000)] {
            let mut lacks = Vec::new();
            assert_eq!(extents(&GIDS, "ana", vec![(first, 65536)], &[0, 1000], &mut lacks), None);
            let message = format!("`/etc/subgid` gives `ana` id {id} of the host, which is no subordinate one");
            assert_eq!(lacks[0].message, message);
        }
    }

    #[test]
    fn a_range_that_is_proposed_belongs_to_nobody_yet() {
        assert_eq!(free(""), 100_000);
        assert_eq!(free("ana:100000:65536\nbob:165536:65536\nx:y:z\n"), 231_072);
        assert_eq!(free("ana:4294901760:65535"), 100_000);
    }

    #[test]
    fn what_is_missing_is_named_with_the_package_the_line_and_the_command() {
        let missing = no_range("ana", &["/etc/subgid"]);
        assert_eq!(missing.message, "/etc/subgid has no range of 65535 ids for `ana`");
        let hint = missing.hint.unwrap();
        assert!(
            hint.starts_with("as root: `usermod --add-subgids ") && hint.contains(":65536` in /etc/subgid"),
            "{hint}"
        );
        let all = together(vec![lack("a", "b"), lack("c", "d")]);
        assert_eq!(all, lack("a range of ids (`userns`) cannot be had: a; c", "b; d"));
    }
}
