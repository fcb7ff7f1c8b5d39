"""Accounts of rules: which expressions held and failed, with the values that stood in them."""

from __future__ import annotations

from typing import Any

import pytest
from explain_helpers import explainer_of, request

from palisade.explain.explainer import Explainer
from palisade.explain.rules import branches
from palisade.explain.trace import Account, Tracer
from palisade.rego.values import Value

ALICE = {"sub": "alice", "roles": ["dev", "ops"]}


def account(explainer: Explainer, document: Value, at: int = 0) -> Account:
    """Of the first rule of the decision, or another branch of it."""
    rule = next(each for each in explainer.index.of_path(("p", "allow")) if not each.rule.default)
    return Tracer(explainer.policy, explainer.index, document).account(branches(rule)[at])


def told(found: Account) -> list[tuple[bool | None, str, dict[str, Any]]]:
    return [
        (each.held, each.text, {seen.text: seen.value for seen in each.seen}) for each in found.expressions
    ]


def test_values_are_those_of_one_way_through_the_body() -> None:
    data = {"grants": {"dev": [{"m": "GET"}], "ops": [{"m": "PUT"}, {"m": "POST"}]}}
    explainer = explainer_of(
        "allow if {\n\tsome r in claims.roles\n\tsome g in data.grants[r]\n\tg.m == http.method\n}", data
    )
    assert told(account(explainer, request("PUT", claims=ALICE))) == [
        (True, "some r in claims.roles", {"r": "ops", "claims.roles": ["dev", "ops"]}),
        (
            True,
            "some g in data.grants[r]",
            {"g": {"m": "PUT"}, "data.grants[r]": data["grants"]["ops"], "r": "ops"},
        ),
        (True, "g.m == http.method", {"g.m": "PUT", "http.method": "PUT"}),
    ]


def test_what_stands_behind_a_failure_is_told_where_it_does_not_need_it() -> None:
    explainer = explainer_of(
        'allow if {\n\thttp.method == "PUT"\n\tsome r in claims.groups\n\tr == "a"\n\t"dev" in claims.roles\n'
        "}"
    )
    held = [(each, text) for each, text, _ in told(account(explainer, request(claims=ALICE)))]
    assert held == [
        (False, 'http.method == "PUT"'),
        (False, "some r in claims.groups"),
        (None, 'r == "a"'),
        (True, '"dev" in claims.roles'),
    ]


def test_a_body_within_a_statement_needs_what_stands_before_it() -> None:
    """Nothing of the rule was told where what is counted, or a side of `or`, asks for what failed."""
    asked = ('count([1 | r == "a"]) > 0', '{ r == "a" } or { r == "b" }', "not { r == http.method }")
    for body in asked:
        explainer = explainer_of(
            f"import future.keywords\nallow if {{\n\tsome r in claims.groups\n\t{body}\n\thttp.method\n}}"
        )
        held = [(each, text) for each, text, _ in told(account(explainer, request(claims=ALICE)))]
        assert held == [(False, "some r in claims.groups"), (None, body), (True, "http.method")]


def test_a_helper_that_failed_has_an_account_of_its_own() -> None:
    explainer = explainer_of(
        "allow if {\n\tis_admin\n\tnot blocked\n}\n\n"
        'is_admin if "admin" in claims.roles\nis_admin if claims.sub == "root"\n'
        "blocked if claims.sub in data.banned",
        {"banned": ["alice"]},
    )
    admin, blocked = account(explainer, request(claims=ALICE)).expressions
    assert [(each.location.row, each.held) for each in admin.because] == [(12, False), (13, False)]
    assert admin.because[0].expressions[0].seen[0].value == ["dev", "ops"]
    assert (blocked.held, blocked.because[0].location.row, blocked.because[0].held) == (False, 14, True)


