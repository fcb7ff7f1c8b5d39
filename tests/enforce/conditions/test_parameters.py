"""Parameters of a query compared with other values of the request: native, as the evaluator decides."""

from __future__ import annotations

from lowered import PROVIDERS, judge, subject_of

from palisade import rego
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
query := input.parsed_query
"""
IDIOMS = (
    "query.user[0] == claims.sub",
    "query.organization_id[0] == http.headers.x",
    "not query.user[0] == claims.sub",
    "claims.sub == query.user[0]; query.page[0] == http.headers.x",
    "startswith(query.user[0], claims.sub)",
    'http.path == sprintf("/a?user=%s", [query.user[0]])',
)
TARGETS = (
    *("/a", "/a?", "/a?user=", "/a?user", "/a?user=al", "/a?user=al&user=bo", "/a?user=bo&user=al"),
    *(
        "/a?user&user=al",
        "/a?user=al&user",
        "/a?x?user=al",
        "/a?x=1?user=al",
        "/a?x=1&user=al",
        "/a&user=al?x=1",
    ),
    *(
        "/a?xuser=al",
        "/a?userx=al",
        "/a?user=al=b",
        "/a?&&user=al&",
        "/a?user=%61l",
        "/a?user=a+l",
        "/a?user=al;x",
    ),
    *("/a?u=al", "/a?use=al&user=bo", "/user=al", "/a?organization_id=al", "/a?organization_id=bo&page=al"),
    *("/a?page=al&user=al", "/a?=al", "/a?user==al", "/a?us%65r=al", "/a?user=al&organization_id=al&page=al"),
)


def test_parameters_against_claims_and_headers(bed: Bed, issuers: Issuers) -> None:
    """The first value of the name counts, and other spellings are asked about."""
    subjects = [
        subject_of(rego.compile({f"{at}.rego": f"{HEAD}\nallow if {{ {each} }}"}), PROVIDERS[:1], issuers)
        for at, each in enumerate(IDIOMS)
    ]
    asked = [
        Request("GET", target, headers, token, http2=http2)
        for target in TARGETS
        for headers in ((("x", "al"),), ())
        for token in (
            Token("corp", {"sub": "al"}),
            Token("corp", {"sub": ""}),
            Token("corp", {"sub": 1}),
            None,
        )
        for http2 in (False, True)
    ]
    # Only HTTP/2 carries such bytes. No expression reads them.
    asked += [
        Request("GET", f"/{raw}?user=al", (), Token("corp", {"sub": "al"}), http2=True)
        for raw in ("é", "\udcff")
    ]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.native > tally.residual
