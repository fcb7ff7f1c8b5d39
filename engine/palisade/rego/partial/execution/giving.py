"""The rules of a document that give it many different values, taken together.

One after the other each would be run from the state that every rule before left, only to find that it
conflicts there: a minute for a thousand rules. None of them asks for the value, so each is run once, without
one. Two that hold at once and give different values are an error, whichever comes first. So it is with the
rounds of a loop that give it: a plan is looked up in a list of thousands of tenants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.execution.flow import all_stmts, read, written
from palisade.rego.partial.execution.runs import Run
from palisade.rego.partial.formulas.apart import together
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Known, Symbol, Unknown
from palisade.rego.partial.symbols.worlds import (
    ERROR,
    NEXT,
    Env,
    Reason,
    Result,
    State,
    Unsupported,
    Worlds,
    env_key,
)
from palisade.rego.records import record

FEWEST = 6
"""Fewer rules are run one after the other."""

FEWEST_ROUNDS = 32
"""So are fewer rounds of a loop."""

_ONE_BY_ONE, _MOST_ONE_BY_ONE = 4_000, 40_000
"""So many pairs of rules that may hold at once are looked at one by one: of constants, and of values that
depend on the request."""

Equal: TypeAlias = Callable[[Symbol, Symbol], Formula]


@record()
class _Given:
    """What a rule, of that number, gives: a value under a condition. Those of one rule exclude each other."""

    condition: Formula
    env: Env
    reasons: tuple[Reason, ...]
    label: Location
    rule: int


def giving(run: Run, target: int) -> int:
    """How many blocks, from the first on, only give the local a value, and do not ask whether it has one."""
    if not run.live:
        return 0
    live = run.live[0]
    paired = zip(run.blocks, run.live, strict=True)
    return sum(1 for _ in takewhile(lambda each: each[1] == live and _only_gives(each[0], target), paired))


def given_in(block: ir.Block, env: Env) -> int | None:
    """The one local that the rounds of a loop give a value, without asking whether it has one; None where
    there is none, or it has one before."""
    found = {stmt.target for stmt in all_stmts(block) if isinstance(stmt, ir.AssignVarOnceStmt)}
    target = found.pop() if len(found) == 1 else None
    return target if target is not None and target not in env and _only_gives(block, target) else None


def behind_rounds(
    results: Sequence[Result], target: int, env: Env, equal: Equal, builder: Builder
) -> Worlds | None:
    """Behind rounds of a loop that only give a value, by their results from one state without it. None where
    the rounds are to be run in turn."""
    if any(env_key(result.rest) != env_key(env) for result in results):
        return None  # each adds something
    values = (step.env.get(target) for result in results for step in result.steps)
    if any(isinstance(value, Known) and isinstance(value.value, bool) for value in values):
        return None
    try:
        states = states_of([(each, NOWHERE) for each in results], target, env, equal, builder)
    except Unsupported:
        return None
    if states is None:
        return None
    worlds = Worlds(env, builder)
    worlds.states = states
    return worlds


def _only_gives(block: ir.Block, target: int) -> bool:
    for stmt in all_stmts(block):
        if isinstance(stmt, ir.AssignVarOnceStmt) and stmt.target == target:
            if isinstance(stmt.source, ir.Local) and stmt.source.index == target:
                return False
        elif target in read(stmt) or written(stmt) == target or isinstance(stmt, ir.ReturnLocalStmt):
            return False
    return True


def states_of(
    results: Sequence[tuple[Result, Location]], target: int, env: Env, equal: Equal, builder: Builder
) -> list[State] | None:
    """The states behind blocks that only give a value, by their results from one state without it.

    The last is that of requests to which none gives any. None where the blocks are to be run in turn.
    """
    rest, errors = results[0][0].rest, list[Reason]()
    found: list[_Given] = []
    for rule, (result, label) in enumerate(results):
        if target in result.rest or env_key(result.rest) != env_key(rest):
            return None
        for step in result.steps:
            if step.signal == ERROR:
                errors.append((step.condition, label))
                continue
            others = {local: value for local, value in step.env.items() if local != target}
            if step.signal != NEXT or step.condition is TRUE or len(others) == len(step.env):
                return None
            if env_key(others) != env_key(rest):
                return None
            parts = step.parts or ((step.condition, label),)
            found.append(_Given(step.condition, step.env, parts, label, rule))
    groups = _Groups(found, target)
    near = together([each.condition for each in found], groups.numbers, [each.rule for each in found])
    if near is None:
        raise Unsupported("has too many different outcomes")
    conflicts, overlapping = _conflicts(found, groups, near, equal, builder)
    errors += conflicts
    states = [State.of(errors, env, ERROR)] if errors else []
    behind: list[State] = []
    for number, members in enumerate(groups.members):
        reasons = [reason for at in members for reason in found[at].reasons]
        state = State.of(reasons, found[members[0]].env)
        state.apart = number not in overlapping
        (states if state.apart else behind).append(state)
    return [*states, *behind, State.of([(TRUE, NOWHERE)], rest)]


class _Groups:
    """What rules give, by the values; what is not known is no other's equal."""

    def __init__(self, found: Sequence[_Given], target: int) -> None:
        at: dict[object, int] = {}
        self.values: list[Symbol] = []
        self.members: list[list[int]] = []
        self.numbers: list[int] = []
        for number, each in enumerate(found):
            value = each.env[target]
            group = (
                len(self.members) if isinstance(value, Unknown) else at.setdefault(value, len(self.members))
            )
            if group == len(self.members):
                self.values.append(value)
                self.members.append([])
            self.members[group].append(number)
            self.numbers.append(group)


