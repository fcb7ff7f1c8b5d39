"""The members of several claims as one text: roles that two rules put into one set, joined or listed in JSON.

As with those of one claim (`joins`) a script puts them together, and what each claim is is known before: a
claim that is missing adds none, another adds plain texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate, text_check
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.values.claims import claim_defined, claim_kind
from palisade.enforce.envoy.values.joins import PLAIN_MEMBER, Way
from palisade.enforce.envoy.values.picks import Picks, picks_of, some_picked
from palisade.enforce.envoy.values.shaped import UNESCAPED
from palisade.enforce.envoy.values.sources import ClaimSource, Source
from palisade.enforce.envoy.values.written import json_text, whole_claim
from palisade.rego.partial.formulas.formula import TRUE, Formula
from palisade.rego.partial.formulas.terms import Apply, Gathered, Input, Known, Part, Symbol
from palisade.rego.partial.symbols.arrays import in_turn
from palisade.rego.records import record


@record()
class Picked:
    """The members of one claim that are picked; all of one that is `needed`, as else there is no list."""

    claim: ClaimSource
    picks: Picks = Picks()
    needed: bool = False

    @property
    def fits(self) -> Predicate:
        """The claim is an array of plain texts; or missing, where it may be."""
        plain = self._listed("?")
        return plain if self.needed else any_of((negate(claim_defined(self.claim)), plain))

    @property
    def filled(self) -> Predicate:
        """It is such an array, and has a member."""
        return self._listed("")

    def _listed(self, times: str) -> Predicate:
        members = f"(?:{PLAIN_MEMBER}(?:,{PLAIN_MEMBER})*){times}"
        found = text_check(json_text(self.claim.path), patterns.regex(rf"\[{members}\]"))
        return all_of((claim_kind(self.claim, "array"), found))


@record()
class Listed:
    """Members of claims, and texts that are `also` there, with `glue` between them; in JSON without one."""

    picked: tuple[Picked, ...]
    also: tuple[str, ...]
    way: Way
    glue: str | None

    @property
    def name(self) -> str:
        """What the script calls the text."""
        of = [(each.claim.path, each.picks.asked, each.picks.steps) for each in self.picked]
        return f"l{hashlib.sha256(repr((of, self.also, self.way, self.glue)).encode()).hexdigest()[:12]}"

    @property
    def plain(self) -> Predicate:
        """Each claim is an array of plain texts, or missing."""
        return all_of(each.fits for each in self.picked)

    @property
    def there(self) -> Predicate:
        """Those that are needed are arrays."""
        return all_of(claim_kind(each.claim, "array") for each in self.picked if each.needed)

    @property
    def unescaped(self) -> bool:
        """Whether nothing that is put to the members is escaped in JSON."""
        put = [*self.also, self.glue or ""]
        put += [
            each for one in self.picked for step in one.picks.steps for each in step if isinstance(each, str)
        ]
        return UNESCAPED.issuperset("".join(put))


@record()
class Listing:
    """What is listed, with the parts that it is gathered of, None for a whole claim."""

    listed: Listed
    parts: tuple[Part | None, ...]

    @property
    def beside(self) -> Iterable[Formula]:
        """What must hold beside what is asked of members: where it does not, a part has none."""
        for part in filter(None, self.parts):
            (_, loop) = part.over[0]
            condition = part.condition
            for each in condition.args if condition.kind == "and" else (condition,):
                if each is not TRUE and loop not in each.loops:
                    yield each

    def some(self, surely: Callable[[Formula], Predicate]) -> Predicate:
        """Where a member is there, for sure."""
        ways = [
            one.filled if part is None or one.picks.all else surely(some_picked(part, one.picks))
            for one, part in zip(self.listed.picked, self.parts, strict=True)
        ]
        return any_of(ways)


def listing_of(symbol: Symbol, source: Callable[[Symbol], Source | None]) -> Listing | None:
    """How a text or a list has the members of claims that loops find; None for others."""
    glue: str | None = None
    match symbol:
        case Apply("concat", (Known(str(text)), members)) if text.isascii() and text.isprintable():
            glue, symbol = str(text), members
    symbol = in_turn(symbol)
    is_sorted = isinstance(symbol, Apply) and symbol.name == "sort"
    whole = symbol.args[0] if isinstance(symbol, Apply) and is_sorted else symbol
    sides = _sides(whole)
    kinds = [each.kind if isinstance(each, Gathered) else "" for each in sides]
    if (kinds == [""] and sides == [whole]) or (len(kinds) > 1 and "set" in kinds):
        return None
    way: Way = "once" if kinds == ["set"] else "sorted" if is_sorted else "in_turn"
    also: list[str] = []
    found: list[tuple[Picked, Part | None]] = []
    for side in sides:
        if not isinstance(side, Gathered):
            claim = whole_claim(source(side)) if isinstance(side, Input | Apply) else None
            if claim is None:
                return None
            found.append((Picked(claim, needed=True), None))
            continue
        if side.kind == "array" and not (side.apart and (is_sorted or side.ordered)):
            return None
        for part in side.parts:
            match part:
                case Part(condition, (), Known(str(text))) if condition is TRUE and way != "in_turn":
                    also.append(text)
                    continue
                case Part(_, ((of, _),), _):
                    claim, picks = whole_claim(source(of)), picks_of(part)
                case _:
                    return None
            if claim is None or picks is None:
                return None
            found.append((Picked(claim, picks), part))
    if not found or not all(text.isascii() and text.isprintable() for text in also):
        return None
    listed = Listed(tuple(one for one, _ in found), tuple(also), way, glue)
    if glue is None and not listed.unescaped:
        return None
    return Listing(listed, tuple(part for _, part in found))


def _sides(symbol: Symbol) -> list[Symbol]:
    """The arrays that `array.concat` puts one behind the other; what is no such call, alone."""
    match symbol:
        case Apply("array.concat", (left, right)):
            return [*_sides(left), *_sides(right)]
        case Known([]):
            return []
    return [symbol]
