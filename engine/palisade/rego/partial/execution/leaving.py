"""How a block is left: in which states, by what of them is live behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Unknown
from palisade.rego.partial.symbols.construct import grown
from palisade.rego.partial.symbols.worlds import NEXT, Env, KeptEnv, Result, Step, env_key

Guard: TypeAlias = tuple[Formula, ...]
"""Conditions that all hold: put together only when it is asked for, as most blocks have one way through."""


class Start:
    """The state in which a block begins, and what of it is live behind the block."""

    __slots__ = ("env", "kept", "key", "live", "values")

    def __init__(self, env: Env, live: frozenset[int]) -> None:
        self.env = env
        self.live = live
        self.kept = self.kept_of(env)
        self.values = [(local, env.get(local)) for local in live]
        self.key = env_key(self.kept)

    def kept_of(self, env: Env) -> Env:
        """What of an environment is live."""
        return KeptEnv({local: env[local] for local in self.live if local in env})


class Leaving:
    """Collects the states in which a block is left, by what of them is live behind it."""

    def __init__(self, builder: Builder, start: Start, gathering: frozenset[int] = frozenset()) -> None:
        """`gathering` is as for `grown`."""
        self._gathering = gathering
        self._builder = builder
        self._begun = start
        self._groups: dict[object, tuple[Env, int, list[Formula]]] = {}

    def add(self, condition: Formula, env: Env, signal: int) -> None:
        """The block is left with a signal; NEXT goes on behind it."""
        kept = self._begun.kept_of(env)
        self._groups.setdefault((_alike(kept), signal), (kept, signal, []))[2].append(condition)

    def undefined(self, guard: Guard, covered: Sequence[Step], env: Env) -> None:
        """A statement was undefined. Where nothing live has changed yet, this is the rest anyway."""
        for local, value in self._begun.values:
            if env.get(local) is not value:
                break
        else:
            return
        if env_key(self._begun.kept_of(env)) == self._begun.key:
            return
        missed = self._builder.negate(self._builder.any(step.condition for step in covered))
        condition = self._builder.all((*guard, missed))
        if condition is not FALSE:
            self.add(condition, env, NEXT)

    def result(self, completed: Formula) -> Result:
        steps: list[Step] = []
        for kept, signal, conditions in self._groups.values():
            if signal == NEXT and env_key(kept) == self._begun.key:
                continue
            condition = self._builder.any(conditions)
            if condition is TRUE and signal == NEXT:
                return Result([], kept, completed)
            if condition is not FALSE:
                steps.append(Step(condition, kept, signal))
        return self._gather(steps, completed)

    def _gather(self, steps: list[Step], completed: Formula) -> Result:
        """Where a step only adds to sets and arrays, the members stand under its condition, not the state."""
        rest = self._begun.kept
        if len(steps) == 1 or self._gathering:
            start, more = rest, rest if steps else None
            for step in steps:
                if more is not None and step.signal == NEXT:
                    more = grown(
                        start,
                        step.env,
                        self._builder,
                        step.condition,
                        onto=more,
                        gathering=self._gathering,
                    )
                else:
                    more = None
            if more is not None:
                return Result([], more, completed)
        return Result(steps, rest, completed)


def _alike(env: Env) -> object:
    """What environments that come to the same have in common. Nothing is ever decided on an Unknown, so it
    is as another for the same reason: kept apart they double with each rule that is made of the last."""
    for value in env.values():
        if type(value) is Unknown:
            break
    else:
        return env_key(env)
    return frozenset(
        (local, (value.reason, value.location) if type(value) is Unknown else value)
        for local, value in env.items()
    )


def outside(signal: int) -> int:
    """What a signal means one block further out."""
    if signal > 0:
        return signal - 1
    return NEXT if signal == 0 else signal
