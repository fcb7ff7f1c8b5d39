"""Parameters of a query compared with other values of the request: native, as the evaluator decides."""

from __future__ import annotations

from itertools import product

from effort import some
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


WAF = (
    "some _, vs in query; some v in vs; {}",
    "every _, vs in query {{ every v in vs {{ not {} }} }}",
    "some v in query.q; {}",
    "every v in query.q {{ not {} }}",
    "not any_such\nany_such if {{ v := query[_][_]; {} }}",
    'some k, vs in query; k == "q"; some v in vs; {}',
    "some v in query.q; not {}",
    "every v in query.q {{ {} }}",
    "every _, vs in query {{ every v in vs {{ {} }} }}",
    "some _, vs in query; some v in vs; not {}; v != ``",
    "every _, vs in query {{ every v in vs {{ count(v) < 4; not {} }} }}",
)
TESTS = (
    "contains(lower(v), `select`)",
    "startswith(upper(v), `AK`)",
    "endswith(lower(v), `Ab`)",
    "lower(v) in {`abc`, ``, `a b`, `Ab`}",
    "regex.match(`(?i)<script|on[a-z]+=`, v)",
    "regex.match(`^a.c$`, v)",
    "regex.match(`^[^=]*$`, v)",
    "regex.match(`^$`, v)",
    "some p in [`--`, `union select`, `/*`, `x'`]; contains(lower(v), p)",
    "contains(v, `a&b`)",
    "count(v) > 2",
    "count(v) <= 0",
    "count(v) < 4",
    "v in {`abc`, `x`}",
)
QUERIES = (
    *("", "q", "q=", "q=&q=b", "q=SeLect", "q=1&x=select", "select=1", "q=sele&ct", "q=AKx", "q=aK", "q=xab"),
    *(
        "q=ABC",
        "x=abc&q",
        "q=<Script>",
        "q=onload=",
        "q=on&load=",
        "q=a=c",
        "q=a&c",
        "q=axc&&",
        "&q=abc",
        "=abc",
    ),
    *(
        "q=a--b",
        "q=a-&-b",
        "q=union+select",
        "q=union%20select",
        "q=/*",
        "q=x'",
        "x=1&q=X'",
        "q=a;b",
        "q=%61bc",
    ),
    *("q=\u212aa", "q=" + "z" * 3000),
)


def test_values_of_all_parameters_are_searched(bed: Bed, issuers: Issuers) -> None:
    """As rules against injections do: whichever their names, with their letters folded, and by patterns."""
    subjects = [
        subject_of(rego.compile({f"{at}.rego": f"{HEAD}\n{_rule(way, test)}"}), PROVIDERS[:1], issuers)
        for at, (way, test) in enumerate(some([*product(WAF, TESTS)]))
        if not ("not {}" in way and test.startswith("some"))
    ]
    asked = [
        Request("GET", f"/a?{query}" if query else "/a", (), None, http2=http2)
        for query in QUERIES
        for http2 in (False, True)
        if http2 or query.isascii()
    ]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.residual < 0.35 * tally.pairs, tally


def _rule(way: str, test: str) -> str:
    body, _, others = way.format(test).partition("\n")
    return f"allow if {{ {body} }}\n{others}\n"
