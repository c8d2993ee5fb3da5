//! Twenty thousand runs of one long-lived parent, some of which run into the deadline or out of memory, are cancelled
//! or have their supervisor killed. Afterwards there is as much of everything as after the first hundred. Prints a
//! table; exits with 1 when something has grown, or when a run did not end as it should.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Runs before the first count, so that whatever is made once has been made.
const FIRST: usize = 100;
/// Runs at a time.
const AT_ONCE: usize = 2;
/// By how much the parent's memory may differ without anything having grown: what an allocator keeps at hand.
const MEMORY_KIB: i64 = 128;
/// Keys of the same user that others may have made meanwhile.
const KEYS: i64 = 16;
/// What the kernel takes apart after the end (cgroups, keys) may take so long.
const SETTLE: Duration = Duration::from_secs(20);

/// How a run is meant to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Itself,
    Deadline,
    Memory,
    Cancelled,
    Killed,
}

const ENDS: [End; 5] = [End::Itself, End::Deadline, End::Memory, End::Cancelled, End::Killed];

impl End {
    /// Seven in eight end by themselves.
    fn of(number: usize) -> End {
        match number % 32 {
            7 => End::Deadline,
            15 => End::Memory,
            23 => End::Cancelled,
            31 => End::Killed,
            _ => End::Itself,
        }
    }

    fn words(self) -> &'static str {
        match self {
            End::Itself => "run -- sh -c exit\t7",
            End::Deadline => "run --timeout 40ms -- sleep 60",
            End::Memory => "run --memory 16M -- sh -c x=$(head\t-c\t80M\t/dev/zero\t|\ttr\t'\\0'\tx)",
            End::Cancelled | End::Killed => "run -- sleep 60",
        }
    }

    /// Ends a run from outside that does not end inside.
    fn hasten(self, child: &Child, number: usize) {
        let pid = Pid::from_raw(child.id() as i32);
        let signal = match self {
            End::Cancelled => Signal::SIGTERM,
            End::Killed => Signal::SIGKILL,
            End::Itself | End::Deadline | End::Memory => return,
        };
        // Spread over the start of a run and the time after it.
        std::thread::sleep(Duration::from_micros(number as u64 * 7919 % 8000));
        kill(pid, signal).expect("signal belljar");
    }

    fn is_right(self, status: ExitStatus) -> bool {
        match (self, status.code(), status.signal()) {
            (End::Itself, Some(7), None) => true,
            (End::Deadline, Some(124), None) => true,
            (End::Memory, Some(137), None) => true,
            // Before the supervisor listens, the signal ends it as any other program.
            (End::Cancelled, Some(143), None) | (End::Cancelled, None, Some(15)) => true,
            (End::Killed, None, Some(9)) => true,
            _ => false,
        }
    }
}

fn start(binary: &Path, scratch: &Path, number: usize) -> Child {
    let mut words = End::of(number).words().split(' ').map(|word| word.replace('\t', " "));
    let mut command = Command::new(binary);
    // Kernels without Landlock leave as little behind.
    command.args(words.next()).args(["--allow-missing", "landlock"]).args(words);
    command.env("TMPDIR", scratch).current_dir(scratch);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start belljar")
}

/// Directories of cgroups of sandboxes, and of scopes that were asked for.
fn cgroups(directory: &Path) -> i64 {
    let directories = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = directories.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("belljar.sandbox-") || name.starts_with("belljar-") && name.ends_with(".scope")
    };
    directories.map(|entry| entry.path()).map(|path| cgroups(&path) + i64::from(is_ours(&path))).sum()
}

fn entries(directory: impl AsRef<Path>) -> i64 {
    fs::read_dir(directory).map_or(0, |entries| entries.count() as i64)
}

/// Children of this process: of what has lost its parent, the nearest living ancestor.
fn children() -> i64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().split_whitespace().count() as i64;
    tasks.map(|task| of(task.path().join("children"))).sum()
}

