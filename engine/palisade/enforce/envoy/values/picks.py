"""Which members of a collection a text is joined of, and what is made of each: roles that begin with `app:`,
without that.

The script that joins them says the conditions and the builtins anew. All is said of printable ASCII.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.origins import CHANGES, PRINTED, Step
from palisade.enforce.envoy.values.shaped import step_of
from palisade.rego.partial.formulas.formula import TRUE, Defined, Exists, Formula, In, Test
from palisade.rego.partial.formulas.terms import Apply, Element, Known, Part, Symbol, subterms
from palisade.rego.records import record

Asked: TypeAlias = tuple[str, bool, tuple[str | int, ...]]
"""A condition on a member, whether it is to hold, and constants: `("startswith", True, ("app:",))`, and so
with `endswith` and `contains`; `("is", False, ("a", "b"))` is none of these; `("piece", True, (":", 1))` has
such a piece, counted from 0."""

_OF_TEXTS = ("startswith", "endswith", "contains")


@record()
class Picks:
    """The members that are asked for, with what the steps make of each."""

    asked: tuple[Asked, ...] = ()
    steps: tuple[Step, ...] = ()
    sure: bool = True
    """Whether it is only the members that decide what is picked, and nothing else of the request."""

    @property
    def all(self) -> bool:
        """Whether all members are picked, as they are, wherever there are any."""
        return self.sure and not self.asked and not self.steps


def picks_of(part: Part) -> Picks | None:
    """What a loop over one collection picks; None where the script cannot say it."""
    ((whole, loop),) = part.over
    member = Element(whole, loop)
    made = _made_of(part.item, member)
    if made is None:
        return None
    steps, there = made
    given = {*subterms(whole), *there}
    sure = True
    asked: list[Asked] = [
        ("piece", True, (str(mark), int(at)))
        for name, *others in steps
        if name == "piece" and others[1] not in (0, -1)
        for mark, at in (others,)
    ]
    if len(asked) > 1 or (asked and steps[0][0] != "piece"):
        return None  # the piece is one of a text that is made
    for each in part.condition.args if part.condition.kind == "and" else (part.condition,):
        if each is TRUE or (
            isinstance(each.atom, Defined) and (each.atom.term in given or _is_made(each.atom.term, member))
        ):
            continue
        if loop not in each.loops:
            sure = False  # where it does not hold there is no member: `some_picked` asks for one
            continue
        found = _asked(each, member)
        if found is None:
            return None
        asked.append(found)
    return Picks(tuple(asked), steps, sure)


def some_picked(part: Part, picks: Picks) -> Formula:
    """Some member is picked, of which more than an empty text is made."""
    ((whole, loop),) = part.over
    body = part.condition
    cuts = [step for step in picks.steps if step[0] not in CHANGES]
    if cuts and not (cuts[-1][0] == "around" and any(cuts[-1][1:])):
        # What steps make of a member is a term, though items of other parts may be constants.
        empty = Formula("atom", atom=In(part.item, frozenset(("",))))  # type: ignore[arg-type]
        body = Formula("and", (*_parts(body), Formula("not", (empty,))))
    return Formula("atom", atom=Exists(whole, loop, body))


def _parts(condition: Formula) -> Iterator[Formula]:
    if condition.kind == "and":
        yield from condition.args
    elif condition is not TRUE:
        yield condition


def _is_made(term: Symbol, member: Element) -> bool:
    """Whether something is made of the member, whatever text that is."""
    made = _made_of(term, member)
    return made is not None and all(name != "piece" or others[1] in (0, -1) for name, *others in made[0])


def _made_of(item: Symbol, member: Element) -> tuple[tuple[Step, ...], set[Symbol]] | None:
    """The steps that make the item of the member, and the terms on the way."""
    steps: list[Step] = []
    there: set[Symbol] = {member}
    while item != member:
        found = step_of(item) or _around(item) if isinstance(item, Apply) else None
        if found is None or found[0][0] == "rest":
            return None
        there |= {item, *(each for each in subterms(item) if isinstance(each, Apply))}
        steps.append(found[0])
        item = found[1]
    return tuple(reversed(steps)), there


def _around(term: Apply) -> tuple[Step, Symbol] | None:
    """The constants that a text is put between, and the text; None for others."""
    parts = patterns.parts(term) or []
    texts = [each for each in parts if not isinstance(each, str)]
    if len(texts) != 1:
        return None
    at = parts.index(texts[0])
    before, behind = ("".join(map(str, some)) for some in (parts[:at], parts[at + 1 :]))
    return (("around", before, behind), texts[0]) if PRINTED.issuperset(before + behind) else None


def _asked(condition: Formula, member: Element) -> Asked | None:
    holds = condition.kind != "not"
    match (condition if holds else condition.args[0]).atom:
        case Test(Apply(name, (text, Known(str(constant))))) if name in _OF_TEXTS and text == member:
            return name, holds, (constant,)
        case In(term, values) if term == member:
            return "is", holds, tuple(sorted(each for each in values if isinstance(each, str)))
    return None
