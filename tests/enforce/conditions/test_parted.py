"""What is asked of pieces of split texts in several parts: native, and as the evaluator decides."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
h := http.headers["x-t"]
u := http.headers["x-u"]
granted contains scope if {
	some scope, methods in data.granted
	http.method in methods
	startswith(http.path, "/users")
}
granted contains scope if {
	some scope, prefixes in data.prefixes
	some prefix in prefixes
	startswith(http.path, prefix)
}
"""
DATA = {"granted": {"a": ["GET"], "users:7": ["GET", "PUT"]}, "prefixes": {"7": ["/a", "/users/7"]}}
SPLIT = tuple(f"some s in split({text}, `{mark}`)" for text in ("h", "claims.t") for mark in (" ", ",", "::"))
ONE_CHARACTER = tuple(each for each in SPLIT if "::" not in each)
OF_HEADERS = ("some s in split(h, `,`)", "some s in split(h, `;`)")
COUNTED = (
    "[kind, verb] := split(s, `:`); kind == path[0]; verb == `7`",
    "[kind, verb] := split(s, `:`); kind == path[0]; verb in {`7`, `*`, ``}",
    "[kind, verb] := split(s, `:`); kind in {path[0], `*`}; verb == u",
    "[k, rest] := split(s, `/`); [id, verb] := split(rest, `.`); k == `users`; id in {u, `*`}; verb == `r`",
    "[a, b, c] := split(s, `:`); a == path[0]; b == u; c == claims.c",
    "parts := split(s, `:`); count(parts) == 2; parts[1] == u; parts[0] in {`users`, `a`}",
    "parts := split(s, `:`); count(parts) == 2; parts[1] == `a:b`; parts[0] == u",
    "[a, b] := split(s, `:`); a == u; b == u",
)
UNCOUNTED = (
    "parts := split(s, `:`); parts[0] == path[0]; parts[1] == u",
    "[a, b] := split(s, `:`); a == b",
)
ALTERNATIVES = (
    "s in granted",
    "s in {`a`, `7`}; http.method == `GET`",
    "s == u; startswith(s, `us`)",
    "s == sprintf(`users:%s`, [u]); endswith(s, `7`)",
    "startswith(http.path, sprintf(`/%s`, [s]))",
    "endswith(u, s); s != ``",
)
FOLDED = (
    "lower(trim_space(s)) in {`users`, `a`}",
    "trim_space(lower(s)) == `users`",
    "upper(trim_space(s)) == `USERS`",
    "lower(s) == `Users`",
    "startswith(lower(trim_space(s)), `us`)",
    "contains(lower(s), `k`)",
)
IDIOMS = (
    *(f"{each}; {asked}" for each in ONE_CHARACTER for asked in (*COUNTED, *UNCOUNTED)),
    *(f"{each}; {asked.replace('(s,', '(trim_space(s),')}" for each in OF_HEADERS for asked in COUNTED),
    *(f"{each}; {asked}" for each in SPLIT for asked in ALTERNATIVES),
    *(f"{each}; {asked}" for each in (*OF_HEADERS, SPLIT[4]) for asked in FOLDED),
    *(
        f"every s in split({text}, `,`) {{ {asked} }}"
        for text in ("h", "claims.t")
        for asked in ("lower(s) != `users`", "not lower(s) in {`a`, `users`}", "not s in granted")
    ),
)
VALUES = (
    *("users:7", "users:*", "*:7", "users:", ":7", "users:7:x", "a users:7", "users:7 a"),
    *("a,users:7", " users:7 ", "a, users:7", "users:7 ,a", "a,  users:7", "users/7.r"),
    *("users/*.r,a", "users/7.r.r", "users/7/7.r", "7:7", "users:7:c", "a,users:7:c,b"),
    *("users,a", "a::7", "USERS", "a, Users", "us\u212a", "\u212a", "users\\:7", "", ",", ":"),
    *("users: 7", " users : 7", "users:a:b", "a:b:7", "7", "a", "users:7;a", "a;users:7"),
    *("\u00fc,a"),
    ",".join("bcdefghi") + ",a",
    " ".join("bcdefghi") + " users:7",
    "x,y,z,users:7,7",
)


def _asked() -> list[Request]:
    found = []
    for at, value in enumerate(VALUES):
        user = ("7", "users", "7 ", "*", "a:b", "users:7", "a\\1", "")[at % 8]
        method, target = ("GET", "PUT")[at % 2], ("/users/7", "/a", "/", "/7", "/a%62")[at % 5]
        for named in ("7", user):
            headers = (("x-t", value), ("x-u", named))
            found.append(Request(method, target, headers))
            found.append(Request(method, "/users/7", headers, Token("corp", {"c": "c", "t": value})))
            found.append(Request("GET", "/users", (("x-u", named),), Token("corp", {"c": named, "t": value})))
    return found + [
        Request("GET", "/users/7", (("x-u", "7"),), Token("corp", {"t": value}))
        for value in (7, None, ["a"], {})
    ]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(4))
def test_pieces_of_several_parts_are_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int
) -> None:
    """Each on texts that have such a piece, nearly have one, or in which a value has the mark itself."""
    subjects = allowing(IDIOMS[part::4], providers, issuers, head=HEAD, data=DATA)
    judge_natively(bed, subjects, _asked(), residual=0.3)
