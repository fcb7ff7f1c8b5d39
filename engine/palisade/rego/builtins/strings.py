"""Strings. Positions count characters (code points), not bytes. What is looked for is looked for in the
bytes, as OPA does: `startswith("é", urlquery.decode("%C3"))` holds.

The builtins that policies call for every request look at their operands' types themselves, and leave to
`string` only what is wrong: a call more would double their cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

import re2

from palisade.rego.builtins.budget import check_parts, check_size
from palisade.rego.builtins.gofmt import sprintf as _sprintf
from palisade.rego.builtins.gofmt_verbs import Argument
from palisade.rego.builtins.operands import (
    array,
    characters,
    from_bytes,
    integer,
    joined,
    object_,
    operand_error,
    string,
    strings,
    to_bytes,
    type_error,
)
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import show, show_number
from palisade.rego.errors import BuiltinError
from palisade.rego.re2_options import QUIET
from palisade.rego.values import LONG, Set, Value, sorted_keys


def _no_string(first: Value, second: Value) -> BuiltinError:
    """The error for the first of two operands that is no string."""
    return type_error(*((2, second) if type(first) is str else (1, first)), "string")


@builtin("contains", pure=True)
def contains(haystack: Value, needle: Value) -> bool:
    if type(haystack) is str and type(needle) is str:
        return needle in haystack if needle.isascii() else to_bytes(needle) in to_bytes(haystack)
    raise _no_string(haystack, needle)


@builtin("startswith", pure=True)
def startswith(search: Value, base: Value) -> bool:
    if type(search) is str and type(base) is str:
        return search.startswith(base) if base.isascii() else to_bytes(search).startswith(to_bytes(base))
    raise _no_string(search, base)


@builtin("endswith", pure=True)
def endswith(search: Value, base: Value) -> bool:
    if type(search) is str and type(base) is str:
        return search.endswith(base) if base.isascii() else to_bytes(search).endswith(to_bytes(base))
    raise _no_string(search, base)


@builtin("strings.any_prefix_match", pure=True)
def any_prefix_match(search: Value, base: Value) -> bool:
    """Whether any of the strings starts with any of the prefixes."""
    texts, prefixes = _one_or_many(search, 1), tuple(map(to_bytes, _one_or_many(base, 2)))
    return any(to_bytes(text).startswith(prefixes) for text in texts)


@builtin("strings.any_suffix_match", pure=True)
def any_suffix_match(search: Value, base: Value) -> bool:
    """Whether any of the strings ends with any of the suffixes."""
    texts, suffixes = _one_or_many(search, 1), tuple(_one_or_many(base, 2))
    if any(characters(each) != each for each in (*texts, *suffixes)):
        raise _turned()
    return any(text.endswith(suffixes) for text in texts)


def _one_or_many(value: Value, position: int) -> list[str]:
    if type(value) is str:
        return [value]
    return strings(value, position, order=("string", "set", "array"))


@builtin("concat", pure=True)
def concat(delimiter: Value, collection: Value) -> str:
    """The strings of an array, or of a set in Rego's order, with the delimiter between them."""
    mark, parts = string(delimiter, 1), strings(collection, 2, order=("set", "array"))
    check_size(len(mark) * len(parts) + sum(map(len, parts)))
    return joined(mark.join(parts))


@builtin("indexof", pure=True)
def indexof(haystack: Value, needle: Value) -> int:
    """The position of the first match, -1 where there is none."""
    return characters(string(haystack, 1)).find(_needle(needle))


@builtin("indexof_n", pure=True)
def indexof_n(haystack: Value, needle: Value) -> list[int]:
    """The positions of all matches, overlapping ones too."""
    text, searched = characters(string(haystack, 1)), _needle(needle)
    found: list[int] = []
    at = text.find(searched)
    while at >= 0:
        found.append(at)
        at = text.find(searched, at + 1)
    return found


def _needle(value: Value) -> str:
    needle = string(value, 2)
    if not needle:
        raise BuiltinError("empty search character")
    return characters(needle)


@builtin("substring", pure=True)
def substring(value: Value, offset: Value, length: Value) -> str:
    """The part from `offset`; a negative length takes all that is left."""
    text, start, size = string(value, 1), integer(offset, 2), integer(length, 3)
    if start < 0:
        raise BuiltinError("negative offset")
    if start == 0 and size >= len(to_bytes(text)):
        return text
    text = characters(text)
    return text[start:] if size < 0 else text[start : start + size]


