"""The two forms of the protocol on the wire: state of the world, and incremental ("delta").

They share everything but how a request changes a subscription and how an update is written.
Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#four-variants
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2

from palisade.xds.subscription import Subscription, Update

WireRequest: TypeAlias = Any  # DiscoveryRequest or DeltaDiscoveryRequest: generated code without types
WireResponse: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Header:
    """What a response says beside its content."""

    type_url: str
    version: str
    nonce: str
    control_plane: str


class Encoding(Protocol):
    """One form of the protocol."""

    @property
    def incremental(self) -> bool:
        """Whether updates have only what changes, of all types, and name what is removed."""

    def size(self, request: WireRequest) -> int:
        """How many resource names a request carries."""

    def is_stale(self, request: WireRequest, last_nonce: str) -> bool:
        """Whether a request was overtaken by a response, so that all of it is to be ignored."""

    def apply(self, request: WireRequest, subscription: Subscription) -> None:
        """Change a subscription as the request says."""

    def response(self, header: Header, update: Update) -> WireResponse:
        """The update as a message."""


class StateOfTheWorld:
    """Each request has all names that the client wants, each response whole resources."""

    incremental: Final = False

    def size(self, request: WireRequest) -> int:
        return len(request.resource_names)

    def is_stale(self, request: WireRequest, last_nonce: str) -> bool:
        return bool(request.response_nonce != last_nonce)

    def apply(self, request: WireRequest, subscription: Subscription) -> None:
        first = not subscription.started
        subscription.replace_names(request.resource_names)
        # The version that a client has on a new stream is no proof of what it has: it keeps saying the last
        # one it took in full, also after it took a part of the next. Envoy skips what has not changed.
        if first:
            subscription.start()

    def response(self, header: Header, update: Update) -> WireResponse:
        return discovery_pb2.DiscoveryResponse(
            version_info=header.version,
            resources=[each.body for each in update.resources],
            type_url=header.type_url,
            nonce=header.nonce,
            control_plane=base_pb2.ControlPlane(identifier=header.control_plane),
        )


class Incremental:
    """Requests and responses have only what changes."""

    incremental: Final = True

    def size(self, request: WireRequest) -> int:
        names = len(request.resource_names_subscribe) + len(request.resource_names_unsubscribe)
        return names + len(request.initial_resource_versions)

    def is_stale(self, request: WireRequest, last_nonce: str) -> bool:
        return False  # the protocol: a change of the subscription counts, however old the nonce beside it

    def apply(self, request: WireRequest, subscription: Subscription) -> None:
        first = not subscription.started
        subscription.subscribe(request.resource_names_subscribe)
        if first and not request.resource_names_unsubscribe:
            subscription.start()
        subscription.started = True
        if first:
            subscription.has(dict(request.initial_resource_versions))
        subscription.unsubscribe(request.resource_names_unsubscribe)

    def response(self, header: Header, update: Update) -> WireResponse:
        return discovery_pb2.DeltaDiscoveryResponse(
            system_version_info=header.version,
            resources=[
                discovery_pb2.Resource(name=each.name, version=each.version, resource=each.body)
                for each in update.resources
            ],
            removed_resources=update.removed,
            type_url=header.type_url,
            nonce=header.nonce,
            control_plane=base_pb2.ControlPlane(identifier=header.control_plane),
        )
