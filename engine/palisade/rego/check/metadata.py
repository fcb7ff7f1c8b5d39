"""Annotations: which apply to a rule, and `rego.metadata.chain()` and `.rule()`, known before an evaluation.

https://www.openpolicyagent.org/docs/latest/policy-language/#accessing-annotations
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from palisade.rego import ast
from palisade.rego.check.model import Path, rule_path
from palisade.rego.errors import Location

CHAIN, RULE = "rego.metadata.chain", "rego.metadata.rule"
CALLS = frozenset((CHAIN, RULE))


def asks_for_annotations(modules: Iterable[ast.Module]) -> bool:
    """Whether a rule of one of them asks what METADATA blocks say."""
    nodes = (node for module in modules for rule in module.rules for node in ast.walk(rule))
    return any(isinstance(node, ast.Call) and node.name in CALLS for node in nodes)


class Link(NamedTuple):
    """One place that annotates a rule; a rule without an annotation of its own still has its place."""

    path: Path
    annotation: ast.Annotation | None


class Annotations:
    """The annotations of a set of modules by what they apply to."""

    def __init__(self, modules: Iterable[ast.Module]) -> None:
        self._rules: dict[Location, list[ast.Annotation]] = {}
        self._documents: dict[Path, ast.Annotation] = {}
        self._packages: dict[Path, ast.Annotation] = {}
        self._subpackages: dict[Path, list[ast.Annotation]] = {}
        # What applies to rules without annotations of their own, as nearly all are.
        self._alone: dict[tuple[Path, Path], tuple[Link, ...]] = {}
        for module in modules:
            for each in module.annotations:
                self._add(each, module)
            for rule in module.rules if module.annotations else ():
                for each in self._at(rule):
                    if each.scope == "document":
                        self._documents[rule_path(module.package, rule.head)] = each

    def _add(self, each: ast.Annotation, module: ast.Module) -> None:
        if each.scope == "package":
            self._packages[module.package] = each
        elif each.scope == "subpackages":
            self._subpackages.setdefault(module.package, []).append(each)
        else:
            self._rules.setdefault(each.target, []).append(each)

    def _at(self, rule: ast.Rule) -> list[ast.Annotation]:
        return self._rules.get(rule.loc, [])

    def chain(self, rule: ast.Rule, path: Path, package: Path) -> tuple[Link, ...]:
        """What applies to the rule, the closest first: its own, its document's, its packages'."""
        own = [each for each in self._at(rule) if each.scope == "rule"]
        if own:
            own.sort(key=lambda each: each.loc, reverse=True)
            return (*(Link(path, each) for each in own), *self._above(path, package))
        found = self._alone.get((path, package))
        if found is None:
            found = self._alone[path, package] = (Link(path, None), *self._above(path, package))
        return found

    def _above(self, path: Path, package: Path) -> list[Link]:
        """What applies to all rules of a document."""
        links: list[Link] = []
        if path in self._documents:
            links.append(Link(path, self._documents[path]))
        if package in self._packages:
            links.append(Link(package, self._packages[package]))
        for length in range(len(package), 0, -1):
            above = package[:length]
            links.extend(Link(above, each) for each in reversed(self._subpackages.get(above, [])))
        return links


def with_metadata(rule: ast.Rule, chain: Sequence[Link]) -> ast.Rule:
    """The rule with the calls of `rego.metadata` replaced by what they yield.

    Of several annotations of the rule `rule()` is the first that was written, which in the chain is the last.
    An `else` has none of them.
    """
    own = next(
        (each.annotation for each in reversed(chain) if each.annotation and each.annotation.scope == "rule"),
        None,
    )
    values: dict[str, Any] = {
        CHAIN: [_link_value(each) for each in chain],
        RULE: {} if own is None else _value(own),
    }
    above = [each for each in chain if each.annotation and each.annotation.scope != "rule"]
    of_others: dict[str, Any] = {
        CHAIN: [_link_value(each) for each in (Link(chain[0].path, None), *above)],
        RULE: {},
    }
    head, body = _replaced(rule.head, values), _replaced(rule.body, values)
    return ast.Rule(head, body, _replaced(rule.orelse, of_others), rule.default, loc=rule.loc)


def _link_value(link: Link) -> dict[str, Any]:
    value: dict[str, Any] = {"path": list(link.path)}
    if link.annotation is not None:
        value["annotations"] = _value(link.annotation)
    return value


def _value(annotation: ast.Annotation) -> dict[str, Any]:
    found = annotation.value if isinstance(annotation.value, dict) else {}
    return {**found, "scope": annotation.scope}


def _replaced(node: Any, values: dict[str, Any]) -> Any:
    if type(node) is tuple:
        return tuple(_replaced(each, values) for each in node)
    if isinstance(node, ast.Expression) and isinstance(node.term, ast.Call):
        # `rego.metadata.rule(x)` binds x.
        call = node.term
        if call.name in values and call.args:
            value = constant_term(values[call.name], call.loc)
            return ast.Unify(
                call.args[0], value, negated=node.negated, whole=node.whole, withs=node.withs, loc=node.loc
            )
    if isinstance(node, ast.Call) and node.name in values:
        return constant_term(values[node.name], node.loc)
    if not isinstance(node, ast.Node) or isinstance(node, (ast.Scalar, ast.Var)):
        return node
    fields = node.__dataclass_fields__
    return type(node)(**{name: _replaced(getattr(node, name), values) for name in fields})


def constant_term(value: Any, loc: Location) -> ast.Term:
    """A value, as JSON has them, as a term."""
    if isinstance(value, dict):
        return ast.Object(
            tuple((ast.Scalar(str(key), loc=loc), constant_term(each, loc)) for key, each in value.items()),
            loc=loc,
        )
    if isinstance(value, (list, tuple)):
        return ast.Array(tuple(constant_term(each, loc) for each in value), loc=loc)
    return ast.Scalar(value, loc=loc)
