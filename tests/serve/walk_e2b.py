"""Each part walks a group of calls of E2B's own client against `belljar serve`: `walk_e2b.py PART`, `ok` at the end."""

import asyncio
import os
import sys
import time
import urllib.error
import urllib.request

from e2b import (
    AsyncSandbox,
    AuthenticationException,
    CommandExitException,
    FileType,
    InvalidArgumentException,
    NotFoundException,
    PtySize,
    Sandbox,
    SandboxException,
    SandboxQuery,
    SandboxState,
    TimeoutException,
    Volume,
    VolumeException,
)


def refused(kind, act, word=""):
    try:
        act()
    except kind as error:
        assert word in str(error), error
        return error
    raise AssertionError(f"nobody refused {word}")


def box(**more):
    return Sandbox.create(**{"allow_internet_access": False, **more})


def life():
    sandbox = box(metadata={"for": "life", "odd": "a b&c=d/ü"}, timeout=100, envs={"GIVEN": "yes"})
    assert sandbox.is_running()
    info = sandbox.get_info()
    assert info.sandbox_id == sandbox.sandbox_id and info.metadata["odd"] == "a b&c=d/ü", info
    assert 90 <= (info.end_at - info.started_at).total_seconds() <= 101, info
    sandbox.set_timeout(1000)
    info = sandbox.get_info()
    assert 990 <= (info.end_at - info.started_at).total_seconds() <= 1020, info
    other = box()
    listed = Sandbox.list(query=SandboxQuery(metadata={"odd": "a b&c=d/ü"})).next_items()
    assert [one.sandbox_id for one in listed] == [sandbox.sandbox_id], listed
    pages, found = Sandbox.list(limit=1), []
    while pages.has_next:
        found += [one.sandbox_id for one in pages.next_items()]
    assert sorted(found) == sorted([sandbox.sandbox_id, other.sandbox_id]), found
    assert other.kill() and not other.kill()
    assert not other.is_running()
    sandbox.files.write("kept.txt", "kept")
    again = Sandbox.connect(sandbox.sandbox_id)
    assert again.files.read("kept.txt") == "kept"
    metrics = sandbox.get_metrics()
    assert metrics[0].mem_total > 0, metrics
    refused(NotFoundException, lambda: Sandbox.connect("nowhere"), "not found")
    refused(SandboxException, lambda: box(template="no-such-template"), "no-such-template")
    refused(AuthenticationException, lambda: box(api_key="wrong"))
    refused(SandboxException, lambda: sandbox.pause(), "memory")
    refused(SandboxException, lambda: sandbox.fork(), "memory")
    refused(VolumeException, lambda: Volume.create("v"), "belljar volume")
    snapshot = sandbox.create_snapshot()
    copy = box(template=snapshot.snapshot_id)
    assert copy.files.read("kept.txt") == "kept"
    assert copy.kill() and sandbox.kill()
    assert Sandbox.delete_snapshot(snapshot.snapshot_id)
    short = box(timeout=2)
    deadline = time.monotonic() + 30
    while short.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    refused(TimeoutException, lambda: short.commands.run("true"))


