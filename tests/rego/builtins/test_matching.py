"""Regular expressions, globs, and globs that meet."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego.builtins import BUILTINS
from palisade.rego.builtins.globs import ends_of, matcher
from palisade.rego.builtins.globs_match import intersects
from palisade.rego.errors import BuiltinError
from palisade.rego.text import dumps


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("regex.match", ("b+", "abbc"), True),
        ("regex.match", (r"^\pL+$", "åä"), True),
        ("regex.match", (".", "\n"), False),
        ("regex.is_valid", ("(",), False),
        ("regex.is_valid", (r"(?P<a>x)(?i)y",), True),
        ("regex.is_valid", (r"\1",), False),
        ("regex.find_n", ("a*", "baac", -1), ["", "aa", ""]),
        ("regex.find_n", ("a.", "paranormal", 2), ["ar", "an"]),
        ("regex.find_n", ("å", "åå", -1), ["å", "å"]),
        ("regex.find_all_string_submatch_n", ("(a)(x)?", "aax", -1), [["a", "a", ""], ["ax", "a", "x"]]),
        ("regex.split", ("a*", "baaac"), ["b", "c"]),
        ("regex.split", ("", "åb"), ["å", "b"]),
        ("regex.split", ("z+", "pizza"), ["pi", "a"]),
        ("regex.replace", ("-ab-axb-", "a(x?)b", "<$1>"), "-<>-<x>-"),
        ("regex.replace", ("aab", "^a", "x"), "xab"),
        ("regex.replace", ("abc", "x*", "-"), "-a-b-c-"),
        ("regex.replace", ("ab", "(?P<first>a)", "${first}1$first$$$9$"), "a1a$$b"),
        ("regex.is_valid", (r"\C",), False),
        ("regex.is_valid", (r"\\C\Q\C\E",), True),
        ("regex.is_valid", (r"\p{ASCII}",), True),
        ("regex.is_valid", (r"(?P<é>a)",), False),
        ("regex.is_valid", (r"\pL{1000}",), True),
        (
            "regex.match",
            (
                r"^\p{Letter}\P{uppercase letter}\p{^P}\p{punct}$",
                "Aéa.",
            ),
            True,
        ),
        ("regex.match", (r"\B", "aéb"), False),
        ("regex.match", (r"\B", "aé"), True),
        ("regex.find_n", (r"\B", "aaé", -1), ["", ""]),
        ("regex.split", (r"\B", "aaé"), ["a", "aé"]),
        ("regex.replace", ("aéa", r"\B", "x"), "aéa"),
        ("regex.replace", ("ab", "(a)", "<$01${01}${1}$²>"), "<a>b"),
        ("regex.template_match", ("urn:foo:{.*}", "urn:foo:bar", "{", "}"), True),
        ("regex.template_match", ("a.c<[0-9]+>", "abc1", "<", ">"), False),
        ("glob.quote_meta", ("*.a[x]{y}?\\",), "\\*.a\\[x\\]\\{y\\}\\?\\\\"),
    ],
)
def test_results(call: Any, name: str, operands: tuple[Any, ...], result: Any) -> None:
    assert call(name, *operands) == result


@pytest.mark.parametrize(
    ("glob", "delimiters", "value", "matches"),
    [
        ("*.github.com", ["."], "api.github.com", True),
        ("*.github.com", ["."], "a.b.github.com", False),
        ("**.github.com", ["."], "a.b.github.com", True),
        ("*", None, "a.b", True),
        ("*", [], "a.b", False),  # an empty array means a dot
        ("a?c", ["/"], "a/c", False),
        ("[a-c]at", [], "bat", True),
        ("[!a-c]at", [], "bat", False),
        ("[abc]", [], "-", False),
        ("[a^]]", [], "^]", True),
        ("{cat,[fr]at}", [], "rat", True),
        ("{a,{b,c}}x", [], "cx", True),
        ("a,b}", [], "a,b}", True),
        (r"\*\{", [], "*{", True),
        ("/api/*/items", ["/"], "/api/7/items", True),
        ("/api/*/items", ["/"], "/api/7/8/items", False),
        ("a\nb*", ["/"], "a\nbc\n", True),
        ("/admin/**/", ["/"], "/admin/", True),
        ("/admin/**/", ["/"], "/admin", False),
        ("ab*bc", None, "abc", True),
        ("ab*bc", [], "abc", False),  # what a delimiter stops is looked for between the two
        ("ab**bcd", [], "abcd", True),
        ("?", ["/"], "", True),
        ("[!a]", ["/"], "", True),
        ("[a]", ["/"], "", False),
        ("a?", ["/"], "a", False),
        # Alternatives next to a text are of one length where the first has none, that of the next.
        ("https://{*.example.com,example.com}", ["."], "https://example.com", True),
        ("https://{*.example.com,example.com}", ["."], "https://a.example.com", False),
        ("https://{example.com,*.example.com}", ["."], "https://a.example.com", True),
        ("{*.example.com,example.com}", ["."], "a.example.com", True),
        # Of several delimiters the first that is there stops a wildcard, not the nearest.
        ("*{a,bc}*", [".", "/"], "x/a", False),
        ("*{a*,bc}", [".", "/"], "x/ay.", False),
        ("?*", [".", "/"], "a/b", True),
        ("?*", [".", "/"], "a./b", False),
        # A character of several bytes is cut where it stands among others of a known length.
        ("é[ab]", None, "éa", False),
        ("/v?", ["/"], "/vé", True),
        ("/v?/*", ["/"], "/vé/x", False),
        # Braces and brackets that do not end, and what ends early.
        ("{a,b", [], "b", True),
        ("a\\", [], "a", True),
        ("a\0b", [], "ab", True),
        ("*\0b", [], "a", True),
    ],
)
def test_globs(call: Any, glob: str, delimiters: Any, value: str, matches: bool) -> None:
    assert call("glob.match", glob, delimiters, value) is matches


@pytest.mark.parametrize("glob", ["[", "[]", "[a-b", "[b-a]", "[a-bc]", "{a,[b}", "a\ufffd"])
def test_malformed_globs_are_errors(fails: Any, glob: str) -> None:
    assert fails("glob.match", glob, [], "a").startswith("eval_builtin_error")


def _slow_match(glob: str, delimiters: str, value: str) -> bool:
    """The meaning of `*`, `**` and `?` by trying everything."""
    if not glob:
        return not value
    if glob.startswith("**"):
        return any(_slow_match(glob[2:], delimiters, value[at:]) for at in range(len(value) + 1))
    if glob[0] == "*":
        for at in range(len(value) + 1):
            if _slow_match(glob[1:], delimiters, value[at:]):
                return True
            if at < len(value) and value[at] in delimiters:
                return False
        return False
    if not value:
        return False
    fits = value[0] not in delimiters if glob[0] == "?" else glob[0] == value[0]
    return fits and _slow_match(glob[1:], delimiters, value[1:])


@settings(deadline=None)  # a busy machine is no failure
@given(st.text("a.*?", max_size=7), st.sampled_from(["", ".", "a"]), st.text("ab.", max_size=7))
def test_globs_mean_what_they_say(glob: str, delimiters: str, value: str) -> None:
    """Both matchers behind `glob.match` agree with the definition, however many wildcards there are, but
    where gobwas does not."""
    glob = re.sub(r"\*{3,}", "**", glob)  # how three are split is none of the definition's business
    wanted = _slow_match(glob, delimiters, value)
    ends = ends_of(glob, list(delimiters) or None)
    if ends is not None:
        wanted = value.startswith(ends[0]) and value.endswith(ends[1])
    if glob == "?" and not value:
        wanted = True
    assert matcher(glob, delimiters)(value) is wanted


TOKENS = (
    *("a", "b", "c", ".", "-", "a*", "b+", "c*", ".*", ".+", "a+", "[a-c]", "[ab]", "[ab]+", "[abc]*"),
    *("[]", "[a\\-c]", "[[a]", "\\.", "\\*", "^", "é", "/", "/.*"),
)


@pytest.mark.parametrize("seed", range(5))
def test_globs_meet_that_meet_in_opa(opa: OpaAnswers, seed: int) -> None:
    """OPA's library finds nothing where one glob ends before the other: `/a/.*` does not meet `/a/`."""
    draw = random.Random(seed)
    asked = [
        tuple("".join(draw.choices(TOKENS, k=draw.choice((0, 1, 2, 2, 3, 4)))) for _ in range(2))
        for _ in range(3000)
    ]
    source = "package p\nr := [regex.globs_match(x[0], x[1]) | some x in input]"
    ((theirs,),) = opa.ask(source, asked, ["r"])
    assert [intersects(*pair) for pair in asked] == theirs


