"""`palisade explain` reads headers as a sidecar's Envoy hands them on, and names no change that it undoes."""

from __future__ import annotations

import pytest
from lowered import subject_of

from palisade import rego
from palisade.explain.arriving import CLIENT, FOR, ID, PROTO, arriving
from palisade.explain.edits import HTTP, ImpossibleError, changed
from palisade.rego.values import UNDEFINED
from palisade.testing.equivalence import Bed, Issuers, Request

SOURCE = "10.2.3.4"
SENT = (
    (),
    ((PROTO, "https"), ("a_b", "1"), ("te", "trailers")),
    ((ID, "a"), ("te", "gzip"), ("x-forwarded-client-cert", "URI=spiffe://a/b")),
    ((FOR, "10.0.0.1, 10.0.0.2"), (CLIENT, "10.0.0.1"), ("x-envoy-internal", "true")),
    (("connection", "keep-alive"), ("keep-alive", "timeout=5"), ("proxy-connection", "close")),
    (("connection", "X-A, close"), ("x-a", "1"), ("x-b", "1"), ("te", "gzip, trailers")),
    (("connection", "upgrade"), ("upgrade", "websocket")),
    tuple((f"x-envoy-{name}", "1") for name in ("retry-on", "original-host", "ip-tags", "internal")),
    (("x-envoy-peer-metadata", "a"), ("x-envoy-force-trace", "true"), ("x-envoy-original-url", "/a")),
    ((FOR, ""), ("x-a", ""), ("x-envoy-max-retries", "3")),
)
OF_HTTP = (":authority", ":method", ":path", ":scheme", "content-length")


def test_headers_are_as_envoy_hands_them_on(bed: Bed, issuers: Issuers) -> None:
    policy = rego.compile({"p.rego": "package p\n\nallow if input.parsed_path == []\n"})
    bed.load(subject_of(policy, (), issuers))
    requests = [Request(target="/", headers=headers, source=SOURCE) for headers in SENT]
    for request, seen in zip(requests, bed.ask(requests), strict=True):
        assert seen is not None, request
        assert seen.input is not None, request
        found = dict(seen.input["attributes"]["request"]["http"]["headers"])
        told = arriving(dict(request.headers), [], scheme="http", source=SOURCE)
        assert len(found.pop(ID)) == len(told.pop(ID)), request
        assert {name: value for name, value in found.items() if name not in OF_HTTP} == told, request


def test_what_trusted_proxies_say_counts() -> None:
    sent = {PROTO: "https", FOR: "192.0.2.1, 192.0.2.2"}
    told = arriving(sent, [], scheme="http", trusted_hops=2, source=SOURCE)
    assert told[PROTO] == "https"
    assert told[CLIENT] == "192.0.2.1"
    assert told[FOR] == f"192.0.2.1, 192.0.2.2,{SOURCE}"


def test_of_a_connection_of_this_machine_envoy_names_its_own_address() -> None:
    """Which that is, hangs on where the sidecar runs."""
    notes: list[str] = []
    told = arriving({FOR: "192.0.2.1"}, notes, scheme="http", source="127.0.0.1")
    assert (told[FOR], told[CLIENT]) == ("192.0.2.1", "127.0.0.1")
    assert notes == [f"the sidecar adds its own address to {FOR}"]


def test_what_is_not_taken_is_told() -> None:
    notes: list[str] = []
    arriving({PROTO: "https", ID: "a", "a_b": "1", FOR: "192.0.2.1"}, notes, scheme="http")
    assert [name for name in (PROTO, ID, "a_b", FOR) if not any(name in note for note in notes)] == []


DOCUMENT = {
    "attributes": {
        "request": {"http": {"method": "GET", "path": "/", "scheme": "http", "headers": {ID: "a"}}},
        "source": {"address": {"socketAddress": {"address": SOURCE}}},
    }
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("scheme",), "https"),
        (("headers", PROTO), "https"),
        (("headers", ID), UNDEFINED),
        (("headers", CLIENT), "10.0.0.1"),
        (("headers", "x-forwarded-client-cert"), "a"),
        (("headers", "a_b"), "1"),
        (("headers", FOR), "10.0.0.1"),
    ],
)
def test_no_change_is_named_that_no_client_can_make(path: tuple[str, ...], value: str) -> None:
    with pytest.raises(ImpossibleError):
        changed(DOCUMENT, (*HTTP, *path), value)


def test_behind_a_trusted_proxy_the_scheme_can_change() -> None:
    http = changed(DOCUMENT, (*HTTP, "scheme"), "https", behind=True)["attributes"]["request"]["http"]
    assert (http["scheme"], http["headers"][PROTO]) == ("https", "https")


def test_who_passed_a_request_on_ends_with_the_connection() -> None:
    both = f"10.0.0.1,{SOURCE}"
    found = changed(DOCUMENT, (*HTTP, "headers", FOR), both)
    assert found["attributes"]["request"]["http"]["headers"][FOR] == both
