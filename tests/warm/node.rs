//! Templates of Node: each run has an interpreter of its own, which has loaded its modules before.

use crate::common::{Scratch, ended, eventually, installed, said, stdout};
use crate::{known, template};
use serde_json::{Value, json};

const LOOK: &str = "
const fs = require('fs');
const status = Object.fromEntries(fs.readFileSync('/proc/self/status', 'utf8').trim().split('\\n').map((line) => line.split(/:\\s*/)));
for (const name of ['Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm', 'CapInh', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Umask']) console.log(name, status[name]);
console.log(fs.readdirSync('/'), fs.readdirSync('/dev'), fs.readdirSync('/tmp'), process.cwd(), require('os').hostname());
console.log(Object.entries(process.env).sort(), process.ppid, process.argv, process.execArgv.length);
console.log(fs.readFileSync('/proc/self/limits', 'utf8'));
for (const path of ['/usr/x', '/proc/sys/kernel/hostname', '/x']) {
  try { fs.writeFileSync(path, ''); } catch (error) { console.log(error.code); }
}
";

fn node(sandboxes: &crate::Sandboxes, options: &[&str], code: &str) -> Value {
    let words = [&["code", "node", "--json", "--warm", "numbers"], options, &["-e", code]].concat();
    crate::common::result(&sandboxes.call(&words))
}

#[test]
fn a_run_is_restricted_exactly_as_code_in_a_fresh_sandbox_is() {
    if !installed("node") {
        return;
    }
    let sandboxes = template("warm-node", &["--lang", "node", "--preload", "globalThis.loaded = require('zlib')"]);
    let warm = node(&sandboxes, &[], LOOK);
    assert_eq!(ended(&warm), ("exited", &json!(0), &json!(null)), "{warm}");
    assert_eq!(warm["warm"], json!({ "how": "parked", "why": null, "shares": [] }));
    let words =
        [&["code", "node", "--json", "--image", "host"], crate::allowed_to_be_missing(), &["-e", LOOK]].concat();
    let fresh = crate::common::result(&sandboxes.call(&words));
    let lines = |result: &Value| stdout(result).lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&warm), lines(&fresh));
    assert_eq!(stdout(&node(&sandboxes, &[], "console.log(typeof loaded.gzip)")), "function\n");
    let now = known(&sandboxes);
    assert_eq!((&now["language"], &now["now"]["trouble"]), (&json!("node"), &json!(null)), "{now}");
}

#[test]
fn each_run_has_an_interpreter_and_a_sandbox_of_its_own_whatever_the_one_before_has_done() {
    if !installed("node") {
        return;
    }
    let sandboxes = template("warm-node-own", &["--lang", "node", "--ready", "1"]);
    let code = "
const fs = require('fs');
console.log(globalThis.left, fs.existsSync('/tmp/left'), fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length);
globalThis.left = 1; fs.writeFileSync('/tmp/left', 'x'); process.exit(4);";
    for _ in 0..4 {
        let result = node(&sandboxes, &[], code);
        assert_eq!((ended(&result).1, stdout(&result)), (&json!(4), "undefined false 2\n"), "{result}");
    }
    // Whoever is asked for more than wait makes one, and does not begin anew.
    let many: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| node(&sandboxes, &[], "console.log(1)"))).collect();
        calls.into_iter().map(|call| call.join().expect("a result")).collect()
    });
    for result in many {
        assert_eq!(stdout(&result), "1\n", "{result}");
        assert_ne!(result["warm"]["how"], "cold", "{result}");
    }
}

#[test]
fn arguments_streams_files_and_limits_are_those_of_code_in_a_fresh_sandbox() {
    if !installed("node") {
        return;
    }
    let sandboxes = template("warm-node-words", &["--lang", "node", "--memory", "200M"]);
    let scratch = Scratch::new("warm-node-files");
    let file = scratch.file(
        "tell.js",
        "console.log(__filename, process.argv.slice(2), require('fs').readFileSync(0, 'utf8')); process.exitCode = 3",
    );
    let input = scratch.file("input", "said").to_string_lossy().into_owned();
    let words = ["code", "node", "--warm", "numbers", "--stdin", &input, &file.to_string_lossy(), "a", "-b"];
    assert_eq!(said(&sandboxes.call(&words)), (Some(3), "/run/code/tell.js [ 'a', '-b' ] said\n", ""));
    let late = node(&sandboxes, &["--timeout", "500ms"], "setTimeout(() => {}, 60000)");
    assert_eq!(ended(&late).0, "timed_out", "{late}");
    let large = node(&sandboxes, &[], "const kept = []; for (;;) kept.push(Buffer.alloc(10 << 20, 1));");
    assert_eq!(ended(&large).0, "out_of_memory", "{large}");
    // A variable that acts where an interpreter begins has one that begins.
    let cold = node(&sandboxes, &["--env", "NODE_OPTIONS=--no-warnings"], "console.log(process.env.NODE_OPTIONS)");
    assert_eq!((stdout(&cold), &cold["warm"]["how"]), ("--no-warnings\n", &json!("cold")), "{cold}");
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    if !installed("node") {
        return;
    }
    let sandboxes = crate::Sandboxes::new("warm-node-refused");
    for (preload, why) in
        [("require('nosuch')", "Cannot find module 'nosuch'"), ("process.exit(4)", "with exit code 4")]
    {
        let made = crate::create(&sandboxes, "bad", &["--lang", "node", "--memory", "256M", "--preload", preload]);
        assert!(made.code == Some(1) && made.stderr.contains(why), "{preload}: {made:?}");
    }
    assert!(eventually(10, || sandboxes.states().is_empty() && sandboxes.leavings().is_empty()));
}

#[test]
fn code_that_begins_another_interpreter_has_what_was_loaded_and_is_not_run_twice() {
    if !installed("node") {
        return;
    }
    let sandboxes =
        template("warm-node-again", &["--lang", "node", "--preload", "globalThis.k = 7; JSON.stringify = () => 'x'"]);
    for code in [
        "import fs from 'fs'; console.log(globalThis.k, typeof fs.readSync)",
        "await 1; console.log(k, typeof require('fs').readSync)",
    ] {
        let result = node(&sandboxes, &[], code);
        assert!(stdout(&result).starts_with('7') || code.starts_with("await"), "{code}: {result}");
    }
    let forks = "require('fs').writeFileSync('/tmp/c.js', 'console.log(\"c\"); process.disconnect()'); console.log('p'); require('child_process').fork('/tmp/c.js')";
    assert_eq!(stdout(&node(&sandboxes, &[], forks)), "p\nc\n");
    let locale = node(&sandboxes, &["--env", "LC_ALL=de_DE.UTF-8"], "console.log((1234.5).toLocaleString())");
    assert_eq!((stdout(&locale), &locale["warm"]["how"]), ("1.234,5\n", &json!("cold")), "{locale}");
}

#[test]
fn an_interpreter_that_works_while_it_waits_is_ended_and_that_is_told() {
    if !installed("node") {
        return;
    }
    let busy = "new (require('worker_threads').Worker)('for (;;);', { eval: true })";
    let sandboxes = template("warm-node-busy", &["--lang", "node", "--preload", busy]);
    let told = || known(&sandboxes)["now"]["trouble"].as_str().is_some_and(|why| why.contains("goes on working"));
    assert!(eventually(20, told), "{}", known(&sandboxes));
}
