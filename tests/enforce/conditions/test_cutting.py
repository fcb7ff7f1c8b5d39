"""What is cut out of texts, found in them, or an address in them: native, and as the evaluator decides."""

from __future__ import annotations

from typing import Any

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st
from lowered import judge_natively, subject_of

from palisade import rego
from palisade.enforce.envoy.regex import addresses, patterns
from palisade.enforce.envoy.regex.cuts import cut_of, pieces_of
from palisade.policy.providers import Provider
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol
from palisade.rego.partial.reading import Reading
from palisade.rego.values import UNDEFINED
from palisade.testing.equivalence import Bed, Issuers, Request, Token

TEXT = Input(("t",))


def matches(pattern: str, text: str) -> bool:
    return re2.fullmatch(pattern, text) is not None


# The expressions -------------------------------------------------------------------------------------------

_few = st.text("aB/, \t", max_size=7) | st.lists(
    st.sampled_from(("a", "B", "/", ",", " ", ", ", ", ", " /", "/,", "\t")), max_size=7
).map("".join)
"""Texts, in which marks stand more often than chance puts two characters behind each other."""
_many = st.lists(_few, min_size=20, max_size=20)
_constant = st.text("aAbB/, ", min_size=1, max_size=3)


def _piece(text: Symbol, mark: str, at: int) -> Symbol:
    pieces = Apply("split", (text, Known(mark)))
    last = Apply("minus", (Apply("count", (pieces,)), Known(1)))
    return Apply(".", (pieces, last if at < 0 else Known(at)))


def _deeper(inner: st.SearchStrategy[Symbol]) -> st.SearchStrategy[Symbol]:
    affixes = st.sampled_from(("trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix"))
    return (
        st.builds(_piece, inner, st.sampled_from(("/", ",", " ", "a", ", ", " /", "/,")), st.integers(-1, 2))
        | st.builds(
            lambda name, text, what: Apply(name, (text, Known(what))),
            affixes,
            inner,
            st.sampled_from(("/", "a", ", ", "a/", "/,", "B")),
        )
        | st.builds(
            lambda name, text: Apply(name, (text,)), st.sampled_from(("trim_space", "lower", "upper")), inner
        )
    )


_at = st.integers(-1, 2)
_pieces = st.builds(_piece, st.just(TEXT), st.sampled_from((", ", " /", "/,")), _at)
_cuts = (
    st.recursive(st.just(TEXT), _deeper, max_leaves=4)
    | _pieces
    | st.builds(_piece, _pieces, st.sampled_from(("/", ",", " ", "a")), _at)
)


def cut_out(term: Symbol, text: str) -> Any:
    return Reading({"t": text}).value(term)


@example(_piece(_piece(TEXT, ", ", 0), "/", 1), ["a"], ["B, B/a"])
@example(_piece(_piece(TEXT, ", ", 0), "/", -1), ["a"], ["B, B/a"])
@example(_piece(_piece(TEXT, ", ", -1), "/", 0), ["a"], ["a/, B"])
@example(_piece(_piece(TEXT, ", ", 0), ",", 2), [" "], ["a,B, ,"])
@given(_cuts, st.lists(_constant | st.just(""), max_size=3), _many)
def test_a_pattern_of_what_is_cut_out_is_one_of_the_text(
    term: Symbol, wanted: list[str], texts: list[str]
) -> None:
    """For every way to cut, and every constant that one may compare with."""
    cut = cut_of(term)
    pattern = cut.is_one_of(wanted)
    if pattern is not None and cut.base == TEXT:
        for text in texts:
            assert matches(pattern, text) == (cut_out(term, text) in wanted), text


@example(_piece(TEXT, ", ", -1), "prefix", "a", ["a, B"])
@given(_cuts, st.sampled_from(("prefix", "suffix", "contains")), _constant, _many)
def test_a_part_of_what_is_cut_out_is_one_of_the_text(
    term: Symbol, kind: str, constant: str, texts: list[str]
) -> None:
    cut = cut_of(term)
    pattern = cut.has(kind, constant)
    if pattern is None or cut.base != TEXT:
        return
    test = {"prefix": str.startswith, "suffix": str.endswith, "contains": str.__contains__}[kind]
    for text in texts:
        found = cut_out(term, text)
        assert matches(pattern, text) == (found is not UNDEFINED and test(found, constant)), text


def _joined(text: Symbol, mark: str, start: int, end: int | None) -> Symbol:
    pieces = Apply("split", (text, Known(mark)))
    count = Apply("count", (pieces,))
    last = Apply("minus", (count, Known(1)))
    until = count if end is None else last if end < 0 else Known(end)
    return Apply("concat", (Known(mark), Apply("array.slice", (pieces, Known(start), until))))


