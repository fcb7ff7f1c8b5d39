"""Two policy sets are told apart by the smallest request that they decide differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, Phase, given, seed, settings

from palisade import rego
from palisade.policy.inventory import Tls
from palisade.policy.providers import Provider
from palisade.policy.revisions import Revision
from palisade.rego.values import to_json
from palisade.testing.differences import Difference, lines, search
from palisade.testing.differences.changes import changed
from palisade.testing.differences.delivery import delivered, document, plain
from palisade.testing.differences.small import small
from palisade.testing.differences.telling import as_json
from palisade.testing.equivalence import Bed, Request, Subject, Token, from_folder, revision_of
from palisade.testing.equivalence.callers import Caller
from palisade.testing.equivalence.strategies import batches
from palisade.testing.equivalence.vocabulary import gather

HEAD = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"


def pem() -> str:
    """A public key that nobody has the private one of."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def revision(rules: str, providers: tuple[Provider, ...], data: Any = None) -> Revision:
    return revision_of(rego.compile({"p.rego": HEAD + rules}, data or {}), "p/allow", providers)


def found(old: Revision, new: Revision, **more: Any) -> list[Difference]:
    report = search(old, new, new.inventory.functions["orders"], **{"examples": 500, **more})
    return list(report.differences)


@pytest.mark.long
@pytest.mark.parametrize(
    ("old", "new", "requests"),
    [
        (
            'allow if http.path == "/a"',
            'allow if http.path == "/b"',
            [Request(target="/a"), Request(target="/b")],
        ),
        ("allow if http.method", "default allow := true", []),
        (
            'allow if startswith(http.path, "/orders/")',
            'allow if startswith(http.path, "/orders")',
            [Request(target="/orders")],
        ),
        (
            'allow if "admin" in claims.roles',
            'allow if "admin" in claims.roles\nallow if claims.sub == "root"',
            [Request(token=Token("corp", {"sub": "root"}))],
        ),
        (
            'allow if http.headers["x-tenant"] == claims.tenant',
            "allow if false",
            [Request(headers=(("x-tenant", "a"),), token=Token("corp", {"tenant": "a"}))],
        ),
        (
            "allow if sum([to_number(n) | some n in input.parsed_query.n]) > 3",
            "allow if sum([to_number(n) | some n in input.parsed_query.n]) > 4",
            [Request(target="/?n=4")],
        ),
        (
            'allow if { http.method == "POST"; input.parsed_body.amount < 10 }',
            'allow if { http.method == "POST"; input.parsed_body.amount <= 10 }',
            [Request("POST", "/", (("content-type", "application/json"),), body='{"amount":10}')],
        ),
        (
            'default allow := {"allowed": false, "http_status": 401}',
            'default allow := {"allowed": false, "http_status": 403}',
            [Request()],
        ),
        ('allow if http.path == "/a"', 'allow if {\n\thttp.path == "/a"\n\tnumbers.range(1, 1/0)\n}', None),
        (
            'allow if input.parsed_body == "a"',
            f'allow if input.parsed_body in {{"a", {10**4_300 - 1}}}',
            [Request("GET", "/", (("content-type", "application/json"),), body="9" * 4_300)],
        ),
    ],
    ids=("path", "alike", "prefix", "claim", "same", "opaque", "body", "status", "error", "large"),
)
def test_the_smallest_request_is_found(
    old: str, new: str, requests: list[Request] | None, corp: Provider
) -> None:
    differences = found(revision(old, (corp,)), revision(new, (corp,)), examples=600)
    if requests is None:
        [difference] = differences
        assert difference.request == Request(target="/a")
        assert (difference.old.decision.allowed, difference.new.decision.allowed) == (True, False)
    else:
        assert [each.request for each in differences] == requests


def test_addresses_at_the_edges_of_ranges_are_tried(corp: Provider) -> None:
    address = "input.attributes.source.address.socketAddress.address"
    old, new = (
        revision(f'allow if net.cidr_contains("10.0.0.0/{bits}", {address})', (corp,)) for bits in (8, 9)
    )
    [difference] = found(old, new)
    assert ip_address(difference.request.source) in ip_network("10.128.0.0/9")
    assert difference.request == Request(source=difference.request.source)


def test_outcomes_are_told_with_their_rules(corp: Provider) -> None:
    old = revision('default allow := false\nallow if http.path == "/a"', (corp,))
    new = revision("default allow := false", (corp,))
    [difference] = found(old, new)
    assert lines(difference) == [
        "GET /a",
        "    old      allow            p.rego:5",
        "    new      deny with 403    p.rego:4",
        "    palisade explain 'GET /a' --function orders",
    ]


def test_what_differs_of_two_answers_is_told(corp: Provider) -> None:
    """Both sides said `allow`, and nothing else."""
    old, new = (
        revision(
            'allow := {"allowed": true, "headers": {"x-a": "1"}, "response_headers_to_add": '
            f'{{"x-tier": "{tier}"}}, "dynamic_metadata": {{"tier": ["{tier}"]}}}}',
            (corp,),
        )
        for tier in ("gold", "silver")
    )
    [difference] = found(old, new)
    assert lines(difference)[1:-1] == [
        "    old      allow            p.rego:4",
        "             response header x-tier: gold",
        '             metadata tier: ["gold"]',
        "    new      allow            p.rego:4",
        "             response header x-tier: silver",
        '             metadata tier: ["silver"]',
    ]
    assert as_json(difference)["new"]["response_headers_to_add"] == [["x-tier", "silver"]]


