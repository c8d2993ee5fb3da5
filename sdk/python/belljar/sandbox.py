"""A sandbox: what is known of it, and what can be done with it."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Union

from .errors import DaytonaBadRequestError, DaytonaGoneError, DaytonaNotFoundError, DaytonaNotImplementedError
from .filesystem import FileSystem
from .git import Git
from .interpreter import CodeInterpreter
from .link import PROGRAM, Link
from .lsp import LspLanguageId, LspServer
from .models import PortPreviewUrl, Resources, SandboxMetrics, SandboxState
from .network import network
from .process import Process
from .record import LABEL, LANGUAGE, Record
from .text import check_names, text_of

GIB = 1 << 30
STATES = {
    "running": SandboxState.STARTED, "starting": SandboxState.STARTING, "stopping": SandboxState.STOPPING,
    "stopped": SandboxState.STOPPED,
}


class Sandbox:
    """Made by `Daytona.create`, `get` and `list`. As a context manager it is removed at the end of the block."""

    def __init__(self, link: Link, told: Dict[str, Any]) -> None:
        self._link = link
        self.id: str = told["id"]
        self._know(told)
        self.process = Process(self)
        self.fs = FileSystem(self)
        self.git = Git(self)
        self.code_interpreter = CodeInterpreter(self)

    def _know(self, told: Dict[str, Any]) -> None:
        labels: Dict[str, str] = told["labels"]
        self._record = Record.of(labels)
        limits = told["limits"]
        self.name: str = told["name"]
        self.state = STATES.get(told["state"], SandboxState.ERROR)
        # Those that begin with `belljar.` are belljar's own.
        self.labels = {key: value for key, value in labels.items() if not key.startswith("belljar.")}
        # Whether it stays when the program ends that made it.
        self.kept = PROGRAM not in labels and bool(told["keep"])
        self.env: Dict[str, str] = self._record.env
        self.snapshot: str = self._record.snapshot or told["image"]
        self.cpu: float = limits["cpus"]
        self.memory: float = limits["memory_bytes"] / GIB
        self.disk: float = limits["disk_bytes"] / GIB
        self.created_at: str = told["created"]
        self.network_block_all: bool = told["net"] == "none"

    @property
    def language(self) -> str:
        """What `code_run` runs where nobody says otherwise."""
        return self.labels.get(LANGUAGE, "python")

    def __repr__(self) -> str:
        return f"<Sandbox {self.name} {self.state.value}>"

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        if self.state is not SandboxState.DESTROYED:
            self.delete()

    def refresh_data(self) -> None:
        """Looks at it again."""
        self._know(self._link.ask("inspect", name=self.id))

    # Its life.

    def start(self, timeout: Optional[float] = 60) -> None:
        """Starts it where it was stopped."""
        self.refresh_data()
        if self.state is not SandboxState.STARTED:
            self._each(self._link.ask("start", timeout, name=[self.id]))
            self.refresh_data()

    def stop(self, timeout: Optional[float] = 60, force: bool = False) -> None:
        """Ends what runs in it. Its files stay, unless it was made with `ephemeral`."""
        self._each(self._link.ask("stop", timeout, name=[self.id], grace="0s" if force else "1s"))
        try:
            self.refresh_data()
        except DaytonaNotFoundError:
            self.state = SandboxState.DESTROYED

    def delete(self, timeout: Optional[float] = 60, wait: bool = True) -> None:
        """Removes it, and waits for that in any case."""
        self._each(self._link.ask("rm", timeout, name=[self.id], force=True))
        self.state = SandboxState.DESTROYED

    def keep(self) -> None:
        """Lets it stay when the program ends."""
        self._link.ask("life", name=self.id, keep=True)
        self._link.ask("label", name=self.id, label=[f"{PROGRAM}="])
        self.kept = True

    def recover(self, timeout: Optional[float] = 60) -> None:
        """Starts it again."""
        self.start(timeout)

    def archive(self) -> None:
        """Leaves its files where they are: that is all that it means here."""
        self.refresh_data()
        if self.state is not SandboxState.STOPPED:
            raise DaytonaBadRequestError("the sandbox is not stopped", kind="running", hint="stop it first")

    def pause(self, timeout: float = 60) -> None:
        """Refused: memory is not kept."""
        raise DaytonaNotImplementedError("the memory of a sandbox cannot be kept", hint="stop it, and its files are")

    def wait_for_sandbox_start(self, timeout: Optional[float] = 60) -> None:
        """Waits until it runs; `start` has waited already."""
        self._wait_for(SandboxState.STARTED, timeout)

    def wait_for_sandbox_stop(self, timeout: Optional[float] = 60) -> None:
        """Waits until it does not."""
        self._wait_for(SandboxState.STOPPED, timeout)

    def _wait_for(self, state: SandboxState, timeout: Optional[float]) -> None:
        until = time.monotonic() + (timeout or float("inf"))
        self.refresh_data()
        while self.state is not state and time.monotonic() < until:
            time.sleep(0.1)
            self.refresh_data()
        if self.state is not state:
            raise DaytonaGoneError(f"the sandbox is {self.state.value}, and not {state.value} after {timeout} s", kind="ended")

    def fork(self, name: Optional[str] = None, timeout: Optional[float] = 60) -> "Sandbox":
        """Another one with a copy of its files."""
        self._link.keep_watch()
        made = self._link.ask("fork", timeout, name=self.id, new=name)
        if not self.kept:
            self._link.ask("label", name=made["id"], label=[f"{PROGRAM}={self._link.program}"])
        return Sandbox(self._link, self._link.ask("inspect", name=made["id"]))

    def create_snapshot(self, name: str, timeout: Optional[float] = 60) -> None:
        """Keeps its files as an image, by that name."""
        self._link.ask("snapshot.create", timeout, name=self.id, image=name)

    def resize(self, resources: Resources, timeout: Optional[float] = 60) -> None:
        """Changes its limits."""
        self._link.ask("resize", timeout, name=self.id, **limits(resources))
        self.refresh_data()

    def set_labels(self, labels: Dict[str, str]) -> Dict[str, str]:
        """These, in the place of those that it had."""
        own = [key for key in labels if key.startswith("belljar.")]
        if own:
            raise DaytonaBadRequestError(f"labels: `{own[0]}`: what begins with `belljar.` is belljar's own", kind="invalid")
        gone = [f"{key}=" for key in self.labels if key not in labels and key != LANGUAGE]
        self._link.ask("label", name=self.id, label=[f"{key}={value}" for key, value in labels.items()] + gone)
        self.refresh_data()
        return self.labels

    def set_autostop_interval(self, interval: int) -> None:
        """Minutes without a call until it is stopped; 0 for never."""
        self._link.ask("life", name=self.id, idle_stop=f"{interval}m" if interval else "none")

    def set_auto_delete_interval(self, interval: int) -> None:
        """Minutes without a call until it is removed; below 0 for never, 0 for its stop."""
        if interval == 0:
            self._link.ask("life", name=self.id, keep=False)
        else:
            self._link.ask("life", name=self.id, keep=True, idle_rm=f"{interval}m" if interval > 0 else "none")

    def set_ttl(self, ttl_minutes: int) -> None:
        """Minutes until it is removed; 0 for never."""
        self._link.ask("life", name=self.id, ttl=f"{ttl_minutes}m" if ttl_minutes else "none")

    def refresh_activity(self) -> None:
        """Counts as a call."""
        self._link.ask("exec", name=self.id, command=["true"])

    # What is in it.

    def update_env(self, env: Dict[str, str], *, unset: Optional[List[str]] = None) -> None:
        """Variables of commands from now on."""
        check_names(env)
        self._record.env = self.env = {name: value for name, value in {**self.env, **env}.items() if name not in (unset or [])}
        self._link.ask("label", name=self.id, label=[f"{LABEL}={self._record.text()}"])

    def update_network_settings(
        self,
        *,
        network_block_all: Optional[bool] = None,
        network_allow_list: Optional[str] = None,
        domain_allow_list: Optional[str] = None,
    ) -> None:
        """What it may reach from now on. One that was made without a network gets none."""
        asked = network(network_block_all, network_allow_list or None, domain_allow_list or None, "open")
        if asked["net"] == "none":
            # One that has a network keeps it, and reaches nothing.
            asked["net"] = "only"
        self._link.ask("net.set", name=self.id, **asked)
        self.refresh_data()

    def _shell(self, script: str) -> str:
        return text_of(self._link.ask("exec", name=self.id, command=["sh", "-c", script]), "stdout").rstrip("\n")

    def get_work_dir(self) -> str:
        """Where commands begin."""
        return self._shell("pwd")

    def get_user_home_dir(self) -> str:
        """The home directory."""
        return self._shell('echo "$HOME"')

    def get_user_root_dir(self) -> str:
        """Daytona's older name for it."""
        return self.get_user_home_dir()

    def get_metrics_latest(self) -> SandboxMetrics:
        """What it uses now; of its CPUs, in all its life."""
        told = self._link.ask("stats", name=self.id)
        cpus = max(1, told["millicpus_limit"])
        used = told["cpu_ms"] / max(1, told["uptime_ms"]) * 100_000 / cpus
        return SandboxMetrics(
            -(-cpus // 1000), min(used, 100.0), told["memory_limit_bytes"], told["memory_bytes"], told["disk_limit_bytes"],
            told["disk_bytes"],
        )

    def get_preview_link(self, port: int) -> PortPreviewUrl:
        """An address of this machine's that leads to a port in it, as long as this program runs."""
        return PortPreviewUrl(self._link.preview(self.id, port))

    def create_lsp_server(self, language_id: Union[LspLanguageId, str], path_to_project: str) -> LspServer:
        """A language server for a project in it."""
        return LspServer(self, language_id, path_to_project)

    def create_ssh_access(self, expires_in_minutes: Optional[int] = None) -> None:
        """Refused: nothing inside listens for it."""
        raise DaytonaNotImplementedError("there is no ssh into a sandbox", hint="`belljar pty create`, or `process.create_pty_session`")

    @staticmethod
    def _each(told: Dict[str, Any]) -> None:
        for one in told["sandboxes"]:
            if "error" in one:
                raise DaytonaGoneError(one["error"]["message"], kind=one["error"]["kind"], hint=one["error"]["hint"])


def limits(resources: Resources) -> Dict[str, Any]:
    """As parameters of a verb."""
    if resources.gpu:
        raise DaytonaNotImplementedError("resources: gpu: there are none in sandboxes")
    sizes = {"memory": resources.memory, "disk": resources.disk}
    given = {key: f"{round(value * GIB)}" for key, value in sizes.items() if value is not None}
    return dict(given, **({"cpus": str(resources.cpu)} if resources.cpu is not None else {}))
