"""Builtins for texts over what is none: their calls are undefined in the sidecar, too."""

from __future__ import annotations

import pytest
from lowered import judge, subject_of

from palisade import rego
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, compare

HEAD = """package p

import input.attributes.request.http

"""
NUMBERS = ('count(http.headers["x-a"])', 'to_number(http.headers["x-a"])', 'split(http.headers["x-a"], "")')
RULES = [
    rule
    for each in NUMBERS
    for rule in (
        f'not lower(object.get({{"a": 1}}, http.method, {each}))',
        f'split(object.get(input, "z", {each}), ",") != ["x"]',
        f'not concat(":", [object.get(input, "z", "d"), object.get(input, "y", {each})]) == "x"',
        f'not replace(object.get(input, "z", {each}), "a", "b")',
        f'not json.is_valid(object.get(input, "z", {each}))',
    )
]


BELOW = (
    'object.get(input, "z", time.now_ns()).a == 1',
    'not object.get(input, "z", time.now_ns()).a == 1',
    'startswith(object.get(input, "z", time.now_ns())[0], "x")',
    '{"a", "b"}[object.get(input, "z", time.now_ns())[http.method]]',
)


@pytest.mark.parametrize("rule", BELOW)
def test_nothing_stands_below_a_number_that_no_operand_makes(bed: Bed, issuers: Issuers, rule: str) -> None:
    """It compiles, and is decided as Rego does."""
    subject = subject_of(rego.compile({"p.rego": f"{HEAD}allow if {rule}"}), (), issuers)
    bed.load(subject)
    assert not compare(bed, subject, [Request("GET", "/")], Tally())


def test_what_is_no_text_is_not_taken_for_one(bed: Bed, issuers: Issuers) -> None:
    """That there is a count says nothing of a text of it."""
    subjects = [subject_of(rego.compile({"p.rego": f"{HEAD}allow if {each}"}), (), issuers) for each in RULES]
    asked = [Request("GET", "/", headers) for headers in ((("x-a", "5"),), (("x-a", "b"),), ())]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.native > tally.pairs / 2
