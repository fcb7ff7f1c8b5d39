"""A pattern is of the whole of a text: of no part of it, and of none that reaches across what is cut out."""

from __future__ import annotations

import pytest
from lowered import judge, judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
h := http.headers["x-t"]
"""
ADDRESSES = (
    *("10.0.0.1", "10.0.0.2", "110.0.0.1", "10.0.0.11", "1", "0.0.0", "10.0.0", "", "10", ".10.0.0.1"),
    *("192.168.1.1", "::1", "10.0.0.1,10.0.0.2", "10.0.0.1.,x", "10.0.0.1/8", "x10.0.0.1", "010.0.0.1"),
)
CUT_AT_THEIR_CHARACTERS = tuple(
    f'{no}net.cidr_contains("{ranges}", {text})'
    for text in (
        *('split(h, "1")[0]', 'split(h, ".")[0]', 'split(claims.t, ".")[1]', 'split(h, ".,")[0]'),
        *('trim(h, "1")', 'trim_left(h, "01")', 'trim_prefix(h, "1")', 'trim_suffix(claims.t, "1")'),
    )
    for ranges in ("10.0.0.0/8", "0.0.0.0/0")
    for no in ("", "not ")
)
IN_EXPRESSIONS = tuple(
    f"{no}{test}"
    for test in (
        *('regex.match("^us", claims.l[0])', 'regex.match("rs$", claims.l[0])'),
        *('glob.match("us*", [], claims.l[0])', 'regex.match("^us", lower(claims.l[0]))'),
        *('startswith(claims.l[0], "us")', 'endswith(claims.l[0], "rs")', 'contains(claims.l[0], "ser")'),
        *('split(claims.l[0], ",")[1] == "users"', 'trim_space(claims.l[0]) == "users"'),
        'claims.l[0] in {"users", "a"}',
    )
    for no in ("", "not ")
)
AROUND = (
    *("users", "xusers", "usersx", "xusersx", "x\nusers", "users\nx", "USERS", " users ", "us", "", "rs"),
    *("a,users", "a,users,b", "xa,users", "users,users", "a,usersx", "\u00fcsers", "\u017fers"),
)


def _subjects(idioms: tuple[str, ...], providers: tuple[Provider, ...], issuers: Issuers) -> list[Subject]:
    policies = (rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}) for each in idioms)
    return [subject_of(each, providers, issuers) for each in policies]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_is_cut_at_digits_and_points_is_no_address_for_the_whole(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """A pattern of addresses would match across the cut: `10.0.0.1` split at `1` has no address in it."""
    asked = [Request(headers=(("x-t", each),), token=Token("corp", {"t": each})) for each in ADDRESSES]
    judge(bed, _subjects(CUT_AT_THEIR_CHARACTERS, providers, issuers), [*asked, Request()], Tally())


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_an_expression_asks_of_the_whole_text(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Of a claim at a place of an array Envoy's expressions decide, which search where its matchers match."""
    asked = [Request(token=Token("corp", {"l": each})) for each in ([], {"0": "users"}, "users", [7], [None])]
    asked += [Request(token=Token("corp", {"l": [text, "users"]})) for text in AROUND]
    judge_natively(bed, _subjects(IN_EXPRESSIONS, providers, issuers), asked, residual=0.2)
