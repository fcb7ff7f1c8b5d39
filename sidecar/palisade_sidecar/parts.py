"""Places for the parts of a large decision: a listener that listens nowhere.

Where the engine sends a decision in parts, `palisade.native` is a composite filter that picks the filter
`palisade.native.N` of a request. Envoy 1.40 takes such filters by ECDS, but starts the subscriptions only
while a listener starts, which `palisade` has long done by then. So this one, bound to no port, holds a filter
of each name: its subscriptions start with Envoy, which shares them with all filters of the same name and
source. It costs nothing where nothing is in parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

PARTS = 64
"""As many as the engine deals rules out to."""

TYPE = "type.googleapis.com/"
RBAC = f"{TYPE}envoy.extensions.filters.http.rbac.v3.RBAC"


def parts_listener(source: Json) -> Json:
    """The listener `palisade.parts`. `source` is where filters come from, as in the engine's composite."""
    manager = {
        "@type": f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "palisade_parts",
        "route_config": {},
        "http_filters": [
            *(_place(number, source) for number in range(PARTS)),
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPE}envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    chain = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": "palisade.parts",
        "bind_to_port": False,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
        "filter_chains": [{"filters": [chain]}],
    }


def discovery(source: Json, types: Sequence[str], default: Json) -> Json:
    """How a filter of one of the types comes by ECDS. Before the first, `default` stands there."""
    return {
        "config_source": source,
        "type_urls": [*types],
        "apply_default_config_without_warming": True,
        "default_config": default,
    }


def _place(number: int, source: Json) -> Json:
    default = {"@type": RBAC, "matcher": {"on_no_match": {"action": _residual()}}}
    return {"name": f"palisade.native.{number}", "config_discovery": discovery(source, [RBAC], default)}


def _residual() -> Json:
    """The action that leaves a request to the engine."""
    action = {"@type": f"{TYPE}envoy.config.rbac.v3.Action", "name": "residual", "action": "ALLOW"}
    return {"name": "palisade.action", "typed_config": action}
