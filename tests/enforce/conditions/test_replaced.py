"""Texts in which something is replaced are compared in the sidecar, and as the evaluator compares them."""

from __future__ import annotations

import re
from itertools import product

import pytest
import re2
from effort import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lowered import judge, subject_of

from palisade import rego
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.preimages import anchored, preimage, stripped
from palisade.enforce.envoy.regex.runs import MOST, replaced_runs
from palisade.enforce.envoy.regex.spread import spread
from palisade.policy.providers import Provider
from palisade.rego.builtins import BUILTINS
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
DATA = {"paths": ["/orders", "/", "", "/a/b"]}

_few = st.text("ab/", max_size=6)
_patterns = (
    *("^/v[0-9]+", "^a*", "^(a|b)", "^/a$", "/*$", "b?$", "[ab]+$"),
    *(r"\?.*$", "^a/", "(?:ab)$", "^", "$"),
    *(f"^{'(a?)' * groups}b" for groups in (7, 8, 9, 10)),
    *(f"{'(a?)' * groups}b$" for groups in (8, 9)),
)
PLAIN = ("", "a", "/x")
_put = (*PLAIN, *PLAIN, "$1", "${1}b", "$", "$$a", "\\1", "\\", "\u00fc")


@settings(max_examples=examples(400), deadline=None)
@given(st.text("ab/", min_size=1, max_size=3), _few, _few, _few, st.booleans())
def test_texts_that_replace_turns_into_a_constant(
    old: str, new: str, wanted: str, text: str, prefix: bool
) -> None:
    """For every text that is replaced, however it overlaps with itself and the constant."""
    pattern = preimage(old, new, wanted, prefix=prefix)
    if pattern is None:
        return
    beside = (
        text,
        wanted,
        old + wanted,
        wanted + old,
        wanted[:2] + old + wanted[2:],
        wanted.replace(new, old),
    )
    for each in (
        *beside,
        wanted.replace(new, old),
        text + wanted,
        wanted + "x",
        wanted + "\u00fc",
        "\n" + wanted,
    ):
        found = BUILTINS["replace"].function(each, old, new)
        expected = found.startswith(wanted) if prefix else found == wanted
        assert (re2.fullmatch(pattern, each) is not None) is expected, (each, pattern)


_cased = st.text("aAb/", max_size=5)


@settings(max_examples=examples(400), deadline=None)
@given(st.text("-:/", min_size=1), _cased, st.text("aAb/:-", max_size=8), st.booleans(), st.booleans())
def test_texts_without_some_characters(
    removed: str, wanted: str, text: str, prefix: bool, fold: bool
) -> None:
    """In whatever order these are taken away, and however often they are named."""
    pattern = stripped(removed, wanted, prefix=prefix, fold="lower" if fold else "")
    assert pattern is not None
    for each in (text, wanted, removed.join(wanted), wanted + text, f"-{wanted.upper()}:", "\n" + wanted):
        found = each.lower() if fold else each
        for one in removed:
            found = found.replace(one, "")
        expected = found.startswith(wanted) if prefix else found == wanted
        assert (re2.fullmatch(pattern, each) is not None) is expected, (each, pattern)


@settings(max_examples=examples(400), deadline=None)
@given(
    st.text("aAb/", min_size=1, max_size=3),
    _cased,
    _cased,
    _cased,
    st.booleans(),
    st.sampled_from(["lower", "upper"]),
)
def test_texts_whose_letters_are_folded_before(
    old: str, new: str, wanted: str, text: str, prefix: bool, fold: str
) -> None:
    """Whatever the case of what is replaced: of letters that no folded text has, nothing is."""
    pattern = preimage(old, new, wanted, prefix=prefix, fold=fold)
    if pattern is None:
        return
    cased = (text, wanted.swapcase(), old.swapcase() + wanted, wanted[:2] + old.upper() + wanted[2:].lower())
    for each in (*cased, wanted.replace(new, old).title(), text + wanted, wanted + "X", "\n" + wanted):
        found = BUILTINS["replace"].function(BUILTINS[fold].function(each), old, new)
        expected = found.startswith(wanted) if prefix else found == wanted
        assert (re2.fullmatch(pattern, each) is not None) is expected, (each, pattern)


