"""Atoms on values of the request themselves: whether they are there, what they equal, of what kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from palisade.decide.verified import provider_of
from palisade.enforce.envoy import hints
from palisade.enforce.envoy.conditions.context import DIRTY, DIRTY_QUERY, Context
from palisade.enforce.envoy.conditions.leading import begins
from palisade.enforce.envoy.conditions.views import View, view
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, either, exactly
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    Predicate,
    all_of,
    any_of,
    negate,
    one_of,
)
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.values.claims import (
    ROUNDED_IN_WORDS,
    claim_defined,
    claim_is,
    claim_kind,
    is_rounded,
    rounded,
)
from palisade.enforce.envoy.values.sources import (
    ADDRESS_TEXT,
    PATH_TEXT,
    PORT_TEXT,
    Address,
    ClaimSource,
    Decoded,
    FieldSource,
    Given,
    Identity,
    Missing,
    Parameter,
    Path,
    Port,
    ProviderName,
    Query,
    Segment,
    Source,
    TextSource,
    TokenClaim,
    Unspelled,
    Verified,
)
from palisade.rego.partial.formulas.formula import Defined, IsKind, Same
from palisade.rego.partial.formulas.terms import Symbol, subterms
from palisade.rego.stored import also
from palisade.rego.values import type_name


class Atoms(Context):
    """Lowers what is asked of walks into the input."""

    def _found(self, source: Source | None) -> Bounds | None:
        """Whether the value is there."""
        match source:
            case Unspelled():
                return self._names(patterns.NOTHING)
            case Given() | Path() | Address() | Port() | Segment(0 | -1):
                return ALWAYS
            case Missing():
                return NEVER
            case TextSource():
                return exactly(self._present(source))
            case ClaimSource():
                return exactly(claim_defined(source))
            case Decoded(claims) | Verified(claims):
                return exactly(claim_defined(claims))
            case Identity() | ProviderName():
                return exactly(self._identified())
            case Segment(index):
                return self._path(paths.segment_exists(index))
            case Query(name) | Parameter(name):
                return self._names(paths.parameter_exists(name))
        return None

    def _is_string(self, source: Source | None) -> Bounds | None:
        """Whether the value is there and a string."""
        match source:
            case Given() | Path() | Identity() | Query() | Decoded() | Verified() | Unspelled(True) | Port():
                return NEVER
            case ClaimSource():
                return exactly(claim_kind(source, "string"))
        return self._found(source)

    def _is_kind(self, atom: IsKind) -> Bounds:
        return self._kind_of(self._source(atom.term), atom.kind) or self._invisible(atom.term)

    def _kind_of(self, source: Source | None, kind: str) -> Bounds | None:
        match source:
            case ClaimSource():
                return exactly(claim_kind(source, kind)) if kind != "set" else NEVER
            case Given() | Identity():
                return self._found(source) if kind == "object" else NEVER
            case Path() | Query() | Decoded() | Unspelled(True):
                return self._found(source) if kind == "array" else NEVER
            case Verified():
                return self._found(source) if kind == "boolean" else NEVER
            case Port():
                return self._found(source) if kind == "number" else NEVER
            case None:
                return None
        return self._found(source) if kind == "string" else NEVER

    def _equals(self, source: Source | None, values: list[object]) -> Bounds | None:
        """Whether the value is one of those."""
        strings = [value for value in values if isinstance(value, str)]
        match source:
            case TextSource(text):
                if text.name.startswith("header :"):
                    strings = [value for value in strings if value]  # Envoy has no empty ones of these
                return exactly(one_of(text, strings))
            case FieldSource() if any(value in _EMPTY for value in values):
                others = self._equals(source, [value for value in values if value not in _EMPTY])
                empty = [value for value in _EMPTY if value in values]
                found_empty = (exactly(_is_empty(source, value)) for value in empty)
                return None if others is None else either((others, *found_empty))
            case TokenClaim() if any(map(is_rounded, values)):
                large = [value for value in values if is_rounded(value)]
                others = self._equals(source, [value for value in values if value not in large])
                kinds = {type_name(value) for value in large} - {"number"}
                unsure = any_of((rounded(source), *(claim_kind(source, kind) for kind in sorted(kinds))))
                return None if others is None else self._unless(others, unsure, ROUNDED_IN_WORDS)
            case ClaimSource():
                return self._claim_is(source, values)
            case ProviderName():
                return exactly(self._provider_in(strings))
            case Verified():
                return self._found(source) if any(value is True for value in values) else NEVER
            case Decoded() if not any(isinstance(value, list) for value in values):
                return NEVER
            case Path():
                return self._path_is(values)
            case Segment(index):
                return self._segment_is(index, strings)
            case Address():
                return exactly(one_of(ADDRESS_TEXT, strings))
            case Port():
                return exactly(one_of(PORT_TEXT, _ports(values)))
            case Parameter(name):
                chosen = [value for value in strings if paths.is_plain_parameter(value)]
                found_one = self._query(paths.first_parameter_is(name, chosen)) if chosen else NEVER
                unsaid = DIRTY_QUERY if len(chosen) < len(strings) else NO
                return self._unless(found_one, unsaid, DIRTY)
            case Missing():
                return NEVER
            case Unspelled():
                return self._names(patterns.NOTHING)
            case Given() | Identity() if not any(isinstance(value, dict) for value in values):
                return NEVER
            case Query() if not any(isinstance(value, list) for value in values):
                return NEVER
            case Query(name):
                return self._parameters_are(name, values)
        return None

    def _claim_is(self, claim: ClaimSource, values: list[object]) -> Bounds | None:
        """Where a table of data has a text of digits, a number finds it too: those are for the engine, said
        once for all rules. In tables of thousands each would be a matcher of its own."""
        texts: list[object] = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if _is_number(value)]
        beside = also(texts)[len(texts) :] if numbers else []
        if not beside or not all(number in numbers for number in beside):
            found = claim_is(claim, values)
            return None if found is None else exactly(found)
        others = claim_is(claim, [v for v in values if not (_is_number(v) and v in beside)])
        if others is None:
            return None
        number = claim_kind(claim, "number")
        self.doubts[number] = None
        self._note_where("a number finds what a text of its digits does")
        return exactly(others)

    def _parameters_are(self, name: str, values: list[object]) -> Bounds | None:
        """The parameter stands there once, with one of the values."""
        lists = [value for value in values if isinstance(value, list)]
        if any(len(value) != 1 or not isinstance(value[0], str) for value in lists):
            return None
        chosen = [value[0] for value in lists if paths.is_plain_parameter(value[0])]
        once = self._query(paths.only_parameter_is(name, chosen)) if chosen else NEVER
        return self._unless(once, DIRTY_QUERY, DIRTY)

    def _provider_in(self, names: Iterable[str]) -> Predicate:
        """The first provider by name whose token was verified is one of those."""
        chosen = set(names)
        found: list[Predicate] = []
        before: list[Predicate] = []
        for each in self._providers:
            here = claim_defined(ClaimSource((each,)))
            if provider_of(each) in chosen:
                found.append(all_of((here, *map(negate, before))))
            before.append(here)
        return any_of(found)

    def _segment_is(self, index: int, values: Iterable[str]) -> Bounds:
        chosen = [value for value in values if "/" not in value]
        if any("\ufffd" in value for value in chosen):
            return self._unknown(
                "compares a path segment with the replacement character", hint=hints.REPLACEMENT
            )
        if index or not all(value and paths.is_plain(value) for value in chosen):
            return self._path(paths.segment_is(index, chosen)) if chosen else NEVER
        self.needs_clean_path = True
        return begins((value,) for value in chosen) if chosen else NEVER

    def _path_is(self, values: Iterable[object]) -> Bounds:
        """The segments are one of the arrays: mostly the path is their text, and Envoy looks it up."""
        self.needs_clean_path = True
        texts: list[str] = []
        spelled: list[Bounds] = []
        for value in values:
            if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
                continue
            if any("/" in each for each in value) or (not value[0] and len(value) > 1):
                continue
            if all(map(paths.is_plain, value)):
                texts.append("/" + "/".join(value))
            elif any("\ufffd" in each for each in value):
                return self._unknown(
                    "compares a path segment with the replacement character", hint=hints.REPLACEMENT
                )
            else:
                spelled.append(self._path(paths.path_is(value)))
        return either((exactly(one_of(PATH_TEXT, texts)), *spelled))

    # Two values of the request --------------------------------------------------------------------------

    def _same(self, atom: Same) -> Bounds:
        left, right = self._source(atom.left), self._source(atom.right)
        if isinstance(left, Missing) or isinstance(right, Missing):
            return NEVER
        if isinstance(left, ClaimSource) and isinstance(right, ClaimSource):
            return self._same_claims(left, right)
        one, other = self._view(atom.left), self._view(atom.right)
        if one is None or other is None:
            return self._unknown(
                f"compares {atom.left} with {atom.right}", hint=hints.of_pair(atom.left, atom.right)
            )
        same = exactly(cel.check(cel.equal(one.expr, other.expr)))
        return self._unless(same, any_of((one.unsure, other.unsure)), one.when or other.when)

    def _view(self, term: Symbol) -> View | None:
        found = view(term, self._source)
        if found is not None and found.unsure != NO and any(map(self._is_of_target, subterms(term))):
            self.needs_clean_path = True
        return found

    def _is_of_target(self, term: Symbol) -> bool:
        """Whether it stands in the path or the query."""
        return isinstance(self._source(term), Segment | Parameter | Path | Query)

    def _same_claims(self, left: ClaimSource, right: ClaimSource) -> Bounds:
        same = cel.check(cel.equal(left.expr, right.expr))
        deep = any_of(
            all_of((claim_kind(left, kind), claim_kind(right, kind))) for kind in ("array", "object")
        )
        none = all_of((claim_kind(left, "null"), claim_kind(right, "null")))
        found = self._unless(
            exactly(any_of((same, none))), deep, "two values are both arrays or both objects"
        )
        return self._unless(found, rounded(left, right), ROUNDED_IN_WORDS)

    def _text_has(self, term: Symbol, texts: Iterable[str]) -> Bounds | None:
        """Whether a text that is made of the request's is one of the values."""
        found = self._view(term)
        chosen = sorted(texts)
        if found is None or len(chosen) > MAX_LISTED:
            return None
        if len(chosen) > MAX_COMPARED:
            several = cel.check(cel.call("@in", found.expr, cel.texts(chosen)))
            return self._unless(exactly(several), found.unsure, found.when)
        parts = [exactly(cel.check(cel.equal(found.expr, cel.text(each)))) for each in chosen]
        return self._unless(either(parts), found.unsure, found.when)

    def _defined(self, atom: Defined) -> Bounds:
        return self._found(self._source(atom.term)) or self._invisible(atom.term)


def _ports(values: Iterable[object]) -> Iterator[str]:
    """Those of the values that are ports, as Envoy writes them."""
    for value in values:
        if type(value) in (int, float, Decimal) and value in range(1 << 16):
            yield f"{value:.0f}"


def _is_number(value: object) -> bool:
    """Whether a value is a number in Rego, where true is none."""
    return type(value) in (int, float, Decimal)


_EMPTY: tuple[object, ...] = ({}, [])


def _is_empty(field: FieldSource, value: object) -> Predicate:
    kind = "object" if value == {} else "array"
    return all_of((field.of_kind(kind), cel.check(cel.equal(field.size, cel.double(0)))))


MAX_COMPARED = 16
"""With so many constants Envoy compares a text that it makes for each request, one by one."""
MAX_LISTED = 256
"""Among so many it looks for it: it takes the list in its hands for each request."""
