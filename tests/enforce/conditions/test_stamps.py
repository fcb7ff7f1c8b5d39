"""Times in headers are compared with the clock natively, as the evaluator compares them."""

from __future__ import annotations

import time

import pytest
from lowered import subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, compare_many
from palisade.testing.equivalence.telling import lines, summary

HEAD = """package p
import input.attributes.request.http
now := time.now_ns() / 1000000000
stamp := to_number(http.headers["x-t"])
"""
IDIOMS = (
    *(
        f"{one} {sign} {other}"
        for one, other in (
            ("now - stamp", "300"),
            ("stamp", "now - 300"),
            ("stamp + 300", "now"),
            ("300", "now - stamp"),
            ("stamp * 1000000000", "time.now_ns()"),
            ("abs(now - stamp)", "300"),
            ("abs(stamp - now)", "300"),
            ("now", "stamp"),
            ("time.now_ns() / 1000000 - stamp", "300000"),
            ("stamp + 300000", "time.now_ns() / 1000000"),
            ('to_number(trim_prefix(split(http.headers["x-u"], ",")[0], "t="))', "now - 300"),
            ("to_number(input.parsed_query.expires[0])", "now"),
            ("floor(now) - stamp", "300"),
            ("stamp + 300", "round(now)"),
            ("abs(floor(now) - stamp)", "300"),
            ("floor(time.now_ns() / 1000000) - stamp", "300000"),
        )
        for sign in ("<", "<=", ">", ">=")
    ),
    "not now - stamp < 300",
    "not abs(now - stamp) >= 300",
    "age := now - stamp; age > -30; age < 300",
    "count({age | age := now - stamp}) == 0",
    "age := floor(now) - stamp; age >= 0; age <= 300",
    "not abs(round(now) - stamp) >= 300",
)
OTHERS = (
    "time.now_ns() - stamp < 5",
    "time.now_ns() / 1000000000 - stamp / 1000 < 300",
    "abs(now - stamp) < -1",
    "now - stamp < 300.5",
    "now - stamp - to_number(http.headers.other) < 5",
    "floor(now) - round(now) - stamp < 5",
    "floor(now) / 60 - stamp < 5",
    "round(time.now_ns() / 1000000) - stamp < 300000",
    "floor(time.now_ns() / 1000) - stamp < 300000",
)
"""What no whole number of seconds or milliseconds tells is the engine's, and the same."""


def _asked() -> list[Request]:
    now = int(time.time())
    ages = (0, 100, 270, 330, 3600, -100, -270, -330, -3600)
    stamps = [
        *(f"{now - age}" for age in ages),
        *(f"{now * 1000 - age * 1000 + 77}" for age in ages),
        *("0", "", "-5", "+5", "007", "1.5", f"{now}.5", "1e9", "0x10", "1_0", "x", f" {now}", f"{now} "),
        *(f"{now}, {now}", "9" * 15, "9" * 16, "9" * 40, "Infinity", "NaN", "\u0663", f"{now}\t1", "null"),
    ]
    asked = [Request(), Request(target="/?expires=")]
    for each in stamps:
        headers = [("x-t", each), ("x-u", f"t={each},v1=a"), ("x-u", f"{each},t={now}")]
        asked += [Request(headers=(one,)) for one in headers if one[1].strip() == one[1] and one[1].isascii()]
        asked.append(Request(target=f"/?expires={each.strip().replace(' ', '%20')}"))
    return asked


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_stamps_are_native_and_exact(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """In seconds and milliseconds; ages are half a minute off the limits, so that no second can pass between.
    Of what is written otherwise than in plain digits the engine decides."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}), providers, issuers)
        for idiom in (*IDIOMS, *OTHERS)
    ]
    bed.load(*subjects, reporting=True)
    asked = _asked()
    for difference in compare_many(bed, subjects, asked, tally := Tally()):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
    left = [
        each.name
        for each in subjects[: len(IDIOMS)]
        if not all(rule.native or rule.conditional for rule in each.enforcement.coverage)
    ]
    assert not left
    assert tally.residual < 0.25 * tally.pairs, tally
