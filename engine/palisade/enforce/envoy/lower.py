"""From conditions on a request to predicates that Envoy evaluates, bounded from both sides.

Each formula becomes two predicates: `surely` holds only where the formula does, `possibly` wherever it may.
Where an atom has an exact equal in Envoy the two are one. Between them lies what only the engine can decide.

Sources: the meaning of atoms is `palisade.rego.partial.formula`, that of matchers
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/xds/type/matcher/v3/matcher.proto
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import cel, patterns
from palisade.enforce.envoy.claims import claim_compared, claim_defined, claim_is, claim_kind, claim_matches
from palisade.enforce.envoy.predicate import (
    NO,
    YES,
    Predicate,
    all_of,
    any_of,
    negate,
    one_of,
    text_check,
)
from palisade.enforce.envoy.sources import (
    PATH_TEXT,
    ClaimSource,
    Given,
    Identity,
    Missing,
    Path,
    ProviderName,
    Segment,
    Source,
    TextSource,
    find,
)
from palisade.enforce.envoy.strings import text_matcher
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.formula import (
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
from palisade.rego.partial.terms import Apply, Element, Input, Known, Symbol, Term
from palisade.rego.values import unkey


@dataclass(frozen=True, slots=True)
class Bounds:
    """`surely` implies the formula, the formula implies `possibly`."""

    surely: Predicate
    possibly: Predicate

    @property
    def exact(self) -> bool:
        return self.surely == self.possibly


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a part of a policy is left to the engine, and where it stands."""

    text: str
    location: Location


NEVER = Bounds(NO, NO)
ALWAYS = Bounds(YES, YES)


def exactly(predicate: Predicate) -> Bounds:
    return Bounds(predicate, predicate)