def test_what_has_no_short_pattern_is_left() -> None:
    assert preimage("", "x", "a") is None
    assert preimage("\u00fc", "", "a") is None
    assert preimage("abcdefgh" * 4, "", "abcdefgh" * 8) is None
    assert preimage("/v1", "", "/orders/items/of/customers") is not None
    assert preimage("a", "b", "a") == f"(?s){patterns.NOTHING}"


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(_patterns), st.sampled_from(_put), st.text("ab/v1?\n", max_size=7))
def test_what_an_anchored_pattern_leaves(pattern: str, new: str, text: str) -> None:
    """RE2 takes the same out of a text in one search as `regex.replace` does. What is put in its place may
    name groups, each library in its own way: that is left."""
    ways = anchored(pattern, new)
    if ways is None:
        assert "|" in pattern or pattern.count("(") >= 9 or new not in PLAIN
        return
    made = text
    if re2.search(ways[0], text) is not None:
        found = re2.search(ways[1], text)
        # Envoy's RE2 reads one digit behind a backslash, Python's more.
        made = re.sub(r"\\([0-9])", lambda group: found[int(group[1])] or "", ways[2])
    assert made == BUILTINS["regex.replace"].function(text, pattern, new)


_RUNS = (
    "/a[0-9]+",
    "aa[0-9]+",
    "/a/[0-9]+",
    "/[0-9]+",
    "[0-9]+",
    r"\d+",
    "a[0-9]+",
    r"/\w+",
    "[0-9a]+",
    ":[/]+",
    "/[0-9:]+",
    r"\.[0-9]+",
    r"[\w./-]+",
)
_NAMES = ("/:", ":", "/:a", "a", "1", "/", "11", "a:a", "/1")


@example(r"[0-9]+", ":", "::", ["1:1", "11", "::", "1:"])
@example("a[0-9]+", "a", "aa", ["a1a2", "aa1", "aa", "a1a", "aa11"])
@example("/[0-9]+", "/:", "/:1", ["/11", "/1:1", "/:1", "/1"])
@settings(max_examples=examples(400), deadline=None)
@given(
    st.sampled_from(_RUNS),
    st.sampled_from(_NAMES),
    st.text("/1a:.", max_size=6),
    st.lists(st.text("/12a:.", max_size=7), min_size=10, max_size=10),
)
def test_a_pattern_of_texts_whose_runs_are_replaced(
    pattern: str, new: str, wanted: str, texts: list[str]
) -> None:
    """Which become the constant: also those that have been like it, and none whose runs go on otherwise."""
    whole = replaced_runs(pattern, new, wanted)
    if whole is None:
        assert wanted.count(new) > MOST
        return
    replaced = BUILTINS["regex.replace"].function
    near = (wanted, wanted.replace(new, "/1"), wanted.replace(new, "12", 1), replaced(texts[0], pattern, new))
    for each in (*texts, *near):
        assert (re2.fullmatch(whole, each) is not None) is (replaced(each, pattern, new) == wanted), each
    for each in texts:  # what a text becomes is a constant of which it is one
        made = replaced_runs(pattern, new, replaced(each, pattern, new))
        assert made is None or re2.fullmatch(made, each) is not None


def test_what_is_no_run_is_left() -> None:
    for pattern in ("[^0-9]+", "[0-9]*", "[0-9]{2}", "^[0-9]+", "1[0-9]+", "a1[0-9]+", "a|b", "[0-9]+/"):
        assert replaced_runs(pattern, "N", "/N") is None
    for new in ("", "$1", "${a}", "\u00fc"):
        assert replaced_runs("[0-9]+", new, "/N") is None


