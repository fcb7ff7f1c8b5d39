"""Marks of several characters at which texts are split, as `://`, `/ns/` and `::`.

The next mark is the first that is found behind the one before. Of `a:::b`, split at `::`, the pieces are `a`
and `:b`: a mark that can begin within itself parts a text from the left.
"""

from __future__ import annotations

from functools import cached_property

from palisade.enforce.envoy.regex import patterns

MOST = 64
"""Characters of a mark: an expression of what stands before it has as many levels, of which RE2 takes a
thousand in all, and Python no more."""


def is_mark(text: str) -> bool:
    """Whether pieces at it can be told: it is ASCII, there, and not too long."""
    return text.isascii() and 0 < len(text) <= MOST


class Mark:
    """A mark of which `is_mark` holds."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def overlaps(self) -> bool:
        """Whether a text can hold two of them that share characters."""
        return any(self.text.startswith(self.text[-size:]) for size in range(1, len(self.text)))

    def at_least(self, count: int) -> str:
        """An expression of the texts that it splits into so many pieces, or more."""
        return f"(?s)(?:.*{patterns.quote(self.text)}){{{count - 1}}}.*" if count > 1 else "(?s).*"

    def free(self, without: str = "", *, closed: bool = False) -> str:
        """An expression of the texts that do not have it, nor any of the characters of a class. With `closed`
        a mark may stand behind each, of which nothing is found before: `a`, but not `a:`, before `::`."""
        return self._from(0, self._back(without), without, closed) or ""

    def free_behind(self, text: str, *, closed: bool = False) -> str:
        """An expression of what may stand behind a text that is free of it, so that both together are."""
        return self._behind(self.read(text), self._back(""), closed)

    def read(self, text: str) -> int:
        """How many characters of it a text ends with that is free of it."""
        return next(size for size in range(len(self.text) - 1, -1, -1) if text.endswith(self.text[:size]))

    def _behind(self, state: int, back: list[dict[int, str]], closed: bool) -> str:
        further = self._from(state, back, "", closed)
        loop = f"(?:{back[state][state]})*" if state and state in back[state] else ""
        ways = [] if further is None else [further]
        lower = [(target, way) for target, way in back[state].items() if target < state]
        ways += [f"{loop}{way}{self._behind(target, back, closed)}" for target, way in lower]
        return f"(?:{'|'.join(ways)})"

    def is_free(self, text: str, *, closed: bool = False) -> bool:
        """Whether a text is one of those."""
        whole = text + self.text if closed else text
        return whole.find(self.text) == (len(text) if closed else -1)

    @property
    def before(self) -> str:
        """An expression of what stands before a piece: nothing, or whatever ends with a mark."""
        sign = patterns.quote(self.text)
        return f"(?:{self.free(closed=True)}{sign})*" if self.overlaps else f"(?:.*{sign})?"

    def _from(self, state: int, back: list[dict[int, str]], without: str, closed: bool) -> str | None:
        """What may follow where the last characters are the first `state` of the mark; None for nothing."""
        found = f"(?:{loop})*" if (loop := back[state].get(state)) else ""
        more = None
        if state + 1 < len(self.text) and self._may(state, without):
            more = self._from(state + 1, back, without, closed)
        rest = None if more is None else f"(?:{patterns.quote(self.text[state])}{more})"
        if not closed or self.is_free(self.text[:state], closed=True):
            return f"{found}{rest}?" if rest else found
        return f"{found}{rest}" if rest else None

    def _back(self, without: str) -> list[dict[int, str]]:
        """By how many characters of the mark were read: what leads back to fewer, or to as many, without
        ever having been fewer before."""
        found: list[dict[int, str]] = [{} for _ in self.text]
        for state in reversed(range(len(self.text))):
            ways: dict[int, list[str]] = {}
            known = sorted({*self.text})
            for char in known:
                following = self._after(state, char)
                if following <= state and following and char not in without:
                    ways.setdefault(following, []).append(patterns.quote(char))
            forward = [char for char in known if self._after(state, char)]
            other = patterns.in_class(forward) + patterns.in_class(without)
            ways.setdefault(0, []).append(f"[^{other}]")
            if state + 1 < len(self.text) and self._may(state, without):
                inner = found[state + 1]
                again = f"(?:{inner[state + 1]})*" if state + 1 in inner else ""
                for target, way in inner.items():
                    if target <= state:
                        ways.setdefault(target, []).append(f"{patterns.quote(self.text[state])}{again}{way}")
            found[state] = {target: _either(each) for target, each in ways.items()}
        return found

    def _may(self, state: int, without: str) -> bool:
        return self.text[state] not in without

    def _after(self, state: int, char: str) -> int:
        """How many characters of the mark are read with one more."""
        read = self.text[:state] + char
        return next(size for size in range(state + 1, -1, -1) if read.endswith(self.text[:size]))


def _either(ways: list[str]) -> str:
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"
