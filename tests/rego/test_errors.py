"""How an error is shown, whatever the source holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.errors import Diagnostic, Location


def shown(line: str, col: int, message: str = "wrong", file: str = "a.rego") -> list[str]:
    return str(Diagnostic("code", message, Location(file, 1, col), line)).split("\n")


def test_the_caret_stands_below_the_place() -> None:
    assert shown("allow if x", 10) == ["a.rego:1:10: code: wrong", "    allow if x", "             ^"]
    assert shown("\tx", 2)[1:] == ["        x", "        ^"]


def test_what_a_terminal_would_obey_is_written_out() -> None:
    """Names and sources come from strangers: none may colour, move or hide what is on the screen."""
    head, line, caret = shown("p := \x1b[2J \u202e x", 13, "no \x1b[31m such", "a\nb\x1b[31m.rego")
    assert head == "a\\x0ab\\x1b[31m.rego:1:13: code: no \\x1b[31m such"
    assert line == "    p := \\x1b[2J \\u202e x"
    assert line[caret.index("^")] == "x"


def test_a_message_keeps_its_lines() -> None:
    told = shown("", 1, "match error\n\tleft  : number")
    assert told == ["a.rego:1:1: code: match error", "\tleft  : number"]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=600), st.data())
def test_of_a_long_line_the_part_around_the_place_is_shown(line: str, data: st.DataObject) -> None:
    col = data.draw(st.integers(1, max(len(line), 1)))
    if not line:
        return
    _, excerpt, caret = shown(line, col)
    assert len(excerpt) <= 4 + 160 + 6
    assert excerpt[caret.index("^")] == line[col - 1]
