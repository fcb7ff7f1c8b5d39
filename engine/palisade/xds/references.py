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
    found: set[Reference] = set()
    _walk(resource, found)
    return frozenset(found)


def _walk(message: Message, found: set[Reference]) -> None:
    way = _way(message.DESCRIPTOR)
    if way.read is not None:
        found.update(way.read(message))
    if way.fields:
        for field, value in message.ListFields():
            if field.name not in way.fields:
                continue
            if isinstance(value, Message):
                _walk(value, found)
            else:
                for child in value.values() if field.name in way.maps else value:
                    _walk(child, found)
    if way.packs:
        packed = _unpack(message)
        if packed is not None:
            _walk(packed, found)


@dataclass(frozen=True, slots=True)
class _Way:
    """How references are found in messages of one type: most of its fields can lead to none, and a decision
    of many rules has many messages. `fields` can, and of these `maps` are maps."""

    read: Callable[[Any], Iterator[Reference]] | None
    packs: bool
    fields: frozenset[str]
    maps: frozenset[str]


@cache
def _way(descriptor: Any) -> _Way:
    fields = {each.name: each for each in descriptor.fields if _holds_messages(each)}
    fields = {name: each for name, each in fields.items() if _may_refer(each.message_type)}
    return _Way(
        read=_READERS.get(descriptor.full_name),
        packs=descriptor.full_name == _ANY,
        fields=frozenset(fields),
        maps=frozenset(n for n, each in fields.items() if each.message_type.GetOptions().map_entry),
    )


def _unpack(packed: Any) -> Message | None:
    """The message that is packed; None where its type is not known here, or can hold no reference."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    except KeyError:
        return None
    if not _may_refer(descriptor):
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
