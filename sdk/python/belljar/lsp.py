"""Language servers in a sandbox. Positions begin at 0, and are counted as the protocol counts them, in units of UTF-16."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Union

from .text import path_of

if TYPE_CHECKING:
    from .sandbox import Sandbox

# In the order of the protocol's numbers, from 1.
COMPLETIONS = (
    "text method function constructor field variable class interface module property unit value enum keyword snippet color "
    "file reference folder enum_member constant struct event operator type_parameter"
).split()
SYMBOLS = (
    "file module namespace package class method property field constructor enum interface function variable constant string "
    "number boolean array object key null enum_member struct event operator type_parameter"
).split()


class LspLanguageId(str, Enum):
    """Languages that Daytona names. belljar knows more: `belljar lsp start --help`."""

    PYTHON = "python"
    TYPESCRIPT = "typescript"
    JAVASCRIPT = "javascript"


@dataclass
class LspCompletionPosition:
    """A place in a file."""

    line: int
    character: int


Position = LspCompletionPosition


@dataclass
class LspRange:
    """From a place to another."""

    start: LspCompletionPosition
    end: LspCompletionPosition


@dataclass
class LspLocation:
    """A range of a file."""

    uri: str
    range: LspRange


@dataclass
class LspSymbol:
    """Something that code defines. `kind` is the protocol's number."""

    name: str
    kind: int
    location: LspLocation


@dataclass
class CompletionItem:
    """Something that could stand at a place."""

    label: str
    kind: Optional[int]
    detail: Optional[str]
    documentation: Optional[str]
    insert_text: str
    filter_text: Optional[str]
    sort_text: Optional[str]


@dataclass
class CompletionList:
    """What could stand there."""

    is_incomplete: bool
    items: List[CompletionItem]


class LspServer:
    """A language server for a project."""

    def __init__(self, sandbox: "Sandbox", language_id: Union[LspLanguageId, str], path_to_project: str) -> None:
        self._sandbox = sandbox
        self._link = sandbox._link
        self._language = str(getattr(language_id, "value", language_id))
        self._project = path_to_project

    def _ask(self, method: str, **given: Any) -> Any:
        return self._link.ask(
            f"lsp.{method}", sandbox=self._sandbox.id, language=self._language, project=self._project, **given
        )

    def _of(self, method: str, path: str, **given: Any) -> Any:
        file = path[len("file://"):] if path.startswith("file://") else path
        return self._ask(method, file=file, utf16=True, **given)

    def start(self) -> None:
        """Starts it, where it does not run yet."""
        self._ask("start")

    def stop(self) -> None:
        """Ends it."""
        self._ask("stop")

    def did_open(self, path: str) -> None:
        """Tells it of a file."""
        self._of("open", path)

    def did_close(self, path: str) -> None:
        """Tells it that nobody looks at a file any more."""
        self._of("close", path)

    def document_symbols(self, path: str) -> List[LspSymbol]:
        """What a file defines."""
        return [_symbol(one) for one in self._of("symbols", path)["symbols"]]

    def sandbox_symbols(self, query: str) -> List[LspSymbol]:
        """What the project defines whose name is like the query."""
        return [_symbol(one) for one in self._ask("find", query=query, utf16=True)["symbols"]]

    def workspace_symbols(self, query: str) -> List[LspSymbol]:
        """Daytona's older name for `sandbox_symbols`."""
        return self.sandbox_symbols(query)

    def completions(self, path: str, position: LspCompletionPosition) -> CompletionList:
        """What could stand at a place."""
        told = self._of("completions", path, line=position.line + 1, column=position.character + 1)
        return CompletionList(told["incomplete"], [_item(one) for one in told["items"]])


def _kind(kinds: List[str], kind: Optional[str]) -> Optional[int]:
    return kinds.index(kind) + 1 if kind in kinds else None


def _item(told: Dict[str, Any]) -> CompletionItem:
    return CompletionItem(
        told["label"], _kind(COMPLETIONS, told["kind"]), told["detail"], told["documentation"], told["insert"],
        told["filter"], told["sort"],
    )


def _symbol(told: Dict[str, Any]) -> LspSymbol:
    ends = [LspCompletionPosition(one["line"] - 1, one["column"] - 1) for one in (told["range"]["start"], told["range"]["end"])]
    # One of a kind that the protocol has no number for is shown as a variable.
    kind = _kind(SYMBOLS, told["kind"]) or 13
    return LspSymbol(told["name"], kind, LspLocation(f"file://{path_of(told['path'])}", LspRange(*ends)))
