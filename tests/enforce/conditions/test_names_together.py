"""What is asked of all parameters, headers, fields or claims at once is native, and decided exactly."""

from __future__ import annotations

import pytest
from lowered import judge, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare
from palisade.testing.equivalence.telling import lines, summary

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
query := input.parsed_query
body := input.parsed_body
"""
DATA = {"known": ["page", "size", ""], "forbidden": ["debug", "a b", "=", "\u00fc"]}

_KEYS = (
    *('object.keys({}) - {{"page", "size"}} == set()', 'count(object.keys({}) - {{"page", "size"}}) == 0'),
    *("every key, _ in {} {{ key in data.known }}", "some key, _ in {}; key in data.forbidden"),
    *('object.keys({}) == {{"page", "size"}}', 'object.keys({}) & {{"debug", "size"}} == set()'),
    *('"debug" in object.keys({})', 'not "debug" in object.keys({})', 'object.keys({}) != {{"page"}}'),
    *("count(object.keys({})) > 0", "some key; {}[key]; not key in data.known"),
    'some key, value in {}; key == "debug"; value != "x"',
)
QUERIES = (
    *(each.format("query") for each in _KEYS),
    *("count(query) > 0", "count(query) == 0", "count(query) <= 1", "query == {}", "query != {}"),
    *(f"count(query.page) {sign} {n}" for sign in ("==", "!=", ">", "<", ">=", "<=") for n in (0, 1, 2)),
    *('"1" in query.page', 'startswith(query.page[_], "1")', 'some v in query.page; contains(v, "<b")'),
    *(
        'some v in query.page; v in {"", "1", "="}',
        'every v in query.page { not contains(v, "1") }',
        "some _ in query.page",
    ),
    *('query.page[0] == "<b>1"', 'query.page == ["<b>1"]', '"<b>1" in query.page'),
    *('query[_][_] == "1"', 'some _, values in query; some v in values; contains(v, "<script")'),
    *(
        'some key, values in query; startswith(key, "de"); values[_] == "1"',
        'some key, _ in query; contains(key, "eb")',
        'every key, _ in query { startswith(key, "p") }',
        'some key, _ in query; endswith(key, "ug")',
    ),
)
BODIES = tuple(each.format("body") for each in _KEYS)
CLAIMS = tuple(each.format("claims.map") for each in _KEYS)
HEADERS = (
    *('"x-debug" in object.keys(http.headers)', 'object.keys(http.headers) & {"x-debug", "X-A"} == set()'),
    *(
        'some key, value in http.headers; key == "x-debug"; value != "x"',
        '"host" in object.keys(http.headers)',
    ),
    *('count(object.keys(http.headers) & {"x-debug", "x-b"}) > 0', '":path" in object.keys(http.headers)'),
)

_QUERIES = (
    *("", "?", "?page=1", "?page=1&size=2", "?size=2&&page=1&", "?debug", "?page=1&debug=1", "?=1", "?&"),
    *(
        "?page=1&page=2",
        "?page=&page",
        "?page=%31",
        "?%70age=1",
        "?pag=1&page1=1",
        "?page=1;size=2",
        "?a+b=1",
    ),
    *(
        "?page=%zz",
        "?size=%",
        "?page=1&q=a+b%20c",
        "?page=1=2",
        "?page==",
        "?page=<b>1",
        "?q=<script",
        "?==1",
    ),
    *("?debug=x&page=11", '?page="1"', "?%C3%BC=1", "?page=1&PAGE=1", "?deb=1&debug=2", "?page=\\1|^"),
)
_OBJECTS = (
    *("{}", '{"page": 1}', '{"page": 1, "size": 2}', '{"size": null, "page": false}', '{"debug": "x"}'),
    *(
        '{"page": {"debug": 1}}',
        '{"page": 1, "debug": "y", "size": 1, "": 1}',
        '{"": 1}',
        '["page", "debug"]',
    ),
    *("[]", '"page"', "7", "null", '{"page": 1, "page": 2}', '{"\\u0070age": 1}', '{"Page": 1}', "{", ""),
)


def _of_bodies() -> list[Request]:
    json, form = (
        (("content-type", "application/json"),),
        (("content-type", "application/x-www-form-urlencoded"),),
    )
    found = [Request("POST", "/", json, None, each) for each in _OBJECTS]
    found += [Request("POST", "/", form, None, each.lstrip("?")) for each in _QUERIES]
    return [*found, Request("POST", "/", json, None, '{"size": 2, "page": 1}', chunked=True), Request()]


def _of_claims() -> list[Request]:
    maps = ({}, {"page": 1}, {"page": 1, "size": 2}, {"debug": "x"}, {"page": None, "": False}, {"size": {}})
    other = ([], ["page"], ["debug", "x"], "page", "", 0, None, True, {str(n): n for n in range(12)})
    return [Request(), *(Request(token=Token("corp", {"map": each})) for each in (*maps, *other))]


def _of_headers() -> list[Request]:
    found = (
        (),
        (("x-debug", "1"),),
        (("x-debug", ""),),
        (("X-Debug", "x"), ("x-b", "1")),
        (("x-debug", "1"), ("x-debug", "2")),
    )
    return [*(Request(headers=each) for each in found), Request(http2=True, headers=(("host", "a"),))]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize(
    ("idioms", "asked", "share"),
    [
        (QUERIES, [Request("GET", f"/a{each}") for each in _QUERIES], 0.25),
        (CLAIMS, _of_claims(), 0.12),
        (HEADERS, _of_headers(), 0.2),
    ],
    ids=("queries", "claims", "headers"),
)
def test_names_asked_of_together(
    bed: Bed,
    providers: tuple[Provider, ...],
    issuers: Issuers,
    idioms: tuple[str, ...],
    asked: list[Request],
    share: float,
) -> None:
    """Which there are, which others there are, how many: of what has them, and of what has none."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}, DATA), providers, issuers)
        for idiom in idioms
    ]
    judge(bed, subjects, asked, tally := Tally())
    left = [s.name for s in subjects if not all(r.native or r.conditional for r in s.enforcement.coverage)]
    assert not left
    assert tally.residual < share * tally.pairs, tally


def test_names_of_fields(bed: Bed, issuers: Issuers) -> None:
    """The same of bodies, JSON and forms, which are read one policy at a time."""
    tally = Tally()
    for idiom in BODIES:
        subject = subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}, DATA), (), issuers)
        bed.load(subject)
        for difference in compare(bed, subject, _of_bodies(), tally):
            raise AssertionError("\n".join((summary(difference), idiom, *lines(difference))))
    assert tally.residual < 0.3 * tally.pairs, tally
