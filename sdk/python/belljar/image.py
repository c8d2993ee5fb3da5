"""What a sandbox is made of, as steps: `Image.base("python").pip_install("requests")`.

The steps are done once, in a sandbox, and what comes of it is kept as an image by a name that comes from the steps and the files
in them. `base` names an image that is here, or means one of belljar's own (`python`, `node`, `shell`) or this machine's files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

from .errors import DaytonaBadRequestError, DaytonaNotImplementedError

# What a step does, and its words.
Step = Tuple[str, Tuple[str, ...]]
# Says nothing of what a sandbox is made of.
IGNORED = {"ENTRYPOINT", "CMD", "LABEL", "EXPOSE", "SHELL", "ARG", "USER"}


@dataclass(frozen=True)
class Image:
    """Steps, each of which makes another `Image`."""

    from_: str
    steps: Tuple[Step, ...] = ()

    @staticmethod
    def base(image: str) -> "Image":
        """Begins with an image that is here."""
        return Image(image)

    @staticmethod
    def debian_slim(python_version: Optional[str] = None) -> "Image":
        """Begins with the image `python`, or this machine's files; with Python of that version, or it is refused."""
        image = Image("python")
        if python_version is None:
            return image
        told = f"import sys; v = '.'.join(map(str, sys.version_info[:2])); v == {python_version!r} or sys.exit('python is ' + v)"
        return image._then("RUN", "python3", "-c", told)

    @staticmethod
    def from_dockerfile(path: "Union[str, Path]") -> "Image":
        """The steps of a Dockerfile: FROM, RUN, ENV, WORKDIR and COPY."""
        file = Path(path)
        return _read(file.read_text(), file.resolve().parent)

    def _then(self, what: str, *words: str) -> "Image":
        return replace(self, steps=(*self.steps, (what, words)))

    def pip_install(
        self,
        *packages: "Union[str, Sequence[str]]",
        find_links: Optional[List[str]] = None,
        index_url: Optional[str] = None,
        extra_index_urls: Optional[List[str]] = None,
        pre: bool = False,
        extra_options: str = "",
    ) -> "Image":
        """Installs packages of Python."""
        names = [name for one in packages for name in ([one] if isinstance(one, str) else one)]
        if not names:
            return self
        words = ["python3", "-m", "pip", "install", "--break-system-packages", *sorted(names)]
        words += [word for link in find_links or [] for word in ("--find-links", link)]
        words += ["--index-url", index_url] if index_url else []
        words += [word for url in extra_index_urls or [] for word in ("--extra-index-url", url)]
        words += ["--pre"] if pre else []
        return self._then("RUN", *words, *shlex.split(extra_options))

    def pip_install_from_requirements(self, requirements_txt: "Union[str, Path]", extra_options: str = "") -> "Image":
        """Installs what a file of this machine lists."""
        inside = "/tmp/.requirements.txt"
        words = ["python3", "-m", "pip", "install", "--break-system-packages", "-r", inside, *shlex.split(extra_options)]
        return self.add_local_file(requirements_txt, inside)._then("RUN", *words)

    def run_commands(self, *commands: "Union[str, List[str]]") -> "Image":
        """Runs commands: a text by a shell, words as they are."""
        image = self
        for one in commands:
            image = image._then("RUN", *(["sh", "-c", one] if isinstance(one, str) else one))
        return image

    def env(self, env_vars: Dict[str, str]) -> "Image":
        """Variables of the steps that follow, and of commands in the sandbox."""
        image = self
        for name, value in env_vars.items():
            image = image._then("ENV", name, value)
        return image

    def workdir(self, path: "Union[str, Path]") -> "Image":
        """Where the steps that follow, and commands, begin."""
        return self._then("WORKDIR", str(path))

    def add_local_file(self, local_path: "Union[str, Path]", remote_path: str) -> "Image":
        """A file of this machine."""
        local = os.path.abspath(os.path.expanduser(str(local_path)))
        if not os.path.isfile(local):
            raise DaytonaBadRequestError(f"local_path: `{local}` is no file", kind="invalid")
        name = os.path.basename(local)
        return self._then("COPY", local, remote_path + name if remote_path.endswith("/") else remote_path)

    def add_local_dir(self, local_path: "Union[str, Path]", remote_path: str) -> "Image":
        """A directory of this machine; what is in it is in `remote_path` then."""
        local = os.path.abspath(os.path.expanduser(str(local_path)))
        if not os.path.isdir(local):
            raise DaytonaBadRequestError(f"local_path: `{local}` is no directory", kind="invalid")
        return self._then("COPY", local, remote_path.rstrip("/") or "/")

    def dockerfile_commands(self, commands: List[str], context_dir: "Union[str, Path, None]" = None) -> "Image":
        """Lines of a Dockerfile."""
        read = _read("\n".join([f"FROM {self.from_}", *commands]), Path(context_dir or ".").resolve())
        return replace(self, steps=(*self.steps, *read.steps))

    def dockerfile(self) -> str:
        """The steps as people know them."""
        lines = [f"FROM {self.from_}"]
        for what, words in self.steps:
            lines.append(f"{what} {'='.join(words) if what == 'ENV' else json.dumps(words) if what == 'RUN' else ' '.join(words)}")
        return "\n".join(lines) + "\n"

    def name(self, base: str) -> str:
        """The name of what comes of the steps, done to an image of this digest."""
        digest = hashlib.sha256(f"{base}\n{self.steps!r}".encode())
        for what, words in self.steps:
            if what == "COPY":
                for path in _files(words[0]):
                    digest.update(f"{os.path.relpath(path, words[0])} {os.stat(path).st_mode:o}\n".encode("utf-8", "surrogateescape"))
                    digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        return f"daytona-build-{digest.hexdigest()[:16]}"


