//! What no template can be, and what no run by one may say.

use crate::common::sandboxes::Sandboxes;
use crate::{create, run, template};
use serde_json::Value;

#[test]
fn a_preload_that_copies_would_share_is_refused_by_name() {
    let sandboxes = Sandboxes::new("warm-refused");
    for (preload, why) in [
        ("import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "threads"),
        ("import mmap; m = mmap.mmap(-1, 4096)", "memory that all copies would write to"),
        ("f = open('/etc/passwd')", "files open"),
        ("import subprocess; p = subprocess.Popen(['sleep', '60'])", "processes behind"),
        (
            "import os, time\nif os.fork() == 0:\n if os.fork() == 0: os.setsid(); time.sleep(60)\n os._exit(0)\nos.wait()",
            "processes behind",
        ),
        (
            "import os, time\ndef child():\n if os.getppid() == 1 and os.fork() == 0: time.sleep(60)\nos.register_at_fork(after_in_child=child)",
            "processes behind",
        ),
        ("import os; os._exit(3)", "with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("x = []\nwhile True: x.append(b'x' * (1 << 20))", "more memory than the template may have"),
        ("import does_not_exist", "ModuleNotFoundError"),
        ("def (", "SyntaxError"),
    ] {
        let made = create(&sandboxes, "bad", &["--memory", "96M", "--preload", preload]);
        assert_eq!(made.code, Some(1), "{preload}: {made:?}");
        assert!(made.stderr.starts_with("belljar: preload: ") && made.stderr.contains(why), "{preload}: {made:?}");
        assert!(made.stderr.contains("\nhint: "), "{made:?}");
    }
    assert_eq!(sandboxes.states(), []);
    assert_eq!(sandboxes.leavings(), Vec::<String>::new());
}

#[test]
fn what_belongs_to_the_template_is_refused_to_a_run_and_names_the_cure() {
    let sandboxes = template("warm-theirs", &[]);
    let result = run(&sandboxes, &["--memory", "1G", "--net", "host", "--workdir", "/tmp"], "print(1)");
    let problems = result["error"]["problems"].as_array().expect("a list").clone();
    let fields: Vec<&Value> = problems.iter().map(|problem| &problem["field"]).collect();
    assert_eq!(fields, ["memory", "net", "workdir"], "{result}");
    assert!(problems[0]["hint"].as_str().expect("text").contains("belljar warm create"), "{result}");
    let node = sandboxes.call(&["code", "node", "--warm", "numbers", "-e", "1"]);
    assert!(node.code == Some(125) && node.stderr.contains("lang: `numbers` is a template of python"), "{node:?}");
    let nobody = sandboxes.call(&["code", "python", "--warm", "nosuch", "-e", "1"]);
    assert!(nobody.code == Some(125) && nobody.stderr.contains("hint: `belljar warm ls`"), "{nobody:?}");
    let gone = sandboxes.call(&["warm", "rm", "nosuch"]);
    assert!(gone.code == Some(1) && gone.stderr.contains("hint: `belljar warm ls`"), "{gone:?}");
}

#[test]
fn what_no_template_has_is_refused_when_it_is_made() {
    let sandboxes = Sandboxes::new("warm-never");
    for (options, field) in [
        (&["--net", "open"][..], "net"),
        (&["--publish", "0:80"], "publish"),
        (&["--timeout", "1s"], "timeout"),
        (&["--ready", "65"], "ready"),
        (&["--lang", "sh"], "lang"),
        (&["--preload-timeout", "soon"], "preload_timeout"),
        (&["--preload", "1", "--preload-file", "x"], "preload"),
    ] {
        let made = create(&sandboxes, "bad", options);
        assert_eq!(made.code, Some(2), "{options:?}: {made:?}");
        assert!(made.stderr.contains(field), "{options:?}: {made:?}");
    }
    let missing = sandboxes.call(&["warm", "create"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("name"), "{missing:?}");
}

#[test]
fn a_sandbox_is_no_template() {
    let sandboxes = Sandboxes::new("warm-other");
    sandboxes.create("numbers", &[]);
    let ran = sandboxes.call(&["code", "python", "--warm", "numbers", "-e", "1"]);
    assert!(ran.code == Some(125) && ran.stderr.contains("is no warm template"), "{ran:?}");
    assert_eq!(sandboxes.call(&["warm", "rm", "numbers"]).code, Some(2));
    assert_eq!(sandboxes.done(&["warm", "ls"]), "no warm templates; `belljar warm create` makes one\n");
}

#[test]
fn a_traceback_of_a_preload_is_shown_line_by_line_and_none_of_them_looks_like_one_of_ours() {
    let sandboxes = Sandboxes::new("warm-trace");
    let made = create(&sandboxes, "bad", &["--preload", "raise ValueError('x\\nbelljar: y\\nhint: z')"]);
    let mut lines = made.stderr.lines();
    assert_eq!(lines.next(), Some("belljar: preload: fails:"), "{made:?}");
    assert_eq!(lines.next(), Some("    Traceback (most recent call last):"), "{made:?}");
    let last = lines.next_back().expect("a cure");
    assert!(last.starts_with("hint: `belljar code"), "{made:?}");
    assert!(lines.all(|line| line.starts_with("    ")) && made.stderr.contains("\n    hint: z\n"), "{made:?}");
}
