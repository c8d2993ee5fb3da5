"""`python -m belljar ARGUMENTS` is the command line. With `BELLJAR_AS_DAYTONA=1`, `python -m belljar SCRIPT ARGUMENTS` runs a script
whose `import daytona` and `import daytona_sdk` are belljar.
"""

from __future__ import annotations

import os
import runpy
import sys

from . import binary


def main() -> None:
    """Does what the variable says."""
    wanted = os.environ.get("BELLJAR_AS_DAYTONA", "")
    if wanted in ("", "0"):
        binary.main()
    if wanted != "1":
        sys.exit(f"BELLJAR_AS_DAYTONA: `{wanted}` is neither 0 nor 1")
    if len(sys.argv) < 2:
        sys.exit("usage: BELLJAR_AS_DAYTONA=1 python -m belljar SCRIPT [ARGUMENTS]")
    from . import daytona_sdk

    daytona_sdk.install()
    sys.argv = sys.argv[1:]
    # As Python itself finds what lies beside a script.
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
