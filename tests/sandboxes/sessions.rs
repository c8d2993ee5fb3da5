//! What goes on inside a sandbox between calls: shells, interpreters, commands that were left behind.

use crate::common::chance::scaled_from;
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, Scratch, Started, allowed_to_be_missing, command, eventually, installed, languages, said};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A sandbox with a shell in it.
struct Shell(Sandboxes);

impl Shell {
    fn new(name: &str) -> Shell {
        let sandboxes = Sandboxes::new(name);
        sandboxes.create("box", &[]);
        let shell = Shell(sandboxes);
        assert_eq!(said(&shell.call(&["create", "box", "sh"])), (Some(0), "sh\n", ""));
        shell
    }

    fn call(&self, words: &[&str]) -> Run {
        let mut all = vec!["session"];
        all.extend(words);
        self.0.call(&all)
    }

    fn exec(&self, lines: &str) -> Run {
        self.call(&["exec", "box", "sh", lines])
    }
}

fn code(sandboxes: &Sandboxes, language: &str, text: &str) -> Run {
    sandboxes.call(&["code", "--sandbox", "box", "--context", language, language, "-e", text])
}

/// How many processes in the box have a command line that begins like that.
fn running(sandboxes: &Sandboxes, words: &str) -> usize {
    let script = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null";
    sandboxes.shell("box", script).stdout.lines().filter(|line| line.starts_with(words)).count()
}

