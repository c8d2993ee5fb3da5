"""belljar for programs that wait for many things at once: `AsyncDaytona` and what belongs to it.

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
from .models import (
    CodeRunParams,
    Command,
    CreateSnapshotParams,
    DaytonaConfig,
    ExecuteResponse,
    Language,
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
)
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
from .git import (
    Git,
    GitCommitResponse,
    GitStatus,
    ListBranchResponse,
    ListRemotesResponse,
)
from .lsp import (
    CompletionList,
    LspCompletionPosition,
    LspLanguageId,
    LspServer,
    LspSymbol,
)
from .interpreter import (
    CodeInterpreter,
    ExecutionError,
    ExecutionResult,
    InterpreterContext,
    OutputMessage,
)
from .pty import PtyHandle
from .process import OnText, Process
from .sandbox import Sandbox
from .services import SnapshotService, VolumeService
from .daytona import Daytona, Params

OnData = Callable[[bytes], Union[None, Awaitable[None]]]


class AsyncFileSystem:
    """Files of a sandbox."""

    def __init__(self, of: FileSystem) -> None:
        self._of = of

    async def create_folder(self, path: str, mode: str = '755') -> None:
        """Makes a directory, with those above it."""
        await in_thread(self._of.create_folder, path, mode)

    async def delete_file(self, path: str, recursive: bool = False) -> None:
        """Removes a file, or a directory with all that is in it."""
        await in_thread(self._of.delete_file, path, recursive)

    async def list_files(self, path: str = '.', depth: Optional[int] = None) -> List[FileInfo]:
        """What is in a directory."""
        return await in_thread(self._of.list_files, path, depth)

    async def get_file_info(self, path: str) -> FileInfo:
        """What is known of a path."""
        return await in_thread(self._of.get_file_info, path)

    async def move_files(self, source: str, destination: str) -> None:
        """Moves a file or directory; nothing is replaced."""
        await in_thread(self._of.move_files, source, destination)

    async def set_file_permissions(self, path: str, mode: Optional[str] = None, owner: Optional[str] = None, group: Optional[str] = None) -> None:
        """Gives it another mode, in octal digits, or owner and group."""
        await in_thread(self._of.set_file_permissions, path, mode, owner, group)

    async def find_files(self, path: str, pattern: str) -> List[Match]:
        """Lines of text files that have a text in them."""
        return await in_thread(self._of.find_files, path, pattern)

    async def search_files(self, path: str, pattern: str) -> SearchFilesResponse:
        """Paths whose last part is like a pattern."""
        return await in_thread(self._of.search_files, path, pattern)

    async def replace_in_files(self, files: List[str], pattern: str, new_value: str) -> List[ReplaceResult]:
        """Replaces a text in files. What could not be done with one is said of that one."""
        return await in_thread(self._of.replace_in_files, files, pattern, new_value)

    async def upload_file(self, src: Union[bytes, str, 'os.PathLike[str]'], dst: str, timeout: Optional[float] = None) -> None:
        """Bytes, or a file of this machine, of any size. Directories that are not there are made."""
        await in_thread(self._of.upload_file, src, dst, timeout)

    async def upload_file_stream(self, source: Union[bytes, BinaryIO], remote_path: str, timeout: Optional[float] = None) -> None:
        """What a file object gives, as it gives it. The file is there when all of it is."""
        await in_thread(self._of.upload_file_stream, source, remote_path, timeout)

    async def upload_files(self, files: List[FileUpload], timeout: Optional[float] = None) -> None:
        """Several."""
        await in_thread(self._of.upload_files, files, timeout)

    @overload
    async def download_file(self, remote_path: str) -> bytes: ...

    @overload
    async def download_file(self, remote_path: str, local_path: Union[str, 'os.PathLike[str]']) -> None: ...

    async def download_file(self, remote_path: str, local_path: Union[str, 'os.PathLike[str]', None] = None) -> Optional[bytes]:
        """A file's bytes, or the same to a file of this machine, which is there when all of it is."""
        told: Optional[bytes] = await in_thread(self._of.download_file, remote_path, local_path)
        return told

    async def download_files(self, files: List[FileDownloadRequest]) -> List[FileDownloadResponse]:
        """Several. What could not be had of one is said of that one."""
        return await in_thread(self._of.download_files, files)

    async def download_file_stream(self, remote_path: str) -> AsyncIterator[bytes]:
        """A file's bytes, as they come."""
        async for piece in each(self._of.download_file_stream(remote_path)):
            yield piece