/// `VmRSS` in KiB.
fn memory() -> i64 {
    let status = fs::read_to_string("/proc/self/status").expect("read our own status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Keys that count for this user's quota (proc_key_users(5)).
fn keys() -> i64 {
    let uid = format!("{}:", nix::unistd::getuid());
    let users = fs::read_to_string("/proc/key-users").unwrap_or_default();
    let line = users.lines().find(|line| line.trim_start().starts_with(&uid)).unwrap_or_default();
    let used = line.split_whitespace().nth(3).and_then(|word| word.split('/').next()?.parse().ok());
    used.unwrap_or(0)
}

const NAMES: [&str; 7] = [
    "processes",
    "cgroups",
    "mounts",
    "descriptors of the parent",
    "files",
    "keys of the user",
    "memory of the parent, KiB",
];
const TOLERANCE: [i64; 7] = [0, 0, 0, 0, 0, KEYS, MEMORY_KIB];

fn count(scratch: &Path) -> [i64; 7] {
    while nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG))
        .is_ok_and(|status| status.pid().is_some())
    {}
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mounts").lines().count() as i64;
    [
        children(),
        cgroups(Path::new("/sys/fs/cgroup")),
        mounts,
        entries("/proc/self/fd"),
        entries(scratch),
        keys(),
        memory(),
    ]
}

/// What a killed supervisor cannot tidy up, its cgroup, the next sandbox does.
fn tidy(binary: &Path, scratch: &Path) {
    let status = start(binary, scratch, 0).wait().expect("wait for belljar");
    assert!(End::Itself.is_right(status), "{status}");
}

/// Counts again and again until nothing is above `before`, or it has waited long enough.
fn settled(scratch: &Path, before: &[i64; 7]) -> [i64; 7] {
    let begun = Instant::now();
    loop {
        let now = count(scratch);
        if !has_grown(before, &now).contains(&true) || begun.elapsed() > SETTLE {
            return now;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn has_grown(before: &[i64; 7], after: &[i64; 7]) -> [bool; 7] {
    std::array::from_fn(|index| after[index] > before[index] + TOLERANCE[index])
}

fn main() -> ExitCode {
    let binary = PathBuf::from(std::env::var_os("BELLJAR_RELEASE_BIN").expect("BELLJAR_RELEASE_BIN names the binary"));
    let runs = std::env::var("SOAK_RUNS").map_or(20_000, |runs| runs.parse().expect("SOAK_RUNS is a number"));
    nix::sys::prctl::set_child_subreaper(true).expect("become a subreaper");
    let scratch = std::env::temp_dir().join(format!("belljar-soak-{}", std::process::id()));
    fs::create_dir(&scratch).expect("make a scratch directory");
    let (mut wrong, mut before) = (Vec::new(), [0; 7]);
    let mut ended = [0usize; ENDS.len()];
    let begun = Instant::now();
    for number in (0..runs.max(FIRST + AT_ONCE)).step_by(AT_ONCE) {
        if number == FIRST {
            tidy(&binary, &scratch);
            // For what the kernel takes apart after the end.
            std::thread::sleep(Duration::from_secs(2));
            before = count(&scratch);
        }
        let numbers = number..number + AT_ONCE;
        let children: Vec<Child> = numbers.clone().map(|number| start(&binary, &scratch, number)).collect();
        for (number, mut child) in numbers.zip(children) {
            let end = End::of(number);
            end.hasten(&child, number);
            let status = child.wait().expect("wait for belljar");
            ended[ENDS.iter().position(|other| *other == end).expect("an end")] += 1;
            if !end.is_right(status) && wrong.len() < 20 {
                wrong.push(format!("run {number}, {end:?}: {status}"));
            }
        }
    }
    let took = begun.elapsed();
    tidy(&binary, &scratch);
    let after = settled(&scratch, &before);
    fs::remove_dir_all(&scratch).expect("remove the scratch directory");
    let grown = has_grown(&before, &after);

    println!("{} runs in {:.0} s: {}\n", ended.iter().sum::<usize>(), took.as_secs_f64(), summary(&ended));
    println!("| left behind | after {FIRST} | after {} |\n|---|---:|---:|", ended.iter().sum::<usize>());
    for index in 0..NAMES.len() {
        let remark = if grown[index] { " **grown**" } else { "" };
        println!("| {} | {} | {}{remark} |", NAMES[index], before[index], after[index]);
    }
    for line in &wrong {
        println!("wrong: {line}");
    }
    ExitCode::from(u8::from(grown.contains(&true) || !wrong.is_empty()))
}

fn summary(ended: &[usize; 5]) -> String {
    let words =
        ["ended by themselves", "passed the deadline", "passed the memory limit", "cancelled", "supervisor killed"];
    let parts: Vec<String> = ended.iter().zip(words).map(|(count, word)| format!("{count} {word}")).collect();
    parts.join(", ")
}
