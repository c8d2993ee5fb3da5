//! What `src/warm` gives to a template, driven by tests/programs/warm/harness.py without the rest of belljar: a template in
//! namespaces of an ordinary user, sandboxes made beforehand, copies in them. For each trap of such copies there is a test
//! that looks once more without its remedy, and finds what the remedy is for.

use crate::common::{Scratch, available, installed};
use belljar::warm;
use belljar::warm::script::{Argument, Call, Script};
use nix::libc;
use serde_json::{Value, json};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::Command;

/// What is sent along with each fork, in this order: the namespaces, then `/dev/null`.
const NAMESPACES: [libc::c_int; 6] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
];

/// The script of the tests: a copy in the namespaces of a sandbox, without capabilities, and in a session of its own if
/// it is asked for.
fn script(session: bool) -> Script {
    let number = |value: i64| Argument::Number(value.cast_unsigned());
    let mut script = Script::default();
    for (index, kind) in (0..).zip(NAMESPACES) {
        let call = Call::new(libc::SYS_setns, &[Argument::Descriptor(index), number(kind.into())]);
        if index < 2 { script.outside.push(call) } else { script.inside.push(call) }
    }
    for standard in 0..3 {
        script.inside.push(Call::new(libc::SYS_dup3, &[Argument::Descriptor(6), number(standard), number(0)]));
    }
    for capability in 0..64 {
        let drop = Call::new(libc::SYS_prctl, &[number(libc::PR_CAPBSET_DROP.into()), number(capability)]);
        script.inside.push(drop.or_not());
    }
    let header = script.keep(&[0x2008_0522_u32.to_le_bytes(), [0; 4]].concat());
    let none = script.keep(&[0; 24]);
    script.inside.push(Call::new(libc::SYS_capset, &[Argument::Pointer(header), Argument::Pointer(none)]));
    if session {
        script.child.push(Call::new(libc::SYS_setsid, &[]));
    }
    script
}

/// Has a copy be dumpable, which the template is not.
fn dumpable(mut script: Script) -> Script {
    let arguments = [libc::PR_SET_DUMPABLE as u64, 1].map(Argument::Number);
    script.child.push(Call::new(libc::SYS_prctl, &arguments));
    script
}

/// The same for Node, which is executed.
fn script_of_node() -> Script {
    let mut script = script(true);
    let own = |words: Vec<OsString>| -> Vec<CString> {
        words.into_iter().map(|word| CString::new(word.into_vec()).expect("no NUL")).collect()
    };
    let environment = own(vec!["PATH=/usr/bin:/bin".into(), "HOME=/tmp".into()]);
    script.execute(&own(vec!["/usr/bin/node".into()]), &own(warm::parked_words("")), &environment);
    script
}

/// What a case of the harness finds, after each `old` in the driver became `new`.
fn found_by(python: &str, case: &str, without: &[[&str; 2]], session: bool) -> Value {
    let scratch = Scratch::new("warm");
    for (name, words) in [("words.json", warm::words()), ("node-words.json", warm::node_words())] {
        write_words(&scratch, name, words);
    }
    std::fs::write(scratch.0.join("fork.so"), warm::FORK).expect("write the fork");
    std::fs::write(scratch.0.join("script.bin"), dumpable(script(session)).encode()).expect("write the script");
    std::fs::write(scratch.0.join("node-script.bin"), script_of_node().encode()).expect("write the script");
    std::fs::create_dir(scratch.0.join("files")).expect("make a directory");
    let mut command = Command::new(python);
    command.arg(programs().join("warm/harness.py")).arg(&scratch.0).arg(case).args(without.as_flattened());
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("start Python");
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{case} of {python}: {error}: {said}"))
}

/// What a case of the harness for Node finds.
fn found_of_node(case: &str) -> Value {
    let scratch = Scratch::new("parked");
    let mut words = warm::parked_words("");
    words.pop();
    write_words(&scratch, "node.json", words);
    let output =
        Command::new("/usr/bin/python3").arg(programs().join("warm/parked.py")).arg(&scratch.0).arg(case).output();
    let output = output.expect("start Python");
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{case}: {error}: {said}"))
}

fn write_words(scratch: &Scratch, name: &str, words: Vec<OsString>) {
    let words: Vec<String> = words.into_iter().map(|word| word.into_string().expect("UTF-8")).collect();
    std::fs::write(scratch.0.join(name), json!(words).to_string()).expect("write the words");
}

