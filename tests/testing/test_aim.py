"""Aiming at conditions: what is wanted of a request, however large the condition is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Exists, Formula, In
from palisade.rego.partial.formulas.terms import Element, Input
from palisade.testing.equivalence import Request, Subject
from palisade.testing.equivalence.aim import Aim
from palisade.testing.equivalence.fitting import fit
from palisade.testing.equivalence.walks import Place


def is_one_of(path: tuple[str, ...], *values: str) -> Formula:
    return Formula("atom", atom=In(Input(path), frozenset(values)))


def aimed(formula: Formula, *, holds: bool, seed: int = 0) -> tuple[dict[tuple[object, ...], object], int]:
    """What is wanted, and how many choices that took."""
    chance, taken = random.Random(seed), []

    def choose(items: object) -> object:
        taken.append(items)
        return chance.choice(items)  # type: ignore[arg-type]

    aim = Aim(choose, ["w"], lambda text: text, {})
    aim.at(formula, holds=holds)
    return aim.parts, len(taken)


def test_parts_that_are_shared_are_aimed_at_once() -> None:
    """Where each of 64 endpoints has an answer, the condition of each has all that come before it: drawing
    one request went through them by every way that leads there, and never ended."""
    builder = Builder()
    whole = is_one_of(("a",), "x")
    for number in range(50):
        one, other = is_one_of((f"l{number}",), "x"), is_one_of((f"r{number}",), "y")
        whole = builder.any((builder.both(whole, one), builder.both(whole, other)))
    for holds in (False, True):
        parts, choices = aimed(whole, holds=holds)
        assert choices < 1_000
        assert parts


def test_of_a_large_table_the_chosen_part_is_aimed_at() -> None:
    builder = Builder()
    rows = [
        builder.all(
            (is_one_of(("path",), f"p{n}"), is_one_of(("role",), f"r{n}"), is_one_of(("m",), f"m{n}"))
        )
        for n in range(5_000)
    ]
    table = builder.any(rows)
    guarded = builder.both(is_one_of(("tenant",), "t"), table)
    found = {parts["path",] for seed in range(20) for parts, _ in [aimed(guarded, holds=True, seed=seed)]}
    assert len(found) > 10
    for seed in range(20):
        parts, choices = aimed(guarded, holds=True, seed=seed)
        assert {str(parts[name,])[1:] for name in ("path", "role", "m")} == {str(parts["path",])[1:]}
        assert parts["tenant",] == "t"
        assert choices < 20
        assert aimed(guarded, holds=False, seed=seed)[1] < 2_000


def test_names_of_http_basic_are_met() -> None:
    """OPA-Envoy's tutorial reads them so: a piece of what is decoded of a piece, each of two. No request was
    ever drawn that such a rule allows, and `verify` compared denials alone."""
    policy = rego.compile(
        {
            "a.rego": """package a

user := name if {
	[_, encoded] := split(input.authorization, " ")
	[name, _] := split(base64.decode(encoded), ":")
}

allow if data.users[user].roles[_] == "writer"
"""
        },
        data={"users": {"alice": {"roles": ["reader"]}, "bob": {"roles": ["writer"]}}},
    )
    outcome = evaluate(policy.plan(["data.a.allow"]), ("a", "allow"), policy.data)
    (condition,) = {case.condition for case in outcome.cases if case.value is not None}
    for seed in range(20):
        parts, _ = aimed(condition, holds=True, seed=seed)
        drawn = {"authorization": parts["authorization",]}
        assert policy.query("data.a.allow = x", input=drawn) == [{"x": True}]


@pytest.mark.parametrize("whole", ['trim(path, "/")', 'trim_prefix(path, "/")', "substring(path, 1, -1)"])
def test_pieces_of_a_path_without_its_slashes_are_met(whole: str) -> None:
    """As most split a path. Each piece that was wanted took away the one before, so that `verify` compared
    denials alone."""
    source = f"""package a

path := split(input.path, "?")[0]

allow if {{
	["api", kind, id] = split({whole}, "/")
	data.owners[kind][id] == input.user
}}
"""
    policy = rego.compile(
        {"a.rego": source}, data={"owners": {"docs": {"d1": "alice"}, "jobs": {"j2": "bob"}}}
    )
    outcome = evaluate(policy.plan(["data.a.allow"]), ("a", "allow"), policy.data)
    (condition,) = {case.condition for case in outcome.cases if case.value is not None}
    found = [aimed(condition, holds=True, seed=seed)[0] for seed in range(40)]
    drawn = [{"path": parts["path",], "user": parts["user",]} for parts in found]
    allowed = [policy.query("data.a.allow = x", input=each) == [{"x": True}] for each in drawn]
    assert sum(allowed) > 15


def test_one_member_alone_is_right_wherever_it_stands() -> None:
    """Whoever looks at the first ones only, or at all but the last, decides otherwise on such a request."""
    source, loop = Input(("claims", "roles")), 1
    body = Formula("atom", atom=In(Element(source, loop), frozenset(("admin",))))
    some = Formula("atom", atom=Exists(source, loop, body))
    found = set()
    for seed in range(400):
        parts, _ = aimed(some, holds=True, seed=seed)
        members = {place[2]: value for place, value in parts.items() if isinstance(place[2], int)}
        right = [at for at, value in members.items() if value == "admin"]
        assert len(right) < 2
        found |= {(at, max(members)) for at in right if len(members) > 1}
    assert {(1, 1), (2, 2), (7, 7), (9, 9), (1, 2)} <= found


def test_of_a_whole_and_its_parts_both_are_wanted(make_subject: Callable[..., Subject]) -> None:
    """So many segments with that one among them: the list put in last took away what one was to be."""
    subject = make_subject("allow if claims.r")
    parts: dict[Place, Any] = {("identity", "claims", "r", 0): "a", ("identity", "claims", "r"): ["x"] * 3}
    parts |= {("parsed_path", 1): "b", ("parsed_path",): ["x"] * 3}
    found = fit(Request(), parts, subject)
    assert found.target == "/x/b/x"
    assert found.token is not None
    assert found.token.claims == {"r": ["a", "x", "x"]}
