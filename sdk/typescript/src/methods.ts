// The methods of `belljar rpc`, typed. Written by generate.mjs from docs/rpc.json: do not edit.

/** What a command prints, as it comes. */
export type OnOutput = (stream: "stdout" | "stderr", data: Buffer) => void;

/** How a method is asked for. */
export type Ask = (method: string, given: object, onOutput?: OnOutput) => Promise<unknown>;

/** What became of each sandbox that was named, in that order. */
export interface AllRemoved {
  /** Where there is one alone, and it could not be done, that is an error. */
  sandboxes: Array<EachRemoved>;
}

/** What became of each sandbox that was named, in that order. */
export interface AllStarted {
  /** Where there is one alone, and it could not be done, that is an error. */
  sandboxes: Array<EachStarted>;
}

/** What became of each sandbox that was named, in that order. */
export interface AllStopped {
  /** Where there is one alone, and it could not be done, that is an error. */
  sandboxes: Array<EachStopped>;
}

/** Whether something was allowed, and whether it worked. */
export type Allowance = "allowed" | "denied" | "failed";

/** Control groups. */
export interface Cgroup {
  /** The controllers that they have. */
  controllers: Array<string>;
  /** Whether sandboxes have cgroups here. */
  delegated: boolean;
  /** Where the cgroups of sandboxes are made. */
  directory: string | null;
  /** How to get one, with and without root. */
  hint: string | null;
  /** Why not. */
  reason: string | null;
  /** Whether a scope of the user's systemd is asked for to that end. */
  scope: boolean;
  /** `none`, `v1`, `hybrid` or `v2`. */
  version: string;
}

/** One difference. */
export interface Change {
  /** What became of the path. */
  change: How2;
  /** What is there now; null where it is gone. */
  kind: EntryKind | null;
  /** From the root. */
  path: Name;
}

/** What a sandbox has changed against its image. */
export interface Changes {
  /** By their paths. */
  changes: Array<Change>;
}

/** Something that could be done. */
export interface CodeAction {
  /** Why it cannot be taken now. */
  disabled: string | null;
  /** What kind of action it is, as in `quickfix`. */
  kind: string | null;
  /** By which it is asked for, from 1, as long as the file stays as it is. */
  number: number;
  /** Whether it is the one to take. */
  preferred: boolean;
  /** What it does. */
  title: string;
}

/** What could be done, or what was. */
export interface CodeActions {
  /** What could be done; nothing where one was. */
  actions: Array<CodeAction>;
  /** The edits of the one that was done. */
  files: Array<FileEdited>;
}

/** A range of a file. */
export interface CodeLocation {
  /** The file. */
  path: Name;
  /** Where in it. */
  range: TextRange;
  /** Its first line, shortened where it is long; null where the file cannot be read. */
  text: string | null;
}

/** Places in files. */
export interface CodeLocations {
  /** In the order in which the server says them. */
  locations: Array<CodeLocation>;
}

/** Something that code defines. */
export interface CodeSymbol {
  /** What it is in. */
  container: string | null;
  /** More of it. */
  detail: string | null;
  /** What it is, as in `class`. */
  kind: string;
  /** What it is called. */
  name: string;
  /** The file. */
  path: Name;
  /** All of it. */
  range: TextRange;
  /** Its name. */
  selection: TextRange;
}

/** What code defines. */
export interface CodeSymbols {
  /** In the order in which the server says them; of a tree each is before what is in it. */
  symbols: Array<CodeSymbol>;
}

/** What came of it. */
export type CodeTold = RunTold | { context?: Context | null; end: JobEnd | null; job: number | null; results: Array<Shown>; stderr: Name | null; stdout: Name | null; truncated: boolean; version: number };

/** Something that could stand at a place. */
export interface Completion {
  /** Whether it is not to be used any more. */
  deprecated: boolean;
  /** More of it, as in its type. */
  detail: string | null;
  /** What is written about it. */
  documentation: string | null;
  /** What what was typed is compared with; the label, where nothing is said. */
  filter: string | null;
  /** The text that goes in. */
  insert: string;
  /** What it is, as in `function`. */
  kind: string | null;
  /** As it is shown in a list. */
  label: string;
  /** What that text replaces; the word before the place, where nothing is said. */
  range: TextRange | null;
  /** What a list is sorted by; the label, where nothing is said. */
  sort: string | null;
}

/** What could stand there. */
export interface CompletionList {
  /** Whether there are more, which are told when more is typed. */
  incomplete: boolean;
  /** In the order in which the server says them. */
  items: Array<Completion>;
}

/** Whether there was a context before the code that ran in it. */
export type Context = "continued" | "new" | "anew";

/** What was copied. */
export interface Copied {
  /** Bytes of content of all files; where TO is `-`, of what was printed. */
  bytes: number;
  /** Only where TO is `-`, and nobody was told it as it came: the file as text, of a directory a tar archive. */
  content?: string | null;
  /** How `content` has the bytes. */
  encoding?: FileEncoding | null;
  /** Of several sources those that were not copied; of one alone that is an error. */
  failed: Array<NotCopied>;
  /** What was not copied of what is in them. */
  skipped: Array<Skipped>;
  /** So many more, which nobody remembers. */
  skipped_more: number;
  /** Where it is now; where there were several, the directory that they are in; `-` for what was printed. */
  to: Name;
}

/** A number of things. */
export type Count = string | number;

/** CPUs, to thousandths. */
export type Cpus = string | number;

/** A time, or `none`. */
export type Deadline = string | number;

/** Something wrong with a file. */
export interface Diagnostic {
  /** What the server calls it. */
  code: string | null;
  /** What is wrong. */
  message: string;
  /** Where. */
  range: TextRange;
  /** How bad it is. */
  severity: DiagnosticSeverity;
  /** Who says so. */
  source: string | null;
}

/** How bad it is. */
export type DiagnosticSeverity = "error" | "warning" | "information" | "hint";

export type Digest = string;

/** A directory that was watched to its end. */
export interface DirectoryWatched {
  /** How many changes there were. */
  changes: number;
  /** The directory. */
  path: Name;
}

/** One of several sandboxes. */
export type EachRemoved = Removed | { error: Error; name: string };

/** One of several sandboxes. */
export type EachStarted = Started | { error: Error; name: string };

/** One of several sandboxes. */
export type EachStopped = Stopped | { error: Error; name: string };

/** How bytes are written in JSON. */
export type Encoding = "utf-8" | "base64";

/** How a sandbox ended, the same in every verb. */
export interface End {
  /** When, as RFC 3339 has it. */
  at: string;
  /** Why nothing ran. */
  error: string | null;
  /** Of its own command; null where it has none. */
  exit_code: number | null;
  /** Who wanted it to end, where somebody did. */
  reason: Reason | null;
  /** The signal that ended its own command. */
  signal: string | null;
  /** Why: a limit, its own command's end, or `cancelled` where it was told to. */
  status: Status;
  /** What it used. */
  usage: Usage;
}

/** How far a protection was enforced. */
export type Enforcement = "enforced" | { partly: string } | { off: string } | { by: string; exact: boolean };

/** What stands in a directory. */
export type EntryKind = "file" | "directory" | "link" | "special";

/** The error object, the same in `--json`, `rpc` and the result of a run. */
export interface Error {
  /** What the kernel answered, errno(3). */
  errno: number | null;
  /** Of a request: the fields at fault. */
  fields: Array<string>;
  /** How to mend it; several cures are lines. */
  hint: string | null;
  /** What programs decide by. */
  kind: Kind;
  /** What went wrong, for people, without the path. */
  message: string;
  /** The path inside a sandbox that it is about; an object with `base64` where it is no text. */
  path: Name | null;
  /** The same with what is wrong with each, and its cure. */
  problems: Array<Problem>;
  /** The step of the plan that the kernel refused, as `14 of 31`. */
  step: string | null;
}

/** One line of the log of a sandbox's network; a JSON object. */
export interface Event {
  /** Where it went; of a query: the server that was asked. */
  address?: string | null;
  /** When, milliseconds since 1970. */
  at: number;
  /** How long it lasted, milliseconds. */
  duration_ms?: number | null;
  /** What happened. */
  event: Happening;
  /** The number of the connection, the same in all lines about it; absent where there is none. */
  flow?: number | null;
  /** The flag that would allow it. */
  hint?: string | null;
  /** The name that led there or was asked for, canonical. */
  name?: string | null;
  /** The port. */
  port?: number | null;
  /** What was spoken; of a query: over what it came. */
  protocol?: Protocol | null;
  /** Why. */
  reason?: string | null;
  /** Bytes to the sandbox. */
  received?: number | null;
  /** The rule that decided. */
  rule?: string | null;
  /** Bytes from the sandbox. */
  sent?: number | null;
  /** Whether it was allowed. */
  verdict?: Allowance | null;
}

/** What was found out. */
export type Examined = Report | { apparmor_profile: string };

/** What came of it. */
export type ExecTold = { enforcement: Record<string, Enforcement>; error: Error | null; exit_code: number | null; image: string; limits_reached: Array<string>; network: Network | null; published: Array<Published>; sandbox: string; signal: string | null; status: Status; stderr?: string; stderr_encoding?: Encoding; stderr_truncated?: boolean; stdout?: string; stdout_encoding?: Encoding; stdout_truncated?: boolean; usage: Usage; version: number; warm: Warm | null } | { job: number; session: string; version: number };

/** A sandbox as a file. */
export interface Exported {
  /** The file; `-` where it went to standard output. */
  file: string;
  /** Fields of the sandbox that are the host's, and given again where the file is imported. */
  left_out: Array<string>;
}

/** Something that is not as it should be. */
export interface Fault {
  /** What to do. */
  cure: string;
  /** The name, image, blob or layer. */
  what: string;
  /** What is wrong with it. */
  why: string;
}

/** What was done to a path. */
export interface FileChanged {
  /** As it was asked for. */
  path: Name;
}

/** The content of a file. */
export interface FileContent {
  /** As text; null where it was told as it came. */
  content: string | null;
  /** How `content` has the bytes; null with it. */
  encoding: FileEncoding | null;
  /** As it was asked for. */
  path: Name;
}

/** What is wrong with a file. */
export interface FileDiagnosed {
  /** What is wrong. */
  diagnostics: Array<Diagnostic>;
  /** The file. */
  path: Name;
  /** Whether the server has said anything of it, as it is now, in time. Where it has not, nobody knows whether something is wrong. */
  published: boolean;
}

/** Edits of a file. */
export interface FileEdited {
  /** In the order of their places, which are those before any of them. */
  edits: Array<TextEdit>;
  /** The file. */
  path: Name;
  /** Whether it was changed; else this is what would be. */
  written: boolean;
}

/** How bytes are told as text. */
export type FileEncoding = "utf-8" | "base64";

/** Paths, and what is known of them. */
export interface FileEntries {
  /** In the order in which they were found; null where they were told as they came. */
  entries: Array<FileEntry> | null;
}

