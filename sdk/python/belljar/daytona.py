"""`Daytona`: makes sandboxes, and finds them.

    with Daytona() as daytona:
        sandbox = daytona.create(language="python")
        print(sandbox.process.code_run("print(6 * 7)").result)

What a program makes goes with it, unless it says `keep=True`: at the end of the block, by `close`, or when the program ends,
however that comes about.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterator, Optional, Union

from .builder import Base, of_image, of_snapshot
from .client import Client
from .errors import DaytonaBadRequestError, DaytonaNotImplementedError
from .image import Image
from .link import PROGRAM, Link
from .models import (
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    DaytonaConfig,
    Language,
    ListSandboxesQuery,
    Resources,
    VolumeMount,
)
from .network import network
from .process import RUNS
from .record import LABEL, LANGUAGE, Record
from .sandbox import Sandbox, limits
from .services import SnapshotService, VolumeService
from .text import check_names

# The sandbox is one program's own: pip may install there what its distribution would rather see elsewhere.
OWN = {"PIP_BREAK_SYSTEM_PACKAGES": "1"}
Params = Union[CreateSandboxFromSnapshotParams, CreateSandboxFromImageParams]


class Daytona:
    """Sandboxes of this machine. Needs no server and no key."""

    def __init__(self, config: Optional[DaytonaConfig] = None) -> None:
        self._config = config or DaytonaConfig()
        self._link = Link(self._config.home)
        self.snapshot = SnapshotService(self._link, network(None, None, None, self._net))
        self.volume = VolumeService(self._link)

    @property
    def _net(self) -> str:
        return self._config.net or os.environ.get("BELLJAR_NET") or "open"

    @property
    def client(self) -> Client:
        """belljar's own verbs, for what Daytona has no name for: `daytona.client.net.log(name=sandbox.id)`."""
        return self._link.client

    def __enter__(self) -> "Daytona":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes what is not kept, and ends the process behind it."""
        self._link.close()

    def create(
        self,
        params: Optional[Params] = None,
        *,
        timeout: Optional[float] = 60,
        on_snapshot_create_logs: Optional[Callable[[str], None]] = None,
        language: Optional[Language] = None,
        image: Union[str, Image, None] = None,
        name: Optional[str] = None,
        env_vars: Optional[Dict[str, str]] = None,
        resources: Optional[Resources] = None,
        keep: Optional[bool] = None,
    ) -> Sandbox:
        """Makes a sandbox, which runs when this returns. What is given by a word counts before what `params` says."""
        wish: Params = params or CreateSandboxFromSnapshotParams()
        spoken = _language(language or wish.language)
        own = wish.labels or {}
        if any(key.startswith("belljar.") for key in own):
            raise DaytonaBadRequestError("labels: what begins with `belljar.` is belljar's own", kind="invalid")
        net = network(wish.network_block_all, wish.network_allow_list, wish.domain_allow_list, self._net)
        if image is None and isinstance(wish, CreateSandboxFromImageParams):
            image = wish.image
        if image is not None:
            base = of_image(self._link, image, net, on_snapshot_create_logs)
        else:
            snapshot = wish.snapshot if isinstance(wish, CreateSandboxFromSnapshotParams) else None
            base = of_snapshot(self._link, snapshot, spoken)
        record = Record({**OWN, **base.env, **(wish.env_vars or {}), **(env_vars or {})}, base.name)
        check_names(record.env)
        labels = {**own, LANGUAGE: spoken, LABEL: record.text()}
        stays = keep if keep is not None else wish.keep if wish.keep is not None else self._config.keep
        if wish.ephemeral is False:
            stays = True
        if not stays:
            self._link.keep_watch()
            labels[PROGRAM] = self._link.program
        made = self._link.ask(
            "create", timeout, name=name or wish.name, image=base.image, workdir=base.workdir, env=record.env, label=labels,
            # Its files outlive a stop.
            keep=not (wish.ephemeral or wish.auto_delete_interval == 0),
            volume=[_volume(one) for one in wish.volumes or []] or None,
            idle_stop=_minutes(wish.auto_stop_interval), idle_rm=_minutes(wish.auto_delete_interval),
            ttl=_minutes(wish.ttl_minutes), **net, **_limits(base, resources or wish.resources),
        )
        return self.get(made["id"])

    def get(self, sandbox_id_or_name: str) -> Sandbox:
        """The sandbox of that id or name, whoever has made it."""
        return Sandbox(self._link, self._link.ask("inspect", name=sandbox_id_or_name))

    def find_one(self, sandbox_id_or_name: str) -> Sandbox:
        """Daytona's older name for `get`."""
        return self.get(sandbox_id_or_name)

    def list(self, query: Optional[ListSandboxesQuery] = None) -> Iterator[Sandbox]:
        """The sandboxes of this machine that the query means."""
        wanted = query or ListSandboxesQuery()
        for told in self._link.ask("ls", label=wanted.labels or None)["sandboxes"]:
            sandbox = Sandbox(self._link, told)
            if (
                sandbox.id.startswith(wanted.id or "")
                and sandbox.name.startswith(wanted.name or "")
                and (wanted.states is None or sandbox.state in wanted.states)
            ):
                yield sandbox

    def start(self, sandbox: Sandbox, timeout: float = 60) -> None:
        """`sandbox.start`."""
        sandbox.start(timeout)

    def stop(self, sandbox: Sandbox, timeout: float = 60) -> None:
        """`sandbox.stop`."""
        sandbox.stop(timeout)

    def delete(self, sandbox: Sandbox, timeout: float = 60, wait: bool = True) -> None:
        """`sandbox.delete`."""
        sandbox.delete(timeout, wait)

    # Daytona's older name.
    remove = delete


def _language(language: Optional[Language]) -> str:
    spoken = str(getattr(language, "value", language) or "python")
    if spoken not in RUNS:
        raise DaytonaBadRequestError(f"language: `{spoken}` is none of {', '.join(RUNS)}", kind="invalid")
    return spoken


def _limits(base: Base, asked: Optional[Resources]) -> Dict[str, Any]:
    of = asked or Resources()
    mixed = Resources(
        of.cpu if of.cpu is not None else base.cpu, of.memory if of.memory is not None else base.memory,
        of.disk if of.disk is not None else base.disk, of.gpu,
    )
    return limits(mixed)


def _minutes(given: Optional[int]) -> Optional[str]:
    return f"{given}m" if given is not None and given > 0 else None


def _volume(one: VolumeMount) -> str:
    if not one.mount_path.startswith("/"):
        raise DaytonaNotImplementedError(f"volumes: mount_path: `{one.mount_path}` does not begin with `/`")
    below = f"/{one.subpath.strip('/')}" if one.subpath else ""
    return f"{one.volume_id}{below}:{one.mount_path}"