class AsyncGit:
    """Git in a sandbox."""

    def __init__(self, of: Git) -> None:
        self._of = of

    async def clone(self, url: str, path: str, branch: Optional[str] = None, commit_id: Optional[str] = None, username: Optional[str] = None, password: Optional[str] = None, insecure_skip_tls: Optional[bool] = None, depth: Optional[int] = None) -> None:
        """Clones a repository."""
        await in_thread(self._of.clone, url, path, branch, commit_id, username, password, insecure_skip_tls, depth)

    async def init(self, path: str, bare: bool = False, initial_branch: Optional[str] = None) -> None:
        """Makes one."""
        await in_thread(self._of.init, path, bare, initial_branch)

    async def status(self, path: str) -> GitStatus:
        """Where it stands, and what differs."""
        return await in_thread(self._of.status, path)

    async def add(self, path: str, files: List[str]) -> None:
        """Puts files into the next commit."""
        await in_thread(self._of.add, path, files)

    async def commit(self, path: str, message: str, author: str, email: str, allow_empty: bool = False) -> GitCommitResponse:
        """Makes a commit."""
        return await in_thread(self._of.commit, path, message, author, email, allow_empty)

    async def push(self, path: str, username: Optional[str] = None, password: Optional[str] = None, branch: Optional[str] = None, remote: Optional[str] = None, set_upstream: bool = False) -> None:
        """Gives commits to a remote."""
        await in_thread(self._of.push, path, username, password, branch, remote, set_upstream)

    async def pull(self, path: str, username: Optional[str] = None, password: Optional[str] = None, branch: Optional[str] = None, remote: Optional[str] = None) -> None:
        """Takes commits of a remote, where none of one's own are in the way."""
        await in_thread(self._of.pull, path, username, password, branch, remote)

    async def branches(self, path: str) -> ListBranchResponse:
        """The branches that are here."""
        return await in_thread(self._of.branches, path)

    async def checkout_branch(self, path: str, branch: str) -> None:
        """Goes to a branch or commit."""
        await in_thread(self._of.checkout_branch, path, branch)

    async def create_branch(self, path: str, name: str) -> None:
        """Makes a branch, and goes to it."""
        await in_thread(self._of.create_branch, path, name)

    async def delete_branch(self, path: str, name: str) -> None:
        """Removes a branch, whatever is on it."""
        await in_thread(self._of.delete_branch, path, name)

    async def reset(self, path: str, mode: Optional[str] = None, target: Optional[str] = None, files: Optional[List[str]] = None) -> None:
        """Takes files out of the next commit, or moves the branch."""
        await in_thread(self._of.reset, path, mode, target, files)

    async def restore(self, path: str, files: List[str], staged: Optional[bool] = None, worktree: Optional[bool] = None, source: Optional[str] = None) -> None:
        """Gives files back what they were."""
        await in_thread(self._of.restore, path, files, staged, worktree, source)

    async def remotes(self, path: str) -> ListRemotesResponse:
        """Other repositories that this one knows."""
        return await in_thread(self._of.remotes, path)

    async def remote_get(self, path: str, name: str) -> Optional[str]:
        """The address of one; nothing where there is none of that name."""
        return await in_thread(self._of.remote_get, path, name)

    async def remote_add(self, path: str, name: str, url: str, fetch: bool = False, overwrite: bool = False) -> None:
        """Names one."""
        await in_thread(self._of.remote_add, path, name, url, fetch, overwrite)

    async def get_config(self, key: str, scope: str = 'global', path: Optional[str] = None) -> Optional[str]:
        """A setting; nothing where it is not set."""
        return await in_thread(self._of.get_config, key, scope, path)

    async def set_config(self, key: str, value: str, scope: str = 'global', path: Optional[str] = None) -> None:
        """Sets one."""
        await in_thread(self._of.set_config, key, value, scope, path)

    async def configure_user(self, name: str, email: str, scope: str = 'global', path: Optional[str] = None) -> None:
        """Who commits."""
        await in_thread(self._of.configure_user, name, email, scope, path)

    async def dangerously_authenticate(self, username: str, password: str, host: Optional[str] = None, protocol: Optional[str] = None) -> None:
        """Refused: what unlocks other machines is not kept where code runs that nobody has read."""
        await in_thread(self._of.dangerously_authenticate, username, password, host, protocol)


