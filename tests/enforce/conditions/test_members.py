"""Members of joined arrays, of the path and of nested arrays, keys and extremes are read natively."""

from __future__ import annotations

from typing import Any

import pytest
from lowered import subject_of

from palisade import rego
from palisade.enforce.envoy.compile import NATIVE
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare_many
from palisade.testing.equivalence.telling import lines, summary

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
OF_CLAIMS = (
    'array.concat(claims.a, claims.b)[_] == "x"',
    'not "x" in array.concat(claims.a, ["y"])',
    'every m in array.concat(claims.a, claims.b) { m in {"x", "y"} }',
    'some m in array.concat(array.concat(claims.a, claims.b), ["z"]); m == http.headers["x-m"]',
    '"x" in array.slice(claims.a, 1, count(claims.a))',
    'array.reverse(claims.a)[_] == "y"',
    'some i; claims.a[i] == "x"; claims.b[i] == "y"',
    'some i; claims.a[i] == "x"; claims.a[i + 1] == "y"',
    'some k, v in claims.a; k == "key"; v == 7',
    'some k in object.keys(claims.a); k in {"key", "x"}',
    'not "key" in object.keys(claims.a)',
    "count(object.keys(claims.a)) > 1",
    'some group in claims.a; "w" in group.roles',
    "some group in claims.a; not 7 in group.roles; group.roles",
    "some k, v in claims.a; k == http.method; v == 7",
    *(f"{f}(claims.a) {sign} 3" for f in ("max", "min") for sign in ("<", "<=", ">", ">=", "==", "!=")),
    "sort(claims.a)[0] == 2",
    "max([m.n | some m in claims.a]) <= 3",
    "not min({m | some m in claims.a; m != 2}) == 3",
)
OF_COUNTS = (
    *(
        f'count({text}m | some m in claims.a; m in {{"x", "y", 3}}{end}) {sign} 2'
        for text, end in ("[]", "{}")
        for sign in ("<", "<=", ">", ">=", "==", "!=")
    ),
    'count({m | some m in claims.a} & {"x", "y"}) == 2',
    'count({"x", "y", "z"} - {m | some m in claims.a}) <= 1',
    "h := [m | some m in claims.a; m != claims.b]; not count(h) >= 2",
    'count([1 | some m in array.concat(claims.a, ["y"]); m == "x"]) == 1',
    'count({"a" | claims.a == "x"} | {"b" | claims.b == "x"} | {"c" | claims.a == claims.b}) >= 2',
    'count([i | some i; claims.a[i] == "y"; i > 0]) > 1',
    'count({"p" | some m in claims.a; m == 3} | {"q" | claims.b == "x"} | {"r" | claims.a[_] == 7}) > 1',
    'count({"p" | some m in claims.a; m != "x"}) < 1',
    "count([m.n | some m in claims.a]) == 1",
    "count(array.concat(claims.a, claims.b)) > 2",
    "2 > count([1 | some m in claims.a; m == 3])",
    'some group in claims.a; some role in group.roles; startswith(role, "w")',
    'some m in claims.a; some n in m; n == "x"',
    'count([s | some s in input.parsed_path; s != "x"]) >= 2',
)
OF_PATHS = (
    "input.parsed_path[_] == claims.b",
    "not claims.b in input.parsed_path",
    'some i; input.parsed_path[i] == "x"; input.parsed_path[i + 1] == "y"',
    'some i; input.parsed_path[i] == "x"; input.parsed_path[i + 1] == claims.b',
    'some i, s in input.parsed_path; i > 0; s == "x"',
    'every s in input.parsed_path { regex.match("^[a-z]+$", s) }',
    'every s in input.parsed_path { not contains(s, ".") }',
    'some s in input.parsed_path; startswith(s, "x")',
    'some s in input.parsed_path; endswith(s, "ü")',
    'every s in array.slice(input.parsed_path, 1, count(input.parsed_path)) { s in {"x", "y"} }',
    'array.slice(input.parsed_path, 1, count(input.parsed_path)) in {["x"], []}',
    'array.reverse(input.parsed_path)[0] == "y"',
    "input.parsed_path[count(input.parsed_path) - 1] == claims.b",
    'count([s | some s in input.parsed_path; startswith(s, "x")]) == 0',
    'count([s | some s in input.parsed_path; s in {"x", "y"}]) == 2',
    "count([i | some i, s in input.parsed_path; s == claims.b; i > 0]) < 1",
)
VALUES: tuple[Any, ...] = (
    *("x", ["x"], ["y", "x"], ["x", "y"], ["y"] * 9, [*"yyyyyyyyyx"], [], {}, None, 7, True),
    *({"key": 7}, {"x": "x", "GET": 7}, ["x", 3, None], [2, 3], [3, 4.5, 2], [[1], 2], [3] * 9, [3], [True]),
    *([{"roles": ["w", 7]}, 1], [{"roles": {"w": "w"}}], [{"roles": "w"}, {"n": 3}], [{"n": 4}, {"n": "x"}]),
    *([{"roles": ["r"]}], "y", "", [["x"]], [["a", "b", "c", "d", "x"], 1], ["x", "y", 3, "x"], ["x", "x"]),
)
PATHS = (
    *("/", "/x", "/x/", "/y/x", "/x/y", "/a/x/y/b", "/x%79", "/%78/y", "/X/x.y", "/a/%C3%BC", "/x%2Fy/y"),
    *("/a/b/c/d/e/f/g/x", "/a/b/c/d/e/f/g/h/x", "/a/b/c/d/e/f/g/x/y", "/x?y=/z", "/xy/zx?x", "/a/%zz"),
    *("/a%20b/y", "//x"),
)


