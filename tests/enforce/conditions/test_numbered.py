"""Texts with a number of a token in them are compared in the sidecar, as the evaluator compares them."""

from __future__ import annotations

import pytest
from lowered import allowing, judge, judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

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


BESIDE = tuple(
    f"{no}{test}"
    for no in ("", "not ")
    for test in (
        'http.path == sprintf("/t/%s/u/%d", [claims.t, claims.id])',
        'http.path == sprintf("/t/%s%d", [claims.t, claims.id])',
        'http.path == sprintf("/t/%s/%d%%x", [claims.t, claims.id])',
        'http.path == sprintf("/%d/t/%s", [claims.id, claims.t])',
        'http.path == sprintf("/%d/t/%s/%v", [claims.id, claims.t, claims.t])',
        'startswith(http.path, sprintf("/%d/t/%s", [claims.id, claims.t]))',
        'startswith(http.path, sprintf("/t/%s/u/%d", [claims.t, claims.id]))',
        'concat("/", ["", "t", claims.t, "u", format_int(claims.id, 10)]) == http.path',
        'sprintf("%s:%d", [claims.t, claims.id]) == http.headers["x-id"]',
        'count([1 | some row in claims.rows; http.path == sprintf("/t/%s/u/%d", [row.t, row.id])]) > 0',
        'http.headers["x-id"] == sprintf("%d:%s:%d", [claims.id, claims.t, claims.id])',
    )
)


def _asked_beside() -> list[Request]:
    found = [Request("GET", "/t/a/u/7", (("x-id", "a:7"),))]
    texts = ("a", "", "7", "a/u/7", "7/t/a", "a:7", "a/u", "é", "a\\1", "\\", ".*", "a%x", 7, None, ["a"])
    for at, number in enumerate(NUMBERS):
        for place, text in enumerate(texts):
            shown = str(text).replace("é", "%C3%A9").replace(" ", "%20")
            written = (f"{number}", "7", "07", "12")[(at + place) % 4].replace(" ", "%20")
            rows = [{"t": "b", "id": 3}, {"t": text, "id": number}, 7]
            token = Token("corp", {"id": number, "t": text, "rows": rows})
            key = (f"{text}:{written}", f"{written}:{text}:{written}")[at % 2]
            headers = (("x-id", key.strip()),) if key.isascii() else ()
            ends = ("", "x", "/x", "8")
            for path in (
                f"/t/{shown}/u/{written}{ends[at % 4]}",
                f"/{written}/t/{shown}{ends[place % 3]}",
                (f"/t/{shown}{written}", f"/t/{shown}/{written}%x", f"/{written}/t/{shown}/{shown}")[at % 3],
            ):
                found.append(Request("GET", path, headers, token))
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_texts_with_numbers_beside_other_values(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Where the number comes first or last, and so its place is known, whatever digits the others have."""
    unknown = ('"/t/%s%d"', '"%d:%s:%d"', 'startswith(http.path, sprintf("/t/%s')
    others = [each for each in BESIDE if any(part in each for part in unknown)]
    named = [each for each in BESIDE if each not in others]
    judge_natively(bed, allowing(named, providers, issuers, head=HEAD), _asked_beside(), residual=0.75)
    judge(bed, allowing(others, providers, issuers, head=HEAD), _asked_beside()[::3], Tally())
