"""What builtins that can run long or build much ask before they do.

Generated code counts the entries that loops visit; what one call does it cannot count. Whatever ends a call
here is fatal: an evaluation without its result must not go on as if that were undefined.
"""

from __future__ import annotations

import time

from palisade.rego.builtins.registry import Context
from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError
from palisade.rego.extents import MOST, extent
from palisade.rego.values import Value

MAX_SIZE = 10_000_000
"""So many entries of a collection, or characters of a string, one call may build."""

MAX_BITS = 14_284
"""Integers may have as many bits: Python shows no number of more than 4,300 digits."""


def check_deadline(ctx: Context, what: str) -> None:
    """Raises a fatal BuiltinError with the message `what` where the evaluation's time is over."""
    if ctx.deadline is not None and time.monotonic() > ctx.deadline:
        raise BuiltinError(what, EVAL_CANCEL_ERROR, fatal=True)


def check_size(size: int) -> None:
    """Raises a fatal BuiltinError for a result that is larger than `MAX_SIZE`."""
    if size > MAX_SIZE:
        raise BuiltinError(
            f"the result would have {size} entries or characters, more than {MAX_SIZE}: bound what goes in",
            EVAL_CANCEL_ERROR,
            fatal=True,
        )


def check_parts(value: Value) -> None:
    """Raises a fatal BuiltinError for a value that is too large to be written out, as it may share parts."""
    if extent(value, MOST) > MOST:
        raise BuiltinError(
            f"the value has more than {MOST} parts: bound what goes in", EVAL_CANCEL_ERROR, fatal=True
        )


def check_bits(bits: int) -> None:
    """Raises a fatal BuiltinError for an integer of more than `MAX_BITS` bits."""
    if bits > MAX_BITS:
        raise BuiltinError(
            f"the number would have {bits} bits, more than {MAX_BITS}", EVAL_CANCEL_ERROR, fatal=True
        )
