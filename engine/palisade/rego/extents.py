"""How large a value is, where each part counts as often as it stands in it.

Values share their parts: thirty rules that join a value with itself, `y1 := [y0, y0]`, make one of a thousand
million parts out of thirty arrays. What hashes, compares or writes it out never ends, so who does that for
a value of any size asks here first.
"""

from __future__ import annotations

from palisade.rego.errors import EVAL_CANCEL_ERROR, EvalError
from palisade.rego.values import Key, Set, Value

MOST = 1_000_000
"""Values with more parts are neither hashed nor written out: it takes a second, or has no end."""
_CHARACTERS = 16
"""So many characters of a text count as one part."""


def extent(value: Value, most: int) -> int:
    """How many parts a value has, itself and the keys of objects included.

    Where there are more than `most` it says so by a larger number, and has looked at no more than these.
    """
    found = 1
    stack = [value]
    while stack and found <= most:
        part = stack.pop()
        kind = type(part)
        if kind is Key:
            part = part.value
            kind = type(part)
        if kind is str:
            found += len(part) // _CHARACTERS
        elif kind is list:
            found += len(part)
        elif kind is dict:
            found += 2 * len(part)
        elif kind is Set:
            found += len(part.forms)
        if found > most:
            break
        if kind is list:
            stack += part
        elif kind is dict:
            stack += part
            stack += part.values()
        elif kind is Set:
            stack += part.forms
    return found


def check_hashed(value: Value) -> None:
    """Raises EvalError for a value that is too large to be an object's key or a set's member."""
    if extent(value, MOST) > MOST:
        message = f"a key, or a member of a set, has more than {MOST} parts: simplify the policy"
        raise EvalError(EVAL_CANCEL_ERROR, message)
