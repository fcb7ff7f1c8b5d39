"""Long patterns of letters and digits, as identifiers have, on what is cut out of a request."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.enforce.envoy.regex.patterns import of_plain, search
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
TEXTS = (
    "input.parsed_path[1]",
    "input.parsed_path[count(input.parsed_path) - 1]",
    "input.parsed_query.id[0]",
    'split(http.path, "/")[2]',
    'trim_prefix(split(http.headers["x-t"], ":")[1], "+")',
)
PATTERNS = (
    "^[0-9a-f-]{36}$",
    "^[A-Za-z0-9_-]{1,64}$",
    r"^(ord|inv)-[0-9]{4}\.[a-z]{2,40}$",
    r"^\w{1,60}$",
    "^([a-z]{1,40}|[0-9]{1,40})$",
)
IDIOMS = tuple(
    f"{no}regex.match(`{pattern}`, {text})" for no in ("", "not ") for text in TEXTS for pattern in PATTERNS
)
VALUES = (
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "ord-0001.abc",
    "inv-0001.a",
    "a_B-9",
    "a" * 64,
    "a" * 65,
    "7" * 41,
    "%61bc",
    "a%20b",
    "a%2Fb",
    "a+b",
    "a~b",
    "%C3%BC",
    "a.b",
    "",
)


def _asked() -> list[Request]:
    token = Token("corp", {"t": "a"})
    found = []
    for value in VALUES:
        for target in (f"/u/{value}", f"/u/{value}/x?id={value}", f"/u?id={value}&id=a", f"/u/a?id={value}/"):
            found.append(Request("GET", target, (("x-t", f"k:{value}:a"),), token))
    return [*found, Request("GET", "/u?id"), Request("GET", "/u/a/?x=1", (("x-t", "k:+abc"),))]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_long_patterns(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """They are too large for Envoy's expressions, but not for its matchers of the path and of headers."""
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=HEAD), _asked(), residual=0.5)


@pytest.mark.parametrize(
    "pattern",
    [
        *("^[^/]{1,64}$", "^[+-9]{1,64}$", "^[.-a]{40}$", "^[--9]{40}$", "^.{40}$", r"^\S{40}$", r"^\.*$"),
        *("[a-z]{40}", "^[a-z]{40}", "^[a-z]{0,40}$", "^(?i)[a-z]{40}$", "^[a-z/]{40}$", "^[a-z]{40}%$"),
        *("^[[:alpha:]]{40}$", "^a$b{40}$", r"^\Qa\E{40}$", "^(a{40}|)$", r"^[\W]{40}$", "^a{40}|b$"),
    ],
)
def test_what_may_end_a_segment_or_be_escaped_is_left_to_expressions(pattern: str) -> None:
    assert of_plain(search(pattern)) is None
