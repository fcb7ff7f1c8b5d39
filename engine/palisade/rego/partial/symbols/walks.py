"""Walks into values: what stands at a key of what is known, of the input, or of what is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula, Test
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
    Unknown,
    below,
    last_of,
)
from palisade.rego.partial.symbols import arrays, tabled
from palisade.rego.partial.symbols import builtins as symbolic
from palisade.rego.partial.symbols.chosen import FIRST, chosen_of, has_several
from palisade.rego.partial.symbols.construct import lookup, pairs_of
from palisade.rego.partial.symbols.kept import Kept
from palisade.rego.partial.symbols.kinds import is_no_text, is_text
from palisade.rego.partial.symbols.listed import listed
from palisade.rego.partial.symbols.members import Members
from palisade.rego.partial.symbols.objects import entries_of, is_at, mapped_of
from palisade.rego.partial.symbols.other_kinds import (
    OTHER_KIND,
    are_found_by_others,
    has_many_indices,
    is_index,
)
from palisade.rego.partial.symbols.worlds import Unsupported
from palisade.rego.stored import also, at_other_kind, spelled
from palisade.rego.values import UNDEFINED, Set, Value, key, unkey

_MOST_IN_LINE = 64
"""The engine says which is the first of more rows: of each it is asked whether one before it is there."""


class Walks(Members):
    """Looks up. Parts of the input that are `given`, by their paths, are known."""

    _indexes: Kept

    def __init__(self, given: Mapping[tuple[str, ...], Value], before: Walks | None = None) -> None:
        super().__init__(before)
        self._given: dict[tuple[object, ...], Symbol] = {path: Known(value) for path, value in given.items()}
        # What is given to another run is none of this one's business.
        same = before is not None and before._given == self._given
        self._walked: dict[tuple[object, object], symbolic.Cases] = dict(before._walked) if before else {}
        self.used_given: bool = before.used_given if before is not None and same else False
        """Whether what was found out depends on what is given."""

    def dot(self, source: Symbol, part: Symbol) -> symbolic.Cases:
        """What stands at a key or an index of a source, case by case. Raises Unsupported."""
        if type(source) is Input and type(part) is Known:
            known = self._walked.get((source, part.form))
            if known is not None:
                return known
        for side in (source, part):
            if isinstance(side, Unknown):
                return [(self.opaque(side.reason, side.location), side)]
        if isinstance(part, Element) and part.of_keys and not part.path and part.source == source:
            # What stands at the key of the member that a loop is at is that member: `xs[i].a; xs[i].b`.
            return [(TRUE, Element(part.source, part.loop))]
        if isinstance(source, Known):
            if isinstance(part, Known):
                found = lookup(source.value, part.value)
                return [] if found is UNDEFINED else [(TRUE, Known(found))]
            return self._dot_known(source, part)
        if isinstance(source, (Input, Element)):
            if isinstance(part, (ArrayOf, ObjectOf, SetOf, Gathered)):
                raise Unsupported("looks up a composite key that depends on the request")
            step = part.form if isinstance(part, Known) else part
            known = self._walked.get((source, step))
            if known is None:
                known = self._walked[source, step] = self._walk(below(source, step))
            return known
        if isinstance(source, Overlay):
            return self._dot_overlay(source, part)
        if isinstance(source, Apply):
            if isinstance(part, Known) and isinstance(part.value, bool):
                raise Unsupported("looks up a boolean in what is made of the request")
            match source, part:
                case Apply("array.reverse", (whole,)), Known(int(at)) if at >= 0:
                    return self.dot(whole, Apply("minus", (Apply("count", (whole,)), Known(at + 1))))
                case Apply("sort", (whole,)), Known(0):
                    return arrays.extreme("min")(self, (whole,)) or []
            named = self.named(source) if isinstance(part, Known | Input | Element | Apply) else None
            if named is not None:
                return named.at(part)
            found = self._dot_entries(source, part)
            if found is not None:
                return found
            by_member = tabled.entries_by_member(source) if isinstance(part, Known | Input | Apply) else None
            found = tabled.at_key(self, by_member, part) if by_member is not None else None
            if found is not None:
                return found
            entries = mapped_of(source)
            if entries is not None and isinstance(part, Known):
                found = self._dot_mapped(entries, part)
                if found is not None:
                    return found
            walked = Apply(".", (source, part))
            return [(self.builder.atom(Defined(walked)), walked)]
        if isinstance(source, ObjectOf):
            return [(self.equal(Known(unkey(form)), part), value) for form, value in source.items]
        if isinstance(source, ArrayOf):
            return [(self.equal(Known(index), part), value) for index, value in enumerate(source.items)]
        if isinstance(source, Gathered):
            if source.kind != "set":
                return self._first(source, part)
            return [(self.has(source, part), part)]
        if isinstance(source, SetOf):
            return [(self.builder.any(self.equal(item, part) for item in source.items), part)]
        raise Unsupported("walks into a value that cannot be followed")

    def dot_stored(self, source: Known, part: Symbol) -> symbolic.Cases:
        """The same in a base document: see `palisade.rego.stored`. Raises Unsupported."""
        value = source.value
        if isinstance(part, Known):
            other = at_other_kind(value, part.value)
            return self.dot(source, part) or ([] if other is UNDEFINED else [(TRUE, Known(other))])
        if not isinstance(part, Input | Element | Apply):
            return self.dot(source, part)
        if not is_no_text(part) and has_many_indices(value):
            raise Unsupported("looks up in a long array what may be a text of digits")
        return self._dot_known(source, part, stored=True)

    def dot_of_base(self, source: Symbol, part: Symbol) -> symbolic.Cases:
        """The same in what rules make with keys of base documents. Raises Unsupported."""
        if isinstance(source, Unknown):
            return self.dot(source, part)
        if isinstance(source, Known):
            return self.dot_stored(source, part)
        if isinstance(source, ObjectOf):
            return [(self._is_at_any(part, [unkey(form)]), value) for form, value in source.items]
        if isinstance(source, Gathered) and source.kind == "set":
            items = [(each.condition, each.item) for each in source.parts if not each.over]
            known = [(here, item.value) for here, item in items if isinstance(item, Known)]
            if len(known) == len(source.parts):
                there = (self.builder.both(here, self._is_at_any(part, [item])) for here, item in known)
                return [(self.builder.any(there), part)]
        if is_text(part) or is_at(source, part):
            return self.dot(source, part)
        raise Unsupported(OTHER_KIND)

    def is_doubtful(self, source: Symbol, part: Symbol) -> Formula:
        """Where a key finds one of another kind, which is an error where keys may be those of base documents.
        Raises Unsupported."""
        if isinstance(source, Unknown) or isinstance(part, Unknown):
            return FALSE  # what is found there is the engine's
        if isinstance(source, Known) and isinstance(part, Known):
            found = self.dot(source, part) or at_other_kind(source.value, part.value) is UNDEFINED
            return FALSE if found else TRUE
        if isinstance(source, Known):
            names = [own.value for own, _ in pairs_of(source) or () if isinstance(own, Known)]
        elif isinstance(source, ObjectOf):
            names = [unkey(form) for form, _ in source.items]
        elif isinstance(source, Gathered) and all(isinstance(each.item, Known) for each in source.parts):
            names = [each.item.value for each in source.parts if isinstance(each.item, Known)]
        elif is_text(part) or is_at(source, part):
            return FALSE
        else:
            raise Unsupported(OTHER_KIND)
        if not are_found_by_others(names, part):
            return FALSE
        return self.builder.both(
            self._is_at_any(part, names), self.builder.negate(self.is_one_of(part, names))
        )

    def _first(self, array: Gathered, at: Symbol) -> symbolic.Cases:
        """The first member of an array, or the last, which is known where all that it has are the same; of
        constants, and of what stands in no loop, the first is the one before which no other is there."""
        if isinstance(at, Known) and type(at.value) is int and at.value < 0:
            return []
        pieces = listed(self, array)
        if pieces is not None and pieces.tells(at):
            return pieces.at(self, at)
        few = at == Known(0) and array.ordered and len(array.parts) <= _MOST_IN_LINE
        if few and all(
            isinstance(part.item, Known) or (not part.over and isinstance(part.item, Input | Apply))
            for part in array.parts
        ):
            return self._first_there(array.parts)
        at_an_end = at in (Known(0), last_of(array))
        chosen = chosen_of(self.builder, array.parts) if at_an_end else None
        if chosen is None:
            raise Unsupported("counts members of an array that depends on the request")
        self._chose = True
        both, there, several = self.builder.both, self.nonempty(array), has_several(self.builder, chosen)
        other = self.unknown(FIRST, NOWHERE)
        return [(both(there, self.builder.negate(several)), chosen), (both(there, several), other)]

    def _first_there(self, parts: Iterable[Part]) -> symbolic.Cases:
        cases: symbolic.Cases = []
        none_before = TRUE
        for part in parts:
            here = self.some(self.fresh(part), TRUE)
            if isinstance(part.item, Input | Apply):
                here = self.builder.both(here, self.builder.atom(Defined(part.item)))
            cases.append((self.builder.both(none_before, here), part.item))
            none_before = self.builder.both(none_before, self.builder.negate(here))
        return cases

    def _walk(self, term: Input | Element) -> symbolic.Cases:
        if isinstance(term, Input) and term.path in self._given:
            self.used_given = True
            return [(TRUE, self._given[term.path])]
        return [(self.builder.atom(Defined(term)), term)]

    def _dot_overlay(self, source: Overlay, part: Symbol) -> symbolic.Cases:
        if not isinstance(part, Known) or not isinstance(part.value, str):
            raise Unsupported("looks into a replaced part of the input by a key that is no constant name")
        first, *deeper = source.path
        if part.value != first:
            return self.dot(source.base, part)
        if not deeper:
            return [(TRUE, source.value)]
        inside = self._under(source.base, first)
        return [(TRUE, Overlay(inside, tuple(deeper), source.value))]

    def _under(self, base: Input | Overlay, name: str) -> Input | Overlay:
        """What a further `with` finds below a name: whatever is no object there is taken for an empty one."""
        if isinstance(base, Input):
            return Input((*base.path, name))
        if base.path[0] != name:
            return self._under(base.base, name)
        if len(base.path) == 1:
            raise Unsupported("replaces a part of what `with` put into the input")
        return Overlay(self._under(base.base, name), base.path[1:], base.value)

    def _dot_mapped(self, entries: Part, name: Known) -> symbolic.Cases | None:
        """What stands at a key in an object that has these entries for those of one of the request. None
        where what is gathered of an entry says whether it is there, or what it is."""
        ((source, _),) = entries.over
        return self.dot(source, name) if isinstance(source, Unknown) else self.mapped(entries, name, self.dot)

    def _dot_entries(self, source: Apply, part: Symbol) -> symbolic.Cases | None:
        """What stands at a key in an object that is put together of single entries. Of two with one key the
        values are the same: elsewhere that is said to be an error."""
        entries = entries_of(source)
        if entries is None or any(each.over for each in entries):
            return None
        cases: symbolic.Cases = []
        before: list[Formula] = []
        for each in entries:
            if not isinstance(each.item, ArrayOf):
                return None
            name, value = each.item.items
            here = self.builder.both(each.condition, self.equal(name, part))
            cases.append((self.builder.all((here, *map(self.builder.negate, before))), value))
            before.append(here)
        return cases

    def _dot_known(self, source: Known, part: Symbol, *, stored: bool = False) -> symbolic.Cases:
        """A known collection at an unknown key: a case for each different value in it."""
        value = source.value
        if isinstance(part, Gathered):
            raise Unsupported("looks up a collection that depends on the request")
        if isinstance(part, (ArrayOf, ObjectOf, SetOf)):
            if isinstance(value, Set):
                return [(self.builder.any(self.equal(part, Known(item)) for item in value), part)]
            if not isinstance(value, dict):
                return []
            return [(self.equal(part, Known(unkey(form))), Known(item)) for form, item in value.items()]
        if isinstance(value, Set):
            members = list(value)
            return [((self._is_at_any if stored else self.is_one_of)(part, members), part)]
        one_of = self._is_at_any if stored else self.is_one_of
        groups = self._indexes.keep("names by values", value, partial(_names_by_values, value))
        return [(one_of(part, names), item) for item, names in groups]

    def _is_at_any(self, part: Symbol, names: Sequence[Value]) -> Formula:
        """The part is one of the names, or of what finds one in base documents."""
        found = self.is_one_of(part, names if is_text(part) else also(list(names)))
        indices = [] if is_no_text(part) else [each for each in names if is_index(each)]
        return self.builder.any((found, self._is_written(part, indices))) if indices else found

    def _is_written(self, part: Symbol, indices: Iterable[int]) -> Formula:
        """A text that says one of the indices."""
        asked = (Apply("regex.match", (Known(f"^{each}$"), part)) for each in spelled(indices))
        return self.builder.all(self.builder.atom(Test(each)) for each in asked)


def _names_by_values(value: Value) -> list[tuple[Known, list[Value]]]:
    """The different values in a collection, each with the keys or indices at which it stands."""
    if isinstance(value, dict):
        pairs: Iterable[tuple[Any, Any]] = ((unkey(form), item) for form, item in value.items())
    else:
        pairs = enumerate(value) if isinstance(value, list) else ()
    groups: dict[object, list[Value]] = {}
    for name, item in pairs:
        groups.setdefault(key(item), []).append(name)
    return [(Known(unkey(form)), names) for form, names in groups.items()]
