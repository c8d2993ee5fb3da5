"""belljar by Daytona's names for modules, for programs that nobody wants to change:

    from belljar.daytona_sdk import Daytona      instead of `from daytona_sdk import Daytona`
    import belljar.daytona_sdk as sdk; sdk.install()      from now on `import daytona` and `import daytona_sdk` are belljar
    BELLJAR_AS_DAYTONA=1 python -m belljar script.py      the same for a script as it is

Whoever imports a name that belljar does not have hears so when it is imported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Optional, Sequence

import belljar
from belljar import *  # noqa: F403
from belljar import __all__ as _names

MODULES = ("daytona", "daytona_sdk")
# What lies below them, as people import it.
BELOW = ("common", "_sync", "_async", "handle")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds belljar's names in Daytona's modules, and in what lies below them."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        first, *below = fullname.split(".")
        # A class that is not there must not be found as a module of that name.
        if first in MODULES and (not below or below[0] in BELOW) and fullname.islower():
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = belljar.__doc__
        module.__dict__.update({name: getattr(belljar, name) for name in _names}, __all__=list(_names))


def install() -> None:
    """From now on `import daytona` and `import daytona_sdk` are belljar, whether those are installed or not."""
    loaded = [name for name in sys.modules if name.split(".")[0] in MODULES]
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if loaded:
        raise ImportError(f"`{loaded[0]}` is imported already: call `belljar.daytona_sdk.install()` before")
    sys.meta_path.insert(0, _Finder())


__all__ = [*_names, "install"]
