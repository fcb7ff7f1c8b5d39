"""Patterns with values of the request in them: native for plain ones, as the evaluator decides for all."""

from __future__ import annotations

import pytest
import re2
from hypothesis import event, example, given
from hypothesis import strategies as st
from lowered import allowing, judge, judge_natively

from palisade.enforce.envoy.conditions.patterned import _SIMPLE, _cut, _room, _translated
from palisade.enforce.envoy.matchers import cel
from palisade.policy.providers import Provider
from palisade.rego.builtins.globs import matcher
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Input
from palisade.rego.re2_options import QUIET
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

VALUE = Input(("v",))
_plain = st.text("ab09_@:/ -", min_size=1, max_size=4)
_globs = st.lists(
    st.sampled_from(("*", "**", "?", "/", "a", ".", "{", "}", ",", "[ab]", "[!a]", "\\", "[", "]")),
    max_size=4,
)


@given(_globs.map("".join), _globs.map("".join), _plain, st.text("ab/.0*", max_size=5))
def test_a_glob_with_a_plain_value_in_it_is_the_pattern_with_that_value_in_it(
    before: str, behind: str, value: str, text: str
) -> None:
    parts = _translated([before, VALUE, behind], ["/"])
    try:
        wanted = matcher(f"{before}{value}{behind}", "/")
    except BuiltinError:
        wanted = None
    if parts is None or _room(parts, 0) is None:
        return
    found = re2.compile("".join(each if isinstance(each, str) else value for each in parts))
    for each in (text, f"a{value}", value, f"{value}/a", f"{text}{value}{text}"):
        assert (found.search(each) is not None) == (wanted is not None and wanted(each))


_pattern = st.lists(
    st.sampled_from((*"^$/.*+?|(){}[]a\\3p", "(?:", "(?i)", "\\p", "[^", "{2", "\\d", "\\Q")), max_size=5
)


@given(
    _pattern.map("".join),
    _pattern.map("".join),
    st.text("abLkNz0359_@:/ -", min_size=1, max_size=9),
    st.integers(0, 2),
)
def test_there_is_room_for_any_plain_value(before: str, behind: str, value: str, dots: int) -> None:
    """Envoy would take a pattern that is too large for one that is not found."""
    length = _room([before, VALUE, behind], dots)
    if length is None:
        return
    whole = before + (value * length)[: length - dots] + "." * dots + behind
    try:
        size = re2.compile(whole).programsize
    except re2.error:
        return
    assert size < cel.MAX_PROGRAM, whole


_BEHIND = (*"/ab.*+?|()$-", "(?:", "[ab/]", "[^/]", "\\x2f", "\\.", "{2}", "(?i)", "^")
_behind = st.builds(
    "{}{}{}".format,
    st.sampled_from(("/", "/", "a", "\\x2f", "\\.", "[/]", "")),
    st.lists(st.sampled_from(_BEHIND), max_size=4).map("".join),
    st.sampled_from(("", "$", ")$")),
)
_before = st.builds(
    "{}{}".format,
    st.sampled_from(("^", "^", "^(?s)(?:", "", "^(?i)")),
    st.lists(st.sampled_from((*"//aB", "\\x2f", "\\.", ".")), max_size=2).map("".join),
)


