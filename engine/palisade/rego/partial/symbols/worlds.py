"""The states that a run with unknown input can be in, each under the condition that leads there.

A `Worlds` is a list read from the top: a request is in the first state whose condition it meets, and in the
last, which has none, where it meets no other. Most rules only ever know two states, "it holds" and "it does
not", so states that are the same again are put together, and the list stays short for any number of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Symbol, Term
from palisade.rego.records import record

Env: TypeAlias = Mapping[int, Symbol]

NEXT = -1
"""The signal of a state that goes on with the next statement; n >= 0 leaves n + 1 blocks."""
MAX_STATES = 50_000
MAX_EXCLUDED = 1_000_000
"""How many conditions are negated in all for the states of one function: each excludes those above it."""
_MANY = 6
"""From so many values on that a block gives, it is not said of each that it is none of those before."""
MAX_LEVELS = 40
"""How many rules and functions are followed that are each called by the one before: Python bears some 100."""


class Unsupported(Exception):  # noqa: N818  it is no error of anyone, but the edge of what can be followed
    """What this run cannot follow: the block it stands in becomes opaque."""

    def __init__(self, reason: str, location: Location = NOWHERE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.location = location


ERROR = -2
"""The signal of a state in which the evaluation has ended with an error."""
RETURN = -3


@record()
class Step:
    """Where one statement leads: under `condition`, to `env`. What no step covers is undefined."""

    condition: Formula
    env: Env
    signal: int = NEXT
    parts: tuple[Reason, ...] = ()
    """The condition in parts, any of which leads there, where they have places of their own (`origins`)."""


@record()
class Result:
    """A block's outcome from one environment: disjoint steps with an effect, and the state of all others."""

    steps: list[Step]
    rest: Env
    completed: Formula
    """Under which condition the block runs to its end: what a NotStmt asks for."""


@dataclass(slots=True)
class State:
    """`reached` holds the conditions, any of which leads here, each with the place of the rule that has it.

    A state that is only a part of another is written down as such, by `origin` (the other's conditions) and
    `part`, and worked out when asked for: mostly the next block brings both together again. So is one that is
    all of another, given a value at `label`.
    """

    env: Env
    signal: int
    key: object
    origin: list[Reason]
    part: Formula = TRUE
    label: Location | None = NOWHERE
    """None where each condition of the origin keeps its place: the value was given before."""
    shared: bool = True
    """Whether `origin` may be the origin of another state too, so that it must not be added to."""
    apart: bool = False
    """Whether no request is in it and in another such state too, but where a state above them all is met."""

    @classmethod
    def of(cls, origin: list[Reason], env: Env, signal: int = NEXT) -> State:
        return cls(env, signal, (env_key(env), signal), origin)

    @classmethod
    def split(cls, origin: list[Reason], step: Step, label: Location | None, builder: Builder) -> State:
        if step.parts and label is not None:
            came = builder.any(condition for condition, _ in origin)
            parts = [(builder.both(came, condition), place) for condition, place in step.parts]
            return cls.of(parts, step.env, step.signal)
        return cls(step.env, step.signal, (env_key(step.env), step.signal), origin, step.condition, label)

    def reached(self, builder: Builder) -> list[Reason]:
        """The conditions that lead here, with their places."""
        if self.label is None:
            both, part = builder.both, self.part
            self.origin, self.part = (
                [(both(condition, part), place) for condition, place in self.origin],
                TRUE,
            )
            self._leave_out_conflicts()
            self.shared = False
        elif self.part is not TRUE:
            came = builder.any(condition for condition, _ in self.origin)
            self.origin, self.part = [(builder.both(came, self.part), self.label)], TRUE
            self._leave_out_conflicts()
        elif self.label is not NOWHERE:
            self.origin, self.shared = [(condition, self.label) for condition, _ in self.origin], False
        self.label = NOWHERE
        return self.origin

    def _leave_out_conflicts(self) -> None:
        """Of rules that exclude each other none conflicts with another: of hundreds each would with all."""
        if self.signal == ERROR:
            self.origin = [reason for reason in self.origin if reason[0] is not FALSE]

    def take(self, other: State, builder: Builder) -> None:
        """What led to the other state leads here too."""
        self._own(builder).extend(other.reached(builder))

    def add(self, reason: Reason, builder: Builder) -> None:
        """One more condition leads here."""
        self._own(builder).append(reason)

    def _own(self, builder: Builder) -> list[Reason]:
        if self.shared:
            self.origin, self.shared = list(self.reached(builder)), False
        return self.origin

    def given_on(self, builder: Builder) -> list[Reason]:
        """The conditions that lead here, for other states to start from."""
        origin = self.reached(builder)
        self.shared = True
        return origin


