"""Which rule a result really comes from, where the block that has it only hands on.

The rule of a decision often decides nothing itself: `allow := data.shop.allow`, or `allow if data.shop.ok`.
And a rule with `else` is one block for all its branches. What such a block came to is told apart by the rules
and branches that led there: the same condition, in parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from palisade.rego import ir
from palisade.rego.errors import Location
from palisade.rego.partial.execution.flow import read, stmts_below, written
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.decided import implies
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula
from palisade.rego.partial.formulas.terms import Known, Symbol
from palisade.rego.partial.symbols.worlds import NEXT, RETURN, Reason, Result, Step
from palisade.rego.records import record


@record()
class Handing:
    """How a block hands on: what it takes has its value in the local `source`, what it gives in `target`.

    Where it hands on the value itself, other statements may say when; where it only asks whether there is
    one, they may not. `rule` is the name of the function of the rule that it hands on to.
    """

    source: int
    target: int
    value: bool = True
    rule: str = ""


def branching(block: ir.Block) -> ir.BlockStmt | None:
    """The statement that holds the branches of a rule with `else`."""
    only = block.stmts[0] if len(block.stmts) == 1 else None
    return only if isinstance(only, ir.BlockStmt) and len(only.blocks) > 1 else None


def given(stmt: ir.BlockStmt) -> int | None:
    """The local that the branches put their value into: the one that the last of the blocks takes it from."""
    last = stmt.blocks[-1].stmts[-1] if stmt.blocks[-1].stmts else None
    source = last.source if isinstance(last, ir.AssignVarOnceStmt) else None
    return source.index if isinstance(source, ir.Local) else None


def of_branches(stmt: ir.BlockStmt) -> Handing | None:
    """How the last of the blocks hands on what the branches gave."""
    last = stmt.blocks[-1].stmts[-1] if stmt.blocks[-1].stmts else None
    return Handing(last.target, last.target) if isinstance(last, ir.AssignVarOnceStmt) else None


def handing(
    block: ir.Block, rules: Collection[str], functions: Mapping[str, ir.Func], strings: Sequence[str]
) -> Handing | None:
    """How the block of a rule hands on, if it does, to one of the `rules`: functions by their names."""
    last = block.stmts[-1] if block.stmts else None
    if not isinstance(last, ir.AssignVarOnceStmt):
        return None
    calls = [stmt for stmt in block.stmts if type(stmt) is ir.CallStmt and stmt.func in rules]
    value = isinstance(last.source, ir.Local)
    if isinstance(last.source, ir.Local):
        local = last.source.index
        calls = [each for each in calls if each.result == local]
    elif last.source != ir.Bool(True):
        return None
    if len(calls) != 1 or (not value and _asks_itself(block, calls[0], strings)):
        return None
    rule = calls[0].func
    return Handing(functions[rule].result, last.target, value, rule)


def _asks_itself(block: ir.Block, call: ir.CallStmt, strings: Sequence[str]) -> bool:
    """Whether the block asks more than which function is called and whether the rule's value is not false.

    A rule that asks what the one behind asks too is not told from it by its condition.
    """
    holds = ir.NotEqualStmt(ir.Local(call.result), ir.Bool(False))
    settled: set[int] = set()
    for stmt in block.stmts[:-1]:
        if stmt is call or stmt == holds:
            continue
        if type(stmt) is ir.DotStmt and stmt.source == ir.Local(ir.INPUT):
            if not isinstance(stmt.key, ir.StringIndex) or strings[stmt.key.index] != "function":
                return True
        elif stmts_below(stmt) or not settled.issuperset(read(stmt)):
            return True
        target = written(stmt)
        if target is not None:
            settled.add(target)
    return False


def placed(result: Result, origins: Iterable[Step], handing: Handing | None, builder: Builder) -> Result:
    """The result of a block, its steps in parts by where they come from.

    `origins` are the steps of what the block takes, with their parts. What cannot be told apart, as where
    conditions became others when they were put together, stays as it is.
    """
    if handing is None:
        return result
    values: dict[Symbol | None, list[Step]] = {}
    for each in origins:
        if each.signal == NEXT or each.signal == RETURN:
            values.setdefault(each.env.get(handing.source), []).append(each)
    values.pop(None, None)
    steps = [_in_parts(step, values, handing, builder) for step in result.steps]
    return Result(steps, result.rest, result.completed)


def _in_parts(
    step: Step, values: Mapping[Symbol | None, Sequence[Step]], handing: Handing, builder: Builder
) -> Step:
    if handing.value:
        found = values.get(step.env.get(handing.target), ())
    else:
        found = [each for value, steps in values.items() if value != Known(False) for each in steps]
    condition = builder.any(each.condition for each in found)
    parts = [part for each in found for part in each.parts]
    if condition is step.condition:
        return replace(step, parts=tuple(parts))
    rest = _beside(step.condition, condition, builder) if handing.value else None
    if rest is None:
        return step
    both = ((builder.both(rest, part), place) for part, place in parts)
    return replace(step, parts=tuple(each for each in both if each[0] is not FALSE))


def _beside(whole: Formula, part: Formula, builder: Builder) -> Formula | None:
    """What the part stands beside in a condition; None where the condition may hold without it."""
    of_part = set(part.args) if part.kind == "and" else {part}
    if whole.kind == "and" and of_part <= set(whole.args):
        return builder.all(each for each in whole.args if each not in of_part)
    return whole if implies(whole, part) else None


def of_member(
    reached: Iterable[Reason], steps: Sequence[Step], place: Location, builder: Builder
) -> Iterator[Reason]:
    """The conditions that lead to objects which no rule gives as a whole, in parts by the rules that gave one
    of their members. `steps` are those of this member, with their parts; `place` stands for what has none."""
    for condition, _ in reached:
        found: list[Reason] = []
        for step in steps:
            rest = TRUE if step.condition is condition else _beside(condition, step.condition, builder)
            if rest is not None:
                both = ((builder.both(rest, part), at) for part, at in step.parts)
                found = [each for each in both if each[0] is not FALSE]
                break
        yield from found or ((condition, place),)


def default_of(func: ir.Func) -> ir.AnyStmt | None:
    """The statement that gives the value of a function's `default` rule."""
    for block in func.blocks:
        if len(block.stmts) == 2:
            test, then = block.stmts
            asks = isinstance(test, ir.IsUndefinedStmt) and test.source == func.result
            if asks and isinstance(then, ir.AssignVarOnceStmt) and then.target == func.result:
                return then
    return None
