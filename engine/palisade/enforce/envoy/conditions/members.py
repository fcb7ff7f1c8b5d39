"""What is asked of the members of claims, of the path's segments, a parameter's values and a text's pieces:
`some role in claims.roles`."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.bodies import headers
from palisade.enforce.envoy.bodies.beside import allowed_by, has_beside
from palisade.enforce.envoy.bodies.documents import ALL_HEADERS, MEMBERS, NESTED, Field
from palisade.enforce.envoy.conditions.parted import Parted
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, exactly
from palisade.enforce.envoy.matchers.predicate import NO, Check, Predicate, all_of, any_of, negate
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.regex.marks import Mark, is_mark
from palisade.enforce.envoy.regex.strings import text_matcher
from palisade.enforce.envoy.tokens.calls import Tokens
from palisade.enforce.envoy.tokens.crumbs import one_cookie
from palisade.enforce.envoy.tokens.places import CookiePlace
from palisade.enforce.envoy.values.claims import claim_has, claim_has_matching, claim_kind
from palisade.enforce.envoy.values.sources import (
    Address,
    ClaimSource,
    FieldSource,
    Identity,
    Missing,
    Parameter,
    Parameters,
    Path,
    Port,
    ProviderName,
    Query,
    Segment,
    TextSource,
    Unspelled,
    Verified,
)
from palisade.rego.partial.formulas.formula import TRUE, Exists, Formula, In, Same, Test
from palisade.rego.partial.formulas.placing import member_of
from palisade.rego.partial.formulas.rewriting import put_in, symbols
from palisade.rego.partial.formulas.terms import Apply, Element, Input, Known, Symbol, subterms
from palisade.rego.values import unkey

NO_ROOM = "one by one, for which too many fields are read"


class Members(Parted, ABC):
    """Lowers conditions that hold for some member of a collection."""

    def __init__(
        self,
        providers: Sequence[str],
        hoisted: Iterable[tuple[object, ...]] = (),
        tokens: Tokens | None = None,
        fields: Collection[Field] = (),
    ) -> None:
        """`hoisted` are claims, by their paths: that they are objects is said by doubts, not each rule."""
        super().__init__(providers, tokens, fields)
        self._hoisted = frozenset(hoisted)
        self._members: dict[object, Predicate | None] = {}
        self._read_of = _read_of(fields)

    def _exists(self, atom: Exists) -> Bounds:
        body, element = atom.body, Element(atom.source, atom.loop)
        if atom.source == headers.ALL:
            return self._some_header(atom)
        match self._source(atom.source):
            case ClaimSource() as claim:
                return self._claim_has(claim, atom, element)
            case Path():
                return self._some_segment(body, element) or self._segments_one_by_one(atom)
            case Unspelled(True):
                return self._names(patterns.NOTHING)
            case Query(name):
                found = self._some_value(name, atom)
                if found is not None:
                    return found
            case Parameters():
                found = self._some_parameter(atom)
                if found is not None:
                    return found
            case Parameter() | Unspelled(False) | Verified():
                return NEVER
            case TextSource() | Missing() | Segment() | ProviderName() | Address() | Port():
                return NEVER  # a string has no members, and no boolean or number
            case Identity() if not self._providers:
                return NEVER
        match atom.source:
            case Apply("split", (text, Known(str(mark)))) if is_mark(mark):
                found = self._some_piece(text, mark, atom) or self._pieces_one_by_one(atom)
                return found or self._one_cookie(atom) or self._iterates(atom)
        return self._iterates(atom)

    def _one_cookie(self, atom: Exists) -> Bounds | None:
        """The cookie that a loop looks for is so."""
        found = one_cookie(self._builder, atom)
        if found is None:
            return None
        place, asked = found
        there = both((exactly(place.plain), self.bounds(asked)))
        self._note(self.notes(asked))
        return self._unless_plain_cookie(there, place)

    def _unless_plain_cookie(self, bounds: Bounds, place: CookiePlace) -> Bounds:
        odd = all_of((place.filled, negate(place.plain)))
        return self._unless(bounds, odd, f"{place.words} is there twice, or cookies are written otherwise")

    def _some_header(self, atom: Exists) -> Bounds:
        """Some header is so: its name or its value, or both."""
        codes = headers.codes_of(atom)
        if codes is None or not all((ALL_HEADERS, code) in self._fields for code in codes):
            return self._iterates(atom)
        return self._read(ALL_HEADERS, codes)

    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        if argument != headers.ALL:
            return super()._count(argument, relation, numbers)
        key = (ALL_HEADERS, headers.COUNT)
        if key not in self._fields:
            return self._unknown(headers.COUNTING, hint=hints.of_loop(argument))
        self._note_unread(ALL_HEADERS)
        count = FieldSource(key).expr  # type: ignore[arg-type]  # the document, and a string
        ways: list[Bounds] = []
        for number in numbers:
            # To what goes to the engine with a body Envoy adds one.
            both_ways = [
                cel.check(cel.call(relation, count, cel.double(each))) for each in (number, number - 1)
            ]
            ways.append(Bounds(all_of(both_ways), any_of(both_ways)))
        return either(ways)

    def _countable(self, term: Apply) -> Bounds:
        return ALWAYS if term.args[0] == headers.ALL else super()._countable(term)

    def _iterates(self, atom: Exists) -> Bounds:
        why, hint = f"iterates over {atom.source}", hints.of_loop(atom.source)
        return self._keyed_has(atom) or self._unknown(why, hint=hint)

    def _some_segment(self, body: Formula, element: Element) -> Bounds | None:
        """Some segment is one of some constants, or begins with one, ends with it or holds it."""
        tested = text_matcher(body.atom.term) if isinstance(body.atom, Test) else None
        if tested is not None and tested[0] == element and tested[1] is not None:
            pattern = paths.some_segment_matching(tested[1])
            return None if pattern is None else self._path(pattern)
        values = _strings_of(body, element)
        if values is None:
            return None
        chosen = [value for value in values if "/" not in value]
        if any("\ufffd" in value for value in chosen):
            return None
        return self._path(paths.some_segment_is(chosen)) if chosen else NEVER

    def _claim_has(self, claim: ClaimSource, atom: Exists, element: Element) -> Bounds:
        """Some member of a claim: of an array exactly, of an object only the engine can tell, but for those
        that have any member, or one beside those that are named."""
        allowed = allowed_by(atom)
        if allowed is not None and self._laid_down(claim, allowed[0]):
            beside = has_beside(claim, allowed[0])
            if not allowed[1]:
                return exactly(beside)
            other = all_of((self._kind(claim, "object"), beside))
            return self._unless_possibly(
                self._array_has(claim, atom, element), other, f"{atom.source} has other keys"
            )
        found = self._array_has(claim, atom, element)
        keyed = self._kind(claim, "object")
        when = f"{atom.source} is an object"
        if isinstance(atom.source, Input) and atom.source.path in self._hoisted:
            self.doubts[keyed] = None
            self._note_where(when)
            return found
        return self._unless_possibly(found, keyed, when)

    def _laid_down(self, claim: ClaimSource, keys: Iterable[str]) -> bool:
        """Whether it is known which of these keys it has."""
        return not isinstance(claim, FieldSource) or all((*claim.path, key) in self._fields for key in keys)

    def _kind(self, claim: ClaimSource, kind: str) -> Predicate:
        found = self._members.get((claim, kind))
        if found is None:
            found = self._members[claim, kind] = claim_kind(claim, kind)
        return found

    def _unless_possibly(self, bounds: Bounds, unsure: Predicate, when: str) -> Bounds:
        """As `_unless`, where what surely holds is not true of the unsure ones anyway."""
        return Bounds(bounds.surely, self._unless(bounds, unsure, when).possibly)

    def _array_has(self, claim: ClaimSource, atom: Exists, element: Element) -> Bounds:
        body = atom.body
        predicate: Predicate | None = None
        if isinstance(body.atom, In) and body.atom.term == element:
            asked = claim, body.atom.values
            if asked not in self._members:
                self._members[asked] = claim_has(claim, [unkey(form) for form in body.atom.values])
            predicate = self._members[asked]
        elif isinstance(body.atom, Test):
            found = text_matcher(body.atom.term)
            if found is not None and found[0] == element:
                return self._member_matches(claim, found[1], atom)
        elif isinstance(body.atom, Same):
            return self._holds(claim, body.atom, element) or self._one_by_one(claim, atom)
        if predicate is not None:
            return exactly(predicate)
        return self._one_by_one(claim, atom)

    def _member_matches(self, claim: ClaimSource, matcher: StringMatcher | None, atom: Exists) -> Bounds:
        """Some member is a string that the matcher takes."""
        if matcher is None:
            return NEVER
        found = claim_has_matching(claim, matcher)
        if found is None:
            return self._one_by_one(claim, atom)
        if not matcher.HasField("safe_regex"):
            return exactly(found)
        other = claim_has_matching(claim, patterns.regex(patterns.BEYOND_ASCII))
        return self._unless(exactly(found), other or NO, f"{atom.source} has letters beyond ASCII")

    def _holds(self, claim: ClaimSource, same: Same, element: Element) -> Bounds | None:
        """Some member equals a text of the request."""
        others = [side for side in (same.left, same.right) if side != element]
        text = self._view(others[0]) if len(others) == 1 else None
        if text is None or text.typed:
            return None
        found = cel.call("@in", text.expr, claim.expr)
        held = cel.check(cel.conjunction(cel.has_type(claim.expr, "list"), found))
        return self._unless(exactly(held), text.unsure, text.when)

    def _unasked(self, atom: Exists) -> Bounds:
        why = f"asks of the members of {atom.source} what Envoy cannot compare"
        return self._unknown(why, hint=hints.of_loop(atom.source))

    def _one_by_one(self, claim: ClaimSource, atom: Exists) -> Bounds:
        """The condition on each of the first members; of a longer array the engine looks at the others."""
        array = claim_kind(claim, "array")
        if atom.body is TRUE:
            return exactly(all_of((array, self._has_more(claim, 0))))
        most = self._tried(claim, atom)
        if most is None:
            unread = self._unknown(f"asks of the members of {atom.source} {NO_ROOM}", hint=hints.MEMBERS)
            return both((exactly(all_of((array, self._has_more(claim, 0)))), unread))
        found = self._one_of_the_first(atom, most, lambda at: exactly(self._has_more(claim, at)))
        if found is None:
            return self._unasked(atom)
        longer = self._has_more(claim, most)
        when = f"{atom.source} has more than {most} members"
        return self._unless_possibly(both((exactly(array), found)), all_of((array, longer)), when)

    def _tried(self, claim: ClaimSource, atom: Exists) -> int | None:
        """So many members of an array are looked at one by one; None where none of them is read."""
        if not isinstance(claim, FieldSource):
            return NESTED if claim.indexed else MEMBERS
        parts = (part for symbol in symbols(atom.body) for part in subterms(symbol))
        asked = any(
            isinstance(part, Element) and part.loop == atom.loop and not part.of_keys for part in parts
        )
        return self._read_of.get(claim.path) if asked else MEMBERS

    def _segments_one_by_one(self, atom: Exists) -> Bounds:
        """The same on the first segments of the path."""
        if atom.body is TRUE:
            return ALWAYS
        found = self._one_of_the_first(atom, MEMBERS, self._has_more_segments)
        if found is None:
            return self._iterates(atom)
        longer = self._has_more_segments(MEMBERS).possibly
        return self._unless_possibly(found, longer, f"the path has more than {MEMBERS} segments")

    def _pieces_one_by_one(self, atom: Exists) -> Bounds | None:
        """The same on the first pieces of a text. None where an expression of a piece is none of Envoy's."""
        outer = self._take_notes()
        found = self._one_of_the_first(atom, MEMBERS, partial(self._has_more_pieces, atom.source))
        longer = self._has_more_pieces(atom.source, MEMBERS).possibly
        if found is None or any(each.always for each in self._reasons):
            self._take_notes()
            found = None
        else:
            when = f"{atom.source} has more than {MEMBERS} members"
            found = self._unless_possibly(found, longer, when)
        self._note(outer)
        return found

    def _has_more_pieces(self, pieces: Symbol, than: int) -> Bounds:
        """There are more pieces than so many: more marks, which costs less to tell than the piece itself."""
        match pieces:
            case Apply("split", (text, Known(str(mark)))) if isinstance(
                self._source(text), TextSource | ClaimSource
            ):
                more = [self._matches(text, Mark(mark).at_least(than + 1))] if than else []
                return both((self._is_text(text), *more))
        return self._takes(Apply(".", (pieces, Known(than))))

    def _has_more_segments(self, than: int) -> Bounds:
        return self._has_segments(than + 1)

    @staticmethod
    def _has_more(claim: ClaimSource, than: int) -> Check:
        """An array has more than so many members."""
        # Of the arrays of documents that were read only some members are laid down, and their number.
        if isinstance(claim, FieldSource):
            return cel.check(cel.call("_>_", claim.size, cel.double(than)))
        return cel.check(cel.call("_>_", cel.call("size", claim.expr), cel.integer(than)))

    def _one_of_the_first(self, atom: Exists, most: int, has_more: Callable[[int], Bounds]) -> Bounds | None:
        """The condition holds of one of the first members; `has_more` says whether there are more than so
        many. None where the condition is none that can be asked of one member."""
        if not isinstance(atom.source, Input | Apply):
            return None
        parts: list[Bounds] = []
        unasked = False
        for at in range(most):
            place = member_of(atom.source, at)
            member = put_in(self._builder, atom.body, atom.loop, place, Known(at))
            if member is None:
                return None
            parts.append(both((has_more(at), self.bounds(member))))
            notes = self.notes(member)
            unasked = unasked or any(each.always for each in notes.reasons)
            self._note(replace(notes, reasons=frozenset(each for each in notes.reasons if not each.always)))
        if unasked:
            self._unasked(atom)  # said once for all members
        return either(parts)


def _read_of(fields: Iterable[Field]) -> dict[Field, int]:
    """Of how many members of each array something was read."""
    found: dict[Field, int] = {}
    for path in fields:
        for at, step in enumerate(path):
            if isinstance(step, int):
                array = path[:at]
                found[array] = max(found.get(array, 0), step + 1)
    return found


def _strings_of(body: Formula, element: Element | Apply) -> list[str] | None:
    """The strings that a condition on an element compares it with; None where it is more than that."""
    if not isinstance(body.atom, In) or body.atom.term != element:
        return None
    return [value for value in map(unkey, body.atom.values) if isinstance(value, str)]
