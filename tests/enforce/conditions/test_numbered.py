"""Texts with a number of a token in them are compared in the sidecar, as the evaluator compares them."""

from __future__ import annotations

import pytest
from lowered import judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
IDIOMS = tuple(
    f"{no}{test}"
    for no in ("", "not ")
    for test in (
        'http.path == sprintf("/u/%d", [claims.id])',
        'sprintf("%d", [claims.id]) == http.headers["x-id"]',
        'input.parsed_path[1] == sprintf("%d", [claims.id])',
        'startswith(http.path, sprintf("/u/%d/", [claims.id]))',
        'startswith(http.headers["x-id"], sprintf("%d:%s", [claims.id, "7"]))',
        'sprintf("u-%d-%%", [claims.id]) in claims.list',
        'sprintf("%d of %d", [claims.id, 7]) == claims.text',
        'format_int(claims.id, 10) == http.headers["x-id"]',
        "input.parsed_path[1] == format_int(claims.id, 10)",
        'http.path == concat("/", ["", "u", format_int(claims.id, 10)])',
        'startswith(http.path, sprintf("/u/%s/", [format_int(claims.id, 10)]))',
        'format_int(claims.id, 10) in {"7", "12", "07", "-7", "1.0", "9007199254740993"}',
        'data.owners[format_int(claims.id, 10)] == "b"',
        '{"7": "a", "12": "b"}[format_int(claims.id, 10)]',
        "format_int(claims.id, 10)",
    )
)
DATA = {"owners": {"7": "b", "12": "a", "123456789012345": "b"}}
NUMBERS = (0, 1, 7, 12, 10**6, 123_456_789_012_345, 2**53 - 1, 2**53, -7, 7.5, 1e21, "7", None, True, [7])


def _asked() -> list[Request]:
    found = []
    for number in NUMBERS:
        for written in (f"{number}", "7", "07", "12", "9007199254740993", "", "1", "-7", "7.0", "%d"):
            token = Token("corp", {"id": number, "list": ["x", f"u-{written}-%"], "text": f"{written} of 7"})
            for target in (f"/u/{written}", f"/u/{written}/x"):
                if target.isascii() and not {*target} & {*"[]'% "}:
                    found.append(Request("GET", target, (("x-id", written),), token))
            found.append(Request("GET", "/u/%37", (("x-id", f"{written}:7"),), token))
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_texts_with_numbers(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of whole numbers; of others `sprintf` writes something else, which the engine does."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}, DATA), providers, issuers)
        for idiom in IDIOMS
    ]
    judge_natively(bed, subjects, _asked(), residual=0.65)
