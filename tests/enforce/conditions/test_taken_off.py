"""Texts without space around or escapes and parts of texts, counted, compared and read as numbers: native and
exact."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
h := http.headers["x-t"]
u := http.headers["x-u"]
q := input.parsed_query.t[0]
"""
TEXTS = ("h", "claims.t", "q", "path[0]")
TRIMMED = (
    *(f"count(trim_space({{}})) {test}" for test in ("> 0", "== 0", "!= 2", "< 4000", ">= 3")),
    "trim_space({}) == u",
    "not trim_space({}) == u",
    "startswith(http.path, sprintf(`/%s`, [trim_space({})]))",
    "lower(u) == lower(trim_space({}))",
)
PARTS = (
    "substring({}, 0, 2) == u",
    "not substring({}, 1, -1) == u",
    "to_number(substring({}, 1, 2)) >= 20",
    "not to_number(substring({}, 0, 2)) > 11",
    "to_number(substring({}, 0, 1)) == to_number(u)",
    "to_number(trim_prefix({}, `t`)) == claims.n",
    "to_number(trim_prefix({}, `t`)) == to_number(u)",
    "count(substring({}, 1, 3)) == 2",
)
COUNTED = (
    *(f"count(replace({{}}, ` `, ``)) {test}" for test in ("== 2", "!= 2", "> 1", "<= 1", ">= 3", "< 0")),
    "count({}) == 2",
    "not count({}) > 2",
)
UNESCAPED = (
    'regex.match("^[a-z0-9 ]+$", urlquery.decode({}))',
    "contains(urlquery.decode({}), ` `)",
    'not startswith(lower(urlquery.decode({})), "a")',
    "urlquery.decode({}) in [`a`, `12`, `a b`, `a/b`]",
    "not urlquery.decode({}) == `a`",
    "urlquery.decode({})",
    "count(split(urlquery.decode({}), ` `)) == 2",
    "urlquery.decode({}) == u",
    "not urlquery.decode({}) == u",
)
IDIOMS = (
    *(each.format(text) for text in TEXTS for each in PARTS),
    *(each.format(text) for text in TEXTS[:2] for each in (*TRIMMED[:-1], *COUNTED)),
    *(each.format("q") for each in COUNTED[-2:]),
    *(each.format(text) for text in ("h", "claims.t", "http.path") for each in UNESCAPED),
)
VALUES = (
    *("a%20b", "a+b", "a%2fb", "a%zz", "%61", "+"),
    *(
        "",
        " ",
        "a",
        " a",
        "a ",
        "\ta b\t",
        "12",
        "t12",
        "112",
        "1 2",
        " 12 ",
        "1 2 3",
        "12a",
        "x20",
        "9",
        "t",
    ),
    *(
        "\u00a0a",
        "a\u2003",
        "\u00a0",
        "\u0085",
        "\u00e9a",
        "a\u00e9",
        "t\u0661",
        "1e1",
        "-1",
        "tt1",
        "0x1",
        "1_0",
    ),
)


def _asked() -> list[Request]:
    found = []
    for at, value in enumerate(VALUES):
        user = ("a", "12", "1", "", "1 2", "20", "\u00e9", "t")[at % 8]
        plain = value if value.isascii() and value.strip("\t") == value else "t1"
        target = f"/{plain.replace(' ', '%20')}/x?t={plain.replace(' ', '+')}"
        for named in (user, value.strip() if value.isascii() else "a"):
            found.append(Request("GET", target, (("x-t", value), ("x-u", named))))
            token = Token("corp", {"t": value, "n": (12, 1, "1")[at % 3]})
            found.append(Request("GET", target, (("x-u", named),), token))
    odd = [Token("corp", {"t": value, "n": 7}) for value in (7, None, ["a"], {})]
    return found + [
        Request("GET", f"/{t}?t={t}", (("x-u", "7"),), each) for each in odd for t in ("7", "t7", "")
    ]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(2))
def test_what_is_taken_off_is_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int
) -> None:
    """Also of texts with space that is none in ASCII, and of characters that are several bytes."""
    subjects = allowing(IDIOMS[part::2], providers, issuers, head=HEAD)
    judge_natively(bed, subjects, _asked(), residual=0.4)
