"""The methods of `belljar rpc`, typed. Written by generate.py from docs/rpc.json: do not edit."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Literal, Optional, Union

if sys.version_info >= (3, 11):
    from typing import NotRequired, TypedDict
else:
    from typing_extensions import NotRequired, TypedDict

# What a command prints, as it comes: `stdout` or `stderr`, and the bytes.
OnOutput = Callable[[str, bytes], None]


class AllRemoved(TypedDict):
    """What became of each sandbox that was named, in that order."""
    # Where there is one alone, and it could not be done, that is an error.
    sandboxes: List[EachRemoved]


class AllStarted(TypedDict):
    """What became of each sandbox that was named, in that order."""
    # Where there is one alone, and it could not be done, that is an error.
    sandboxes: List[EachStarted]


class AllStopped(TypedDict):
    """What became of each sandbox that was named, in that order."""
    # Where there is one alone, and it could not be done, that is an error.
    sandboxes: List[EachStopped]


class Cgroup(TypedDict):
    """Control groups."""
    # The controllers that they have.
    controllers: List[str]
    # Whether sandboxes have cgroups here.
    delegated: bool
    # Where the cgroups of sandboxes are made.
    directory: Optional[str]
    # How to get one, with and without root.
    hint: Optional[str]
    # Why not.
    reason: Optional[str]
    # Whether a scope of the user's systemd is asked for to that end.
    scope: bool
    # `none`, `v1`, `hybrid` or `v2`.
    version: str


class Change(TypedDict):
    """One difference."""
    # What became of the path.
    change: How2
    # What is there now; null where it is gone.
    kind: Optional[EntryKind]
    # From the root.
    path: Name


class Changes(TypedDict):
    """What a sandbox has changed against its image."""
    # By their paths.
    changes: List[Change]


class CodeAction(TypedDict):
    """Something that could be done."""
    # Why it cannot be taken now.
    disabled: Optional[str]
    # What kind of action it is, as in `quickfix`.
    kind: Optional[str]
    # By which it is asked for, from 1, as long as the file stays as it is.
    number: int
    # Whether it is the one to take.
    preferred: bool
    # What it does.
    title: str


class CodeActions(TypedDict):
    """What could be done, or what was."""
    # What could be done; nothing where one was.
    actions: List[CodeAction]
    # The edits of the one that was done.
    files: List[FileEdited]


class CodeLocation(TypedDict):
    """A range of a file."""
    # The file.
    path: Name
    # Where in it.
    range: TextRange
    # Its first line, shortened where it is long; null where the file cannot be read.
    text: Optional[str]


class CodeLocations(TypedDict):
    """Places in files."""
    # In the order in which the server says them.
    locations: List[CodeLocation]


class CodeSymbol(TypedDict):
    """Something that code defines."""
    # What it is in.
    container: Optional[str]
    # More of it.
    detail: Optional[str]
    # What it is, as in `class`.
    kind: str
    # What it is called.
    name: str
    # The file.
    path: Name
    # All of it.
    range: TextRange
    # Its name.
    selection: TextRange


class CodeSymbols(TypedDict):
    """What code defines."""
    # In the order in which the server says them; of a tree each is before what is in it.
    symbols: List[CodeSymbol]


class Completion(TypedDict):
    """Something that could stand at a place."""
    # Whether it is not to be used any more.
    deprecated: bool
    # More of it, as in its type.
    detail: Optional[str]
    # What is written about it.
    documentation: Optional[str]
    # What what was typed is compared with; the label, where nothing is said.
    filter: Optional[str]
    # The text that goes in.
    insert: str
    # What it is, as in `function`.
    kind: Optional[str]
    # As it is shown in a list.
    label: str
    # What that text replaces; the word before the place, where nothing is said.
    range: Optional[TextRange]
    # What a list is sorted by; the label, where nothing is said.
    sort: Optional[str]


class CompletionList(TypedDict):
    """What could stand there."""
    # Whether there are more, which are told when more is typed.
    incomplete: bool
    # In the order in which the server says them.
    items: List[Completion]


class Copied(TypedDict):
    """What was copied."""
    # Bytes of content of all files; where TO is `-`, of what was printed.
    bytes: int
    # Only where TO is `-`, and nobody was told it as it came: the file as text, of a directory a tar archive.
    content: NotRequired[Optional[str]]
    # How `content` has the bytes.
    encoding: NotRequired[Optional[FileEncoding]]
    # Of several sources those that were not copied; of one alone that is an error.
    failed: List[NotCopied]
    # What was not copied of what is in them.
    skipped: List[Skipped]
    # So many more, which nobody remembers.
    skipped_more: int
    # Where it is now; where there were several, the directory that they are in; `-` for what was printed.
    to: Name


class Diagnostic(TypedDict):
    """Something wrong with a file."""
    # What the server calls it.
    code: Optional[str]
    # What is wrong.
    message: str
    # Where.
    range: TextRange
    # How bad it is.
    severity: DiagnosticSeverity
    # Who says so.
    source: Optional[str]


class DirectoryWatched(TypedDict):
    """A directory that was watched to its end."""
    # How many changes there were.
    changes: int
    # The directory.
    path: Name


class End(TypedDict):
    """How a sandbox ended, the same in every verb."""
    # When, as RFC 3339 has it.
    at: str
    # Why nothing ran.
    error: Optional[str]
    # Of its own command; null where it has none.
    exit_code: Optional[int]
    # Who wanted it to end, where somebody did.
    reason: Optional[Reason]
    # The signal that ended its own command.
    signal: Optional[str]
    # Why: a limit, its own command's end, or `cancelled` where it was told to.
    status: Status
    # What it used.
    usage: Usage


class Error(TypedDict):
    """The error object, the same in `--json`, `rpc` and the result of a run."""
    # What the kernel answered, errno(3).
    errno: Optional[int]
    # Of a request: the fields at fault.
    fields: List[str]
    # How to mend it; several cures are lines.
    hint: Optional[str]
    # What programs decide by.
    kind: Kind
    # What went wrong, for people, without the path.
    message: str
    # The path inside a sandbox that it is about; an object with `base64` where it is no text.
    path: Optional[Name]
    # The same with what is wrong with each, and its cure.
    problems: List[Problem]
    # The step of the plan that the kernel refused, as `14 of 31`.
    step: Optional[str]


class Event(TypedDict):
    """One line of the log of a sandbox's network; a JSON object."""
    # Where it went; of a query: the server that was asked.
    address: NotRequired[Optional[str]]
    # When, milliseconds since 1970.
    at: int
    # How long it lasted, milliseconds.
    duration_ms: NotRequired[Optional[int]]
    # What happened.
    event: Happening
    # The number of the connection, the same in all lines about it; absent where there is none.
    flow: NotRequired[Optional[int]]
    # The flag that would allow it.
    hint: NotRequired[Optional[str]]
    # The name that led there or was asked for, canonical.
    name: NotRequired[Optional[str]]
    # The port.
    port: NotRequired[Optional[int]]
    # What was spoken; of a query: over what it came.
    protocol: NotRequired[Optional[Protocol]]
    # Why.
    reason: NotRequired[Optional[str]]
    # Bytes to the sandbox.
    received: NotRequired[Optional[int]]
    # The rule that decided.
    rule: NotRequired[Optional[str]]
    # Bytes from the sandbox.
    sent: NotRequired[Optional[int]]
    # Whether it was allowed.
    verdict: NotRequired[Optional[Allowance]]


class Exported(TypedDict):
    """A sandbox as a file."""
    # The file; `-` where it went to standard output.
    file: str
    # Fields of the sandbox that are the host's, and given again where the file is imported.
    left_out: List[str]


class Fault(TypedDict):
    """Something that is not as it should be."""
    # What to do.
    cure: str
    # The name, image, blob or layer.
    what: str
    # What is wrong with it.
    why: str


class FileChanged(TypedDict):
    """What was done to a path."""
    # As it was asked for.
    path: Name


class FileContent(TypedDict):
    """The content of a file."""
    # As text; null where it was told as it came.
    content: Optional[str]
    # How `content` has the bytes; null with it.
    encoding: Optional[FileEncoding]
    # As it was asked for.
    path: Name


class FileDiagnosed(TypedDict):
    """What is wrong with a file."""
    # What is wrong.
    diagnostics: List[Diagnostic]
    # The file.
    path: Name
    # Whether the server has said anything of it, as it is now, in time. Where it has not, nobody knows whether something is wrong.
    published: bool


class FileEdited(TypedDict):
    """Edits of a file."""
    # In the order of their places, which are those before any of them.
    edits: List[TextEdit]
    # The file.
    path: Name
    # Whether it was changed; else this is what would be.
    written: bool


class FileEntries(TypedDict):
    """Paths, and what is known of them."""
    # In the order in which they were found; null where they were told as they came.
    entries: Optional[List[FileEntry]]


class FileEntry(TypedDict):
    """What is known of a path in a sandbox."""
    # Its group, as seen inside.
    gid: int
    # What it is.
    kind: EntryKind
    # Permissions, with the bits above them, as octal digits.
    mode: str
    # When its content was last changed, as RFC 3339 has it.
    modified: str
    # Its last part.
    name: Name
    # As it was asked for, with what lies below it.
    path: Name
    # Bytes.
    size: int
    # Where a link leads; null for anything else.
    target: Optional[Name]
    # Its owner, as seen inside.
    uid: int


class FileLines(TypedDict):
    """Lines that have a text in them."""
    # In the order in which they were found; null where they were told as they came.
    lines: Optional[List[FoundLine]]


class FileReplaced(TypedDict):
    """What became of one file."""
    # How often the text stood there.
    count: int
    # Why it was not replaced.
    error: Optional[Error]
    # The file.
    path: Name


class FileWritten(TypedDict):
    """A file that was written."""
    # How many were written.
    bytes: int
    # As it was asked for.
    path: Name


class FilesDiagnosed(TypedDict):
    """What is wrong with files."""
    # In the order in which they were named.
    files: List[FileDiagnosed]


class FilesEdited(TypedDict):
    """Edits of files."""
    # By their paths.
    files: List[FileEdited]


class FilesReplaced(TypedDict):
    """What became of each file."""
    # Those of them in which nothing could be replaced.
    failed: List[FileReplaced]
    # In the order in which they were asked for; null where they were told as they came.
    files: Optional[List[FileReplaced]]


class Finding(TypedDict):
    """What was found out about a protection."""
    # How far it is enforced, as in the result of `run`.
    enforcement: Enforcement
    # How to get more of it, where there is more to get.
    hint: Optional[str]
    # Whether it was seen to work, inside of a sandbox.
    verified: Verified


class FoundLine(TypedDict):
    """One line of a file."""
    # Without its end, and no longer than 64 KiB.
    content: Name
    # From 1.
    line: int
    # The file.
    path: Name


class GitBranch(TypedDict):
    """A branch."""
    # Commits that the upstream has not.
    ahead: int
    # Commits that only the upstream has.
    behind: int
    # Its commit.
    commit: str
    # Whether it is checked out.
    current: bool
    # Its name; that of a remote's branch begins with the remote's, as `origin/main`.
    name: Name
    # Whether that branch is there, as far as was fetched.
    published: bool
    # Whether it is what was last fetched of a remote's branch.
    remote: bool
    # The branch of a remote that it follows; null without one.
    upstream: Optional[Name]


class GitBranches(TypedDict):
    """The branches, after what was done."""
    # All of them, and those of remotes as they were last fetched.
    branches: List[GitBranch]
    # The one that is checked out; null where none is.
    current: Optional[Name]


class GitChangedFile(TypedDict):
    """A file that differs."""
    # Lines that are new; null for what is no text.
    additions: Optional[int]
    # Lines that are gone; null for what is no text.
    deletions: Optional[int]
    # The same after.
    mode: str
    # Permissions and kind before, as git has them; `000000` where it was not there.
    old_mode: str
    # What it was called, or is a copy of; null for anything else.
    old_path: Optional[Name]
    # From the top of the repository.
    path: Name
    # What became of it.
    state: GitFileState


