"""The way from Daytona's names to `belljar rpc`: one process, started when it is first needed, and the end of what a program made.

What a program makes goes with it. Its sandboxes carry a label that is the program's own. `close`, or the end of the program,
removes them; a small process that waits for the program's end removes what is left when it is killed.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import queue
import secrets
import subprocess
import threading
import weakref
from typing import Any, Dict, List, Optional, Tuple, Union

from . import binary
from .client import Call, Client, Error, Lost
from .errors import DaytonaConnectionError, DaytonaTimeoutError, raised
from .methods import OnOutput

# The label of what goes with its program. Labels that begin so are belljar's own, and not shown.
PROGRAM = "belljar.program"

# Waits until its input ends. Where nobody has said that all is done, it removes what carries the label.
KEEPER = r"""
trap '' INT HUP TERM
read -r word && [ "$word" = done ] && exit
"$0" ls --label "$1" | while read -r _ id _; do
  [ "$id" = ID ] || "$0" rm --force "$id"
done
"""


class Scope:
    """The calls of a task that may be given up: all of them are cancelled, and none begins afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: List[Call] = []
        self._over = False

    def add(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)
            over = self._over
        if over:
            call.cancel()

    def cancel(self) -> None:
        with self._lock:
            self._over, calls = True, list(self._calls)
        for call in calls:
            call.cancel()


# Of the task that is at work in this thread.
SCOPE: "contextvars.ContextVar[Optional[Scope]]" = contextvars.ContextVar("belljar_scope", default=None)
_links: "weakref.WeakSet[Link]" = weakref.WeakSet()


class Link:
    """What all objects of a `Daytona` ask by."""

    def __init__(self, home: Optional[str] = None) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._client: Optional[Client] = None
        self._keeper: "Optional[subprocess.Popen[bytes]]" = None
        self._closed = False
        self._previews: Dict[Tuple[str, int], Tuple[Call, str]] = {}
        # What is made here carries it.
        self.program = secrets.token_hex(16)
        _links.add(self)
        atexit.register(self.close)

    def _env(self) -> "dict[str, str]":
        return dict(os.environ, **({"BELLJAR_HOME": self._home} if self._home is not None else {}))

    @property
    def client(self) -> Client:
        """The client of `belljar rpc`, for what Daytona has no name for."""
        with self._lock:
            if self._closed:
                raise DaytonaConnectionError("this client is closed")
            if self._client is None:
                try:
                    self._client = Client(home=self._home)
                except OSError as error:
                    raise DaytonaConnectionError(str(error)) from error
            return self._client

    def keep_watch(self) -> None:
        """Makes sure that what carries the label goes with this program."""
        with self._lock:
            if self._keeper is None:
                command = ["sh", "-c", KEEPER, binary.find(), f"{PROGRAM}={self.program}"]
                self._keeper = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._env(),
                    start_new_session=True,
                )

    def begin(self, method: str, on_output: Optional[OnOutput] = None, **given: Any) -> Call:
        """Asks and does not wait."""
        try:
            call = self.client.begin(method, on_output, **given)
        except Lost as error:
            raise DaytonaConnectionError(str(error)) from error
        scope = SCOPE.get()
        if scope is not None:
            scope.add(call)
        return call

    def end(self, call: Call, method: str, within: Optional[float] = None) -> Any:
        """The answer. What is not answered within so many seconds (0 for any number) is called off."""
        try:
            return call.result(within or None)
        except Error as error:
            raise raised(error, method) from error
        except Lost as error:
            raise DaytonaConnectionError(str(error)) from error
        except TimeoutError as error:
            call.cancel()
            raise DaytonaTimeoutError(f"{method}: not done within {within} s", kind="timed_out") from error
        except (KeyboardInterrupt, SystemExit):
            call.cancel()
            raise

    def ask(
        self, method: str, within: Optional[float] = None, on_output: Optional[OnOutput] = None, **given: Any
    ) -> Any:
        """Asks and waits for the answer, an object as docs/rpc.json has it."""
        return self.end(self.begin(method, on_output, **given), method, within)

    def preview(self, sandbox: str, port: int) -> str:
        """An address that leads to a port of a sandbox, as long as the process behind this runs."""
        heard: "queue.Queue[Optional[bytes]]" = queue.Queue()
        with self._lock:
            way = self._previews.get((sandbox, port))
        if way is not None and not way[0].done():
            return way[1]
        call = self.begin("preview", lambda _, data: heard.put(data), name=sandbox, port=port)
        call.when_done(lambda: heard.put(None))
        said = b""
        while not said.endswith(b"\n"):
            piece = heard.get()
            if piece is None:
                told = self.end(call, "preview")
                raise DaytonaConnectionError(f"preview: it has ended: {told}")
            said += piece
        url = said.decode().split()[-1]
        with self._lock:
            self._previews[(sandbox, port)] = (call, url)
        return url

    def close(self) -> None:
        """Removes what goes with the program, and ends the process behind it. What is kept stays."""
        with self._lock:
            self._closed, client, self._client = True, self._client, None
            keeper, self._keeper = self._keeper, None
        atexit.unregister(self.close)
        try:
            if client is not None and keeper is not None:
                left: List[Union[str, float]] = [one["id"] for one in client.ls(label=[f"{PROGRAM}={self.program}"])["sandboxes"]]
                gone = client.rm(name=left, force=True)["sandboxes"] if left else []
                # What could not be removed now, the keeper tries again.
                if keeper.stdin is not None and not any("error" in one for one in gone):
                    keeper.stdin.write(b"done\n")
        except Error as error:
            raise raised(error) from error
        except (Lost, OSError):
            # The keeper has not heard that all is done, and does it.
            pass
        finally:
            if keeper is not None:
                # Closes its input, and waits for its end.
                keeper.communicate()
            if client is not None:
                # What is still in flight, as previews are, is of no use any more.
                client.close(timeout=0.5)

    def forget(self) -> None:
        """In a child that was forked: the processes are the parent's, and neither waits for the child's end."""
        keeper, self._keeper = self._keeper, None
        client, self._client = self._client, None
        self._lock = threading.Lock()
        self.program = secrets.token_hex(16)
        with open(os.devnull, "r+b", buffering=0) as nothing:
            for process in [keeper, client._process if client is not None else None]:
                for stream in [process.stdin, process.stdout] if process is not None else []:
                    if stream is not None:
                        os.dup2(nothing.fileno(), stream.fileno())


def _forked() -> None:
    for link in list(_links):
        link.forget()


os.register_at_fork(after_in_child=_forked)
