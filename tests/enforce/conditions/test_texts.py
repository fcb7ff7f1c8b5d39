"""Idioms in which policies cut texts and paths apart are native, and decide as the evaluator does."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively, subject_of
from requests_by_hand import REQUESTS

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
"""

IDIOMS = (
    *(
        f"count(path) {sign} {number}"
        for sign in (">", ">=", "<", "<=", "==", "!=")
        for number in (0, 1, 2, 3)
    ),
    *("count(path) > -1", "count(path) < -1", "2 < count(path)", "not count(path) > 2"),
    *(
        f"array.slice(path, {start}, {end}) == {value}"
        for start, end, value in (
            (0, 2, '["users", "alice"]'),
            (0, 3, '["users", "alice"]'),
            (0, 1, '["users", "alice"]'),
            (1, 3, '["alice", "orders"]'),
            (1, 9, '["alice"]'),
            (1, 2, '[""]'),
            (-3, 1, '["users"]'),
            (0, 2, '["users", "ünï"]'),
            (0, 2, '["", "users"]'),
            (2, 9, "[]"),
            (2, 1, "[]"),
            (0, 2, '["users", 1]'),
            (0, 2, '["users/alice"]'),
        )
    ),
    *('concat("/", array.slice(path, 0, 2)) == "users/alice"', 'concat("/", path) == "users/alice"'),
    *(
        'concat("/", path) == "users/alice/"',
        'concat("/", path) == "/users"',
        'concat("/", path) in {"a", "admin/x"}',
    ),
    *(
        f'regex.match("{constant}", concat("/", {segments}))'
        for constant in ("^users/[a-z]+$", "alice", "^$", "orders/?$", "^alice", "[^a]", "^[a-z]*/")
        for segments in ("path", "array.slice(path, 1, count(path))")
    ),
    *(
        f'glob.match("{pattern}", {marks}, concat("/", {segments}))'
        for pattern, marks in (
            ("users/*", '["/"]'),
            ("**", '["/"]'),
            ("alice{,/orders/*}", '["/"]'),
            ("us*e", "null"),
            ("", "[]"),
        )
        for segments in ("path", "array.slice(path, 1, count(path))", "array.slice(path, 2, 1000)")
    ),
    *(
        f'{test}(concat("/", {segments}), "{text}")'
        for test, text in (
            ("startswith", "users/al"),
            ("startswith", "ünï"),
            ("endswith", "0"),
            ("endswith", "alice/"),
            ("contains", "s/a"),
            ("contains", "C3"),
            ("contains", " "),
        )
        for segments in ("path", "array.slice(path, 1, count(path))")
    ),
    'not glob.match("users/**", ["/"], concat("/", path))',
    *(
        f'{no}strings.any_{kind}_match({text}, ["al", "us", "ice", "dev"])'
        for no in ("", "not ")
        for kind in ("prefix", "suffix")
        for text in ("claims.sub", "claims.tier", "path[0]", "input.parsed_query.user[0]")
    ),
    'lower(concat("/", path)) == "users/alice"',
    *(
        'path[count(path) - 1] == "alice"',
        'path[count(path) - 1] == ""',
        'path[count(path) - 2] == "users"',
        'not path[count(path) - 2] == "users"',
        'path[count(path) - 2] == ""',
        'path[count(path) - 3] in {"users", "alice", ""}',
        "path[count(path) - 2]",
        "not path[count(path) - 3]",
        'startswith(path[count(path) - 2], "us")',
        'endswith(path[count(path) - 2], "ce")',
        'contains(path[count(path) - 3], "e")',
        'regex.match("^[a-z]+$", path[count(path) - 2])',
        "path[count(path) - 2] == claims.sub",
        "path[count(path) - 3] == claims.sub",
        "to_number(path[count(path) - 2]) >= 1",
        'lower(path[count(path) - 2]) == "users"',
        'startswith(path[count(path) - 1], "al")',
    ),
    *(
        'endswith(path[count(path) - 1], ".json")',
        "path[count(path) - 1] == claims.sub",
        'path[count(path) - 1] == "ünï"',
    ),
    *(
        f'substring({text}, {start}, {size}) == "{value}"'
        for text in ("http.path", "claims.sub", 'http.headers["x-user"]')
        for start, size, value in (
            (0, 1, "a"),
            (0, 6, "/users"),
            (0, 3, "ali"),
            (0, 9, "alice"),
            (1, 2, "li"),
            (1, -1, "lice"),
            (0, -1, "alice"),
            (0, 1, "al"),
            (2, 3, "ï"),
            (1, 1, "n"),
        )
    ),
    'substring(http.path, 0, 6) != "/users"',
    *(
        f'indexof({text}, "{part}") {test}'
        for text in ("http.path", "claims.sub", 'http.headers["x-tenant"]')
        for part in ("alice", "/users", "A")
        for test in ("== -1", "!= -1", ">= 0", "> -1", "< 0", "== 0", "!= 0")
    ),
    *(
        'trim_space(http.headers["x-user"]) == "a"',
        'trim_space(claims.scope) == "write"',
        'trim_space(http.path) == " "',
    ),
    *('trim_space(http.headers["x-user"]) != "a"', 'trim_space(claims.sub) in {"ünï", "alice", ""}'),
    *(
        '"a" in [trim_space(x) | some x in split(http.headers["x-user"], ",")]',
        'trim_space(split(http.headers["x-user"], ",")[_]) == "b"',
    ),
    'some x in split(claims.scope, ";"); trim_space(x) in {"read", "write"}',
    *(
        'http.path == sprintf("/users/%v", [claims.sub])',
        'sprintf("%v/x", [http.headers["x-user"]]) == "alice/x"',
    ),
)

