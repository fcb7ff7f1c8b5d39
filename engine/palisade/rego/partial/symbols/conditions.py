"""When symbols are equal, among others, or found in a collection: conditions on terms of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from palisade.rego.errors import Location
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.differing import beginning, differ
from palisade.rego.partial.formulas.formula import (
    FALSE,
    TRUE,
    Atom,
    Formula,
    IsKind,
    Opaque,
    Same,
)
from palisade.rego.partial.formulas.placing import at_key
from palisade.rego.partial.formulas.rewriting import renamed_at, renamed_in, some_member, substitute
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Overlay,
    Part,
    SetOf,
    Symbol,
    Term,
    Unknown,
    below,
    unknown_in,
)
from palisade.rego.partial.symbols.construct import items_of
from palisade.rego.partial.symbols.kinds import is_another, is_text
from palisade.rego.partial.symbols.objects import entries_of, left_of
from palisade.rego.partial.symbols.worlds import Unsupported
from palisade.rego.values import Set, Value, key, unkey


class Conditions:
    """Makes the conditions of one run; loops and opaque parts are numbered, so each is itself alone."""

    def __init__(self, before: Conditions | None = None) -> None:
        """With the run `before`, formulas are the same objects as there, and numbers go on."""
        self.builder: Builder = Builder() if before is None else before.builder
        self._serial: int = 0 if before is None else before._serial
        self._chose: bool = before is not None and before._chose
        """Whether a value was taken out of a loop (`chosen`), which most policies never do."""

    def note_chosen(self) -> None:
        """Notes that a value was taken out of a loop."""
        self._chose = True

    def new_loop(self) -> int:
        """A number for a loop over an unknown collection."""
        self._serial += 1
        return self._serial

    def opaque(self, reason: str, location: Location) -> Formula:
        self._serial += 1
        return self.builder.atom(Opaque(reason, location, self._serial))

    def unknown(self, reason: str, location: Location) -> Unknown:
        self._serial += 1
        return Unknown(reason, location, self._serial)

    def equal(self, a: Symbol, b: Symbol) -> Formula:
        """The condition under which two defined symbols denote equal values."""
        if isinstance(a, Known):
            a, b = b, a
        if isinstance(a, Known) and isinstance(b, Known):
            return TRUE if a == b else FALSE
        if a == b:
            blind = unknown_in(a)
            return TRUE if blind is None else self.opaque(blind.reason, blind.location)
        if isinstance(a, Unknown):
            return self.opaque(a.reason, a.location)
        if isinstance(b, Unknown):
            return self.opaque(b.reason, b.location)
        if isinstance(a, Apply) and differ(a, b):
            return FALSE
        if isinstance(a, Overlay) or isinstance(b, Overlay):
            raise Unsupported("compares an input that `with` changed")
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Gathered):
                if other == Known(Set() if one.kind == "set" else []):
                    return self.builder.negate(self.nonempty(one))
                if isinstance(other, Known) and one.kind == "set":
                    return self._equal_set(one, other.value)
                if _KINDS.get(type(other), one.kind) != one.kind:
                    return FALSE
                if isinstance(other, Known) and not isinstance(other.value, list):
                    return FALSE  # a rule or function that gives an array holds by itself
                if isinstance(other, SetOf):
                    return self._equal_members(one, other.items)
                if isinstance(other, Gathered) and (one.kind == "set" or other.kind == "set"):
                    same = one.kind == other.kind
                    return self._equal_sets(one, other) if same else FALSE
                raise Unsupported("compares a collection whose members depend on the request")
            left = left_of(one)
            if left is not None and left.over[0][0] == other:
                return self._equal_whole(left)
            if left is not None and other == Known({}):
                return self.builder.negate(self._has_entries(one))
            if left is not None and isinstance(other, Known):
                return self._equal_left(one, other.value)
            counted = isinstance(one, Apply) and one.name == "count" and one.args[0]
            if isinstance(counted, Gathered) and other == Known(0):
                return self.builder.negate(self.nonempty(counted))
            texts = joined_texts(one)
            if texts is not None and other == Known(""):
                return self.builder.negate(self.nonempty(texts))
        if isinstance(a, (ArrayOf, ObjectOf, SetOf)):
            return self._equal_composite(a, b)
        if isinstance(b, (ArrayOf, ObjectOf, SetOf)):
            return self._equal_composite(b, a)
        if isinstance(b, Known):
            return FALSE if is_another(a, b.value) else self.is_value(_as_term(a), b.value)
        return self.builder.atom(Same(_as_term(a), b))

    def _equal_set(self, collection: Gathered, wanted: Value) -> Formula:
        """The set has the wanted members, and no others."""
        if not isinstance(wanted, Set):
            return FALSE
        return self._equal_members(collection, [Known(each) for each in wanted])

    def _equal_members(self, collection: Gathered, wanted: Sequence[Symbol]) -> Formula:
        """The set has those members, which are there, and no others."""
        negate = self.builder.negate
        known = [each.value for each in wanted if isinstance(each, Known)]
        terms = [each for each in wanted if not isinstance(each, Known)]

        def among(item: Symbol) -> Formula:
            return self.builder.any(
                (self.is_one_of(item, known), *(self.equal(item, each) for each in terms))
            )

        others = [self.some(part, negate(among(part.item))) for part in map(self.fresh, collection.parts)]
        missing = [negate(self.has(collection, each)) for each in wanted]
        return negate(self.builder.any((*others, *missing)))

    def _equal_sets(self, one: Gathered, other: Gathered) -> Formula:
        return self.builder.both(self.within(one, other), self.within(other, one))

    def within(self, some: Gathered, others: Gathered) -> Formula:
        """Each member of the one is one of the other's."""
        parts = map(self.fresh, some.parts)
        more = [self.some(part, self.builder.negate(self.has(others, part.item))) for part in parts]
        return self.builder.negate(self.builder.any(more))

    def _equal_left(self, made: Symbol, wanted: Value) -> Formula:
        """What is left of an object of the request has the wanted entries, and no others."""
        left = left_of(made)
        if left is None or not isinstance(wanted, dict):
            return FALSE

        def entry_of() -> tuple[Part, Symbol, Symbol]:
            part = self.fresh(left)
            name, value = items_of(part.item)
            return part, name, value

        found: list[Formula] = []
        for form, item in wanted.items():
            part, name, value = entry_of()
            here = self.builder.both(self.is_one_of(name, [unkey(form)]), self.equal(value, Known(item)))
            found.append(self.some(part, here))
        part, name, _ = entry_of()
        other = self.some(part, self.builder.negate(self.is_one_of(name, map(unkey, wanted))))
        return self.builder.all((*found, self.builder.negate(other)))

    def _equal_whole(self, left: Part) -> Formula:
        """What is left of an object is all of it."""
        part = self.fresh(left)
        gone = replace(part, condition=self.builder.negate(part.condition))
        whole = self.builder.negate(self.some(gone, TRUE))
        return self.builder.both(self.builder.atom(IsKind(part.over[0][0], "object")), whole)

    def _equal_composite(self, a: Symbol, b: Symbol) -> Formula:
        if isinstance(a, ArrayOf):
            if isinstance(b, Known):
                if not isinstance(b.value, list) or len(b.value) != len(a.items):
                    return FALSE
                others: list[Symbol] = [Known(item) for item in b.value]
                return self.builder.all(map(self.equal, a.items, others))
            if isinstance(b, ArrayOf):
                if len(a.items) != len(b.items):
                    return FALSE
                return self.builder.all(map(self.equal, a.items, b.items))
            if isinstance(b, (Input, Element, Apply)):
                return self._equal_array(b, a.items)
        if isinstance(a, ObjectOf) and isinstance(b, (Known, ObjectOf)):
            mine = dict(a.items)
            if isinstance(b, Known):
                if not isinstance(b.value, dict):
                    return FALSE
                theirs: dict[object, Symbol] = {form: Known(value) for form, value in b.value.items()}
            else:
                theirs = dict(b.items)
            if mine.keys() != theirs.keys():
                return FALSE
            return self.builder.all(self.equal(value, theirs[form]) for form, value in mine.items())
        if isinstance(b, (ArrayOf, ObjectOf, SetOf)) and type(a) is not type(b):
            return FALSE
        if isinstance(b, Known) and not isinstance(b.value, Set):
            return FALSE
        raise Unsupported("compares a set or object whose members depend on the request")

    def _equal_array(self, term: Input | Element | Apply, items: tuple[Symbol, ...]) -> Formula:
        """The term is an array of those members."""
        if term in items:
            return FALSE  # no value is a member of itself
        count = self.builder.is_in(Apply("count", (term,)), (len(items),))
        parts = [self.builder.atom(IsKind(term, "array")), count]
        for at, item in enumerate(items):
            member = Apply(".", (term, Known(at))) if isinstance(term, Apply) else below(term, at)
            parts.append(self.equal(member, item))
        return self.builder.all(parts)

    def nonempty(self, collection: Gathered) -> Formula:
        """Whether the collection has any member."""
        return self.builder.any(self.some(part, TRUE) for part in collection.parts)

    def _has_entries(self, made: Symbol) -> Formula:
        """Whether an object that is put together has any."""
        parts = entries_of(made) or ()
        return self.builder.any(self.some(part, TRUE) for part in map(self.fresh, parts))

    def has(self, collection: Gathered, item: Symbol) -> Formula:
        """Whether the item is a member of the collection."""
        found = []
        for part in map(self.fresh, collection.parts):
            found.append(self.some(part, self.equal(part.item, item)))
        return self.builder.any(found)

    def some(self, part: Part, body: Formula) -> Formula:
        """Some choice of members in the part's loops makes its condition and the body hold."""
        formula = self.builder.both(part.condition, body)
        for source, loop in reversed(part.over):
            formula = self.exists(source, loop, formula)
        return formula

    def fresh(self, part: Part) -> Part:
        """The part with loops of its own, so that two uses of it do not choose the same members."""
        if not part.over:
            return part
        condition, item, over = part.condition, part.item, list[tuple[Term, int]]()
        pending = list(part.over)
        while pending:
            source, loop = pending.pop(0)
            to = self.new_loop()
            condition = renamed_in(self.builder, condition, loop, to)
            item = renamed_at(self.builder, item, loop, to)
            over.append((source, to))
            pending = [
                (_as_term(renamed_at(self.builder, each, loop, to)), number) for each, number in pending
            ]
        return Part(condition, tuple(over), item)

    def is_one_of(self, item: Symbol, values: Iterable[Value]) -> Formula:
        """The term equals one of the values."""
        if isinstance(item, Unknown):
            return self.opaque(item.reason, item.location)
        if isinstance(item, (Input, Element, Apply)):
            if not _is_of_document(item):
                return self.builder.is_in(item, (key(value) for value in values))
            values = list(values)
            apart = [self.is_value(item, each) for each in values if is_read_apart(item, each)]
            rest = [key(each) for each in values if not is_read_apart(item, each)]
            return self.builder.any(
                (*([self.builder.is_in(item, rest)] if rest or not apart else []), *apart)
            )
        return self.builder.any(self.equal(item, Known(value)) for value in values)

    def is_value(self, term: Term, value: Value) -> Formula:
        """The term equals a constant. What is composite in a document is compared part by part."""
        if isinstance(term, Unknown) or not is_read_apart(term, value):
            return self.builder.is_in(term, (key(value),))
        kind = "object" if type(value) is dict else "array"
        items = value.items() if type(value) is dict else enumerate(value)
        count = self.builder.is_in(Apply("count", (term,)), (len(value),))
        parts = [self.is_value(at_key(term, Known(unkey(form))), item) for form, item in items]
        return self.builder.all((self.builder.atom(IsKind(term, kind)), count, *parts))

    def _afresh(self, body: Formula) -> Formula:
        """The body with opaque parts of its own: they may differ from member to member."""

        def replace(atom: Atom) -> Formula:
            if isinstance(atom, Opaque):
                return self.opaque(atom.reason, atom.location)
            return self.builder.atom(atom)

        return substitute(self.builder, body, replace)

    def exists(self, source: Symbol, loop: int, body: Formula) -> Formula:
        """Some member of the collection makes the body hold; parts that do not name it stay outside."""
        builder = self.builder
        if body is FALSE:
            return FALSE
        if isinstance(source, Unknown):
            parts = body.args if body.kind == "and" else (body,)
            outside = [each for each in parts if loop not in each.loops and not each.opaque]
            return builder.all((*outside, self.opaque(source.reason, source.location)))
        if isinstance(source, (Known, ArrayOf, ObjectOf, SetOf, Gathered, Overlay)):
            raise Unsupported("iterates over a collection that is known in part")
        return some_member(builder, source, loop, self._afresh(body) if body.opaque else body)


