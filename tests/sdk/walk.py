"""Each part walks a group of what the Python package does in Daytona's names: `walk.py PART`, `ok` at the end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request

import belljar
from belljar import (
    AsyncDaytona,
    CodeRunParams,
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    Daytona,
    DaytonaBadRequestError,
    DaytonaConfig,
    DaytonaConflictError,
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaTimeoutError,
    FileDownloadRequest,
    FileUpload,
    Image,
    ListSandboxesQuery,
    LspCompletionPosition,
    PtySize,
    Resources,
    SandboxState,
    SessionExecuteRequest,
    VolumeMount,
)

BELLJAR = os.environ["BELLJAR"]


def refused(kind, act, word):
    try:
        act()
    except kind as error:
        assert word in str(error), error
        return error
    raise AssertionError(f"nobody refused {word}")


def there():
    """Names or ids of all sandboxes."""
    told = subprocess.run([BELLJAR, "ls"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line.split()[1] for line in told.splitlines() if not line.startswith(("NAME", "no sandboxes"))]


def commands(daytona):
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(env_vars={"GIVEN": "at first"}, labels={"for": "commands"}))
    assert sandbox.state is SandboxState.STARTED and sandbox.labels["for"] == "commands", sandbox
    process = sandbox.process
    told = process.exec("echo out; echo err >&2; cd /; pwd; exit 3")
    assert (told.exit_code, told.result, told.artifacts.stdout) == (3, "out\nerr\n/\n", told.result), told
    assert process.exec("echo $GIVEN-$MORE", env={"MORE": "a 'b'"}).result == "at first-a 'b'\n"
    sandbox.update_env({"GIVEN": "later", "NEW": "x"})
    assert daytona.get(sandbox.id).process.exec("echo $GIVEN$NEW").result == "laterx\n"
    sandbox.fs.create_folder("some/where")
    assert process.exec("pwd", cwd="some/where").result.endswith("/some/where\n")
    assert (process.exec("kill -9 $$").exit_code, process.exec("cat").result) == (137, "")
    assert process.exec("nowhere-to-be-found").exit_code == 127
    assert process.exec(": " + "x" * 200_000 + "\necho end").result == "end\n"
    late = refused(DaytonaTimeoutError, lambda: process.exec("echo so far; sleep 60", timeout=1), "so far")
    assert (late.kind, late.output, late.status_code) == ("timed_out", "so far\n", 408)
    refused(DaytonaBadRequestError, lambda: process.exec("  "), "command: is empty")
    refused(DaytonaBadRequestError, lambda: process.exec("true", env={"A=B": "x"}), "A=B")
    refused(DaytonaBadRequestError, lambda: daytona.create(env_vars={"": "x"}), "env")
    refused(DaytonaBadRequestError, lambda: sandbox.update_env({"1": "x"}), "env")
    told = process.exec("head -c 70000000 /dev/zero | tr '\\0' x")
    assert told.truncated and told.result.endswith("the rest was dropped\n") and not process.exec("echo").truncated
    told = process.code_run("import sys\nprint('from', sys.version_info[0])\nraise SystemExit(4)")
    assert (told.exit_code, told.result) == (4, "from 3\n"), told
    assert "ZeroDivisionError" in process.code_run("1/0").result
    words = CodeRunParams(argv=["b", "c d"], env={"A": "x"})
    assert process.code_run("import os, sys; print(os.environ['A'], sys.argv[1:])", words).result == "x ['b', 'c d']\n"
    assert process.code_run("console.log(6 * 7, process.argv.slice(1))", words, language="javascript").result == "42 [ 'b', 'c d' ]\n"
    refused(DaytonaBadRequestError, lambda: process.code_run("x", language="cobol"), "python, javascript, typescript")
    refused(DaytonaBadRequestError, lambda: daytona.create(language="cobol"), "language")
    assert daytona.create(language="javascript").process.code_run("console.log(1)").result == "1\n"
    # By a warm template, in a sandbox of its own.
    process._link.ask("warm.create", name="numbers", image="host", preload="import decimal; KNOWN = 'yes'", ready=1)
    told = process.code_run("import os, sys; print(sys.modules['__preload__'].KNOWN, os.environ['A'], sys.argv[1:]); sys.exit('no')", words, warm="numbers")
    assert (told.exit_code, told.result) == (1, "yes x ['b', 'c d']\nno\n") and told.additional_properties["warm"]["how"] == "parked", told
    refused(DaytonaTimeoutError, lambda: process.code_run("while True: pass", timeout=1, warm="numbers"), "longer than 1 s")
    refused(DaytonaBadRequestError, lambda: process.code_run("1", language="javascript", warm="numbers"), "template of python")
    refused(DaytonaNotFoundError, lambda: process.code_run("1", warm="nosuch"), "no warm template")
    process._link.ask("warm.rm", name="numbers")
    # A figure, by a library that only looks like matplotlib, since not every machine has that.
    text = "# matplotlib\nprint('belljar-chart:' + '{\"type\": \"bar\", \"title\": \"t\", \"elements\": [{\"label\": \"a\", \"value\": 3}]}')\nprint('x \U0001f600')"
    told = process.code_run(text)
    assert told.result == "x \U0001f600\n" and [chart.title for chart in told.artifacts.charts] == ["t"], told
    assert told.artifacts.charts[0].elements[0].value == 3
    # It is the code that says so, and it may say anything.
    lies = ["[" * 100_000, '{"type":"composite_chart","elements":[' * 400 + "]}" * 400, '{"png":{},"title":3,"elements":[{"value":"x"},7,null]}']
    told = process.code_run("# matplotlib\n" + "\n".join(f"print({'belljar-chart:' + one!r})" for one in lies))
    assert told.exit_code == 0 and told.artifacts.charts[-1].png is None, told
    assert [one.value for one in told.artifacts.charts[-1].elements] == [None], told.artifacts.charts[-1]


def files(daytona):
    sandbox = daytona.create()
    fs = sandbox.fs
    content = bytes(range(256)) * 300
    fs.upload_file(content, "deep/er/a.bin")
    assert fs.download_file("deep/er/a.bin") == content
    large = os.urandom(9 << 20)
    fs.upload_file(large, "large")
    assert fs.download_file("large") == large == b"".join(fs.download_file_stream("large"))
    with open("local", "wb") as local:
        local.write(b"from a file")
    fs.upload_file("local", "b.txt")
    fs.download_file("b.txt", "back")
    assert open("back", "rb").read() == b"from a file"
    fs.upload_files([FileUpload(b"one", "many/1.txt"), FileUpload(b"two", "many/2 \u00fc.txt")])
    listed = {entry.name: entry for entry in fs.list_files("many")}
    assert sorted(listed) == ["1.txt", "2 \u00fc.txt"] and listed["1.txt"].size == 3 and not listed["1.txt"].is_dir
    told = fs.download_files([FileDownloadRequest("many/1.txt"), FileDownloadRequest("nowhere"), FileDownloadRequest("b.txt", "other")])
    assert [one.result for one in told] == [b"one", None, "other"] and "No such file" in told[1].error, told
    fs.set_file_permissions("many/1.txt", mode="600")
    assert fs.get_file_info("many/1.txt").permissions == "0600" and fs.get_file_info("many").mode.startswith("d")
    fs.create_folder("made", "750")
    fs.move_files("many/1.txt", "made/moved.txt")
    error = refused(DaytonaNotFoundError, lambda: fs.download_file("many/1.txt"), "No such file")
    assert (error.kind, error.code, error.data["path"]) == ("not_found", "NOT_FOUND", "many/1.txt"), error.data
    refused(DaytonaNotFoundError, lambda: fs.download_file("many/1.txt", "none"), "No such file")
    assert not os.path.exists("none") and not os.path.exists("none.part")
    assert fs.search_files(".", "*.txt").files
    assert [(one.line, one.content) for one in fs.find_files("made", "on")] == [(1, "one")]
    changed = fs.replace_in_files(["made/moved.txt", "nowhere.txt"], "one", "three")
    assert [one.success for one in changed] == [True, False] and changed[1].error, changed
    refused(DaytonaBadRequestError, lambda: fs.delete_file("made"), "recursive=True")
    fs.delete_file("made", recursive=True)
    refused(DaytonaNotFoundError, lambda: fs.get_file_info("made"), "No such file")
    fs.upload_file(b"inside", "../../../tmp/escape")
    assert sandbox.process.exec("cat /tmp/escape").result == "inside" and not os.path.exists("/tmp/escape")
    refused(DaytonaError, lambda: fs.upload_file(large, "/proc/self/nowhere"), "No such file")

    class Broken:
        def __init__(self):
            self.pieces = 3

        def read(self, size):
            self.pieces -= 1
            if not self.pieces:
                raise OSError("the disk is broken")
            return b"x" * size

    refused((OSError, DaytonaError), lambda: fs.upload_file_stream(Broken(), "half"), "")
    refused(DaytonaNotFoundError, lambda: fs.get_file_info("half"), "No such file")


def sessions(daytona):
    process = daytona.create().process
    process.create_session("work")
    refused(DaytonaConflictError, lambda: process.create_session("work"), "work")

    def run(command, later=False, **more):
        return process.execute_session_command("work", SessionExecuteRequest(command=command, run_async=later), **more)

    told = run("cd /tmp; export X=5; f() { echo f; }; echo out; echo err >&2; false")
    assert (told.exit_code, told.stdout, told.stderr) == (1, "out\n", "err\n"), told
    assert run("pwd; echo $X; f").stdout == "/tmp\n5\nf\n"
    later = run("for i in 1 2 3; do echo $i; sleep 0.2; done; echo end >&2; sh -c 'exit 4'", True)
    assert later.exit_code is None
    heard = {"out": [], "err": []}
    asyncio.run(process.get_session_command_logs_async("work", later.cmd_id, heard["out"].append, heard["err"].append))
    assert ("".join(heard["out"]), "".join(heard["err"])) == ("1\n2\n3\n", "end\n"), heard
    assert process.get_session_command("work", later.cmd_id).exit_code == 4
    logs = process.get_session_command_logs("work", later.cmd_id)
    assert (logs.stdout, logs.stderr) == ("1\n2\n3\n", "end\n"), logs
    reads = run("read line; echo got $line", True)
    process.send_session_command_input("work", reads.cmd_id, "something")
    assert run("true").exit_code == 0
    assert process.get_session_command_logs("work", reads.cmd_id).stdout == "got something\n"
    refused(DaytonaTimeoutError, lambda: run("sleep 50", timeout=1), "1 s")
    refused(DaytonaNotFoundError, lambda: process.get_session_command("work", "99"), "99")
    assert [one.session_id for one in process.list_sessions()] == ["work"]
    process.delete_session("work")
    refused(DaytonaNotFoundError, lambda: process.get_session("work"), "work")


def terminals(daytona):
    process = daytona.create().process
    handle = process.create_pty_session("one", envs={"GIVEN": "x"}, pty_size=PtySize(rows=40, cols=100))
    handle.wait_for_connection()
    handle.send_input("stty size; echo $GIVEN; exit 3\n")
    shown = []
    assert handle.wait(shown.append, timeout=60).exit_code == 3
    assert b"40 100" in b"".join(shown) and handle.exit_code == 3 and not handle.is_connected()
    other = process.create_pty_session("two")
    other.send_input("echo a''b\n")
    seen = b""
    for data in other:
        seen += data
        if b"ab" in seen:
            break
    other.disconnect()
    assert [one.id for one in process.list_pty_sessions()] == ["two"]
    again = process.connect_pty_session("two")
    refused(DaytonaTimeoutError, lambda: again.wait(timeout=0.5), "0.5 s")
    process.kill_pty_session("two")
    assert again.wait(timeout=60).exit_code == 137
    refused(DaytonaNotFoundError, lambda: process.connect_pty_session("two"), "two")


def interpreter(daytona):
    interpreter = daytona.create().code_interpreter
    heard = []
    assert interpreter.run_code("x = 5\nprint(x)\nx", on_stdout=heard.append).stdout == "5\n"
    assert "".join(one.output for one in heard) == "5\n"
    assert interpreter.run_code("print(x + 1)").stdout == "6\n"
    told = interpreter.run_code("import sys; print('e', file=sys.stderr); 1/0")
    assert (told.error.name, told.error.value) == ("ZeroDivisionError", "division by zero") and told.stderr.startswith("e\n"), told
    context = interpreter.create_context("/tmp")
    assert context.cwd == "/tmp" and [one.id for one in interpreter.list_contexts()] == [context.id]
    assert interpreter.run_code("import os; print(os.environ['A'])", context=context, envs={"A": "b"}).stdout == "b\n"
    assert interpreter.run_code("x", context=context).error.name == "NameError"
    refused(DaytonaBadRequestError, lambda: interpreter.create_context("/nowhere"), "/nowhere")
    refused(DaytonaTimeoutError, lambda: interpreter.run_code("while True: pass", timeout=1), "1 s")
    interpreter.delete_context(context)
    refused(DaytonaNotFoundError, lambda: interpreter.run_code("1", context=context), context.id)


def life(daytona):
    with daytona.create(name="box", resources=Resources(cpu=0.5, memory=0.5, disk=1)) as sandbox:
        assert (sandbox.name, sandbox.cpu, sandbox.memory, sandbox.disk) == ("box", 0.5, 0.5, 1), vars(sandbox)
        refused(DaytonaConflictError, lambda: daytona.create(name="box"), "box")
        sandbox.fs.upload_file(b"kept", "a")
        sandbox.stop()
        assert sandbox.state is SandboxState.STOPPED
        refused(DaytonaBadRequestError, lambda: sandbox.process.exec("true"), "run")
        sandbox.start()
        assert sandbox.process.exec("cat a").result == "kept"
        fork = sandbox.fork("other")
        assert fork.process.exec("cat a").result == "kept" and not fork.kept
        assert fork.set_labels({"a": "b"})["a"] == "b"
        assert [one.name for one in daytona.list(ListSandboxesQuery(labels={"a": "b"}))] == ["other"]
        sandbox.resize(Resources(memory=1))
        assert sandbox.memory == 1
        assert sandbox.get_metrics_latest().mem_total == 1 << 30
        sandbox.set_autostop_interval(5)
        sandbox.set_ttl(60)
        told = daytona.client.inspect(name="box")
        assert (told["idle_stop_seconds"], told["ttl_seconds"]) == (300, 3600), told
    assert sandbox.state is SandboxState.DESTROYED and sorted(one.name for one in daytona.list()) == ["other"]
    refused(DaytonaNotFoundError, lambda: daytona.get("box"), "box")
    short = daytona.create(CreateSandboxFromSnapshotParams(ephemeral=True))
    short.stop()
    assert short.state is SandboxState.DESTROYED
    volume = daytona.volume.get("shared", create=True)
    for say in ("echo x > /data/x", "cat /data/x"):
        with daytona.create(CreateSandboxFromSnapshotParams(volumes=[VolumeMount(volume.id, "/data")])) as sandbox:
            told = sandbox.process.exec(say)
    assert told.result == "x\n", told
    daytona.volume.delete(volume)
    refused(DaytonaError, lambda: daytona.create(resources=Resources(gpu=1)), "gpu")
    refused(DaytonaBadRequestError, lambda: daytona.create(resources=Resources(memory=0)), "memory")


PROGRAM = """
import os, sys, time
from belljar import Daytona
daytona = Daytona()
daytona.create(keep=True)
sandbox = daytona.create()
if sys.argv[1] == "forks" and os.fork() == 0:
    assert daytona.create().process.exec("echo child").result == "child\\n"
    sys.exit()
