"""The short explanation of an entry of the decision log: right, and silent of what the entry hides."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from explain_helpers import explainer_of, request
from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.decision import from_value
from palisade.decide.event import Decider, DecisionRecord
from palisade.decide.mask import Mask, scrub_line
from palisade.explain.brief import Brief, Briefing
from palisade.explain.explainer import Explainer
from palisade.rego.errors import EvalError
from palisade.rego.values import Value, to_json

RULES = """default allow := false

allow if http.method == "GET"

allow if {
	http.method == "PUT"
	claims.role == "writer"
}

allow if {
	http.method == "POST"
	http.headers["x-api-key"] == "the-right-key"
	claims.role == "poster"
}

allow if {
	http.method == "DELETE"
	input.parsed_body.sure == true
}
"""


def entry(explainer: Explainer, document: Value, decider: Decider = Decider.RESIDUAL) -> dict[str, Any]:
    """The entry of a request as it stands in the log."""
    name = explainer.revision.inventory.decision_document
    try:
        value = explainer.policy.evaluate(name, document)
        allowed = from_value(value).allowed
    except EvalError:
        value, allowed = False, False
    event = DecisionRecord(
        decision_id="1",
        timestamp=1_795_459_212_615_385_001,
        decider=decider,
        function="orders",
        path="p/allow",
        input=to_json(document),
        allowed=allowed,
        result=value,
        rule="p.rego:7",
    ).event()
    found: dict[str, Any] = json.loads(scrub_line(json.dumps(Mask().apply(event)).encode()))
    return found


def brief(document: Value, decider: Decider = Decider.RESIDUAL, rules: str = RULES) -> Brief:
    explainer = explainer_of(rules)
    return Briefing(explainer, Mask()).of(entry(explainer, document, decider))


def native(document: Any) -> Any:
    """As much of an input as a sidecar tells."""
    http = document["attributes"]["request"]["http"]
    told = {
        "attributes": {
            "request": {"http": {**http, "headers": {}}},
            "source": document["attributes"]["source"],
        }
    }
    return told | {
        name: document[name]
        for name in ("parsed_path", "parsed_query", "function", "identity")
        if name in document
    }


def test_a_denial_names_the_first_expression_that_fails_and_what_would_turn_it() -> None:
    assert brief(request("PUT", "/a", {"role": "reader"}), rules=RULES.replace('"GET"', '"HEAD"', 1)) == {
        "where": "by the engine",
        "rule": "p.rego:7",
        "default": True,
        "nearest": "p.rego:11:1",
        "failed": {
            "at": "p.rego:13:2",
            "expression": 'claims.role == "writer"',
            "values": ['claims.role is "reader"'],
        },
        "change": ['claim role must be "writer" (now "reader")'],
        "text": "denied by the engine by p.rego:7, as no other rule holds; nearest is p.rego:11:1, where "
        'claims.role == "writer" at p.rego:13:2 fails (claims.role is "reader"); to be allowed: claim role '
        'must be "writer" (now "reader")',
    }


def test_an_allowed_request_is_told_what_would_deny_it() -> None:
    found = brief(request("GET", "/a"))
    assert found["change"] == ['method must be "POST" (now "GET")']
    assert "nearest" not in found
    assert found["text"].startswith("allowed by the engine")


def test_what_is_masked_is_not_taken_for_missing() -> None:
    """The log has no such header; the request had, and the other one is what it lacks."""
    right = request("POST", "/a", {"role": "poster"}, x_api_key="wrong")
    found = brief(right)
    assert (found["nearest"], found["unknown"]) == ("p.rego:16:1", ["p.rego:18:2"])
    assert "failed" not in found
    assert "not known from the log: what is asked at p.rego:18:2" in found["text"]


def test_an_expression_that_fails_is_named_beside_one_that_is_not_known() -> None:
    rules = RULES.replace('\thttp.method == "POST"', '\tinput.parsed_path == ["a"]')
    found = brief(request("POST", "/a", {"role": "x"}, x_api_key="right"), rules=rules.replace("GET", "HEAD"))
    assert found["failed"]["at"] in ("p.rego:9:10", "p.rego:19:2")


def test_a_body_that_the_log_has_not_is_not_known() -> None:
    only = "default allow := false\n\nallow if input.parsed_body.sure == true\n"
    document = {**request("DELETE", "/a"), "parsed_body": {"sure": False}}
    found = brief(document, rules=only)
    assert (found["nearest"], found["unknown"]) == ("p.rego:9:1", ["p.rego:9:10"])
    assert "change" not in found


def test_what_comes_from_something_hidden_is_not_known_either() -> None:
    rules = (
        'default allow := false\n\nkey := http.headers["x-api-key"]\n\nallow if {\n\tshort := lower(key)\n'
        '\tcount(short) == 3\n\thttp.method == "GET"\n}\n'
    )
    found = brief(request("GET", "/a", x_api_key="ABCD"), rules=rules)
    assert found["unknown"] == ["p.rego:12:2", "p.rego:13:2"]
    assert "failed" not in found


def test_a_sidecar_tells_few_headers_and_the_others_are_not_known() -> None:
    rules = 'default allow := false\n\nallow if http.headers["x-team"] == "blue"\n'
    found = brief(native(request("GET", "/a", x_team="red")), Decider.NATIVE, rules)
    assert (found["where"], found["unknown"]) == ("in the sidecar", ["p.rego:9:10"])
    assert "change" not in found
    told = brief(native(request("GET", "/a")), Decider.NATIVE, rules.replace("x-team", "user-agent"))
    assert told["change"] == ['header user-agent must be "blue" (now missing)']


def test_who_calls_is_known_of_what_a_sidecar_decided() -> None:
    """A line of the sidecar names the caller, or says by naming none that there was none."""
    rules = 'default allow := false\n\nallow if input.peer in {"spiffe://a/shop"}\n'
    document = native(request("GET", "/a"))
    assert brief(document, Decider.NATIVE, rules)["failed"]["values"] == ["input.peer is undefined"]
    document["attributes"]["source"]["principal"] = document["peer"] = "spiffe://a/cart"
    found = brief(document, Decider.NATIVE, rules)
    assert found["failed"]["values"] == ['input.peer is "spiffe://a/cart"']
    assert found["change"] == ['who calls must be "spiffe://a/shop" (now "spiffe://a/cart")']
    assert "unknown" not in found


def test_no_change_is_proposed_that_hangs_on_what_is_not_known() -> None:
    """With the path changed a request is allowed, unless it has the header: nobody can tell."""
    rules = 'default allow := false\n\nallow if {\n\thttp.path == "/open"\n\tnot http.headers["x-bad"]\n}\n'
    assert "change" not in brief(native(request("GET", "/a", x_bad="1")), Decider.NATIVE, rules)
    assert brief(request("GET", "/a"), rules=rules)["change"] == ['path must be "/open" (now "/a")']


DERIVING = """default allow := false