_ends = st.none() | st.integers(-1, 3)


@example(_joined(TEXT, "/", 1, -1), ["a"], ["B/a/", "B/a"])
@example(_joined(Apply("trim", (TEXT, Known("/"))), "/", 1, 2), ["B"], ["//a/B//", "/a/B/a", "//B", "a//B"])
@example(_joined(_piece(TEXT, ",", 0), "/", 1, None), ["a/B"], ["/a/B,/a", "/a/B/,"])
@given(
    st.builds(_joined, _cuts, st.sampled_from(("/", ",", " ", "a")), st.integers(0, 2), _ends),
    st.lists(_constant | st.just(""), max_size=3),
    _many,
)
def test_a_pattern_of_pieces_that_are_joined_again_is_one_of_the_text(
    term: Symbol, wanted: list[str], texts: list[str]
) -> None:
    pieces = pieces_of(term)
    assert pieces is not None
    for constant in wanted:
        pattern = pieces.are(constant)
        if pattern is not None and pieces.base == TEXT:
            for text in texts:
                assert matches(pattern, text) == (cut_out(term, text) == constant), (constant, text)


_pattern = st.lists(
    st.sampled_from(
        (
            *(
                "a",
                "b",
                "A",
                ".",
                "*",
                "+",
                "?",
                "|",
                "(",
                "(?:",
                "(?i)",
                "(?-i:",
                "(?i:",
                ")",
                "^",
                "$",
                "-",
                "\\.",
            ),
            *(
                "[a-b]",
                "[^a]",
                "[^a-c]",
                "[A-b]",
                "[B-]",
                "[^B]",
                "[-a]",
                "[!-_]",
                "[^ -^]",
                "[[:upper:]]",
                "[\\w.-]",
            ),
            *(
                "\\w",
                "\\W",
                "\\D",
                "\\S",
                "\\b",
                "\\x41",
                "\\x61",
                "\\pL",
                "\\p{Lu}",
                "\\P{Lu}",
                "\\QA\\E",
                "{2}",
                "_",
            ),
        )
    ),
    max_size=5,
).map("".join)


@given(_pattern, st.text("abcABC_-.1 ", max_size=5))
def test_a_pattern_of_small_letters_is_one_of_the_text_before_they_were_made_small(
    pattern: str, text: str
) -> None:
    other = patterns.unfolded(pattern)
    if other is not None:
        assert matches(patterns.search(other), text) == (re2.search(pattern, text.lower()) is not None)


@pytest.mark.parametrize(
    "pattern", ["A", "[!-_]", "(?-i:a)", "\\p{Lu}", "[[:upper:]]", "a)(b", "\\x41", "[^A]"]
)
def test_patterns_that_tell_capitals_apart_are_left_as_they_are(pattern: str) -> None:
    assert patterns.unfolded(pattern) is None


@pytest.mark.parametrize("pattern", ["^/a/[0-9a-f-]+$", "\\.(php|asp)(\\?|$)", "[^a-z/]", "(?s:a.b)", "\\w+"])
def test_patterns_as_people_write_them_are_turned(pattern: str) -> None:
    assert patterns.unfolded(pattern) == f"(?i:{pattern})"


_octet = st.sampled_from((0, 1, 9, 10, 99, 100, 127, 128, 199, 200, 249, 250, 255)) | st.integers(0, 260)
_address = st.tuples(*[_octet] * 4).map(lambda parts: ".".join(map(str, parts)))
_odd_address = st.sampled_from(
    ("::1", "::ffff:10.0.0.1", "10.0.0.0/8", "10.0.0.1/33", "010.0.0.1", "10.0.0", "1.2.3.4:80", "")
) | st.text("0123456789.:/afF%x ", max_size=12)
_network = st.builds(lambda address, bits: f"{address}/{bits}", _address, st.integers(0, 33)) | (
    st.sampled_from(("::ffff:10.0.0.0/104", "::/0", "fd00::/8", "::ffff:0:0/95", "10.0.0.1", "x", ""))
)


@given(_network, _address | _odd_address)
def test_addresses_lie_in_a_network(ranges: str, text: str) -> None:
    """Those of IPv4; all else that the builtin takes is among what is for the engine."""
    network = addresses.network_of(ranges)
    try:
        wanted = BUILTINS["net.cidr_contains"].function(ranges, text)
    except BuiltinError:
        assert network is None or not matches(addresses.IPV4, text)
        return
    assert network is not None
    if matches(addresses.IPV4, text):
        assert matches(addresses.inside(network), text) == wanted
    else:
        assert not matches(addresses.inside(network), text)
        assert matches(addresses.may_be(frozenset()), text)


