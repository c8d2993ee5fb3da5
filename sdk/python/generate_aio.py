"""Writes belljar/aio.py: the classes of belljar for programs that wait for many things at once.

    python3 sdk/python/generate_aio.py            writes it
    python3 sdk/python/generate_aio.py --check    says whether it is up to date

Each class has the methods of its blocking sibling, with `await`. A method is done in a thread, by `belljar.work.in_thread`.
"""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "belljar"
TARGET = PACKAGE / "aio.py"
# The modules whose classes have siblings, and those classes.
SOURCES = {
    "filesystem": ["FileSystem"],
    "git": ["Git"],
    "lsp": ["LspServer"],
    "interpreter": ["CodeInterpreter"],
    "pty": ["PtyHandle"],
    "process": ["Process"],
    "sandbox": ["Sandbox"],
    "services": ["SnapshotService", "VolumeService"],
    "daytona": ["Daytona"],
}
CLASSES = [name for names in SOURCES.values() for name in names]
# Objects that hang below another, which is made with them.
PARTS = {
    "Sandbox": {"process": "Process", "fs": "FileSystem", "git": "Git", "code_interpreter": "CodeInterpreter"},
    "Daytona": {"snapshot": "SnapshotService", "volume": "VolumeService"},
}
# What a sandbox is known by. It is that of the sibling, which a method may change.
KNOWN = {
    "Sandbox": {
        "id": "str", "name": "str", "state": "SandboxState", "labels": "Dict[str, str]", "kept": "bool", "env": "Dict[str, str]",
        "snapshot": "str", "cpu": "float", "memory": "float", "disk": "float", "created_at": "str", "network_block_all": "bool",
    },
    "PtyHandle": {"session_id": "str"},
}
# Blocking by a generator, which a thread cannot give piece by piece, or wrapped by hand below.
BY_HAND = {
    ("FileSystem", "download_file_stream"), ("Daytona", "list"), ("PtyHandle", "__iter__"), ("PtyHandle", "is_connected"),
    ("Process", "get_session_command_logs_async"), ("Process", "create_pty_session"), ("Process", "connect_pty_session"),
    ("PtyHandle", "wait"), ("Sandbox", "create_lsp_server"), ("Daytona", "client"),
}
HAND = {
    "FileSystem": '''
    async def download_file_stream(self, remote_path: str) -> AsyncIterator[bytes]:
        """A file's bytes, as they come."""
        async for piece in each(self._of.download_file_stream(remote_path)):
            yield piece
''',
    "Daytona": '''
    @property
    def client(self) -> Client:
        """belljar's own verbs, which block."""
        return self._of.client

    async def list(self, query: Optional[ListSandboxesQuery] = None) -> AsyncIterator[AsyncSandbox]:
        """The sandboxes of this machine that the query means."""
        async for sandbox in each(self._of.list(query)):
            yield AsyncSandbox(sandbox)

    async def __aenter__(self) -> AsyncDaytona:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
''',
    "PtyHandle": '''
    def is_connected(self) -> bool:
        """Whether it is looked at."""
        return self._of.is_connected()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """What it shows, as it comes, until it ends."""
        async for data in each(iter(self._of)):
            yield data

    def listen(self, on_data: OnData) -> None:
        """Has all that it shows heard by `on_data`, while the program does other things. `wait` waits for the last of it."""
        self._heard = asyncio.ensure_future(self._hear(on_data))

    async def _hear(self, on_data: OnData) -> None:
        async for data in self:
            said = on_data(data)
            if said is not None:
                await said

    async def wait(self, on_data: Optional[OnData] = None, timeout: Optional[float] = None) -> PtyResult:
        """Waits for its end."""
        if self._heard is None:
            self.listen(on_data or (lambda _: None))
        assert self._heard is not None
        done, _ = await asyncio.wait([self._heard], timeout=timeout)
        if not done:
            raise DaytonaTimeoutError(f"the terminal has not ended within {timeout} s", kind="timed_out")
        await self._heard
        return self._of.result
''',
    "Process": '''
    async def create_pty_session(
        self,
        id: str,
        on_data: Optional[OnData] = None,
        cwd: Optional[str] = None,
        envs: Optional[Dict[str, str]] = None,
        pty_size: Optional[PtySize] = None,
    ) -> AsyncPtyHandle:
        """Starts a shell with a terminal, whose `on_data` hears what it shows."""
        handle = AsyncPtyHandle(await in_thread(self._of.create_pty_session, id, cwd, envs, pty_size))
        if on_data is not None:
            handle.listen(on_data)
        return handle

    async def connect_pty_session(self, session_id: str, on_data: Optional[OnData] = None) -> AsyncPtyHandle:
        """Looks at a terminal that runs."""
        handle = AsyncPtyHandle(await in_thread(self._of.connect_pty_session, session_id))
        if on_data is not None:
            handle.listen(on_data)
        return handle

    async def get_session_command_logs_async(
        self, session_id: str, command_id: str, on_stdout: OnText, on_stderr: OnText
    ) -> None:
        """Hears what lines write, as it comes, until they end."""
        await self._of.get_session_command_logs_async(session_id, command_id, on_stdout, on_stderr)
''',
    "Sandbox": '''
    def create_lsp_server(self, language_id: Union[LspLanguageId, str], path_to_project: str) -> AsyncLspServer:
        """A language server for a project in it."""
        return AsyncLspServer(self._of.create_lsp_server(language_id, path_to_project))

    async def __aenter__(self) -> AsyncSandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.state is not SandboxState.DESTROYED:
            await self.delete()
''',
}
BEGIN = '''"""belljar for programs that wait for many things at once: `AsyncDaytona` and what belongs to it.

Written by generate_aio.py from the blocking classes: do not edit. A task that is cancelled cancels what it has asked for.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, AsyncIterator, Awaitable, BinaryIO, Callable, Dict, List, Optional, Union, overload

from .client import Client
from .errors import DaytonaTimeoutError
from .image import Image
from .work import each, in_thread
'''
ALIASES = "OnData = Callable[[bytes], Union[None, Awaitable[None]]]\n"


