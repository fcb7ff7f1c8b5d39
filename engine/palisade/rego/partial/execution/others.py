"""What a run found out, for one whose data are others: that of the blocks which ask nothing of what changed.

An entry of a list in `data` is edited as often as a rule, and of ten thousand rules most do not look it up.
What they read of `data` can be told from their statements: documents by constant first names, or all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


class Alike:
    """Tells the blocks that ask nothing of what changed between two documents of base data."""

    def __init__(
        self,
        policy: ir.Policy,
        functions: Mapping[str, ir.Func],
        flow: Liveness,
        before: Known,
        now: Known,
    ) -> None:
        """The blocks that are asked of are of the `policy`, with its `functions`."""
        self._policy = policy
        self._functions = functions
        self._flow = flow
        self._same = before is now
        self._changed = frozenset[str]() if self._same else changed_names(before.value, now.value)
        self._known: dict[int, bool] = {}

    def holds(self, block: ir.Block, called: Iterable[ir.Func]) -> bool:
        """Whether neither the block nor what it called reads what changed."""
        return self.has(block) and self.holds_of(called)

    def holds_of(self, called: Iterable[ir.Func]) -> bool:
        """Whether the functions do not."""
        return self._same or all(map(self._function, called))

    def has(self, block: ir.Block) -> bool:
        """Whether the block itself does not."""
        if self._same or ir.DATA not in self._flow.exposed(block):
            return True
        names = names_read(block, self._policy, self._functions)
        return names is not None and self._changed is not None and names.isdisjoint(self._changed)

    def _function(self, func: ir.Func) -> bool:
        # The policy holds the function: its identity is its own.
        at = id(func)
        if at not in self._known:
            self._known[at] = all(map(self.has, func.blocks))
        return self._known[at]


class Others:
    """Takes over what holds with other data, too: as if it had been found out with these."""

    def __init__(self, alike: Alike, before: Known, now: Known) -> None:
        """`alike` tells those of the blocks of the run before, on the data `before`."""
        self._before, self._now = before, now
        self._alike = alike
        self._envs: dict[int, tuple[Env, Env | None]] = {}
        self._keys: dict[object, object] = {}
        self._made: dict[int, tuple[Followed, Followed | None]] = {}
        self.envs: dict[object, Env] = {}
        """The environments of what is taken over, by what they hold: one object each."""

    def followed(self, known: Mapping[object, Followed]) -> dict[object, Followed]:
        """What blocks came to, by block, key of the environment, what is live, and how it is followed."""
        found: dict[object, Followed] = {}
        for at, each in known.items():
            now = self._of(each)
            if now is not None and isinstance(at, tuple):
                block, env, live, how = at
                found[block, self._key(env), live, how] = now
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
            holds = self._alike.holds(known.block, known.called)
            self._made[at] = known, self._renewed(known) if holds else None
        return self._made[at][1]

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
