//! Code in interpreters that stay: what goes wrong there is told, and what is big comes whole.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, installed, said};
use serde_json::{Value, json};

/// A sandbox with contexts in it, one for each language unless it is named.
struct Contexts(Sandboxes);

impl Contexts {
    /// None where the interpreter is not installed here.
    fn new(name: &str, interpreter: &str) -> Option<Contexts> {
        if !installed(interpreter) {
            return None;
        }
        let sandboxes = Sandboxes::new(name);
        sandboxes.create("box", &["--memory", "2G"]);
        Some(Contexts(sandboxes))
    }

    fn call(&self, options: &[&str], language: &str, text: &str) -> Run {
        let mut words = vec!["code", "--sandbox", "box", "--context", language];
        words.extend(options);
        words.extend([language, "-e", text]);
        self.0.call(&words)
    }

    fn python(&self, text: &str) -> Run {
        self.call(&[], "python", text)
    }

    fn node(&self, text: &str) -> Run {
        self.call(&[], "node", text)
    }

    fn object(&self, options: &[&str], language: &str, text: &str) -> Value {
        let mut all = vec!["--json"];
        all.extend(options);
        let run = self.call(&all, language, text);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }
}

#[test]
fn what_python_cannot_say_of_an_exception_is_said_lossily_and_is_a_failure() {
    let Some(contexts) = Contexts::new("unsayable", "python3") else { return };
    for (raise, says) in [
        (r"raise ValueError('\ud83d')", r"ValueError: \ud83d"),
        (r"raise ValueError(b'caf\xe9'.decode('utf-8', 'surrogateescape'))", r"ValueError: caf\udce9"),
        ("class E(Exception):\n  def __str__(self): raise ValueError('no')\nraise E()", "E: <exception str() failed>"),
        ("class E(Exception):\n  def __str__(self): return 1\nraise E()", "E: <exception str() failed>"),
        ("class E(Exception):\n  def __str__(self): raise SystemExit(0)\nraise E()", "E"),
        (
            "class M(type):\n  __name__ = property(lambda self: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E('x')",
            "E",
        ),
        ("class R:\n  def __repr__(self): raise KeyError('inside')\nR()", "KeyError: 'inside'"),
        ("class R:\n  def __repr__(self): return 1\nR()", "TypeError"),
        ("class R:\n  def __repr__(self): return '\\ud83d'\nR()\nraise KeyError(R())", "KeyError: \\ud83d"),
        ("x = '\\ud83d'\nprint(x)", "UnicodeEncodeError"),
        ("'a\\0b", "SyntaxError"),
        ("import os\nos.closerange(3, 4096)", ""),
    ] {
        let run = contexts.python(raise);
        assert!(!matches!(run.code, Some(0) | None) && run.stderr.contains(says), "{raise}: {run:?}");
    }
}

