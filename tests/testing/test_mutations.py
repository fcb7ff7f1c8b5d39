"""Faults put into the compiler on purpose: `verify` finds each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import (
    answers,
    atoms,
    bodies,
    bounds,
    cases,
    compile,
    context,
    decision,
    identity,
    lower,
    mentions,
    paths,
    patterns,
    predicate,
    sources,
    tree,
    views,
)
from palisade.enforce.envoy.bounds import Bounds
from palisade.enforce.envoy.patterns import quote
from palisade.enforce.envoy.predicate import Single, Text, text_check
from palisade.enforce.envoy.sources import ClaimSource, claim_text, header_text
from palisade.policy.inventory import Tls
from palisade.policy.providers import Provider
from palisade.rego.partial.formula import FALSE
from palisade.testing.equivalence import Bed, Subject, verify
from palisade.testing.equivalence.telling import summary

EXAMPLES = int(os.environ.get("PALISADE_EXAMPLES", "0")) * 10 or 4_000
"""Requests for each fault, of which most are found among the first hundred."""

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutation:
    """A fault, and rules on which it tells; `linear` 0 where it is in the maps."""

    name: str
    patch: Patch
    rules: str
    data: Any = None
    linear: int = tree.MAX_LINEAR
    providers: int = 1
    tls: Tls | None = None


def _texts(**settings: Any) -> Patch:
    """Texts are compared by another matcher than that for equal ones."""

    def equals(text: Text, value: str) -> Single:
        matcher = StringMatcher(exact=value)
        if "prefix" in settings:
            matcher = StringMatcher(prefix=value)
        return Single(input=text.input(), value_match=StringMatcher(**{**settings, **_fields(matcher)}))

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Text, "equals", equals)

    return patch


def _fields(matcher: StringMatcher) -> dict[str, str]:
    kind = str(matcher.WhichOneof("match_pattern"))
    return {kind: getattr(matcher, kind)}


def _negation_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower, "inverse", lambda found: found)


def _negation_of_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """What surely does not hold is taken from what surely does."""
    negate = predicate.negate
    monkeypatch.setattr(lower, "inverse", lambda found: Bounds(negate(found.surely), negate(found.surely)))


def _sides_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    own = lower.Lowering.bounds

    def swapped(self: Any, formula: Any) -> Bounds:
        found = own(self, formula)
        return Bounds(found.possibly, found.surely)

    monkeypatch.setattr(lower.Lowering, "bounds", swapped)


def _undefined_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atoms.Atoms, "_defined", lambda self, atom: bounds.ALWAYS)


def _first_member_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower, "MEMBERS", 1)
    monkeypatch.setattr(lower.Lowering, "_unless_possibly", lambda self, found, unsure, when: found)


def _objects_have_no_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower.Lowering, "_unless_possibly", lambda self, found, unsure, when: found)


def _bit(change: int) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def within(asked: Any) -> Single:
            ranges = (each.partition("/") for each in asked.ranges)
            changed = frozenset(f"{address}/{int(length) + change}" for address, _, length in ranges)
            return own(replace(asked, ranges=changed))

        own = predicate._within
        monkeypatch.setattr(predicate, "_within", within)

    return patch


def _types_unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the formatter makes of numbers and lists is looked up as if it were a string."""
    anything = text_check(header_text(":method"), StringMatcher(prefix="")).single
    present = text_check(header_text(":method"), lower.patterns.regex("(?s).*")).single
    assert anything != present
    monkeypatch.setattr(
        ClaimSource, "text", property(lambda self: replace(claim_text(tuple(self.path)), guard=present))
    )


def _wrong_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(self: Any, atom: Any) -> Bounds:
        outer, self._providers = self._providers, self._providers[:1]
        found: Bounds = self._atoms[type(atom)](self, atom)
        self._providers = outer
        return found

    monkeypatch.setattr(lower.Lowering, "_atom", first)


