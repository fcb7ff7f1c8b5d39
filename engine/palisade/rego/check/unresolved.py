"""References that lead nowhere: no rule and no document is there, so they are undefined for every input.

OPA takes them, as data may come while it runs. Where all data is known, each is a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeAlias

from palisade.rego import ast
from palisade.rego.check.model import CheckedSet, Path
from palisade.rego.check.problems import Problems
from palisade.rego.check.recheck import ModuleResult, RuleResult
from palisade.rego.check.resolve import DATA, ref_text
from palisade.rego.check.tree import Key, Node, key_of
from palisade.rego.errors import Diagnostic, Location
from palisade.rego.same import same_at_ends
from palisade.rego.values import UNDEFINED, Value

Terms: TypeAlias = tuple[ast.Term, ...]
"""A path below `data`."""

UNRESOLVED: Final = "unresolved_reference"

_DEPTH = 4
"""So deep are documents searched for a name that was looked for in another place."""
_MOST_KEYS = 1000
"""Objects with more keys are tables: their keys are no names that anyone writes."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """The part of a reference up to the key that is not there, and what is near to it in spelling."""

    path: Terms
    near: str


def find(
    checked: CheckedSet,
    data: Value,
    *,
    modules: Iterable[ast.Module],
    below: Path = (),
    supplied: Collection[Terms] = (),
    previous: CheckedSet | None = None,
) -> list[Diagnostic]:
    """The imports and references of these modules of the set that neither its rules nor `data` define.

    Of each module a path is told once, at its first place. Only paths that begin with `below` are looked at.
    `supplied` are paths that a `with` gives a value somewhere (see `replaced`): what is there is not known.
    Calls are not looked at: a function that does not exist is an error of the check. Rules that stand in
    `previous` as they are now are passed over.
    """
    before = (
        {} if previous is None else {each.module.loc.file: each for each in previous.work.results.values()}
    )
    search = _Search(checked, data, supplied)
    found: list[Diagnostic] = []
    for module in modules:
        problems = Problems(module.source, module.lines)
        told: set[Terms] = set()
        own = checked.work.results[id(module)]
        for path, loc in _places(module, _new(own, before.get(module.loc.file))):
            missing = search.missing(path) if _begins(path, below) else None
            if missing is not None and missing.path not in told:
                told.add(missing.path)
                name = ref_text(ast.Ref(DATA, missing.path))
                message = f"{name} is undefined: no rule and no document defines it"
                problems.add(message, loc, UNRESOLVED, missing.near)
        found += problems.found
    return found


def replaced(checked: CheckedSet, modules: Iterable[ast.Module]) -> list[Terms]:
    """The paths below `data` that `with` replaces in these modules of the set."""
    found: list[Terms] = []
    for module in modules:
        for rule in checked.work.results[id(module)].rules:
            if rule.replaces_data:
                for each in ast.walk(rule.checked.rule):
                    if isinstance(each, ast.With) and _head(each.target) == DATA:
                        found.append(each.target.path if isinstance(each.target, ast.Ref) else ())
    return found


def _head(term: ast.Term) -> ast.Term:
    return term.head if isinstance(term, ast.Ref) else term


def _new(result: ModuleResult, before: ModuleResult | None) -> Iterator[RuleResult]:
    """The rules of a module that refer to something, but for those that its file had before."""
    if result is before:
        return
    rules, known = result.rules, before.rules if before is not None else ()
    first, last = same_at_ends(rules, known)
    between = rules[first : len(rules) - last]
    moved = frozenset(map(id, known)) if len(between) > 1 else frozenset[int]()
    for rule in between:
        if rule.references and id(rule) not in moved:
            yield rule


def _places(module: ast.Module, rules: Iterable[RuleResult]) -> Iterator[tuple[Terms, Location]]:
    """The paths below `data` that these rules of the module refer to; those of its imports come first."""
    for each in module.imports:
        if isinstance(each.path, ast.Ref) and _head(each.path) == DATA:
            yield each.path.path, each.path.loc
    for rule in rules:
        for term in rule.references:
            if isinstance(term, ast.Ref):
                yield term.path, term.loc


class _Search:
    """Follows paths through rules and documents."""

    def __init__(self, checked: CheckedSet, data: Value, supplied: Collection[Terms]) -> None:
        self._tree = checked.tree
        self._modules = checked.modules
        self._data = data
        self._supplied = supplied
        self._found: dict[tuple[Key | None, ...], _Missing | None] = {}

    def missing(self, path: Terms) -> _Missing | None:
        """What of the path is not there; None where it is, or may be."""
        if any(_meet(path, each) for each in self._supplied):
            return None
        keys = tuple(map(key_of, path))
        if keys not in self._found:
            self._found[keys] = self._follow(path, keys)
        return self._found[keys]

    def _follow(self, path: Terms, keys: tuple[Key | None, ...]) -> _Missing | None:
        node: Node | None = self._tree.root
        value = self._data
        for index, key in enumerate(keys):
            if key is None or (node is not None and node.rules) or isinstance(value, list):
                return None
            child = node.children.get(key) if node is not None else None
            inner = value.get(key, UNDEFINED) if isinstance(value, dict) else UNDEFINED
            if child is None and inner is UNDEFINED and not self._is_package(keys[: index + 1]):
                return _Missing(path[: index + 1], self._near(path[:index], key, node, value))
            node, value = child, inner
        return None

    def _is_package(self, keys: tuple[Key | None, ...]) -> bool:
        """Whether a package begins so: one without rules is an empty object."""
        return any(module.package[: len(keys)] == keys for module in self._modules)

    def _near(self, above: Terms, key: Key, node: Node | None, value: Value) -> str:
        """What is there in its place, or where else something has this name."""
        if not isinstance(key, str):
            return ""
        names = sorted({*_names(node), *_keys(value)})
        if near := get_close_matches(key, names, 1, 0.6):
            return f"did you mean {_text((*above, ast.Scalar(near[0])))}?"
        others = [(len(other), other) for other in self._elsewhere(key) if _is_near(above, other)]
        if others:
            return f"did you mean {_text(map(ast.Scalar, min(others)[1]))}?"
        if above and 0 < len(names) <= 10:
            return f"{_text(above)} has {', '.join(names)}"
        return ""

    def _elsewhere(self, key: str) -> Iterator[Path]:
        """The paths of rules and documents of this name."""
        for node in self._tree.root.below():
            if node.path and node.path[-1] == key and all(isinstance(each, str) for each in node.path):
                yield tuple(map(str, node.path))
        level: list[tuple[Path, Value]] = [((), self._data)]
        for _ in range(_DEPTH):
            level = [((*path, name), value[name]) for path, value in level for name in _keys(value)]
            yield from (path for path, _ in level if path[-1] == key)


def _is_near(above: Terms, other: Path) -> bool:
    """Whether another path with the same end may have been meant: one at most two names longer, with the name
    before the last in it where there is one."""
    last = above[-1] if above else None
    named = last is None or (isinstance(last, ast.Scalar) and last.value in other)
    return named and len(other) <= len(above) + 3


def _begins(path: Terms, below: Path) -> bool:
    parts = zip(path, below, strict=False)
    return len(path) >= len(below) and all(
        isinstance(part, ast.Scalar) and part.value == key for part, key in parts
    )


def _text(path: Iterable[ast.Term]) -> str:
    return ref_text(ast.Ref(DATA, tuple(path)))


def _names(node: Node | None) -> Iterator[str]:
    if node is not None:
        yield from (key for key in node.children if isinstance(key, str))


def _keys(value: Value) -> list[str]:
    return list(value) if isinstance(value, dict) and len(value) <= _MOST_KEYS else []


def _meet(path: Terms, other: Terms) -> bool:
    """Whether one of the paths begins with the other, as far as that is known."""
    keys = zip(map(key_of, path), map(key_of, other), strict=False)
    return all(a is None or b is None or a == b for a, b in keys)