class GitCheckedOut(TypedDict):
    """What is checked out now."""
    # The branch; null where the head is detached.
    branch: Optional[Name]
    # The commit; null before the first.
    commit: Optional[str]
    # Whether the head is at a commit and on no branch.
    detached: bool


class GitCloned(TypedDict):
    """A repository that was cloned."""
    # The branch; null where the head is detached.
    branch: Optional[Name]
    # The commit; null of an empty repository.
    commit: Optional[str]
    # Its directory, absolute.
    path: Name
    # What was given away for it.
    reached: GitReached
    # Where it was cloned from, as it stands in the settings.
    url: str


class GitCommit(TypedDict):
    """A commit."""
    # Who wrote it.
    author: Name
    # When, in seconds since 1970.
    committed: int
    # Who made the commit.
    committer: Name
    # The committer's address.
    committer_email: Name
    # The author's address.
    email: Name
    # Its hash, whole.
    hash: str
    # The whole message, without its last line end.
    message: Name
    # The hashes of those before it: several for a merge, none for the first.
    parents: List[str]
    # When, in seconds since 1970.
    time: int


class GitCommits(TypedDict):
    """Commits."""
    # The newest first.
    commits: List[GitCommit]


class GitCommitted(TypedDict):
    """A commit that was made."""
    # The commit.
    commit: GitCommit
    # Its hash, whole.
    hash: str


class GitDifference(TypedDict):
    """What differs, as files and as text."""
    # Lines that are new, in all of them.
    additions: int
    # Lines that are gone.
    deletions: int
    # File by file.
    files: List[GitChangedFile]
    # The text that patch(1) takes, as `patch_encoding` says; null where it was not wanted.
    patch: Optional[str]
    # Encoding of `patch`.
    patch_encoding: Optional[Encoding]


class GitFetched(TypedDict):
    """What was fetched."""
    # Branches and tags that are elsewhere now.
    changed: List[GitFetchedRef]
    # What was given away for it.
    reached: GitReached
    # From where, by name.
    remote: Name
    # Its address.
    url: str


class GitFetchedRef(TypedDict):
    """A branch or tag of a remote that is elsewhere now."""
    # Its commit now; null where it is gone.
    after: Optional[str]
    # Its commit before; null where it is new.
    before: Optional[str]
    # Its whole name, as `refs/remotes/origin/main`.
    name: Name


class GitFile(TypedDict):
    """A file that is not as it was committed."""
    # Of a conflict, what both sides did, as git's two letters have it (`UU`, `AA`, `DU`, ...); null without one.
    conflict: Optional[str]
    # What it was called, or is a copy of; null for anything else.
    old_path: Optional[Name]
    # From the top of the repository.
    path: Name
    # In the index, against the last commit.
    staged: GitFileState
    # Whether it is a repository of its own.
    submodule: bool
    # In the working tree, against the index.
    unstaged: GitFileState


class GitMade(TypedDict):
    """A repository that was made, or was there."""
    # Whether it has no working tree.
    bare: bool
    # Its directory, absolute.
    path: Name


class GitPulled(TypedDict):
    """What was pulled."""
    # Its commit now.
    after: Optional[str]
    # Its commit before; null before the first.
    before: Optional[str]
    # The branch that is checked out; null where the head is detached.
    branch: Optional[Name]
    # What was given away for it.
    reached: GitReached
    # From where, by name.
    remote: Name
    # Its address.
    url: str


class GitPushResult(TypedDict):
    """What was pushed."""
    # What was given away for it.
    reached: GitReached
    # Branches and tags, and what became of each.
    refs: List[GitPushedRef]
    # To where, by name.
    remote: Name
    # Its address.
    url: str


class GitPushedRef(TypedDict):
    """One branch or tag, and what became of it."""
    # What it is called here; empty for one that was deleted there.
    local: Name
    # What it is called there.
    remote: Name
    # What became of it.
    state: GitPushed
    # Git's words for that.
    summary: Name


class GitReached(TypedDict):
    """What was given away in a call, and what was seen."""
    # The keys by which ssh knew the machines, as `--known-hosts` takes them; where none were given, those that they have shown.
    host_keys: Name
    # Machines that the password was given to.
    password_for: List[str]
    # Machines that asked for a password and were given none, as after a redirect.
    password_refused: List[str]
    # How many logins the caller's agent has signed.
    signatures: int


class GitRemote(TypedDict):
    """Another repository that this one knows by a name."""
    # Its name.
    name: Name
    # Where it is pushed to, where that is elsewhere; else null.
    push_url: Optional[Name]
    # Where it is fetched from.
    url: Name


class GitRemotes(TypedDict):
    """The remotes, after what was done."""
    # All of them.
    remotes: List[GitRemote]


class GitSetting(TypedDict):
    """A setting."""
    # As git writes it: `user.name`.
    key: Name
    # Whose it is: `system`, `global`, `local` or `worktree`.
    scope: str
    # Null where the key stands alone, which means yes.
    value: Optional[Name]


class GitSettings(TypedDict):
    """Settings, after what was done."""
    # Those that were asked for, in the order in which git reads them: of several the last holds.
    settings: List[GitSetting]
    # The value that holds of the key that was asked for; null where there is none.
    value: Optional[Name]


class GitShown(TypedDict):
    """A commit, and what it changed; of a merge against its first parent."""
    # What it changed.
    changed: GitDifference
    # The commit.
    commit: GitCommit


class GitStash(TypedDict):
    """Changes that were put aside."""
    # The commit that holds it.
    commit: str
    # Its number; 0 is the newest.
    index: int
    # What it was put aside from, or with which words.
    message: Name
    # When, in seconds since 1970.
    time: int


class GitStashes(TypedDict):
    """What is put aside, after what was done."""
    # The newest first.
    stashes: List[GitStash]


class GitStatus(TypedDict):
    """Where a repository stands."""
    # Commits that the upstream has not.
    ahead: int
    # Commits that only the upstream has.
    behind: int
    # The branch; null where the head is detached.
    branch: Optional[Name]
    # Whether nothing differs from the commit.
    clean: bool
    # The commit; null before the first.
    commit: Optional[str]
    # Whether the head is at a commit and on no branch.
    detached: bool
    # Whatever differs.
    files: List[GitFile]
    # Whether that branch is there, as far as was fetched.
    published: bool
    # The branch of a remote that it follows; null without one.
    upstream: Optional[Name]


class HiddenLink(TypedDict):
    """A link that a layer of an image hides, which breaks images that were built on another base."""
    # The layer whose directory hides it, counted from 1.
    layer: int
    # Where it is, from the root.
    path: Name
    # Where it leads.
    target: Name


class HostFacts(TypedDict):
    """What this machine and this process are."""
    # The processor's architecture.
    architecture: str
    # Control groups.
    cgroup: Cgroup
    # Ranges of ids that the user may map, for `--userns range`; without it none are needed.
    id_ranges: IdRanges
    # Release of the kernel.
    kernel: str
    # Landlock's ABI version; 0 without Landlock.
    landlock_abi: int
    # The languages of `belljar code` by name, each with its version as seen in a sandbox; null when it is not there.
    languages: Dict[str, Optional[str]]
    # Whether a sandbox can be held to a network policy.
    network_policy: NetworkPolicy
    # Whether overlay mounts can be had in user namespaces, by version and configuration of the kernel (not tried: this version makes none); null when the kernel does not say.
    overlay_in_user_namespaces: Optional[bool]
    # What is around this process.
    security: Security
    # System calls that older kernels lack and filters hide, each with whether it answers.
    system_calls: Dict[str, bool]
    # Effective user id.
    uid: int


class HoverText(TypedDict):
    """What is known of what stands at a place."""
    # Whether it is Markdown.
    markdown: bool
    # What it is about.
    range: Optional[TextRange]
    # What is told.
    text: str


class Hovered(TypedDict):
    """What is known of it."""
    # Null where nothing is.
    hover: Optional[HoverText]


class IdRanges(TypedDict):
    """Ranges of ids."""
    # Whether `--userns range` works.
    available: bool
    # How to get them.
    hint: Optional[str]
    # Whether newuidmap(1) and newgidmap(1) are there.
    newuidmap: bool
    # Why ranges are not available.
    reason: Optional[str]
    # Ids of the user in `/etc/subgid`.
    subgid: int
    # Ids of the user in `/etc/subuid`.
    subuid: int


class ImageBrought(TypedDict):
    """An image that came in."""
    # Of its manifest.
    digest: Digest
    # Links that its layers hide.
    hidden_links: List[HiddenLink]
    # Its names, with their tags.
    names: List[str]


class ImageLayer(TypedDict):
    """A layer of an image."""
    # Of its archive, not compressed.
    diff_id: Digest
    # Where its files are on the host.
    path: Name


class ImagePulled(TypedDict):
    """An image that was fetched."""
    # Of its manifest.
    digest: Digest
    # Bytes that came from the registry.
    fetched_bytes: int
    # Links that its layers hide.
    hidden_links: List[HiddenLink]
    # Bytes that were here already.
    kept_bytes: int
    # Its name, with its tag.
    names: List[str]


class ImageTagged(TypedDict):
    """An image with another name."""
    # Of its manifest.
    digest: Digest
    # The name that it has now too, with its tag.
    name: str


class Images(TypedDict):
    """The images that there are."""
    # By their digests.
    images: List[OneImage]


class ImagesBrought(TypedDict):
    """The images that came in."""
    # In the order of their source.
    images: List[ImageBrought]


class ImagesCollected(TypedDict):
    """The same as part of a result."""
    # How many blobs, whole and partial.
    blobs: int
    # On the disk.
    bytes: int
    # Images.
    images: List[Digest]
    # Images without a name that a sandbox still uses.
    in_use: List[Digest]
    # How many trees of layers.
    layers: int
    # Of this object; 1.
    version: int


class ImagesFreed(TypedDict):
    """What was removed because nobody needs it."""
    # How many blobs, whole and partial.
    blobs: int
    # On the disk.
    bytes: int
    # Images.
    images: List[Digest]
    # Images without a name that a sandbox still uses.
    in_use: List[Digest]
    # How many trees of layers.
    layers: int


class ImagesRemoved(TypedDict):
    """Names that are gone."""
    # With their tags, in the order in which they were asked for.
    names: List[str]
    # What was removed with them; null where others add to the store, and it is for `image gc` to remove.
    removed: Optional[ImagesCollected]


class ImagesSaved(TypedDict):
    """A file of images."""
    # Where it is; `-` where it went to standard output.
    file: str


class ImagesVerified(TypedDict):
    """Images that match their digests."""
    # None: where there are some, that is an error, whose `problems` are they.
    faults: List[Fault]


class InputGiven(TypedDict):
    """What was given to a job."""
    # How many bytes it was given.
    bytes: int
    # The number of the job.
    job: int
    # The session.
    session: str


class Job(TypedDict):
    """What is known of a job."""
    # How it ended, if it has.
    end: Optional[JobEnd]
    # From 1.
    job: int
    # What was asked for.
    text: str


class JobEnd(TypedDict):
    """How a job ended."""
    # What code raised; where the session keeps it, and in lists, it is shortened.
    error: Optional[Raised]
    # Of a shell's job or a command.
    exit_code: Optional[int]
    # It was interrupted because somebody said so, or because its caller went.
    interrupted: bool
    # The session ended with it, or before it.
    session_ended: bool
    # It was interrupted because its time was over.
    timed_out: bool


