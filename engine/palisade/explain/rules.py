"""The rules of a policy as their authors wrote them: heads, bodies and the text of each statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from palisade import rego
from palisade.policy.handing import handed_on, telling
from palisade.rego import ast
from palisade.rego.check.model import CheckedRule
from palisade.rego.errors import Location
from palisade.rego.places import Places

Rules: TypeAlias = tuple[CheckedRule, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to a rule's value: the rule itself, or one of its `else` branches.

    `body` is in checked form, its statements in the order in which they are evaluated.
    """

    rule: CheckedRule
    location: Location
    body: ast.Body
    value: ast.Term

    @property
    def telling(self) -> ast.Term | None:
        """What of the value says whether a decision allows, where that is no constant."""
        value = self.value
        if isinstance(value, ast.Object):
            members = dict(value.items)
            value = members.get(ast.Scalar("allowed"), ast.Scalar(None))
        return value if isinstance(value, ast.Ref | ast.Var | ast.Call) else None


class RuleIndex:
    """Finds rules by what they define, and the text of what stands in them."""

    def __init__(self, policy: rego.Policy) -> None:
        self._checked = policy.checked
        self._modules = {module.loc.file: module for module in self._checked.modules}
        self._sources = {file: module.source for file, module in self._modules.items()}
        self._rows: dict[str, dict[int, list[ast.Rule]]] = {}
        self._lines: dict[str, list[str]] = {}
        self._places: dict[str, Places] = {}
        self._asking: dict[int, bool] = {}

    def line(self, location: Location) -> str:
        """The source line of a place; empty where the source has none there."""
        lines = self._lines.get(location.file)
        if lines is None:
            lines = self._lines[location.file] = self._sources.get(location.file, "").splitlines()
        return lines[location.row - 1] if 0 < location.row <= len(lines) else ""

    def text(self, node: ast.Node) -> str:
        """A node of a body as it was written."""
        return self._places_of(node).text(node.loc).strip()

    def between(self, start: ast.Node, end: ast.Node) -> str:
        """The text from the beginning of one node to that of another."""
        places = self._places_of(start)
        return places.source[places.start(start.loc) : places.start(end.loc)]

    def span(self, first: ast.Node, last: ast.Node) -> str:
        """The text from the beginning of one node to the end of another."""
        return self._places_of(first).between(first.loc, last.loc)

    def _places_of(self, node: ast.Node) -> Places:
        file = node.loc.file
        found = self._places.get(file)
        if found is None:
            found = self._places[file] = Places(self._sources.get(file, ""))
        return found

    def imports(self, branch: Branch) -> tuple[ast.Import, ...]:
        """The imports that the rule is written with."""
        return self._modules[branch.location.file].imports

    def declared(self, branch: Branch) -> list[str]:
        """The variables that the body declares by `some` alone, which the checked body leaves out."""
        found = []
        for rule in self._written(branch.location.file).get(branch.rule.rule.loc.row, ()):
            bodies = {rule.loc: rule.body, **{each.loc: each.body for each in rule.orelse}}
            for statement in bodies.get(branch.location, ()):
                if isinstance(statement, ast.Some):
                    found += [each.name for each in statement.names]
        return found

    def _written(self, file: str) -> dict[int, list[ast.Rule]]:
        """The rules of a module as the parser gave them, by the rows on which they begin."""
        if file not in self._rows:
            rows: dict[int, list[ast.Rule]] = {}
            for rule in self._modules[file].rules:
                rows.setdefault(rule.loc.row, []).append(rule)
            self._rows[file] = rows
        return self._rows[file]

    def naming(self, words: Iterable[str]) -> tuple[CheckedRule, ...]:
        """The rules of the modules in whose text one of the words stands."""
        words = tuple(words)
        files = {file for file, source in self._sources.items() if any(word in source for word in words)}
        rules = (each for found in self._checked.rules.values() for each in found) if files else ()
        return tuple(each for each in rules if each.rule.loc.file in files)

    def asks_request(self, rule: CheckedRule) -> bool:
        """Whether a rule's value hangs on the request, at whatever remove."""
        known = self._asking.get(id(rule))
        if known is None:
            known = self._asking[id(rule)] = self._asks_request(rule)
        return known

    def _asks_request(self, rule: CheckedRule) -> bool:
        found = [rule]
        seen = {id(rule)}
        for each in found:
            for part in ast.walk(each.rule):
                if part == ast.Var("input"):
                    return True
            for other in self.referred(each.rule):
                if id(other) not in seen:
                    seen.add(id(other))
                    found.append(other)
        return False

    def of_path(self, path: tuple[str, ...]) -> tuple[CheckedRule, ...]:
        """The rules at a path below data in source order, `default` rules among them."""
        return self._checked.rules.get(path, ())

    def of_decision(self, path: tuple[str, ...]) -> tuple[CheckedRule, ...]:
        """The rules that say whether a decision allows."""
        return self.of_path(telling(self._checked, path))

    def with_those_behind(self, rules: Iterable[CheckedRule]) -> list[tuple[CheckedRule, Rules]]:
        """The rules, and each that one of them hands on to, at whatever remove; with those that hand on to
        it, the nearest first."""
        found: list[tuple[CheckedRule, Rules]] = [(each, ()) for each in rules]
        seen = {id(each) for each, _ in found}
        for rule, by in found:
            for other in (other for branch in branches(rule) for other in self.behind(branch)):
                if id(other) not in seen:
                    seen.add(id(other))
                    found.append((other, (rule, *by)))
        return found

    def behind(self, branch: Branch) -> tuple[CheckedRule, ...]:
        """The rules that a branch hands on to; none where it decides something itself."""
        path = handed_on(self._checked, branch.value, branch.body)
        return () if path is None else self.of_path(path)

    def below(self, path: tuple[str, ...]) -> tuple[CheckedRule, ...]:
        """The rules of a document that is put together of rules below its path."""
        document = ast.Ref(ast.Var("data"), tuple(map(ast.Scalar, path)))
        paths = sorted(each for each in self._checked.tree.meant(document) if each[: len(path)] == path)
        return tuple(rule for each in paths for rule in self.of_path(each))

    def referred(self, node: ast.Node) -> Iterator[CheckedRule]:
        """The rules that a node of a checked body refers to or calls."""
        seen: set[tuple[str, ...]] = set()
        for part in ast.walk(node):
            term = part.operator if isinstance(part, ast.Call) else part
            if not isinstance(term, ast.Ref) or term.head != ast.Var("data"):
                continue
            for path in sorted(self._checked.tree.meant(term)):
                if path not in seen:
                    seen.add(path)
                    yield from self.of_path(path)


def branches(rule: CheckedRule) -> tuple[Branch, ...]:
    """The rule and its `else` branches, in the order in which they are tried."""
    others = (Branch(rule, each.loc, each.body, each.value) for each in rule.rule.orelse)
    return (Branch(rule, rule.rule.loc, rule.rule.body, rule.rule.head.value), *others)
