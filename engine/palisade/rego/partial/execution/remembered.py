"""What single rounds of a loop came to, for the run of a revision in which other rows of the table changed.

A row of a table of ten thousand is edited as often as a rule. What a round comes to follows from the row,
from what stood before the loop, from the functions of the policy that it calls, and from what both ask of
`data` beside: where these are what they were, so is the round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from palisade.rego import ir
from palisade.rego.partial.execution.flow import Liveness, all_stmts
from palisade.rego.partial.execution.others import Alike, names_read
from palisade.rego.partial.execution.turns import First
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.partial.formulas.terms import Known, Symbol
from palisade.rego.partial.symbols.worlds import Env, KeptEnv, Result, Step, env_key
from palisade.rego.records import record

_OTHERS = (ir.BlockStmt, ir.CallDynamicStmt, ir.WithStmt)
_MOST = 64
"""The rounds of so many loops are kept where a run does not come to these, those that ran last."""


@record()
class Round:
    """What one came to: its steps, each with the constants that it adds; what it may do to those behind it;
    how many statements were followed for it; and the functions that were called."""

    steps: tuple[tuple[Formula, tuple[tuple[int, Symbol], ...], int], ...]
    completed: Formula
    does: frozenset[str]
    statements: int
    called: tuple[ir.Func, ...]


class Remembered:
    """The rounds of all loops of a run, with those of the run before."""

    def __init__(
        self,
        policy: ir.Policy,
        functions: Mapping[str, ir.Func],
        flow: Liveness,
        data: Known,
        before: Remembered | None,
    ) -> None:
        """`functions` are those of the policy, `data` what is run on."""
        self._policy = policy
        self._functions = functions
        self._flow = flow
        self._data = data
        self._before: dict[int, dict[object, Memory]] = {}
        if before is not None:
            others = {at: loops for at, loops in before._before.items() if at not in before._now}
            self._before = dict([*others.items(), *before._now.items()][-_MOST:])
        self._now: dict[int, dict[object, Memory]] = {}
        self._known: dict[int, tuple[ir.Block, bool]] = {}
        self._alike: dict[int, tuple[Known, Alike]] = {}

    def of(self, stmt: ir.ScanStmt, env: Env, told: Env, behind: object) -> Memory | None:
        """What rounds of the loop come to from the environment; None where it cannot be told what they read,
        as where they are `told` what was found out of the request before. `behind` is all else that they
        depend on."""
        block = stmt.block
        if told or not self._is_known(block):
            return None
        # The data stand in most environments, for rules behind.
        others = {local: value for local, value in env.items() if local != ir.DATA}
        at = (env_key(others), _spelled(others), behind)
        now = self._now.setdefault(id(block), {})
        # Two runs of one loop have rounds of their own, too.
        last = self._before.get(id(block), {}).get(at) if at not in now else None
        keyed = stmt.key in self._flow.exposed(block)
        rounds = self._held(last) if last is not None else {}
        found = now[at] = Memory(block, env, rounds, self._data, keyed=keyed)
        return found

    def _held(self, memory: Memory) -> Mapping[object, Round]:
        """Those of the rounds, of an earlier run, that would come to the same in this one."""
        then = memory.data
        if id(then) not in self._alike:
            self._alike[id(then)] = then, self._since(then)
        alike = self._alike[id(then)][1]
        if not alike.has(memory.block):
            return {}
        return {at: each for at, each in memory.rounds.items() if self._calls_the_same(each, alike)}

    def _since(self, then: Known) -> Alike:
        return Alike(self._policy, self._functions, self._flow, then, self._data)

    def _calls_the_same(self, known: Round, alike: Alike) -> bool:
        same = all(self._functions.get(func.name) is func for func in known.called)
        return same and alike.holds_of(known.called)

    def _is_known(self, block: ir.Block) -> bool:
        known = self._known.get(id(block))
        if known is None:
            known = self._known[id(block)] = block, self._is_told(block)
        return known[1]

    def _is_told(self, block: ir.Block) -> bool:
        """Whether the block's statements tell what it reads of the data."""
        if any(isinstance(stmt, _OTHERS) for stmt in all_stmts(block)):
            return False
        return names_read(block, self._policy, self._functions) is not None


class Memory:
    """The rounds of one loop by their rows."""

    def __init__(
        self, block: ir.Block, env: Env, before: Mapping[object, Round], data: Known, *, keyed: bool
    ) -> None:
        """`block` is kept so that its identity is its own; `data` is what is run on. `keyed`: whether rounds
        ask for their rows' keys. Where they do not, a row that comes or goes leaves those behind it what they
        were."""
        self.block = block
        self.data = data
        self._keyed = keyed
        self.rounds: dict[object, Round] = {}
        self._before = dict(before)  # each is taken out once
        self._env = KeptEnv(env)
        self._envs: dict[object, Env] = {(): self._env}

    def recall(self, name: Symbol, item: Symbol) -> tuple[First, Round] | None:
        """What the round of that key and member comes to, as it did before; but once in a run: two have loops
        of their own."""
        at = self._row(name, item)
        found = self._before.pop(at, None) if at is not None else None
        if found is None:
            return None
        self.rounds[at] = found
        steps = [Step(condition, self._with(added), signal) for condition, added, signal in found.steps]
        return (Result(steps, self._env, found.completed), found.does), found

    def note(
        self, name: Symbol, item: Symbol, first: First, statements: int, called: Collection[ir.Func | None]
    ) -> None:
        """Takes what a round came to, where that is the same in any run: it adds nothing but constants to the
        environment, has no places of its own, and nothing in it is for the evaluator."""
        at = self._row(name, item)
        result, does = first
        functions = tuple(func for func in called if func is not None)
        if at is None or len(functions) < len(called):
            return
        if result.completed.opaque or env_key(result.rest) != env_key(self._env):
            return
        steps = []
        for step in result.steps:
            added = tuple(
                (local, value) for local, value in step.env.items() if self._env.get(local) != value
            )
            if step.condition.opaque or step.parts or not self._env.keys() <= step.env.keys():
                return
            if not all(isinstance(value, Known) for _, value in added):
                return
            steps.append((step.condition, added, step.signal))
        self.rounds[at] = Round(tuple(steps), result.completed, does, statements, functions)

    def _row(self, name: Symbol, item: Symbol) -> tuple[object, ...] | None:
        """What tells the row from others; None where the request has a part in it.

        Numbers that are equal may be spelled differently, which shows where they are printed.
        """
        if not isinstance(name, Known) or not isinstance(item, Known):
            return None
        own = item, repr(item.value)
        return (*own, name, repr(name.value)) if self._keyed else own

    def _with(self, added: tuple[tuple[int, Symbol], ...]) -> Env:
        at = tuple((local, repr(value)) for local, value in added)
        return self._envs.setdefault(at, KeptEnv({**self._env, **dict(added)}))


def _spelled(env: Env) -> frozenset[tuple[int, str]]:
    """How the constants of an environment are written."""
    return frozenset((local, repr(value.value)) for local, value in env.items() if isinstance(value, Known))