class Known(TypedDict):
    """Everything that is known of a sandbox."""
    # What may be reached, rule by rule; sets are written out.
    allow: List[str]
    # When it was made, as RFC 3339 has it.
    created: str
    # What may not.
    deny: List[str]
    # How it ended the last time; null as long as it runs.
    end: Optional[End]
    # Each protection, and how far it is enforced.
    enforcement: Dict[str, Enforcement]
    # Its id, unique on this host.
    id: str
    # Without a call until it is removed.
    idle_rm_seconds: Optional[int]
    # Without a call until it is stopped.
    idle_stop_seconds: Optional[int]
    # The root file system: `host`, or an image with its digest.
    image: str
    # Whether it stays, with its files, when it ends.
    keep: bool
    # Its labels.
    labels: Dict[str, str]
    # Its limits.
    limits: Limits
    # Its name; the id, where it has none.
    name: str
    # Its network: `none` or `host`.
    net: str
    # Ports that are reached from the host, as long as it runs; none where none were asked for.
    published: List[Published]
    # When it was last ready; null where it never was.
    started: Optional[str]
    # What it is doing.
    state: State
    # From its making to its removal.
    ttl_seconds: Optional[int]


class KnownImage(TypedDict):
    """Everything that is known of an image."""
    # Bytes of the files of all layers.
    bytes: int
    # As the OCI image specification has it.
    config: Any
    # When it was made, as its makers say it (RFC 3339); null where they do not.
    created: Optional[str]
    # Of its manifest.
    digest: Digest
    # The lowest first.
    layers: List[ImageLayer]
    # As the OCI image specification has it.
    manifest: Any
    # Its names, with their tags.
    names: List[str]


class Labels(TypedDict):
    """The labels that a sandbox has now."""
    # By their keys.
    labels: Dict[str, str]


class LanguageServer(TypedDict):
    """How a server is."""
    # Documents that are open in it.
    documents: int
    # Why it died last, or could not be started.
    failure: Optional[str]
    # The language.
    language: str
    # The directory of its project.
    project: Name
    # How often it was started again because it had died.
    restarts: int
    # Its command.
    server: List[str]
    # The session that keeps it.
    session: str
    # What it is doing.
    state: LanguageServerState


class LanguageServerLeft(TypedDict):
    """How the server ended."""
    # Its exit code; null where it was left to be ended.
    exit_code: Optional[int]


class LanguageServers(TypedDict):
    """The servers of a sandbox."""
    # By their sessions.
    servers: List[LanguageServer]


class Lasts(TypedDict):
    """How long a sandbox lasts now."""
    # Seconds without a call until it is removed.
    idle_rm_seconds: Optional[int]
    # Seconds without a call until it is stopped.
    idle_stop_seconds: Optional[int]
    # Whether it stays, with its files, when it ends.
    keep: bool
    # Its name.
    name: str
    # Seconds from its making to its removal.
    ttl_seconds: Optional[int]


class Limits(TypedDict):
    """The limits of a sandbox."""
    # The CPU rate.
    cpus: float
    # Of the writable layer.
    disk_bytes: int
    # Of all processes together.
    memory_bytes: int
    # Processes and threads.
    pids: int


class ListeningPort(TypedDict):
    """A port on which something listens."""
    # The address inside: `0.0.0.0` and `::` are all of them.
    address: str
    # The process that has it, as numbered inside; null where that cannot be seen.
    pid: Optional[int]
    # The port.
    port: int
    # What that process calls itself.
    program: Optional[Name]
    # The protocol.
    protocol: Protocol
    # Where on the host it is published, as `127.0.0.1:8080`. A preview, which is its caller's, is not among them.
    published: List[str]


class ListeningPorts(TypedDict):
    """Ports of a sandbox."""
    # On which something listens, by protocol and port.
    ports: List[ListeningPort]
    # What is published, whether something listens there or not.
    published: List[Published]


class Log(TypedDict):
    """What a sandbox's own command has written."""
    # All that is kept of it; null where it was told as it came.
    log: Optional[Name]
    # Whether it wrote more than is kept.
    truncated: bool


class Made(TypedDict):
    """A sandbox that was made."""
    # Each protection, and how far it is enforced.
    enforcement: Dict[str, Enforcement]
    # The repository that was cloned into it; null where none was asked for.
    git: Optional[GitCloned]
    # Its id, unique on this host.
    id: str
    # The root file system: `host`, or an image with its digest.
    image: str
    # Its name; the id, where it has none.
    name: str
    # Ports that are reached from the host; none where none were asked for.
    published: List[Published]


class Network(TypedDict):
    """What a sandbox did on its network."""
    # Connections, UDP flows and series of echo requests that were made.
    allowed: int
    # What happened, in order; of many the last ones.
    connections: List[Event]
    # Lines of the log that were dropped, since it was full.
    dropped_lines: int
    # Those that were allowed and could not be made.
    failed: int
    # Whether a process that serves it was gone before the end: nothing was reached from then on, and the sum is that of `connections`.
    lost: bool
    # Refusals of targets that are not in the list, since it is full.
    more_targets: int
    # Names that were asked for.
    queries: int
    # Bytes to the sandbox.
    received: int
    # Those that the policy refused, names among them.
    refused: int
    # Bytes from the sandbox.
    sent: int
    # What was refused, each target once, in order of appearance.
    targets: List[RefusedTarget]


class NetworkLog(TypedDict):
    """What a sandbox did on its network since it was started."""
    # What happened, in order; of a long log the newer part. Empty where it was told as it came.
    events: List[Event]


class NetworkPolicy(TypedDict):
    """Whether `--allow`, `--net open` and policy files work, tried in a sandbox."""
    # Whether they do.
    available: bool
    # What the sandbox's packets leave it through, and what is held to the policy.
    device: Optional[str]
    # How to get them.
    hint: Optional[str]
    # Why they do not.
    reason: Optional[str]


class NetworkSet(TypedDict):
    """What a sandbox may reach now."""
    # What may be reached, rule by rule; sets are written out.
    allow: List[str]
    # Connections that were cut, since they are not allowed any more.
    cut: int
    # What may not.
    deny: List[str]
    # As it was asked for.
    name: str
    # `none`, `only` or `open`.
    net: str


class NotCopied(TypedDict):
    """A source that was not copied."""
    # Why.
    error: Error
    # As it was asked for.
    path: Name


class Obstacle(TypedDict):
    """Something in the way."""
    # How to remove it, with and without root.
    hint: Optional[str]
    # What it is; for what `run` refuses, in the words of `run`.
    message: str


class OneImage(TypedDict):
    """An image."""
    # Bytes of the files of all layers.
    bytes: int
    # When it was made, as its makers say it (RFC 3339); null where they do not.
    created: Optional[str]
    # Of its manifest.
    digest: Digest
    # How many layers it has.
    layers: int
    # Its names, with their tags.
    names: List[str]


class OneSnapshot(TypedDict):
    """An image that was made of a sandbox."""
    # When it was made, as RFC 3339 has it; null where it does not say.
    created: Optional[str]
    # Of its manifest.
    digest: Digest
    # Its name.
    name: str
    # The sandbox that it was made of.
    sandbox: str


class OneVolume(TypedDict):
    """A volume."""
    # What its files take on the disk.
    bytes: int
    # When it was made, as RFC 3339 has it; null where the file system does not say.
    created: Optional[str]
    # Its name.
    name: str
    # Where its files are on the host.
    path: str
    # Names of sandboxes that have it.
    sandboxes: List[str]


class Previewed(TypedDict):
    """Where it is open."""
    # The host's address.
    address: str
    # The host's port.
    port: int
    # The port inside.
    to: int
    # The same as the address of a web page.
    url: str


class Printed(TypedDict):
    """A schema."""
    # JSON Schema, or an OpenRPC document.
    schema: Any


class Problem(TypedDict):
    """One thing wrong with a request."""
    # The field of the spec, which is also the name of the flag without its dashes.
    field: str
    # How to mend it.
    hint: Optional[str]
    # What is wrong with it.
    message: str


class Published(TypedDict):
    """A port of the sandbox that is reached from the host."""
    # The host's address.
    address: str
    # Why it was closed before the sandbox had ended; absent where it was not.
    lost: NotRequired[Optional[str]]
    # The host's port, as it was given where any was asked for.
    port: int
    # The port inside.
    to: int


class Raised(TypedDict):
    """An exception."""
    # Its class.
    name: str
    # Where it came from, as the interpreter shows it.
    traceback: str
    # What it says.
    value: str


class Ran(TypedDict):
    """What came of a job."""
    # Of code in a context.
    context: NotRequired[Optional[Context]]
    # How it ended; null where it has not, or nobody waited for it.
    end: Optional[JobEnd]
    # Its number; null where it never had one.
    job: Optional[int]
    # Values and pictures of code.
    results: List[Shown]
    # The same of standard error.
    stderr: Optional[Name]
    # What it wrote on standard output; null where it was told as it came.
    stdout: Optional[Name]
    # Whether there was more than is kept, and the rest was dropped.
    truncated: bool


class RefusedTarget(TypedDict):
    """A target that the policy refused."""
    # The flag that would allow it.
    hint: Optional[str]
    # Why.
    reason: str
    # A name, an address with a port, or both.
    target: str
    # How often.
    times: int


class Removed(TypedDict):
    """A sandbox that was removed."""
    # As it was asked for.
    name: str


class Renamed(TypedDict):
    """A sandbox that has another name."""
    # Its name now.
    name: str
    # As it was asked for.
    was: str


class Report(TypedDict):
    """Everything that was found out."""
    # What keeps a `run` with no options from working, the first first.
    blockers: List[Obstacle]
    # What this machine and this process are.
    host: HostFacts
    # Whether a `run` with no options works, and everything it promises was seen.
    ok: bool
    # Each protection by its name.
    protections: Dict[str, Finding]


class Resized(TypedDict):
    """The limits that a sandbox has now."""
    # All of them, the changed and the others.
    limits: Limits
    # As it was asked for.
    name: str


class RpcError(TypedDict):
    """The one error object of belljar, with the exit code that the command line would have."""
    # What the kernel answered, errno(3).
    errno: Optional[int]
    # What the command line would exit with.
    exit_code: int
    # Of a request: the fields at fault.
    fields: List[str]
    # How to mend it; several cures are lines.
    hint: Optional[str]
    # What programs decide by.
    kind: Kind
    # What went wrong, for people, without the path.
    message: str
    # The path inside a sandbox that it is about; an object with `base64` where it is no text.
    path: Optional[Name]
    # The same with what is wrong with each, and its cure.
    problems: List[Problem]
    # The step of the plan that the kernel refused, as `14 of 31`.
    step: Optional[str]


class Sandboxes(TypedDict):
    """The sandboxes that last."""
    # In the order in which they were made.
    sandboxes: List[Listed]


class Security(TypedDict):
    """What is around this process."""
    # AppArmor label.
    apparmor: Optional[str]
    # AppArmor restricts unprivileged user namespaces.
    apparmor_restricts_user_namespaces: bool
    # The kind of container, by the traces that it leaves.
    container: Optional[str]
    # A seccomp filter.
    seccomp_filter: bool
    # SELinux context, where it is enforced.
    selinux: Optional[str]


class Session(TypedDict):
    """What is known of a session."""
    # How its shell, interpreter or command ended, if it has: exit code, or 128 and the number of a signal.
    ended: Optional[int]
    # Its id.
    id: str
    # The last of its jobs.
    jobs: List[Job]
    # What it is.
    kind: SessionKind


class SessionDone(TypedDict):
    """A session to which something was done."""
    # Its id.
    session: str


class SessionMade(TypedDict):
    """A session that was made."""
    # What it is.
    kind: SessionKind
    # Its id.
    session: str


class Sessions(TypedDict):
    """The sessions of a sandbox."""
    # By their ids.
    sessions: List[Session]


class Shown(TypedDict):
    """A value or a picture."""
    # Text as it is, anything else as base64.
    data: str
    # Where it was saved.
    file: NotRequired[Optional[Name]]
    # As `text/plain` or `image/png`.
    media_type: str


