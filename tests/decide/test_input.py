"""`input` as OPA-Envoy makes it, for policies written for OPA-Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.body import BODY_BYTES, parse_body
from palisade.decide.input import InputError, to_input
from palisade.decide.verified import OWN
from palisade.enforce.envoy.values.walks import leads_nowhere
from palisade.policy.request_schema import SCHEMA

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
HEADERS = st.dictionaries(st.sampled_from([":path", "x-a", "accept", "cookie"]), TEXT)
CLAIMS = st.recursive(
    st.none()
    | st.booleans()
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(0, 2**53),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PEERS = st.fixed_dictionaries(
    {},
    optional={
        "address": st.one_of(
            st.builds(
                lambda address, port: {"socketAddress": {"address": address, "portValue": port}},
                TEXT,
                st.integers(0, 65535),
            ),
            st.just({"pipe": {"path": "/run/x"}}),
            st.just({"socketAddress": {"address": "a", "namedPort": "http", "protocol": "UDP"}}),
        ),
        "service": TEXT,
        "principal": TEXT,
        "certificate": TEXT,
        "labels": st.dictionaries(TEXT, TEXT, max_size=2),
    },
)
HTTP = st.fixed_dictionaries(
    {"path": st.sampled_from(["/", "/a/b", "/a%20b?q=1&q=2", ""])},
    optional={
        "id": TEXT,
        "method": TEXT,
        "headers": HEADERS,
        "host": TEXT,
        "scheme": TEXT,
        "size": st.integers(-1, 2**60).map(str),
        "protocol": TEXT,
        "body": TEXT,
    },
)
ATTRIBUTES = st.fixed_dictionaries(
    {
        "request": st.fixed_dictionaries(
            {"http": HTTP},
            optional={
                "time": st.sampled_from(
                    ["", ".6", ".615", ".615385", ".000001", ".000000001", ".61538574"]
                ).map(lambda fraction: f"2026-11-23T18:00:00{fraction}Z")
            },
        )
    },
    optional={
        "source": PEERS,
        "destination": PEERS,
        "contextExtensions": st.dictionaries(TEXT, TEXT, max_size=2),
        "metadataContext": st.fixed_dictionaries(
            {}, optional={"filterMetadata": st.dictionaries(TEXT, st.dictionaries(TEXT, CLAIMS), max_size=2)}
        ),
        "routeMetadataContext": st.just({}),
        "tlsSession": st.just({"sni": "a.example"}),
    },
)


def check(attributes: dict[str, Any]) -> CheckRequest:
    return ParseDict({"attributes": attributes}, CheckRequest())


def http(**fields: Any) -> CheckRequest:
    return check({"request": {"http": {"method": "GET", "path": "/", **fields}}})


@given(ATTRIBUTES)
def test_the_schema_of_requests_takes_each(attributes: dict[str, Any]) -> None:
    """`palisade check` warns by it of what no request has."""
    jsonschema.validate(to_input(check(attributes), "orders"), SCHEMA)


def _walks(value: Any, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield path
    listed = value if isinstance(value, list) else ()
    for step, below in value.items() if isinstance(value, dict) else enumerate(listed):
        yield from _walks(below, (*path, step))


@given(ATTRIBUTES, st.dictionaries(TEXT, CLAIMS, max_size=2))
def test_no_walk_that_an_input_has_is_taken_for_one_that_leads_nowhere(
    attributes: dict[str, Any], claims: dict[str, Any]
) -> None:
    """By what leads nowhere sidecars decide without asking."""
    source = attributes.setdefault("source", {})
    source["principal"] = f"spiffe://{source.get('principal', '')}"
    metadata = attributes.setdefault("metadataContext", {}).setdefault("filterMetadata", {})
    metadata["envoy.filters.http.jwt_authn"] = {"corp": claims}
    document = to_input(check(attributes), "orders")
    assert {"identity", "peer"} <= document.keys()
    assert not [each for each in _walks(document) if leads_nowhere(each)]


@given(ATTRIBUTES)
def test_attributes_are_what_protobuf_itself_writes(attributes: dict[str, Any]) -> None:
    """But for space around the values of headers, which is none of them."""
    request = check(attributes)
    expected = json.loads(json.dumps(MessageToDict(request)["attributes"]))
    http = expected["request"]["http"]
    if "headers" in http:
        http["headers"] = {name: value.strip(" \t") for name, value in http["headers"].items()}
    made = to_input(request, "hello")["attributes"]
    assert made == expected
    assert all(type(port) is int for port in _ports(made))


def _ports(attributes: Any) -> list[Any]:
    places = [attributes.get(end, {}).get("address", {}) for end in ("source", "destination")]
    sockets = [place.get("socketAddress", {}) for place in places]
    return [socket["portValue"] for socket in sockets if "portValue" in socket]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", [""], {}),
        ("/a/b", ["a", "b"], {}),
        ("/a/b/", ["a", "b", ""], {}),
        ("/a%20b/%C3%A9", ["a b", "é"], {}),
        ("/a%2Fb", ["a", "b"], {}),
        ("/a+b?c+d=e+f", ["a+b"], {"c d": ["e f"]}),
        ("/?a=1&a=2&b", [""], {"a": ["1", "2"], "b": [""]}),
        ("/?a=1;b=2&c=3", [""], {"c": ["3"]}),
        ("/?a=%zz&b=%41", [""], {"b": ["A"]}),
        ("/?=x&&", [""], {"": ["x"]}),
        ("*", ["*"], {}),
        (
            "/%fe/%FF?a=%FE&a=%ff&%E7%9D=\ufffd",
            ["\udcfe", "\udcff"],
            {"a": ["\udcfe", "\udcff"], "\udce7\udc9d": ["\ufffd"]},
        ),
    ],
)
def test_paths_and_queries_are_read_as_go_does(target: str, path: list[str], query: dict[str, Any]) -> None:
    made = to_input(http(path=target), "hello")
    assert (made["parsed_path"], made["parsed_query"]) == (path, query)


@pytest.mark.parametrize("target", ["/%zz", "/%", "/a\nb"])
def test_a_path_that_go_refuses_is_refused(target: str) -> None:
    with pytest.raises(InputError, match="path"):
        to_input(http(path=target), "hello")


FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=XX"
PARTS = (
    '--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    '--XX\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n'
    'Content-Type: application/json\r\n\r\n{"b": [2]}\r\n'
    "--XX\r\nContent-Disposition: attachment\r\n\r\nignored\r\n--XX--\r\n"
)


@pytest.mark.parametrize(
    ("content_type", "body", "parsed"),
    [
        ("application/json", '{"a": [1, 1.5, null]}', {"a": [1, 1.5, None]}),
        ("application/json; charset=utf-8", '"x"', "x"),
        ("application/json", '"\\ud800 \\ud83d\\ude00"', "\ufffd \U0001f600"),
        ("application/json", "", None),
        ("application/json", '\ufeff{"a": 1}', {"a": 1}),
        (FORM, "a=1&a=2&b=%20", {"a": ["1", "2"], "b": [" "]}),
        (FORM, "&a&=b&c==+d&%61=%C3%A4", {"a": ["", "\u00e4"], "": ["b"], "c": ["= d"]}),
        (f"{FORM}, application/json", "[]", []),
        (f"application/grpc, {FORM}", "a=1", None),
        (MULTIPART, PARTS, {"a": ["1", {"b": [2]}]}),
        ("multipart/form-data", PARTS, None),
        ("text/plain", "a", None),
        ("application/grpc", "a", None),
    ],
)
def test_bodies(content_type: str, body: str, parsed: Any) -> None:
    made = to_input(http(headers={"content-type": content_type}, body=body), "hello")
    assert (made["parsed_body"], made["truncated_body"]) == (parsed, False)


@pytest.mark.parametrize(
    ("content_type", "body", "parsed"),
    [
        ("application/json", b'{"a": "\xe7\x9d", "\xff": 1}', {"a": "\ufffd\ufffd", "\ufffd": 1}),
        (
            FORM,
            b"a=\xfe&a=\xff&a=%FE&\xe7\x9d=%E7%9D",
            {"a": ["\udcfe", "\udcff", "\udcfe"], "\udce7\udc9d": ["\udce7\udc9d"]},
        ),
        (MULTIPART, PARTS.encode().replace(b"1\r\n", b"\xfe\r\n"), {"a": ["\udcfe", {"b": [2]}]}),
        (MULTIPART, PARTS.encode().replace(b'"a"', b'"\xfe"'), {"\udcfe": ["1", {"b": [2]}]}),
    ],
)
def test_bytes_that_are_no_utf_8_are_told_apart(content_type: str, body: bytes, parsed: Any) -> None:
    """All were U+FFFD, so that a form's `%FE` was what `%FF` is. Go keeps them, if not in JSON."""
    assert parse_body({"content-type": content_type}, body) == (parsed, False)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"secret": '),
        ("application/json", '{"a": 1} trailing secret'),
        ("application/json", "NaN secret"),
        ("application/json", "\ufeff\ufeff{}"),
        ("application/json", "a: secret"),
        ("application/json", "[" * 100_000),
        (FORM, "a=%zz&secret"),
        (FORM, "a=1;b=secret"),
        (f"a {MULTIPART}", PARTS + "secret"),
        (f"{MULTIPART}; ;", PARTS + "secret"),
        (MULTIPART, "secret"),
        (MULTIPART, "--XX\r\nsecret"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused_without_quoting_it(content_type: str, body: str) -> None:
    with pytest.raises(InputError, match="body") as caught:
        to_input(http(headers={"content-type": content_type}, body=body), "hello")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "truncated"),
    [
        ({"content-length": "9"}, True),
        ({"content-length": "2"}, False),
        ({"x-envoy-auth-partial-body": "true"}, True),
        ({"x-envoy-auth-partial-body": "false"}, False),
    ],
)
def test_a_cut_body_is_told_and_not_parsed(headers: dict[str, str], truncated: bool) -> None:
    made = to_input(http(headers={"content-type": "application/json", **headers}, body="{}"), "hello")
    assert made["truncated_body"] is truncated
    assert made["parsed_body"] == (None if truncated else {})