def test_what_is_cut_at_a_colon_is_no_address_of_ipv6() -> None:
    """So only networks are left to the engine there."""
    assert not matches(addresses.may_be(frozenset(":")), "::1")
    assert matches(addresses.may_be(frozenset(":")), "10.0.0.0/8")
    assert not matches(addresses.may_be(frozenset(":/")), "10.0.0.0/8")


# On a real Envoy -------------------------------------------------------------------------------------------

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
h := http.headers["x-t"]
"""
SOURCES = ("h", "claims.t", "http.path")
IDIOMS = (
    *(
        f'split({text}, "{mark}") {test}'
        for text in (*SOURCES, 'trim(http.path, "/")', "input.parsed_query.fields[0]")
        for mark in ("/", ",", ", ")
        for test in (
            '== ["", "users"]',
            '!= ["a"]',
            'in {["users", "7"], ["10.0.0.1", " a"], ["a", "b,a"], [""], []}',
        )
    ),
    *(
        f"{made.format(text)} {test}"
        for text in SOURCES
        for made in (
            'trim_space(split({}, ",")[0])',
            'trim_space(split({}, ",")[1])',
            'split({}, ", ")[0]',
            'split({}, ", ")[1]',
            'lower(trim_space(split({}, ";")[0]))',
            'split(trim({}, "/"), "?")[0]',
            'split(trim_prefix(trim_suffix(lower(split({}, "?")[0]), "/"), "/"), "/")[0]',
        )
        for test in ('in {"10.0.0.1", "users", "a"}', '!= "10.0.0.1"')
    ),
    *(
        f'{test}(trim_space({text}), "{part}")'
        for text in SOURCES[:2]
        for test in ("startswith", "endswith", "contains")
        for part in ("10.0.0.1", "a", "users")
    ),
    *(f'not startswith(trim_space({text}), "10.")' for text in SOURCES[:2]),
    *(
        f'net.cidr_contains("{ranges}", {text})'
        for text in (
            "h",
            "claims.t",
            'trim_space(split(h, ",")[0])',
            'split(h, ":")[0]',
            'split(h, ", ")[0]',
            'split(claims.t, ", ")[1]',
            "trim_space(ips[count(ips) - 1])",
        )
        for ranges in ("10.0.0.0/8", "10.0.0.0/30", "0.0.0.0/0", "fd00::/8", "::ffff:10.0.0.0/104", "x")
    ),
    'not net.cidr_contains("10.0.0.0/8", h)',
    *(
        f"parts := split({text}, `, `); {test}"
        for text in SOURCES[:2]
        for test in (
            "startswith(parts[count(parts) - 1], `10.`)",
            "split(parts[0], `.`)[1] in {`0`, `168`}",
            "pieces := split(parts[0], `.`); pieces[count(pieces) - 1] == `1`",
            "startswith(split(parts[count(parts) - 1], `.`)[0], `10`)",
        )
    ),
    *(
        f"{cut}; concat(`{mark}`, array.slice(parts, {start}, {end})) {test}"
        for text in SOURCES
        for cut, mark in (
            (f"parts := split({text}, `.`)", "."),
            (f"parts := split(split({text}, `:`)[0], `.`)", "."),
            (f"parts := split(trim({text}, `/`), `/`)", "/"),
        )
        for start, end in ((0, 2), (1, 3), (1, "count(parts)"), (0, "count(parts) - 1"))
        for test in ("in {`0.0.1`, `0.0`, `10.0`, `users`, `users/7`, `7`}", "!= `10.0.0`")
    ),
    *(f"count({{m | m := urlquery.encode({text})}}) == 0" for text in SOURCES[:2]),
    *(f"parts := split(lower({text}), `.`); not parts[count(parts) - 1]" for text in SOURCES[:2]),
    *(
        f"{no}count({made}) {test}"
        for text in SOURCES
        for made in (
            f"split({text}, `,`)[0]",
            f"trim_prefix({text}, `10.`)",
            f"sprintf(`%s-%s`, [{text}, h])",
        )
        for no, test in (("", "== 8"), ("", "> 4"), ("not ", "<= 4"), ("", "!= 3"))
    ),
    *(f"{no}count(path[1]) {test}" for no in ("", "not ") for test in ("== 1", "> 3", "< 2", "!= 4")),
    *(
        f"object.get({{`10`: 3, `users`: 2, ``: 4, `GET /users`: 5}}, {made}, {default}) == {wanted}"
        for text in SOURCES
        for made in (f"split({text}, `.`)[0]", f"concat(` `, [http.method, {text}])", f"trim({text}, `/`)")
        for default, wanted in (("1", "1"), ("1", "3"), ("`x`", "5"), ("http.host", "2"))
    ),
    'split(h, ", ")[1] == http.headers["x-u"]',
    *(f'{no}startswith(split({text}, ", ")[0], "10.")' for text in SOURCES[:2] for no in ("", "not ")),
    *(
        f"{no}regex.match(`{pattern}`, lower({text}))"
        for text in (*SOURCES, "path[0]", "split(h, ` `)[0]")
        for pattern in ("^users", "us[^a-d]rs.?x", "^[0-9.]+$", "\\\\.x$")
        for no in ("", "not ")
    ),
    'some role in claims.roles; regex.match("^us.rs", lower(role))',
    'every role in claims.roles { not regex.match("^us.rs", lower(role)) }',
    'some c in ["10.0.0.0/31", "192.168.0.0/16"]; net.cidr_contains(c, h)',
    *(
        f"{found} {test}"
        for text in SOURCES
        for found in (
            f"regex.find_n(`[0-9]+`, {text}, 1)[0]",
            f"regex.find_all_string_submatch_n(`([a-z]+)[./](?:([0-9]+)|x)`, {text}, 1)[0][1]",
            f"regex.find_all_string_submatch_n(`([a-z]+)[./](?:([0-9]+)|x)`, {text}, -1)[0][2]",
        )
        for test in ('in {"10", "users", "7"}', '!= ""', '== http.headers["x-u"]')
    ),
    "regex.find_n(`[0-9]+`, h, 1)[0]",
    f"regex.find_n(`[0-9]+`, h, 1)[0] in {{{', '.join(f'`{n}`' for n in range(40))}}}",
    f"not regex.find_n(`[0-9]+`, claims.t, 1)[0] in {{{', '.join(f'`{n}`' for n in range(40))}}}",
    "not regex.find_n(`[0-9]+`, h, 1)[0]",
    "not regex.find_n(`[0-9]+`, claims.t, -1)[0]",
    'some x in split(input.parsed_query.fields[0], ","); x in {"a", "users"}',
    'every x in split(input.parsed_query.fields[0], ",") { x in {"a", "users"} }',
    'count({x | some x in split(input.parsed_query.fields[0], ","); x in {"a", "users"}}) == 0',
    'count({m | m := sprintf("%s is %d long", [h, count(claims.t)])}) == 0',
    'count({m | m := sprintf("%v %v", [{"a": h}, claims.t]); startswith(h, "10")}) == 0',
    'count({m | m := json.marshal({"a": h, "b": claims.t})}) == 0',
    'claims.t == ["10", h]',
    'path == ["users", http.headers["x-u"]]',
)
VALUES = (
    *("10.0.0.1", "10.0.0.2", "10.0.0.4", "010.0.0.1", "10.0.0", "10.0.0.256", "192.168.1.1", "::1", "a"),
    *(
        "fd00::1",
        "::ffff:10.0.0.1",
        "10.0.0.0/8",
        "10.0.0.1, 192.168.1.1",
        "a,, 10.0.0.1, , users",
        "10.0.0.1,, users",
        "192.168.1.1 ,10.0.0.1",
        "10.0.0.1:80",
    ),
    *(
        "users/7/",
        "USERS.x",
        "/users/",
        "users",
        "a,b",
        " a ; b",
        "\ta",
        "a\u00a0",
        "\u212a7",
        "",
        ",",
        "7",
        "10",
        "A",
    ),
)


def _asked() -> list[Request]:
    found = []
    for value in VALUES:
        found.append(Request("GET", "/", (("x-t", value), ("x-u", "users"))))
        found.append(Request("GET", "/", (("x-t", "10"), ("x-u", "7")), Token("corp", {"t": value})))
    found += [
        Request("GET", "/", (("x-t", "a"),), Token("corp", {"t": t}))
        for t in (7, None, ["10", "a"], {"a": 1})
    ]
    found += [
        Request("GET", target, (("x-u", "users"),))
        for target in (
            *("/users/7", "/Users/?a", "//users", "/a.7?fields=a", "/?fields=users,b&fields=a", "/?field=a"),
            *("/?fields", "/?fields=", "/?fields=a,users", "/?fields=%61", "/?fields=b&x=a", "/users/users"),
        )
    ]
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(4))
def test_idioms_are_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int
) -> None:
    """Each on texts that it takes, nearly takes, or that only some readers take for the same."""
    subjects = []
    for idiom in IDIOMS[part::4]:
        policy = rego.compile({"p.rego": f'{HEAD}ips := split(h, ",")\nallow if {{ {idiom} }}'})
        subjects.append(subject_of(policy, providers, issuers))
    judge_natively(bed, subjects, _asked(), residual=0.2)
