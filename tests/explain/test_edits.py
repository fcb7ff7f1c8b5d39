"""Changed inputs are such as a changed request would bring: what they say twice agrees."""

from __future__ import annotations

from typing import Any

import pytest
from explain_helpers import CORP, request

from palisade.decide.input import JWT_METADATA
from palisade.explain.edits import HTTP, ImpossibleError, changed, look_up
from palisade.policy.providers import Provider
from palisade.rego.values import UNDEFINED

PROVIDERS = (Provider("corp", CORP.issuer, ("orders",), CORP.keys),)


def test_a_path_is_the_same_in_all_places() -> None:
    document = changed(request(target="/a?x=1"), (*HTTP, "path"), "/b/c%20d?y=2&y=%C3%BC")
    assert document["parsed_path"] == ["b", "c d"]
    assert document["parsed_query"] == {"y": ["2", "ü"]}
    assert look_up(document, (*HTTP, "headers", ":path")) == "/b/c%20d?y=2&y=%C3%BC"


@pytest.mark.parametrize(
    ("path", "value", "target"),
    [
        (("parsed_path",), ["x", "y z"], "/x/y%20z?q=1"),
        (("parsed_path", 1), "ü", "/a/%C3%BC/c?q=1"),
        (("parsed_path", 4), "e", "/a/b/c/x/e?q=1"),
        (("parsed_path", 1), UNDEFINED, "/a?q=1"),
        (("parsed_query", "q", 0), "a&b", "/a/b/c?q=a%26b"),
        (("parsed_query", "r"), ["1", "2"], "/a/b/c?q=1&r=1&r=2"),
        (("parsed_query", "q"), UNDEFINED, "/a/b/c"),
    ],
)
def test_segments_and_parameters_become_the_path(path: tuple[Any, ...], value: Any, target: str) -> None:
    assert look_up(changed(request(target="/a/b/c?q=1"), path, value), (*HTTP, "path")) == target


def test_methods_and_hosts_are_pseudo_headers_too() -> None:
    document = changed(changed(request(), (*HTTP, "method"), "PUT"), (*HTTP, "host"), "other.example")
    headers = look_up(document, (*HTTP, "headers"))
    assert (headers[":method"], headers[":authority"]) == ("PUT", "other.example")


def test_a_token_appears_with_what_every_token_of_its_provider_says() -> None:
    document = changed(request(), ("identity", "claims", "roles"), ["admin"], PROVIDERS)
    assert document["identity"] == {
        "provider": "corp",
        "claims": {"iss": "https://corp.example", "aud": "orders", "roles": ["admin"]},
    }
    assert look_up(document, (*HTTP, "headers", "authorization")) == "Bearer token"
    gone = changed(document, ("identity",), UNDEFINED, PROVIDERS)
    assert "identity" not in gone
    assert look_up(gone, (*HTTP, "headers", "authorization")) is UNDEFINED


def test_claims_are_in_the_metadata_too() -> None:
    document = request(claims={"a": 1})
    document["attributes"]["metadataContext"] = {"filterMetadata": {JWT_METADATA: {"corp": {"a": 1}}}}
    found = changed(document, ("identity", "claims", "a"), 2)
    assert look_up(found, ("attributes", "metadataContext", "filterMetadata", JWT_METADATA, "corp", "a")) == 2
    assert look_up(document, ("identity", "claims", "a")) == 1


def test_a_body_is_sent_as_json() -> None:
    document = changed(request("POST"), ("parsed_body", "a", "b"), 1)
    assert look_up(document, (*HTTP, "body")) == '{"a":{"b":1}}'
    assert look_up(document, (*HTTP, "headers", "content-type")) == "application/json"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*HTTP, "path"), "/a//b"),
        ((*HTTP, "path"), "/a/../b"),
        ((*HTTP, "path"), "/%61"),
        ((*HTTP, "path"), "/a%2Fb"),
        ((*HTTP, "path"), "/a b"),
        ((*HTTP, "path"), "a"),
        ((*HTTP, "method"), "get"),
        ((*HTTP, "method"), UNDEFINED),
        ((*HTTP, "headers", "X-A"), "b"),
        ((*HTTP, "headers", "x-a"), 7),
        ((*HTTP, "headers", "x-a"), "a\nb"),
        ((*HTTP, "headers", "authorization"), "Bearer other"),
        (("parsed_path", 0), "a/b"),
        (("parsed_path",), []),
        (("parsed_query", "q"), "text"),
        (("identity", "claims"), 7),
        (("identity", "claims", "iss"), "https://else.example"),
        (("identity", "claims", "aud"), UNDEFINED),
        (("identity", "provider"), "other"),
        (("identity", "else"), 1),
        (("attributes", "source", "address", "socketAddress", "address"), "nowhere"),
        (("peer",), "me"),
        (("function",), "other"),
        (("parsed_body",), "text"),
    ],
)
def test_what_no_request_brings_is_refused(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(ImpossibleError):
        changed(request(claims={"aud": "orders"}), path, value, PROVIDERS)


def test_who_calls_is_the_same_in_both_places() -> None:
    """The sidecar and the engine know one caller: `peer` is the principal where that is a SPIFFE ID."""
    principal = ("attributes", "source", "principal")
    named = changed(request(), ("peer",), "spiffe://a/b")
    assert look_up(named, principal) == look_up(named, ("peer",)) == "spiffe://a/b"
    other = changed(named, principal, "a.example")
    assert look_up(other, principal) == "a.example"
    assert look_up(other, ("peer",)) is UNDEFINED
    assert changed(named, ("peer",), UNDEFINED) == changed(other, principal, UNDEFINED) == request()
    assert changed(request(), ("peer",), UNDEFINED) == request()


def test_bytes_that_are_no_utf_8_stay_in_the_path() -> None:
    document = changed(request(target="/%FE/b?c=%FF"), ("parsed_path", 1), "d", ())
    assert look_up(document, (*HTTP, "path")) == "/%FE/d?c=%FF"
    document = changed(document, ("parsed_query", "e"), ["f"], ())
    assert look_up(document, (*HTTP, "path")) == "/%FE/d?c=%FF&e=f"