@pytest.mark.parametrize("missing", [0, 1])
def test_a_body_of_which_envoy_shows_no_more_may_have_been_cut(missing: int) -> None:
    """It says so only where it held more when it asked; over HTTP/2, without a length, nothing else tells."""
    headers = {"content-type": "application/x-www-form-urlencoded", "x-envoy-auth-partial-body": "false"}
    body = "a=" + "b" * (BODY_BYTES - 2 - missing)
    made = to_input(http(headers=headers, body=body), "hello")
    assert made["truncated_body"] is (missing == 0)
    assert made["parsed_body"] == (None if missing == 0 else {"a": [body[2:]]})


def test_a_client_cannot_claim_that_a_body_was_cut_where_none_was_sent() -> None:
    headers = {"content-type": "application/json", "x-envoy-auth-partial-body": "true"}
    assert to_input(http(headers=headers), "hello")["truncated_body"] is False


def test_bytes_that_are_text_stand_in_body_and_others_in_raw_body() -> None:
    request = http()
    request.attributes.request.http.raw_body = b'{"a": 1}'
    assert to_input(request, "hello")["attributes"]["request"]["http"]["body"] == '{"a": 1}'
    request.attributes.request.http.raw_body = b"\xff\xfe"
    shown = to_input(request, "hello")["attributes"]["request"]["http"]
    assert (shown["rawBody"], "body" in shown) == ("//4=", False)


