"""The smallest change that turns an outcome: found for the rules that people write, confirmed, and small."""

from __future__ import annotations

from typing import Any

import pytest
from explain_helpers import explainer_of, request
from policies_by_hand import DATA, POLICIES

from palisade.explain.edits import changed
from palisade.explain.flips import Budget, Flip
from palisade.rego.values import UNDEFINED, Value

ALICE = {"sub": "alice", "roles": ["dev"], "tier": 1}


def flip(rules: str, document: Value, data: Any = None) -> Flip:
    found = explainer_of(rules, data).explain(document)
    assert found.flips, found
    return found.flips[0]


def values(found: Flip) -> dict[str, Any]:
    return {".".join(map(str, change.path[-2:])): change.value for change in found.changes}


ADDRESS = "input.attributes.source.address.socketAddress.address"
DIGEST = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
CASES: tuple[tuple[str, Value, dict[str, Any]], ...] = (
    ('http.method == "POST"', request(), {"http.method": "POST"}),
    ('lower(http.method) == "put"', request(), {"http.method": "PUT"}),
    ('"admin" in claims.roles', request(claims=ALICE), {"claims.roles": ["dev", "admin"]}),
    ('"admin" in claims.roles', request(), {"claims.roles": ["admin"]}),
    ('every r in claims.roles { startswith(r, "a") }', request(claims=ALICE), {"claims.roles": []}),
    ("count(claims.roles) == 3", request(claims=ALICE), {"claims.roles": ["dev", "x0", "x1"]}),
    ("claims.tier >= 3", request(claims=ALICE), {"claims.tier": 3}),
    ("claims.tier < 1", request(claims=ALICE), {"claims.tier": 0}),
    ('split(claims.scope, " ")[0] == "read"', request(claims=ALICE), {"claims.scope": "read"}),
    (
        '{ some g in claims.groups; g.name == "ops"; g.level > 2 }',
        request(claims=ALICE),
        {"claims.groups": [{"name": "ops", "level": 3}]},
    ),
    ("crypto.sha256(claims.sub) == claims.digest", request(claims=ALICE), {"claims.digest": DIGEST}),
    ("not input.identity", request(claims=ALICE), {"identity": UNDEFINED}),
    ('http.headers["x-tenant"] == claims.sub', request(claims=ALICE), {"headers.x-tenant": "alice"}),
    ("not http.headers.cookie", request(cookie="a=1"), {"headers.cookie": UNDEFINED}),
    ('startswith(http.path, "/public/")', request(target="/a"), {"http.path": "/public/a"}),
    ("regex.match(`^/v[12]/items/[0-9]+$`, http.path)", request(), {"http.path": "/v1/items/0"}),
    ('glob.match("/a/*/c", ["/"], http.path)', request(), {"http.path": "/a/a/c"}),
    (
        "input.parsed_path[1] == claims.sub",
        request(target="/u/x", claims=ALICE),
        {"parsed_path.1": "alice"},
    ),
    ('input.parsed_query.q[0] == "a b"', request(), {"q.0": "a b"}),
    (f'net.cidr_contains("10.2.0.0/16", {ADDRESS})', request(), {"socketAddress.address": "10.2.0.1"}),
)


@pytest.mark.parametrize(("body", "document", "expected"), CASES, ids=[body for body, *_ in CASES])
def test_denied_requests_are_allowed_by_one_change(
    body: str, document: Value, expected: dict[str, Any]
) -> None:
    assert values(flip(f"allow if {body}", document)) == expected


def test_several_changes_are_made_where_one_will_not_do() -> None:
    rules = 'allow if { http.method == "POST"; "admin" in claims.roles; http.headers["x-a"] == "b" }'
    assert values(flip(rules, request())) == {
        "http.method": "POST",
        "claims.roles": ["admin"],
        "headers.x-a": "b",
    }


def test_the_rule_for_the_same_path_is_nearer_than_another_path() -> None:
    rules = 'allow if { http.path == "/a"; http.method == "PUT" }\nallow if http.path == "/b"'
    assert values(flip(rules, request(target="/a"))) == {"http.method": "PUT"}


def test_a_header_is_nearer_than_a_token_where_there_is_none() -> None:
    """Each counted as one thing, and the rule that stands first won: the change was a token with a role."""
    rules = 'allow if "admin" in claims.roles\n\nallow if http.headers["x-tenant"] == "a"'
    found = explainer_of(rules).explain(request())
    assert values(found.flips[0]) == {"headers.x-tenant": "a"}
    assert found.nearest[0].location.row == found.nearest[1].location.row + 2
    assert values(flip(rules, request(claims={"sub": "alice"}))) == {"claims.roles": ["admin"]}


