"""Patterns of paths and queries mean what the engine reads: against its own parser, spelling by spelling."""

from __future__ import annotations

from dataclasses import replace

import re2
from effort import examples
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.decide.urls import PathError, parse_target
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.regex import paths, patterns
from palisade.rego.builtins.globs import pattern_of

_PIECES = (
    *("a", "b", "/", "/", "%20", "%41", "%2F", "%2e", "%25", "%C3%BC", "%ff", "%zz", "%", ":", "?", "x", "~"),
    *("users", "+", ";", "#", "é", "<", '"', "%3f", "%7E", "%7e", "%5b", "%5B", "%3A"),
)
_VALUES = ("a", "b", "ü", "a b", ":", "", "%", "x:", "~", "users", "[", "aa", "?", "\x7f", "é", "<")
_PARTS = ("a", "b", "C", "e", "0", "20", "ü", " ", ":", "%", "us", "/", "é", "<", "a b")
_HOLDS = {"prefix": str.startswith, "suffix": str.endswith, "contains": str.__contains__}
_targets = st.lists(st.sampled_from(_PIECES), max_size=6).map(lambda pieces: "/" + "".join(pieces))


def matches(pattern: str, text: str) -> bool:
    return re2.compile(pattern).fullmatch(text) is not None


@settings(max_examples=examples(400), deadline=None)
@given(_targets)
def test_segments_of_clean_paths(target: str) -> None:
    """On a clean path each pattern holds exactly where the engine's `parsed_path` says so."""
    path = target.partition("?")[0]
    try:
        segments, _ = parse_target(target)
    except PathError:
        assert not matches(paths.UNBROKEN_PATH, path)
        return
    assert "#" in path or matches(paths.UNBROKEN_PATH, path)
    if not matches(paths.CLEAN_PATH, path):
        return
    for value in _VALUES:
        for index in range(3):
            here = index < len(segments) and segments[index] == value
            assert matches(paths.segment_is(index, [value, "zz"]), path) is here
        assert matches(paths.some_segment_is([value]), path) is (value in segments)
        assert matches(paths.path_is([value, "a"]), path) is (segments == [value, "a"]) or not value
    for value in _PARTS:
        for kind, holds in _HOLDS.items():
            matcher = StringMatcher(**{kind: value})
            pattern = paths.some_segment_matching(matcher)
            assert matches(pattern or "", path) is any(holds(each, value) for each in segments)
            for index in (0, 1, 2, -1):
                pattern = paths.segment_matching(index, matcher)
                there = index < len(segments)
                assert matches(pattern or "", path) is (there and holds(segments[index], value))
            for start in range(3):
                pattern = paths.joined_matching(start, matcher)
                there = start < len(segments) and holds("/".join(segments[start:]), value)
                assert matches(pattern or "", path) is there
    for count in range(1, 5):
        assert matches(paths.segments(count), path) is (len(segments) == count)
        assert matches(paths.segment_exists(count), path) is (len(segments) > count)
        escaped = len(segments) > count and "%" in path.split("/")[count + 1]
        assert matches(paths.segment_escaped(count), path) is escaped


_anchored = st.lists(
    st.sampled_from(
        (
            "^",
            "$",
            "a",
            "b",
            "/",
            "|",
            "(?:",
            "(?s)",
            "(",
            ")",
            "[^/]",
            "[$]",
            "[^a]",
            "+",
            ".*",
            r"\$",
            r"\^",
            r"\\",
            r"\b",
        )
    ),
    max_size=8,
).map("".join)
_joined = st.text("ab/$^", max_size=6)


@settings(max_examples=examples(600), deadline=None)
@given(_anchored, st.lists(_joined, min_size=1, max_size=8))
def test_patterns_without_their_anchors(pattern: str, texts: list[str]) -> None:
    """A pattern that is asked of the end of a path holds of that end as it does of a text of its own."""
    assume(patterns.in_ascii(pattern))
    whole = patterns.unanchored(patterns.search(pattern))
    event("left alone" if whole is None else "unanchored")
    for text in texts:
        if whole is not None:
            found = re2.search(pattern, text) is not None
            assert matches(paths.joined(0, f"(?:{whole})"), f"/{text}") is found


def test_which_patterns_are_asked_of_the_end_of_a_path() -> None:
    """What people write is; an anchor that holds of one way only, or within, is not."""
    for pattern in (
        "^api/v[0-9]+/",
        "users$",
        "^a/[^/]+$",
        "b|c",
        "^(?:a|b)/",
        r"^a\.b$",
        "[$]",
        "a[^b]$",
        "(?:(?s)a.b)$",
    ):
        assert patterns.unanchored(patterns.search(pattern)), pattern
    odd = ("^+", "^*a", "^?a", r"\bin\b", "(?i)a", r"\Aa", "[[:alpha:]]")
    for pattern in ("^a|b", "a|b$", "(^a)", "a$b", *odd):
        assert patterns.unanchored(patterns.search(pattern)) is None, pattern
    assert patterns.unanchored(pattern_of("a/*/{b,c}/**", ["/"]))


