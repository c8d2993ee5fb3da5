"""Errors in Daytona's names. Each keeps what belljar said: `kind`, `hint` and `data`, as docs/errors.md has them.

`raised(error)` turns one of the client's into one of these; programs catch them, and make none.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Type

from .client import Error


class DaytonaError(Exception):
    """What could not be done. A command that fails is no error: its result has the exit code."""

    # What Daytona's server would have answered, for programs that decide by it.
    status: Optional[int] = None

    def __init__(
        self,
        message: str,
        status_code: Optional[int] = None,
        code: Optional[str] = None,
        kind: str = "failed",
        hint: Optional[str] = None,
        data: Optional[Dict[str, Any]] = None,
    ) -> None:
        super().__init__(f"{message} ({'; '.join(hint.splitlines())})" if hint else message)
        self.message = message
        self.status_code = status_code if status_code is not None else self.status
        self.code = code
        self.error_code = code
        # belljar's own word for it.
        self.kind = kind
        # How to mend it.
        self.hint = hint
        self.data = data or {}


class DaytonaBadRequestError(DaytonaError):
    """What was asked for is impossible, or cannot be understood."""

    status = 400


class DaytonaAuthenticationError(DaytonaError):
    """Another machine wants credentials, or does not take those that were given."""

    status = 401


class DaytonaForbiddenError(DaytonaError):
    """It is not permitted."""

    status = 403


class DaytonaNotFoundError(DaytonaError):
    """There is no such thing."""

    status = 404


class DaytonaConflictError(DaytonaError):
    """What is there stands in the way."""

    status = 409


class DaytonaTimeoutError(DaytonaError):
    """It was not done in time, and was ended."""

    status = 408


class DaytonaGoneError(DaytonaError):
    """It has ended meanwhile."""

    status = 410


class DaytonaUnprocessableEntityError(DaytonaError):
    """It is understood, and cannot be done."""

    status = 422


class DaytonaRateLimitError(DaytonaError):
    """Too much is in flight already."""

    status = 429


class DaytonaInternalServerError(DaytonaError):
    """It failed in a way that nobody foresaw."""

    status = 500


class DaytonaNotImplementedError(DaytonaError):
    """Daytona does that, and belljar does not."""

    status = 501


class DaytonaBadGatewayError(DaytonaError):
    """Something on the way does not listen."""

    status = 502


class DaytonaServiceUnavailableError(DaytonaError):
    """This machine cannot do it; `belljar doctor` says what is missing."""

    status = 503


class DaytonaConnectionError(DaytonaError):
    """`belljar rpc` has ended, or could not be started."""


class DaytonaProcessExecutionTimeoutError(DaytonaTimeoutError):
    """A command took longer than it was given; `output` is what it had written."""

    output: str = ""


class DaytonaSessionEndedError(DaytonaGoneError):
    """The session has ended, or was lost, and takes nothing more."""


class DaytonaFileNotFoundError(DaytonaNotFoundError):
    """There is no such file."""


class DaytonaFileAccessDeniedError(DaytonaForbiddenError):
    """The file is not for this user."""


class DaytonaGitAuthFailedError(DaytonaAuthenticationError):
    """The remote wants credentials, or does not take those that were given."""


class DaytonaGitRepoNotFoundError(DaytonaNotFoundError):
    """There is no such repository."""


class DaytonaGitBranchNotFoundError(DaytonaNotFoundError):
    """There is no such branch, tag or commit."""


class DaytonaGitBranchExistsError(DaytonaConflictError):
    """There is a branch of that name already."""


class DaytonaGitPushRejectedError(DaytonaConflictError):
    """The remote has commits that are not here."""


class DaytonaGitDirtyWorktreeError(DaytonaConflictError):
    """Files were changed that would be lost."""


class DaytonaGitMergeConflictError(DaytonaConflictError):
    """Both sides changed the same lines."""


class DaytonaGitTransportFailedError(DaytonaBadGatewayError):
    """The remote was not reached."""


class DaytonaGitRemoteRejectedError(DaytonaUnprocessableEntityError):
    """The remote has refused it."""


# Daytona's older name.
DaytonaValidationError = DaytonaBadRequestError

__all__ = [
    "DaytonaAuthenticationError",
    "DaytonaBadGatewayError",
    "DaytonaBadRequestError",
    "DaytonaConflictError",
    "DaytonaConnectionError",
    "DaytonaError",
    "DaytonaFileAccessDeniedError",
    "DaytonaFileNotFoundError",
    "DaytonaForbiddenError",
    "DaytonaGitAuthFailedError",
    "DaytonaGitBranchExistsError",
    "DaytonaGitBranchNotFoundError",
    "DaytonaGitDirtyWorktreeError",
    "DaytonaGitMergeConflictError",
    "DaytonaGitPushRejectedError",
    "DaytonaGitRemoteRejectedError",
    "DaytonaGitRepoNotFoundError",
    "DaytonaGitTransportFailedError",
    "DaytonaGoneError",
    "DaytonaInternalServerError",
    "DaytonaNotFoundError",
    "DaytonaNotImplementedError",
    "DaytonaProcessExecutionTimeoutError",
    "DaytonaRateLimitError",
    "DaytonaServiceUnavailableError",
    "DaytonaSessionEndedError",
    "DaytonaTimeoutError",
    "DaytonaUnprocessableEntityError",
    "DaytonaValidationError",
]

# Kinds that are not here are `failed`.
BY_KIND: Dict[str, Type[DaytonaError]] = {
    **dict.fromkeys(
        ("invalid", "misused", "not_running", "not_empty", "not_a_directory", "is_a_directory", "not_a_file",
         "nothing_to_commit"),
        DaytonaBadRequestError,
    ),
    **dict.fromkeys(("ambiguous", "name_taken", "exists", "running"), DaytonaConflictError),
    **dict.fromkeys(("no_command", "not_executable", "too_large", "no_space", "setup"), DaytonaUnprocessableEntityError),
    **dict.fromkeys(("session_ended", "lost"), DaytonaSessionEndedError),
    **dict.fromkeys(("timed_out", "cancelled", "silent"), DaytonaTimeoutError),
    **dict.fromkeys(("push_rejected", "diverged"), DaytonaGitPushRejectedError),
    **dict.fromkeys(("transport", "network_refused"), DaytonaGitTransportFailedError),
    **dict.fromkeys(("repository_not_found", "not_a_repository"), DaytonaGitRepoNotFoundError),
    "not_found": DaytonaNotFoundError,
    "denied": DaytonaForbiddenError,
    "ended": DaytonaGoneError,
    "busy": DaytonaRateLimitError,
    "broken": DaytonaBadGatewayError,
    "host": DaytonaServiceUnavailableError,
    "authentication": DaytonaGitAuthFailedError,
    "ref_not_found": DaytonaGitBranchNotFoundError,
    "branch_exists": DaytonaGitBranchExistsError,
    "remote_rejected": DaytonaGitRemoteRejectedError,
    "dirty_tree": DaytonaGitDirtyWorktreeError,
    "conflict": DaytonaGitMergeConflictError,
}
# What is more exact where it is about a file.
OF_FILES: Dict[str, Type[DaytonaError]] = {"not_found": DaytonaFileNotFoundError, "denied": DaytonaFileAccessDeniedError}


def raised(error: Error, method: str = "") -> DaytonaError:
    """The error of a method in Daytona's names."""
    kind = BY_KIND.get(error.kind, DaytonaInternalServerError)
    if method.startswith("fs.") and error.data.get("path") is not None:
        kind = OF_FILES.get(error.kind, kind)
    return kind(str(error), code=error.kind.upper(), kind=error.kind, hint=error.hint, data=error.data)
