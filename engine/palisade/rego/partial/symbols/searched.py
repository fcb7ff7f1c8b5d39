"""What a pattern finds in a text where it can find it once at most, and texts split at what is no pattern.

`regex.find_all_string_submatch_n("^/users/([^/]+)$", path, -1)` is an array of one match, or an empty one: so
it can be counted, looped over and taken apart by `[[_, id]] := ...`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from palisade.rego.builtins.regexes import compile_pattern
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.formula import Defined, Test
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known, Symbol
from palisade.rego.partial.symbols.sets import Cases

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_PLAIN = re.compile(r"(?:[^\\.+*?()|\[\]{}^$]|\\[!-/:-@\[-`{-~]|\[[^\\^\[\]-]\])+")
"""A pattern that is a text: characters that mean themselves, as they are, escaped or alone in a class."""
_PLAIN_PART = re.compile(r"\\(.)|\[(.)\]|(.)", re.DOTALL)


def found(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`regex.find_n`"""
    return _found(run, "regex.find_n", args)


def groups_found(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`regex.find_all_string_submatch_n`"""
    return _found(run, "regex.find_all_string_submatch_n", args)


def _found(run: Members, name: str, args: Sequence[Symbol]) -> Cases | None:
    pattern, text, most = args
    if not isinstance(pattern, Known) or not isinstance(pattern.value, str):
        return None
    if not isinstance(most, Known) or type(most.value) is not int or not most.value:
        return None
    if most.value != 1 and not begins(pattern.value):
        return None
    try:
        groups = compile_pattern(pattern.value).groups
    except BuiltinError:
        return None
    first: Symbol = Apply(".", (Apply(name, tuple(args)), Known(0)))
    if name != "regex.find_n":
        first = ArrayOf(tuple(Apply(".", (first, Known(at))) for at in range(groups + 1)))
    searched = Apply("regex.match", (pattern, text))
    matches = run.builder.atom(Test(searched))
    without = run.builder.both(run.builder.atom(Defined(searched)), run.builder.negate(matches))
    return [(matches, ArrayOf((first,))), (without, Known([]))]


def begins(pattern: str) -> bool:
    """Whether a pattern surely finds nothing but at the beginning of a text."""
    if re.search(r"\\[QE]", pattern):
        return False
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "c", re.sub(r"\\.", "c", pattern))
    inside = bare.removeprefix("^")
    if inside == bare or inside.startswith(("*", "+", "?", "{")):
        return False
    while (shorter := re.sub(r"\([^()]*\)", "c", inside)) != inside:
        inside = shorter
    return "|" not in inside  # of several ways one alone may be anchored


def split(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`regex.split(",", text)` is `split(text, ",")`."""
    pattern, text = args
    if not isinstance(pattern, Known) or not isinstance(pattern.value, str) or not pattern.value.isascii():
        return None
    if not _PLAIN.fullmatch(pattern.value):
        return None
    mark = "".join("".join(filter(None, each)) for each in _PLAIN_PART.findall(pattern.value))
    pieces = Apply("split", (text, Known(mark)))
    return [(run.builder.atom(Defined(pieces)), pieces)]


SPECIAL = {
    "regex.find_all_string_submatch_n": groups_found,
    "regex.find_n": found,
    "regex.split": split,
}
