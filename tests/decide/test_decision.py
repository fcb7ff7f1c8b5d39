"""A decision rule's value becomes what OPA-Envoy makes of it, and never an allowance by mistake."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.decision import ALLOWED, DENIED, Decision, from_value
from palisade.decide.response import to_response
from palisade.rego.values import UNDEFINED, Set, from_python

SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.just(1.5) | st.just(Decimal("1.5"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "allowed",
        "http_status",
        "headers",
        "body",
        "response_headers_to_add",
        "request_headers_to_remove",
        "dynamic_metadata",
        "query_parameters_to_set",
    ]
)


@given(VALUES | st.dictionaries(KEYS, VALUES))
def test_only_true_and_an_object_that_says_so_allow(value: Any) -> None:
    decision = from_value(from_python(value))
    says_so = value is True or (isinstance(value, dict) and value.get("allowed") is True)
    assert not decision.allowed or says_so
    assert bool(decision.code) == bool(decision.reason)


@given(st.dictionaries(KEYS, VALUES))
def test_whatever_a_policy_returns_envoy_can_be_answered(value: Any) -> None:
    decision = from_value(from_python(value))
    response = to_response(decision, "id")
    assert (response.status.code == 0) is decision.allowed
    assert response.SerializeToString()


def test_bytes_that_are_no_text_are_replaced() -> None:
    """Decoded Base64 may have them; Envoy was answered nothing, and the engine's log had a traceback."""
    value = from_python({"allowed": False, "body": "a\udcda", "headers": {"x-a": "\udcff"}})
    decision = from_value(value)
    assert (decision.body, decision.headers) == ("a\ufffd", (("x-a", "\ufffd"),))
    assert to_response(decision, "id").SerializeToString()


@pytest.mark.parametrize(
    "told",
    [
        {"headers": {"x-a": "a\udcff"}},
        {"headers": {"\udcff": "a"}},
        {"response_headers_to_add": {"x-a": ["a", "\udcc3"]}},
        {"request_headers_to_remove": ["\udcff"]},
        {"dynamic_metadata": {"a": [{"b": "\udcff"}]}},
    ],
)
def test_what_is_allowed_tells_no_bytes_that_are_no_text(told: dict[str, Any]) -> None:
    """A user `%FF` of the path was U+FFFD to the function, as others were; OPA-Envoy ends in an error."""
    decision = from_value(from_python({"allowed": True, **told}))
    assert (decision.allowed, decision.code) == (False, "invalid_decision")
    assert from_value(from_python({"allowed": True, "why": "\udcff", "body": "\udcff"})).allowed


@pytest.mark.parametrize("text", ["a b", "a&role=admin", "a#", "a\r\nhost: b", "a\t", "\x1f", "ü", "\0"])
def test_no_value_of_a_parameter_is_another_parameter_or_another_request(text: str) -> None:
    """Envoy writes it into the path as it is."""
    for parameters in ({"user": text}, {text: "a"}, {"user": ["a", text]}):
        decision = from_value(from_python({"allowed": True, "query_parameters_to_set": parameters}))
        assert (decision.allowed, decision.code) == (False, "invalid_decision")
        assert "urlquery.encode" in decision.reason
        denied = {"allowed": False, "http_status": 401, "query_parameters_to_set": parameters}
        assert from_value(from_python(denied)).status == 401, "of a denial nothing is set"


def test_an_encoded_value_of_a_parameter_is_as_it_is() -> None:
    parameters = {"user": "a%20b+c=d;e", "tags[]": ["1", ""]}
    decision = from_value(from_python({"allowed": True, "query_parameters_to_set": parameters}))
    assert decision.query_parameters_to_set == (("user", "a%20b+c=d;e"), ("tags[]", "1"), ("tags[]", ""))


def test_booleans() -> None:
    assert from_value(True) is ALLOWED
    assert from_value(False) is DENIED


def test_an_object_with_everything() -> None:
    decision = from_value(
        from_python(
            {
                "allowed": False,
                "http_status": 401,
                "headers": {"www-authenticate": "Bearer", "set-cookie": ["a", "b"]},
                "body": "who are you?",
                "response_headers_to_add": [{"x-a": "1"}, {"x-a": "2"}],
                "request_headers_to_remove": ["x-secret"],
                "dynamic_metadata": {"n": [1, {"m": None}]},
            }
        )
    )
    assert decision == Decision(
        allowed=False,
        status=401,
        headers=(("www-authenticate", "Bearer"), ("set-cookie", "a"), ("set-cookie", "b")),
        body="who are you?",
        response_headers_to_add=(("x-a", "1"), ("x-a", "2")),
        request_headers_to_remove=("x-secret",),
        dynamic_metadata={"n": [1, {"m": None}]},
    )


def test_a_set_is_the_array_that_it_is_in_json() -> None:
    value = {"allowed": True, "request_headers_to_remove": Set.of(["b", "a"])}
    assert from_value(value).request_headers_to_remove == ("a", "b")


