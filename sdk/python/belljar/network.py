"""What a sandbox may reach, as parameters of a verb."""

from __future__ import annotations

from typing import Any, Dict, Optional

WORDS = ("open", "none", "host")


def network(block_all: Optional[bool], ranges: Optional[str], names: Optional[str], default: str) -> Dict[str, Any]:
    """From Daytona's words. `default` is `open`, `none` or targets, with commas between them, and counts where nothing is said."""
    if block_all:
        return {"net": "none"}
    given = [one for one in (ranges, names) if one is not None]
    if not given and default in WORDS:
        return {"net": default}
    targets = [target.strip() for one in given or [default] for target in one.split(",") if target.strip()]
    # A list without anything in it allows nothing, as it says.
    return {"net": "only", "allow": targets} if targets else {"net": "none"}
