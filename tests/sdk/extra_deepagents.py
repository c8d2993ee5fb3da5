"""Deep Agents with a scripted model, whose backend is a sandbox: `ok` at the end."""

from belljar import Daytona
from belljar.deepagents import BelljarSandbox
from deepagents import create_deep_agent
from deepagents.backends.protocol import SandboxBackendProtocol
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage


class Scripted(GenericFakeChatModel):
    def bind_tools(self, tools, **_):
        return self


def call(name, **given):
    return AIMessage(content="", tool_calls=[{"name": name, "args": given, "id": f"{name}-{len(str(given))}", "type": "tool_call"}])


with Daytona() as daytona:
    backend = BelljarSandbox(daytona.create(), timeout=60)
    assert isinstance(backend, SandboxBackendProtocol) and backend.id == backend.sandbox.id
    # What the protocol says, one by one.
    assert (backend.execute("echo out; exit 3").output, backend.execute("exit 3").exit_code) == ("out\n", 3)
    late = backend.execute("echo so far; sleep 60", timeout=1)
    assert late.exit_code == 124 and "so far" in late.output and "1 seconds" in late.output, late
    assert backend.execute("head -c 200000 /dev/zero | tr '\\0' x").truncated
    told = backend.upload_files([("/tmp/work/a.txt", b"one\ntwo\n"), ("/proc/nowhere/b", b"x")])
    assert told[0].error is None and told[1].error, told
    told = backend.download_files(["/tmp/work/a.txt", "/tmp/nowhere", "/tmp"])
    assert [one.content for one in told] == [b"one\ntwo\n", None, None], told
    assert [one.error for one in told] == [None, "file_not_found", "is_directory"], told
    assert [(one["path"], one["is_dir"]) for one in backend.ls("/tmp/work").entries] == [("/tmp/work/a.txt", False)]
    assert backend.ls("/tmp/nowhere").error
    assert [(one["line"], one["text"]) for one in backend.grep("two", "/tmp/work").matches] == [(2, "two")]
    assert backend.grep("o", "/tmp/work", max_count=1).truncated
    assert backend.grep("one", "/tmp/work", "*.py").matches == []
    assert [one["path"] for one in backend.glob("*.txt", "/tmp/work").matches], backend.glob("*.txt", "/tmp/work")
    assert backend.read("/tmp/work/a.txt").file_data["content"].splitlines()[0].endswith("one")
    assert backend.edit("/tmp/work/a.txt", "two", "three").occurrences == 1
    assert backend.write("/tmp/work/new.py", "print(6 * 7)\n").error is None
    # An agent that works by them.
    model = Scripted(messages=iter([
        call("write_file", file_path="/tmp/work/sum.py", content="print(sum(range(10)))\n"),
        call("execute", command="python3 /tmp/work/sum.py"),
        call("edit_file", file_path="/tmp/work/sum.py", old_string="10", new_string="11"),
        call("execute", command="python3 /tmp/work/sum.py && cat /etc/hostname"),
        AIMessage(content="it is 55"),
    ]))
    agent = create_deep_agent(model=model, backend=backend)
    told = agent.invoke({"messages": [{"role": "user", "content": "Sum the numbers"}]})["messages"]
    said = [message.content for message in told if message.type == "tool"]
    assert len(said) == 4 and "45" in said[1] and "55" in said[3], said
    assert told[-1].content == "it is 55"
print("ok")
