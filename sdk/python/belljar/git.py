"""Git in a sandbox. Credentials are given with each call, and stay outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List, Optional

from .errors import DaytonaNotFoundError, DaytonaNotImplementedError
from .text import path_of

if TYPE_CHECKING:
    from .sandbox import Sandbox

STATES = {
    "untracked": "Untracked", "modified": "Modified", "type_changed": "Modified", "added": "Added", "deleted": "Deleted",
    "renamed": "Renamed", "copied": "Copied",
}


@dataclass
class FileStatus:
    """A file that differs."""

    name: str
    staging: str
    worktree: str
    # What it was called before.
    extra: str


@dataclass
class GitStatus:
    """Where a repository stands."""

    current_branch: str
    file_status: List[FileStatus]
    ahead: int
    behind: int
    branch_published: bool
    detached: bool
    upstream: Optional[str]


@dataclass
class ListBranchResponse:
    """The branches that are here."""

    branches: List[str]
    current: Optional[str]


@dataclass
class GitCommitResponse:
    """A commit that was made."""

    sha: str


@dataclass
class GitRemote:
    """Another repository that this one knows by a name."""

    name: str
    url: str


@dataclass
class ListRemotesResponse:
    """All of them."""

    remotes: List[GitRemote]


class Git:
    """Git in a sandbox."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._link = sandbox._link

    def _ask(self, method: str, **given: Any) -> Any:
        # What is given as nothing is belljar's to decide.
        wanted = {name: value for name, value in given.items() if value is not None and value != ""}
        return self._link.ask(f"git.{method}", sandbox=self._sandbox.id, **wanted)

    def clone(
        self,
        url: str,
        path: str,
        branch: Optional[str] = None,
        commit_id: Optional[str] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        insecure_skip_tls: Optional[bool] = None,
        depth: Optional[int] = None,
    ) -> None:
        """Clones a repository."""
        self._ask(
            "clone", url=url, path=path, branch=branch, commit=commit_id, username=username, password=password,
            insecure_tls=insecure_skip_tls, depth=depth,
        )

    def init(self, path: str, bare: bool = False, initial_branch: Optional[str] = None) -> None:
        """Makes one."""
        self._ask("init", path=path, bare=bare, branch=initial_branch)

    def status(self, path: str) -> GitStatus:
        """Where it stands, and what differs."""
        told = self._ask("status", path=path)
        files = []
        for one in told["files"]:
            if one["conflict"] is not None:
                staging = worktree = "Updated but unmerged"
            else:
                staging, worktree = (STATES.get(one[key] or "", "Unmodified") for key in ("staged", "unstaged"))
            files.append(FileStatus(path_of(one["path"]), staging, worktree, path_of(one["old_path"])))
        branch = told["branch"] if told["branch"] is not None else told["commit"]
        upstream = path_of(told["upstream"]) or None
        return GitStatus(
            path_of(branch), files, told["ahead"], told["behind"], told["published"], told["detached"], upstream
        )

    def add(self, path: str, files: List[str]) -> None:
        """Puts files into the next commit."""
        self._ask("add", path=path, files=files)

    def commit(
        self, path: str, message: str, author: str, email: str, allow_empty: bool = False
    ) -> GitCommitResponse:
        """Makes a commit."""
        told = self._ask("commit", path=path, message=message, author=author, email=email, allow_empty=allow_empty)
        return GitCommitResponse(told["hash"])

    def push(
        self,
        path: str,
        username: Optional[str] = None,
        password: Optional[str] = None,
        branch: Optional[str] = None,
        remote: Optional[str] = None,
        set_upstream: bool = False,
    ) -> None:
        """Gives commits to a remote."""
        self._ask(
            "push", path=path, username=username, password=password, branch=branch, remote=remote, set_upstream=set_upstream
        )

    def pull(
        self,
        path: str,
        username: Optional[str] = None,
        password: Optional[str] = None,
        branch: Optional[str] = None,
        remote: Optional[str] = None,
    ) -> None:
        """Takes commits of a remote, where none of one's own are in the way."""
        self._ask("pull", path=path, username=username, password=password, branch=branch, remote=remote)

    def branches(self, path: str) -> ListBranchResponse:
        """The branches that are here."""
        told = self._ask("branch", path=path)
        names = [path_of(one["name"]) for one in told["branches"] if not one["remote"]]
        return ListBranchResponse(names, path_of(told["current"]) or None)

    def checkout_branch(self, path: str, branch: str) -> None:
        """Goes to a branch or commit."""
        self._ask("checkout", path=path, name=branch)

    def create_branch(self, path: str, name: str) -> None:
        """Makes a branch, and goes to it."""
        self._ask("checkout", path=path, name=name, create=True)

    def delete_branch(self, path: str, name: str) -> None:
        """Removes a branch, whatever is on it."""
        self._ask("branch", path=path, name=name, delete=True, force=True)

    def reset(
        self, path: str, mode: Optional[str] = None, target: Optional[str] = None, files: Optional[List[str]] = None
    ) -> None:
        """Takes files out of the next commit, or moves the branch."""
        self._ask("reset", path=path, mode=mode, target=target, files=files)

    def restore(
        self,
        path: str,
        files: List[str],
        staged: Optional[bool] = None,
        worktree: Optional[bool] = None,
        source: Optional[str] = None,
    ) -> None:
        """Gives files back what they were."""
        self._ask("restore", path=path, files=files, staged=staged, worktree=worktree, source=source)

    def remotes(self, path: str) -> ListRemotesResponse:
        """Other repositories that this one knows."""
        told = self._ask("remote", path=path)["remotes"]
        return ListRemotesResponse([GitRemote(path_of(one["name"]), path_of(one["url"])) for one in told])

    def remote_get(self, path: str, name: str) -> Optional[str]:
        """The address of one; nothing where there is none of that name."""
        return next((one.url for one in self.remotes(path).remotes if one.name == name), None)

    def remote_add(self, path: str, name: str, url: str, fetch: bool = False, overwrite: bool = False) -> None:
        """Names one."""
        self._ask("remote", path=path, deed="add", name=name, to=url, overwrite=overwrite)
        if fetch:
            self._ask("fetch", path=path, remote=name)

    def get_config(self, key: str, scope: str = "global", path: Optional[str] = None) -> Optional[str]:
        """A setting; nothing where it is not set."""
        try:
            value = self._ask("config", key=key, scope=scope, path=path)["value"]
        except DaytonaNotFoundError as error:
            if error.kind == "not_found":
                return None
            raise
        return path_of(value) if value is not None else None

    def set_config(self, key: str, value: str, scope: str = "global", path: Optional[str] = None) -> None:
        """Sets one."""
        self._ask("config", key=key, value=value, scope=scope, path=path)

    def configure_user(self, name: str, email: str, scope: str = "global", path: Optional[str] = None) -> None:
        """Who commits."""
        self.set_config("user.name", name, scope, path)
        self.set_config("user.email", email, scope, path)

    def dangerously_authenticate(
        self, username: str, password: str, host: Optional[str] = None, protocol: Optional[str] = None
    ) -> None:
        """Refused: what unlocks other machines is not kept where code runs that nobody has read."""
        raise DaytonaNotImplementedError(
            "credentials are not kept in a sandbox", hint="give them with each clone, pull and push"
        )