def test_what_palisade_adds() -> None:
    payloads = {"zeta": {"sub": "z"}, "corp": {"sub": "alice", "exp": 1795459219, "roles": ["a"]}, "x": "odd"}
    request = check(
        {
            "source": {"principal": "spiffe://palisade.local/function/orders"},
            "request": {"http": {"path": "/"}},
            "metadataContext": {"filterMetadata": {"envoy.filters.http.jwt_authn": payloads}},
        }
    )
    made = to_input(request, "hello")
    assert made["identity"] == {
        "provider": "corp",
        "claims": {"sub": "alice", "exp": 1795459219, "roles": ["a"]},
    }
    assert type(made["identity"]["claims"]["exp"]) is int
    assert made["peer"] == "spiffe://palisade.local/function/orders"
    assert made["function"] == "hello"


def test_no_identity_and_no_peer_are_absent_and_not_null() -> None:
    made = to_input(http(), "hello")
    assert "identity" not in made
    assert "peer" not in made


def test_a_check_without_a_request_is_refused() -> None:
    with pytest.raises(InputError, match="no HTTP request"):
        to_input(CheckRequest(), "hello")


def test_tokens_that_a_policy_verifies_itself_leave_no_trace() -> None:
    """Envoy lays their claims down beside those of providers. To a policy it is as if it had not looked."""

    def seen(**metadata: Any) -> Any:
        return to_input(check({"request": {"http": {"path": "/"}}, "metadataContext": metadata}), "orders")

    def with_claims(payloads: dict[str, Any]) -> Any:
        return seen(filterMetadata={"envoy.filters.http.jwt_authn": payloads})

    own = {f"{OWN}a": {"sub": "alice"}}
    assert with_claims(own) == seen()
    provider = {"corp": {"sub": "bob"}}
    assert with_claims({**own, **provider}) == with_claims(provider)
