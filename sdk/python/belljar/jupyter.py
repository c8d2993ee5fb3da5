"""belljar for Jupyter: kernels that run in sandboxes. Needs the package `jupyter_client`, and the kernel's own package inside.

A kernel specification asks for it, and says what the sandbox is:

    "metadata": {"kernel_provisioner": {"provisioner_name": "belljar-provisioner", "config": {"image": "python", "net": "none"}}}

The kernel's five ports are published on this machine's loopback, with the same numbers; messages are signed with the key of the
connection file, as they are for any kernel. A kernel that is started anew has a new sandbox.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Dict, List, Optional

from jupyter_client.provisioning import LocalProvisioner
from traitlets.config import Dict as DictTrait
from traitlets.config import List as ListTrait
from traitlets.config import Unicode

from .client import Call
from .errors import DaytonaError
from .link import PROGRAM, Link
from .network import network
from .text import text_of
from .work import in_thread

PORTS = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
# Says the number of the kernel's process, and becomes it.
BEGIN = 'echo $$ > /tmp/.belljar-kernel; exec "$@"'
SIGNAL = 'kill -"$1" "$(cat /tmp/.belljar-kernel)"'


class BelljarProvisioner(LocalProvisioner):
    """Starts a kernel in a sandbox of its own."""

    image = Unicode(None, allow_none=True, help="The image; without it, this machine's own files").tag(config=True)
    net = Unicode("none", help="`none`, `open`, or targets as of `--allow`, with commas between them").tag(config=True)
    memory = Unicode("2G", help="The memory limit").tag(config=True)
    cpus = Unicode("1", help="The CPU limit").tag(config=True)
    disk = Unicode("2G", help="The disk limit").tag(config=True)
    mounts = ListTrait(Unicode(), help="Mounts, as of `--mount`; read-only unless they end in `:rw`").tag(config=True)
    env = DictTrait(help="Variables of the kernel, besides those of its specification").tag(config=True)

    # One process for all kernels of the program.
    _link: Optional[Link] = None
    _sandbox: Optional[str] = None
    _call: Optional[Call] = None
    _code: Optional[int] = None

    @classmethod
    def _of_all(cls) -> Link:
        if BelljarProvisioner._link is None:
            BelljarProvisioner._link = Link()
        return BelljarProvisioner._link

    @property
    def has_process(self) -> bool:
        return self._call is not None

    async def launch_kernel(self, cmd: List[str], **kwargs: Any) -> Any:
        link = self._of_all()
        # Those of this machine stay here, whatever secrets they have.
        given = kwargs.get("env") or {}
        env = {name: given[name] for name in (self.kernel_spec.env or {}) if name in given}
        await in_thread(link.keep_watch)
        ports = [f"127.0.0.1:{self.connection_info[port]}:{self.connection_info[port]}" for port in PORTS]
        made = await in_thread(
            link.ask, "create", image=self.image, publish=ports, memory=self.memory, cpus=self.cpus, disk=self.disk,
            mount=list(self.mounts) or None, label={PROGRAM: link.program, "jupyter": str(self.kernel_id)},
            **network(None, None, None, self.net),
        )
        self._sandbox = made["id"]
        try:
            file = self.parent.connection_file
            inside = f"/tmp/{os.path.basename(file)}"
            with open(file, "rb") as source:
                await in_thread(link.ask, "fs.write", sandbox=self._sandbox, path=inside, mode="600", input=source.read())
            command = [inside if word == file else word for word in cmd]
            # The interpreter of this machine's Jupyter is not one of the sandbox's.
            if os.path.basename(command[0]).startswith("python") and os.path.isabs(command[0]):
                command[0] = "python3"
            self._code = None
            self._call = link.begin(
                "exec", name=self._sandbox, command=["sh", "-c", BEGIN, "sh", *command], env={**env, **self.env},
                output_limit="1M",
            )
        except BaseException:
            await self._remove()
            raise
        return self.connection_info

    async def poll(self) -> Optional[int]:
        if self._call is None:
            return self._code if self._code is not None else 0
        if not self._call.done():
            return None
        return await self.wait()

    async def wait(self) -> Optional[int]:
        if self._call is not None:
            call, link = self._call, self._of_all()
            try:
                told = await in_thread(link.end, call, "exec")
                code = told["exit_code"]
                self._code = code if code is not None else -signal.Signals[told["signal"] or "SIGKILL"].value
                if self._code != 0:
                    self.log.warning("kernel %s: %s %s", self.kernel_id, told["status"], text_of(told, "stderr")[-2000:])
            except DaytonaError as error:
                # Its sandbox has ended.
                self.log.info("kernel %s: %s", self.kernel_id, error)
                self._code = -signal.SIGKILL
            self._call = None
        return self._code

    async def send_signal(self, signum: int) -> None:
        if self._call is None or self._sandbox is None:
            return
        if signum == 0:
            # Whether it is there is asked so.
            return
        command = ["sh", "-c", SIGNAL, "sh", signal.Signals(signum).name[3:]]
        told = await in_thread(self._of_all().ask, "exec", name=self._sandbox, command=command)
        if told["exit_code"] != 0 and not self._call.done():
            raise RuntimeError(f"the kernel could not be sent {signal.Signals(signum).name}: {text_of(told, 'stderr').strip()}")

    async def terminate(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGTERM)

    async def kill(self, restart: bool = False) -> None:
        await self._remove()

    async def cleanup(self, restart: bool = False) -> None:
        await self._remove()
        await super().cleanup(restart)

    async def _remove(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await in_thread(self._of_all().ask, "rm", name=[sandbox], force=True)

    def resolve_path(self, path_str: str) -> Optional[str]:
        # Files here are not those of the kernel.
        return None

    async def get_provisioner_info(self) -> Dict[str, Any]:
        info: Dict[str, Any] = await super().get_provisioner_info()
        return dict(info, sandbox=self._sandbox)
