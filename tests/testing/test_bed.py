"""The bed does what a sidecar does, and tells what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palisade.enforce.envoy.compile import RESIDUAL_CLUSTER, RESIDUAL_SECONDS
from palisade.enforce.envoy.matchers import dealing
from palisade.enforce.envoy.matchers.dealing import PARTS, part_of
from palisade.enforce.envoy.parts import name_of
from palisade.policy.inventory import Tls
from palisade.testing.equivalence import (
    Bed,
    BedError,
    Request,
    Subject,
    Tally,
    Token,
    compare,
    compare_many,
    listeners,
    verify,
)
from palisade.testing.equivalence.callers import Caller, principal
from palisade_sidecar.engine_cluster import residual_cluster

ALICE = Token("corp", {"sub": "alice"})


def test_who_decides_and_what_comes_of_it(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    """By the sidecar, or by a real engine; a token that does not verify counts as none."""
    subject = make_subject(
        'allow if claims.sub == "alice"\nallow if crypto.md5(http.path) == "6666cd76f96956469e7be39d750cc7d9"'
    )
    bed.load(subject)
    asked = [
        Request(token=ALICE),
        Request("GET", "/"),
        Request("GET", "/x"),
        Request("GET", "/x", (), Token("corp", {"sub": "alice"}, spoiled=True)),
        Request("GET", "/%2f"),
    ]
    found = [(each.status, each.asked, each.refused) for each in bed.ask(asked) if each is not None]
    assert found == [
        (200, False, False),
        (200, True, False),
        (403, True, False),
        (403, True, False),
        (400, False, True),
    ]


def test_requests_come_from_anywhere(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    """The PROXY header names the address that both Envoy's matchers and the engine's input see, and what
    Envoy puts into an answer."""
    address = "input.attributes.source.address.socketAddress.address"
    denial = f'{{"allowed": false, "body": {address}, "headers": {{"x-from": {address}}}}}'
    inside = f'net.cidr_contains("10.1.0.0/16", {address})'
    bed.load(make_subject(f"allow if {inside}\nallow := {denial} if not {inside}"))
    sources = ("10.1.2.3", "10.2.0.0", "::1", "127.0.0.1")
    answers = bed.ask([Request(source=each) for each in sources])
    assert [each.status for each in answers if each is not None] == [200, 403, 403, 403]
    seen = [
        each.input["attributes"]["source"]["address"]["socketAddress"]["address"] for each in answers if each
    ]
    assert tuple(seen) == sources
    told = [(each.headers.get("x-from"), each.body.decode()) for each in answers[1:] if each]
    assert told == [(each, each) for each in sources[1:]]


CALLERS = {
    None: (None, None),
    Caller(): (None, None),
    Caller(uris=("spiffe://a/b", "spiffe://c/d"), hosts=("a.example",)): ("spiffe://a/b", "spiffe://a/b"),
    Caller(uris=("https://a/b",), common_name="a"): ("https://a/b", None),
    Caller(hosts=("a.example",), common_name="a"): ("a.example", None),
    Caller(common_name="a"): ("CN=a", None),
}
"""Callers, and who the policy sees: the principal, and the peer."""


def test_callers_show_certificates(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    """Over either protocol, and from any address; the scheme is that of the connection."""
    bed.load(make_subject('allow if input.peer == "spiffe://a/b"', tls=Tls()))
    for http2 in (False, True):
        answers = bed.ask([Request(caller=each, http2=http2, source="10.1.2.3") for each in CALLERS])
        assert [each.status for each in answers if each is not None] == [403, 403, 200, 403, 403, 403]
        for seen, (caller, (known_as, peer)) in zip(answers, CALLERS.items(), strict=True):
            assert seen is not None
            assert not seen.asked
            assert seen.input["attributes"]["source"].get("principal") == known_as
            assert caller is None or (principal(caller) or None) == known_as
            assert seen.input.get("peer") == peer
            assert seen.input["attributes"]["request"]["http"]["scheme"] == "https"
            address = seen.input["attributes"]["source"]["address"]["socketAddress"]["address"]
            assert address == "10.1.2.3"


def test_an_address_that_cannot_be_is_refused_and_costs_no_other_its_connection(
    bed: Bed, make_subject: Callable[..., Subject]
) -> None:
    """Envoy closes such a connection amid the handshake: verify ended in an error of the socket, and closed
    descriptors that were others' by then."""
    bed.load(make_subject('allow if input.peer == "spiffe://a/b"', tls=Tls()))
    caller = Caller(uris=("spiffe://a/b",))
    sources = ("10.1.2.3", "0.0.0.0", "127.0.0.1", "0.0.0.0")
    for http2 in (False, True):
        requests = [Request(caller=caller, http2=http2, source=each) for each in sources * 8]
        answers = [each and each.status for each in bed.ask(requests)]
        assert answers == [200, None, 200, None] * 8


