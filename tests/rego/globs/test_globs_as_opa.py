"""Globs match what they match in OPA, by the library that it has, malformed and odd ones included."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
import re2
from opa_answers import OpaAnswers

from palisade.rego.builtins.globs import expression_of, glob_match
from palisade.rego.errors import BuiltinError
from palisade.rego.globs.building import build
from palisade.rego.globs.scanning import Steps

TEXTS = ("a", "b", "ab", ".", "/", "aba", "c", "é", "a/", "/b", ".b", "ab.", "")
CLASSES = (
    *("[ab]", "[a]", "[.]", "[é]", "[!a]", "[!ab]", "[!/]", "[!.]", "[!./]", "[!é]"),
    *("[a-b]", "[!a-b]", "[.-a]", "[a-é]", "[a-\U0001f600]"),
)
ODD = (
    *("\\a", "\\*", "\\", "[", "]", "}", ",", "{", "[]", "[b-a]", "[!]", "[a-]", "[--a]", "[\\]a]"),
    *("\0", "\ufffd", "[a\0]"),
)
DELIMITERS = (None, [], ["."], ["/"], ["/"], [".", "/"], ["/", "."], ["é"], ["a"], ["\ufffd"])


def _glob(draw: random.Random, deep: int, length: int) -> str:
    return "".join(_part(draw, deep) for _ in range(length))


def _part(draw: random.Random, deep: int) -> str:
    kind = draw.random()
    if kind < 0.65:
        return draw.choice(("*", "**", "?", draw.choice(TEXTS), draw.choice(TEXTS)))
    if kind < 0.8:
        return draw.choice(CLASSES)
    if kind < 0.82:
        return draw.choice(ODD)
    if deep == 3:
        return draw.choice(TEXTS)
    lengths = draw.choices((0, 1, 1, 1, 2, 2, 3), k=draw.choice((1, 2, 2, 3)))
    return f"{{{','.join(_glob(draw, deep + 1, length) for length in lengths)}}}"


def _near(draw: random.Random, glob: str) -> str:
    """A text that the glob may well match."""
    while (braces := re.search(r"\{([^{}]*)\}", glob)) is not None:
        glob = glob[: braces.start()] + draw.choice(braces[1].split(",")) + glob[braces.end() :]
    text = re.sub(r"\*\*|\*|\?|\[[^\]]*\]", lambda found: _instead(draw, found[0]), glob).replace("\\", "")
    if draw.random() < 0.5:
        at = draw.randint(0, len(text))
        text = text[:at] + draw.choice(("", "a", "b", "/", ".", "é")) + text[at + draw.randint(0, 1) :]
    return text


def _instead(draw: random.Random, wildcard: str) -> str:
    if wildcard == "**":
        return draw.choice(("", "a", "/", ".", "a/b", "ab.a", "é"))
    return draw.choice(("", "a", "b", "ab", "é", ".", "/") if wildcard == "*" else tuple("abé./c"))


def _ours(glob: str, delimiters: Any, text: str) -> bool | None:
    try:
        return glob_match(glob, delimiters, text)
    except BuiltinError:
        return None


SOURCE = "package p\nr := [glob.match(x[0], x[1], x[2]) | some x in input]"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_globs_match_what_they_match_in_opa(opa: OpaAnswers, seed: int) -> None:
    draw = random.Random(seed)
    asked: dict[tuple[str, int, str], None] = {}
    for _ in range(60):
        glob, which = _glob(draw, 0, draw.choice((1, 2, 2, 3, 3, 4, 5))), draw.randrange(len(DELIMITERS))
        asked |= {(glob, which, text): None for text in ("", "a", *(_near(draw, glob) for _ in range(10)))}
    cases = [(glob, DELIMITERS[which], text) for glob, which, text in asked]
    found = [(case, _ours(*case)) for case in cases]
    taken = [case for case, matched in found if matched is not None]
    ((theirs,),) = opa.ask(SOURCE, taken, ["r"])
    for case, wanted in zip(taken, theirs, strict=True):
        assert _ours(*case) is wanted, case
        _matchers_and_expressions_agree(*case, wanted=wanted)
    for case in [case for case, matched in found if matched is None][:25]:
        assert opa.ask(SOURCE, [case], ["r"]) == [[]], case


def _matchers_and_expressions_agree(glob: str, delimiters: Any, text: str, *, wanted: bool) -> None:
    marks = "" if delimiters is None else "".join(delimiters) or "."
    assert build(glob, marks).takes(text.encode(), Steps()) is wanted
    found = expression_of(glob, delimiters)
    if found is not None and (text.isascii() or not found.in_ascii):
        assert (re.fullmatch(found.pattern, text, re.DOTALL) is not None) is wanted, (glob, text, found)
        whole = re2.fullmatch(f"(?s)(?:{found.pattern})", text)
        assert (whole is not None) is wanted, (glob, text, found)
