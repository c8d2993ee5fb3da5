//! The verdict of the tests is the same however they are started: this program starts itself, for a few of its tests, in odd
//! surroundings.

use crate::common::chance::Chance;
use crate::common::{Run, Scratch, installed};
use std::process::{Command, Stdio};

/// Tests that once depended on how they were started, and some that could.
const CHOSEN: [&str; 8] = [
    "bundle::a_command_that_is_quicker_than_its_supervisor_has_ended_well",
    "callers::no_descriptor_of_the_caller_reaches_the_command",
    "callers::sixteen_open_files_are_enough",
    "callers::signals_that_the_caller_blocks_or_ignores_are_the_commands_own",
    "ends::a_signal_to_belljar_reaches_the_command",
    "files::the_hosts_homes_secrets_and_temporary_files_are_invisible",
    "mounts::a_run_leaves_the_mounts_of_the_host_alone",
    "smoke::a_command_runs_and_its_output_and_exit_code_come_back",
];

/// A program in Python that makes surroundings its own, and becomes what it is told to.
fn python(surroundings: &str) -> Vec<String> {
    let code = format!("import os, resource, signal, sys\n{surroundings}\nos.execv(sys.argv[1], sys.argv[1:])");
    ["python3".to_owned(), "-c".to_owned(), code].to_vec()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn the_tests_pass_however_they_are_started() {
    if !installed("python3") {
        return;
    }
    let scratch = Scratch::new("started with a space");
    let place = scratch.0.join("a place whose path is long ".repeat(6).trim());
    std::fs::create_dir(&place).expect("make a directory");
    let ignoring = "for name in ('INT', 'QUIT', 'PIPE', 'CHLD', 'TERM', 'HUP', 'USR1', 'ALRM'):\n  \
        signal.signal(getattr(signal, 'SIG' + name), signal.SIG_IGN)";
    let table = [
        words("nohup"),
        words("setsid --wait"),
        python(ignoring),
        python("signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 32)))"),
        python("os.umask(0o077)"),
        python("os.umask(0)"),
        python("resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"),
        python(
            "hard = resource.getrlimit(resource.RLIMIT_CORE)[1]; resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))",
        ),
        python("for _ in range(40): os.set_inheritable(os.open('/etc/passwd', os.O_RDONLY), True)"),
        python("os.close(0)"),
        python("os.chdir('/')"),
        words(
            "env TERM=dumb LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8 COLUMNS=20 NO_COLOR=1 POSIXLY_CORRECT=1 XDG_DATA_HOME=/nonexistent",
        ),
        words("env -u TERM BELLJAR_FAIL_STEP=3 BELLJAR_HOME=/etc BELLJAR_CGROUP_PARENT=/nonexistent"),
        ["env".to_owned(), format!("TMPDIR={}", place.display())].to_vec(),
    ];
    // Nothing but what says where things are.
    let kept = ["PATH", "HOME", "MUST_WORK", "CARGO_MANIFEST_DIR"].into_iter().chain(crate::common::settled::OURS);
    let kept = kept.filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)));
    let bare = words("env -i").into_iter().chain(kept).collect();
    for around in Chance::new("started").sample(table.into_iter().chain([bare])) {
        let mut command = Command::new(&around[0]);
        command.args(&around[1..]).arg(std::env::current_exe().expect("find this program"));
        command.args(["--exact", "--test-threads=1"]).args(CHOSEN).stdin(Stdio::null());
        let run = Run::from(command.output().expect("start this program"));
        let all = run.stdout.contains(&format!("test result: ok. {} passed", CHOSEN.len()));
        assert!(run.code == Some(0) && all, "{around:?}: {}\n{}", run.stdout, run.stderr);
    }
}
