"""Whether and where patterns are found is asked in the sidecar, and answered as the evaluator does."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import allowing, judge, judge_natively

from palisade.enforce.envoy.conditions.searches import so_often
from palisade.policy.providers import Provider
from palisade.rego.builtins import BUILTINS
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
path := split(http.path, "?")[0]
"""
IDIOMS = (
    'count(regex.find_n("[A-Z]", http.headers["x-a"], -1)) > 0',
    'count(regex.find_n("[A-Z]", http.headers["x-a"], -1)) == 0',
    'not count(regex.find_n("[A-Z]", http.headers["x-a"], 2)) >= 1',
    'count(regex.find_n("[A-Z]", http.headers["x-a"], -1)) >= 0',
    'count(regex.find_n("[A-Z]", claims.sub, -1)) < 1',
    'regex.find_n("[A-Z]", http.headers["x-a"], -1) != []',
    'regex.find_all_string_submatch_n("(a)(b)?", http.headers["x-a"], -1) == []',
    'count(regex.find_all_string_submatch_n("^/users/([^/]+)/?$", path, -1)) == 1',
    '[[_, id]] := regex.find_all_string_submatch_n("^/users/([^/]+)/?$", path, -1); id == claims.sub',
    'm := regex.find_all_string_submatch_n("^/users/(.+)$", path, 1); count(m) > 0; m[0][1] == claims.sub',
    'some m in regex.find_all_string_submatch_n("^/users/([^/]+)", path, -1); m[1] == "alice"',
    'not regex.find_all_string_submatch_n("^/users/([^/]+)", path, -1)[0][1] == "alice"',
    'count(indexof_n(http.path, "al")) == 0',
    'indexof_n(http.headers["x-a"], "a") != []',
    'count(indexof_n(claims.sub, "a")) > 0',
    'regex.split("/", path)[2] == claims.sub',
    r'"A" in regex.split("\\.", http.headers["x-a"])',
    'strings.replace_n({"-": "", " ": ""}, http.headers["x-a"]) == "A1"',
    'startswith(strings.replace_n({"-": "", ".": ""}, http.headers["x-a"]), "aA")',
)
COUNTED = tuple(
    f'count(regex.find_n("{pattern}", http.headers["x-a"], -1)) {sign} {number}'
    for pattern in ("[A-Z]", "[a-c]+", "\\\\d", "[ab0-9.]+")
    for sign, number in (("==", 1), (">=", 2), ("<", 3), (">", 1), ("!=", 2), ("<=", 1))
)
OTHERS = (
    'startswith(strings.replace_n({"a": "x", "A": "x"}, http.headers["x-a"]), "xx")',
    'count(regex.find_n("[^A-Z]", http.headers["x-a"], -1)) > 1',
    'count(regex.find_n("[A-Z]", http.headers["x-a"], 2)) == 2',
    'count(regex.find_n("[Z-A]", http.headers["x-a"], -1)) == 2',
    'count(regex.find_n("AA", http.headers["x-a"], -1)) == 1',
    'count(regex.find_n("[A-Z]", http.headers["x-a"], 0)) == 0',
    'count(indexof_n(http.headers["x-a"], "a")) <= 1',
    'indexof_n(http.headers["x-a"], "a") == [0]',
    'count(indexof_n(http.headers["x-a"], "")) == 0',
    'regex.split("[,.]", http.headers["x-a"])[0] == "A"',
    'strings.replace_n({"aa": "", "a": "A"}, http.headers["x-a"]) == "A"',
)
"""What is found more than once, or by patterns of two ways, is the engine's, and the same."""
TEXTS = (
    "",
    "A",
    "a",
    "aA",
    "A1",
    "A-1",
    " A - 1",
    "AA",
    "a.A",
    "A.",
    ".A",
    "aa",
    "ab",
    "ba",
    "1",
    "\u00c4",
    "a\u00e4",
)
PATHS = (
    "/",
    "/users/",
    "/users/alice",
    "/users/alice/",
    "/users/bob?a=/users/alice",
    "/x/users/alice",
    "/users/al/x",
)
SUBJECTS = ("alice", "bob", "", "A", "\u00c4", 1, None, ["a"], {"a": "A"})

NO_CLASSES = ("[*-a]", "[^a]", "[b-a]", "[a-]", "a")


def _asked() -> list[Request]:
    found = [Request(headers=(("x-a", each),), token=Token("corp", {"sub": each})) for each in TEXTS]
    found += [Request(headers=(("x-a", "a"), ("x-a", "A"))), Request(headers=(("x-a", "aB" * 3000),))]
    return found + [
        Request(target=path, token=Token("corp", {"sub": subject})) for path in PATHS for subject in SUBJECTS
    ]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_is_found_is_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Texts that are missing, empty, odd, long or of another type are none in which something is found."""
    asked = _asked()
    judge_natively(bed, allowing(IDIOMS + COUNTED, providers, issuers, head=HEAD), asked, residual=0.1)
    judge(bed, allowing(OTHERS, providers, issuers, head=HEAD), asked, Tally())


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(("[a-b]", "[ab]+", "\\d", "\\d+", "[a0-1 ]+", "[.]", "[$a]", *NO_CLASSES)),
    st.text("ab1.- \n\u00e4", max_size=12),
    st.integers(1, 5),
)
def test_how_often_a_class_is_found(pattern: str, text: str, count: int) -> None:
    often = so_often(pattern, count)
    assert (often is None) is (pattern in NO_CLASSES)
    if often is not None:
        found = BUILTINS["regex.find_n"].function(pattern, text, -1)
        assert (re2.fullmatch(often, text) is not None) is (len(found) >= count)