fn programs() -> PathBuf {
    std::env::var_os("BELLJAR_FIXTURES").map_or_else(|| "tests/programs".into(), PathBuf::from)
}

fn found(case: &str) -> Value {
    found_by("/usr/bin/python3", case, &[], true)
}

fn without(case: &str, old: &str, new: &str) -> Value {
    found_by("/usr/bin/python3", case, &[[old, new]], true)
}

/// The host's, and those that `BELLJAR_TEST_PYTHONS` names, with `:` between them.
fn pythons() -> Vec<String> {
    let more = std::env::var("BELLJAR_TEST_PYTHONS").unwrap_or_default();
    let host = installed("python3").then(|| "/usr/bin/python3".to_owned());
    host.into_iter().chain(more.split(':').filter(|path| !path.is_empty()).map(str::to_owned)).collect()
}

fn has_numpy() -> bool {
    let mut command = Command::new("/usr/bin/python3");
    let there = command.args(["-c", "import numpy"]).output().is_ok_and(|output| output.status.success());
    available("the Python package `numpy`", there)
}

#[test]
fn a_copy_says_and_ends_as_a_fresh_interpreter() {
    for python in pythons() {
        for case in ["same", "same_on_demand"] {
            assert_eq!(found_by(&python, case, &[], true), json!([]), "{python}, {case}");
        }
    }
}

#[test]
fn no_two_copies_have_the_same_random_values() {
    if !installed("python3") {
        return;
    }
    let no_bytes = ["RAND_add(seed, float(len(seed)))", "RAND_status()"];
    assert_eq!(found("random"), json!([]));
    // OpenSSL takes a process for a copy by its number, and here the template has the number that copies have.
    assert_eq!(found_by("/usr/bin/python3", "random", &[no_bytes], true), json!([0]));
    assert_eq!(found_by("/usr/bin/python3", "random_numbered", &[no_bytes], true), json!([]));
    // So does the module that names temporary files.
    assert_eq!(without("random", "_name_sequence = None", "other = None"), json!([2]));
}

#[test]
fn no_two_copies_have_the_same_values_of_numpy() {
    if installed("python3") && has_numpy() {
        assert_eq!(found("numpy"), json!(false));
        assert_eq!(without("numpy", "if known(\"numpy.random\")", "if known(\"nothing\")"), json!(true));
    }
}

#[test]
fn memory_that_runs_would_share_is_refused() {
    if installed("python3") {
        assert_eq!(found("shared"), json!({"why": "shared memory", "what": ["/dev/zero (deleted)"]}));
        let kept = without("shared", "    if shared:", "    if False:");
        assert_eq!(kept, json!(["b'\\x00\\x00\\x00\\x00'\n", "b'kept'\n"]));
    }
}

#[test]
fn what_a_preload_left_in_a_buffer_is_nobodys() {
    if installed("python3") {
        assert_eq!(found("buffered"), json!([[0, "own\n", ""], [0, "own\n", ""]]));
        let said = json!([0, "of the preload\nown\n", ""]);
        assert_eq!(without("buffered", "stream.flush()\n    libc", "pass\n    libc"), json!([said, said]));
    }
}

#[test]
fn descriptors_of_a_preload_are_refused_and_closed_anyway() {
    if installed("python3") {
        let refused = json!({"why": "descriptors", "what": ["4 (/etc/passwd)"]});
        assert_eq!(found("descriptors"), refused);
        // The last one is the listing's own.
        let closed = without("descriptors", "    if unknown:", "    if False:");
        assert_eq!(closed, json!([0, "['0', '1', '2', '3']\n", ""]));
    }
}

#[test]
fn a_copy_that_kills_its_group_kills_nobody_else() {
    if installed("python3") {
        assert_eq!(found("group"), json!([-15, "alive\n"]));
        let shared = found_by("/usr/bin/python3", "group", &[], false);
        assert_eq!(shared, json!([-15, "the template has ended"]));
    }
}

#[test]
fn other_threads_are_refused_but_for_those_that_end_at_a_fork() {
    if !installed("python3") {
        return;
    }
    assert_eq!(found("thread"), json!({"refused": {"why": "threads", "what": ["python3", "python3"]}}));
    if has_numpy() {
        assert_eq!(found("blas"), json!(true));
    }
}