def commands():
    sandbox = box(envs={"GIVEN": "at first"})
    run = sandbox.commands.run
    told = run("echo out; echo err >&2; echo $GIVEN-$MORE-$E2B_SANDBOX", envs={"MORE": "a 'b'"})
    assert (told.exit_code, told.stdout, told.stderr) == (0, "out\nat first-a 'b'-true\n", "err\n"), told
    error = refused(CommandExitException, lambda: run("echo so far; exit 3"))
    assert (error.exit_code, error.stdout) == (3, "so far\n"), error
    assert run("pwd", cwd="/tmp").stdout == "/tmp\n"
    refused(InvalidArgumentException, lambda: run("pwd", cwd="/nowhere"))
    refused(TimeoutException, lambda: run("sleep 60", timeout=1))
    shown = []
    run("for i in 1 2 3; do echo $i; sleep 0.1; done", on_stdout=shown.append)
    assert "".join(shown) == "1\n2\n3\n", shown
    assert len(run("head -c 3000000 /dev/zero | tr '\\0' x").stdout) == 3000000
    # In the background, typed into, listened to by another, and ended.
    handle = run("read line; echo got $line; exec sleep 1000", background=True, stdin=True)
    listed = [one for one in sandbox.commands.list() if one.pid == handle.pid]
    assert listed and listed[0].args[-1].startswith("read line"), listed
    assert run(f"test -d /proc/{handle.pid} && echo there").stdout == "there\n"
    sandbox.commands.send_stdin(handle.pid, "one\n")
    for stdout, _, _ in handle:
        assert stdout == "got one\n", stdout
        break
    handle.disconnect()
    again = sandbox.commands.connect(handle.pid)
    assert sandbox.commands.kill(handle.pid) and not sandbox.commands.kill(999999)
    error = refused(CommandExitException, again.wait)
    assert error.exit_code == -1, error
    assert [one for one in sandbox.commands.list() if one.pid == handle.pid] == []
    handle = run("cat; echo end", background=True, stdin=True)
    sandbox.commands.send_stdin(handle.pid, "a")
    sandbox.commands.close_stdin(handle.pid)
    assert handle.wait().stdout == "aend\n"
    assert run("cat").stdout == ""
    # A sandbox that goes takes its commands with it, and says so.
    handle = run("sleep 1000", background=True)
    sandbox.kill()
    refused(TimeoutException, handle.wait)


class Shown:
    """What a terminal has shown, until it shows something."""

    def __init__(self, handle):
        self.handle, self.text = handle, ""

    def until(self, word):
        # It may have come with what came before.
        while word not in self.text:
            shown = next(iter(self.handle), None)
            assert shown is not None, f"it has never shown {word}: {self.text}"
            self.text += (shown[2] or b"").decode()
        return self


def terminals():
    sandbox = box(envs={"GIVEN": "yes"})
    pty = sandbox.pty
    terminal = pty.create(PtySize(rows=30, cols=100), cwd="/tmp", envs={"MORE": "a 'b'"}, timeout=0)
    assert sandbox.commands.run(f"cat /proc/{terminal.pid}/comm").stdout == "bash\n"
    assert [one.cmd for one in sandbox.commands.list() if one.pid == terminal.pid] == ["/bin/bash"]
    shown = Shown(terminal)
    pty.send_stdin(terminal.pid, b"stty -echo; stty size; echo $GIVEN $MORE $PWD $TERM end\n")
    shown.until("30 100").until("yes a 'b' /tmp xterm-256color end")
    assert not shown.text.lstrip().startswith(str(terminal.pid)), shown.text
    pty.resize(terminal.pid, PtySize(rows=40, cols=120))
    pty.send_stdin(terminal.pid, b"stty size\n")
    shown.until("40 120")
    # Who leaves it finds it again, and one who types what viewers leave by stays.
    terminal.disconnect()
    again = pty.connect(terminal.pid)
    shown = Shown(again)
    pty.send_stdin(terminal.pid, b"echo rea''dy; read -r -n 1 -s key; printf 'got %q\\n' \"$key\"\n")
    shown.until("ready")
    pty.send_stdin(terminal.pid, b"\x1d")
    shown.until("got $'\\035'")
    pty.stream_input(terminal.pid, [b"echo str", b"eam", b"ed; exit 3\n"])
    shown.until("streamed")
    assert refused(CommandExitException, again.wait).exit_code == 3
    refused(NotFoundException, lambda: pty.connect(terminal.pid))
    refused(SandboxException, lambda: pty.create(PtySize(rows=0, cols=100)), "rows")
    refused(InvalidArgumentException, lambda: pty.create(PtySize(rows=30, cols=100), cwd="/nowhere"))
    killed = pty.create(PtySize(rows=30, cols=100))
    assert pty.kill(killed.pid) and not pty.kill(999999)
    assert refused(CommandExitException, killed.wait).exit_code != 0
    late = pty.create(PtySize(rows=30, cols=100), timeout=1)
    refused(TimeoutException, late.wait)
    deadline = time.monotonic() + 30
    while sandbox.commands.list() != []:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    sandbox.kill()

    async def awaited():
        sandbox = await AsyncSandbox.create(allow_internet_access=False)
        seen = []
        terminal = await sandbox.pty.create(PtySize(rows=30, cols=100), on_data=lambda data: seen.append(data))
        await sandbox.pty.send_stdin(terminal.pid, b"echo $((6 * 7)); exit\n")
        assert (await terminal.wait()).exit_code == 0
        assert b"42\r\n" in b"".join(seen), seen
        await sandbox.kill()

    asyncio.run(awaited())


