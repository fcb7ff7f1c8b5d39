"""Which rules need which; rules that need themselves are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from palisade.rego import ast
from palisade.rego.check.model import CheckedRule, Path
from palisade.rego.check.rules import full_text
from palisade.rego.check.tree import RuleTree
from palisade.rego.errors import RECURSION_ERROR, Location

Report = Callable[[str, Location, str, str], None]
Reference = ast.Var | ast.Ref


def dependencies(
    tree: RuleTree, rules: Sequence[CheckedRule], references: Sequence[Sequence[Reference]]
) -> tuple[dict[Path, frozenset[Path]], list[frozenset[Path]]]:
    """The graph of paths, and what each single rule refers to."""
    graph: dict[Path, frozenset[Path]] = {}
    single: list[frozenset[Path]] = []
    nothing: frozenset[Path] = frozenset()
    for rule, found in zip(rules, references, strict=True):
        needs = nothing
        for reference in found:
            meant = tree.meant(reference)
            if meant:
                needs = needs | meant if needs else meant
        single.append(needs)
        if needs or rule.path not in graph:
            known = graph.get(rule.path)
            graph[rule.path] = needs if not known else known | needs
    return graph, single


def in_order(graph: Mapping[Path, frozenset[Path]]) -> list[frozenset[Path]]:
    """The paths in groups that need each other, each group after those that it needs (Tarjan's algorithm)."""
    index: dict[Path, int] = {}
    low: dict[Path, int] = {}
    open_paths: list[Path] = []
    is_open: set[Path] = set()
    groups: list[frozenset[Path]] = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        open_paths.append(root)
        is_open.add(root)
        while work:
            path, needed = work[-1]
            for other in needed:
                if other not in graph:
                    continue
                if other not in index:
                    index[other] = low[other] = len(index)
                    open_paths.append(other)
                    is_open.add(other)
                    work.append((other, iter(graph[other])))
                    break
                if other in is_open:
                    low[path] = min(low[path], index[other])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[path])
                if low[path] == index[path]:
                    group = set()
                    while path not in group:
                        group.add(open_paths.pop())
                    is_open -= group
                    groups.append(frozenset(group))
    return groups


def check_recursion(
    groups: Sequence[frozenset[Path]],
    rules: Sequence[CheckedRule],
    references: Sequence[Sequence[Reference]],
    single: Sequence[frozenset[Path]],
    graph: Mapping[Path, frozenset[Path]],
    report: Report,
) -> bool:
    """Whether no rule needs itself. Reports each that does, with a shortest way back to it."""
    loops = {path: group for group in groups for path in group if len(group) > 1 or path in graph[path]}
    if not loops:
        return True
    names: dict[Path, str] = {}
    for rule in rules:
        names.setdefault(rule.path, full_text(rule))
    for rule, found, needs in zip(rules, references, single, strict=True):
        group = loops.get(rule.path)
        if group is None:
            continue
        way = _way(needs & group, rule.path, graph, group)
        if way:
            own = full_text(rule)
            steps = [own, *(names[path] for path in way[:-1]), own]
            message = f"rule {own} is recursive: {' -> '.join(steps)}"
            report(message, rule.rule.loc, RECURSION_ERROR, _of_documents(rule, found))
    return False


def _of_documents(rule: CheckedRule, references: Sequence[Reference]) -> str:
    """What to do where a rule looks through documents that its own package stands among."""
    for reference in references:
        if not isinstance(reference, ast.Ref) or reference.head != ast.Var("data"):
            continue
        known = [
            part.value for part in takewhile(_is_constant, reference.path) if isinstance(part, ast.Scalar)
        ]
        if tuple(known) == rule.package[: len(known)]:
            whole, package = (".".join(map(str, path)) for path in (("data", *known), rule.package))
            return (
                f"{whole} has the rules of package {package} in it, too: "
                "call the package, or the folder of the documents, otherwise"
            )
    return ""


def _is_constant(term: ast.Term) -> bool:
    return isinstance(term, ast.Scalar)


def _way(
    start: frozenset[Path], goal: Path, graph: Mapping[Path, frozenset[Path]], group: frozenset[Path]
) -> list[Path]:
    """A shortest way from one of `start` to `goal`; empty where there is none."""
    before: dict[Path, Path | None] = dict.fromkeys(sorted(start))
    queue = list(before)
    for path in queue:
        if path == goal:
            way = [path]
            while (previous := before[way[-1]]) is not None:
                way.append(previous)
            return way[::-1]
        for other in sorted(graph[path] & group):
            if other not in before:
                before[other] = path
                queue.append(other)
    return []
