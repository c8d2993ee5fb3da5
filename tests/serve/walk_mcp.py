"""Each part walks the tools of belljar with the official client: `walk_mcp.py PART`, `ok` at the end."""

import asyncio
import base64
import json
import os
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

# The smallest picture that there is.
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def local(*options):
    own = {name: value for name, value in os.environ.items() if name.startswith(("BELLJAR_", "PATH", "HOME"))}
    return stdio_client(StdioServerParameters(command=os.environ["BELLJAR"], args=["mcp", *options], env=own))


def remote():
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    return streamable_http_client(os.environ["URL"] + "/mcp", http_client=httpx2.AsyncClient(headers=headers, timeout=60))


async def ask(client, tool, fails=False, **arguments):
    told = await client.call_tool(tool, arguments)
    assert bool(told.is_error) == fails, (tool, arguments, told)
    return told.content


async def text(client, tool, **arguments):
    content = await ask(client, tool, **arguments)
    assert all(block.type == "text" for block in content), content
    return "\n".join(block.text for block in content)


async def told(client, tool, **arguments):
    return json.loads(await text(client, tool, **arguments))


async def tools(client, where):
    """Everything that a model does in a day; `where` names the sandbox, if it has to."""
    listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    wanted = {"create_sandbox", "list_sandboxes", "remove_sandbox", "run_code", "run_command", "read_file", "write_file", "edit_file"}
    assert wanted <= set(listed) and all(tool.description for tool in listed.values()), listed
    for tool in listed.values():
        assert tool.input_schema["type"] == "object", tool
    assert listed["read_file"].annotations.read_only_hint and not listed["run_code"].annotations.read_only_hint

    assert await text(client, "run_code", code="x = 6\nx * 7", **where) == "42"
    assert await text(client, "run_code", code="print(x)", **where) == "6\n"
    assert "NameError" in await text(client, "run_code", code="print(x)", context="another", **where)
    raised = await text(client, "run_code", code="1 / 0", **where)
    assert "ZeroDivisionError" in raised and "line 1" in raised, raised
    assert "interrupted" in await text(client, "run_code", code="while True: pass", timeout=1, context="slow", **where)
    assert await text(client, "run_code", code="let y = 4; y * 2", language="javascript", **where) == "8"
    assert await text(client, "run_code", code="cd /; pwd", language="shell", **where) == "/\n"
    shown = await ask(client, "run_code", code=f"""
class Dot:
    def _repr_png_(self):
        import base64
        return base64.b64decode({DOT!r})
Dot()""", **where)
    pictures = [block for block in shown if block.type == "image"]
    assert [(block.mime_type, block.data) for block in pictures] == [("image/png", DOT)], shown

    assert await text(client, "run_command", command="echo out; echo err >&2; exit 3", **where) == (
        "stdout:\nout\n\nstderr:\nerr\n\n[exit code 3]")
    assert await text(client, "run_command", command="true", **where) == "[no output]"
    assert await text(client, "run_command", command="cat; echo $GIVEN; pwd", stdin="in ", env={"GIVEN": "a b"}, workdir="/tmp", **where) == "in a b\n/tmp\n"
    assert "its time was over" in await text(client, "run_command", command="sleep 60", timeout=0.5, **where)
    long = await text(client, "run_command", command="seq 100000", **where)
    assert long.startswith("1\n2\n") and long.endswith("100000\n") and "are left out here" in long and len(long) < 70000

    written = await told(client, "write_file", path="work/note.txt", content="one\ntwo\nthree\nä\n", **where)
    assert written["bytes"] == 17, written
    assert await text(client, "read_file", path="work/note.txt", **where) == "one\ntwo\nthree\nä\n"
    assert await text(client, "read_file", path="work/note.txt", first_line=2, lines=1, **where) == "two\n\n[lines 2 to 2; there is more]"
    assert (await told(client, "edit_file", path="work/note.txt", old="two", new="zwei", **where))["replaced"] == 1
    assert "it is there 4 times" in (await ask(client, "edit_file", fails=True, path="work/note.txt", old="e", new="E", **where))[0].text
    assert (await told(client, "edit_file", path="work/note.txt", old="e", new="E", all=True, **where))["replaced"] == 4
    assert await text(client, "run_command", command="cat work/note.txt", **where) == "onE\nzwEi\nthrEE\nä\n"
    assert "it is not in the file" in (await ask(client, "edit_file", fails=True, path="work/note.txt", old="none", new="x", **where))[0].text
    await told(client, "write_file", path="work/dot.png", content=DOT, base64=True, **where)
    [picture] = await ask(client, "read_file", path="work/dot.png", **where)
    assert (picture.type, picture.mime_type, picture.data) == ("image", "image/png", DOT), picture
    await ask(client, "run_command", command="head -c 1000 /dev/urandom > work/chance", **where)
    assert "no text" in (await ask(client, "read_file", fails=True, path="work/chance", **where))[0].text
    assert "no such" in (await ask(client, "read_file", fails=True, path="nowhere", **where))[0].text.lower()
    await ask(client, "run_command", command="seq 1 500000 > work/many; head -c 400000 /dev/zero | tr '\\0' y > work/long", **where)
    assert await text(client, "read_file", path="work/many", first_line=499999, **where) == "499999\n500000\n"
    many = await text(client, "read_file", path="work/many", **where)
    assert many.startswith("1\n2\n") and many.endswith("; there is more]") and len(many) < 300_000, many[-100:]
    assert "beyond the last line, which is 500000" in (await ask(client, "read_file", fails=True, path="work/many", first_line=500001, **where))[0].text
    assert "at least 1" in (await ask(client, "read_file", fails=True, path="work/many", lines=0, **where))[0].text
    assert "there is more" in await text(client, "read_file", path="work/long", **where)
    names = {entry["path"] for entry in await told(client, "list_files", path="work", **where)}
    assert {"note.txt", "dot.png"} <= {name.rsplit("/", 1)[-1] for name in names}, names
    [found] = await told(client, "search_files", text="ZWEI", ignore_case=True, path="work", **where)
    assert (found["line"], found["content"]) == (2, "zwEi"), found
    assert len(await told(client, "search_files", name="*.png", path="work", **where)) == 1
    assert "one of them must be there" in (await ask(client, "search_files", fails=True, **where))[0].text

    git = {"path": "work/repository", **where}
    await told(client, "git", operation="init", arguments={"branch": "main"}, **git)
    await told(client, "write_file", path="work/repository/a.txt", content="a\n", **where)
    await told(client, "git", operation="add", arguments={"files": ["a.txt"]}, **git)
    who = {"author": "Ada", "email": "ada@example.org"}
    await told(client, "git", operation="commit", arguments={"message": "first", **who}, **git)
    [commit] = (await told(client, "git", operation="log", arguments={"limit": 5}, **git))["commits"]
    assert commit["message"].startswith("first"), commit
    refused = await ask(client, "git", fails=True, operation="clone", arguments={"url": "https://example.org/x", "password_env": "HOME"}, **where)
    assert "password_env" in refused[0].text, refused

    # What is wrong is told to the model, with its cure, and ends nothing.
    for tool, arguments, why in [
        ("run_code", {"code": "1", "language": "cobol"}, "cobol"),
        ("run_code", {}, "code"),
        ("run_command", {"command": "true", "net": "open"}, "net"),
        ("run_command", {"command": " "}, "command: is empty"),
        ("run_command", {"command": "true", "timeout": -1}, "timeout"),
        ("run_command", {"command": "true", "sandbox": "nowhere"}, "list_sandboxes"),
    ]:
        refused = await ask(client, tool, fails=True, **{**where, **arguments})
        assert why in refused[0].text, (tool, refused)


