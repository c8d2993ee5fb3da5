"""What goes in and comes out, in Daytona's names."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Dict, List, Literal, Optional, Union

if TYPE_CHECKING:
    from .charts import Chart
    from .image import Image


class CodeLanguage(str, Enum):
    """What `code_run` runs."""

    PYTHON = "python"
    TYPESCRIPT = "typescript"
    JAVASCRIPT = "javascript"


Language = Union[CodeLanguage, Literal["python", "typescript", "javascript"]]


class SandboxState(str, Enum):
    """What a sandbox does."""

    STARTED = "started"
    STARTING = "starting"
    STOPPED = "stopped"
    STOPPING = "stopping"
    DESTROYED = "destroyed"
    ERROR = "error"


@dataclass
class DaytonaConfig:
    """How a `Daytona` works. The key, the addresses and the target are Daytona's, and not used: nothing leaves this machine."""

    api_key: Optional[str] = None
    api_url: Optional[str] = None
    target: Optional[str] = None
    jwt_token: Optional[str] = None
    organization_id: Optional[str] = None
    # belljar's own directory, where it is not the usual one.
    home: Optional[str] = None
    # What sandboxes may reach whose maker says nothing: `open`, `none`, or targets with commas between them, as `--allow` has
    # them. `BELLJAR_NET` where this is None, and `open` where that is not set.
    net: Optional[str] = None
    # Whether sandboxes stay whose maker says nothing, when the program ends.
    keep: bool = False


@dataclass
class Resources:
    """Limits of a sandbox: CPUs, GiB of memory and of disk."""

    cpu: Optional[float] = None
    memory: Optional[float] = None
    disk: Optional[float] = None
    gpu: Optional[int] = None


@dataclass
class VolumeMount:
    """A volume in a sandbox. Its name is its id."""

    volume_id: str
    mount_path: str
    subpath: Optional[str] = None


@dataclass
class CreateSandboxBaseParams:
    """What a sandbox is to be. Intervals are minutes."""

    name: Optional[str] = None
    language: Optional[Language] = None
    os_user: Optional[str] = None
    env_vars: Optional[Dict[str, str]] = None
    labels: Optional[Dict[str, str]] = None
    public: Optional[bool] = None
    auto_stop_interval: Optional[int] = None
    auto_archive_interval: Optional[int] = None
    auto_delete_interval: Optional[int] = None
    ttl_minutes: Optional[int] = None
    volumes: Optional[List[VolumeMount]] = None
    network_block_all: Optional[bool] = None
    network_allow_list: Optional[str] = None
    domain_allow_list: Optional[str] = None
    # True: it goes when it is stopped. False: it stays when the program ends, as with `keep`.
    ephemeral: Optional[bool] = None
    # It stays when the program ends.
    keep: Optional[bool] = None
    resources: Optional[Resources] = None


@dataclass
class CreateSandboxFromImageParams(CreateSandboxBaseParams):
    """A sandbox of an image: the name of one that is here, or steps."""

    image: "Union[str, Image]" = ""

    def __post_init__(self) -> None:
        if not self.image:
            raise TypeError("image: is missing: give the name of one that `belljar image ls` lists, or an `Image`")


@dataclass
class CreateSandboxFromSnapshotParams(CreateSandboxBaseParams):
    """A sandbox of a snapshot, which is an image that is here; of the language's image where none is named."""

    snapshot: Optional[str] = None


# Daytona's older name.
CreateSandboxParams = CreateSandboxFromSnapshotParams


@dataclass
class ListSandboxesQuery:
    """Which sandboxes to list."""

    id: Optional[str] = None
    name: Optional[str] = None
    labels: Optional[Dict[str, str]] = None
    states: Optional[List[SandboxState]] = None
    limit: Optional[int] = None


@dataclass
class CodeRunParams:
    """Words and variables for code."""

    argv: Optional[List[str]] = None
    env: Optional[Dict[str, str]] = None


@dataclass
class ExecutionArtifacts:
    """What came of code besides its exit code."""

    stdout: str = ""
    charts: "Optional[List[Chart]]" = None


@dataclass
class ExecuteResponse:
    """How a command ended. `result` is all that it wrote, on both of its outputs, in order."""

    exit_code: int
    result: str
    artifacts: Optional[ExecutionArtifacts] = None
    # `exited`, or what ended it, as belljar has it: `out_of_memory`, `output_limit`, `signaled` ...
    status: str = "exited"
    # Whether it wrote more than a result holds, 64 MiB: the rest was dropped, and the result says so.
    truncated: bool = False
    additional_properties: Dict[str, Any] = field(default_factory=dict)


@dataclass
class SessionExecuteRequest:
    """Lines for the shell of a session."""

    command: str
    run_async: Optional[bool] = None
    var_async: Optional[bool] = None
    suppress_input_echo: Optional[bool] = None


@dataclass
class SessionExecuteResponse:
    """What came of lines; without an exit code where nobody waited."""

    cmd_id: str
    exit_code: Optional[int] = None
    output: Optional[str] = None
    stdout: Optional[str] = None
    stderr: Optional[str] = None


@dataclass
class SessionCommandLogsResponse:
    """What lines have written so far."""

    output: str
    stdout: str
    stderr: str


@dataclass
class Command:
    """Lines that a session was given."""

    id: str
    command: str
    exit_code: Optional[int] = None


@dataclass
class Session:
    """A shell that keeps running."""

    session_id: str
    commands: List[Command]


@dataclass
class PtySize:
    """The size of a terminal."""

    rows: int
    cols: int


@dataclass
class PtySessionInfo:
    """A terminal that keeps running."""

    id: str
    active: bool


@dataclass
class PtyResult:
    """How a terminal ended."""

    exit_code: Optional[int] = None
    error: Optional[str] = None


@dataclass
class PortPreviewUrl:
    """Where a port of a sandbox is seen. It needs no token, and is reached from this machine only."""

    url: str
    token: str = ""


@dataclass
class SandboxMetrics:
    """What a sandbox uses. Sizes are bytes."""

    cpu_count: int
    cpu_used_pct: float
    mem_total: int
    mem_used: int
    disk_total: int
    disk_used: int


@dataclass
class Snapshot:
    """An image that is here."""

    id: str
    name: str
    image_name: str
    state: str
    # GiB.
    size: float
    created_at: Optional[str]


@dataclass
class PaginatedSnapshots:
    """A page of a list."""

    items: List[Snapshot]
    total: int
    page: int
    total_pages: int


@dataclass
class CreateSnapshotParams:
    """A snapshot of an image: a name of one that is here, or steps."""

    name: str
    image: "Union[str, Image]"
    resources: Optional[Resources] = None
    entrypoint: Optional[List[str]] = None


@dataclass
class Volume:
    """Files that several sandboxes may have. Its name is its id."""

    id: str
    name: str
    state: str
    created_at: Optional[str]