/** What is known of a path in a sandbox. */
export interface FileEntry {
  /** Its group, as seen inside. */
  gid: number;
  /** What it is. */
  kind: EntryKind;
  /** Permissions, with the bits above them, as octal digits. */
  mode: string;
  /** When its content was last changed, as RFC 3339 has it. */
  modified: string;
  /** Its last part. */
  name: Name;
  /** As it was asked for, with what lies below it. */
  path: Name;
  /** Bytes. */
  size: number;
  /** Where a link leads; null for anything else. */
  target: Name | null;
  /** Its owner, as seen inside. */
  uid: number;
}

/** Lines that have a text in them. */
export interface FileLines {
  /** In the order in which they were found; null where they were told as they came. */
  lines: Array<FoundLine> | null;
}

/** What became of one file. */
export interface FileReplaced {
  /** How often the text stood there. */
  count: number;
  /** Why it was not replaced. */
  error: Error | null;
  /** The file. */
  path: Name;
}

/** What a path is. */
export type FileStat = FileEntry;

/** A file that was written. */
export interface FileWritten {
  /** How many were written. */
  bytes: number;
  /** As it was asked for. */
  path: Name;
}

/** What is wrong with files. */
export interface FilesDiagnosed {
  /** In the order in which they were named. */
  files: Array<FileDiagnosed>;
}

/** Edits of files. */
export interface FilesEdited {
  /** By their paths. */
  files: Array<FileEdited>;
}

/** What became of each file. */
export interface FilesReplaced {
  /** Those of them in which nothing could be replaced. */
  failed: Array<FileReplaced>;
  /** In the order in which they were asked for; null where they were told as they came. */
  files: Array<FileReplaced> | null;
}

/** What was found out about a protection. */
export interface Finding {
  /** How far it is enforced, as in the result of `run`. */
  enforcement: Enforcement;
  /** How to get more of it, where there is more to get. */
  hint: string | null;
  /** Whether it was seen to work, inside of a sandbox. */
  verified: Verified;
}

/** One line of a file. */
export interface FoundLine {
  /** Without its end, and no longer than 64 KiB. */
  content: Name;
  /** From 1. */
  line: number;
  /** The file. */
  path: Name;
}

/** A branch. */
export interface GitBranch {
  /** Commits that the upstream has not. */
  ahead: number;
  /** Commits that only the upstream has. */
  behind: number;
  /** Its commit. */
  commit: string;
  /** Whether it is checked out. */
  current: boolean;
  /** Its name; that of a remote's branch begins with the remote's, as `origin/main`. */
  name: Name;
  /** Whether that branch is there, as far as was fetched. */
  published: boolean;
  /** Whether it is what was last fetched of a remote's branch. */
  remote: boolean;
  /** The branch of a remote that it follows; null without one. */
  upstream: Name | null;
}

/** The branches, after what was done. */
export interface GitBranches {
  /** All of them, and those of remotes as they were last fetched. */
  branches: Array<GitBranch>;
  /** The one that is checked out; null where none is. */
  current: Name | null;
}

/** A file that differs. */
export interface GitChangedFile {
  /** Lines that are new; null for what is no text. */
  additions: number | null;
  /** Lines that are gone; null for what is no text. */
  deletions: number | null;
  /** The same after. */
  mode: string;
  /** Permissions and kind before, as git has them; `000000` where it was not there. */
  old_mode: string;
  /** What it was called, or is a copy of; null for anything else. */
  old_path: Name | null;
  /** From the top of the repository. */
  path: Name;
  /** What became of it. */
  state: GitFileState;
}

/** What is checked out now. */
export interface GitCheckedOut {
  /** The branch; null where the head is detached. */
  branch: Name | null;
  /** The commit; null before the first. */
  commit: string | null;
  /** Whether the head is at a commit and on no branch. */
  detached: boolean;
}

/** A repository that was cloned. */
export interface GitCloned {
  /** The branch; null where the head is detached. */
  branch: Name | null;
  /** The commit; null of an empty repository. */
  commit: string | null;
  /** Its directory, absolute. */
  path: Name;
  /** What was given away for it. */
  reached: GitReached;
  /** Where it was cloned from, as it stands in the settings. */
  url: string;
}

/** A commit. */
export interface GitCommit {
  /** Who wrote it. */
  author: Name;
  /** When, in seconds since 1970. */
  committed: number;
  /** Who made the commit. */
  committer: Name;
  /** The committer's address. */
  committer_email: Name;
  /** The author's address. */
  email: Name;
  /** Its hash, whole. */
  hash: string;
  /** The whole message, without its last line end. */
  message: Name;
  /** The hashes of those before it: several for a merge, none for the first. */
  parents: Array<string>;
  /** When, in seconds since 1970. */
  time: number;
}

/** Commits. */
export interface GitCommits {
  /** The newest first. */
  commits: Array<GitCommit>;
}

/** A commit that was made. */
export interface GitCommitted {
  /** The commit. */
  commit: GitCommit;
  /** Its hash, whole. */
  hash: string;
}

/** What differs, as files and as text. */
export interface GitDifference {
  /** Lines that are new, in all of them. */
  additions: number;
  /** Lines that are gone. */
  deletions: number;
  /** File by file. */
  files: Array<GitChangedFile>;
  /** The text that patch(1) takes, as `patch_encoding` says; null where it was not wanted. */
  patch: string | null;
  /** Encoding of `patch`. */
  patch_encoding: Encoding | null;
}

/** What was fetched. */
export interface GitFetched {
  /** Branches and tags that are elsewhere now. */
  changed: Array<GitFetchedRef>;
  /** What was given away for it. */
  reached: GitReached;
  /** From where, by name. */
  remote: Name;
  /** Its address. */
  url: string;
}

/** A branch or tag of a remote that is elsewhere now. */
export interface GitFetchedRef {
  /** Its commit now; null where it is gone. */
  after: string | null;
  /** Its commit before; null where it is new. */
  before: string | null;
  /** Its whole name, as `refs/remotes/origin/main`. */
  name: Name;
}

/** A file that is not as it was committed. */
export interface GitFile {
  /** Of a conflict, what both sides did, as git's two letters have it (`UU`, `AA`, `DU`, ...); null without one. */
  conflict: string | null;
  /** What it was called, or is a copy of; null for anything else. */
  old_path: Name | null;
  /** From the top of the repository. */
  path: Name;
  /** In the index, against the last commit. */
  staged: GitFileState;
  /** Whether it is a repository of its own. */
  submodule: boolean;
  /** In the working tree, against the index. */
  unstaged: GitFileState;
}

/** What became of a file, in the index or in the working tree. */
export type GitFileState = "unmodified" | "untracked" | "ignored" | "modified" | "type_changed" | "added" | "deleted" | "renamed" | "copied" | "unmerged";

/** A repository that was made, or was there. */
export interface GitMade {
  /** Whether it has no working tree. */
  bare: boolean;
  /** Its directory, absolute. */
  path: Name;
}

/** What was pulled. */
export interface GitPulled {
  /** Its commit now. */
  after: string | null;
  /** Its commit before; null before the first. */
  before: string | null;
  /** The branch that is checked out; null where the head is detached. */
  branch: Name | null;
  /** What was given away for it. */
  reached: GitReached;
  /** From where, by name. */
  remote: Name;
  /** Its address. */
  url: string;
}

/** What was pushed. */
export interface GitPushResult {
  /** What was given away for it. */
  reached: GitReached;
  /** Branches and tags, and what became of each. */
  refs: Array<GitPushedRef>;
  /** To where, by name. */
  remote: Name;
  /** Its address. */
  url: string;
}

/** What became of one branch or tag that was pushed. */
export type GitPushed = "new" | "up_to_date" | "updated" | "forced" | "deleted" | "rejected" | "remote_rejected";

/** One branch or tag, and what became of it. */
export interface GitPushedRef {
  /** What it is called here; empty for one that was deleted there. */
  local: Name;
  /** What it is called there. */
  remote: Name;
  /** What became of it. */
  state: GitPushed;
  /** Git's words for that. */
  summary: Name;
}

/** What was given away in a call, and what was seen. */
export interface GitReached {
  /** The keys by which ssh knew the machines, as `--known-hosts` takes them; where none were given, those that they have shown. */
  host_keys: Name;
  /** Machines that the password was given to. */
  password_for: Array<string>;
  /** Machines that asked for a password and were given none, as after a redirect. */
  password_refused: Array<string>;
  /** How many logins the caller's agent has signed. */
  signatures: number;
}

/** Another repository that this one knows by a name. */
export interface GitRemote {
  /** Its name. */
  name: Name;
  /** Where it is pushed to, where that is elsewhere; else null. */
  push_url: Name | null;
  /** Where it is fetched from. */
  url: Name;
}

/** What to do with a remote. */
export type GitRemoteDeed = "list" | "add" | "set_url" | "rm" | "rename";

/** The remotes, after what was done. */
export interface GitRemotes {
  /** All of them. */
  remotes: Array<GitRemote>;
}

/** What `reset` moves. */
export type GitResetMode = "soft" | "mixed" | "hard" | "merge" | "keep";

/** Whose settings. */
export type GitScope = "local" | "global" | "system";

/** A setting. */
export interface GitSetting {
  /** As git writes it: `user.name`. */
  key: Name;
  /** Whose it is: `system`, `global`, `local` or `worktree`. */
  scope: string;
  /** Null where the key stands alone, which means yes. */
  value: Name | null;
}

/** Settings, after what was done. */
export interface GitSettings {
  /** Those that were asked for, in the order in which git reads them: of several the last holds. */
  settings: Array<GitSetting>;
  /** The value that holds of the key that was asked for; null where there is none. */
  value: Name | null;
}

/** A commit, and what it changed; of a merge against its first parent. */
export interface GitShown {
  /** What it changed. */
  changed: GitDifference;
  /** The commit. */
  commit: GitCommit;
}

/** Changes that were put aside. */
export interface GitStash {
  /** The commit that holds it. */
  commit: string;
  /** Its number; 0 is the newest. */
  index: number;
  /** What it was put aside from, or with which words. */
  message: Name;
  /** When, in seconds since 1970. */
  time: number;
}

/** What to do with changes that were put aside. */
export type GitStashDeed = "push" | "pop" | "apply" | "drop" | "list";

/** What is put aside, after what was done. */
export interface GitStashes {
  /** The newest first. */
  stashes: Array<GitStash>;
}

/** Where a repository stands. */
export interface GitStatus {
  /** Commits that the upstream has not. */
  ahead: number;
  /** Commits that only the upstream has. */
  behind: number;
  /** The branch; null where the head is detached. */
  branch: Name | null;
  /** Whether nothing differs from the commit. */
  clean: boolean;
  /** The commit; null before the first. */
  commit: string | null;
  /** Whether the head is at a commit and on no branch. */
  detached: boolean;
  /** Whatever differs. */
  files: Array<GitFile>;
  /** Whether that branch is there, as far as was fetched. */
  published: boolean;
  /** The branch of a remote that it follows; null without one. */
  upstream: Name | null;
}