key := http.headers["x-api-key"]

session := split(http.headers.cookie, "=")[1]

allow if http.headers["x-csrf"] == session

allow if input.parsed_query.token[0] == http.headers["x-echo"]

allow if {
	user := input.parsed_body.name
	startswith(http.path, concat("/", ["/users", user]))
}

allow if sprintf("%s!", [lower(key)]) == http.headers["x-shout"]

allow if base64.encode(key) == http.headers["x-coded"]

allow := false if {
	count(key) > 3
	http.headers["x-last"] == substring(key, 0, 3)
}

allow if {
	[_, claimed, _] := io.jwt.decode(substring(http.headers.authorization, 7, -1))
	claimed.sub == http.headers["x-sub"]
}

allow if {
	some name, value in http.headers
	name == "x-any"
	value == key
}

allow if data.known[key]

allow if key == "THE-KEY"
"""


@pytest.mark.long
@given(
    st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=8, max_size=20).map("zq{}".format),
    st.sets(st.sampled_from(["header", "cookie", "query", "body", "token"]), min_size=1),
    st.booleans(),
    st.sampled_from([Decider.RESIDUAL, Decider.NATIVE]),
)
def test_no_secret_comes_back_through_an_explanation(
    secret: str, places: set[str], right: bool, decider: Decider
) -> None:
    """Whatever a policy makes of it, and also where it is the secret that the policy itself holds."""
    query = f"?token={secret}&a=1" if "query" in places else ""
    document: Any = request("GET", f"/users/x{query}", {"sub": "alice"})
    headers = document["attributes"]["request"]["http"]["headers"]
    if "header" in places:
        headers["x-api-key"] = secret
    if "cookie" in places:
        headers["cookie"] = f"session={secret}"
    if "token" in places:
        claims = base64.urlsafe_b64encode(json.dumps({"sub": secret}).encode()).decode().rstrip("=")
        headers["authorization"] = f"Bearer eyJhbGciOiJub25lIn0.{claims}.{secret}"
    if "body" in places:
        document["parsed_body"] = {"name": secret}
        document["attributes"]["request"]["http"]["body"] = json.dumps({"name": secret})
    explainer = explainer_of(
        DERIVING.replace("THE-KEY", secret if right else "another"), {"known": {secret: True}}
    )
    masked = entry(explainer, document, decider)
    found = Briefing(explainer, Mask()).of(masked)
    shown = json.dumps([masked, found])
    coded = base64.b64encode(secret.encode()).decode()
    for each in (secret, secret.lower(), secret[:6], secret[-6:], coded[:8]):
        assert each not in shown, (each, found)
    assert found["text"]


KEYED = """default allow := false