ASKED = (
    *REQUESTS,
    *(
        Request("GET", target)
        for target in (
            "/a/b/c/d",
            "/users/alice/orders/1",
            "/users/alice/orders/",
            "/a/alice",
            "/x?alice",
            "/x.json?/alice",
            "/users/ali%63e/x",
            "/al/x",
        )
    ),
    *(
        Request("GET", "/", (("x-user", value),))
        for value in ("alice", "al", "\u00a0a", "a\u2003", "b ,a", "a\t", "ünï", "b, a ,c")
    ),
    *(
        Request("GET", "/", (), Token("corp", {"sub": sub, "scope": scope}))
        for sub, scope in (
            (" alice ", " write"),
            ("\u2003alice", "write\u00a0"),
            ("alice\n", "\x0bwrite\x0c"),
            ("ali", "x; read ;y"),
            ("\x1calice", "x;\u2003read"),
            ("bünï", ";write"),
        )
    ),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_idioms_are_native_and_exact(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Each is asked of what it takes, what it nearly takes, and what only some readers take for the same."""
    subjects = allowing(IDIOMS, providers, issuers, head=HEAD)
    judge_natively(bed, subjects, ASKED, residual=0.1)


@pytest.mark.parametrize(
    "condition",
    [
        'crypto.sha256(http.headers["x-key"]) == claims.sub',
        'crypto.sha256(http.headers["x-key"]) in {"a", "b"}',
        'hex.decode(http.headers["x-key"]) == claims.sub',
        'json.unmarshal(http.headers["x-key"]).a == claims.sub',
    ],
)
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_lacks_its_operands_is_not_asked_about(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, condition: str
) -> None:
    """Without a header or a claim no builtin has an answer: that needs no engine."""
    policy = rego.compile({"p.rego": f"{HEAD}allow if {{ {condition} }}"})
    subject = subject_of(policy, providers, issuers)
    token = Token("corp", {"sub": "alice"})
    key = (("x-key", "ImEi"),)
    asked = [Request(), Request(token=token), Request(headers=key), Request(headers=key, token=token)]
    bed.load(subject)
    assert not compare(bed, subject, asked, Tally())
    found = [seen.asked for seen in bed.ask(asked) if seen is not None]
    assert found == [False, False, "claims" not in condition, True]
