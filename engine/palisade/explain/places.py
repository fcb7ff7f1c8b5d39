"""Which expression of a rule a reason speaks of.

Conditions have no places of their own: many rules share one. So the expression is looked for in the rule's
body, and in those of the rules that it refers to, by the builtins and the parts of the input that the
condition is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from palisade.enforce.envoy import Reason
from palisade.explain.rules import Branch, RuleIndex, branches
from palisade.rego import ast
from palisade.rego.check.model import CheckedRule
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.formulas.formula import Atom, Formula
from palisade.rego.partial.formulas.rewriting import symbols
from palisade.rego.partial.formulas.terms import Apply, Element, Input, subterms

_MOST_RULES = 200
"""So many rules are searched for one expression."""


@dataclass(frozen=True, slots=True)
class Place:
    """An expression in a source. `line` is the whole line at its location."""

    location: Location
    line: str
    expression: str


UNPLACED = Place(NOWHERE, "", "")
"""The place of what no expression is to blame for."""


def place_of(reason: Reason, rules: Sequence[CheckedRule], index: RuleIndex) -> Place:
    """The expression that a reason is about, of a rule or one of those that hand on to it, which follow it;
    the head of its branch, or else of the rule, where that cannot be told."""
    rule, known = rules[0], reason.location
    heads = {_spot(each.location): each.location for each in branches(rule)}
    exact = _spot(known) not in heads and known.row > 0
    wanted = _Wanted.of(reason.atom) if reason.atom is not None else None
    best: tuple[int, ast.Node, ast.Node] | None = None
    for statement in _expressions(rules, index):
        if exact and _spot(statement.loc) == _spot(known):
            return Place(known, index.line(known), index.text(statement))
        if wanted is not None:
            score, part = wanted.score(statement)
            if score > (best[0] if best else 0):
                best = score, statement, part
    if exact:
        return Place(known, index.line(known), "")
    if best is None:
        head = heads.get(_spot(known), rule.rule.loc)
        return Place(head, index.line(head), "")
    _, whole, part = best
    return Place(part.loc, index.line(part.loc), index.text(whole))


def place_among(reason: Reason, rules: Sequence[CheckedRule], index: RuleIndex) -> Place:
    """The expression that a reason is about which stands above all rules of a decision; `UNPLACED` where its
    condition has no place of its own, as of many rules none can be told to be the one."""
    known = reason.location
    if not known.row:
        return UNPLACED
    at = (each for each in _expressions(rules[:_MOST_RULES], index) if _spot(each.loc) == _spot(known))
    statement = next(at, None)
    return Place(known, index.line(known), "" if statement is None else index.text(statement))


def _spot(location: Location) -> tuple[str, int, int]:
    return location.file, location.row, location.col


def _expressions(rules: Sequence[CheckedRule], index: RuleIndex) -> Iterator[ast.Node]:
    """The statements of the rules and what they make in their heads, then those of the rules that they refer
    to, nearest first."""
    seen = set(map(id, rules))
    queue = list(rules)
    for each in queue:
        for branch in branches(each):
            for statement in (*branch.body, *_made(branch)):
                yield statement
                if len(queue) > _MOST_RULES:
                    continue
                for other in index.referred(statement):
                    if id(other) not in seen:
                        seen.add(id(other))
                        queue.append(other)


def _made(branch: Branch) -> Iterator[ast.Node]:
    """What a branch makes in its head."""
    head = branch.rule.rule.head
    for each in (*head.path, *(() if head.key is None else (head.key,)), branch.value):
        if not isinstance(each, ast.Scalar | ast.Var):
            yield each


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a condition is about: builtins by name, each with what finding it is worth, and paths below the
    input."""

    calls: Mapping[str, int]
    paths: tuple[tuple[object, ...], ...]

    @classmethod
    def of(cls, atom: Atom) -> _Wanted:
        whole = [*symbols(Formula("atom", atom=atom))]
        parts = [part for symbol in whole for part in subterms(symbol)]
        calls = dict.fromkeys((part.name for part in parts if isinstance(part, Apply)), _INNER)
        # What is called last is where it fails: what it is given often comes of a rule of its own.
        calls |= dict.fromkeys((name for symbol in whole if (name := _called(symbol))), _OUTER)
        if any(isinstance(part, Apply) and _counts_tuple(part) for part in parts):
            calls.pop("count", None)
        calls.pop(".", None)
        paths = [part.path for part in parts if isinstance(part, Input | Element) and part.path]
        return cls(calls, tuple(dict.fromkeys(paths)))

    def score(self, statement: ast.Node) -> tuple[int, ast.Node]:
        """How much of it a statement has, and the part that has most of it."""
        total, best = 0, 0
        part: ast.Node = statement
        seen: set[object] = set()
        for node in ast.walk(statement):
            worth = 0
            if isinstance(node, ast.Call) and node.name in self.calls and not _is_constant(node):
                worth = self.calls[node.name]
            elif isinstance(node, ast.Ref):
                worth = max((_common_end(node.path, path) for path in self.paths), default=0)
            if worth and node not in seen:
                seen.add(node)
                total += worth
            if worth > best:
                best, part = worth, node
        return total, part


_TUPLES = frozenset({"io.jwt.decode", "io.jwt.decode_verify"})
"""The builtins whose results are taken apart by a pattern, which asks how many members they have: nobody
writes `count` for that."""

_INNER, _OUTER = 4, 16
"""What finding a builtin is worth, against one for each key of a path: one that is given to another, and the
one that is called last."""


def _called(symbol: object) -> str:
    """The builtin whose result, or a part of it, the symbol is; empty where it is none's."""
    while isinstance(symbol, Apply) and (symbol.name == "." or _counts_tuple(symbol)):
        symbol = symbol.args[0]
    return symbol.name if isinstance(symbol, Apply) else ""


def _counts_tuple(symbol: Apply) -> bool:
    return symbol.name == "count" and _called(symbol.args[0]) in _TUPLES


def _is_constant(call: ast.Call) -> bool:
    """Whether it is called with constants alone: a condition on the request is not about that."""
    return bool(call.args) and all(isinstance(each, ast.Scalar) for each in call.args)


def _common_end(path: Sequence[ast.Term], wanted: Sequence[object]) -> int:
    """How many keys at the ends of two paths are the same."""
    count = 0
    for term, key in zip(reversed(path), reversed(wanted), strict=False):
        if not isinstance(term, ast.Scalar) or term.value != key:
            break
        count += 1
    return count
