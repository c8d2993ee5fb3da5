"""Which `belljar` does the work.

`BELLJAR` names it; else it is the one that this package carries (`belljar/bin/belljar`, in wheels of one platform); else the
one in `PATH`.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

CARRIED = Path(__file__).resolve().parent / "bin" / "belljar"


def find() -> str:
    """The path of the binary; FileNotFoundError, with what to do, where there is none."""
    named = os.environ.get("BELLJAR")
    if named:
        found = shutil.which(named)
        if found is None:
            raise FileNotFoundError(f"BELLJAR: `{named}` is no program; name the binary, or unset the variable")
        return found
    if CARRIED.is_file():
        return str(CARRIED)
    found = shutil.which("belljar")
    # The script of this package's own is no binary, and would ask here again.
    if found is None or Path(found).read_bytes()[:4] != b"\x7fELF":
        raise FileNotFoundError(
            "belljar: the binary is not there: install a wheel that carries it (`make wheel`), put `belljar` into PATH, "
            "or name it by BELLJAR"
        )
    return found


def main() -> NoReturn:
    """The console script `belljar`: the binary, in the place of this process."""
    try:
        path = find()
    except FileNotFoundError as error:
        sys.exit(str(error))
    os.execv(path, ["belljar", *sys.argv[1:]])
