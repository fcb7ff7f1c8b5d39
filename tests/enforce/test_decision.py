"""The account of what is native: whose fault it is, where, and for which requests alone."""

from __future__ import annotations

import pytest
from lowered import compile_policy

from palisade import rego
from palisade.decide.response import OBJECT
from palisade.enforce.envoy.decision import Decision
from palisade.enforce.envoy.matchers.entry import Verdict
from palisade.policy.providers import InlineKeys, Provider

PROVIDER = Provider("corp", "https://corp.example", (), InlineKeys("{}"))
HEAD = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"


def compiled(source: str) -> Decision:
    return compile_policy(rego.compile({"p.rego": HEAD + source}), "p.allow", [PROVIDER])


@pytest.mark.parametrize(
    "body",
    [
        'http.method == "GET"',
        'claims.sub == "alice"',
        "not claims.sub",
        'input.parsed_path == ["a", "b"]',
        'claims.roles == ["admin"]',
        "claims.roles[0] == http.method",
        "count(claims.roles) > 2",
        'trim(http.path, "/") == "a"',
        'split(http.path, "/")[1] == claims.sub',
        'net.cidr_contains("10.0.0.0/8", input.attributes.source.address.socketAddress.address)',
        'strings.any_prefix_match(http.path, ["/a", "/b"])',
        "not input.identity",
    ],
)
def test_ordinary_conditions_are_native(body: str) -> None:
    """No request of a policy of these ever needs the engine, but for paths that are spelled oddly."""
    decision = compiled(f"allow if {{ {body} }}")
    assert [each.native for each in decision.coverage] == [True]
    assert not decision.coverage[0].reasons


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('"admin" in claims.roles', "input.identity.claims.roles is an object"),
        ('claims.groups[_].name == "ops"', "input.identity.claims.groups has more than 8 members"),
        ("input.parsed_path[1] == claims.sub", "the path has escapes"),
        ('input.parsed_query.role[0] == "admin"', "the query has escapes, plus signs or semicolons"),
        ('http.path == $"/users/{claims.sub}"', "input.identity.claims.sub is no string"),
    ],
)
def test_rare_requests_are_conditions_of_a_native_rule(body: str, reason: str) -> None:
    """A rule that Envoy decides for usual requests says for which it does not."""
    (rule,) = compiled(f"allow if {{ {body} }}").coverage
    assert rule.conditional
    assert not rule.native
    assert f"is for the engine where {reason}" in {each.text for each in rule.reasons}
    assert {each.location.row for each in rule.reasons} == {4}


def test_roles_are_looked_up_in_what_a_request_needs_however_many_a_token_has() -> None:
    """What is asked of the path stood within the loop over the roles, so each was a condition of its own for
    each of the first eight members: 57 kB of configuration for two such roles, and 7 kB outside of it."""
    decision = compiled(
        """mine contains role if some role in claims.roles
needed contains "admin" if startswith(http.path, "/admin/")
needed contains role if {
  some role
  http.method in {"reader": ["GET"], "clerk": ["GET", "POST"]}[role]
}
allow if {
  mine[role]
  needed[role]
}"""
    )
    (rule,) = decision.coverage
    told = "is for the engine where input.identity.claims.roles is an object"
    assert {each.text for each in rule.reasons} == {told}


def test_reasons_have_the_place_of_the_rule() -> None:
    """A reader finds the line."""
    decision = compiled('allow if http.method == "GET"\nallow if {\n  rand.intn("a", 5) > 2\n}')
    native, residual = decision.coverage
    assert native.native
    assert not residual.conditional
    (reason,) = residual.reasons
    assert reason.always
    assert reason.location.row == 6
    assert "rand.intn" in reason.text


def test_responses_of_the_request_are_for_the_engine_and_say_so() -> None:
    """A body that each request makes anew is none of the answers that a sidecar knows."""
    decision = compiled('allow := {"allowed": false, "body": strings.reverse(http.path)} if not claims.sub')
    (rule,) = decision.coverage
    assert rule.verdict is Verdict.RESIDUAL
    assert rule.reasons[0].hint


def test_what_could_not_be_followed_is_named_and_not_taken_for_something_to_read() -> None:
    """Users were told that a rule needs a reason in brackets, which Envoy does not see."""
    decision = compiled("""
nets := ["10.0.0.0/8", "192.168.0.0/16", "10.1.0.0/16"]
found.nets contains {"code": "a", "text": sprintf("in %v", [concat(", ", names)])} if {
	matches := net.cidr_contains_matches(nets, input.parsed_body.ip)
	matches[_]
	names := [x | matches[_][0] = i; x := nets[i]]
}
filled := {name: values | values := found[name]; count(values) > 0}
allow := {"allowed": false, "body": json.marshal(filled)} if filled.nets
""")
    told = {reason.text: reason for rule in decision.coverage for reason in rule.reasons}
    assert "compare what the request brings" in told["asks which networks several addresses lie in"].hint
    assert not [text for text in told if text.startswith("needs <")]


