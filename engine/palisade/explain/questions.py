"""Queries that tell, of each statement of a rule's body, whether it held and what values stood in it.

A body holds as far as its statements do together: a query counts the ways in which the first one, the first
two, and so on hold. One that fails is left out of the next query, with those that need its variables, so that
the others are told of too. A last query asks for the values in one of the ways. The evaluator answers.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence, Set
from dataclasses import dataclass

from palisade.explain.rules import Branch, RuleIndex
from palisade.rego import ast
from palisade.rego.check.variables import COMPREHENSIONS

_CLOSURES = (*COMPREHENSIONS, ast.Every)
_ROOTS = ("input", "data")
_ITEM = "palisade_item"

HELD = "palisade_held"
"""The variable that holds in how many ways the first statements hold together, for each of them."""
VALUES = "palisade_values"
"""The variable that holds, for each term, an array with its value, which is empty where it is undefined."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A term of a statement as it is written, and what is asked of the evaluator for it, where that differs.

    Of a function that the policy defines the arguments are asked: its value is the statement's to show.
    """

    text: str
    node: ast.Node
    asks: str = ""

    @property
    def call(self) -> bool:
        """Whether the value is the arguments of a function."""
        return isinstance(self.node, ast.Call)


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a rule as queries take it. `args` are the arguments, as Rego, where it is a function."""

    branch: Branch
    index: RuleIndex
    args: Sequence[str] = ()

    def asked(self, failed: Container[int]) -> list[int]:
        """The statements that hold or fail by themselves, where some are known to fail."""
        written = known = self._arguments
        asked = []
        for at, statement in enumerate(self.branch.body):
            names = {variable.name for variable in _variables(statement)}
            needed = {variable.name for variable in _variables(statement, inside=True)}
            # What no statement before it binds, it binds itself.
            if at not in failed and needed & written <= known:
                asked.append(at)
                known = known | names
            written = written | names
        return asked

    @property
    def _arguments(self) -> frozenset[str]:
        args = self.branch.rule.rule.head.args or ()
        return frozenset(variable.name for arg in args for variable in _variables(arg))

    def held(self, asked: Sequence[int]) -> str:
        """The query that sets HELD, for these statements."""
        ways = (f"count([1 | {self._together(asked[:end])}])" for end in range(1, len(asked) + 1))
        return f"{HELD} := [{', '.join(ways)}]"

    def terms(self, asked: Container[int], failed: Container[int]) -> list[list[Shown]]:
        """What is shown of each statement: of one that failed what is known without it."""
        known = self._arguments
        found: list[list[Shown]] = []
        for at, statement in enumerate(self.branch.body):
            shown = at in asked or at in failed
            bound = known if at in failed else None
            found.append(list(_terms(statement, self.index, bound)) if shown else [])
            if at in asked:
                known = known | {variable.name for variable in _variables(statement)}
        return found

    def values(self, asked: Sequence[int], terms: Sequence[Sequence[Shown]]) -> str:
        """The query that sets VALUES, for the terms of all statements in turn."""
        lines = [self._together(asked)]
        names: list[str] = []
        for statement, shown in zip(self.branch.body, terms, strict=True):
            withs = "".join(f" {self.index.text(each)}" for each in statement.withs)
            for term in shown:
                names.append(f"palisade_{len(names)}")
                lines.append(f"{names[-1]} := [{_ITEM} | {_ITEM} := {term.asks or term.text}{withs}]")
        body = "\n".join(lines)
        return f"{VALUES} := array.slice([[{', '.join(names)}] | {body}], 0, 1)"

    def defined(self, asked: Sequence[int], term: ast.Term) -> str:
        """The query that sets HELD to whether the statements hold and the term has a value then."""
        return f"{HELD} := [count([1 | {self._together(asked)}\n{_ITEM} := {self.index.text(term)}])]"

    def _together(self, asked: Sequence[int]) -> str:
        """The statements, behind the declarations and arguments that they need."""
        statements = [self.branch.body[at] for at in asked]
        used = {node.name for each in statements for node in _variables(each, inside=True)}
        declared = [name for name in self.index.declared(self.branch) if name in used]
        lines = [f"some {', '.join(declared)}"] if declared else []
        for pattern, value in zip(self.branch.rule.rule.head.args or (), self.args, strict=False):
            if not (isinstance(pattern, ast.Var) and pattern.is_wildcard):
                sign = ":=" if isinstance(pattern, ast.Var | ast.Array | ast.Object) else "="
                lines.append(f"{self.index.text(pattern)} {sign} {value}")
        return "\n".join((*lines, *map(self.index.text, statements))) or "true"


