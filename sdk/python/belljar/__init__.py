"""belljar from Python: sandboxes for code that nobody has read.

In Daytona's names, so that code moves over. No server and no key are needed, and what a program makes goes with it:

    from belljar import Daytona

    with Daytona() as daytona:
        sandbox = daytona.create(language="python")
        print(sandbox.process.code_run("print(6 * 7)").result)

And as the command line has it, every verb a method, typed by the schemas of `belljar schema rpc`:

    with belljar.Client() as client:
        client.create(name="box")
        print(client.exec(name="box", command=["echo", "hello"])["stdout"])
        client.rm(name="box", force=True)

One `belljar rpc` process does all of it. Any number of threads may call at once; `AsyncDaytona` is for programs with an event
loop. A method of the client waits for its result; `client.begin` does not:

    call = client.begin("exec", name="box", command=["cat"], input=True)
    call.input("hello", end=True)
    print(call.result()["stdout"])

What a command prints comes as it is printed by `on_output=function(stream, data)`, which a thread of the client calls.
"""

from typing import TYPE_CHECKING, Any

from . import errors
from .charts import Chart, ChartElement, ChartType
from .client import Call, Client, Error, Lost
from .daytona import Daytona
from .errors import *  # noqa: F403  every error in Daytona's names
from .filesystem import (
    FileDownloadRequest,
    FileDownloadResponse,
    FileInfo,
    FileSystem,
    FileUpload,
    Match,
    ReplaceResult,
    SearchFilesResponse,
)
from .git import FileStatus, Git, GitCommitResponse, GitRemote, GitStatus, ListBranchResponse, ListRemotesResponse
from .image import Image
from .interpreter import CodeInterpreter, ExecutionError, ExecutionResult, InterpreterContext, OutputMessage
from .lsp import (
    CompletionItem,
    CompletionList,
    LspCompletionPosition,
    LspLanguageId,
    LspLocation,
    LspRange,
    LspServer,
    LspSymbol,
    Position,
)
from .models import (
    CodeLanguage,
    CodeRunParams,
    Command,
    CreateSandboxBaseParams,
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    CreateSandboxParams,
    CreateSnapshotParams,
    DaytonaConfig,
    ExecuteResponse,
    ExecutionArtifacts,
    ListSandboxesQuery,
    PaginatedSnapshots,
    PortPreviewUrl,
    PtyResult,
    PtySessionInfo,
    PtySize,
    Resources,
    SandboxMetrics,
    SandboxState,
    Session,
    SessionCommandLogsResponse,
    SessionExecuteRequest,
    SessionExecuteResponse,
    Snapshot,
    Volume,
    VolumeMount,
)
from .process import Process
from .pty import PtyHandle
from .sandbox import Sandbox
from .services import SnapshotService, VolumeService

if TYPE_CHECKING:
    from .aio import (
        AsyncCodeInterpreter,
        AsyncDaytona,
        AsyncFileSystem,
        AsyncGit,
        AsyncLspServer,
        AsyncProcess,
        AsyncPtyHandle,
        AsyncSandbox,
    )

__all__ = [
    "AsyncCodeInterpreter", "AsyncDaytona", "AsyncFileSystem", "AsyncGit", "AsyncLspServer", "AsyncProcess", "AsyncPtyHandle",
    "AsyncSandbox", "Call", "Chart", "ChartElement", "ChartType", "Client", "CodeInterpreter", "CodeLanguage", "CodeRunParams",
    "Command", "CompletionItem", "CompletionList", "CreateSandboxBaseParams", "CreateSandboxFromImageParams",
    "CreateSandboxFromSnapshotParams", "CreateSandboxParams", "CreateSnapshotParams", "Daytona", "DaytonaConfig",
    "Error", "ExecuteResponse", "ExecutionArtifacts", "ExecutionError", "ExecutionResult",
    "FileDownloadRequest", "FileDownloadResponse", "FileInfo", "FileStatus", "FileSystem", "FileUpload", "Git",
    "GitCommitResponse", "GitRemote", "GitStatus", "Image", "InterpreterContext", "ListBranchResponse", "ListRemotesResponse",
    "ListSandboxesQuery", "Lost", "LspCompletionPosition", "LspLanguageId", "LspLocation", "LspRange", "LspServer",
    "LspSymbol", "Match", "OutputMessage", "PaginatedSnapshots", "PortPreviewUrl", "Position", "Process", "PtyHandle",
    "PtyResult", "PtySessionInfo", "PtySize", "ReplaceResult", "Resources", "Sandbox", "SandboxMetrics", "SandboxState",
    "SearchFilesResponse", "Session", "SessionCommandLogsResponse", "SessionExecuteRequest", "SessionExecuteResponse",
    "Snapshot", "SnapshotService", "Volume", "VolumeMount", "VolumeService",
]
__all__ += errors.__all__


def __getattr__(name: str) -> Any:
    # An event loop takes as long to import as all else: those who have none do not wait for it.
    if name.startswith("Async") and name in __all__:
        from . import aio

        return getattr(aio, name)
    raise AttributeError(f"module `belljar` has no `{name}`")
