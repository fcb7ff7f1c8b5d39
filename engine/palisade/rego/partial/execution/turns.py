"""One round of a loop in its turn: where it leads, and what it may do to those behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.terms import Known
from palisade.rego.partial.symbols.worlds import ERROR, NEXT, Env, Result, Worlds, env_key

First: TypeAlias = tuple[Result, frozenset[str]]
"""Where a round leads from the outset, and what it may do to those behind it."""

_END = {NEXT: "", ERROR: "fail"}


def effects(env: Env, found: Result) -> set[str]:
    """What a round may do to those behind it: `fail`, `leave` the loop, or `settle` what is asked, as in
    `every`, behind which the evaluator runs no more rounds."""
    ends = {_END.get(step.signal, "leave") for step in found.steps} - {""}
    after = [found.rest, *(step.env for step in found.steps if step.signal == NEXT)]
    for each in after:
        changed = [value for local, value in each.items() if env.get(local) != value]
        if changed and all(isinstance(value, Known) and isinstance(value.value, bool) for value in changed):
            ends.add("settle")
    return ends


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
