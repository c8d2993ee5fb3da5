//! What the promise tests share: they run the real binary, as whoever runs the tests, and look at what comes back.
#![allow(dead_code)] // each test program uses its own part

pub mod archives;
pub mod chance;
pub mod images;
pub mod languages;
pub mod leavings;
pub mod ports;
pub mod ranges;
pub mod sandboxes;
pub mod scale;
pub mod settled;

use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary under test: the debug build, with its allocation guard and fault injection.
pub fn belljar() -> PathBuf {
    settled::settle();
    std::env::var_os("BELLJAR_BIN").map_or_else(|| env!("CARGO_BIN_EXE_belljar").into(), PathBuf::from)
}

/// The binary that users get, where it was built: what the debug build does in a minute on a whole image, it does in a second.
pub fn released() -> PathBuf {
    settled::settle();
    std::env::var_os("BELLJAR_RELEASE_BIN").map(PathBuf::from).filter(|path| path.exists()).unwrap_or_else(belljar)
}

/// Files that tests run inside (`tests/programs`).
pub fn fixtures() -> PathBuf {
    std::env::var_os("BELLJAR_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs"), PathBuf::from)
}

/// A fresh directory of the test's own, readable for everybody, gone when the value is dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes one; `name` shows whose it is.
    pub fn new(name: &str) -> Scratch {
        settled::settle();
        use std::os::unix::fs::PermissionsExt as _;
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("belljar-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).expect("make a scratch directory");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("open it for everybody");
        Scratch(path)
    }

    /// Writes a file in it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("write a file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.0).is_err() {
            // overlayfs leaves a directory that its owner may not look into.
            let _ = Command::new("chmod").args(["-R", "u+rwX"]).arg(&self.0).status();
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// How one call of the binary ended.
#[derive(Debug)]
pub struct Run {
    /// Exit code; `None` when a signal ended belljar itself.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Options that every sandbox of these tests gets: to do without Landlock where the kernel has none, as User Mode Linux.
/// That is said, and a failure with `MUST_WORK=1`, but for the guests of `tests/vm`, which are chosen for their kernels.
pub fn allowed_to_be_missing() -> &'static [&'static str] {
    static ALLOWED: std::sync::LazyLock<&[&str]> = std::sync::LazyLock::new(|| {
        let in_guest = std::env::var_os("BELLJAR_GUEST").is_some();
        if belljar::sys::proc::landlock_abi() > 0 || !in_guest && available("Landlock", false) {
            return &[];
        }
        // Not by a macro: what a test prints is shown only when it fails.
        let note = "this kernel has no Landlock: every sandbox is started with `--allow-missing landlock`";
        writeln!(std::io::stderr(), "{note}").expect("write to standard error");
        &["--allow-missing", "landlock"]
    });
    *ALLOWED
}

/// A call of the binary, standard input empty, that the caller may still change.
pub fn command<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    // What outlives its supervisor becomes ours, and is seen (`assert_gone`).
    nix::sys::prctl::set_child_subreaper(true).expect("become a subreaper");
    let mut words: Vec<OsString> = args.into_iter().map(|word| word.as_ref().to_owned()).collect();
    let joins = words.iter().take_while(|word| *word != "--").any(|word| word == "--sandbox" || word == "--warm");
    if words.first().is_some_and(|verb| verb == "run" || verb == "code") && !joins {
        words.splice(1..1, allowed_to_be_missing().iter().map(OsString::from));
    }
    let mut command = Command::new(belljar());
    command.args(words).stdin(Stdio::null());
    // Whatever images the caller has, code runs on `host`.
    command.env("BELLJAR_HOME", "/nonexistent");
    // Every host can do without cgroups, and is asked to, so that what is expected is the same on all. The guests that
    // have cgroups say so.
    if std::env::var_os("BELLJAR_PLACE").is_none() {
        command.env("BELLJAR_CGROUP_PARENT", "none");
    }
    command
}

/// Calls the binary.
pub fn call<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Run {
    command(args).output().expect("start belljar").into()
}

/// Calls the binary with `input` on its standard input.
pub fn call_with_input<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>, input: &[u8]) -> Run {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start belljar");
    let mut pipe = child.stdin.take().expect("its standard input");
    let input = input.to_vec();
    // A command that does not read must not block the test.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().expect("wait for belljar");
    writer.join().expect("join the writer");
    output.into()
}

/// `belljar run OPTIONS -- sh -c SCRIPT`.
pub fn shell(options: &[&str], script: &str) -> Run {
    call([&["run"], options, &["--", "sh", "-c", script]].concat())
}

/// `belljar code python OPTIONS -e CODE`.
pub fn python(options: &[&str], code: &str) -> Run {
    call([&["code", "python"], options, &["-e", code]].concat())
}

/// `SRC:DST` and what else an option of `--mount` is made of.
pub fn bind(source: &Path, rest: &str) -> String {
    format!("{}:{rest}", source.display())
}

/// The result object of a `--json` call; the test fails when there is none.
pub fn result(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("no result object ({error}) in {run:?}"))
}

/// The result object of `belljar run --json OPTIONS -- sh -c SCRIPT`.
pub fn shell_result(options: &[&str], script: &str) -> Value {
    result(&shell(&[&["--json"], options].concat(), script))
}

/// The result object of `belljar code python --json OPTIONS -e CODE`.
pub fn python_result(options: &[&str], code: &str) -> Value {
    result(&python(&[&["--json"], options].concat(), code))
}