class Signature(TypedDict):
    """How a function is called."""
    # Whether it is the one that fits best.
    active: bool
    # The number of the parameter at the place, from 1.
    active_parameter: Optional[int]
    # What is written about it.
    documentation: Optional[str]
    # All of it.
    label: str
    # Its parameters, as they stand in the label.
    parameters: List[str]


class Signatures(TypedDict):
    """How the function is called."""
    # The ways in which it can be.
    signatures: List[Signature]


class Skipped(TypedDict):
    """Something that was not copied, or not whole."""
    # Whether it would have been copied, and could not be.
    failed: bool
    # What.
    path: Name
    # Why.
    why: str


class SnapshotMade(TypedDict):
    """An image that was made of a sandbox."""
    # Of its manifest.
    digest: Digest
    # Its name.
    name: str


class Snapshots(TypedDict):
    """The images that are snapshots."""
    # By their names.
    snapshots: List[OneSnapshot]


class SnapshotsRemoved(TypedDict):
    """Names of snapshots that are gone."""
    # In the order in which they were asked for.
    removed: List[str]


class Started(TypedDict):
    """A sandbox that was started."""
    # Its id.
    id: str
    # The root file system: `host`, or an image with its digest.
    image: str
    # Its name.
    name: str
    # Ports that are reached from the host; none where none were asked for.
    published: List[Published]


class Stats(TypedDict):
    """What a sandbox uses at one moment."""
    # CPU time so far, milliseconds.
    cpu_ms: int
    # Bytes in the writable layer.
    disk_bytes: int
    # The limit.
    disk_limit_bytes: int
    # Callers of `wait --lease` with whom it ends.
    leases: int
    # Bytes of memory of all processes and of the files in memory.
    memory_bytes: int
    # The limit.
    memory_limit_bytes: int
    # The limit of the rate, thousandths of a CPU.
    millicpus_limit: int
    # Processes and threads, without pid 1.
    pids: int
    # The limit.
    pids_limit: int
    # Milliseconds since it was ready.
    uptime_ms: int


class Stopped(TypedDict):
    """A sandbox that was stopped."""
    # How it ended; null where nobody knows.
    end: Optional[End]
    # As it was asked for.
    name: str


class TerminalResized(TypedDict):
    """The size that a terminal has now."""
    # Its columns.
    columns: int
    # Its rows.
    rows: int
    # The session.
    session: str


class TextEdit(TypedDict):
    """A piece of a file and what comes in its place."""
    # The piece.
    range: TextRange
    # What comes in its place.
    text: str


class TextPoint(TypedDict):
    """A line and a column of it."""
    # From 1, in characters (Unicode's code points); with `utf16` in units of UTF-16.
    column: int
    # From 1.
    line: int


class TextRange(TypedDict):
    """From one point to another, which is the first that does not belong to it."""
    # Behind the last.
    end: TextPoint
    # The first.
    start: TextPoint


class Usage(TypedDict):
    """What a run used."""
    # CPU time of all processes, milliseconds.
    cpu_ms: int
    # Bytes in the writable layer at the end.
    disk_bytes: int
    # The highest memory use seen, bytes.
    peak_memory_bytes: int
    # The highest number of processes and threads seen.
    peak_pids: int
    # Wall clock, milliseconds, from the start of the set-up to the end of the command.
    wall_ms: int


class VolumeCreated(TypedDict):
    """A volume that was made."""
    # Its name.
    name: str


class VolumeNotRemoved(TypedDict):
    """A volume that was not removed."""
    # Why.
    error: Error
    # As it was asked for.
    name: str


class Volumes(TypedDict):
    """The volumes that there are."""
    # By their names.
    volumes: List[OneVolume]


class VolumesRemoved(TypedDict):
    """What became of each volume that was named."""
    # Those that are not; where one alone was asked for, that is an error.
    failed: List[VolumeNotRemoved]
    # Those that are gone, in the order in which they were asked for.
    removed: List[str]


class Waited(TypedDict):
    """The end of a sandbox."""
    # How it ended; null where nobody knows.
    end: Optional[End]


class Warm(TypedDict):
    """How code came to be run that was to be run by a warm template."""
    # Which of the ways.
    how: How
    # What it had in common with other runs of the template, where each is a copy of the same process.
    shares: List[str]
    # Why it was none of the template's; null where it was.
    why: Optional[str]


class WarmInterpreter(TypedDict):
    """What the interpreter says of itself when it is ready."""
    # Modules that it has imported.
    modules: int
    # Bytes that it has in memory.
    rss: int
    # Its version.
    version: str


class WarmNotRemoved(TypedDict):
    """A template that was not removed."""
    # Why.
    error: Error
    # As it was asked for.
    name: str


class WarmRemoved(TypedDict):
    """What became of each template that was named."""
    # Those that are not; where one alone was asked for, that is an error.
    failed: List[WarmNotRemoved]
    # Those that are gone, in the order in which they were asked for.
    removed: List[str]


class WarmStats(TypedDict):
    """What a template has at one moment."""
    # Runs so far that were forked for.
    from_forked: int
    # Runs so far that a parked copy was there for.
    from_parked: int
    # Its interpreter.
    interpreter: WarmInterpreter
    # Copies that wait.
    parked: int
    # Bytes that those have each for itself alone, together: what they share with the interpreter counts for that.
    parked_bytes: int
    # Runs under way.
    running: int
    # Why the last copy could not be made; null where it could.
    trouble: Optional[str]


class WarmTemplate(TypedDict):
    """A template."""
    # When it was made, as RFC 3339 has it.
    created: str
    # Each protection of its sandbox, and how far it is enforced.
    enforcement: Dict[str, Enforcement]
    # Its id, unique on this host.
    id: str
    # The root file system: `host`, or an image with its digest.
    image: str
    # Its labels.
    labels: Dict[str, str]
    # Its interpreter: `python` or `node`.
    language: str
    # The limits of its sandbox, and of each run's.
    limits: Limits
    # Its name.
    name: str
    # What it has now; null where it does not run.
    now: Optional[WarmStats]
    # Code that it has run before all runs.
    preload: str
    # How many copies are to wait.
    ready: int
    # What its sandbox is doing.
    state: State


class WarmTemplates(TypedDict):
    """The templates that there are."""
    # In the order in which they were made.
    templates: List[WarmTemplate]


class VersionResult(TypedDict):
    version: str


class CodeToldValue2(TypedDict):
    """It ran as a job of an interpreter that stays."""
    # Of code in a context.
    context: NotRequired[Optional[Context]]
    # How it ended; null where it has not, or nobody waited for it.
    end: Optional[JobEnd]
    # Its number; null where it never had one.
    job: Optional[int]
    # Values and pictures of code.
    results: List[Shown]
    # The same of standard error.
    stderr: Optional[Name]
    # What it wrote on standard output; null where it was told as it came.
    stdout: Optional[Name]
    # Whether there was more than is kept, and the rest was dropped.
    truncated: bool
    # Version of this object; 1.
    version: int


class EachRemovedValue2(TypedDict):
    """It was not."""
    # Why.
    error: Error
    # As it was asked for.
    name: str


class EachStartedValue2(TypedDict):
    """It was not."""
    # Why.
    error: Error
    # As it was asked for.
    name: str


class EachStoppedValue2(TypedDict):
    """It was not."""
    # Why.
    error: Error
    # As it was asked for.
    name: str


class EnforcementValue2(TypedDict):
    """As far as the kernel can; what is missing."""
    partly: str


class EnforcementValue3(TypedDict):
    """Not at all, with the reason; only ever because the caller allowed it."""
    off: str


class EnforcementValue4(TypedDict):
    """A limit: by which mechanism, and whether exactly."""
    # The mechanism.
    by: str
    # Whether the limit can never be passed.
    exact: bool


class ExaminedValue2(TypedDict):
    """What it is to be told, so that it can."""
    # An AppArmor profile for this very program.
    apparmor_profile: str


class ExecToldValue1(TypedDict):
    """The command ran."""
    # Each protection, and how far it was enforced.
    enforcement: Dict[str, Enforcement]
    # Why no command ran, or why it was ended together with the sandbox that it had joined; null when one did.
    error: Optional[Error]
    # The command's exit code; null when it did not exit by itself.
    exit_code: Optional[int]
    # The root file system: `host`, or an image with its digest.
    image: str
    # Limits that the command ran into without being ended for it, as far as was seen (`pids`, `disk`).
    limits_reached: List[str]
    # What it did on its network, where there is a policy of what may be reached; null where there is none.
    network: Optional[Network]
    # Ports that were reached from the host; none where none were asked for.
    published: List[Published]
    # The sandbox's id, unique on this host.
    sandbox: str
    # The signal that ended the command, by name (`SIGKILL`); null when none did.
    signal: Optional[str]
    # How it ended.
    status: Status
    # Standard error, encoded as `stderr_encoding` says.
    stderr: NotRequired[str]
    # Encoding of `stderr`.
    stderr_encoding: NotRequired[Encoding]
    # Whether bytes beyond the limit were dropped.
    stderr_truncated: NotRequired[bool]
    # Standard output, encoded as `stdout_encoding` says.
    stdout: NotRequired[str]
    # Encoding of `stdout`.
    stdout_encoding: NotRequired[Encoding]
    # Whether bytes beyond the limit were dropped.
    stdout_truncated: NotRequired[bool]
    # What it used.
    usage: Usage
    # Version of this object; 1.
    version: int
    # How a warm template came into it; null where none was asked for.
    warm: Optional[Warm]


class ExecToldValue2(TypedDict):
    """`--detach`: it runs on."""
    # Its job there; 1.
    job: int
    # The session that it is.
    session: str
    # Version of this object; 1.
    version: int


class ListedValue2(TypedDict):
    """One of which something cannot be read."""
    # What cannot be read, and why.
    error: str
    # Its id.
    id: str
    # `broken`.
    state: State


class NameValue2(TypedDict):
    base64: str


class RunToldValue1(TypedDict):
    """The command ran."""
    # Each protection, and how far it was enforced.
    enforcement: Dict[str, Enforcement]
    # Why no command ran, or why it was ended together with the sandbox that it had joined; null when one did.
    error: Optional[Error]
    # The command's exit code; null when it did not exit by itself.
    exit_code: Optional[int]
    # The root file system: `host`, or an image with its digest.
    image: str
    # Limits that the command ran into without being ended for it, as far as was seen (`pids`, `disk`).
    limits_reached: List[str]
    # What it did on its network, where there is a policy of what may be reached; null where there is none.
    network: Optional[Network]
    # Ports that were reached from the host; none where none were asked for.
    published: List[Published]
    # The sandbox's id, unique on this host.
    sandbox: str
    # The signal that ended the command, by name (`SIGKILL`); null when none did.
    signal: Optional[str]
    # How it ended.
    status: Status
    # Standard error, encoded as `stderr_encoding` says.
    stderr: NotRequired[str]
    # Encoding of `stderr`.
    stderr_encoding: NotRequired[Encoding]
    # Whether bytes beyond the limit were dropped.
    stderr_truncated: NotRequired[bool]
    # Standard output, encoded as `stdout_encoding` says.
    stdout: NotRequired[str]
    # Encoding of `stdout`.
    stdout_encoding: NotRequired[Encoding]
    # Whether bytes beyond the limit were dropped.
    stdout_truncated: NotRequired[bool]
    # What it used.
    usage: Usage
    # Version of this object; 1.
    version: int
    # How a warm template came into it; null where none was asked for.
    warm: Optional[Warm]


class RunToldValue2(TypedDict):
    """`--dry-run`: nothing was done."""
    # The root file system that it would have.
    image: str
    # What would be done, step by step.
    steps: List[str]
    # Version of this object; 1.
    version: int


