"""A revision compiled to be looked at: what a sidecar gets, how large it is, and what of it Envoy decides."""

from __future__ import annotations

from collections.abc import Iterable
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
    asks: tuple[str, ...] = ()
    """The URLs that an engine asks ahead for its policies' `http.send`."""


def compiled(revision: Revision, function: Function) -> Compiled:
    """Compiles without an engine: keys that would be fetched from an issuer stand as an empty set.

    Raises CompileError where the decision is none.
    """
    enforcement = compile_sidecar(revision, function, keys_of(revision))
    found = report(revision.policy, revision.inventory.decision, enforcement)
    asks = tuple(sorted({str(request.value["url"]) for request in enforcement.asks}))
    return Compiled(function.name, enforcement.snapshot, sizes(enforcement.snapshot), found, asks)


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


def missing_answers(compiled: Iterable[Compiled]) -> list[str]:
    """A sentence for each URL whose answer is not known here, and would be to an engine."""
    return [
        f"the engine asks {url} ahead, where network.hosts lists its host, and sidecars know the answer; here"
        " nothing is known of it: rules that need it are shown as if nobody had asked"
        for url in sorted({url for each in compiled for url in each.asks})
    ]
