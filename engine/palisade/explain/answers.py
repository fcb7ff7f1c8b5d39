"""Answers of `http.send` for an explanation, asked as an engine asks ahead (`palisade.control.answers`)."""

from __future__ import annotations

from palisade.enforce.envoy import compile_sidecar
from palisade.explain.compiled import keys_of
from palisade.policy.inventory import Function
from palisade.policy.revisions import Revision
from palisade.rego.builtins import http_ahead
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Key, Value

_IN_TURN = 4
"""So often an answer may name what is to be asked next."""


def standing(revision: Revision, function: Function) -> dict[Key, Value]:
    """What other hosts answer now that the revision rests on, by the requests; what fails is left out.

    Only what may be asked ahead is asked: by GET, of hosts that `network.hosts` lists. Raises CompileError
    where the decision is none.
    """
    inventory = revision.inventory
    found: dict[Key, Value] = {}
    failed: set[Key] = set()
    for _ in range(_IN_TURN if inventory.network.hosts and not inventory.backend else 0):
        enforcement = compile_sidecar(revision, function, keys_of(revision), sent=found)
        new = enforcement.asks - found.keys() - failed
        if not new:
            break
        for request in new:
            try:
                found[request] = http_ahead.ask(inventory.network, request.value)
            except BuiltinError:
                failed.add(request)
    return found
