"""Whatever a client and the control plane do, in whatever order their messages arrive, they come to agree.

A model of a client talks to a `Stream` over two queues that are emptied at any moment. It keeps to the
protocol, refuses resources marked as bad (and, like Envoy, keeps the good ones of the same response),
reconnects, and changes its mind. When all messages have arrived it must have exactly what it wants of what
is served.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any

from effort import examples
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from palisade.xds import Limits, Snapshot, SnapshotCache
from palisade.xds.encoding import Incremental, StateOfTheWorld
from palisade.xds.resources import CLUSTER, ENDPOINTS, FULL_STATE_TYPES
from palisade.xds.stream import Stream

BAD = "bad"
NAMES = ("a", "b")
LIMITS = Limits(requests_burst=10**9)
RESOURCES: dict[str, type[Message]] = {
    CLUSTER: cluster_pb2.Cluster,
    ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
}


def resource(url: str, name: str, mark: str) -> Message:
    if url == CLUSTER:
        return cluster_pb2.Cluster(name=name, alt_stat_name=mark)
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    assignment.endpoints.add().locality.zone = mark
    return assignment


def describe(message: Any) -> tuple[str, str]:
    if isinstance(message, cluster_pb2.Cluster):
        return message.name, message.alt_stat_name
    return message.cluster_name, message.endpoints[0].locality.zone


class Model:
    """A client that keeps to the protocol, in either form."""

    def __init__(self, *, incremental: bool) -> None:
        self.incremental = incremental
        self.wanted: dict[str, set[str]] = {}
        self.has: dict[str, dict[str, str]] = {CLUSTER: {}, ENDPOINTS: {}}
        self.reported: dict[str, dict[str, str]] = {CLUSTER: {}, ENDPOINTS: {}}
        self.nonces: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.asked: set[str] = set()
        """The types that were asked for in this stream."""
        self.requests: deque[Any] = deque()
        self.responses: deque[Any] = deque()

    def connect(self) -> None:
        self.requests.clear()
        self.responses.clear()
        self.nonces.clear()
        self.asked.clear()
        for url, names in self.wanted.items():
            if self.incremental:
                self._send(
                    url,
                    resource_names_subscribe=sorted(names),
                    initial_resource_versions=self.reported[url],
                )
            else:
                self._send(url)

    def want(self, url: str, names: set[str]) -> None:
        before = self.wanted.get(url, set())
        self.wanted[url] = names
        if "*" not in names:
            for kept in (self.has, self.reported):
                kept[url] = {name: value for name, value in kept[url].items() if name in names}
        if self.incremental:
            self._send(
                url,
                resource_names_subscribe=sorted(names - before),
                resource_names_unsubscribe=sorted(before - names),
            )
        else:
            self._send(url)

    def take(self, response: Any) -> None:
        """Apply what is good of a response, and acknowledge or refuse it."""
        url = response.type_url
        self.nonces[url] = response.nonce
        bodies = [each.resource if self.incremental else each for each in response.resources]
        error = ""
        news: dict[str, str] = {}
        for body in bodies:
            message = RESOURCES[url]()
            assert body.Unpack(message)
            name, mark = describe(message)
            if mark == BAD:
                error = f"{name} is bad"
            elif name in self.wanted[url] or "*" in self.wanted[url]:
                news[name] = mark
        if self.incremental:
            self.has[url] |= news
            for name in response.removed_resources:
                self.has[url].pop(name, None)
            if not error:
                self.reported[url] |= {each.name: each.version for each in response.resources}
                for name in response.removed_resources:
                    self.reported[url].pop(name, None)
                self.reported[url] = {
                    name: version
                    for name, version in self.reported[url].items()
                    if name in self.wanted[url] or "*" in self.wanted[url]
                }
        elif url in FULL_STATE_TYPES:
            refused = {describe(m)[0] for m in self._unpacked(url, bodies)} - news.keys()
            self.has[url] = news | {n: m for n, m in self.has[url].items() if n in refused}
        else:
            self.has[url] |= news
        if not error:
            self.versions[url] = getattr(response, "version_info", "")
        self._send(url, answer=True, error=error)

    def _unpacked(self, url: str, bodies: list[Any]) -> list[Any]:
        messages = [RESOURCES[url]() for _ in bodies]
        for body, message in zip(bodies, messages, strict=True):
            body.Unpack(message)
        return messages

    def _send(self, url: str, *, answer: bool = False, error: str = "", **fields: Any) -> None:
        if not self.wanted[url] and url not in self.asked:
            return  # a first request for nothing would be one for everything
        self.asked.add(url)
        if self.incremental:
            request = discovery_pb2.DeltaDiscoveryRequest(type_url=url, **fields)
            request.response_nonce = self.nonces[url] if answer else ""
        else:
            request = discovery_pb2.DiscoveryRequest(
                type_url=url,
                version_info=self.versions.get(url, ""),
                resource_names=sorted(self.wanted[url]),
                response_nonce=self.nonces.get(url, ""),
            )
        if error:
            request.error_detail.message = error
        self.requests.append(request)


class Agreement(RuleBasedStateMachine):
    watch: Any = None

    @initialize(
        incremental=st.booleans(),
        clusters=st.sampled_from([{"*"}, {"a"}, {"*", "a"}]),
        endpoints=st.sampled_from([set(), {"a"}, {"a", "b"}]),
    )
    def start(self, incremental: bool, clusters: set[str], endpoints: set[str]) -> None:
        self.cache = SnapshotCache()
        self.client = Model(incremental=incremental)
        self.revisions: list[Snapshot] = []
        self.now = 0.0
        self.reconnect()
        self.client.want(CLUSTER, clusters)
        if endpoints:
            self.client.want(ENDPOINTS, endpoints)

    @rule()
    def reconnect(self) -> None:
        if self.watch is not None:
            self.stream.close()
        self.watch = self.cache.open("node", lambda: None)
        encoding = Incremental() if self.client.incremental else StateOfTheWorld()
        self.stream = Stream(
            encoding, self.watch, limits=LIMITS, clock=lambda: self.now, control_plane="test"
        )
        self.client.connect()

    @rule(
        marks=st.lists(st.sampled_from(["", "1", "2", BAD]), min_size=4, max_size=4),
        rest=st.booleans(),
    )
    def set_snapshot(self, marks: list[str], rest: bool) -> None:
        places = ((url, name) for url in RESOURCES for name in NAMES)
        messages = [resource(*place, mark) for place, mark in zip(places, marks, strict=True) if mark]
        snapshot = Snapshot.of(f"r{len(self.revisions)}", messages)
        self.revisions.append(snapshot)
        self.offer(snapshot)
        if rest:
            self.settle()

    @rule(at=st.integers(0, 10))
    def set_an_old_snapshot(self, at: int) -> None:
        if self.revisions:
            self.offer(self.revisions[at % len(self.revisions)])

    def offer(self, snapshot: Snapshot) -> None:
        with suppress(StopIteration):  # it never waits, so it needs no event loop
            self.cache.set_snapshot("node", snapshot).send(None)

    @rule(
        url=st.sampled_from([CLUSTER, ENDPOINTS]),
        names=st.sets(st.sampled_from(NAMES)),
        wildcard=st.booleans(),
    )
    def want(self, url: str, names: set[str], wildcard: bool) -> None:
        if url == CLUSTER and wildcard:
            names = names | {"*"}
        self.client.want(url, names)

    @rule(steps=st.lists(st.sampled_from(["request", "write", "response"]), min_size=1, max_size=8))
    def messages_travel(self, steps: list[str]) -> None:
        for step in steps:
            self.travel(step)

    def travel(self, step: str) -> None:
        client = self.client
        if step == "request" and client.requests:
            self.stream.receive(client.requests.popleft())
        if step == "write" and (response := self.stream.next_response()) is not None:
            client.responses.append(response)
        if step == "response" and client.responses:
            client.take(client.responses.popleft())

    @rule(seconds=st.sampled_from([1.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def settle(self) -> None:
        """Deliver everything; then both must agree, and the exchange must have come to rest."""
        for _ in range(500):
            for step in ("request", "write", "response"):
                self.travel(step)
            if not self.client.requests and not self.client.responses:
                break
        else:
            raise AssertionError("the exchange does not come to rest")
        offer = self.watch.offer
        if offer is None:
            return
        for url, names in self.client.wanted.items():
            served = {name: describe(each)[1] for name, each in offer.snapshot.resources.get(url, {}).items()}
            expected = {n: m for n, m in served.items() if n in names or "*" in names}
            has = self.client.has[url]
            if not self.client.incremental and url not in FULL_STATE_TYPES:
                # The state of the world cannot take such a resource away.
                has = {name: mark for name, mark in has.items() if name in expected}
            assert has == expected, (url, names)
        status = self.cache.status()["node"]
        if all(names for names in self.client.wanted.values()) and CLUSTER in self.client.wanted:
            assert status.running == offer.snapshot.version
            assert status.waiting_for == ()

    def teardown(self) -> None:
        if self.watch is not None:
            self.settle()

    @invariant()
    def what_runs_was_never_refused(self) -> None:
        status = self.cache.status().get("node")
        if status is not None and status.rejection is not None:
            assert status.running != status.rejection.revision


Agreement.TestCase.settings = settings(max_examples=examples(200), stateful_step_count=15, deadline=None)
TestAgreement = Agreement.TestCase
