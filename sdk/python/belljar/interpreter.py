"""Python that remembers: code after code with the same globals."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from .errors import DaytonaBadRequestError, DaytonaNotFoundError, DaytonaTimeoutError
from .text import seconds

if TYPE_CHECKING:
    from .sandbox import Sandbox

# The context of whoever names none, and what stands before a context's name among the sandbox's sessions.
DEFAULT = "default"
PREFIX = "interpreter-"
# Seconds for one piece of code, where nobody says otherwise.
TIMEOUT = 600.0


@dataclass
class OutputMessage:
    """A piece of what code writes."""

    output: str


@dataclass
class ExecutionError:
    """An exception that nobody caught."""

    name: str
    value: str
    traceback: str = ""


@dataclass
class ExecutionResult:
    """What came of code."""

    stdout: str = ""
    stderr: str = ""
    error: Optional[ExecutionError] = None


@dataclass
class InterpreterContext:
    """Globals that stay."""

    id: str
    cwd: str = ""
    language: str = "python"
    active: bool = True


class CodeInterpreter:
    """Python that remembers."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._link = sandbox._link

    def _code(self, context: str, code: str, **given: Any) -> Any:
        return self._link.ask(
            "code", sandbox=self._sandbox.id, context=f"{PREFIX}{context}", lang="python", code=code, **given
        )

    def run_code(
        self,
        code: str,
        *,
        context: Optional[InterpreterContext] = None,
        on_stdout: Optional[Callable[[OutputMessage], None]] = None,
        on_stderr: Optional[Callable[[OutputMessage], None]] = None,
        on_error: Optional[Callable[[ExecutionError], None]] = None,
        envs: Optional[Dict[str, str]] = None,
        timeout: Optional[float] = None,
    ) -> ExecutionResult:
        """Runs code with the globals that earlier code has left. The value of a last expression is not shown."""
        name = context.id if context is not None else DEFAULT
        if context is not None and all(one.id != name for one in self._all()):
            raise DaytonaNotFoundError(f"context: there is no `{name}`", kind="not_found")
        written: Dict[str, List[bytes]] = {"stdout": [], "stderr": []}

        def tell(stream: str, data: bytes) -> None:
            written[stream].append(data)
            listener = on_stdout if stream == "stdout" else on_stderr
            if listener is not None:
                listener(OutputMessage(data.decode("utf-8", "replace")))

        limit = TIMEOUT if timeout is None else timeout
        told = self._code(name, _wrapped(code, envs), on_output=tell, timeout=seconds(limit) if limit > 0 else "none")
        end = told["end"] or {}
        if end.get("timed_out"):
            raise DaytonaTimeoutError(f"the code took longer than {limit} s, and was interrupted", kind="timed_out")
        stdout, stderr = (b"".join(written[stream]).decode("utf-8", "replace") for stream in ("stdout", "stderr"))
        result = ExecutionResult(stdout, stderr)
        raised = end.get("error")
        if raised and raised["name"] != "SystemExit":
            result.error = ExecutionError(raised["name"], raised["value"], raised["traceback"])
            if on_error is not None:
                on_error(result.error)
        return result

    def create_context(self, cwd: Optional[str] = None) -> InterpreterContext:
        """Globals of their own."""
        name = secrets.token_hex(8)
        begin = "import os as _os\n" + (f"_os.chdir({cwd!r})\n" if cwd else "") + "print(_os.getcwd(), end='')\ndel _os"
        told = self._code(name, begin)
        raised = (told["end"] or {}).get("error")
        if raised:
            self._link.ask("session.rm", sandbox=self._sandbox.id, id=f"{PREFIX}{name}")
            raise DaytonaBadRequestError(f"cwd: {raised['value']}", kind="invalid")
        return InterpreterContext(name, str(told["stdout"]))

    def _all(self) -> List[InterpreterContext]:
        told = self._link.ask("session.ls", sandbox=self._sandbox.id)["sessions"]
        names = [one["id"] for one in told if one["kind"] == "python" and one["ended"] is None]
        return [InterpreterContext(name[len(PREFIX):]) for name in names if name.startswith(PREFIX)]

    def list_contexts(self) -> List[InterpreterContext]:
        """Those that were made."""
        return [one for one in self._all() if one.id != DEFAULT]

    def delete_context(self, context: InterpreterContext) -> None:
        """Ends one."""
        if context.id == DEFAULT:
            raise DaytonaBadRequestError("context: the default one cannot be removed", kind="invalid")
        self._link.ask("session.rm", sandbox=self._sandbox.id, id=f"{PREFIX}{context.id}")


def _wrapped(code: str, envs: Optional[Dict[str, str]]) -> str:
    """A statement at the end, so that no value is the last; variables hold for this code alone."""
    if not envs:
        return f"{code}\npass"
    return (
        f"import os as __os\n__old = dict(__os.environ)\n__os.environ.update({dict(envs)!r})\n"
        f"try:\n    exec(compile({code!r}, '<cell>', 'exec'), globals())\n"
        "finally:\n    __os.environ.clear(); __os.environ.update(__old)\npass"
    )
