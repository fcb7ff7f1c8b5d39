"""What the checker hands on: rules in checked form, by path, and which rule needs which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

from palisade.rego import ast
from palisade.rego.check.signatures import Signature
from palisade.rego.records import record

if TYPE_CHECKING:
    from palisade.rego.check.recheck import Work
    from palisade.rego.check.rule_types import RuleTypes
    from palisade.rego.check.tree import RuleTree

Path: TypeAlias = tuple[str, ...]


def rule_path(package: Path, head: ast.Head) -> Path:
    """The full path below `data` of the strings that a rule's head starts with."""
    path = [*package, head.name.name]
    for part in head.path:
        if not isinstance(part, ast.Scalar) or not isinstance(part.value, str):
            break
        path.append(part.value)
    return tuple(path)


@record()
class CheckedRule:
    """One rule in checked form (see `ast`) and where it belongs.

    `path` is the full path below `data` of the head's leading strings: what of the head is known before
    an evaluation. `names` maps each local that the checker had to rename to the name as written; names
    that begin with `term#` stand for a part of a statement and have none. `annotations` are those that
    apply, the closest first: the rule's, the document's, the package's, the enclosing packages'.
    """

    rule: ast.Rule
    path: Path
    package: Path
    file: str
    names: Mapping[str, str] = field(default_factory=dict)
    annotations: tuple[ast.Annotation, ...] = ()

    @property
    def arity(self) -> int:
        """How many arguments the rule takes; 0 for a rule that is no function."""
        return len(self.rule.head.args or ())


@record()
class CheckedSet:
    """A set of modules that passed every check.

    `rules` holds the rules of each path in source order; `graph` the paths that the rules of a path refer to,
    directly, and only those with rules. `builtins` are the declarations the set was checked against; `tree`
    finds the rules that a reference means, `types` knows what they yield, `work` is for the next check.
    """

    rules: Mapping[Path, tuple[CheckedRule, ...]]
    modules: tuple[ast.Module, ...]
    graph: Mapping[Path, frozenset[Path]]
    builtins: Mapping[str, Signature]
    tree: RuleTree = field(repr=False, compare=False)
    types: RuleTypes = field(repr=False, compare=False)
    work: Work = field(repr=False, compare=False)