@example("^/", "/a|b", "a", "b")
@example("^/", "/(?i)*", "", "/")
@example("^(?s)(?:/", "/)*", "", "/")
@example("^(?s)(?:\\x2f", "/a)|b", "a", "b")
@example("^/", "/?a", "b", "/ba")
@given(_before, _behind, st.text("ab/ B-", max_size=3), st.text("ab/.\nB", max_size=6))
def test_what_stands_in_place_of_a_value_is_the_value(
    before: str, behind: str, value: str, text: str
) -> None:
    """Where the pattern is of the kind that is cut: that is asked in place of the pattern with the value."""
    cut = _cut([before, VALUE, behind])
    if cut is None or cut.ends in value or not set(value) <= _SIMPLE | {"-"}:
        return
    try:
        whole, around = (re2.compile(each, QUIET) for each in (f"{before}{value}{behind}", cut.around))
    except re2.error:
        return
    event("cut")
    for each in (text, f"/{value}/", f"/{value}/a", f"/{value}{text}", f"/aB{value}/a", f"{text}/{value}/a"):
        taken = re2.search(cut.taking, each, QUIET)
        said = bool(around.search(each)) and taken is not None and taken[1] == value
        assert said == bool(whole.search(each)), each


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("^/users/", "/.*$"),
        ("^/users/", "/"),
        (r"^(?s)(?:\x2fg\x2f", r"\x2f[^\x2f]*)$"),
        ("^/", r"\.json(a|b)"),
    ],
)
def test_usual_patterns_are_cut(before: str, behind: str) -> None:
    assert _cut([before, VALUE, behind])


HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
IDIOMS = (
    *(
        f"{no}regex.match({pattern}, http.path)"
        for no in ("", "not ")
        for pattern in (
            'sprintf("^/users/%s/.*$", [claims.sub])',
            'sprintf("^/users/%s(/.*)?$", [claims.sub])',
            'sprintf("^/users/%s/é?x$", [claims.sub])',
            r"sprintf(`^/users/%s/[\x{100}-\x{200}]?x$`, [claims.sub])",
            'concat("", ["^/users/", claims.sub, "$"])',
            '$"/users/{claims.sub}\\\\b"',
            'sprintf("^/%s/%v/", [http.headers["x-t"], claims.sub])',
        )
    ),
    *(
        f"{no}glob.match({glob}, {marks}, http.path)"
        for no in ("", "not ")
        for glob in (
            'sprintf("/users/%s/*", [claims.sub])',
            'concat("/", ["", "users", claims.sub, "**"])',
            '$"/*/{claims.sub}"',
        )
        for marks in ('["/"]', "null")
    ),
    'regex.match(sprintf("^%s:", [claims.sub]), http.headers["x-t"])',
    'regex.match(sprintf("^%s$", [http.headers["x-t"]]), claims.sub)',
)
SUBS = (
    *(
        "alice",
        "a",
        "",
        "a.b",
        "a.b.c.d",
        "a@b",
        "a b",
        "[a-z]+",
        ".*",
        "a|b",
        "(",
        "a{3}",
        "\\d",
        "$",
        "a/b",
        "é",
        "k" * 64,
        "k" * 65,
    ),
    *("?", "*", "**", "{a,b}", "x" * 300, "\\Qa", "-", "a-b", ":"),
    *(7, None, ["alice"], {"a": 1}, True),
)


def _asked() -> list[Request]:
    found = []
    for sub in SUBS:
        for path in ("/users/{}/x", "/users/{}", "/users/alice/", "/users/axb/7", "/{}/{}/", "/users//x"):
            target = path.replace("{}", str(sub).replace(" ", "%20").replace("é", "%C3%A9"))
            found.append(Request("GET", target, (("x-t", f"{sub}:1"),), Token("corp", {"sub": sub})))
    for text in ("users", "", "u.ers", "[", "users:a"):
        found.append(Request("GET", "/users/users/", (("x-t", text),), Token("corp", {"sub": "users"})))
    found += [
        Request("GET", "/users/a/x"),
        Request("GET", "/users/a/\udcff", token=Token("corp", {"sub": "a"})),
    ]
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_patterns_with_values_in_them_are_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    subjects = allowing(IDIOMS, providers, issuers, head=HEAD)
    judge_natively(bed, subjects, _asked(), residual=0.75)


