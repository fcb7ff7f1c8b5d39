"""Objects that policies make of the entries in a header, as of cookies, or in the query, are read in the
sidecar."""

from __future__ import annotations

import pytest
from effort import examples_asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowered import subject_of

from palisade import rego
from palisade.enforce.envoy.bodies.documents import document_of
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.rewriting import symbols
from palisade.rego.partial.formulas.terms import Apply, subterms
from palisade.rego.partial.symbols.objects import OBJECT
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

EXAMPLES = examples_asked(40)
HEAD = """package p
import input.attributes.request.http
h := http.headers.cookie
"""
DATA = {"sessions": {"x": "alice", "y=": "bob", "": "eve"}}

WAYS = (
    'c := {k: v | some p in split(h, "; "); [k, v] := split(p, "=")}',
    'c[k] := v if { some p in split(h, "; "); [k, v] := split(p, "=") }',
    'c := {k: v | some p in split(h, ";"); kv := split(trim_space(p), "="); k := kv[0]; v := kv[1]}',
    'c := {kv[0]: kv[1] | some p in split(h, "; "); kv := split(p, "="); count(kv) == 2}',
    'c := {trim_space(kv[0]): kv[1] | some p in split(h, ";"); kv := split(p, "="); count(kv) > 1}',
    """c := {k: v | some p in split(h, ";"); t := trim_space(p); i := indexof(t, "="); i > 0
	k := substring(t, 0, i); v := substring(t, i + 1, -1) }""",
    """c := {k: v | some p in split(h, ","); i := indexof(p, "="); k := substring(p, 0, i)
	v := substring(p, i + 1, -1) }""",
    """c := {k: v | some i; p := split(h, "; ")[i]; contains(p, "="); k := split(p, "=")[0]
	v := substring(p, indexof(p, "=") + 1, -1) }""",
    'c := {k: v | some p in split(h, ";"); p != ""; [k, v] := split(trim_space(p), "=")}',
    'c := {k: v | some p in split(h, ";"); [k, v] := split(trim(p, " "), "=")}',
    """c := {k: v | some p in split(h, "; "); i := indexof(p, "="); i != -1; k := substring(p, 0, i)
	v := substring(p, i + 1, -1) }""",
)
ASKED = (
    *(
        'c.a == "x"',
        "c.a",
        "not c.a",
        'c["a"] in {"x", "y="}',
        'object.get(c, "a", "x") == "x"',
        'c.b != "x"',
    ),
    *(
        'data.sessions[c.a] == "bob"',
        'startswith(c.a, "x")',
        "count(c) == 1",
        "c == {}",
        '"a" in object.keys(c)',
    ),
    *(
        'object.keys(c) - {"a", "b"} == set()',
        'http.path == "/"',
        'not "b" in object.keys(c); c.a',
        'c[" a"]',
    ),
)
COOKIES = (
    *(
        "a=x",
        "a=x; b=y",
        "a=x;b=y",
        " a=x ; b=y",
        "a=x; a=x",
        "a=x; a=y",
        "b=1; b=2",
        "a",
        "a=",
        "=x",
        "",
        ";",
    ),
    *(
        "a=x=",
        "a=y=; b=x",
        "a==x",
        "; a=x",
        "a=x;",
        "a=x, b=y",
        "a =x",
        "A=x",
        "b=\u00fc; a=x",
        "a=x; \u00a0b=x",
    ),
    *("c=1; d=2; a=x; e=5", "a; a", "a; a=a", "a=x;\tb=y", "session=1; a=x; b", "=; =x", "a=x;;b=y", "  "),
)


def subject(issuers: Issuers, way: str, asked: str) -> Subject:
    return subject_of(rego.compile({"p.rego": f"{HEAD}{way}\nallow if {{ {asked} }}"}, DATA), (), issuers)


def cookies(*values: str) -> Request:
    return Request(headers=tuple(("cookie", each) for each in values))


@pytest.mark.parametrize("way", WAYS)
def test_an_object_of_cookies(bed: Bed, issuers: Issuers, way: str) -> None:
    """Each way to take them apart, of each header; a name with two values is an error, whatever is asked."""
    requests = [Request(), cookies("a=x", "a=x"), cookies("a=x", "b=y"), *map(cookies, COOKIES)]
    tally = Tally()
    for at, asked in enumerate(ASKED):
        if (at + len(way)) % 3:
            continue
        one = subject(issuers, way, asked)
        bed.load(one)
        for difference in compare(bed, one, requests, tally):
            raise AssertionError("\n".join((summary(difference), way, asked, *lines(difference))))
        assert all(each.native or each.conditional for each in one.enforcement.coverage), asked
    assert tally.residual < 0.4 * tally.pairs, tally


