"""Inspect AI's own evaluation, with its scripted model, and its own checks of what a sandbox must do: `ok` at the end."""

import asyncio
import inspect as reflection
import os
import tempfile

import belljar.inspect
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash, python
from inspect_ai.util import SandboxEnvironmentSpec
from inspect_ai.util._sandbox import self_check


def evaluated():
    def call(tool, **given):
        return ModelOutput.for_tool_call("mockllm/model", tool, given)

    outputs = [
        call("bash", command="cat note.txt; echo $MODE"),
        call("python", code="print(6 * 7)"),
        call("bash", command="python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 3)'"),
        ModelOutput.from_content("mockllm/model", "it is 42"),
    ]
    for one in outputs:
        # Else words are counted, by tables of another machine.
        one.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    config = belljar.inspect.BelljarSandboxConfig(memory=0.5, env={"MODE": "test"})
    task = Task(
        dataset=[Sample(input="What is it?", target="42", files={"note.txt": "hello\n"})],
        solver=[use_tools(bash(timeout=30), python(timeout=30)), generate()],
        scorer=includes(),
        sandbox=SandboxEnvironmentSpec("belljar", config),
    )
    logs = eval(task, model=get_model("mockllm/model", custom_outputs=outputs), display="none", log_dir=tempfile.mkdtemp(dir="."))
    assert logs[0].status == "success", logs[0].error.message
    assert logs[0].results.scores[0].metrics["accuracy"].value == 1.0, logs[0].results
    told = [message.error.message if message.error else message.text for message in logs[0].samples[0].messages if message.role == "tool"]
    assert told[0] == "hello\ntest\n" and told[1].strip() == "42" and "unreachable" in told[2].lower(), told


# Makes another user with `useradd`, for which there is no root in a sandbox.
NOT_HERE = {"test_exec_as_user"}


async def checked():
    kind = belljar.inspect.BelljarSandboxEnvironment
    environments = await kind.sample_init("checks", None, {})
    done, failed = 0, []
    for name, check in vars(self_check).items():
        if name.startswith("test_") and reflection.iscoroutinefunction(check) and name not in NOT_HERE:
            try:
                await check(environments["default"])
            except Exception as error:
                failed.append(f"{name}: {error!r}")
            done += 1
    await kind.sample_cleanup("checks", None, environments, False)
    assert not failed, "\n".join(failed)
    return done


evaluated()
assert asyncio.run(checked()) > 30
for one in (belljar.inspect.BelljarSandboxEnvironment._daytona,):
    asyncio.run(one.close())
print("ok")
