"""Which paths of the input the rules of a set read: as written, or by a name that stands for a part of it.

Most policies name a part of the request once, and read below it: `http := input.attributes.request.http`
as a rule or in a body, then `http.headers["x-tenant"]`. Others reach for it by `object.get`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.errors import Location

Keys: TypeAlias = tuple[object, ...]
"""Keys below the input, outermost first; None where one is computed."""

Named: TypeAlias = Mapping[str, Keys]
"""What parts of the input names stand for: `x` of a variable, `data.a.x` of a rule."""

_EMPTY = (ast.Object(()), ast.Array(()), ast.Set(()))


@dataclass(frozen=True, slots=True)
class Read:
    """One place that reads the input at `keys`.

    The first `named` of them are read where a name is given to them, and the types of a request follow the
    first `typed`: not what `object.get` reaches.
    """

    keys: Keys
    named: int
    typed: int
    loc: Location


def names(rules: Iterable[tuple[tuple[str, ...], ast.Rule]]) -> dict[str, Keys]:
    """The rules, given with their packages, whose only value is a part of the input."""
    under = [(f"data.{'.'.join((*package, rule.head.name.name))}", rule) for package, rule in rules]
    defined = Counter(name for name, _ in under)
    values = {
        name: rule
        for name, rule in under
        if defined[name] == 1
        and rule.head.args is None
        and rule.head.key is None
        and not (rule.head.path or rule.orelse or rule.default)
    }
    found: dict[str, Keys] = {}
    # A rule may stand for a part of what another stands for: each round finds those of one more step.
    while new := {
        name: keys
        for name, rule in values.items()
        if name not in found and (keys := _keys(rule.head.value, found | _locals(rule, found))) is not None
    }:
        found |= new
    return found


def reads(rule: ast.Rule, named: Named) -> Iterator[Read]:
    """What the rule reads of the input, where `named` are the rules that stand for a part of it."""
    within = {**named, **_locals(rule, named)}
    inner: set[int] = set()
    for term in ast.walk(rule):
        if id(term) in inner or not isinstance(term, (ast.Ref, ast.Call)):
            continue
        keys = _keys(term, within)
        if keys is None:
            continue
        start: ast.Term = term
        while isinstance(start, ast.Call) or (
            isinstance(start, ast.Ref) and not isinstance(start.head, ast.Var)
        ):
            start = start.args[0] if isinstance(start, ast.Call) else start.head
            inner.add(id(start))
        given = _given(start, within)
        if given is None or len(keys) > given:
            typed = len(keys) if start is term else len(_keys(start, within) or ())
            yield Read(keys, given or 0, typed, term.loc)


def _locals(rule: ast.Rule, named: Named) -> dict[str, Keys]:
    """The variables of a rule that stand for a part of the input: no two of a checked rule share a name."""
    found: dict[str, Keys] = {}
    for each in ast.walk(rule):
        if isinstance(each, (ast.Assign, ast.Unify)) and isinstance(each.left, ast.Var):
            keys = _keys(each.right, {**named, **found}) if not each.withs else None
            if keys is not None:
                found[each.left.name] = keys
    return found


def _keys(term: ast.Term, named: Named) -> Keys | None:
    """Where in the input the term reads; None if it reads elsewhere."""
    if isinstance(term, ast.Var):
        return () if term.name == "input" else named.get(term.name)
    if isinstance(term, ast.Call) and term.name == "object.get":
        of, below, other = term.args[:3]  # as a statement it may have one more, which its value is
        # What it gives in place of a missing key is read below, too, where there is anything in it.
        above = _keys(of, named) if isinstance(other, ast.Scalar) or other in _EMPTY else None
        if above is None:
            return None
        return (*above, *(_key(key) for key in (below.items if isinstance(below, ast.Array) else (below,))))
    if isinstance(term, ast.Ref):
        taken = _taken(term, named)
        if taken is not None:
            head, rest = taken
            return (*head, *(_key(part) for part in rest))
    return None


def _taken(ref: ast.Ref, named: Named) -> tuple[Keys, tuple[ast.Term, ...]] | None:
    """What the head of a reference stands for, and the path that is left below it."""
    if ref.head == ast.Var("data"):
        name = "data"
        for at, part in enumerate(ref.path, 1):
            name = f"{name}.{part.value}" if isinstance(part, ast.Scalar) else ""
            if name in named:
                return named[name], ref.path[at:]
        return None
    above = _keys(ref.head, named)
    return None if above is None else (above, ref.path)


def _given(term: ast.Term, named: Named) -> int | None:
    """How many keys a name gives at the start of a term; None where it starts at the input itself."""
    if isinstance(term, ast.Var):
        return None if term.name == "input" else len(named[term.name])
    if isinstance(term, ast.Ref):
        if term.head == ast.Var("data"):
            taken = _taken(term, named)
            return None if taken is None else len(taken[0])
        return _given(term.head, named)
    return None


def _key(term: ast.Term) -> object:
    return term.value if isinstance(term, ast.Scalar) else None
