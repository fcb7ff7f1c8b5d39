"""Whether a block of a plan looks through a request as a whole: `json.marshal(input)` has the body, too.

The body stands in the input itself and in `attributes.request.http`. A local may hold one of these, or what
stands between them: as a bit each, of the level at which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palisade.rego import ir
from palisade.rego.partial.execution.flow import all_stmts, read

_WAY = ("attributes", "request", "http")
_AT = {name: at for at, name in enumerate(_WAY)}
INPUT = 1
_BODY_LEVELS = INPUT | 1 << len(_WAY)

_HARMLESS = frozenset((ir.IsArrayStmt, ir.IsDefinedStmt, ir.IsObjectStmt, ir.IsSetStmt, ir.IsUndefinedStmt))
"""Statements that say nothing of what is in a value."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a block does with the input. `returned` are the levels that its function may return, `handed`
    those of the arguments that it calls functions with."""

    whole: bool
    returned: int
    handed: tuple[tuple[str, tuple[int, ...]], ...]


NOTHING = Sight(False, 0, ())
"""One object for all blocks that do nothing with it, as nearly all do: who asks of thousands sees it once."""


def called(block: ir.Block) -> tuple[str, ...]:
    """The names of what a block calls; `*` where it calls by a name that is not known."""
    names: dict[str, None] = {}
    for stmt in all_stmts(block):
        if type(stmt) is ir.CallStmt:
            names[stmt.func] = None
        elif type(stmt) is ir.CallDynamicStmt:
            names["*"] = None
    return tuple(names)


def sight(
    block: ir.Block,
    strings: Sequence[str],
    given: Iterable[tuple[int, int]],
    result: int | None,
    returns: Mapping[str, int],
    functions: Mapping[str, ir.Func],
) -> Sight:
    """What the block does, where some locals hold these levels and functions return those of `returns`."""
    follower = _Follower(strings, dict(given), result, returns, functions)
    stmts = tuple(all_stmts(block))
    levels: dict[int, int] | None = None
    while levels != follower.levels:
        levels = dict(follower.levels)
        follower.arrays.clear()
        for stmt in stmts:
            follower.follow(stmt)
        if len(stmts) == len(block.stmts):
            break  # what stands in a loop is looked at as often as it takes; here nothing does
    found = Sight(follower.whole, follower.returned, tuple(follower.handed.items()))
    return NOTHING if found == NOTHING else found


@dataclass(slots=True)
class _Follower:
    strings: Sequence[str]
    levels: dict[int, int]
    result: int | None
    returns: Mapping[str, int]
    functions: Mapping[str, ir.Func]
    arrays: dict[int, list[ir.Operand]] = field(default_factory=dict)
    handed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    whole: bool = False
    returned: int = 0

    def follow(self, stmt: ir.AnyStmt) -> None:
        kind = type(stmt)
        follow = _FOLLOWED.get(kind)
        if follow is not None:
            follow(self, stmt)
        elif kind not in _HARMLESS:
            self.whole |= any(map(self.levels.get, read(stmt)))

    def make(self, stmt: ir.MakeArrayStmt) -> None:
        self.arrays[stmt.target] = []

    def append(self, stmt: ir.ArrayAppendStmt) -> None:
        self.arrays.setdefault(stmt.array, []).append(stmt.value)
        self.whole |= any(map(self.levels.get, read(stmt)))

    def dot(self, stmt: ir.DotStmt) -> None:
        source, key = stmt.source, stmt.key
        levels = self.levels.get(source.index) if type(source) is ir.Local else None
        if levels:
            self._give(stmt.target, self._below(levels, key))
        if type(key) is ir.Local:
            self.whole |= bool(self._of(key))

    def call(self, stmt: ir.CallStmt) -> None:
        self._give(stmt.result, self._called(stmt))

    def call_by_path(self, stmt: ir.CallDynamicStmt) -> None:
        self._give(stmt.result, self.returns.get("*", 0))

    def put(self, stmt: ir.WithStmt) -> None:
        self.whole |= bool(self._of(stmt.value))

    def assign(self, stmt: ir.AssignVarOnceStmt | ir.AssignVarStmt) -> None:
        self._give(stmt.target, self._of(stmt.source))

    def give_back(self, stmt: ir.ReturnLocalStmt) -> None:
        self.returned |= self.levels.get(stmt.source, 0)

    def scan(self, stmt: ir.ScanStmt) -> None:
        self._give(stmt.value, self._any_below(self.levels.get(stmt.source, 0)))

    def _of(self, operand: ir.Operand) -> int:
        return self.levels.get(operand.index, 0) if isinstance(operand, ir.Local) else 0

    def _give(self, target: int, levels: int) -> None:
        if levels:
            self.levels[target] = self.levels.get(target, 0) | levels
            if target == self.result:
                self.returned |= levels

    def _below(self, levels: int, key: ir.Operand) -> int:
        if not levels:
            return 0
        if not isinstance(key, ir.StringIndex):
            return self._any_below(levels)
        at = _AT.get(self.strings[key.index])
        return 2 << at if at is not None and levels & 1 << at else 0

    def _any_below(self, levels: int) -> int:
        """What stands at a key that is not known: the body may."""
        self.whole |= bool(levels & _BODY_LEVELS)
        return levels << 1 & (1 << len(_WAY) + 1) - 1

    def _called(self, call: ir.CallStmt) -> int:
        levels = tuple(map(self._of, call.args))
        if call.func in self.functions:
            if any(levels[2:]):
                before = self.handed.get(call.func, (0,) * len(levels))
                self.handed[call.func] = tuple(a | b for a, b in zip(before, levels, strict=True))
        elif call.func == "object.get" and not levels[1]:
            return self._got(levels[0], call.args[1]) | levels[2]
        else:
            self.whole |= any(levels)
        return self.returns.get(call.func, 0)

    def _got(self, levels: int, key: ir.Operand) -> int:
        """What `object.get` finds, which takes a path, too."""
        if isinstance(key, ir.Local):
            steps = self.arrays.get(key.index)
            if steps is None:
                self.whole |= bool(levels)
                return 0
            for step in steps:
                levels = self._below(levels, step)
            return levels
        return self._below(levels, key)


_FOLLOWED: dict[type[ir.AnyStmt], Callable[[_Follower, Any], None]] = {
    ir.MakeArrayStmt: _Follower.make,
    ir.ArrayAppendStmt: _Follower.append,
    ir.DotStmt: _Follower.dot,
    ir.CallStmt: _Follower.call,
    ir.CallDynamicStmt: _Follower.call_by_path,
    ir.WithStmt: _Follower.put,
    ir.AssignVarOnceStmt: _Follower.assign,
    ir.AssignVarStmt: _Follower.assign,
    ir.ReturnLocalStmt: _Follower.give_back,
    ir.ScanStmt: _Follower.scan,
}
"""Statements that hand on what is in a value, by kind: there are a hundred thousand of them in large sets."""
