"""Every reason for which a part of a policy is left to the engine says what would help."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from policies_by_hand import DATA, POLICIES

import palisade.rego.partial
from palisade import rego
from palisade.enforce.envoy import hints
from palisade.enforce.envoy.decision import decide
from palisade.rego.builtins import BUILTINS
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.terms import Apply, Input

HEAD = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"
LEFT_TO_THE_ENGINE = (
    "allow if json.unmarshal(http.body).x == 1",
    "allow if input.parsed_body.user == claims.sub",
    "allow if time.now_ns() < claims.exp * claims.unit",
    'allow if http.headers[claims.h] == "x"',
    'allow if { x := {v: k | some k, v in claims.map}; x.a == "b" }',
    "allow if input.attributes.destination.address.socketAddress.portValue > 80",
    'allow if crypto.sha256(http.path) == "a"',
    'allow if regex.replace(http.path, "a", "b") == "/b"',
    "allow if claims.tier / claims.level > 2",
    "allow if claims.tier < bits.and(to_number(http.headers.x), 3)",
    'allow if base64.decode(http.headers.x) < "M"',
    "allow if count(input.parsed_query) > claims.n",
    'allow if { some key, values in input.parsed_query; key != "a"; values[0] == "x" }',
    "allow if product(claims.n) > 3",
    'allow if io.jwt.decode(http.headers.authorization)[1].sub == "x"',
    'allow if upper(http.headers["x-a"]) == "É"',
    'allow if { walk(claims, [_, v]); v == "x" }',
    'allow if sprintf("%s-%d", [claims.sub, claims.tier]) == "a-1"',
    'allow if input.attributes.destination.address.socketAddress.address == "10.0.0.1"',
    "allow if input.parsed_path[_] == crypto.md5(claims.sub)",
    'allow if json.match_schema(claims, {"properties": {"mail": {"format": "email"}}})[0]',
    'allow if input.parsed_path[0] == "\ufffd"',
    "deny contains x if { some x in claims.bad }\nallow if count(deny) == 2",
    "allow if { h with input.attributes.destination.service as claims.sub }\n"
    'h if input.attributes.destination.address.socketAddress.address == "x"',
    'allow if split(base64.decode(substring(http.headers.authorization, 6, -1)), ":")[1] == "x"',
)


@pytest.mark.parametrize(
    "source", [*(HEAD + each for each in LEFT_TO_THE_ENGINE), *("package p\n" + e for e in POLICIES)]
)
def test_every_reason_has_a_hint(source: str) -> None:
    policy = rego.compile({"p.rego": source}, DATA)
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data, {("function",): "orders"})
    decision = decide(outcome, ["corp"])
    reasons = [reason for rule in decision.coverage for reason in rule.reasons] + list(decision.doubts)
    assert all(reason.hint and reason.hint != reason.text for reason in reasons), reasons
    if source.removeprefix(HEAD) in LEFT_TO_THE_ENGINE:
        assert any(reason.always for rule in decision.coverage for reason in rule.reasons)


def test_what_partial_evaluation_says_is_known_word_for_word() -> None:
    """A new limit of it comes with a hint of its own, not with the one for everything."""
    folder = Path(palisade.rego.partial.__file__).parent
    said = {
        call.args[0].value
        for file in folder.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", "")) in ("Unsupported", "unknown", "opaque")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    assert len(said) > 15
    other = hints.of_unfollowed("nothing that anyone says")
    assert [text for text in sorted(said) if hints.of_unfollowed(text) == other] == []


def test_every_builtin_has_a_hint_that_does_not_repeat_it() -> None:
    for name in BUILTINS:
        why, hint = hints.of_call(Apply(name, (Input(("x",)),)))
        assert why, name
        assert hint, name


def test_builtins_of_texts_and_schemas_say_what_is_read_instead() -> None:
    """Who decodes a segment of the path was sent to the query, and who checks a schema to keys of objects."""
    assert "input.parsed_path" in hints.of_builtin("urlquery.decode")
    assert "schema" in hints.of_builtin("json.match_schema")
    assert "pattern" in hints.of_unfollowed("asks by format of a schema, which cannot be followed")
    assert "cookies and other entries" in hints.of_doubt("two values for one name")


def test_what_the_request_says_of_its_token_is_named() -> None:
    """Keys that are constant are not asked for once more; nobody wrote the count of what is taken apart."""
    asked = f"""{HEAD}allow if {{
	[_, said, _] := io.jwt.decode(http.headers.x)
	[valid, _, payload] := io.jwt.decode_verify(http.headers.x, {{"secret": "{"s" * 64}", "iss": said.by}})
	valid
	payload.role == "a"
}}
"""
    policy = rego.compile({"p.rego": asked})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    coverage = decide(outcome, ["corp"]).coverage
    reasons = [reason for rule in coverage for reason in rule.reasons if reason.always]
    assert any('"iss" is what the request brings' in reason.hint for reason in reasons)
    assert not any("count" in reason.text for reason in reasons)


@pytest.mark.parametrize(
    "constraints", ['{"iss": "a"}', '{"iss": http.headers.y}', '{"iss": "a", "aud": "b"}']
)
def test_constraints_without_keys_are_named(constraints: str) -> None:
    """OPA verifies nothing by them: constant keys are what is missing, and not what is wrong with them."""
    asked = f"{HEAD}allow if io.jwt.decode_verify(http.headers.x, {constraints})[0]\n"
    policy = rego.compile({"p.rego": asked})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    (rule,) = decide(outcome, ["corp"]).coverage
    assert any('neither "cert" nor "secret"' in reason.hint for reason in rule.reasons)


@pytest.mark.parametrize("said", ["io.jwt.decode(http.headers.x)[1].sub", "claims.sub", "http.host"])
def test_it_is_said_what_to_do_without_in_one_of_two_values(said: str) -> None:
    """To verify a decoded token changed nothing, where what is in the way is a replace()."""
    asked = f"""{HEAD}allow if {said} == replace(input.parsed_path[0], "a", "b")\n"""
    policy = rego.compile({"p.rego": asked})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    (rule,) = decide(outcome, ["corp"]).coverage
    (hint,) = {reason.hint for reason in rule.reasons if reason.always}
    assert "replace(x, C, D) == E" in hint
