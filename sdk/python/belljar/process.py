"""Commands and code in a sandbox, and shells that keep running."""

from __future__ import annotations

import posixpath
import signal
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Dict, List, Optional, Union, cast

from . import charts
from .errors import (
    DaytonaBadRequestError,
    DaytonaNotFoundError,
    DaytonaProcessExecutionTimeoutError,
)
from .models import (
    CodeRunParams,
    Command,
    ExecuteResponse,
    ExecutionArtifacts,
    Language,
    PtySessionInfo,
    PtySize,
    Session,
    SessionCommandLogsResponse,
    SessionExecuteRequest,
    SessionExecuteResponse,
)
from .pty import PtyHandle
from .text import bytes_of, check_names, seconds, text_of

if TYPE_CHECKING:
    from .sandbox import Sandbox

OnText = Callable[[str], Union[None, Awaitable[None]]]

# Both outputs in one, since callers get one text; bash where there is one, as people expect.
BOTH = "exec 2>&1; for s in /bin/bash /usr/bin/bash sh; do command -v $s >/dev/null && break; done; "
# The longest command that is one word; what is longer is read by the shell, which leaves it no input of its own.
LONGEST_WORD = 100_000
# The most that a result holds of what a command has written.
MOST_OUTPUT = "64M"
DROPPED = "\nbelljar: there was more than 64 MiB of output, and the rest was dropped\n"
RUNS = {
    "python": "exec python3 -u - \"$@\" 2>&1",
    "javascript": "exec node - \"$@\" 2>&1",
    # Types are taken away and not looked at, which needs no package.
    "typescript": "exec node --experimental-strip-types --no-warnings --input-type=module-typescript - \"$@\" 2>&1",
}
SHELL = "for s in /bin/bash /usr/bin/bash; do [ -x $s ] && exec $s -i -l; done; exec sh -i"
TOLD = {
    "out_of_memory": "\nbelljar: the memory limit of the sandbox was passed\n",
    "output_limit": "\nbelljar: the output limit was passed\n",
    "cpu_time_exceeded": "\nbelljar: the CPU time of the sandbox was used up\n",
    "forbidden_syscall": "\nbelljar: a system call that is forbidden ended it\n",
}