/// How a call ended: exit code, standard output and standard error.
pub fn said(run: &Run) -> (Option<i32>, &str, &str) {
    (run.code, &run.stdout, &run.stderr)
}

/// How the command of a result ended: status, exit code and signal.
pub fn ended(result: &Value) -> (&str, &Value, &Value) {
    (result["status"].as_str().unwrap_or_default(), &result["exit_code"], &result["signal"])
}

/// What was captured on standard output.
pub fn stdout(result: &Value) -> &str {
    result["stdout"].as_str().unwrap_or_else(|| panic!("no stdout in {result}"))
}

/// Whether a test can do without something the host lacks: never where `MUST_WORK=1`, as in CI.
///
/// Returns `false` when the test has to go on without; says why on standard error.
pub fn available(what: &str, there: bool) -> bool {
    if !there {
        assert!(
            std::env::var_os("MUST_WORK").is_none_or(|value| value != "1"),
            "MUST_WORK=1, and this host lacks {what}"
        );
        eprintln!("cannot run here: this host lacks {what}");
    }
    there
}

/// Whether `program` is on the host where sandboxes see it.
pub fn installed(program: &str) -> bool {
    let there =
        ["/usr/local/bin", "/usr/bin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(program).exists());
    available(&format!("the program `{program}`"), there)
}

/// Copies a program that is to be executed. Not by us: a process that another test starts meanwhile would have the file open for
/// writing for a moment, and execve(2) answers ETXTBSY.
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let copied = Command::new("cp").arg(from.as_ref()).arg(to.as_ref()).status().expect("start cp");
    assert!(copied.success(), "copy `{}`", from.as_ref().display());
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Processes on the host whose command line contains `mark`, but for the caller.
pub fn processes_with(mark: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc")
        .expect("read /proc")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own)
        .filter(|name| {
            std::fs::read(format!("/proc/{name}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
        })
        .collect()
}

/// Waits up to `seconds` for `condition`.
pub fn eventually(seconds: u64, condition: impl Fn() -> bool) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while std::time::Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    condition()
}

/// A call of the binary that runs on its own, its output captured, until it is asked for.
pub struct Started(std::process::Child);

impl Started {
    /// Starts `command`.
    pub fn new(command: &mut Command) -> Started {
        Started(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start belljar"))
    }

    /// Its process id.
    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.0.id() as i32)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.pid(), signal).expect("signal belljar");
    }

    /// Waits for its first line of output: by then what is inside runs.
    pub fn first_line(&mut self) -> String {
        let mut line = Vec::new();
        let pipe = self.0.stdout.as_mut().expect("its standard output");
        let mut byte = [0u8];
        while std::io::Read::read(pipe, &mut byte).expect("read its output") == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Waits for its end.
    pub fn finish(self) -> Run {
        self.0.wait_with_output().expect("wait for belljar").into()
    }

    /// Waits for its end: the signal that ended it, if one did.
    pub fn end_signal(mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        self.0.wait().expect("wait for belljar").signal()
    }
}

/// A word that is in no other command line.
pub fn mark(name: &str) -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("mark-{name}-{}-{count}", std::process::id())
}

/// Asserts that nothing with `mark` in its command line is left, and nobody's pid 1.
pub fn assert_gone(mark: &str) {
    assert!(eventually(5, || processes_with(mark).is_empty()), "left behind: {:?}", processes_with(mark));
    assert!(eventually(5, || adopted().is_empty()), "left behind: {:?}", adopted());
}

/// Asks those processes of sandboxes how they ended that we have inherited from supervisors who were killed, as every init does: until
/// then their pid 1 cannot end. Nobody of ours was started in a namespace of its own.
pub fn reap_adopted() {
    let own = format!("PPid:\t{}\n", std::process::id());
    let entries = std::fs::read_dir("/proc").expect("read /proc");
    for pid in entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok()) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        if status.contains("State:\tZ") && status.contains(&own) && inner.split_ascii_whitespace().count() > 1 {
            // Another thread may have been quicker.
            let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
        }
    }
}

/// Processes of sandboxes whose supervisor is gone: children of ours that have forgotten their command line.
fn adopted() -> Vec<String> {
    reap_adopted();
    let own = format!(" {} ", std::process::id());
    let is_adopted = |name: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{name}/stat")).unwrap_or_default();
        let ours =
            stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && rest[1..].starts_with(&own));
        ours && std::fs::read(format!("/proc/{name}/cmdline")).is_ok_and(|line| line.iter().all(|byte| *byte == 0))
    };
    let entries = std::fs::read_dir("/proc").expect("read /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(is_adopted).collect()
}

/// Runs `script` in a shell of the host in which `belljar` is the binary under test, and the working directory is
/// `scratch`.
pub fn caller(scratch: &Scratch, script: &str) -> Run {
    let mut shell = Command::new("bash");
    let function = r#"belljar() { case $1 in run|code) set -- "$1" $ALLOWED "${@:2}";; esac; "$BELLJAR" "$@"; }"#;
    shell.args(["-c", &format!("{function}; {script}")]);
    shell.env("BELLJAR", belljar()).env("ALLOWED", allowed_to_be_missing().join(" "));
    shell.current_dir(&scratch.0).stdin(Stdio::null());
    shell.output().expect("start bash").into()
}
