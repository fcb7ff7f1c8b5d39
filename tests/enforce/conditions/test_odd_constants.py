"""Constants of a type or a size that an expression does not expect: of data no type is known beforehand."""

from __future__ import annotations

import pytest
from lowered import judge, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
DATA = {
    "yes": True,
    "no": False,
    "none": -1,
    "half": 1.5,
    "far": 2**63,
    "near": 2**63 - 1,
    "numbers": [10**23, 10**22, 0.1],
}
OF_BOOLEANS = (
    *(f'{no}split(http.headers["x-a"], ",")[data.{at}] == "a"' for at in DATA for no in ("", "not ")),
    'split(http.headers["x-a"], ",")[data.yes] == claims.c',
    "count(array.slice(input.parsed_path, data.yes, 2)) == 1",
    'array.slice(input.parsed_path, data.no, 2)[0] == "a"',
    'array.slice(input.parsed_path, 0, 2)[data.yes] == "a"',
    "array.reverse(claims.list)[data.no] == 2",
    'substring(http.headers["x-a"], 0, data.yes) == "a"',
    'regex.find_n("[a-z]", http.headers["x-a"], data.yes)[0] == "a"',
    "claims.n % data.yes == 0",
    "claims.n / data.yes == 1",
    "claims.n + data.yes == 2",
    "sum([claims.n, data.no]) == 1",
    "some at, _ in claims.list; at > data.no",
    "some at, _ in claims.list; at == data.no",
    "some at, each in claims.list; claims.list[at + data.yes] == each + 1",
    "time.clock(time.now_ns())[data.no] >= 0",
)
"""A boolean is no number, though Python takes it for 0 or 1: what calculates with it is undefined."""
LISTS = (
    *("input.parsed_path", "array.slice(input.parsed_path, 1, 3)", "array.slice(input.parsed_path, -1, 3)"),
    *(
        'split(http.headers["x-a"], ",")',
        "claims.list",
        "array.slice(claims.list, 1, 2)",
        "sort(claims.list)",
    ),
    *("array.reverse(claims.list)", "array.reverse(input.parsed_path)", "time.clock(time.now_ns())"),
    *('regex.find_n("[a-z]", http.headers["x-a"], -1)', "array.concat(claims.list, input.parsed_path)"),
)
OF_PLACES = (
    *(f"{no}{each}[data.{at}]" for each in LISTS for at in ("none", "half", "far") for no in ("", "not ")),
    *(
        f"{no}{each}"
        for size in ("half", "far", "near")
        for each in (
            f'substring(http.headers["x-a"], 0, data.{size}) == "a"',
            f'substring(http.headers["x-a"], data.{size}, -1) != "a"',
            f'regex.find_n("[a-z]", http.headers["x-a"], data.{size})[0] == "a"',
            f'regex.find_all_string_submatch_n("[a-z]", http.headers["x-a"], data.{size})[0][0] == "a"',
            f"count(array.slice(input.parsed_path, 0, data.{size})) > 0",
            f"array.slice(claims.list, data.{size}, 2) == []",
            f'some each in array.slice(input.parsed_path, data.{size}, 2); each == "a"',
        )
        for no in ("", "not ")
        if not (no and each.startswith("some"))
    ),
)
"""No array has a member at such a place, whatever part of another it is; and no builtin takes a number that
is not whole, or has more than 64 bits, for a place or a length."""
LARGE = (1e300, -(10**30), 2**63 - 1, 2**63, -(2**63) - 1, 2**40, 10**400)
OF_TIMES = (
    *(
        f"time.{part} {sign} {limit}"
        for part in ("clock(time.now_ns())[1]", 'date([time.now_ns(), "Europe/Berlin"])[0]')
        for sign in ("<", "<=", ">", ">=", "==", "!=")
        for limit in map(rego.text.dumps, LARGE)
    ),
    *(f"time.now_ns() {sign} {rego.text.dumps(limit)}" for sign in ("<", ">", "==") for limit in LARGE),
)
NUMBERS = (0.1, 2.5, 2**53, 2**53 + 1, 2**63, 10**22, 10**23, 10**24, 3 * 10**23, 5e-324, 1.5e300, 10**300)
"""Whole numbers of which some are no double: a claim is the double next to it, and so another number."""
SIGNS = ("==", "!=", "<", ">=")
OF_NUMBERS = (
    *(f"claims.n {sign} {rego.text.dumps(each)}" for sign in SIGNS for each in NUMBERS),
    *(f"not claims.n == {rego.text.dumps(each)}" for each in NUMBERS),
    *(f"{each} {sign} {10**400}" for each in ("claims.n", "max(claims.list)") for sign in SIGNS),
    *(f"claims.list[0] == {rego.text.dumps(each)}" for each in NUMBERS),
    *(f"{no}{rego.text.dumps(each)} in claims.list" for each in NUMBERS for no in ("", "not ")),
    *(f"claims.list == [{rego.text.dumps(each)}]" for each in NUMBERS),
    *(f"claims.list[{at}] == 1" for at in (2**63 - 1, 2**63, -(2**63), -(2**63) - 1)),
    "claims.n in data.numbers",
    'not claims.n in {1e23, "a"}',
    '{1e22: "a", 1e23: "b", 0.1: "c"}[claims.n] in {"a", "b"}',
)
OF_SEGMENTS = tuple(
    f"{no}{each}"
    for each in (
        *(
            'input.parsed_path[0] == "a/b"',
            'input.parsed_path[1] == "b/c"',
            'input.parsed_path[0] in {"a/b", "x"}',
        ),
        *(
            'input.parsed_path == ["a/b"]',
            'input.parsed_path == ["a", "b/c"]',
            'input.parsed_path == ["", "b"]',
        ),
        *('some part in input.parsed_path; part == "a/b"', '"b/c" in input.parsed_path'),
        *('split(http.path, "/")[1] == "a/b"', 'split(http.headers["x-a"], ",")[0] == "a,b"'),
        *('split(http.headers["x-a"], ",") == ["a,b"]', '"a,b" in split(http.headers["x-a"], ",")'),
        *('split(claims.c, ",")[1] in {"b,c", "x"}', 'input.parsed_query.a[0] == "1&b=2"'),
        *(
            f'count(split({text}, ",")) {test}'
            for text in ('http.headers["x-a"]', "claims.c")
            for test in ("== 2", "< 2")
        ),
        *('"a=1" in object.keys(input.parsed_query)', 'startswith(input.parsed_path[0], "a/b")'),
    )
    for no in ("", "not ")
    if not (no and each.startswith("some"))
)
"""No piece of a text has the mark in it at which that is split; the first and the last may be empty."""
BYTES = 'base64.decode("/w==")'
OF_BYTES = tuple(
    f"{no}{each}"
    for each in (
        *(
            f"{text} == {BYTES}"
            for text in ("http.path", 'http.headers["x-a"]', "claims.c", "claims.list[0]")
        ),
        *(f"{text} in {{{BYTES}, 1, 2, 3, 4, 5}}" for text in ('http.headers["x-a"]', "claims.list[0]")),
        *(f"startswith({text}, {BYTES})" for text in ("http.path", 'http.headers["x-a"]', "claims.c")),
        *(f"contains(claims.c, {BYTES})", f'trim_prefix(http.headers["x-a"], {BYTES}) == "a"'),
        *(f"{BYTES} in claims.list", f"claims.list == [1, {BYTES}]", f"claims == {{{BYTES}: 1}}"),
        *(f"claims[{BYTES}] == 1", f'http.headers[{BYTES}] == "a"'),
        f'sprintf("%s:%s", [{BYTES}, claims.c]) == http.path',
        'concat(":", [base64url.decode(http.method), http.method]) in claims.list',
    )
    for no in ("", "not ")
)
"""What is decoded may be no UTF-8, in which Envoy is told of constants."""
WITH_MARKS = [
    Request("GET", path, (("x-a", text),), Token("corp", {"c": text}))
    for path in (
        "/a/b",
        "/a/b/c",
        "/a",
        "//b",
        "/?a=1&b=2",
        "/?a=1%26b=2",
        "/a/b?a=1",
        "/x",
    )
    for text in ("a,b", "a,b,c", "a", "x,x", ",a", ",", "")
]
ASKED = [
    *(
        Request("GET", path, (("x-a", text),), Token("corp", {"n": n, "c": c, "list": [1, 2]}))
        for path in ("/a/a", "/b/a", "/a")
        for text in ("a,b", "b,a", "a", "")
        for n, c in ((1, "a"), (True, "b"), (0, 1))
    ),
    Request(),
]
WITH_NUMBERS = [
    Request(token=Token("corp", {"n": each, "list": [each]})) for each in (*NUMBERS, -(10**23), 1)
]


@pytest.mark.long
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        *((OF_BOOLEANS, ASKED), (OF_PLACES, ASKED), (OF_TIMES, ASKED), (OF_NUMBERS, WITH_NUMBERS)),
        *((OF_SEGMENTS, WITH_MARKS), (OF_BYTES, ASKED)),
    ],
    ids=("booleans", "places", "times", "numbers", "segments", "bytes"),
)
def test_constants_that_no_author_means(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, rules: tuple[str, ...], asked: list[Request]
) -> None:
    """An index that was a boolean was that number to the sidecar, which allowed what Rego does not; so was
    one before the beginning of a part of the path what stands there in the whole. Times
    beside a number of more than 64 bits ended compiling in an error, and so did bytes that are no text. A
    claim was 1e23 where it is the whole number next to that."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {rule} }}"}, DATA), providers, issuers)
        for rule in rules
    ]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.pairs == len(rules) * len(asked)
