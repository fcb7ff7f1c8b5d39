"""Near misses: what is almost a constant, in case, type, spelling or length."""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Iterator
from typing import Any

from palisade.rego.values import Value

ODD_TEXTS = (
    *("", " ", "a b", "a,b", ",", "/", "//", ".", "..", "%", "%61", "%2f", "ü", "İ", "ſ", "K", "ﬀ", "\u0000"),
    *("\n", "a\nb", "\u2028", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\ufffd"),
    *("true", "false", "null", "0", "1", "-1", "1.0", "1e0", "[]", "{}", "*", "\\", '"', "'", "a" * 300),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, 2**53, 2**53 + 1, 1e300, -0.0, 5e-324),
    *("", "0", [], {}, [None], [[]], [{}], {"": ""}, {"a": 1}, [1, "a", None, True], ["a", ["a"]]),
)

_LOOKALIKE = {"s": "ſ", "S": "ſ", "k": "K", "K": "K", "i": "ı", "I": "İ", "a": "а", "o": "о", "u": "ü"}


def texts(text: str) -> Iterator[str]:
    """Texts that are nearly the given one."""
    yield text.swapcase()
    yield text.upper()
    yield text.lower()
    yield text + "x"
    yield text[:-1]
    yield text[1:]
    yield f" {text}"
    yield f"{text} "
    yield f"{text}/"
    yield f"/{text}"
    yield f"{text},{text}"
    yield text + text
    yield f"{text}\u0000"
    yield f"{text}\n"
    yield f"x{text}y"
    for plain, other in _LOOKALIKE.items():
        if plain in text:
            yield text.replace(plain, other, 1)


def spelled(text: str) -> Iterator[str]:
    """Spellings of a path, or of a part of one, that some reader may take for the same."""
    yield text
    for at in {0, len(text) // 2, len(text) - 1} if text else ():
        escaped = "".join(f"%{byte:02x}" for byte in text[at].encode("utf-8", "replace"))
        yield text[:at] + (escaped if text[at] != "/" else "/") + text[at + 1 :]
    yield text.replace("/", "//")
    yield text.replace("/", "/./")
    yield text.replace("/", "\\")
    yield text.replace("/", "/x/../", 1)
    yield text.replace("/", "/%2e%2e/", 1)
    yield f"{text};v=1"
    yield f"{text}?"
    yield f"{text}%20"
    yield f"{text}/"
    yield f"{text}/.."
    yield text.swapcase()


def refused(text: str) -> Iterator[str]:
    """Spellings that a sidecar refuses, as its settings are by default."""
    yield text.replace("/", "%2f")
    yield f"{text}%5c"
    yield f"{text}#x"
    yield f"{text}%00"
    yield f"{text}ü"


_LARGEST = 10**4_299
"""Python shows no whole number of more than 4,300 digits."""


def beside(number: int | float) -> Iterator[int | float]:
    """The numbers one off, and half of one where that is a double: whole numbers may be larger than all."""
    if abs(number) < _LARGEST:
        yield from (number + 1, number - 1)
    if abs(number) <= sys.float_info.max:
        yield from (number + 0.5, number - 0.5)


def values(value: Value) -> Iterator[Any]:
    """Values of a claim, or of a part of a body, that are nearly the given one."""
    if isinstance(value, str):
        yield from texts(value)
    elif isinstance(value, bool) or value is None:
        yield from (str(value).lower(), int(bool(value)), not value)
    elif isinstance(value, int | float):
        yield from (*beside(value), -value, str(value))
        if abs(value) <= sys.float_info.max:
            yield math.nextafter(float(value), math.inf)
            yield math.nextafter(float(value), -math.inf)
    elif isinstance(value, list):
        yield from (value[:-1], [*value, "x"], value[::-1], [*value, *value])
        yield {str(at): each for at, each in enumerate(value)}
    elif isinstance(value, dict):
        yield from ({**value, "x": 1}, {name: value[name] for name in list(value)[1:]}, list(value))
    yield [value]
    yield {"a": value}


def digits(number: str) -> tuple[str, ...]:
    """Spellings of a whole number, and numbers of which a reader of doubles cannot tell it."""
    return (
        f"{number}.0",
        f"{number}e0",
        f"{number}.00000000000000000001",
        f"0{number}",
        f"-{number}",
        number * 9,
    )


def addresses(network: str) -> Iterator[str]:
    """Addresses at the edges of a network, on both sides."""
    found = ipaddress.ip_network(network, strict=False)
    first, last = int(found.network_address), int(found.broadcast_address)
    highest = (1 << found.max_prefixlen) - 1
    flipped = first ^ (1 << max(0, found.max_prefixlen - found.prefixlen - 1))
    before = first ^ (1 << min(found.max_prefixlen - 1, found.max_prefixlen - found.prefixlen))
    for number in dict.fromkeys((first, last, first - 1, last + 1, (first + last) // 2, flipped, before)):
        if 0 <= number <= highest:
            yield str(type(found.network_address)(number))
