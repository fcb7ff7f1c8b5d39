"""Constraints of tokens that depend on the request, where the condition around them says what they are.

`data.issuers[iss].jwks` with the `iss` that the token itself names is one condition for each issuer in data:
*it is a, and a token with a's keys and the issuer it names*. There the issuer it names is a.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from palisade.rego.partial import Case
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Formula, In
from palisade.rego.partial.formulas.rewriting import parts_first, symbols, with_terms
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Input,
    Known,
    ObjectOf,
    SetOf,
    Symbol,
    subterms,
)
from palisade.rego.partial.symbols.messages import with_conditions

_VERIFY = "io.jwt.decode_verify"
_NOW = Apply("time.now_ns", ())


def open_calls(calls: Collection[Apply]) -> bool:
    """Whether any of the calls verifies a token by constraints that depend on the request."""
    return any(_constraints(each) is not None for each in calls)


def settled_case(builder: Builder, case: Case) -> Case:
    """The case with the constraints in its condition and its value known, where the condition tells them."""
    condition = settled_formula(builder, case.condition)
    value = case.value
    if value is not None and not isinstance(value, Known):
        value = _replaced(value, _known_in(condition.args if condition.kind == "and" else (condition,)))
        value = with_conditions(value, partial(settled_formula, builder))
    return replace(case, condition=condition, value=value)


def settled_formula(builder: Builder, formula: Formula) -> Formula:
    """The formula with constraints known wherever what they depend on has one value, or is the time."""
    done: dict[Formula, Formula] = {}
    for node in parts_first(formula, done):
        args = [done[arg] for arg in node.args]
        if node.kind == "and":
            done[node] = builder.all(_where_known(builder, args))
        elif node.kind == "or":
            done[node] = builder.any(args)
        elif node.kind == "not":
            done[node] = builder.negate(args[0])
        else:
            done[node] = _with(builder, node, {})
    return done[formula]


def _where_known(builder: Builder, parts: list[Formula]) -> list[Formula]:
    """The parts of a conjunction, with the terms known that one of them says are equal to a text."""
    known = _known_in(parts)
    return [_with(builder, part, known) for part in parts] if known else parts


def _known_in(parts: Iterable[Formula]) -> dict[Symbol, Known]:
    known: dict[Symbol, Known] = {}
    for part in parts:
        if isinstance(part.atom, In) and len(part.atom.values) == 1:
            (form,) = part.atom.values
            if type(form) is str:
                known[part.atom.term] = Known(form)
    return known


def _with(builder: Builder, formula: Formula, known: Mapping[Symbol, Known]) -> Formula:
    if not any(_is_open(part) for symbol in symbols(formula) for part in subterms(symbol)):
        return formula
    return with_terms(builder, formula, lambda symbol: _replaced(symbol, known))


def _is_open(symbol: Symbol) -> bool:
    return isinstance(symbol, Apply) and _constraints(symbol) is not None


def _constraints(call: Apply) -> ObjectOf | None:
    if call.name == _VERIFY and len(call.args) == 2 and isinstance(call.args[1], ObjectOf):
        return call.args[1]
    return None


def _replaced(symbol: Symbol, known: Mapping[Symbol, Known]) -> Symbol:
    match symbol:
        case Apply(name, args):
            constraints = _constraints(symbol)
            if constraints is not None:
                return Apply(name, (_replaced(args[0], known), _settled(constraints, known)))
            return Apply(name, tuple(_replaced(each, known) for each in args))
        case Element(source, loop, of_keys, path):
            inner = _replaced(source, known)
            assert isinstance(inner, Input | Element | Apply)  # noqa: S101 -- a call stays a call
            return Element(inner, loop, of_keys, path)
        case ArrayOf(items) | SetOf(items):
            return type(symbol)(tuple(_replaced(each, known) for each in items))
        case ObjectOf(items):
            return ObjectOf(tuple((form, _replaced(each, known)) for form, each in items))
    return symbol


def _settled(constraints: ObjectOf, known: Mapping[Symbol, Known]) -> Symbol:
    """The constraints, those that are known put in. The present time is what is asked for without any."""
    items = [
        (form, known.get(value, value))
        for form, value in constraints.items
        if (form, value) != ("time", _NOW)
    ]
    values = {form: value.value for form, value in items if isinstance(value, Known)}
    return Known(values) if len(values) == len(items) else ObjectOf(tuple(items))
