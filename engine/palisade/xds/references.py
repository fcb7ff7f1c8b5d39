"""What a resource refers to by name: clusters, routes, endpoints, secrets, extension configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from palisade.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, ROUTES, SECRET

_ANY: Final = any_pb2.Any.DESCRIPTOR.full_name


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A resource named by another one.

    `discovered` is true where the client subscribes to the name over this server because of the
    reference (a config source says so), and false where the name only has to exist (a route's cluster).
    """

    type_url: str
    name: str
    discovered: bool


def references(resource: Message) -> frozenset[Reference]:
    """Every reference in a resource, also inside the extensions packed in it.

    An extension whose generated code is not imported into this process cannot be looked into: Envoy
    knows it, this process does not, and it counts as having no references.
    """
    return frozenset(_walk(resource))


def _walk(message: Message) -> Iterator[Reference]:
    descriptor = message.DESCRIPTOR
    read = _READERS.get(descriptor.full_name)
    if read is not None:
        yield from read(message)
    if descriptor.full_name == _ANY:
        packed = _unpack(message)
        if packed is not None:
            yield from _walk(packed)
        return
    for field, value in message.ListFields():
        if not _holds_messages(field) or not _may_refer(field.message_type):
            continue
        for child in _children(field, value):
            yield from _walk(child)


def _children(field: Any, value: Any) -> Iterator[Message]:
    if field.message_type.GetOptions().map_entry:
        yield from value.values()
    elif isinstance(value, Message):
        yield value
    else:
        yield from value


def _unpack(packed: Any) -> Message | None:
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    except KeyError:
        return None
    message: Message = message_factory.GetMessageClass(descriptor)()
    message.ParseFromString(packed.value)
    return message


@cache
def _may_refer(descriptor: Any) -> bool:
    """Whether a message of this type can hold a reference at any depth: most of a resource cannot."""
    seen: set[str] = set()
    todo = [descriptor]
    while todo:
        current = todo.pop()
        if current.full_name in seen:
            continue
        seen.add(current.full_name)
        if current.full_name == _ANY or current.full_name in _READERS:
            return True
        todo += [each.message_type for each in current.fields if _holds_messages(each)]
    return False


def _holds_messages(field: Any) -> bool:
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return False
    if field.message_type.GetOptions().map_entry:
        return bool(field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE)
    return True


def _from_this_server(source: Any) -> bool:
    """Whether a ConfigSource means the aggregated stream on which the resource itself travels."""
    return bool(source.HasField("ads") or source.HasField("self"))


def _cluster(field: str) -> Callable[[Any], Iterator[Reference]]:
    def read(message: Any) -> Iterator[Reference]:
        if name := getattr(message, field):
            yield Reference(CLUSTER, name, discovered=False)

    return read


def _eds(message: Any) -> Iterator[Reference]:
    config = message.eds_cluster_config
    if message.HasField("eds_cluster_config") and _from_this_server(config.eds_config):
        yield Reference(ENDPOINTS, config.service_name or message.name, discovered=True)


def _rds(message: Any) -> Iterator[Reference]:
    if message.route_config_name and _from_this_server(message.config_source):
        yield Reference(ROUTES, message.route_config_name, discovered=True)


def _scoped_rds(message: Any) -> Iterator[Reference]:
    if message.route_configuration_name:
        yield Reference(ROUTES, message.route_configuration_name, discovered=not message.on_demand)


def _secret(message: Any) -> Iterator[Reference]:
    if message.HasField("sds_config") and _from_this_server(message.sds_config):
        yield Reference(SECRET, message.name, discovered=True)


def _extension(message: Any) -> Iterator[Reference]:
    if message.HasField("config_discovery") and _from_this_server(message.config_discovery.config_source):
        yield Reference(EXTENSION, message.name, discovered=True)


_HCM: Final = "envoy.extensions.filters.network.http_connection_manager.v3"
_TCP_PROXY: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

_READERS: Final[Mapping[str, Callable[[Any], Iterator[Reference]]]] = {
    "envoy.config.cluster.v3.Cluster": _eds,
    "envoy.config.core.v3.GrpcService.EnvoyGrpc": _cluster("cluster_name"),
    "envoy.config.core.v3.HttpUri": _cluster("cluster"),
    "envoy.config.listener.v3.Filter": _extension,
    "envoy.config.listener.v3.ListenerFilter": _extension,
    "envoy.config.route.v3.RouteAction": _cluster("cluster"),
    "envoy.config.route.v3.RouteAction.RequestMirrorPolicy": _cluster("cluster"),
    "envoy.config.route.v3.ScopedRouteConfiguration": _scoped_rds,
    "envoy.config.route.v3.WeightedCluster.ClusterWeight": _cluster("name"),
    "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig": _secret,
    f"{_HCM}.HttpFilter": _extension,
    f"{_HCM}.Rds": _rds,
    _TCP_PROXY: _cluster("cluster"),
    f"{_TCP_PROXY}.WeightedCluster.ClusterWeight": _cluster("name"),
}
