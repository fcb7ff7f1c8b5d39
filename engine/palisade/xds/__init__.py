"""An xDS control plane for any Envoy: snapshots by node, served over the aggregated discovery service.

    cache = SnapshotCache()
    server = grpc.aio.server(options=server_options())
    XdsServer(cache, authorizer=SpiffeAuthorizer("palisade.local")).register(server)
    await cache.set_snapshot("hello", Snapshot.of("revision-1", [listener, cluster]))

It knows nothing of where the resources come from, and imports nothing else of palisade.
"""

from palisade.xds.authorize import Authorizer, SpiffeAuthorizer, allow_all
from palisade.xds.cache import SnapshotCache
from palisade.xds.errors import StreamError
from palisade.xds.limits import Limits
from palisade.xds.references import Reference, references
from palisade.xds.resources import resource_name, short_name, type_url
from palisade.xds.server import XdsServer, server_options
from palisade.xds.snapshot import Resource, Snapshot, SnapshotError
from palisade.xds.status import EventKind, NodeEvent, NodeStatus, Rejection

__all__ = [
    "Authorizer",
    "EventKind",
    "Limits",
    "NodeEvent",
    "NodeStatus",
    "Reference",
    "Rejection",
    "Resource",
    "Snapshot",
    "SnapshotCache",
    "SnapshotError",
    "SpiffeAuthorizer",
    "StreamError",
    "XdsServer",
    "allow_all",
    "references",
    "resource_name",
    "server_options",
    "short_name",
    "type_url",
]
