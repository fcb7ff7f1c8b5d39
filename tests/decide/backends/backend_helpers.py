"""Revisions to publish, and how to ask for their decisions."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from palisade.decide.backends.interface import Backend, BackendError, Logged
from palisade.policy import revisions
from palisade.policy.inventory import DEFAULT_DECISION, Address, Failure, Function, Inventory
from palisade.policy.revisions import Revision
from palisade.policy.sets import PolicySet


@dataclass(frozen=True)
class Set:
    """A policy set of one module: `text`, or rules of `allow`."""

    rules: str = ""
    data: Any = None
    text: str = ""
    version: int = 1
    default: str = "default allow := false\n"

    def revision(self, *, no_engine: int = 403, decision: str = DEFAULT_DECISION) -> Revision:
        text = self.text or f"package palisade.identity\n{self.rules}\n{self.default}"
        modules = MappingProxyType({"allow.rego": text})
        digest = repr((text, self.data))
        policy_set = PolicySet(
            Path("policies"), modules, MappingProxyType({}), self.data or {}, digest, self.version
        )
        function = Function("hello", Address("h", 1), Address("127.0.0.1", 0), Failure(no_engine=no_engine))
        inventory = Inventory(
            Path("palisade.yaml"), Path("policies"), {"hello": function}, decision, self.version
        )
        return revisions.build(inventory, policy_set)


async def decide(backend: Backend, revision: Revision, given: Any) -> Any:
    value = backend.evaluate(revision, "hello", given)
    found = await value if inspect.isawaitable(value) else value
    return found.value if isinstance(found, Logged) else found


async def fails_with(backend: Backend, revision: Revision, code: str, *, status: int = 403) -> str:
    """Asks, and gives the message of the failure."""
    with pytest.raises(BackendError) as raised:
        await decide(backend, revision, {"n": 1})
    assert (raised.value.code, raised.value.status) == (code, status)
    return raised.value.message
