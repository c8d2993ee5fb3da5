"""Finds or makes the image that a sandbox begins with."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Union

from .errors import (
    DaytonaBadRequestError,
    DaytonaConflictError,
    DaytonaNotFoundError,
    DaytonaUnprocessableEntityError,
)
from .image import Image
from .link import PROGRAM, Link
from .text import text_of

# Names that Daytona has for what is there anyway: CPUs, GiB of memory and of disk.
SIZES = {"daytona-small": (1, 1, 3), "daytona-medium": (2, 4, 8), "daytona-large": (4, 8, 10)}
HOST = "host"
# How long a step may take.
STEP_TIME = "15m"
# What stands for images of others' registries, which nothing fetches unasked.
MEANS = {"python": "python", "node": "node", **dict.fromkeys(("debian", "ubuntu", "alpine", "busybox"), "shell")}


@dataclass
class Base:
    """What a sandbox begins with. Without an image it is this machine's own files."""

    name: str
    image: Optional[str] = None
    env: Dict[str, str] = field(default_factory=dict)
    workdir: Optional[str] = None
    cpu: Optional[float] = None
    memory: Optional[float] = None
    disk: Optional[float] = None


def digest_of(link: Link, name: str) -> Optional[str]:
    """The digest of an image that is here; nothing where there is none of that name."""
    try:
        return str(link.ask("image.inspect", name=name)["digest"])
    except (DaytonaNotFoundError, DaytonaBadRequestError, DaytonaConflictError):
        return None


def _first_of(link: Link, name: str) -> Base:
    return Base(name, name) if digest_of(link, name) else Base(HOST)


def of_snapshot(link: Link, snapshot: Optional[str], language: str) -> Base:
    """What a snapshot's name means; without one, what goes with the language."""
    by_language = "python" if language == "python" else "node"
    if not snapshot:
        return _first_of(link, by_language)
    if snapshot in SIZES:
        base = _first_of(link, by_language)
        base.name, (base.cpu, base.memory, base.disk) = snapshot, SIZES[snapshot]
        return base
    if snapshot == HOST:
        return Base(HOST)
    name = snapshot[: -len(":latest")] if snapshot.endswith(":latest") else snapshot
    if digest_of(link, name):
        return Base(snapshot, name)
    if name in ("python", "node"):
        return Base(HOST)
    raise DaytonaNotFoundError(
        f"snapshot `{snapshot}` is not here", kind="not_found",
        hint="`belljar image ls` lists what is here, `belljar image pull` fetches more",
    )


def _of_name(link: Link, name: str) -> Base:
    """What `FROM` means here."""
    try:
        return of_snapshot(link, name, "python")
    except DaytonaNotFoundError:
        bare = name.rsplit("/", 1)[-1].split(":")[0].split("@")[0]
        if bare not in MEANS:
            raise
        return _first_of(link, MEANS[bare])


def of_image(
    link: Link, image: Union[str, Image], network: Dict[str, Any], on_logs: Optional[Callable[[str], None]] = None
) -> Base:
    """What an image means: one that is here, or the steps, which are done where nobody has done them before."""
    if isinstance(image, str):
        return _of_name(link, image)
    base = _of_name(link, image.from_)
    base.name = image.from_
    for what, words in image.steps:
        if what == "ENV":
            base.env[words[0]] = words[1]
        elif what == "WORKDIR":
            base.workdir = posixpath.join(base.workdir or "/", words[0])
    if any(what != "ENV" for what, _ in image.steps):
        digest = digest_of(link, base.image) if base.image else None
        name = image.name(digest or HOST)
        if not digest_of(link, name):
            _build(link, base.image, image, name, network, on_logs)
        base.image = name
    return base


def _build(
    link: Link, base: Optional[str], image: Image, name: str, network: Dict[str, Any],
    on_logs: Optional[Callable[[str], None]],
) -> None:
    """Does the steps in a sandbox, and makes an image of it."""
    link.keep_watch()
    made = link.ask("create", image=base, memory="4G", disk="10G", label={PROGRAM: link.program}, **network)
    box = made["id"]
    try:
        env: Dict[str, str] = {}
        workdir: Optional[str] = None
        for number, (what, words) in enumerate(image.steps, 1):
            if on_logs is not None:
                on_logs(f"Step {number}/{len(image.steps)}: {what} {' '.join(words)}\n")
            if what == "ENV":
                env[words[0]] = words[1]
            elif what == "WORKDIR":
                workdir = posixpath.join(workdir or "/", words[0])
                link.ask("fs.mkdir", sandbox=box, path=workdir, parents=True)
            elif what == "COPY":
                _copy(link, box, words[0], posixpath.join(workdir or "/", words[1]))
            else:
                told = link.ask("exec", name=box, command=list(words), env=env, workdir=workdir, timeout=STEP_TIME)
                _said(told, number, list(words), on_logs)
        link.ask("snapshot.create", name=box, image=name)
    finally:
        link.ask("rm", name=[box], force=True)


def _copy(link: Link, box: str, local: str, to: str) -> None:
    """A directory's content comes into `to`, a file to it."""
    names = sorted(os.listdir(local)) if os.path.isdir(local) else []
    link.ask("fs.mkdir", sandbox=box, path=to if os.path.isdir(local) else posixpath.dirname(to) or "/", parents=True)
    if os.path.isdir(local):
        if names:
            link.ask("cp", from_=[os.path.join(local, one) for one in names], to=f"{box}:{to}/", quiet=True)
    else:
        link.ask("cp", from_=[local], to=f"{box}:{to}", quiet=True)


def _said(told: Dict[str, Any], number: int, words: List[str], on_logs: Optional[Callable[[str], None]]) -> None:
    written = text_of(told, "stdout") + text_of(told, "stderr")
    if on_logs is not None and written:
        on_logs(written)
    if told["exit_code"] != 0:
        last = "\n".join(written.splitlines()[-10:])
        raise DaytonaUnprocessableEntityError(f"image: step {number}, `{' '.join(words)}`, failed ({told['status']}): {last}")