def test_claims_that_may_be_of_many_providers_are_not_answered_with() -> None:
    """The account names the way: claims of one provider, as meshes have them, are put in by the sidecar. Of a
    few providers each has an answer."""
    others = [Provider(f"p{n}", f"https://p{n}.example", (), InlineKeys("{}")) for n in range(8)]
    of_one = 'input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].corp.sub'
    rule = 'package p\n\nallow := {"allowed": true, "headers": {"x-user": '

    def told(claim: str, most: int = 8) -> tuple[bool, list[str]]:
        providers = [PROVIDER, *others[:most]]
        policy = rego.compile({"p.rego": f"{rule}{claim}}}}}\n"})
        (account,) = compile_policy(policy, "p.allow", providers).coverage
        return account.conditional, [each.hint for each in account.reasons if each.always]

    native, hints = told("input.identity.claims.sub")
    assert not native
    assert of_one.replace("corp.sub", "NAME") in hints[0]
    assert told(of_one) == (True, [])
    assert told("input.identity.claims.sub", 7) == (True, [])


def test_conditions_on_claims_are_those_of_each_provider() -> None:
    """Without a token they do not hold, whatever they ask: that is no reason to ask the engine."""
    providers = [PROVIDER, Provider("shop", "https://shop.example", (), InlineKeys("{}"))]
    asked = (
        'http.path == sprintf("/tenants/%s/users/%d", [claims.tenant, claims.id])',
        'some p in claims.may; glob.match(p, [":"], http.headers["x-asks"])',
        'claims.of[claims.azp].role == "admin"',
    )
    for each in asked:
        policy = rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}\n"})
        (account,) = compile_policy(policy, "p.allow", providers).coverage
        assert not [reason.text for reason in account.reasons if reason.always], each


def test_parts_of_an_object_that_contradict_each_other_are_no_answers() -> None:
    """A status for each outcome of a helper rule makes two answers, not one for each combination."""
    decision = compiled(
        """ok if http.method == "GET"
status := 200 if ok else := 401
body := "come in" if ok else := "stay out"
allow := {"allowed": true, "http_status": status, "body": body} if ok
allow := {"allowed": false, "http_status": status, "body": body} if not ok"""
    )
    assert len(decision.answers) == 2
    assert not decision.residual


def test_an_object_that_only_allows_is_a_boolean() -> None:
    """OPA-Envoy's shortest object needs no engine. Its name says that it is one, for the decision log."""
    decision = compiled('allow := {"allowed": true} if claims.sub\nelse := {"allowed": false}')
    assert [each.verdict for each in decision.coverage] == [Verdict.ALLOW, Verdict.DENY]
    assert {each.verdict for each in decision.entries if each.name.endswith(OBJECT)} == {
        Verdict.ALLOW,
        Verdict.DENY,
    }
    assert not decision.residual


def test_a_claim_that_many_rules_loop_over_is_doubted_once() -> None:
    """That a claim is an object is said before all rules, not in each of ten thousand; nor is it said in each
    that the path has bytes beyond ASCII."""
    few = compiled("\n".join(f'allow if "r{n}" in claims.roles' for n in range(3)))
    many = compiled(
        "\n".join(f'allow if {{ "r{n}" in claims.roles; http.path == "/{n}" }}' for n in range(50))
    )
    assert sum(each.verdict is Verdict.RESIDUAL for each in few.entries) == 3
    assert sum(each.verdict is Verdict.RESIDUAL for each in many.entries) == 2


def test_what_lets_a_request_pass_has_a_name_that_the_gate_lets_pass() -> None:
    """The slot behind the filter asks the engine about names without a colon, that of a default too."""
    rules = 'default allow := true\nallow := false if input.attributes.request.http.method == "DELETE"'
    policy = rego.compile({"p.rego": f"package p\n{rules}"})
    decision = compile_policy(policy, "p.allow", ())
    passing = [each.name for each in decision.entries if each.verdict is Verdict.ALLOW]
    assert passing
    assert all(":" in name for name in passing)


@pytest.mark.parametrize(
    ("rules", "reason", "hint"),
    [
        (
            "level := 1 if http.method == concat(http.path, claims.a)\nlevel := 2 if claims.b",
            "concat",
            'sprintf("',
        ),
        (
            "jar := {lower(each.name): each.value | some each in claims.cookies}\nlevel := jar.a",
            "keys the request brings",
            "cookies are read natively",
        ),
    ],
)
def test_what_may_end_in_an_error_says_how_its_cause_becomes_native(
    rules: str, reason: str, hint: str
) -> None:
    """That two rules might conflict is no news to who reads that a call is why it cannot be told."""
    doubts = compiled(f"{rules}\nallow if level == 1").doubts
    [told] = [each for each in doubts if "two values may conflict" in each.text]
    assert reason in told.text
    assert hint in told.hint


@pytest.mark.parametrize(
    "first",
    [
        'granted := split(claims.scope, " ") if is_string(claims.scope)',
        'granted := split(claims.scope, " ")',
        'granted := {each | some each in split(claims.scope, " ")} if is_string(claims.scope)',
    ],
)
def test_a_text_and_its_absence_never_meet(first: str) -> None:
    """Scopes stand in `scope` or, where there is none, in `scp`: no request comes to both, so none is asked
    of the engine for fear of it."""
    rules = f"{first}\ngranted := claims.scp if not claims.scope"
    enforcement = compiled(f'{rules}\nallow if "orders" in granted')
    assert not [each.text for each in enforcement.doubts if "may conflict" in each.text]
    assert enforcement.coverage[-1].conditional
