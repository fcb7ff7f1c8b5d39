"""The resource types of the xDS API, and how each names its resources.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-types
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2, scoped_route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.runtime.v3 import rtds_pb2
from google.protobuf.message import Message

TYPE_URL_PREFIX: Final = "type.googleapis.com/"


def type_url(message: Message | type[Message]) -> str:
    """The type URL of a message or of a message class."""
    return TYPE_URL_PREFIX + str(message.DESCRIPTOR.full_name)


CLUSTER: Final = type_url(cluster_pb2.Cluster)
ENDPOINTS: Final = type_url(endpoint_pb2.ClusterLoadAssignment)
LISTENER: Final = type_url(listener_pb2.Listener)
ROUTES: Final = type_url(route_pb2.RouteConfiguration)
SCOPED_ROUTES: Final = type_url(scoped_route_pb2.ScopedRouteConfiguration)
VIRTUAL_HOST: Final = type_url(route_components_pb2.VirtualHost)
SECRET: Final = type_url(secret_pb2.Secret)
EXTENSION: Final = type_url(extension_pb2.TypedExtensionConfig)
RUNTIME: Final = type_url(rtds_pb2.Runtime)

_NAME_FIELD: Final[Mapping[str, str]] = {
    CLUSTER: "name",
    ENDPOINTS: "cluster_name",
    LISTENER: "name",
    ROUTES: "name",
    SCOPED_ROUTES: "name",
    VIRTUAL_HOST: "name",
    SECRET: "name",
    EXTENSION: "name",
    RUNTIME: "name",
}

RESOURCE_TYPES: Final = frozenset(_NAME_FIELD)

FULL_STATE_TYPES: Final = frozenset({LISTENER, CLUSTER})
"""The types of which a state-of-the-world response carries every resource: what it lacks is deleted.

They are also the only ones with the legacy wildcard: a client that names nothing gets everything.
"""

PUSH_ORDER: Final = (
    (CLUSTER, ENDPOINTS, SECRET),
    (LISTENER,),
    (ROUTES, SCOPED_ROUTES, VIRTUAL_HOST, EXTENSION, RUNTIME),
)
"""Make before break: what is used arrives before what uses it.

A group is pushed when the client has acknowledged the groups before it. Endpoints and secrets share the
group of the clusters because Envoy holds back the acknowledgement of clusters until they are warm, which
takes endpoints and secrets. A type that is not listed goes with the last group.
"""


def short_name(url: str) -> str:
    """The message name in a type URL, for people: `Listener`, `ClusterLoadAssignment`."""
    return url.rpartition(".")[2] or url


def resource_name(resource: Message) -> str:
    """The name by which clients subscribe to a resource.

    Raises ValueError where the message is no xDS resource.
    """
    url = type_url(resource)
    field = _NAME_FIELD.get(url)
    if field is None:
        known = ", ".join(sorted(short_name(each) for each in RESOURCE_TYPES))
        raise ValueError(f"{url} is not an xDS resource type; the types are {known}")
    return str(getattr(resource, field))