def _files(path: str) -> List[str]:
    """All files of it, in one order."""
    if not os.path.isdir(path):
        return [path]
    return sorted(os.path.join(at, name) for at, _, names in os.walk(path) for name in names)


def _read(text: str, context: Path) -> Image:
    """Reads a Dockerfile of one stage; what it copies is taken from `context`, and from nowhere else."""
    image: Optional[Image] = None
    for line in re.sub(r"\\\s*\n", " ", re.sub(r"(?m)^\s*#.*\n?", "", text)).splitlines():
        word, _, rest = line.strip().partition(" ")
        word, rest = word.upper(), rest.strip()
        if not word or word in IGNORED:
            continue
        if word == "FROM":
            if image is not None:
                raise DaytonaNotImplementedError("dockerfile: it has several stages; one is built here")
            image = Image(rest.split()[0])
        elif image is None:
            raise DaytonaBadRequestError("dockerfile: FROM is missing", kind="invalid")
        elif word == "RUN":
            image = image.run_commands(json.loads(rest) if rest.startswith("[") else rest)
        elif word == "WORKDIR":
            image = image.workdir(rest)
        elif word == "ENV":
            pairs = shlex.split(rest)
            if "=" not in pairs[0]:
                pairs = [f"{pairs[0]}={rest.partition(' ')[2].strip()}"]
            image = image.env(dict(pair.split("=", 1) for pair in pairs))
        elif word in ("COPY", "ADD"):
            words = [one for one in shlex.split(rest) if not one.startswith("--")]
            for source in words[:-1]:
                local = (context / source.lstrip("/")).resolve()
                if local != context and context not in local.parents:
                    raise DaytonaBadRequestError(f"dockerfile: {word}: `{source}` leads out of {context}", kind="invalid")
                image = image.add_local_dir(local, words[-1]) if local.is_dir() else image.add_local_file(local, words[-1])
        else:
            raise DaytonaNotImplementedError(f"dockerfile: `{word}` is not understood")
    if image is None:
        raise DaytonaBadRequestError("dockerfile: FROM is missing", kind="invalid")
    return image
