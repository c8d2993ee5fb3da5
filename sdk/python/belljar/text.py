"""Bytes and text of belljar's results."""

from __future__ import annotations

import base64
from typing import Any, Dict


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