def test_one_grant_of_thousands_is_aimed_at(corp: Provider) -> None:
    rules = (
        "allow if {\n\tsome grant in data.grants\n\tgrant.path == http.path\n\tgrant.role in claims.roles\n}"
    )
    before = [{"path": f"/p{number}", "role": f"r{number % 7}"} for number in range(400)]
    after = [*before[:123], {"path": "/p123", "role": "new"}, *before[124:]]
    old, new = (revision(rules, (corp,), {"grants": grants}) for grants in (before, after))
    asked = [each.request for each in found(old, new, examples=300)]
    assert {each.target for each in asked} == {"/p123"}
    assert sorted(str(each.token.claims) for each in asked if each.token) == [
        "{'roles': ['new']}",
        "{'roles': ['r4']}",
    ]


def test_conditions_are_told_apart_whatever_their_order(corp: Provider) -> None:
    one = revision('allow if http.path == "/a"\nallow if "x" in claims.roles', (corp,))
    same = revision('allow if "x" in claims.roles\nallow if http.path == "/a"', (corp,))
    other = revision('allow if http.path in {"/a", "/b"}\nallow if "x" in claims.roles', (corp,))
    function = one.inventory.functions["orders"]
    assert changed(one, same, function) == ()
    assert [repr(each) for each in changed(one, other, function) if "/b" in repr(each)]
    assert not any("roles" in repr(each) for each in changed(one, other, function))


def test_providers_are_part_of_what_is_compared(corp: Provider) -> None:
    """A token of the one audience is believed by one side only, and the other way round."""
    rules = "default allow := false\nallow if claims.sub"
    old, new = revision(rules, (corp,)), revision(rules, (replace(corp, audiences=("other",)),))
    differences = found(old, new, examples=1_000)
    assert {(each.old.decision.allowed, each.new.decision.allowed) for each in differences} == {
        (True, False),
        (False, True),
    }
    assert {each.request.token.provider for each in differences if each.request.token} == {
        "corp",
        "corp (old)",
    }


def test_equal_seeds_find_the_same(corp: Provider) -> None:
    old, new = revision("allow if claims.n > 3", (corp,)), revision("allow if claims.n > 5", (corp,))
    first, again = (found(old, new, start=7, examples=200) for _ in range(2))
    assert [each.request for each in first] == [each.request for each in again]
    assert len(found(old, new, most=1, examples=200)) == 1


def test_who_calls_is_part_of_a_request(corp: Provider) -> None:
    """Where the function asks for certificates: a change for one caller was no difference."""
    old = revision('allow if input.peer == "spiffe://a/b"', (corp,))
    new = revision(
        'allow if input.peer == "spiffe://a/b"\nallow if input.attributes.source.principal == "CN=root"',
        (corp,),
    )
    assert found(old, new) == []
    function = replace(new.inventory.functions["orders"], tls=Tls())
    [difference] = search(old, new, function, examples=500).differences
    assert difference.request == Request(caller=Caller(common_name="root"))
    assert lines(difference)[1] == "    caller   CN=root"
    assert lines(difference)[-1].endswith("explain 'GET /' --function orders --caller CN=root")
    assert as_json(difference)["request"]["caller"] == "CN=root"

    nobody = revision("allow if not input.peer", (corp,))
    asking = replace(function, tls=Tls(client_certificate="required"))
    [difference] = search(revision("allow if false", (corp,)), nobody, asking, examples=500).differences
    assert difference.request.caller is not None, "a sidecar hears nobody without a certificate"


def test_from_where_it_comes_is_part_of_the_command(corp: Provider) -> None:
    inside = 'allow if net.cidr_contains("10.0.0.0/8", input.attributes.source.address.socketAddress.address)'
    [difference] = found(revision(inside, (corp,)), revision("allow if false", (corp,)))
    assert lines(difference)[-1].endswith(f"--function orders --source {difference.request.source}")


SIGNED = """allow if {{
	[valid, _, payload] := io.jwt.decode_verify(http.headers["x-token"], {{"{}": `{}`}})
	valid
	payload.sub == "{}"
}}"""


