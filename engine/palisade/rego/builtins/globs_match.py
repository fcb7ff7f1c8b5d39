"""Whether two globs of `regex.globs_match` have a string in common, as OPA finds it.

A glob is a row of characters, `.` for any character and `[a-z]` for one of some, each alone or with `*` or
`+` behind it; a backslash takes the next character as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError

_Ranges: TypeAlias = tuple[tuple[int, int], ...]

_ANY = ((0, 0x10FFFF),)
"""What `.` is: it meets a set of nothing, too."""


@dataclass(frozen=True, slots=True)
class _Token:
    """Ranges of code points, first and last; `optional` and `repeated` are what `*` and `+` allow."""

    ranges: _Ranges
    optional: bool = False
    repeated: bool = False

    is_set: bool = False

    def same_as(self, other: _Token) -> bool:
        """Whether both take the same characters, and are written in the same way."""
        return self.is_set is other.is_set and _joined(self.ranges) == _joined(other.ranges)

    def meets(self, other: _Token) -> bool:
        if any(each.ranges == _ANY and not each.is_set for each in (self, other)):
            return True
        return any(
            low <= other_high and other_low <= high
            for low, high in self.ranges
            for other_low, other_high in other.ranges
        )


def _merged(tokens: list[_Token]) -> list[_Token]:
    """Tokens with flags made one where the library holds them for the same: it takes `a+a+` for `a+`."""
    found: list[_Token] = []
    for token in tokens:
        last = found[-1] if found else None
        if last and last.repeated and token.repeated and last.same_as(token):
            found[-1] = replace(last, optional=last.optional and token.optional)
        else:
            found.append(token)
    return found


_MOST_STEPS = 1_000_000
_MOST_FLAGS = 100
"""Tokens with `*` or `+` in both globs together: each may look for its end in one call more."""


def _joined(ranges: _Ranges) -> list[tuple[int, int]]:
    """The ranges in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def intersects(first: str, second: str) -> bool:
    """Whether OPA finds that the globs meet. Raises BuiltinError for a bad glob, a fatal one where to find
    out would take too long."""
    left, right = _merged(_tokenize(first)), _merged(_tokenize(second))
    if sum(token.repeated for token in (*left, *right)) > _MOST_FLAGS:
        raise _too_long()
    return _Meeting(left, right).found()


class _Meeting:
    """The search of OPA's library, https://github.com/yashtewari/glob-intersection, with its answers kept.

    A token with a flag takes as much of the other glob as it can, where a token with a flag counts for one.
    Nothing is found where one glob ends before the other, whatever that has left: `/a/.*` does not meet
    `/a/`, nor `a*b*` an `a`. What is found may depend on which glob is the first.
    """

    def __init__(self, left: list[_Token], right: list[_Token]) -> None:
        self._globs = left, right
        self._known: dict[tuple[int, int, int], bool] = {}
        self._steps = _MOST_STEPS

    def found(self) -> bool:
        left, right = self._globs
        begin = 0
        while begin < min(len(left), len(right)) and self._is_plain(left[begin], right[begin]):
            if not self._meets(left[begin], right[begin]):
                return False
            begin += 1
        begin = max(begin - 1, 0)
        behind = 0
        while behind < min(len(left), len(right)) - begin:
            one, other = left[-1 - behind], right[-1 - behind]
            if not self._is_plain(one, other):
                break
            if not self._meets(one, other):
                return False
            behind += 1
        behind = max(behind - 1, 0)
        self._globs = left[begin : len(left) - behind], right[begin : len(right) - behind]
        return self._from(0, 0, 0)

    @staticmethod
    def _is_plain(one: _Token, other: _Token) -> bool:
        return not one.repeated and not other.repeated

    def _meets(self, one: _Token, other: _Token) -> bool:
        self._steps -= 1
        if self._steps < 0:
            raise _too_long()
        return one.meets(other)

    def _from(self, which: int, at: int, other_at: int) -> bool:
        """Whether what is left of a glob, the first or the second, meets what is left of the other."""
        one, other = self._globs[which], self._globs[1 - which]
        while at < len(one) and other_at < len(other):
            if one[at].repeated:
                return self._flagged(which, at, other_at)
            if other[other_at].repeated:
                return self._flagged(1 - which, other_at, at)
            if not self._meets(one[at], other[other_at]):
                return False
            at += 1
            other_at += 1
        return at == len(one) and other_at == len(other)

    def _flagged(self, which: int, at: int, other_at: int) -> bool:
        """The same where what is left of the glob begins with a token that has a flag."""
        one, other = self._globs[which][at], self._globs[1 - which][other_at]
        if one.optional:
            return self._starred(which, at, other_at)
        if not self._meets(one, other):
            return False
        if self._starred(which, at, other_at + 1):
            return True
        return other.repeated and self._from(which, at + 1, other_at)

    def _starred(self, which: int, at: int, other_at: int) -> bool:
        key = which, at, other_at
        if key not in self._known:
            self._known[key] = self._taking(which, at, other_at)
        return self._known[key]

    def _taking(self, which: int, at: int, other_at: int) -> bool:
        one, other = self._globs[which], self._globs[1 - which]
        following = one[at + 1] if at + 1 < len(one) else None
        for place in range(other_at, len(other)):
            token = other[place]
            if following and self._meets(token, following) and self._from(which, at + 1, place):
                return True
            if not self._meets(token, one[at]):
                return False
        return following is None


