"""Numbers and versions in texts, texts made of several, pieces of one: native, as the evaluator decides."""

from __future__ import annotations

import itertools

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from lowered import allowing, judge_natively, subject_of
from texts_of_numbers import NUMBERS

from palisade import rego
from palisade.enforce.envoy.regex import numerals, paths
from palisade.policy.providers import Provider
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
"""


def matches(pattern: str, text: str) -> bool:
    return re2.fullmatch(pattern, text) is not None


# The expressions -------------------------------------------------------------------------------------------


@given(st.integers(-10, 10**16), st.integers(0, 10**16))
def test_numbers_are_large_enough(limit: int, number: int) -> None:
    """For every limit and number; longer ones are none that the expression is for."""
    known = len(str(number)) <= numerals.DIGITS
    assert matches(numerals.NUMBER, str(number)) == known
    assert matches(numerals.at_least(limit), str(number)) == (known and number >= limit)


@given(st.integers(0, 99999), st.integers(-300, 300))
def test_numbers_near_the_limit(limit: int, off: int) -> None:
    number = max(limit + off, 0)
    assert matches(numerals.at_least(limit), str(number)) == (number >= limit)


_numbers = st.tuples(*[st.integers(0, 12) | st.integers(0, 10**9 - 1)] * 3)


@given(_numbers, _numbers)
def test_versions_are_high_enough(limit: tuple[int, ...], numbers: tuple[int, ...]) -> None:
    text = ".".join(map(str, numbers))
    assert matches(numerals.version_at_least(limit), text) == (numbers >= limit)
    assert matches(numerals.version_at_least(limit), f"v{text}") == (numbers >= limit)


_odd = st.text("0123456789+-.eExXpPvVinfaN_ \u0661", max_size=8) | st.sampled_from(
    ("", "inf", "NaN", "0x1", "1_0", "0x1p4", "-0x_fp1")
)


@given(_odd)
def test_all_that_is_a_number_may_be_one(text: str) -> None:
    """What the builtin takes is a candidate; what is a number in digits, it takes for that."""
    try:
        number = BUILTINS["to_number"].function(text)
    except BuiltinError:
        number = None
    assert number is None or matches(numerals.MAY_BE_NUMBER, text)
    if matches(numerals.NUMBER, text):
        assert number == int(text)


_version_text = st.lists(
    st.sampled_from(("1", "0", "01", "12", ".", "-", "+", "v", "a", "9" * 20)), max_size=9
).map("".join)


@given(_version_text)
def test_all_that_is_a_version_may_be_one(text: str) -> None:
    known = BUILTINS["semver.is_valid"].function(text)
    assert not known or matches(numerals.MAY_BE_VERSION, text)
    assert known or not matches(numerals.VERSION, text)


@given(
    st.integers(0, 3), st.lists(st.sampled_from(("1", "99", "100", "x", "", "1x")), min_size=1, max_size=5)
)
def test_a_number_in_a_segment_or_a_parameter(index: int, texts: list[str]) -> None:
    """Of the segment or the parameter that is asked, and no further."""
    wanted = index < len(texts) and texts[index].isdigit() and int(texts[index]) >= 99
    assert matches(paths.segment_matched(index, numerals.at_least(99)), "/" + "/".join(texts)) == wanted
    first = texts[0].isdigit() and int(texts[0]) >= 99
    query = "/a?" + "&".join(["b=100", *(f"a={each}" for each in texts)])
    assert matches(paths.first_parameter_matching("a", numerals.at_least(99)), query) == first


# On a real Envoy -------------------------------------------------------------------------------------------

TEXTS = ('http.headers["x-n"]', "claims.n", "path[1]", "input.parsed_query.n[0]")
VERSIONS = (
    "2.4.0",
    "2.4.1",
    "2.3.9",
    "2.10.0",
    "10.0.0",
    "v2.4.0",
    "vv2.4.1",
    "vvv2.4.1",
    "v2.4.0-rc1",
    "2.4",
    "2.4.0-rc1",
    "2.4.0+x",
    "2.04.0",
    "2.4.0.1",
    "1.9.9",
)
VERSIONS += (
    "2.4.00",
    "02.4.0",
    "V2.4.0",
    "2.5.0-",
    "2.4.-1",
    "999999999.0.0",
    "1234567890.0.0",
    "3.0.0-a",
    "",
    "x",
)
OTHERS = ("a", "a:b", "2,4", " 2, 40 ", "4,2", "a, 2", ",", "x\u00e4,2", "\ufb00")
TEXTS_OF_TWO = ("a:b", "a:", ":b", "a:b:c", "GET:users", "GET:", "ab")

IDIOMS = (
    *(
        f"to_number({text}) {sign} {limit}"
        for text in TEXTS
        for sign, limit in itertools.product((">", ">=", "<", "<=", "==", "!="), (0, 3, 100))
    ),
    *(f"to_number({text}) < 2.5" for text in TEXTS),
    *(f"2.5 < to_number({text})" for text in TEXTS),
    *(f"not to_number({text}) > 3" for text in TEXTS),
    *(f"limit := to_number({text}); limit > 0; limit <= 100" for text in TEXTS),
    *(
        *(
            f'parts := [p | some p in split({text}, "{mark}"); p != ""]; to_number(parts[{at}]) {test}'
            for text, mark, at in (
                ("http.path", "/", 1),
                ('http.headers["x-n"]', ".", 0),
                ("claims.n", ".", 1),
            )
            for test in ("== 3", "in {2, 4, 99}", "> 3", "<= 99")
        ),
        "to_number(claims.n) == 1.5",
        "to_number(claims.l[0]) == 1.5",
        'to_number(http.headers["x-n"]) > -1',
        'to_number(http.headers["x-n"]) in {3, 99}',
    ),
    *(
        f'semver.compare({text}, "{version}") {sign} 0'
        for text in TEXTS[:2]
        for version in ("2.4.0", "v2.4.0", "2.9.9")
        for sign in (">", ">=", "<", "<=", "==", "!=")
    ),
    *(
        f'semver.compare("2.4.0", {text}) {test}'
        for text in TEXTS
        for test in ("== 1", "< 0", "<= 0", "!= -1")
    ),
    'not semver.compare(http.headers["x-n"], "2.4.0") >= 0',
    *(
        f'{no}semver.compare({taken}, "2.4.0") {sign} 0'
        for no, sign in (("", ">="), ("", "=="), ("not ", ">"))
        for text in TEXTS[:2]
        for taken in (
            f'trim_prefix({text}, "v")',
            f'trim_left({text}, "v")',
            f'trim_prefix(split({text}, "-")[0], "v")',
        )
    ),
    *(
        f'count(split({text}, "{mark}")) {sign} {number}'
        for text in ('http.headers["x-n"]', "claims.n", "http.path")
        for mark in ("/", ".")
        for sign, number in itertools.product((">", ">=", "<", "<="), (0, 1, 2, 3))
    ),
    *('parts := split(http.path, "/"); count(parts) >= 3; parts[1] == "users"',),
    *(
        f'parts := split({text}, "{mark}"); parts[count(parts) - 1] {test}'
        for text in ('http.headers["x-n"]', "claims.n", "http.path")
        for mark in ("/", ".")
        for test in ('== "0"', '!= "0"', 'in {"", "users", "x"}', '== http.headers["x-m"]')
    ),
    *(
        f"{made} == {value}"
        for made in (
            'sprintf("%s:%s", [http.method, path[0]])',
            'concat(":", [http.headers["x-n"], http.headers["x-m"]])',
            'concat("", [http.headers["x-n"], http.headers["x-m"]])',
            'concat(":", [claims.n, lower(http.headers["x-m"])])',
            'sprintf("%v:%v", [claims.n, http.headers["x-m"]])',
            '$"{http.headers[`x-n`]}:{claims.n}"',
        )
        for value in ('"a:b"', '"GET:users"', '"ab"', '":"', '"3:"', '":b:"')
    ),
    'sprintf("%s%s", [http.method, http.path]) in {"GET/users/1", "PUT/users/2"}',
    'not concat(":", [http.headers["x-n"], http.headers["x-m"]]) in {"a:b", "a:b:c"}',
    *(
        f"some x in split({text}, {mark}); {test}"
        for text in ('http.headers["x-n"]', "claims.n")
        for mark in ('"."', '","')
        for test in (
            'startswith(x, "2")',
            'endswith(x, "0")',
            'contains(x, "4")',
            'startswith(x, "2.")',
            'startswith(trim_space(x), "2")',
            'endswith(trim_space(x), "0")',
            'x in {"2", "4.0", "2.4"}',
            'trim_space(x) in {"2", "40"}',
            "not x in {``, `2`, `4`, `0`}",
            "not trim_space(x) in {`2`, `40`}",
        )
    ),
    'every x in split(http.headers["x-n"], ",") { startswith(x, "2") }',
    'every x in split(claims.n, ".") { x in {"0", "2", "4"} }',
    'not "2" in split(http.headers["x-n"], ",")',
    'some x in split(http.headers["x-n"], ","); not endswith(trim_space(x), "0")',
)


def _asked() -> list[Request]:
    found = []
    for value in (*NUMBERS, *VERSIONS, *OTHERS):
        found.append(Request("GET", "/", (("x-n", value), ("x-m", "0"))))
        found.append(Request("GET", "/", (("x-n", value),), Token("corp", {"n": value, "l": [value]})))
        found.append(Request("GET", f"/users/{value}/x?n={value}".replace(" ", "%20")))
    found += [
        Request("GET", "/", (), Token("corp", {"n": n}))
        for n in (3, 100, 2.5, -1, True, None, ["3"], {"3": 3})
    ]
    for one, other in itertools.product(("a", "", "a:b", "GET", "3", "ab", ":"), ("b", "", "b:c", "A", ":")):
        found.append(Request("GET", "/", (("x-n", one), ("x-m", other)), Token("corp", {"n": one})))
    found += [
        Request("GET", "/users/1"),
        Request("GET", "/users"),
        Request("PUT", "/users/2"),
        Request("PUT", "/users?n"),
    ]
    found += [
        Request("GET", "/?n=1&n=200"),
        Request("GET", "/?m=1&n=%33"),
        Request("GET", "/?n"),
        Request("GET", "/a/%33"),
    ]
    found += [
        Request("GET", "/", (("x-n", "3"), ("x-n", "4"))),
        Request("GET", "/a?n=3;4"),
        Request("GET", "/a?n=+3"),
    ]
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(4))
def test_idioms_are_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int
) -> None:
    """Each on every spelling of numbers and versions, and on what takes texts apart otherwise."""
    subjects = allowing(IDIOMS[part::4], providers, issuers, head=HEAD)
    judge_natively(bed, subjects, _asked(), residual=0.25)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_plain_numbers_ask_nobody(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """As programs write them; and what is no number at all."""
    policy = rego.compile({"p.rego": f'{HEAD}allow if to_number(http.headers["x-n"]) <= 100'})
    bed.load(subject_of(policy, providers, issuers))
    asked = [Request("GET", "/", (("x-n", value),)) for value in ("0", "100", "101", "4096", "x", "", "inf")]
    assert [seen.asked for seen in bed.ask(asked) if seen] == [False] * 7
    assert [seen.reached for seen in bed.ask(asked) if seen] == [True, True, *[False] * 5]
