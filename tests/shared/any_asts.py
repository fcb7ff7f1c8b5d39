"""Hypothesis strategies for syntax trees: such as the parser makes, of whatever meaning.

What they draw parses when printed; whether it passes the checks is left to chance. Every strategy is small
by default, so that a test may draw hundreds of trees.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar

from hypothesis import strategies as st

from palisade.rego import ast
from palisade.rego.errors import Location
from palisade.rego.lexer import FUTURE_KEYWORDS, KEYWORDS
from palisade.rego.lines import ROWS, Lines
from palisade.rego.terms import INFIX, MEMBER, MEMBER_WITH_KEY
from palisade.rego.values import canonical

_LETTERS = string.ascii_letters + "_"
_NOT_NAMES = KEYWORDS | FUTURE_KEYWORDS | {"_", "data", "input", "set"}
_SIGNS = sorted(infix.operator.name for infix in INFIX.values())


_Node = TypeVar("_Node", bound=ast.Node)


def _make(
    kind: Callable[..., _Node], *parts: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]
) -> st.SearchStrategy[_Node]:
    """As `st.builds`, of which Hypothesis would try to print the calls: for trees that takes for ever."""
    drawn = st.tuples(st.tuples(*parts), st.fixed_dictionaries(named))
    return drawn.map(lambda both: kind(*both[0], **both[1]))


def names() -> st.SearchStrategy[str]:
    """Names that variables, rules and functions can have."""
    short = st.sampled_from("abcxyz")
    any_name = st.builds(
        str.__add__, st.sampled_from(_LETTERS), st.text(_LETTERS + string.digits, max_size=5)
    ).filter(lambda name: name not in _NOT_NAMES)
    return short | any_name


def texts() -> st.SearchStrategy[str]:
    """Strings: any that can be encoded."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def numbers() -> st.SearchStrategy[int | float | Decimal]:
    """Numbers as values hold them."""
    decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
    return st.integers() | st.integers(-3, 3) | decimals.map(canonical)


def scalars() -> st.SearchStrategy[ast.Scalar]:
    return _make(ast.Scalar, st.none() | st.booleans() | numbers() | texts())


def variables(*, wildcards: bool = False) -> st.SearchStrategy[ast.Var]:
    """Variables; with `wildcards` also `_`, of which the parser numbers every one anew."""
    named = _make(ast.Var, names())
    return named | st.just(ast.Var("$0")) if wildcards else named


def terms(*, wildcards: bool = False, max_leaves: int = 8) -> st.SearchStrategy[ast.Term]:
    """Terms of every kind."""
    leaves: st.SearchStrategy[Any] = (
        scalars()
        | variables(wildcards=wildcards)
        | _make(ast.Ref, st.sampled_from([ast.Var("data"), ast.Var("input")]), _names_path())
    )
    return st.recursive(leaves, lambda inner: _compound(inner, wildcards), max_leaves=max_leaves)


def _compound(inner: st.SearchStrategy[Any], wildcards: bool) -> st.SearchStrategy[Any]:
    items = st.lists(inner, max_size=3).map(tuple)
    bodies = _bodies(inner, wildcards)
    calls = _calls(inner)
    heads = (
        variables(wildcards=wildcards)
        | calls
        | _make(ast.Array, items)
        | _make(ast.SetComprehension, inner, bodies)
    )
    paths = st.lists(_make(ast.Scalar, names()) | inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        calls,
        _make(ast.Ref, heads, paths),
        _make(ast.Array, items),
        _make(ast.Set, items),
        # A key that is written twice is read as one.
        _make(ast.Object, st.dictionaries(inner, inner, max_size=3).map(lambda each: tuple(each.items()))),
        _make(ast.ArrayComprehension, inner, bodies),
        _make(ast.SetComprehension, inner, bodies),
        _make(ast.ObjectComprehension, inner, inner, bodies),
        _make(ast.TemplateString, st.lists(texts() | inner, max_size=4).map(_joined), st.booleans()),
    )