def test_numbers_that_python_does_not_show_are_not_proposed() -> None:
    """One more than the largest was, which ended in a ValueError; and claims that no token can have."""
    largest = 10**4_300 - 1
    for rules in (f"allow if input.parsed_body.n > {largest}", f"allow if claims.n == {10**400}"):
        assert explainer_of(rules).explain(request(claims=ALICE)).flips == ()
    rules = f"allow if input.parsed_body.n >= {largest}"
    assert values(flip(rules, request())) == {"parsed_body.n": largest}
    found = explainer_of(f"allow if not input.parsed_body.n in {{{largest}}}")
    assert found.explain(flip(rules, request()).document).flips


def test_a_denial_that_comes_first_is_taken_away() -> None:
    rules = "default allow := true\nallow := false if claims.sub in data.banned"
    assert values(flip(rules, request(claims=ALICE), {"banned": ["alice"]})) == {"claims.sub": UNDEFINED}


def test_allowed_requests_are_denied_by_one_change() -> None:
    rules = 'allow if { http.method == "GET"; "dev" in claims.roles }\nallow if claims.tier == 9'
    found = explainer_of(rules).explain(request(claims=ALICE))
    assert found.allowed
    assert values(found.flips[0]) == {"http.method": "POST"}


def test_a_method_in_small_letters_is_turned_by_another_method() -> None:
    """Envoy refuses what is no method: another text was proposed, and nothing found."""
    assert values(flip('allow if lower(http.method) == "get"', request())) == {"http.method": "POST"}


def test_what_no_request_can_be_is_not_proposed() -> None:
    """Paths that Envoy would make others of, headers in capitals, tokens of other issuers, the function."""
    for rules in (
        'allow if http.path == "/%61"',
        'allow if http.path == "//a"',
        'allow if http.headers["X-A"] == "b"',
        'allow if claims.iss == "https://else.example"',
        'allow if input.function == "other"',
        'allow if http.method == "no method"',
    ):
        assert explainer_of(rules).explain(request(claims=ALICE)).flips == (), rules


@pytest.mark.long
@pytest.mark.parametrize("source", POLICIES)
def test_every_flip_is_confirmed_and_needs_all_of_its_changes(source: str) -> None:
    explainer = explainer_of(source, DATA, head="package p\n")
    for document in (request(target="/users/bob"), request("DELETE", "/orders/1", ALICE)):
        found = explainer.explain(document)
        for each in found.flips:
            assert explainer.decision(each.document)[1].allowed is not found.allowed
            for left_out in each.changes if len(each.changes) > 1 else ():
                fewer = document
                for change in each.changes:
                    if change is not left_out:
                        fewer = changed(fewer, change.path, change.value, explainer.revision.providers)
                assert explainer.decision(fewer)[1].allowed is found.allowed, (each.changes, left_out)


@pytest.mark.long
def test_nearly_all_rules_that_people_write_can_be_turned() -> None:
    turned = 0
    for source in POLICIES:
        found = explainer_of(source, DATA, head="package p\n").explain(request(target="/users/bob"))
        turned += bool(found.flips)
    assert turned > 0.93 * len(POLICIES)


def test_a_search_ends_with_its_budget() -> None:
    rules = "\n".join(f'allow if {{ http.path == "/{n}"; claims.n == {n} }}' for n in range(300))
    explainer = explainer_of(rules)
    budget = Budget(questions=1)
    explainer.explain(request(), budget)
    assert budget.questions >= -1
    assert explainer.explain(request(), Budget(seconds=0)).flips == ()


def test_a_change_tells_what_stands_in_the_request_and_not_what_was_tried_before() -> None:
    """Of a host `a.blocked.example` that is none of two it was told that it is now another."""
    rules = """allow if {
	of(http.host, {"*.open.example", "*.b.open.example"})
	not of(http.host, {"a.open.example", "*.b.open.example"})
}

of(name, names) if name in names

of(name, names) if {
	some each in names
	startswith(each, "*.")
	endswith(name, trim_prefix(each, "*"))
}
"""
    document = request()
    document["attributes"]["request"]["http"]["host"] = "a.open.example"
    found = explainer_of(rules).explain(document).flips
    assert found
    assert {each.before for flip in found for each in flip.changes} == {"a.open.example"}
