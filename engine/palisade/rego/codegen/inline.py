"""Builtins as expressions: the usual operands are handled on the spot, all others by the builtin itself.

A Python call costs more than most of these builtins do. Each entry gives the expression for operands of
the type that policies use, guarded by a look at the types, and falls back on the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from palisade.rego.codegen.texts import Arg, kind_of

Form = Callable[[Sequence[Arg], str], str]


def _guarded(tests: list[str], fast: str, slow: str) -> str:
    return f"{fast} if {' and '.join(tests)} else {slow}" if tests else fast


def _comparison(operator: str) -> Form:
    def form(args: Sequence[Arg], call: str) -> str:
        a, b = args
        kind = a.kind or b.kind
        if kind:
            tests = [*a.is_a(kind), *b.is_a(kind)]
            if kind == "str":
                # With one of them in ASCII the order is plain.
                tests += a.is_ascii() and b.is_ascii()
        else:
            tests = [f"type({a.text}) is type({b.text}) in (int, float)"]
        return _guarded(tests, f"{a.text} {operator} {b.text}", call)

    return form


_SMALL, _DIGITS = 1 << 63, 19
"""What comes of operands below this, or of literals with fewer digits, needs not the builtin's bound."""


def _arithmetic(operator: str) -> Form:
    def form(args: Sequence[Arg], call: str) -> str:
        a, b = args
        tests = [*a.is_a("int"), *b.is_a("int")]
        asked = (each.text for each in args if not (kind_of(each.text) and len(each.text) < _DIGITS))
        tests += [f"-{_SMALL} < {text} < {_SMALL}" for text in asked]
        return _guarded(tests, f"{a.text} {operator} {b.text}", call)

    return form


def _strings(template: str, *more: str, ascii: int = 1) -> Form:
    """For builtins on strings alone; `template` has the operands as {0}, {1}; `more` are further tests. The
    operand numbered `ascii` has to be that."""

    def form(args: Sequence[Arg], call: str) -> str:
        texts = [arg.text for arg in args]
        tests = [test for arg in args for test in arg.is_a("str")] + args[ascii].is_ascii()
        return _guarded([*tests, *(test.format(*texts) for test in more)], template.format(*texts), call)

    return form


def _equal(args: Sequence[Arg], call: str) -> str:
    a, b = (arg.text for arg in args)
    return f"{a} == {b}" if "str" in (args[0].kind, args[1].kind) else f"{a} == {b} and equal({a}, {b})"


def _neq(args: Sequence[Arg], call: str) -> str:
    a, b = (arg.text for arg in args)
    return f"{a} != {b}" if "str" in (args[0].kind, args[1].kind) else f"{a} != {b} or not equal({a}, {b})"


def _count(args: Sequence[Arg], call: str) -> str:
    text = args[0].text
    return f"len({text}) if type({text}) is list or type({text}) is dict else {call}"


def _member(args: Sequence[Arg], call: str) -> str:
    item, among = args
    # Strings equal nothing but strings in Python too, so its own search is exact for them.
    found = f"{item.text} in {among.text}.forms if type({among.text}) is Set else {item.text} in {among.text}"
    tests = [*item.is_a("str"), f"type({among.text}) in (Set, list)"]
    return f"({found}) if {' and '.join(tests)} else {call}"


def _get(args: Sequence[Arg], call: str) -> str:
    obj, name, default = args
    tests = [f"type({obj.text}) is dict", *name.is_a("str")]
    return _guarded(tests, f"{obj.text}.get({name.text}, {default.text})", call)


FORMS: dict[str, Form] = {
    "contains": _strings("{1} in {0}"),
    "count": _count,
    "endswith": _strings("{0}.endswith({1})"),
    "equal": _equal,
    "gt": _comparison(">"),
    "gte": _comparison(">="),
    "internal.member_2": _member,
    "lower": _strings("{0}.lower()", ascii=0),
    "lt": _comparison("<"),
    "lte": _comparison("<="),
    "minus": _arithmetic("-"),
    "mul": _arithmetic("*"),
    "neq": _neq,
    "object.get": _get,
    "plus": _arithmetic("+"),
    "split": _strings("{0}.split({1})", "{1}"),
    "startswith": _strings("{0}.startswith({1})"),
    "trim_prefix": _strings("{0}.removeprefix({1})"),
    "trim_suffix": _strings("{0}.removesuffix({1})"),
    "upper": _strings("{0}.upper()", ascii=0),
}

TOTAL = frozenset(("equal", "gt", "gte", "lt", "lte", "neq"))
"""Those that are defined, and true or false, for whatever operands."""
