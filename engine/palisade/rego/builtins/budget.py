"""What a builtin that can run long asks now and then."""

from __future__ import annotations

import time

from palisade.rego.builtins.registry import Context
from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError


def check_deadline(ctx: Context, what: str) -> None:
    """Raises a fatal BuiltinError with the message `what` where the evaluation's time is over."""
    if ctx.deadline is not None and time.monotonic() > ctx.deadline:
        raise BuiltinError(what, EVAL_CANCEL_ERROR, fatal=True)
