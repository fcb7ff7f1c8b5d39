"""Plain values as YAML, a line at a time.

What a sidecar gets for ten thousand rules is a million lines, for which ruamel.yaml takes seventeen seconds.
Texts stand as JSON has them, which YAML 1.2 reads too; a test has ruamel.yaml read them back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Write = Callable[[str], object]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")  # YAML 1.2.2, 5.1


def dump(value: Any, write: Write) -> None:
    """Writes the value as a document in block style. It is what `json.loads` returns."""
    if _is_filled(value):
        _block(value, "", "", write)
    else:
        write(f"{_scalar(value)}\n")


def _block(value: Any, first: str, indent: str, write: Write) -> None:
    """The entries of an object or array that is not empty; the first one begins its line with `first`."""
    start = first
    for name, item in value.items() if isinstance(value, dict) else ((None, each) for each in value):
        if name is None:
            if _is_filled(item):
                _block(item, f"{start}- ", f"{indent}  ", write)
            else:
                write(f"{start}- {_scalar(item)}\n")
        elif _is_filled(item):
            write(f"{start}{_scalar(name)}:\n")
            # The items of an array may stand as deep as the key that it belongs to.
            inner = indent if isinstance(item, list) else f"{indent}  "
            _block(item, inner, inner, write)
        else:
            write(f"{start}{_scalar(name)}: {_scalar(item)}\n")
        start = indent


def _is_filled(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _UNPRINTABLE.sub(_escaped, json.dumps(value, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
