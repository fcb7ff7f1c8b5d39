"""Conditions that put the method together with other values of the request, as one for each usual method.

`concat(":", [lower(method), segment]) in claims.permissions` compares a claim with a text of two values,
which no expression of Envoy's makes. Where the method is known it is a text of one.
"""

from __future__ import annotations

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Atom, Exists, Formula, Opaque
from palisade.rego.partial.formulas.rewriting import symbols, with_terms
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Input, Known, Symbol, subterms
from palisade.rego.partial.symbols.construct import lookup
from palisade.rego.values import UNDEFINED, Value

METHOD = Input(("attributes", "request", "http", "method"))
USUAL = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OTHER = "the method is none of the usual ones"


def speaks_of_method(atom: Atom) -> bool:
    """Whether the method is a part of what the atom compares, and nothing that it loops over."""
    if isinstance(atom, Opaque):
        return False
    if isinstance(atom, Exists) and any(part == METHOD for part in subterms(atom.source)):
        return False
    return _is_there(Formula("atom", atom=atom), METHOD)


def _is_there(formula: Formula, term: Symbol) -> bool:
    return any(part == term for symbol in symbols(formula) for part in subterms(symbol))


def with_value(builder: Builder, atom: Atom, term: Symbol, value: Value) -> Formula | None:
    """The atom where a term of it, such as the method, has this value; None where that cannot be worked
    out."""
    try:
        found = with_terms(builder, builder.atom(atom), lambda symbol: _put_in(symbol, term, Known(value)))
    except (_UndefinedError, TypeError):
        return None
    return None if _is_there(found, term) else found


class _UndefinedError(Exception):
    pass


def _put_in(symbol: Symbol, term: Symbol, value: Known) -> Symbol:
    if symbol == term:
        return value
    match symbol:
        case Apply(name, args):
            found = tuple(_put_in(each, term, value) for each in args)
            return symbol if found == args else _called(name, found)
        case ArrayOf(items):
            inner = tuple(_put_in(each, term, value) for each in items)
            known = [each.value for each in inner if isinstance(each, Known)]
            return Known(known) if len(known) == len(inner) else ArrayOf(inner)
        case Element(source, loop, of_keys, path):
            inside = _put_in(source, term, value)
            if inside != source:
                raise TypeError("loops over what depends on the value are not known one by one")
            return Element(source, loop, of_keys, path)
    return symbol


def _called(name: str, args: tuple[Symbol, ...]) -> Symbol:
    values = [each.value for each in args if isinstance(each, Known)]
    if len(values) < len(args):
        return Apply(name, args)
    builtin = BUILTINS.get(name)
    if name != "." and (builtin is None or not builtin.pure):
        raise TypeError(f"what {name} makes of constants is not known here")
    try:
        result = lookup(*values) if builtin is None else builtin.function(*values)
    except BuiltinError:
        raise _UndefinedError from None
    if result is UNDEFINED:
        raise _UndefinedError
    return Known(result)
