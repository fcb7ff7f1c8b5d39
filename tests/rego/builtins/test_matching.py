"""Regular expressions, globs, and globs that meet."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego.builtins.globs import ends_of, matcher
from palisade.rego.builtins.globs_match import intersects


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


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.text("ab", max_size=4),
    st.lists(st.sampled_from(["a", "b", ".", "[ab]", "a*", "b+", ".*"]), max_size=4),
)
def test_a_common_string_is_found(text: str, tokens: list[str]) -> None:
    """A glob meets a text when it matches it as a regular expression; an empty text meets an empty glob."""
    glob = "".join(tokens)
    assert intersects(glob, text) is (glob == "" if text == "" else bool(re.fullmatch(glob, text)))
    assert intersects(text, glob) is intersects(glob, text)


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("a.a.[0-9]+z", ".b.b2359825792*594823z", True),
        ("[a-z]+", "[0-9]*", False),
        ("a*", "b*", False),
        ("a*", "a+b*", True),
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


def test_hostile_patterns_take_linear_time(call: Any) -> None:
    assert call("regex.match", "(a*)*b", "a" * 50_000) is False
    assert call("glob.match", "**a**a**a**b", [], "a" * 50_000) is False