IDIOMS = (
    *('replace(http.path, "/v1", "") == "/orders"', 'replace(http.path, "/v1", "") in data.paths'),
    *('startswith(replace(http.path, "/v1", ""), "/orders")', 'replace(http.path, "/v1", "") != "/orders"'),
    *('replace(http.headers["x-t"], "-", "") == "abc"', 'replace(claims.t, "-", "_") == "a_b"'),
    *('not startswith(replace(claims.t, "a", "b"), "bb")', 'replace(http.headers["x-t"], "ab", "a") == "aa"'),
    *(
        'replace(lower(http.path), "/v1", "") == "/orders"',
        'replace(lower(claims.t), "-", "") in {"abc", "k"}',
    ),
    *('upper(replace(claims.t, "-", "")) != "ABC"', 'startswith(lower(replace(http.path, "/", "")), "v1o")'),
    'not replace(upper(http.headers["x-t"]), "A", "b") == "bbB"',
    'replace(replace(lower(claims.t), "-", ""), "_", "") in {"ab", "abc", "k"}',
    'lower(replace(replace(http.headers["x-t"], "_", ""), "-", "")) != "abc"',
    'startswith(replace(replace(claims.t, "-", ""), "_", ""), "ab")',
    'not replace(replace(upper(claims.t), "-", ""), "_", "") == "ABC"',
    'regex.replace(http.path, "^/v[0-9]+", "") == "/orders"',
    'regex.replace(http.path, "^/v[0-9]+", "") in data.paths',
    'startswith(regex.replace(http.path, "^/v[0-9]+/", "/"), "/orders")',
    'not startswith(regex.replace(http.path, "^/v[0-9]+/", "/"), "/orders")',
    'regex.replace(http.path, "/+$", "") == "/orders"',
    'regex.replace(http.headers["x-t"], "^a", "b") == claims.t',
    'regex.replace(claims.t, "-.*$", "") == "a"',
    'regex.replace(http.headers["x-t"], "^[^-]*-", "") != "b"',
    f'regex.replace(http.headers["x-t"], "^{"(a?)" * 8}", "") == claims.t',
    'regex.replace(http.path, "/v[0-9]+", "/:n") == "/:n/orders"',
    'regex.replace(http.path, "[0-9]+", "N") in {"/vN/orders", "/v1/orders", "N", ""}',
    "not regex.replace(claims.t, `[\\w]+`, `a`) == `a`",
    'regex.replace(http.headers["x-t"], "-[a-c]+", "-a") != "ab-a"',
)
SPREAD = (
    'regex.match("^[0-9]{3,5}$", replace(claims.t, " ", ""))',
    'not regex.match("^[0-9]{3,5}$", replace(replace(claims.t, " ", ""), "-", ""))',
    'regex.match("^[0-9]{3,5}$", replace(replace(http.headers["x-t"], " ", ""), "-", ""))',
    'regex.match("^(?:ab|c+d){2}x?$", replace(http.headers["x-t"], "-", ""))',
    'regex.match("a[b-d]", replace(http.headers["x-t"], " ", ""))',
    'not regex.match("b$", replace(claims.t, "-", ""))',
    'regex.match("^$", replace(claims.t, " ", ""))',
    'regex.match("^[0-9]*$", replace(http.headers["x-t"], "-", ""))',
    "regex.match(`^\\+[1-9]\\d+$`, replace(claims.t, ` `, ``))",
    "regex.match(`^(a(b|-)?c)+$`, replace(claims.t, ` `, ``))",
    'regex.match("^/v[0-9]+x", replace(http.path, "-", ""))',
    "regex.match(`^[0-9]{3}$`, replace(trim_prefix(claims.t, `x`), ` `, ``))",
    'regex.match("^[A-C]{2}[0-9]*$", upper(replace(claims.t, " ", "")))',
    'not regex.match("^[a-c]+$", lower(replace(replace(claims.t, "-", ""), " ", "")))',
    'regex.match("^[a-d]{3}$", replace(lower(http.headers["x-t"]), "-", ""))',
    'regex.match("^[A-C]{2,3}$", upper(http.headers["x-t"]))',
    'regex.match("^S$", upper(claims.t)) == false',
    'not regex.match("^K$", upper(trim_prefix(claims.t, "x")))',
    "is_string(claims.t) == false",
    "is_array(claims.t) == true",
)
OTHERS = (
    'regex.match("^[^0-9]+$", replace(claims.t, " ", ""))',
    'regex.match("a b", replace(claims.t, " ", ""))',
    'regex.match("^a.c$", replace(http.headers["x-t"], "-", ""))',
    'regex.match("^[a-c -]+$", replace(http.headers["x-t"], "-", ""))',
    'regex.match("^a|b$", replace(claims.t, "-", ""))',
    "regex.match(`\\bab\\b`, replace(claims.t, `-`, ``))",
    'regex.match("ab", replace(claims.t, "-", "x"))',
    'regex.match("(?i)AB", replace(claims.t, "-", ""))',
)
"""Those that may not be spread are asked of what is left, or are the engine's."""
_SPREAD = (
    *("123", "1 2 3", " 123 ", "1-2-3", "12", "12 3456", "1 2 3 4 5", "123456", "x12 3", "x123", "--", "  "),
    *("ab-ab", "abc-d", "a-b-c-c-d-x", "abx", "a b", "za d", "ac", "a\u00fc", "\u0661 23", "+4 9 12", "+0 1"),
    *(
        "a bc",
        "acabc",
        "a-c",
        "ab c a c",
        "1\u00a023",
        "",
        "a\n",
        "123\n",
        "AB",
        "A-b",
        "axb",
        "\u017f",
        "x\u212a",
        "xk",
    ),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_patterns_on_what_is_left(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """They are spread over the characters that are taken away, wherever these stand, and none of them is one
    that the pattern takes."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}), providers, issuers)
        for idiom in (*SPREAD, *OTHERS)
    ]
    asked = [Request("GET", path) for path in ("/v1x", "/-v-1-2x/y", "/v/1x", "/v12", "-/v1x")]
    for text in _SPREAD:
        headers = (("x-t", text),) if text == text.strip() else ()
        asked.append(Request("GET", "/", headers, Token("corp", {"t": text})))
    asked += [Request(headers=(("x-t", "b"),), token=Token("corp", {"t": t})) for t in (7, None, ["123"])]
    judge(bed, subjects, asked, Tally())
    native = subjects[: len(SPREAD)]
    assert all(r.native or r.conditional for each in native for r in each.enforcement.coverage)


@pytest.mark.long
@pytest.mark.parametrize(
    ("removed", "fold"), [*product((" ", "-", " -", ""), ("", "lower", "upper")), ("a", "")]
)
def test_patterns_are_spread_only_where_that_is_known(removed: str, fold: str) -> None:
    """What is made matches a text just where the pattern is found in what is left of it."""
    made = 0
    for pattern in (
        "^ab?$",
        "a+[bc]{2}",
        "^(?:a|b-){1,2}$",
        "[^a]",
        ".",
        "a|b",
        r"^\w\d$",
        r"\.b",
        "^a$b",
        "x*?",
    ):
        spaced = spread(pattern, removed, fold)
        if spaced is None:
            continue
        made += 1
        for size in range(5):
            for letters in product("aB-. 1", repeat=size):
                text = "".join(letters)
                folded = getattr(text, fold)() if fold else text
                left = "".join(each for each in folded if each not in removed)
                assert bool(re2.search(spaced, text)) == bool(re2.search(pattern, left)), (pattern, text)
    assert made


_PATHS = (
    *("/orders", "/v1/orders", "/v1/v1/orders", "/v12/orders", "/orders/v1", "/v/v11/orders", "/v1", "/"),
    *("/v1/orders/7", "/v1orders", "/V1/orders", "/v1/orders?x", "/orders///", "//", "/v1/order", "/a/v1/b"),
)
_TEXTS = (
    "abc",
    "a-b-c",
    "-abc-",
    "a_b",
    "a-b",
    "ab",
    "aab",
    "abab",
    "aa",
    "a",
    "-",
    "",
    "\u00fca-b",
    "b",
    "ba",
    *("A-b-C", "ABC", "aAB", "\u212a", "-K-", "\u017f"),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_replaced_texts_on_envoy(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of what has it once, twice, at another place or not at all, and of what is no text."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}, DATA), providers, issuers)
        for idiom in IDIOMS
    ]
    asked = [Request("GET", each) for each in _PATHS]
    asked += [Request("GET", "/", (("x-t", each),), Token("corp", {"t": each})) for each in _TEXTS]
    asked += [Request(headers=(("x-t", "b"),), token=Token("corp", {"t": t})) for t in (7, None, ["a-b"])]
    judge(bed, subjects, asked, tally := Tally())
    assert all(r.native or r.conditional for each in subjects for r in each.enforcement.coverage)
    assert tally.residual < 0.1 * tally.pairs, tally
