"""Places for the parts of a large decision, in the bootstrap.

Where the engine sends a decision in parts, `palisade.native` only names the part of a request, and the filter
behind it takes `palisade.native.N`. That one is of the bootstrap, with all its places, and never replaced.
Envoy 1.40 starts the subscription of a filter inside a composite filter only while the listener starts. And
what is replaced while a request has it is destroyed on the request's thread, where Envoy's main thread may be
going through the places: Envoy ends by SIGABRT, "Pure virtual function called".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

PARTS = 64
"""As many as the engine deals rules out to."""

TYPE = "type.googleapis.com/"
RBAC = f"{TYPE}envoy.extensions.filters.http.rbac.v3.RBAC"


def discovery(source: Json, types: Sequence[str], default: Json) -> Json:
    """How a filter of one of the types comes by ECDS. Before the first, `default` stands there."""
    return {
        "config_source": source,
        "type_urls": [*types],
        "apply_default_config_without_warming": True,
        "default_config": default,
    }