/** Where the repository stands. */
export type GitStatusTold = GitStatus;

/** Which files are listed that git does not know. */
export type GitUntracked = "all" | "normal" | "no";

/** What happened. */
export type Happening = "opened" | "refused" | "closed" | "query" | "lost";

/** A link that a layer of an image hides, which breaks images that were built on another base. */
export interface HiddenLink {
  /** The layer whose directory hides it, counted from 1. */
  layer: number;
  /** Where it is, from the root. */
  path: Name;
  /** Where it leads. */
  target: Name;
}

/** What this machine and this process are. */
export interface HostFacts {
  /** The processor's architecture. */
  architecture: string;
  /** Control groups. */
  cgroup: Cgroup;
  /** Ranges of ids that the user may map, for `--userns range`; without it none are needed. */
  id_ranges: IdRanges;
  /** Release of the kernel. */
  kernel: string;
  /** Landlock's ABI version; 0 without Landlock. */
  landlock_abi: number;
  /** The languages of `belljar code` by name, each with its version as seen in a sandbox; null when it is not there. */
  languages: Record<string, string | null>;
  /** Whether a sandbox can be held to a network policy. */
  network_policy: NetworkPolicy;
  /** Whether overlay mounts can be had in user namespaces, by version and configuration of the kernel (not tried: this version makes none); null when the kernel does not say. */
  overlay_in_user_namespaces: boolean | null;
  /** What is around this process. */
  security: Security;
  /** System calls that older kernels lack and filters hide, each with whether it answers. */
  system_calls: Record<string, boolean>;
  /** Effective user id. */
  uid: number;
}

/** What is known of what stands at a place. */
export interface HoverText {
  /** Whether it is Markdown. */
  markdown: boolean;
  /** What it is about. */
  range: TextRange | null;
  /** What is told. */
  text: string;
}

/** What is known of it. */
export interface Hovered {
  /** Null where nothing is. */
  hover: HoverText | null;
}

/** The ways in which code is run by a warm template. */
export type How = "parked" | "forked" | "cold";

/** What became of a path. */
export type How2 = "added" | "changed" | "deleted";

/** Ranges of ids. */
export interface IdRanges {
  /** Whether `--userns range` works. */
  available: boolean;
  /** How to get them. */
  hint: string | null;
  /** Whether newuidmap(1) and newgidmap(1) are there. */
  newuidmap: boolean;
  /** Why ranges are not available. */
  reason: string | null;
  /** Ids of the user in `/etc/subgid`. */
  subgid: number;
  /** Ids of the user in `/etc/subuid`. */
  subuid: number;
}

/** Ids inside, as `UID` or `UID:GID`. */
export type Ids = string | number;

/** An image that came in. */
export interface ImageBrought {
  /** Of its manifest. */
  digest: Digest;
  /** Links that its layers hide. */
  hidden_links: Array<HiddenLink>;
  /** Its names, with their tags. */
  names: Array<string>;
}

/** A layer of an image. */
export interface ImageLayer {
  /** Of its archive, not compressed. */
  diff_id: Digest;
  /** Where its files are on the host. */
  path: Name;
}

/** An image that was fetched. */
export interface ImagePulled {
  /** Of its manifest. */
  digest: Digest;
  /** Bytes that came from the registry. */
  fetched_bytes: number;
  /** Links that its layers hide. */
  hidden_links: Array<HiddenLink>;
  /** Bytes that were here already. */
  kept_bytes: number;
  /** Its name, with its tag. */
  names: Array<string>;
}

/** An image with another name. */
export interface ImageTagged {
  /** Of its manifest. */
  digest: Digest;
  /** The name that it has now too, with its tag. */
  name: string;
}

/** The images that there are. */
export interface Images {
  /** By their digests. */
  images: Array<OneImage>;
}

/** The images that came in. */
export interface ImagesBrought {
  /** In the order of their source. */
  images: Array<ImageBrought>;
}

/** The same as part of a result. */
export interface ImagesCollected {
  /** How many blobs, whole and partial. */
  blobs: number;
  /** On the disk. */
  bytes: number;
  /** Images. */
  images: Array<Digest>;
  /** Images without a name that a sandbox still uses. */
  in_use: Array<Digest>;
  /** How many trees of layers. */
  layers: number;
  /** Of this object; 1. */
  version: number;
}

/** What was removed because nobody needs it. */
export interface ImagesFreed {
  /** How many blobs, whole and partial. */
  blobs: number;
  /** On the disk. */
  bytes: number;
  /** Images. */
  images: Array<Digest>;
  /** Images without a name that a sandbox still uses. */
  in_use: Array<Digest>;
  /** How many trees of layers. */
  layers: number;
}

/** Names that are gone. */
export interface ImagesRemoved {
  /** With their tags, in the order in which they were asked for. */
  names: Array<string>;
  /** What was removed with them; null where others add to the store, and it is for `image gc` to remove. */
  removed: ImagesCollected | null;
}

/** A file of images. */
export interface ImagesSaved {
  /** Where it is; `-` where it went to standard output. */
  file: string;
}

/** Images that match their digests. */
export interface ImagesVerified {
  /** None: where there are some, that is an error, whose `problems` are they. */
  faults: Array<Fault>;
}

/** What was given to a job. */
export interface InputGiven {
  /** How many bytes it was given. */
  bytes: number;
  /** The number of the job. */
  job: number;
  /** The session. */
  session: string;
}

/** What is known of a job. */
export interface Job {
  /** How it ended, if it has. */
  end: JobEnd | null;
  /** From 1. */
  job: number;
  /** What was asked for. */
  text: string;
}

/** How a job ended. */
export interface JobEnd {
  /** What code raised; where the session keeps it, and in lists, it is shortened. */
  error: Raised | null;
  /** Of a shell's job or a command. */
  exit_code: number | null;
  /** It was interrupted because somebody said so, or because its caller went. */
  interrupted: boolean;
  /** The session ended with it, or before it. */
  session_ended: boolean;
  /** It was interrupted because its time was over. */
  timed_out: boolean;
}

/** What kind of error it is, as one word in JSON. */
export type Kind = "invalid" | "misused" | "host" | "setup" | "no_command" | "not_executable" | "not_found" | "ambiguous" | "name_taken" | "not_running" | "running" | "ended" | "silent" | "out_of_reach" | "exists" | "not_a_directory" | "is_a_directory" | "not_empty" | "denied" | "no_space" | "not_a_file" | "too_large" | "session_ended" | "lost" | "busy" | "cancelled" | "broken" | "not_a_repository" | "repository_not_found" | "ref_not_found" | "branch_exists" | "authentication" | "push_rejected" | "remote_rejected" | "dirty_tree" | "conflict" | "diverged" | "nothing_to_commit" | "network_refused" | "transport" | "timed_out" | "malformed" | "failed";

/** Everything that is known of a sandbox. */
export interface Known {
  /** What may be reached, rule by rule; sets are written out. */
  allow: Array<string>;
  /** When it was made, as RFC 3339 has it. */
  created: string;
  /** What may not. */
  deny: Array<string>;
  /** How it ended the last time; null as long as it runs. */
  end: End | null;
  /** Each protection, and how far it is enforced. */
  enforcement: Record<string, Enforcement>;
  /** Its id, unique on this host. */
  id: string;
  /** Without a call until it is removed. */
  idle_rm_seconds: number | null;
  /** Without a call until it is stopped. */
  idle_stop_seconds: number | null;
  /** The root file system: `host`, or an image with its digest. */
  image: string;
  /** Whether it stays, with its files, when it ends. */
  keep: boolean;
  /** Its labels. */
  labels: Record<string, string>;
  /** Its limits. */
  limits: Limits;
  /** Its name; the id, where it has none. */
  name: string;
  /** Its network: `none` or `host`. */
  net: string;
  /** Ports that are reached from the host, as long as it runs; none where none were asked for. */
  published: Array<Published>;
  /** When it was last ready; null where it never was. */
  started: string | null;
  /** What it is doing. */
  state: State;
  /** From its making to its removal. */
  ttl_seconds: number | null;
}

/** Everything that is known of an image. */
export interface KnownImage {
  /** Bytes of the files of all layers. */
  bytes: number;
  /** As the OCI image specification has it. */
  config: unknown;
  /** When it was made, as its makers say it (RFC 3339); null where they do not. */
  created: string | null;
  /** Of its manifest. */
  digest: Digest;
  /** The lowest first. */
  layers: Array<ImageLayer>;
  /** As the OCI image specification has it. */
  manifest: unknown;
  /** Its names, with their tags. */
  names: Array<string>;
}

/** The labels that a sandbox has now. */
export interface Labels {
  /** By their keys. */
  labels: Record<string, string>;
}

/** How a server is. */
export interface LanguageServer {
  /** Documents that are open in it. */
  documents: number;
  /** Why it died last, or could not be started. */
  failure: string | null;
  /** The language. */
  language: string;
  /** The directory of its project. */
  project: Name;
  /** How often it was started again because it had died. */
  restarts: number;
  /** Its command. */
  server: Array<string>;
  /** The session that keeps it. */
  session: string;
  /** What it is doing. */
  state: LanguageServerState;
}

/** How the server ended. */
export interface LanguageServerLeft {
  /** Its exit code; null where it was left to be ended. */
  exit_code: number | null;
}

/** What a server is doing. */
export type LanguageServerState = "starting" | "running" | "stopped" | "ended";

/** A server that somebody wanted something of. */
export type LanguageServerTold = LanguageServer;

/** The servers of a sandbox. */
export interface LanguageServers {
  /** By their sessions. */
  servers: Array<LanguageServer>;
}

/** How long a sandbox lasts now. */
export interface Lasts {
  /** Seconds without a call until it is removed. */
  idle_rm_seconds: number | null;
  /** Seconds without a call until it is stopped. */
  idle_stop_seconds: number | null;
  /** Whether it stays, with its files, when it ends. */
  keep: boolean;
  /** Its name. */
  name: string;
  /** Seconds from its making to its removal. */
  ttl_seconds: number | null;
}

/** The limits of a sandbox. */
export interface Limits {
  /** The CPU rate. */
  cpus: number;
  /** Of the writable layer. */
  disk_bytes: number;
  /** Of all processes together. */
  memory_bytes: number;
  /** Processes and threads. */
  pids: number;
}

/** One sandbox of a list. */
export type Listed = Known | { error: string; id: string; state: State };

/** A port on which something listens. */
export interface ListeningPort {
  /** The address inside: `0.0.0.0` and `::` are all of them. */
  address: string;
  /** The process that has it, as numbered inside; null where that cannot be seen. */
  pid: number | null;
  /** The port. */
  port: number;
  /** What that process calls itself. */
  program: Name | null;
  /** The protocol. */
  protocol: Protocol;
  /** Where on the host it is published, as `127.0.0.1:8080`. A preview, which is its caller's, is not among them. */
  published: Array<string>;
}

