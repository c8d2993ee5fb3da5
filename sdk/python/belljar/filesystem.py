"""Files of a sandbox. A path that does not begin with `/` is one below the sandbox's working directory."""

from __future__ import annotations

import io
import os
import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Dict, Iterator, List, Optional, Union, overload

from .errors import DaytonaBadRequestError, DaytonaError, DaytonaForbiddenError
from .text import bytes_of, path_of, text_of

if TYPE_CHECKING:
    from .sandbox import Sandbox

# What goes in one piece.
PIECE = 1 << 20


@dataclass
class FileInfo:
    """What is known of a path. Owner and group are numbers, as seen inside."""

    name: str
    path: str
    size: int
    mode: str
    permissions: str
    is_dir: bool
    mod_time: str
    modified_at: str
    owner: str
    group: str


@dataclass
class Match:
    """A line that has a text in it."""

    file: str
    line: int
    content: str


@dataclass
class ReplaceResult:
    """What became of a file."""

    file: str
    success: bool
    error: Optional[str] = None


@dataclass
class SearchFilesResponse:
    """Paths that were found."""

    files: List[str]


@dataclass
class FileUpload:
    """A file that goes in: bytes, or the path of one here."""

    source: Union[bytes, str]
    destination: str


@dataclass
class FileDownloadRequest:
    """A file that comes out: into memory, or to a path here."""

    source: str
    destination: Optional[str] = None


@dataclass
class FileDownloadResponse:
    """What became of it."""

    source: str
    result: Union[bytes, str, None] = None
    error: Optional[str] = None


