"""By which rule, or which branch of one, a document has what it has: for the log and for explanations."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from palisade.rego import ir
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.execution import origins
from palisade.rego.partial.execution.flow import all_stmts
from palisade.rego.partial.execution.unfollowed import Unfollowed
from palisade.rego.partial.formulas.terms import Input
from palisade.rego.partial.symbols.worlds import Reason, Result, Step, Worlds


class Telling(Unfollowed):
    """Tells what blocks come to by the places of the rules that gave it."""

    _rules: frozenset[str]
    """The names of the functions that are rules."""
    _branching: ir.BlockStmt | None
    _branches: Worlds | None
    """What those of the rule that is followed now came to, where it has any."""

    def _placed(self, block: ir.Block, result: Result) -> Result:
        """The result of a rule's block by the rules and branches that it comes from."""
        if self._branches is not None and self._branching is not None:
            steps = self._branches.disjoint(parted=True)
            return origins.placed(result, steps, origins.of_branches(self._branching), self.builder)
        handing = origins.handing(block, self._rules, self._functions, self._policy.strings)
        if handing is None:
            return result
        steps, _ = self._origins(self._functions[handing.rule], self._label(block))
        return origins.placed(result, steps, handing, self.builder) if steps else result

    def _told_by(self, member: ir.Func, reached: list[Reason]) -> list[Reason]:
        """What leads to an object that rules put together, by the rules of one of its members."""
        steps, place = self._origins(member, self._label(member.blocks[0]))
        return list(origins.of_member(reached, steps, place, self.builder))

    def _origins(self, rule: ir.Func, place: Location) -> tuple[list[Step], Location]:
        """What a rule that was called came to, in parts, and the place of what no rule gave: `place`, or that
        of the default."""
        known = self._kept.get((rule.name, (Input(()), self._data)))
        default = origins.default_of(rule)
        place = place if default is None else self._where(default)
        steps = known[2].disjoint(parted=True) if known is not None else []
        return [_instead(step, place) for step in steps], place

    def _label(self, block: ir.Block) -> Location:
        """The place that stands for a block: the head of the rule, where its value is assigned."""
        for stmt in chain(block.stmts, all_stmts(block)):
            if type(stmt) is ir.AssignVarOnceStmt:
                return self._where(stmt)
        return self._where(block.stmts[0]) if block.stmts else NOWHERE


def _instead(step: Step, default: Location) -> Step:
    """The step with the place of the default rule where it has none."""
    return replace(step, parts=tuple((part, default if at is NOWHERE else at) for part, at in step.parts))
