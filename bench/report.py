"""What a measurement found, as text for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value. `ratio` is against the baseline of the same run, `target` what it should be."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    target: str = ""
    note: str = ""


@dataclass(frozen=True)
class Report:
    name: str
    title: str
    figures: tuple[Figure, ...]

    def plain(self) -> list[dict[str, Any]]:
        return [{k: v for k, v in vars(figure).items() if v not in (None, "")} for figure in self.figures]


def table(report: Report) -> str:
    rows = [("", "median", "ratio", "target", "")]
    for each in report.figures:
        ratio = "" if each.ratio is None else f"{each.ratio:.3f}"
        rows.append((each.name, f"{each.value:.1f} {each.unit}", ratio, each.target, each.note))
    widths = [max(len(row[at]) for row in rows) for at in range(5)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([report.title, *lines, ""])
