"""What policies ask of the body's text itself, whatever its type: words in it, how long it is."""

from __future__ import annotations

import pytest
from documents_asked import in_body, judge
from lowered import judge_reading

from palisade.testing.equivalence import Bed, Issuers, Request, Tally

CONDITIONS = (
    'contains(http.body, "ssn")',
    'not contains(http.body, "ssn")',
    'startswith(http.body, "{"); not endswith(http.body, "}")',
    "regex.match(`(?i)union\\s+select`, http.body)",
    "not regex.match(`^[a-z=&]*$`, http.body)",
    "count(http.body) > 8",
    "count(http.body) <= 3",
    'contains(lower(http.body), "drop k")',
    'lower(http.body) == "drop k"',
    'http.body in {"a=1", "", "ssn"}',
    "http.body",
    "not http.body",
    "http.body == input.parsed_body.a",
    "http.body == http.headers[`x-a`]",
    'some word in ["ssn", "<"]; contains(http.body, word)',
    "input.parsed_body.a[0]; contains(http.body, `a=`)",
    'split(http.body, "=")[1] == "1"',
)
TEXTS = ("", "x", "ssn", "my ssn is 1", "a=1", "a=1&b=ssn", '{"a": "ssn"}', '{"a": 1}', '{"a": 1', "[]")
TEXTS += (
    "Union \n Select",
    "DROP K",
    "drop \u212a",
    "dr\u00f6p k",
    "a=%zz",
    "a=1;b=2",
    "<",
    "\x00ssn",
    "ssn\x00",
)
TEXTS += ("ssn\udcff", "\udcffssn", "\u4e2d\u6587\u4e2d\u6587", "\U0001f600ssn")
KINDS = (
    "",
    "text/plain",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/grpc",
)


def _asked() -> list[Request]:
    asked = [in_body(text, kind) for kind in KINDS for text in TEXTS]
    asked += [Request("POST", "/", (), None, text, http2=True) for text in TEXTS[:6]]
    asked += [Request("POST", "/", (), None, "a=1 ssn", chunked=True), Request(), Request(http2=True)]
    asked += [in_body("x" * size + "ssn", kind) for size in (29_996, 29_997, 70_000) for kind in KINDS[:2]]
    return asked


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_is_asked_of_it_is_native(bed: Bed, issuers: Issuers, condition: str) -> None:
    """Of JSON, forms and other texts, of all characters; what is no text, or not of its type, is the
    engine's."""
    tally, asked = Tally(), _asked()
    judge(bed, issuers, f"allow if {{ {condition} }}", asked, tally)
    assert tally.native > 0.5 * len(asked), tally


def test_usual_bodies_need_no_engine(bed: Bed, issuers: Issuers) -> None:
    """And `palisade explain` tells what becomes of them."""
    asked = [in_body(text, kind) for kind in KINDS[:2] for text in ("x", "a=1", "dr\u00f6p", "")]
    asked += [in_body('{"a": "\u00f6"}'), in_body("a=1&b=2", KINDS[3]), Request(), Request("GET", "/x")]
    subject = judge(bed, issuers, 'allow if not contains(http.body, "ssn")', asked, Tally())
    assert [seen.asked for seen in bed.ask(asked) if seen] == [False] * len(asked)
    judge_reading(bed, subject, asked)
