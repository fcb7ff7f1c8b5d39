"""Running a compiled plan, and the one place where what would crash an evaluation becomes an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from palisade.rego import codegen, ir, ir_json
from palisade.rego.builtins.registry import Network
from palisade.rego.errors import EVAL_INTERNAL_ERROR, EvalError
from palisade.rego.limits import Limits
from palisade.rego.runtime import Frame, Run, Setup
from palisade.rego.values import UNDEFINED, Value, from_python, to_json

_TOO_DEEP = (
    "the evaluation nests too deep: a value or a chain of rules has more levels than this engine follows"
)
_TOO_BIG = "the evaluation ran out of memory: bound what the policy builds"


def guarded(function: Callable[..., Any], *args: Any) -> Any:
    """Calls what evaluates; what would crash it ends as an EvalError instead."""
    try:
        return function(*args)
    except RecursionError:
        raise EvalError(EVAL_INTERNAL_ERROR, _TOO_DEEP) from None
    except MemoryError:
        raise EvalError(EVAL_INTERNAL_ERROR, _TOO_BIG) from None


class PlanPolicy:
    """A policy that was planned elsewhere: OPA's `plan.json` with the data of its bundle."""

    def __init__(self, policy: ir.Policy, data: Value, network: Network) -> None:
        try:
            self._program: codegen.Program = guarded(codegen.compile_plan, policy)
        except (LookupError, SyntaxError, ValueError) as error:
            raise ir_json.PlanFormatError(f"the plan refers to what it does not have: {error}") from error
        self._data = data
        self._network = network

    @property
    def entrypoints(self) -> tuple[str, ...]:
        """The names of the plans, such as `authz/allow`."""
        return tuple(self._program.plans)

    def run(
        self,
        entrypoint: str,
        input: Value = UNDEFINED,
        *,
        strict_builtin_errors: bool = False,
        limits: Limits | None = None,
    ) -> list[Any]:
        """The result set of an entry point: one object for each result, none where it is undefined.

        Results are plain JSON values as `json.dumps` takes them (see `to_json`). Raises KeyError for an
        entry point that the plan does not have, and EvalError.
        """
        plan = self._program.plans.get(entrypoint)
        if plan is None:
            known = ", ".join(self.entrypoints)
            raise KeyError(f"the plan has no entry point {entrypoint!r}; it has: {known}")
        setup = Setup(
            self._program.files,
            strict=strict_builtin_errors,
            limits=limits or Limits(),
            network=self._network,
        )
        return guarded(_results, plan, input, self._data, setup)  # type: ignore[no-any-return]


def _results(plan: Callable[..., list[Value]], input: Value, data: Value, setup: Setup) -> list[Any]:
    return [to_json(result) for result in plan(input, data, [], Frame(Run(setup), {}))]


def load_plan(
    document: Mapping[str, Any] | str | bytes,
    data: Any = None,
    *,
    network: Network = Network(),  # noqa: B008 - immutable
) -> PlanPolicy:
    """The policy in a `plan.json`, given parsed or as text; `data` is the bundle's.

    `network` names the hosts that builtins may reach, none by default. Raises `ir_json.PlanFormatError` for
    what is no plan, and EvalError for one whose blocks nest too deep.
    """
    policy = ir_json.loads(document) if isinstance(document, str | bytes) else ir_json.load(document)
    return PlanPolicy(policy, guarded(from_python, {} if data is None else data), network)
