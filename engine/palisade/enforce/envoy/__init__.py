"""Rego compiled into what Envoy evaluates by itself.

    enforcement = compile_sidecar(revision, function, keys)

`decision` turns the outcome of partial evaluation into rules, `conditions` what they ask into predicates,
`matchers` the rules into one of Envoy's matchers, and `compile` puts the filters of a sidecar together.
"""

from palisade.enforce.envoy.cases import RuleCoverage
from palisade.enforce.envoy.compile import Enforcement, compile_sidecar
from palisade.enforce.envoy.matchers.bounds import Reason
from palisade.enforce.envoy.matchers.entry import Verdict

__all__ = ["Enforcement", "Reason", "RuleCoverage", "Verdict", "compile_sidecar"]
