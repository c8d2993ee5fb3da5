//! The Python client where its caller gets something wrong, gives up, or goes on meanwhile: nothing waits for ever.

use crate::common::sandboxes::Sandboxes;
use std::path::PathBuf;
use std::process::Command;

/// Runs a script with `client`, which is in a sandbox `box` too; it prints `ok` at its end.
fn script(name: &str, lines: &str) {
    let sandboxes = Sandboxes::new(name);
    sandboxes.create("box", &[]);
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"));
    let begin = "import os, threading, time, belljar\nclient = belljar.Client([os.environ['BELLJAR'], 'rpc'])\n\
        def fails(kind, act, word):\n    try: act()\n    except kind as error: assert word in str(error), error\n    \
        else: raise AssertionError(word)\n\
        def begun(client):\n    came = threading.Event()\n    \
        call = client.begin('exec', lambda *_: came.set(), name='box', command=['sh', '-c', 'echo; exec sleep 100'])\n    \
        assert came.wait(30)\n    return call\n";
    // Whoever waits for ever is ended.
    let told = Command::new("timeout")
        .args(["60", "python3", "-c", &format!("{begin}{lines}\nprint('ok')")])
        .env("PYTHONPATH", root.join("sdk/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("BELLJAR", sandboxes.command(&[]).get_program())
        .env("BELLJAR_HOME", sandboxes.home())
        .output()
        .expect("python3 is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!((text(&told.stdout).as_str(), text(&told.stderr).as_str()), ("ok\n", ""), "{:?}", told.status);
}

#[test]
fn what_json_cannot_hold_is_refused_before_it_is_sent_or_goes_through_as_bytes() {
    script(
        "client-values",
        r#"
fails(ValueError, lambda: client.stop(name="box", grace=float("nan")), "grace: nan")
fails(ValueError, lambda: client.inspect(name="\ud800"), "name: ")
fails(TypeError, lambda: client.inspect(name=object()), "name: object")
fails(TypeError, lambda: client.exec(name="box", command=["true"], env={b"A": "x"}), "env: ")
fails(ValueError, lambda: client.fs.write(sandbox="box", path="/tmp/a", input="x" * (97 << 20)), "96 MiB")
told = client.exec(name="box", command=["sh", "-c", "printf %s \"$A\""], env={"A": b"\xff"})
assert (told["stdout"], told["stdout_encoding"]) == ("/w==", "base64"), told
path = os.fsdecode(b"/tmp/\xff")
client.fs.write(sandbox="box", path=path, input="x")
assert client.fs.cat(sandbox="box", path=path)["content"] == "x"
client.close()"#,
    );
}

#[test]
fn an_answer_to_nobody_ends_the_waiting_of_all() {
    script(
        "client-nobody",
        r#"
call = client.begin("exec", name="box", command=["sleep", "100"])
client._process.stdin.write(b"{\n")
client._process.stdin.flush()
fails(belljar.Error, lambda: call.result(30), "no JSON")
call.cancel()
client.close()"#,
    );
}

#[test]
fn a_call_takes_input_and_can_be_cancelled_while_others_go_on() {
    script(
        "client-calls",
        r#"
cat = client.begin("exec", name="box", command=["cat"], input=True)
fails(TimeoutError, lambda: cat.result(0.1), "0.1")
cat.input("hello, ")
assert client.exec(name="box", command=["echo", "x"])["stdout"] == "x\n"
cat.input(b"world", end=True)
assert cat.result()["stdout"] == "hello, world"
fails(belljar.Error, lambda: cat.input("more"), "no such request")
cat.cancel()
sleep = begun(client)
sleep.cancel()
assert sleep.result()["signal"] == "SIGTERM"
fails(ValueError, lambda: client.exec(name="box", command=["cat"], input=True), "begin")
assert client.begin("cp", from_="box:/etc/passwd", to="-").result()["bytes"] > 0
fails(RuntimeError, lambda: client.exec(name="box", command=["echo"], on_output=lambda *_: client.ls()), "on_output")
client.close()"#,
    );
}

#[test]
fn to_close_has_an_end() {
    script(
        "client-close",
        r#"
# What waits for input has it end.
cat = client.begin("exec", name="box", command=["cat"], input=True)
client.close()
assert cat.result()["exit_code"] == 0
began = time.monotonic()
other = belljar.Client([os.environ["BELLJAR"], "rpc"])
sleep = begun(other)
other.close(timeout=0.5)
assert sleep.result()["signal"] == "SIGTERM"
try:
    with belljar.Client([os.environ["BELLJAR"], "rpc"]) as third:
        begun(third)
        raise KeyError("mine")
except KeyError:
    pass
assert time.monotonic() - began < 20"#,
    );
}
