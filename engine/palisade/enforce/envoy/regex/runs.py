"""Which texts `regex.replace` turns into a constant where it replaces runs of characters, as a pattern:
`regex.replace(path, "/[0-9]+", "/:id") == "/orders/:id"` is `/orders/[0-9]+`, or that text itself.

What is replaced is a constant, maybe an empty one, and behind it a run of characters that it does not have,
as long as it goes. So a text is taken apart in one way, and it is one of those where what is left between the
runs has none itself, and does not go on with what the run before it would have taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from palisade.enforce.envoy.regex import patterns
from palisade.rego.builtins.regexes import compile_pattern
from palisade.rego.errors import BuiltinError

_RUN = re.compile(
    r"(?P<mark>(?:\w|[-/:;,=~@!#% ]|\\[./?])*)(?P<kind>\\[dw]|\[(?:[^\]\[^\\]|\\[dw./-])+\])\+", re.ASCII
)
MOST = 5
"""So many times the text that is put in may stand in the constant: each may have been there before."""


@lru_cache(maxsize=1024)
def _run(pattern: str) -> tuple[str, str, frozenset[str]] | None:
    """The text before a run, or none, the class of characters in it, and these; None for other patterns."""
    found = _RUN.fullmatch(pattern)
    if found is None:
        return None
    mark, kind = found["mark"].replace("\\", ""), found["kind"]
    try:
        one = compile_pattern(kind)
    except BuiltinError:
        return None
    members = frozenset(char for char in map(chr, range(128)) if one.fullmatch(char.encode()))
    return None if members & {*mark} or not kind.isascii() else (mark, kind, members)


def is_run(pattern: str, new: str) -> bool:
    """Whether the pattern is one of a run, and what is put in its place a constant."""
    plain = new and new.isascii() and not {*"$\\"} & {*new}
    return bool(plain) and pattern.isascii() and _run(pattern) is not None


def replaced_runs(pattern: str, new: str, wanted: str) -> str | None:
    """The pattern of the texts which, with each run replaced, are the wanted one. None where it is not
    known."""
    found = _run(pattern)
    if found is None or not is_run(pattern, new) or not wanted.isascii() or wanted.count(new) > MOST:
        return None
    mark, kind, members = found
    run = f"{patterns.quote(mark)}{kind}+"
    has_run = re.compile(f"{re.escape(mark)}[{re.escape(''.join(sorted(members)))}]")
    ways = []
    for pieces in _apart(wanted, new):
        ends = all(piece[0] not in members for piece in pieces[1:] if piece)
        apart = mark or all(pieces[1:-1])  # else two runs would be one
        if ends and apart and not any(map(has_run.search, pieces)):
            ways.append(run.join(map(patterns.quote, pieces)))
    return "|".join(ways) if ways else patterns.NOTHING


def _apart(text: str, new: str) -> Iterator[list[str]]:
    """What stands around some of the places of `new` in the text, for each choice of these."""
    yield [text]
    at = text.find(new)
    while at >= 0:
        for others in _apart(text[at + len(new) :], new):
            yield [text[:at], *others]
        at = text.find(new, at + 1)
