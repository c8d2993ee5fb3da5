"""A terminal that somebody looks at."""

from __future__ import annotations

import queue
import time
from typing import Callable, Iterator, Optional, Union

from .client import Call
from .errors import DaytonaError, DaytonaGoneError, DaytonaNotFoundError, DaytonaTimeoutError
from .link import Link
from .models import PtyResult, PtySessionInfo, PtySize

# What leaves a terminal alone, as Ctrl-] does for people.
LEAVE = b"\x1d"


class PtyHandle:
    """Shows what a terminal shows, and types into it. It goes on when nobody looks."""

    def __init__(self, link: Link, sandbox: str, session_id: str) -> None:
        self._link = link
        self._sandbox = sandbox
        # None when there is no more to hear.
        self._heard: "queue.Queue[Optional[bytes]]" = queue.Queue()
        self._left = False
        self._result: Optional[PtyResult] = None
        self.session_id = session_id
        self._call: Call = link.begin(
            "pty.attach", lambda _, data: self._heard.put(data), sandbox=sandbox, id=session_id, input=True
        )
        self._call.when_done(lambda: self._heard.put(None))

    @property
    def exit_code(self) -> Optional[int]:
        """Of what ran in it, when that has ended."""
        return self._result.exit_code if self._result is not None else None

    @property
    def error(self) -> Optional[str]:
        """Why it ended, where it did not by itself."""
        return self._result.error if self._result is not None else None

    @property
    def result(self) -> PtyResult:
        """How it ended, or that it was left, or is looked at yet."""
        return self._result or PtyResult(None, "it was left" if self._left else None)

    def is_connected(self) -> bool:
        """Whether it is looked at."""
        return not self._left and self._result is None

    def wait_for_connection(self, timeout: float = 10.0) -> None:
        """Nothing is to be waited for: what is typed waits itself."""

    def send_input(self, data: Union[str, bytes]) -> None:
        """Types."""
        if not self.is_connected():
            raise DaytonaGoneError("the terminal has ended, or was left", kind="ended")
        self._call.input(data)

    def resize(self, pty_size: PtySize) -> PtySessionInfo:
        """Gives it another size."""
        self._link.ask(
            "pty.resize", sandbox=self._sandbox, id=self.session_id, columns=pty_size.cols, rows=pty_size.rows
        )
        return PtySessionInfo(self.session_id, True)

    def kill(self) -> None:
        """Ends it, with what runs in it."""
        self._link.ask("session.rm", sandbox=self._sandbox, id=self.session_id)

    def __iter__(self) -> Iterator[bytes]:
        """What it shows, as it comes, until it ends."""
        return self._shown(None)

    def wait(self, on_data: Optional[Callable[[bytes], None]] = None, timeout: Optional[float] = None) -> PtyResult:
        """Waits for its end."""
        for data in self._shown(timeout):
            if on_data is not None:
                on_data(data)
        return self.result

    def _shown(self, timeout: Optional[float]) -> Iterator[bytes]:
        until = None if timeout is None else time.monotonic() + timeout
        while self._result is None and not self._left:
            try:
                data = self._heard.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise DaytonaTimeoutError(f"the terminal has not ended within {timeout} s", kind="timed_out") from None
            if data is not None:
                yield data
            elif not self._left:
                self._result = self._end()

    def _end(self) -> PtyResult:
        try:
            told = self._link.end(self._call, "pty.attach")
        except (DaytonaGoneError, DaytonaNotFoundError) as error:
            # Its session was ended while somebody looked.
            return PtyResult(137, str(error))
        except DaytonaError as error:
            return PtyResult(None, str(error))
        code = (told.get("end") or {}).get("exit_code")
        return PtyResult(code, None) if code is not None else PtyResult(137, "it was ended")

    def disconnect(self) -> None:
        """Leaves it alone. It goes on."""
        if self.is_connected():
            self._left = True
            self._call.input(LEAVE)
