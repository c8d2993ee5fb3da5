//! Sandboxes of a build: one builds, the other removes what the first has left.

use super::failure::{self, Tail};
use super::job::{CACHE, Job, ROOT, WORK};
use super::{Progress, refused};
use crate::error::{Error, Failure};
use crate::host::{UNPRIVILEGED_ID, is_real_root};
use crate::outcome::{Enforcement, Outcome, Status};
use crate::process::{Follower, follow};
use crate::spec::{Mount, Order, Privileges, Program, Protection, Spec, User};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// dpkg and compilers of byte code; what is read and written of the work directory is the kernel's to hold.
const MEMORY: u64 = 2 << 30;
const PROCESSES: u32 = 1024;
/// As many as the machine has.
const MILLICPUS: u32 = 4096 * 1000;
/// A package may be large and a mirror far.
const DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// Runs the script of `job`.
///
/// # Errors
///
/// What was in the way, as far as its output tells.
pub fn build(job: &Job<'_>, progress: Progress) -> Result<(), Error> {
    give_away(&job.work)?;
    let mut spec = spec(job, job.words());
    let network = &job.options().network;
    spec.net = network.net;
    spec.allow.clone_from(&network.allow);
    spec.deny.clone_from(&network.deny);
    spec.net_rate = network.net_rate;
    spec.net_connections = network.net_connections;
    spec.mounts.push(Mount {
        source: job.work.join("job/etc"),
        target: "/etc/apt".into(),
        writable: false,
        beneath: None,
    });
    let options = job.options();
    if let Some(cache) = &options.cache {
        let source = std::fs::canonicalize(cache);
        let source = source.map_err(|error| refused("open the cache", &format!("`{}`", cache.display()), &error))?;
        spec.mounts.push(Mount { source, target: CACHE.into(), writable: false, beneath: None });
    }
    spec.env.push(("SUITE".into(), job.recipe().base.suite.clone().into()));
    spec.env.extend(options.epoch.map(|epoch| ("SOURCE_DATE_EPOCH".into(), epoch.to_string().into())));
    spec.env.extend(options.environment.iter().cloned());
    let order = Order { privileges: Privileges::Build { root: ROOT.into() }, ..Order::from(spec) };
    let (outcome, tail) = run(&order, progress)?;
    if outcome.status == Status::Exited && outcome.exit_code == Some(0) {
        return Ok(());
    }
    Err(failure::explain(job.recipe(), &outcome, &tail))
}

/// Removes everything but the archive: what packages brought may have modes that stop its own owner.
///
/// # Errors
///
/// `Setup`, where something is left.
pub fn tidy(job: &Job<'_>) -> Result<(), Error> {
    const SCRIPT: &str = "cd /build; find . -type d ! -perm -0700 -exec chmod u+rwx {} \\; ; \
                          find . -mindepth 1 ! -path ./root.tar -delete";
    let spec = spec(job, ["/bin/sh", "-c", SCRIPT].map(Into::into).to_vec());
    let (outcome, tail) = run(&Order::from(spec), Box::new(|_| {}))?;
    if outcome.status == Status::Exited && outcome.exit_code == Some(0) {
        return Ok(());
    }
    let attempt = format!("clear `{}`: {}", job.work.display(), tail.last().unwrap_or("ended before its end"));
    let hint = Some("remove the directory by hand".to_owned());
    Err(Error::from(Failure { step: None, attempt, errno: 0, hint }))
}

fn spec(job: &Job<'_>, words: Vec<std::ffi::OsString>) -> Spec {
    Spec {
        program: Program::Command(words),
        memory: MEMORY,
        millicpus: MILLICPUS,
        pids: PROCESSES,
        timeout: Some(DEADLINE),
        user: Some(User { uid: 0, gid: 0 }),
        mounts: vec![Mount { source: job.work.clone(), target: WORK.into(), writable: true, beneath: None }],
        workdir: Some(WORK.into()),
        stdin: Some("/dev/null".into()),
        // The second layer; a build says that it goes on without it.
        allow_missing: vec![Protection::Landlock],
        ..Spec::default()
    }
}

/// What a sandbox that root starts may write to has to be the user's that it runs as.
fn give_away(work: &Path) -> Result<(), Error> {
    if !is_real_root() {
        return Ok(());
    }
    let mut directories: Vec<PathBuf> = vec![work.to_owned()];
    let failed = |path: &Path, error: &std::io::Error| refused("give away", &format!("`{}`", path.display()), error);
    while let Some(path) = directories.pop() {
        let owner = Some(UNPRIVILEGED_ID);
        std::os::unix::fs::lchown(&path, owner, owner).map_err(|error| failed(&path, &error))?;
        if path.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(|error| failed(&path, &error))? {
                directories.push(entry.map_err(|error| failed(&path, &error))?.path());
            }
        }
    }
    Ok(())
}

/// Runs `order` to its end, with each line of its output told as it comes, and the last of them kept.
fn run(order: &Order, progress: Progress) -> Result<(Outcome, Tail), Error> {
    let tail = Rc::new(RefCell::new(Tail::default()));
    let kept = Rc::clone(&tail);
    let progress = Rc::new(RefCell::new(progress));
    let told = Rc::clone(&progress);
    let follower: Follower = Box::new(move |bytes| kept.borrow_mut().take(bytes, &mut *told.borrow_mut()));
    let outcome = follow(order, follower)?;
    tail.borrow_mut().finish(&mut *progress.borrow_mut());
    for (name, enforcement) in &outcome.enforcement {
        if let Enforcement::Off(why) = enforcement
            && name != Protection::Network.name()
        {
            (progress.borrow_mut())(&format!("without {name}: {why}"));
        }
    }
    let usage = outcome.usage;
    let (seconds, processor) = (usage.wall_ms / 1000, usage.cpu_ms / 1000);
    (progress.borrow_mut())(&format!("took {seconds} s, {processor} s of a processor"));
    let tail = std::mem::take(&mut *tail.borrow_mut());
    Ok((outcome, tail))
}