class AsyncLspServer:
    """A language server for a project."""

    def __init__(self, of: LspServer) -> None:
        self._of = of

    async def start(self) -> None:
        """Starts it, where it does not run yet."""
        await in_thread(self._of.start)

    async def stop(self) -> None:
        """Ends it."""
        await in_thread(self._of.stop)

    async def did_open(self, path: str) -> None:
        """Tells it of a file."""
        await in_thread(self._of.did_open, path)

    async def did_close(self, path: str) -> None:
        """Tells it that nobody looks at a file any more."""
        await in_thread(self._of.did_close, path)

    async def document_symbols(self, path: str) -> List[LspSymbol]:
        """What a file defines."""
        return await in_thread(self._of.document_symbols, path)

    async def sandbox_symbols(self, query: str) -> List[LspSymbol]:
        """What the project defines whose name is like the query."""
        return await in_thread(self._of.sandbox_symbols, query)

    async def workspace_symbols(self, query: str) -> List[LspSymbol]:
        """Daytona's older name for `sandbox_symbols`."""
        return await in_thread(self._of.workspace_symbols, query)

    async def completions(self, path: str, position: LspCompletionPosition) -> CompletionList:
        """What could stand at a place."""
        return await in_thread(self._of.completions, path, position)


class AsyncCodeInterpreter:
    """Python that remembers."""

    def __init__(self, of: CodeInterpreter) -> None:
        self._of = of

    async def run_code(self, code: str, *, context: Optional[InterpreterContext] = None, on_stdout: Optional[Callable[[OutputMessage], None]] = None, on_stderr: Optional[Callable[[OutputMessage], None]] = None, on_error: Optional[Callable[[ExecutionError], None]] = None, envs: Optional[Dict[str, str]] = None, timeout: Optional[float] = None) -> ExecutionResult:
        """Runs code with the globals that earlier code has left. The value of a last expression is not shown."""
        return await in_thread(self._of.run_code, code, context=context, on_stdout=on_stdout, on_stderr=on_stderr, on_error=on_error, envs=envs, timeout=timeout)

    async def create_context(self, cwd: Optional[str] = None) -> InterpreterContext:
        """Globals of their own."""
        return await in_thread(self._of.create_context, cwd)

    async def list_contexts(self) -> List[InterpreterContext]:
        """Those that were made."""
        return await in_thread(self._of.list_contexts)

    async def delete_context(self, context: InterpreterContext) -> None:
        """Ends one."""
        await in_thread(self._of.delete_context, context)


class AsyncPtyHandle:
    """Shows what a terminal shows, and types into it. It goes on when nobody looks."""

    def __init__(self, of: PtyHandle) -> None:
        self._of = of
        self._heard: Optional[asyncio.Future[None]] = None

    @property
    def session_id(self) -> str:
        """As the sibling has it."""
        return self._of.session_id

    @property
    def exit_code(self) -> Optional[int]:
        """Of what ran in it, when that has ended."""
        return self._of.exit_code

    @property
    def error(self) -> Optional[str]:
        """Why it ended, where it did not by itself."""
        return self._of.error

    @property
    def result(self) -> PtyResult:
        """How it ended, or that it was left, or is looked at yet."""
        return self._of.result

    async def wait_for_connection(self, timeout: float = 10.0) -> None:
        """Nothing is to be waited for: what is typed waits itself."""
        await in_thread(self._of.wait_for_connection, timeout)

    async def send_input(self, data: Union[str, bytes]) -> None:
        """Types."""
        await in_thread(self._of.send_input, data)

    async def resize(self, pty_size: PtySize) -> PtySessionInfo:
        """Gives it another size."""
        return await in_thread(self._of.resize, pty_size)

    async def kill(self) -> None:
        """Ends it, with what runs in it."""
        await in_thread(self._of.kill)

    async def disconnect(self) -> None:
        """Leaves it alone. It goes on."""
        await in_thread(self._of.disconnect)

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


