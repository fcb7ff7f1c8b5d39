"""Decisions for people: one line each, and no more lines than anybody could read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from palisade.cli.output import count

_LINES_A_SECOND = 10


class Ticker:
    """Shows decisions as they are made, but at most some a second; the rest it counts.

    Formatting a line costs more than deciding a request, in the process that decides.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._second = 0
        self._shown = 0
        self._skipped = 0

    def show(self, event: Mapping[str, Any]) -> None:
        """A subscriber for `DecisionLog.subscribe`."""
        second = int(time.monotonic())
        if second != self._second:
            if self._skipped:
                self._console.print(f"         ... and {count(self._skipped, 'more decision')}", style="dim")
            self._second, self._shown, self._skipped = second, 0, 0
        if self._shown < _LINES_A_SECOND:
            self._shown += 1
            self._console.print(line(event))
        else:
            self._skipped += 1


def line(event: Mapping[str, Any]) -> Text:
    """`12:03:01 allow GET /orders/7 -> orders  native  policies/identity/allow.rego:20  alice`."""
    detail = event.get("palisade", {})
    given = event.get("input") or {}
    http = given.get("attributes", {}).get("request", {}).get("http", {})
    allowed = is_allowed(event)
    moment = datetime.fromisoformat(event["timestamp"][:26].rstrip("Z") + "+00:00").astimezone()
    text = Text(f"{moment:%X} ", "dim")
    text.append("allow" if allowed else "deny ", "bold green" if allowed else "bold red")
    text.append(f" {http.get('method', '?'):<6} {http.get('path', '?')}", "default")
    text.append(f" -> {detail.get('function', '?')}", "default")
    if detail.get("status"):
        text.append(f"  {detail['status']}")
    text.append(f"  {detail.get('decider', '')}", "cyan")
    if detail.get("rule"):
        text.append(f"  {detail['rule']}", "dim")
    subject = given.get("identity", {}).get("claims", {}).get("sub")
    if subject:
        text.append(f"  {subject}", "dim")
    if "error" in event:
        text.append(f"  {event['error'].get('message', '')}", "yellow")
    return text


def is_allowed(event: Mapping[str, Any]) -> bool:
    """Whether the decision of an event let the request pass."""
    result = event.get("result")
    return result is True or (isinstance(result, Mapping) and result.get("allowed") is True)
