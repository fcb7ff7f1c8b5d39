"""What commands print: results to standard output, everything else to standard error.

rich leaves colours out where the output is no terminal or NO_COLOR is set (https://no-color.org).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.text import Text

from palisade.policy.history import RuleCounts
from palisade.rego.errors import PARSE_ERROR, Diagnostic, visible


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


def out() -> Console:
    """The console for results. Made anew, so that it writes to the standard output of now."""
    return _console(stderr=False)


def err() -> Console:
    """The console for messages and progress."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # A table that goes to a file or a pipe is cut nowhere.
    width = None if stream.isatty() else 200
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=True,
        emoji=False,
        markup=False,
        width=width,
        legacy_windows=False,
    )


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Says on a terminal that work is going on, and what. Yields a function that tells the next step."""
    console = err()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(what) as status:
        yield status.update


def print_json(value: Any) -> None:
    """A value as indented JSON on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_line(text: str, style: str = "") -> None:
    """A line of a file, or several, on standard output, in a style where that is a terminal."""
    console = out()
    if console.is_terminal:
        console.print(Text(text, style))
    else:
        # rich makes spaces of tabs: neither `patch` nor a Rego file could take what it prints.
        print(text)


def print_diagnostics(
    diagnostics: Iterable[Diagnostic], console: Console, *, indent: str = "", style: str = "red"
) -> None:
    """Each error with its place, the line, a caret and what to do; `style` is the colour of its code."""
    for each in diagnostics:
        head, *rest = str(each).splitlines()
        place, code = len(indent) + len(visible(str(each.location))), each.code
        text = Text(indent + head)
        text.stylize("bold", 0, place)
        text.stylize(f"bold {style}", place + 2, place + 2 + len(code))
        console.print(text)
        for line in rest:
            shown = f"bold {style}" if line.strip() == "^" else "dim" if line.strip() == each.hint else ""
            console.print(Text(indent + line, shown))


def hint_at_older_rego(diagnostics: Iterable[Diagnostic], console: Console) -> None:
    """Says how to read older policies, where errors look as if these were such."""
    if any(each.code == PARSE_ERROR and "as Rego v0" in each.hint for each in diagnostics):
        console.print(
            "Policies from before Rego v1 are read with `rego: v0` in palisade.yaml, or --v0-compatible.",
            style="yellow",
        )


def diagnostics_as_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Errors in the form of `opa check --format json`, with `hint` beside."""
    found = []
    for each in diagnostics:
        error: dict[str, Any] = {
            "message": each.message,
            "code": each.code,
            "location": {"file": each.file, "row": each.row, "col": each.col},
        }
        if each.line:
            error["details"] = {"line": each.line, "idx": max(each.col - 1, 0)}
        if each.hint:
            error["hint"] = each.hint
        found.append(error)
    return found


def rule_counts(rules: RuleCounts) -> str:
    """`3 native, 1 conditional`: only kinds of which there are any, but for the native."""
    others = {"conditional": rules.conditional, "residual": rules.residual}
    shown = (f"{number} {kind}" for kind, number in others.items() if number)
    return ", ".join((f"{rules.native} native", *shown))


def count(number: int, one: str, many: str = "") -> str:
    """`1 module`, `2 modules`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