@builtin("strings.count", pure=True)
def strings_count(search: Value, part: Value) -> int:
    text, counted = string(search, 1), string(part, 2)
    return text.count(counted) if counted.isascii() else to_bytes(text).count(to_bytes(counted))


@builtin("strings.reverse", pure=True)
def strings_reverse(x: Value) -> str:
    text = string(x, 1)
    if characters(text) != text:
        raise _turned()
    return text[::-1]


def _turned() -> BuiltinError:
    """What OPA turns of bytes that are no UTF-8 it does not have room for: it crashes, or has others."""
    return BuiltinError("a text with bytes that are no UTF-8 has no reverse", fatal=True)


@builtin("lower", pure=True)
def lower(x: Value) -> str:
    # Go maps each character for itself; Python's special cases would make İ two characters and ς of a last Σ.
    if type(x) is str and x.isascii():
        return x.lower()
    return "".join(map(_lower, characters(string(x, 1))))


@builtin("upper", pure=True)
def upper(x: Value) -> str:
    if type(x) is str and x.isascii():
        return x.upper()
    return "".join(map(_upper, characters(string(x, 1))))


def _lower(char: str) -> str:
    mapped = char.lower()
    return mapped if len(mapped) == 1 else mapped[0]


def _upper(char: str) -> str:
    mapped = char.upper()
    return mapped if len(mapped) == 1 else char


@builtin("split", pure=True)
def split(x: Value, delimiter: Value) -> list[str]:
    """The parts between the delimiters; the characters where the delimiter is empty."""
    if type(x) is str and type(delimiter) is str and delimiter:
        if delimiter.isascii():
            return x.split(delimiter)
        return list(map(from_bytes, to_bytes(x).split(to_bytes(delimiter))))
    if type(x) is not str or type(delimiter) is not str:
        raise _no_string(x, delimiter)
    # Go finds the empty delimiter in an empty string too, and splits it into nothing.
    return list(x)


@builtin("strings.split_n", pure=True)
def split_n(x: Value, delimiter: Value, n: Value) -> list[str]:
    """The first `n` of the parts; the last where `n` is negative."""
    count = integer(n, 3)
    parts: list[str] = split(x, delimiter)
    return parts[:count] if count >= 0 else parts[count:]


@builtin("replace", pure=True)
def replace(x: Value, old: Value, new: Value) -> str:
    text, gone, put = string(x, 1), string(old, 2), string(new, 3)
    if text.isascii() and gone.isascii() and put.isascii():
        if len(put) > len(gone):
            check_size(len(text) + text.count(gone) * (len(put) - len(gone)))
        return text.replace(gone, put)
    whole, away, then = to_bytes(text), to_bytes(gone), to_bytes(put)
    if len(then) > len(away):
        check_size(len(whole) + whole.count(away) * (len(then) - len(away)))
    return from_bytes(whole.replace(away, then))


@builtin("strings.replace_n", pure=True)
def replace_n(patterns: Value, value: Value) -> str:
    """Replaces in one pass, from left to right; of patterns that match at one place the first wins.

    The empty text matches once at each place, before what else does there. Places are those of bytes.
    """
    table = object_(patterns, 1)
    text = string(value, 2)
    pairs: list[tuple[str, str]] = []
    for old in sorted_keys(table):
        if type(old) is not str:
            raise operand_error(1, "non-string key found in pattern object")
        if type(table[old]) is not str:
            raise operand_error(1, "non-string value found in pattern object")
        pairs.append((old, table[old]))
    if not pairs:
        return text
    if not (text.isascii() and all(old.isascii() and put.isascii() for old, put in pairs)):
        # Each byte as a character, in which nothing else changes.
        return from_bytes(
            _replaced([(_octets(old), _octets(put)) for old, put in pairs], _octets(text)).encode("latin-1")
        )
    return _replaced(pairs, text)


def _octets(text: str) -> str:
    return to_bytes(text).decode("latin-1")


def _replaced(pairs: Sequence[tuple[str, str]], text: str) -> str:
    new = dict(pairs)
    places = 2 * len(text) + 1 if "" in new else len(text)
    check_size(places * max(1, *map(len, new.values())))
    between = new.pop("", None)
    parts = _alternatives(tuple(new)).split(text) if new else [text]
    if between is None:
        return "".join(new[part] if index % 2 else part for index, part in enumerate(parts))
    # The odd parts are what matched; of the others each character is a place of its own.
    steps = (step for index, part in enumerate(parts) for step in ([new[part]] if index % 2 else part))
    return between + "".join(step + between for step in steps)