Reason: TypeAlias = tuple[Formula, Location]


class KeptEnv(dict[int, Symbol]):
    """The environment that a block leaves, for others to tell it apart from: never changed."""

    __slots__ = ("key",)

    key: object


def env_key(env: Env) -> object:
    """What environments that hold the same have in common."""
    if not isinstance(env, KeptEnv):
        return frozenset(env.items())
    try:
        return env.key
    except AttributeError:
        env.key = frozenset(env.items())
        return env.key


def same_env(one: Env, other: Env) -> bool:
    return one is other or env_key(one) == env_key(other)


class Worlds:
    """Built by one sequence of blocks; `states[-1]` is the state without a condition."""

    def __init__(self, env: Env, builder: Builder, given: int | None = None) -> None:
        """`given` is the local that rules, or branches of one, put their value into: then one that holds of
        all other requests has a place too."""
        self._builder = builder
        self._given = given
        self.states: list[State] = [State.of([(TRUE, NOWHERE)], env)]
        self._adding: tuple[Env, int, Env, list[Reason]] | None = None
        """While blocks only add to what leads to one state: that, the other one, and what is added to."""

    def advance(self, run: Callable[[Env], Result], label: Location) -> None:
        """Takes every state that still goes on through one block. A block runs once for each environment."""
        self._adding = None
        states: list[State] = []
        runs: dict[object, Result] = {}
        several = any(state.apart for state in self.states)
        for state in self.states:
            if state.signal != NEXT:
                states.append(state)
                continue
            result = runs.get(state.key)
            if result is None:
                result = runs[state.key] = run(state.env)
            if result.steps:
                origin = state.given_on(self._builder)
                # Steps of one result exclude each other, as far as no others are to be excluded.
                own = len(result.steps) >= _MANY and (state.apart or not several)
                several = several or own
                for step in result.steps:
                    at: Location | None = label
                    if self._had(state.env, step.env):
                        at = None
                    elif step.condition is TRUE:
                        at = self._place(state.env, step.env, label)
                    states.append(State.split(origin, step, at, self._builder))
                    states[-1].apart = own or (state.apart and step.condition is TRUE)
                if all(step.condition is not TRUE for step in result.steps):
                    states.append(State.of(origin, result.rest))
            else:
                at = self._place(state.env, result.rest, label)
                if at is not NOWHERE:
                    origin = state.given_on(self._builder)
                    state = State(result.rest, NEXT, None, origin, label=at)
                state.env, state.key = result.rest, (env_key(result.rest), NEXT)
                states.append(state)
        self._join(states)
        if len(self.states) > MAX_STATES:
            raise Unsupported("too many different outcomes")

    def _had(self, before: Env, behind: Env) -> bool:
        """Whether the value was there before a block that leaves it as it was."""
        given = self._given
        return given is not None and given in before and before[given] == behind.get(given)

    def _place(self, before: Env, behind: Env, label: Location) -> Location:
        """The place of a block that always gives the value that there was none of before; or nowhere."""
        return label if self._given in behind and self._given not in before else NOWHERE

    @property
    def last(self) -> State:
        """The state that is reached where no other is."""
        return self.states[-1]

    @property
    def one_goes_on(self) -> bool:
        """Whether there are two states, of which the last goes on and the other does not."""
        return len(self.states) == 2 and self.states[0].signal != NEXT and self.last.signal == NEXT

    def more(self, result: Result, label: Location) -> bool:
        """Takes the last state through a block as `advance` does, where that only adds to what leads to the
        other state there is: what all rules but the first of a document do. False where it is not so."""
        if self._adding is not None and len(result.steps) == 1:
            env, signal, rest, reasons = self._adding
            only = result.steps[0]
            # Of ten thousand rules nearly all leave the very same environments.
            if (
                only.env is env
                and result.rest is rest
                and only.signal == signal
                and only.condition is not TRUE
            ):
                reasons.extend(only.parts or ((only.condition, label),))
                return True
        if len(self.states) != 2 or len(result.steps) != 1:
            return False
        ended, going = self.states
        step = result.steps[0]
        if (
            ended.signal == NEXT
            or going.signal != NEXT
            or going.part is not TRUE
            or len(going.origin) != 1
            or going.origin[0][0] is not TRUE
            or step.condition is TRUE
            or ended.signal != step.signal
            or not same_env(ended.env, step.env)
            or not same_env(going.env, result.rest)
            or self._had(going.env, step.env)
        ):
            return False
        for reason in step.parts or ((step.condition, label),):
            ended.add(reason, self._builder)
        if step.env is ended.env and result.rest is going.env:
            self._adding = (ended.env, ended.signal, going.env, ended.origin)
        return True

    def more_at_once(self, env: Env, signal: int, rest: Env, reasons: Iterable[Reason]) -> bool:
        """The same for blocks each of which leads there under one condition, and leaves these objects."""
        if not self.adds(env, signal, rest):
            return False
        if self._adding is not None:
            self._adding[3].extend(reasons)
        return True

    def adds(self, env: Env, signal: int, rest: Env) -> bool:
        """Whether blocks that lead to this state and leave that one only add to what leads there."""
        if self._adding is None:
            return False
        known, known_signal, known_rest, _ = self._adding
        return env is known and rest is known_rest and signal == known_signal

    def _join(self, states: list[State]) -> None:
        joined: list[State] = []
        for state in states:
            if state.part is FALSE:
                continue
            if joined and joined[-1].key == state.key:
                last = joined[-1]
                if last.origin is state.origin and state.part is TRUE:
                    joined[-1] = state  # a part of a state and the rest of it: the state again
                    continue
                last.take(state, self._builder)
                last.apart = last.apart and state.apart
            else:
                joined.append(state)
        self.states = joined

    def disjoint(self, *, parted: bool = False) -> list[Step]:
        """The states as steps of which exactly one applies to any request; `parted` with their parts."""
        builder = self._builder
        steps: list[Step] = []
        above = _Above(builder)
        for index, state in enumerate(self.states):
            last = index == len(self.states) - 1
            own = TRUE if last else builder.any(condition for condition, _ in state.reached(builder))
            others = TRUE if above.excluded_by(own) else above.negated(apart=state.apart)
            condition = builder.both(own, others)
            above.add(own, apart=state.apart)
            if condition is not FALSE:
                parts = tuple(_under(others, state.reached(builder), builder)) if parted else ()
                steps.append(Step(condition, state.env, state.signal, parts))
        return steps


