"""The words of two policies: those that only one has come first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from palisade.policy.revisions import Revision
from palisade.rego import ir
from palisade.rego.partial.execution.flow import all_stmts
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.values import Value, number
from palisade.testing.equivalence import near
from palisade.testing.equivalence.vocabulary import MOST_WORDS, Vocabulary
from palisade.testing.equivalence.walks import Place


def both(old: Vocabulary, new: Vocabulary, aims: tuple[Formula, ...]) -> Vocabulary:
    """What the two speak of. Requests are aimed at `aims`; where there are none, at all conditions."""
    words = [each for pair in _in_turn(old.words, new.words) for each in pair]
    places: dict[Place, dict[str, Value]] = {}
    for place, values in (*new.places.items(), *old.places.items()):
        places.setdefault(place, {}).update({repr(each): each for each in values})
    return replace(
        new,
        words=tuple(dict.fromkeys(words))[: 2 * MOST_WORDS],
        numbers=tuple(dict.fromkeys((*new.numbers, *old.numbers))),
        places={place: tuple(places[place].values()) for place in sorted(places, key=repr)},
        aims=aims or (*new.aims, *old.aims),
        ranges=tuple(dict.fromkeys((*new.ranges, *old.ranges))),
        patterns=tuple(dict.fromkeys((*new.patterns, *old.patterns))),
        body=old.body or new.body,
    )


def _in_turn(left: tuple[str, ...], right: tuple[str, ...]) -> list[tuple[str, ...]]:
    size = max(len(left), len(right))
    return [(*left[at : at + 1], *right[at : at + 1]) for at in range(size)]


# Constants ------------------------------------------------------------------------------------------------


def constants(old: Revision, new: Revision) -> tuple[str | int | float, ...]:
    """The strings and numbers that only one of the two has, in its rules or its data."""
    before, after = _constants(old), _constants(new)
    only = [each for each in before if each not in after] + [each for each in after if each not in before]
    return tuple(only)


def _constants(revision: Revision) -> dict[str | int | float, None]:
    plan = revision.policy.plan([revision.inventory.decision_document])
    found: dict[str | int | float, None] = dict.fromkeys(plan.strings)
    blocks = [block for each in plan.plans for block in each.blocks]
    blocks += [block for each in plan.funcs for block in each.blocks]
    for block in blocks:
        for stmt in all_stmts(block):
            if isinstance(stmt, ir.MakeNumberIntStmt):
                found[stmt.value] = None
            elif isinstance(stmt, ir.MakeNumberRefStmt):
                value = number(plan.strings[stmt.index])
                if isinstance(value, int | float):
                    found[value] = None
    return found | dict.fromkeys(_leaves(revision.policy.data))


def _leaves(value: Value) -> Iterator[str | int | float]:
    if isinstance(value, dict):
        yield from (each for each in value if isinstance(each, str))
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


_GUESSED = (
    ("parsed_query",),
    ("attributes", "request", "http", "headers"),
    ("identity", "claims"),
    ("parsed_body",),
)
"""Parts of a request whose members have names of a policy's choice."""


def guessed(vocabulary: Vocabulary, only: tuple[str | int | float, ...]) -> Vocabulary:
    """The vocabulary with guesses where partial evaluation could not follow the policy.

    A part that the policy reads, and of which no condition says what is looked for there, gets members named
    like its words; and what `only` one policy has, and numbers near to it, come before all else.
    """
    numbers = [each for each in only if not isinstance(each, str)]
    close = [value for each in numbers for value in (each, *near.beside(each))]
    values = (*(each for each in only if isinstance(each, str)), *close, *map(_spelled, close))
    names = [each for each in vocabulary.words if each.isidentifier() or _HEADER.fullmatch(each)]
    places = dict(vocabulary.places)
    for part in _GUESSED:
        known = vocabulary.below(*part)
        if part[-1] in vocabulary.words and not known:
            known = {(name,): () for name in names[:_MOST_NAMES]}
        for place, found in known.items():
            if not found or any(each in only for each in found):
                places[(*part, *place)] = (*found, *values)
    spelled = tuple(each for each in values if isinstance(each, str))
    words = tuple(dict.fromkeys((*spelled[:MOST_WORDS], *vocabulary.words)))
    return replace(vocabulary, words=words[: 2 * MOST_WORDS], places=places)


def _spelled(number: int | float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


_HEADER = re.compile(r"[a-z]+(-[a-z]+)*")
_MOST_NAMES = 40
