"""Which documents and functions may end an evaluation in an error: two values of a rule, or at a key.

More are named than do, never fewer: what is asked of these is only more careful (see `index`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedSet, Path
from palisade.rego.check.variables import COMPREHENSIONS

_DATA = ast.Var("data")
_MAKES_PAIRS = "|"
"""Without it no file has a comprehension."""

_rule, _path = attrgetter("rule"), attrgetter("head.path")
_value, _orelse = attrgetter("head.value"), attrgetter("orelse")


Pairs: TypeAlias = Mapping[int, tuple[ast.Rule, bool]]
"""Of rules, by their identity: the rule, and whether an object is made in it pair by pair."""


class Errors:
    """What of a checked set may end in an error. Of rules of `known` it need not be found out again whether
    they make objects pair by pair."""

    def __init__(self, checked: CheckedSet, known: Pairs) -> None:
        self.pairs: dict[int, tuple[ast.Rule, bool]] = {}
        self._known = known
        self._files = frozenset(each.loc.file for each in checked.modules if _MAKES_PAIRS in each.source)
        self.paths = self._ending(checked)
        """Of the rules that may have two values, and of all that ask these."""
        self._above = {path[:end] for path in self.paths for end in range(len(path))}

    def first(self, body: ast.Body) -> int | None:
        """The number of the first statement of a body that may end in an error, if one may."""
        if not self.paths and not (body and body[0].loc.file in self._files):
            return None  # as of nearly all of thousands of rules
        return next((at for at, each in enumerate(body) if self._may_end(each)), None)

    def _ending(self, checked: CheckedSet) -> frozenset[Path]:
        rules = {path: list(map(_rule, found)) for path, found in checked.rules.items()}
        new = [path for path, found in rules.items() if self._make_pairs(found) or _may_conflict(found)]
        asking: dict[Path, list[Path]] = {}
        for path, needed in checked.graph.items() if new else ():
            for each in needed:
                asking.setdefault(each, []).append(path)
        ending: set[Path] = set()
        while new:
            path = new.pop()
            if path not in ending:
                ending.add(path)
                new += asking.get(path, ())
        return frozenset(ending)

    def _make_pairs(self, rules: Iterable[ast.Rule]) -> bool:
        found = False
        for rule in rules if self._files else ():
            if rule.loc.file in self._files:
                told = self.pairs[id(rule)] = self._known.get(id(rule)) or (rule, _has_pairs(rule))
                found |= told[1]
        return found

    def _may_end(self, statement: ast.Statement) -> bool:
        for each in ast.walk(statement):
            if isinstance(each, ast.ObjectComprehension):
                return True
            ref = each.operator if isinstance(each, ast.Call) else each
            if isinstance(ref, ast.Ref) and ref.head == _DATA and self._leads_there(ref):
                return True
        return False

    def _leads_there(self, ref: ast.Ref) -> bool:
        path: Path = ()
        for key in ref.path:
            if path in self.paths:
                return True
            if not isinstance(key, ast.Scalar) or not isinstance(key.value, str):
                break
            path += (key.value,)
        return path in self.paths or path in self._above


def _has_pairs(node: ast.Node) -> bool:
    """Whether an object is made in it pair by pair, where two values may meet at one key."""
    return any(isinstance(each, ast.ObjectComprehension) for each in ast.walk(node))


def _same_constant(rules: Sequence[ast.Rule]) -> bool:
    """Whether all that the rules ever give is one constant."""
    values = {id(each): each for each in map(_value, rules)}  # which most rules share
    values |= {id(each.value): each.value for orelse in map(_orelse, rules) for each in orelse}
    first, *others = values.values()
    return type(first) is ast.Scalar and all(type(each) is ast.Scalar and each == first for each in others)


def _may_conflict(rules: Sequence[ast.Rule]) -> bool:
    rules = [each for each in rules if not each.default]
    if not rules:
        return False
    if any(map(_is_keyed, filter(_path, rules))):
        return True
    if rules[0].head.is_set or _same_constant(rules):
        return False
    return len(rules) > 1 or _has_many_values(rules[0])


def _is_keyed(rule: ast.Rule) -> bool:
    """Whether the rule gives an object its keys: `limits[tier] := 5`."""
    return not all(isinstance(each, ast.Scalar) and isinstance(each.value, str) for each in rule.head.path)


def _has_many_values(rule: ast.Rule) -> bool:
    """Whether the one rule of a document may give it two values. It makes no pairs: see `_make_pairs`."""
    known = {each.name for arg in rule.head.args or () for each in ast.walk(arg) if isinstance(each, ast.Var)}
    bodies = [(rule.head.value, rule.body), *((each.value, each.body) for each in rule.orelse)]
    return any(runs(each, known | assigned(body)) for value, body in bodies for each in (*body, value))


def assigned(body: ast.Body) -> set[str]:
    """The variables to which the body gives values by `:=`."""
    lefts = [each.left for each in body if isinstance(each, ast.Assign)]
    return {each.name for left in lefts for each in ast.walk(left) if isinstance(each, ast.Var)}


def runs(node: ast.Node, known: set[str]) -> bool:
    """Whether evaluating the node goes over the members of something, and on with each of them."""
    stack: list[ast.Node] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, (*COMPREHENSIONS, ast.Every)) or (
            isinstance(each, ast.Statement) and each.negated
        ):
            continue
        if isinstance(each, ast.SomeIn) or (isinstance(each, ast.Call) and each.name == "walk"):
            return True
        if isinstance(each, ast.Ref) and not all(_is_one(key, known) for key in each.path):
            return True
        stack += each.children()
    return False


def _is_one(key: ast.Term, known: set[str]) -> bool:
    """Whether a step by the key leads to one member at most."""
    if isinstance(key, ast.Var):
        return key.name in known
    if isinstance(key, ast.Array | ast.Object | ast.Set):
        return all(each.name in known for each in ast.walk(key) if isinstance(each, ast.Var))
    return True