def imports(modules):
    """Every public name that the siblings have, from the module that defines it."""
    lines = []
    for module in ["models", "filesystem", "git", "lsp", "interpreter", "pty", "process", "sandbox", "services", "daytona"]:
        names = []
        for node in modules[module].body:
            if isinstance(node, ast.ClassDef):
                names.append(node.name)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("OnText", "Params", "Language"):
                names.append(node.targets[0].id)
        lines.append((module, names))
    return lines


def in_words(annotation):
    """An annotation with the siblings' names."""
    text = ast.unparse(annotation)
    if text.startswith("'"):
        text = ast.literal_eval(text)
    for name in ("Sandbox", "PtyHandle", "LspServer"):
        text = text.replace(f"'{name}'", name)
        if text == name:
            return f"Async{name}"
    return text


def signature(arguments):
    """How it is called, and how its sibling is."""
    said, given = ["self"], []
    plain = arguments.args[1:]
    for argument, default in zip(plain, [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults):
        said.append(parameter(argument, default))
        given.append(value(argument))
    if arguments.kwonlyargs:
        said.append("*")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        said.append(parameter(argument, default))
        given.append(f"{argument.arg}={value(argument)}")
    return ", ".join(said), "".join(f", {one}" for one in given)


def parameter(argument, default):
    text = f"{argument.arg}: {in_words(argument.annotation)}"
    return text if default is None else f"{text} = {ast.unparse(default)}"


def value(argument):
    return f"{argument.arg}._of" if in_words(argument.annotation) == "AsyncSandbox" else argument.arg


def method(of, node):
    said, given = signature(node.args)
    result = in_words(node.returns)
    decorators = [ast.unparse(one) for one in node.decorator_list]
    if "property" in decorators:
        return ["", "    @property", f"    def {node.name}(self) -> {result}:", *docstring(node), f"        return self._of.{node.name}"]
    lines = ["", f"    async def {node.name}({said}) -> {result}:", *docstring(node)]
    if "overload" in decorators:
        return ["", "    @overload", f"    async def {node.name}({said}) -> {result}: ..."]
    call = f"await in_thread(self._of.{node.name}{given})"
    if result == "None":
        return [*lines, f"        {call}"]
    if result.startswith("Async"):
        return [*lines, f"        return {result}({call})"]
    if any(isinstance(one, ast.FunctionDef) and one.name == node.name and one is not node for one in of.body):
        # Overloaded: which of its forms this is, the sibling knows.
        return [*lines, f"        told: {result} = {call}", "        return told"]
    return [*lines, f"        return {call}"]


def docstring(node):
    text = ast.get_docstring(node)
    return [f'        """{" ".join(text.split())}"""'] if text else []


def sibling(node):
    name = node.name
    text = " ".join((ast.get_docstring(node) or "").split())
    lines = ["", "", f"class Async{name}:", f'    """{text}"""', ""]
    if name == "Daytona":
        lines += ["    def __init__(self, config: Optional[DaytonaConfig] = None) -> None:", "        self._of = Daytona(config)"]
    else:
        lines += [f"    def __init__(self, of: {name}) -> None:", "        self._of = of"]
        if name == "PtyHandle":
            lines.append("        self._heard: Optional[asyncio.Future[None]] = None")
    for part, kind in PARTS.get(name, {}).items():
        lines.append(f"        self.{part} = Async{kind}(self._of.{part})")
    for known, kind in KNOWN.get(name, {}).items():
        lines += ["", "    @property", f"    def {known}(self) -> {kind}:", f'        """As the sibling has it."""', f"        return self._of.{known}"]
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_") and (name, one.name) not in BY_HAND:
            lines += method(node, one)
        elif isinstance(one, ast.Assign):
            lines += ["", f"    {ast.unparse(one)}"]
    return lines + HAND.get(name, "").rstrip("\n").splitlines()


def main():
    names = list(dict.fromkeys(["models", *SOURCES]))
    modules = {name: ast.parse((PACKAGE / f"{name}.py").read_text()) for name in names}
    body = []
    for module, classes in SOURCES.items():
        for node in modules[module].body:
            if isinstance(node, ast.ClassDef) and node.name in classes:
                body += sibling(node)
    text = "\n".join(body)
    lines = [BEGIN.rstrip("\n")]
    for module, every in imports(modules):
        used = sorted(name for name in every if is_word(name, text))
        if used:
            lines.append(f"from .{module} import {', '.join(used)}" if len(used) < 5 else f"from .{module} import (\n" + "".join(f"    {one},\n" for one in used) + ")")
    whole = "\n".join([*lines, "", ALIASES]) + text + "\n"
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != whole:
            sys.exit("aio.py is out of date: run `python3 sdk/python/generate_aio.py`")
        return
    TARGET.write_text(whole)


def is_word(name, text):
    import re

    return re.search(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", text) is not None


if __name__ == "__main__":
    main()
