"""Explanations: which rule decided, where, what keeps a request from the sidecar, and what is nearest."""

from __future__ import annotations

import pytest
from explain_helpers import explainer_of, request

from palisade.explain.explanation import Explanation, Where
from palisade.policy.inventory import Tls
from palisade.rego.values import Value

RULES = """default allow := false

allow if http.path == "/open"

allow if {
	http.method == "PUT"
	crypto.sha256(http.path) == claims.digest
}

allow := false if http.headers["x-bad"] == "1"

allow if {
	"admin" in claims.roles
	http.method == "DELETE"
}
"""


def row(found: Explanation) -> int | None:
    return found.rule.row if found.rule else None


@pytest.mark.parametrize(
    ("document", "allowed", "rule", "where"),
    [
        (request(target="/open"), True, 9, Where.NATIVE),
        (request(target="/x"), False, 7, Where.NATIVE),
        (request("PUT", "/x"), False, 7, Where.NATIVE),  # without a claim it cannot hold
        (request("PUT", "/x", {"digest": "7a"}), False, 7, Where.RESIDUAL),
        (request("PUT", "/open"), True, 9, Where.NATIVE),
        (request("DELETE", "/x", {"roles": ["admin"]}), True, 18, Where.NATIVE),
        (request("DELETE", "/x", {"roles": {"a": "admin"}}), True, 18, Where.RESIDUAL),
    ],
)
def test_rule_and_place_are_those_of_this_very_request(
    document: object, allowed: bool, rule: int, where: Where
) -> None:
    found = explainer_of(RULES).explain(document)
    assert (found.allowed, row(found), found.where) == (allowed, rule, where)
    assert found.default is (rule == 7)


def test_what_keeps_a_request_from_the_sidecar_is_of_this_request() -> None:
    explainer = explainer_of(RULES)
    [residue] = explainer.explain(request("PUT", "/x", {"digest": "7a"})).residues
    assert (residue.always, residue.place.location.row) == (True, 13)
    [residue] = explainer.explain(request("DELETE", "/x", {"roles": {"a": "b"}})).residues
    assert (residue.always, residue.place.location.row) == (False, 19)
    assert "is an object" in residue.reason
    assert explainer.explain(request(target="/x")).residues == ()


def test_a_denial_by_a_rule_has_that_rule_and_the_nearest_that_allow() -> None:
    rules = (
        'default allow := true\nallow := false if {\n\tclaims.sub in data.banned\n\thttp.method != "GET"\n}\n'
    )
    found = explainer_of(rules, {"banned": ["eve"]}).explain(request("PUT", claims={"sub": "eve"}))
    assert (found.allowed, row(found), found.default) == (False, 8, False)
    assert found.account is not None
    assert [each.held for each in found.account.expressions] == [True, True]


def test_an_else_branch_is_named_by_its_own_line() -> None:
    rules = (
        'allow if http.path == "/a"\nelse := false if http.path == "/b"\nelse if {\n\thttp.path == "/c"\n}'
    )
    assert row(explainer_of(rules).explain(request(target="/b"))) == 8
    assert row(explainer_of(rules).explain(request(target="/c"))) == 9


def test_objects_are_explained_by_what_they_say() -> None:
    rules = 'allow := {"allowed": false, "http_status": 401} if not input.identity\nelse := {"allowed": true}'
    explainer = explainer_of(rules)
    found = explainer.explain(request())
    assert (found.allowed, found.status, row(found)) == (False, 401, 7)
    assert explainer.explain(request(claims={"sub": "a"})).allowed
    assert explainer.decision(found.flips[0].document)[1].allowed


def test_an_undefined_decision_is_a_denial_without_a_rule() -> None:
    found = explainer_of('allow if http.path == "/a"').explain(request(target="/b"))
    assert (found.allowed, found.rule, found.value) == (False, None, None)
    assert any("undefined" in note for note in found.notes)


def test_an_evaluation_that_ends_in_an_error_is_a_denial_that_says_so() -> None:
    found = explainer_of("allow := true if claims.sub\n\nallow := x if x := claims.no").explain(
        request(claims={"sub": "a", "no": False})
    )
    assert not found.allowed
    assert any("eval_conflict_error" in note for note in found.notes)


def test_paths_that_envoy_refuses_reach_no_policy() -> None:
    document = request(target="/a%2fb")
    refused = explainer_of("allow := true").explain(document)
    assert (refused.where, refused.allowed, refused.status) == (Where.REFUSED, False, 400)
    kept = explainer_of("allow := true", escaped_slashes="keep").explain(document)
    assert (kept.where, kept.allowed) == (Where.NATIVE, True)


def test_a_broken_body_matters_only_where_the_engine_is_asked() -> None:
    explainer = explainer_of(RULES)
    native = explainer.explain(request(target="/open"), problem="the body is no JSON")
    assert native.allowed
    assert any("not looked at" in note for note in native.notes)
    residual = explainer.explain(request("PUT", "/x", {"digest": "7a"}), problem="the body is no JSON")
    assert (residual.allowed, residual.where, residual.notes) == (
        False,
        Where.RESIDUAL,
        ("the body is no JSON",),
    )


