"""belljar for Inspect AI: `Task(..., sandbox="belljar")` where this package is installed, else after `import belljar.inspect`.

Each sample has a sandbox of its own, without a network unless the configuration says otherwise. Needs the package `inspect_ai`.
"""

from __future__ import annotations

import posixpath
from typing import Any, Dict, List, Literal, NoReturn, Optional, Union, overload

from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxConnection,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    SandboxEnvironmentLimits,
    SandboxUnavailableError,
    SandboxUserUnsupportedError,
    sandboxenv,
)
from pydantic import BaseModel, ConfigDict

from .aio import AsyncDaytona, AsyncSandbox
from .errors import DaytonaError, DaytonaGoneError, DaytonaNotFoundError
from .models import CreateSandboxFromSnapshotParams, DaytonaConfig, Resources
from .process import signal_number
from .text import seconds, text_of
from .work import in_thread


class BelljarSandboxConfig(BaseModel):
    """What the sandboxes of a task are: `SandboxEnvironmentSpec("belljar", BelljarSandboxConfig(image="python"))`."""

    model_config = ConfigDict(frozen=True)
    image: Optional[str] = None
    # `none`, `open`, or targets as of `--allow`, with commas between them.
    net: str = "none"
    cpu: Optional[float] = None
    # GiB.
    memory: Optional[float] = None
    disk: Optional[float] = None
    env: Dict[str, str] = {}

    def __hash__(self) -> int:
        # Samples of the same configuration are known by it.
        return hash(self.model_dump_json())


