"""What an expression takes for the origin of a text becomes such a text, whatever the steps."""

from __future__ import annotations

import pytest
import re2
from effort import examples
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from palisade.enforce.envoy.regex.origins import PRINTED, Step, Wanted, origin
from palisade.rego.builtins import BUILTINS

_ENDS = PRINTED - {" "}
_LETTERS = "aAbß,@/ -:%\t\\"
_PLAIN = st.text("ab,@/ -:%", min_size=1, max_size=3)
_STEPS = st.one_of(
    st.tuples(st.sampled_from(["lower", "upper", "urlquery.encode", "trim_space"])),
    st.tuples(st.sampled_from(["trim_prefix", "trim_suffix", "trim", "trim_left", "trim_right"]), _PLAIN),
    st.tuples(st.just("replace"), _PLAIN, st.text("ab,@ -", max_size=2)),
    st.tuples(st.just("substring"), st.integers(0, 3)),
    st.tuples(st.just("substring"), st.integers(0, 3), st.integers(1, 5)),
    st.tuples(st.just("piece"), _PLAIN, st.integers(-1, 3)),
    st.tuples(st.just("rest"), _PLAIN, st.integers(0, 2)),
)


def made(text: str, steps: list[Step]) -> str | None:
    """What the builtins themselves make of a text; None where that is undefined."""
    for name, *others in steps:
        if name == "piece":
            mark, at = others
            pieces = text.split(str(mark))
            if int(at) >= len(pieces):
                return None
            text = pieces[int(at)]
        elif name == "rest":
            mark, at = others
            text = str(mark).join(text.split(str(mark))[int(at) :])
        else:
            more = [*others, -1] if name == "substring" and len(others) == 1 else others
            text = str(BUILTINS[str(name)].function(text, *more))
    return text


def is_wanted(text: str | None, among: frozenset[str]) -> bool:
    return bool(text) and among.issuperset(text) and text == text.strip(" ")


@settings(max_examples=examples(1500))
@given(st.lists(_STEPS, max_size=4), st.text(_LETTERS, max_size=10), st.booleans())
@example([("piece", "aa", 1)], "aaab", False)
@example([("replace", "a", ""), ("trim_space",)], "a b", False)
@example([("urlquery.encode",), ("piece", "%", 1)], "/a b", False)
@example([("trim_prefix", "ab"), ("piece", ":", 1)], "ab:b", True)
def test_what_matches_becomes_what_is_wanted(steps: list[Step], text: str, narrow: bool) -> None:
    """A text that matches and becomes another, or none, would put something else into an answer, or let the
    script fail."""
    among = PRINTED - {"-", "%", "b"} if narrow else PRINTED
    pattern = origin(steps, Wanted(among & _ENDS, among, among & _ENDS))
    assume(pattern is not None)
    if re2.fullmatch(pattern, text):
        assert is_wanted(made(text, steps), among), (steps, text, pattern)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([("piece", "@", 1)], "ann@corp.example"),
        ([("lower",), ("piece", "@", 1), ("piece", ".", 0)], "Ann@Corp.example"),
        ([("piece", ", ", 0)], "10.0.0.1, 10.0.0.2"),
        ([("piece", ", ", 1)], "10.0.0.1, 10.0.0.2,10.0.0.3"),
        ([("piece", ", ", 1)], "Lee, Ann M., x"),
        ([("piece", ",", 1), ("trim_space",)], "10.0.0.1, 10.0.0.2"),
        ([("trim_prefix", "org:")], "org:ops"),
        ([("trim_prefix", "org:")], "acme"),
        ([("piece", "/", -1)], "a/b/c"),
        ([("rest", "/", 2)], "a/b/c/d"),
        ([("urlquery.encode",)], "/a b?c=%20"),
        ([("replace", " ", ",")], "a b"),
        ([("replace", "role:", "")], "x role:a role:b"),
        ([("substring", 7)], "Bearer x"),
        ([("substring", 0, 8)], "0a1b2c3d-4e5f"),
        ([("substring", 2, 8)], "short"),
        ([("piece", "|", 1), ("upper",)], "a|b|c"),
    ],
)
def test_usual_texts_are_taken(steps: list[Step], text: str) -> None:
    """An expression of nothing would be as sound, and leave all to the engine."""
    pattern = origin(steps, Wanted(_ENDS, PRINTED, _ENDS))
    assert pattern is not None
    assert re2.fullmatch(pattern, text)


def test_texts_are_of_the_characters_that_are_told() -> None:
    """In a path other characters are escaped, and an escape is no text of its own."""
    among = PRINTED - {"%"}
    pattern = origin([("piece", "/", 1)], Wanted(_ENDS, PRINTED, _ENDS), among)
    assert pattern is not None
    assert re2.fullmatch(pattern, "/a/b")
    assert not any(re2.fullmatch(pattern, each) for each in ("/%41/b", "/a/%41", "/a%2Fb"))
    assert origin([("trim_prefix", "%")], Wanted(frozenset("%"), PRINTED, _ENDS), among) is None
