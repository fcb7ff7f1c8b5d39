"""From what a glob says to the matchers that the library makes of it.

Which matchers it makes decides what a glob matches: parts next to each other become one, alternatives are
searched for what they have in common, and of what is left the longest matcher is looked for first.
"""

from __future__ import annotations

from collections.abc import Sequence

from palisade.rego.globs.matchers import (
    All,
    AllBut,
    Around,
    Begins,
    BeginsAndEnds,
    Either,
    Empty,
    Ends,
    Holds,
    Literal,
    Matcher,
    One,
    Row,
    Wild,
)
from palisade.rego.globs.tree import (
    MOST_DEEP,
    Choice,
    Listed,
    Mark,
    Nothing,
    Part,
    Parts,
    Ranged,
    Star,
    Stars,
    Text,
    read,
    too_large,
)


def build(glob: str, delimiters: str) -> Matcher:
    """The matcher of a glob. Raises BuiltinError for a malformed one, a fatal one for one that is nested too
    deeply or has too many parts."""
    return _Builder("".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in delimiters)).of(
        read(glob), MOST_DEEP
    )


class _Builder:
    def __init__(self, marks: str) -> None:
        self._marks = marks

    def of(self, part: Part, room: int) -> Matcher:
        match part:
            case Nothing():
                return Empty()
            case Text(text):
                return Literal(text.encode())
            case Star():
                return AllBut(self._marks) if self._marks else All()
            case Stars():
                return All()
            case Mark():
                return One(self._marks, inverted=True, is_mark=True)
            case Listed(chars, inverted):
                return One(chars, inverted) if inverted or len(chars) > 1 else Literal(chars.encode())
            case Ranged(low, high, inverted):
                return One("", inverted, (low, high))
            case Choice(items):
                return self._choice(items, room - 1)
            case Parts(items):
                return self._parts(items, room - len(items))

    def _choice(self, items: tuple[Part, ...], room: int) -> Matcher:
        shared = _with_ends_shared(items)
        if shared is not None:
            return self.of(shared, room)
        found = tuple(self.of(each, room) for each in items)
        return found[0] if len(found) == 1 else Either(found)

    def _parts(self, items: tuple[Part, ...], room: int) -> Matcher:
        if room < 0:
            raise too_large("it has too many parts")
        return _together(_glued([self.of(each, room) for each in items])) if items else Empty()


def _with_ends_shared(items: tuple[Part, ...]) -> Parts | None:
    """Alternatives with what all of them begin and end with taken out; None where there is no such thing."""
    each_parts = [each.items for each in items if isinstance(each, Parts)]
    if len(each_parts) != len(items) or len(items) < 2:
        return None
    before, behind = _shared(each_parts)
    if not before and not behind:
        return None
    shortest = min(each_parts, key=len)
    rests = dict.fromkeys(
        Parts(rest) if (rest := parts[before : len(parts) - behind]) else Nothing() for parts in each_parts
    )
    found: list[Part] = [Parts(shortest[:before])] if before else []
    if len(rests) > 1:
        found.append(Choice(tuple(rests)))
    elif Nothing() not in rests:
        found.extend(rests)
    if behind:
        found.append(Parts(shortest[len(shortest) - behind :]))
    return Parts(tuple(found))


def _shared(each_parts: Sequence[tuple[Part, ...]]) -> tuple[int, int]:
    """How many parts all have in common before and behind, as the library goes about it: inwards from both
    ends at once, where a part in the middle that counts for the beginning counts for the end no more."""
    at = min(range(len(each_parts)), key=lambda index: len(each_parts[index]))
    shortest = each_parts[at]
    others = [parts for index, parts in enumerate(each_parts) if index != at]
    before = behind = 0
    alike_before = alike_behind = True
    for first in range(len(shortest)):
        last = len(shortest) - 1 - first
        for other in others:
            alike_before = alike_before and shortest[first] == other[first]
            meets = alike_before and last <= first
            alike_behind = alike_behind and not meets and shortest[last] == other[len(other) - 1 - first]
        before += alike_before
        behind += alike_behind
        if before + behind >= len(shortest) or not (alike_before or alike_behind):
            break
    return before, behind


def _glued(matchers: list[Matcher]) -> list[Matcher]:
    """Neighbours made one, the longest such piece first, until none is left."""
    while True:
        rows = _reaches(matchers, [0 if each.length is not None else None for each in matchers])
        wilds = _reaches(matchers, [_wildness(each) for each in matchers])
        best: tuple[int, int] | None = None
        size: int | None = None
        for begin, end in enumerate(map(max, rows, wilds)):
            if end - begin < 2:
                continue
            length = None
            if rows[begin] > wilds[begin]:
                length = sum(each.length or 0 for each in matchers[begin:end])
            is_longer = length is not None and size is not None and length > size
            if best is None or is_longer or end - begin > best[1] - best[0]:
                best, size = (begin, end), length
        if best is None:
            return matchers
        begin, end = best
        piece = tuple(matchers[begin:end])
        one = Row(piece, size) if size is not None else _wild(piece)
        matchers = [*matchers[:begin], one, *matchers[end:]]


def _reaches(matchers: list[Matcher], kinds: Sequence[object]) -> list[int]:
    """For each place up to where all are of its kind; the place itself where it is of none."""
    found = [0] * len(matchers)
    for at in reversed(range(len(matchers))):
        if kinds[at] is None:
            found[at] = at
        elif at + 1 < len(matchers) and kinds[at] == kinds[at + 1]:
            found[at] = found[at + 1]
        else:
            found[at] = at + 1
    return found


def _wildness(matcher: Matcher) -> str | None:
    """What must not be in the text: of those that can become one, for which the library takes a list of
    characters and delimiters alike."""
    match matcher:
        case All():
            return ""
        case AllBut(marks):
            return marks
        case One(chars, inverted=True, bounds=None):
            return chars
    return None


def _wild(piece: tuple[Matcher, ...]) -> Matcher:
    least = sum(isinstance(each, One) for each in piece)
    marks = _wildness(piece[0]) or ""
    if not least:
        return AllBut(marks) if marks else All()
    return Wild(least, least == len(piece), marks)


def _together(matchers: Sequence[Matcher]) -> Matcher:
    """One matcher of several that cannot be glued: around the longest of a known length, the last of these;
    without any, around the first."""
    if len(matchers) == 1:
        return matchers[0]
    at, most = 0, -1
    for index, each in enumerate(matchers):
        length = each.length
        if length is not None and length >= most:
            at, most = index, length
    left = _together(matchers[:at]) if at else None
    right = _together(matchers[at + 1 :]) if at + 1 < len(matchers) else None
    return _plain(Around(matchers[at], left, right))


def _plain(around: Around) -> Matcher:
    """What is simple to ask of a text, asked simply."""
    if not isinstance(around.value, Literal):
        return around
    text = around.value.text
    match around.left, around.right:
        case All(), All():
            return Holds(text)
        case All(), None:
            return Ends(text)
        case None, All():
            return Begins(text)
        case None, Ends(end, ""):
            return BeginsAndEnds(text, end)
        case Begins(begin, ""), None:
            return BeginsAndEnds(begin, text)
        case AllBut(marks), None:
            return Ends(text, marks)
        case None, AllBut(marks):
            return Begins(text, marks)
    return around
