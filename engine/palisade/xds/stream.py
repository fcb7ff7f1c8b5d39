"""One stream of the aggregated discovery service: requests in, responses out, and no network.

The server feeds it requests and writes what it returns; time comes from a clock that is passed in. So every
order of events can be tested without a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from palisade.xds.cache import Offer, Watch
from palisade.xds.encoding import Encoding, Header, WireRequest, WireResponse
from palisade.xds.errors import exhausted, invalid
from palisade.xds.limits import Limits, RateLimit
from palisade.xds.resources import CLUSTER, ENDPOINTS, FULL_STATE_TYPES, LISTENER, PUSH_ORDER, short_name
from palisade.xds.snapshot import Resource, Snapshot
from palisade.xds.status import in_one_line
from palisade.xds.subscription import Subscription, Update

_ORDER: Final = {url: at for at, group in enumerate(PUSH_ORDER) for url in group}
_WITHIN: Final = {url: at for at, url in enumerate(url for group in PUSH_ORDER for url in group)}
_LAST: Final = len(PUSH_ORDER) - 1


@dataclass(eq=False)
class _Channel:
    """One resource type's exchange on the stream. Nonce, offer and time are those of the last response."""

    subscription: Subscription
    nonce: str = ""
    offer: Offer | None = None
    sent_at: float = 0.0

    @property
    def type_url(self) -> str:
        return self.subscription.type_url

    @property
    def unanswered(self) -> bool:
        return self.subscription.in_flight is not None


