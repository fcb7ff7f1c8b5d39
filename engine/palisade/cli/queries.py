"""A query as `opa eval` understands it: besides variables, each expression of it has a value to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from palisade import rego
from palisade.rego import ast
from palisade.rego.parser import parse_query
from palisade.rego.places import Places
from palisade.rego.values import Value

_CAPTURE = "palisade_value_"


@dataclass(frozen=True, slots=True)
class Query:
    """A query, and the text that captures the values of its expressions in variables."""

    body: ast.Body
    texts: tuple[str, ...]
    capturing: str
    captured: frozenset[int]

    @classmethod
    def parse(cls, query: str) -> Query:
        """Raises rego.CompileError."""
        body = parse_query(query)
        places = Places(query)
        texts = tuple(places.text(each.loc).strip() for each in body)
        captured = frozenset(index for index, each in enumerate(body) if _has_value(each))
        parts = [f"{_CAPTURE}{i} = {text}" if i in captured else text for i, text in enumerate(texts)]
        # As OPA: the value of a lone expression may be false; among several, or where it iterates, false
        # drops the result as it does in a rule.
        if len(body) > 1 or any(map(_iterates, body)):
            parts += [f"{_CAPTURE}{index}" for index in sorted(captured)]
        return cls(body, texts, "\n".join(parts), captured)

    def run(
        self,
        policy: rego.Policy,
        document: Value,
        *,
        strict_builtin_errors: bool = False,
    ) -> list[dict[str, Any]]:
        """The results as `opa eval` prints them under `result`. Raises rego.CompileError and EvalError."""
        found = policy.query(self.capturing, input=document, strict_builtin_errors=strict_builtin_errors)
        return [self._result(dict(each)) for each in found]

    def _result(self, bindings: dict[str, Any]) -> dict[str, Any]:
        values = {index: bindings.pop(f"{_CAPTURE}{index}") for index in self.captured}
        expressions = [
            {
                "value": values.get(index, True),
                "text": text,
                "location": {"row": statement.loc.row, "col": statement.loc.col},
            }
            for index, (text, statement) in enumerate(zip(self.texts, self.body, strict=True))
        ]
        return (
            {"expressions": expressions, "bindings": bindings} if bindings else {"expressions": expressions}
        )


def _has_value(statement: ast.Statement) -> bool:
    return isinstance(statement, ast.Expression) and not statement.negated


def _iterates(statement: ast.Statement) -> bool:
    return any(
        isinstance(part, ast.Var)
        for node in _outside_comprehensions(statement)
        if isinstance(node, ast.Ref)
        for part in node.path
    )


def _outside_comprehensions(node: ast.Node) -> Iterator[ast.Node]:
    yield node
    if not isinstance(
        node, ast.ArrayComprehension | ast.SetComprehension | ast.ObjectComprehension | ast.Holds
    ):
        for child in node.children():
            yield from _outside_comprehensions(child)