def test_a_function_that_requires_certificates_hears_nobody_without_one(
    bed: Bed, make_subject: Callable[..., Subject]
) -> None:
    bed.load(make_subject("allow if not input.peer", tls=Tls(client_certificate="required")))
    for http2 in (False, True):
        refused, heard = bed.ask([Request(http2=http2), Request(caller=Caller(), http2=http2)])
        assert refused is None
        assert heard is not None
        assert heard.status == 200


def test_a_function_that_asks_for_no_certificate_knows_nobody(
    bed: Bed, make_subject: Callable[..., Subject]
) -> None:
    bed.load(make_subject("allow if input.peer", tls=Tls(client_certificate="none")))
    [seen] = bed.ask([Request(caller=Caller(("spiffe://a/b",)))])
    assert seen is not None
    assert (seen.status, seen.input.get("peer")) == (403, None)


def test_a_request_that_ends_the_connection_takes_no_other_with_it(
    bed: Bed, make_subject: Callable[..., Subject]
) -> None:
    bed.load(make_subject("allow if http.method"))
    bad = Request("GET", "/ü")
    answers = bed.ask([Request(), bad, Request(), bad, bad, Request()] * 8)
    assert [each.status for each in answers if each is not None] == [200, 400, 200, 400, 400, 200] * 8


