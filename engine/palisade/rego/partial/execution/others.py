"""What a run found out, for one whose data are others: that of the blocks which ask nothing of what changed.

An entry of a list in `data` is edited as often as a rule, and of ten thousand rules most do not look it up.
What they read of `data` can be told from their statements: documents by constant first names, or all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from palisade.rego import ir
from palisade.rego.partial.execution.flow import Liveness, all_stmts, read
from palisade.rego.partial.execution.runs import Followed, Run
from palisade.rego.partial.formulas.terms import Known
from palisade.rego.partial.symbols.worlds import Env, KeptEnv, Result, env_key
from palisade.rego.values import Value, equal


def changed_names(before: Value, now: Value) -> frozenset[str] | None:
    """The first names below which two documents of base data differ; None where it may be anywhere."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return None
    found: set[str] = set()
    for name in before.keys() | now.keys():
        if name in before and name in now and equal(before[name], now[name]):
            continue
        # Others than texts are found by several spellings.
        if not isinstance(name, str):
            return None
        found.add(name)
    return frozenset(found)


def names_read(block: ir.Block, policy: ir.Policy, functions: Mapping[str, ir.Func]) -> frozenset[str] | None:
    """The first names that the block's own statements look up in the base data; None where it may be any.

    `functions` are those of the policy. What the block hands the data on to is not looked at.
    """
    found: set[str] = set()
    for stmt in all_stmts(block):
        times = read(stmt).count(ir.DATA)
        if not times:
            continue
        if type(stmt) is ir.DotStmt and times == 1 and type(stmt.key) is ir.StringIndex:
            found.add(policy.strings[stmt.key.index])
        elif not (times == 1 and _hands_on(stmt, functions)):
            return None
    return frozenset(found)


def _hands_on(stmt: ir.AnyStmt, functions: Mapping[str, ir.Func]) -> bool:
    """Whether the statement calls a rule or function of the policy, with the data in their place."""
    if type(stmt) is ir.CallStmt:
        return stmt.func in functions and len(stmt.args) > 1 and stmt.args[1] == ir.Local(ir.DATA)
    return type(stmt) is ir.CallDynamicStmt and len(stmt.args) > 1 and stmt.args[1] == ir.DATA


class Others:
    """Takes over what holds with other data, too: as if it had been found out with these."""

    def __init__(
        self,
        policy: ir.Policy,
        functions: Mapping[str, ir.Func],
        flow: Liveness,
        before: Known,
        now: Known,
    ) -> None:
        """`policy` is that of the run before, with its `functions`, on the data `before`."""
        self._policy = policy
        self._functions = functions
        self._flow = flow
        self._before, self._now = before, now
        self._changed = changed_names(before.value, now.value)
        self._alike: dict[int, bool] = {}
        self._envs: dict[int, tuple[Env, Env | None]] = {}
        self._keys: dict[object, object] = {}
        self._made: dict[int, tuple[Followed, Followed | None]] = {}
        self.envs: dict[object, Env] = {}
        """The environments of what is taken over, by what they hold: one object each."""

    def followed(self, known: Mapping[object, Followed]) -> dict[object, Followed]:
        """What blocks came to, by the block, the key of the environment, what is live and what ends it."""
        found: dict[object, Followed] = {}
        for at, each in known.items():
            now = self._of(each)
            if now is not None and isinstance(at, tuple):
                block, env, live, final = at
                found[block, self._key(env), live, final] = now
        return found

    def runs(self, known: Mapping[object, Run]) -> dict[object, Run]:
        """The runs, by the name of the document and what it was called with."""
        found: dict[object, Run] = {}
        for name, run in known.items():
            now = Run(run.blocks, run.live, run.final)
            for number, each in enumerate(run.known):
                made = self._of(each) if each is not None else None
                if made is not None:
                    now.note(number, made)
            if isinstance(name, tuple) and len(name) > ir.DATA + 1 and name[ir.DATA + 1] is self._before:
                name = (*name[: ir.DATA + 1], self._now, *name[ir.DATA + 2 :])
            found[name] = now
        return found

    def _of(self, known: Followed) -> Followed | None:
        at = id(known)
        if at not in self._made:
            self._made[at] = known, self._renewed(known) if self._holds(known) else None
        return self._made[at][1]

    def _holds(self, known: Followed) -> bool:
        """Whether neither the block nor what it called reads what changed."""
        return self._is_alike(known.block) and all(map(self._function_is_alike, known.called))

    def _function_is_alike(self, func: ir.Func) -> bool:
        # The program of the run before holds the function: its identity is its own.
        at = id(func)
        if at not in self._alike:
            self._alike[at] = all(map(self._is_alike, func.blocks))
        return self._alike[at]

    def _is_alike(self, block: ir.Block) -> bool:
        if ir.DATA not in self._flow.exposed(block):
            return True
        names = names_read(block, self._policy, self._functions)
        return names is not None and self._changed is not None and names.isdisjoint(self._changed)

    def _renewed(self, known: Followed) -> Followed | None:
        steps = []
        for step in known.result.steps:
            env = self._env(step.env)
            if env is None:
                return None
            steps.append(replace(step, env=env))
        rest = self._env(known.result.rest)
        if rest is None:
            return None
        result = Result(steps, rest, known.result.completed)
        return Followed(known.block, result, known.called, known.label)

    def _env(self, env: Env) -> Env | None:
        """The environment with the data of now; None where it has others than those before, as by `with`."""
        at = id(env)
        if at not in self._envs:
            now: Env | None = env
            if ir.DATA in env:
                held = env[ir.DATA] is self._before
                now = KeptEnv({**env, ir.DATA: self._now}) if held else None
            if now is not None:
                now = self.envs.setdefault(env_key(now), now)
            self._envs[at] = env, now
        return self._envs[at][1]

    def _key(self, key: object) -> object:
        """The key of an environment with the data of now."""
        found = self._keys.get(key)
        if found is None:
            items = key if isinstance(key, frozenset) else frozenset[object]()
            data = (ir.DATA, self._before)
            found = (items - {data}) | {(ir.DATA, self._now)} if data in items else items
            self._keys[key] = found
        return found
