"""The members of a claim joined to one text, `concat(",", claims.roles)`, as headers of answers have them.

No filter of Envoy's joins texts but a script's. That a claim is an array of plain texts is known before: the
attributes' filter lays it down as JSON, which an expression matches. That one of them is picked, where not
all are, is a condition as rules have them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal, TypeAlias

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, text_check
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.picks import Picks, picks_of, some_picked
from palisade.enforce.envoy.values.sources import ClaimSource, FieldSource, Source
from palisade.enforce.envoy.values.written import json_text
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.partial.formulas.terms import Apply, Gathered, Input, Known, Part, Symbol
from palisade.rego.records import record

PLAIN_MEMBER = '"' + r"[ !#-%'-;=?-\[\]-~]+" + '"'
"""A member that stands in JSON as it is, not empty, and that a header may hold."""


Way: TypeAlias = Literal["in_turn", "sorted", "once"]
"""In which order members are joined: in turn, `sorted`, or each `once` and sorted."""


@record()
class Joining:
    """All members of `whole`, or those that are picked, with `glue` between them. Those that a loop finds are
    a `part`: none where it is no collection."""

    whole: Symbol
    glue: str
    way: Way
    part: Part | None = None
    picks: Picks = Picks()

    @property
    def some(self) -> Formula | None:
        """Where not all members are picked, that there is a text to join."""
        return None if self.part is None or self.picks.all else some_picked(self.part, self.picks)


@record()
class Join:
    """The members of a claim, or those that are picked, with `glue` between them."""

    claim: ClaimSource
    glue: str
    way: Way
    picks: Picks = Picks()

    @property
    def name(self) -> str:
        """What the script calls the text."""
        said = self.claim.path, self.glue, self.way, self.picks.asked, self.picks.steps
        return f"j{hashlib.sha256(repr(said).encode()).hexdigest()[:12]}"

    @property
    def plain(self) -> Predicate:
        """The claim is an array of such members, and has one."""
        listed = text_check(
            json_text(self.claim.path), patterns.regex(rf"\[{PLAIN_MEMBER}(?:,{PLAIN_MEMBER})*\]")
        )
        return all_of((cel.check(cel.has_type(self.claim.expr, "list")), listed))


def joining_of(symbol: Symbol) -> Joining | None:
    """How a text joins all members of a collection; None for other texts."""
    match symbol:
        case Apply("concat", (Known(str(glue)), members)) if glue.isascii() and glue.isprintable():
            pass
        case _:
            return None
    match members:
        case Gathered(kind, (part,), True, True):
            return _of_loop(part, str(glue), "once" if kind == "set" else "in_turn")
        case Apply("sort", (Gathered("array", (part,), _, False),)):
            listed = _of_loop(part, str(glue), "once")
            # Of two members of a set that is listed the same text may be made, which stands there twice then.
            made = listed is not None and any(name != "around" for name, *_ in listed.picks.steps)
            return None if made else listed
        case Apply("sort", (Gathered(kind, (part,)),)):
            return _of_loop(part, str(glue), "sorted" if kind == "array" else "once")
        case Apply("sort", (whole,)):
            return Joining(whole, glue, "sorted")
    return Joining(members, glue, "in_turn")


def _of_loop(part: Part, glue: str, way: Way) -> Joining | None:
    if len(part.over) != 1:
        return None
    picks = picks_of(part)
    return None if picks is None else Joining(part.over[0][0], glue, way, part, picks)


def join_of(symbol: Symbol, source: Callable[[Symbol], Source | None]) -> Join | None:
    """The members of a claim that a text is joined of; None for other texts."""
    joining = joining_of(symbol)
    if joining is None or not isinstance(joining.whole, Input | Apply):
        return None
    claim = source(joining.whole)
    if not isinstance(claim, ClaimSource) or isinstance(claim, FieldSource) or claim.text is None:
        return None
    return Join(claim, joining.glue, joining.way, joining.picks)
