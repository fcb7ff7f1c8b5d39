"""Finds rules and rows by a constant, where runs would look at each only to see that it is not the one.

A policy set serves many functions, and is evaluated for each. Most rules and most rows of a table are for one
of them, and say so first, by `input.function == "orders"` or `grant.function == input.function`. They are
dealt out by that constant once for all the runs of one revision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from palisade.rego import ir
from palisade.rego.partial.execution.flow import read
from palisade.rego.partial.execution.tables import Member, Names, Rounds, found_at
from palisade.rego.partial.formulas.terms import Known, Symbol
from palisade.rego.partial.symbols.construct import pairs_of
from palisade.rego.partial.symbols.kept import Kept
from palisade.rego.records import record
from palisade.rego.values import UNDEFINED, Set, Value

T = TypeVar("T")

FEWEST = 8
"""Of fewer rules or rows each is looked at."""

_HARMLESS = (ir.EqualStmt, ir.NotEqualStmt, ir.IsDefinedStmt, ir.IsUndefinedStmt)
"""Statements before a comparison that at most end the rule or the round, as the comparison does."""
_GIVING = (ir.DotStmt, ir.AssignVarStmt)
"""Those that beside that only give a local a value."""

Row = tuple[Symbol, Symbol]
"""The key of a member of a collection, and itself."""


@record()
class RowTest:
    """What a round of a loop compares first: what its member has at these names, or its key `of_key`, with
    another operand, which is the same in all rounds, once the statements `before` were carried out."""

    of_key: bool
    names: Names
    other: ir.Operand
    before: tuple[ir.DotStmt | ir.AssignVarStmt, ...]
    asked: frozenset[int]
    """The locals that this asks for, which no round may change."""
    given: frozenset[int]
    """The locals that rounds give a value up to there, which nobody else may need."""


class Indexes(Kept):
    """What the runs of one revision share, one for each function."""

    def __init__(self, *, shared: bool = False) -> None:
        """`shared`: whether there are several runs. For one alone rules are not dealt out: among ten thousand
        it takes a third of an edit."""
        super().__init__()
        self._shared = shared

    def rules_for(
        self, blocks: tuple[ir.Block, ...], strings: Sequence[str], given: Mapping[tuple[object, ...], Symbol]
    ) -> tuple[ir.Block, ...] | None:
        """The blocks that do not first ask for something else than is given; None where none of them asks for
        any of it, they are few, or this is the only run."""
        if not self._shared or len(blocks) < FEWEST:
            return None
        names = {str(path[0]) for path, symbol in given.items() if len(path) == 1 and _is_text(symbol)}
        spelled = self.spelled(names, strings)
        if not spelled:
            return None
        asking = self.keep(("rules", spelled), blocks, lambda: _asking(blocks, strings, spelled))
        if not asking.by_name:
            return None
        numbers = list(asking.others)
        for name, by_value in asking.by_name.items():
            symbol = given[(name,)]
            assert isinstance(symbol, Known)  # noqa: S101 - as the names were chosen
            numbers += by_value.get(str(symbol.value), ())
        return tuple(blocks[number] for number in sorted(numbers))

    def spelled(self, names: Iterable[str], strings: Sequence[str]) -> frozenset[str]:
        """Those of the names that are among a plan's strings."""
        known = frozenset(names)
        return self.keep(("spelled", known), strings, lambda: known & frozenset(strings))

    def rows_with(self, source: Known, test: RowTest, value: Known) -> list[Row]:
        """The members of a collection that have the value where the test looks, in their order."""

        def dealt() -> dict[Known, list[Row]]:
            return _by_value(pairs_of(source) or (), test, lambda row: row)

        return self.keep(("rows", test.of_key, test.names), source.value, dealt).get(value, [])

    def members_with(self, table: Rounds, test: RowTest, value: Known) -> list[Member]:
        """The same of what a table holds at any of its keys."""

        def dealt() -> dict[Known, list[Member]]:
            return _by_value(table.members, test, lambda member: member[1:])

        return self.keep(("members", test.of_key, test.names), table, dealt).get(value, [])


@record()
class _Asking:
    """The numbers of blocks, by which of the input they ask for, and as what; and those that do not."""

    by_name: Mapping[str, Mapping[str, list[int]]]
    others: list[int]