def files():
    sandbox = box()
    fs = sandbox.files
    info = fs.write("some/where/a file.txt", "one\n")
    assert info.name == "a file.txt" and info.path.endswith("/some/where/a file.txt"), info
    assert fs.read("some/where/a file.txt") == "one\n"
    assert fs.read("some/where/a file.txt", format="bytes") == b"one\n"
    large = bytes(range(256)) * 40000
    fs.write("/tmp/large", large)
    assert bytes(fs.read("/tmp/large", format="bytes")) == large
    assert sum(len(piece) for piece in fs.read("/tmp/large", format="stream")) == len(large)
    written = fs.write_files([{"path": "/tmp/x/1", "data": "eins"}, {"path": "/tmp/x/2", "data": b"\x00zwei"}])
    assert [one.path for one in written] == ["/tmp/x/1", "/tmp/x/2"], written
    assert fs.read("/tmp/x/2", format="bytes") == b"\x00zwei"
    listed = {one.name: one for one in fs.list("/tmp/x")}
    assert listed["1"].type == FileType.FILE and listed["1"].size == 4 and listed["1"].path == "/tmp/x/1", listed
    assert [one.path for one in fs.list("/tmp", depth=2) if one.name == "2"] == ["/tmp/x/2"]
    assert fs.exists("/tmp/x/1") and not fs.exists("/tmp/x/3")
    assert fs.make_dir("/tmp/new/dir") and not fs.make_dir("/tmp/new/dir")
    assert fs.rename("/tmp/x/1", "/tmp/new/eins").path == "/tmp/new/eins"
    sandbox.commands.run("ln -s eins /tmp/new/link; chmod 640 /tmp/new/eins")
    info = fs.get_info("/tmp/new/eins")
    assert (info.permissions, info.mode & 0o777, info.type) == ("-rw-r-----", 0o640, FileType.FILE), info
    assert fs.get_info("/tmp/new/link").symlink_target, fs.get_info("/tmp/new/link")
    fs.remove("/tmp/new")
    assert not fs.exists("/tmp/new")
    refused(NotFoundException, lambda: fs.read("/tmp/nowhere"))
    refused(NotFoundException, lambda: fs.list("/tmp/nowhere"))
    signed = sandbox.download_url("/tmp/x/2")
    assert urllib.request.urlopen(signed).read() == b"\x00zwei"
    for wrong in [signed.replace("signature=v1_", "signature=v1_x"), signed.replace("x%2F2", "large").replace("x/2", "large")]:
        error = refused(urllib.error.HTTPError, lambda: urllib.request.urlopen(wrong))
        assert error.code == 401, error
    late = sandbox.download_url("/tmp/x/2", use_signature_expiration=1)
    time.sleep(2.1)
    assert refused(urllib.error.HTTPError, lambda: urllib.request.urlopen(late)).code == 401
    # One sandbox's token opens no other.
    other = box()
    mixed = urllib.request.Request(signed, headers={"E2b-Sandbox-Id": other.sandbox_id})
    assert urllib.request.urlopen(mixed).read() == b"\x00zwei"
    other.kill()
    sandbox.kill()


