"""`palisade diff --live`: the requests on which the shadow differs, as they are made."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from rich.text import Text

from palisade.cli import decisions, local
from palisade.cli.output import Output, count, err, out
from palisade.rego import text


def watch(state: Path, seconds: float, output: Output) -> int:
    """Prints differences as the engine tells them; returns how many there were.

    Raises CommandError where no shadow is set, or no engine is there.
    """
    found = 0
    ends = time.monotonic() + seconds if seconds else None
    if output is Output.TEXT:
        err().print("requests on which the shadow differs, as they are made; Ctrl-C ends", style="dim")
    try:
        for event in local.stream(state, "differences", until=ends):
            found += 1
            if output is Output.JSON:
                sys.stdout.write(text.dumps(event) + "\n")
                sys.stdout.flush()
            else:
                out().print(line(event))
        if output is Output.TEXT and (ends is None or time.monotonic() < ends):
            err().print("no shadow is set any more: it was promoted, or taken away", style="dim")
    except KeyboardInterrupt:
        pass
    if output is Output.TEXT:
        err().print(f"{count(found, 'difference')}", style="dim")
    return found


def line(event: dict[str, Any]) -> Text:
    """The line of a decision, and what the shadow says of it."""
    shadow = event["palisade"]["shadow"]
    shown = decisions.line(event)
    shown.append("  shadow: ", "dim")
    shown.append("allow" if shadow["allowed"] else "deny", "bold green" if shadow["allowed"] else "bold red")
    if "rule" in shadow:
        shown.append(f" {shadow['rule']}", "dim")
    return shown
