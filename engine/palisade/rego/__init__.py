"""Rego in Python: compile policies, ask them.

    from palisade import rego

    policy = rego.compile({"authz.rego": source}, data={"roles": {"alice": ["admin"]}})
    policy.query("data.authz.allow = x", input={"user": "alice"})   # [{"x": True}]
    policy.evaluate("data.authz.allow", {"user": "alice"})          # True, or rego.UNDEFINED

The way of a policy: `lexer` and `parser` (text to tree), `check` (names, safety, recursion, types), `plan`
(tree to OPA's intermediate representation), `codegen` (plan to Python). `values` says how Rego's values stand
in Python. An OPA bundle's plan runs too: `rego.load_plan`.
"""

from palisade.rego.builtins.registry import Network
from palisade.rego.errors import CompileError, Diagnostic, EvalError, Location
from palisade.rego.evaluation import PlanPolicy, load_plan
from palisade.rego.limits import Limits
from palisade.rego.policy import Policy, compile, path_of
from palisade.rego.values import UNDEFINED, Set, Value, from_python, to_json

__all__ = [
    "UNDEFINED",
    "CompileError",
    "Diagnostic",
    "EvalError",
    "Limits",
    "Location",
    "Network",
    "PlanPolicy",
    "Policy",
    "Set",
    "Value",
    "compile",
    "from_python",
    "load_plan",
    "path_of",
    "to_json",
]
