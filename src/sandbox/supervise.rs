//! The supervisor of one sandbox: makes it, holds it to its limits, answers calls, and writes down how it ended.
//!
//! It is a process of its own, with nothing of its caller's but the environment. It answers one call after another and never
//! waits for a caller.

mod adopt;
mod disk;
mod join;
mod log;
mod reach;
mod stats;
mod term;
mod warm;

use super::ahead::Ahead;
use super::call::{self, Answer, Asked, Call, Line};
use super::entry::GLANCE;
use super::network;
use super::orphans::Orphans;
use super::place::now;
use super::program::Kept;
use super::quota::Quota;
use super::ready::READY;
use super::{End, Entry, Reason, Record, Run, Sandboxes};
use crate::error::Error;
use crate::images::Store;
use crate::outcome::{Outcome, Status};
use crate::process::{self, Attendant, Limits, Running};
use crate::spec::{Order, Runs};
use crate::sys::fd;
use adopt::Waiting;
pub(super) use log::LONGEST_LOG;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{SockFlag, accept4, getsockopt, sockopt};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};
use term::Term;
use warm::{Forge, Remade};

/// Who is told that the sandbox is ready, or why it is not: once.
pub type Ready<'a> = &'a mut dyn FnMut(Result<&Run, &Error>);

/// Makes the sandbox and stays with it to its end. The caller's process is the supervisor from here on. `ahead`: whether leaders may
/// stand inside.
///
/// # Errors
///
/// What kept the sandbox from being made; it was told to `ready` too.
pub fn supervise(
    sandboxes: &Sandboxes,
    (id, ahead): (&str, bool),
    store: Option<&Store>,
    ready: Ready<'_>,
) -> Result<(), Error> {
    let (entry, waiting) = match id.strip_prefix(READY) {
        Some(id) => (sandboxes.ready(id), true),
        None => (sandboxes.find(id)?, false),
    };
    let record = entry.record()?;
    let order = entry.order()?;
    let life = entry.life()?;
    // Whoever has a template made is at the other end of our standard input, for as long as that takes.
    let mut maker = order.warm.as_ref().and_then(|_| fd::take_stdin());
    let mut remade = Remade::default();
    let lived = loop {
        let wanted = Wanted { record: &record, order: &order, ahead, waiting, maker: maker.take() };
        let lived = lead(&entry, wanted, store, &mut *ready)?;
        if !lived.again || !remade.may() {
            break lived;
        }
    };
    let Lived { told, used, entry, nobodys, .. } = lived;
    // Somebody may have given it another life meanwhile.
    let record = entry.record().unwrap_or(record);
    let keep = record.keep && !nobodys;
    if let Err(error) = &told
        && keep
        && entry.run().end.is_none()
    {
        entry.write("run.json", &Run { end: Some(End::of_error(error, now())), ..Run::default() })?;
    }
    // Whatever has ended it, what is kept stays. A sandbox that could not be made is removed by its maker.
    if !keep || record.is_over(used) {
        if told.is_ok() && !nobodys {
            sandboxes.remember(&entry, &record.name, &entry.run());
        }
        sandboxes.remove(&entry)?;
    }
    drop(life);
    told
}

/// What is to be made.
struct Wanted<'a> {
    record: &'a Record,
    order: &'a Order,
    /// Whether leaders may stand inside.
    ahead: bool,
    /// Whether it waits for somebody to have it.
    waiting: bool,
    /// Whoever has a template made, until it is ready.
    maker: Option<OwnedFd>,
}

/// What came of a sandbox that was made.
struct Lived {
    told: Result<(), Error>,
    /// When it was last used.
    used: u64,
    /// Where it is by now.
    entry: Entry,
    /// Whether nobody has ever had it.
    nobodys: bool,
    /// Whether it is to be made once more.
    again: bool,
}

