"""The process behind the methods: JSON-RPC 2.0 over the pipes of `belljar rpc`."""

from __future__ import annotations

import base64
import itertools
import json
import keyword
import math
import os
import subprocess
import threading
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from . import binary
from .methods import Methods, OnOutput

# The longest line that `belljar rpc` reads.
LONGEST_LINE = 96 << 20
# How long one that was told to end may take for it, in seconds.
ENDING = 10.0


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


class Call:
    """A request in flight: it takes input, can be cancelled, and has a result. Made by `Client.begin`."""

    def __init__(self, client: "Client", number: int, on_output: Optional[OnOutput]) -> None:
        self._client = client
        self._number = number
        self._on_output = on_output
        self._done = threading.Event()
        self._message: Optional[Dict[str, Any]] = None
        self._fault: Optional[BaseException] = None
        self._waiting: List[Callable[[], None]] = []

    def input(self, data: Union[str, bytes] = b"", end: bool = False) -> None:
        """Gives standard input, and returns when the command has taken it. For requests begun with `input=True`."""
        given = {"id": self._number, "data": data, "end": end}
        self._client._begin("input", given, None).result()

    def cancel(self) -> None:
        """Does what Ctrl-C does. `result` says how it ended."""
        try:
            self._client._begin("cancel", {"id": self._number}, None).result()
        except Error as error:
            # It has ended meanwhile.
            if error.kind != "not_found":
                raise

    def done(self) -> bool:
        """Whether there is an answer: `result` does not wait then."""
        return self._done.is_set()

    def when_done(self, function: Callable[[], None]) -> None:
        """Calls it when there is an answer, by the thread that reads them, or now."""
        with self._client._changing:
            if not self._done.is_set():
                self._waiting.append(function)
                return
        function()

    def _answer(self, message: Optional[Dict[str, Any]]) -> None:
        with self._client._changing:
            self._message = message
            self._done.set()
        for function in self._waiting:
            function()

    def result(self, timeout: Optional[float] = None) -> Any:
        """Waits for the answer; TimeoutError where it does not come within so many seconds, and the request goes on."""
        if threading.current_thread() is self._client._reader:
            raise RuntimeError("on_output is called by the thread that reads answers, and cannot wait for one")
        if not self._done.wait(timeout):
            raise TimeoutError(f"no answer within {timeout} s")
        if self._fault is not None:
            raise self._fault
        if self._message is None:
            raise Lost("`belljar rpc` has ended before it answered")
        if "error" in self._message:
            error = self._message["error"]
            raise Error(error["message"], error["code"], error.get("data"))
        return self._message["result"]


class Client(Methods):
    """A `belljar rpc` process, of the binary that `belljar.binary` finds. `home` is belljar's own directory, where it is not the usual one."""

    def __init__(self, command: Optional[Sequence[str]] = None, home: Optional[str] = None) -> None:
        super().__init__(self._ask)
        env = dict(os.environ, **({"BELLJAR_HOME": home} if home is not None else {}))
        words = [binary.find(), "rpc"] if command is None else list(command)
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self._writing = threading.Lock()
        self._waiting: Dict[int, Call] = {}
        self._changing = threading.Lock()
        self._over = False
        self._ids = itertools.count(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        # What is in flight is of no use to a block that has failed.
        if kind is None:
            self.close()
        else:
            self.close(timeout=0.0)

    def close(self, timeout: Optional[float] = 30.0) -> None:
        """Ends the process when what is in flight is done. After `timeout` seconds that is cancelled. Sandboxes stay."""
        # Somebody who writes holds the lock; where nothing is read any more that has no end.
        if self._writing.acquire(timeout=-1 if timeout is None else timeout):
            try:
                if self._process.stdin and not self._process.stdin.closed:
                    self._process.stdin.close()
            except BrokenPipeError:
                pass
            finally:
                self._writing.release()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                self._process.wait(ENDING)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if threading.current_thread() is not self._reader:
            self._reader.join(ENDING)
        if self._process.stdout and not self._reader.is_alive():
            self._process.stdout.close()

    def begin(self, method: str, on_output: Optional[OnOutput] = None, **given: Any) -> Call:
        """Asks and does not wait: `client.begin("exec", name="box", command=["cat"], input=True)`."""
        named = {name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name: value
                 for name, value in given.items()}
        return self._begin(method, named, on_output)

    def _ask(self, method: str, given: Dict[str, Any], on_output: Optional[OnOutput]) -> Any:
        if given.get("input") is True:
            raise ValueError("input: `True` is for `begin`, whose call takes the input")
        call = self._begin(method, given, on_output)
        try:
            return call.result()
        except (KeyboardInterrupt, SystemExit):
            # Nobody waits for it any more.
            self._begin("cancel", {"id": call._number}, None)
            raise

    def _begin(self, method: str, given: Dict[str, Any], on_output: Optional[OnOutput]) -> Call:
        parameters = {name: _encoded(name, value) for name, value in given.items() if value is not None}
        if on_output is not None:
            parameters["stream"] = True
        number = next(self._ids)
        line = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}).encode() + b"\n"
        if len(line) > LONGEST_LINE:
            raise ValueError(f"{method}: a request of {len(line)} bytes is longer than 96 MiB; give input by `begin`")
        call = Call(self, number, on_output)
        with self._changing:
            if self._over:
                raise Lost("`belljar rpc` has ended")
            self._waiting[number] = call
        try:
            with self._writing:
                assert self._process.stdin is not None
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            self._waiting.pop(number, None)
            raise Lost("`belljar rpc` has ended") from error
        return call

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("method") == "output":
                self._tell(message["params"])
            elif message.get("id") is None:
                # It could not read a request, and cannot say which: none of these may wait for ever.
                self._end(message)
            else:
                call = self._waiting.pop(message["id"], None)
                if call is not None:
                    call._answer(message)
        with self._changing:
            self._over = True
        self._end(None)

    def _tell(self, told: Dict[str, Any]) -> None:
        call = self._waiting.get(told["id"])
        if call is None or call._on_output is None or call._fault is not None:
            return
        data = base64.b64decode(told["base64"]) if "base64" in told else told["data"].encode()
        try:
            call._on_output(told["stream"], data)
        except BaseException as fault:  # The caller's own, and raised where it waits.
            call._fault = fault

    def _end(self, message: Optional[Dict[str, Any]]) -> None:
        """Answers all that wait, with `message` or with nothing."""
        with self._changing:
            left, self._waiting = self._waiting, {}
        for call in left.values():
            call._answer(message)


def _encoded(name: str, value: Any) -> Any:
    """A value as JSON has it here: bytes that are no text in base64, and text of file names as its bytes."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{name}: {value} is no number in JSON")
        return value
    if isinstance(value, str):
        try:
            value.encode()
            return value
        except UnicodeEncodeError:
            pass
        try:
            # As Python has bytes in file names, arguments and variables that are no text.
            return _encoded(name, value.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError as error:
            raise ValueError(f"{name}: is no text: {error}") from error
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value)
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, os.PathLike):
        return _encoded(name, os.fsencode(value))
    if isinstance(value, (list, tuple)):
        return [_encoded(name, one) for one in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{name}: the key {key!r} is no text")
        return {key: _encoded(f"{name}.{key}", one) for key, one in value.items()}
    raise TypeError(f"{name}: {type(value).__name__} is no value of a parameter")
