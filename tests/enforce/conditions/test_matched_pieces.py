"""What patterns of a policy find in pieces of split texts: native, and as the evaluator decides."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
h := http.headers["x-t"]
"""
PATTERNS = (
    *("Subject=.{0,3}CN=(a.b|c)", "^URI=spiffe://a/[^/]+$", "(?i)cn=[^a]", "x.*y", "^[a-z]+$", "b$|c"),
    *("^$", "\\\\Wb", "^(read|write)$"),
)
IDIOMS = tuple(
    way.format(text=text, mark=mark, pattern=pattern)
    for text, mark in (("h", ";"), ("claims.t", " "), ("h", ","))
    for pattern in PATTERNS
    for way in (
        "some s in split({text}, `{mark}`); regex.match(`{pattern}`, s)",
        "every s in split({text}, `{mark}`) {{ not regex.match(`{pattern}`, s) }}",
        "every s in split({text}, `{mark}`) {{ regex.match(`{pattern}`, s) }}",
    )
)
PIECES = (
    *('Subject="CN=a.b', "Subject=/CN=axb", "Subject= CN=", "URI=spiffe://a/b", "URI=spiffe://a/b/c"),
    *("cn=b", "CN=a", "CN=", "x", "y", "xy", "x y", "x,y", "x;y", "abc", "b", "c", "", ".b", "read", "write"),
    *("bread", "\u00fc", "x\u00fcy", "CN=\u212a", "x\ty", "0" * 3000),
)
TOGETHER = tuple(zip(PIECES, PIECES[7:], strict=False))
VALUES = (*PIECES, *(f"{one}{mark}{other}" for mark in ";, " for one, other in TOGETHER))
LONG = ";".join(["q1"] * 40 + ["xAy"])


def _asked() -> list[Request]:
    found = [Request("GET", "/", (("x-t", each),), Token("corp", {"t": each})) for each in (*VALUES, LONG)]
    found += [Request("GET", "/", (("x-t", one), ("x-t", "x")), None) for one in ("read", "a;b", "")]
    odd = (7, None, ["x"], {}, "a\nb", "a\n;read")
    return found + [Request("GET", "/", (), Token("corp", {"t": each})) for each in odd]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_patterns_in_pieces(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of pieces in which a pattern is found, and of those that it would only reach over a mark."""
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=HEAD), _asked(), residual=0.3)