# Terms ------------------------------------------------------------------------------------------------------


def _terms(statement: ast.Statement, index: RuleIndex, bound: Set[str] | None) -> Iterator[Shown]:
    """The references, variables and calls of functions in a statement, each text once.

    With `bound` only what needs no other variables than these.
    """
    seen: set[str] = set()
    for shown in _found(statement, index, bound):
        if shown.text and shown.text not in seen:
            seen.add(shown.text)
            yield shown


def _found(node: ast.Node, index: RuleIndex, bound: Set[str] | None) -> Iterator[Shown]:
    if isinstance(node, ast.Every):
        yield from _found(node.domain, index, bound)
        if bound is not None:
            yield _exception(node, index)
    elif isinstance(node, (*_CLOSURES, ast.With)):
        return
    elif isinstance(node, ast.Ref):
        text = _known_part(node, index, bound)
        if text:
            yield Shown(text, node)
        for part in (node.head, *node.path):
            if not isinstance(part, ast.Var) or part.name not in _ROOTS:
                yield from _found(part, index, bound)
    elif isinstance(node, ast.Var):
        named = not node.is_wildcard and "#" not in node.name
        if named and (bound is None or node.name in bound or node.name in _ROOTS):
            yield Shown(index.text(node), node)
    elif isinstance(node, ast.Call):
        own = isinstance(node.operator, ast.Ref) and node.operator.head == ast.Var("data")
        if own and _is_known(node, bound):
            yield Shown(index.text(node), node, f"[{', '.join(map(index.text, node.args))}]")
        for arg in node.args:
            yield from _found(arg, index, bound)
    else:
        for child in node.children():
            yield from _found(child, index, bound)


def _exception(node: ast.Every, index: RuleIndex) -> Shown:
    """The first member of which the body of an `every` does not hold."""
    value = index.text(node.value)
    names = value if node.key is None else f"{index.text(node.key)}, {value}"
    body = index.span(node.body[0], node.body[-1])
    asks = f"[{value} | some {names} in {index.text(node.domain)}; count([1 | {body}]) == 0][0]"
    return Shown(value, node.value, asks)


def _known_part(ref: ast.Ref, index: RuleIndex, bound: Set[str] | None) -> str:
    """The text of a reference, up to the first variable that is not bound."""
    head = ref.head
    if not isinstance(head, ast.Var):
        return ""
    if head.name not in _ROOTS and not _is_known(head, bound):
        return ""
    for part in ref.path:
        if not _is_known(part, bound):
            # The part stands in brackets: all before them is what is known.
            return index.between(ref, part).rstrip().removesuffix("[").rstrip()
    return index.text(ref)


def _is_known(node: ast.Node, bound: Set[str] | None) -> bool:
    """Whether a node has a value where only these variables have one; with None all but wildcards have."""
    names = _variables(node)
    if bound is None:
        return not any(each.is_wildcard or "#" in each.name for each in names)
    return all(each.name in bound for each in names)


def _variables(node: ast.Node, *, inside: bool = False) -> Iterator[ast.Var]:
    """The local variables of a node; those of searches within it only with `inside`."""
    if isinstance(node, ast.Var):
        if node.name not in _ROOTS:
            yield node
        return
    if isinstance(node, _CLOSURES) and not inside:
        if isinstance(node, ast.Every):
            yield from _variables(node.domain)
        return
    if isinstance(node, ast.Call):
        for arg in node.args:
            yield from _variables(arg, inside=inside)
        return
    for child in node.children():
        yield from _variables(child, inside=inside)
