"""Faults to put into the compiler: what `verify` must find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import cases, compile, decision, work
from palisade.enforce.envoy.answers import filters as answers
from palisade.enforce.envoy.bodies import mentions
from palisade.enforce.envoy.bodies import reader as bodies
from palisade.enforce.envoy.conditions import (
    atoms,
    calculation,
    context,
    counted,
    lower,
    members,
    ordered,
    views,
)
from palisade.enforce.envoy.matchers import bounds, cel, predicate, tree, writing
from palisade.enforce.envoy.matchers.bounds import Bounds
from palisade.enforce.envoy.matchers.predicate import Single, Text, header_text, text_check
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.regex.patterns import quote
from palisade.enforce.envoy.tokens import identity
from palisade.enforce.envoy.tokens import keys as token_keys
from palisade.enforce.envoy.values import walks, zones
from palisade.enforce.envoy.values.sources import ClaimSource, claim_text
from palisade.rego.partial.formulas.formula import FALSE
from palisade.rego.partial.symbols import members as partial_members

Patch = Callable[[pytest.MonkeyPatch], None]


def texts(**settings: Any) -> Patch:
    """Texts are compared by another matcher than that for equal ones."""

    def equals(text: Text, value: str) -> Single:
        matcher = StringMatcher(exact=value)
        if "prefix" in settings:
            matcher = StringMatcher(prefix=value)
        return Single(input=text.input(), value_match=StringMatcher(**{**settings, **fields(matcher)}))

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Text, "equals", equals)

    return patch


def fields(matcher: StringMatcher) -> dict[str, str]:
    kind = str(matcher.WhichOneof("match_pattern"))
    return {kind: getattr(matcher, kind)}


def negation_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower, "inverse", lambda found: found)


def negation_of_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """What surely does not hold is taken from what surely does."""
    negate = predicate.negate
    monkeypatch.setattr(lower, "inverse", lambda found: Bounds(negate(found.surely), negate(found.surely)))


def sides_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    own = lower.Lowering.bounds

    def swapped(self: Any, formula: Any) -> Bounds:
        found = own(self, formula)
        return Bounds(found.possibly, found.surely)

    monkeypatch.setattr(lower.Lowering, "bounds", swapped)


def undefined_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atoms.Atoms, "_defined", lambda self, atom: bounds.ALWAYS)


def first_member_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MEMBERS", 1)
    monkeypatch.setattr(lower.Lowering, "_unless_possibly", lambda self, found, unsure, when: found)


def one_of_two_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of joined arrays the members of the first alone are looked at."""
    own = partial_members.Members.members

    def first(self: Any, source: Any) -> Any:
        return own(self, source.args[0] if getattr(source, "name", "") == "array.concat" else source)

    monkeypatch.setattr(partial_members.Members, "members", first)


def fractions_taken_for_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calculation, "whole", lambda expr: cel.truth())


def types_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts come before numbers."""
    kinds = ("null", "boolean", "string", "number", "array", "object")
    monkeypatch.setattr(ordered, "KINDS", kinds)


def one_more_than_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "_MORE", {**counted._MORE, "_>=_": 1})


def clocks_an_hour_off(monkeypatch: pytest.MonkeyPatch) -> None:
    own = zones.moves

    def moved(name: str) -> Any:
        known = own(name)
        return None if known is None else tuple((second, ahead + 3600) for second, ahead in known)

    monkeypatch.setattr(zones, "moves", moved)


def part_of_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an escape is written with is taken for characters of the segment."""
    monkeypatch.setattr(paths, "_UNITS", "[^/]*")


def objects_have_no_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower.Lowering, "_unless_possibly", lambda self, found, unsure, when: found)


def bit(change: int) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def within(asked: Any) -> Single:
            ranges = (each.partition("/") for each in asked.values)
            changed = frozenset(f"{address}/{int(length) + change}" for address, _, length in ranges)
            return own(replace(asked, values=changed))

        own = writing._within
        monkeypatch.setattr(writing, "_within", within)

    return patch