def test_a_response_has_no_pseudo_headers() -> None:
    """Over HTTP/2 a client would take it for malformed, and see no answer at all."""
    both = {":path": "/x", "x-a": "b"}
    allowed = from_value({"allowed": True, "headers": both, "response_headers_to_add": both})
    assert (allowed.headers, allowed.response_headers_to_add) == (tuple(both.items()), (("x-a", "b"),))
    assert from_value({"allowed": False, "headers": [both]}).headers == (("x-a", "b"),)
    spaced = {":path": "/a HTTP/1.1"}  # what is left out may have space, as it ends no line
    assert from_value({"allowed": True, "response_headers_to_add": spaced}) == from_value(True)


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        (UNDEFINED, "undefined_decision", "undefined"),
        ("yes", "invalid_decision", "a string"),
        ({}, "invalid_decision", '"allowed"'),
        ({"allowed": 1}, "invalid_decision", '"allowed" is a number'),
        ({"allowed": False, "http_status": "401"}, "invalid_decision", '"http_status" is a string'),
        ({"allowed": False, "http_status": 299}, "invalid_decision", "299"),
        ({"allowed": False, "http_status": 401.5}, "invalid_decision", "whole number"),
        ({"allowed": True, "headers": {"a b": "c"}}, "invalid_decision", "'a b'"),
        ({"allowed": True, "headers": {"a": "b\r\nc: d"}}, "invalid_decision", "control character"),
        ({"allowed": True, "headers": {":path": "/a HTTP/1.1"}}, "invalid_decision", "encode it as %20"),
        ({"allowed": True, "headers": {"a": 1}}, "invalid_decision", '"headers.a" is a number'),
        ({"allowed": True, "headers": [1]}, "invalid_decision", "number"),
        ({"allowed": True, "body": 1}, "invalid_decision", '"body"'),
        ({"allowed": True, "dynamic_metadata": []}, "invalid_decision", '"dynamic_metadata"'),
        ({"allowed": True, "request_headers_to_remove": "x"}, "invalid_decision", "array"),
    ],
)
def test_what_is_malformed_is_denied_and_says_why(value: Any, code: str, said: str) -> None:
    decision = from_value(value)
    assert (decision.allowed, decision.status, decision.code) == (False, 403, code)
    assert said in decision.reason


def test_numbers_in_metadata_are_doubles_or_refused() -> None:
    exact = Decimal("0.1000000000000000000001")
    decision = from_value({"allowed": True, "dynamic_metadata": {"a": [exact, 2, True]}})
    assert decision.dynamic_metadata == {"a": [0.1, 2.0, True]}
    assert to_response(decision, "id").dynamic_metadata["a"][0] == 0.1
    assert "out of range" in from_value({"allowed": True, "dynamic_metadata": {"a": 10**400}}).reason


def test_a_header_that_is_named_twice_is_there_twice() -> None:
    """The first takes the place of what Envoy would say, as a content type; the others stand beside it."""
    headers = [{"Set-Cookie": "a"}, {"x-a": "1"}, {"set-cookie": "b"}, {"set-cookie": "c"}]
    response = to_response(from_value({"allowed": False, "headers": headers}), "id")
    actions = HeaderValueOption.HeaderAppendAction
    assert [
        (each.header.key.lower(), each.header.value, actions.Name(each.append_action))
        for each in response.denied_response.headers
    ] == [
        ("set-cookie", "a", "OVERWRITE_IF_EXISTS_OR_ADD"),
        ("x-a", "1", "OVERWRITE_IF_EXISTS_OR_ADD"),
        ("set-cookie", "b", "APPEND_IF_EXISTS_OR_ADD"),
        ("set-cookie", "c", "APPEND_IF_EXISTS_OR_ADD"),
    ]


def test_the_reason_never_reaches_the_client() -> None:
    response = to_response(from_value({"allowed": 1}), "id")
    assert b"allowed" not in response.SerializeToString()


@pytest.mark.parametrize("ours", [5, {"decision_id": "forged", "more": 1}])
def test_a_policy_cannot_name_the_decision(ours: Any) -> None:
    """The access log would count the decision as another."""
    response = to_response(
        from_value({"allowed": True, "dynamic_metadata": {"palisade": ours, "a": 1}}), "id"
    )
    assert json_format.MessageToDict(response.dynamic_metadata) == {"palisade": {"decision_id": "id"}, "a": 1}


@pytest.mark.parametrize("value", [True, False, {"allowed": False, "http_status": 418, "body": "no tea"}])
def test_an_explanation_changes_nothing_of_what_becomes_of_a_request(value: Any) -> None:
    """It is a header of the answer, whichever it is: in the other one's place it would take the denial's."""
    decision = from_value(value)
    plain, explained = to_response(decision, "id"), to_response(decision, "id", "because")
    answer = explained.ok_response if decision.allowed else explained.denied_response
    added = answer.response_headers_to_add if decision.allowed else answer.headers
    assert "because" in str(added.pop())
    if decision.allowed:
        explained.ClearField("ok_response")
        plain.ClearField("ok_response")
    assert explained == plain