class _Above:
    """The conditions of the states so far. Those that look a text up in a table, of which there can be
    thousands, exclude each other by their values, and need not be told to."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._conditions: list[Formula] = []
        self._term: Term | None = None
        self._values: set[object] | None = set()
        """Of which the term is one, where that is all that the conditions say."""
        self._size = self._negated = self._size_of_others = 0
        self._others: list[Formula] = []
        """Those of states that are not apart from each other."""

    def add(self, condition: Formula, *, apart: bool) -> None:
        self._conditions.append(condition)
        if not apart:
            self._others.append(condition)
            self._size_of_others += len(condition.args) if condition.kind == "or" else 1
        self._size += len(condition.args) if condition.kind == "or" else 1
        among = condition.among
        if among is None or (self._term is not None and among[0] != self._term):
            self._values = None
        if among is not None and self._values is not None:
            self._term = among[0]
            self._values |= among[1]

    def excluded_by(self, condition: Formula) -> bool:
        """Whether none of them can hold where this one does, as far as that can be seen at once."""
        if self._values is None or condition.among is None:
            return not self._conditions
        term, values = condition.among
        return self._term is None or (term == self._term and self._values.isdisjoint(values))

    def negated(self, *, apart: bool) -> Formula:
        """None of them holds, as far as that has to be said for a state that is `apart`. Raises Unsupported
        where that was asked of too many in all."""
        self._negated += self._size_of_others if apart else self._size
        if self._negated > MAX_EXCLUDED:
            raise Unsupported("has too many different outcomes")
        return self._builder.negate(self._builder.any(tuple(self._others if apart else self._conditions)))


def _under(condition: Formula, reasons: Iterable[Reason], builder: Builder) -> Iterator[Reason]:
    """The reasons under a condition, but for those that contradict it."""
    for reached, label in reasons:
        both = builder.both(reached, condition)
        if both is not FALSE:
            yield both, label