class Lowering:
    """Lowers the formulas of one policy. `reasons` collects why parts of them were left to the engine.

    `needs_clean_path` tells, afterwards, whether any predicate is exact only for paths that are their own
    decoded form: the caller must leave all others to the engine.
    """

    def __init__(self, providers: Sequence[str]) -> None:
        self._providers = tuple(sorted(providers))
        self._done: dict[Formula, Bounds] = {}
        self._because: dict[Formula, frozenset[Reason]] = {}
        self._reasons: set[Reason] = set()
        self.needs_clean_path = False
        self._atoms: dict[type, Callable[..., Bounds]] = {
            In: self._in,
            Defined: self._defined,
            Same: self._same,
            Test: self._test,
            IsKind: self._is_kind,
            Exists: self._exists,
            Opaque: self._opaque,
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

    def reasons(self, formula: Formula) -> frozenset[Reason]:
        """Why the formula, lowered before, is not exact."""
        found: set[Reason] = set()
        seen: set[Formula] = set()
        stack = [formula]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                found |= self._because.get(node, frozenset())
                stack.extend(node.args)
        return frozenset(found)

    def _combine(self, node: Formula) -> Bounds:
        if node.atom is not None:
            self._reasons = set()
            bounds = self._atoms[type(node.atom)](node.atom)
            if self._reasons:
                self._because[node] = frozenset(self._reasons)
            return bounds
        parts = [self._done[arg] for arg in node.args]
        if node.kind == "and":
            return Bounds(all_of(p.surely for p in parts), all_of(p.possibly for p in parts))
        if node.kind == "or":
            return Bounds(any_of(p.surely for p in parts), any_of(p.possibly for p in parts))
        if node.kind == "not":
            return Bounds(negate(parts[0].possibly), negate(parts[0].surely))
        return ALWAYS if node.kind == "true" else NEVER

    def _unknown(self, reason: str, location: Location = NOWHERE) -> Bounds:
        self._reasons.add(Reason(reason, location))
        return Bounds(NO, YES)

    def _opaque(self, atom: Opaque) -> Bounds:
        return self._unknown(atom.reason, atom.location)

    # Terms --------------------------------------------------------------------------------------------

    def _source(self, term: Symbol) -> Source | None:
        return find(term.path, self._providers) if isinstance(term, Input) else None

    def _each_provider(self, atom: Atom, term: Input) -> Bounds | None:
        """An atom on a claim where there are several providers: the first whose token was verified counts."""
        if len(self._providers) < 2 or term.path[:2] != ("identity", "claims") or len(term.path) < 3:
            return None
        surely: list[Predicate] = []
        possibly: list[Predicate] = []
        before: list[Predicate] = []
        everyone = self._providers
        for provider in everyone:
            self._providers = (provider,)
            bounds = self._atoms[type(atom)](atom)
            self._providers = everyone
            here = claim_defined(ClaimSource((provider,)))
            guard = all_of((here, *map(negate, before)))
            before.append(here)
            surely.append(all_of((guard, bounds.surely)))
            possibly.append(all_of((guard, bounds.possibly)))
        return Bounds(any_of(surely), any_of(possibly))

    def _path(self, pattern: str) -> Bounds:
        if len(pattern) > patterns.MAX_PATTERN:
            return self._unknown("compares a path segment with too many values")
        self.needs_clean_path = True
        return exactly(text_check(PATH_TEXT, patterns.regex(pattern)))

    def _present(self, source: TextSource) -> Predicate:
        return YES if source.always else text_check(source.text, patterns.regex("(?s).*"))

    def _identified(self, providers: Iterable[str] | None = None) -> Predicate:
        return any_of(claim_defined(ClaimSource((each,))) for each in providers or self._providers)

    # Atoms --------------------------------------------------------------------------------------------

    def _defined(self, atom: Defined) -> Bounds:
        if isinstance(atom.term, Apply):
            return self._takes_operands(atom.term)
        if isinstance(atom.term, Input):
            several = self._each_provider(atom, atom.term)
            if several is not None:
                return several
        match self._source(atom.term):
            case Given() | Path():
                return ALWAYS
            case Missing():
                return NEVER
            case TextSource() as source:
                return exactly(self._present(source))
            case ClaimSource() as claim:
                return exactly(claim_defined(claim))
            case Identity() | ProviderName():
                return exactly(self._identified())
            case Segment(0):
                return ALWAYS
            case Segment(index):
                return self._path(patterns.segment_exists(index))
        return self._unknown(f"needs {atom.term}, which Envoy does not see")

    def _takes_operands(self, term: Apply) -> Bounds:
        """Whether a builtin takes its operands: for those on strings, whether these are strings."""
        takes = _STRING_OPERANDS.get(term.name)
        if takes is None:
            return self._unknown(f"calls {term.name} on what the request brings")
        parts: list[Bounds] = []
        for at, arg in enumerate(term.args):
            if at not in takes:
                if not isinstance(arg, Known):
                    return self._unknown(f"calls {term.name} on what the request brings")
            elif isinstance(arg, Known):
                parts.append(ALWAYS if isinstance(arg.value, str) else NEVER)
            else:
                parts.append(self._is_string(arg))
        if term.name in ("regex.match", "re_match", "glob.match") and not _valid_pattern(term):
            return NEVER
        return Bounds(all_of(p.surely for p in parts), all_of(p.possibly for p in parts))

    def _is_string(self, term: Symbol) -> Bounds:
        match self._source(term):
            case TextSource() as source:
                return exactly(self._present(source))
            case ClaimSource() as claim:
                return exactly(claim_kind(claim, "string"))
            case Segment(0):
                return ALWAYS
            case Segment(index):
                return self._path(patterns.segment_exists(index))
            case Missing() | Given() | Path() | Identity():
                return NEVER
        if isinstance(term, Apply) and term.name in ("lower", "upper"):
            return self._takes_operands(term)
        return self._unknown(f"needs {term}, which Envoy does not see")

    def _in(self, atom: In) -> Bounds:
        values = [unkey(form) for form in atom.values]
        if isinstance(atom.term, Apply):
            return self._call_is(atom.term, values)
        if isinstance(atom.term, Input):
            several = self._each_provider(atom, atom.term)
            if several is not None:
                return several
        strings = [value for value in values if isinstance(value, str)]
        match self._source(atom.term):
            case TextSource() as source:
                if not source.always:
                    strings = [value for value in strings if value or not _is_pseudo(source)]
                return exactly(one_of(source.text, strings))
            case ClaimSource() as claim:
                return self._claim(claim_is(claim, values), atom.term)
            case ProviderName():
                return exactly(self._provider_in(strings))
            case Path():
                return self._path_is(values)
            case Segment(index):
                chosen = [value for value in strings if "/" not in value]
                return self._path(patterns.segment_is(index, chosen)) if chosen else NEVER
            case Missing():
                return NEVER
        return self._unknown(f"compares {atom.term}, which Envoy does not see")

    def _claim(self, predicate: Predicate | None, term: Term) -> Bounds:
        if predicate is None:
            return self._unknown(f"compares {term} with an array or object")
        return exactly(predicate)

    def _provider_in(self, names: Iterable[str]) -> Predicate:
        """The first provider by name whose token was verified is one of those."""
        chosen = set(names)
        found: list[Predicate] = []
        before: list[Predicate] = []
        for each in self._providers:
            here = claim_defined(ClaimSource((each,)))
            if each in chosen:
                found.append(all_of((here, *map(negate, before))))
            before.append(here)
        return any_of(found)

    def _path_is(self, values: Iterable[object]) -> Bounds:
        """The segments are one of the arrays: the path is their text, where nothing in it is encoded."""
        self.needs_clean_path = True
        paths = []
        for value in values:
            if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
                text = "/" + "/".join(value)
                if not any("/" in each for each in value) and (value[0] or len(value) == 1):
                    paths.append(text)
        return exactly(one_of(PATH_TEXT, paths))

    def _call_is(self, term: Apply, values: Sequence[object]) -> Bounds:
        """A builtin's answer is one of the values."""
        strings = [value for value in values if isinstance(value, str)]
        match term:
            case Apply("count", (argument,)) if isinstance(self._source(argument), Path):
                counts = [n for n in values if isinstance(n, int) and not isinstance(n, bool) and 0 < n < 200]
                return self._any(self._path(patterns.segments(count)) for count in counts)
            case Apply(".", (Apply("split", (text, Known(str(mark)))), Known(int(at)))) if _one_char(mark):
                chosen = [value for value in strings if mark not in value]
                return (
                    self._matches(text, patterns.piece_is(mark, at, chosen)) if chosen and at >= 0 else NEVER
                )
            case Apply("lower" | "upper" as name, (text,)):
                return self._any(self._folded(name, text, value) for value in strings)
        return self._unknown(f"calls {term.name} on what the request brings")

    @staticmethod
    def _any(parts: Iterable[Bounds]) -> Bounds:
        found = list(parts)
        return Bounds(any_of(p.surely for p in found), any_of(p.possibly for p in found))

    def _folded(self, name: str, text: Symbol, value: str) -> Bounds:
        if (value.lower() if name == "lower" else value.upper()) != value:
            return NEVER
        if not value.isascii():
            return self._unknown(f"compares what {name} makes with letters beyond ASCII")
        return self._matches(text, patterns.folded(name, value))

    def _matches(self, term: Symbol, pattern: str) -> Bounds:
        """The term is a string that the pattern matches as a whole."""
        if len(pattern) > patterns.MAX_PATTERN:
            return self._unknown("compares with too many values for one expression")
        return self._string_is(term, patterns.regex(pattern))

    def _string_is(self, term: Symbol, matcher: StringMatcher) -> Bounds:
        if isinstance(term, Input):
            several = self._several_strings(term, matcher)
            if several is not None:
                return several
        match self._source(term):
            case TextSource() as source:
                return exactly(text_check(source.text, matcher))
            case ClaimSource() as claim:
                return exactly(claim_matches(claim, matcher))
            case Missing() | Given() | Path() | Identity():
                return NEVER
        return self._unknown(f"needs {term}, which Envoy does not see")

    def _several_strings(self, term: Input, matcher: StringMatcher) -> Bounds | None:
        if len(self._providers) < 2 or term.path[:2] != ("identity", "claims") or len(term.path) < 3:
            return None
        found: list[Predicate] = []
        before: list[Predicate] = []
        for provider in self._providers:
            here = claim_defined(ClaimSource((provider,)))
            claim = find(term.path, (provider,))
            if isinstance(claim, ClaimSource):
                found.append(all_of((here, *map(negate, before), claim_matches(claim, matcher))))
            before.append(here)
        return exactly(any_of(found))

    def _test(self, atom: Test) -> Bounds:
        term = atom.term
        if term.name in ("lt", "lte", "gt", "gte"):
            return self._compared(term)
        if term.name in ("is_string", "is_array", "is_object", "is_number", "is_boolean", "is_null"):
            return self._is_a(term)
        found = text_matcher(term)
        if found is None:
            return self._unknown(f"calls {term.name} on what the request brings")
        subject, matcher = found
        if matcher is None:
            return NEVER
        match self._source(subject):
            case Segment(index):
                pattern = patterns.segment_matching(index, matcher)
                if pattern is not None:
                    return self._path(pattern)
                return self._unknown(f"calls {term.name} on a segment of the path")
        return self._string_is(subject, matcher)

    def _is_a(self, term: Apply) -> Bounds:
        kind = term.name.removeprefix("is_")
        match self._source(term.args[0]):
            case TextSource() as source:
                return exactly(self._present(source)) if kind == "string" else NEVER
            case ClaimSource() as claim:
                return exactly(claim_kind(claim, kind))
            case Missing():
                return NEVER
        return self._unknown(f"calls {term.name} on what the request brings")

    def _compared(self, term: Apply) -> Bounds:
        """`claim < 3` and the like, in Rego's order: null, booleans, numbers, strings, arrays, objects."""
        left, right = term.args
        name = term.name
        if isinstance(left, Known):
            left, right = right, left
            name = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}[name]
        if not isinstance(right, Known) or isinstance(right.value, bool):
            return self._unknown("compares two values of the request by order")
        if not isinstance(right.value, int | float):
            return self._unknown("compares by an order that is not of numbers")
        match self._source(left):
            case ClaimSource() as claim:
                return self._claim(claim_compared(claim, name, right.value), Input(()))
            case TextSource() as source:
                # A string is greater than any number.
                return exactly(self._present(source)) if name in ("gt", "gte") else NEVER
            case Missing():
                return NEVER
        return self._unknown("compares by order what Envoy does not see")

    def _is_kind(self, atom: IsKind) -> Bounds:
        if isinstance(atom.term, Input):
            several = self._each_provider(atom, atom.term)
            if several is not None:
                return several
        match self._source(atom.term):
            case Given() | Identity():
                whole = atom.kind == "object"
                return self._defined(Defined(atom.term)) if whole else NEVER
            case Path():
                return ALWAYS if atom.kind == "array" else NEVER
            case ClaimSource() as claim:
                return exactly(claim_kind(claim, atom.kind)) if atom.kind != "set" else NEVER
            case TextSource() | Missing() | ProviderName() | Segment():
                return NEVER
        if isinstance(atom.term, Apply) and atom.term.name == "split":
            return self._takes_operands(atom.term) if atom.kind == "array" else NEVER
        return self._unknown(f"needs {atom.term}, which Envoy does not see")

    def _same(self, atom: Same) -> Bounds:
        left, right = self._source(atom.left), self._source(atom.right)
        if isinstance(left, Missing) or isinstance(right, Missing):
            return NEVER
        if isinstance(left, TextSource | ClaimSource) and isinstance(right, TextSource | ClaimSource):
            if isinstance(left, ClaimSource) and isinstance(right, ClaimSource):
                return self._unknown("compares two claims")
            return exactly(cel.check(cel.equal(left.expr, right.expr)))
        joined = self._joined(atom.left, atom.right) or self._joined(atom.right, atom.left)
        return joined or self._unknown(f"compares {atom.left} with {atom.right}")

    def _joined(self, whole: Symbol, made: Symbol) -> Bounds | None:
        """`path == sprintf("/users/%s", [claim])`: a text before or behind one value of the request."""
        pieces = patterns.pieces(made)
        text = self._source(whole)
        if pieces is None or not isinstance(text, TextSource | ClaimSource):
            return None
        before, term, behind = pieces
        part = self._source(term)
        if not isinstance(part, TextSource | ClaimSource) or (before and behind):
            return None
        length = cel.call("_+_", cel.integer(len(before) + len(behind)), cel.call("size", part.expr))
        tests = [cel.has_type(part.expr, "string"), cel.has_type(text.expr, "string")]
        if before:
            tests.append(cel.method(text.expr, "startsWith", cel.text(before)))
        tests.append(cel.method(text.expr, "startsWith" if behind else "endsWith", part.expr))
        if behind:
            tests.append(cel.method(text.expr, "endsWith", cel.text(behind)))
        tests.append(cel.equal(cel.call("size", text.expr), length))
        same = cel.check(cel.conjunction(*tests))
        if isinstance(made, Apply) and made.name == "sprintf" and isinstance(part, ClaimSource):
            # What sprintf makes of other types can, in theory, stand in a path.
            other = all_of((claim_defined(part), negate(claim_kind(part, "string"))))
            return Bounds(same, any_of((same, other)))
        return exactly(same)

    def _exists(self, atom: Exists) -> Bounds:
        body = atom.body
        element = Element(atom.source, atom.loop)
        if isinstance(atom.source, Input):
            several = self._each_provider(atom, atom.source)
            if several is not None:
                return several
        match self._source(atom.source):
            case ClaimSource() as claim:
                return self._claim_has(claim, body, element)
            case Path():
                values = _strings_of(body, element)
                if values is not None:
                    return self._path(patterns.some_segment_is(values)) if values else NEVER
            case TextSource() | Missing() | Segment() | ProviderName():
                return NEVER  # a string has no members
        match atom.source:
            case Apply("split", (text, Known(str(mark)))) if _one_char(mark):
                values = _strings_of(body, element)
                if values is not None:
                    values = [value for value in values if mark not in value]
                    return self._matches(text, patterns.some_piece_is(mark, values)) if values else NEVER
        return self._unknown(f"iterates over {atom.source}")

    def _claim_has(self, claim: ClaimSource, body: Formula, element: Element) -> Bounds:
        """Some member of a claim: of an array exactly, of an object only the engine can tell."""
        predicate: Predicate | None = None
        atom = body.atom
        if isinstance(atom, In) and atom.term == element:
            predicate = claim_is(claim, [unkey(form) for form in atom.values], member=True)
        elif isinstance(atom, Test):
            found = text_matcher(atom.term)
            if found is not None and found[0] == element:
                predicate = claim_matches(claim, found[1], member=True) if found[1] is not None else NO
        if predicate is None:
            return self._unknown("asks more of a claim's members than Envoy can compare")
        return Bounds(predicate, any_of((predicate, claim_kind(claim, "object"))))


_STRING_OPERANDS: dict[str, frozenset[int]] = {
    "startswith": frozenset((0, 1)),
    "endswith": frozenset((0, 1)),
    "contains": frozenset((0, 1)),
    "lower": frozenset((0,)),
    "upper": frozenset((0,)),
    "split": frozenset((0, 1)),
    "regex.match": frozenset((0, 1)),
    "re_match": frozenset((0, 1)),
    "glob.match": frozenset((0, 2)),
}
"""The operands that must be strings. All others must be constants that the builtin takes."""


def _valid_pattern(term: Apply) -> bool:
    return text_matcher(term) is not None


def _one_char(mark: str) -> bool:
    return len(mark) == 1 and mark.isascii()


def _is_pseudo(source: TextSource) -> bool:
    return source.text.name.startswith("header :")


def _strings_of(body: Formula, element: Element) -> list[str] | None:
    """The strings that a condition on an element compares it with; None where it is more than that."""
    if not isinstance(body.atom, In) or body.atom.term != element:
        return None
    return [value for value in map(unkey, body.atom.values) if isinstance(value, str)]