def test_an_engine_that_is_late_decides_all_the_same(
    bed: Bed, make_subject: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sidecar denies after two seconds, which on a busy machine was told as a wrong decision of Envoy's."""
    subject = make_subject('allow if crypto.hmac.md5(http.path, "k")')
    evaluate = subject.evaluate

    def late(document: Any) -> Any:
        time.sleep(RESIDUAL_SECONDS + 0.2)
        return evaluate(document)

    monkeypatch.setattr(Subject, "evaluate", property(lambda _: late))
    bed.load(subject)
    assert [(each.status, each.asked) for each in bed.ask([Request()]) if each] == [(200, True)]


def test_envoy_asks_the_engine_as_sidecars_ask_it(tmp_path: Path) -> None:
    """The witness too: by gRPC of HTTP/2 each of a run's requests took three times as long."""
    resources = listeners.start(tmp_path)["static_resources"]
    asked = {each["name"]: each["typed_extension_protocol_options"] for each in resources["clusters"]}
    of_sidecars = residual_cluster(listeners.settings())["typed_extension_protocol_options"]
    assert asked[RESIDUAL_CLUSTER] == asked[listeners.WITNESS] == of_sidecars


def test_several_policies_at_once(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    subjects = [
        make_subject('allow if http.method == "GET"'),
        make_subject('allow if claims.sub == "alice"'),
        make_subject('allow if rand.intn("a", 3) >= 0'),
    ]
    bed.load(*subjects, reporting=True)
    tally = Tally()
    assert not compare_many(bed, subjects, [Request(token=ALICE), Request("POST")], tally)
    assert (tally.native, tally.residual, tally.allowed) == (4, 2, 2)


def test_a_large_decision_is_asked_in_parts_as_sidecars_get_it(
    bed: Bed, make_subject: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the body was read, too; and a fault in one part is one of the requests that it is for."""
    for limit, value in {"WORTH": 60, "_MOST_IN_ONE": 10**9, "_MOST_COPIES": 10**9}.items():
        monkeypatch.setattr(dealing, limit, value)
    rules = [f'allow if {{ http.method == "GET"; http.path == "/{at}" }}' for at in range(70)]
    subject = make_subject("\n".join([*rules, 'allow if { http.path == "/b"; input.parsed_body.a == 1 }']))
    assert subject.parts == PARTS
    bed.load(subject)
    body = (("content-type", "application/json"),)
    asked = [
        Request(target="/7"),
        Request(target="/71"),
        Request("POST", "/b", body, body='{"a": 1}'),
        Request("POST", "/b", body, body='{"a": 2}'),
    ]
    found = [(each.status, each.asked) for each in bed.ask(asked) if each is not None]
    assert found == [(200, False), (403, False), (200, False), (403, False)]
    assert verify(bed, subject, examples=200, start=1).difference is None

    own, other = (name_of(part_of(target)) for target in ("/7", "/8"))
    assert own != other
    subject.slot(own).CopyFrom(subject.slot(other))
    bed.load(subject)
    (difference,) = compare(bed, subject, asked, Tally())
    assert (difference.request.target, difference.seen) == ("/7", "Envoy denies it with 403")


def test_who_calls_is_asked_of_the_function_that_is_called(make_subject: Callable[..., Subject]) -> None:
    """A rule for another function asks nobody here."""
    rule = 'allow if {{ input.function == "{}"; input.peer == "spiffe://a/b" }}'
    assert make_subject(rule.format("orders")).asks_callers
    assert not make_subject(rule.format("cart")).asks_callers
    assert make_subject(rule.format("orders").replace("==", "!=", 1) + "\nallow if input.peer").asks_callers
    assert make_subject('allow := {"allowed": true, "headers": {"x-caller": input.peer}}').asks_callers


def test_what_envoy_refuses_is_told_in_its_words(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    subject = make_subject("allow if http.method")
    broken = make_subject("allow if http.method")
    broken.slot("palisade.native").Clear()
    with pytest.raises(BedError, match=r"palisade\.native"):
        bed.load(broken)
    bed.load(subject)
    assert not compare(bed, subject, [Request()], Tally())


def test_what_the_function_gets(bed: Bed, make_subject: Callable[..., Subject]) -> None:
    """Decisions change headers: the last filter before the function tells what has become of them."""
    subject = make_subject(
        'allow := {"allowed": true, "headers": {"x-by": "rego"}, "request_headers_to_remove": ["x-a"]}'
    )
    bed.load(subject)
    (seen,) = bed.ask([Request(headers=(("x-a", "1"), ("x-b", "2")))])
    assert seen is not None
    assert seen.forwarded is not None
    assert {name: value for name, value in seen.forwarded.items() if name in ("x-by", "x-a", "x-b")} == {
        "x-by": "rego",
        "x-b": "2",
    }
    assert not compare(bed, subject, [Request(headers=(("x-a", "1"),))], Tally())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("body", ["", ', "body": "no"'])
@pytest.mark.parametrize("asked", ["input", 'crypto.md5(http.path) != ""'])
def test_an_answer_without_a_body_has_no_type(
    bed: Bed, make_subject: Callable[..., Subject], method: str, body: str, asked: str
) -> None:
    """Envoy takes it off, whoever decides: policies say it of all denials, with a body or not."""
    told = f'{{"allowed": false, "headers": {{"content-type": "text/plain", "x-a": "1"}}{body}}}'
    subject = make_subject(f"allow := {told} if {asked}")
    bed.load(subject)
    (seen,) = bed.ask([Request(method)])
    assert seen is not None
    assert ("content-type" in seen.headers, seen.headers["x-a"]) == (bool(body), "1")
    assert not compare(bed, subject, [Request(method)], Tally())
