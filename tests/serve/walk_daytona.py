"""Each part walks a group of calls of Daytona's own client against `belljar serve`: `walk_daytona.py PART`, `ok` at the end."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

from daytona import (
    AsyncDaytona,
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    Daytona,
    DaytonaError,
    DaytonaNotFoundError,
    FileUpload,
    Image,
    Resources,
    SessionExecuteRequest,
    VolumeMount,
)
from daytona.common.lsp_server import LspCompletionPosition
from daytona.common.pty import PtySize

URL = os.environ["DAYTONA_API_URL"]
BARE = {"network_block_all": True}


def refused(kind, act, word):
    try:
        act()
    except kind as error:
        assert word in str(error), error
        return
    raise AssertionError(f"nobody refused {word}")


def box(daytona, **more):
    return daytona.create(CreateSandboxFromSnapshotParams(**{**BARE, **more}))


def commands(daytona):
    sandbox = box(daytona, env_vars={"GIVEN": "at first"}, labels={"for": "commands"})
    assert sandbox.state.value == "started" and sandbox.labels["for"] == "commands", sandbox
    told = sandbox.process.exec("echo out; echo err >&2; cd /; pwd; exit 3")
    assert (told.exit_code, told.result) == (3, "out\nerr\n/\n"), told
    assert sandbox.process.exec("echo $GIVEN-$MORE", env={"MORE": "a 'b'"}).result == "at first-a 'b'\n"
    sandbox.fs.create_folder("some/where", "755")
    assert sandbox.process.exec("pwd", cwd="some/where").result.endswith("/some/where\n")
    assert sandbox.process.exec("kill -9 $$").exit_code == 137
    assert sandbox.process.exec("cat").result == ""
    begun = time.monotonic()
    refused(DaytonaError, lambda: sandbox.process.exec("echo so far; sleep 60", timeout=1), "timeout")
    assert time.monotonic() - begun < 30
    assert sandbox.process.exec("nowhere-to-be-found").exit_code == 127
    # The example that people see first.
    told = sandbox.process.code_run("import sys\nprint('from', sys.version_info[0])\nraise SystemExit(4)")
    assert (told.exit_code, told.result) == (4, "from 3\n"), told
    assert "ZeroDivisionError" in sandbox.process.code_run("1/0").result
    assert sandbox.process.code_run("import os, sys; print(os.environ['A'], sys.argv[1:])", params=code_params({"A": "x"}, ["b", "c"])).result == "x ['b', 'c']\n"
    large = sandbox.process.exec("head -c 5000000 /dev/zero | tr '\\0' x")
    assert len(large.result) == 5000000 and set(large.result) == {"x"}
    sandbox.delete()
    node = box(daytona, language="javascript")
    assert node.process.code_run("console.log(6 * 7, process.argv.length)").result == "42 1\n"
    assert node.labels["code-toolbox-language"] == "javascript"
    node.delete()


def code_params(env, argv):
    from daytona import CodeRunParams

    return CodeRunParams(env=env, argv=argv)


def files(daytona):
    sandbox = box(daytona)
    fs = sandbox.fs
    content = bytes(range(256)) * 300
    fs.upload_file(content, "deep/er/a.bin")
    assert fs.download_file("deep/er/a.bin") == content
    # Larger than what goes in one piece.
    large = os.urandom(9 << 20)
    fs.upload_file(large, "large")
    assert fs.download_file("large") == large
    with open("local", "wb") as local:
        local.write(b"from a file")
    fs.upload_file("local", "b.txt")
    fs.download_file("b.txt", "back")
    with open("back", "rb") as back:
        assert back.read() == b"from a file"
    fs.upload_files([FileUpload(source=b"one", destination="many/1.txt"), FileUpload(source=b"two", destination="many/2 \u00fc.txt")])
    listed = {entry.name: entry for entry in fs.list_files("many")}
    assert sorted(listed) == ["1.txt", "2 \u00fc.txt"] and listed["1.txt"].size == 3 and not listed["1.txt"].is_dir
    assert fs.download_file("many/2 \u00fc.txt") == b"two"
    info = fs.get_file_info("many")
    assert info.is_dir and info.mode.startswith("d"), info
    fs.set_file_permissions("many/1.txt", mode="600")
    assert fs.get_file_info("many/1.txt").permissions == "0600"
    fs.create_folder("made", "750")
    assert fs.get_file_info("made").permissions == "0750"
    fs.move_files("many/1.txt", "made/moved.txt")
    refused(DaytonaError, lambda: fs.get_file_info("many/1.txt"), "No such file")
    refused(DaytonaNotFoundError, lambda: fs.download_file("many/1.txt"), "No such file")
    assert fs.search_files(".", "*.txt").files
    found = fs.find_files("made", "on")
    assert [(one.line, one.content) for one in found] == [(1, "one")], found
    changed = fs.replace_in_files(["made/moved.txt", "nowhere.txt"], "one", "three")
    assert [one.success for one in changed] == [True, False] and changed[1].error, changed
    assert fs.download_file("made/moved.txt") == b"three"
    refused(DaytonaError, lambda: fs.delete_file("made"), "recursive")
    fs.delete_file("made", recursive=True)
    refused(DaytonaError, lambda: fs.get_file_info("made"), "No such file")
    # A path is one inside, wherever it seems to lead.
    fs.upload_file(b"inside", "../../../tmp/escape")
    assert sandbox.process.exec("cat /tmp/escape").result == "inside"
    assert not os.path.exists("/tmp/escape")
    refused(DaytonaError, lambda: fs.upload_file(b"x", "/proc/self/nowhere"), "")
    # A signed address needs no token, and no other path.
    url = sandbox.download_url("b.txt") if hasattr(sandbox, "download_url") else None
    if url:
        assert urllib.request.urlopen(url).read() == b"from a file"
        refused(urllib.error.HTTPError, lambda: urllib.request.urlopen(url.replace("b.txt", "large")), "401")
    sandbox.delete()


def sessions(daytona):
    sandbox = box(daytona)
    process = sandbox.process
    process.create_session("work")
    refused(DaytonaError, lambda: process.create_session("work"), "already exists")

    def run(command, later=False):
        return process.execute_session_command("work", SessionExecuteRequest(command=command, run_async=later))

    told = run("cd /tmp; export X=5; f() { echo f; }; echo out; echo err >&2; false")
    assert (told.exit_code, told.stdout, told.stderr) == (1, "out\n", "err\n"), told
    told = run("pwd; echo $X; f")
    assert (told.exit_code, told.stdout) == (0, "/tmp\n5\nf\n"), told
    later = run("for i in 1 2 3; do echo $i; sleep 0.2; done; echo end >&2; exit_code() { return 4; }; exit_code", True)
    assert later.exit_code is None
    heard = {"out": [], "err": []}
    asyncio.run(process.get_session_command_logs_async("work", later.cmd_id, heard["out"].append, heard["err"].append))
    assert ("".join(heard["out"]), "".join(heard["err"])) == ("1\n2\n3\n", "end\n"), heard
    assert process.get_session_command("work", later.cmd_id).exit_code == 4
    logs = process.get_session_command_logs("work", later.cmd_id)
    assert (logs.stdout, logs.stderr) == ("1\n2\n3\n", "end\n"), logs
    asked = run("read line; echo got $line", True)
    process.send_session_command_input("work", asked.cmd_id, "a line")
    for _ in range(100):
        if process.get_session_command("work", asked.cmd_id).exit_code is not None:
            break
        time.sleep(0.1)
    assert process.get_session_command_logs("work", asked.cmd_id).stdout == "got a line\n"
    assert [session.session_id for session in process.list_sessions()] == ["work"]
    assert len(process.get_session("work").commands) == 4
    refused(DaytonaError, lambda: process.get_session("none"), "not found")
    refused(DaytonaError, lambda: process.get_session_command("work", "77"), "not found")
    process.delete_session("work")
    assert process.list_sessions() == []
    sandbox.delete()


def terminals(daytona):
    sandbox = box(daytona)
    process = sandbox.process
    shown = []
    handle = process.create_pty_session(id="one", pty_size=PtySize(rows=30, cols=100), envs={"GIVEN": "yes"})
    handle.wait_for_connection()
    handle.send_input("stty size; echo $GIVEN-$TERM; exit 7\n")
    ended = handle.wait(lambda data: shown.append(data))
    text = b"".join(shown).decode(errors="replace")
    assert ended.exit_code == 7 and "30 100" in text and "yes-xterm-256color" in text, (ended, text)
    assert process.list_pty_sessions() == []
    handle = process.create_pty_session(id="two")
    handle.wait_for_connection()
    refused(DaytonaError, lambda: process.create_pty_session(id="two"), "")
    handle.send_input("X=kept\n")
    handle.disconnect()
    # It goes on when nobody looks.
    assert [session.id for session in process.list_pty_sessions()] == ["two"]
    again = process.connect_pty_session("two")
    again.wait_for_connection()
    assert process.resize_pty_session("two", PtySize(rows=40, cols=120)).cols == 120
    again.send_input("echo $X; stty size; exit\n")
    shown.clear()
    again.wait(lambda data: shown.append(data))
    text = b"".join(shown).decode(errors="replace")
    assert "kept" in text and "40 120" in text, text
    process.create_pty_session(id="three").wait_for_connection()
    process.kill_pty_session("three")
    assert process.list_pty_sessions() == []
    sandbox.delete()


def interpreter(daytona):
    sandbox = box(daytona)
    code = sandbox.code_interpreter
    assert code.run_code("x = 41\nprint(x + 1)\nx").stdout == "42\n"
    assert code.run_code("print(x)").stdout == "41\n"
    told = code.run_code("def f():\n    raise KeyError('k')\nf()")
    assert told.error.name == "KeyError" and "in f" in told.error.traceback, told.error
    assert code.run_code("import os; print(os.environ['A'])", envs={"A": "b"}).stdout == "b\n"
    assert code.run_code("print(os.environ.get('A'))").stdout == "None\n"
    heard = []
    code.run_code("import sys\nprint('o')\nprint('e', file=sys.stderr)", on_stdout=lambda m: heard.append(m.output), on_stderr=lambda m: heard.append(m.output))
    assert "o" in "".join(heard) and "e" in "".join(heard), heard
    context = code.create_context(cwd="/tmp")
    assert code.run_code("import os; print(os.getcwd()); print('x' in globals())", context=context).stdout == "/tmp\nFalse\n"
    assert [one.id for one in code.list_contexts()] == [context.id]
    code.delete_context(context)
    assert code.list_contexts() == []
    refused(DaytonaError, lambda: code.run_code("while True: pass", timeout=1), "")
    assert code.run_code("print(x)").stdout == "41\n"
    sandbox.delete()


def life(daytona):
    sandbox = box(daytona, name="walked", labels={"a": "1"}, auto_stop_interval=30)
    assert (sandbox.name, sandbox.auto_stop_interval) == ("walked", 30), sandbox
    refused(DaytonaError, lambda: box(daytona, name="walked"), "")
    assert daytona.get("walked").id == sandbox.id and daytona.get(sandbox.id).name == "walked"
    others = [box(daytona, labels={"b": str(number)}) for number in range(3)]
    assert {one.id for one in daytona.list()} == {sandbox.id, *(one.id for one in others)}
    assert sandbox.set_labels({"c": "2"}) == {"c": "2"}
    sandbox.refresh_data()
    assert sandbox.labels == {"c": "2"}
    sandbox.process.exec("echo kept > ~/file; nohup sleep 1000 >/dev/null 2>&1 &")
    sandbox.stop()
    assert sandbox.state.value == "stopped"
    refused(DaytonaError, lambda: sandbox.process.exec("true"), "not running")
    sandbox.start()
    assert sandbox.process.exec("cat ~/file; pgrep sleep").result == "kept\n"
    sandbox.set_autostop_interval(5)
    sandbox.set_auto_delete_interval(60)
    sandbox.refresh_data()
    assert (sandbox.auto_stop_interval, sandbox.auto_delete_interval) == (5, 60)
    fork = sandbox.fork(name="forked") if hasattr(sandbox, "fork") else sandbox._experimental_fork(name="forked")
    fork.process.exec("echo changed > ~/file")
    assert sandbox.process.exec("cat ~/file").result == "kept\n"
    sandbox.stop()
    assert sandbox.process is not None and daytona.get("walked").state.value == "stopped"
    sandbox.archive()
    assert daytona.get("walked").state.value == "archived"
    sandbox.start()
    home = sandbox.get_user_home_dir()
    assert home.startswith("/") and sandbox.get_work_dir().startswith("/")
    volume = daytona.volume.get("shared", create=True)
    for word in ("first", "second"):
        one = box(daytona, volumes=[VolumeMount(volume_id=volume.id, mount_path="/shared")])
        assert one.process.exec(f"cat /shared/* 2>/dev/null; echo {word} > /shared/{word}").result == ("" if word == "first" else "first\n")
        one.delete()
    daytona.volume.delete(volume)
    assert daytona.volume.list() == []
    ephemeral = box(daytona, ephemeral=True, auto_stop_interval=0)
    ephemeral.stop()
    for one in [sandbox, fork, *others]:
        one.delete()
    refused(DaytonaNotFoundError, lambda: daytona.get(sandbox.id), "not found")


def images(daytona):
    image = Image.base("python:3.12-slim").env({"BUILT": "yes it is"}).run_commands("mkdir ~/built && echo made > ~/built/file", "test -f ~/built/file")
    sandbox = daytona.create(CreateSandboxFromImageParams(image=image, resources=Resources(cpu=1, memory=1, disk=4), **BARE))
    assert sandbox.process.exec("cat ~/built/file; echo $BUILT").result == "made\nyes it is\n"
    assert (sandbox.cpu, sandbox.memory, sandbox.disk) == (1, 1, 4), sandbox
    begun = time.monotonic()
    again = daytona.create(CreateSandboxFromImageParams(image=image, **BARE))
    assert again.process.exec("cat ~/built/file").result == "made\n"
    assert time.monotonic() - begun < 30
    refused(DaytonaError, lambda: daytona.create(CreateSandboxFromImageParams(image=Image.base("python:3").run_commands("echo why >&2; exit 3"), **BARE)), "why")
    refused(DaytonaError, lambda: daytona.create(CreateSandboxFromImageParams(image="nobody/knows:1", **BARE)), "belljar image pull")
    sandbox.process.exec("echo snapped > ~/built/snap")
    make = sandbox.create_snapshot if hasattr(sandbox, "create_snapshot") else sandbox._experimental_create_snapshot
    make("snapped")
    assert daytona.snapshot.get("snapped").state.value == "active"
    assert "snapped" in [one.name for one in daytona.snapshot.list().items]
    from_it = box(daytona, snapshot="snapped")
    assert from_it.process.exec("cat ~/built/snap").result == "snapped\n"
    for one in (sandbox, again, from_it):
        one.delete()
    daytona.snapshot.delete(daytona.snapshot.get("snapped"))
    refused(DaytonaNotFoundError, lambda: daytona.snapshot.get("snapped"), "not found")


def uploads(daytona):
    # Where the client would fail without a word, the answer has one.
    with open("local.txt", "w") as file:
        file.write("x")
    image = Image.base("python:3").add_local_file("local.txt", "/tmp/x")
    refused(DaytonaError, lambda: daytona.create(CreateSandboxFromImageParams(image=image, **BARE)), "https")
    image = Image.base("python:3").env({"A": "it's"}).workdir("/tmp/some where").entrypoint(["/bin/sh", "-c", "echo begun with $A; exec sleep 1000"])
    sandbox = daytona.create(CreateSandboxFromImageParams(image=image, **BARE))
    assert sandbox.process.exec("pwd; echo $A").result == "/tmp/some where\nit's\n"

    def logs():
        deadline = time.monotonic() + 30
        while not sandbox.process.get_entrypoint_logs().stdout:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return sandbox.process.get_entrypoint_logs().stdout

    assert logs() == "begun with it's\n"
    session = sandbox.process.get_entrypoint_session()
    assert session.session_id == "entrypoint" and session.commands[0].exit_code is None, session
    sandbox.stop()
    sandbox.start()
    assert logs() == "begun with it's\n"
    sandbox.delete()
    broken = Image.base("python:3").workdir("/tmp").entrypoint(["/nowhere/at-all"])
    refused(DaytonaError, lambda: daytona.create(CreateSandboxFromImageParams(image=broken, **BARE)), "ENTRYPOINT")


def events(daytona):
    from websocket import WebSocketConnectionClosedException, create_connection

    place = os.environ["DAYTONA_API_URL"].replace("http", "ws", 1) + "/socket.io/?transport=websocket&EIO=4"

    def connected(token):
        socket = create_connection(place, timeout=30)
        opened = socket.recv()
        assert opened[0] == "0" and json.loads(opened[1:])["pingInterval"] > 0, opened
        socket.send("40" + json.dumps({"token": token}))
        return socket

    stranger = connected("wrong")
    assert stranger.recv().startswith("44")
    try:
        assert not stranger.recv()
    except WebSocketConnectionClosedException:
        pass
    socket = connected(os.environ["DAYTONA_API_KEY"])
    assert json.loads(socket.recv()[2:])["sid"]
    sandbox = box(daytona)
    sandbox.stop()
    sandbox.start()
    sandbox.delete()
    heard = [json.loads(socket.recv()[2:]) for _ in range(4)]
    assert heard[0][0] == "sandbox.created" and heard[0][1]["id"] == sandbox.id, heard
    told = [(name, data["sandbox"]["id"], data["oldState"], data["newState"]) for name, data in heard[1:]]
    changes = [("started", "stopped"), ("stopped", "started"), ("started", "destroyed")]
    assert told == [("sandbox.state.updated", sandbox.id, *change) for change in changes], told
    socket.close()


def toolbox(daytona):
    # As the clients for Ruby and Go reach it.
    from websocket import create_connection

    sandbox, stranger = box(daytona), box(daytona)
    link = sandbox.get_preview_link(2280)
    own, key = {"x-daytona-preview-token": link.token}, f"Authorization: Bearer {os.environ['DAYTONA_API_KEY']}"
    place = link.url.replace("http", "ws", 1) + "/process/pty/create-connect?id=one&cols=90&rows=20"
    socket = create_connection(place, timeout=30, header=[key, f"X-Daytona-Preview-Token: {link.token}"], subprotocols=["X-Daytona-Pty-Exit-Control"])
    assert json.loads(socket.recv())["status"] == "connected"
    socket.send_binary(b"stty size; exit\n")
    shown = ""
    while "20 90" not in shown:
        shown += bytes(socket.recv()).decode()
    socket.close()
    port = link.url.rsplit(":")[-1]
    by_name = urllib.request.Request(f"http://127.0.0.1:{port}/work-dir", headers={"Host": f"2280-{sandbox.id}.localhost:{port}", **own})
    assert json.loads(urllib.request.urlopen(by_name).read())["dir"], by_name
    other = urllib.request.Request(f"http://127.0.0.1:{port}/work-dir", headers={"Host": f"2280-{stranger.id}.localhost:{port}", **own})
    refused(urllib.error.HTTPError, lambda: urllib.request.urlopen(other), "401")
    sandbox.delete()
    stranger.delete()


def git(daytona):
    sandbox = box(daytona)
    repository = sandbox.git
    sandbox.process.exec("git init -q -b main far && cd far && git -c user.name=F -c user.email=f@x commit -q --allow-empty -m far")
    home = sandbox.get_user_home_dir()
    repository.clone(f"file://{home}/far", "near")
    sandbox.fs.upload_file(b"one", "near/a file.txt")
    status = repository.status("near")
    assert (status.current_branch, status.ahead, status.behind) == ("main", 0, 0), status
    assert [(one.name, one.worktree.value) for one in status.file_status] == [("a file.txt", "Untracked")], status
    repository.add("near", ["a file.txt"])
    assert repository.status("near").file_status[0].staging.value == "Added"
    made = repository.commit("near", "first", "Ada", "ada@example.org")
    assert len(made.sha) == 40, made
    assert repository.status("near").ahead == 1
    repository.create_branch("near", "side")
    assert sorted(repository.branches("near").branches) == ["main", "side"]
    repository.checkout_branch("near", "main")
    repository.delete_branch("near", "side")
    assert repository.branches("near").branches == ["main"]
    refused(DaytonaError, lambda: repository.checkout_branch("near", "nowhere"), "nowhere")
    refused(DaytonaError, lambda: repository.status("/tmp"), "not a git repository")
    sandbox.process.exec("cd far && git checkout -q -b elsewhere")
    repository.push("near")
    assert repository.status("near").ahead == 0
    assert sandbox.process.exec("git -C far log -1 --format=%an main").result == "Ada\n"
    repository.pull("near")
    settings(sandbox, repository)
    sandbox.delete()


def settings(sandbox, repository):
    """What clients of 0.226 know besides."""
    repository.init("fresh", initial_branch="trunk")
    repository.configure_user("Grace", "grace@example.org")
    assert repository.get_config("user.name") == "Grace"
    repository.set_config("user.name", "Here", scope="local", path="fresh")
    assert repository.get_config("user.name", scope="local", path="fresh") == "Here"
    assert repository.get_config("no.such") is None
    sandbox.fs.upload_file(b"one\n", "fresh/f")
    repository.add("fresh", ["."])
    first = repository.commit("fresh", "first", "Ada", "ada@example.org").sha
    refused(DaytonaError, lambda: repository.commit("fresh", "nothing", "Ada", "ada@example.org"), "")
    second = repository.commit("fresh", "empty", "Ada", "ada@example.org", allow_empty=True).sha
    assert first != second
    sandbox.fs.upload_file(b"two\n", "fresh/f")
    repository.add("fresh", ["f"])
    assert repository.status("fresh").file_status[0].staging.value == "Modified"
    repository.restore("fresh", ["f"], staged=True)
    assert repository.status("fresh").file_status[0].worktree.value == "Modified"
    repository.restore("fresh", ["f"], worktree=True)
    assert sandbox.fs.download_file("fresh/f") == b"one\n"
    repository.reset("fresh", mode="hard", target="HEAD~1")
    assert sandbox.process.exec("git -C fresh rev-parse HEAD").result.strip() == first
    home = sandbox.get_user_home_dir()
    repository.remote_add("fresh", "near", f"file://{home}/near", fetch=True)
    assert repository.remote_get("fresh", "near") == f"file://{home}/near"
    assert repository.remote_get("fresh", "nobody") is None
    assert [one.name for one in repository.remotes("fresh").remotes] == ["near"]
    refused(DaytonaError, lambda: repository.remote_add("fresh", "near", "file:///x"), "near")
    repository.remote_add("fresh", "near", f"file://{home}/far", overwrite=True)
    assert repository.remote_get("fresh", "near").endswith("/far")
    refused(DaytonaError, lambda: repository.clone(f"file://{home}/nowhere", "none"), "")
    # A password is for one call: nothing keeps it inside.
    refused(DaytonaError, lambda: repository.dangerously_authenticate("a", "secret"), "not kept")
    repository.clone(f"file://{home}/far", "one", branch="main", depth=1)
    assert sandbox.process.exec("git -C one rev-list --count HEAD").result == "1\n"


def languages(daytona):
    sandbox = box(daytona)
    sandbox.fs.create_folder("project", "755")
    text = "class Greeter:\n    def greet(self):\n        return 'hello'\n\n\none = Greeter()\none.gre\n"
    sandbox.fs.upload_file(text.encode(), "project/sample.py")
    server = sandbox.create_lsp_server("python", "project")
    server.start()
    server.start()
    server.did_open("project/sample.py")
    symbols = {one.name: one for one in server.document_symbols("project/sample.py")}
    # The protocol's number of a class, and its places from 0.
    assert symbols["Greeter"].kind == 5 and symbols["Greeter"].location.range.start.line == 0, symbols
    assert symbols["one"].location.range.start.line == 5, symbols
    told = server.completions("project/sample.py", LspCompletionPosition(line=6, character=7))
    assert any(item.label.startswith("greet") for item in told.items), told
    refused(DaytonaError, lambda: server.sandbox_symbols("Greeter"), "pylsp")
    server.did_close("project/sample.py")
    server.stop()
    sandbox.fs.upload_file(b"export class Greeter { greet() { return 1 } }\n", "project/a.ts")
    server = sandbox.create_lsp_server("typescript", "project")
    server.start()
    server.did_open("project/a.ts")
    assert "Greeter" in [one.name for one in server.document_symbols("project/a.ts")]
    assert "Greeter" in [one.name for one in server.sandbox_symbols("Greeter")]
    server.stop()
    refused(DaytonaError, lambda: sandbox.create_lsp_server("cobol", "project").start(), "cobol")
    sandbox.delete()


def previews(daytona):
    sandbox = box(daytona)
    sandbox.process.create_session("web")
    serve = "mkdir -p /tmp/web && cd /tmp/web && echo from inside > index.html && exec python3 -m http.server 8000"
    sandbox.process.execute_session_command("web", SessionExecuteRequest(command=serve, run_async=True))
    port = URL.split(":")[2].split("/")[0]

    def ask(link, path="/index.html", **headers):
        # Names below localhost are known to browsers; this library asks for them.
        host = link.split("//")[1].split("/")[0]
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host, **headers})
        return urllib.request.urlopen(request, timeout=30).read()

    link = sandbox.get_preview_link(8000)
    for _ in range(100):
        try:
            answer = ask(link.url, **{"x-daytona-preview-token": link.token})
            break
        except urllib.error.HTTPError as error:
            assert error.code == 502, error
            time.sleep(0.2)
    assert answer == b"from inside\n"
    refused(urllib.error.HTTPError, lambda: ask(link.url), "401")
    refused(urllib.error.HTTPError, lambda: ask(link.url, **{"x-daytona-preview-token": "wrong"}), "401")
    assert ask(link.url, **{"Cookie": f"belljar-preview={link.token}"}) == b"from inside\n"
    signed = sandbox.create_signed_preview_url(8000, 60)
    assert ask(signed.url) == b"from inside\n"
    refused(urllib.error.HTTPError, lambda: ask(signed.url.replace("//8000-", "//8001-")), "401")
    sandbox.expire_signed_preview_url(8000, signed.token)
    refused(urllib.error.HTTPError, lambda: ask(signed.url), "401")
    other = sandbox.get_preview_link(8009)
    refused(urllib.error.HTTPError, lambda: ask(other.url, **{"x-daytona-preview-token": other.token}), "502")
    sandbox.delete()


def network(daytona):
    blocked = daytona.create(CreateSandboxFromSnapshotParams(network_block_all=True))
    assert blocked.network_block_all
    listed = daytona.create(CreateSandboxFromSnapshotParams(network_allow_list="192.0.2.0/24"))
    assert listed.network_allow_list == "192.0.2.0/24" and not listed.network_block_all
    script = "import socket\ntry: socket.create_connection(('198.51.100.1', 80), 5)\nexcept OSError as error: print(error.strerror)"
    told = listed.process.code_run(script).result
    assert told in ("Connection refused\n", "Network is unreachable\n", "No route to host\n", "Permission denied\n"), told
    listed.update_network_settings(network_allow_list="203.0.113.0/24")
    listed.refresh_data()
    assert listed.network_allow_list == "203.0.113.0/24"
    for one in (blocked, listed):
        one.delete()


def refusals(daytona):
    sandbox = box(daytona)
    refused(DaytonaError, lambda: sandbox.create_ssh_access(10), "ssh")
    refused(DaytonaError, lambda: sandbox.computer_use.start(), "no screen")
    refused(DaytonaNotFoundError, lambda: daytona.get("nobody"), "not found")
    refused(DaytonaError, lambda: box(daytona, snapshot="nowhere"), "nowhere")
    os.environ["DAYTONA_API_KEY"], kept = "wrong" * 5, os.environ["DAYTONA_API_KEY"]
    refused(DaytonaError, lambda: Daytona().get(sandbox.id), "token")
    os.environ["DAYTONA_API_KEY"] = kept
    sandbox.delete()


def concurrent(_):
    async def work():
        async with AsyncDaytona() as daytona:
            sandboxes = await asyncio.gather(*(daytona.create(CreateSandboxFromSnapshotParams(**BARE)) for _ in range(4)))
            told = await asyncio.gather(*(one.process.exec(f"sleep 1; echo {at}") for at, one in enumerate(sandboxes) for _ in range(4)))
            assert [one.result for one in told] == [f"{at}\n" for at in range(4) for _ in range(4)], told
            await asyncio.gather(*(one.delete() for one in sandboxes))

    asyncio.run(work())


globals()[sys.argv[1]](Daytona())
print("ok")
