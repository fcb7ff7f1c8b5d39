"""The path without its query, however a policy takes that off, is a text of its own: native and exact."""

from __future__ import annotations

import pytest
from lowered import allowing, judge, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
BARE = (
    *('split(http.path, "?")[0]', "regex.replace(http.path, `\\?.*$`, ``)"),
    *("regex.replace(http.path, `[?](.*)`, ``)", "regex.replace(http.path, `[\\?].*`, ``)"),
)
ASKED = (
    *('{} == "/a"', 'not {} == "/a"', '{} != "/a/b"', '{} in {{"/a", "/", "*"}}', "{}", 'not {} == "-"'),
    *(
        'startswith({}, "/a")',
        'not endswith({}, "/b")',
        'contains({}, "/b")',
        'regex.match("^/a/[^/]*$", {})',
    ),
    *('glob.match("/*/b", ["/"], {})', '{} == sprintf("/%s", [claims.t])', "{} == claims.t"),
    *("{} == http.path", "count({}) == 2", '{} < "/b"', "lower({}) == `/a`", 'count(split({}, "/")) == 2'),
    *('split({}, "/")[1] == claims.t', 'trim_suffix({}, "/") == "/a"', 'trim_suffix({}, "/") == "/a/"'),
    *('trim({}, "/") in ["a", "a/b", ""]', 'not trim_prefix({}, "/") == "a"', 'trim_right({}, "/b") == "/a"'),
    *('trim_suffix(trim_prefix({}, "/a"), "/") in {{"", "/b", "/a"}}', 'trim_left({}, "/ab") == ""'),
    *('split(trim({}, "/"), "/")[1] == "b"', 'count(split(trim({}, "/"), "/")) == 2'),
    *(
        '["a", part] = split(trim_prefix({}, "/"), "/"); part in {{"b", "c"}}',
        'split(substring({}, 1, -1), "/")[1] == "b"',
    ),
    *(
        'not count(split(trim_left({}, "/"), "/")) > 1',
        'parts := split(trim_suffix({}, "/"), "/"); parts[count(parts) - 1] == "b"',
    ),
    *('some part in split({}, "/"); part == "b"', 'object.get({{"/a": 1, "/b": 2}}, {}, 0) > 1'),
)
IDIOMS = (
    *(each.format(BARE[0]) for each in ASKED),
    *(each.format(bare) for bare in BARE[1:] for each in ASKED[:8]),
)
OTHERS = (
    'split(http.path, "?")[1] == "a"',
    'split(http.path, "?")[2] == "b"',
    "regex.replace(http.path, `\\?a`, ``) == `/a`",
    "regex.replace(http.path, `\\?.*`, `/`) == `/a/`",
)
"""Which are not the path without its query."""
PATHS = (
    *("/", "/a", "/a/", "/a/b", "/b", "/A", "/a?", "/a?a", "/a?a?b", "/a/?/b", "/?/a", "/a/b?c=/a", "/aa/b"),
    *("//a/b", "/a//b", "/a/b//", "//", "a/b"),
    *("/a%3Fb", "/%61", "/a%2Fb", "/b/a/b?x", "/a?x=%ff"),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_the_path_without_its_query(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Also where there is no path, or none with a slash."""
    asked = [Request("GET", path) for path in PATHS]
    asked += [Request("OPTIONS", "*"), Request("GET", "/a?\u00e9"), Request("CONNECT", "")]
    for at, claim in enumerate(("a", "b", "/a", "", "a/b", 7, None)):
        asked += [Request("GET", path, (), Token("corp", {"t": claim})) for path in PATHS[at % 2 :: 2]]
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=HEAD), asked, residual=0.2)
    judge(bed, allowing(OTHERS, providers, issuers, head=HEAD), asked, Tally())


AFFIXES = (
    *('trim_suffix({}, "b") == "a"', 'trim_suffix({}, "b") == "ab"', 'not trim_suffix({}, "") == "ab"'),
    *(
        'trim_prefix({}, "ab") in {{"a", "", "ab", "b"}}',
        'trim_prefix({}, "a") != "b"',
        'trim({}, "a") == "b"',
    ),
    *('trim_right({}, "ba") == ""', 'not trim_left({}, "a") == "ba"', 'trim_suffix({}, "b") != ""'),
    'trim_suffix(trim_suffix({}, "b"), "b") == "a"',
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_an_affix_is_taken_off_once(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """What is left may begin or end with it all the same, or not: then it did not before."""
    texts = ('http.headers["x-t"]', "claims.t", "input.parsed_path[0]")
    idioms = [each.format(text) for each in AFFIXES for text in texts]
    values = ("", "a", "b", "ab", "abb", "abbb", "aba", "abab", "ba", "aab", "aabb")
    asked = [Request("GET", f"/{text}", (("x-t", text),), Token("corp", {"t": text})) for text in values]
    asked += [Request("GET", "/", (), Token("corp", {"t": value})) for value in (7, None, ["ab"])]
    judge_natively(bed, allowing(idioms, providers, issuers, head=HEAD), asked, residual=0.1)
