"""The text of comparisons and lookups, as cheap as what is known of the operands allows."""

from __future__ import annotations

from dataclasses import dataclass

from palisade.rego import ir


@dataclass(frozen=True, slots=True)
class Arg:
    """An operand: its text, and the Python type of its value, "" where that is not known."""

    text: str
    kind: str = ""

    def is_a(self, kind: str) -> list[str]:
        """The test that the operand has the type; none where that is known."""
        return [] if self.kind == kind else [f"type({self.text}) is {kind}"]

    def is_ascii(self) -> list[str]:
        """The test that the operand, a string, is in ASCII; none where it is written so. What is not may have
        surrogates in it, which stand for single bytes of a character."""
        written = self.text[0] in "\"'" and self.text.isascii() and "\\" not in self.text
        return [] if written else [f"{self.text}.isascii()"]


def kind_of(text: str) -> str:
    """The Python type of a literal that is a string or a number, "" for all other text."""
    if text[0] in "\"'":
        return "str"
    if text[0] == "(":
        # What `names.Constants` puts in parentheses: negative numbers and floats.
        return "float" if "." in text or "e" in text else "int"
    return "int" if text.isdigit() else ""


def sides(stmt: ir.EqualStmt | ir.NotEqualStmt) -> tuple[ir.Operand, ir.Operand]:
    """The operands, a constant behind."""
    return (stmt.a, stmt.b) if type(stmt.a) is ir.Local else (stmt.b, stmt.a)


def same(a: Arg, b: Arg) -> str:
    """The test that two values are equal."""
    if _exact(a, b):
        return f"{a.text} == {b.text}"
    if b.kind == "bool":
        return "False" if kind_of(a.text) else f"{a.text} is {b.text}"
    # Strings that Python finds equal are; for the rest equality has to look closer.
    return f"{a.text} == {b.text} and (type({a.text}) is str or equal({a.text}, {b.text}))"


def differ(a: Arg, b: Arg) -> str:
    """The test that two values differ."""
    if _exact(a, b):
        return f"{a.text} != {b.text}"
    if b.kind == "bool":
        return "True" if kind_of(a.text) else f"{a.text} is not {b.text}"
    return f"{a.text} != {b.text} or type({a.text}) is not str and not equal({a.text}, {b.text})"


def _exact(a: Arg, b: Arg) -> bool:
    """Whether Python's equality is Rego's: it is for strings, and for numbers that are surely no booleans."""
    return "str" in (a.kind, b.kind) or a.kind == b.kind == "int"


_LOOKUPS = {
    ir.Stored.NO: "dot",
    ir.Stored.BASE: "dot_stored",
    ir.Stored.OF_BASE: "dot_stored",
    ir.Stored.IN_DOUBT: "dot_in_doubt",
}


def below(source: Arg, name: Arg, *, stored: ir.Stored = ir.Stored.NO) -> str:
    """The lookup of a name in a value, UNDEFINED where there is none."""
    slow = f"{_LOOKUPS[stored]}({source.text}, {name.text})"
    if name.kind == "int" and source.kind in ("", "list"):
        if not name.text.isdigit():
            return slow
        tests = [*source.is_a("list"), f"len({source.text}) > {name.text}"]
        return f"{source.text}[{name.text}] if {' and '.join(tests)} else {slow}"
    # Objects of base documents have texts for keys, those of rules may have numbers, too.
    by_text = stored < ir.Stored.OF_BASE
    if by_text and name.kind in ("", "str") and source.kind in ("", "dict"):
        tests = [*source.is_a("dict"), *name.is_a("str")]
        got = f"{source.text}.get({name.text}, U)"
        return f"{got} if {' and '.join(tests)} else {slow}" if tests else got
    return slow
