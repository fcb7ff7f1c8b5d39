"""Formulas made of formulas: with other atoms, with other terms in them, for one member of a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace as replace_term

from palisade.rego.partial.formula import (
    FALSE,
    TRUE,
    Atom,
    Builder,
    Exists,
    Formula,
    In,
    IsKind,
    Opaque,
    Same,
    Test,
    nodes,
)
from palisade.rego.partial.terms import (
    Apply,
    ArrayOf,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Overlay,
    SetOf,
    Symbol,
    filled,
    subterms,
)
from palisade.rego.values import type_name


def substitute(builder: Builder, formula: Formula, replace: Callable[[Atom], Formula]) -> Formula:
    """The formula with every atom replaced, from the leaves up. Shared parts are visited once."""
    done: dict[Formula, Formula] = {}
    stack: list[Formula] = [formula]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        missing = [arg for arg in node.args if arg not in done]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if node.atom is not None:
            done[node] = replace(node.atom)
        elif node.kind == "and":
            done[node] = builder.all(done[arg] for arg in node.args)
        elif node.kind == "or":
            done[node] = builder.any(done[arg] for arg in node.args)
        elif node.kind == "not":
            done[node] = builder.negate(done[node.args[0]])
        else:
            done[node] = node
    return done[formula]


def with_terms(builder: Builder, formula: Formula, change: Callable[[Symbol], Symbol]) -> Formula:
    """The formula with every symbol in it changed. A term may become known."""

    def replace(atom: Atom) -> Formula:
        if isinstance(atom, Opaque):
            return builder.atom(atom)
        if isinstance(atom, Exists):
            source = change(atom.source)
            if isinstance(source, (Known, ArrayOf, ObjectOf, SetOf, Gathered, Overlay)):
                raise TypeError(f"{source} is no unknown collection")
            return builder.atom(Exists(source, atom.loop, with_terms(builder, atom.body, change)))
        if isinstance(atom, Same):
            return _same(builder, change(atom.left), change(atom.right))
        term = change(atom.term)
        if isinstance(term, Known):
            match atom:
                case In(_, values):
                    return TRUE if term.form in values else FALSE
                case IsKind(_, kind):
                    return TRUE if type_name(term.value) == kind else FALSE
                case Test():
                    return TRUE if term.value is True else FALSE
            return TRUE
        return builder.atom(replace_term(atom, term=term))  # type: ignore[arg-type]  # a call stays a call

    return substitute(builder, formula, replace)


def _same(builder: Builder, left: Symbol, right: Symbol) -> Formula:
    if isinstance(left, Known):
        left, right = right, left
    if isinstance(left, Known):
        return TRUE if left == right else FALSE
    if isinstance(left, (ArrayOf, ObjectOf, SetOf, Gathered, Overlay)):
        left, right = right, left
    if isinstance(left, (Known, ArrayOf, ObjectOf, SetOf, Gathered, Overlay)):
        raise TypeError(f"{left} is no term")
    return builder.is_in(left, (right.form,)) if isinstance(right, Known) else builder.atom(Same(left, right))


def put_in(
    builder: Builder, formula: Formula, loop: int, member: Input | Apply, name: Known
) -> Formula | None:
    """The body of a loop for one member and its key. None where it speaks of collections put together."""
    if any(isinstance(part, Gathered) for symbol in symbols(formula) for part in subterms(symbol)):
        return None
    return with_terms(builder, formula, lambda symbol: filled(symbol, loop, member, name))


def symbols(formula: Formula) -> Iterator[Symbol]:
    """What the atoms of the formula speak of, those in the bodies of loops too."""
    for node in nodes(formula):
        atom = node.atom
        if isinstance(atom, Exists):
            yield atom.source
        elif isinstance(atom, Same):
            yield from (atom.left, atom.right)
        elif atom is not None and not isinstance(atom, Opaque):
            yield atom.term
