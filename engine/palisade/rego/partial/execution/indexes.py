"""Finds rules and rows by a constant, where runs would look at each only to see that it is not the one.

A policy set serves many functions, and is evaluated for each. Most rules and most rows of a table are for one
of them, and say so first, by `input.function == "orders"` or `grant.function == input.function`. They are
dealt out by that constant once for all the runs of one revision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from palisade.rego import ir
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

Row = tuple[Symbol, Symbol]
"""The key of a member of a collection, and itself."""


@record()
class RowTest:
    """What a round of a loop compares first: what its member has at these names, with another operand, which
    is the same in all rounds, once the statements `before` were carried out."""

    names: Names
    other: ir.Operand
    before: tuple[ir.DotStmt, ...]


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
        names = tuple(str(path[0]) for path, symbol in given.items() if len(path) == 1 and _is_text(symbol))
        spelled = self.keep(
            ("spelled", names), strings, lambda: frozenset(filter(strings.__contains__, names))
        )
        if not spelled:
            return None
        asking = self.keep(("rules", names), blocks, lambda: _asking(blocks, strings, spelled))
        if not asking.by_name:
            return None
        numbers = list(asking.others)
        for name, by_value in asking.by_name.items():
            symbol = given[(name,)]
            assert isinstance(symbol, Known)  # noqa: S101 - as the names were chosen
            numbers += by_value.get(str(symbol.value), ())
        return tuple(blocks[number] for number in sorted(numbers))

    def rows_with(self, source: Known, names: Names, text: str) -> list[Row]:
        """The members of a collection that have the text at these names, in their order."""
        rows = self.keep(
            ("rows", names), source.value, lambda: _by_text(pairs_of(source) or (), names, lambda row: row[1])
        )
        return rows.get(text, [])

    def members_with(self, table: Rounds, names: Names, text: str) -> list[Member]:
        """The same of what a table holds at any of its keys."""
        members = self.keep(
            ("members", names), table, lambda: _by_text(table.members, names, lambda member: member[2])
        )
        return members.get(text, [])


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
    paths: dict[int, Names] = {stmt.value: ()}
    own = {stmt.key, stmt.value}
    before: list[ir.DotStmt] = []
    for each in stmt.block.stmts:
        if type(each) is ir.DotStmt:
            if each.stored is ir.Stored.IN_DOUBT or each.target in own:
                return None
            source = each.source.index if type(each.source) is ir.Local else None
            key = each.key.index if type(each.key) is ir.Local else None
            if source in own or key in own:
                if source not in paths or type(each.key) is not ir.StringIndex:
                    return None
                if each.stored not in (ir.Stored.NO, ir.Stored.BASE):
                    return None
                paths[each.target] = (*paths[source], (strings[each.key.index], each.stored))
                own.add(each.target)
            else:
                before.append(each)
        elif type(each) is ir.EqualStmt:
            for one, other in ((each.a, each.b), (each.b, each.a)):
                if type(one) is ir.Local and one.index in paths and not _is_own(other, own):
                    return RowTest(paths[one.index], other, tuple(before))
            if _is_own(each.a, own) or _is_own(each.b, own):
                return None
        else:
            return None
    return None


def _is_own(operand: ir.Operand, own: set[int]) -> bool:
    return type(operand) is ir.Local and operand.index in own


def _by_text(rows: Iterable[T], names: Names, item: Callable[[T], Symbol]) -> dict[str, list[T]]:
    """Rows by the text that the item of each has at the names; without those that have none."""
    found: dict[str, list[T]] = {}
    for row in rows:
        symbol = item(row)
        text = found_at(symbol.value, names) if isinstance(symbol, Known) else UNDEFINED
        if type(text) is str:
            found.setdefault(text, []).append(row)
    return found


def is_long(value: Value) -> bool:
    """Whether it is a collection with so many members that an index of them pays."""
    return isinstance(value, (list, dict, Set)) and len(value) >= FEWEST


def _is_text(symbol: Symbol) -> bool:
    return isinstance(symbol, Known) and type(symbol.value) is str
