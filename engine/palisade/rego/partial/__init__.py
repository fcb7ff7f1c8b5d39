"""Partial evaluation: a plan with `data` known and `input` unknown becomes conditions on the request.

    outcome = evaluate(policy, ("palisade", "identity", "allow"), data)

gives the cases of a rule in order, each under a `Formula` over atoms such as "the method is GET".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from palisade.rego import ir
from palisade.rego.partial.execution.execute import Executor
from palisade.rego.partial.execution.indexes import Indexes
from palisade.rego.partial.execution.outcome import Case, Outcome, with_room
from palisade.rego.values import Key, Value

__all__ = ["Case", "Indexes", "Outcome", "evaluate"]


def evaluate(
    policy: ir.Policy,
    path: Sequence[str],
    data: Value,
    given: Mapping[tuple[str, ...], Value] | None = None,
    previous: Outcome | None = None,
    *,
    told_by: str = "",
    answers: Mapping[object, Value] | None = None,
    indexes: Indexes | None = None,
    folded: Iterable[tuple[str, ...]] = (),
) -> Outcome:
    """The outcome of the rule at a path below data, for every input; those parts of it in `given` are known.

    Where no rule is at the path and rules for its members are, a case is called after the rule of the member
    `told_by`. `answers` are those of builtins that are the same for every input: without operands, such as
    `opa.runtime`, by their names; of `http.send` by the Key of the request, where they are known ahead. The
    requests that there may be answers to are `asks` of the outcome. `indexes` are shared by all that is
    evaluated of this policy and data, as for one function after the other. `folded` are the paths of objects
    in the input whose keys are texts in lower case, the same for outcome and `previous`.

    `policy` is a plan that holds the rule. Blocks of it that are, as objects, in the plan of the `previous`
    outcome too are not evaluated again. Raises KeyError where the plan does not hold the rule.
    """
    forms = {name: Key(value) for name, value in (answers or {}).items()}
    executor = Executor(policy, data, given, previous.run if previous is not None else None, forms, indexes)
    executor.folded = frozenset(folded)
    return with_room(executor.rule(path, told_by), executor.opaque)