print("made", flush=True)
if sys.argv[1] == "fails":
    raise SystemExit(3)
time.sleep(0 if sys.argv[1] == "ends" else 100)
"""


def ends(daytona):
    for how, number in [("ends", None), ("fails", None), ("interrupted", signal.SIGINT), ("terminated", signal.SIGTERM), ("killed", signal.SIGKILL), ("forks", signal.SIGKILL)]:
        program = subprocess.Popen([sys.executable, "-c", PROGRAM, how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert program.stdout.readline() == "made\n", how
        if number is not None:
            program.send_signal(number)
        program.wait()
        until = time.monotonic() + 30
        while len(there()) > 1 and time.monotonic() < until:
            time.sleep(0.1)
        left = [one.kept for one in daytona.list()]
        assert left == [True], (how, left)
        for one in daytona.list():
            one.delete()
    sandbox = daytona.create()
    sandbox.keep()
    daytona.create()
    with Daytona() as other:
        other.create()
        assert len(there()) == 3
    daytona.close()
    assert there() == [sandbox.id]
    refused(DaytonaError, lambda: sandbox.process.exec("true"), "closed")
    with Daytona() as last:
        last.get(sandbox.id).delete()


def images(daytona):
    refused(DaytonaNotFoundError, lambda: daytona.create(image="nowhere.example/x"), "belljar image ls")
    with open("note.txt", "w") as file:
        file.write("from here")
    os.makedirs("tree/below", exist_ok=True)
    with open("tree/below/b", "w") as file:
        file.write("b")
    image = (
        Image.base("host").env({"A": "v w"}).workdir("/opt/work").run_commands("echo made $A > made", ["touch", "a b"])
        .add_local_file("note.txt", "/opt/").add_local_dir("tree", "/opt/tree")
    )
    assert image.dockerfile().startswith("FROM host\nENV A=v w\nWORKDIR /opt/work\nRUN "), image.dockerfile()
    said = []
    sandbox = daytona.create(CreateSandboxFromImageParams(image=image), on_snapshot_create_logs=said.append)
    assert any("Step 1/" in line for line in said)
    assert sandbox.process.exec("pwd; cat made ../note.txt ../tree/below/b; ls; echo $A").result == "/opt/work\nmade v w\nfrom hereba b\nmade\nv w\n"
    begun = time.monotonic()
    said.clear()
    daytona.create(image=image, on_snapshot_create_logs=said.append)
    assert not said, "the same steps are done once"
    error = refused(DaytonaError, lambda: daytona.create(image=Image.base("host").run_commands("echo why; exit 3")), "step 1")
    assert "why" in str(error)
    with open("Dockerfile", "w") as file:
        file.write("# made\nFROM host\nRUN echo a && \\\n  echo b > /opt/c\nCOPY note.txt /opt/n/\nENV B=x\nCMD [\"sh\"]\n")
    sandbox = daytona.create(image=Image.from_dockerfile("Dockerfile"))
    assert sandbox.process.exec("cat /opt/c /opt/n/note.txt; echo $B").result == "b\nfrom herex\n"
    with open("Dockerfile", "w") as file:
        file.write("FROM host\nCOPY ../../etc/passwd /opt/\n")
    refused(DaytonaBadRequestError, lambda: Image.from_dockerfile("Dockerfile"), "leads out")
    sandbox.fs.upload_file(b"in it", "/opt/snap")
    sandbox.create_snapshot("mine")
    assert daytona.create(CreateSandboxFromSnapshotParams(snapshot="mine")).process.exec("cat /opt/snap").result == "in it"
    assert daytona.snapshot.get("mine").name == "mine" and daytona.snapshot.list().total >= 3
    made = daytona.snapshot.create(CreateSnapshotParams(name="named", image=image))
    assert daytona.create(CreateSandboxFromSnapshotParams(snapshot=made.name)).process.exec("cat /opt/note.txt").result == "from here"
    daytona.snapshot.delete("named")
    refused(DaytonaNotFoundError, lambda: daytona.snapshot.get("named"), "named")
    assert time.monotonic() - begun < 120


def git(daytona):
    sandbox = daytona.create()
    git = sandbox.git
    git.init("/tmp/origin", bare=True, initial_branch="main")
    git.clone("/tmp/origin", "work")
    sandbox.fs.upload_file(b"1\n", "work/a")
    status = git.status("work")
    assert [(one.name, one.worktree) for one in status.file_status] == [("a", "Untracked")], status
    git.add("work", ["a"])
    commit = git.commit("work", "first", "Somebody", "somebody@example.org")
    assert len(commit.sha) == 40
    git.push("work", remote="origin", branch="main", set_upstream=True)
    git.create_branch("work", "side")
    assert git.branches("work").current == "side" and set(git.branches("work").branches) == {"main", "side"}
    refused(belljar.DaytonaGitBranchExistsError, lambda: git.create_branch("work", "side"), "side")
    git.checkout_branch("work", "main")
    git.delete_branch("work", "side")
    refused(belljar.DaytonaGitBranchNotFoundError, lambda: git.checkout_branch("work", "side"), "side")
    git.pull("work")
    assert git.remote_get("work", "origin") == "/tmp/origin" and git.remote_get("work", "other") is None
    git.configure_user("Me", "me@example.org", scope="local", path="work")
    assert git.get_config("user.name", scope="local", path="work") == "Me"
    assert git.get_config("user.nothing", scope="local", path="work") is None
    refused(belljar.DaytonaGitRepoNotFoundError, lambda: git.status("/tmp"), "")
    refused(DaytonaError, lambda: git.dangerously_authenticate("a", "b"), "each clone")


def languages(daytona):
    sandbox = daytona.create()
    sandbox.fs.upload_file(b"def total(items):\n    return sum(items)\n\n\ntot\n", "project/a.py")
    with_server = sandbox.create_lsp_server("python", "project")
    with_server.start()
    with_server.did_open("project/a.py")
    symbols = with_server.document_symbols("project/a.py")
    assert [(one.name, one.kind) for one in symbols] == [("total", 12)], symbols
    assert symbols[0].location.uri.endswith("/project/a.py") and symbols[0].location.range.start.line == 0
    told = with_server.completions("project/a.py", LspCompletionPosition(4, 3))
    assert any(one.label.startswith("total") for one in told.items), told
    with_server.stop()


def network(daytona):
    sandbox = daytona.create()
    sandbox.process.create_session("server")
    sandbox.process.execute_session_command(
        "server", SessionExecuteRequest("cd /tmp && echo hello > index.html && exec python3 -m http.server 3000", run_async=True)
    )
    link = sandbox.get_preview_link(3000)
    until = time.monotonic() + 30
    while True:
        try:
            assert urllib.request.urlopen(link.url, timeout=5).read() == b"hello\n"
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)
    assert sandbox.get_preview_link(3000).url == link.url
    assert daytona.client.inspect(name=sandbox.id)["net"] == "open"
    sandbox.update_network_settings(network_block_all=True)
    assert daytona.client.inspect(name=sandbox.id)["allow"] == []
    closed = daytona.create(CreateSandboxFromSnapshotParams(network_block_all=True))
    assert closed.network_block_all
    some = daytona.create(CreateSandboxFromSnapshotParams(network_allow_list="192.0.2.0/24", domain_allow_list="example.org, *.example.net"))
    told = daytona.client.inspect(name=some.id)
    assert (told["net"], told["allow"]) == ("only", ["192.0.2.0/24", "example.org", "*.example.net"]), told
    with Daytona(DaytonaConfig(net="none")) as other:
        assert other.create().network_block_all
    with Daytona(DaytonaConfig(net="example.org:443")) as other:
        assert other.client.inspect(name=other.create().id)["allow"] == ["example.org:443"]


def concurrent(_):
    async def main():
        async with AsyncDaytona() as daytona:
            sandboxes = await asyncio.gather(*(daytona.create() for _ in range(4)))
            begun = time.monotonic()
            told = await asyncio.gather(*(one.process.exec(f"sleep 1; echo {at}") for at, one in enumerate(sandboxes * 3)))
            assert [one.result for one in told] == [f"{at}\n" for at in range(12)] and time.monotonic() - begun < 10
            sandbox = sandboxes[0]
            try:
                await asyncio.wait_for(sandbox.process.exec("sleep 987"), 0.5)
                raise AssertionError("it was not called off")
            except asyncio.TimeoutError:
                pass
            assert (await sandbox.process.exec("pgrep -f 'sleep 98[7]' || ps ax | grep 'sleep 98[7]'")).result == ""
            await sandbox.fs.upload_file(b"x" * (3 << 20), "big")
            assert sum([len(piece) async for piece in sandbox.fs.download_file_stream("big")]) == 3 << 20
            assert (await sandbox.fs.get_file_info("big")).size == 3 << 20
            assert len([one async for one in daytona.list()]) == 4
            await sandbox.process.create_session("s")
            later = await sandbox.process.execute_session_command("s", SessionExecuteRequest("echo a; sleep 0.3; echo b", run_async=True))
            heard = []

            async def hear(text):
                heard.append(text)

            await sandbox.process.get_session_command_logs_async("s", later.cmd_id, hear, hear)
            assert "".join(heard) == "a\nb\n", heard
            shown = []
            terminal = await sandbox.process.create_pty_session("one", shown.append, pty_size=PtySize(rows=40, cols=100))
            await terminal.send_input("stty size; read line\n")
            try:
                await terminal.wait(timeout=0.5)
                raise AssertionError("it waits for a line")
            except DaytonaTimeoutError:
                pass
            await terminal.send_input("x\nexit 3\n")
            assert (await terminal.wait(timeout=60)).exit_code == 3 and b"40 100" in b"".join(shown), shown
            other = await sandbox.process.create_pty_session("two")
            await other.send_input("echo a''b\n")
            async for data in other:
                if b"ab" in data:
                    break
            await other.disconnect()
            async with await daytona.create(language="javascript") as other:
                assert (await other.process.code_run("console.log(1)")).result == "1\n"
            assert other.state is SandboxState.DESTROYED
            try:
                await daytona.get("nowhere")
                raise AssertionError("there is none")
            except DaytonaNotFoundError as error:
                assert error.kind == "not_found" and error.hint

    asyncio.run(main())
    assert there() == []


if __name__ == "__main__":
    with Daytona() as daytona:
        globals()[sys.argv[1]](daytona)
    assert there() == [], there()
    print("ok")
