"""The text of comparisons, as cheap as what is known of the operands allows."""

from __future__ import annotations

from palisade.rego import ir
from palisade.rego.codegen.rows import Slot


def kind_of(text: str) -> str:
    """The Python type of a literal that is a string or a natural number."""
    if text[0] in "\"'":
        return "str"
    return "int" if text.isdigit() else ""


def sides(stmt: ir.EqualStmt | ir.NotEqualStmt) -> tuple[ir.Operand, ir.Operand]:
    """The operands, a constant behind."""
    return (stmt.a, stmt.b) if type(stmt.a) is ir.Local else (stmt.b, stmt.a)


def same(a: str, b: str, operand: ir.Operand | Slot) -> str:
    """The test that two values are equal; `operand` is what `b` stands for."""
    kind = operand.kind if isinstance(operand, Slot) else type(operand)
    if kind is ir.StringIndex:
        return f"{a} == {b}"
    if kind is ir.Bool:
        return "False" if kind_of(a) else f"{a} is {b}"
    return f"{a} == {b} and equal({a}, {b})"


def differ(a: str, b: str, operand: ir.Operand | Slot) -> str:
    """The test that two values differ; `operand` is what `b` stands for."""
    kind = operand.kind if isinstance(operand, Slot) else type(operand)
    if kind is ir.StringIndex:
        return f"{a} != {b}"
    if kind is ir.Bool:
        return "True" if kind_of(a) else f"{a} is not {b}"
    return f"{a} != {b} or not equal({a}, {b})"
