"""Snapshots: their versions are their content, and they name every reference that leads nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2, grpc_service_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2, scoped_route_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st

from palisade.xds import Snapshot, SnapshotError, references
from palisade.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET


def refers(message: Message) -> set[tuple[str, str, bool]]:
    return {(each.type_url, each.name, each.discovered) for each in references(message)}


def test_a_version_is_the_content(make: Any) -> None:
    one = Snapshot.of("r1", [make.cluster("a"), make.cluster("b")])
    two = Snapshot.of("r2", [make.cluster("b", mark="new"), make.cluster("a")])
    assert one.packed(CLUSTER)["a"].version == two.packed(CLUSTER)["a"].version
    assert one.packed(CLUSTER)["b"].version != two.packed(CLUSTER)["b"].version


def test_a_snapshot_does_not_change_with_the_messages_that_it_was_made_of(make: Any) -> None:
    cluster = make.cluster("a")
    snapshot = Snapshot.of("r1", [cluster])
    before = snapshot.packed(CLUSTER)["a"].body.value
    cluster.alt_stat_name = "changed"
    assert snapshot.packed(CLUSTER)["a"].body.value == before
    assert snapshot.resources[CLUSTER]["a"].alt_stat_name == ""
    with pytest.raises(TypeError):
        snapshot.resources[CLUSTER]["b"] = cluster  # type: ignore[index]


def test_what_did_not_change_is_taken_from_the_snapshot_before(make: Any) -> None:
    """An edit changes few of many resources: the others need not be hashed and copied again."""
    before = Snapshot.of("r1", [make.cluster("a"), make.cluster("b"), make.secret("a")])
    messages = [make.cluster("a"), make.cluster("b", mark="new"), make.secret("a"), make.cluster("c")]
    after, alone = Snapshot.of("r2", messages, before), Snapshot.of("r2", messages)
    for url in (CLUSTER, SECRET):
        assert after.packed(url) == alone.packed(url)
        assert after.resources[url] == alone.resources[url]
        bodies = {name: each.body for name, each in after.packed(url).items()}
        assert bodies == {name: each.body for name, each in alone.packed(url).items()}
    assert after.packed(CLUSTER)["a"] is before.packed(CLUSTER)["a"]
    assert after.packed(SECRET)["a"] is before.packed(SECRET)["a"]
    assert after.packed(CLUSTER)["b"] is not before.packed(CLUSTER)["b"]


def test_two_of_one_name_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="two Cluster resources are named 'a'"):
        Snapshot.of("r1", [make.cluster("a"), make.cluster("a")])
    with pytest.raises(ValueError, match="not an xDS resource type"):
        Snapshot.of("r1", [StringValue(value="a")])
    with pytest.raises(ValueError, match="version"):
        Snapshot("", {})


def test_every_dangling_reference_is_named(make: Any) -> None:
    snapshot = Snapshot.of(
        "r1",
        [
            make.listener("l", routes="no-routes", extension="no-extension"),
            make.routes("r", cluster="no-cluster"),
            make.cluster("c", eds=True),
        ],
    )
    with pytest.raises(SnapshotError) as error:
        snapshot.check()
    assert list(error.value.problems) == [
        "Cluster 'c' refers to ClusterLoadAssignment 'c', which the snapshot does not have",
        "Listener 'l' refers to TypedExtensionConfig 'no-extension', which the snapshot does not have",
        "Listener 'l' refers to RouteConfiguration 'no-routes', which the snapshot does not have",
        "RouteConfiguration 'r' refers to Cluster 'no-cluster', which the snapshot does not have",
    ]
    assert "snapshot r1 is not consistent" in str(error.value)


def test_what_the_bootstrap_has_need_not_be_in_the_snapshot(make: Any) -> None:
    snapshot = Snapshot.of("r1", [make.routes("r", cluster="engine")])
    snapshot.check(static_clusters={"engine"})
    with pytest.raises(SnapshotError):
        snapshot.check(static_clusters={"other"})


def test_names_and_types_must_fit_the_resources(make: Any) -> None:
    wrong = Snapshot("r1", {CLUSTER: {"a": make.cluster("b"), "s": make.secret("s")}, "nonsense": {}})
    with pytest.raises(SnapshotError) as error:
        wrong.check()
    assert list(error.value.problems) == [
        "Cluster 'a' is named 'b' in the resource itself",
        "Cluster 's' holds a Secret",
    ]


def test_a_complete_snapshot_passes(make: Any) -> None:
    Snapshot.of(
        "r1",
        [
            make.listener("l", routes="r", extension="policy"),
            make.routes("r", cluster="c"),
            make.cluster("c", eds=True),
            make.endpoints("c"),
            make.extension("policy", make.secret("anything")),
        ],
    ).check()


def test_references_of_a_cluster(make: Any) -> None:
    cluster: cluster_pb2.Cluster = make.cluster("c", eds=True)
    assert refers(cluster) == {(ENDPOINTS, "c", True)}
    cluster.eds_cluster_config.service_name = "s"
    tls = tls_pb2.UpstreamTlsContext()
    for name in ("own", "from-a-file"):
        config = tls.common_tls_context.tls_certificate_sds_secret_configs.add(name=name).sds_config
        if name == "own":
            config.ads.SetInParent()
        else:
            config.path_config_source.path = "/certificates/own.yaml"
    cluster.transport_socket.typed_config.Pack(tls)
    assert refers(cluster) == {(ENDPOINTS, "s", True), (SECRET, "own", True)}


def test_references_of_routes(make: Any) -> None:
    routes: route_pb2.RouteConfiguration = make.routes("r", cluster="direct")
    mirrored = routes.virtual_hosts[0].routes.add()
    mirrored.route.request_mirror_policies.add(cluster="mirror")
    for name in ("one", "two"):
        mirrored.route.weighted_clusters.clusters.add(name=name).weight.value = 1
    per_route = ext_authz_pb2.ExtAuthz()
    per_route.grpc_service.envoy_grpc.cluster_name = "authorization"
    routes.virtual_hosts[0].typed_per_filter_config["authz"].Pack(per_route)
    names = {"direct", "mirror", "one", "two", "authorization"}
    assert refers(routes) == {(CLUSTER, name, False) for name in names}


def test_references_of_an_extension_configuration(make: Any) -> None:
    jwt = jwt_pb2.JwtAuthentication()
    jwt.providers["p"].remote_jwks.http_uri.cluster = "issuer"
    assert refers(make.extension("jwt", jwt)) == {(CLUSTER, "issuer", False)}


def test_what_can_hold_no_reference_is_not_unpacked(make: Any) -> None:
    """A decision has an input packed for each of its comparisons, which were parsed one by one."""
    extension: extension_pb2.TypedExtensionConfig = make.extension("e", make.secret("any"))
    extension.typed_config.Pack(http_inputs_pb2.HttpRequestHeaderMatchInput(header_name="x"))
    extension.typed_config.value = b"\xff"
    assert refers(extension) == set()


def test_references_of_listeners_and_scopes(make: Any) -> None:
    listener: listener_pb2.Listener = make.listener("l", routes="r", extension="e")
    proxy = tcp_proxy_pb2.TcpProxy(cluster="tcp")
    listener.filter_chains.add().filters.add(name="tcp").typed_config.Pack(proxy)
    early = listener.listener_filters.add(name="early")
    early.config_discovery.config_source.ads.SetInParent()
    log = grpc_service_pb2.GrpcService()
    log.envoy_grpc.cluster_name = "elsewhere"
    api = listener.filter_chains.add().filters.add(name="remote").config_discovery.config_source
    api.api_config_source.grpc_services.append(log)
    assert refers(listener) == {
        (ROUTES, "r", True),
        (EXTENSION, "e", True),
        (EXTENSION, "early", True),
        (CLUSTER, "tcp", False),
        (CLUSTER, "elsewhere", False),  # the server of the remote filter; the filter itself is not ours
    }
    scope = scoped_route_pb2.ScopedRouteConfiguration(name="s", route_configuration_name="r")
    assert refers(scope) == {(ROUTES, "r", True)}


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_the_order_of_a_map_does_not_change_the_version(values: dict[str, str]) -> None:
    """Maps have no order, and a version that followed their memory layout would push for nothing."""

    def cluster(pairs: list[tuple[str, str]]) -> cluster_pb2.Cluster:
        result = cluster_pb2.Cluster(name="c")
        for key, value in pairs:
            result.metadata.filter_metadata["x"].fields[key].string_value = value
        return result

    pairs = list(values.items())
    versions = {
        Snapshot.of("r", [cluster(each)]).packed(CLUSTER)["c"].version for each in (pairs, pairs[::-1])
    }
    assert len(versions) == 1


def test_type_urls_are_those_with_resources(make: Any) -> None:
    snapshot = Snapshot("r1", {LISTENER: {}, CLUSTER: {"c": make.cluster("c")}})
    assert snapshot.type_urls == {CLUSTER}
    assert snapshot.packed(LISTENER) == {}