def _calls(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[ast.Call]:
    functions = variables() | _make(ast.Ref, variables(), _names_path())
    return st.one_of(
        _make(ast.Call, functions, st.lists(inner, max_size=3).map(tuple)),
        _make(ast.Call, st.sampled_from(_SIGNS).map(ast.Var), st.tuples(inner, inner)),
        _make(ast.Call, st.just(MEMBER), st.tuples(inner, inner)),
        _make(ast.Call, st.just(MEMBER_WITH_KEY), st.tuples(inner, inner, inner)),
    )


def _names_path() -> st.SearchStrategy[tuple[ast.Scalar, ...]]:
    parts = names() | st.sampled_from(sorted(KEYWORDS | FUTURE_KEYWORDS))
    return st.lists(_make(ast.Scalar, parts), min_size=1, max_size=3).map(tuple)


def _joined(parts: list[Any]) -> tuple[Any, ...]:
    """The parts of a template string as the parser leaves them: no empty text, none beside another."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)


def statements(*, wildcards: bool = False, max_leaves: int = 6) -> st.SearchStrategy[ast.Statement]:
    """Statements of every kind, with `not` where it may stand, and `with`."""
    return _statements(terms(wildcards=wildcards, max_leaves=max_leaves), wildcards)


def bodies(*, wildcards: bool = False, max_leaves: int = 6) -> st.SearchStrategy[ast.Body]:
    """One statement or more."""
    return _bodies(terms(wildcards=wildcards, max_leaves=max_leaves), wildcards)


def _bodies(inner: st.SearchStrategy[Any], wildcards: bool) -> st.SearchStrategy[ast.Body]:
    return st.lists(_statements(inner, wildcards), min_size=1, max_size=3).map(tuple)


def _statements(inner: st.SearchStrategy[Any], wildcards: bool) -> st.SearchStrategy[ast.Statement]:
    targets = variables() | _make(ast.Ref, st.just(ast.Var("input")), _names_path())
    withs = st.lists(_make(ast.With, targets, inner), max_size=2).map(tuple)
    negated = st.booleans()
    variable = variables(wildcards=wildcards)
    plain = _make(ast.Expression, inner, negated=negated, withs=withs)
    return st.one_of(
        plain,
        _make(ast.Unify, inner, inner, negated=negated, withs=withs),
        _make(ast.Assign, inner, inner, negated=negated, withs=withs),
        _make(ast.Some, st.lists(variable, min_size=1, max_size=3).map(tuple)),
        _make(ast.SomeIn, st.none() | inner, inner, inner, withs=withs),
        _make(ast.Every, st.none() | variable, variable, inner, plain.map(lambda s: (s,)), withs=withs),
    )


def rules(*, wildcards: bool = False, max_leaves: int = 5) -> st.SearchStrategy[ast.Rule]:
    """Rules of every form that v1 has."""
    inner = terms(wildcards=wildcards, max_leaves=max_leaves)
    name, constant_path = variables(), st.just(()) | _names_path()
    path = st.lists(_make(ast.Scalar, names()) | inner, max_size=2).map(tuple)
    args = st.lists(inner, min_size=1, max_size=3).map(tuple)
    value = st.just(ast.Scalar(True)) | inner
    body = _bodies(inner, wildcards)
    maybe_body = st.just(()) | body
    orelse = st.lists(_make(ast.Else, inner, maybe_body), max_size=2).map(_up_to_the_last)
    no_key, assign = st.none(), st.booleans()
    heads = _make(ast.Head, name, path, st.none(), no_key, value, assign)
    functions = _make(ast.Head, name, constant_path, args, no_key, value, assign)
    constants = _make(ast.Head, name, constant_path, st.none(), no_key, value, assign)
    return st.one_of(
        _make(ast.Rule, heads, maybe_body),
        _make(ast.Rule, functions, maybe_body),
        _make(ast.Rule, constants | functions, body, orelse),
        _make(ast.Rule, _make(ast.Head, name, path, key=inner), maybe_body),
        _make(ast.Rule, _default_heads(), default=st.just(True)),
    )


def _up_to_the_last(branches: list[ast.Else]) -> tuple[ast.Else, ...]:
    """Nothing can follow an `else` without a body."""
    last = next((number for number, each in enumerate(branches) if not each.body), len(branches))
    return tuple(branches[: last + 1])


def _default_heads() -> st.SearchStrategy[ast.Head]:
    args = st.lists(variables(), min_size=1, max_size=3, unique_by=lambda var: var.name).map(tuple)
    value = scalars() | _make(ast.Array, st.lists(scalars(), max_size=2).map(tuple))
    path = st.just(()) | _names_path()
    return _make(ast.Head, variables(), path, st.none() | args, st.none(), value, st.booleans())


def imports() -> st.SearchStrategy[tuple[ast.Import, ...]]:
    """Imports of data and input, each under a name of its own."""
    roots = st.sampled_from([ast.Var("data"), ast.Var("input")])
    clauses = _make(ast.Import, _make(ast.Ref, roots, _names_path()), variables())
    return st.lists(clauses, max_size=3, unique_by=lambda clause: clause.name).map(tuple)


def modules(*, wildcards: bool = False, max_rules: int = 3) -> st.SearchStrategy[ast.Module]:
    """Modules of v1."""
    packages = st.builds(lambda head, rest: (head, *rest), names(), st.lists(names() | texts(), max_size=2))
    listed = st.lists(rules(wildcards=wildcards), max_size=max_rules).map(tuple)
    return _make(ast.Module, packages, imports(), listed)


def with_places(found: Any, lines: Mapping[str, Lines] = MappingProxyType({})) -> Any:
    """A tree, or trees in tuples, mappings and dataclasses, with its places, which equality leaves out.

    They are told by the rows where lines stand now: a module's own, or those of the files in `lines`.
    """
    if isinstance(found, ast.Module):
        lines = {found.loc.file: found.lines}
    if isinstance(found, Location):
        return lines.get(found.file, ROWS).now(found)
    if isinstance(found, tuple):
        return [with_places(each, lines) for each in found]
    if isinstance(found, Mapping):
        return {key: with_places(each, lines) for key, each in found.items()}
    if is_dataclass(found):
        names = [each.name for each in fields(found) if each.name != "lines"]
        return type(found), {name: with_places(getattr(found, name), lines) for name in names}
    return type(found), found