def test_what_every_request_spells_is_clean() -> None:
    """Ordinary paths and queries are decided by Envoy: only odd spellings are left to the engine."""
    for path in ("/", "/a", "/a/", "/a/b.c/d_e-f~g", "/a%20b", "/%C3%BC", "/a:b@c/(d)", "/a=b;c,d"):
        assert matches(paths.CLEAN_PATH, path), path
    for path in ("", "*", "//a", "/a%2Fb", "/%61", "/a%", "/a%zz", "/ü", "/a#b", "/%7e"):
        assert not matches(paths.CLEAN_PATH, path), path
    assert matches(paths.CLEAN_QUERY, "/a?b=c&d=/e:f")
    for query in ("a=%20", "a=b+c", "a;b"):
        assert not matches(paths.CLEAN_QUERY, f"/?{query}")


_PAIRS = (
    *(
        "role",
        "ro",
        "roles",
        "r",
        "=",
        "&",
        "&",
        "a",
        "admin",
        "?",
        "/",
        "%61",
        "+",
        ";",
        "x=1",
        "role=admin",
    ),
    *(":", "-"),
)
_queries = st.lists(st.sampled_from(_PAIRS), max_size=8).map(lambda pieces: "/p?" + "".join(pieces))


@settings(max_examples=examples(400), deadline=None)
@given(_queries)
def test_parameters_of_clean_queries(target: str) -> None:
    """On a clean query each pattern holds exactly where the engine's `parsed_query` says so."""
    if not matches(paths.CLEAN_QUERY, target):
        return
    query = parse_target(target)[1]
    for name in ("role", "r", "x", "rol"):
        found = query.get(name, [])
        assert matches(paths.parameter_exists(name), target) is (name in query)
        for value in ("admin", "", "a", "1"):
            assert matches(paths.first_parameter_is(name, [value]), target) is (found[:1] == [value])
            some = paths.Pairs(name, value=value, valueless=not value).at_least(1)
            assert matches(some, target) is (value in found)
            assert matches(paths.only_parameter_is(name, [value]), target) is (found == [value])
        taken = re2.compile(paths.first_parameter(name)).match(target)
        if taken is not None and not matches(paths.bare_parameter(name), target):
            assert taken.group(1) == found[0]
        elif not matches(paths.bare_parameter(name), target):
            assert not found


def test_the_first_of_a_name_is_found_inside_expressions() -> None:
    """Envoy compiles only small expressions there: it took no name of more than one letter once."""
    for name in ("id", "user", "organization_id", "filter[created_after]", "x" * 40):
        assert cel.captured(cel.header(":path"), paths.first_parameter(name)) is not None, name


_NAMES = ("role", "ro", "x", "[^&=]*o[^&=]*", "r[^&=]*")


@settings(max_examples=examples(400), deadline=None)
@given(_queries, st.sampled_from(_NAMES), st.booleans(), st.sampled_from(("", "1", "ad[^&]*", "[^&]*=[^&]*")))
def test_pairs_of_clean_queries(target: str, name: str, nameless: bool, value: str) -> None:
    """Which names there are, how many pairs have such a name, and whether a value of one is such a text."""
    query = parse_target(target)[1]
    pairs = paths.Pairs(name, nameless=nameless)
    named = {each: found for each, found in query.items() if matches(name, each) or (nameless and not each)}
    if matches(paths.CLEAN_NAMES, target):
        count = sum(map(len, named.values()))
        for least in (1, 2, 3):
            assert matches(pairs.at_least(least), target) is (count >= least)
        assert matches(pairs.all, target) is (named == query)
        assert matches(paths.ALL_PAIRS.at_least(1), target) is bool(query)
        assert matches(paths.ALL_PAIRS.all, target)
    if matches(paths.CLEAN_QUERY, target):
        for valueless in (True, False) if value else (True,):
            some = replace(pairs, value=value, valueless=valueless).at_least(1)
            held = [each for found in named.values() for each in found]
            expected = any((each and matches(value, each)) or (valueless and not each) for each in held)
            assert matches(some, target) is expected


def test_escapes_in_values_leave_the_names_clean() -> None:
    """Clients send them all the time, and what asks of names alone need not ask the engine."""
    for query in ("", "q=a%20b", "q=a+b&page=1", "&&", "=", "a=b=c", "a=/?:@!$'()*,[]"):
        assert matches(paths.CLEAN_NAMES, f"/a?{query}"), query
    for query in ("%71=a", "a+b=c", "a=%zz", "a=b;c", "a=%2", "a=%", "é=a", "a=é", "a=b#c"):
        assert not matches(paths.CLEAN_NAMES, f"/a?{query}"), query


def test_every_letter_that_changes_case_into_ascii_is_known() -> None:
    """`lower(x) == "k"` holds of the Kelvin sign too: no letter beyond ASCII is forgotten."""
    from palisade.rego.builtins import BUILTINS

    for name in ("lower", "upper"):
        change = BUILTINS[name].function
        for code in range(0x80, 0x3000):
            result = change(chr(code))
            if result.isascii():
                assert matches(patterns.folded(name, result), chr(code)), (name, hex(code))
