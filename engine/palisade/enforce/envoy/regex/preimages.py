"""Which texts `replace` turns into a constant, as a pattern: `replace(path, "/v1", "") == "/orders"`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from palisade.enforce.envoy.regex import patterns

MOST_STATES = 400
LONGEST = 8_000
"""Characters of one pattern: of longer ones the engine decides."""

_END = (-1, -1)
_OTHER = "other"
"""In the place of a character that neither text has."""
_State = tuple[int, int]
"""So many characters of the constant are written, and so many of what is replaced are read and wait."""


def preimage(old: str, new: str, wanted: str, *, prefix: bool = False, fold: str = "") -> str | None:
    """The pattern of the texts which, with each `old` replaced from the left, are the wanted one, or with
    `prefix` begin so. None where there is none of a sensible length. All are of ASCII, `old` is not empty.

    With a `fold`, `lower` or `upper`, the letters of a text are made such before.
    """
    if not old or not (old + new + wanted).isascii() or (len(wanted) + 1) * len(old) > MOST_STATES:
        return None
    steps = _steps(old, new, wanted, prefix=prefix)
    edges: dict[_State, dict[_State, str]] = {}
    letters = _unfolded(fold, {*old, *wanted})
    known = patterns.in_class(sorted(set("".join(letters.values()))))
    other = f"[^{known}]" if known else "(?s:.)"
    for state, following in steps.items():
        row = edges.setdefault(state, {})
        for char, to in following.items():
            if char in ("", _OTHER):
                row[to] = _either(row.get(to), char and other)
            for letter in letters.get(char, ""):
                row[to] = _either(row.get(to), patterns.quote(letter))
    if prefix:
        # What follows the beginning is any text.
        whole = (len(wanted), 0)
        for row in edges.values():
            if whole in row:
                row[_END] = _either(row.get(_END), f"{_grouped(row.pop(whole))}.*")
        if not wanted:
            return "(?s).*"
        edges.pop(whole, None)
    found = _eliminated(edges)
    return None if found is None else f"(?s){found}"


def stripped(removed: str, wanted: str, *, prefix: bool = False, fold: str = "") -> str | None:
    """The pattern of the texts which, without any of some characters, are the wanted one, or with `prefix`
    begin so. None where there is none of a sensible length. All are of ASCII; the `fold` makes letters such
    before."""
    if not (removed + wanted).isascii():
        return None
    letters = _unfolded(fold, {*removed, *wanted})
    if {*removed} & {*wanted} or not all(letters.values()):
        return patterns.NOTHING
    other = f"[{_class_of(letters[each] for each in removed)}]*"
    found = other + "".join(f"[{_class_of(letters[each])}]{other}" for each in wanted)
    return f"(?s){found}{'.*' if prefix else ''}" if len(found) <= LONGEST else None


def _class_of(letters: Iterable[str]) -> str:
    return patterns.in_class(sorted("".join(letters)))


def _unfolded(fold: str, characters: set[str]) -> Mapping[str, str]:
    """What becomes each of the characters, of ASCII."""
    if not fold:
        return {each: each for each in characters}
    change = str.lower if fold == "lower" else str.upper
    ascii_ = [*map(chr, range(128))]
    return {each: "".join(one for one in ascii_ if change(one) == each) for each in characters}


def _steps(old: str, new: str, wanted: str, *, prefix: bool) -> Mapping[_State, Mapping[str, _State]]:
    """Where each character leads from each state, and under "" whether a text may end there."""
    failing = _failing(old)

    def written(at: int, text: str) -> int | None:
        for char in text:
            if prefix and at == len(wanted):
                break
            if at == len(wanted) or wanted[at] != char:
                return None
            at += 1
        return at

    found: dict[_State, dict[str, _State]] = {}
    pending: list[_State] = [(0, 0)]
    while pending:
        state = pending.pop()
        if state in found:
            continue
        row = found[state] = {}
        at, read = state
        if written(at, old[:read]) == len(wanted):
            row[""] = _END
            if prefix:
                row[_OTHER] = len(wanted), 0
        for char in sorted({*old, *wanted}):
            now, out = read, ""
            while now and old[now] != char:
                out += old[: now - failing[now]]
                now = failing[now]
            if old[now] == char:
                now += 1
            else:
                out += char
            if now == len(old):
                now, out = 0, out + new
            then = written(at, out)
            if then is None:
                continue
            following = (then, 0 if prefix and then == len(wanted) else now)
            row[char] = following
            pending.append(following)
    return found


def _failing(old: str) -> list[int]:
    """For each length of a beginning, how much of its end begins the text too."""
    found = [0, 0]
    for at in range(1, len(old)):
        length = found[at]
        while length and old[length] != old[at]:
            length = found[length]
        found.append(length + 1 if old[length] == old[at] else 0)
    return found


def anchored(pattern: str, replacement: str) -> tuple[str, str, str] | None:
    """What a pattern with an anchor is searched by, and the pattern and the form by which a text with it is
    written anew: `regex.replace(path, "^/v[0-9]+", "")`. None for others.

    Such a pattern is found once. What stands behind it, or before it, is taken as that search leaves it.
    """
    inner = pattern.removeprefix("^").removesuffix("$")
    plain = inner.replace("[^", "[").replace("(?:", "(")
    plain = re.sub(r"\\[.?/dw-]", "", plain)
    if not pattern.isascii() or any(each in plain for each in ("|", "^", "$", "(?", "\\")):
        return None
    if "$" in replacement or "\\" in replacement or not replacement.isascii():
        return None
    group = patterns.groups(pattern) + 1
    if group > 9:
        return None  # a form names a group by one digit: what follows is a text of its own
    if pattern.startswith("^") and group > 0:
        return f"^(?:{pattern[1:]})", f"^(?:{pattern[1:]})((?s:.*))$", f"{replacement}\\{group}"
    if pattern.endswith("$") and group > 0:
        return pattern, f"^((?s:.*?))(?:{pattern})", f"\\1{replacement}"
    return None


def _either(one: str | None, other: str) -> str:
    return other if one is None else f"{one}|{other}"


def _grouped(pattern: str) -> str:
    return f"(?:{pattern})" if "|" in pattern else pattern


def _eliminated(edges: dict[_State, dict[_State, str]]) -> str | None:
    """The pattern of all ways from the first state to the end; None where it is long.

    States go one by one, the last first, and each way through one becomes an edge.
    """
    for state in sorted(edges, reverse=True):
        row = edges.pop(state)
        loop = row.pop(state, None)
        around = "" if loop is None else f"(?:{loop})*"
        if state == (0, 0):
            return f"{around}{_grouped(row[_END])}" if _END in row else patterns.NOTHING
        for other in edges.values():
            into = other.pop(state, None)
            if into is None:
                continue
            for to, out in row.items():
                other[to] = _either(other.get(to), f"{_grouped(into)}{around}{_grouped(out)}")
                if len(other[to]) > LONGEST:
                    return None
    return patterns.NOTHING
