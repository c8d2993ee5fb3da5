"""What only Daytona's clients say of a sandbox, in a label of it: the same one that `belljar serve` reads and writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, Optional

LABEL = "belljar.daytona"
LANGUAGE = "code-toolbox-language"


@dataclass
class Record:
    """`rest` is what others have written into it, and stays."""

    env: Dict[str, str] = field(default_factory=dict)
    snapshot: Optional[str] = None
    rest: Dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(labels: Dict[str, str]) -> "Record":
        """A label that somebody else has written says nothing."""
        try:
            told = json.loads(labels.get(LABEL, "{}"))
            env, snapshot = dict(told.pop("env", {})), told.pop("snapshot", None)
        except (ValueError, AttributeError, TypeError):
            return Record()
        return Record({str(name): str(value) for name, value in env.items()}, snapshot, told)

    def text(self) -> str:
        """As it stands in the label."""
        told = dict(self.rest, **({"env": self.env} if self.env else {}))
        return json.dumps(dict(told, snapshot=self.snapshot) if self.snapshot else told)
