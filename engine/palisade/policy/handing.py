"""Rules that only hand on: the rule of a decision often decides nothing itself, another one does.

`allow := data.shop.allow if input.function == "shop"` hands on a value, and `allow if data.shop.ok` hands on
that there is one. `palisade.rego.partial.execution.origins` tells the same apart in plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, CheckedSet, Path
from palisade.rego.errors import Location

ALLOWED = "allowed"
"""The member of a decision that is an object which says whether it allows."""

_NAMING = (ast.Assign, ast.Unify)
"""The statements that give a value a name, where a variable is on their left."""

_INPUT = ast.Var("input")
_DATA = ast.Var("data")
_SETTLED = ast.Ref(_INPUT, (ast.Scalar("function"),))
"""The part of the input that is known when a sidecar's policy is compiled."""


def handed_on(checked: CheckedSet, value: ast.Term, body: ast.Body) -> Path | None:
    """The path of the rules that a branch of a rule hands on to; None where it decides something itself.

    `value` and `body` are in checked form.
    """
    named = {each.left: each.right for each in body if isinstance(each, _NAMING) and _is_plain(each)}
    if isinstance(value, ast.Var):
        value = _behind(value, named)
    if isinstance(value, ast.Ref):
        return _rules_at(checked, value)
    if value != ast.Scalar(True):
        return None
    asked = [each for each in body if not _is_settled(each) and not _prints(each)]
    only = asked[-1] if asked else None
    if not isinstance(only, ast.Expression) or not _is_plain(only):
        return None
    used = {only.term}
    for each in reversed(asked[:-1]):
        if not isinstance(each, _NAMING) or each.left not in used or not _is_plain(each):
            return None
        used.add(each.right)
    return _rules_at(checked, _behind(only.term, named))


def _is_plain(statement: ast.Statement) -> bool:
    return not statement.negated and not statement.withs


def _behind(term: ast.Term, named: Mapping[ast.Term, ast.Term]) -> ast.Term:
    """What a variable was given, at whatever remove."""
    seen = {term}
    while term in named and named[term] not in seen:
        term = named[term]
        seen.add(term)
    return term


def telling(checked: CheckedSet, path: Path) -> Path:
    """The path of the rules that say whether a decision allows: where it is an object that is put together of
    rules, as by `result["allowed"] := ...`, those of that member."""
    member = (*path, ALLOWED)
    return member if path not in checked.rules and member in checked.rules else path


Branches: TypeAlias = Mapping[Location, Path | None]
"""The branches of rules by their places, with the path of what each hands on to, None where it decides."""


def decision_rules(checked: CheckedSet, path: Path, most: int) -> dict[Path, Branches] | None:
    """The rules of a decision by their paths, and behind them those that they hand on to.

    None where they are more than `most`: to look at ten thousand takes most of a second.
    """
    found: dict[Path, Branches] = {}
    queue = [path]
    count = 0
    for each in queue:
        if each not in found:
            rules = checked.rules.get(each, ())
            count += len(rules)
            if count > most:
                return None
            found[each] = {place: to for rule in rules for place, to in _targets(checked, rule)}
            queue.extend(to for to in found[each].values() if to is not None)
    return found


def _targets(checked: CheckedSet, rule: CheckedRule) -> Iterator[tuple[Location, Path | None]]:
    yield rule.rule.loc, handed_on(checked, rule.rule.head.value, rule.rule.body)
    for each in rule.rule.orelse:
        yield each.loc, handed_on(checked, each.value, each.body)


def _rules_at(checked: CheckedSet, ref: ast.Term) -> Path | None:
    """The path of the complete rules that a reference is the value of, if it is."""
    if not isinstance(ref, ast.Ref) or ref.head != _DATA:
        return None
    path = tuple(str(part.value) for part in ref.path if isinstance(part, ast.Scalar))
    rules = checked.rules.get(path, ()) if len(path) == len(ref.path) else ()
    return path if rules and all(map(_is_complete, rules)) else None


def _is_complete(rule: CheckedRule) -> bool:
    """Whether a rule gives its path a value, and not a member, or an answer to arguments."""
    head = rule.rule.head
    return head.key is None and head.args is None and len(rule.path) == len(rule.package) + 1 + len(head.path)


def _prints(statement: ast.Statement) -> bool:
    """Whether a statement is left out of what is compiled, and asks nothing: `print`."""
    term = statement.term if isinstance(statement, ast.Expression) else None
    return isinstance(term, ast.Call) and term.name == "print"


def _is_settled(statement: ast.Statement) -> bool:
    """Whether a statement asks of the request nothing but which function it is for, and of no other rule."""
    asked = inputs = 0
    for node in ast.walk(statement):
        if isinstance(node, ast.Ref):
            if node.head == _INPUT:
                if node != _SETTLED:
                    return False
                asked += 1
            elif node.head == _DATA:
                return False
        elif node == _INPUT:
            inputs += 1
    return 0 < asked == inputs