def _too_long() -> BuiltinError:
    return BuiltinError("the globs are too large to be compared", EVAL_CANCEL_ERROR, fatal=True)


def _tokenize(glob: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    flagged = True  # nothing stands there that a flag could belong to
    while at < len(glob):
        char, escaped, at = _character(glob, at)
        if not escaped and char in "*+":
            if flagged:
                raise _invalid(glob, at, f"flag '{char}' must be preceded by a non-flag")
            tokens[-1] = replace(tokens[-1], optional=char == "*", repeated=True)
            flagged = True
            continue
        flagged = False
        if escaped or char not in ".[]":
            tokens.append(_Token(((ord(char), ord(char)),)))
        elif char == ".":
            tokens.append(_Token(_ANY))
        elif char == "]":
            raise _invalid(glob, at, "set-close ']' with no preceding '['")
        else:
            token, at = _set(glob, at)
            tokens.append(token)
    return tokens


def _set(glob: str, at: int) -> tuple[_Token, int]:
    ranges: list[tuple[int, int]] = []
    previous: int | None = None
    while at < len(glob):
        char, escaped, at = _character(glob, at)
        if not escaped and char == "]":
            return _Token(tuple(ranges), is_set=True), at
        if escaped or char != "-":
            previous = ord(char)
            ranges.append((previous, previous))
            continue
        if previous is None:
            raise _invalid(glob, at, "range character '-' must be preceded by a Unicode character")
        if at >= len(glob) - 1:
            raise _invalid(glob, at, "range character '-' must be followed by a Unicode character")
        char, escaped, at = _character(glob, at)
        if not escaped and char in "]-":
            raise _invalid(glob, at, "range character '-' cannot be followed by a special symbol")
        if ord(char) < previous:
            raise _invalid(
                glob, at, f"range is out of order: '{char}' comes before '{chr(previous)}' in Unicode"
            )
        ranges.append((previous, ord(char)))
        previous = None
    raise _invalid(glob, at, "found [ without matching ]")


def _character(glob: str, at: int) -> tuple[str, bool, int]:
    """The character, whether it was escaped, and the place behind it."""
    if glob[at] != "\\":
        return glob[at], False, at + 1
    if at + 1 == len(glob):
        raise _invalid(glob, at, "input ends with a \\ (escape) character")
    return glob[at + 1], True, at + 2


def _invalid(glob: str, at: int, what: str) -> BuiltinError:
    return BuiltinError(f"input:{glob}, pos:{at}, {what}: the input provided is invalid")