def watching():
    sandbox = box()
    fs, run = sandbox.files, sandbox.commands.run
    fs.make_dir("/tmp/w/old")
    fs.write("/tmp/w/there", "1")

    def heard(watcher, wanted):
        events, deadline = [], time.monotonic() + 30
        while not wanted <= {(one.type.value, one.name) for one in events}:
            assert time.monotonic() < deadline, (wanted, events)
            time.sleep(0.1)
            events += watcher.get_new_events()
        return events

    watcher, deep = fs.watch_dir("/tmp/w"), fs.watch_dir("/tmp/w", recursive=True)
    assert watcher.get_new_events() == []
    fs.write("/tmp/w/there", "2")
    fs.write("/tmp/w/new", "3")
    fs.write("/tmp/w/old/deep", "4")
    run("cd /tmp/w; echo 5 >> there; chmod 600 there; mv new other; mkdir -p made/below; echo 6 > made/below/file; rm other")
    plain = {("write", "there"), ("create", "new"), ("write", "new"), ("chmod", "there"), ("rename", "new"), ("create", "other"), ("create", "made"), ("remove", "other")}
    events = heard(watcher, plain)
    assert not [one for one in events if "belljar" in one.name or "/" in one.name], events
    heard(deep, plain | {("create", "old/deep"), ("create", "made/below"), ("create", "made/below/file")})
    run("mv /tmp/w/made /tmp/w/moved")
    heard(deep, {("rename", "made"), ("create", "moved"), ("create", "moved/below/file")})
    run("echo 7 > /tmp/w/moved/below/file")
    heard(deep, {("write", "moved/below/file")})
    watcher.stop()
    refused(SandboxException, watcher.get_new_events, "stopped")
    refused(NotFoundException, lambda: fs.watch_dir("/tmp/nowhere"))
    refused(InvalidArgumentException, lambda: fs.watch_dir("/tmp/w/there"))
    sandbox.kill()

    async def awaited():
        sandbox = await AsyncSandbox.create(allow_internet_access=False)
        seen, left = [], []
        await sandbox.files.make_dir("/tmp/w")
        handle = await sandbox.files.watch_dir("/tmp/w", on_event=lambda event: seen.append(event.name), on_exit=lambda error: left.append(error), recursive=True)
        await sandbox.files.write("/tmp/w/a/file", "1")
        deadline = time.monotonic() + 30
        while "a/file" not in seen:
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(0.1)
        await handle.stop()
        assert left == [None], left
        await sandbox.kill()

    asyncio.run(awaited())


def ports():
    sandbox = box()
    sandbox.commands.run("cd /tmp && echo seen > index.html && exec python3 -m http.server 8000", background=True)
    host = sandbox.get_host(8000)
    # Not every resolver knows names below localhost.
    address = "http://127.0.0.1:" + host.rsplit(":")[-1] + "/index.html"
    deadline = time.monotonic() + 30
    while True:
        try:
            assert urllib.request.urlopen(urllib.request.Request(address, headers={"Host": host})).read() == b"seen\n"
            break
        except urllib.error.HTTPError as error:
            assert error.code == 502 and time.monotonic() < deadline, error
            time.sleep(0.2)
    sandbox.files.write("kept", "1")
    assert sandbox.pause(keep_memory=False)
    assert Sandbox.list().next_items()[0].state == SandboxState.PAUSED and not sandbox.is_running()
    again = Sandbox.connect(sandbox.sandbox_id)
    assert again.files.read("kept") == "1" and again.get_info().state == SandboxState.RUNNING
    assert again.commands.list() == []
    again.kill()


def repositories():
    sandbox = box()
    sandbox.commands.run("git init -q -b main far && cd far && git -c user.name=F -c user.email=f@x commit -q --allow-empty -m far")
    sandbox.git.clone("file:///$HOME/far".replace("$HOME", sandbox.commands.run("echo -n $HOME").stdout.lstrip("/")), "near")
    sandbox.files.write("near/file", "one")
    sandbox.git.add("near")
    sandbox.git.commit("near", "first", author_name="Ada", author_email="ada@example.org")
    assert sandbox.git.status("near").ahead == 1
    sandbox.kill()


def concurrent():
    async def one(number):
        sandbox = await AsyncSandbox.create(allow_internet_access=False)
        told = await sandbox.commands.run(f"echo {number}")
        await sandbox.files.write("f", str(number))
        assert (told.stdout, await sandbox.files.read("f")) == (f"{number}\n", str(number))
        await sandbox.kill()

    async def all():
        await asyncio.gather(*(one(number) for number in range(6)))

    asyncio.run(all())


globals()[sys.argv[1]]()
print("ok", flush=True)
# The client's HTTP library (pyqwest) has threads of its own that abort the interpreter, now and then, when it ends before them.
os._exit(0)
