"""Numbers that texts of the request hold, calculated with and compared: native, as the evaluator decides."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from lowered import judge, subject_of
from texts_of_numbers import NUMBERS

from palisade import rego
from palisade.enforce.envoy.regex import numerals
from palisade.enforce.envoy.regex.cuts import cut_of
from palisade.policy.providers import Provider
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Apply, Input, Known
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, Token

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
"""
TEXT = Input(("t",))
PORT = Apply(".", (Apply("split", (TEXT, Known(":"))), Known(1)))
SIZE = Apply("trim_suffix", (TEXT, Known("kb")))
ROOM = Apply("trim_space", (Apply("trim", (PORT, Known("=k "))),))


def _number(text: str) -> object:
    try:
        return BUILTINS["to_number"].function(text)
    except BuiltinError:
        return None


@given(st.text("0123456789:.+-ekb= ", max_size=8), st.integers(0, 120))
def test_numbers_behind_and_before_other_text(text: str, limit: int) -> None:
    """What is cut out is a number in digits just where the pattern of the whole says so; and what is a number
    at all may be one."""
    pieces = text.split(":")
    for term, part in (
        (PORT, pieces[1] if len(pieces) > 1 else ""),
        (SIZE, text.removeprefix("size=").removesuffix("kb")),
    ):
        cut = cut_of(term)
        assert cut.base == TEXT
        plain, large, may_be = (
            re2.fullmatch(cut.around(each.removeprefix("(?s)")), text) is not None
            for each in (numerals.NUMBER, numerals.at_least(limit), numerals.MAY_BE_NUMBER)
        )
        assert plain == (re2.fullmatch(numerals.NUMBER, part) is not None)
        assert large == (plain and int(part) >= limit)
        assert may_be or _number(part) is None


def test_what_has_no_points_is_no_version() -> None:
    """The first piece of `1.2.3` is `1`. As a pattern of the whole text that of a version takes all three."""
    first = cut_of(Apply(".", (Apply("split", (TEXT, Known("."))), Known(0))))
    assert first.takes(numerals.characters_of(numerals.NUMBER))
    for pattern in (numerals.VERSION, numerals.MAY_BE_VERSION, numerals.version_at_least((1, 0, 0))):
        assert not first.takes(numerals.characters_of(pattern))


IDIOMS = (
    *(f"to_number(path[1]) {sign} claims.n" for sign in ("==", "!=", "<", "<=", ">", ">=")),
    *(f'to_number(http.headers["x-n"]) {sign} claims.n' for sign in ("==", "<", ">=")),
    "to_number(input.parsed_query.n[0]) <= claims.n",
    "to_number(path[1]) in claims.ids",
    "not to_number(path[1]) in claims.ids",
    "not to_number(path[1]) == claims.n",
    "to_number(claims.n) == to_number(path[1])",
    "to_number(claims.n) < 3.5; to_number(claims.n) + 1 > 3",
    '100 - to_number(http.headers["x-n"]) > 0',
    'left := 100 - to_number(http.headers["x-n"]); not left > 0',
    'to_number(http.headers["x-n"]) + to_number(path[1]) <= 102',
    'to_number(http.headers["x-n"]) * 2 >= claims.n',
    'to_number(http.headers["x-n"]) % 10 < 3',
    'to_number(http.headers["x-n"]) / 4 == 25',
    'to_number(http.headers["x-n"])',
    'not to_number(http.headers["x-n"]) + 1',
    *(f'to_number(split(http.headers["x-p"], ":")[1]) {sign} 99' for sign in ("==", "<", ">=")),
    'to_number(split(http.headers["x-p"], ":")[1]) == claims.n',
    'not to_number(split(http.headers["x-p"], ":")[1]) > 9',
    'to_number(trim_suffix(http.headers["x-p"], "kb")) <= 100',
    'to_number(trim_space(http.headers["x-p"])) == 3',
    'to_number(trim_prefix(claims.n, "id-")) == 3',
    "to_number(regex.find_all_string_submatch_n(`^/a/([0-9]+)`, http.path, 1)[0][1]) in claims.ids",
)


def _compiled(providers: tuple[Provider, ...], issuers: Issuers) -> list[Subject]:
    found = []
    for each in IDIOMS:
        found.append(subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}), providers, issuers))
        assert all(rule.native or rule.conditional for rule in found[-1].enforcement.coverage), each
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_idioms_are_native_and_exact(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Whole numbers as programs write them ask nobody; what only some readers take for a number is asked of
    the engine."""
    others = (None, True, False, 0, 3, 3.5, 99, 100, 2**53, [3], {"a": 3}, "id-3")
    asked = [
        Request(
            "GET",
            f"/a/{text}?n={text}",
            (("x-n", text), ("x-p", port)),
            Token("corp", {"n": n, "ids": [n, 99]}),
        )
        for at, text in enumerate(NUMBERS)
        if " " not in text
        for port in (f"a:{text}", f"a:{text}:3", f"{text}kb")[at % 3 :][:1]
        for n in (3, text, others[at % len(others)])
    ]
    asked += [Request("GET", "/a/3?n=3", (("x-n", "3"),), Token("corp", {"n": n, "ids": n})) for n in others]
    asked += [
        Request("GET", f"/a/{text}", (("x-p", text),))
        for text in ("%33", "%2B3", "%2b99", "a:9%39", "a:99 ", ":99", "9999kb", "٣")
    ]
    subjects = _compiled(providers, issuers)
    judge(bed, subjects, asked, Tally())
    usual = [
        Request(
            "GET", f"/a/{n}?n={n}", (("x-n", f"{n}"), ("x-p", f"a:{n}")), Token("corp", {"n": m, "ids": [m]})
        )
        for n in (0, 3, 99, 100, 1234567)
        for m in (3, 99)
    ]
    judge(bed, subjects, usual, tally := Tally())
    assert tally.residual < 0.02 * tally.pairs, tally