/** Ports of a sandbox. */
export interface ListeningPorts {
  /** On which something listens, by protocol and port. */
  ports: Array<ListeningPort>;
  /** What is published, whether something listens there or not. */
  published: Array<Published>;
}

/** What a sandbox's own command has written. */
export interface Log {
  /** All that is kept of it; null where it was told as it came. */
  log: Name | null;
  /** Whether it wrote more than is kept. */
  truncated: boolean;
}

/** A sandbox that was made. */
export interface Made {
  /** Each protection, and how far it is enforced. */
  enforcement: Record<string, Enforcement>;
  /** The repository that was cloned into it; null where none was asked for. */
  git: GitCloned | null;
  /** Its id, unique on this host. */
  id: string;
  /** The root file system: `host`, or an image with its digest. */
  image: string;
  /** Its name; the id, where it has none. */
  name: string;
  /** Ports that are reached from the host; none where none were asked for. */
  published: Array<Published>;
}

/** Permissions as octal digits; a number stands for its digits. */
export type Mode = string | number;

/** The two ways in JSON. */
export type Name = string | { base64: string };

/** What a sandbox did on its network. */
export interface Network {
  /** Connections, UDP flows and series of echo requests that were made. */
  allowed: number;
  /** What happened, in order; of many the last ones. */
  connections: Array<Event>;
  /** Lines of the log that were dropped, since it was full. */
  dropped_lines: number;
  /** Those that were allowed and could not be made. */
  failed: number;
  /** Whether a process that serves it was gone before the end: nothing was reached from then on, and the sum is that of `connections`. */
  lost: boolean;
  /** Refusals of targets that are not in the list, since it is full. */
  more_targets: number;
  /** Names that were asked for. */
  queries: number;
  /** Bytes to the sandbox. */
  received: number;
  /** Those that the policy refused, names among them. */
  refused: number;
  /** Bytes from the sandbox. */
  sent: number;
  /** What was refused, each target once, in order of appearance. */
  targets: Array<RefusedTarget>;
}

/** What a sandbox did on its network since it was started. */
export interface NetworkLog {
  /** What happened, in order; of a long log the newer part. Empty where it was told as it came. */
  events: Array<Event>;
}

/** Whether `--allow`, `--net open` and policy files work, tried in a sandbox. */
export interface NetworkPolicy {
  /** Whether they do. */
  available: boolean;
  /** What the sandbox's packets leave it through, and what is held to the policy. */
  device: string | null;
  /** How to get them. */
  hint: string | null;
  /** Why they do not. */
  reason: string | null;
}

/** What a sandbox may reach now. */
export interface NetworkSet {
  /** What may be reached, rule by rule; sets are written out. */
  allow: Array<string>;
  /** Connections that were cut, since they are not allowed any more. */
  cut: number;
  /** What may not. */
  deny: Array<string>;
  /** As it was asked for. */
  name: string;
  /** `none`, `only` or `open`. */
  net: string;
}

/** A source that was not copied. */
export interface NotCopied {
  /** Why. */
  error: Error;
  /** As it was asked for. */
  path: Name;
}

/** Something in the way. */
export interface Obstacle {
  /** How to remove it, with and without root. */
  hint: string | null;
  /** What it is; for what `run` refuses, in the words of `run`. */
  message: string;
}

/** An image. */
export interface OneImage {
  /** Bytes of the files of all layers. */
  bytes: number;
  /** When it was made, as its makers say it (RFC 3339); null where they do not. */
  created: string | null;
  /** Of its manifest. */
  digest: Digest;
  /** How many layers it has. */
  layers: number;
  /** Its names, with their tags. */
  names: Array<string>;
}

/** What may be given several times: a list, or one alone. */
export type OneOrManyText = Array<string | number> | string | number;

/** What may be given several times: a list, or one alone. */
export type OneOrManyWord = Array<Word> | Word;

/** The same where there has to be one. */
export type OneOrSomeText = Array<string | number> | string | number;

/** The same where there has to be one. */
export type OneOrSomeWord = Array<Word> | Word;

/** An image that was made of a sandbox. */
export interface OneSnapshot {
  /** When it was made, as RFC 3339 has it; null where it does not say. */
  created: string | null;
  /** Of its manifest. */
  digest: Digest;
  /** Its name. */
  name: string;
  /** The sandbox that it was made of. */
  sandbox: string;
}

/** A volume. */
export interface OneVolume {
  /** What its files take on the disk. */
  bytes: number;
  /** When it was made, as RFC 3339 has it; null where the file system does not say. */
  created: string | null;
  /** Its name. */
  name: string;
  /** Where its files are on the host. */
  path: string;
  /** Names of sandboxes that have it. */
  sandboxes: Array<string>;
}

/** Bytes, or `SIZE:kill`. */
export type OutputLimit = string | number;

/** `K=V`, several times; or an object. */
export type Pairs = Record<string, Word> | Array<Word> | Word;

/** Where it is open. */
export interface Previewed {
  /** The host's address. */
  address: string;
  /** The host's port. */
  port: number;
  /** The port inside. */
  to: number;
  /** The same as the address of a web page. */
  url: string;
}

/** A schema. */
export interface Printed {
  /** JSON Schema, or an OpenRPC document. */
  schema: unknown;
}

/** One thing wrong with a request. */
export interface Problem {
  /** The field of the spec, which is also the name of the flag without its dashes. */
  field: string;
  /** How to mend it. */
  hint: string | null;
  /** What is wrong with it. */
  message: string;
}

/** What a rule can be about. */
export type Protocol = "tcp" | "udp" | "icmp";

/** A port of the sandbox that is reached from the host. */
export interface Published {
  /** The host's address. */
  address: string;
  /** Why it was closed before the sandbox had ended; absent where it was not. */
  lost?: string | null;
  /** The host's port, as it was given where any was asked for. */
  port: number;
  /** The port inside. */
  to: number;
}

/** An exception. */
export interface Raised {
  /** Its class. */
  name: string;
  /** Where it came from, as the interpreter shows it. */
  traceback: string;
  /** What it says. */
  value: string;
}

/** What came of a job. */
export interface Ran {
  /** Of code in a context. */
  context?: Context | null;
  /** How it ended; null where it has not, or nobody waited for it. */
  end: JobEnd | null;
  /** Its number; null where it never had one. */
  job: number | null;
  /** Values and pictures of code. */
  results: Array<Shown>;
  /** The same of standard error. */
  stderr: Name | null;
  /** What it wrote on standard output; null where it was told as it came. */
  stdout: Name | null;
  /** Whether there was more than is kept, and the rest was dropped. */
  truncated: boolean;
}

/** Why a sandbox was told to end. */
export type Reason = "stopped" | "removed" | "ttl" | "idle" | "leader_lost" | "lease_over";

/** A target that the policy refused. */
export interface RefusedTarget {
  /** The flag that would allow it. */
  hint: string | null;
  /** Why. */
  reason: string;
  /** A name, an address with a port, or both. */
  target: string;
  /** How often. */
  times: number;
}

/** A sandbox that was removed. */
export interface Removed {
  /** As it was asked for. */
  name: string;
}

/** A sandbox that has another name. */
export interface Renamed {
  /** Its name now. */
  name: string;
  /** As it was asked for. */
  was: string;
}

/** Everything that was found out. */
export interface Report {
  /** What keeps a `run` with no options from working, the first first. */
  blockers: Array<Obstacle>;
  /** What this machine and this process are. */
  host: HostFacts;
  /** Whether a `run` with no options works, and everything it promises was seen. */
  ok: boolean;
  /** Each protection by its name. */
  protections: Record<string, Finding>;
}

/** The limits that a sandbox has now. */
export interface Resized {
  /** All of them, the changed and the others. */
  limits: Limits;
  /** As it was asked for. */
  name: string;
}

/** The one error object of belljar, with the exit code that the command line would have. */
export interface RpcError {
  /** What the kernel answered, errno(3). */
  errno: number | null;
  /** What the command line would exit with. */
  exit_code: number;
  /** Of a request: the fields at fault. */
  fields: Array<string>;
  /** How to mend it; several cures are lines. */
  hint: string | null;
  /** What programs decide by. */
  kind: Kind;
  /** What went wrong, for people, without the path. */
  message: string;
  /** The path inside a sandbox that it is about; an object with `base64` where it is no text. */
  path: Name | null;
  /** The same with what is wrong with each, and its cure. */
  problems: Array<Problem>;
  /** The step of the plan that the kernel refused, as `14 of 31`. */
  step: string | null;
}

/** What came of it. */
export type RunTold = { enforcement: Record<string, Enforcement>; error: Error | null; exit_code: number | null; image: string; limits_reached: Array<string>; network: Network | null; published: Array<Published>; sandbox: string; signal: string | null; status: Status; stderr?: string; stderr_encoding?: Encoding; stderr_truncated?: boolean; stdout?: string; stdout_encoding?: Encoding; stdout_truncated?: boolean; usage: Usage; version: number; warm: Warm | null } | { image: string; steps: Array<string>; version: number };

/** The sandboxes that last. */
export interface Sandboxes {
  /** In the order in which they were made. */
  sandboxes: Array<Listed>;
}

/** What is around this process. */
export interface Security {
  /** AppArmor label. */
  apparmor: string | null;
  /** AppArmor restricts unprivileged user namespaces. */
  apparmor_restricts_user_namespaces: boolean;
  /** The kind of container, by the traces that it leaves. */
  container: string | null;
  /** A seccomp filter. */
  seccomp_filter: boolean;
  /** SELinux context, where it is enforced. */
  selinux: string | null;
}

/** What is known of a session. */
export interface Session {
  /** How its shell, interpreter or command ended, if it has: exit code, or 128 and the number of a signal. */
  ended: number | null;
  /** Its id. */
  id: string;
  /** The last of its jobs. */
  jobs: Array<Job>;
  /** What it is. */
  kind: SessionKind;
}

/** A session to which something was done. */
export interface SessionDone {
  /** Its id. */
  session: string;
}

/** What a session is. */
export type SessionKind = "shell" | "python" | "node" | "command" | "terminal" | "stream" | "bridge" | "language" | "silent";

/** A session that was made. */
export interface SessionMade {
  /** What it is. */
  kind: SessionKind;
  /** Its id. */
  session: string;
}

/** The sessions of a sandbox. */
export interface Sessions {
  /** By their ids. */
  sessions: Array<Session>;
}

/** A value or a picture. */
export interface Shown {
  /** Text as it is, anything else as base64. */
  data: string;
  /** Where it was saved. */
  file?: Name | null;
  /** As `text/plain` or `image/png`. */
  media_type: string;
}

/** How a function is called. */
export interface Signature {
  /** Whether it is the one that fits best. */
  active: boolean;
  /** The number of the parameter at the place, from 1. */
  active_parameter: number | null;
  /** What is written about it. */
  documentation: string | null;
  /** All of it. */
  label: string;
  /** Its parameters, as they stand in the label. */
  parameters: Array<string>;
}