class VerifiedValue2(TypedDict):
    """It was seen not to; what was seen."""
    no: str


class VerifiedValue3(TypedDict):
    """It could not be looked at; why."""
    not_tried: str


class WordValue2(TypedDict):
    base64: str


Allowance = Literal["allowed", "denied", "failed"]
Context = Literal["continued", "new", "anew"]
Count = Union[str, float]
Cpus = Union[str, float]
Deadline = Union[str, float]
DiagnosticSeverity = Literal["error", "warning", "information", "hint"]
Digest = str
EachRemoved = Union[Removed, EachRemovedValue2]
EachStarted = Union[Started, EachStartedValue2]
EachStopped = Union[Stopped, EachStoppedValue2]
Encoding = Literal["utf-8", "base64"]
Enforcement = Union[Literal["enforced"], EnforcementValue2, EnforcementValue3, EnforcementValue4]
EntryKind = Literal["file", "directory", "link", "special"]
Examined = Union[Report, ExaminedValue2]
ExecTold = Union[ExecToldValue1, ExecToldValue2]
FileEncoding = Literal["utf-8", "base64"]
FileStat = FileEntry
GitFileState = Literal["unmodified", "untracked", "ignored", "modified", "type_changed", "added", "deleted", "renamed", "copied", "unmerged"]
GitPushed = Literal["new", "up_to_date", "updated", "forced", "deleted", "rejected", "remote_rejected"]
GitRemoteDeed = Literal["list", "add", "set_url", "rm", "rename"]
GitResetMode = Literal["soft", "mixed", "hard", "merge", "keep"]
GitScope = Literal["local", "global", "system"]
GitStashDeed = Literal["push", "pop", "apply", "drop", "list"]
GitStatusTold = GitStatus
GitUntracked = Literal["all", "normal", "no"]
Happening = Literal["opened", "refused", "closed", "query", "lost"]
How = Literal["parked", "forked", "cold"]
How2 = Literal["added", "changed", "deleted"]
Ids = Union[str, float]
Kind = Literal["invalid", "misused", "host", "setup", "no_command", "not_executable", "not_found", "ambiguous", "name_taken", "not_running", "running", "ended", "silent", "out_of_reach", "exists", "not_a_directory", "is_a_directory", "not_empty", "denied", "no_space", "not_a_file", "too_large", "session_ended", "lost", "busy", "cancelled", "broken", "not_a_repository", "repository_not_found", "ref_not_found", "branch_exists", "authentication", "push_rejected", "remote_rejected", "dirty_tree", "conflict", "diverged", "nothing_to_commit", "network_refused", "transport", "timed_out", "malformed", "failed"]
LanguageServerState = Literal["starting", "running", "stopped", "ended"]
LanguageServerTold = LanguageServer
Listed = Union[Known, ListedValue2]
Mode = Union[str, float]
Name = Union[str, NameValue2]
OneOrManyText = Union[List[Union[str, float]], Union[str, float]]
OneOrSomeText = Union[List[Union[str, float]], Union[str, float]]
OutputLimit = Union[str, float]
Protocol = Literal["tcp", "udp", "icmp"]
Reason = Literal["stopped", "removed", "ttl", "idle", "leader_lost", "lease_over"]
RunTold = Union[RunToldValue1, RunToldValue2]
CodeTold = Union[RunTold, CodeToldValue2]
SessionKind = Literal["shell", "python", "node", "command", "terminal", "stream", "bridge", "language", "silent"]
Size = Union[str, float]
State = Literal["starting", "running", "stopping", "stopped", "lost", "broken"]
Status = Literal["exited", "signaled", "timed_out", "cpu_time_exceeded", "out_of_memory", "output_limit", "forbidden_syscall", "cancelled", "setup_failed"]
Time = Union[str, float]
Verified = Union[Literal["yes"], VerifiedValue2, VerifiedValue3]
WarmCreated = WarmTemplate
Which = Literal["result", "spec", "doctor", "rpc"]
Word = Union[bytes, Union[Union[str, float], WordValue2]]
OneOrManyWord = Union[List[Word], Word]
OneOrSomeWord = Union[List[Word], Word]
Pairs = Union[Dict[str, Word], List[Word], Word]