#[test]
fn a_context_exits_as_its_interpreter_would_and_python_keeps_its_globals() {
    let Some(contexts) = Contexts::new("exits", "python3") else { return };
    contexts.python("x = 5");
    for (exit, code, stderr) in [
        ("import sys; sys.exit(3)", 3, ""),
        ("raise SystemExit('fatal')", 1, "fatal\n"),
        ("exit(-1)", 255, ""),
        ("raise SystemExit(b'\\xff')", 1, "b'\\xff'\n"),
        ("raise SystemExit('\\ud83d')", 1, "\\ud83d\n"),
        ("import sys; sys.exit(False)", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import asyncio, sys\nawait asyncio.sleep(0)\nsys.exit(4)", 4, ""),
    ] {
        assert_eq!(said(&contexts.python(exit)), (Some(code), "", stderr), "{exit}");
    }
    assert_eq!(said(&contexts.python("x")), (Some(0), "5\n", ""));
    assert_eq!(contexts.object(&[], "python", "import sys; sys.exit(3)")["end"]["exit_code"], json!(3));
    // What ends the process ends the context, and the next says that it begins anew.
    let run = contexts.python("import os; os._exit(7)");
    assert_eq!(said(&run), (Some(7), "", "belljar: the session has ended with it\n"));
    let anew = "belljar: the context `python` had ended and was started anew: what it had set is gone\n";
    assert_eq!(said(&contexts.python("'x' in globals()")), (Some(0), "False\n", anew));
    contexts.python("import os; os.kill(os.getpid(), 9)");
    assert_eq!(contexts.object(&[], "python", "1")["context"], "anew");
    assert_eq!(contexts.object(&[], "python", "1")["context"], "continued");
}

#[test]
fn a_child_that_python_forks_ends_with_its_cell_and_answers_nobody() {
    let Some(contexts) = Contexts::new("forks", "python3") else { return };
    let fork = "import os\nif os.fork() == 0:\n  print('child')\nelse:\n  os.wait(); print('parent')\n'value'";
    assert_eq!(said(&contexts.python(fork)), (Some(0), "child\nparent\n'value'\n", ""));
    assert_eq!(said(&contexts.python("1 + 1")), (Some(0), "2\n", ""));
    let raises = "if os.fork() == 0:\n  raise ValueError('of the child')\nos.waitstatus_to_exitcode(os.wait()[1])";
    let run = contexts.python(raises);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1\n"), "{run:?}");
    assert!(run.stderr.ends_with("ValueError: of the child\n"), "{run:?}");
    let exits = "import sys\nif os.fork() == 0: sys.exit(5)\nos.waitstatus_to_exitcode(os.wait()[1])";
    assert_eq!(said(&contexts.python(exits)), (Some(0), "5\n", ""));
    let pool =
        "import multiprocessing as m\nwith m.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))";
    assert_eq!(said(&contexts.python(pool)), (Some(0), "[1, 2]\n", ""));
    assert_eq!(said(&contexts.python("os.getpid() == os.getpid()")), (Some(0), "True\n", ""));
}

#[test]
fn what_is_awaited_at_the_top_of_python_is_awaited() {
    let Some(contexts) = Contexts::new("awaits", "python3") else { return };
    assert_eq!(said(&contexts.python("import asyncio\nawait asyncio.sleep(0, 'slept')")), (Some(0), "'slept'\n", ""));
    let both = "async def f():\n  yield 1\n  yield 2\nasync for n in f():\n  print(n)\n[n async for n in f()]";
    assert_eq!(said(&contexts.python(both)), (Some(0), "1\n2\n[1, 2]\n", ""));
    // A task goes on between calls, and code that waits for nothing may still run a loop of its own.
    contexts.python("async def g():\n  await asyncio.sleep(0.05)\n  return 'done'\ntask = asyncio.ensure_future(g())\nawait asyncio.sleep(0)");
    assert_eq!(said(&contexts.python("asyncio.run(asyncio.sleep(0, 6))")), (Some(0), "6\n", ""));
    assert_eq!(said(&contexts.python("await task")), (Some(0), "'done'\n", ""));
    let run = contexts.python("await asyncio.sleep(0)\nraise KeyError('late')");
    assert!(run.code == Some(1) && run.stderr.ends_with("KeyError: 'late'\n"), "{run:?}");
    let run = contexts.call(&["--timeout", "500ms"], "python", "await asyncio.sleep(60)");
    assert!(run.code == Some(124) && run.stderr.contains("KeyboardInterrupt"), "{run:?}");
    assert_eq!(said(&contexts.python("await asyncio.sleep(0, 'still here')")), (Some(0), "'still here'\n", ""));
}

#[test]
fn python_that_waits_for_nothing_finds_its_loop_running_as_in_a_notebook() {
    let Some(contexts) = Contexts::new("within-loop", "python3") else { return };
    let task = "import asyncio; task = asyncio.create_task(asyncio.sleep(0.05, 'slept'))";
    assert_eq!(said(&contexts.python(task)), (Some(0), "", ""));
    assert_eq!(said(&contexts.python("await task")), (Some(0), "'slept'\n", ""));
    for (runs, value) in [
        ("own = asyncio.get_running_loop(); own is asyncio.get_event_loop()", "True\n"),
        // Who runs a loop himself is not hindered, and code behind that finds it as before.
        ("asyncio.run(asyncio.sleep(0, 1)), own is asyncio.get_running_loop()", "(1, True)\n"),
        ("own.run_until_complete(asyncio.sleep(0, 2)), own is asyncio.get_running_loop()", "(2, True)\n"),
        ("asyncio.new_event_loop().run_until_complete(asyncio.sleep(0, 3))", "3\n"),
        (
            "import os, sys\nif os.fork() == 0: sys.exit(asyncio.run(asyncio.sleep(0, 4)))\nos.waitstatus_to_exitcode(os.wait()[1])",
            "4\n",
        ),
        (
            "import threading\nthread = threading.Thread(target=lambda: print(asyncio._get_running_loop()))\nthread.start(); thread.join()",
            "None\n",
        ),
    ] {
        assert_eq!(said(&contexts.python(runs)), (Some(0), value, ""), "{runs}");
    }
    for slow in ["while True: pass", "asyncio.run(asyncio.sleep(60))"] {
        let run = contexts.call(&["--timeout", "500ms"], "python", slow);
        assert!(run.code == Some(124) && run.stderr.contains("KeyboardInterrupt"), "{slow}: {run:?}");
    }
    assert_eq!(said(&contexts.python("own is asyncio.get_running_loop()")), (Some(0), "True\n", ""));
}

#[test]
fn a_loop_that_code_has_taken_away_or_broken_is_replaced() {
    let Some(contexts) = Contexts::new("taken-loop", "python3") else { return };
    contexts.python("import asyncio, threading, time; lost = asyncio.get_running_loop()");
    for taken in [
        "thread = threading.Thread(target=lost.run_forever, daemon=True); thread.start(); time.sleep(0.1)",
        "asyncio.get_running_loop().close()",
        "asyncio.get_running_loop()._selector.close()",
    ] {
        assert_eq!(contexts.python(taken).code, Some(0), "{taken}");
        assert_eq!(contexts.python("before = time.process_time(); await asyncio.sleep(0, 'next')").stdout, "'next'\n");
        // What waits for the next code takes no time of the processor meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert_eq!(said(&contexts.python("time.process_time() - before < 1")), (Some(0), "True\n", ""), "{taken}");
    }
    let there = "asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 'there'), lost).result(9)";
    assert_eq!(said(&contexts.python(there)), (Some(0), "'there'\n", ""));
}

#[test]
fn what_node_cannot_say_of_an_exception_is_a_failure_all_the_same() {
    let Some(contexts) = Contexts::new("unsayable-node", "node") else { return };
    for (throw, says) in [
        ("throw null", "Uncaught null"),
        ("throw undefined", "Uncaught undefined"),
        ("throw ''", "Uncaught"),
        ("throw 0", "Uncaught 0"),
        ("throw Object.create(null)", "null prototype"),
        ("throw { get message() { throw 1 }, get name() { throw 2 }, get stack() { throw 3 } }", ""),
        ("throw Symbol('s')", "Symbol(s)"),
        ("throw new Proxy({}, { get() { throw 1 }, has() { throw 2 } })", ""),
        ("const r = Proxy.revocable({}, {}); r.revoke(); throw r.proxy", "Revoked Proxy"),
        ("await Promise.reject(r.proxy)", "Revoked Proxy"),
        ("Promise.reject(r.proxy)", "Revoked Proxy"),
        (
            "setTimeout(() => { throw r.proxy }, 10); await new Promise((done) => setTimeout(done, 200))",
            "Revoked Proxy",
        ),
        ("await Promise.reject(new Proxy({}, { getPrototypeOf() { throw 2 } }))", "Uncaught {}"),
        ("throw new Proxy({}, { defineProperty() { throw 2 } })", ""),
        ("await Promise.reject(undefined)", "undefined"),
        ("await Promise.reject(0)", "0"),
        ("Promise.reject(new Error('nobody waits'))", "nobody waits"),
        (
            "setTimeout(() => { throw new Error('later') }, 10); await new Promise((done) => setTimeout(done, 200))",
            "later",
        ),
        ("({ [require('util').inspect.custom]() { throw new Error('shown') } })", "shown"),
        ("throw new Error('\\ud83d')", "\u{fffd}"),
    ] {
        let run = contexts.node(throw);
        assert!(run.code == Some(1) && run.stderr.contains(says), "{throw}: {run:?}");
    }
    assert_eq!(said(&contexts.node("process.exitCode = 4")), (Some(4), "4\n", ""));
    assert_eq!(said(&contexts.node("1")), (Some(0), "1\n", ""));
}

#[test]
fn what_node_gives_is_of_the_classes_that_code_knows() {
    let Some(contexts) = Contexts::new("one-realm", "node") else { return };
    for (is, value) in [
        (
            "let e; try { require('fs').readFileSync('/nope') } catch (error) { e = error }; e instanceof Error",
            "true\n",
        ),
        ("Buffer.from('a') instanceof Uint8Array", "true\n"),
        ("require('assert').deepStrictEqual(structuredClone({ a: [1] }), { a: [1] })", ""),
        ("const fs = require('fs'); let n = 1; class K {}; fs === require('node:fs')", "true\n"),
        ("n += 1; [n, K, (await 5) + 1]", "[ 2, [class K], 6 ]\n"),
    ] {
        assert_eq!(said(&contexts.node(is)), (Some(0), value, ""), "{is}");
    }
}

#[test]
fn code_that_replaces_what_node_has_does_not_silence_its_context() {
    let Some(contexts) = Contexts::new("replaced", "node") else { return };
    contexts.node("process.exit = () => {}; process.on = null; Object.prototype.get = 1");
    contexts.node("for (const name of ['Promise', 'JSON', 'Buffer', 'Error', 'String', 'Number', 'process', 'setImmediate']) globalThis[name] = null");
    contexts.node("''.constructor.prototype.slice = /a/.constructor.prototype.test = [].constructor.prototype[Symbol.iterator] = null");
    assert_eq!(said(&contexts.node("6 * 7")), (Some(0), "42\n", ""));
    let run = contexts.node("throw new RangeError('told')");
    assert!(run.code == Some(1) && run.stderr.starts_with("RangeError: told\n"), "{run:?}");
    // Node's own `await` at the top is over with them, and says so.
    assert_eq!(contexts.node("await 8").code, Some(1));
}

#[test]
fn a_node_context_that_exits_ends_and_begins_anew() {
    let Some(contexts) = Contexts::new("exits-node", "node") else { return };
    for (exit, code) in [
        ("process.exit(3)", 3),
        ("setTimeout(() => process.exit(4), 10); await new Promise(() => {})", 4),
        ("process.kill(process.pid, 'SIGKILL'); while (true);", 137),
    ] {
        let run = contexts.node(exit);
        assert!(run.code == Some(code) && run.stderr.ends_with("the session has ended with it\n"), "{exit}: {run:?}");
    }
    let anew = "belljar: the context `node` had ended and was started anew: what it had set is gone\n";
    assert_eq!(said(&contexts.node("2")), (Some(0), "2\n", anew));
}

#[test]
fn a_node_context_that_is_interrupted_keeps_its_globals() {
    let Some(contexts) = Contexts::new("timed-node", "node") else { return };
    contexts.node("var kept = 7; process.on('SIGUSR2', () => {})");
    for slow in [
        "await new Promise(() => {})",
        "while (true);",
        "await new Promise((done) => setTimeout(done, 60000))",
        "require('child_process').execSync('sleep 60')",
    ] {
        let run = contexts.call(&["--timeout", "1s"], "node", slow);
        assert_eq!(run.code, Some(124), "{slow}: {run:?}");
        assert_eq!(said(&contexts.node("kept")), (Some(0), "7\n", ""), "{slow}");
    }
}

#[test]
fn results_and_errors_come_whole_up_to_what_a_job_keeps() {
    let Some(contexts) = Contexts::new("big", "python3") else { return };
    for size in [300_000, 5_000_000] {
        let run = contexts.python(&format!("'z' * {size}"));
        assert_eq!((run.code, run.stdout.len()), (Some(0), size + 3), "{}", run.stderr);
    }
    // Characters that are six in JSON, and some of several bytes.
    let result = contexts.object(&[], "python", "class R:\n  def __repr__(self): return '\\1é' * 200000\nR()");
    assert!(result["results"][0]["data"].as_str().is_some_and(|data| data == "\u{1}é".repeat(200_000)));
    let failed = contexts.object(&[], "python", "print('before')\nraise ValueError('y' * 300000)");
    let error = &failed["end"]["error"];
    assert_eq!((failed["stdout"].as_str(), error["name"].as_str()), (Some("before\n"), Some("ValueError")));
    assert_eq!(error["value"].as_str().map(str::len), Some(300_000));
    assert!(error["traceback"].as_str().is_some_and(|text| text.ends_with("yyy\n")));
    // What is more than that is cut, and says so; what failed has failed.
    let cut = contexts.object(&[], "python", "print('x' * (11 << 20))\nraise KeyError('kept')");
    assert_eq!((&cut["truncated"], &cut["end"]["error"]["value"]), (&json!(true), &json!("'kept'")));
    let run = contexts.python("'z' * (12 << 20)");
    assert!(run.stderr.contains("the rest was dropped"), "{}", run.stderr);
    // However long what they raised is, they can be listed.
    for _ in 0..20 {
        contexts.python("raise ValueError('w' * 100000)");
    }
    assert_eq!(contexts.0.call(&["session", "ls", "box", "--json"]).code, Some(0));
    let code = format!("'{}'", "\u{1}".repeat((128 << 10) - 2));
    let path = contexts.0.0.0.join("code.py");
    std::fs::write(&path, code).expect("write");
    let run =
        contexts.0.call(&["code", "--sandbox", "box", "--context", "python", "python", path.to_str().expect("text")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_person_sees_the_value_and_saves_what_is_no_text() {
    let Some(contexts) = Contexts::new("shown", "python3") else { return };
    assert_eq!(said(&contexts.python("x = 41\nx + 1")), (Some(0), "42\n", ""));
    assert_eq!(said(&contexts.python("x = 41")), (Some(0), "", ""));
    let rich = "class T:\n  def __repr__(self): return 'plain'\n  def _repr_html_(self): return '<b>'\n  def _repr_png_(self): return b'\\x89PNG'\n";
    let run = contexts.python(&format!("{rich}T()"));
    let named = "belljar: a picture (image/png, 4 bytes); `--save DIR` keeps it\n";
    assert_eq!(said(&run), (Some(0), "plain\n", named));
    let directory = contexts.0.0.0.join("saved/here");
    let save = ["--save", directory.to_str().expect("text")];
    let saved = contexts.object(&save, "python", "display(T(), T())\nT()");
    let files = saved["results"].as_array().expect("a list").iter().filter_map(|one| one["file"].as_str());
    let contents: Vec<_> = files.map(|file| std::fs::read(file).expect("read")).collect();
    assert_eq!(contents, [&b"<b>"[..], b"\x89PNG", b"<b>", b"\x89PNG", b"<b>", b"\x89PNG"]);
    let fails = "class T:\n  def _repr_html_(self): raise KeyError('html')\nT()";
    assert_eq!(contexts.python(fails).code, Some(1));
}

#[test]
fn a_context_has_one_language_and_refuses_another() {
    let Some(contexts) = Contexts::new("one-language", "python3") else { return };
    contexts.python("x = 1");
    let refused = "belljar: the session `python` is one of python, and not of shell\nhint: take another for it: each has one language\n";
    for words in [
        &["code", "--sandbox", "box", "--context", "python", "sh", "-e", "echo hi"][..],
        &["session", "exec", "box", "python", "echo hi"],
    ] {
        let run = contexts.0.call(words);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(2), "", refused), "{words:?}");
    }
    assert_eq!(contexts.call(&["--output-limit", "1M"], "python", "x").code, Some(2));
}