OF_QUERIES = (
    'c := {k: v | some p in split(split(http.path, "?")[1], "&"); [k, v] := split(p, "=")}',
    """q := split(http.path, "?")[1]
c[kv[0]] := kv[1] if { some p in split(q, "&"); kv := split(p, "="); count(kv) == 2 }""",
)
QUERIES = (
    "",
    "?",
    "?a=x",
    "?a=x&b=y",
    "?b=y&a=x",
    "?a=%78",
    "?a=x?a=y",
    "?a=x?b=1&c",
    "?a=x&a=x",
    "?a=x&a=y",
)
QUERIES += (
    "?a",
    "?a=",
    "?a=x=",
    "?=x",
    "?&a=x&",
    "?a=x;b=y",
    "?a+b=1&a=x",
    "?c=1&c=2",
    "??a=x",
    "?a=x#y",
    "?A=x",
)
ODD = ("?a=x&b=\u00fc", "?a=x ", "? a=x", "?a=x\t", "?a=\u00fc")


@pytest.mark.parametrize("way", OF_QUERIES)
def test_an_object_of_the_query(bed: Bed, issuers: Issuers, way: str) -> None:
    """Taken apart by hand, so that nothing is decoded: the same of what stands behind the question mark."""
    requests = [Request(target=f"/a{each}") for each in QUERIES]
    requests += [Request(target=f"/a{each}", http2=True) for each in (*QUERIES, *ODD)]
    tally = Tally()
    for asked in (*ASKED[:6], 'c.a == http.headers["x-a"]', "count(c) == 1", "c == {}"):
        one = subject(issuers, f"{way}\n", asked)
        bed.load(one)
        for difference in compare(bed, one, requests, tally):
            raise AssertionError("\n".join((summary(difference), way, asked, *lines(difference))))
        assert all(each.native or each.conditional for each in one.enforcement.coverage), asked
    assert tally.residual < 0.4 * tally.pairs, tally


OF_GATHERED = tuple(
    f"{no}{asked}"
    for asked in (
        'concat(",", {c.a | some part in split(http.path, "/")}) == ""',
        'json.marshal([c.a | some part in split(http.path, "/"); part != ""]) == "[]"',
        'count(concat("", {sprintf("%s-%s", [c.a, x]) | some x in input.parsed_path})) == 0',
        'upper(concat("", {c.a | some name, _ in http.headers; startswith(name, "x-")})) == ""',
    )
    for no in ("", "not ")
)


def test_what_is_gathered_of_an_entry_is_there_without_it(bed: Bed, issuers: Issuers) -> None:
    """Where the header does not name the entry nothing is gathered. That is a value, too: it was taken for
    none, so that what is compared with it held nowhere, and its negation everywhere."""
    requests = [Request(), Request(target="/a/b"), *map(cookies, ("a=x", "b=y", "a=", "a=x; b=y"))]
    for asked in OF_GATHERED:
        one = subject(issuers, WAYS[0], asked)
        bed.load(one)
        for difference in compare(bed, one, requests, Tally()):
            raise AssertionError("\n".join((summary(difference), asked, *lines(difference))))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(WAYS),
    st.lists(st.sampled_from(ASKED), min_size=1, max_size=2, unique=True),
    st.lists(st.text("ab=x; ,\t", max_size=12) | st.sampled_from(COOKIES), min_size=10, max_size=30),
)
def test_generated_cookies(bed: Bed, issuers: Issuers, way: str, asked: list[str], values: list[str]) -> None:
    """Whatever stands in the header, and Envoy is told as it decides."""
    one = subject(issuers, way, "; ".join(asked))
    requests = [cookies(each) for each in values]
    bed.load(one)
    for difference in compare(bed, one, requests, Tally()):
        raise AssertionError("\n".join((summary(difference), way, *asked, *lines(difference))))


def test_other_objects_are_the_engines() -> None:
    """What the reader does not know how to take apart it is not given."""
    ways = (
        'c := {k: v | some p in split(h, "; "); [k, v] := split(p, ":")}',
        'c := {k: v | some p in split(h, "; "); [v, k] := split(p, "=")}',
        'c := {k: v | some p in split(h, "; "); [k, v] := split(lower(p), "=")}',
        'c := {lower(k): v | some p in split(h, "; "); [k, v] := split(p, "=")}',
        'c := {k: lower(v) | some p in split(h, "; "); [k, v] := split(p, "=")}',
        'c := {k: v | some p in split(h, "; "); [k, v, _] := split(p, "=")}',
        'c := {k: v | some p in split(h, "; "); [k, v] := split(p, "="); v != "x"}',
        'c := {k: v | some p in split(h, "; "); [k, v] := split(p, "="); not http.headers[k]}',
        'c := {k: v | some i, p in split(h, "; "); [k, _] := split(p, "="); v := i}',
        'c := {k: v | some p in split(h, "\u00fc"); [k, v] := split(p, "=")}',
        'c := {k: v | some p in split(h, ""); [k, v] := split(p, "=")}',
    )
    for way in ways:
        policy = rego.compile({"p.rego": f"{HEAD}{way}\nallow if c.a"})
        outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
        made = [
            part
            for case in outcome.cases
            for symbol in symbols(case.condition)
            for part in subterms(symbol)
            if isinstance(part, Apply) and part.name == OBJECT
        ]
        assert made, way
        assert all(document_of(each) is None for each in made), way
