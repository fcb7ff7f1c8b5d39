"""Values as Rego text, the way OPA prints them in `sprintf`, `print` and template strings."""

from __future__ import annotations

from decimal import Decimal

from palisade.rego.extents import extent
from palisade.rego.text import digits
from palisade.rego.values import Set, Value, key, sorted_keys, sorted_values

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def show(value: Value) -> str:
    """The term's text: `{"a": [1, 2]}`, sets as `{1, 2}`, the empty one as `set()`; all sorted."""
    kind = type(value)
    if kind is str:
        return quote(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return "null"
    if kind is list:
        return f"[{', '.join(map(show, value))}]"
    if kind is dict:
        pairs = (f"{show(k)}: {show(value[key(k)])}" for k in sorted_keys(value))
        return f"{{{', '.join(pairs)}}}"
    if kind is Set:
        return f"{{{', '.join(map(show, sorted_values(value)))}}}" if len(value) else "set()"
    return show_number(value)


def brief(value: Value, most: int) -> str:
    """The term's text for people to read, where it has no more than so many parts; else `...`."""
    return "..." if extent(value, most) > most else show(value)


def show_plain(value: Value) -> str:
    """As `show`, but a string without its quotes."""
    return value if type(value) is str else show(value)


def show_number(value: int | float | Decimal) -> str:
    """The number's digits, as `text.digits` has them."""
    return digits(value) if type(value) is Decimal else repr(value)


def quote(text: str) -> str:
    """A string in double quotes, escaped as Go's `strconv.Quote` does: what prints stays as it is."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_escape, text))}"'


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, see `operands.to_bytes`
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