GLOBS = (
    'glob.match("/admin/**/", ["/"], http.path)',
    'not glob.match("/admin/**/", ["/"], http.path)',
    'glob.match("/ad*dmin", null, http.path)',
    'glob.match("/ad**dmin", ["/"], claims.id)',
    'glob.match(sprintf("/%s**/in", [claims.id]), ["/"], http.path)',
    'glob.match(sprintf("/%s/**/in", [claims.id]), ["/"], http.path)',
    'glob.match(sprintf("/ad**%s", [claims.id]), ["/"], http.path)',
    'glob.match("?", ["/"], claims.id)',
    'glob.match("[!a]", ["/"], http.headers["x-id"])',
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_a_glob_begins_and_ends_with_may_share_characters(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """As in OPA, `/admin/**/` matches `/admin/`, also where a value of the request stands in the glob."""
    source = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"
    subjects = allowing(GLOBS, providers, issuers, head=source)
    asked = [
        Request(target=path, headers=(("x-id", one),), token=Token("corp", {"id": one}))
        for path in ("/admin/", "/admin", "/admin/x/", "/ad/in", "/ad/x/in", "/ad", "/add", "/a/in", "/a//in")
        for one in ("", "a", "ad", "ad/", "d", "/admin", "/addmin", "b", "in", "d/in")
    ]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.residual < tally.pairs / 2


IN_BRACES = (
    'glob.match("https://{*.example.com,example.com}", ["."], http.headers["x-id"])',
    'glob.match("https://{example.com,*.example.com}", ["."], http.headers["x-id"])',
    'not glob.match("{*.example.com,example.com}", ["."], claims.id)',
    'glob.match("/{a,b*}/?", ["/"], http.path)',
    'glob.match("/{a,b*}/?", ["/"], http.path) == false',
    'glob.match("v?[ab]", ["/"], claims.id)',
    'not glob.match("v?[ab]", ["/"], claims.id)',
    'glob.match("v?[ab]", ["/"], claims.list[0])',
    'not glob.match("v?[ab]", ["/"], claims.list[0])',
    'glob.match("v?[ab]", ["/"], lower(claims.id))',
    'some x in claims.list; glob.match("v?[ab]", ["/"], x)',
    'every x in claims.list { glob.match("v?[ab]", ["/"], x) }',
    'glob.match("a?", ["/"], input.parsed_path[0])',
    'not glob.match("a?", ["/"], input.parsed_path[0])',
    'glob.match("/v?/a?", ["/"], http.path)',
    'glob.match(sprintf("/{%s,a}/a?", [claims.sub]), ["/"], http.path)',
    'not glob.match(sprintf("/%s/{a,ab}?", [claims.sub]), ["/"], http.path)',
    'glob.match(sprintf("/{%s*,a}/a?", [claims.sub]), ["/"], http.path)',
    'glob.match(sprintf("{%s,v}?a", [claims.sub]), ["/"], claims.id)',
    'not glob.match(sprintf("%s?a", [claims.sub]), ["/"], claims.id)',
    'not glob.match("{a", ["/"], claims.id)',
    'not glob.match("?*", [".", "/"], http.headers["x-id"])',
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_globs_with_braces_and_letters_beyond_ascii_are_decided_as_the_engine_does(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Alternatives with wildcards may count for one length, and characters of several bytes are cut."""
    subjects = allowing(IN_BRACES, providers, issuers, head=HEAD)
    asked = [
        Request(target=path, headers=(("x-id", one),), token=Token("corp", {"id": one, "list": [one, "vxa"]}))
        for path in ("/a/x", "/b/x", "/bb/", "/v1/ab", "/a/a%C3%A9", "/a%C3%A9", "/a\udcc3\udca9/a")
        for one in ("https://example.com", "https://a.example.com", "a.example.com", "example.com")
    ]
    asked += [
        Request(target=path, token=Token("corp", {"sub": sub, "id": one, "list": [one]}))
        for path in ("/a/a%C3%A9", "/v/ax", "/v/ab", "/v1/a1", "/va/a1", "/ax")
        for sub in ("v", "a", "é", "vé")
        for one in ("vxa", "véa", "VÉB", "v", "a", "vv")
    ]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.residual < tally.pairs / 2