class FsMethods:
    """`belljar fs`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def ls(self, *, sandbox: Union[str, float], path: Optional[Word] = None, depth: Optional[Count] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileEntries:
        """List a directory"""
        return self._call("fs.ls", {"sandbox": sandbox, "path": path, "depth": depth, "input": input}, on_output)

    def tree(self, *, sandbox: Union[str, float], path: Optional[Word] = None, depth: Optional[Count] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileEntries:
        """Show a directory with all that is in it"""
        return self._call("fs.tree", {"sandbox": sandbox, "path": path, "depth": depth, "input": input}, on_output)

    def stat(self, *, sandbox: Union[str, float], path: Word, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileStat:
        """Show what a path is"""
        return self._call("fs.stat", {"sandbox": sandbox, "path": path, "input": input}, on_output)

    def cat(self, *, sandbox: Union[str, float], path: Word, offset: Optional[Count] = None, length: Optional[Count] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileContent:
        """Print a file"""
        return self._call("fs.cat", {"sandbox": sandbox, "path": path, "offset": offset, "length": length, "input": input}, on_output)

    def write(self, *, sandbox: Union[str, float], path: Word, mode: Optional[Mode] = None, parents: Optional[bool] = None, append: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileWritten:
        """Write standard input to a file, all at once or not at all"""
        return self._call("fs.write", {"sandbox": sandbox, "path": path, "mode": mode, "parents": parents, "append": append, "input": input}, on_output)

    def mkdir(self, *, sandbox: Union[str, float], path: Word, parents: Optional[bool] = None, mode: Optional[Mode] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileChanged:
        """Make a directory"""
        return self._call("fs.mkdir", {"sandbox": sandbox, "path": path, "parents": parents, "mode": mode, "input": input}, on_output)

    def rm(self, *, sandbox: Union[str, float], path: Word, recursive: Optional[bool] = None, force: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileChanged:
        """Remove a file or an empty directory"""
        return self._call("fs.rm", {"sandbox": sandbox, "path": path, "recursive": recursive, "force": force, "input": input}, on_output)

    def mv(self, *, sandbox: Union[str, float], path: Word, to: Word, force: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileChanged:
        """Rename, or move to another directory"""
        return self._call("fs.mv", {"sandbox": sandbox, "path": path, "to": to, "force": force, "input": input}, on_output)

    def chmod(self, *, sandbox: Union[str, float], path: Word, mode: Mode, recursive: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileChanged:
        """Set permissions"""
        return self._call("fs.chmod", {"sandbox": sandbox, "path": path, "mode": mode, "recursive": recursive, "input": input}, on_output)

    def find(self, *, sandbox: Union[str, float], path: Word, name: Optional[Union[str, float]] = None, kind: Optional[EntryKind] = None, depth: Optional[Count] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileEntries:
        """List paths below a directory by name and kind"""
        return self._call("fs.find", {"sandbox": sandbox, "path": path, "name": name, "kind": kind, "depth": depth, "input": input}, on_output)

    def grep(self, *, sandbox: Union[str, float], path: Word, text: Union[str, float], name: Optional[Union[str, float]] = None, ignore_case: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FileLines:
        """Print the lines of text files that have TEXT in them"""
        return self._call("fs.grep", {"sandbox": sandbox, "path": path, "text": text, "name": name, "ignore_case": ignore_case, "input": input}, on_output)

    def replace(self, *, sandbox: Union[str, float], text: Union[str, float], new: Union[str, float], file: OneOrSomeWord, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FilesReplaced:
        """Replace a text in files, everywhere"""
        return self._call("fs.replace", {"sandbox": sandbox, "text": text, "new": new, "file": file, "input": input}, on_output)

    def watch(self, *, sandbox: Union[str, float], path: Word, recursive: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> DirectoryWatched:
        """Tell what changes in a directory, as it changes"""
        return self._call("fs.watch", {"sandbox": sandbox, "path": path, "recursive": recursive, "input": input}, on_output)


class GitMethods:
    """`belljar git`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def clone(self, *, sandbox: Union[str, float], url: Word, path: Optional[Word] = None, branch: Optional[Word] = None, commit: Optional[Word] = None, depth: Optional[Count] = None, submodules: Optional[bool] = None, timeout: Optional[Time] = None, username: Optional[Union[str, float]] = None, password_stdin: Optional[bool] = None, password_env: Optional[Word] = None, password_fd: Optional[Word] = None, password: Optional[Union[str, float]] = None, password_for: Optional[Union[str, float]] = None, ssh_agent: Optional[bool] = None, known_hosts: Optional[Word] = None, insecure_tls: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitCloned:
        """Bring a repository in from another machine"""
        return self._call("git.clone", {"sandbox": sandbox, "url": url, "path": path, "branch": branch, "commit": commit, "depth": depth, "submodules": submodules, "timeout": timeout, "username": username, "password_stdin": password_stdin, "password_env": password_env, "password_fd": password_fd, "password": password, "password_for": password_for, "ssh_agent": ssh_agent, "known_hosts": known_hosts, "insecure_tls": insecure_tls, "input": input}, on_output)

    def init(self, *, sandbox: Union[str, float], path: Optional[Word] = None, branch: Optional[Word] = None, bare: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitMade:
        """Make a repository"""
        return self._call("git.init", {"sandbox": sandbox, "path": path, "branch": branch, "bare": bare, "input": input}, on_output)

    def status(self, *, sandbox: Union[str, float], path: Optional[Word] = None, untracked: Optional[GitUntracked] = None, ignored: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitStatusTold:
        """Show the branch, how far it is from its upstream, and what differs"""
        return self._call("git.status", {"sandbox": sandbox, "path": path, "untracked": untracked, "ignored": ignored, "input": input}, on_output)

    def add(self, *, sandbox: Union[str, float], files: OneOrSomeWord, path: Optional[Word] = None, force: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitStatusTold:
        """Stage files"""
        return self._call("git.add", {"sandbox": sandbox, "files": files, "path": path, "force": force, "input": input}, on_output)

    def commit(self, *, sandbox: Union[str, float], message: Word, path: Optional[Word] = None, author: Optional[Word] = None, email: Optional[Word] = None, all: Optional[bool] = None, amend: Optional[bool] = None, allow_empty: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitCommitted:
        """Commit what is staged"""
        return self._call("git.commit", {"sandbox": sandbox, "message": message, "path": path, "author": author, "email": email, "all": all, "amend": amend, "allow_empty": allow_empty, "input": input}, on_output)

    def log(self, *, sandbox: Union[str, float], path: Optional[Word] = None, from_: Optional[Word] = None, limit: Optional[Count] = None, skip: Optional[Count] = None, files: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitCommits:
        """List commits"""
        return self._call("git.log", {"sandbox": sandbox, "path": path, "from": from_, "limit": limit, "skip": skip, "files": files, "input": input}, on_output)

    def branch(self, *, sandbox: Union[str, float], path: Optional[Word] = None, name: Optional[Word] = None, from_: Optional[Word] = None, delete: Optional[bool] = None, rename: Optional[Word] = None, force: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitBranches:
        """List branches; make, rename or delete one"""
        return self._call("git.branch", {"sandbox": sandbox, "path": path, "name": name, "from": from_, "delete": delete, "rename": rename, "force": force, "input": input}, on_output)

    def checkout(self, *, sandbox: Union[str, float], name: Word, path: Optional[Word] = None, create: Optional[bool] = None, from_: Optional[Word] = None, force: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitCheckedOut:
        """Go to a branch or a commit"""
        return self._call("git.checkout", {"sandbox": sandbox, "name": name, "path": path, "create": create, "from": from_, "force": force, "input": input}, on_output)

    def diff(self, *, sandbox: Union[str, float], path: Optional[Word] = None, from_: Optional[Word] = None, to: Optional[Word] = None, staged: Optional[bool] = None, summary: Optional[bool] = None, files: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitDifference:
        """Show what differs"""
        return self._call("git.diff", {"sandbox": sandbox, "path": path, "from": from_, "to": to, "staged": staged, "summary": summary, "files": files, "input": input}, on_output)

    def show(self, *, sandbox: Union[str, float], path: Optional[Word] = None, commit: Optional[Word] = None, summary: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitShown:
        """Show a commit and what it changed"""
        return self._call("git.show", {"sandbox": sandbox, "path": path, "commit": commit, "summary": summary, "input": input}, on_output)

    def fetch(self, *, sandbox: Union[str, float], path: Optional[Word] = None, remote: Optional[Word] = None, branch: Optional[Word] = None, prune: Optional[bool] = None, tags: Optional[bool] = None, depth: Optional[Count] = None, timeout: Optional[Time] = None, username: Optional[Union[str, float]] = None, password_stdin: Optional[bool] = None, password_env: Optional[Word] = None, password_fd: Optional[Word] = None, password: Optional[Union[str, float]] = None, password_for: Optional[Union[str, float]] = None, ssh_agent: Optional[bool] = None, known_hosts: Optional[Word] = None, insecure_tls: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitFetched:
        """Bring in what is new on another machine"""
        return self._call("git.fetch", {"sandbox": sandbox, "path": path, "remote": remote, "branch": branch, "prune": prune, "tags": tags, "depth": depth, "timeout": timeout, "username": username, "password_stdin": password_stdin, "password_env": password_env, "password_fd": password_fd, "password": password, "password_for": password_for, "ssh_agent": ssh_agent, "known_hosts": known_hosts, "insecure_tls": insecure_tls, "input": input}, on_output)

    def pull(self, *, sandbox: Union[str, float], path: Optional[Word] = None, remote: Optional[Word] = None, branch: Optional[Word] = None, merge: Optional[bool] = None, rebase: Optional[bool] = None, timeout: Optional[Time] = None, username: Optional[Union[str, float]] = None, password_stdin: Optional[bool] = None, password_env: Optional[Word] = None, password_fd: Optional[Word] = None, password: Optional[Union[str, float]] = None, password_for: Optional[Union[str, float]] = None, ssh_agent: Optional[bool] = None, known_hosts: Optional[Word] = None, insecure_tls: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitPulled:
        """Fetch, and go forward to it"""
        return self._call("git.pull", {"sandbox": sandbox, "path": path, "remote": remote, "branch": branch, "merge": merge, "rebase": rebase, "timeout": timeout, "username": username, "password_stdin": password_stdin, "password_env": password_env, "password_fd": password_fd, "password": password, "password_for": password_for, "ssh_agent": ssh_agent, "known_hosts": known_hosts, "insecure_tls": insecure_tls, "input": input}, on_output)

    def push(self, *, sandbox: Union[str, float], path: Optional[Word] = None, remote: Optional[Word] = None, branch: Optional[Word] = None, set_upstream: Optional[bool] = None, force: Optional[bool] = None, tags: Optional[bool] = None, delete: Optional[bool] = None, timeout: Optional[Time] = None, username: Optional[Union[str, float]] = None, password_stdin: Optional[bool] = None, password_env: Optional[Word] = None, password_fd: Optional[Word] = None, password: Optional[Union[str, float]] = None, password_for: Optional[Union[str, float]] = None, ssh_agent: Optional[bool] = None, known_hosts: Optional[Word] = None, insecure_tls: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitPushResult:
        """Send commits to another machine"""
        return self._call("git.push", {"sandbox": sandbox, "path": path, "remote": remote, "branch": branch, "set_upstream": set_upstream, "force": force, "tags": tags, "delete": delete, "timeout": timeout, "username": username, "password_stdin": password_stdin, "password_env": password_env, "password_fd": password_fd, "password": password, "password_for": password_for, "ssh_agent": ssh_agent, "known_hosts": known_hosts, "insecure_tls": insecure_tls, "input": input}, on_output)

    def reset(self, *, sandbox: Union[str, float], path: Optional[Word] = None, mode: Optional[GitResetMode] = None, target: Optional[Word] = None, files: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitStatusTold:
        """Move the branch to a commit, or take files out of what is staged"""
        return self._call("git.reset", {"sandbox": sandbox, "path": path, "mode": mode, "target": target, "files": files, "input": input}, on_output)

    def restore(self, *, sandbox: Union[str, float], files: OneOrSomeWord, path: Optional[Word] = None, source: Optional[Word] = None, staged: Optional[bool] = None, worktree: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitStatusTold:
        """Bring files back"""
        return self._call("git.restore", {"sandbox": sandbox, "files": files, "path": path, "source": source, "staged": staged, "worktree": worktree, "input": input}, on_output)

    def stash(self, *, sandbox: Union[str, float], path: Optional[Word] = None, deed: Optional[GitStashDeed] = None, index: Optional[Count] = None, message: Optional[Word] = None, include_untracked: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitStashes:
        """Put changes aside, list such, and bring them back"""
        return self._call("git.stash", {"sandbox": sandbox, "path": path, "deed": deed, "index": index, "message": message, "include_untracked": include_untracked, "input": input}, on_output)

    def remote(self, *, sandbox: Union[str, float], path: Optional[Word] = None, deed: Optional[GitRemoteDeed] = None, name: Optional[Word] = None, to: Optional[Word] = None, overwrite: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitRemotes:
        """List remotes; add, change or remove one"""
        return self._call("git.remote", {"sandbox": sandbox, "path": path, "deed": deed, "name": name, "to": to, "overwrite": overwrite, "input": input}, on_output)

    def config(self, *, sandbox: Union[str, float], path: Optional[Word] = None, key: Optional[Word] = None, value: Optional[Word] = None, unset: Optional[bool] = None, scope: Optional[GitScope] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> GitSettings:
        """List, show, change and remove settings"""
        return self._call("git.config", {"sandbox": sandbox, "path": path, "key": key, "value": value, "unset": unset, "scope": scope, "input": input}, on_output)


class ImageMethods:
    """`belljar image`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def build(self, *, dir: Word, name: Optional[Union[str, float]] = None, net: Optional[Word] = None, allow: Optional[OneOrManyWord] = None, deny: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagesBrought:
        """Build an image from a recipe: a directory, or python, node or shell"""
        return self._call("image.build", {"dir": dir, "name": name, "net": net, "allow": allow, "deny": deny, "input": input}, on_output)

    def import_(self, *, file: Word, name: Optional[Union[str, float]] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagesBrought:
        """Bring in an OCI layout, a docker archive or a plain root archive"""
        return self._call("image.import", {"file": file, "name": name, "input": input}, on_output)

    def pull(self, *, ref: Union[str, float], username: Optional[Union[str, float]] = None, password_stdin: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagePulled:
        """Fetch an image from a registry"""
        return self._call("image.pull", {"ref": ref, "username": username, "password_stdin": password_stdin, "input": input}, on_output)

    def save(self, *, name: OneOrSomeText, output: Word, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagesSaved:
        """Write images into one file, for `load` elsewhere"""
        return self._call("image.save", {"name": name, "output": output, "input": input}, on_output)

    def load(self, *, file: Word, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagesBrought:
        """Bring in what `save` wrote"""
        return self._call("image.load", {"file": file, "input": input}, on_output)

    def ls(self, *, digests: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Images:
        """List the images"""
        return self._call("image.ls", {"digests": digests, "input": input}, on_output)

    def inspect(self, *, name: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> KnownImage:
        """Show all that is known of an image, as JSON"""
        return self._call("image.inspect", {"name": name, "input": input}, on_output)

    def tag(self, *, name: Union[str, float], new: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImageTagged:
        """Give an image another name"""
        return self._call("image.tag", {"name": name, "new": new, "input": input}, on_output)

    def rm(self, *, name: OneOrSomeText, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagesRemoved:
        """Take names away, and images that have no name left"""
        return self._call("image.rm", {"name": name, "input": input}, on_output)

    def gc(self, *, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagesFreed:
        """Remove what no image needs: remains of what was interrupted, images without a name"""
        return self._call("image.gc", {"input": input}, on_output)

    def verify(self, *, name: Optional[Union[str, float]] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ImagesVerified:
        """Compare everything with its digest"""
        return self._call("image.verify", {"name": name, "input": input}, on_output)


class LspMethods:
    """`belljar lsp`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def start(self, *, sandbox: Union[str, float], language: Union[str, float], project: Optional[Word] = None, idle: Optional[Time] = None, timeout: Optional[Time] = None, server: Optional[OneOrManyText] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> LanguageServerTold:
        """Start the server of a language for a project, if it does not run"""
        return self._call("lsp.start", {"sandbox": sandbox, "language": language, "project": project, "idle": idle, "timeout": timeout, "server": server, "input": input}, on_output)

    def stop(self, *, sandbox: Union[str, float], language: Union[str, float], project: Optional[Word] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> LanguageServerTold:
        """End it"""
        return self._call("lsp.stop", {"sandbox": sandbox, "language": language, "project": project, "input": input}, on_output)

    def ls(self, *, sandbox: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> LanguageServers:
        """List the servers of a sandbox"""
        return self._call("lsp.ls", {"sandbox": sandbox, "input": input}, on_output)

    def completions(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, line: Optional[int] = None, column: Optional[int] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> CompletionList:
        """List what could stand at a place"""
        return self._call("lsp.completions", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "line": line, "column": column, "input": input}, on_output)

    def hover(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, line: Optional[int] = None, column: Optional[int] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Hovered:
        """Tell what stands at a place: its type and what is written about it"""
        return self._call("lsp.hover", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "line": line, "column": column, "input": input}, on_output)

    def signature(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, line: Optional[int] = None, column: Optional[int] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Signatures:
        """Tell how the function is called whose arguments stand at a place"""
        return self._call("lsp.signature", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "line": line, "column": column, "input": input}, on_output)

    def definition(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, line: Optional[int] = None, column: Optional[int] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> CodeLocations:
        """Find where it is defined that stands at a place"""
        return self._call("lsp.definition", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "line": line, "column": column, "input": input}, on_output)

    def references(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, line: Optional[int] = None, column: Optional[int] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> CodeLocations:
        """Find where it is used that stands at a place"""
        return self._call("lsp.references", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "line": line, "column": column, "input": input}, on_output)

    def symbols(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> CodeSymbols:
        """List what a file defines"""
        return self._call("lsp.symbols", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "input": input}, on_output)

    def find(self, *, sandbox: Union[str, float], language: Union[str, float], query: Union[str, float], project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> CodeSymbols:
        """Find what a project defines by a part of the name"""
        return self._call("lsp.find", {"sandbox": sandbox, "language": language, "query": query, "project": project, "timeout": timeout, "utf16": utf16, "input": input}, on_output)

    def diagnostics(self, *, sandbox: Union[str, float], file: OneOrSomeWord, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FilesDiagnosed:
        """Tell what is wrong with files"""
        return self._call("lsp.diagnostics", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "input": input}, on_output)

    def rename(self, *, sandbox: Union[str, float], file: Word, name: Union[str, float], language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, line: Optional[int] = None, column: Optional[int] = None, write: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FilesEdited:
        """Give another name to what stands at a place, everywhere"""
        return self._call("lsp.rename", {"sandbox": sandbox, "file": file, "name": name, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "line": line, "column": column, "write": write, "input": input}, on_output)

    def format(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, write: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> FilesEdited:
        """Set a file as the server would have it"""
        return self._call("lsp.format", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "write": write, "input": input}, on_output)

    def actions(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, line: Optional[int] = None, column: Optional[int] = None, end_line: Optional[int] = None, end_column: Optional[int] = None, apply: Optional[int] = None, dry_run: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> CodeActions:
        """List what could be done at a place, or do it"""
        return self._call("lsp.actions", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "line": line, "column": column, "end_line": end_line, "end_column": end_column, "apply": apply, "dry_run": dry_run, "input": input}, on_output)

    def open(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> LanguageServerTold:
        """Open a document, which stays open"""
        return self._call("lsp.open", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "input": input}, on_output)

    def close(self, *, sandbox: Union[str, float], file: Word, language: Optional[Union[str, float]] = None, project: Optional[Word] = None, timeout: Optional[Time] = None, utf16: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> LanguageServerTold:
        """Close it again"""
        return self._call("lsp.close", {"sandbox": sandbox, "file": file, "language": language, "project": project, "timeout": timeout, "utf16": utf16, "input": input}, on_output)

    def connect(self, *, sandbox: Union[str, float], language: Union[str, float], project: Optional[Word] = None, path: Optional[OneOrManyWord] = None, timeout: Optional[Time] = None, server: Optional[OneOrManyText] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> LanguageServerLeft:
        """Be a language server for an editor, on standard input and output"""
        return self._call("lsp.connect", {"sandbox": sandbox, "language": language, "project": project, "path": path, "timeout": timeout, "server": server, "input": input}, on_output)


class NetMethods:
    """`belljar net`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def set(self, *, name: Union[str, float], net: Optional[Word] = None, allow: Optional[OneOrManyWord] = None, deny: Optional[OneOrManyWord] = None, net_rate: Optional[Size] = None, net_connections: Optional[Count] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> NetworkSet:
        """Set what a sandbox may reach, in place of what it might before"""
        return self._call("net.set", {"name": name, "net": net, "allow": allow, "deny": deny, "net_rate": net_rate, "net_connections": net_connections, "input": input}, on_output)

    def log(self, *, name: Union[str, float], follow: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> NetworkLog:
        """Show what a sandbox reached, and what it was refused"""
        return self._call("net.log", {"name": name, "follow": follow, "input": input}, on_output)


class PortMethods:
    """`belljar port`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def ls(self, *, sandbox: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ListeningPorts:
        """List the ports that programs in a sandbox listen on"""
        return self._call("port.ls", {"sandbox": sandbox, "input": input}, on_output)


class PtyMethods:
    """`belljar pty`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def create(self, *, sandbox: Union[str, float], id: Union[str, float], workdir: Optional[Word] = None, command: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> SessionMade:
        """Start a shell, or a command, with a terminal of its own"""
        return self._call("pty.create", {"sandbox": sandbox, "id": id, "workdir": workdir, "command": command, "input": input}, on_output)

    def attach(self, *, sandbox: Union[str, float], id: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Ran:
        """Look at it and type into it; Ctrl-] leaves it alone again"""
        return self._call("pty.attach", {"sandbox": sandbox, "id": id, "input": input}, on_output)

    def resize(self, *, sandbox: Union[str, float], id: Union[str, float], columns: int, rows: int, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> TerminalResized:
        """Give it another size"""
        return self._call("pty.resize", {"sandbox": sandbox, "id": id, "columns": columns, "rows": rows, "input": input}, on_output)


class SessionMethods:
    """`belljar session`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def create(self, *, sandbox: Union[str, float], id: Union[str, float], workdir: Optional[Word] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> SessionMade:
        """Start a shell"""
        return self._call("session.create", {"sandbox": sandbox, "id": id, "workdir": workdir, "input": input}, on_output)

    def ls(self, *, sandbox: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Sessions:
        """List the sessions of a sandbox"""
        return self._call("session.ls", {"sandbox": sandbox, "input": input}, on_output)

    def exec(self, *, sandbox: Union[str, float], id: Union[str, float], lines: Word, detach: Optional[bool] = None, timeout: Optional[Time] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Ran:
        """Run lines of shell in a session, after those before them"""
        return self._call("session.exec", {"sandbox": sandbox, "id": id, "lines": lines, "detach": detach, "timeout": timeout, "input": input}, on_output)

    def logs(self, *, sandbox: Union[str, float], id: Union[str, float], job: Optional[int] = None, follow: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Ran:
        """Print what a job has written"""
        return self._call("session.logs", {"sandbox": sandbox, "id": id, "job": job, "follow": follow, "input": input}, on_output)

    def input(self, *, sandbox: Union[str, float], id: Union[str, float], job: int, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> InputGiven:
        """Give standard input to what a job reads that was started with --detach"""
        return self._call("session.input", {"sandbox": sandbox, "id": id, "job": job, "input": input}, on_output)

    def interrupt(self, *, sandbox: Union[str, float], id: Union[str, float], job: Optional[int] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> SessionDone:
        """Interrupt a job, as its timeout does; later jobs still run"""
        return self._call("session.interrupt", {"sandbox": sandbox, "id": id, "job": job, "input": input}, on_output)

    def rm(self, *, sandbox: Union[str, float], id: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> SessionDone:
        """End a session, and everything that it has started"""
        return self._call("session.rm", {"sandbox": sandbox, "id": id, "input": input}, on_output)


class SnapshotMethods:
    """`belljar snapshot`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def create(self, *, name: Union[str, float], image: Union[str, float], force: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> SnapshotMade:
        """Make an image of a sandbox's image and its files, as they are at this moment The image of a sandbox on the machine's own files needs them: only `create --image` takes it."""
        return self._call("snapshot.create", {"name": name, "image": image, "force": force, "input": input}, on_output)

    def ls(self, *, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Snapshots:
        """List the images that are snapshots"""
        return self._call("snapshot.ls", {"input": input}, on_output)

    def rm(self, *, image: OneOrSomeText, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> SnapshotsRemoved:
        """Take the names of snapshots away, and with the last name the image"""
        return self._call("snapshot.rm", {"image": image, "input": input}, on_output)


class VolumeMethods:
    """`belljar volume`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def create(self, *, name: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> VolumeCreated:
        """Make an empty volume"""
        return self._call("volume.create", {"name": name, "input": input}, on_output)

    def ls(self, *, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Volumes:
        """List volumes, what they take on the disk, and who has them"""
        return self._call("volume.ls", {"input": input}, on_output)

    def rm(self, *, name: OneOrSomeText, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> VolumesRemoved:
        """Remove volumes and their files"""
        return self._call("volume.rm", {"name": name, "input": input}, on_output)


class WarmMethods:
    """`belljar warm`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def create(self, *, memory: Optional[Size] = None, cpus: Optional[Cpus] = None, pids: Optional[Count] = None, disk: Optional[Size] = None, disk_bandwidth: Optional[Size] = None, timeout: Optional[Deadline] = None, cpu_time: Optional[Time] = None, cgroup_parent: Optional[Word] = None, image: Optional[Word] = None, mount: Optional[OneOrManyWord] = None, volume: Optional[OneOrManyWord] = None, workdir: Optional[Word] = None, net: Optional[Word] = None, allow: Optional[OneOrManyWord] = None, deny: Optional[OneOrManyWord] = None, net_rate: Optional[Size] = None, net_connections: Optional[Count] = None, publish: Optional[OneOrManyWord] = None, user: Optional[Ids] = None, userns: Optional[Word] = None, hostname: Optional[Word] = None, env: Optional[Pairs] = None, spec: Optional[Word] = None, seccomp: Optional[Word] = None, require: Optional[OneOrManyWord] = None, allow_missing: Optional[OneOrManyWord] = None, preload: Optional[Word] = None, preload_file: Optional[Word] = None, preload_timeout: Optional[Deadline] = None, lang: Optional[Word] = None, ready: Optional[Count] = None, ttl: Optional[Time] = None, idle_stop: Optional[Time] = None, label: Optional[Pairs] = None, name: Optional[Word] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> WarmCreated:
        """Make a warm template: an interpreter that has loaded what every run needs"""
        return self._call("warm.create", {"memory": memory, "cpus": cpus, "pids": pids, "disk": disk, "disk_bandwidth": disk_bandwidth, "timeout": timeout, "cpu_time": cpu_time, "cgroup_parent": cgroup_parent, "image": image, "mount": mount, "volume": volume, "workdir": workdir, "net": net, "allow": allow, "deny": deny, "net_rate": net_rate, "net_connections": net_connections, "publish": publish, "user": user, "userns": userns, "hostname": hostname, "env": env, "spec": spec, "seccomp": seccomp, "require": require, "allow_missing": allow_missing, "preload": preload, "preload_file": preload_file, "preload_timeout": preload_timeout, "lang": lang, "ready": ready, "ttl": ttl, "idle_stop": idle_stop, "label": label, "name": name, "input": input}, on_output)

    def ls(self, *, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> WarmTemplates:
        """List warm templates, and what they have ready"""
        return self._call("warm.ls", {"input": input}, on_output)

    def inspect(self, *, name: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> WarmTemplate:
        """Show all that is known of a warm template, as JSON"""
        return self._call("warm.inspect", {"name": name, "input": input}, on_output)

    def rm(self, *, name: OneOrSomeText, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> WarmRemoved:
        """End and remove warm templates, and what runs by them"""
        return self._call("warm.rm", {"name": name, "input": input}, on_output)


class Methods:
    """Every verb of belljar."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.fs = FsMethods(call)
        self.git = GitMethods(call)
        self.image = ImageMethods(call)
        self.lsp = LspMethods(call)
        self.net = NetMethods(call)
        self.port = PortMethods(call)
        self.pty = PtyMethods(call)
        self.session = SessionMethods(call)
        self.snapshot = SnapshotMethods(call)
        self.volume = VolumeMethods(call)
        self.warm = WarmMethods(call)

    def run(self, *, memory: Optional[Size] = None, cpus: Optional[Cpus] = None, pids: Optional[Count] = None, disk: Optional[Size] = None, disk_bandwidth: Optional[Size] = None, timeout: Optional[Deadline] = None, cpu_time: Optional[Time] = None, cgroup_parent: Optional[Word] = None, image: Optional[Word] = None, mount: Optional[OneOrManyWord] = None, volume: Optional[OneOrManyWord] = None, workdir: Optional[Word] = None, net: Optional[Word] = None, allow: Optional[OneOrManyWord] = None, deny: Optional[OneOrManyWord] = None, net_rate: Optional[Size] = None, net_connections: Optional[Count] = None, publish: Optional[OneOrManyWord] = None, user: Optional[Ids] = None, userns: Optional[Word] = None, hostname: Optional[Word] = None, env: Optional[Pairs] = None, spec: Optional[Word] = None, seccomp: Optional[Word] = None, require: Optional[OneOrManyWord] = None, allow_missing: Optional[OneOrManyWord] = None, output_limit: Optional[OutputLimit] = None, stdin: Optional[Word] = None, tty: Optional[bool] = None, dry_run: Optional[bool] = None, bundle: Optional[Word] = None, command: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> RunTold:
        """Run one command in a fresh sandbox that is destroyed afterwards"""
        return self._call("run", {"memory": memory, "cpus": cpus, "pids": pids, "disk": disk, "disk_bandwidth": disk_bandwidth, "timeout": timeout, "cpu_time": cpu_time, "cgroup_parent": cgroup_parent, "image": image, "mount": mount, "volume": volume, "workdir": workdir, "net": net, "allow": allow, "deny": deny, "net_rate": net_rate, "net_connections": net_connections, "publish": publish, "user": user, "userns": userns, "hostname": hostname, "env": env, "spec": spec, "seccomp": seccomp, "require": require, "allow_missing": allow_missing, "output_limit": output_limit, "stdin": stdin, "tty": tty, "dry_run": dry_run, "bundle": bundle, "command": command, "input": input}, on_output)

    def code(self, *, memory: Optional[Size] = None, cpus: Optional[Cpus] = None, pids: Optional[Count] = None, disk: Optional[Size] = None, disk_bandwidth: Optional[Size] = None, timeout: Optional[Deadline] = None, cpu_time: Optional[Time] = None, cgroup_parent: Optional[Word] = None, image: Optional[Word] = None, mount: Optional[OneOrManyWord] = None, volume: Optional[OneOrManyWord] = None, workdir: Optional[Word] = None, net: Optional[Word] = None, allow: Optional[OneOrManyWord] = None, deny: Optional[OneOrManyWord] = None, net_rate: Optional[Size] = None, net_connections: Optional[Count] = None, publish: Optional[OneOrManyWord] = None, user: Optional[Ids] = None, userns: Optional[Word] = None, hostname: Optional[Word] = None, env: Optional[Pairs] = None, spec: Optional[Word] = None, seccomp: Optional[Word] = None, require: Optional[OneOrManyWord] = None, allow_missing: Optional[OneOrManyWord] = None, output_limit: Optional[OutputLimit] = None, stdin: Optional[Word] = None, tty: Optional[bool] = None, dry_run: Optional[bool] = None, sandbox: Optional[Word] = None, warm: Optional[Union[str, float]] = None, context: Optional[str] = None, save: Optional[Word] = None, code: Optional[Word] = None, lang: Optional[Word] = None, file: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> CodeTold:
        """Run a piece of code in a fresh sandbox that is destroyed afterwards"""
        return self._call("code", {"memory": memory, "cpus": cpus, "pids": pids, "disk": disk, "disk_bandwidth": disk_bandwidth, "timeout": timeout, "cpu_time": cpu_time, "cgroup_parent": cgroup_parent, "image": image, "mount": mount, "volume": volume, "workdir": workdir, "net": net, "allow": allow, "deny": deny, "net_rate": net_rate, "net_connections": net_connections, "publish": publish, "user": user, "userns": userns, "hostname": hostname, "env": env, "spec": spec, "seccomp": seccomp, "require": require, "allow_missing": allow_missing, "output_limit": output_limit, "stdin": stdin, "tty": tty, "dry_run": dry_run, "sandbox": sandbox, "warm": warm, "context": context, "save": save, "code": code, "lang": lang, "file": file, "input": input}, on_output)

    def exec(self, *, detach: Optional[bool] = None, timeout: Optional[Deadline] = None, output_limit: Optional[OutputLimit] = None, workdir: Optional[Word] = None, user: Optional[Ids] = None, env: Optional[Pairs] = None, stdin: Optional[Word] = None, tty: Optional[bool] = None, interactive: Optional[bool] = None, name: Optional[Union[str, float]] = None, command: Optional[OneOrManyWord] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> ExecTold:
        """Run a command in a persistent sandbox"""
        return self._call("exec", {"detach": detach, "timeout": timeout, "output_limit": output_limit, "workdir": workdir, "user": user, "env": env, "stdin": stdin, "tty": tty, "interactive": interactive, "name": name, "command": command, "input": input}, on_output)

    def preview(self, *, name: Union[str, float], port: Count, listen: Optional[Word] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Previewed:
        """Open a port of this machine that leads to one in a sandbox"""
        return self._call("preview", {"name": name, "port": port, "listen": listen, "input": input}, on_output)

    def create(self, *, memory: Optional[Size] = None, cpus: Optional[Cpus] = None, pids: Optional[Count] = None, disk: Optional[Size] = None, disk_bandwidth: Optional[Size] = None, timeout: Optional[Deadline] = None, cpu_time: Optional[Time] = None, cgroup_parent: Optional[Word] = None, image: Optional[Word] = None, mount: Optional[OneOrManyWord] = None, volume: Optional[OneOrManyWord] = None, workdir: Optional[Word] = None, net: Optional[Word] = None, allow: Optional[OneOrManyWord] = None, deny: Optional[OneOrManyWord] = None, net_rate: Optional[Size] = None, net_connections: Optional[Count] = None, publish: Optional[OneOrManyWord] = None, user: Optional[Ids] = None, userns: Optional[Word] = None, hostname: Optional[Word] = None, env: Optional[Pairs] = None, spec: Optional[Word] = None, seccomp: Optional[Word] = None, require: Optional[OneOrManyWord] = None, allow_missing: Optional[OneOrManyWord] = None, keep: Optional[bool] = None, ttl: Optional[Time] = None, idle_stop: Optional[Time] = None, idle_rm: Optional[Time] = None, label: Optional[Pairs] = None, name: Optional[Word] = None, command: Optional[OneOrManyWord] = None, git: Optional[Word] = None, git_dir: Optional[Word] = None, username: Optional[Union[str, float]] = None, password_stdin: Optional[bool] = None, password_env: Optional[Word] = None, password_fd: Optional[Word] = None, password: Optional[Union[str, float]] = None, password_for: Optional[Union[str, float]] = None, ssh_agent: Optional[bool] = None, known_hosts: Optional[Word] = None, insecure_tls: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Made:
        """Make a persistent sandbox"""
        return self._call("create", {"memory": memory, "cpus": cpus, "pids": pids, "disk": disk, "disk_bandwidth": disk_bandwidth, "timeout": timeout, "cpu_time": cpu_time, "cgroup_parent": cgroup_parent, "image": image, "mount": mount, "volume": volume, "workdir": workdir, "net": net, "allow": allow, "deny": deny, "net_rate": net_rate, "net_connections": net_connections, "publish": publish, "user": user, "userns": userns, "hostname": hostname, "env": env, "spec": spec, "seccomp": seccomp, "require": require, "allow_missing": allow_missing, "keep": keep, "ttl": ttl, "idle_stop": idle_stop, "idle_rm": idle_rm, "label": label, "name": name, "command": command, "git": git, "git_dir": git_dir, "username": username, "password_stdin": password_stdin, "password_env": password_env, "password_fd": password_fd, "password": password, "password_for": password_for, "ssh_agent": ssh_agent, "known_hosts": known_hosts, "insecure_tls": insecure_tls, "input": input}, on_output)

    def ls(self, *, label: Optional[Pairs] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Sandboxes:
        """List persistent sandboxes"""
        return self._call("ls", {"label": label, "input": input}, on_output)

    def inspect(self, *, name: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Known:
        """Show all that is known of a sandbox, as JSON"""
        return self._call("inspect", {"name": name, "input": input}, on_output)

    def stats(self, *, name: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Stats:
        """Show what a sandbox uses"""
        return self._call("stats", {"name": name, "input": input}, on_output)

    def logs(self, *, name: Union[str, float], follow: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Log:
        """Print what a sandbox's own command has written"""
        return self._call("logs", {"name": name, "follow": follow, "input": input}, on_output)

    def wait(self, *, name: Union[str, float], lease: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Waited:
        """Wait until a sandbox ends, and exit as its own command did"""
        return self._call("wait", {"name": name, "lease": lease, "input": input}, on_output)

    def stop(self, *, name: OneOrSomeText, grace: Optional[Time] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> AllStopped:
        """End sandboxes; those that are not kept are removed"""
        return self._call("stop", {"name": name, "grace": grace, "input": input}, on_output)

    def start(self, *, name: OneOrSomeText, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> AllStarted:
        """Start kept sandboxes that were stopped"""
        return self._call("start", {"name": name, "input": input}, on_output)

    def rm(self, *, name: OneOrSomeText, force: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> AllRemoved:
        """Remove sandboxes and their files"""
        return self._call("rm", {"name": name, "force": force, "input": input}, on_output)

    def resize(self, *, name: Union[str, float], memory: Optional[Size] = None, cpus: Optional[Cpus] = None, pids: Optional[Count] = None, disk: Optional[Size] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Resized:
        """Change the limits of a sandbox"""
        return self._call("resize", {"name": name, "memory": memory, "cpus": cpus, "pids": pids, "disk": disk, "input": input}, on_output)

    def life(self, *, name: Union[str, float], keep: Optional[bool] = None, ttl: Optional[Time] = None, idle_stop: Optional[Time] = None, idle_rm: Optional[Time] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Lasts:
        """Change how long a sandbox lasts"""
        return self._call("life", {"name": name, "keep": keep, "ttl": ttl, "idle_stop": idle_stop, "idle_rm": idle_rm, "input": input}, on_output)

    def rename(self, *, name: Union[str, float], new: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Renamed:
        """Give a sandbox another name"""
        return self._call("rename", {"name": name, "new": new, "input": input}, on_output)

    def label(self, *, name: Union[str, float], label: Optional[Pairs] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Labels:
        """Show and change the labels of a sandbox"""
        return self._call("label", {"name": name, "label": label, "input": input}, on_output)

    def fork(self, *, name: Union[str, float], new: Optional[Union[str, float]] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Made:
        """Make another sandbox with a copy of the files of this one"""
        return self._call("fork", {"name": name, "new": new, "input": input}, on_output)

    def diff(self, *, name: Union[str, float], input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Changes:
        """List what a sandbox has changed against its image"""
        return self._call("diff", {"name": name, "input": input}, on_output)

    def export(self, *, name: Union[str, float], output: Word, without_image: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Exported:
        """Write a whole sandbox to a file, for another machine"""
        return self._call("export", {"name": name, "output": output, "without_image": without_image, "input": input}, on_output)

    def import_(self, *, file: Word, memory: Optional[Size] = None, cpus: Optional[Cpus] = None, pids: Optional[Count] = None, disk: Optional[Size] = None, disk_bandwidth: Optional[Size] = None, timeout: Optional[Deadline] = None, cpu_time: Optional[Time] = None, cgroup_parent: Optional[Word] = None, image: Optional[Word] = None, mount: Optional[OneOrManyWord] = None, volume: Optional[OneOrManyWord] = None, workdir: Optional[Word] = None, net: Optional[Word] = None, allow: Optional[OneOrManyWord] = None, deny: Optional[OneOrManyWord] = None, net_rate: Optional[Size] = None, net_connections: Optional[Count] = None, publish: Optional[OneOrManyWord] = None, user: Optional[Ids] = None, userns: Optional[Word] = None, hostname: Optional[Word] = None, env: Optional[Pairs] = None, spec: Optional[Word] = None, seccomp: Optional[Word] = None, require: Optional[OneOrManyWord] = None, allow_missing: Optional[OneOrManyWord] = None, name: Optional[Word] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Made:
        """Make a sandbox from a file that `belljar export` wrote, and start it"""
        return self._call("import", {"file": file, "memory": memory, "cpus": cpus, "pids": pids, "disk": disk, "disk_bandwidth": disk_bandwidth, "timeout": timeout, "cpu_time": cpu_time, "cgroup_parent": cgroup_parent, "image": image, "mount": mount, "volume": volume, "workdir": workdir, "net": net, "allow": allow, "deny": deny, "net_rate": net_rate, "net_connections": net_connections, "publish": publish, "user": user, "userns": userns, "hostname": hostname, "env": env, "spec": spec, "seccomp": seccomp, "require": require, "allow_missing": allow_missing, "name": name, "input": input}, on_output)

    def doctor(self, *, apparmor_profile: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Examined:
        """Say what this host can enforce, what is missing and how to get it"""
        return self._call("doctor", {"apparmor_profile": apparmor_profile, "input": input}, on_output)

    def schema(self, *, of: Optional[Which] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Printed:
        """Print the JSON Schema of results, of spec files or of what doctor tells, or the methods of rpc"""
        return self._call("schema", {"of": of, "input": input}, on_output)

    def cp(self, *, from_: OneOrSomeWord, to: Word, quiet: Optional[bool] = None, input: Optional[Word] = None, on_output: Optional[OnOutput] = None) -> Copied:
        """Copy files and directories between the host and a sandbox"""
        return self._call("cp", {"from": from_, "to": to, "quiet": quiet, "input": input}, on_output)

    def version(self, *, on_output: Optional[OnOutput] = None) -> VersionResult:
        """The version of belljar"""
        return self._call("version", {}, on_output)
