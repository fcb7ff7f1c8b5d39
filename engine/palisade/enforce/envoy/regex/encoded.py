"""RE2 expressions for what Base64 stands for, so that the user of HTTP Basic is known without decoding it.

A text in ASCII has one *plain* encoding: padded, its unused bits zero, and of letters and digits alone, which
both alphabets share. What other encodings stand for only the engine says.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from palisade.enforce.envoy.regex import patterns

_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits
ASCII = frozenset(range(128))

Bytes = frozenset[int]
"""What a byte of the text may be."""

CANDIDATE = "[A-Za-z0-9+/=_-]*"
"""What any encoding consists of: the engine decodes nothing else."""


def other_than(mark: str) -> Bytes:
    """All of ASCII but one character."""
    return ASCII - {ord(mark)}


def anything(each: Bytes = ASCII) -> str:
    """The plain encodings of texts of such characters, the empty one too."""
    return f"{_whole(each, each, each)}*{_ends(each)}"


def beginning(text: str, each: Bytes = ASCII) -> str:
    """The plain encodings of the text, which is ASCII, with such characters behind it."""
    known = [frozenset((byte,)) for byte in text.encode("ascii")]
    full = len(known) // 3 * 3
    before = "".join(_whole(*known[at : at + 3]) for at in range(0, full, 3))
    return before + _mixed(known[full:], each)


def equal(text: str) -> str:
    """The plain encoding of the text, which is ASCII."""
    known = [frozenset((byte,)) for byte in text.encode("ascii")]
    full = len(known) // 3 * 3
    return "".join(_whole(*known[at : at + 3]) for at in range(0, full, 3)) + _end(known[full:])


def once(mark: str) -> str:
    """The plain encodings of texts in which the character stands once."""
    other, only = other_than(mark), frozenset((ord(mark),))
    ways = [_mixed([*[other] * at, only], other) for at in range(3)]
    return f"{_whole(other, other, other)}*(?:{'|'.join(ways)})"


def _mixed(known: Sequence[Bytes], each: Bytes) -> str:
    """Up to three bytes that are known, and then any number of others."""
    if not known:
        return anything(each)
    rest = 3 - len(known)
    ways = [f"{_whole(*known, *[each] * rest)}{anything(each)}"]
    ways += [_end([*known, *[each] * more]) for more in range(rest)]
    return f"(?:{'|'.join(ways)})"


def _ends(each: Bytes) -> str:
    return f"(?:{_end([each])}|{_end([each, each])})?"


def _end(known: Sequence[Bytes]) -> str:
    """The last one or two bytes, with their padding."""
    if not known:
        return ""
    return _group(tuple(known)) + "=" * (3 - len(known))


def _whole(first: Bytes, second: Bytes, third: Bytes) -> str:
    return _group((first, second, third))


@lru_cache(4096)
def _group(known: tuple[Bytes, ...]) -> str:
    """The characters of up to three bytes, six bits each: with the bits that one leaves of a byte the next
    begins, so what that may be depends on it."""
    return f"(?:{_characters(known, frozenset((0,)), 0)})"


def _characters(known: Sequence[Bytes], carried: Collection[int], bits: int) -> str:
    """An expression for what follows where `bits` bits, any of the `carried`, are left of what was before."""
    if not known and not bits:
        return ""
    if bits == 6:
        return _class(carried) + _characters(known, (0,), 0)
    if not known:
        return _class(left << (6 - bits) for left in carried)
    # The character is made of what is carried and of the first bits of the next byte.
    taken = 6 - bits
    behind = 8 - taken
    by_character: dict[int, set[int]] = {}
    for left in carried:
        for byte in known[0]:
            code = (left << taken) | (byte >> behind)
            by_character.setdefault(code, set()).add(byte & ((1 << behind) - 1))
    by_rest: dict[frozenset[int], list[int]] = {}
    for code, rest in by_character.items():
        by_rest.setdefault(frozenset(rest), []).append(code)
    ways = []
    for left_over, codes in sorted(by_rest.items(), key=lambda item: min(item[1])):
        following = _characters(known[1:], left_over, behind)
        ways.append(_class(codes) + following)
    return _either(ways)


def _either(ways: Iterable[str]) -> str:
    found = list(ways)
    return found[0] if len(found) == 1 else f"(?:{'|'.join(found)})"


def _class(codes: Iterable[int]) -> str:
    """One character of these codes; none at all where none is a letter or a digit."""
    chars = sorted({_ALPHABET[code] for code in codes if code < len(_ALPHABET)})
    if not chars:
        return patterns.NOTHING
    return chars[0] if len(chars) == 1 else f"[{''.join(chars)}]"