def _native(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, rules: tuple[str, ...], asked: list[Request]
) -> Tally:
    """Everything is decided as the evaluator does, and no rule is always the engine's."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}), providers, issuers)
        for each in rules
    ]
    tally = Tally()
    bed.load(*subjects, reporting=True)
    for difference in compare_many(bed, subjects, asked, tally):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
    for rule, subject in zip(rules, subjects, strict=True):
        assert all(each.native or each.conditional for each in subject.enforcement.coverage), rule
    return tally


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_members_of_claims(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Whatever the claims are: arrays, short and long, objects, and what has no members."""
    pairs = [(a, b) for at, a in enumerate(VALUES) for b in (VALUES[at], ["y"], "x")]
    asked = [
        Request("GET", "/", (("x-m", "z" if at % 2 else "x"),), Token("corp", {"a": a, "b": b}))
        for at, (a, b) in enumerate(pairs)
    ]
    asked += [Request(), Request(token=Token("corp", {})), Request(token=Token("corp", {"a": ["x"]}))]
    tally = _native(bed, providers, issuers, (*OF_CLAIMS, *OF_COUNTS), asked)
    assert tally.residual < 0.25 * tally.pairs, tally


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_members_of_paths(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """However they are spelled; longer ones than are looked at go to the engine."""
    claims = ({"b": "x"}, {"b": "y"}, {"b": "xy"}, {"b": 7}, {"b": ""}, {"b": "ü"})
    asked = [Request("GET", path, (), Token("corp", each)) for path in PATHS for each in claims]
    asked += [Request("GET", path) for path in PATHS]
    tally = _native(bed, providers, issuers, OF_PATHS, asked)
    assert tally.residual < 0.35 * tally.pairs, tally


MANY = {
    "names": ["a", "b", "c", "e\\x", "ü", "q.", "x y", 7, None, "l\nm"],
    "empty": ["a", "b", "c", "d", ""],
    "large": [f"n{number}" for number in range(1_000)],
}
ODD: tuple[Any, ...] = (
    *("a", "e\\x", "e\\\\x", "ü", "q.", "qx", "", "\n", "a\n", "\na", "a\nb", "l\nm", "l", "x y", "\\1", "A"),
    *("n1", "n5\nn6", "n", 7, "7", None, True, ["a"], {"a": 1}, 1.0),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("name", MANY)
def test_members_in_a_large_set(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, name: str
) -> None:
    """One search in all texts of the set finds a member that is one of them, and no part of one; of a
    thousand it is a few kilobytes for each place of a member."""
    rules = (
        f"every m in claims.a {{ m in data.{name} }}",
        f"some m in claims.a; not m in data.{name}",
        f"not claims.a[0] in data.{name}",
        f"count([m | some m in claims.a; m in data.{name}]) >= 2",
        f"{{m | some m in claims.a}} - {{m | some m in data.{name}}} == set()",
    )
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}, MANY), providers, issuers)
        for each in rules
    ]
    sizes = [len(each.slot(NATIVE).value) for each in subjects]
    assert max(sizes) < 1_000_000, sizes
    asked = [
        Request(token=Token(providers[0].name, {"a": members}))
        for each in ODD
        for members in ([each], ["a", each])
    ]
    bed.load(*subjects, reporting=True)
    for difference in compare_many(bed, subjects, asked, tally := Tally()):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
    assert tally.residual == 0


SETS = (
    's contains "a" if claims.x\ns contains "a" if claims.y',
    's contains "a" if claims.x\ns contains "b" if claims.y',
    's contains "a" if claims.x\ns contains claims.y',
    's contains 1 if claims.x\ns contains 1.0 if claims.y\ns contains 2 if claims.z == "a"',
    's contains "a" if claims.x\ns contains "b" if claims.x\ns contains "a" if claims.y',
    's contains "x" if "a" in claims.z\ns contains "x" if { some m in claims.z; m == "b" }',
    's contains m if { some m in claims.z; m in {"a", "b"} }\ns contains "a" if claims.x',
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_a_set_has_each_member_once(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """However many rules put it there."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}{rules}\nallow if {{ {asked} }}"}), providers, issuers)
        for rules in SETS
        for asked in ("count(s) == 1", "count(s) > 1", "not count(s) < 2", "count(s) == 0")
    ]
    asked = [
        Request(token=Token("corp", {"x": x, "y": y, "z": z}))
        for x in (True, False)
        for y in (True, "a", None)
        for z in ("a", [], ["a"], ["b", "a"], ["a", "a"])
    ]
    bed.load(*subjects, reporting=True)
    for difference in compare_many(bed, subjects, [*asked, Request()], Tally()):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
