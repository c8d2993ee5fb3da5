"""Walks groups of calls of `daytona_sdk` 0.130, which many programs have, against `belljar serve`: `ok` at the end."""

import asyncio
import time

from daytona_sdk import (
    AsyncDaytona,
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    Daytona,
    DaytonaError,
    DaytonaNotFoundError,
    FileUpload,
    Image,
    PtySize,
    SessionExecuteRequest,
)

BARE = {"network_block_all": True}


def refused(kind, act, word):
    try:
        act()
    except kind as error:
        assert word in str(error), error
        return error
    raise AssertionError(f"nobody refused {word}")


# This client takes the end of the last line off what commands print.
daytona = Daytona()
sandbox = daytona.create(CreateSandboxFromSnapshotParams(language="python", env_vars={"GIVEN": "yes"}, labels={"for": "old"}, **BARE))
told = sandbox.process.exec("echo $GIVEN; exit 3")
assert (told.exit_code, told.result.rstrip()) == (3, "yes"), told
told = sandbox.process.code_run("print(6 * 7)")
assert (told.exit_code, told.result.rstrip()) == (0, "42"), told
assert sandbox.process.exec("pwd", cwd="/tmp").result.rstrip() == "/tmp"

sandbox.fs.upload_file(b"one", "some/file.txt")
assert sandbox.fs.download_file("some/file.txt") == b"one"
sandbox.fs.upload_files([FileUpload(source=b"1", destination="many/1"), FileUpload(source=b"2", destination="many/2")])
assert sorted(one.name for one in sandbox.fs.list_files("many")) == ["1", "2"]
assert sandbox.fs.get_file_info("many/1").size == 1
assert [one.line for one in sandbox.fs.find_files("some", "one")] == [1]
sandbox.fs.move_files("many/1", "many/3")
sandbox.fs.delete_file("many/3")
refused(DaytonaError, lambda: sandbox.fs.get_file_info("many/3"), "")

sandbox.process.create_session("s")
sandbox.process.execute_session_command("s", SessionExecuteRequest(command="X=kept; cd /tmp"))
told = sandbox.process.execute_session_command("s", SessionExecuteRequest(command="echo $X; pwd"))
assert told.exit_code == 0 and told.stdout == "kept\n/tmp\n", told
run = sandbox.process.execute_session_command("s", SessionExecuteRequest(command="echo a; sleep 0.3; echo b >&2", run_async=True))
out, err = [], []
asyncio.run(sandbox.process.get_session_command_logs_async("s", run.cmd_id, out.append, err.append))
assert ("".join(out), "".join(err)) == ("a\n", "b\n"), (out, err)
sandbox.process.delete_session("s")

terminal = sandbox.process.create_pty_session(id="one", pty_size=PtySize(rows=30, cols=100))
terminal.wait_for_connection()
terminal.send_input("stty size; exit 7\n")
shown = []
assert terminal.wait(on_data=shown.append).exit_code == 7
assert b"30 100" in b"".join(shown), shown

sandbox.process.exec("git init -q -b main r && cd r && git -c user.name=F -c user.email=f@x commit -q --allow-empty -m far")
assert sandbox.git.status("r").current_branch == "main"
sandbox.fs.upload_file(b"x", "r/f")
sandbox.git.add("r", ["f"])
assert len(sandbox.git.commit("r", "first", "Ada", "ada@example.org").sha) == 40

listed = daytona.list({"for": "old"})
assert [one.id for one in listed.items] == [sandbox.id], listed
assert daytona.get(sandbox.id).id == sandbox.id
assert sandbox.get_preview_link(3000).url.startswith("http://3000-")
sandbox.set_labels({"for": "other"})
sandbox.stop()
assert sandbox.state == "stopped", sandbox.state
sandbox.start()
assert sandbox.fs.download_file("some/file.txt") == b"one"
sandbox.delete()
refused(DaytonaNotFoundError, lambda: daytona.get(sandbox.id), "not found")

image = Image.base("python:3.12-slim").env({"BUILT": "yes"}).run_commands("echo made > /tmp/made")
built = daytona.create(CreateSandboxFromImageParams(image=image, **BARE))
assert built.process.exec("cat /tmp/made; echo $BUILT").result.split() == ["made", "yes"]
built.delete()
volume = daytona.volume.create("kept")
assert daytona.volume.get("kept").id == volume.id
daytona.volume.delete(volume)


async def awaited():
    async with AsyncDaytona() as daytona:
        made = await asyncio.gather(*(daytona.create(CreateSandboxFromSnapshotParams(**BARE)) for _ in range(3)))
        told = await asyncio.gather(*(one.process.exec("echo here") for one in made))
        assert [one.result.rstrip() for one in told] == ["here"] * 3
        await asyncio.gather(*(one.delete() for one in made))


asyncio.run(awaited())
begun = time.monotonic()
refused(DaytonaError, lambda: daytona.create(CreateSandboxFromSnapshotParams(snapshot="no-such-snapshot")), "no-such-snapshot")
assert time.monotonic() - begun < 10
print("ok")