/// Makes it and stays with it once.
fn lead(entry: &Entry, wanted: Wanted<'_>, store: Option<&Store>, ready: Ready<'_>) -> Result<Lived, Error> {
    let Wanted { record, order, ahead, waiting, maker } = wanted;
    entry.note("run.json", &Run::default())?;
    let listener = call::open(entry)?;
    let (forge, input) = order.warm.as_ref().map(|one| Forge::new(&entry.id, one, maker)).transpose()?.unzip();
    let log = File::create(entry.path("log")).map_err(|error| Error::attempt("make the log", &error))?;
    let failed = |error| Error::attempt("hold on to its maker", &error);
    let (waiting, lease) = if waiting { Some(Waiting::begin().map_err(failed)?).unzip() } else { (None, None) };
    let mut supervisor = Supervisor {
        entry: entry.clone(),
        order,
        disk: Cell::new(order.spec.disk),
        program: Kept::default(),
        forge,
        listener,
        leases: Cell::new(lease.iter().len()),
        lines: lease.into_iter().collect(),
        waiting: waiting.unwrap_or_default(),
        orphans: Orphans::default(),
        ahead: Ahead::new(&entry.id, order, ahead && order.warm.is_none()),
        run: None,
        quota: None,
        quiet: false,
        frozen: Cell::new(false),
        asked: Cell::new(None),
        reason: None,
        ready,
        born: Instant::now(),
        term: Term::of(record),
        used: Instant::now(),
    };
    let network_log = network::new_log(entry, order)?;
    let lines = process::Lines { log: log::keep(log), network_log, input };
    let outcome = process::last(order, store, lines, &mut supervisor);
    let again = Forge::is_made_anew(&supervisor, &outcome);
    let used = now().saturating_sub(supervisor.used.elapsed().as_secs());
    // Nobody may call any more who then would have to hear that it has ended.
    let (entry, nobodys) = (supervisor.entry.clone(), supervisor.waiting.is_nobodys());
    drop(supervisor);
    Ok(Lived { told: outcome.map(|_| ()), used, entry, nobodys, again })
}

struct Supervisor<'a> {
    entry: Entry,
    /// Whether it waits for somebody who wants it.
    waiting: Waiting,
    order: &'a Order,
    /// The limit of the writable layer.
    disk: Cell<u64>,
    program: Kept,
    /// Of a template.
    forge: Option<Forge>,
    listener: OwnedFd,
    lines: Vec<Line>,
    /// Commands whose caller is gone.
    orphans: Orphans,
    /// A leader for the next command.
    ahead: Ahead,
    /// What was written down when it was ready.
    run: Option<Run>,
    /// What counts the files that are kept, once there is a sandbox: a process with threads never clones.
    quota: Option<RefCell<Quota>>,
    /// Whether nobody runs inside.
    quiet: bool,
    /// Whether everybody stands still because a caller wants it.
    frozen: Cell<bool>,
    /// That somebody has just asked for the end, with so much time to do it.
    asked: Cell<Option<(Duration, Reason)>>,
    /// How many have a lease: it ends with the last of them.
    leases: Cell<usize>,
    /// Why everybody inside was asked to end, and how.
    reason: Option<(Reason, i32)>,
    ready: Ready<'a>,
    born: Instant,
    term: Term,
    /// When the last call came or ended.
    used: Instant,
}

impl Attendant for Supervisor<'_> {
    fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) -> Option<Instant> {
        list.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        list.extend(self.lines.iter().map(|line| PollFd::new(line.descriptor(), PollFlags::POLLIN)));
        list.extend(self.forge.iter().flat_map(Forge::descriptors).map(|maker| PollFd::new(maker, PollFlags::POLLIN)));
        // Nobody writes while nobody runs.
        let look =
            self.quota.as_ref().map(RefCell::borrow).filter(|quota| !self.quiet || quota.is_open() || self.waits());
        let look = look.map(|quota| quota.next());
        let begun = (self.run.is_none() && self.has_command()).then(|| Instant::now() + GLANCE);
        let rest = self.run.as_ref().and_then(|_| self.waiting.next());
        let forge = self.forge.as_ref().and_then(Forge::next);
        let others = [self.program.until(), self.orphans.next(), begun, rest, forge, self.ahead.interests(list)];
        self.ends_at().into_iter().chain(look).chain(others.into_iter().flatten()).min()
    }

    fn attend(&mut self, running: &mut Running, now: Instant) {
        if !self.tend_forge(running, now) {
            return;
        }
        if self.run.is_none() {
            // A command that cannot be begun is a sandbox that cannot be made.
            if running.held().is_none() || (self.has_command() && !running.has_executed()) {
                return;
            }
            if let Err(error) = self.count() {
                return running.fail("count what is kept", error.raw_os_error().unwrap_or(libc::EIO));
            }
            self.is_ready(running);
        }
        self.tell_published(running);
        self.accept();
        self.answer(running);
        self.program.tend(now);
        if !self.orphans.tend(running, now) {
            self.asked.set(Some((Duration::ZERO, Reason::LeaderLost)));
        }
        self.tend_ahead(running, now);
        running.set_busy(self.is_called());
        self.quiet = running.is_quiet();
        self.hold_disk(running, now);
        self.tend_term(now);
        self.ask_to_end(running);
        self.waiting.rest(now);
    }

    fn ended(&mut self, result: &Result<Outcome, Error>) {
        let mut run = self.run.take().unwrap_or_default();
        match result {
            Ok(outcome) => {
                let reason = self.reason.map(|(reason, _)| reason);
                let unready = self.tell_unready(outcome);
                // Its command was quicker than anybody could look.
                let ready = run.started == 0 && outcome.status != Status::Cancelled && !unready;
                if ready {
                    run.started = now();
                    run.image.clone_from(&outcome.image);
                    run.enforcement.clone_from(&outcome.enforcement);
                    run.published.clone_from(&outcome.published);
                    (self.ready)(Ok(&run));
                }
                run.end = Some(End { reason, ..End::of(outcome, now()) });
            }
            Err(error) => {
                if run.started == 0 {
                    (self.ready)(Err(error));
                }
                run.end = Some(End::of_error(error, now()));
            }
        }
        // Where it cannot be written the next call finds a sandbox that was lost, which is true as well.
        let _ = self.entry.write_over("run.json", &run);
        // Who has just called as well, whatever was asked.
        self.accept();
        for line in &self.lines {
            let _ = line.say(&Answer::Ended(run.clone()), &[]);
        }
    }
}

