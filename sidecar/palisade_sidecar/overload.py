"""What Envoy gives up when it must: under pressure, and where connections are to end.

A sidecar that asks callers for certificates of a user's authorities can end what it has open. Envoy verifies
a certificate when a connection is made and never again, and takes new authorities without a look at what is
open. So they are made its pressure, by a file that it watches: idle connections then end soon, and others
behind the answer that is under way. docs/decisions/peer-identity.md says what was tried.
https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/operations/overload_manager/overload_manager
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

from palisade_sidecar.settings import Settings

Json = dict[str, Any]

_MONITORS = "envoy.resource_monitors."
_ACTIONS = "envoy.overload_actions."
_HEAP, _CONNECTIONS = f"{_MONITORS}fixed_heap", f"{_MONITORS}global_downstream_max_connections"
_ENDING = f"{_MONITORS}injected_resource"

_OWN_FILES = 512
"""Open files that are not of callers' requests: 128 connections for residual decisions, and Envoy's own."""

_IDLE = "2s"
"""How long a connection without a request is kept where connections end. Envoy counts from before the
handshake: with a millisecond callers whom another authority vouches for could not connect meanwhile."""

_FOLDER, _FILE = "ending", "pressure"


def overload_manager(settings: Settings) -> Json:
    """The section of the bootstrap."""
    limits = settings.limits
    found: Json = {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            _monitor(_HEAP, "fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=limits.max_heap),
            _monitor(
                _CONNECTIONS,
                "downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=most_connections(settings),
            ),
        ],
        "actions": [
            _action("shrink_heap", _HEAP, 0.9),
            _action("stop_accepting_requests", _HEAP, 0.98),
        ],
    }
    if ends_connections(settings):
        file = str(settings.run_dir / _FOLDER / _FILE)
        found["resource_monitors"].append(
            _monitor(_ENDING, "injected_resource.v3.InjectedResourceConfig", filename=file)
        )
        timers = "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig"
        idle = {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": _IDLE}
        found["actions"] += [
            _action("disable_http_keepalive", _ENDING, 0.5),
            _action("reduce_timeouts", _ENDING, 0.5)
            | {"typed_config": {"@type": timers, "timer_scale_factors": [idle]}},
        ]
    return found


def most_connections(settings: Settings) -> int:
    """How many connections there may be with callers, and as many with the function: fewer than in the
    limits where the system gives less open files. An Envoy without one to spare can neither ask the function
    nor the engine, and tries without end to accept what it cannot."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.limits.max_connections
    return min(settings.limits.max_connections, (files - min(_OWN_FILES, files // 2)) // 2)


def ends_connections(settings: Settings) -> bool:
    """Whether the sidecar can end what it has open: where authorities of a user's vouch for callers."""
    return settings.tls is not None and settings.tls.client_ca is not None


def end_connections(run_dir: Path, *, ending: bool) -> None:
    """Has Envoy end all connections, or no longer. Raises OSError."""
    folder = run_dir / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    new = folder / ".new"
    new.write_text("1" if ending else "0")
    os.replace(new, folder / _FILE)


def _monitor(name: str, message: str, **settings: object) -> Json:
    kind = f"type.googleapis.com/envoy.extensions.resource_monitors.{message}"
    return {"name": name, "typed_config": {"@type": kind, **settings}}


def _action(name: str, monitor: str, value: float) -> Json:
    return {"name": _ACTIONS + name, "triggers": [{"name": monitor, "threshold": {"value": value}}]}
