"""How many members comprehensions and rules gather, compared with constants: `count(violations) < 3`.

Of few conditions so many hold: each choice of them is tried. Members of a claim, and segments of the path,
are looked at one by one, as in `members`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from functools import lru_cache
from math import comb

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.bodies.documents import MEMBERS
from palisade.enforce.envoy.conditions.members import Members
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, exactly, inverse
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of
from palisade.enforce.envoy.regex.marks import is_mark
from palisade.enforce.envoy.regex.pieces import piece_of
from palisade.enforce.envoy.tokens.crumbs import one_cookie
from palisade.enforce.envoy.tokens.places import CookiePlace
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource, Path
from palisade.rego.partial.formulas.formula import Exists, Formula, In, Test
from palisade.rego.partial.formulas.placing import member_of
from palisade.rego.partial.formulas.rewriting import put_in
from palisade.rego.partial.formulas.terms import Apply, Element, Gathered, Input, Known, Part, Symbol
from palisade.rego.partial.symbols.chosen import SEVERAL

_MOST_WAYS = 128
"""So many choices of conditions are tried."""
_MORE = {"_>_": 1, "_<=_": 1, "_>=_": 0, "_<_": 0, "_==_": 0}
"""What makes of a limit the least count that is, or is no longer, meant."""


class Counted(Members, ABC):
    """Lowers counts of what is gathered."""

    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        found = self._gathered(argument, relation, numbers) if isinstance(argument, Gathered) else None
        return found or super()._count(argument, relation, numbers)

    def _gathered(self, gathered: Gathered, relation: str, numbers: Sequence[int]) -> Bounds | None:
        found: list[Bounds] = []
        unsure: list[tuple[Predicate, str]] = []
        parts = gathered.parts
        if gathered.kind == "set":
            apart = _apart(parts)
            if apart is None:
                return None
            parts = apart
        elif not gathered.apart:
            return None
        for part in parts:
            if not part.over or (gathered.kind == "set" and isinstance(part.item, Known)):
                happens = self._some(part)
                each: list[Bounds] | None = [self.bounds(happens)]
                self._note(self.notes(happens))
            elif gathered.kind == "set":
                each = self._constants(part)
            else:
                each = self._each(part, unsure)
            if each is None:
                return None
            found += each
        ways = [self._compared_with(found, relation, number) for number in numbers]
        if None in ways:
            return None
        bounds = either(way for way in ways if way)
        for predicate, when in unsure:
            bounds = self._unless(bounds, predicate, when)
        return bounds

    def _test(self, atom: Test) -> Bounds:
        if atom.term.name == SEVERAL and isinstance(atom.term.args[0], Gathered):
            return self._several(atom.term.args[0])
        return super()._test(atom)

    def _several(self, gathered: Gathered) -> Bounds:
        """Several members may be different: whether they are the engine says."""
        found = self._two_pieces(gathered)
        if found is None:
            found = self._gathered(Gathered("array", gathered.parts), "_>_", (1,))
        if found is None and (alone := self._alone(gathered)) is not None:
            return self._unless_plain_cookie(NEVER, alone)
        if found is None:
            return self._unknown("takes one of several members", hint=hints.ONE_OF_SEVERAL)
        sources = ", ".join(dict.fromkeys(str(source) for part in gathered.parts for source, _ in part.over))
        return self._unless(NEVER, found.possibly, f"several members of {sources} are such")

    def _alone(self, gathered: Gathered) -> CookiePlace | None:
        """The cookie that is looked for, which is there once."""
        match gathered.parts:
            case (Part(condition, ((source, loop),), _),):
                found = one_cookie(self._builder, Exists(source, loop, condition))
                return None if found is None else found[0]
        return None

    def _two_pieces(self, gathered: Gathered) -> Bounds | None:
        """Two pieces of a split text are among what is gathered."""
        match gathered.parts:
            case (Part(condition, ((Apply("split", (text, Known(str(mark)))) as pieces, loop),), _),) if (
                is_mark(mark)
            ):
                asked = condition.args if condition.kind == "and" else (condition,)
                inside = self._builder.all(each for each in asked if loop in each.loops)
                piece = piece_of(inside, Element(pieces, loop), mark)
                return None if piece is None else self._of_pieces(text, piece, piece.twice)
        return None

    def _some(self, part: Part) -> Formula:
        """Some choice of members in the part's loops meets its condition."""
        formula = part.condition
        for source, loop in reversed(part.over):
            asked = formula.args if formula.kind == "and" else (formula,)
            inside = self._builder.all(each for each in asked if loop in each.loops)
            outside = (each for each in asked if loop not in each.loops)
            formula = self._builder.all((*outside, self._builder.atom(Exists(source, loop, inside))))
        return formula

    def _compared_with(self, found: Sequence[Bounds], relation: str, number: int) -> Bounds | None:
        least = number + _MORE[relation]
        if any(comb(len(found), each) > _MOST_WAYS for each in (least, least + 1) if 0 < each <= len(found)):
            return None
        enough = _at_least(tuple(found), least)
        if relation == "_==_":
            return both((enough, inverse(_at_least(tuple(found), number + 1))))
        return enough if relation in ("_>_", "_>=_") else inverse(enough)

    def _each(self, part: Part, unsure: list[tuple[Predicate, str]]) -> list[Bounds] | None:
        """Whether each of the first members of an array is one of those."""
        if len(part.over) != 1:
            return None
        ((source, loop),) = part.over
        if not isinstance(source, Input | Apply):
            return None
        match self._source(source):
            case ClaimSource() as claim if not claim.indexed:
                array, keyed = claim_kind(claim, "array"), claim_kind(claim, "object")
                more = [all_of((array, self._has_more(claim, at))) for at in range(MEMBERS + 1)]
                unsure.append((keyed, f"{source} is an object"))
                unsure.append((more[MEMBERS], f"{source} has more than {MEMBERS} members"))
                there = list(map(exactly, more))
            case Path():
                there = [self._has_segments(at + 1) for at in range(MEMBERS + 1)]
                unsure.append((there[MEMBERS].possibly, f"the path has more than {MEMBERS} segments"))
            case _:
                return None
        found: list[Bounds] = []
        for at in range(MEMBERS):
            place = member_of(source, at)
            condition = put_in(self._builder, part.condition, loop, place, Known(at))
            if condition is None:
                return None
            found.append(both((there[at], self.bounds(condition))))
            self._note(self.notes(condition))
        return found

    def _constants(self, part: Part) -> list[Bounds] | None:
        """Whether each of the constants that a member of a set is one of is among its members."""
        if len(part.over) != 1:
            return None
        ((source, loop),) = part.over
        element = Element(source, loop)
        if part.item != element:
            return None
        asked = part.condition.args if part.condition.kind == "and" else (part.condition,)
        chosen = next((each.atom for each in asked if _is_choice(each, element)), None)
        if not isinstance(chosen, In) or len(chosen.values) > 2 * MEMBERS:
            return None
        found: list[Bounds] = []
        for value in sorted(chosen.values, key=repr):
            one = self._builder.is_in(element, (value,))
            rest = [each for each in asked if each.atom is not chosen]
            there = self._builder.atom(Exists(source, loop, self._builder.all((one, *rest))))
            found.append(self.bounds(there))
            self._note(self.notes(there))
        return found


def _is_choice(formula: Formula, element: Element) -> bool:
    return isinstance(formula.atom, In) and formula.atom.term == element


def _apart(parts: Sequence[Part]) -> tuple[Part, ...] | None:
    """The parts of a set of which no two can be the same member; None where that is not known."""
    if len(parts) < 2:
        return tuple(parts)
    items = {part.item.form for part in parts if isinstance(part.item, Known)}
    return tuple(parts) if len(items) == len(parts) else None


@lru_cache(256)
def _at_least(found: tuple[Bounds, ...], count: int) -> Bounds:
    """So many of the conditions hold, or more."""
    if count <= 0:
        return ALWAYS
    if count > len(found):
        return NEVER
    first, rest = found[0], found[1:]
    return either((both((first, _at_least(rest, count - 1))), _at_least(rest, count)))