class AsyncProcess:
    """Commands, code, sessions and terminals of a sandbox."""

    def __init__(self, of: Process) -> None:
        self._of = of

    async def exec(self, command: str, cwd: Optional[str] = None, env: Optional[Dict[str, str]] = None, timeout: Optional[float] = None) -> ExecuteResponse:
        """Runs a command by a shell, at most `timeout` seconds long. One that fails is a result."""
        return await in_thread(self._of.exec, command, cwd, env, timeout)

    async def code_run(self, code: str, params: Optional[CodeRunParams] = None, timeout: Optional[float] = None, *, language: Optional[Language] = None, warm: Optional[str] = None) -> ExecuteResponse:
        """Runs a piece of code in the sandbox's language, or in another. Charts that it shows are in `artifacts`. With `warm` it runs by the warm template of that name, in a sandbox of its own: this one's files are not there. What it wrote to standard error comes behind the rest of `result` then, and how it came to be run is in `additional_properties["warm"]`."""
        return await in_thread(self._of.code_run, code, params, timeout, language=language, warm=warm)

    async def create_session(self, session_id: str) -> None:
        """Starts a shell that keeps running: directory, variables and functions stay from one command to the next."""
        await in_thread(self._of.create_session, session_id)

    async def list_sessions(self) -> List[Session]:
        """All shells that run."""
        return await in_thread(self._of.list_sessions)

    async def get_session(self, session_id: str) -> Session:
        """One of them."""
        return await in_thread(self._of.get_session, session_id)

    async def delete_session(self, session_id: str) -> None:
        """Ends one, with all that it has started."""
        await in_thread(self._of.delete_session, session_id)

    async def execute_session_command(self, session_id: str, req: SessionExecuteRequest, timeout: Optional[float] = None) -> SessionExecuteResponse:
        """Gives lines to a shell, and waits for their end unless `run_async` is set."""
        return await in_thread(self._of.execute_session_command, session_id, req, timeout)

    async def get_session_command(self, session_id: str, command_id: str) -> Command:
        """What became of lines; without an exit code as long as they run."""
        return await in_thread(self._of.get_session_command, session_id, command_id)

    async def get_session_command_logs(self, session_id: str, command_id: str) -> SessionCommandLogsResponse:
        """What lines have written so far."""
        return await in_thread(self._of.get_session_command_logs, session_id, command_id)

    async def send_session_command_input(self, session_id: str, command_id: str, data: str) -> None:
        """A line for lines that were started with `run_async`."""
        await in_thread(self._of.send_session_command_input, session_id, command_id, data)

    async def list_pty_sessions(self) -> List[PtySessionInfo]:
        """All terminals that run."""
        return await in_thread(self._of.list_pty_sessions)

    async def get_pty_session_info(self, session_id: str) -> PtySessionInfo:
        """One of them."""
        return await in_thread(self._of.get_pty_session_info, session_id)

    async def kill_pty_session(self, session_id: str) -> None:
        """Ends one."""
        await in_thread(self._of.kill_pty_session, session_id)

    async def resize_pty_session(self, session_id: str, pty_size: PtySize) -> PtySessionInfo:
        """Gives a terminal another size."""
        return await in_thread(self._of.resize_pty_session, session_id, pty_size)

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