#[test]
fn children_of_a_preload_are_refused() {
    if installed("python3") {
        assert_eq!(found("child"), json!({"refused": {"why": "children", "what": ["sleep"]}}));
    }
}

#[test]
fn a_python_that_lacks_a_module_or_a_call_is_refused() {
    if installed("python3") {
        let lacking = |what: &str| json!({"refused": {"why": "python", "what": what}});
        let module = without("lacking", "    import ctypes", "    import _no_such_module");
        assert_eq!(module, lacking("No module named '_no_such_module'"));
        let call = without("lacking", "pythonapi.PyObject_SetArena", "pythonapi.PyNo_SetArena");
        assert_eq!(call["refused"]["why"], "python");
    }
}

#[test]
fn a_preload_that_fails_is_refused_with_its_traceback() {
    if installed("python3") {
        let answer = found("exception");
        assert_eq!(answer["refused"]["why"], "exception");
        let what = answer["refused"]["what"].as_str().expect("a traceback");
        let first = "Traceback (most recent call last):\n  File \"<preload>\", line 4, in <module>\n";
        assert!(what.starts_with(first) && what.contains("JSONDecodeError"), "{what}");
    }
}

#[test]
fn code_of_a_hostile_preload_runs_in_a_copy_only_when_that_is_confined_and_nobody_waits_for_it() {
    if !installed("python3") {
        return;
    }
    let none = "0000000000000000";
    let number = |parent: u32| json!([[none], [none], ["1"], ["3"], parent, true]);
    assert_eq!(found("hostile"), number(1));
    // Its parent still is the helper for whose end the template waits.
    assert_eq!(without("hostile", "wait=1", "wait=0"), number(2));
}

#[test]
fn nobody_looks_into_a_template() {
    if installed("python3") {
        assert_eq!(found("dumpable"), json!(" 0\n"));
        assert_eq!(without("dumpable", "libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)", "pass"), json!(" 1\n"));
    }
}

#[test]
fn a_copy_knows_its_processor() {
    let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    if installed("python3") && available("a second processor", several) {
        assert_eq!(found("processor"), json!("True"));
        assert_eq!(without("processor", "rseq_length=length", "rseq_length=0"), json!("AssertionError"));
    }
}

#[test]
fn signals_that_the_caller_ignores_are_not_ignored_in_a_copy() {
    if installed("python3") {
        assert_eq!(found("interrupted"), json!("True\n"));
        let ignored = without("interrupted", "signal.signal(number, usual.get(number, signal.SIG_DFL))", "pass");
        assert_eq!(ignored, json!("False\n"));
    }
}

#[test]
fn a_template_has_no_children_when_its_runs_have_ended() {
    if installed("python3") {
        assert_eq!(found("reaped"), json!([]));
    }
}

#[test]
fn a_template_goes_on_after_a_sandbox_that_is_dead_and_after_scripts_that_are_none() {
    if !installed("python3") {
        return;
    }
    let failed = |list: &str, errno: i32| json!({"list": list, "call": 0, "errno": errno});
    let dead = json!([{"failed": failed("clone inside", libc::ENOMEM)}, "next\n"]);
    assert_eq!(found("dead"), dead);
    let none = failed("script", libc::EINVAL);
    let refused = failed("outside", libc::EINVAL);
    assert_eq!(found("script"), json!([none, none, none, none, none, refused, "next\n"]));
}

#[test]
fn a_parked_node_says_and_ends_as_a_fresh_one() {
    if installed("python3") && installed("node") {
        assert_eq!(found_of_node("same"), json!([]));
    }
}

#[test]
fn a_parked_node_has_loaded_what_it_was_told_to() {
    if installed("python3") && installed("node") {
        assert_eq!(found_of_node("loaded"), json!([0, "function\n", ""]));
        assert_eq!(found_of_node("refused"), json!("exception"));
    }
}

#[test]
fn a_template_of_node_has_a_parked_one_executed_in_a_sandbox() {
    if !installed("python3") || !installed("node") {
        return;
    }
    let dead = json!({"list": "clone inside", "call": 0, "errno": libc::ENOMEM});
    let said = json!([0, "true 1 [ 'a', 'b' ] b true\n", ""]);
    assert_eq!(found("node"), json!([said, 1, false, dead, "child", [0, "next\n", ""]]));
}

#[test]
fn a_parked_node_that_nobody_sends_code_ends() {
    if installed("python3") && installed("node") {
        assert_eq!(found_of_node("left"), json!(125));
    }
}
