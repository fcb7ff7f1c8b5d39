"""The scopes of a rule, and the names of the variables in them."""

from __future__ import annotations

from palisade.rego import ast
from palisade.rego.check.variables import level_variables

SEEN, ASSIGNED, DECLARED, ARGUMENT = range(4)

TAKEN = {
    SEEN: "var {} referenced above",
    ASSIGNED: "var {} assigned above",
    DECLARED: "var {} declared above",
    ARGUMENT: "arg {} redeclared",
}
"""What to say where a name is declared that stands for something in its scope already."""

TO_DO = {
    SEEN: "`:=` gives {0} its value, so put it before; `{0} == ..` compares",
    ASSIGNED: "`{0} == ..` compares; another value needs another name",
    DECLARED: "leave `some {0}` out, as `:=` declares it; `{0} == ..` compares",
    ARGUMENT: "{0} is an argument, and has its value: `{0} == ..` compares; what is new needs another name",
}
"""What to do about each."""

NOTHING: frozenset[str] = frozenset()


class Level:
    """One scope: the variables known so far, and what the text of the scope mentions and declares at all.

    `called` are the builtins without a dot in their names that it calls, each with a call.
    """

    __slots__ = ("_mentioned", "_nodes", "called", "declared", "kinds", "names", "unused")

    def __init__(self, nodes: tuple[ast.Node, ...], declares: frozenset[str]) -> None:
        self.names: dict[str, str] = {}
        self.kinds: dict[str, int] = {}
        self.declared = declares
        self.unused: dict[str, ast.Node] = {}
        self.called: dict[str, ast.Call] = {}
        self._nodes = nodes
        self._mentioned: frozenset[str] | None = None

    def mentions(self, name: str) -> bool:
        """Whether the scope itself, not one within it, uses the name without declaring it."""
        if self._mentioned is None:
            self._mentioned = frozenset(level_variables(self._nodes)) - self.declared
        return name in self._mentioned


class Locals:
    """Hands out the names of a rule's variables: the written one where it is free, else `x#1`, `x#2`..."""

    __slots__ = ("_taken", "depths", "written")

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self.written: dict[str, str] = {}
        self.depths: dict[str, int] = {}
        """How many scopes enclose the one that a variable belongs to; 0 is not kept."""

    def add(self, name: str, depth: int) -> str:
        unique = name
        if name in self._taken:
            count = 1
            while (unique := f"{name}#{count}") in self._taken:
                count += 1
            self.written[unique] = name
        self._taken.add(unique)
        if depth:
            self.depths[unique] = depth
        return unique

    def authors(self) -> dict[str, str]:
        """The variables that were written, each with the name it was written with."""
        return {
            each: self.written.get(each, each)
            for each in self._taken
            if each in self.written or "#" not in each
        }

    def fresh(self, depth: int) -> str:
        """A variable for a part of a statement, such as `term#1`."""
        self._taken.add("term")
        unique = self.add("term", depth)
        del self.written[unique]
        return unique