def _order_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules before the conflicts between them."""

    def decide(*args: Any, **settings: Any) -> Any:
        found = own(*args, **settings)
        entries = sorted(found.entries, key=lambda entry: entry.name == decision.ERROR)
        return replace(found, entries=tuple(entries))

    own = decision.decide
    monkeypatch.setattr(compile, "decide", decide)


def _default_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    own = decision.settled
    monkeypatch.setattr(decision, "settled", lambda outcome: own(outcome)[:-1])


def _conflicts_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    own = decision.decide

    def decide(outcome: Any, *rest: Any, **settings: Any) -> Any:
        return own(replace(outcome, error=FALSE), *rest, **settings)

    monkeypatch.setattr(compile, "decide", decide)


def _path_with_its_query(monkeypatch: pytest.MonkeyPatch) -> None:
    own = compile.attributes

    def attributes(*args: Any) -> Any:
        config = own(*args)
        for each in config.on_request_headers:
            source = each.format_string.text_format_source
            source.inline_string = source.inline_string.replace("%PATH(NQ:PATH)%", "%REQ(:PATH)%")
        return config

    monkeypatch.setattr(compile, "attributes", attributes)


def _escapes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "spelled", quote)
    monkeypatch.setattr(paths, "_spelled", quote)


def _exact_for_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    own = tree._Building._look_up
    monkeypatch.setattr(
        tree._Building, "_look_up", lambda self, stage: own(self, replace(stage, prefixes=False))
    )


def _engine_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cases, decision):
        monkeypatch.setattr(module, "RESIDUAL", "residual:1")


def _one_answer_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(self: Any, value: Any) -> Any:
        found = own(self, value)
        return self.given[0] if self.given else found

    own = answers.Answers.to
    monkeypatch.setattr(answers.Answers, "to", first)


def _headers_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_mutation", lambda *args: None)


def _engine_without_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentions, "_BODY", frozenset())


def _audiences_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    own = identity._provider

    def provider(*args: Any) -> Any:
        config = own(*args)
        config.ClearField("audiences")
        return config

    monkeypatch.setattr(identity, "_provider", provider)


def _query_parameter_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "first_parameter_is", paths.some_parameter_is)


def _bytes_of_queries_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_RAW", predicate.NO)


def _space_around_headers_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "ODD_HEADER", patterns.BEYOND_ASCII)
    context._odd.cache_clear()


def _reader(own: str, other: str) -> Patch:
    """A change in the script that reads bodies."""
    script = bodies._script()
    assert own in script

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bodies, "_script", lambda: script.replace(own, other))

    return patch


def _callers(**formats: str) -> Patch:
    """Who calls is read otherwise."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for name, text in formats.items():
            before = getattr(sources, name)
            monkeypatch.setattr(sources, name, replace(before, text=replace(before.text, format=text)))

    return patch


