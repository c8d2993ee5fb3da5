"""Snapshots, which are images here, and volumes."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Union

from .builder import of_image
from .errors import DaytonaConflictError, DaytonaNotFoundError, DaytonaUnprocessableEntityError
from .link import Link
from .models import CreateSnapshotParams, PaginatedSnapshots, Snapshot, Volume

GIB = 1 << 30


class SnapshotService:
    """Images that sandboxes are made of."""

    def __init__(self, link: Link, net: Dict[str, Any]) -> None:
        self._link = link
        self._net = net

    def _all(self) -> List[Snapshot]:
        found = []
        for image in self._link.ask("image.ls")["images"]:
            for name in image["names"]:
                short = name[: -len(":latest")] if name.endswith(":latest") else name
                found.append(Snapshot(short, short, short, "active", image["bytes"] / GIB, image["created"]))
        return found

    def list(self, page: Optional[int] = None, limit: Optional[int] = None) -> PaginatedSnapshots:
        """All of them, in pages."""
        every, page, limit = self._all(), page or 1, limit or 100
        return PaginatedSnapshots(every[(page - 1) * limit : page * limit], len(every), page, -(-len(every) // limit))

    def get(self, name: str) -> Snapshot:
        """The one of that name."""
        for one in self._all():
            if one.name == name or f"{one.name}:latest" == name:
                return one
        raise DaytonaNotFoundError(f"snapshot: there is no `{name}`", kind="not_found", hint="`belljar image ls` lists them")

    def create(
        self, params: CreateSnapshotParams, *, on_logs: Optional[Callable[[str], None]] = None, timeout: Optional[float] = 0
    ) -> Snapshot:
        """Gives an image a name, or makes one by steps."""
        if any(one.name == params.name for one in self._all()):
            raise DaytonaConflictError(f"snapshot: there is a `{params.name}` already", kind="name_taken")
        base = of_image(self._link, params.image, self._net, on_logs)
        if base.image is None:
            raise DaytonaUnprocessableEntityError(
                "image: this machine's own files are no image", kind="invalid", hint="`belljar image build` makes one"
            )
        self._link.ask("image.tag", name=base.image, new=params.name)
        return self.get(params.name)

    def delete(self, snapshot: Union[Snapshot, str]) -> None:
        """Takes the name away, and the files where nothing else needs them."""
        self._link.ask("image.rm", name=[snapshot if isinstance(snapshot, str) else snapshot.name])

    def activate(self, snapshot: Union[Snapshot, str]) -> Snapshot:
        """Nothing is to be done: what is here is active."""
        return self.get(snapshot if isinstance(snapshot, str) else snapshot.name)


class VolumeService:
    """Files that several sandboxes may have."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def list(self) -> List[Volume]:
        """All of them."""
        told = self._link.ask("volume.ls")["volumes"]
        return [Volume(one["name"], one["name"], "ready", one["created"]) for one in told]

    def get(self, name: str, create: bool = False) -> Volume:
        """The one of that name; made, where `create` says so."""
        for one in self.list():
            if one.name == name:
                return one
        if create:
            return self.create(name)
        raise DaytonaNotFoundError(f"volume: there is no `{name}`", kind="not_found")

    def create(self, name: str) -> Volume:
        """Makes one."""
        self._link.ask("volume.create", name=name)
        return self.get(name)

    def delete(self, volume: Union[Volume, str]) -> None:
        """Removes one."""
        self._link.ask("volume.rm", name=[volume if isinstance(volume, str) else volume.name])
