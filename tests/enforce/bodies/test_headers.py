"""Loops over all headers, by their names and values, are decided in the sidecar, as the evaluator decides."""

from __future__ import annotations

import pytest
from effort import examples_asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowered import subject_of

from palisade import rego
from palisade.explain.sidecar import decided, sight
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

EXAMPLES = examples_asked(40)
HEAD = """package p
import input.attributes.request.http
"""

TEXTS = (
    "x-a-",
    "x-a-b",
    "X-A-",
    "x",
    "",
    "a",
    "A",
    "a,b",
    "b",
    "<",
    "cookie",
    ":path",
    "/p",
    "\u00fc",
    "x-envoy-",
)
ASKED = (
    'some n, _ in http.headers; startswith(n, "x-a-")',
    'some n in object.keys(http.headers); n in {"x-a-b", "x-b"}',
    'not "x-a-b" in object.keys(http.headers); http.headers["x-b"]',
    'every n in object.keys(http.headers) { not startswith(n, "x-a-") }',
    'every v in http.headers { not contains(lower(v), "<") }',
    'some n, v in http.headers; startswith(n, "x-a-"); v == "a"',
    'some n, v in http.headers; endswith(n, "-b"); not v in {"a", "b"}; n != "x-b"',
    'some v in http.headers; v == "a,b"',
    'some v in http.headers; contains(v, "/p?q")',
    'some p in {"x-a-", "x-c-"}; some n, _ in http.headers; startswith(n, p)',
    'some n, _ in http.headers; strings.any_prefix_match(n, ["x-a-", "x-c-"])',
    'some n, v in http.headers; strings.any_suffix_match(v, "/p?q")',
    'count({n | some n, _ in http.headers; startswith(n, "x-a-")}) == 0',
    'startswith(http.headers[name], "a"); startswith(name, "x-a-")',
    'some n, v in http.headers; startswith(n, "x-a-"); n == lower(v)',
    'some n, _ in http.headers; n == "x-palisade-chunks"',
    'some n, _ in http.headers; startswith(n, "x-palisade-")',
    'some n, _ in http.headers; startswith(n, "x-envoy-auth-")',
    'some n, v in http.headers; startswith(n, "x-envoy-auth-"); v == "a"',
    'not http.headers["x-envoy-auth-partial-body"]',
    'some n, _ in http.headers; startswith(n, "x-a-"); http.method == "POST"',
    'some n, _ in http.headers; startswith(n, "x-a-"); input.parsed_body.a == 1',
    "some n, v in http.headers; v == 7",
    "count(http.headers) > 8",
    "not count(http.headers) >= 9",
    "count(http.headers) < 60; http.headers[`x-a-b`]",
    "count(http.headers) == 12",
    "count(http.headers) != 7",
    "count(object.keys(http.headers)) > 20",
    'every _, v in http.headers { v != "" }',
    "some n, v in http.headers; count(v) > 20",
    "every v in http.headers { count(v) <= 14 }",
    'some n, v in http.headers; startswith(n, "x-a-"); count(v) < 2',
    'some n, v in http.headers; startswith(n, "x-a-"); not count(v) >= 3; v != "a"',
    "some n, _ in http.headers; count(n) > 27",
    'count({sprintf("%s is long", [n]) | some n, v in http.headers; count(v) > 14}) == 0',
    '{lower(n): v | some n, v in http.headers}["x-a-b"] == "a"',
    'h := {lower(n): lower(v) | some n; v := http.headers[n]}; object.get(h, "x-a-b", "b") == "b"',
    'h := {n: v | some n, v in http.headers; v != "a"}; not h["X-A-B"]; not h["x-a-b"]',
    'some n, v in http.headers; lower(n) == "x-b"; v != "a"',
    'count({concat("", ["-", n]) | some n, v in http.headers; n != "x-b"; endswith(v, "b")}) == 0',
)


def _of(*headers: tuple[str, str], target: str = "/", body: str = "", http2: bool = False) -> Request:
    return Request("POST" if body else "GET", target, headers, body=body, http2=http2)


JSON = ("content-type", "application/json")
REQUESTS = (
    _of(),
    *(
        _of((name, value))
        for name in ("x-a-b", "x-a-", "X-A-C", "x-b", "xx-a-")
        for value in ("a", "A", "", "b")
    ),
    _of(("x-a-b", "a"), ("x-a-b", "b")),
    _of(("x-b", "a"), ("x-c", "<"), ("x-b", "b")),
    _of(("x-b", " a ")),
    _of(("x-b", "\ta"), http2=True),
    _of(("x-a-b", " a"), ("x-a-b", "b "), http2=True),
    _of(("x-b", "\u00fc")),
    _of(("x-a-b", "\u00fc")),
    _of(("cookie", "a=1"), ("cookie", "b=<"), http2=True),
    _of(("cookie", "a=1"), ("cookie", "b=<")),
    _of(target="/p?q"),
    _of(target="/p?q=%3C"),
    _of(("x-palisade-chunks", "a")),
    _of(("x-palisade-explain", "a")),
    _of(("x-envoy-auth-partial-body", "a")),
    _of(*((f"x-c-{at}", "a") for at in range(60))),
)

