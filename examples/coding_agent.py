"""A coding agent: a model writes code, runs it, reads what went wrong and mends it.

    python3 examples/coding_agent.py
    python3 examples/coding_agent.py --model my_module:answer --task "Write a program that ..."

The model is any function from a list of messages to a text with one action, an object of JSON. The one here is a script of answers,
so that the example runs without any. What the model says is run in a sandbox without a network, and goes with it.
"""

import argparse
import importlib
import json

from belljar import CreateSandboxFromSnapshotParams, Daytona, DaytonaError, DaytonaTimeoutError

TASK = "Write roman.py with a function `roman(number)`, and make `python3 -m unittest -q` pass."
TESTS = """
import unittest
from roman import roman

class Roman(unittest.TestCase):
    def test_numbers(self):
        for number, text in ((1, "I"), (4, "IV"), (9, "IX"), (14, "XIV"), (2026, "MMXXVI")):
            self.assertEqual(roman(number), text)
"""
SYSTEM = """You work in a directory. Answer with one object of JSON, and nothing else:
{"do": "write", "path": ..., "text": ...}   {"do": "run", "command": ...}   {"do": "done", "say": ...}"""
FIRST = "def roman(number):\n    return ''.join(s * (number // n) for n, s in ((10, 'X'), (5, 'V'), (1, 'I')))\n"
SECOND = """
PARTS = ((1000, 'M'), (900, 'CM'), (500, 'D'), (400, 'CD'), (100, 'C'), (90, 'XC'), (50, 'L'), (40, 'XL'), (10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I'))

def roman(number):
    text = ''
    for size, letters in PARTS:
        count, number = divmod(number, size)
        text += letters * count
    return text
"""


def scripted(messages):
    """A model that always does the same: it errs, looks, and mends it."""
    script = [
        {"do": "write", "path": "roman.py", "text": FIRST},
        {"do": "run", "command": "python3 -m unittest -q"},
        {"do": "write", "path": "roman.py", "text": SECOND},
        {"do": "run", "command": "python3 -m unittest -q"},
        {"do": "done", "say": "The tests pass."},
    ]
    return json.dumps(script[sum(message["role"] == "assistant" for message in messages)])


def act(sandbox, action):
    """Does what the model wants, and says what came of it."""
    try:
        if action["do"] == "write":
            sandbox.fs.upload_file(action["text"].encode(), action["path"])
            return f"wrote {action['path']}"
        if action["do"] == "run":
            told = sandbox.process.exec(action["command"], timeout=60)
            return f"exit code {told.exit_code}\n{told.result[-4000:]}"
        return f"there is no action `{action['do']}`"
    except DaytonaTimeoutError:
        return "it took longer than 60 seconds, and was ended"
    except (DaytonaError, KeyError) as error:
        # The model may do better when it knows.
        return f"error: {error}"


def agent(model, task, turns):
    """Works until the model is done; whether it was."""
    with Daytona() as daytona:
        sandbox = daytona.create(CreateSandboxFromSnapshotParams(network_block_all=True))
        sandbox.fs.upload_file(TESTS.encode(), "test_roman.py")
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}]
        for turn in range(1, turns + 1):
            answer = model(messages)
            messages.append({"role": "assistant", "content": answer})
            try:
                action = json.loads(answer)
            except ValueError as error:
                action, told = {"do": "say"}, f"error: that is no JSON: {error}"
            else:
                if action.get("do") == "done":
                    print(f"{turn}. done: {action.get('say')}")
                    return sandbox.process.exec("python3 -m unittest -q").exit_code == 0
                told = act(sandbox, action)
            print(f"{turn}. {action['do']} {action.get('path') or action.get('command') or ''}\n   {told.splitlines()[0]}")
            messages.append({"role": "user", "content": told})
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a function, as MODULE:NAME")
    parser.add_argument("--task", default=TASK)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    model = scripted
    if options.model:
        module, _, name = options.model.partition(":")
        model = getattr(importlib.import_module(module), name)
    passed = agent(model, options.task, options.turns)
    print("the tests pass" if passed else "the tests do not pass")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