class AsyncSandbox:
    """Made by `Daytona.create`, `get` and `list`. As a context manager it is removed at the end of the block."""

    def __init__(self, of: Sandbox) -> None:
        self._of = of
        self.process = AsyncProcess(self._of.process)
        self.fs = AsyncFileSystem(self._of.fs)
        self.git = AsyncGit(self._of.git)
        self.code_interpreter = AsyncCodeInterpreter(self._of.code_interpreter)

    @property
    def id(self) -> str:
        """As the sibling has it."""
        return self._of.id

    @property
    def name(self) -> str:
        """As the sibling has it."""
        return self._of.name

    @property
    def state(self) -> SandboxState:
        """As the sibling has it."""
        return self._of.state

    @property
    def labels(self) -> Dict[str, str]:
        """As the sibling has it."""
        return self._of.labels

    @property
    def kept(self) -> bool:
        """As the sibling has it."""
        return self._of.kept

    @property
    def env(self) -> Dict[str, str]:
        """As the sibling has it."""
        return self._of.env

    @property
    def snapshot(self) -> str:
        """As the sibling has it."""
        return self._of.snapshot

    @property
    def cpu(self) -> float:
        """As the sibling has it."""
        return self._of.cpu

    @property
    def memory(self) -> float:
        """As the sibling has it."""
        return self._of.memory

    @property
    def disk(self) -> float:
        """As the sibling has it."""
        return self._of.disk

    @property
    def created_at(self) -> str:
        """As the sibling has it."""
        return self._of.created_at

    @property
    def network_block_all(self) -> bool:
        """As the sibling has it."""
        return self._of.network_block_all

    @property
    def language(self) -> str:
        """What `code_run` runs where nobody says otherwise."""
        return self._of.language

    async def refresh_data(self) -> None:
        """Looks at it again."""
        await in_thread(self._of.refresh_data)

    async def start(self, timeout: Optional[float] = 60) -> None:
        """Starts it where it was stopped."""
        await in_thread(self._of.start, timeout)

    async def stop(self, timeout: Optional[float] = 60, force: bool = False) -> None:
        """Ends what runs in it. Its files stay, unless it was made with `ephemeral`."""
        await in_thread(self._of.stop, timeout, force)

    async def delete(self, timeout: Optional[float] = 60, wait: bool = True) -> None:
        """Removes it, and waits for that in any case."""
        await in_thread(self._of.delete, timeout, wait)

    async def keep(self) -> None:
        """Lets it stay when the program ends."""
        await in_thread(self._of.keep)

    async def recover(self, timeout: Optional[float] = 60) -> None:
        """Starts it again."""
        await in_thread(self._of.recover, timeout)

    async def archive(self) -> None:
        """Leaves its files where they are: that is all that it means here."""
        await in_thread(self._of.archive)

    async def pause(self, timeout: float = 60) -> None:
        """Refused: memory is not kept."""
        await in_thread(self._of.pause, timeout)

    async def wait_for_sandbox_start(self, timeout: Optional[float] = 60) -> None:
        """Waits until it runs; `start` has waited already."""
        await in_thread(self._of.wait_for_sandbox_start, timeout)

    async def wait_for_sandbox_stop(self, timeout: Optional[float] = 60) -> None:
        """Waits until it does not."""
        await in_thread(self._of.wait_for_sandbox_stop, timeout)

    async def fork(self, name: Optional[str] = None, timeout: Optional[float] = 60) -> AsyncSandbox:
        """Another one with a copy of its files."""
        return AsyncSandbox(await in_thread(self._of.fork, name, timeout))

    async def create_snapshot(self, name: str, timeout: Optional[float] = 60) -> None:
        """Keeps its files as an image, by that name."""
        await in_thread(self._of.create_snapshot, name, timeout)

    async def resize(self, resources: Resources, timeout: Optional[float] = 60) -> None:
        """Changes its limits."""
        await in_thread(self._of.resize, resources, timeout)

    async def set_labels(self, labels: Dict[str, str]) -> Dict[str, str]:
        """These, in the place of those that it had."""
        return await in_thread(self._of.set_labels, labels)

    async def set_autostop_interval(self, interval: int) -> None:
        """Minutes without a call until it is stopped; 0 for never."""
        await in_thread(self._of.set_autostop_interval, interval)

    async def set_auto_delete_interval(self, interval: int) -> None:
        """Minutes without a call until it is removed; below 0 for never, 0 for its stop."""
        await in_thread(self._of.set_auto_delete_interval, interval)

    async def set_ttl(self, ttl_minutes: int) -> None:
        """Minutes until it is removed; 0 for never."""
        await in_thread(self._of.set_ttl, ttl_minutes)

    async def refresh_activity(self) -> None:
        """Counts as a call."""
        await in_thread(self._of.refresh_activity)

    async def update_env(self, env: Dict[str, str], *, unset: Optional[List[str]] = None) -> None:
        """Variables of commands from now on."""
        await in_thread(self._of.update_env, env, unset=unset)

    async def update_network_settings(self, *, network_block_all: Optional[bool] = None, network_allow_list: Optional[str] = None, domain_allow_list: Optional[str] = None) -> None:
        """What it may reach from now on. One that was made without a network gets none."""
        await in_thread(self._of.update_network_settings, network_block_all=network_block_all, network_allow_list=network_allow_list, domain_allow_list=domain_allow_list)

    async def get_work_dir(self) -> str:
        """Where commands begin."""
        return await in_thread(self._of.get_work_dir)

    async def get_user_home_dir(self) -> str:
        """The home directory."""
        return await in_thread(self._of.get_user_home_dir)

    async def get_user_root_dir(self) -> str:
        """Daytona's older name for it."""
        return await in_thread(self._of.get_user_root_dir)

    async def get_metrics_latest(self) -> SandboxMetrics:
        """What it uses now; of its CPUs, in all its life."""
        return await in_thread(self._of.get_metrics_latest)

    async def get_preview_link(self, port: int) -> PortPreviewUrl:
        """An address of this machine's that leads to a port in it, as long as this program runs."""
        return await in_thread(self._of.get_preview_link, port)

    async def create_ssh_access(self, expires_in_minutes: Optional[int] = None) -> None:
        """Refused: nothing inside listens for it."""
        await in_thread(self._of.create_ssh_access, expires_in_minutes)

    def create_lsp_server(self, language_id: Union[LspLanguageId, str], path_to_project: str) -> AsyncLspServer:
        """A language server for a project in it."""
        return AsyncLspServer(self._of.create_lsp_server(language_id, path_to_project))

    async def __aenter__(self) -> AsyncSandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.state is not SandboxState.DESTROYED:
            await self.delete()


