"""Where a text has a part, and what stands before and behind it: native, and as the evaluator decides."""

from __future__ import annotations

import pytest
from lowered import allowing, judge, judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
h := http.headers["x-t"]
"""
PATH = "path := input.attributes.request.http.path"
IDIOMS = (
    *(
        asked.replace("MARK", f'"{mark}"').replace("SIZE", str(len(mark))).replace("TEXT", text)
        for text in ("h", "claims.t", "http.path")
        for mark in (":", "://", "::")
        for asked in (
            'substring(TEXT, 0, indexof(TEXT, MARK)) in {"a", "", ":", "/a"}',
            'not startswith(substring(TEXT, 0, indexof(TEXT, MARK)), "a")',
            'substring(TEXT, indexof(TEXT, MARK) + SIZE, -1) in {"a", "", "b", ":b"}',
            'startswith(substring(TEXT, SIZE + indexof(TEXT, MARK), -1), "b")',
            'substring(TEXT, indexof(TEXT, MARK) + SIZE, -1) != http.headers["x-u"]',
            "indexof(TEXT, MARK) == 1",
            "indexof(TEXT, MARK) != 2",
            "indexof(TEXT, MARK) > 0",
            "indexof(TEXT, MARK) >= 2",
            "indexof(TEXT, MARK) < 1",
            "indexof(TEXT, MARK) <= 2",
            "0 <= indexof(TEXT, MARK)",
            'i := indexof(TEXT, MARK); i > 0; substring(TEXT, 0, i) == "a"; substring(TEXT, i + SIZE, -1)',
        )
    ),
    'host := substring(h, indexof(h, "://") + 3, -1); substring(host, 0, indexof(host, "/")) == "b"',
)
TEXTS = (
    *(
        "",
        "a",
        ":",
        "::",
        ":::",
        "a:b",
        "a::b",
        "a:::b",
        "a://b",
        "a://b/x",
        "://",
        "://a",
        "ab",
        "abc",
        "ab:",
        "aa:b",
    ),
    *("a:b:c", "a://://b", "\u00e9:b", "\u00e9\u00e9://b", "x://a", "a:/b://c", "a\t:b", "b", ":b", "::b"),
    "x" * 300 + "://b",
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(2))
def test_parts_of_texts_are_found_natively_and_exactly(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int
) -> None:
    subjects = allowing(IDIOMS[part::2], providers, issuers, head=HEAD)
    asked = []
    for text in TEXTS:
        asked.append(Request("GET", "/", (("x-t", text), ("x-u", "a"))))
        asked.append(Request("GET", "/", (("x-t", "a"), ("x-u", "b")), Token("corp", {"t": text})))
        asked.append(Request("GET", f"/{text}".replace("\t", ""), (("x-u", "b"),)))
    asked += [Request("GET", "/", (), Token("corp", {"t": t})) for t in (7, None, ["a"], {"a": 1})]
    asked.append(Request("GET", "/a:\udcff"))
    judge_natively(bed, subjects, asked, residual=0.2)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_numbers_of_other_kinds_are_no_places(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """A boolean, or a fraction, is none in a text."""
    subjects = []
    for at, size in ((False, -1), (0, False), (0, -1.5), (0.5, -1), (0, -1), (True, -1), (1, -2)):
        for asked in (
            'substring(path, data.at, indexof(path, ":")) == "/"',
            'substring(path, indexof(path, ":") + data.at, data.size) == "a"',
            "indexof(path, `:`) >= data.at",
            "indexof(path, `:`) == data.at",
        ):
            policy = rego.compile(
                {"p.rego": f"package p\n{PATH}\nallow if {{ {asked} }}"}, {"at": at, "size": size}
            )
            subjects.append(subject_of(policy, providers, issuers))
    judge(bed, subjects, [Request("GET", path) for path in ("/:a", "/", "/a:a", "/:")], Tally())
