"""A revision compiled to be looked at: what a sidecar gets, how large it is, and what of it Envoy decides."""

from __future__ import annotations

from dataclasses import dataclass

from palisade.enforce.envoy import compile_sidecar
from palisade.explain.coverage import CoverageReport, report
from palisade.explain.sizes import Sizes, sizes
from palisade.policy.inventory import Function
from palisade.policy.providers import InlineKeys
from palisade.policy.revisions import Revision
from palisade.xds import Snapshot

_NO_KEYS = '{"keys": []}'


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one function's sidecar gets, and the account of it."""

    function: str
    snapshot: Snapshot
    sizes: Sizes
    coverage: CoverageReport


def compiled(revision: Revision, function: Function) -> Compiled:
    """Compiles without an engine: keys that would be fetched from an issuer stand as an empty set.

    Raises CompileError where the decision is none.
    """
    enforcement = compile_sidecar(revision, function, keys_of(revision))
    found = report(revision.policy, revision.inventory.decision, enforcement)
    return Compiled(function.name, enforcement.snapshot, sizes(enforcement.snapshot), found)


def keys_of(revision: Revision) -> dict[str, str]:
    """The keys that the policy holds itself; an empty set for each provider whose keys are fetched."""
    return {
        each.name: each.keys.jwks if isinstance(each.keys, InlineKeys) else _NO_KEYS
        for each in revision.providers
    }


def missing_keys(revision: Revision) -> list[str]:
    """A sentence for each provider whose keys are an empty set here."""
    return [
        f"the engine fetches the keys of provider {each.name} by {each.keys.url}; here the set is empty"
        for each in revision.providers
        if not isinstance(each.keys, InlineKeys)
    ]
