"""Query strings of URLs, as https://pkg.go.dev/net/url reads and writes them."""

from __future__ import annotations

import re
from urllib.parse import quote_plus, unquote_to_bytes

from palisade.rego.builtins.operands import from_bytes, object_, operand_error, string, to_bytes
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import quote
from palisade.rego.errors import BuiltinError
from palisade.rego.text import dumps
from palisade.rego.values import Set, Value, sorted_values, unkey


@builtin("urlquery.encode", pure=True)
def urlquery_encode(x: Value) -> str:
    return _escape(string(x, 1))


@builtin("urlquery.decode", pure=True)
def urlquery_decode(x: Value) -> str:
    return _unescape(string(x, 1))


@builtin("urlquery.encode_object", pure=True)
def urlquery_encode_object(obj: Value) -> str:
    """The query with the object's keys in order; an array or set of strings gives its key several values."""
    pairs: list[tuple[str, str]] = []
    for form, value in object_(obj, 1).items():
        name = unkey(form)
        name = name if type(name) is str else dumps(name)
        values = sorted_values(value) if type(value) is Set else value if type(value) is list else [value]
        for each in values:
            if type(each) is not str:
                raise operand_error(1, "values must be string, array[string], or set[string]")
            pairs.append((name, each))
    pairs.sort(key=lambda pair: pair[0])  # stable: the values of one key keep their order
    return "&".join(f"{_escape(name)}={_escape(value)}" for name, value in pairs)


@builtin("urlquery.decode_object", pure=True)
def urlquery_decode_object(x: Value) -> dict[str, list[str]]:
    """An object from each name in the query to the array of its values."""
    result: dict[str, list[str]] = {}
    for part in string(x, 1).split("&"):
        if ";" in part:
            raise BuiltinError("invalid semicolon separator in query")
        if part:
            name, _, value = part.partition("=")
            result.setdefault(_unescape(name), []).append(_unescape(value))
    return result


def _escape(text: str) -> str:
    return quote_plus(to_bytes(text))


_WRONG_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)


def _unescape(text: str) -> str:
    wrong = _WRONG_ESCAPE.search(text)
    if wrong:
        raise BuiltinError(f"invalid URL escape {quote(wrong.group())}")
    return from_bytes(unquote_to_bytes(to_bytes(text.replace("+", " "))))