/** How the function is called. */
export interface Signatures {
  /** The ways in which it can be. */
  signatures: Array<Signature>;
}

/** Bytes: a number, or one with K, M, G or T, which count in 1024s. */
export type Size = string | number;

/** Something that was not copied, or not whole. */
export interface Skipped {
  /** Whether it would have been copied, and could not be. */
  failed: boolean;
  /** What. */
  path: Name;
  /** Why. */
  why: string;
}

/** An image that was made of a sandbox. */
export interface SnapshotMade {
  /** Of its manifest. */
  digest: Digest;
  /** Its name. */
  name: string;
}

/** The images that are snapshots. */
export interface Snapshots {
  /** By their names. */
  snapshots: Array<OneSnapshot>;
}

/** Names of snapshots that are gone. */
export interface SnapshotsRemoved {
  /** In the order in which they were asked for. */
  removed: Array<string>;
}

/** A sandbox that was started. */
export interface Started {
  /** Its id. */
  id: string;
  /** The root file system: `host`, or an image with its digest. */
  image: string;
  /** Its name. */
  name: string;
  /** Ports that are reached from the host; none where none were asked for. */
  published: Array<Published>;
}

/** What a sandbox is doing. */
export type State = "starting" | "running" | "stopping" | "stopped" | "lost" | "broken";

/** What a sandbox uses at one moment. */
export interface Stats {
  /** CPU time so far, milliseconds. */
  cpu_ms: number;
  /** Bytes in the writable layer. */
  disk_bytes: number;
  /** The limit. */
  disk_limit_bytes: number;
  /** Callers of `wait --lease` with whom it ends. */
  leases: number;
  /** Bytes of memory of all processes and of the files in memory. */
  memory_bytes: number;
  /** The limit. */
  memory_limit_bytes: number;
  /** The limit of the rate, thousandths of a CPU. */
  millicpus_limit: number;
  /** Processes and threads, without pid 1. */
  pids: number;
  /** The limit. */
  pids_limit: number;
  /** Milliseconds since it was ready. */
  uptime_ms: number;
}

/** How a run ended. */
export type Status = "exited" | "signaled" | "timed_out" | "cpu_time_exceeded" | "out_of_memory" | "output_limit" | "forbidden_syscall" | "cancelled" | "setup_failed";

/** A sandbox that was stopped. */
export interface Stopped {
  /** How it ended; null where nobody knows. */
  end: End | null;
  /** As it was asked for. */
  name: string;
}

/** The size that a terminal has now. */
export interface TerminalResized {
  /** Its columns. */
  columns: number;
  /** Its rows. */
  rows: number;
  /** The session. */
  session: string;
}

/** A piece of a file and what comes in its place. */
export interface TextEdit {
  /** The piece. */
  range: TextRange;
  /** What comes in its place. */
  text: string;
}

/** A line and a column of it. */
export interface TextPoint {
  /** From 1, in characters (Unicode's code points); with `utf16` in units of UTF-16. */
  column: number;
  /** From 1. */
  line: number;
}

/** From one point to another, which is the first that does not belong to it. */
export interface TextRange {
  /** Behind the last. */
  end: TextPoint;
  /** The first. */
  start: TextPoint;
}

/** A time: seconds as a number, or with h, m, s or ms. */
export type Time = string | number;

/** What a run used. */
export interface Usage {
  /** CPU time of all processes, milliseconds. */
  cpu_ms: number;
  /** Bytes in the writable layer at the end. */
  disk_bytes: number;
  /** The highest memory use seen, bytes. */
  peak_memory_bytes: number;
  /** The highest number of processes and threads seen. */
  peak_pids: number;
  /** Wall clock, milliseconds, from the start of the set-up to the end of the command. */
  wall_ms: number;
}

/** Whether a protection was seen to work. */
export type Verified = "yes" | { no: string } | { not_tried: string };

/** A volume that was made. */
export interface VolumeCreated {
  /** Its name. */
  name: string;
}

/** A volume that was not removed. */
export interface VolumeNotRemoved {
  /** Why. */
  error: Error;
  /** As it was asked for. */
  name: string;
}

/** The volumes that there are. */
export interface Volumes {
  /** By their names. */
  volumes: Array<OneVolume>;
}

/** What became of each volume that was named. */
export interface VolumesRemoved {
  /** Those that are not; where one alone was asked for, that is an error. */
  failed: Array<VolumeNotRemoved>;
  /** Those that are gone, in the order in which they were asked for. */
  removed: Array<string>;
}

/** The end of a sandbox. */
export interface Waited {
  /** How it ended; null where nobody knows. */
  end: End | null;
}

/** How code came to be run that was to be run by a warm template. */
export interface Warm {
  /** Which of the ways. */
  how: How;
  /** What it had in common with other runs of the template, where each is a copy of the same process. */
  shares: Array<string>;
  /** Why it was none of the template's; null where it was. */
  why: string | null;
}

/** A template that was made. */
export type WarmCreated = WarmTemplate;

/** What the interpreter says of itself when it is ready. */
export interface WarmInterpreter {
  /** Modules that it has imported. */
  modules: number;
  /** Bytes that it has in memory. */
  rss: number;
  /** Its version. */
  version: string;
}

/** A template that was not removed. */
export interface WarmNotRemoved {
  /** Why. */
  error: Error;
  /** As it was asked for. */
  name: string;
}

/** What became of each template that was named. */
export interface WarmRemoved {
  /** Those that are not; where one alone was asked for, that is an error. */
  failed: Array<WarmNotRemoved>;
  /** Those that are gone, in the order in which they were asked for. */
  removed: Array<string>;
}

/** What a template has at one moment. */
export interface WarmStats {
  /** Runs so far that were forked for. */
  from_forked: number;
  /** Runs so far that a parked copy was there for. */
  from_parked: number;
  /** Its interpreter. */
  interpreter: WarmInterpreter;
  /** Copies that wait. */
  parked: number;
  /** Bytes that those have each for itself alone, together: what they share with the interpreter counts for that. */
  parked_bytes: number;
  /** Runs under way. */
  running: number;
  /** Why the last copy could not be made; null where it could. */
  trouble: string | null;
}

/** A template. */
export interface WarmTemplate {
  /** When it was made, as RFC 3339 has it. */
  created: string;
  /** Each protection of its sandbox, and how far it is enforced. */
  enforcement: Record<string, Enforcement>;
  /** Its id, unique on this host. */
  id: string;
  /** The root file system: `host`, or an image with its digest. */
  image: string;
  /** Its labels. */
  labels: Record<string, string>;
  /** Its interpreter: `python` or `node`. */
  language: string;
  /** The limits of its sandbox, and of each run's. */
  limits: Limits;
  /** Its name. */
  name: string;
  /** What it has now; null where it does not run. */
  now: WarmStats | null;
  /** Code that it has run before all runs. */
  preload: string;
  /** How many copies are to wait. */
  ready: number;
  /** What its sandbox is doing. */
  state: State;
}

/** The templates that there are. */
export interface WarmTemplates {
  /** In the order in which they were made. */
  templates: Array<WarmTemplate>;
}

/** Which schema. */
export type Which = "result" | "spec" | "doctor" | "rpc";

export type Word = Uint8Array | string | number | { base64: string };

