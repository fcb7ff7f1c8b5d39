"""What of HTTP/2 reaches a policy, and what Envoy refuses before: the request as it is spelled there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from palisade.testing.equivalence import Bed, Request, Subject, Tally, Token, compare
from palisade.testing.equivalence.protocols import over_http1

MESSAGE = "\0\0\0\0\0"


def http2(*headers: tuple[str, str], **parts: Any) -> Request:
    return Request(headers=headers, http2=True, **parts)


REFUSED = {
    "an empty path": http2(target=""),
    "a path without a slash": http2(target="a"),
    "a URL for a path": http2(target="http://localhost/a"),
    "a fragment": http2(target="/a#x"),
    "space in the path": http2(target="/a b"),
    "a method with space": http2(method="G T"),
    "a method beyond ASCII": http2(method="Gü"),
    "a scheme that is none": http2((":scheme", "h ttp")),
    "an empty :authority": http2((":authority", "")),
    "a user in :authority": http2((":authority", "alice@a.test")),
    "an :authority beyond ASCII": http2((":authority", "ä.test")),
    "two hosts": http2(("host", "a.test"), ("host", "b.test")),
    "a name in upper case": http2(("X-A", "1")),
    "a name with space": http2(("x a", "1")),
    "an empty name": http2(("", "1")),
    "an unknown pseudo-header": http2((":user", "alice")),
    "a line break in a value": http2(("x-a", "1\r\nx-b: 2")),
    "NUL in a value": http2(("x-a", "1\0")),
    "a header of the connection": http2(("connection", "close")),
    "te but for trailers": http2(("te", "gzip")),
    "a length that is another": http2(("content-length", "3"), method="POST", body="{}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_envoy_refuses(bed: Bed, make_subject: Callable[..., Subject], name: str) -> None:
    """No policy sees it, and no function; the next request on another connection passes."""
    bed.load(make_subject("allow if http.method"))
    refused, answered = bed.ask([REFUSED[name], http2()])
    assert refused is None or (refused.refused and not refused.reached)
    assert answered is not None
    assert answered.reached


SEEN = {
    "the host by :authority": (http2((":authority", "a.test:80")), {"host": "a.test:80"}),
    "by a field of its own": (http2(("host", "a.test")), {"host": "a.test"}),
    ":authority before the field": (http2((":authority", "a.test"), ("host", "b.test")), {"host": "a.test"}),
    "cookies in several fields": (
        http2(("cookie", "a=1"), ("cookie", "b=2")),
        {"headers": {"cookie": "a=1; b=2"}},
    ),
    "other fields that are there twice": (
        http2(("x-a", "1"), ("x-a", "2"), ("x-a", "")),
        {"headers": {"x-a": "1,2,"}},
    ),
    "space around a value is none of it": (http2(("x-a", " 1\t")), {"headers": {"x-a": "1"}}),
    "te": (http2(("te", "trailers")), {"headers": {"te": "trailers"}}),
    "no trailers": (http2(trailers=(("x-a", "1"),)), {"headers": {"x-a": None}}),
    "a path beyond ASCII, escaped": (http2(target="/ü"), {"path": "/%C3%BC"}),
    "no headers with underscores": (http2(("x_a", "1")), {"headers": {"x_a": None}}),
    "the scheme of the connection": (http2((":scheme", "https")), {"scheme": "http"}),
    "the protocol": (http2(), {"protocol": "HTTP/2"}),
    "a websocket as over HTTP/1.1": (
        http2((":protocol", "websocket"), method="CONNECT"),
        {"method": "GET", "headers": {"upgrade": "websocket"}},
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_policy_sees(bed: Bed, make_subject: Callable[..., Subject], name: str) -> None:
    request, wanted = SEEN[name]
    bed.load(make_subject("allow if http.method"))
    (seen,) = bed.ask([request])
    assert seen is not None
    http = seen.input["attributes"]["request"]["http"]
    headers = wanted.pop("headers", {}) if "headers" in wanted else {}
    assert {key: http["headers"].get(key) for key in headers} == headers
    assert {key: http[key] for key in wanted} == wanted


def test_bodies_and_trailers(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    """A body is read to its end without a length, in frames of HTTP/2, also where trailers follow it."""
    subject = make_subject("allow if input.parsed_body.a == 1")
    bed.load(subject)
    kind = ("content-type", "application/json")
    asked = [
        http2(kind, method="POST", body=body, trailers=trailers)
        for body in ('{"a": 1}', '{"a": 2}', "{", '{"a": 1, "b": "' + 100 * "x" + '"}')
        for trailers in ((), (("x-last", "1"),))
    ]
    tally = Tally()
    assert not compare(bed, subject, asked, tally)
    assert (tally.pairs, tally.allowed) == (8, 4)
    large = '{"a": 1, "b": "' + 200_000 * "x" + '"}'
    over, other = bed.ask(
        [http2(kind, method="POST", body=large), Request("POST", "/", (kind,), None, large)]
    )
    assert over is not None
    assert other is not None
    assert (over.status, over.reached) == (other.status, other.reached)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_over_http1_is_no_difference(
    bed: Bed, make_subject: Callable[..., Subject], status: int
) -> None:
    """Envoy leaves it out there, as the protocol asks; over HTTP/2, and of other statuses, it is compared."""
    subject = make_subject(
        f'allow := {{"allowed": false, "http_status": {status}, "body": "preflight"}} '
        'if http.method == "OPTIONS"\nelse := {"allowed": false, "http_status": 401, "body": "log in"}'
    )
    bed.load(subject)
    asked = [Request("OPTIONS"), Request("GET"), http2(method="OPTIONS")]
    tally = Tally()
    assert not compare(bed, subject, asked, tally)
    assert tally.pairs == 3
    assert [each.body for each in bed.ask(asked) if each is not None] == [b"", b"log in", b"preflight"]


def test_headers_of_one_connection_are_in_no_answer(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    """Envoy takes them off, whoever decides: that they are missing is no difference, and others are."""
    subject = make_subject(
        'allow := {"allowed": false, "http_status": 426, "body": "TLS",'
        ' "headers": {"upgrade": "TLS/1.3", "connection": "Upgrade", "x-a": "1"}}'
    )
    bed.load(subject)
    asked = [Request("GET"), http2()]
    tally = Tally()
    assert not compare(bed, subject, asked, tally)
    assert tally.pairs == 2
    seen = [each for each in bed.ask(asked) if each is not None]
    assert [(each.status, "upgrade" in each.headers, each.headers.get("x-a")) for each in seen] == [
        (426, False, "1")
    ] * 2


def test_calls_of_grpc_are_denied_by_a_status_of_grpc(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    """And by a message; what the policy says of the answer is compared all the same."""
    subject = make_subject(
        'allow := {"allowed": false, "http_status": 401, "body": "log in, ü", "headers": {"x-a": "1"}} '
        'if not claims.sub\nelse := claims.sub == "alice"'
    )
    bed.load(subject)
    call = http2(("content-type", "application/grpc"), ("te", "trailers"), method="POST", body=MESSAGE)
    named = [replace(call, token=Token("corp", {"sub": name})) for name in ("alice", "bob")]
    answers = [each for each in bed.ask([call, *named]) if each is not None]
    assert [(each.status, each.headers.get("grpc-status")) for each in answers[::2]] == [
        (200, "16"),
        (200, "7"),
    ]
    assert answers[1].reached
    tally = Tally()
    assert not compare(bed, subject, [call, *named, over_http1(call)], tally)
    assert dict(tally.by_protocol) == {"gRPC": 3, "HTTP/1.1": 1}


def test_a_call_of_grpc_by_head_or_with_space_in_its_type_is_no_difference(
    bed: Bed, make_subject: Callable[..., Subject]
) -> None:
    """Envoy gives HEAD no message, and takes space off a header of HTTP/1.1: whoever decides."""
    subject = make_subject('allow := {"allowed": false, "http_status": 429, "body": "too many "}')
    bed.load(subject)
    asked = [
        Request(method, "/", (("content-type", f"application/grpc{space}"),))
        for method in ("HEAD", "GET", "POST")
        for space in ("", " ", "\t")
    ]
    assert not compare(bed, subject, asked, Tally())