async def local_tools(mode):
    async with Client(local(), mode=mode) as client:
        assert client.session.protocol_version.startswith("2026" if mode == "auto" else "2025"), client.session
        assert "Sandboxes on this machine" in client.instructions
        await tools(client, {})
        # Another one is of its own, and is gone when it is removed.
        for unknown in [{"net": "open"}, {"mount": "/etc:/x"}]:
            assert next(iter(unknown)) in (await ask(client, "create_sandbox", fails=True, **unknown))[0].text
        other = (await told(client, "create_sandbox", env={"WHO": "other"}))["sandbox"]
        assert await text(client, "run_command", command="echo $WHO; ls work 2>&1 | head -1", sandbox=other) != ""
        assert await text(client, "run_command", command="echo $WHO", sandbox=other) == "other\n"
        assert len(await told(client, "list_sandboxes")) == 2
        await told(client, "remove_sandbox", sandbox=other)
        assert "there is no" in (await ask(client, "run_command", fails=True, command="true", sandbox=other))[0].text
        assert len(await told(client, "list_sandboxes")) == 1


async def old():
    await local_tools("legacy")


async def new():
    await local_tools("auto")


async def network():
    """No tool goes beyond what the options say."""
    async with Client(local()) as client:
        assert (await told(client, "get_network"))["net"] == "none"
        for wanted in [{"mode": "open"}, {"mode": "only", "allow": ["example.org"]}]:
            refused = await ask(client, "set_network", fails=True, **wanted)
            assert "more than this server allows" in refused[0].text and "belljar mcp --net open" in refused[0].text, refused
        assert (await told(client, "set_network", mode="none"))["net"] == "none"
    async with Client(local("--allow", "example.org:443", "--allow", "example.net")) as client:
        now = await told(client, "get_network")
        assert (now["net"], now["allow"]) == ("only", ["example.org:443", "example.net"]), now
        assert (await told(client, "set_network", mode="only", allow=["example.net"]))["allow"] == ["example.net"]
        assert (await told(client, "set_network", mode="none"))["allow"] == []
        for wanted in [{"mode": "open"}, {"mode": "only", "allow": ["*.example.net"]}, {"mode": "only", "allow": ["example.org"]}]:
            assert "more than this server allows" in (await ask(client, "set_network", fails=True, **wanted))[0].text, wanted
        assert (await told(client, "set_network", mode="only", allow=["example.org:443"]))["allow"] == ["example.org:443"]
        assert (await told(client, "set_network", mode="only", allow=["Example.NET.:80"]))["net"] == "only"
        assert "more than this server allows" in (await ask(client, "set_network", fails=True, mode="only", allow=["example.org:80"]))[0].text
    async with Client(local("--allow", "10.0.0.0/8", "--allow", "*.example.org")) as client:
        for narrower in [["10.1.0.0/16:443"], ["a.example.org"], ["*.b.example.org", "tcp://10.0.0.1"]]:
            assert (await told(client, "set_network", mode="only", allow=narrower))["net"] == "only", narrower
        for wider in ["10.0.0.0/7", "example.org", "udp://a.example.org", "0.0.0.0/0", "host"]:
            assert "more than this server allows" in (await ask(client, "set_network", fails=True, mode="only", allow=[wider]))[0].text, wider
    async with Client(local("--net", "open")) as client:
        assert (await told(client, "get_network"))["net"] == "open"
        assert (await told(client, "set_network", mode="only", allow=["example.net", "@python"]))["net"] == "only"
        for rule in ["host:8080", "HOST", "host.:8080", "127.0.0.1", "10.0.0.0/8"]:
            assert "more than this server allows" in (await ask(client, "set_network", fails=True, mode="only", allow=[rule]))[0].text, rule
        assert (await told(client, "set_network", mode="open", deny=["example.org"]))["net"] == "open"


