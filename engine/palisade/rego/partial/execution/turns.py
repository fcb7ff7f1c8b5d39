"""One round of a loop in its turn: where it leads, and what it may do to those behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import product
from typing import TypeAlias

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, Formula
from palisade.rego.partial.formulas.terms import Known
from palisade.rego.partial.symbols.worlds import ERROR, NEXT, Env, Result, Worlds, env_key

_MOST_PAIRS = 1_000
"""Of so many conditions to fail and to leave each pair is looked at."""

First: TypeAlias = tuple[Result, frozenset[str]]
"""Where a round leads from the outset, and what it may do to those behind it."""

_END = {NEXT: "", ERROR: "fail"}


def effects(env: Env, found: Result) -> set[str]:
    """What a round may do to those behind it: `fail`, `leave` the loop, or `settle` what is asked, as in
    `every`, behind which the evaluator runs no more rounds."""
    ends = {_END.get(step.signal, "leave") for step in found.steps} - {""}
    after = [found.rest, *(step.env for step in found.steps if step.signal == NEXT)]
    return ends | {"settle"} if any(_settles(env, each) for each in after) else ends


def _settles(env: Env, behind: Env) -> bool:
    changed = [value for local, value in behind.items() if env.get(local) != value]
    return bool(changed) and all(isinstance(each, Known) and isinstance(each.value, bool) for each in changed)


def advance(worlds: Worlds, run: Callable[[Env], Result], outset: Env, *, in_turn: bool) -> None:
    """Takes all that goes on through a round. One that nothing comes to may be the evaluator's first."""
    if not in_turn and all(state.signal != NEXT for state in worlds.states):
        run(outset)
    else:
        worlds.advance(run, NOWHERE)


def once(
    run: Callable[[Env], Result], outset: Env, first: Callable[[], First], ends: set[str]
) -> Callable[[Env], Result]:
    """The round, of which it is known where it leads from the outset: it is not run from there again. What it
    may do to those behind it is added to `ends`."""
    key = env_key(outset)

    def again(current: Env) -> Result:
        if current is not outset and env_key(current) != key:
            return run(current)
        known, does = first()
        ends.update(does)
        return known

    return again


def first_decides(ends: Collection[str], *, in_turn: bool) -> bool:
    """Whether one round ends the loop and another the evaluation, and it is not told which comes first."""
    return "fail" in ends and ("settle" in ends or ("leave" in ends and not in_turn))


class Turns:
    """Where rounds end the loop and where the evaluation: which comes first matters to no request of which
    none does the one and another the other. What several rounds look at may fail, for all of them alike."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._fails: dict[Formula, set[int]] = {}
        self._leaves: dict[Formula, set[int]] = {}

    def take(self, at: int, env: Env, found: Result) -> None:
        """Where the round of this number leads."""
        for step in found.steps:
            if step.signal == ERROR:
                self._fails.setdefault(step.condition, set()).add(at)
            elif step.signal != NEXT or _settles(env, step.env):
                self._leaves.setdefault(step.condition, set()).add(at)
        if _settles(env, found.rest):
            rest = self._builder.negate(self._builder.any(step.condition for step in found.steps))
            self._leaves.setdefault(rest, set()).add(at)

    def matter(self) -> bool:
        """Whether some request may meet both, as far as is looked at."""
        if len(self._fails) * len(self._leaves) > _MOST_PAIRS:
            return True
        pairs = product(self._fails.items(), self._leaves.items())
        return any(
            len(own | others) > 1 and self._builder.both(fails, leaves) is not FALSE
            for (fails, own), (leaves, others) in pairs
        )