def _asking(blocks: Sequence[ir.Block], strings: Sequence[str], names: frozenset[str]) -> _Asking:
    by_name: dict[str, dict[str, list[int]]] = {}
    others: list[int] = []
    for number, block in enumerate(blocks):
        asked = _asked(block, strings, names)
        if asked is None:
            others.append(number)
        else:
            name, value = asked
            by_name.setdefault(name, {}).setdefault(value, []).append(number)
    return _Asking(by_name, others)


def _asked(block: ir.Block, strings: Sequence[str], names: frozenset[str]) -> tuple[str, str] | None:
    """Which of the names of the input the block compares with a constant, before it could do anything else
    than to end; and the constant."""
    held: dict[int, str] = {}
    for stmt in block.stmts:
        if type(stmt) is ir.DotStmt:
            if stmt.stored is ir.Stored.IN_DOUBT:
                return None
            held.pop(stmt.target, None)
            if stmt.source == ir.Local(ir.INPUT) and type(stmt.key) is ir.StringIndex:
                name = strings[stmt.key.index]
                if name in names:
                    held[stmt.target] = name
            continue
        if type(stmt) is ir.EqualStmt:
            for one, other in ((stmt.a, stmt.b), (stmt.b, stmt.a)):
                if type(one) is ir.Local and one.index in held and type(other) is ir.StringIndex:
                    return held[one.index], strings[other.index]
        elif type(stmt) is ir.AssignVarStmt:
            name_of = held.get(stmt.source.index) if type(stmt.source) is ir.Local else None
            held.pop(stmt.target, None)
            if name_of is not None:
                held[stmt.target] = name_of
        elif type(stmt) not in _HARMLESS:
            return None
    return None


def row_test(stmt: ir.ScanStmt, strings: Sequence[str]) -> RowTest | None:
    """What the loop's rounds compare first, before they could do anything else than to end."""
    own: dict[int, tuple[bool, Names] | None] = {stmt.key: (True, ()), stmt.value: (False, ())}
    """Where the locals stand that a member gives a value; None where that is at no constant names."""
    before: list[ir.DotStmt | ir.AssignVarStmt] = []
    given: set[int] = set()
    asked: set[int] = set()
    for each in stmt.block.stmts:
        if isinstance(each, _GIVING):
            if (type(each) is ir.DotStmt and each.stored is ir.Stored.IN_DOUBT) or each.target in own:
                return None
            if not own.keys().isdisjoint(read(each)):
                own[each.target] = _place(each, own, strings)
            else:
                asked.update(local for local in read(each) if local not in given)
                before.append(each)
            given.add(each.target)
        elif type(each) is ir.EqualStmt:
            for one, other in ((each.a, each.b), (each.b, each.a)):
                place = own.get(one.index) if type(one) is ir.Local else None
                if place is not None and not (type(other) is ir.Local and other.index in own):
                    asked.update(local for local in read(each) if local not in given and local not in own)
                    return RowTest(*place, other, tuple(before), frozenset(asked), frozenset(given))
        elif type(each) not in _HARMLESS:
            return None
    return None


def _place(
    stmt: ir.DotStmt | ir.AssignVarStmt, own: Mapping[int, tuple[bool, Names] | None], strings: Sequence[str]
) -> tuple[bool, Names] | None:
    """Where the local stands that the statement gives a value, by where others stand."""
    place = own.get(stmt.source.index) if type(stmt.source) is ir.Local else None
    if isinstance(stmt, ir.AssignVarStmt) or place is None:
        return place
    if type(stmt.key) is not ir.StringIndex or stmt.stored not in (ir.Stored.NO, ir.Stored.BASE):
        return None
    of_key, names = place
    return of_key, (*names, (strings[stmt.key.index], stmt.stored))


def _by_value(rows: Iterable[T], test: RowTest, pair: Callable[[T], Row]) -> dict[Known, list[T]]:
    """Rows by what each has where the test looks; without those that have nothing there."""
    found: dict[Known, list[T]] = {}
    for row in rows:
        name, item = pair(row)
        symbol = name if test.of_key else item
        value = found_at(symbol.value, test.names) if isinstance(symbol, Known) else UNDEFINED
        if value is not UNDEFINED:
            found.setdefault(Known(value), []).append(row)
    return found


def is_long(value: Value) -> bool:
    """Whether it is a collection with so many members that an index of them pays."""
    return isinstance(value, (list, dict, Set)) and len(value) >= FEWEST


def _is_text(symbol: Symbol) -> bool:
    return isinstance(symbol, Known) and type(symbol.value) is str
