"""The process behind the methods: JSON-RPC 2.0 over the pipes of `belljar rpc`."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import threading
from typing import Any, Dict, Optional, Sequence

from .methods import Methods, OnOutput


class Error(Exception):
    """What belljar could not do: the one error object of belljar, see docs/errors.md."""

    def __init__(self, message: str, code: int, data: Optional[Dict[str, Any]]) -> None:
        super().__init__(message)
        self.code = code
        self.data = data or {}

    @property
    def kind(self) -> str:
        """What to decide by, such as `not_found`; `failed` where belljar gave none."""
        return self.data.get("kind") or "failed"

    @property
    def hint(self) -> Optional[str]:
        """How to mend it."""
        return self.data.get("hint")


class Lost(Exception):
    """The process ended, and with it every answer that was still to come."""


class _Waiting:
    def __init__(self, on_output: Optional[OnOutput]) -> None:
        self.on_output = on_output
        self.done = threading.Event()
        self.message: Optional[Dict[str, Any]] = None
        self.fault: Optional[BaseException] = None


class Client(Methods):
    """A `belljar rpc` process. `home` is belljar's own directory, where it is not the usual one."""

    def __init__(self, command: Sequence[str] = ("belljar", "rpc"), home: Optional[str] = None) -> None:
        super().__init__(self._ask)
        env = dict(os.environ, **({"BELLJAR_HOME": home} if home is not None else {}))
        self._process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self._writing = threading.Lock()
        self._waiting: Dict[int, _Waiting] = {}
        self._changing = threading.Lock()
        self._over = False
        self._ids = itertools.count(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process when what is in flight is done. Sandboxes stay."""
        with self._writing:
            if self._process.stdin and not self._process.stdin.closed:
                self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def _ask(self, method: str, given: Dict[str, Any], on_output: Optional[OnOutput]) -> Any:
        parameters = {name: _encoded(value) for name, value in given.items() if value is not None}
        if on_output is not None:
            parameters["stream"] = True
        waiting = _Waiting(on_output)
        number = next(self._ids)
        with self._changing:
            if self._over:
                raise Lost("`belljar rpc` has ended")
            self._waiting[number] = waiting
        line = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}).encode()
        try:
            with self._writing:
                assert self._process.stdin is not None
                self._process.stdin.write(line + b"\n")
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise Lost("`belljar rpc` has ended") from error
        waiting.done.wait()
        if waiting.fault is not None:
            raise waiting.fault
        message = waiting.message
        if message is None:
            raise Lost("`belljar rpc` has ended before it answered")
        if "error" in message:
            error = message["error"]
            raise Error(error["message"], error["code"], error.get("data"))
        return message["result"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("method") == "output":
                told = message["params"]
                waiting = self._waiting.get(told["id"])
                if waiting is not None and waiting.on_output is not None and waiting.fault is None:
                    data = base64.b64decode(told["base64"]) if "base64" in told else told["data"].encode()
                    try:
                        waiting.on_output(told["stream"], data)
                    except BaseException as fault:  # The caller's own, and raised where it waits.
                        waiting.fault = fault
                continue
            waiting = self._waiting.pop(message.get("id"), None)
            if waiting is not None:
                waiting.message = message
                waiting.done.set()
        with self._changing:
            self._over = True
            left, self._waiting = self._waiting, {}
        for waiting in left.values():
            waiting.done.set()


def _encoded(value: Any) -> Any:
    """Bytes as JSON has them here; everything else as it is."""
    if isinstance(value, (bytes, bytearray)):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [_encoded(one) for one in value]
    if isinstance(value, os.PathLike):
        return _encoded(os.fsencode(value))
    return value