impl Supervisor<'_> {
    fn has_command(&self) -> bool {
        self.order.runs() != Runs::Nothing
    }

    /// Whether somebody waits to be let in.
    fn waits(&self) -> bool {
        self.lines.iter().any(|line| line.asked.get() == Asked::Join)
    }

    /// Answers one who waits for everybody to go on; whether it is still there. Those who are in stay known as such.
    fn let_in_one(&mut self, line: &Line, running: &Running) -> bool {
        if line.asked.get() != Asked::Join {
            return true;
        }
        line.asked.set(Asked::Nothing);
        self.join(line, running).is_ok()
    }

    /// Answers those who wait for everybody to go on.
    fn let_in(&mut self, running: &Running) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain(|line| self.let_in_one(line, running));
        self.lines = lines;
    }

    /// Says something to everybody who has a command inside.
    fn tell_joined(&self, answer: &Answer) {
        for line in self.lines.iter().filter(|line| line.asked.get() == Asked::Joined) {
            // Who is gone does not need to know.
            let _ = line.say(answer, &[]);
        }
    }

    /// Asks everybody inside to end, where that was asked for. Whoever has a command there hears of it first, so that the
    /// end of the command is understood.
    fn ask_to_end(&mut self, running: &mut Running) {
        let Some((grace, reason)) = self.asked.take() else { return };
        if self.reason.is_none() {
            let signal = running.stop_signal();
            self.reason = Some((reason, signal));
            self.tell_joined(&Answer::Ending { reason, signal });
        }
        running.ask_to_end(grace);
    }

    fn ends_at(&self) -> Option<Instant> {
        // Nobody can call a template that is not ready.
        let begins = self.forge.as_ref().is_some_and(|forge| !forge.is_ready());
        self.term.ends_at((!begins && !self.is_called()).then_some(self.used))
    }

    fn is_ready(&mut self, running: &Running) {
        let enforcement = running.enforcement().iter();
        let run = Run {
            started: now(),
            image: running.image().to_owned(),
            enforcement: enforcement.map(|(protection, how)| (protection.name().to_owned(), how.clone())).collect(),
            mount_is_directory: running.mount_is_directory().to_vec(),
            published: running.published().to_vec(),
            end: None,
        };
        // Who waits for it hears of it in any case; who asks later is told that it starts.
        let _ = self.entry.note("run.json", &run);
        (self.ready)(Ok(&run));
        self.run = Some(run);
        self.used = Instant::now();
        // Most of the time there is nothing to do.
        crate::sys::proc::release_instructions();
    }

    /// Takes new calls, of our own user and of root.
    fn accept(&mut self) {
        while let Ok(number) = accept4(self.listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
            let line = Line::of(crate::sys::fd::own(number));
            let own = nix::unistd::geteuid().as_raw();
            let theirs = getsockopt(&line.descriptor(), sockopt::PeerCredentials).map(|peer| peer.uid());
            if theirs.is_ok_and(|uid| uid == own || uid == 0) {
                self.used = Instant::now();
                self.lines.push(line);
            }
        }
    }

    fn answer(&mut self, running: &mut Running) {
        let mut lines = std::mem::take(&mut self.lines);
        let before = lines.len();
        let (mut left, mut lease_left) = (Vec::new(), false);
        lines.retain(|line| {
            let stays = loop {
                match line.hear::<Call>() {
                    Ok(Some((call, descriptors))) => {
                        if self.answer_one(line, (call, descriptors), running).is_err() {
                            break false;
                        }
                    }
                    Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => break true,
                    Ok(None) | Err(_) => break false,
                }
            };
            if !stays {
                if line.asked.get() == Asked::Lease {
                    self.leases.set(self.leases.get().saturating_sub(1));
                    lease_left = true;
                }
                if line.asked.get() == Asked::Joined {
                    self.ahead.used(Instant::now());
                }
                self.abandon(line, running);
                left.extend(line.leader.take());
            }
            stays
        });
        left.into_iter().for_each(|leader| self.orphans.take(leader, Instant::now()));
        if self.frozen.get() && !lines.iter().any(|line| line.asked.get() == Asked::Freeze) {
            running.thaw();
            self.frozen.set(false);
            lines.retain(|line| self.let_in_one(line, running));
        }
        if lease_left && self.leases.get() == 0 {
            self.asked.set(Some((Duration::ZERO, Reason::LeaseOver)));
        }
        self.adopt(&mut lines, running);
        if lines.len() < before {
            self.used = Instant::now();
            if lines.is_empty() && !self.ahead.expects() {
                crate::sys::proc::release_instructions();
            }
        }
        self.lines = lines;
    }

    fn answer_one(
        &mut self,
        line: &Line,
        (call, descriptors): (Call, Vec<OwnedFd>),
        running: &mut Running,
    ) -> std::io::Result<()> {
        match call {
            Call::Program { key } => {
                line.own.set(true);
                self.program.answer(line, &key)
            }
            Call::KeepProgram { key } => {
                if let Some(program) = descriptors.into_iter().next() {
                    running.disregard(&program);
                    self.program.take(key, program);
                }
                line.say(&Answer::Done, &[])
            }
            Call::Join => self.join_in_time(line, running),
            Call::JoinLed { key, cgroup } => {
                line.led.replace(Some((key, cgroup)));
                self.join_in_time(line, running)
            }
            Call::Lead => {
                line.leader.replace(descriptors.into_iter().next());
                Ok(())
            }
            Call::Freeze => {
                self.frozen.set(true);
                if !running.freeze() {
                    return line.say(&Answer::Refused("not everybody inside can be stopped".to_owned()), &[]);
                }
                line.asked.set(Asked::Freeze);
                let files: Vec<_> = running
                    .held()
                    .and_then(|held| held.writable.as_ref())
                    .iter()
                    .map(|layer| layer.as_raw_fd())
                    .collect();
                line.hand(&Answer::Done, &files)
            }
            Call::Stop { grace_ms, reason } => {
                let (before, first) = self.asked.get().unwrap_or((Duration::MAX, reason));
                self.asked.set(Some((before.min(Duration::from_millis(grace_ms)), first)));
                Ok(())
            }
            // As everybody who is there then.
            Call::Wait => Ok(()),
            Call::Lease => {
                if line.asked.replace(Asked::Lease) != Asked::Lease {
                    self.leases.set(self.leases.get() + 1);
                }
                Ok(())
            }
            Call::Stats => line.say(&Answer::Stats(self.stats(running)), &[]),
            Call::Adopt { record } => {
                self.waiting.ask(line, record);
                Ok(())
            }
            Call::Life => line.say(&self.term.renew(&self.entry), &[]),
            Call::Layer => {
                let held = running.held().into_iter();
                let places = held.flat_map(|held| {
                    held.writable.iter().flat_map(|layer| held.namespaces.iter().take(2).chain([layer]))
                });
                let places: Vec<_> = places.map(|fd| fd.as_raw_fd()).collect();
                line.hand(&Answer::Done, &places)
            }
            Call::Policy => line.say(&self.set_policy(running), &[]),
            Call::Fill { policy } => self.fill(line, policy, running),
            Call::Filled => self.filled(line, running),
            Call::Warm | Call::WarmStats => Forge::answer(self.forge.as_ref(), &call, line),
            Call::Network => reach::hand_namespaces(line, running),
            Call::Processes => reach::hand_processes(line, running),
            Call::Limits { memory, millicpus, pids, disk } => {
                self.disk.set(disk);
                let answer = match running.set_limits(Limits { memory, millicpus, pids }) {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Refused(error.to_string()),
                };
                line.say(&answer, &[])
            }
        }
    }
}
