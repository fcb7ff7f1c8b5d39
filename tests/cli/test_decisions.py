"""Decisions on the screen: what a line says, and that a flood of them stays readable."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from palisade.cli import decisions
from palisade.cli.decisions import Ticker, line


def event(**changes: Any) -> dict[str, Any]:
    http = {"method": "GET", "path": "/orders/7"}
    return {
        "timestamp": "2026-01-02T03:04:05.123456789Z",
        "result": True,
        "input": {"attributes": {"request": {"http": http}}, "identity": {"claims": {"sub": "alice"}}},
        "palisade": {"function": "orders", "decider": "native", "rule": "allow.rego:7", "status": 200},
        **changes,
    }


def test_a_line_says_what_when_where_by_which_rule_and_for_whom() -> None:
    text = line(event()).plain
    assert text[8:] == " allow GET    /orders/7 -> orders  200  native  allow.rego:7  alice"


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (True, "allow"),
        (False, "deny"),
        ({"allowed": True}, "allow"),
        ({"allowed": False}, "deny"),
        (1, "deny"),
    ],
)
def test_only_what_was_allowed_is_shown_as_allowed(result: Any, shown: str) -> None:
    assert line(event(result=result)).plain[9:].startswith(shown)


def test_a_decision_without_input_or_with_an_error_has_a_line_too() -> None:
    bare = event(input=None, error={"code": "x", "message": "no engine answered"})
    del bare["result"]
    assert line(bare).plain[8:] == " deny  ?      ? -> orders  200  native  allow.rego:7  no engine answered"


def test_a_flood_is_counted_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [100.0]
    monkeypatch.setattr(decisions.time, "monotonic", lambda: seconds[0])
    out = io.StringIO()
    ticker = Ticker(Console(file=out, width=200))
    for _ in range(500):
        ticker.show(event())
    assert out.getvalue().count("allow GET") == 10
    seconds[0] = 101.0
    ticker.show(event())
    assert "... and 490 more decisions" in out.getvalue()
    assert out.getvalue().count("allow GET") == 11
