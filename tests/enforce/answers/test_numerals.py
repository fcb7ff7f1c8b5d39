"""Numbers of verified tokens in answers are what the engine would put there."""

from __future__ import annotations

import pytest
from lowered import subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare
from palisade.testing.equivalence.telling import lines, summary

POLICY = """package p

import input.attributes.request.http

claims := input.identity.claims

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {
		"x-id": sprintf("<%d>", [claims.id]),
		"x-digits": format_int(claims.id, 10),
		"x-joined": concat("-", ["u", format_int(claims.id, 10), claims.sub]),
		"x-all": sprintf("%s has %d of %d%%", [claims.sub, claims["a:b"].n, 7]),
	},
	"response_headers_to_add": {"x-level": sprintf("=%d=", [claims.id])},
} if http.path == "/told"

allow := {
	"allowed": false,
	"http_status": 403,
	"body": json.marshal({"id": sprintf("%d", [claims.id])}),
} if http.path == "/refused"
"""
NUMBERS = (0, 1, 42, 999_999, 1_000_000, 123_456_789_012, 2**53 - 1)
OTHERS = (2**53, 2**53 + 1, -1, 1.5, 1e21, "7", None, True, [7], {"n": 7})


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_numbers_are_put_into_answers(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """In decimal digits, as `%d` and `format_int` write them. Numbers below nought, large ones and
    what is none are the engine's."""
    subject = subject_of(rego.compile({"p.rego": POLICY}), providers, issuers)
    bed.load(subject)

    def judge(values: tuple[object, ...], tally: Tally) -> Tally:
        asked = [
            Request("GET", path, (), Token("corp", {"id": value, "a:b": {"n": other}}))
            for value in values
            for other in (value, 3)
            for path in ("/told", "/refused")
        ]
        for difference in compare(bed, subject, asked, tally):
            raise AssertionError("\n".join((summary(difference), *lines(difference))))
        return tally

    assert not judge(NUMBERS, Tally()).residual
    judge(OTHERS, Tally())
