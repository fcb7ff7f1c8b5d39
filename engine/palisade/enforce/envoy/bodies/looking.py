"""Whether a block of a plan looks through a request as a whole: `json.marshal(input)` has the body, too.

The body stands in the input itself and in `attributes.request.http`. A local may hold one of these, or what
stands between them: as a bit each, of the level at which it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from palisade.rego import ir
from palisade.rego.partial.execution.flow import all_stmts, read

_WAY = ("attributes", "request", "http")
INPUT = 1
_BODY_LEVELS = INPUT | 1 << len(_WAY)

_HARMLESS = frozenset(
    (
        *(ir.IsArrayStmt, ir.IsDefinedStmt, ir.IsObjectStmt, ir.IsSetStmt, ir.IsUndefinedStmt),
        *(ir.AssignVarOnceStmt, ir.AssignVarStmt, ir.ReturnLocalStmt, ir.ScanStmt),
    )
)
"""Statements that say nothing of what is in a value; those that hand it on are followed."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a block does with the input. `returned` are the levels that its function may return, `handed`
    those of the arguments that it calls functions with."""

    whole: bool
    returned: int
    handed: tuple[tuple[str, tuple[int, ...]], ...]


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
    while levels != follower.levels:  # what stands in a loop is looked at as often as it takes
        levels = dict(follower.levels)
        follower.arrays.clear()
        for stmt in stmts:
            follower.follow(stmt)
    return Sight(follower.whole, follower.returned, tuple(follower.handed.items()))


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
        if isinstance(stmt, ir.MakeArrayStmt):
            self.arrays[stmt.target] = []
        elif isinstance(stmt, ir.ArrayAppendStmt):
            self.arrays.setdefault(stmt.array, []).append(stmt.value)
        if isinstance(stmt, ir.DotStmt):
            self._give(stmt.target, self._below(self._of(stmt.source), stmt.key))
            self.whole |= bool(self._of(stmt.key))
        elif isinstance(stmt, ir.CallStmt):
            self._give(stmt.result, self._called(stmt))
        elif isinstance(stmt, ir.CallDynamicStmt):
            self._give(stmt.result, self.returns.get("*", 0))
        elif isinstance(stmt, ir.WithStmt):
            self.whole |= bool(self._of(stmt.value))
        elif kind not in _HARMLESS:
            self.whole |= any(self.levels.get(each) for each in read(stmt))
        elif isinstance(stmt, (ir.AssignVarOnceStmt, ir.AssignVarStmt)):
            self._give(stmt.target, self._of(stmt.source))
        elif isinstance(stmt, ir.ReturnLocalStmt):
            self.returned |= self.levels.get(stmt.source, 0)
        elif isinstance(stmt, ir.ScanStmt):
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
        name = self.strings[key.index]
        return sum(2 << at for at, each in enumerate(_WAY) if name == each and levels & 1 << at)

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
