"""Objects and arrays of a body, or all of it, compared with constants that are such: decided in the sidecar
as the evaluator decides."""

from __future__ import annotations

from typing import Any

from drawn_schemas import values
from effort import examples_asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowered import subject_of
from whole_values import ASKED, CONSTANTS, near, rule_of

from palisade import rego
from palisade.rego.text import dumps
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

JSON = ("content-type", "application/json")


@settings(max_examples=examples_asked(30), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(st.sampled_from(CONSTANTS), values().filter(lambda each: isinstance(each, dict | list))),
    st.sampled_from(CONSTANTS),
    st.lists(st.sampled_from(ASKED), min_size=1, max_size=3, unique=True),
    st.lists(values(), max_size=10),
)
def test_the_sidecar_decides_so(
    bed: Bed, issuers: Issuers, one: Any, other: Any, asked: list[str], documents: list[Any]
) -> None:
    rules = "\n".join(rule_of(each, one, other) for each in asked)
    subject = subject_of(rego.compile({"p.rego": f"package p\n\n{rules}\n"}), (), issuers)
    bed.load(subject)
    requests = [
        Request("POST", "/", (JSON,), None, dumps(each)) for each in (*near(one), *near(other), *documents)
    ]
    for difference in compare(bed, subject, requests, Tally()):
        raise AssertionError("\n".join((summary(difference), rules, *lines(difference))))