class Process:
    """Commands, code, sessions and terminals of a sandbox."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._link = sandbox._link

    def exec(
        self, command: str, cwd: Optional[str] = None, env: Optional[Dict[str, str]] = None, timeout: Optional[float] = None
    ) -> ExecuteResponse:
        """Runs a command by a shell, at most `timeout` seconds long. One that fails is a result."""
        if not command.strip():
            raise DaytonaBadRequestError("command: is empty", kind="invalid")
        if len(command.encode("utf-8", "surrogateescape")) > LONGEST_WORD:
            return self._run(["sh", "-c", BOTH + "exec $s"], command, cwd, env, timeout)
        return self._run(["sh", "-c", BOTH + 'exec $s -c "$1"', "sh", command], "", cwd, env, timeout)

    def code_run(
        self,
        code: str,
        params: Optional[CodeRunParams] = None,
        timeout: Optional[float] = None,
        *,
        language: Optional[Language] = None,
        warm: Optional[str] = None,
    ) -> ExecuteResponse:
        """Runs a piece of code in the sandbox's language, or in another. Charts that it shows are in `artifacts`.

        With `warm` it runs by the warm template of that name, in a sandbox of its own: this one's files are not there. What it
        wrote to standard error comes behind the rest of `result` then, and how it came to be run is in `additional_properties["warm"]`.
        """
        spoken = str(getattr(language, "value", language) or self._sandbox.language)
        if spoken not in RUNS:
            raise DaytonaBadRequestError(f"language: `{spoken}` is none of {', '.join(RUNS)}", kind="invalid")
        given = params or CodeRunParams()
        shows = spoken == "python" and "matplotlib" in code
        if shows:
            code = charts.with_charts(code)
        if warm is not None:
            told = self._run_warm(warm, spoken, code, given, timeout)
        else:
            if spoken == "javascript":
                # Words begin where they do for a file.
                code = f"process.argv.splice(1, 1);{code}"
            told = self._run(["sh", "-c", RUNS[spoken], "sh", *(given.argv or [])], code, None, given.env, timeout)
        if shows:
            told.result, found = charts.taken(told.result)
            told.artifacts = ExecutionArtifacts(told.result, found)
        return told

    def _inside(self, cwd: Optional[str]) -> Optional[str]:
        """A directory that may count from where commands begin."""
        if not cwd or cwd.startswith("/"):
            return cwd or None
        return posixpath.join(self._sandbox.get_work_dir(), cwd)

    def _run_warm(
        self, warm: str, language: str, code: str, given: CodeRunParams, timeout: Optional[float]
    ) -> ExecuteResponse:
        check_names(given.env)
        told = self._link.ask(
            "code", warm=warm, lang=language, code=code, file=list(given.argv or []), env=dict(given.env or {}),
            timeout=seconds(timeout) if timeout else None, output_limit=MOST_OUTPUT,
        )
        return self._told(told, timeout)

    def _run(
        self, command: List[str], text: str, cwd: Optional[str], env: Optional[Dict[str, str]], timeout: Optional[float]
    ) -> ExecuteResponse:
        check_names(env)
        told = self._link.ask(
            "exec", name=self._sandbox.id, command=command, input=text, workdir=self._inside(cwd),
            env={**self._sandbox.env, **(env or {})}, timeout=seconds(timeout) if timeout else None, output_limit=MOST_OUTPUT,
        )
        return self._told(told, timeout)

    @staticmethod
    def _told(told: Dict[str, Any], timeout: Optional[float]) -> ExecuteResponse:
        status, output = told["status"], text_of(told, "stdout") + text_of(told, "stderr")
        truncated = bool(told.get("stdout_truncated"))
        if truncated:
            output += DROPPED
        if status == "timed_out":
            error = DaytonaProcessExecutionTimeoutError(
                f"the command took longer than {timeout} s; it had written: {output}", kind="timed_out", data=told
            )
            error.output = output
            raise error
        if status == "setup_failed":
            code, output = -1, output + str((told["error"] or {}).get("message", ""))
        elif told["exit_code"] is not None:
            code = int(told["exit_code"])
        else:
            code, output = 128 + signal_number(told["signal"]), output + TOLD.get(status, "")
        return ExecuteResponse(code, output, ExecutionArtifacts(output), status, truncated, told)

    # Sessions.

    def create_session(self, session_id: str) -> None:
        """Starts a shell that keeps running: directory, variables and functions stay from one command to the next."""
        self._link.ask("session.create", sandbox=self._sandbox.id, id=session_id)

    def list_sessions(self) -> List[Session]:
        """All shells that run."""
        told = self._link.ask("session.ls", sandbox=self._sandbox.id)["sessions"]
        return [_session(one) for one in told if one["kind"] == "shell" and one["ended"] is None]

    def get_session(self, session_id: str) -> Session:
        """One of them."""
        for one in self.list_sessions():
            if one.session_id == session_id:
                return one
        raise DaytonaNotFoundError(f"session: there is no `{session_id}`", kind="not_found")

    def delete_session(self, session_id: str) -> None:
        """Ends one, with all that it has started."""
        self.get_session(session_id)
        self._link.ask("session.rm", sandbox=self._sandbox.id, id=session_id)

    def execute_session_command(
        self, session_id: str, req: SessionExecuteRequest, timeout: Optional[float] = None
    ) -> SessionExecuteResponse:
        """Gives lines to a shell, and waits for their end unless `run_async` is set."""
        later = bool(req.run_async or req.var_async)
        told = self._link.ask(
            "session.exec", sandbox=self._sandbox.id, id=session_id, lines=req.command, detach=later,
            timeout=seconds(timeout) if timeout and not later else None,
        )
        if later:
            return SessionExecuteResponse(str(told["job"]))
        logs = _logs(told)
        if told["end"] is not None and told["end"]["timed_out"]:
            error = DaytonaProcessExecutionTimeoutError(f"it took longer than {timeout} s", kind="timed_out", data=told)
            error.output = logs.output
            raise error
        return SessionExecuteResponse(str(told["job"]), _code(told["end"]), logs.output, logs.stdout, logs.stderr)

    def get_session_command(self, session_id: str, command_id: str) -> Command:
        """What became of lines; without an exit code as long as they run."""
        for one in self.get_session(session_id).commands:
            if one.id == command_id:
                return one
        raise DaytonaNotFoundError(f"command: there is no `{command_id}` in session `{session_id}`", kind="not_found")

    def get_session_command_logs(self, session_id: str, command_id: str) -> SessionCommandLogsResponse:
        """What lines have written so far."""
        return _logs(self._link.ask("session.logs", sandbox=self._sandbox.id, id=session_id, job=_job(command_id)))

    async def get_session_command_logs_async(
        self, session_id: str, command_id: str, on_stdout: OnText, on_stderr: OnText
    ) -> None:
        """Hears what lines write, as it comes, until they end."""
        import asyncio

        from .work import in_thread

        loop = asyncio.get_running_loop()
        heard: "asyncio.Queue[Optional[tuple[str, bytes]]]" = asyncio.Queue()

        def tell(stream: str, data: bytes) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, (stream, data))

        async def follow() -> None:
            try:
                await in_thread(
                    self._link.ask, "session.logs", on_output=tell, sandbox=self._sandbox.id, id=session_id,
                    job=_job(command_id), follow=True,
                )
            finally:
                heard.put_nowait(None)

        task = asyncio.ensure_future(follow())
        try:
            while True:
                one = await heard.get()
                if one is None:
                    break
                said = (on_stdout if one[0] == "stdout" else on_stderr)(one[1].decode("utf-8", "replace"))
                if said is not None:
                    await said
            await task
        finally:
            task.cancel()

    def send_session_command_input(self, session_id: str, command_id: str, data: str) -> None:
        """A line for lines that were started with `run_async`."""
        line = data if data.endswith("\n") else data + "\n"
        self._link.ask("session.input", sandbox=self._sandbox.id, id=session_id, job=_job(command_id), input=line)

    # Terminals.

    def create_pty_session(
        self, id: str, cwd: Optional[str] = None, envs: Optional[Dict[str, str]] = None, pty_size: Optional[PtySize] = None
    ) -> PtyHandle:
        """Starts a shell with a terminal."""
        env = {**self._sandbox.env, "TERM": "xterm-256color", **(envs or {})}
        command = ["env", *(f"{name}={value}" for name, value in env.items()), "sh", "-c", SHELL]
        self._link.ask("pty.create", sandbox=self._sandbox.id, id=id, workdir=self._inside(cwd), command=command)
        handle = self.connect_pty_session(id)
        if pty_size is not None:
            handle.resize(pty_size)
        return handle

    def connect_pty_session(self, session_id: str) -> PtyHandle:
        """Looks at a terminal that runs."""
        self.get_pty_session_info(session_id)
        return PtyHandle(self._link, self._sandbox.id, session_id)

    def list_pty_sessions(self) -> List[PtySessionInfo]:
        """All terminals that run."""
        told = self._link.ask("session.ls", sandbox=self._sandbox.id)["sessions"]
        live = [one for one in told if one["kind"] == "terminal" and one["ended"] is None]
        return [PtySessionInfo(one["id"], True) for one in live if all(job["end"] is None for job in one["jobs"])]

    def get_pty_session_info(self, session_id: str) -> PtySessionInfo:
        """One of them."""
        for one in self.list_pty_sessions():
            if one.id == session_id:
                return one
        raise DaytonaNotFoundError(f"terminal: there is no `{session_id}`", kind="not_found")

    def kill_pty_session(self, session_id: str) -> None:
        """Ends one."""
        self.get_pty_session_info(session_id)
        self._link.ask("session.rm", sandbox=self._sandbox.id, id=session_id)

    def resize_pty_session(self, session_id: str, pty_size: PtySize) -> PtySessionInfo:
        """Gives a terminal another size."""
        self._link.ask(
            "pty.resize", sandbox=self._sandbox.id, id=session_id, columns=pty_size.cols, rows=pty_size.rows
        )
        return self.get_pty_session_info(session_id)


def signal_number(name: Optional[str]) -> int:
    """Of a signal that has that name; of SIGKILL where nobody knows."""
    found = getattr(signal.Signals, name, None) if name else None
    return int(cast(int, found)) if found is not None else int(signal.SIGKILL)


def _job(command_id: str) -> int:
    if not command_id.isdigit():
        raise DaytonaNotFoundError(f"command: there is no `{command_id}`", kind="not_found")
    return int(command_id)


def _code(end: Optional[Dict[str, Any]]) -> Optional[int]:
    if end is None:
        return None
    return end["exit_code"] if end["exit_code"] is not None else 124 if end["timed_out"] else -1


def _session(told: Dict[str, Any]) -> Session:
    return Session(told["id"], [Command(str(one["job"]), one["text"], _code(one["end"])) for one in told["jobs"]])


def _logs(told: Dict[str, Any]) -> SessionCommandLogsResponse:
    stdout, stderr = (bytes_of(told[key]).decode("utf-8", "replace") for key in ("stdout", "stderr"))
    dropped = "\nbelljar: there was more than is kept of a session, and some was dropped\n" if told["truncated"] else ""
    return SessionCommandLogsResponse(stdout + stderr + dropped, stdout, stderr)

