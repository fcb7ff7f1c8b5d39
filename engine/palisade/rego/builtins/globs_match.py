"""Whether two globs of `regex.globs_match` have a string in common.

A glob is a row of characters, `.` for any character and `[a-z]` for one of some, each alone or with `*` or
`+` behind it; a backslash takes the next character as it is. Both globs are walked at once, as automata
that advance on the same character: the globs meet where both can end.
"""

from __future__ import annotations

from dataclasses import dataclass

from palisade.rego.errors import BuiltinError

_LAST = 0x10FFFF


@dataclass(frozen=True, slots=True)
class _Token:
    """Ranges of code points, first and last; `optional` and `repeated` are what `*` and `+` allow."""

    ranges: tuple[tuple[int, int], ...]
    optional: bool = False
    repeated: bool = False

    def meets(self, other: _Token) -> bool:
        return any(
            low <= other_high and other_low <= high
            for low, high in self.ranges
            for other_low, other_high in other.ranges
        )


def intersects(first: str, second: str) -> bool:
    """Whether both match one string that is not empty, or both are empty. BuiltinError for a bad glob."""
    left, right = _tokenize(first), _tokenize(second)
    if not left and not right:
        return True
    seen: set[tuple[int, int]] = set()
    frontier = [(i, j) for i in _skip(left, 0) for j in _skip(right, 0)]
    while frontier:
        i, j = frontier.pop()
        if i == len(left) or j == len(right) or (i, j) in seen:
            continue
        seen.add((i, j))
        if not left[i].meets(right[j]):
            continue
        for after_i in _after(left, i):
            for after_j in _after(right, j):
                if after_i == len(left) and after_j == len(right):
                    return True
                frontier.append((after_i, after_j))
    return False


def _skip(tokens: list[_Token], at: int) -> list[int]:
    """Where one may stand without having read a character: behind tokens that may be left out."""
    places = [at]
    while at < len(tokens) and tokens[at].optional:
        at += 1
        places.append(at)
    return places


def _after(tokens: list[_Token], at: int) -> list[int]:
    """Where one may stand after the token at `at` has read a character."""
    behind = _skip(tokens, at + 1)
    return [at, *behind] if tokens[at].repeated else behind


def _tokenize(glob: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    flagged = True  # nothing stands there that a flag could belong to
    while at < len(glob):
        char, escaped, at = _character(glob, at)
        if not escaped and char in "*+":
            if flagged:
                raise _invalid(glob, at, f"flag '{char}' must be preceded by a non-flag")
            tokens[-1] = _Token(tokens[-1].ranges, optional=char == "*", repeated=True)
            flagged = True
            continue
        flagged = False
        if escaped or char not in ".[]":
            tokens.append(_Token(((ord(char), ord(char)),)))
        elif char == ".":
            tokens.append(_Token(((0, _LAST),)))
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
            return _Token(tuple(ranges)), at
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
