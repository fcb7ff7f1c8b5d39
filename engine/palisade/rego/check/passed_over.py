"""Defaults that OPA passes over, and so does this engine: below a rule with a variable in its path.

`default limits.max := 5` counts for nothing beside `limits[tier] := 7 if ..`, which is hardly meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from palisade.rego import ast
from palisade.rego.check.model import CheckedSet
from palisade.rego.check.problems import Problems
from palisade.rego.check.rules import full_text
from palisade.rego.errors import Diagnostic

PASSED_OVER: Final = "default_passed_over"


def find(checked: CheckedSet, modules: Iterable[ast.Module]) -> list[Diagnostic]:
    """The defaults of these modules of the set that are passed over."""
    problems = {each.loc.file: Problems(each.source, each.lines) for each in modules}
    for node in checked.tree.root.below():
        above = next((rule for rule in node.rules if rule.rule.head.path and not rule.rule.default), None)
        if above is None or not node.children:
            continue
        for below in node.below():
            for rule in below.rules if below is not node else ():
                if rule.rule.default and rule.file in problems:
                    message = f"default {full_text(rule)} is passed over: {full_text(above)} has a variable"
                    problems[rule.file].add(
                        f"{message} in its path", rule.rule.loc, PASSED_OVER, "give one of them another path"
                    )
    return [each for found in problems.values() for each in found.found]
