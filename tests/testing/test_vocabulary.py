"""A policy's constants are found, with the parts of a request that they belong to; and rules are aimed at."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from palisade.testing.equivalence import Request, Subject, gather, verify
from palisade.testing.equivalence.bed import Bed
from palisade.testing.equivalence.vary import Varying
from palisade.testing.equivalence.walks import MEMBER

HTTP = ("attributes", "request", "http")
_MESH = "input.attributes.metadataContext.filterMetadata[`envoy.filters.http.jwt_authn`].corp"


def test_constants_stand_at_their_places(make_subject: Callable[..., Subject]) -> None:
    found = gather(
        make_subject(
            """allow if {
    http.headers["x-user"] == "alice"
    claims.tier > 2
    "admin" in claims.roles
    startswith(http.path, "/v1")
    net.cidr_contains(data.networks[_], input.attributes.source.address.socketAddress.address)
}""",
            {"networks": ["10.0.0.0/8"]},
        )
    )
    assert found.places[(*HTTP, "headers", "x-user")] == ("alice",)
    assert found.places[("identity", "claims", "roles", MEMBER)] == ("admin",)
    assert found.places[("identity", "claims", "tier")] == (2,)
    assert found.places[(*HTTP, "path")] == ("/v1",)
    assert found.ranges == ("10.0.0.0/8",)
    assert 2 in found.numbers


def test_what_only_the_engine_decides_still_has_words(make_subject: Callable[..., Subject]) -> None:
    """Partial evaluation follows none of this; the plan has the constants all the same."""
    found = gather(make_subject('allow if walk(claims, [["deep", "key"], "secret"])'))
    assert {"deep", "key", "secret"} <= set(found.words)


def test_where_such_a_policy_looks_is_found_too(make_subject: Callable[..., Subject]) -> None:
    """By its plan: keys that depend on the request are beyond partial evaluation."""
    found = gather(make_subject("m[k] := v if { some k, v in claims.map }\nallow if m.a == 1"))
    assert ("identity", "claims", "map", MEMBER) in found.places


def test_of_large_data_another_part_is_taken_for_another_seed(make_subject: Callable[..., Subject]) -> None:
    subject = make_subject("allow if data.users[claims.sub]", {"users": {f"u{n}": True for n in range(900)}})
    first, again, second = (gather(subject, seed=seed) for seed in (1, 1, 2))
    assert first.words == again.words != second.words
    assert len(first.words) < 200


@pytest.mark.long
@pytest.mark.parametrize(
    "rules",
    [
        'allow if { http.method == "PUT"; input.parsed_path == ["a", "b"]; claims.t == 3; claims.r[_] == 1 }',
        'allow if { ["users", id, "x"] = input.parsed_path; id == claims.sub; http.headers.x == claims.t }',
        'allow if { some g in claims.groups; g.name == "ops"; g.level > 4 }',
        'allow if { regex.match(`^/v[0-9]+/[a-z]{3}$`, http.path); http.method == "DELETE" }',
        'allow if net.cidr_contains("10.9.0.0/16", input.attributes.source.address.socketAddress.address)',
        'allow if { parts := split(http.path, "/"); parts[1] == "users"; parts[2] == claims.sub }',
        f"allow if {{ {_MESH}.sub == `ann`; `ops` in {_MESH}.org.groups; input.parsed_path[0] == `a` }}",
        'allow if { sprintf("u:%s", [claims.a]) == "u:a"; concat("/", [http.method, claims.t]) == "PUT/x" }',
        'allow if { concat("/", array.slice(input.parsed_path, 1, 1000)) == "a/b"; claims.sub == "ann" }',
    ],
    ids=("many", "same", "members", "pattern", "address", "pieces", "mesh", "made", "joined"),
)
def test_rules_of_several_conditions_are_met(
    bed: Bed, make_subject: Callable[..., Subject], rules: str
) -> None:
    """Random requests would never meet these: a rule that no request meets is not verified."""
    report = verify(bed, make_subject(rules), examples=400, start=1)
    assert report.difference is None
    assert report.tally.allowed


@pytest.mark.parametrize("asked", ["claims.n", "input.parsed_body.n"])
@pytest.mark.parametrize("sign", ["==", "<"])
@pytest.mark.parametrize("number", [10**400, 10**4_300 - 1], ids=("400", "4300"))
def test_numbers_that_are_larger_than_all_doubles_are_drawn_near(
    bed: Bed, make_subject: Callable[..., Subject], asked: str, sign: str, number: int
) -> None:
    """Half of one more than that is no number, and one more than the largest is none that Python shows:
    `palisade verify` ended in an OverflowError, or a ValueError."""
    report = verify(bed, make_subject(f"allow if {asked} {sign} {number}"), examples=40, start=1)
    assert report.difference is None
    assert report.tally.pairs


def test_variants_change_one_part_and_are_the_same_for_a_seed() -> None:
    varying = Varying(("alice",), ("corp", "partner"), ("10.0.0.1",))
    request = Request("GET", "/a?b=c", (("x-a", "v"),), None, "{}")
    parts = ("method", "target", "headers", "token", "body", "source")
    chooser = random.Random(1)
    for seed in (chooser.randrange(1000) for _ in range(50)):
        made = varying.variants(request, seed, 8)
        assert made == varying.variants(request, seed, 8)
        for each in made:
            assert sum(getattr(each, name) != getattr(request, name) for name in parts) <= 1


def test_a_message_of_grpc_is_not_called_json_where_the_policy_reads_no_body() -> None:
    """`palisade verify` told of a difference for policies that answer in JSON: by their own words a message
    became JSON that is none, of which no input can be made, and no sidecar looks at it."""
    kind = "application/grpc"
    request = Request("POST", "/a", (("content-type", kind), ("te", "trailers")), None, "\0\0\0\0\0")
    for bodies in (False, True):
        varying = Varying(("application/json",), ("corp",), ("10.0.0.1",), http2=True, bodies=bodies)
        made = [each for seed in range(60) for each in varying.variants(request, seed, 8)]
        others = [each for each in made if ("content-type", "application/json") in each.headers]
        assert others
        assert any(each.body for each in others) is bodies
        assert any(each.body for each in made)