BODIES = (
    _of(JSON, body='{"a": 1}'),
    _of(JSON, ("x-a-b", "a"), body='{"a": 1}'),
    _of(JSON, ("x-a-b", "a"), body='{"a": 2}'),
    _of(JSON, ("x-a-b", "a"), body="{"),
    _of(JSON, ("x-a-b", "\u00fc"), body='{"a": 1}'),
)
"""Of the body's own errors the engine hears only where a policy reads bodies."""


def subject(issuers: Issuers, asked: str) -> Subject:
    return subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {asked} }}"}), (), issuers)


def _compared(bed: Bed, issuers: Issuers, asked: str, requests: list[Request], tally: Tally) -> Subject:
    one = subject(issuers, asked)
    bed.load(one)
    for difference in compare(bed, one, requests, tally):
        raise AssertionError("\n".join((summary(difference), asked, *lines(difference))))
    return one


OTHERWISE = (
    'some n, _ in http.headers; startswith(upper(n), "X-A-")',
    'some n, v in http.headers; startswith(n, "x-a-"); trim_space(v) == "a"',
    'some n, v in http.headers; concat("", [n, v]) == "x-ba"',
    "some n, _ in http.headers; endswith(http.path, n)",
    'some n, v in http.headers; startswith(n, "x-a-"); count(v) == 1',
    'every n, v in http.headers { not startswith(upper(n), "X-A-"); lower(upper(v)) != "b" }',
)


@pytest.mark.parametrize("asked", OTHERWISE)
def test_what_else_is_made_of_names_and_values(bed: Bed, issuers: Issuers, asked: str) -> None:
    """The reader of headers asks of them as they are, and in small letters: all else is the engine's."""
    one = _compared(bed, issuers, asked, list(REQUESTS), Tally())
    assert not any(each.native for each in one.enforcement.coverage)


@pytest.mark.parametrize("asked", ASKED)
def test_a_condition_on_all_headers(bed: Bed, issuers: Issuers, asked: str) -> None:
    """Each as the evaluator decides, also on headers there twice, with space around, or Envoy's own."""
    requests = [*REQUESTS, *(BODIES if "parsed_body" in asked else ())]
    _compared(bed, issuers, asked, requests, tally := Tally())
    if "envoy-auth" not in asked and "lower(v)" not in asked.partition("==")[2]:
        assert tally.residual < 0.3 * tally.pairs, tally


_test = st.builds(
    lambda of, kind, text, no: f"{no}{kind.format(of, text)}",
    st.sampled_from(("n", "v", "lower(v)")),
    st.sampled_from(
        (
            *('startswith({}, "{}")', 'endswith({}, "{}")', 'contains({}, "{}")', '{} == "{}"', '{} != "{}"'),
            *('{} in {{"a", "x-b", "{}"}}', 'strings.any_prefix_match({}, ["x-c", "{}"])'),
        )
    ),
    st.sampled_from(TEXTS),
    st.sampled_from(("", "", "not ")),
)
_drawn = st.builds(
    lambda form, tests: form.format("; ".join(tests)),
    st.sampled_from(
        (
            "some n, v in http.headers; n != v; {}",
            "every n, v in http.headers {{ n != v; {} }}",
        )
    ),
    st.lists(_test, min_size=1, max_size=3),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    _drawn,
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(("x-a-b", "x-a-", "x-b", "a", "X-A-C", "cookie")), st.sampled_from(TEXTS)
            ),
            max_size=3,
        ),
        min_size=8,
        max_size=16,
    ),
)
def test_drawn_conditions(
    bed: Bed, issuers: Issuers, asked: str, headers: list[list[tuple[str, str]]]
) -> None:
    """Whatever is asked of names and values together, also where nothing has it."""
    _compared(bed, issuers, asked, [_of(*each) for each in headers], Tally())


def test_explanations_read_headers_as_the_sidecar_does(issuers: Issuers) -> None:
    asked = (
        'some n, v in http.headers; startswith(n, "x-a-"); lower(v) in {"a", "b"}; count(http.headers) < 9'
    )
    one = subject(issuers, asked)
    snapshot = one.enforcement.snapshot

    def reading(*headers: tuple[str, str]) -> tuple[bool, bool]:
        http = {"method": "GET", "path": "/", "host": "a", "headers": {":method": "GET", **dict(headers)}}
        read = decided(snapshot, sight(snapshot, {"attributes": {"request": {"http": http}}}))
        return read.allowed, read.asks

    assert reading(("x-a-b", "A")) == (True, False)
    assert reading(("x-a-b", "c"), ("x-b", "a")) == (False, False)
    assert reading(("x-a-b", "a"), ("x-b", "\u00fc"))[1]
    assert reading(("x-a-b", "a"), *((f"x-c-{at}", "a") for at in range(9))) == (False, False)
