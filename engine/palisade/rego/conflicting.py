"""Which documents of a policy have two values at a key, by the data as it is: see `plan.by_key`."""

from __future__ import annotations

from contextlib import suppress

from palisade.rego import codegen
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import EVAL_CONFLICT_ERROR, EvalError
from palisade.rego.evaluation import guarded
from palisade.rego.plan import PlanError, Planner, rule_entrypoint
from palisade.rego.runtime import Frame, Run, Setup
from palisade.rego.values import UNDEFINED, Value

_NAME = "document"


def find(planner: Planner, data: Value) -> None:
    """Tells the planner of these documents."""
    for path in planner.in_question(_is_pure):
        with suppress(PlanError, RecursionError):
            program = codegen.compile_plan(planner.plan([rule_entrypoint(path, _NAME)]))
            try:
                guarded(program.plans[_NAME], UNDEFINED, data, [], Frame(Run(Setup()), {}))
            except EvalError as error:
                if error.code == EVAL_CONFLICT_ERROR:
                    planner.by_key |= {path}
            finally:
                program.release()


def _is_pure(name: str) -> bool:
    return name in BUILTINS and BUILTINS[name].pure