@lru_cache(maxsize=256)
def _alternatives(words: tuple[str, ...]) -> re2._Regexp:
    try:
        return re2.compile(f"({'|'.join(map(re2.escape, words))})", QUIET)
    except re2.error as error:
        # A budget as others: what else would replace so many takes as long as their number.
        raise BuiltinError(f"{len(words)} texts to replace are too many", fatal=True) from error


_NO_TEXT = "".join(map(chr, range(0xDC80, 0xDD00)))
"""The bytes that are no UTF-8, all of which are U+FFFD among characters to cut off."""


@builtin("trim", pure=True)
def trim(value: Value, cutset: Value) -> str:
    return _cut(string(value, 1), string(cutset, 2), left=True, right=True)


@builtin("trim_left", pure=True)
def trim_left(value: Value, cutset: Value) -> str:
    return _cut(string(value, 1), string(cutset, 2), left=True, right=False)


@builtin("trim_right", pure=True)
def trim_right(value: Value, cutset: Value) -> str:
    return _cut(string(value, 1), string(cutset, 2), left=False, right=True)


def _cut(text: str, cutset: str, *, left: bool, right: bool) -> str:
    if not cutset:
        return text
    cutset = characters(cutset)
    if "\ufffd" in cutset:
        cutset += _NO_TEXT
    text = text.lstrip(cutset) if left else text
    return text.rstrip(cutset) if right else text


@builtin("trim_prefix", pure=True)
def trim_prefix(value: Value, prefix: Value) -> str:
    text, gone = string(value, 1), string(prefix, 2)
    if gone.isascii():
        return text.removeprefix(gone)
    return from_bytes(to_bytes(text).removeprefix(to_bytes(gone)))


@builtin("trim_suffix", pure=True)
def trim_suffix(value: Value, suffix: Value) -> str:
    text, gone = string(value, 1), string(suffix, 2)
    if gone.isascii():
        return text.removesuffix(gone)
    return from_bytes(to_bytes(text).removesuffix(to_bytes(gone)))


# Unicode's White_Space. Python's own notion has the separators U+001C to U+001F besides.
_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


@builtin("trim_space", pure=True)
def trim_space(value: Value) -> str:
    return string(value, 1).strip(_SPACE)


@builtin("sprintf", pure=True)
def sprintf(template: Value, values: Value) -> str:
    """Go's `fmt.Sprintf`; what is neither number nor string stands as its Rego text."""
    form, arguments = string(template, 1), [_argument(value) for value in array(values, 2)]
    # Each is written once, or more often where a verb names its number.
    check_size(
        len(form) + sum(len(each) for each in arguments if type(each) is str) * max(1, form.count("["))
    )
    return joined(_sprintf(form, arguments))


def _argument(value: Value) -> Argument:
    kind = type(value)
    if kind is str or kind is int or kind is float:
        return value  # type: ignore[no-any-return]  # just checked
    if kind is Decimal:
        _check_written(value)
        nearest = float(value)
        return nearest if abs(nearest) != float("inf") else show_number(value)
    check_parts(value)
    return show(value)


@builtin("internal.template_string", pure=True)
def template_string(parts: Value) -> str:
    """What the compiler makes of `$"..."`: an expression is the set of its values, empty where undefined."""
    texts = list(map(_part, array(parts, 1)))
    check_size(sum(map(len, texts)))
    return joined("".join(texts))


def _part(part: Value) -> str:
    if type(part) is str:
        return part
    if type(part) is Set:
        if len(part) > 1:
            raise BuiltinError(
                "template-strings must not produce multiple outputs", "eval_conflict_error", fatal=True
            )
        part = next(iter(part), None) if len(part) else "<undefined>"
        check_parts(part)
        if type(part) is Decimal:
            _check_written(part)
        return part if type(part) is str else show(part)
    if type(part) is list or type(part) is dict:
        raise type_error(1, part, "set")
    return show(part)


def _check_written(value: Decimal) -> None:
    """OPA's text of `to_number("1_0")` is `1_0`, and not 10. It is not kept."""
    if value == value.to_integral_value() and value.adjusted() < LONG:
        raise BuiltinError("a number is written otherwise than in digits, which is not kept", fatal=True)