def test_nearest_are_the_rules_with_the_fewest_conditions_to_meet() -> None:
    found = explainer_of(RULES).explain(request("DELETE", "/x", {"roles": ["dev"]}))
    assert found.nearest[0].location.row == 18
    assert all(not each.held for each in found.nearest)


def test_a_rule_with_branches_is_among_the_nearest_once() -> None:
    """Each branch is a case of its own: the account of the rule stood there twice."""
    rules = (
        'allow := {"allowed": true, "headers": {"x-by": "key"}} if {\n\thttp.method == "GET"\n'
        '\thttp.headers["x-key"] == "a"\n} else := {"allowed": true} if http.path == "/open"\n\n'
        'else := {"allowed": false}\n'
    )
    found = explainer_of(rules).explain(request("GET", "/a"))
    assert [each.location.row for each in found.nearest] == [7]


def test_rules_that_only_the_evaluator_can_tell_are_asked_one_by_one() -> None:
    rules = "\n".join(
        f'allow if crypto.sha256(http.headers["x-{n}"]) == crypto.sha256("{n}")' for n in range(9)
    )
    found = explainer_of(rules).explain(request(x_4="4"))
    assert (found.allowed, row(found), found.where) == (True, 11, Where.RESIDUAL)


def test_a_decision_that_is_put_together_of_rules_is_explained_by_what_allows() -> None:
    rules = (
        'may if claims.sub == "root"\n\nallow["allowed"] := may\n\nallow["http_status"] := 401\n\n'
        "default may := false\n"
    )
    found = explainer_of(rules).explain(request(claims={"sub": "alice"}))
    # What allows only hands on what `may` is: that is by its default, and the rule of it comes nearest.
    assert (found.allowed, found.status, row(found), found.default) == (False, 401, 13, True)
    assert [each.location.row for each in found.nearest] == [7]
    assert found.flips[0].changes[0].value == "root"


HANDED_ON = """allow := shop if input.function == "orders"

allow if ready

allow if {
	ready
	claims.sub == "eve"
}

default shop := false

shop if http.method == "GET"

shop if http.path == "/open"

ready if http.headers.x == "1"

else := false if http.headers.x == "2"

else if http.headers.x == "3"
"""


@pytest.mark.parametrize(
    ("document", "allowed", "rule"),
    [
        (request("GET", "/x"), True, 18),
        (request("PUT", "/open"), True, 20),
        (request("PUT", "/x"), False, 16),
    ],
)
def test_what_a_rule_hands_on_is_explained_by_the_rule_behind_it(
    document: Value, allowed: bool, rule: int
) -> None:
    """The rule of a decision that decides nothing itself says nothing of why a request was denied."""
    found = explainer_of(HANDED_ON).explain(document)
    assert (found.allowed, row(found), found.where) == (allowed, rule, Where.NATIVE)
    if not allowed:
        assert found.default
        assert found.nearest[0].location.row == 18


def test_a_branch_that_is_handed_on_stands_for_itself() -> None:
    rules = HANDED_ON.replace('"orders"', '"others"') + "default allow := false\n"
    explainer = explainer_of(rules)
    assert [row(explainer.explain(request(x=x))) for x in ("1", "2", "3")] == [22, 27, 26]


def test_who_calls_is_decided_in_the_sidecar_and_asked_for_where_a_sidecar_can_know() -> None:
    rules = 'default allow := false\n\nallow if input.peer == "spiffe://a/b"\n'
    document = request()
    plain = explainer_of(rules).explain(document)
    assert (plain.allowed, plain.where) == (False, Where.NATIVE)
    assert any("asks nobody for a certificate" in note for note in plain.notes)
    secured = explainer_of(rules, tls=Tls()).explain(document)
    assert (secured.allowed, secured.where, secured.notes) == (False, Where.NATIVE, ())
    [flip] = secured.flips
    assert flip.document["attributes"]["source"]["principal"] == "spiffe://a/b"
    again = explainer_of(rules, tls=Tls()).explain(flip.document)
    assert (again.allowed, again.where) == (True, Where.NATIVE)


ANSWERING = """default allow := false

allow := {"allowed": true, "headers": {"x-user": claims.email, "x-tier": tier}} if "admin" in claims.roles

tier := lower(claims.plan)

allow := {"allowed": true, "headers": {"x-all": concat(",", [role | some role in claims.groups])}} if {
	some group in claims.groups
	group == "ops"
}
"""


@pytest.mark.parametrize(
    ("claims", "row", "missing"),
    [
        ({"roles": ["admin"], "plan": "a"}, 9, "claims.email"),
        ({"roles": ["admin"], "email": "a@b", "plan": 7}, 9, "tier"),
        ({"groups": ["ops", 7]}, 13, 'concat(",", [role | some role in claims.groups])'),
    ],
)
def test_what_an_answer_lacks_is_told(claims: Value, row: int, missing: str) -> None:
    """A rule that would allow denied, as a claim in its answer was missing, and nothing said so."""
    found = explainer_of(ANSWERING).explain(request(claims=claims))
    assert not found.allowed
    told = f"the expressions of p.rego:{row}:1 hold, but it gives nothing: {missing} is undefined"
    assert told in found.notes


def test_of_rules_that_do_not_hold_no_answer_is_looked_at() -> None:
    found = explainer_of(ANSWERING).explain(request(claims={"roles": ["reader"]}))
    assert not [note for note in found.notes if "gives nothing" in note]