/** `belljar fs`. */
export class FsMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** List a directory */
  ls(given: { sandbox: string | number; path?: Word; depth?: Count; input?: Word }, onOutput?: OnOutput): Promise<FileEntries> {
    return this.call("fs.ls", given, onOutput) as Promise<FileEntries>;
  }

  /** Show a directory with all that is in it */
  tree(given: { sandbox: string | number; path?: Word; depth?: Count | null; input?: Word }, onOutput?: OnOutput): Promise<FileEntries> {
    return this.call("fs.tree", given, onOutput) as Promise<FileEntries>;
  }

  /** Show what a path is */
  stat(given: { sandbox: string | number; path: Word; input?: Word }, onOutput?: OnOutput): Promise<FileStat> {
    return this.call("fs.stat", given, onOutput) as Promise<FileStat>;
  }

  /** Print a file */
  cat(given: { sandbox: string | number; path: Word; offset?: Count; length?: Count | null; input?: Word }, onOutput?: OnOutput): Promise<FileContent> {
    return this.call("fs.cat", given, onOutput) as Promise<FileContent>;
  }

  /** Write standard input to a file, all at once or not at all */
  write(given: { sandbox: string | number; path: Word; mode?: Mode | null; parents?: boolean; append?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FileWritten> {
    return this.call("fs.write", given, onOutput) as Promise<FileWritten>;
  }

  /** Make a directory */
  mkdir(given: { sandbox: string | number; path: Word; parents?: boolean; mode?: Mode; input?: Word }, onOutput?: OnOutput): Promise<FileChanged> {
    return this.call("fs.mkdir", given, onOutput) as Promise<FileChanged>;
  }

  /** Remove a file or an empty directory */
  rm(given: { sandbox: string | number; path: Word; recursive?: boolean; force?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FileChanged> {
    return this.call("fs.rm", given, onOutput) as Promise<FileChanged>;
  }

  /** Rename, or move to another directory */
  mv(given: { sandbox: string | number; path: Word; to: Word; force?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FileChanged> {
    return this.call("fs.mv", given, onOutput) as Promise<FileChanged>;
  }

  /** Set permissions */
  chmod(given: { sandbox: string | number; path: Word; mode: Mode; recursive?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FileChanged> {
    return this.call("fs.chmod", given, onOutput) as Promise<FileChanged>;
  }

  /** List paths below a directory by name and kind */
  find(given: { sandbox: string | number; path: Word; name?: string | number | null; kind?: EntryKind | null; depth?: Count | null; input?: Word }, onOutput?: OnOutput): Promise<FileEntries> {
    return this.call("fs.find", given, onOutput) as Promise<FileEntries>;
  }

  /** Print the lines of text files that have TEXT in them */
  grep(given: { sandbox: string | number; path: Word; text: string | number; name?: string | number | null; ignore_case?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FileLines> {
    return this.call("fs.grep", given, onOutput) as Promise<FileLines>;
  }

  /** Replace a text in files, everywhere */
  replace(given: { sandbox: string | number; text: string | number; new: string | number; file: OneOrSomeWord; input?: Word }, onOutput?: OnOutput): Promise<FilesReplaced> {
    return this.call("fs.replace", given, onOutput) as Promise<FilesReplaced>;
  }

  /** Tell what changes in a directory, as it changes */
  watch(given: { sandbox: string | number; path: Word; recursive?: boolean; input?: Word }, onOutput?: OnOutput): Promise<DirectoryWatched> {
    return this.call("fs.watch", given, onOutput) as Promise<DirectoryWatched>;
  }
}

/** `belljar git`. */
export class GitMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Bring a repository in from another machine */
  clone(given: { sandbox: string | number; url: Word; path?: Word | null; branch?: Word | null; commit?: Word | null; depth?: Count | null; submodules?: boolean; timeout?: Time | null; username?: string | number | null; password_stdin?: boolean; password_env?: Word | null; password_fd?: Word | null; password?: string | number | null; password_for?: string | number | null; ssh_agent?: boolean; known_hosts?: Word | null; insecure_tls?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitCloned> {
    return this.call("git.clone", given, onOutput) as Promise<GitCloned>;
  }

  /** Make a repository */
  init(given: { sandbox: string | number; path?: Word; branch?: Word; bare?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitMade> {
    return this.call("git.init", given, onOutput) as Promise<GitMade>;
  }

  /** Show the branch, how far it is from its upstream, and what differs */
  status(given: { sandbox: string | number; path?: Word; untracked?: GitUntracked; ignored?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitStatusTold> {
    return this.call("git.status", given, onOutput) as Promise<GitStatusTold>;
  }

  /** Stage files */
  add(given: { sandbox: string | number; files: OneOrSomeWord; path?: Word; force?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitStatusTold> {
    return this.call("git.add", given, onOutput) as Promise<GitStatusTold>;
  }

  /** Commit what is staged */
  commit(given: { sandbox: string | number; message: Word; path?: Word; author?: Word | null; email?: Word | null; all?: boolean; amend?: boolean; allow_empty?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitCommitted> {
    return this.call("git.commit", given, onOutput) as Promise<GitCommitted>;
  }

  /** List commits */
  log(given: { sandbox: string | number; path?: Word; from?: Word | null; limit?: Count; skip?: Count; files?: OneOrManyWord; input?: Word }, onOutput?: OnOutput): Promise<GitCommits> {
    return this.call("git.log", given, onOutput) as Promise<GitCommits>;
  }

  /** List branches; make, rename or delete one */
  branch(given: { sandbox: string | number; path?: Word; name?: Word | null; from?: Word | null; delete?: boolean; rename?: Word | null; force?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitBranches> {
    return this.call("git.branch", given, onOutput) as Promise<GitBranches>;
  }

  /** Go to a branch or a commit */
  checkout(given: { sandbox: string | number; name: Word; path?: Word; create?: boolean; from?: Word | null; force?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitCheckedOut> {
    return this.call("git.checkout", given, onOutput) as Promise<GitCheckedOut>;
  }

  /** Show what differs */
  diff(given: { sandbox: string | number; path?: Word; from?: Word | null; to?: Word | null; staged?: boolean; summary?: boolean; files?: OneOrManyWord; input?: Word }, onOutput?: OnOutput): Promise<GitDifference> {
    return this.call("git.diff", given, onOutput) as Promise<GitDifference>;
  }

  /** Show a commit and what it changed */
  show(given: { sandbox: string | number; path?: Word; commit?: Word; summary?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitShown> {
    return this.call("git.show", given, onOutput) as Promise<GitShown>;
  }

  /** Bring in what is new on another machine */
  fetch(given: { sandbox: string | number; path?: Word; remote?: Word | null; branch?: Word | null; prune?: boolean; tags?: boolean; depth?: Count | null; timeout?: Time | null; username?: string | number | null; password_stdin?: boolean; password_env?: Word | null; password_fd?: Word | null; password?: string | number | null; password_for?: string | number | null; ssh_agent?: boolean; known_hosts?: Word | null; insecure_tls?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitFetched> {
    return this.call("git.fetch", given, onOutput) as Promise<GitFetched>;
  }

  /** Fetch, and go forward to it */
  pull(given: { sandbox: string | number; path?: Word; remote?: Word | null; branch?: Word | null; merge?: boolean; rebase?: boolean; timeout?: Time | null; username?: string | number | null; password_stdin?: boolean; password_env?: Word | null; password_fd?: Word | null; password?: string | number | null; password_for?: string | number | null; ssh_agent?: boolean; known_hosts?: Word | null; insecure_tls?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitPulled> {
    return this.call("git.pull", given, onOutput) as Promise<GitPulled>;
  }

  /** Send commits to another machine */
  push(given: { sandbox: string | number; path?: Word; remote?: Word | null; branch?: Word | null; set_upstream?: boolean; force?: boolean; tags?: boolean; delete?: boolean; timeout?: Time | null; username?: string | number | null; password_stdin?: boolean; password_env?: Word | null; password_fd?: Word | null; password?: string | number | null; password_for?: string | number | null; ssh_agent?: boolean; known_hosts?: Word | null; insecure_tls?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitPushResult> {
    return this.call("git.push", given, onOutput) as Promise<GitPushResult>;
  }

  /** Move the branch to a commit, or take files out of what is staged */
  reset(given: { sandbox: string | number; path?: Word; mode?: GitResetMode | null; target?: Word; files?: OneOrManyWord; input?: Word }, onOutput?: OnOutput): Promise<GitStatusTold> {
    return this.call("git.reset", given, onOutput) as Promise<GitStatusTold>;
  }

  /** Bring files back */
  restore(given: { sandbox: string | number; files: OneOrSomeWord; path?: Word; source?: Word | null; staged?: boolean; worktree?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitStatusTold> {
    return this.call("git.restore", given, onOutput) as Promise<GitStatusTold>;
  }

  /** Put changes aside, list such, and bring them back */
  stash(given: { sandbox: string | number; path?: Word; deed?: GitStashDeed; index?: Count | null; message?: Word | null; include_untracked?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitStashes> {
    return this.call("git.stash", given, onOutput) as Promise<GitStashes>;
  }

  /** List remotes; add, change or remove one */
  remote(given: { sandbox: string | number; path?: Word; deed?: GitRemoteDeed; name?: Word | null; to?: Word | null; overwrite?: boolean; input?: Word }, onOutput?: OnOutput): Promise<GitRemotes> {
    return this.call("git.remote", given, onOutput) as Promise<GitRemotes>;
  }

  /** List, show, change and remove settings */
  config(given: { sandbox: string | number; path?: Word; key?: Word | null; value?: Word | null; unset?: boolean; scope?: GitScope | null; input?: Word }, onOutput?: OnOutput): Promise<GitSettings> {
    return this.call("git.config", given, onOutput) as Promise<GitSettings>;
  }
}

/** `belljar image`. */
export class ImageMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Build an image from a recipe: a directory, or python, node or shell */
  build(given: { dir: Word; name?: string | number | null; net?: Word | null; allow?: OneOrManyWord; deny?: OneOrManyWord; input?: Word }, onOutput?: OnOutput): Promise<ImagesBrought> {
    return this.call("image.build", given, onOutput) as Promise<ImagesBrought>;
  }

  /** Bring in an OCI layout, a docker archive or a plain root archive */
  import(given: { file: Word; name?: string | number | null; input?: Word }, onOutput?: OnOutput): Promise<ImagesBrought> {
    return this.call("image.import", given, onOutput) as Promise<ImagesBrought>;
  }

  /** Fetch an image from a registry */
  pull(given: { ref: string | number; username?: string | number | null; password_stdin?: boolean; input?: Word }, onOutput?: OnOutput): Promise<ImagePulled> {
    return this.call("image.pull", given, onOutput) as Promise<ImagePulled>;
  }

  /** Write images into one file, for `load` elsewhere */
  save(given: { name: OneOrSomeText; output: Word; input?: Word }, onOutput?: OnOutput): Promise<ImagesSaved> {
    return this.call("image.save", given, onOutput) as Promise<ImagesSaved>;
  }

  /** Bring in what `save` wrote */
  load(given: { file: Word; input?: Word }, onOutput?: OnOutput): Promise<ImagesBrought> {
    return this.call("image.load", given, onOutput) as Promise<ImagesBrought>;
  }

  /** List the images */
  ls(given: { digests?: boolean; input?: Word } = {}, onOutput?: OnOutput): Promise<Images> {
    return this.call("image.ls", given, onOutput) as Promise<Images>;
  }

  /** Show all that is known of an image, as JSON */
  inspect(given: { name: string | number; input?: Word }, onOutput?: OnOutput): Promise<KnownImage> {
    return this.call("image.inspect", given, onOutput) as Promise<KnownImage>;
  }

  /** Give an image another name */
  tag(given: { name: string | number; new: string | number; input?: Word }, onOutput?: OnOutput): Promise<ImageTagged> {
    return this.call("image.tag", given, onOutput) as Promise<ImageTagged>;
  }

  /** Take names away, and images that have no name left */
  rm(given: { name: OneOrSomeText; input?: Word }, onOutput?: OnOutput): Promise<ImagesRemoved> {
    return this.call("image.rm", given, onOutput) as Promise<ImagesRemoved>;
  }

  /** Remove what no image needs: remains of what was interrupted, images without a name */
  gc(given: { input?: Word } = {}, onOutput?: OnOutput): Promise<ImagesFreed> {
    return this.call("image.gc", given, onOutput) as Promise<ImagesFreed>;
  }

  /** Compare everything with its digest */
  verify(given: { name?: string | number | null; input?: Word } = {}, onOutput?: OnOutput): Promise<ImagesVerified> {
    return this.call("image.verify", given, onOutput) as Promise<ImagesVerified>;
  }
}

/** `belljar lsp`. */
export class LspMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Start the server of a language for a project, if it does not run */
  start(given: { sandbox: string | number; language: string | number; project?: Word | null; idle?: Time | null; timeout?: Time | null; server?: OneOrManyText; input?: Word }, onOutput?: OnOutput): Promise<LanguageServerTold> {
    return this.call("lsp.start", given, onOutput) as Promise<LanguageServerTold>;
  }

  /** End it */
  stop(given: { sandbox: string | number; language: string | number; project?: Word | null; input?: Word }, onOutput?: OnOutput): Promise<LanguageServerTold> {
    return this.call("lsp.stop", given, onOutput) as Promise<LanguageServerTold>;
  }

  /** List the servers of a sandbox */
  ls(given: { sandbox: string | number; input?: Word }, onOutput?: OnOutput): Promise<LanguageServers> {
    return this.call("lsp.ls", given, onOutput) as Promise<LanguageServers>;
  }

  /** List what could stand at a place */
  completions(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; line?: number | null; column?: number | null; input?: Word }, onOutput?: OnOutput): Promise<CompletionList> {
    return this.call("lsp.completions", given, onOutput) as Promise<CompletionList>;
  }

  /** Tell what stands at a place: its type and what is written about it */
  hover(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; line?: number | null; column?: number | null; input?: Word }, onOutput?: OnOutput): Promise<Hovered> {
    return this.call("lsp.hover", given, onOutput) as Promise<Hovered>;
  }

  /** Tell how the function is called whose arguments stand at a place */
  signature(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; line?: number | null; column?: number | null; input?: Word }, onOutput?: OnOutput): Promise<Signatures> {
    return this.call("lsp.signature", given, onOutput) as Promise<Signatures>;
  }

  /** Find where it is defined that stands at a place */
  definition(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; line?: number | null; column?: number | null; input?: Word }, onOutput?: OnOutput): Promise<CodeLocations> {
    return this.call("lsp.definition", given, onOutput) as Promise<CodeLocations>;
  }

  /** Find where it is used that stands at a place */
  references(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; line?: number | null; column?: number | null; input?: Word }, onOutput?: OnOutput): Promise<CodeLocations> {
    return this.call("lsp.references", given, onOutput) as Promise<CodeLocations>;
  }

  /** List what a file defines */
  symbols(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; input?: Word }, onOutput?: OnOutput): Promise<CodeSymbols> {
    return this.call("lsp.symbols", given, onOutput) as Promise<CodeSymbols>;
  }

  /** Find what a project defines by a part of the name */
  find(given: { sandbox: string | number; language: string | number; query: string | number; project?: Word | null; timeout?: Time | null; utf16?: boolean; input?: Word }, onOutput?: OnOutput): Promise<CodeSymbols> {
    return this.call("lsp.find", given, onOutput) as Promise<CodeSymbols>;
  }

  /** Tell what is wrong with files */
  diagnostics(given: { sandbox: string | number; file: OneOrSomeWord; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FilesDiagnosed> {
    return this.call("lsp.diagnostics", given, onOutput) as Promise<FilesDiagnosed>;
  }

  /** Give another name to what stands at a place, everywhere */
  rename(given: { sandbox: string | number; file: Word; name: string | number; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; line?: number | null; column?: number | null; write?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FilesEdited> {
    return this.call("lsp.rename", given, onOutput) as Promise<FilesEdited>;
  }

  /** Set a file as the server would have it */
  format(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; write?: boolean; input?: Word }, onOutput?: OnOutput): Promise<FilesEdited> {
    return this.call("lsp.format", given, onOutput) as Promise<FilesEdited>;
  }

  /** List what could be done at a place, or do it */
  actions(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; line?: number | null; column?: number | null; end_line?: number | null; end_column?: number | null; apply?: number | null; dry_run?: boolean; input?: Word }, onOutput?: OnOutput): Promise<CodeActions> {
    return this.call("lsp.actions", given, onOutput) as Promise<CodeActions>;
  }

  /** Open a document, which stays open */
  open(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; input?: Word }, onOutput?: OnOutput): Promise<LanguageServerTold> {
    return this.call("lsp.open", given, onOutput) as Promise<LanguageServerTold>;
  }

  /** Close it again */
  close(given: { sandbox: string | number; file: Word; language?: string | number | null; project?: Word | null; timeout?: Time | null; utf16?: boolean; input?: Word }, onOutput?: OnOutput): Promise<LanguageServerTold> {
    return this.call("lsp.close", given, onOutput) as Promise<LanguageServerTold>;
  }

  /** Be a language server for an editor, on standard input and output */
  connect(given: { sandbox: string | number; language: string | number; project?: Word | null; path?: OneOrManyWord; timeout?: Time | null; server?: OneOrManyText; input?: Word }, onOutput?: OnOutput): Promise<LanguageServerLeft> {
    return this.call("lsp.connect", given, onOutput) as Promise<LanguageServerLeft>;
  }
}

/** `belljar net`. */
export class NetMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Set what a sandbox may reach, in place of what it might before */
  set(given: { name: string | number; net?: Word | null; allow?: OneOrManyWord; deny?: OneOrManyWord; net_rate?: Size | null; net_connections?: Count | null; input?: Word }, onOutput?: OnOutput): Promise<NetworkSet> {
    return this.call("net.set", given, onOutput) as Promise<NetworkSet>;
  }

  /** Show what a sandbox reached, and what it was refused */
  log(given: { name: string | number; follow?: boolean; input?: Word }, onOutput?: OnOutput): Promise<NetworkLog> {
    return this.call("net.log", given, onOutput) as Promise<NetworkLog>;
  }
}

/** `belljar port`. */
export class PortMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** List the ports that programs in a sandbox listen on */
  ls(given: { sandbox: string | number; input?: Word }, onOutput?: OnOutput): Promise<ListeningPorts> {
    return this.call("port.ls", given, onOutput) as Promise<ListeningPorts>;
  }
}

/** `belljar pty`. */
export class PtyMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Start a shell, or a command, with a terminal of its own */
  create(given: { sandbox: string | number; id: string | number; workdir?: Word | null; command?: OneOrManyWord; input?: Word }, onOutput?: OnOutput): Promise<SessionMade> {
    return this.call("pty.create", given, onOutput) as Promise<SessionMade>;
  }

  /** Look at it and type into it; Ctrl-] leaves it alone again */
  attach(given: { sandbox: string | number; id: string | number; input?: Word }, onOutput?: OnOutput): Promise<Ran> {
    return this.call("pty.attach", given, onOutput) as Promise<Ran>;
  }

  /** Give it another size */
  resize(given: { sandbox: string | number; id: string | number; columns: number; rows: number; input?: Word }, onOutput?: OnOutput): Promise<TerminalResized> {
    return this.call("pty.resize", given, onOutput) as Promise<TerminalResized>;
  }
}

/** `belljar session`. */
export class SessionMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Start a shell */
  create(given: { sandbox: string | number; id: string | number; workdir?: Word | null; input?: Word }, onOutput?: OnOutput): Promise<SessionMade> {
    return this.call("session.create", given, onOutput) as Promise<SessionMade>;
  }

  /** List the sessions of a sandbox */
  ls(given: { sandbox: string | number; input?: Word }, onOutput?: OnOutput): Promise<Sessions> {
    return this.call("session.ls", given, onOutput) as Promise<Sessions>;
  }

  /** Run lines of shell in a session, after those before them */
  exec(given: { sandbox: string | number; id: string | number; lines: Word; detach?: boolean; timeout?: Time | null; input?: Word }, onOutput?: OnOutput): Promise<Ran> {
    return this.call("session.exec", given, onOutput) as Promise<Ran>;
  }

  /** Print what a job has written */
  logs(given: { sandbox: string | number; id: string | number; job?: number; follow?: boolean; input?: Word }, onOutput?: OnOutput): Promise<Ran> {
    return this.call("session.logs", given, onOutput) as Promise<Ran>;
  }

  /** Give standard input to what a job reads that was started with --detach */
  input(given: { sandbox: string | number; id: string | number; job: number; input?: Word }, onOutput?: OnOutput): Promise<InputGiven> {
    return this.call("session.input", given, onOutput) as Promise<InputGiven>;
  }

  /** Interrupt a job, as its timeout does; later jobs still run */
  interrupt(given: { sandbox: string | number; id: string | number; job?: number | null; input?: Word }, onOutput?: OnOutput): Promise<SessionDone> {
    return this.call("session.interrupt", given, onOutput) as Promise<SessionDone>;
  }

  /** End a session, and everything that it has started */
  rm(given: { sandbox: string | number; id: string | number; input?: Word }, onOutput?: OnOutput): Promise<SessionDone> {
    return this.call("session.rm", given, onOutput) as Promise<SessionDone>;
  }
}

/** `belljar snapshot`. */
export class SnapshotMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Make an image of a sandbox's image and its files, as they are at this moment The image of a sandbox on the machine's own files needs them: only `create --image` takes it. */
  create(given: { name: string | number; image: string | number; force?: boolean; input?: Word }, onOutput?: OnOutput): Promise<SnapshotMade> {
    return this.call("snapshot.create", given, onOutput) as Promise<SnapshotMade>;
  }

  /** List the images that are snapshots */
  ls(given: { input?: Word } = {}, onOutput?: OnOutput): Promise<Snapshots> {
    return this.call("snapshot.ls", given, onOutput) as Promise<Snapshots>;
  }

  /** Take the names of snapshots away, and with the last name the image */
  rm(given: { image: OneOrSomeText; input?: Word }, onOutput?: OnOutput): Promise<SnapshotsRemoved> {
    return this.call("snapshot.rm", given, onOutput) as Promise<SnapshotsRemoved>;
  }
}

/** `belljar volume`. */
export class VolumeMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Make an empty volume */
  create(given: { name: string | number; input?: Word }, onOutput?: OnOutput): Promise<VolumeCreated> {
    return this.call("volume.create", given, onOutput) as Promise<VolumeCreated>;
  }

  /** List volumes, what they take on the disk, and who has them */
  ls(given: { input?: Word } = {}, onOutput?: OnOutput): Promise<Volumes> {
    return this.call("volume.ls", given, onOutput) as Promise<Volumes>;
  }

  /** Remove volumes and their files */
  rm(given: { name: OneOrSomeText; input?: Word }, onOutput?: OnOutput): Promise<VolumesRemoved> {
    return this.call("volume.rm", given, onOutput) as Promise<VolumesRemoved>;
  }
}

/** `belljar warm`. */
export class WarmMethods {
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
  }

  /** Make a warm template: an interpreter that has loaded what every run needs */
  create(given: { memory?: Size | null; cpus?: Cpus | null; pids?: Count | null; disk?: Size | null; disk_bandwidth?: Size | null; timeout?: Deadline | null; cpu_time?: Time | null; cgroup_parent?: Word | null; image?: Word | null; mount?: OneOrManyWord; volume?: OneOrManyWord; workdir?: Word | null; net?: Word | null; allow?: OneOrManyWord; deny?: OneOrManyWord; net_rate?: Size | null; net_connections?: Count | null; publish?: OneOrManyWord; user?: Ids | null; userns?: Word | null; hostname?: Word | null; env?: Pairs; spec?: Word | null; seccomp?: Word | null; require?: OneOrManyWord; allow_missing?: OneOrManyWord; preload?: Word | null; preload_file?: Word | null; preload_timeout?: Deadline | null; lang?: Word | null; ready?: Count | null; ttl?: Time | null; idle_stop?: Time | null; label?: Pairs; name?: Word | null; input?: Word } = {}, onOutput?: OnOutput): Promise<WarmCreated> {
    return this.call("warm.create", given, onOutput) as Promise<WarmCreated>;
  }

  /** List warm templates, and what they have ready */
  ls(given: { input?: Word } = {}, onOutput?: OnOutput): Promise<WarmTemplates> {
    return this.call("warm.ls", given, onOutput) as Promise<WarmTemplates>;
  }

  /** Show all that is known of a warm template, as JSON */
  inspect(given: { name: string | number; input?: Word }, onOutput?: OnOutput): Promise<WarmTemplate> {
    return this.call("warm.inspect", given, onOutput) as Promise<WarmTemplate>;
  }

  /** End and remove warm templates, and what runs by them */
  rm(given: { name: OneOrSomeText; input?: Word }, onOutput?: OnOutput): Promise<WarmRemoved> {
    return this.call("warm.rm", given, onOutput) as Promise<WarmRemoved>;
  }
}

/** Every verb of belljar. */
export class Methods {
  readonly fs: FsMethods;
  readonly git: GitMethods;
  readonly image: ImageMethods;
  readonly lsp: LspMethods;
  readonly net: NetMethods;
  readonly port: PortMethods;
  readonly pty: PtyMethods;
  readonly session: SessionMethods;
  readonly snapshot: SnapshotMethods;
  readonly volume: VolumeMethods;
  readonly warm: WarmMethods;
  protected readonly call: Ask;

  constructor(call: Ask) {
    this.call = call;
    this.fs = new FsMethods(call);
    this.git = new GitMethods(call);
    this.image = new ImageMethods(call);
    this.lsp = new LspMethods(call);
    this.net = new NetMethods(call);
    this.port = new PortMethods(call);
    this.pty = new PtyMethods(call);
    this.session = new SessionMethods(call);
    this.snapshot = new SnapshotMethods(call);
    this.volume = new VolumeMethods(call);
    this.warm = new WarmMethods(call);
  }

  /** Run one command in a fresh sandbox that is destroyed afterwards */
  run(given: { memory?: Size | null; cpus?: Cpus | null; pids?: Count | null; disk?: Size | null; disk_bandwidth?: Size | null; timeout?: Deadline | null; cpu_time?: Time | null; cgroup_parent?: Word | null; image?: Word | null; mount?: OneOrManyWord; volume?: OneOrManyWord; workdir?: Word | null; net?: Word | null; allow?: OneOrManyWord; deny?: OneOrManyWord; net_rate?: Size | null; net_connections?: Count | null; publish?: OneOrManyWord; user?: Ids | null; userns?: Word | null; hostname?: Word | null; env?: Pairs; spec?: Word | null; seccomp?: Word | null; require?: OneOrManyWord; allow_missing?: OneOrManyWord; output_limit?: OutputLimit | null; stdin?: Word | null; tty?: boolean; dry_run?: boolean; bundle?: Word | null; command?: OneOrManyWord; input?: Word } = {}, onOutput?: OnOutput): Promise<RunTold> {
    return this.call("run", given, onOutput) as Promise<RunTold>;
  }

  /** Run a piece of code in a fresh sandbox that is destroyed afterwards */
  code(given: { memory?: Size | null; cpus?: Cpus | null; pids?: Count | null; disk?: Size | null; disk_bandwidth?: Size | null; timeout?: Deadline | null; cpu_time?: Time | null; cgroup_parent?: Word | null; image?: Word | null; mount?: OneOrManyWord; volume?: OneOrManyWord; workdir?: Word | null; net?: Word | null; allow?: OneOrManyWord; deny?: OneOrManyWord; net_rate?: Size | null; net_connections?: Count | null; publish?: OneOrManyWord; user?: Ids | null; userns?: Word | null; hostname?: Word | null; env?: Pairs; spec?: Word | null; seccomp?: Word | null; require?: OneOrManyWord; allow_missing?: OneOrManyWord; output_limit?: OutputLimit | null; stdin?: Word | null; tty?: boolean; dry_run?: boolean; sandbox?: Word | null; warm?: string | number | null; context?: string | null; save?: Word | null; code?: Word | null; lang?: Word | null; file?: OneOrManyWord; input?: Word } = {}, onOutput?: OnOutput): Promise<CodeTold> {
    return this.call("code", given, onOutput) as Promise<CodeTold>;
  }

  /** Run a command in a persistent sandbox */
  exec(given: { detach?: boolean; timeout?: Deadline | null; output_limit?: OutputLimit | null; workdir?: Word | null; user?: Ids | null; env?: Pairs; stdin?: Word | null; tty?: boolean; interactive?: boolean; name?: string | number | null; command?: OneOrManyWord; input?: Word } = {}, onOutput?: OnOutput): Promise<ExecTold> {
    return this.call("exec", given, onOutput) as Promise<ExecTold>;
  }

  /** Open a port of this machine that leads to one in a sandbox */
  preview(given: { name: string | number; port: Count; listen?: Word | null; input?: Word }, onOutput?: OnOutput): Promise<Previewed> {
    return this.call("preview", given, onOutput) as Promise<Previewed>;
  }

  /** Make a persistent sandbox */
  create(given: { memory?: Size | null; cpus?: Cpus | null; pids?: Count | null; disk?: Size | null; disk_bandwidth?: Size | null; timeout?: Deadline | null; cpu_time?: Time | null; cgroup_parent?: Word | null; image?: Word | null; mount?: OneOrManyWord; volume?: OneOrManyWord; workdir?: Word | null; net?: Word | null; allow?: OneOrManyWord; deny?: OneOrManyWord; net_rate?: Size | null; net_connections?: Count | null; publish?: OneOrManyWord; user?: Ids | null; userns?: Word | null; hostname?: Word | null; env?: Pairs; spec?: Word | null; seccomp?: Word | null; require?: OneOrManyWord; allow_missing?: OneOrManyWord; keep?: boolean; ttl?: Time | null; idle_stop?: Time | null; idle_rm?: Time | null; label?: Pairs; name?: Word | null; command?: OneOrManyWord; git?: Word | null; git_dir?: Word | null; username?: string | number | null; password_stdin?: boolean; password_env?: Word | null; password_fd?: Word | null; password?: string | number | null; password_for?: string | number | null; ssh_agent?: boolean; known_hosts?: Word | null; insecure_tls?: boolean; input?: Word } = {}, onOutput?: OnOutput): Promise<Made> {
    return this.call("create", given, onOutput) as Promise<Made>;
  }

  /** List persistent sandboxes */
  ls(given: { label?: Pairs; input?: Word } = {}, onOutput?: OnOutput): Promise<Sandboxes> {
    return this.call("ls", given, onOutput) as Promise<Sandboxes>;
  }

  /** Show all that is known of a sandbox, as JSON */
  inspect(given: { name: string | number; input?: Word }, onOutput?: OnOutput): Promise<Known> {
    return this.call("inspect", given, onOutput) as Promise<Known>;
  }

  /** Show what a sandbox uses */
  stats(given: { name: string | number; input?: Word }, onOutput?: OnOutput): Promise<Stats> {
    return this.call("stats", given, onOutput) as Promise<Stats>;
  }

  /** Print what a sandbox's own command has written */
  logs(given: { name: string | number; follow?: boolean; input?: Word }, onOutput?: OnOutput): Promise<Log> {
    return this.call("logs", given, onOutput) as Promise<Log>;
  }

  /** Wait until a sandbox ends, and exit as its own command did */
  wait(given: { name: string | number; lease?: boolean; input?: Word }, onOutput?: OnOutput): Promise<Waited> {
    return this.call("wait", given, onOutput) as Promise<Waited>;
  }

  /** End sandboxes; those that are not kept are removed */
  stop(given: { name: OneOrSomeText; grace?: Time | null; input?: Word }, onOutput?: OnOutput): Promise<AllStopped> {
    return this.call("stop", given, onOutput) as Promise<AllStopped>;
  }

  /** Start kept sandboxes that were stopped */
  start(given: { name: OneOrSomeText; input?: Word }, onOutput?: OnOutput): Promise<AllStarted> {
    return this.call("start", given, onOutput) as Promise<AllStarted>;
  }

  /** Remove sandboxes and their files */
  rm(given: { name: OneOrSomeText; force?: boolean; input?: Word }, onOutput?: OnOutput): Promise<AllRemoved> {
    return this.call("rm", given, onOutput) as Promise<AllRemoved>;
  }

  /** Change the limits of a sandbox */
  resize(given: { name: string | number; memory?: Size | null; cpus?: Cpus | null; pids?: Count | null; disk?: Size | null; input?: Word }, onOutput?: OnOutput): Promise<Resized> {
    return this.call("resize", given, onOutput) as Promise<Resized>;
  }

  /** Change how long a sandbox lasts */
  life(given: { name: string | number; keep?: boolean | null; ttl?: Time | null; idle_stop?: Time | null; idle_rm?: Time | null; input?: Word }, onOutput?: OnOutput): Promise<Lasts> {
    return this.call("life", given, onOutput) as Promise<Lasts>;
  }

  /** Give a sandbox another name */
  rename(given: { name: string | number; new: string | number; input?: Word }, onOutput?: OnOutput): Promise<Renamed> {
    return this.call("rename", given, onOutput) as Promise<Renamed>;
  }

  /** Show and change the labels of a sandbox */
  label(given: { name: string | number; label?: Pairs; input?: Word }, onOutput?: OnOutput): Promise<Labels> {
    return this.call("label", given, onOutput) as Promise<Labels>;
  }

  /** Make another sandbox with a copy of the files of this one */
  fork(given: { name: string | number; new?: string | number | null; input?: Word }, onOutput?: OnOutput): Promise<Made> {
    return this.call("fork", given, onOutput) as Promise<Made>;
  }

  /** List what a sandbox has changed against its image */
  diff(given: { name: string | number; input?: Word }, onOutput?: OnOutput): Promise<Changes> {
    return this.call("diff", given, onOutput) as Promise<Changes>;
  }

  /** Write a whole sandbox to a file, for another machine */
  export(given: { name: string | number; output: Word; without_image?: boolean; input?: Word }, onOutput?: OnOutput): Promise<Exported> {
    return this.call("export", given, onOutput) as Promise<Exported>;
  }

  /** Make a sandbox from a file that `belljar export` wrote, and start it */
  import(given: { file: Word; memory?: Size | null; cpus?: Cpus | null; pids?: Count | null; disk?: Size | null; disk_bandwidth?: Size | null; timeout?: Deadline | null; cpu_time?: Time | null; cgroup_parent?: Word | null; image?: Word | null; mount?: OneOrManyWord; volume?: OneOrManyWord; workdir?: Word | null; net?: Word | null; allow?: OneOrManyWord; deny?: OneOrManyWord; net_rate?: Size | null; net_connections?: Count | null; publish?: OneOrManyWord; user?: Ids | null; userns?: Word | null; hostname?: Word | null; env?: Pairs; spec?: Word | null; seccomp?: Word | null; require?: OneOrManyWord; allow_missing?: OneOrManyWord; name?: Word | null; input?: Word }, onOutput?: OnOutput): Promise<Made> {
    return this.call("import", given, onOutput) as Promise<Made>;
  }

  /** Say what this host can enforce, what is missing and how to get it */
  doctor(given: { apparmor_profile?: boolean; input?: Word } = {}, onOutput?: OnOutput): Promise<Examined> {
    return this.call("doctor", given, onOutput) as Promise<Examined>;
  }

  /** Print the JSON Schema of results, of spec files or of what doctor tells, or the methods of rpc */
  schema(given: { of?: Which; input?: Word } = {}, onOutput?: OnOutput): Promise<Printed> {
    return this.call("schema", given, onOutput) as Promise<Printed>;
  }

  /** Copy files and directories between the host and a sandbox */
  cp(given: { from: OneOrSomeWord; to: Word; quiet?: boolean; input?: Word }, onOutput?: OnOutput): Promise<Copied> {
    return this.call("cp", given, onOutput) as Promise<Copied>;
  }

  /** The version of belljar */
  version(onOutput?: OnOutput): Promise<{ version: string }> {
    return this.call("version", {}, onOutput) as Promise<{ version: string }>;
  }
}
