"""YAML is read as the library reads it, and without looking at all open brackets for each token."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.scanner import Scanner

from palisade.rego.builtins import yaml_texts

_PIECES = (
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ": ",
    "- ",
    "? ",
    "a",
    "'x y'",
    '"q"',
    "&a ",
    "*a",
    "!t ",
    "#c",
    " ",
    "\n",
    "\n  ",
)
_LONG = ("k" * 1000, "[" * 20, "]" * 20, "{a: " * 9, "|\n  text\n")
TEXTS = st.lists(st.sampled_from((*_PIECES, *_LONG)), max_size=20).map("".join) | st.recursive(
    st.sampled_from(("a", "1", "~", '"q, [x]: y"', "k" * 600)),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(inner, max_size=4).map(lambda items: "{" + ", ".join(f"{each}: b" for each in items) + "}")
    ),
    max_leaves=20,
)


def events(text: str, scanner: type[Scanner] | None) -> list[tuple[Any, ...]]:
    """What the parser says of a text, with where; the error that ends it last."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = scanner
    found: list[tuple[Any, ...]] = []
    try:
        for each in yaml.parse(text):
            content = tuple(getattr(each, name, None) for name in ("value", "anchor", "style"))
            found.append((type(each), *content, each.start_mark.index, each.end_mark.index))
    except Exception as error:  # of any kind: it is compared
        found.append((type(error), str(error)))
    return found


@given(TEXTS)
def test_it_is_read_as_the_library_reads_it(text: str) -> None:
    assert events(text, yaml_texts._Scanner) == events(text, None)


def test_no_token_looks_at_all_that_may_be_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of brackets may be open, and each may begin a key: a request took the engine two seconds."""
    looked: list[int] = []

    def all_of_them(scanner: Scanner) -> None:
        looked.append(len(scanner.possible_simple_keys))

    monkeypatch.setattr(Scanner, "stale_possible_simple_keys", all_of_them)
    depth = 300
    value = yaml_texts.load("[" * depth + "]" * depth)
    for _ in range(depth - 1):
        [value] = value
    assert value == []
    assert looked == []
