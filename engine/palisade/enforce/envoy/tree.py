"""A list of rules as one of Envoy's matchers, so that the cost of a request hardly grows with their number.

The list is read from the top; the first rule that a request meets decides. Rules next to each other that do
the same may change places, so each such run is split by the text that most of its rules compare with
constants, into a map that Envoy looks up; what remains of the rules below each value is split again. Envoy
goes on behind a map whose entry did not lead to an action, which makes this exact (tried on Envoy 1.40).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from envoy.config.rbac.v3.rbac_pb2 import RBAC, Action
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.predicate import (
    NO,
    YES,
    All,
    AnyOf,
    OneOf,
    Predicate,
    Text,
    all_of,
    to_proto,
    typed,
)

MAX_LINEAR = 4
"""Up to so many constants are compared one by one: below it a map costs more than it saves."""


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    RESIDUAL = "residual"


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes of the requests that meet the predicate, and the name under which Envoy reports it."""

    predicate: Predicate
    verdict: Verdict
    name: str


def matcher(entries: Sequence[Entry], default: Entry) -> Matcher:
    """The matcher of a list of rules. `default` decides where none of them does."""
    live: list[Entry] = []
    for entry in entries:
        if entry.predicate == NO:
            continue
        live.append(entry)
        if entry.predicate == YES:
            break
    last = default
    if live and live[-1].predicate == YES:
        last = live.pop()
    while live and live[-1].verdict is last.verdict is Verdict.RESIDUAL:
        live.pop()
    stages: list[_Stage] = []
    for _, run in groupby(live, key=lambda entry: entry.verdict):
        stages.extend(_split([each for entry in run for each in _alternatives(entry)]))
    return _chain(stages, _action(last))


_Stage = tuple[Text, dict[str, list[Entry]]] | list[Entry]
"""A look-up by a text, or rules to try one by one."""


def _alternatives(entry: Entry) -> Iterable[Entry]:
    """A rule of alternatives as several rules."""
    if isinstance(entry.predicate, AnyOf):
        for part in entry.predicate.parts:
            yield Entry(part, entry.verdict, entry.name)
    else:
        yield entry


def _split(entries: list[Entry]) -> list[_Stage]:
    stages: list[_Stage] = []
    rest = entries
    while True:
        counts: Counter[Text] = Counter()
        for entry in rest:
            for test in _comparisons(entry.predicate):
                counts[test.text] += len(test.values)
        if not counts:
            break
        text, count = max(counts.items(), key=lambda item: (item[1], item[0].name))
        if count <= MAX_LINEAR:
            break
        table: dict[str, list[Entry]] = {}
        others: list[Entry] = []
        for entry in rest:
            found = next((each for each in _comparisons(entry.predicate) if each.text == text), None)
            if found is None:
                others.append(entry)
                continue
            left = Entry(_without(entry.predicate, found), entry.verdict, entry.name)
            for value in found.values:
                table.setdefault(value, []).append(left)
        stages.append((text, table))
        rest = others
    if rest:
        stages.append(rest)
    return stages


def _comparisons(predicate: Predicate) -> list[OneOf]:
    """The comparisons without which the predicate cannot hold."""
    if isinstance(predicate, OneOf):
        return [predicate]
    if isinstance(predicate, All):
        return [part for part in predicate.parts if isinstance(part, OneOf)]
    return []


def _without(predicate: Predicate, test: OneOf) -> Predicate:
    if isinstance(predicate, All):
        return all_of(part for part in predicate.parts if part is not test)
    return YES


def _chain(stages: Sequence[_Stage], end: Matcher.OnMatch | None) -> Matcher:
    """The stages in turn, then `end`; without one, Envoy goes on behind the whole."""
    following = end
    built: Matcher | None = None
    for stage in reversed(stages):
        built = Matcher()
        if isinstance(stage, tuple):
            text, table = stage
            built.matcher_tree.input.CopyFrom(text.input())
            shared: dict[tuple[Entry, ...], Matcher.OnMatch] = {}
            for value in sorted(table):
                below = tuple(table[value])
                if below not in shared:
                    shared[below] = _below(list(below))
                built.matcher_tree.exact_match_map.map[value].CopyFrom(shared[below])
        else:
            for entry in stage:
                item = built.matcher_list.matchers.add()
                item.predicate.CopyFrom(to_proto(entry.predicate))
                item.on_match.CopyFrom(_action(entry))
        if following is not None:
            built.on_no_match.CopyFrom(following)
        following = Matcher.OnMatch(matcher=built)
    if built is None:
        built = Matcher()
        if end is not None:
            built.on_no_match.CopyFrom(end)
    return built


def _below(entries: list[Entry]) -> Matcher.OnMatch:
    for at, entry in enumerate(entries):
        if entry.predicate == YES:
            rest = entries[:at]
            if not rest or all(each.verdict is entry.verdict for each in rest):
                return _action(entry)
    stages = _split([each for entry in entries for each in _alternatives(entry)])
    return Matcher.OnMatch(matcher=_chain(stages, None))


def _action(entry: Entry) -> Matcher.OnMatch:
    allowed = entry.verdict is not Verdict.DENY
    action = Action(name=entry.name, action=RBAC.Action.ALLOW if allowed else RBAC.Action.DENY)
    return Matcher.OnMatch(action=typed("palisade.action", action))
