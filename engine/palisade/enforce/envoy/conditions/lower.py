"""From conditions on a request to predicates that Envoy evaluates, bounded from both sides.

Each formula becomes two predicates: `surely` holds only where the formula does, `possibly` wherever it may.
Where an atom has an exact equal in Envoy the two are one. Between them lies what only the engine can decide.

Sources: the meaning of atoms is `palisade.rego.partial.formulas.formula`, that of matchers
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/xds/type/matcher/v3/matcher.proto
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from google.protobuf.message import DecodeError

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.bodies.documents import Field, of_body_text, of_parsed_body
from palisade.enforce.envoy.bodies.made import compares
from palisade.enforce.envoy.bodies.reader import FILLED, PARSED
from palisade.enforce.envoy.conditions.clocks import cases, timed
from palisade.enforce.envoy.conditions.context import NOTHING, TOO_DEEP, Notes
from palisade.enforce.envoy.conditions.leading import conjunction
from palisade.enforce.envoy.conditions.methods import METHOD, OTHER, USUAL, speaks_of_method, with_value
from palisade.enforce.envoy.conditions.tabled import Tabled
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, exactly, inverse
from palisade.enforce.envoy.matchers.predicate import NO, YES, Predicate, all_of, any_of, negate
from palisade.enforce.envoy.tokens.calls import Tokens
from palisade.enforce.envoy.tokens.refused import where_refused
from palisade.enforce.envoy.tokens.token import Token
from palisade.enforce.envoy.values.claims import claim_defined
from palisade.enforce.envoy.values.sources import ClaimSource, Missing, TextSource
from palisade.enforce.envoy.values.times import kind_of, moment_of
from palisade.enforce.envoy.values.walks import is_claim, needs_claim
from palisade.enforce.envoy.values.words import IN_WORDS
from palisade.rego.partial.formulas.formula import (
    Atom,
    Defined,
    Exists,
    Formula,
    In,
    IsKind,
    Opaque,
    Same,
    Test,
)
from palisade.rego.partial.formulas.rewriting import own_symbols, parts_first, symbols
from palisade.rego.partial.formulas.shared import Shared
from palisade.rego.partial.formulas.terms import Apply, Gathered, Input, Symbol, subterms
from palisade.rego.partial.symbols.chosen import FIRST
from palisade.rego.values import Value, key, unkey

UNVERIFIED = "a token is there that Envoy does not take, or not as the policy does"
OTHERS = "a token is there that is for another issuer"
NO_TEXT = "compares with bytes that are no UTF-8, as base64.decode may give them"
_SPARE = 10_000
"""So many formulas of the past, beside as many as there were at first, are kept before all begins anew."""


class _Lowered:
    """What is known of the formulas lowered so far, for the tokens of one provider, or of any."""

    def __init__(self) -> None:
        self.done: dict[Formula, Bounds] = {}
        self.noted: dict[Formula, Notes] = {}
        self.said = Shared(partial(_own, self.noted), bodies=False)
        self.why = Shared(partial(_own_where_possible, self.noted, self.done), bodies=False)
        self.together: dict[tuple[Formula, ...], Notes] = {}

    def begin(self) -> None:
        """Begins another revision: what is said of a condition comes in the order of its own parts, whatever
        came before."""
        self.said.begin()
        self.why.begin()
        self.together = {}


class Lowering(Tabled):
    """Lowers the formulas of one policy. `notes` tells what else is to be said of them."""

    def __init__(
        self,
        providers: Sequence[str],
        hoisted: Iterable[tuple[object, ...]] = (),
        tokens: Tokens | None = None,
        fields: Collection[Field] = (),
        *,
        one_of_several: bool = False,
    ) -> None:
        """`hoisted` are claims, by their paths: that they are objects is said by doubts, not each rule.
        `tokens` are those that the policy takes apart itself, `fields` those that were read. Where it takes
        `one_of_several`, which are exclusive then, requests with none of them are decided before.
        """
        super().__init__(providers, hoisted, tokens, fields)
        self._one_of_several = one_of_several
        self._doubted: dict[Token, Predicate] = {}
        self._here = _Lowered()
        self._first_size = 0
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

    def begin_revision(self) -> None:
        """Begins another revision. Of a condition with thousands of parts an edit changes one: the others are
        not lowered again."""
        self._take_notes()
        self._here.begin()
        self._first_size = self._first_size or len(self._here.done)

    @property
    def is_worn(self) -> bool:
        """Most of what is known is of revisions before: it is better to begin anew, with another."""
        return bool(self._first_size) and len(self._here.done) > 2 * self._first_size + _SPARE

    def bounds(self, formula: Formula) -> Bounds:
        """The formula between two predicates. Parts that formulas share are lowered once."""
        done = self._here.done
        for node in parts_first(formula, done):
            done[node] = self._combine(node)
        return done[formula]

    def notes(self, formula: Formula) -> Notes:
        """What is to be said of the formula, lowered before."""
        here = self._here
        said = here.said.of(formula)
        found = here.together.get(said)
        if found is None:
            found = here.together[said] = Notes.of_all(here.noted[node] for node in said)
        if not found.reasons:
            return found
        # But for those of what never holds, whatever its parts say.
        if _holds_possibly(formula, here.done):
            return found
        why = here.why.of(formula)
        if why == said:
            return found
        reasons = chain.from_iterable(here.noted[node].reasons for node in why)
        return replace(found, reasons=frozenset(reasons))

    def _combine(self, node: Formula) -> Bounds:
        if node.atom is not None:
            outer = self._take_notes()
            touched, self._touched = self._touched, {}
            bounds = self._trusted(self._atom(node.atom), node)
            if bounds.surely == NO and not bounds.exact:
                bounds = Bounds(bounds.surely, all_of((bounds.possibly, *self._needed(node))))
            self._touched = touched
            own = self._take_notes()
            if own is not NOTHING:
                reasons = frozenset(
                    each if each.atom else replace(each, atom=node.atom) for each in own.reasons
                )
                self._here.noted[node] = Notes(reasons, own.doubts, own.clean)
            self._note(outer.and_of(own))
            return bounds
        if node.kind == "and":
            return conjunction(node.args, self._here.done)
        if node.kind == "or":
            return either(self._here.done[arg] for arg in node.args)
        if node.kind == "not":
            return inverse(self._here.done[node.args[0]])
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
                case ClaimSource() as claim if all(map(_is_in_utf_8, claim.path)):
                    yield claim_defined(claim)
                case Missing():
                    yield NO

    def _trusted(self, bounds: Bounds, node: Formula) -> Bounds:
        """The same, but for requests with a token that Envoy has not verified as the policy would."""
        if self._one_of_several:
            return self._where_others(bounds, node)
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

    def _where_others(self, bounds: Bounds, node: Formula) -> Bounds:
        """The same, and what the atom is where another token is taken: those of the atom are not valid."""
        for token in self._touched:
            self._settle(token)
            then = where_refused(self._builder, node, self._tokens.calls_of(token))
            others = any_of(claim_defined(each.claims) for each in self._tokens.all if each != token)
            if then is None or then.kind not in ("true", "false"):
                bounds = Bounds(bounds.surely, self._unless(bounds, others, OTHERS).possibly)
            elif then.kind == "true":
                bounds = either((bounds, exactly(others)))
        return bounds

    def _settle(self, token: Token) -> None:
        doubt = self._doubted.get(token)
        if doubt is None:
            doubt = self._doubted[token] = self._tokens.unsettled(token)
        self._unless(NEVER, doubt, UNVERIFIED)
        self.doubts[doubt] = None

    def _of_several(self, atom: Atom, tokens: Sequence[Token]) -> Bounds:
        """An atom on what is decoded: it is the one token that is taken, and without that nothing, but for
        what is gathered of it: that is there, be it empty."""
        kept, cases = self._here, []
        for token in tokens:
            self._settle(token)
            self._here, self._decoded = _Lowered(), token
            bounds = self._of_one(atom)
            cases.append(both((exactly(claim_defined(token.claims)), bounds)))
        self._here, self._decoded = kept, None
        if not self._shared_by(atom, outside=True):
            none = all_of(negate(claim_defined(token.claims)) for token in tokens)
            cases.append(Bounds(NO, none))
        return either(cases)

    def _atom(self, atom: Atom) -> Bounds:
        """The atom; one that no expression of Envoy's is, for each hour, day or method that it is about."""
        outer = self._take_notes()
        bounds = self._plain_atom(atom)
        for one_by_one in (self._by_time, self._by_method):
            if any(each.always for each in self._reasons):
                first, found = self._take_notes(), one_by_one(atom)
                if found is None or any(each.always for each in self._reasons):
                    self._take_notes()
                    self._note(first)
                else:
                    bounds = found
        self._note(outer)
        return bounds

    def _by_time(self, atom: Atom) -> Bounds | None:
        return None if (part := timed(atom)) is None else self._by_value(atom, part, cases(part))

    def _by_method(self, atom: Atom) -> Bounds | None:
        found = self._by_value(atom, METHOD, USUAL) if speaks_of_method(atom) else None
        usual = self._in(In(METHOD, frozenset(USUAL)))
        return None if found is None else self._unless(found, negate(usual.surely), OTHER)

    def _by_value(self, atom: Atom, term: Input | Apply, values: Sequence[Value]) -> Bounds | None:
        """The atom where the term is one of the values, of each what the atom is there."""
        ways: dict[Formula, set[object]] = {}
        for value in values:
            there = with_value(self._builder, atom, term, value)
            if there is None:
                return None
            ways.setdefault(there, set()).add(key(value))
        found: list[Bounds] = []
        for there, those in ways.items():
            found.append(both((self._in(In(term, frozenset(those))), self.bounds(there))))
            self._note(self.notes(there))  # another rule may have asked the same before
        return either(found)

    def _plain_atom(self, atom: Atom) -> Bounds:
        several = self._shared_by(atom)
        if several and self._decoded is None:
            return self._of_several(atom, several)
        formula = Formula("atom", atom=atom)
        if len(self._providers) < 2 or not _on_claims(formula):
            return self._of_one(atom)
        # Several providers: the claims are those of the first, by name, whose token was verified.
        cases: list[Bounds] = []
        before: list[Predicate] = []
        outer, kept = self._providers, self._here
        none = () if any(map(needs_claim, own_symbols(formula))) else (None,)  # which else hold not
        for provider in (*outer, *none):
            self._providers = () if provider is None else (provider,)
            self._here = _Lowered()
            bounds = self._of_one(atom)
            here = [] if provider is None else [claim_defined(ClaimSource((provider,)))]
            cases.append(both((exactly(all_of((*here, *map(negate, before)))), bounds)))
            before += here
        self._providers, self._here = outer, kept
        return either(cases)

    def _of_one(self, atom: Atom) -> Bounds:
        """An atom where at most one token counts."""
        outer, self._compares = self._compares, compares(atom)
        try:
            return self._atoms[type(atom)](self, atom)
        except DecodeError:  # protobuf's word for a message that nests deeper than Envoy would read
            return self._unknown(TOO_DEEP)
        except UnicodeEncodeError:  # protobuf's for a text that has no UTF-8
            return self._unknown(NO_TEXT)
        finally:
            self._compares = outer

    def _shared_by(self, atom: Atom, *, outside: bool = False) -> tuple[Token, ...]:
        """The tokens one of which the atom decodes; of what is gathered, too, where not only `outside`."""
        if not self._one_of_several:
            return ()
        whole = _is_gathered if outside else None
        parts = (part for symbol in symbols(Formula("atom", atom=atom)) for part in subterms(symbol, whole))
        return next(
            (found for each in parts if isinstance(each, Apply) and (found := self._tokens.any_of(each))), ()
        )

    def _opaque(self, atom: Opaque) -> Bounds:
        if atom.reason == FIRST:
            return Bounds(NO, YES)  # of which requests that is so, the condition beside it says
        if atom.reason in IN_WORDS:
            return self._unless(NEVER, YES, IN_WORDS[atom.reason])  # as the one beside it says
        return self._unknown(atom.reason, atom.location, hints.of_unfollowed(atom.reason))

    def _in(self, atom: In) -> Bounds:
        values = [unkey(form) for form in atom.values]
        if not all(map(_is_in_utf_8, values)):  # maps of texts are made later
            return self._unknown(NO_TEXT)
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


def _is_gathered(part: Symbol) -> bool:
    return isinstance(part, Gathered)


def _is_in_utf_8(value: object) -> bool:
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _on_claims(formula: Formula) -> bool:
    return any(is_claim(part) for symbol in symbols(formula) for part in subterms(symbol))


def _holds_possibly(formula: Formula, done: Mapping[Formula, Bounds]) -> bool:
    """Whether it can be told at once that no part of the formula is one that never holds."""
    if formula.kind != "and" or done[formula].possibly == NO:
        return False
    return all(part.atom is not None for part in formula.args)


def _own(noted: Mapping[Formula, Notes], node: Formula) -> tuple[Formula, ...]:
    """The part of a formula where something is said of itself."""
    return (node,) if node in noted else ()


def _own_where_possible(
    noted: Mapping[Formula, Notes], done: Mapping[Formula, Bounds], node: Formula
) -> tuple[Formula, ...] | None:
    """The same; None for a part that never holds."""
    return None if done[node].possibly == NO else _own(noted, node)
