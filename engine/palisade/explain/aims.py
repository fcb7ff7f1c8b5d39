"""Single changes to a request by which a condition on it may come to hold, or cease to.

They are proposals: whoever makes one asks the evaluator what comes of it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from palisade.explain.edits import HTTP, METHODS, Change, look_up, walked
from palisade.explain.fitting import LARGEST, MOST_VALUES, SAMPLES, fitting
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
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Input, Known, SetOf, Symbol
from palisade.rego.partial.reading import Reading, Unsure
from palisade.rego.text import dumps
from palisade.rego.values import UNDEFINED, Value, sorted_values, unkey

_ADDRESSES = ("192.0.2.1", "10.0.0.1", "2001:db8::1")


class Aims:
    """Proposes changes to one request."""

    def __init__(self, document: Value, reading: Reading) -> None:
        self._document = document
        self._reading = reading

    def changes(self, atom: Atom, want: bool) -> Iterator[tuple[Change, ...]]:
        """Changes after which the condition may hold, or with `want` false may not; mostly one at a time."""
        if isinstance(atom, Same) and want:
            yield from self._both(atom.left, atom.right)
        yield from ((change,) for change in self._single(atom, want))

    def _single(self, atom: Atom, want: bool) -> Iterator[Change]:
        match atom:
            case In(term, values):
                yield from self._one_of(term, [unkey(form) for form in values], want)
            case Defined(term):
                yield from self._defined(term, want)
            case Same(left, right):
                yield from self._same(left, right, want)
            case Test(term):
                yield from self._test(term, want)
            case IsKind(term, kind):
                yield from self.assign(term, SAMPLES[kind] if want and kind in SAMPLES else UNDEFINED)
            case Exists():
                yield from self._exists(atom, want)
            case Opaque():
                return

    def value(self, symbol: Symbol) -> Value:
        """What a symbol is in this request; UNDEFINED too where only the evaluator can tell."""
        try:
            return self._reading.value(symbol)
        except (Unsure, KeyError):
            return UNDEFINED

    # Conditions -----------------------------------------------------------------------------------------

    def _one_of(self, term: Symbol, values: list[Value], want: bool) -> Iterator[Change]:
        if want:
            now = self.value(term)
            for value in sorted(values, key=lambda each: (_far(now, each), str(each)))[:MOST_VALUES]:
                yield from self.assign(term, value)
            return
        inner = term.args[0] if isinstance(term, Apply) and term.name in ("lower", "upper") else term
        if isinstance(inner, Input) and walked(inner.path) == (*HTTP, "method"):
            yield from (self._change(inner, each) for each in METHODS if each not in values)
            return
        yield from self.assign(term, UNDEFINED)
        yield from self.assign(term, _other(values))

    def _defined(self, term: Symbol, want: bool) -> Iterator[Change]:
        if isinstance(term, Input) and want:
            path = walked(term.path)
            for value in ({},) if path in (("identity",), ("identity", "claims")) else ("x", ["x"], {"x": 1}):
                yield self._change(term, value)
        elif isinstance(term, Input):
            yield self._change(term, UNDEFINED)
        elif isinstance(term, Apply) and term.args:
            for arg in term.args:
                if want and self.value(arg) is not UNDEFINED:
                    continue
                yield from self.assign(arg, "x" if want else UNDEFINED)

    def _same(self, left: Symbol, right: Symbol, want: bool) -> Iterator[Change]:
        for one, other in ((left, right), (right, left)):
            value = self.value(other)
            if want and value is not UNDEFINED:
                yield from self.assign(one, value)
            elif not want:
                yield from self.assign(one, _other([value]))
                yield from self.assign(one, UNDEFINED)

    def _both(self, left: Symbol, right: Symbol) -> Iterator[tuple[Change, ...]]:
        """Two values that are both missing, made the same."""
        if self.value(left) is UNDEFINED and self.value(right) is UNDEFINED:
            for one in self.assign(left, "x"):
                yield from ((one, other) for other in self.assign(right, "x"))

    def _test(self, term: Apply, want: bool) -> Iterator[Change]:
        if not want:
            for arg in term.args:
                now = self.value(arg)
                yield from self.assign(arg, _other([now]))
                yield from self.assign(arg, UNDEFINED)
                if isinstance(now, str):
                    yield from self.assign(arg, "/x" if now[:1] == "/" else "x")
                    yield from (
                        change for each in (*METHODS[:2], *_ADDRESSES) for change in self.assign(arg, each)
                    )
            return
        args = [self.value(arg) for arg in term.args]
        for at, arg in enumerate(term.args):
            if isinstance(arg, Known):
                continue
            for value in fitting(term.name, at, args):
                yield from self.assign(arg, value)

    def _exists(self, atom: Exists, want: bool) -> Iterator[Change]:
        now = self.value(atom.source)
        if not want:
            if isinstance(now, list):
                kept = [each for at, each in enumerate(now) if not self._holds(atom, at, each)]
                yield from self.assign(atom.source, kept)
            yield from self.assign(atom.source, UNDEFINED)
            return
        for member in self._members(atom.body, atom.loop):
            items = list(now) if isinstance(now, list) else []
            yield from self.assign(atom.source, [*items, member])
            if (
                isinstance(now, list)
                and isinstance(atom.source, Input)
                and atom.source.path == ("parsed_path",)
            ):
                for at in range(len(now)):
                    yield from self.assign(atom.source, [*now[:at], member, *now[at + 1 :]])

    def _holds(self, atom: Exists, at: int, member: Value) -> bool:
        return self._reading.truth(atom.body, {atom.loop: (at, member)}) is not False

    # Members of collections -----------------------------------------------------------------------------

    def _members(self, body: Formula, loop: int) -> Iterator[Value]:
        """Members that may make the body of a loop hold."""
        if body.kind == "or":
            for arg in body.args:
                yield from self._members(arg, loop)
            return
        parts = body.args if body.kind == "and" else (body,)
        member: Value = UNDEFINED
        for part in parts:
            for path, value in self._wanted(part, loop):
                member = _put(member, path, value)
                break
        if member is not UNDEFINED:
            yield member
        if len(parts) == 1:
            yield from (value for path, value in self._wanted(parts[0], loop) if not path)

    def _wanted(self, part: Formula, loop: int) -> Iterator[tuple[tuple[Any, ...], Value]]:
        """Where in the member what should stand for a condition on it."""
        match part.atom:
            case In(Element() as element, values) if element.loop == loop and not element.of_keys:
                for value in sorted_values(unkey(form) for form in values)[:MOST_VALUES]:
                    yield walked(element.path), value
            case Same(left, right):
                for one, other in ((left, right), (right, left)):
                    if isinstance(one, Element) and one.loop == loop and not one.of_keys:
                        value = self.value(other)
                        if value is not UNDEFINED:
                            yield walked(one.path), value
            case Test(term):
                args = [UNDEFINED if isinstance(arg, Element) else self.value(arg) for arg in term.args]
                for at, arg in enumerate(term.args):
                    if isinstance(arg, Element) and arg.loop == loop and not arg.of_keys:
                        yield from ((walked(arg.path), value) for value in fitting(term.name, at, args))
            case Defined(Element() as element) if element.loop == loop and not element.of_keys:
                yield walked(element.path), "x"

    # Values ---------------------------------------------------------------------------------------------

    def _change(self, term: Input, value: Value) -> Change:
        path = tuple(
            self.value(part) if isinstance(part, Input | Element | Apply) else unkey(part)
            for part in term.path
        )
        return Change(path, value, look_up(self._document, path))

    def assign(self, term: Symbol, value: Value) -> Iterator[Change]:
        """Changes by which a term may become the value; UNDEFINED for none."""
        if isinstance(term, Input):
            change = self._change(term, value)
            if UNDEFINED not in change.path:
                yield change
        elif isinstance(term, Apply):
            if value is UNDEFINED:
                for arg in term.args:
                    yield from self.assign(arg, UNDEFINED)
                return
            for arg, wanted in self._operands(term, value):
                yield from self.assign(arg, wanted)

    def _operands(self, term: Apply, value: Value) -> Iterator[tuple[Symbol, Value]]:
        """Operands of a builtin, each with a value that may make it answer as wanted."""
        match term.name, term.args:
            case "lower" | "upper" | "trim_space", (inner,):
                yield inner, value
                if isinstance(value, str) and term.name == "lower":
                    yield inner, value.upper()
            case "trim_prefix", (inner, Known(str(part))) if isinstance(value, str):
                yield inner, part + value
                yield inner, value
            case "trim_suffix", (inner, Known(str(part))) if isinstance(value, str):
                yield inner, value + part
                yield inner, value
            case "trim" | "trim_left" | "trim_right", (inner, _):
                now = self.value(inner)
                if isinstance(now, str) and isinstance(value, str) and now[:1] == "/":
                    yield inner, f"/{value}"
                yield inner, value
            case ".", (Apply("split", (inner, Known(str(mark)))), Known(int(at))) if isinstance(value, str):
                pieces = str(self.value(inner)).split(mark) if mark else []
                pieces += ["x"] * (at + 1 - len(pieces))
                yield inner, mark.join([*pieces[:at], value, *pieces[at + 1 :]])
            case "split", (inner, Known(str(mark))) if isinstance(value, list):
                if all(isinstance(each, str) for each in value):
                    yield inner, mark.join(value)
            case "count", (inner,) if type(value) is int and 0 <= value < 100:
                now = self.value(inner)
                if isinstance(now, str):
                    yield inner, (now + "x" * value)[:value]
                else:
                    items = now if isinstance(now, list) else []
                    yield inner, [*items, *(f"x{at}" for at in range(value))][:value]
            case "object.get", (Input(path) as inner, Known(name), _) if not isinstance(name, list):
                yield Input((*inner.path, name)) if path is not None else inner, value
            case "to_number", (inner,):
                yield inner, value
                yield inner, dumps(value)
            case "json.unmarshal", (inner,):
                yield inner, dumps(value)
            case "base64.decode" | "base64url.decode", (inner,) if isinstance(value, str):
                yield inner, base64.b64encode(value.encode("utf-8", "replace")).decode()
            case "sprintf" | "concat" | "internal.template_string", _ if isinstance(value, str):
                yield from self._filled(term, value)
            case ".", (inner, Known(name)):
                now = self.value(inner)
                yield inner, _put(now, (name,), value)

    def _filled(self, term: Apply, value: str) -> Iterator[tuple[Symbol, Value]]:
        """The unknown part of a text with constants around it."""
        text = self.value(term)
        parts = term.args[-1]
        items = parts.items if isinstance(parts, ArrayOf | SetOf) else ()
        for item in items:
            inner = item.items[0] if isinstance(item, SetOf) else item
            now = self.value(inner)
            if isinstance(inner, Known) or not isinstance(now, str) or not isinstance(text, str) or not now:
                continue
            before, _, behind = text.partition(now)
            if value.startswith(before) and value.endswith(behind):
                yield inner, value[len(before) : len(value) - len(behind)]


def _far(now: Value, value: Value) -> float:
    return Change((), value, now).cost if now is not UNDEFINED else 0.0


def _other(values: Iterable[Value]) -> Value:
    """A value of the same kind that is none of these."""
    known = list(values)
    first = next((each for each in known if each is not UNDEFINED), "x")
    if isinstance(first, bool):
        return not first
    if isinstance(first, int | float):
        numbers = [each for each in known if isinstance(each, int | float)]
        most = max(numbers)
        return most + 1 if most < LARGEST else next(each for each in count() if each not in numbers)
    if isinstance(first, str):
        longest = max((each for each in known if isinstance(each, str)), key=len, default="")
        return f"{longest}x" if longest else "x"
    return [*first, "x"] if isinstance(first, list) else "x"


def _put(value: Value, path: tuple[Any, ...], new: Value) -> Value:
    if not path:
        return new
    key, rest = path[0], path[1:]
    if type(key) is int:
        items = list(value) if isinstance(value, list) else []
        items += ["x"] * (key + 1 - len(items))
        items[key] = _put(items[key], rest, new)
        return items
    known = value if isinstance(value, dict) else {}
    return {**known, key: _put(known.get(key, UNDEFINED), rest, new)}