key := "the-key-that-is-a-rule"

held := data.keys.first

allow if {
	http.method == "GET"
	io.jwt.verify_hs256(http.headers["x-token"], key)
}

allow if {
	http.method == "POST"
	io.jwt.decode_verify(http.headers["x-token"], {"secret": held, "aud": "the-audience"})[0]
}

allow if {
	http.method == "PUT"
	io.jwt.decode_verify(http.headers["x-token"], {"secret": "the-key-as-it-is", "aud": "the-audience"})[0]
}

allow if {
	http.method == "DELETE"
	verified(http.headers["x-token"], held)
}

verified(token, by) if io.jwt.verify_hs512(token, by)
"""
CHOSEN = """default allow := false

chosen := data.keys[http.headers["x-kid"]]

settings := {"secret": chosen, "aud": "a"}

of_tenant := key if {
	tenant := http.headers["x-tenant"]
	key := {"a": "the-key-that-is-chosen"}[tenant]
}

token := lower(http.headers["x-word"])

allow if {
	http.method == "GET"
	io.jwt.verify_hs256(http.headers["x-token"], chosen)
}

allow if {
	http.method == "POST"
	io.jwt.decode_verify(http.headers["x-token"], settings)[0]
}

allow if {
	http.method == "PUT"
	key := of_tenant
	key != token
	io.jwt.verify_hs512(http.headers["x-token"], key)
}

allow if {
	http.method == "DELETE"
	verified(http.headers["x-token"], of_tenant)
}

verified(token, by) if checked(token, by)

checked(token, by) if {
	key := sprintf("%s", [by])
	io.jwt.verify_hs512(token, key)
}
"""
DIGESTS = """
allow if {
	http.method == "PATCH"
	crypto.hmac.sha256(http.path, held) == http.headers["x-signature"]
}
"""


def test_keys_of_the_policy_are_not_told() -> None:
    """The log and the header showed the value of a rule that holds a key, and a key that stands in a call."""
    explainer = explainer_of(KEYED, {"keys": {"first": "the-key-in-the-data"}})
    for method in ("GET", "POST", "PUT", "DELETE"):
        for headers in ({"x_token": "a.b.c"}, {}):
            found = Briefing(explainer, Mask()).of(entry(explainer, request(method, "/a", **headers)))
            assert "the-key" not in json.dumps(found)
            assert "failed" in found
            assert ("the-audience" in found["failed"]["expression"]) == (method in ("POST", "PUT"))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_keys_that_a_request_chooses_are_not_told(method: str) -> None:
    """A rule that hangs on the request showed its value: the key that the request had chosen."""
    explainer = explainer_of(CHOSEN, {"keys": {"k1": "the-key-in-the-data"}})
    document = request(method, "/a", x_kid="k1", x_tenant="a", x_token="a.b.c", x_word="Other")
    found = Briefing(explainer, Mask()).of(entry(explainer, document))
    assert "the-key" not in json.dumps(found)
    assert found["failed"]["expression"]


def test_values_beside_keys_are_told() -> None:
    word = 'word := lower(http.headers["x-word"])\n'
    rules = f'{CHOSEN}allow if {{\n\thttp.method == "HEAD"\n\tword == "other"\n}}\n\n{word}'
    explainer = explainer_of(rules, {"keys": {}})
    found = Briefing(explainer, Mask()).of(entry(explainer, request("HEAD", "/a", x_word="Word")))
    assert 'word is "word"' in found["failed"]["values"]


def test_the_digest_that_would_be_right_is_not_told() -> None:
    """Who read it could have the request allowed, and never knew the key."""
    explainer = explainer_of(KEYED + DIGESTS, {"keys": {"first": "the-key-in-the-data"}})
    document = request("PATCH", "/a", x_signature="wrong")
    found = Briefing(explainer, Mask()).of(entry(explainer, document))
    digest = hmac.new(b"the-key-in-the-data", b"/a", "sha256").hexdigest()
    assert found["failed"]["values"] == ['http.path is "/a"', 'http.headers["x-signature"] is "wrong"']
    assert "change" not in found
    assert digest not in json.dumps(found)
    right = entry(explainer, request("PATCH", "/a", x_signature=digest))
    assert right["palisade"]["allowed"]


def test_a_rule_that_hangs_on_the_request_is_told() -> None:
    rules = "default allow := false\n\nrole := claims.role\n\nallow if lower(role) == http.headers.host\n"
    found = brief(request("GET", "/a", {"role": "Reader"}, host="x"), rules=rules)
    assert 'role is "Reader"' in found["failed"]["values"]
