"""What a decision is for tokens that the policy's own verification does not take.

A token that has expired, or is for others, is `[false, {}, {}]` to `io.jwt.decode_verify`. One that is
forged, or is no token at all, is that or undefined, by details that Envoy does not tell. With either in the
place of the call the conditions say nothing of tokens any more; where both come to the same, Envoy need not
know which it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from palisade.enforce.envoy.matchers.predicate import Predicate, all_of
from palisade.enforce.envoy.tokens.calls import DECODE, Tokens, part_of
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial import Case
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import (
    FALSE,
    TRUE,
    Atom,
    Defined,
    Exists,
    Formula,
    In,
    IsKind,
    Opaque,
    Same,
)
from palisade.rego.partial.formulas.rewriting import substitute
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Input,
    Known,
    SetOf,
    Symbol,
    subterms,
)
from palisade.rego.partial.symbols.construct import lookup
from palisade.rego.partial.symbols.messages import with_conditions
from palisade.rego.values import UNDEFINED, Value, type_name

MAX_CASES = 200
"""Decisions of more cases leave such tokens to the engine: each request would look at all of these twice."""

_REFUSED: Value = [False, {}, {}]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error and the cases where no token is taken, and of which requests that is known."""

    error: Formula
    cases: Sequence[Case]
    when: Predicate
    whole: bool
    """Whether that is all requests with none of these tokens, but for those that are `Tokens.unsettled`."""


def refusal(builder: Builder, error: Formula, cases: Sequence[Case], tokens: Tokens) -> Refusal | None:
    """What is decided where the policy takes none of the tokens that it verifies; None if that is unknown."""
    calls = frozenset(call for call in tokens.verified if call.name != DECODE)
    if not calls or len(cases) > MAX_CASES or not all(token.keys for token in tokens.all):
        return None
    refused = _where(_Refused(builder, calls), error, cases)
    if refused is None:
        return None
    whole = refused == _where(_Undefined(builder, calls), error, cases)
    if whole:
        when = all_of(map(tokens.not_taken, tokens.all))
    elif all(token.timed for token in tokens.all):
        when = all_of(each.refused for each in tokens.all)
    else:
        return None
    return Refusal(*refused, when, whole)


def _where(known: _Refused, error: Formula, cases: Sequence[Case]) -> tuple[Formula, list[Case]] | None:
    """The error and the cases with what is known of the calls; None where a value speaks of them."""
    found: list[Case] = []
    try:
        for case in cases:
            condition = known.formula(case.condition)
            if condition is FALSE:
                continue
            if case.value is not None and known.mentions(case.value):
                return None
            value = case.value if case.value is None else with_conditions(case.value, known.formula)
            found.append(replace(case, condition=condition, value=value))
        return known.formula(error), found
    except _MixedError:
        return None


def where_refused(builder: Builder, formula: Formula, calls: Collection[Apply]) -> Formula | None:
    """The formula where the calls say that the token is not valid; None where that cannot be told."""
    try:
        return _Refused(builder, calls).formula(formula)
    except _MixedError:
        return None


class _MixedError(Exception):
    """What a builtin makes of it has to be worked out."""


class _UndefinedError(Exception):
    pass


class _Refused:
    """The conditions where the calls say that the token is not valid."""

    def __init__(self, builder: Builder, calls: Collection[Apply]) -> None:
        self._builder = builder
        self._calls = calls

    def mentions(self, symbol: Symbol) -> bool:
        return any(part in self._calls for part in subterms(symbol) if isinstance(part, Apply))

    def formula(self, formula: Formula) -> Formula:
        """The condition where the token is refused. Raises _MixedError."""
        return substitute(self._builder, formula, self._atom)

    def _atom(self, atom: Atom) -> Formula:
        try:
            return self._with_known(atom)
        except _UndefinedError:
            return FALSE

    def _with_known(self, atom: Atom) -> Formula:
        builder = self._builder
        if isinstance(atom, Opaque):
            return builder.atom(atom)
        if isinstance(atom, Exists):
            if self._value(atom.source) is not atom.source:
                raise _MixedError
            return builder.atom(Exists(atom.source, atom.loop, self.formula(atom.body)))
        if isinstance(atom, Same):
            left, right = self._value(atom.left), self._value(atom.right)
            if left is atom.left and right is atom.right:
                return builder.atom(atom)
            if isinstance(left, Known):
                left, right = right, left
            if not isinstance(right, Known):
                raise _MixedError
            if isinstance(left, Known):
                return TRUE if left == right else FALSE
            if not isinstance(left, Input | Element | Apply):
                raise _MixedError
            return builder.is_in(left, (right.form,))
        term = self._value(atom.term)
        if term is atom.term:
            return builder.atom(atom)
        if not isinstance(term, Known):
            raise _MixedError
        match atom:
            case In(_, values):
                return TRUE if term.form in values else FALSE
            case Defined():
                return TRUE
            case IsKind(_, kind):
                return TRUE if type_name(term.value) == kind else FALSE
        return TRUE if term.value is True else FALSE

    def _said(self, call: Apply) -> Value:
        """What the call answers. Raises _UndefinedError."""
        return _REFUSED if call.name == "io.jwt.decode_verify" else False

    def _value(self, symbol: Symbol) -> Symbol:
        """The symbol itself where no call is in it, else what it is. Raises _UndefinedError, _MixedError."""
        if not self.mentions(symbol):
            return symbol
        part = part_of(symbol)
        if part is not None and part.call in self._calls:
            value = self._said(part.call)
            for step in part.path:
                value = lookup(value, step)
                if value is UNDEFINED:
                    raise _UndefinedError
            return Known(value)
        found: list[Symbol] = []
        match symbol:
            case Apply(_, args):
                found += map(self._value, args)
            case ArrayOf(items) | SetOf(items):
                found += map(self._value, items)
            case Input(path):
                found += (self._value(each) for each in path if isinstance(each, Input | Element | Apply))
        if isinstance(symbol, Apply) and symbol.name == "." and found[0] == Known({}):
            raise _UndefinedError
        if isinstance(symbol, Apply) and all(isinstance(each, Known) for each in found):
            return _called(symbol.name, [each.value for each in found if isinstance(each, Known)])
        raise _MixedError


class _Undefined(_Refused):
    """The conditions where the calls end in an error."""

    def _said(self, call: Apply) -> Value:
        raise _UndefinedError


def _called(name: str, args: Sequence[Value]) -> Known:
    builtin = BUILTINS.get(name)
    if builtin is None or not builtin.pure:
        raise _MixedError
    try:
        value = builtin.function(*args)
    except BuiltinError as error:
        raise (_MixedError if error.fatal else _UndefinedError) from error
    if value is UNDEFINED:
        raise _UndefinedError
    return Known(value)