def types_unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the formatter makes of numbers and lists is looked up as if it were a string."""
    anything = text_check(header_text(":method"), StringMatcher(prefix="")).single
    present = text_check(header_text(":method"), patterns.regex("(?s).*")).single
    assert anything != present
    monkeypatch.setattr(
        ClaimSource, "text", property(lambda self: replace(claim_text(tuple(self.path)), guard=present))
    )


def wrong_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(self: Any, atom: Any) -> Bounds:
        outer, self._providers = self._providers, self._providers[:1]
        found: Bounds = self._atoms[type(atom)](self, atom)
        self._providers = outer
        return found

    monkeypatch.setattr(lower.Lowering, "_atom", first)


def order_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules before the conflicts between them."""

    def decide(*args: Any, **settings: Any) -> Any:
        found = own(*args, **settings)
        entries = sorted(found.entries, key=lambda entry: entry.name == decision.ERROR)
        return replace(found, entries=tuple(entries))

    own = decision.decide
    monkeypatch.setattr(work, "decide", decide)


def default_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    own = decision.settled
    monkeypatch.setattr(decision, "settled", lambda outcome: own(outcome)[:-1])


def conflicts_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    own = decision.decide

    def decide(outcome: Any, *rest: Any, **settings: Any) -> Any:
        return own(replace(outcome, error=FALSE), *rest, **settings)

    monkeypatch.setattr(work, "decide", decide)


def path_with_its_query(monkeypatch: pytest.MonkeyPatch) -> None:
    own = compile.attributes

    def attributes(*args: Any) -> Any:
        config = own(*args)
        for each in config.on_request_headers:
            source = each.format_string.text_format_source
            source.inline_string = source.inline_string.replace("%PATH(NQ:PATH)%", "%REQ(:PATH)%")
        return config

    monkeypatch.setattr(compile, "attributes", attributes)


def escapes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "spelled", quote)
    monkeypatch.setattr(paths, "_spelled", quote)


def exact_for_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    own = tree._Building._look_up
    monkeypatch.setattr(
        tree._Building,
        "_look_up",
        lambda self, stage, *more: own(self, replace(stage, prefixes=False), *more),
    )


def engine_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cases, decision):
        monkeypatch.setattr(module, "RESIDUAL", "residual:1")


def one_answer_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(self: Any, value: Any) -> Any:
        found = own(self, value)
        return self.given[0] if self.given else found

    own = answers.Answers.to
    monkeypatch.setattr(answers.Answers, "to", first)


def headers_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_mutation", lambda *args: None)


def engine_without_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentions, "_BODY", frozenset())


def audiences_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    own = identity._provider

    def provider(*args: Any) -> Any:
        config = own(*args)
        config.ClearField("audiences")
        return config

    monkeypatch.setattr(identity, "_provider", provider)


def keys_for_any_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_keys, "_for_each_algorithm", lambda jwk: [jwk])


def query_parameter_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def some(name: str, values: Any) -> str:
        return paths.Pairs(patterns.quote(name), value="|".join(map(patterns.quote, values))).at_least(1)

    monkeypatch.setattr(paths, "first_parameter_is", some)


def bytes_of_queries_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_RAW", predicate.NO)


def space_around_headers_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "ODD_HEADER", patterns.BEYOND_ASCII)
    context._odd.cache_clear()


def reader(own: str, other: str) -> Patch:
    """A change in the script that reads bodies."""
    script = bodies._script()
    assert own in script

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bodies, "_script", lambda: script.replace(own, other))

    return patch


def callers(**formats: str) -> Patch:
    """Who calls is read otherwise."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for name, text in formats.items():
            before = getattr(walks, name)
            monkeypatch.setattr(walks, name, replace(before, text=replace(before.text, format=text)))

    return patch
