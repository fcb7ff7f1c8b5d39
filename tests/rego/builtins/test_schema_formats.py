"""The formats of `json.match_schema`, beside what OPA answers: `@b` was taken for an address of mail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from effort import examples_asked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opa_answers import OpaAnswers

from palisade import rego

SOURCE = """package p

matches := [ok |
	some text in input.texts
	ok := json.match_schema({"of": text}, {"properties": {"of": {"format": input.format}}})[0]
]
"""
ADDRESSES = (
    "a",
    "b",
    ".",
    "@",
    "<",
    ">",
    "(",
    ")",
    '"',
    "\\",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "[",
    "]",
    "1.2.3.4",
    "::1",
)
ADDRESSES += ("ü", "=?utf-8?q?a?=", "=?x?q?a?=", "=?x?q?a", "\n", "a@b", "a@b", "a@b", "\ud7ff")
URLS = (
    "http",
    ":",
    "//",
    "/",
    "a",
    "b.c",
    "@",
    "%20",
    "%z",
    "[",
    "::1",
    "]",
    "80",
    "?",
    "#",
    " ",
    "\\",
    "ü",
    "+",
    "1",
)
MADE_OF: dict[str, tuple[str, ...]] = {
    "email": ADDRESSES,
    "idn-email": ADDRESSES,
    "date": ("2024", "0000", "-", "02", "29", "30", "1", "T", "2023", "9999", "2024-02-", " "),
    "time": (" ", "10", ":", "1", "Z", "z", "+05:00", "-", ".5", ",5", "59", "60", "24", ":00", "10:00:00"),
    "date-time": (
        "2024-02-29",
        "0000-01-01",
        "T",
        "t",
        "10:00:00",
        "1:00:00",
        ".5",
        ",5",
        "Z",
        "+01:00",
        "+1:00",
    ),
    "hostname": ("a", "-", ".", "1", "A", "_", "b" * 62, "ü", "\n"),
    "ipv4": ("1", "0", "255", "256", ".", "1.2.3", ":", "::ffff:", "/", "8"),
    "ipv6": ("1", "ffff", "0", ":", "::", "1.2.3.4", "%", "g", "["),
    "uri": URLS,
    "uri-reference": URLS,
    "iri": URLS,
    "iri-reference": URLS,
    "uri-template": ("http:", "//", "/", "{", "}", "a", "%7B", "%7D", "?", "#", " ", "\\"),
    "uuid": ("01234567", "-89ab", "-89AB", "-89ab-89ab-89ab", "-0123456789ab", "g"),
    "regex": ("a", "(", ")", "?", "=", "[", "]", "*", "{", "}", "1", ",", "\\", "d", "P", "<", ">"),
    "json-pointer": ("/", "~", "0", "1", "a", "#"),
    "relative-json-pointer": ("0", "1", "/", "#", "~", "a"),
    "duration": ("P1D", "x"),
}


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaAnswers]:
    with OpaAnswers() as answers:
        yield answers


@pytest.mark.parametrize("of", MADE_OF)
def test_a_text_is_of_a_format_where_opa_says_so(opa: OpaAnswers, of: str) -> None:
    policy = rego.compile({"p.rego": SOURCE})
    texts = st.lists(st.sampled_from(MADE_OF[of]), max_size=7).map("".join)

    @settings(max_examples=examples_asked(10), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(texts, min_size=50, max_size=100))
    def compared(drawn: list[str]) -> None:
        asked: Any = {"format": of, "texts": [*drawn, 1, None, True, []]}
        ((wanted,),) = opa.ask(SOURCE, asked, ["matches"])
        found = policy.evaluate("data.p.matches", asked)
        assert dict(zip(drawn, found, strict=False)) == dict(zip(drawn, wanted, strict=False))
        assert found == wanted

    compared()
