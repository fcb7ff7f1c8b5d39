"""What an entry of the decision log tells of its request, and what it does not.

An explanation of an entry is made of the entry alone, so it can tell nothing that the entry hides. What is
masked, or not in it at all, is not taken for missing in the request: whether it is there is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from palisade.decide.access import TOLD_HEADERS
from palisade.decide.event import Decider
from palisade.decide.mask import REDACTED
from palisade.explain.edits import HTTP, PEER, PRINCIPAL, look_up
from palisade.explain.rules import RuleIndex, branches
from palisade.rego import ast
from palisade.rego.check.model import CheckedRule
from palisade.rego.partial.formulas.formula import Atom, Defined, IsKind
from palisade.rego.partial.formulas.terms import Apply, Element, Input
from palisade.rego.partial.reading import Bindings, Reading, Unsure
from palisade.rego.values import UNDEFINED, Value, from_python, unkey

Path = tuple[Any, ...]

_TOLD: tuple[Path, ...] = (
    *((*HTTP, name) for name in ("method", "path", "host", "scheme")),
    *((*HTTP, "headers", name) for name in TOLD_HEADERS),
    ("attributes", "source", "address"),
    PRINCIPAL,
    PEER,
    ("parsed_path",),
    ("parsed_query",),
    ("identity",),
    ("function",),
)
"""What a sidecar tells of a request that it decided by itself."""


class LoggedInput:
    """The input in an entry, with what of it is known. `document` is the input as a policy takes it."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.document: Value = from_python(event.get("input") or {})
        self._native = event.get("palisade", {}).get("decider") != str(Decider.RESIDUAL)
        pointers = (*event.get("erased", ()), *event.get("masked", ()))
        self._hidden = {_path(each) for each in pointers if each.startswith("/input/")}

    def knows(self, path: Path, *, whole: bool = True) -> bool:
        """Whether what the request has at a path is known; without `whole` whether there is anything."""
        value = look_up(self.document, path)
        if any(_within(path, hidden) for hidden in self._hidden):
            return False
        if self._native and not any(_within(path, told) for told in _TOLD):
            # Of what holds something else, it is known that it is there.
            return not whole and value is not UNDEFINED
        return not whole or not (
            any(_within(hidden, path) for hidden in self._hidden) or _has_redacted(value)
        )

    def reading(self, document: Value) -> Reading:
        """Reads conditions on an input that has of this one what is not known."""
        return _Known(document, self)


class _Known(Reading):
    def __init__(self, document: Value, entry: LoggedInput) -> None:
        super().__init__(document)
        self._entry = entry

    def hidden(self, atom: Atom) -> bool:
        try:
            self._atom(atom, {})
        except Unsure:
            return True
        except KeyError:  # a member of a loop, which is part of another condition
            return False
        return False

    def _atom(self, atom: Atom, bindings: Bindings) -> bool | None:
        if isinstance(atom, Defined | IsKind) and isinstance(atom.term, Input):
            if not self._entry.knows(self._resolved(atom.term.path, bindings), whole=False):
                raise Unsure
            value = super()._walk(self._document, atom.term.path, bindings)
            if value is UNDEFINED or isinstance(atom, Defined):
                return value is not UNDEFINED
        return super()._atom(atom, bindings)

    def _walk(self, value: Value, path: Path, bindings: Bindings) -> Value:
        if value is self._document and not self._entry.knows(self._resolved(path, bindings)):
            raise Unsure
        return super()._walk(value, path, bindings)

    def _resolved(self, path: Path, bindings: Bindings) -> Path:
        return tuple(
            self.value(step, bindings) if isinstance(step, Input | Element | Apply) else unkey(step)
            for step in path
        )


class Reads:
    """What of the input the statements of a policy read, whatever the request is."""

    def __init__(self, index: RuleIndex) -> None:
        self._index = index
        self._of_rules: dict[int, frozenset[Path]] = {}

    def unknown(self, body: Sequence[ast.Statement], entry: LoggedInput) -> list[bool]:
        """Of each statement of a body, whether it asks of what is not known, or of what comes from there."""
        found = [any(not entry.knows(each) for each in self._of(statement)) for statement in body]
        names = [_variables(each) for each in body]
        tainted: set[str] = set()
        for _ in body:
            for at, asks in enumerate(found):
                if asks or names[at] & tainted:
                    found[at] = True
                    tainted |= names[at]
        return found

    def knows_all(self, rule: CheckedRule, entry: LoggedInput) -> bool:
        """Whether all that a rule reads is known."""
        return all(entry.knows(each) for each in self._of_rule(rule))

    def _of(self, node: ast.Node) -> Iterator[Path]:
        inside: set[int] = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Ref) and part.head == _INPUT:
                inside.add(id(part.head))
                constants = [each.value if isinstance(each, ast.Scalar) else None for each in part.path]
                end = next((at for at, each in enumerate(constants) if each is None), len(constants))
                yield tuple(constants[:end])
            elif part == _INPUT and id(part) not in inside:
                yield ()
        for rule in self._index.referred(node):
            yield from self._of_rule(rule)

    def _of_rule(self, rule: CheckedRule) -> frozenset[Path]:
        known = self._of_rules.get(id(rule))
        if known is None:
            parts: list[ast.Node] = [
                each for branch in branches(rule) for each in (*branch.body, branch.value)
            ]
            if rule.rule.head.key is not None:
                parts.append(rule.rule.head.key)
            parts += rule.rule.head.path
            known = frozenset(each for part in parts for each in self._of(part))
            self._of_rules[id(rule)] = known
        return known


_INPUT = ast.Var("input")


def _variables(statement: ast.Statement) -> set[str]:
    """The names of the variables in a statement, those of builtins aside."""
    nodes = list(ast.walk(statement))
    names = {node.name for node in nodes if isinstance(node, ast.Var)}
    called = {
        node.operator.name
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.operator, ast.Var)
    }
    return names - called - {"input", "data"}


def _path(pointer: str) -> Path:
    """The path below the input that a JSON pointer in an entry names (RFC 6901)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[2:])


def _within(path: Path, place: Path) -> bool:
    return path[: len(place)] == place


def _has_redacted(value: Value) -> bool:
    if isinstance(value, str):
        return REDACTED in value
    if isinstance(value, list):
        return any(map(_has_redacted, value))
    return isinstance(value, dict) and any(map(_has_redacted, value.values()))
