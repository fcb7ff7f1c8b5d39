"""What single rounds of a loop came to, for the run of a revision in which other rows of the table changed.

A row of a table of ten thousand is edited as often as a rule. What a round comes to, where it calls no
function of the policy and asks nothing of `data` but its row, follows from the row and from what stood before
the loop.
"""

from __future__ import annotations

from collections.abc import Mapping

from palisade.rego import ir
from palisade.rego.partial.execution.flow import Liveness, all_stmts
from palisade.rego.partial.execution.turns import First
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.partial.formulas.terms import Known, Symbol
from palisade.rego.partial.symbols.worlds import Env, KeptEnv, Result, Step, env_key
from palisade.rego.records import record

_OTHERS = (ir.BlockStmt, ir.CallDynamicStmt, ir.ScanStmt, ir.WithStmt)
_MOST = 64
"""The rounds of so many loops are kept where a run does not come to these, those that ran last."""


@record()
class Round:
    """What one came to: its steps, each with the constants that it adds; what it may do to those behind it;
    and how many statements were followed for it."""

    steps: tuple[tuple[Formula, tuple[tuple[int, Symbol], ...], int], ...]
    completed: Formula
    does: frozenset[str]
    statements: int


class Remembered:
    """The rounds of all loops of a run, with those of the run before."""

    def __init__(self, flow: Liveness, functions: Mapping[str, ir.Func], before: Remembered | None) -> None:
        """`functions` are those of the policy."""
        self._flow = flow
        self._functions = functions
        self._before: dict[int, dict[object, Memory]] = {}
        if before is not None:
            others = {at: loops for at, loops in before._before.items() if at not in before._now}
            self._before = dict([*others.items(), *before._now.items()][-_MOST:])
        self._now: dict[int, dict[object, Memory]] = {}
        self._alone: dict[int, tuple[ir.Block, bool]] = {}

    def of(self, stmt: ir.ScanStmt, env: Env, told: Env, behind: object) -> Memory | None:
        """What rounds of the loop come to from the environment; None where they may read more than it and
        their row, as where they are `told` what was found out of the request before. `behind` is all else
        that they depend on."""
        block = stmt.block
        if told or not self._is_alone(block):
            return None
        # The data stand in most environments, for rules behind.
        others = {local: value for local, value in env.items() if local != ir.DATA}
        at = (env_key(others), _spelled(others), behind)
        now = self._now.setdefault(id(block), {})
        # Two runs of one loop have rounds of their own, too.
        last = self._before.get(id(block), {}).get(at) if at not in now else None
        keyed = stmt.key in self._flow.exposed(block)
        found = now[at] = Memory(block, env, last.rounds if last is not None else {}, keyed=keyed)
        return found

    def _is_alone(self, block: ir.Block) -> bool:
        known = self._alone.get(id(block))
        if known is None:
            known = self._alone[id(block)] = block, self._reads_its_row(block)
        return known[1]

    def _reads_its_row(self, block: ir.Block) -> bool:
        if ir.DATA in self._flow.exposed(block):
            return False
        for stmt in all_stmts(block):
            if isinstance(stmt, _OTHERS) or (isinstance(stmt, ir.CallStmt) and stmt.func in self._functions):
                return False
        return True


class Memory:
    """The rounds of one loop by their rows."""

    def __init__(self, block: ir.Block, env: Env, before: Mapping[object, Round], *, keyed: bool) -> None:
        """`block` is kept so that its identity is its own. `keyed`: whether rounds ask for their rows' keys.
        Where they do not, a row that comes or goes leaves those behind it what they were."""
        self.block = block
        self._keyed = keyed
        self.rounds: dict[object, Round] = {}
        self._before = dict(before)  # each is taken out once
        self._env = KeptEnv(env)
        self._envs: dict[object, Env] = {(): self._env}

    def recall(self, name: Symbol, item: Symbol) -> tuple[First, int] | None:
        """What the round of that key and member came to before, and in how many statements; but once in a
        run: two have loops of their own."""
        at = self._row(name, item)
        found = self._before.pop(at, None) if at is not None else None
        if found is None:
            return None
        self.rounds[at] = found
        steps = [Step(condition, self._with(added), signal) for condition, added, signal in found.steps]
        return (Result(steps, self._env, found.completed), found.does), found.statements

    def note(self, name: Symbol, item: Symbol, first: First, statements: int) -> None:
        """Takes what a round came to, where that is the same in any run: it adds nothing but constants to the
        environment, has no places of its own, and nothing in it is for the evaluator."""
        at = self._row(name, item)
        result, does = first
        if at is None or result.completed.opaque or env_key(result.rest) != env_key(self._env):
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
        self.rounds[at] = Round(tuple(steps), result.completed, does, statements)

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
