"""The rules of a policy as their authors wrote them: heads, bodies and the text of each statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from palisade import rego
from palisade.rego import ast
from palisade.rego.check.model import CheckedRule
from palisade.rego.errors import Location


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to a rule's value: the rule itself, or one of its `else` branches.

    `body` is in checked form, its statements in the order in which they are evaluated.
    """

    rule: CheckedRule
    location: Location
    body: ast.Body

    @property
    def label(self) -> str:
        """`FILE:ROW`, as decision logs have it."""
        return f"{self.location.file}:{self.location.row}"


class RuleIndex:
    """Finds rules by what they define, and the text of what stands in them."""

    def __init__(self, policy: rego.Policy) -> None:
        self._checked = policy.checked
        self._sources = {module.loc.file: module.source for module in self._checked.modules}
        self._lines: dict[str, list[str]] = {}

    def line(self, location: Location) -> str:
        """The source line of a place; empty where the source has none there."""
        lines = self._lines.get(location.file)
        if lines is None:
            lines = self._lines[location.file] = self._sources.get(location.file, "").splitlines()
        return lines[location.row - 1] if 0 < location.row <= len(lines) else ""

    def text(self, node: ast.Node) -> str:
        """A node of a body as it was written."""
        loc = node.loc
        return self._sources.get(loc.file, "")[loc.offset : loc.end].strip()

    def of_path(self, path: tuple[str, ...]) -> tuple[CheckedRule, ...]:
        """The rules at a path below data in source order, `default` rules among them."""
        return self._checked.rules.get(path, ())

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
    others = (Branch(rule, each.loc, each.body) for each in rule.rule.orelse)
    return (Branch(rule, rule.rule.loc, rule.rule.body), *others)
