"""Two texts with folded letters are compared in the sidecar, as the evaluator compares them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
h := http.headers["x-t"]
segment := input.parsed_path[0]
parameter := input.parsed_query.t[0]
piece := split(http.path, "/")[1]
member_is(text) if { some t in claims.list; lower(t) == lower(text) }
"""
IDIOMS = tuple(
    f"{no}{test}"
    for no in ("", "not ")
    for test in (
        "lower(claims.t) == lower(segment)",
        "upper(claims.t) == upper(segment)",
        "lower(claims.t) == lower(parameter)",
        "lower(h) == lower(segment)",
        "lower(segment) == lower(parameter)",
        "lower(segment) == claims.t",
        "startswith(lower(segment), lower(parameter))",
        "lower(segment) in claims.list",
        'sprintf("%s:%s", [lower(piece), "x"]) == lower(sprintf("%s:%s", [h, "x"]))',
        "member_is(h)",
        "member_is(segment)",
    )
)
TEXTS = ("alice", "Alice", "ALICE", "al", "", "a.b@c", "\u00e9t\u00e9", "\u212aelvin", "kelvin")
OTHERS = (7, True, None, ["alice"], {"t": "alice"})


def _asked() -> list[Request]:
    found = []
    for at, text in enumerate((*TEXTS, *OTHERS)):
        for other in TEXTS[:7]:
            token = Token("corp", {"t": text, "list": [TEXTS[at % len(TEXTS)], text, "bob"]})
            for here in (other if other.isascii() else "alice", "Alice", "alice"):
                found.append(Request("GET", f"/{here}?t={here[:2]}", (("x-t", other),), token))
    found.append(Request("GET", "/alice?t=Alice", (("x-t", "ALICE"),)))
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_two_folded_texts(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of a segment, a parameter or a member Envoy folds no letters: it is compared where these are folded
    already, and others are the engine's. What is no text has no letters."""
    subjects = allowing(IDIOMS, providers, issuers, head=HEAD)
    judge_natively(bed, subjects, _asked(), residual=0.7)


MATCHED = (
    'regex.match("^s$", lower(trim_prefix(claims.t, "x")))',
    'regex.match("^k$", lower(trim_prefix(claims.t, "x")))',
    'not regex.match("^s$", lower(split(claims.t, ":")[1]))',
    'not regex.match("^s$", lower(trim_space(claims.t)))',
    'some t in claims.list; regex.match("^s$", lower(t))',
    'some t in split(claims.t, ":"); regex.match("^s$", lower(t))',
    'every t in claims.list { not regex.match("^[r-t]$", lower(t)) }',
    'regex.match("^s$", lower(claims.list[0]))',
    'regex.match("s$", lower(http.path))',
    'regex.match("^s$", lower(segment))',
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_letters_that_only_patterns_take_for_small_ones(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """A pattern that Envoy matches in any case takes the long s for an `s`, which `lower` leaves as it is."""
    texts = ("xs", "xS", "x\u017f", "s", "S", "\u017f", "a:\u017f", "a:S", "\u212a", "xK", "x\u212a", "t")
    asked = [
        Request("GET", f"/{quote(text)}", (), Token("corp", {"t": text, "list": [text[-1]]}))
        for text in texts
    ]
    judge_natively(bed, allowing(MATCHED, providers, issuers, head=HEAD), asked, residual=0.6)