class FileSystem:
    """Files of a sandbox."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._link = sandbox._link

    def _ask(self, method: str, **given: Any) -> Any:
        return self._link.ask(f"fs.{method}", sandbox=self._sandbox.id, **given)

    def create_folder(self, path: str, mode: str = "755") -> None:
        """Makes a directory, with those above it."""
        self._ask("mkdir", path=path, parents=True, mode=mode)

    def delete_file(self, path: str, recursive: bool = False) -> None:
        """Removes a file, or a directory with all that is in it."""
        if not recursive and self._ask("stat", path=path)["kind"] == "directory":
            raise DaytonaBadRequestError(f"path: `{path}` is a directory", kind="is_a_directory", hint="give recursive=True")
        self._ask("rm", path=path, recursive=recursive)

    def list_files(self, path: str = ".", depth: Optional[int] = None) -> List[FileInfo]:
        """What is in a directory."""
        return [_info(one) for one in self._ask("ls", path=path, depth=depth)["entries"]]

    def get_file_info(self, path: str) -> FileInfo:
        """What is known of a path."""
        return _info(self._ask("stat", path=path))

    def move_files(self, source: str, destination: str) -> None:
        """Moves a file or directory; nothing is replaced."""
        self._ask("mv", path=source, to=destination)

    def set_file_permissions(
        self, path: str, mode: Optional[str] = None, owner: Optional[str] = None, group: Optional[str] = None
    ) -> None:
        """Gives it another mode, in octal digits, or owner and group."""
        if mode:
            self._ask("chmod", path=path, mode=mode)
        if owner or group:
            whose = f"{owner or ''}{':' + group if group else ''}"
            told = self._link.ask("exec", name=self._sandbox.id, command=["chown", "--", whose, path])
            if told["exit_code"] != 0:
                raise DaytonaForbiddenError(f"`{path}` cannot be given to {whose}: {text_of(told, 'stderr').strip()}", kind="denied")

    def find_files(self, path: str, pattern: str) -> List[Match]:
        """Lines of text files that have a text in them."""
        lines = self._ask("grep", path=path, text=pattern)["lines"]
        return [Match(path_of(one["path"]), one["line"], bytes_of(one["content"]).decode("utf-8", "replace")) for one in lines]

    def search_files(self, path: str, pattern: str) -> SearchFilesResponse:
        """Paths whose last part is like a pattern."""
        return SearchFilesResponse([path_of(one["path"]) for one in self._ask("find", path=path, name=pattern)["entries"]])

    def replace_in_files(self, files: List[str], pattern: str, new_value: str) -> List[ReplaceResult]:
        """Replaces a text in files. What could not be done with one is said of that one."""
        told = []
        for file in files:
            try:
                failed = self._ask("replace", text=pattern, new=new_value, file=[file])["failed"]
                why = failed[0]["error"]["message"] if failed else None
            except DaytonaError as error:
                why = error.message
            told.append(ReplaceResult(file, why is None, why))
        return told

    def upload_file(self, src: Union[bytes, str, "os.PathLike[str]"], dst: str, timeout: Optional[float] = None) -> None:
        """Bytes, or a file of this machine, of any size. Directories that are not there are made."""
        if isinstance(src, (bytes, bytearray)):
            self.upload_file_stream(io.BytesIO(src), dst, timeout)
            return
        with open(src, "rb") as source:
            self.upload_file_stream(source, dst, timeout)

    def upload_file_stream(
        self, source: Union[bytes, BinaryIO], remote_path: str, timeout: Optional[float] = None
    ) -> None:
        """What a file object gives, as it gives it. The file is there when all of it is."""
        if isinstance(source, (bytes, bytearray)):
            source = io.BytesIO(source)
        piece = source.read(PIECE)
        if len(piece) < PIECE:
            self._ask("write", path=remote_path, parents=True, input=piece, within=timeout)
            return
        call = self._link.begin("fs.write", sandbox=self._sandbox.id, path=remote_path, parents=True, input=True)
        try:
            while piece and not call.done():
                call.input(piece)
                piece = source.read(PIECE)
            if not call.done():
                call.input(end=True)
        except Exception:
            # What could not be read here must not be there as if it were all. Where belljar has refused it, its own error says why.
            call.cancel()
            self._link.end(call, "fs.write")
            raise
        self._link.end(call, "fs.write", timeout)

    def upload_files(self, files: List[FileUpload], timeout: Optional[float] = None) -> None:
        """Several."""
        for one in files:
            self.upload_file(one.source, one.destination, timeout)

    @overload
    def download_file(self, remote_path: str) -> bytes: ...

    @overload
    def download_file(self, remote_path: str, local_path: Union[str, "os.PathLike[str]"]) -> None: ...

    def download_file(
        self, remote_path: str, local_path: Union[str, "os.PathLike[str]", None] = None
    ) -> Optional[bytes]:
        """A file's bytes, or the same to a file of this machine, which is there when all of it is."""
        if local_path is None:
            return b"".join(self.download_file_stream(remote_path))
        draft = f"{os.fspath(local_path)}.part"
        try:
            with open(draft, "wb") as file:
                for piece in self.download_file_stream(remote_path):
                    file.write(piece)
            os.replace(draft, local_path)
        except BaseException:
            if os.path.exists(draft):
                os.unlink(draft)
            raise
        return None

    def download_file_stream(self, remote_path: str) -> Iterator[bytes]:
        """A file's bytes, as they come."""
        heard: "queue.Queue[Optional[bytes]]" = queue.Queue()
        call = self._link.begin("fs.cat", lambda _, data: heard.put(data), sandbox=self._sandbox.id, path=remote_path)
        call.when_done(lambda: heard.put(None))
        try:
            for piece in iter(heard.get, None):
                yield piece
            self._link.end(call, "fs.cat")
        finally:
            if not call.done():
                call.cancel()

    def download_files(self, files: List[FileDownloadRequest]) -> List[FileDownloadResponse]:
        """Several. What could not be had of one is said of that one."""
        told = []
        for one in files:
            try:
                if one.destination is None:
                    told.append(FileDownloadResponse(one.source, self.download_file(one.source)))
                else:
                    self.download_file(one.source, one.destination)
                    told.append(FileDownloadResponse(one.source, one.destination))
            except (DaytonaError, OSError) as error:
                told.append(FileDownloadResponse(one.source, error=str(error)))
        return told


def _info(entry: Dict[str, Any]) -> FileInfo:
    first = {"directory": "d", "symlink": "L", "fifo": "p", "socket": "S"}.get(entry["kind"], "-")
    bits = int(entry["mode"], 8)
    letters = "".join("rwx"[at % 3] if bits & (1 << (8 - at)) else "-" for at in range(9))
    path = path_of(entry["path"])
    return FileInfo(
        path_of(entry["name"]) or path, path, entry["size"], first + letters, entry["mode"].zfill(4), entry["kind"] == "directory",
        entry["modified"], entry["modified"], str(entry["uid"]), str(entry["gid"]),
    )