MUTATIONS = (
    Mutation("prefix for exact", _texts(prefix=True), 'allow if http.headers["x-user"] == "alice"'),
    Mutation("case ignored", _texts(ignore_case=True), 'allow if http.headers["x-user"] == "alice"'),
    Mutation(
        "negation dropped", _negation_dropped, 'allow if { claims.sub == "alice"; not claims.tier == 1 }'
    ),
    Mutation(
        "negation of one side",
        _negation_of_one_side,
        'allow if { claims.sub == "alice"; not "blocked" in claims.roles }',
    ),
    Mutation("surely and possibly swapped", _sides_swapped, 'allow if "admin" in claims.roles'),
    Mutation("undefined is false", _undefined_is_false, 'allow if claims.sub != "mallory"'),
    Mutation(
        "first member only",
        _first_member_only,
        'allow if { some g in claims.groups; g.name == "ops"; g.level > 1 }',
    ),
    Mutation("objects have no members", _objects_have_no_members, 'allow if "admin" in claims.roles'),
    Mutation(
        "a network one bit larger",
        _bit(-1),
        'allow if net.cidr_contains("10.128.0.0/9", input.attributes.source.address.socketAddress.address)',
    ),
    Mutation(
        "a network one bit smaller",
        _bit(1),
        'allow if net.cidr_contains("2001:db8::/32", input.attributes.source.address.socketAddress.address)',
    ),
    Mutation(
        "types unguarded",
        _types_unguarded,
        "allow if data.users[claims.team]",
        {"users": dict.fromkeys(("1", "true", "alice", "bob", "eve"), True)},
        linear=0,
    ),
    Mutation(
        "claims of the wrong provider",
        _wrong_provider,
        'allow if claims.sub == "alice"',
        providers=2,
    ),
    Mutation(
        "runs in another order",
        _order_swapped,
        'allow := true if claims.sub == "alice"\nallow := false if claims.tier == 1',
    ),
    Mutation(
        "default forgotten",
        _default_forgotten,
        'default allow := true\nallow := false if http.method == "DELETE"',
    ),
    Mutation(
        "conflicts forgotten",
        _conflicts_forgotten,
        'allow := true if claims.sub == "alice"\nallow := false if claims.tier == 1',
    ),
    Mutation("path with its query", _path_with_its_query, 'allow if input.parsed_path == ["public", "x"]'),
    Mutation("escapes unread", _escapes_unread, 'allow if input.parsed_path == ["a b", "c"]'),
    Mutation(
        "exact for prefix",
        _exact_for_prefix,
        'allow if startswith(http.path, "/a")\n'
        'allow if { startswith(http.path, "/a/b"); claims.sub == "alice" }',
        linear=0,
    ),
    Mutation("the engine is not asked", _engine_unasked, 'allow if crypto.md5(http.path) == "x"'),
    Mutation(
        "one answer for all",
        _one_answer_for_all,
        'allow := {"allowed": false, "http_status": 401} if not claims.sub\n'
        'else := {"allowed": false, "http_status": 404, "body": "gone"}',
    ),
    Mutation(
        "headers for the function forgotten",
        _headers_forgotten,
        'allow := {"allowed": true, "headers": {"x-by": "rego"}, "request_headers_to_remove": ["x-a"]} '
        "if claims.sub",
    ),
    Mutation("the engine gets no bodies", _engine_without_bodies, "allow if input.parsed_body.a == 1"),
    Mutation(
        "bytes of queries unread", _bytes_of_queries_unread, "allow if input.parsed_path[1] == claims.sub"
    ),
    Mutation(
        "space around headers unread",
        _space_around_headers_unread,
        'allow if http.headers["x-user"] == "alice"',
    ),
    Mutation(
        "what stands behind a body is not looked at",
        _reader('if find(s, "[^ \\t\\n\\r]", behind) then', "if false then"),
        "allow if input.parsed_body.a == 1",
    ),
    Mutation(
        "null is missing",
        _reader('lay(node, "null")', 'lay(node, "missing")'),
        "allow if input.parsed_body.a == null",
    ),
    Mutation(
        "fields of what stands in fields",
        _reader(
            "node and node.keys and node.keys[key], depth",
            "node and (node.keys and node.keys[key] or node), depth",
        ),
        "allow if input.parsed_body.a.b == 1",
    ),
    Mutation(
        "members are numbers only",
        _reader("if members and member ~= nil", 'if members and type(member) == "number"'),
        'allow if "x" in input.parsed_body.a',
    ),
    Mutation(
        "claims read from the header of a token",
        _reader("whole(unbased(claims), second)", "whole(unbased(head), second)"),
        'allow if io.jwt.decode(trim_prefix(http.headers["x-user"], "Bearer "))[1].sub == "alice"',
    ),
    Mutation(
        "JSON read as forms",
        _reader('if find(kind, "application/json", 1, true) then', "if false then"),
        "allow if input.parsed_body.a == 1",
    ),
    Mutation(
        "escapes of forms are kept",
        _reader('s = gsub(s, "%%(%x%x)", HEXADECIMAL)', ""),
        'allow if input.parsed_body.a[0] == "x"',
    ),
    Mutation("audiences unchecked", _audiences_unchecked, 'allow if claims.sub == "alice"'),
    Mutation(
        "any parameter for the first", _query_parameter_anywhere, 'allow if input.parsed_query.role[0] == "a"'
    ),
    Mutation(
        "all names of a caller as one",
        _callers(PEER="%DOWNSTREAM_PEER_URI_SAN%"),
        'allow if input.peer == "spiffe://corp.example/shop"',
        tls=Tls(),
    ),
    Mutation(
        "the subject of a caller for its name",
        _callers(PRINCIPAL="%DOWNSTREAM_PEER_SUBJECT%"),
        'allow if input.attributes.source.principal in {"CN=batch", "jobs.example"}',
        tls=Tls(client_certificate="required"),
    ),
    Mutation(
        "a host name of a caller forgotten",
        _callers(PEER="%CEL(connection.uri_san_peer_certificate)%"),
        'allow if startswith(input.peer, "spiffe://corp.example/")',
        tls=Tls(),
    ),
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
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