class AsyncSnapshotService:
    """Images that sandboxes are made of."""

    def __init__(self, of: SnapshotService) -> None:
        self._of = of

    async def list(self, page: Optional[int] = None, limit: Optional[int] = None) -> PaginatedSnapshots:
        """All of them, in pages."""
        return await in_thread(self._of.list, page, limit)

    async def get(self, name: str) -> Snapshot:
        """The one of that name."""
        return await in_thread(self._of.get, name)

    async def create(self, params: CreateSnapshotParams, *, on_logs: Optional[Callable[[str], None]] = None, timeout: Optional[float] = 0) -> Snapshot:
        """Gives an image a name, or makes one by steps."""
        return await in_thread(self._of.create, params, on_logs=on_logs, timeout=timeout)

    async def delete(self, snapshot: Union[Snapshot, str]) -> None:
        """Takes the name away, and the files where nothing else needs them."""
        await in_thread(self._of.delete, snapshot)

    async def activate(self, snapshot: Union[Snapshot, str]) -> Snapshot:
        """Nothing is to be done: what is here is active."""
        return await in_thread(self._of.activate, snapshot)


class AsyncVolumeService:
    """Files that several sandboxes may have."""

    def __init__(self, of: VolumeService) -> None:
        self._of = of

    async def list(self) -> List[Volume]:
        """All of them."""
        return await in_thread(self._of.list)

    async def get(self, name: str, create: bool = False) -> Volume:
        """The one of that name; made, where `create` says so."""
        return await in_thread(self._of.get, name, create)

    async def create(self, name: str) -> Volume:
        """Makes one."""
        return await in_thread(self._of.create, name)

    async def delete(self, volume: Union[Volume, str]) -> None:
        """Removes one."""
        await in_thread(self._of.delete, volume)


class AsyncDaytona:
    """Sandboxes of this machine. Needs no server and no key."""

    def __init__(self, config: Optional[DaytonaConfig] = None) -> None:
        self._of = Daytona(config)
        self.snapshot = AsyncSnapshotService(self._of.snapshot)
        self.volume = AsyncVolumeService(self._of.volume)

    async def close(self) -> None:
        """Removes what is not kept, and ends the process behind it."""
        await in_thread(self._of.close)

    async def create(self, params: Optional[Params] = None, *, timeout: Optional[float] = 60, on_snapshot_create_logs: Optional[Callable[[str], None]] = None, language: Optional[Language] = None, image: Union[str, Image, None] = None, name: Optional[str] = None, env_vars: Optional[Dict[str, str]] = None, resources: Optional[Resources] = None, keep: Optional[bool] = None) -> AsyncSandbox:
        """Makes a sandbox, which runs when this returns. What is given by a word counts before what `params` says."""
        return AsyncSandbox(await in_thread(self._of.create, params, timeout=timeout, on_snapshot_create_logs=on_snapshot_create_logs, language=language, image=image, name=name, env_vars=env_vars, resources=resources, keep=keep))

    async def get(self, sandbox_id_or_name: str) -> AsyncSandbox:
        """The sandbox of that id or name, whoever has made it."""
        return AsyncSandbox(await in_thread(self._of.get, sandbox_id_or_name))

    async def find_one(self, sandbox_id_or_name: str) -> AsyncSandbox:
        """Daytona's older name for `get`."""
        return AsyncSandbox(await in_thread(self._of.find_one, sandbox_id_or_name))

    async def start(self, sandbox: AsyncSandbox, timeout: float = 60) -> None:
        """`sandbox.start`."""
        await in_thread(self._of.start, sandbox._of, timeout)

    async def stop(self, sandbox: AsyncSandbox, timeout: float = 60) -> None:
        """`sandbox.stop`."""
        await in_thread(self._of.stop, sandbox._of, timeout)

    async def delete(self, sandbox: AsyncSandbox, timeout: float = 60, wait: bool = True) -> None:
        """`sandbox.delete`."""
        await in_thread(self._of.delete, sandbox._of, timeout, wait)

    remove = delete

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
