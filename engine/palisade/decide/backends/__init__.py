"""Who evaluates the decision on a residual request: one module a backend. See `interface`."""

from __future__ import annotations

from palisade.decide.backends.embedded import EmbeddedBackend
from palisade.decide.backends.interface import Backend, BackendSetupError
from palisade.policy.inventory import Inventory


def backend_of(inventory: Inventory) -> Backend:
    """The backend that the inventory names. Raises BackendSetupError, which says what to do."""
    if inventory.backend is None:
        return EmbeddedBackend()
    try:
        from palisade.decide.backends.opa import OpaBackend
    except ModuleNotFoundError as error:
        if error.name != "opa_client":
            raise
        raise BackendSetupError(
            "backend.opa needs the package opa-python-client: pip install 'palisade[opa]'"
        ) from None
    try:
        return OpaBackend(inventory.backend, inventory.engine.state)
    except (OSError, ValueError) as error:
        raise BackendSetupError(f"backend.opa: {error}") from None
