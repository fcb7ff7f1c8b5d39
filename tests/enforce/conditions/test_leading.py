"""The first segments of a path, compared with constants together: looked up, and as the evaluator decides."""

from __future__ import annotations

import pytest
from lowered import allowing, compile_policy, judge_natively

from palisade import rego
from palisade.enforce.envoy.conditions.leading import MOST
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
"""
IDIOMS = (
    *('path[0] == "a"; path[1] == "b"', 'path[0] == "a"; path[1] == "b"; path[2] == "c"'),
    *('path[1] == "b"; path[0] in {"a", "b"}', 'path[0] == "a"; path[1] == "b"; path[0] != "c"'),
    *('path[0] == "a"; path[1] == "b"; count(path) == 2', 'path = ["a", "b", _]', 'path = ["a", "b", x, x]'),
    *('path[0] == "a"; path[2] == "c"', 'path[0] == "a"; path[1] == ""', 'path[0] == ""; path[1] == "b"'),
    *('path[0] == "a"; path[1] == "b c"', 'path[0] == "a"; path[1] == "b/c"', 'path[0] == "a"; path[1] == 7'),
    *('path[0] == "a"; path[1] in {"b", 7, "c"}', 'path[0] == "a"; path[1] == "b"; path[1] == "c"'),
    *('path[0] == "a"; path[1] == claims.sub', 'path[0] == "a"; path[1] == "b"; path[2] == claims.sub'),
    *(
        "not first",
        'path[0] == "a"; path[1] == "b"; not path[2]',
        'path[0] in {"a", "b"}; path[1] in {"a", "b"}',
    ),
    *(
        'concat("/", path) == "a/b"',
        'concat("/", path) in {"a", "b/c", "", "a/"}',
        'not concat("/", path) == "a"',
    ),
    *('concat("/", array.slice(path, 0, 2)) == "a/b"', 'array.slice(path, 0, 2) == ["a", "b"]'),
    *('array.slice(path, 0, 1) == ["a"]', 'array.slice(path, 0, 9) == ["a", "b"]'),
)
PATHS = (
    *("/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/b/c/d", "/a/b?/c", "/a/bc", "/b/a/b", "/b/b", "/b/a"),
    *(
        "/a/c",
        "/a/%62",
        "/a/b%20c",
        "/a/b%2Fc",
        "/a%2Fb",
        "//a/b",
        "/a//b",
        "/a/./b",
        "/a/b/x/x",
        "/a/x/c",
        "*",
    ),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_first_segments_together(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Whatever follows, and in which order they are asked."""
    head = HEAD + 'first if { path[0] == "a"; path[1] == "b" }\n'
    asked = [Request("GET" if path != "*" else "OPTIONS", path) for path in PATHS]
    asked += [Request("GET", path, (), Token("corp", {"sub": sub})) for path in PATHS for sub in ("b", "c")]
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=head), asked, residual=0.3)


def test_many_sets_of_constants_are_asked_one_by_one() -> None:
    """All paths of several large sets would be their product."""
    few, many = (
        rego.compile({"p.rego": HEAD + "allow if {\npath[0] in data.t\npath[1] in data.t\n}"}, {"t": t})
        for t in ([f"s{n}" for n in range(size)] for size in (8, 1 + int(MOST**0.5)))
    )
    found = [str(compile_policy(each, "p.allow", ()).entries) for each in (few, many)]
    assert ["{1}" in each for each in found] == [False, True]
