// Errors in Daytona's names. Each keeps what belljar said: `kind`, `hint` and `data`, as docs/errors.md has them.

/** What belljar said of an error. */
export interface Said {
  kind?: string;
  hint?: string | null;
  [key: string]: unknown;
}

/** What could not be done. A command that fails is no error: its result has the exit code. */
export class DaytonaError extends Error {
  /** What Daytona's server would have answered. */
  readonly statusCode: number | undefined;
  readonly code: string;
  /** belljar's own word for it. */
  readonly kind: string;
  /** How to mend it. */
  readonly hint: string | undefined;

  constructor(message: string, readonly data: Said = {}) {
    super(data.hint ? `${message} (${data.hint.replaceAll("\n", "; ")})` : message);
    this.name = new.target.name;
    this.kind = data.kind ?? "failed";
    this.code = this.kind.toUpperCase();
    this.hint = data.hint ?? undefined;
    this.statusCode = (new.target as unknown as { status?: number }).status;
  }
}

/** What was asked for is impossible, or cannot be understood. */
export class DaytonaBadRequestError extends DaytonaError { static readonly status: number = 400; }
/** Another machine wants credentials, or does not take those that were given. */
export class DaytonaAuthenticationError extends DaytonaError { static readonly status: number = 401; }
/** It is not permitted. */
export class DaytonaForbiddenError extends DaytonaError { static readonly status: number = 403; }
/** There is no such thing. */
export class DaytonaNotFoundError extends DaytonaError { static readonly status: number = 404; }
/** It was not done in time, and was ended. */
export class DaytonaTimeoutError extends DaytonaError { static readonly status: number = 408; }
/** What is there stands in the way. */
export class DaytonaConflictError extends DaytonaError { static readonly status: number = 409; }
/** It has ended meanwhile. */
export class DaytonaGoneError extends DaytonaError { static readonly status: number = 410; }
/** It is understood, and cannot be done. */
export class DaytonaUnprocessableEntityError extends DaytonaError { static readonly status: number = 422; }
/** Too much is in flight already. */
export class DaytonaRateLimitError extends DaytonaError { static readonly status: number = 429; }
/** It failed in a way that nobody foresaw. */
export class DaytonaInternalServerError extends DaytonaError { static readonly status: number = 500; }
/** Daytona does that, and belljar does not. */
export class DaytonaNotImplementedError extends DaytonaError { static readonly status: number = 501; }
/** Something on the way does not listen. */
export class DaytonaBadGatewayError extends DaytonaError { static readonly status: number = 502; }
/** This machine cannot do it; `belljar doctor` says what is missing. */
export class DaytonaServiceUnavailableError extends DaytonaError { static readonly status: number = 503; }
/** `belljar rpc` has ended, or could not be started. */
export class DaytonaConnectionError extends DaytonaError {}
/** A command took longer than it was given; `output` is what it had written. */
export class DaytonaProcessExecutionTimeoutError extends DaytonaTimeoutError { output = ""; }
/** The session has ended, or was lost. */
export class DaytonaSessionEndedError extends DaytonaGoneError {}
/** There is no such file. */
export class DaytonaFileNotFoundError extends DaytonaNotFoundError {}
/** The file is not for this user. */
export class DaytonaFileAccessDeniedError extends DaytonaForbiddenError {}
/** The remote wants credentials, or does not take those that were given. */
export class DaytonaGitAuthFailedError extends DaytonaAuthenticationError {}
/** There is no such repository. */
export class DaytonaGitRepoNotFoundError extends DaytonaNotFoundError {}
/** There is no such branch, tag or commit. */
export class DaytonaGitBranchNotFoundError extends DaytonaNotFoundError {}
/** There is a branch of that name already. */
export class DaytonaGitBranchExistsError extends DaytonaConflictError {}
/** The remote has commits that are not here. */
export class DaytonaGitPushRejectedError extends DaytonaConflictError {}
/** Files were changed that would be lost. */
export class DaytonaGitDirtyWorktreeError extends DaytonaConflictError {}
/** Both sides changed the same lines. */
export class DaytonaGitMergeConflictError extends DaytonaConflictError {}
/** The remote was not reached. */
export class DaytonaGitTransportFailedError extends DaytonaBadGatewayError {}
/** The remote has refused it. */
export class DaytonaGitRemoteRejectedError extends DaytonaUnprocessableEntityError {}

type Kind = new (message: string, data?: Said) => DaytonaError;
const all = (names: string, kind: Kind): Array<[string, Kind]> => names.split(" ").map((name) => [name, kind]);

/** Kinds that are not here are `failed`. */
const BY_KIND = new Map<string, Kind>([
  ...all("invalid misused not_running not_empty not_a_directory is_a_directory not_a_file nothing_to_commit", DaytonaBadRequestError),
  ...all("ambiguous name_taken exists running", DaytonaConflictError),
  ...all("no_command not_executable too_large no_space setup", DaytonaUnprocessableEntityError),
  ...all("session_ended lost", DaytonaSessionEndedError),
  ...all("timed_out cancelled silent", DaytonaTimeoutError),
  ...all("push_rejected diverged", DaytonaGitPushRejectedError),
  ...all("transport network_refused", DaytonaGitTransportFailedError),
  ...all("repository_not_found not_a_repository", DaytonaGitRepoNotFoundError),
  ["not_found", DaytonaNotFoundError],
  ["denied", DaytonaForbiddenError],
  ["ended", DaytonaGoneError],
  ["busy", DaytonaRateLimitError],
  ["broken", DaytonaBadGatewayError],
  ["host", DaytonaServiceUnavailableError],
  ["authentication", DaytonaGitAuthFailedError],
  ["ref_not_found", DaytonaGitBranchNotFoundError],
  ["branch_exists", DaytonaGitBranchExistsError],
  ["remote_rejected", DaytonaGitRemoteRejectedError],
  ["dirty_tree", DaytonaGitDirtyWorktreeError],
  ["conflict", DaytonaGitMergeConflictError],
]);
const OF_FILES = new Map<string, Kind>([["not_found", DaytonaFileNotFoundError], ["denied", DaytonaFileAccessDeniedError]]);

/** The error of a method in Daytona's names. */
export function raised(message: string, data: Said, method: string): DaytonaError {
  const kind = data.kind ?? "failed";
  const ofFile = method.startsWith("fs.") && data.path != null ? OF_FILES.get(kind) : undefined;
  return new (ofFile ?? BY_KIND.get(kind) ?? DaytonaInternalServerError)(message, data);
}