async def terms():
    """Limits and the sandboxes that are meant come from the options."""
    async with Client(local("--memory", "96M", "--disk", "24M")) as client:
        assert await text(client, "run_command", command="dd if=/dev/zero of=big bs=1M count=64 2>/dev/null; echo $?") == "1\n"
        # The whole sandbox ends with its memory; that its files are gone is said before another one is there.
        ended = await ask(client, "run_command", fails=True, command="python3 -c 'x = bytearray(300 << 20)'")
        assert "its memory limit was passed" in ended[0].text and "belljar" not in ended[0].text, ended
        said = []
        for _ in range(50):
            again = await client.call_tool("run_command", {"command": "ls big 2>/dev/null | wc -l"})
            said.append(again.content[0].text)
            if not again.is_error:
                break
            await asyncio.sleep(0.1)
        assert said[-1] == "0\n" and any("its files are gone" in word and "call again" in word for word in said), said
    async with Client(local("--sandbox", "mine")) as client:
        assert await text(client, "run_command", command="cat note") == "of the user\n"
        assert "there is no" in (await ask(client, "run_command", fails=True, command="true", sandbox="other"))[0].text
        await text(client, "run_command", command="echo seen > answer")


async def calls():
    """Many at once, and one that is not waited for any more."""
    async with Client(local()) as client:
        answers = await asyncio.gather(*(text(client, "run_command", command=f"sleep 0.2; echo {at}") for at in range(20)))
        assert answers == [f"{at}\n" for at in range(20)], answers
        assert len(await told(client, "list_sandboxes")) == 1
        slow = asyncio.create_task(text(client, "run_command", command="echo begun > mark; sleep 4242", timeout=60))
        while (await text(client, "run_command", command="cat mark 2>/dev/null; true")) != "begun\n":
            await asyncio.sleep(0.05)
        slow.cancel()
        for _ in range(100):
            if await text(client, "run_command", command="ps ax | grep -c '[s]leep 4242'; true") == "0\n":
                return
            await asyncio.sleep(0.1)
        raise AssertionError("what was cancelled goes on")


async def http():
    for mode in ["legacy", "auto"]:
        async with Client(remote(), mode=mode) as client:
            assert "create_sandbox makes one" in (await ask(client, "run_command", fails=True, command="true"))[0].text
            box = (await told(client, "create_sandbox"))["sandbox"]
            await tools(client, {"sandbox": box})
            # One that another program made is nothing that a model sees.
            assert "there is no" in (await ask(client, "run_command", fails=True, command="true", sandbox="other"))[0].text
            assert [one["sandbox"] for one in await told(client, "list_sandboxes")] == [box]
            await told(client, "remove_sandbox", sandbox=box)


asyncio.run(globals()[sys.argv[1]]())
print("ok")
