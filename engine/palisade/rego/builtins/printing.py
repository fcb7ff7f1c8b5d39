"""`print`, and what else leaves a trace without a result."""

from __future__ import annotations

from itertools import product

from palisade.rego.builtins.operands import array, string
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.builtins.terms import show_plain
from palisade.rego.errors import EVAL_INTERNAL_ERROR, BuiltinError
from palisade.rego.values import Set, Value, sorted_values, type_name


@builtin("print")
def print_(ctx: Context, *operands: Value) -> bool:
    """Hands the operands' text to `Context.printed`. The compiler makes `internal.print` of most calls."""
    if ctx.printed is not None:
        ctx.printed(" ".join(map(show_plain, operands)), ctx.location)
    return True


@builtin("internal.print")
def internal_print(ctx: Context, operands: Value) -> bool:
    """As `print`, of the set of values that each operand has: a line for each combination of them."""
    if ctx.printed is None:
        return True
    for line in product(*map(_texts, array(operands, 1))):
        ctx.printed(" ".join(line), ctx.location)
    return True


def _texts(operand: Value) -> list[str]:
    if type(operand) is Set:
        return [show_plain(value) for value in sorted_values(operand)] or ["<undefined>"]
    if type(operand) is list or type(operand) is dict:
        raise BuiltinError(f"illegal argument type: {type_name(operand)}", EVAL_INTERNAL_ERROR, fatal=True)
    return [show_plain(operand)]


@builtin("internal.test_case", pure=True)
def internal_test_case(operands: Value) -> bool:
    """Names the case of a test that runs; only the test runner makes something of it."""
    array(operands, 1)
    return True


@builtin("trace", pure=True)
def trace(note: Value) -> bool:
    """True. OPA shows the note where an explanation of the evaluation is asked for."""
    string(note, 1)
    return True
