"""belljar for Deep Agents: `create_deep_agent(..., backend=BelljarSandbox(sandbox))`. Needs the package `deepagents`.

Commands and files go to the sandbox. What the package does by commands inside (edit, glob, read by lines) needs Python 3 there.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from deepagents.backends.protocol import (
    FILE_NOT_FOUND,
    INVALID_PATH,
    IS_DIRECTORY,
    PERMISSION_DENIED,
    ExecuteResponse,
    FileDownloadResponse,
    FileInfo,
    FileUploadResponse,
    GrepMatch,
    GrepResult,
    LsResult,
)
from deepagents.backends.sandbox import BaseSandbox

from .daytona import Daytona
from .errors import DaytonaError, DaytonaProcessExecutionTimeoutError
from .sandbox import Sandbox

# Seconds for a command whose caller says nothing.
TIMEOUT = 30 * 60
# The most of an output that a model is shown.
MOST_OUTPUT = 100_000
# What models know of errors, by belljar's kinds.
KNOWN = {
    "not_found": FILE_NOT_FOUND,
    "denied": PERMISSION_DENIED,
    "is_a_directory": IS_DIRECTORY,
    "not_a_file": IS_DIRECTORY,
    "invalid": INVALID_PATH,
    "misused": INVALID_PATH,
    "not_a_directory": INVALID_PATH,
}


class BelljarSandbox(BaseSandbox):
    """A sandbox as a backend. Without one it makes its own, which goes with the program."""

    def __init__(self, sandbox: Optional[Sandbox] = None, *, timeout: int = TIMEOUT) -> None:
        self._sandbox = sandbox if sandbox is not None else Daytona().create()
        self._timeout = timeout

    @property
    def id(self) -> str:
        """belljar's id of the sandbox."""
        return self._sandbox.id

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox itself."""
        return self._sandbox

    def execute(self, command: str, *, timeout: Optional[int] = None) -> ExecuteResponse:
        """Runs a command by a shell."""
        limit = self._timeout if timeout is None else timeout
        try:
            told = self._sandbox.process.exec(command, timeout=limit or None)
        except DaytonaProcessExecutionTimeoutError as error:
            return _response(f"{error.output}\nThe command took longer than {limit} seconds, and was ended.", 124)
        return _response(told.result, told.exit_code)

    def upload_files(self, files: List[Tuple[str, bytes]]) -> List[FileUploadResponse]:
        """Writes files; what could not be done with one is said of that one."""
        return [FileUploadResponse(path=path, error=self._upload(path, content)) for path, content in files]

    def _upload(self, path: str, content: bytes) -> Optional[str]:
        try:
            self._sandbox.fs.upload_file(content, path)
        except DaytonaError as error:
            return _known(error)
        return None

    def download_files(self, paths: List[str]) -> List[FileDownloadResponse]:
        """Reads files; what could not be had of one is said of that one."""
        told = []
        for path in paths:
            try:
                told.append(FileDownloadResponse(path=path, content=self._sandbox.fs.download_file(path)))
            except DaytonaError as error:
                told.append(FileDownloadResponse(path=path, error=_known(error)))
        return told

    def ls(self, path: str) -> LsResult:
        """What is in a directory."""
        try:
            entries = self._sandbox.fs.list_files(path)
        except DaytonaError as error:
            return LsResult(error=f"Path '{path}': {_known(error)}")
        return LsResult(
            entries=[FileInfo(path=one.path, is_dir=one.is_dir, size=one.size, modified_at=one.modified_at) for one in entries]
        )

    def grep(
        self, pattern: str, path: Optional[str] = None, glob: Optional[str] = None, *, max_count: Optional[int] = None
    ) -> GrepResult:
        """Lines that have a text in them. A pattern of paths is left to commands inside."""
        if glob is not None and "/" in glob:
            return super().grep(pattern, path, glob, max_count=max_count)
        try:
            lines = self._sandbox._link.ask("fs.grep", sandbox=self.id, path=path or ".", text=pattern, name=glob)["lines"]
        except DaytonaError as error:
            return GrepResult(error=f"Path '{path}': {error.message}")
        found = [GrepMatch(path=str(one["path"]), line=one["line"], text=str(one["content"])) for one in lines]
        return GrepResult(matches=found[:max_count], truncated=max_count is not None and len(found) > max_count)


def _response(output: str, exit_code: int) -> ExecuteResponse:
    return ExecuteResponse(output=output[:MOST_OUTPUT], exit_code=exit_code, truncated=len(output) > MOST_OUTPUT)


def _known(error: DaytonaError) -> str:
    return str(KNOWN.get(error.kind, error))