fn object(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

#[test]
fn what_lines_set_in_a_session_stays_for_the_next() {
    let shell = Shell::new("stays");
    let set = "cd /tmp; plain=1; export shown=2; f() { echo f-$1; }; set -f";
    assert_eq!(said(&shell.exec(set)), (Some(0), "", ""));
    let read = "pwd; echo $plain; sh -c 'echo $shown'; f x; echo *; echo wrong >&2; (exit 7)";
    assert_eq!(said(&shell.exec(read)), (Some(7), "/tmp\n1\n2\nf-x\n*\n", "wrong\n"));
    // Another session has none of it.
    shell.call(&["create", "box", "other"]);
    let run = shell.call(&["exec", "box", "other", "echo \"[$plain]\"; type f >/dev/null 2>&1 || echo none"]);
    assert_eq!(said(&run), (Some(0), "[]\nnone\n", ""));
    let sessions = object(&shell.call(&["ls", "box", "--json"]));
    let ids: Vec<_> = sessions["sessions"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, ["other", "sh"]);
}

#[test]
fn odd_lines_do_what_they_say_and_nothing_to_the_next() {
    let shell = Shell::new("odd-lines");
    let many = "for i in 1 2 3; do\n  echo line $i\ndone\ncat <<END\nhere $((1+1))\nEND";
    assert_eq!(said(&shell.exec(many)), (Some(0), "line 1\nline 2\nline 3\nhere 2\n", ""));
    assert_eq!(said(&shell.exec("exec 1>&- 2>&-")), (Some(0), "", ""));
    assert_eq!(said(&shell.exec("echo still; cat; echo end")), (Some(0), "still\nend\n", ""));
    let bytes = object(&shell.call(&["exec", "box", "sh", "printf 'a\\377'", "--json"]));
    assert_eq!(bytes["stdout"], json!({ "base64": "Yf8=" }));
    assert_eq!(said(&shell.exec("{ echo 0 >&9; } 2>/dev/null; true")), (Some(0), "", ""));
    assert_eq!(said(&shell.exec("mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone")), (Some(0), "", ""));
    assert_eq!(said(&shell.exec("cd /; head -c 3000000 /dev/zero | wc -c")), (Some(0), "3000000\n", ""));
    // What goes on in the background does not hold the next lines up, and is heard.
    let run = shell.exec("(sleep 0.3; echo late) & echo soon");
    assert_eq!(said(&run), (Some(0), "soon\n", ""));
    let job = object(&shell.call(&["ls", "box", "--json"]))["sessions"][0]["jobs"].as_array().expect("a list").len();
    let logs = || shell.call(&["logs", "box", "sh", &job.to_string()]).stdout;
    assert!(eventually(5, || logs() == "soon\nlate\n"), "{}", logs());
}

#[test]
fn a_session_that_ends_itself_says_so_and_takes_nothing_more() {
    let shell = Shell::new("ends-itself");
    let message = "belljar: the session has ended with it\n";
    assert_eq!(said(&shell.exec("echo bye; exit 4")), (Some(4), "bye\n", message));
    let run = shell.exec("true");
    let ended = "belljar: the session `sh` has ended\nhint: `belljar session rm` it, and make another\n";
    assert_eq!(said(&run), (Some(1), "", ended));
    assert_eq!(object(&shell.call(&["ls", "box", "--json"]))["sessions"][0]["ended"], json!(4));
    assert_eq!(said(&shell.call(&["logs", "box", "sh"])), (Some(4), "bye\n", message));
    assert_eq!(said(&shell.call(&["rm", "box", "sh"])), (Some(0), "", ""));
    assert_eq!(said(&shell.exec("true")), (Some(1), "", "belljar: no session `sh`\n"));
    assert_eq!(said(&shell.call(&["create", "box", "sh"])), (Some(0), "sh\n", ""));
    let there = "belljar: there is a session `sh` already\n";
    assert_eq!(said(&shell.call(&["create", "box", "sh"])), (Some(1), "", there));
    assert_eq!(shell.call(&["create", "box", "../x"]).code, Some(2));
}

#[test]
fn lines_that_are_left_behind_can_be_followed_and_fed() {
    let shell = Shell::new("fed");
    let job = shell.call(&[
        "exec",
        "-d",
        "box",
        "sh",
        "while read line; do echo got $line; [ $line = end ] && break; done; exit_code=5; (exit 5)",
    ]);
    assert_eq!(said(&job), (Some(0), "1\n", ""));
    for line in ["one\n", "end\n"] {
        let mut command = shell.0.command(&["session", "input", "box", "sh", "1"]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("start belljar");
        child.stdin.take().expect("its input").write_all(line.as_bytes()).expect("written");
        assert!(child.wait().expect("wait for belljar").success());
    }
    assert_eq!(said(&shell.call(&["logs", "-f", "box", "sh", "1"])), (Some(5), "got one\ngot end\n", ""));
    let over = shell.call(&["input", "box", "sh", "1"]);
    assert_eq!(said(&over), (Some(0), "", ""), "nothing was given");
    let followed = object(&shell.call(&["logs", "--json", "box", "sh", "1"]));
    assert_eq!((&followed["stdout"], &followed["end"]["exit_code"]), (&json!("got one\ngot end\n"), &json!(5)));
    assert_eq!(
        said(&shell.call(&["logs", "box", "sh", "9"])),
        (Some(1), "", "belljar: no job 9 in the session `sh`\n")
    );
}

#[test]
fn a_session_on_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let sandboxes = Sandboxes::new("full-session");
    sandboxes.create("box", &["--disk", "2M"]);
    let shell = Shell(sandboxes);
    assert_eq!(said(&shell.call(&["create", "box", "sh"])), (Some(0), "sh\n", ""));
    shell.0.shell("box", "cat /dev/zero > /tmp/filled");
    let message = "belljar: the job could not be begun: No space left on device\n";
    assert_eq!(said(&shell.exec("echo here")), (Some(1), "", message));
    assert_eq!(said(&shell.0.call(&["fs", "rm", "box", "/tmp/filled"])), (Some(0), "", ""));
    assert_eq!(said(&shell.exec("echo here")), (Some(0), "here\n", ""));
}

#[test]
fn a_caller_that_is_killed_while_it_listens_leaves_nothing_behind() {
    let shell = Shell::new("killed-listener");
    assert_eq!(shell.call(&["exec", "-d", "box", "sh", "echo begun; sleep 60"]).code, Some(0));
    let mut listener = Started::new(&mut shell.0.command(&["session", "logs", "-f", "box", "sh", "1"]));
    assert_eq!(listener.first_line(), "begun");
    assert_eq!(running(&shell.0, "belljar serve-tools"), 1);
    listener.signal(nix::sys::signal::Signal::SIGKILL);
    listener.finish();
    assert!(eventually(5, || running(&shell.0, "belljar serve-tools") == 0));
    assert_eq!(running(&shell.0, "/proc/self/exe keep-session"), 1);
}

#[test]
fn a_session_is_interrupted_when_its_time_is_over_and_ends_with_all_it_has_started() {
    let shell = Shell::new("in-time");
    let started = Instant::now();
    let run = shell.call(&["exec", "--timeout", "300ms", "box", "sh", "sleep 60"]);
    assert_eq!((run.code, run.stderr.contains("belljar: ended: its deadline passed\n")), (Some(124), true), "{run:?}");
    assert_eq!(said(&shell.exec("echo still here")), (Some(0), "still here\n", ""));
    // A loop of the shell's own ends with the shell.
    let run = shell.call(&["exec", "--timeout", "300ms", "box", "sh", "while :; do :; done"]);
    assert_eq!((run.code, run.stderr.contains("the session has ended with it")), (Some(124), true), "{run:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    shell.call(&["create", "box", "another"]);
    shell.call(&["exec", "box", "another", "(setsid sleep 1011 &) ; nohup sleep 1011 >/dev/null 2>&1 & true"]);
    let sleepers = || running(&shell.0, "sleep 1011");
    assert!(eventually(5, || sleepers() == 2), "{}", sleepers());
    shell.call(&["rm", "box", "another"]);
    assert_eq!(sleepers(), 0);
}

#[test]
fn a_command_is_left_behind_with_what_it_needs() {
    let sandboxes = Sandboxes::new("detached");
    sandboxes.create("box", &[]);
    let script = "echo $GREETING from $(pwd); echo wrong >&2; sleep 0.2; cat; exit 3";
    let words = ["exec", "-d", "--env", "GREETING=hi", "--workdir", "/tmp", "box", "--", "sh", "-c", script];
    let id = sandboxes.done(&words);
    let id = id.trim();
    let run = sandboxes.call(&["session", "logs", "-f", "box", id]);
    assert_eq!(said(&run), (Some(3), "hi from /tmp\n", "wrong\n"));
    let run = sandboxes.call(&["session", "exec", "box", id, "true"]);
    assert_eq!(said(&run), (Some(1), "", "belljar: it is a single command, and takes no other\n"));
    let run = sandboxes.call(&["exec", "-d", "box", "--", "no-such-program"]);
    assert_eq!(said(&run), (Some(127), "", "belljar: `no-such-program`: command not found in the sandbox\n"));
    assert_eq!(sandboxes.call(&["exec", "-d", "--tty", "box", "--", "true"]).code, Some(125));
    // It is restricted as every command is, and so is what keeps it.
    let id = sandboxes.done(&["exec", "-d", "box", "--", "sleep", "1012"]);
    let look = "for p in /proc/[0-9]*; do grep -q 'keep-session\\|sleep' $p/cmdline && grep -E '^(Seccomp:|NoNewPrivs|CapEff)' $p/status; done | sort | uniq -c | tr -s ' '";
    let run = sandboxes.shell("box", look);
    assert_eq!(run.stdout.lines().count(), 3, "{run:?}");
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(run.stdout.contains(line), "{run:?}");
    }
    assert_eq!(running(&sandboxes, "sleep 1012"), 1);
    assert_eq!(sandboxes.call(&["session", "rm", "box", id.trim()]).code, Some(0));
    assert_eq!(running(&sandboxes, "sleep 1012"), 0);
    sandboxes.done(&["rm", "-f", "box"]);
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn python_keeps_its_globals_from_call_to_call() {
    if !installed("python3") {
        return;
    }
    let sandboxes = Sandboxes::new("python");
    sandboxes.create("box", &[]);
    let python = |text: &str| code(&sandboxes, "python", text);
    assert_eq!(
        said(&python("import sys\nx = 41\nprint('out')\nprint('err', file=sys.stderr)")),
        (Some(0), "out\n", "err\n")
    );
    assert_eq!(said(&python("x += 1\nprint(x, __name__)")), (Some(0), "42 __main__\n", ""));
    let run =
        sandboxes.call(&["code", "--sandbox", "box", "--context", "python", "--json", "python", "-e", "print('a')\nx"]);
    let result = object(&run);
    assert_eq!(
        (&result["stdout"], &result["results"]),
        (&json!("a\n"), &json!([{ "media_type": "text/plain", "data": "42" }]))
    );
    let run = python("def g():\n    return 1 / 0\ng()");
    let traceback = "Traceback (most recent call last):\n  File \"<cell 4>\", line 3, in <module>\n    g()\n";
    assert!(run.code == Some(1) && run.stderr.starts_with(traceback), "{run:?}");
    assert!(run.stderr.ends_with("ZeroDivisionError: division by zero\n"), "{run:?}");
    assert_eq!(python("if").code, Some(1));
    assert_eq!(said(&python("import sys; sys.exit()")), (Some(0), "", ""));
    let limited = |text| {
        sandboxes.call(&["code", "--sandbox", "box", "--context", "python", "--timeout", "500ms", "python", "-e", text])
    };
    let run = limited("while True: pass");
    assert!(run.code == Some(124) && run.stderr.contains("KeyboardInterrupt"), "{run:?}");
    assert_eq!(said(&python("print(x)")), (Some(0), "42\n", ""));
    // What does not let itself be interrupted is killed, and its globals with it.
    let run = limited("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass");
    assert_eq!((run.code, run.stderr.contains("the session has ended with it")), (Some(124), true), "{run:?}");
    // Of another context nothing is known there.
    let run =
        sandboxes.call(&["code", "--sandbox", "box", "--context", "two", "python", "-e", "print('x' in globals())"]);
    assert_eq!(said(&run), (Some(0), "False\n", ""));
}

#[test]
fn node_keeps_its_globals_from_call_to_call() {
    if !installed("node") {
        return;
    }
    let sandboxes = Sandboxes::new("node");
    sandboxes.create("box", &["--memory", "2G"]);
    let node = |text: &str| code(&sandboxes, "node", text);
    let run = node("const a = 1; let b = await Promise.resolve(5); console.log(a + b); console.error('err')");
    assert_eq!(said(&run), (Some(0), "6\n", "err\n"));
    assert_eq!(said(&node("b += a; console.log(b)")), (Some(0), "6\n", ""));
    let run = node("throw new TypeError('no')");
    assert!(run.code == Some(1) && run.stderr.starts_with("TypeError: no\n"), "{run:?}");
    let run = sandboxes.call(&["code", "--sandbox", "box", "--context", "node", "--json", "node", "-e", "({ b })"]);
    assert_eq!(object(&run)["results"], json!([{ "media_type": "text/plain", "data": "{ b: 6 }" }]));
    let run = sandboxes.call(&[
        "code",
        "--sandbox",
        "box",
        "--context",
        "node",
        "--timeout",
        "500ms",
        "node",
        "-e",
        "while (true);",
    ]);
    assert_eq!(run.code, Some(124), "{run:?}");
    assert_eq!(said(&node("console.log(b)")), (Some(0), "6\n", ""));
    assert_eq!(node("if (").code, Some(1));
}

#[test]
fn code_runs_in_a_sandbox_that_is_there() {
    if !installed("python3") {
        return;
    }
    let sandboxes = Sandboxes::new("code-there");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("code-here");
    let file = scratch.0.join("program.py");
    std::fs::write(&file, "import sys\nprint(open('/tmp/f').read(), sys.argv[1:], __file__.rsplit('/', 1)[1])")
        .expect("a file");
    sandboxes.shell("box", "printf there > /tmp/f");
    let run = sandboxes.call(&["code", "--sandbox", "box", "python", file.to_str().expect("text"), "-x"]);
    assert_eq!(said(&run), (Some(0), "there ['-x'] program.py\n", ""));
    let run = sandboxes.call(&["code", "--sandbox", "box", "sh", "-e", "cat /tmp/f; ls -A /tmp; exit 3"]);
    assert_eq!(said(&run), (Some(3), "theref\n", ""));
    let run = sandboxes.call(&["code", "--sandbox", "box", "--timeout", "300ms", "--json", "sh", "-e", "sleep 60"]);
    assert_eq!((run.code, object(&run)["status"].clone()), (Some(124), json!("timed_out")));
    let run = sandboxes.call(&["code", "--sandbox", "box", "--memory", "1G", "sh", "-e", "true"]);
    let problem = "belljar: sandbox: the sandbox is there already, and options that make one cannot change it\n";
    assert!(run.code == Some(125) && run.stderr.starts_with(problem), "{run:?}");
    let unknown = "belljar: sandbox: no sandbox `nope`\nhint: `belljar ls` lists them\n";
    for words in [
        &["code", "--sandbox", "nope", "sh", "-e", "true"][..],
        &["code", "--sandbox", "nope", "--context", "c", "sh", "-e", "true"],
    ] {
        assert_eq!(said(&sandboxes.call(words)), (Some(125), "", unknown), "{words:?}");
    }
    // Sessions are processes, and there are none where nothing runs.
    sandboxes.create("kept", &["--keep"]);
    sandboxes.done(&["stop", "kept"]);
    let run = sandboxes.call(&["session", "create", "kept", "sh"]);
    assert_eq!(
        said(&run),
        (Some(1), "", "belljar: sandbox: `kept` is not running\nhint: start it first: `belljar start kept`\n")
    );
}

#[test]
fn figures_and_tables_come_as_pictures_and_html() {
    if !languages::built("python") {
        return;
    }
    let call = |words: &[&str]| -> Run {
        command(words.to_vec()).env("BELLJAR_HOME", languages::home()).output().expect("start belljar").into()
    };
    let name = format!("figures-{}", std::process::id());
    let mut create = vec!["create"];
    create.extend(allowed_to_be_missing());
    create.extend(["--image", "python", "--ttl", "2m", &name]);
    assert_eq!(call(&create).code, Some(0));
    let python = |text: &str| call(&["code", "--sandbox", &name, "--context", "py", "--json", "python", "-e", text]);
    let drawn = object(&python("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.figure()\nplt.show()"));
    let pictures = drawn["results"].as_array().expect("a list");
    let of = |picture: &Value| {
        let starts = picture["data"].as_str().is_some_and(|data| data.starts_with("iVBORw0KGgo"));
        (picture["media_type"].as_str().map(str::to_owned), starts)
    };
    // Two figures; what `plot` answers is no last expression.
    assert_eq!(pictures.iter().map(of).collect::<Vec<_>>(), vec![(Some("image/png".to_owned()), true); 2]);
    let table = object(&python("import pandas\npandas.DataFrame({'a': [7]})"));
    let types: Vec<_> =
        table["results"].as_array().expect("a list").iter().map(|one| one["media_type"].clone()).collect();
    assert_eq!(types, ["text/plain", "text/html"]);
    assert_eq!(call(&["rm", "-f", &name]).code, Some(0));
}

#[test]
fn a_command_that_has_ended_before_anybody_looked_has_ended() {
    let sandboxes = Sandboxes::new("quick");
    sandboxes.create("box", &["--pids", "250"]);
    // One after the other, beside what keeps the machine busy: the keeper is late then.
    let busy = sandboxes.call(&[
        "exec",
        "-d",
        "box",
        "--",
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6; do while :; do :; done & done; wait",
    ]);
    assert_eq!(busy.code, Some(0), "{busy:?}");
    for _ in 0..scaled_from(5, 30) {
        let id = sandboxes.done(&["exec", "-d", "box", "--", "false"]);
        let run = sandboxes.call(&["session", "logs", "-f", "box", id.trim()]);
        assert_eq!(said(&run), (Some(1), "", ""));
    }
}

#[test]
fn a_command_that_cannot_be_started_is_told_as_exec_tells_it_and_leaves_no_session() {
    let sandboxes = Sandboxes::new("not-started");
    sandboxes.create("box", &[]);
    for (word, code, says) in [
        ("nosuchcmd", 127, "belljar: `nosuchcmd`: command not found in the sandbox\n"),
        ("/nope/x", 127, "belljar: `/nope/x`: command not found in the sandbox\n"),
        ("/etc/passwd", 126, "belljar: `/etc/passwd`: not executable: permission denied\n"),
        ("/etc", 126, "belljar: `/etc`: is a directory\n"),
    ] {
        for words in [
            &["exec", "box", "--", word][..],
            &["exec", "--detach", "box", "--", word],
            &["pty", "create", "box", "p", "--", word],
        ] {
            let run = sandboxes.call(words);
            assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{words:?}: {run:?}");
            assert!(run.stderr.starts_with(says), "{words:?}: {run:?}");
        }
    }
    for wrong in ["/nope", "/etc/passwd"] {
        for (words, code) in [
            (&["exec", "box", "--workdir", wrong, "--", "true"][..], 125),
            (&["exec", "--detach", "--workdir", wrong, "box", "--", "true"], 125),
            (&["session", "create", "box", "s", "--workdir", wrong], 1),
            (&["pty", "create", "box", "s", "--workdir", wrong], 1),
        ] {
            let run = sandboxes.call(words);
            assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{words:?}: {run:?}");
            let why = if wrong == "/nope" { "No such file or directory" } else { "Not a directory" };
            assert!(run.stderr.contains(&format!("enter {wrong}: {why}\n")), "{words:?}: {run:?}");
        }
    }
    assert_eq!(sandboxes.done(&["session", "ls", "box"]), "no sessions\n");
}

/// A tool of ours that runs inside is a file in memory which it has mapped. Where looking holds the memory limit, that made whoever ran
/// for long enough guilty of what others on the host had filled.
#[test]
fn what_others_on_the_host_keep_in_shared_memory_is_not_laid_to_a_session() {
    if !installed("python3") {
        return;
    }
    let sandboxes = Sandboxes::new("others-memory");
    sandboxes.create("box", &["--memory", "160M"]);
    sandboxes.done(&["session", "create", "box", "sh"]);
    let others =
        nix::sys::memfd::memfd_create(c"others", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).expect("a file in memory");
    let mut others = std::fs::File::from(others);
    // Each touches 10 MB and gives them back.
    let touched = "for i in 1 2 3 4; do python3 -c 'bytearray(10 << 20)'; done; sleep 0.2";
    for _ in 0..20 {
        others.write_all(&vec![0; 20 << 20]).expect("fill it");
        let run = sandboxes.call(&["session", "exec", "box", "sh", touched]);
        assert_eq!(said(&run), (Some(0), "", ""));
    }
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
}

#[test]
fn whatever_somebody_puts_in_the_place_of_a_session_is_removed_and_nothing_else() {
    let sandboxes = Sandboxes::new("in-its-place");
    sandboxes.create("box", &[]);
    let put = "d=/tmp/.belljar-$(id -u); mkdir -p -m 700 $d /tmp/other/kept; cd $d; echo x > file; mkfifo fifo; ln -s /tmp/other link
        mkdir -p closed/in/it loop plain; chmod 0 closed/in closed; ln -s socket loop/socket; echo x > plain/socket";
    assert_eq!(said(&sandboxes.shell("box", put)), (Some(0), "", ""));
    for id in ["file", "fifo", "link", "closed", "loop", "plain"] {
        assert_eq!(said(&sandboxes.call(&["session", "rm", "box", id])), (Some(0), "", ""), "{id}");
    }
    assert_eq!(sandboxes.done(&["session", "ls", "box"]), "no sessions\n");
    let left = "ls -A /tmp/.belljar-$(id -u) /tmp/other | tail -n 1";
    assert_eq!(said(&sandboxes.shell("box", left)), (Some(0), "kept\n", ""));
    // Nor is anything looked for behind a link in the place of all of them.
    sandboxes.shell("box", "d=/tmp/.belljar-$(id -u); rm -r $d; ln -s /tmp/other $d");
    for words in
        [&["session", "ls", "box"][..], &["session", "rm", "box", "kept"], &["session", "exec", "box", "kept", "true"]]
    {
        let run = sandboxes.call(words);
        assert!(
            run.code == Some(1) && run.stderr.contains("the directory of sessions belongs to another user"),
            "{words:?}: {run:?}"
        );
    }
    assert_eq!(said(&sandboxes.shell("box", "ls /tmp/other")), (Some(0), "kept\n", ""));
}
