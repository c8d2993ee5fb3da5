"""Charts that code has shown, taken from what it wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Dict, List, Optional, Tuple

from .shown import SHOWN

# What a line begins with that has a chart.
MARK = "belljar-chart:"


class ChartType(str, Enum):
    """What a chart is."""

    LINE = "line"
    SCATTER = "scatter"
    BAR = "bar"
    PIE = "pie"
    BOX_AND_WHISKER = "box_and_whisker"
    COMPOSITE_CHART = "composite_chart"
    UNKNOWN = "unknown"


@dataclass
class ChartElement:
    """A line, a group of points, a bar or a slice: what it has of these says its chart's type."""

    label: str = ""
    group: Optional[str] = None
    value: Optional[float] = None
    angle: Optional[float] = None
    radius: Optional[float] = None
    points: List[Tuple[Any, Any]] = field(default_factory=list)


@dataclass
class Chart:
    """A figure. `png` is its picture, in base64."""

    type: ChartType
    title: str
    png: Optional[str]
    elements: List[ChartElement]
    # Of a figure of several parts: the parts.
    charts: "List[Chart]"
    x_label: Optional[str] = None
    y_label: Optional[str] = None
    x_ticks: List[Any] = field(default_factory=list)
    y_ticks: List[Any] = field(default_factory=list)
    # All of it, as it was told.
    raw: Dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(told: Dict[str, Any]) -> "Chart":
        """From what the code's process says. It is what runs inside that says so: any of it may be missing, or made up."""
        kind = told.get("type")
        kinds = {one.value: one for one in ChartType}
        parts = [one for one in _list(told, "elements") if isinstance(one, dict)]
        composite = kind == ChartType.COMPOSITE_CHART.value
        return Chart(
            type=kinds.get(str(kind), ChartType.UNKNOWN),
            title=_text(told, "title") or "",
            png=_text(told, "png"),
            elements=[] if composite else [_element(one) for one in parts],
            charts=[Chart.of(one) for one in parts] if composite else [],
            x_label=_text(told, "x_label"),
            y_label=_text(told, "y_label"),
            x_ticks=_list(told, "x_ticks"),
            y_ticks=_list(told, "y_ticks"),
            raw=told,
        )


def _list(told: Dict[str, Any], key: str) -> List[Any]:
    value = told.get(key)
    return value if isinstance(value, list) else []


def _element(told: Dict[str, Any]) -> ChartElement:
    points = [(one[0], one[1]) for one in _list(told, "points") if isinstance(one, list) and len(one) == 2]
    value, angle, radius = (_number(told, key) for key in ("value", "angle", "radius"))
    return ChartElement(_text(told, "label") or "", _text(told, "group"), value, angle, radius, points)


def _text(told: Dict[str, Any], key: str) -> Optional[str]:
    value = told.get(key)
    return value if isinstance(value, str) else None


def _number(told: Dict[str, Any], key: str) -> Optional[float]:
    value = told.get(key)
    return value if isinstance(value, (int, float)) else None


def with_charts(code: str) -> str:
    """The same code, whose figures are written as lines. It is a text in it, so that its lines keep their numbers."""
    return f"{SHOWN}\nexec(compile({code!r}, '<stdin>', 'exec'))\n"


def taken(output: str) -> Tuple[str, List[Chart]]:
    """What was written without the charts, and the charts."""
    rest: List[str] = []
    charts: List[Chart] = []
    for line in output.splitlines(keepends=True):
        try:
            told: Any = json.loads(line[len(MARK):]) if line.startswith(MARK) else None
            chart = Chart.of(told) if isinstance(told, dict) else None
        except (ValueError, RecursionError):
            # A line that only begins so, or is nested to do harm.
            chart = None
        if chart is not None:
            charts.append(chart)
        else:
            rest.append(line)
    return "".join(rest), charts