class Stream:
    """The server's side of one stream.

    `receive` takes a request, `next_response` gives what to write now. At most one response of a type is
    under way: the next waits for the answer. Within a revision the types go in `PUSH_ORDER`, each group
    once the one before it is acknowledged, and what is no longer used is removed last. What the client
    asks for by name is answered at once, out of this order: it waits for it.
    """

    def __init__(
        self,
        encoding: Encoding,
        watch: Watch,
        *,
        limits: Limits,
        clock: Callable[[], float],
        control_plane: str,
    ) -> None:
        self._encoding = encoding
        self._watch = watch
        self._limits = limits
        self._clock = clock
        self._control_plane = control_plane
        self._rate = RateLimit(limits.requests_per_second, limits.requests_burst, clock)
        self._channels: dict[str, _Channel] = {}
        self._offer: Offer | None = None
        self._responses = 0

    def receive(self, request: WireRequest) -> None:
        """Take a request. Raises StreamError where the client breaks the protocol or a limit."""
        self._rate.take()
        self._check(request)
        self._take_offer()
        channel = self._channel(request.type_url)
        subscription = channel.subscription
        if subscription.started and self._encoding.is_stale(request, channel.nonce):
            return
        answers = channel.unanswered and request.response_nonce == channel.nonce
        refused = answers and request.HasField("error_detail")
        names = subscription.in_flight.names if refused and subscription.in_flight else ()
        if refused:
            subscription.refused()
        elif answers:
            subscription.acknowledged()
        starts = not subscription.started
        self._encoding.apply(request, subscription)
        if starts:
            subscription.may_have(self._watch.torn(request.type_url))
        if len(subscription.names) > self._limits.names_per_type:
            raise exhausted(
                f"more than {self._limits.names_per_type} resource names of {request.type_url} on one stream"
            )
        if refused and channel.offer is not None:
            detail = in_one_line(request.error_detail.message)
            self._watch.rejected(channel.offer, request.type_url, names, detail)

    def next_response(self) -> WireResponse | None:
        """The response to write now; None where the client has everything or is to answer first."""
        self._take_offer()
        if self._offer is None:
            return None
        held = False
        for group in self._groups():
            for channel in group:
                if not held or channel.subscription.asked:
                    update = self._due(channel, remove=channel.type_url == LISTENER)
                    if update is not None:
                        return self._send(channel, update)
            held = held or any(self._waits(channel) for channel in group)
        if not held:
            for channel in self._removal_order():
                update = self._due(channel, remove=True)
                if update is not None:
                    return self._send(channel, update)
        self._report(self._offer)
        return None

    def close(self) -> None:
        """End the stream. What the client has not answered it may have taken or not."""
        for channel in self._channels.values():
            if channel.subscription.in_flight is not None:
                self._watch.unanswered(channel.type_url, channel.subscription.in_flight.names)
        self._watch.close()

    def patience(self) -> float | None:
        """Seconds until a missing answer no longer holds back the rest; None where nothing waits."""
        now = self._clock()
        left = [self._expires(channel) - now for channel in self._channels.values() if self._waits(channel)]
        return max(0.0, min(left)) if left else None

    def _check(self, request: WireRequest) -> None:
        if request.ByteSize() > self._limits.message_bytes:
            raise exhausted(
                f"a request of {request.ByteSize()} bytes; the limit is {self._limits.message_bytes}"
            )
        if request.node.id and request.node.id != self._watch.node_id:
            raise invalid(
                f"the node id changed from {self._watch.node_id!r} to {request.node.id!r} on one stream"
            )
        if not request.type_url:
            raise invalid("a request without type_url: an aggregated stream cannot tell what it is for")
        if self._encoding.size(request) > self._limits.names_per_type:
            raise exhausted(f"more than {self._limits.names_per_type} resource names in one request")

    def _channel(self, url: str) -> _Channel:
        channel = self._channels.get(url)
        if channel is None:
            if len(self._channels) >= self._limits.types_per_stream:
                raise exhausted(f"more than {self._limits.types_per_stream} resource types on one stream")
            channel = _Channel(Subscription(url, self._encoding.incremental))
            self._channels[url] = channel
        return channel

    def _take_offer(self) -> None:
        """Turn to what the cache offers now. On the way back from a refusal nothing counts as sent."""
        offer = self._watch.offer
        if offer is self._offer:
            return
        self._offer = offer
        if offer is not None and offer.resend:
            for channel in self._channels.values():
                channel.subscription.doubt()

    def _resources(self, url: str) -> Mapping[str, Resource]:
        return self._offer.snapshot.packed(url) if self._offer else {}

    def _groups(self) -> list[list[_Channel]]:
        groups: list[list[_Channel]] = [[] for _ in PUSH_ORDER]
        for channel in self._channels.values():
            groups[_ORDER.get(channel.type_url, _LAST)].append(channel)
        for group in groups:
            group.sort(key=lambda channel: _WITHIN.get(channel.type_url, len(_WITHIN)))
        return groups

    def _removal_order(self) -> Iterator[_Channel]:
        """What uses others goes before what is used."""
        for group in reversed(self._groups()):
            yield from reversed(group)

    def _due(self, channel: _Channel, *, remove: bool) -> Update | None:
        subscription = channel.subscription
        if channel.unanswered:
            overdue = self._expires(channel) <= self._clock()
            if channel.offer is self._offer or not overdue:
                return None
            subscription.refused()  # it never answered; what it has of that response is anyone's guess
        update = subscription.due(self._resources(channel.type_url), remove=remove)
        if update is None:
            subscription.asked = False
        return update

    def _send(self, channel: _Channel, update: Update) -> WireResponse:
        if channel.type_url == CLUSTER:
            self._renew_endpoints(channel.subscription, update)
        self._responses += 1
        channel.subscription.sent(update)
        channel.nonce = str(self._responses)
        channel.offer = self._offer
        channel.sent_at = self._clock()
        header = Header(
            channel.type_url, self._offer.version if self._offer else "", channel.nonce, self._control_plane
        )
        return self._encoding.response(header, update)

    def _renew_endpoints(self, clusters: Subscription, update: Update) -> None:
        """Send the endpoints of a changed cluster again: Envoy warms the new one only when they arrive.

        https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-warming
        """
        endpoints = self._channels.get(ENDPOINTS)
        if endpoints is None:
            return
        changed = (each for each in update.resources if not clusters.has_version(each))
        names = {ref.name for each in changed for ref in each.references if ref.type_url == ENDPOINTS}
        endpoints.subscription.doubt(names)

    def _expires(self, channel: _Channel) -> float:
        return channel.sent_at + self._limits.acknowledge_seconds

    def _waits(self, channel: _Channel) -> bool:
        return channel.unanswered and self._expires(channel) > self._clock()

    def _report(self, offer: Offer) -> None:
        """Tell the cache what is missing until the client runs the offer."""
        channels = self._channels.values()
        if any(channel.subscription.active for channel in channels):
            open_ = {channel.type_url for channel in channels if channel.unanswered}
            missing = open_ | self._missing(offer.snapshot)
            self._watch.report(offer, tuple(sorted(missing)))

    def _missing(self, snapshot: Snapshot) -> set[str]:
        """The types of which the client lacks something that it needs for the snapshot.

        It needs every listener and cluster (those that it names, where it names them), and what these
        make it subscribe to. A type that it has not come to ask for yet is missing, too.
        """
        missing: set[str] = set()
        todo: list[Resource] = []
        seen: set[tuple[str, str]] = set()
        for url in FULL_STATE_TYPES:
            channel = self._channels.get(url)
            resources = snapshot.packed(url)
            todo += (channel.subscription.wanted(resources) if channel else resources).values()
        while todo:
            resource = todo.pop()
            if (resource.type_url, resource.name) in seen:
                continue
            seen.add((resource.type_url, resource.name))
            channel = self._channels.get(resource.type_url)
            if channel is None or not channel.subscription.has_version(resource):
                missing.add(resource.type_url)
                continue
            for reference in resource.references:
                target = snapshot.packed(reference.type_url).get(reference.name)
                if reference.discovered and target is not None:
                    todo.append(target)
        return missing | {
            channel.type_url
            for channel in self._channels.values()
            if channel.subscription.due(snapshot.packed(channel.type_url), remove=True) is not None
        }

    def __repr__(self) -> str:
        types = ", ".join(sorted(short_name(url) for url in self._channels))
        return f"<Stream of {self._watch.node_id!r}: {types or 'nothing requested'}>"
