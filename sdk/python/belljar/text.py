"""Bytes and text of belljar's results."""

from __future__ import annotations

import base64
import re
from typing import Any, Dict, Optional

from .errors import DaytonaBadRequestError

NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def bytes_of(value: Any) -> bytes:
    """Of a result's text, or object with `base64`."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return str(value).encode() if value is not None else b""


def text_of(told: Dict[str, Any], key: str) -> str:
    """What a command has written, whatever its encoding is. What is no text is shown as such."""
    value = told.get(key) or ""
    if isinstance(value, dict):
        return bytes_of(value).decode("utf-8", "replace")
    if told.get(f"{key}_encoding") == "base64":
        return base64.b64decode(value).decode("utf-8", "replace")
    return str(value)


def path_of(value: Any) -> str:
    """A path, as Python has those that are no text."""
    return bytes_of(value).decode("utf-8", "surrogateescape")


def seconds(value: float) -> str:
    """A time as belljar has it."""
    return f"{max(1, round(value * 1000))}ms"


def check_names(env: Optional[Dict[str, str]]) -> None:
    """Variables must have names: with `=` in it one would set another."""
    for name in env or {}:
        if not NAME.fullmatch(name):
            raise DaytonaBadRequestError(f"env: `{name}` is no name of a variable", kind="invalid")