@sandboxenv(name="belljar")
class BelljarSandboxEnvironment(SandboxEnvironment):
    """A sandbox of a sample."""

    # Of all tasks of the program, which it outlives.
    _daytona: Optional[AsyncDaytona] = None

    def __init__(self, sandbox: AsyncSandbox) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._home: Optional[str] = None
        self._user: Optional[List[str]] = None

    @classmethod
    def _of_all(cls) -> AsyncDaytona:
        if BelljarSandboxEnvironment._daytona is None:
            BelljarSandboxEnvironment._daytona = AsyncDaytona(DaytonaConfig(net="none"))
        return BelljarSandboxEnvironment._daytona

    @classmethod
    def config_deserialize(cls, config: Dict[str, Any]) -> BaseModel:
        return BelljarSandboxConfig(**config)

    @classmethod
    async def sample_init(
        cls, task_name: str, config: Optional[SandboxEnvironmentConfigType], metadata: Dict[str, str]
    ) -> Dict[str, SandboxEnvironment]:
        wish = config or BelljarSandboxConfig()
        if not isinstance(wish, BelljarSandboxConfig):
            # A text would be the path of a file to Inspect.
            raise TypeError(f"sandbox: {config!r} is no BelljarSandboxConfig: give `BelljarSandboxConfig(image=...)`")
        params = CreateSandboxFromSnapshotParams(
            snapshot=wish.image, env_vars=dict(wish.env), labels={"inspect": task_name.replace("/", "-")},
            resources=Resources(wish.cpu, wish.memory, wish.disk), network_block_all=wish.net == "none",
            # `open` is what a sandbox has whose maker says nothing, and is said by nothing.
            network_allow_list=None if wish.net in ("none", "open") else wish.net,
        )
        daytona = cls._of_all()
        sandbox = await (_open() if wish.net == "open" else daytona).create(params)
        return {"default": cls(sandbox)}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: Optional[SandboxEnvironmentConfigType],
        environments: Dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        for one in environments.values():
            try:
                await one.as_type(BelljarSandboxEnvironment)._sandbox.delete()
            except DaytonaGoneError as error:
                # It has gone by itself, as with a limit that was passed.
                if error.kind != "not_found":
                    raise

    async def exec(
        self,
        cmd: List[str],
        input: Union[str, bytes, None] = None,
        cwd: Optional[str] = None,
        env: Optional[Dict[str, str]] = None,
        user: Optional[str] = None,
        timeout: Optional[int] = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        if user is not None and user not in await self._names():
            raise SandboxUserUnsupportedError(f"a sandbox has one user: it cannot execute as `{user}`")
        most = SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE
        try:
            told = await in_thread(
                self._link.ask, "exec", name=self._sandbox.id, command=cmd, input=input if input is not None else b"",
                workdir=posixpath.join(await self._directory(), cwd) if cwd else None,
                env={**self._sandbox.env, **(env or {})}, timeout=seconds(timeout) if timeout else None,
                # One more for each stream: more than the limit is an error, and as much is none.
                output_limit=str(2 * most + 2),
            )
        except DaytonaError as error:
            if error.kind == "not_executable":
                raise PermissionError(error.message) from error
            if error.kind == "no_command":
                return ExecResult(False, 127, "", f"{error.message}\n")
            raise SandboxUnavailableError(str(error)) from error
        stdout, stderr = text_of(told, "stdout"), text_of(told, "stderr")
        if told["status"] == "timed_out":
            raise TimeoutError(f"the command took longer than {timeout} s")
        if told["status"] == "output_limit" or any(len(one.encode()) > most for one in (stdout, stderr)):
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR, (stdout or stderr)[:most])
        if told["status"] == "setup_failed":
            why = told["error"] or {}
            if why.get("kind") == "not_executable":
                raise PermissionError(why.get("message"))
            if why.get("kind") == "no_command":
                return ExecResult(False, 127, stdout, f"{why.get('message')}\n")
            raise SandboxUnavailableError(str(why.get("message")))
        code = told["exit_code"] if told["exit_code"] is not None else 128 + signal_number(told["signal"])
        return ExecResult(code == 0, code, stdout, stderr)

    async def write_file(self, file: str, contents: Union[str, bytes]) -> None:
        data = contents.encode() if isinstance(contents, str) else contents
        try:
            # A file is replaced as a whole, for which it needs no permission of its own.
            if not int((await self._sandbox.fs.get_file_info(file)).permissions, 8) & 0o222:
                raise PermissionError(f"{file}: nobody may write to it")
        except DaytonaNotFoundError:
            pass
        try:
            await self._sandbox.fs.upload_file(data, file)
        except DaytonaError as error:
            _raise(error, file)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> Union[str, bytes]:
        try:
            if (await self._sandbox.fs.get_file_info(file)).size > SandboxEnvironmentLimits.MAX_READ_FILE_SIZE:
                raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
            data = await self._sandbox.fs.download_file(file)
        except DaytonaError as error:
            _raise(error, file)
        return data.decode() if text else data

    async def connection(self, *, user: Optional[str] = None) -> SandboxConnection:
        return SandboxConnection(type="belljar", command=f"belljar exec -it {self._sandbox.id} -- sh")

    def default_polling_interval(self) -> float:
        # It is on this machine.
        return 0.2

    @property
    def _link(self) -> Any:
        return self._sandbox._of._link

    async def _names(self) -> List[str]:
        """What the one user is called, and his number."""
        if self._user is None:
            self._user = (await self._sandbox.process.exec("id -un; id -u")).result.split()
        return self._user

    async def _directory(self) -> str:
        if self._home is None:
            self._home = await self._sandbox.get_work_dir()
        return self._home


_opened: Optional[AsyncDaytona] = None


def _open() -> AsyncDaytona:
    """Makes sandboxes that reach public addresses."""
    global _opened
    if _opened is None:
        _opened = AsyncDaytona(DaytonaConfig(net="open"))
    return _opened


def _raise(error: DaytonaError, file: str) -> NoReturn:
    """An error about a file as Python has it."""
    kinds = {
        "not_found": FileNotFoundError, "denied": PermissionError, "is_a_directory": IsADirectoryError, "not_a_file": IsADirectoryError,
    }
    kind = kinds.get(error.kind)
    if kind is None or (isinstance(error, DaytonaNotFoundError) and error.data.get("path") is None):
        raise SandboxUnavailableError(str(error)) from error
    raise kind(f"{file}: {error.message}") from error