def _conflicts(
    found: Sequence[_Given], groups: _Groups, near: Sequence[set[int]], equal: Equal, builder: Builder
) -> tuple[list[Reason], set[int]]:
    """Under which conditions two rules give different values, and the values that may be others' equals."""
    errors: list[Reason] = []
    overlapping: set[int] = set()
    constant = [isinstance(value, Known) for value in groups.values]
    pairs = sum(map(len, near)) // 2
    looked_at = 0
    one_by_one = pairs <= _ONE_BY_ONE
    for at, others in enumerate(near):
        group = groups.numbers[at]
        for other in sorted(others):
            if other > at or (not one_by_one and constant[group] and constant[groups.numbers[other]]):
                continue
            looked_at += 1
            if looked_at > _MOST_ONE_BY_ONE:
                raise Unsupported("has too many different outcomes")
            both = builder.both(found[other].condition, found[at].condition)
            if both is FALSE:
                continue
            value, known = groups.values[group], groups.values[groups.numbers[other]]
            same = equal(known, value)
            if same is not FALSE:
                overlapping |= {each for each in (group, groups.numbers[other]) if not constant[each]}
            conflict = builder.both(both, builder.negate(same))
            if conflict is not FALSE:
                errors.append((conflict, found[at].label))
    if not one_by_one:
        errors += _crossing(found, groups, near, constant, builder)
    return errors, overlapping


def _crossing(
    found: Sequence[_Given],
    groups: _Groups,
    near: Sequence[set[int]],
    constant: Sequence[bool],
    builder: Builder,
) -> Iterator[Reason]:
    """Two of the rules that give different constants hold: of each half of the values, and one of either.

    That is as long as there are rules, times how often they can be halved; all pairs would be millions.
    """
    stack = [[number for number, known in enumerate(constant) if known]]
    while stack:
        values = stack.pop()
        if len(values) < 2:
            continue
        halves = values[: len(values) // 2], values[len(values) // 2 :]
        stack += halves
        left, right = ([at for each in half for at in groups.members[each]] for half in halves)
        among = set(right)
        first = [at for at in left if not near[at].isdisjoint(among)]
        among = set(first)
        second = [at for at in right if not near[at].isdisjoint(among)]
        conflict = builder.both(
            builder.any(found[at].condition for at in first),
            builder.any(found[at].condition for at in second),
        )
        if conflict is not FALSE:
            yield conflict, found[second[0]].label