@pytest.mark.long
def test_globs_that_take_too_long_to_compare_end_the_evaluation() -> None:
    for first, second in ((".*a" * 60, ".*b" * 60), (".*" + "a" * 3000 + "b.*", ".*" + "a" * 3000 + "c.*")):
        with pytest.raises(BuiltinError) as raised:
            intersects(first, second)
        assert raised.value.fatal


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("a.a.[0-9]+z", ".b.b2359825792*594823z", True),
        ("[a-z]+", "[0-9]*", False),
        ("a*", "b*", False),
        ("a*", "a+b*", False),
        ("a+b*", "a*", False),
        ("/users/.*", "/users/", False),
        ("/users/.*", "/users/a", True),
        ("a*", "b*a*", False),
        ("b*a*", "a*", True),
    ],
)
def test_globs_meet(call: Any, first: str, second: str, meet: bool) -> None:
    assert call("regex.globs_match", first, second) is meet


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("regex.match", ("a(b", "x"), "error parsing regexp: missing ): `a(b`"),
        (
            "regex.globs_match",
            ("a]", "a"),
            "input:a], pos:2, set-close ']' with no preceding '[': the input provided is invalid",
        ),
        ("regex.globs_match", ("*", "a"), "flag '*' must be preceded by a non-flag"),
        ("regex.globs_match", ("[b-a]", "a"), "range is out of order: 'a' comes before 'b' in Unicode"),
        ("regex.template_match", ("{", "a", "{", "}"), 'unbalanced braces in "{"'),
        (
            "regex.template_match",
            ("a", "a", "{{", "}"),
            "start delimiter has to be exactly one character long but is 2 long",
        ),
        (
            "glob.match",
            ("a", ["ab"], "a"),
            "operand 2 must be array of runes but got array containing string",
        ),
        ("glob.match", ("a", "b", "a"), "operand 2 must be one of {array, null} but got string"),
    ],
)
def test_refuses(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert message in fails(name, *operands)


@pytest.mark.parametrize("pattern", [r"\pL{1000}", r"\p{ASCII}", r"\P{Cased_Letter}"])
def test_patterns_that_go_takes_and_re2_does_not_end_the_evaluation(pattern: str) -> None:
    """As undefined, `not regex.match(...)` would allow."""
    with pytest.raises(BuiltinError) as raised:
        BUILTINS["regex.match"].function(pattern, "a")
    assert raised.value.fatal


REGEXES = (
    *(
        "a",
        "b",
        "K",
        "é",
        ".",
        "*",
        "+",
        "?",
        "|",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?P<n>",
        "^",
        "$",
        "\\z",
        "\\b",
        "\\B",
    ),
    *(
        "\\d",
        "\\W",
        "\\pL",
        "\\p{Lu}",
        "\\p{^Lu}",
        "\\p{Letter}",
        "\\P{digit}",
        "\\C",
        "\\Q",
        "\\E",
        "\\x{e9}",
        "\\1",
    ),
    *(
        "\\Z",
        "{2}",
        "{,2}",
        "{0}",
        "[^a]",
        "[]a]",
        "[a-\\d]",
        "[[:alpha:]]",
        "[\\pL]",
        "(a|b)",
        "(a*)",
        "(|a)",
    ),
)
FOUND_IN = ("a", "b", "k", "K", "é", "É", "1", "_", "-", "\n", "", "α")
PUT = ("x", "$1", "$n", "${1}x", "$1x", "$$", "$", "${", "$0", "${n", "$01", "$1_")


@pytest.mark.parametrize("seed", range(4))
def test_regular_expressions_are_those_of_opa(opa: OpaAnswers, seed: int) -> None:
    draw = random.Random(seed)
    asked = [
        [
            "".join(draw.choices(REGEXES, k=draw.choice((1, 2, 3, 4)))),
            "".join(draw.choices(FOUND_IN, k=4)),
            put,
        ]
        for put in PUT * 150
    ]
    source = "package p\nr := [regex.is_valid(x[0]) | some x in input]"
    ((valid,),) = opa.ask(source, asked, ["r"])
    assert [call_of("regex.is_valid", pattern) for pattern, _, _ in asked] == valid
    asked = [case for case, is_valid in zip(asked, valid, strict=True) if is_valid]
    source = """package p
        r := [[regex.match(x[0], x[1]), regex.find_all_string_submatch_n(x[0], x[1], -1),
               regex.split(x[0], x[1]), regex.replace(x[1], x[0], x[2])] | some x in input]"""
    ((theirs,),) = opa.ask(source, asked, ["r"])
    for (pattern, text, put), wanted in zip(asked, theirs, strict=True):
        assert [
            call_of("regex.match", pattern, text),
            call_of("regex.find_all_string_submatch_n", pattern, text, -1),
            call_of("regex.split", pattern, text),
            call_of("regex.replace", text, pattern, put),
        ] == wanted, (pattern, text, put)


def test_bytes_that_are_no_text_are_characters_to_patterns(opa: OpaAnswers) -> None:
    """RE2 finds no character there, so that a rule that denies what matches `^.admin$` did not."""
    pieces, draw = (b"\xff", b"\xe2\x82", b"\xc3", b"\xa9", "é".encode(), b"a", b""), random.Random(7)
    patterns = (".", "^.a", "[^a]", "\\B", "\\b", "(?s)^.*$", "\\x{fffd}", "\\W", "", "a$", "(.)a", "\\x{ff}")
    asked = [
        [pattern, base64.b64encode(b"".join(draw.choices(pieces, k=4))).decode(), put]
        for pattern in patterns
        for put in ("", "<$0>", "$1") * 10
    ]
    source = """package p
        r := [[regex.match(x[0], t), regex.find_n(x[0], t, -1), regex.split(x[0], t),
               regex.replace(t, x[0], x[2]), regex.template_match(concat("", ["{", x[0], "}"]), t, "{", "}")]
              | some x in input; t := base64.decode(x[1])]"""
    ((theirs,),) = opa.ask(source, asked, ["r"])
    ours = rego.compile({"p.rego": source}).evaluate("data.p.r", asked)
    for case, found, wanted in zip(asked, ours, theirs, strict=True):
        assert json.loads(re.sub("[\udc80-\udcff]", "\ufffd", dumps(found))) == wanted, case


def call_of(name: str, *operands: Any) -> Any:
    return BUILTINS[name].function(*operands)


def test_hostile_patterns_take_linear_time(call: Any) -> None:
    assert call("regex.match", "(a*)*b", "a" * 50_000) is False
    assert call("glob.match", "**a**a**a**b", [], "a" * 50_000) is False
