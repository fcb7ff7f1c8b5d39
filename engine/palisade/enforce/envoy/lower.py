"""From conditions on a request to predicates that Envoy evaluates, bounded from both sides.

Each formula becomes two predicates: `surely` holds only where the formula does, `possibly` wherever it may.
Where an atom has an exact equal in Envoy the two are one. Between them lies what only the engine can decide.

Sources: the meaning of atoms is `palisade.rego.partial.formula`, that of matchers
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/xds/type/matcher/v3/matcher.proto
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import cel, hints, paths, patterns
from palisade.enforce.envoy.bodies import FILLED, PARSED
from palisade.enforce.envoy.bounds import ALWAYS, NEVER, Bounds, Reason, both, either, exactly, inverse
from palisade.enforce.envoy.claims import claim_defined, claim_has, claim_has_matching, claim_kind
from palisade.enforce.envoy.context import DIRTY, DIRTY_QUERY, NOTHING, Notes
from palisade.enforce.envoy.documents import MEMBERS, Field, of_body_text, of_parsed_body
from palisade.enforce.envoy.keyed import Keyed
from palisade.enforce.envoy.predicate import NO, Predicate, all_of, any_of, negate
from palisade.enforce.envoy.sources import (
    Address,
    ClaimSource,
    FieldSource,
    Identity,
    Missing,
    Parameter,
    Path,
    ProviderName,
    Query,
    Segment,
    TextSource,
    Verified,
)
from palisade.enforce.envoy.strings import text_matcher
from palisade.enforce.envoy.times import kind_of, moment_of
from palisade.enforce.envoy.tokens import Token, Tokens
from palisade.rego.partial.formula import (
    Atom,
    Builder,
    Defined,
    Exists,
    Formula,
    In,
    IsKind,
    Opaque,
    Same,
    Test,
    nodes,
)
from palisade.rego.partial.rewriting import put_in, symbols
from palisade.rego.partial.terms import Apply, Element, Input, Known, Symbol, member_of, subterms
from palisade.rego.values import unkey

UNVERIFIED = "a token is there that Envoy does not take, or not as the policy does"


class Lowering(Keyed):
    """Lowers the formulas of one policy. `notes` tells what else is to be said of them."""

    def __init__(
        self,
        providers: Sequence[str],
        hoisted: Iterable[tuple[object, ...]] = (),
        tokens: Tokens | None = None,
        fields: Collection[Field] = (),
    ) -> None:
        """`hoisted` are claims, by their paths: that they are objects is said by doubts, not each rule.
        `tokens` are those that the policy takes apart itself, `fields` those that were read.
        """
        super().__init__(providers, tokens, fields)
        self._hoisted = frozenset(hoisted)
        self._noted: dict[Formula, Notes] = {}
        self._members: dict[object, Predicate | None] = {}
        self._doubted: dict[Token, Predicate] = {}
        self._done: dict[Formula, Bounds] = {}
        self._builder = Builder()
        # Functions of the class: bound methods would leave this, and all it holds, to the collector.
        cls = type(self)
        self._atoms: dict[type, Callable[..., Bounds]] = {
            In: cls._in,
            Defined: cls._defined_at_all,
            Same: cls._same,
            Test: cls._test,
            IsKind: cls._of_kind,
            Exists: cls._exists,
            Opaque: cls._opaque,
        }

    def bounds(self, formula: Formula) -> Bounds:
        """The formula between two predicates. Parts that formulas share are lowered once."""
        stack = [formula]
        while stack:
            node = stack[-1]
            if node in self._done:
                stack.pop()
                continue
            missing = [arg for arg in node.args if arg not in self._done]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            self._done[node] = self._combine(node)
        return self._done[formula]

    def notes(self, formula: Formula) -> Notes:
        """What is to be said of the formula, lowered before."""
        found = NOTHING
        for node in nodes(formula, bodies=False):
            own = self._noted.get(node)
            if own is not None:
                found = found.and_of(own)
        if not found.reasons:
            return found
        return replace(found, reasons=frozenset(self._reasons_of(formula)))

    def _reasons_of(self, formula: Formula) -> Iterator[Reason]:
        """Why parts are left to the engine, but for those of what never holds, whatever these say."""
        seen: set[Formula] = set()
        stack = [formula]
        while stack:
            node = stack.pop()
            if node not in seen and self._done[node].possibly != NO:
                seen.add(node)
                own = self._noted.get(node)
                yield from own.reasons if own is not None else ()
                stack.extend(node.args)

    def _combine(self, node: Formula) -> Bounds:
        if node.atom is not None:
            outer = self._take_notes()
            touched, self._touched = self._touched, {}
            bounds = self._trusted(self._atom(node.atom))
            if bounds.surely == NO and not bounds.exact:
                bounds = Bounds(bounds.surely, all_of((bounds.possibly, *self._needed(node))))
            self._touched = touched
            own = self._take_notes()
            if own is not NOTHING:
                reasons = frozenset(
                    each if each.atom else replace(each, atom=node.atom) for each in own.reasons
                )
                self._noted[node] = Notes(reasons, own.doubts, own.clean)
            self._note(outer.and_of(own))
            return bounds
        parts = [self._done[arg] for arg in node.args]
        if node.kind == "and":
            return both(parts)
        if node.kind == "or":
            return either(parts)
        if node.kind == "not":
            return inverse(parts[0])
        return ALWAYS if node.kind == "true" else NEVER

    def _needed(self, node: Formula) -> Iterable[Predicate]:
        """Without what an atom cannot hold, though only the engine can tell whether it does: the headers and
        claims that it is about are there, and a body that the engine parses."""
        if not self._fields and of_parsed_body(node):
            yield PARSED
        if not self._fields and of_body_text(node):
            yield FILLED
        for term in sorted(node.implies, key=str):
            match self._find(term.path) if isinstance(term, Input) else None:
                case TextSource() as text if not text.pseudo:
                    yield self._present(text)
                case ClaimSource() as claim:
                    yield claim_defined(claim)
                case Missing():
                    yield NO

    def _trusted(self, bounds: Bounds) -> Bounds:
        """The same, but for requests with a token that Envoy has not verified as the policy would."""
        for token in self._touched:
            doubt = self._doubted.get(token)
            if doubt is None:
                doubt = self._doubted[token] = token.doubt
            unsure = self._unless(bounds, doubt, UNVERIFIED)
            if len(self._tokens.all) > 1:
                bounds = unsure
            else:
                self.doubts[doubt] = None  # where rules are about one token, once for all of them
        return bounds

    def _atom(self, atom: Atom) -> Bounds:
        if len(self._providers) < 2 or not _on_claims(atom):
            return self._atoms[type(atom)](self, atom)
        # Several providers: the claims are those of the first, by name, whose token was verified.
        cases: list[Bounds] = []
        before: list[Predicate] = []
        outer, kept = self._providers, self._done
        for provider in (*outer, None):
            self._providers = () if provider is None else (provider,)
            self._done = {}
            bounds = self._atoms[type(atom)](self, atom)
            here = [] if provider is None else [claim_defined(ClaimSource((provider,)))]
            cases.append(both((exactly(all_of((*here, *map(negate, before)))), bounds)))
            before += here
        self._providers, self._done = outer, kept
        return either(cases)

    def _opaque(self, atom: Opaque) -> Bounds:
        return self._unknown(atom.reason, atom.location, hints.of_unfollowed(atom.reason))

    def _in(self, atom: In) -> Bounds:
        values = [unkey(form) for form in atom.values]
        source = self._source(atom.term)
        if isinstance(atom.term, Apply) and source is None:
            return self._call_is(atom.term, values)
        found = self._equals(source, values) or self._keyed_is(atom.term, values)
        return found or self._invisible(atom.term)

    def _defined_at_all(self, atom: Defined) -> Bounds:
        return self._takes(atom.term) if isinstance(atom.term, Apply) else self._defined(atom)

    def _of_kind(self, atom: IsKind) -> Bounds:
        if isinstance(atom.term, Apply) and atom.term.name in ("split", "array.slice"):
            return self._takes(atom.term) if atom.kind == "array" else NEVER
        moment = moment_of(atom.term)
        if moment is not None:
            return ALWAYS if kind_of(moment) == atom.kind else NEVER
        return self._is_kind(atom)

    # Members --------------------------------------------------------------------------------------------

    def _exists(self, atom: Exists) -> Bounds:
        body, element = atom.body, Element(atom.source, atom.loop)
        match self._source(atom.source):
            case ClaimSource() as claim:
                return self._claim_has(claim, atom, element)
            case Path():
                found = self._some_segment(body, element)
                if found is not None:
                    return found
            case Query(name):
                values = _strings_of(body, element)
                if values is not None:
                    return self._some_parameter(name, values)
            case TextSource() | Missing() | Segment() | ProviderName() | Address() | Parameter() | Verified():
                return NEVER  # a string has no members, and no boolean
            case Identity() if not self._providers:
                return NEVER
        match atom.source:
            case Apply("split", (text, Known(str(mark)))) if len(mark) == 1 and mark.isascii():
                found = self._some_piece_matches(text, mark, body, element)
                return found or self._some_piece(text, mark, body, element) or self._iterates(atom)
        return self._iterates(atom)

    def _iterates(self, atom: Exists) -> Bounds:
        why, hint = f"iterates over {atom.source}", hints.of_loop(atom.source)
        return self._keyed_has(atom) or self._unknown(why, hint=hint)

    def _some_segment(self, body: Formula, element: Element) -> Bounds | None:
        values = _strings_of(body, element)
        if values is None:
            return None
        chosen = [value for value in values if "/" not in value]
        if any("\ufffd" in value for value in chosen):
            return None
        return self._path(paths.some_segment_is(chosen)) if chosen else NEVER

    def _some_parameter(self, name: str, values: list[str]) -> Bounds:
        chosen = [value for value in values if paths.is_plain_parameter(value)]
        found = self._query(paths.some_parameter_is(name, chosen)) if chosen else NEVER
        unsaid = DIRTY_QUERY if len(chosen) < len(values) else NO
        return self._unless(found, unsaid, DIRTY)

    def _some_piece(self, text: Symbol, mark: str, body: Formula, element: Element) -> Bounds | None:
        """Some piece of a split text equals another text of the request: both stand between two marks."""
        if not isinstance(body.atom, Same):
            return None
        sides = [body.atom.left, body.atom.right]
        others = [side for side in sides if side != element]
        if len(others) != 1:
            return None
        whole, piece = self._view(text), self._view(others[0])
        if whole is None or piece is None:
            return None
        alone = cel.call(
            "re.extract",
            piece.expr,
            cel.text(f"(?s)^([^{patterns.quote(mark)}]*)$"),
            cel.text(f"{mark}\\1{mark}"),
        )
        test = cel.check(cel.method(cel.between(mark, whole.expr, mark), "contains", alone))
        return self._unless(exactly(test), any_of((whole.unsure, piece.unsure)), whole.when or piece.when)

    def _claim_has(self, claim: ClaimSource, atom: Exists, element: Element) -> Bounds:
        """Some member of a claim: of an array exactly, of an object only the engine can tell."""
        found = self._array_has(claim, atom, element)
        keyed = self._kind(claim, "object")
        when = f"{atom.source} is an object"
        if isinstance(atom.source, Input) and atom.source.path in self._hoisted:
            self.doubts[keyed] = None
            self._unless(found, keyed, when)
            return found
        return self._unless_possibly(found, keyed, when)

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
            predicate = self._holds(claim, body.atom, element)
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

    def _holds(self, claim: ClaimSource, same: Same, element: Element) -> Predicate | None:
        """Some member equals a text of the request."""
        others = [side for side in (same.left, same.right) if side != element]
        if len(others) != 1 or not isinstance(self._source(others[0]), TextSource):
            return None
        text = self._view(others[0])
        if text is None:
            return None
        found = cel.call("@in", text.expr, claim.expr)
        return cel.check(cel.conjunction(cel.has_type(claim.expr, "list"), found))

    def _unasked(self, atom: Exists) -> Bounds:
        why = f"asks of the members of {atom.source} what Envoy cannot compare"
        return self._unknown(why, hint=hints.of_loop(atom.source))

    def _one_by_one(self, claim: ClaimSource, atom: Exists) -> Bounds:
        """The condition on each of the first members; of a longer array the engine looks at the others."""
        if not isinstance(atom.source, Input | Apply) or claim.indexed:
            return self._unasked(atom)
        # Of the arrays of documents that were read only some members are laid down, and their number.
        count = claim.size if isinstance(claim, FieldSource) else cel.call("size", claim.expr)
        number = cel.double if isinstance(claim, FieldSource) else cel.integer
        parts: list[Bounds] = []
        unasked = False
        for at in range(MEMBERS):
            place = member_of(atom.source, at)
            member = put_in(self._builder, atom.body, atom.loop, place, Known(at))
            if member is None:
                return self._unasked(atom)
            size = cel.check(cel.call("_>_", count, number(at)))
            parts.append(both((exactly(size), self.bounds(member))))
            notes = self.notes(member)
            unasked = unasked or any(each.always for each in notes.reasons)
            self._note(replace(notes, reasons=frozenset(each for each in notes.reasons if not each.always)))
        if unasked:
            self._unasked(atom)  # said once for all members
        array = claim_kind(claim, "array")
        longer = cel.check(cel.call("_>_", count, number(MEMBERS)))
        found = both((exactly(array), either(parts)))
        when = f"{atom.source} has more than {MEMBERS} members"
        return self._unless_possibly(found, all_of((array, longer)), when)


def _on_claims(atom: Atom) -> bool:
    return any(
        isinstance(part, Input) and part.path[:2] == ("identity", "claims") and len(part.path) > 2
        for symbol in symbols(Formula("atom", atom=atom))
        for part in subterms(symbol)
    )


def _strings_of(body: Formula, element: Element | Apply) -> list[str] | None:
    """The strings that a condition on an element compares it with; None where it is more than that."""
    if not isinstance(body.atom, In) or body.atom.term != element:
        return None
    return [value for value in map(unkey, body.atom.values) if isinstance(value, str)]