@pytest.mark.long
@pytest.mark.parametrize(("kind", "keys"), [("secret", ("one", "another")), ("cert", (pem(), pem()))])
def test_tokens_that_the_policies_verify_themselves_are_made(
    tmp_path: Path, kind: str, keys: tuple[str, str]
) -> None:
    """Valid for both, or where the key is another for one of them; and a token is told nowhere, as with the
    policy's secret it would be valid elsewhere too."""
    one, another = keys

    def signed(*grants: tuple[str, str]) -> Revision:
        rules = "\n".join(SIGNED.format(kind, key, sub) for key, sub in grants)
        (tmp_path / "p.rego").write_text(HEAD + rules)
        return from_folder(tmp_path, decision="p/allow", function="orders")

    alice, both = signed((one, "alice")), signed((one, "alice"), (one, "bob"))
    function = both.inventory.functions["orders"]
    report = search(alice, both, function, examples=500)
    assert report.tokens
    [difference] = report.differences
    assert (difference.claims, difference.signer[:11]) == ({"sub": "bob"}, "signed with")
    assert difference.input["attributes"]["request"]["http"]["headers"]["x-token"] == "$TOKEN"
    assert "explain" not in lines(difference)[-1]
    assert as_json(difference)["explain"] is None

    turned = search(alice, signed((another, "alice")), function, examples=500)
    outcomes = {(each.old.decision.allowed, each.new.decision.allowed) for each in turned.differences}
    assert outcomes == {(True, False), (False, True)}
    assert {each.signer.endswith("(old)") for each in turned.differences} == {True, False}


# What a sidecar delivers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "delivered_as"),
    [
        (Request(target="/a/../b"), None),
        (Request(target="//a"), None),
        (Request(target="/%61"), None),
        (Request(target="/a%2Fb"), None),
        (Request(target="/a#b"), None),
        (Request(method="get"), None),
        (Request(headers=(("x-a", "\udcff"),)), None),
        (Request(headers=(("X-A", " b "),)), Request(headers=(("x-a", "b"),))),
        (Request(headers=(("x_a", "b"), ("x-request-id", "c"))), Request()),
        (Request(target="/a%20b?c=%2F"), Request(target="/a%20b?c=%2F")),
    ],
)
def test_only_what_envoy_delivers_as_it_is_spelled_counts(
    request_: Request, delivered_as: Request | None
) -> None:
    assert plain(request_) == delivered_as


@pytest.mark.parametrize("tls", [None, Tls()], ids=("plain", "tls"))
def test_the_input_is_what_a_real_sidecar_delivers(
    bed: Bed, make_subject: Callable[..., Subject], tls: Tls | None
) -> None:
    """The two evaluators are asked with the input that the engine would get from Envoy."""
    subject = make_subject(
        'allow if { crypto.md5(http.path) == "x"; claims.sub == "alice"; input.parsed_body.a == "b"; '
        'http.headers["x-user"] == "c"; input.attributes.source.principal in {"CN=a b", "spiffe://a/b"} }',
        tls=tls,
    )
    bed.load(subject)
    body = (("content-type", "application/json"),)
    asked = [  # what tells how long a body is
        Request("POST", "/x", body, body='{"a": "b"}', **sent)
        for sent in ({}, {"chunked": True}, {"http2": True})
    ]
    named = Token("corp", {"sub": "alice"}, named="ES256K")  # which is not by what it was signed
    asked += [Request("GET", "/x", token=each) for each in (named, replace(named, named=""))]
    drawn = batches(gather(subject), subject, size=40, variants=2)

    @seed(1)
    @settings(
        max_examples=4,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def collect(batch: list[Request]) -> None:
        asked.extend(filter(None, map(plain, batch)))

    collect()
    signers = {name: issuer.provider for name, issuer in subject.issuers.items()}
    compared, principals = 0, set()
    for request, seen in zip(asked, bed.ask(asked), strict=True):
        if seen is None or seen.refused:
            continue
        message = delivered(request, "localhost", subject.issuers, tls=tls is not None)
        signer = signers.get(request.token.provider) if request.token else None
        mine = document(message, "orders", request.token, signer, subject.revision.providers)
        assert _told(mine) == _told(seen.input), request
        compared += 1
        principals.add(mine["attributes"]["source"].get("principal", "") if mine else "")
    assert compared > 100
    assert {"CN=a b", "spiffe://a/b"} <= principals or tls is None


def _told(given: Any) -> Any:
    """An input without what differs from one request to the next, or from one machine to the other."""
    if given is None:
        return None
    whole = to_json(given)
    request = whole["attributes"]["request"]["http"]
    headers = {
        name: value
        for name, value in request["headers"].items()
        if not name.startswith(("x-envoy-", "x-forwarded-", "x-request-id"))
    }
    kept = {name: request.get(name) for name in ("method", "path", "host", "scheme", "body")}
    parsed = {
        name: whole.get(name)
        for name in (
            *("parsed_path", "parsed_query", "parsed_body", "truncated_body"),
            *("identity", "function", "peer"),
        )
    }
    source = whole["attributes"]["source"]
    who = source["address"]["socketAddress"]["address"], source.get("principal")
    return {"headers": headers, "source": who, **kept, **parsed}


def test_what_must_be_the_same_in_two_places_is_made_plain_in_both() -> None:
    def differs(requests: list[Request]) -> list[bool]:
        return [
            bool(each.token and each.headers and each.token.claims.get("t") == each.headers[0][1] != "")
            for each in requests
        ]

    start = Request(
        "POST", "/x/y?z", (("h", "tenant-7"), ("i", "j")), Token("corp", {"t": "tenant-7", "u": 1})
    )
    assert small(start, differs) == Request(headers=(("h", "a"),), token=Token("corp", {"t": "a"}))
