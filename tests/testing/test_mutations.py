"""Faults put into the compiler on purpose: `verify` finds each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import faults
import pytest
from effort import some

from palisade.enforce.envoy.conditions import context
from palisade.enforce.envoy.matchers.choices import MAX_LINEAR
from palisade.policy.inventory import Tls
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Subject, run, verify
from palisade.testing.equivalence.telling import summary

EXAMPLES = int(os.environ.get("PALISADE_EXAMPLES", "0")) * 10 or 4_000
"""Requests for each fault, of which most are found among the first hundred."""


@dataclass(frozen=True)
class Mutation:
    """A fault, and rules on which it tells; `linear` 0 where it is in the maps."""

    name: str
    patch: faults.Patch
    rules: str
    data: Any = None
    linear: int = MAX_LINEAR
    providers: int = 1
    tls: Tls | None = None


MUTATIONS = (
    Mutation("prefix for exact", faults.texts(prefix=True), 'allow if http.headers["x-user"] == "alice"'),
    Mutation("case ignored", faults.texts(ignore_case=True), 'allow if http.headers["x-user"] == "alice"'),
    Mutation(
        "negation dropped",
        faults.negation_dropped,
        'allow if { claims.sub == "alice"; not claims.tier == 1 }',
    ),
    Mutation(
        "negation of one side",
        faults.negation_of_one_side,
        'allow if { claims.sub == "alice"; not "blocked" in claims.roles }',
    ),
    Mutation("surely and possibly swapped", faults.sides_swapped, 'allow if "admin" in claims.roles'),
    Mutation("undefined is false", faults.undefined_is_false, 'allow if claims.sub != "mallory"'),
    Mutation(
        "first member only",
        faults.first_member_only,
        'allow if { some g in claims.groups; g.name == "ops"; g.level > 1 }',
    ),
    Mutation(
        "first segment only",
        faults.first_member_only,
        'allow if { some i; input.parsed_path[i] == "a"; input.parsed_path[i + 1] == claims.sub }',
    ),
    Mutation(
        "one of two joined arrays",
        faults.one_of_two_joined,
        'allow if "a" in array.concat(["c"], claims.groups)\n'
        'allow if { "a" in claims.groups; claims.sub == "x" }',
    ),
    Mutation(
        "fractions taken for whole",
        faults.fractions_taken_for_whole,
        "allow if claims.tier % 2 == 0",
    ),
    Mutation(
        "types in another order",
        faults.types_in_another_order,
        "allow if claims.tier > claims.level",
    ),
    Mutation(
        "one more than counted",
        faults.one_more_than_counted,
        'allow if count({r | some r in claims.roles; r in {"a", "b", "c"}}) >= 2',
    ),
    Mutation(
        "clocks an hour off",
        faults.clocks_an_hour_off,
        'tokyo := time.clock([time.now_ns(), "Asia/Tokyo"])[0]\n'
        "allow if tokyo - time.clock(time.now_ns())[0] in {9, -15}",
    ),
    Mutation(
        "a part of a header's name for its beginning",
        faults.reader("return sub(s, 1, #text) == text end", "return find(s, text, 1, true) ~= nil end"),
        'allow if { some name, _ in http.headers; startswith(name, "x-internal-") }',
    ),
    Mutation(
        "one value of a header that is there twice",
        faults.reader('values[name] .. "," .. content', "content"),
        'allow if { some _, value in http.headers; value == "a,b" }',
    ),
    Mutation(
        "tests of a header joined by or",
        faults.reader(
            "if one ~= test.asked then\n      return false", "if one == test.asked then\n      return true"
        ),
        'allow if { some name, value in http.headers; startswith(name, "x-"); value in {"a", "b"} }',
    ),
    Mutation(
        "part of an escape for a character",
        faults.part_of_an_escape,
        'allow if contains(input.parsed_path[0], "3")',
    ),
    Mutation("objects have no members", faults.objects_have_no_members, 'allow if "admin" in claims.roles'),
    Mutation(
        "a network one bit larger",
        faults.bit(-1),
        'allow if net.cidr_contains("10.128.0.0/9", input.attributes.source.address.socketAddress.address)',
    ),
    Mutation(
        "a network one bit smaller",
        faults.bit(1),
        'allow if net.cidr_contains("2001:db8::/32", input.attributes.source.address.socketAddress.address)',
    ),
    Mutation(
        "types unguarded",
        faults.types_unguarded,
        "allow if data.users[claims.team]",
        {"users": dict.fromkeys(("1", "true", "alice", "bob", "eve"), True)},
        linear=0,
    ),
    Mutation(
        "claims of the wrong provider",
        faults.wrong_provider,
        'allow if claims.sub == "alice"',
        providers=2,
    ),
    Mutation(
        "runs in another order",
        faults.order_swapped,
        'allow := true if claims.sub == "alice"\nallow := false if claims.tier == 1',
    ),
    Mutation(
        "default forgotten",
        faults.default_forgotten,
        'default allow := true\nallow := false if http.method == "DELETE"',
    ),
    Mutation(
        "conflicts forgotten",
        faults.conflicts_forgotten,
        'allow := true if claims.sub == "alice"\nallow := false if claims.tier == 1',
    ),
    Mutation(
        "path with its query", faults.path_with_its_query, 'allow if input.parsed_path == ["public", "x"]'
    ),
    Mutation("escapes unread", faults.escapes_unread, 'allow if input.parsed_path == ["a b", "c"]'),
    Mutation(
        "exact for prefix",
        faults.exact_for_prefix,
        'allow if startswith(http.path, "/a")\n'
        'allow if { startswith(http.path, "/a/b"); claims.sub == "alice" }',
        linear=0,
    ),
    Mutation("the engine is not asked", faults.engine_unasked, 'allow if crypto.md5(http.path) == "x"'),
    Mutation(
        "one answer for all",
        faults.one_answer_for_all,
        'allow := {"allowed": false, "http_status": 401} if not claims.sub\n'
        'else := {"allowed": false, "http_status": 404, "body": "gone"}',
    ),
    Mutation(
        "headers for the function forgotten",
        faults.headers_forgotten,
        'allow := {"allowed": true, "headers": {"x-by": "rego"}, "request_headers_to_remove": ["x-a"]} '
        "if claims.sub",
    ),
    Mutation("the engine gets no bodies", faults.engine_without_bodies, "allow if input.parsed_body.a == 1"),
    Mutation(
        "bytes of queries unread",
        faults.bytes_of_queries_unread,
        "allow if input.parsed_path[1] == claims.sub",
    ),
    Mutation(
        "space around headers unread",
        faults.space_around_headers_unread,
        'allow if http.headers["x-user"] == "alice"',
    ),
    Mutation(
        "what stands behind a body is not looked at",
        faults.reader('if find(s, "[^ \\t\\n\\r]", behind) then', "if false then"),
        "allow if input.parsed_body.a == 1",
    ),
    Mutation(
        "null is missing",
        faults.reader('lay(node, "null")', 'lay(node, "missing")'),
        "allow if input.parsed_body.a == null",
    ),
    Mutation(
        "fields of what stands in fields",
        faults.reader(
            "node and node.keys and node.keys[key], depth",
            "node and (node.keys and node.keys[key] or node), depth",
        ),
        "allow if input.parsed_body.a.b == 1",
    ),
    Mutation(
        "members are numbers only",
        faults.reader("if members and member ~= nil", 'if members and type(member) == "number"'),
        'allow if "x" in input.parsed_body.a',
    ),
    Mutation(
        "claims read from the header of a token",
        faults.reader("whole(unbased(claims), second)", "whole(unbased(head), second)"),
        'allow if io.jwt.decode(trim_prefix(http.headers["x-user"], "Bearer "))[1].sub == "alice"',
    ),
    Mutation(
        "JSON read as forms",
        faults.reader('if find(kind, "application/json", 1, true) then', "if false then"),
        "allow if input.parsed_body.a == 1",
    ),
    Mutation(
        "escapes of forms are kept",
        faults.reader('s = gsub(s, "%%(%x%x)", HEXADECIMAL)', ""),
        'allow if input.parsed_body.a[0] == "x"',
    ),
    Mutation(
        "a secret for any algorithm that a token names",
        faults.keys_for_any_algorithm,
        'bearer := trim_prefix(http.headers.authorization, "Bearer ")\n'
        'allow if io.jwt.decode_verify(bearer, {"secret": "known to the issuer and to the policy"})[0]',
        providers=0,
    ),
    Mutation("audiences unchecked", faults.audiences_unchecked, 'allow if claims.sub == "alice"'),
    Mutation(
        "any parameter for the first",
        faults.query_parameter_anywhere,
        'allow if input.parsed_query.role[0] == "a"',
    ),
    Mutation(
        "all names of a caller as one",
        faults.callers(PEER="%DOWNSTREAM_PEER_URI_SAN%"),
        'allow if input.peer == "spiffe://corp.example/shop"',
        tls=Tls(),
    ),
    Mutation(
        "the subject of a caller for its name",
        faults.callers(PRINCIPAL="%DOWNSTREAM_PEER_SUBJECT%"),
        'allow if input.attributes.source.principal in {"CN=batch", "jobs.example"}',
        tls=Tls(client_certificate="required"),
    ),
    Mutation(
        "a host name of a caller forgotten",
        faults.callers(PEER="%CEL(connection.uri_san_peer_certificate)%"),
        'allow if startswith(input.peer, "spiffe://corp.example/")',
        tls=Tls(),
    ),
)


@pytest.mark.parametrize("mutation", some(MUTATIONS), ids=lambda each: each.name)
def test_a_fault_is_found(
    bed: Bed,
    make_subject: Callable[..., Subject],
    corp: Provider,
    monkeypatch: pytest.MonkeyPatch,
    mutation: Mutation,
) -> None:
    """And told, with a request that a person can read. Without the fault there is no difference."""
    partner = replace(corp, name="partner", issuer="https://partner.example")
    settings = {
        "providers": (corp, partner)[: mutation.providers],
        "linear": mutation.linear,
        "tls": mutation.tls,
    }
    whole = verify(bed, make_subject(mutation.rules, mutation.data, **settings), examples=300, start=1)
    assert whole.difference is None, summary(whole.difference)
    with monkeypatch.context() as patched:
        mutation.patch(patched)
        broken = make_subject(mutation.rules, mutation.data, **settings)
    context._odd.cache_clear()
    report = verify(bed, broken, examples=EXAMPLES, start=1)
    assert report.difference is not None
    assert len(report.difference.request.headers) <= 2


def test_no_more_is_drawn_once_a_fault_is_found(
    bed: Bed, make_subject: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To draw the rest of two thousand requests takes longer than to find most faults."""
    drawn: list[object] = []
    batches = run.batches

    def counted(*given: Any, **more: Any) -> Any:
        return batches(*given, **more).map(lambda batch: drawn.append(batch) or batch)

    monkeypatch.setattr(run, "batches", counted)
    with monkeypatch.context() as patched:
        MUTATIONS[0].patch(patched)
        broken = make_subject(MUTATIONS[0].rules)
    report = verify(bed, broken, start=1)
    assert report.difference is not None
    assert len(drawn) < 2 * report.tally.pairs / run.BATCH + 4