_MOST_PARTS = 40
"""So many parts of a constant are compared one by one."""

_READ = frozenset(("io.jwt.decode", "json.unmarshal"))


def is_read_apart(term: Symbol, value: Value) -> bool:
    """Whether the term is of a document of which sidecars read one field after the other, and the constant
    has several."""
    return type(value) in (dict, list) and 0 < _size(value) <= _MOST_PARTS and _is_of_document(term)


def _size(value: Value) -> int:
    parts = value.values() if type(value) is dict else value if type(value) is list else ()
    return len(parts) + sum(map(_size, parts))


def _is_of_document(term: Symbol) -> bool:
    match term:
        case Input(path):
            return path[:1] == ("parsed_body",)
        case Element(source):
            return _is_of_document(source)
        case Apply("." | "object.get", (whole, *_)):
            return _is_of_document(whole)
    return isinstance(term, Apply) and term.name in _READ


def joined_texts(symbol: Symbol) -> Gathered | None:
    """The texts that one is joined of, none of which is empty: so it is empty only where there are none."""
    match symbol:
        case Apply("concat", (Known(str()), Gathered(parts=parts) as texts)):
            if all(is_text(each.item) and beginning(each.item)[0] for each in parts):
                return texts
    return None


_KINDS: dict[type, str] = {ArrayOf: "array", ObjectOf: "object", SetOf: "set"}


def _as_term(symbol: Symbol) -> Term:
    if isinstance(symbol, (Input, Element, Apply, Unknown)):
        return symbol
    raise TypeError(f"{symbol} is no term")