def test_a_function_is_told_of_with_its_arguments() -> None:
    explainer = explainer_of(
        "allow if may(claims.sub, http.method)\n\n"
        'may("root", _)\n\nmay(who, what) if {\n\tsome each in data.grants[who]\n\teach == what\n}',
        {"grants": {"alice": ["PUT"]}},
    )
    [expression] = account(explainer, request(claims=ALICE)).expressions
    [inner] = expression.because
    assert told(inner) == [
        (True, "some each in data.grants[who]", {"each": "PUT", "data.grants[who]": ["PUT"], "who": "alice"}),
        (False, "each == what", {"each": "PUT", "what": "GET"}),
    ]


def test_members_of_a_set_that_should_be_empty_are_told_of() -> None:
    explainer = explainer_of(
        "allow if count(deny) == 0\n\n"
        'deny contains "banned" if claims.sub in data.banned\n\ndeny contains "x" if http.path == "x"',
        {"banned": ["alice"]},
    )
    [expression] = account(explainer, request(claims=ALICE)).expressions
    assert [(each.location.row, each.held) for each in expression.because] == [(9, True)]


def test_the_member_on_which_every_fails_is_named() -> None:
    explainer = explainer_of('allow if every r in claims.roles { r != "ops"; r != "x" }')
    [(held, _, seen)] = told(account(explainer, request(claims=ALICE)))
    assert (held, seen["r"]) == (False, "ops")


@pytest.mark.parametrize(
    "body",
    [
        "some x; claims.roles[x] == claims.sub",
        "x := claims.sub; startswith(x, http.method)",
        'http.headers["x-a"] == "b"; not claims.roles[0] == "dev"',
        'helper with input.attributes.request.http.method as "PUT"',
        "some i, r in claims.roles; i > 3; r",
        "count({r | some r in claims.roles; r == claims.sub}) > 0",
        "[a, b] = claims.roles; a == b",
        "{\"a\": x} = claims; x > 3",
        "claims.roles[_] == \"admin\"",
        "object.get(claims, \"a\", 1) == 2; http.path == $\"/{claims.sub}\"",
        "x > 1; claims.tier = x",
        "walk(claims, [p, v]); v == 7; count(p) == 1",
    ],
)  # fmt: skip
def test_bodies_of_every_kind_can_be_told_apart(body: str) -> None:
    explainer = explainer_of(f'allow if {{ {body} }}\n\nhelper if http.method == "POST"')
    found = account(explainer, request(claims=ALICE))
    assert found.trouble == ""
    assert not found.held
    assert any(each.held is False for each in found.expressions)


def test_imports_and_else_branches() -> None:
    head = "package p\n\nimport input.attributes.request.http as h\nimport data.roles\n\n"
    explainer = explainer_of(
        'allow if h.method == "PUT"\nelse := true if {\n\th.method == "GET"\n\troles[h.path] == "x"\n}',
        {"roles": {"/": "y"}},
        head=head,
    )
    assert told(account(explainer, request(), at=1)) == [
        (True, 'h.method == "GET"', {"h.method": "GET"}),
        (False, 'roles[h.path] == "x"', {"roles[h.path]": "y", "h.path": "/"}),
    ]


def test_what_cannot_be_told_says_why() -> None:
    explainer = explainer_of(
        "allow if {\n\tclash == 1\n}\n\nclash := 1 if claims.sub\n\nclash := 2 if claims.roles"
    )
    assert "eval_conflict_error" in account(explainer, request(claims=ALICE)).trouble


def test_a_value_that_is_no_constant_is_told_of_like_an_expression() -> None:
    explainer = explainer_of('allow := may if http.method == "GET"\n\nmay if claims.sub == "root"')
    found = account(explainer, request(claims=ALICE))
    assert (found.held, found.allows) == (False, False)
    assert found.expressions[0].held is True
    explainer = explainer_of('allow := claims.admin if http.method == "GET"')
    found = account(explainer, request(claims={"admin": False}))
    assert (found.held, found.allows) == (True, False)
    assert found.value is not None
    assert (found.value.text, found.value.held, found.value.seen[0].value) == ("claims.admin", False, False)
