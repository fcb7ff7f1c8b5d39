"""From parsed modules to a checked set, as `opa check` does it.

    checked = check([parse_module(text, "a.rego")])

Every error of every module is reported at once, with OPA's codes and wording; what each step looks for, and
what a checked tree guarantees, stands in `ast` and in the modules of this package:

`resolve` and `scope` give names their meaning, `calls` knows functions, `safety` orders statements, `rules`
and `recursion` look at the set as a whole, `infer` at types.
"""

from palisade.rego.check.compiler import check, check_query
from palisade.rego.check.model import CheckedRule, CheckedSet
from palisade.rego.check.schemas import SchemaError
from palisade.rego.check.signatures import Signature, builtin_signatures

__all__ = [
    "CheckedRule",
    "CheckedSet",
    "SchemaError",
    "Signature",
    "builtin_signatures",
    "check",
    "check_query",
]
