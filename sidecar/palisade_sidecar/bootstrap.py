"""The bootstrap that Envoy starts from: a pure function from settings to JSON.

The listener is static and stays for the sidecar's whole life; what a policy decides lives in the HTTP
filters of `SLOTS`, each of which Envoy takes from the engine by ECDS. Until a slot has its first
configuration it answers 503, so the port is open and closed to all before the engine was ever seen.
docs/decisions/static-listener.md says why. Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palisade_sidecar import handover
from palisade_sidecar.access_log import access_log
from palisade_sidecar.asking import ANSWER_HEADER, ASK_HEADER
from palisade_sidecar.chunks import CHUNKS_HEADER, mark_chunks
from palisade_sidecar.downstream_tls import HANDSHAKE, transport_socket
from palisade_sidecar.engine_cluster import ENGINE, engine_cluster, grpc_service, residual_cluster
from palisade_sidecar.late import READ, UNDECIDED, late, late_in_parts, part
from palisade_sidecar.overload import most_connections, overload_manager
from palisade_sidecar.parts import discovery
from palisade_sidecar.settings import Address, Settings, Upstream

Json = dict[str, Any]

_TYPE = "type.googleapis.com/"
_HTTP_FILTERS = f"{_TYPE}envoy.extensions.filters.http."
_FAULT = f"{_HTTP_FILTERS}fault.v3.HTTPFault"
_COMPOSITE = f"{_TYPE}envoy.extensions.common.matching.v3.ExtensionWithMatcher"

LISTENER = "palisade"
UPSTREAM, UPSTREAM_HTTP2 = "palisade_upstream", "palisade_upstream_http2"

UNREADY_BODY = "This sidecar has no policy yet: it waits for its first revision from the engine.\n"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one HTTP filter whose configuration is an ECDS resource of the same name."""

    name: str
    types: tuple[str, ...]
    closed: bool = True
    """Whether it answers 503 before its first configuration. The others only decide what the engine would."""
    when: Json | None = None
    """For what comes behind a wait, for a request's body: which requests it is for, by their metadata."""
    parts: str = ""
    """Where the filter may come in parts, which are resources of the same name and their numbers: what stands
    before a part's number in the name under which a request was decided that is for that part."""


SLOTS: tuple[Slot, ...] = (
    Slot("palisade.identity", (f"{_HTTP_FILTERS}jwt_authn.v3.JwtAuthentication",)),
    Slot("palisade.attributes", (f"{_HTTP_FILTERS}set_filter_state.v3.Config",)),
    Slot(
        "palisade.captures",
        (f"{_HTTP_FILTERS}header_to_metadata.v3.Config", f"{_HTTP_FILTERS}rbac.v3.RBAC"),
        closed=False,
    ),
    Slot("palisade.native", (f"{_HTTP_FILTERS}rbac.v3.RBAC",), parts="part/"),
    Slot("palisade.body", (f"{_HTTP_FILTERS}rbac.v3.RBAC",), closed=False),
    Slot("palisade.told", (f"{_HTTP_FILTERS}rbac.v3.RBAC",), closed=False, when=READ, parts="residual/"),
    Slot("palisade.residual", (f"{_HTTP_FILTERS}ext_authz.v3.ExtAuthz",), when=UNDECIDED),
)
"""In the order in which a request passes them; the engine must send all of them."""


def bootstrap(settings: Settings) -> Json:
    """The bootstrap of one sidecar, as what `json.dumps` takes and `envoy --config-path` reads."""
    return {
        "node": {
            "id": settings.function,
            "cluster": "palisade",
            "metadata": {"palisade": {"function": settings.function}},
        },
        "admin": {
            "address": {"pipe": {"path": str(settings.run_dir / "admin.sock"), "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {
            "listeners": [_listener(settings), _handover(settings.run_dir)],
            "clusters": [
                engine_cluster(settings),
                residual_cluster(settings),
                *_upstream_clusters(settings),
            ],
        },
        "overload_manager": overload_manager(settings),
        "layered_runtime": {
            "layers": [
                {
                    "name": "palisade",
                    # Envoy refuses expressions above 100 RE2 instructions by default; the engine bounds them
                    # itself, and what it compiled must not be refused here.
                    "static_layer": {
                        "re2.max_program_size.error_level": 1_000_000,
                        "re2.max_program_size.warn_level": 1_000_000,
                    },
                }
            ]
        },
    }


def _ads(initial_fetch_timeout: str) -> Json:
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": initial_fetch_timeout}


def _dynamic_resources() -> Json:
    # Envoy opens no port before the first answer or this timeout for each: without an engine it must still
    # listen soon, to answer 503. Resources that come later are taken all the same.
    soon = "0.25s"
    return {
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [grpc_service()],
        },
        "cds_config": _ads(soon),
        "lds_config": _ads(soon),
    }


def _listener(settings: Settings) -> Json:
    chain: Json = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _hcm(settings)}]
    }
    if settings.tls is not None:
        chain["transport_socket"] = transport_socket(settings, settings.tls)
        chain["transport_socket_connect_timeout"] = HANDSHAKE
    return {
        "name": LISTENER,
        "stat_prefix": "palisade",
        "traffic_direction": "INBOUND",  # what is drained first: the way of the decision log stays open
        "address": _socket(settings.listen),
        "per_connection_buffer_limit_bytes": settings.limits.connection_buffer,
        "filter_chains": [chain],
    }


def _hcm(settings: Settings) -> Json:
    limits = settings.limits
    return {
        "@type": f"{_TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "palisade",
        "codec_type": "AUTO",
        "early_header_mutation_extensions": [mark_chunks()],
        "server_header_transformation": "PASS_THROUGH",
        "route_config": _routes(settings.upstream_protocol),
        "http_filters": [*_filters(settings.unready_status), _router()],
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": [access_log(settings.run_dir, callers=settings.tls is not None)],
        "local_reply_config": _local_replies(),
        "max_request_headers_kb": limits.header_kilobytes,
        "request_headers_timeout": _seconds(limits.request_headers),
        "stream_idle_timeout": _seconds(limits.stream_idle),
        "http2_protocol_options": {
            "allow_connect": True,
            "max_concurrent_streams": 100,
            # So much of a body is held for the engine: with less, larger ones would be refused with 413.
            "initial_stream_window_size": limits.connection_buffer,
            "initial_connection_window_size": limits.connection_buffer,
        },
        **_peer_address(settings),
        **_spelling(settings),
    }


def _peer_address(settings: Settings) -> Json:
    # Over HTTP/2 a client says which scheme it used. It is not believed more than for its x-forwarded-proto.
    used = "http" if settings.tls is None else "https"
    scheme = {} if settings.trusted_hops else {"scheme_header_transformation": {"scheme_to_overwrite": used}}
    return {
        **scheme,
        # The client's address is the connection's, and no client may choose its request id or set x-envoy-*
        # headers that Envoy acts on. That needs `internal_address_config` absent: an empty one makes Envoy
        # trust loopback.
        # A client's x-forwarded-client-cert is removed unless `forward_client_cert_details` says otherwise.
        # Setting it instead would not do: Envoy quotes no names, so one may read as two.
        "use_remote_address": True,
        "xff_num_trusted_hops": settings.trusted_hops,
    }


def _spelling(settings: Settings) -> Json:
    """One spelling of a request for the policy and the function alike: docs/decisions/static-listener.md."""
    actions = {
        "reject": "REJECT_REQUEST",
        "keep": "KEEP_UNCHANGED",
        "unescape": "UNESCAPE_AND_FORWARD",
    }
    return {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": actions[settings.escaped_slashes],
        "strip_trailing_host_dot": True,
        # WSGI, CGI and PHP read X_User as X-User: a policy on one must not be passed by the other.
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
    }


def _filters(unready_status: int) -> Iterator[Json]:
    """The slots, and behind one that is in parts, with no wait before it, the filter that takes the part."""
    source = _ads("0s")
    for slot in SLOTS:
        discovered = _discovered(slot, unready_status, source)
        if slot.when is None:
            yield discovered
            if slot.parts:
                yield part(slot.name, slot.parts, source)
        elif slot.parts:
            yield late_in_parts(slot.name, slot.when, discovered, slot.parts, source)
        else:
            yield late(slot.name, slot.when, discovered)


def _discovered(slot: Slot, unready_status: int, source: Json) -> Json:
    """The filter of a slot, and what stands there until it comes."""
    closed = {
        "@type": _FAULT,
        "abort": {"http_status": unready_status, "percentage": {"numerator": 100}},
    }
    default = closed if slot.closed else {"@type": f"{_HTTP_FILTERS}rbac.v3.RBAC"}
    types = [*slot.types, _COMPOSITE, _FAULT]
    return {"name": slot.name, "config_discovery": discovery(source, types, default)}


def _router() -> Json:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_HTTP_FILTERS}router.v3.Router", "suppress_envoy_headers": True},
    }


def _local_replies() -> Json:
    # Asked of replies that Envoy makes itself, so what is allowed pays nothing. By the details: the metadata
    # of a denial is not there yet when its reply is made.
    denied = {
        "@type": f"{_TYPE}envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        "expression": 'response.code_details.startsWith("rbac_access_denied")',
    }
    return {
        "mappers": [
            {
                "filter": {"response_flag_filter": {"flags": ["FI"]}},
                "body": {"inline_string": UNREADY_BODY},
            },
            # Not "RBAC: access denied": a denial by the engine has no body either, nor has OPA-Envoy's.
            {
                "filter": {"extension_filter": {"name": "palisade.denied", "typed_config": denied}},
                "body": {"inline_string": ""},
            },
        ]
    }


def _handover(run_dir: Path) -> Json:
    """The way of the decision log: what arrives on this socket goes to the engine as gRPC."""
    route = {"match": {"path": handover.PATH}, "route": {"cluster": ENGINE, "timeout": "10s"}}
    manager = {
        "@type": f"{_TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "palisade_log",
        "route_config": {
            "name": "palisade_log",
            "virtual_hosts": [{"name": "engine", "domains": ["*"], "routes": [route]}],
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.grpc_http1_bridge",
                "typed_config": {"@type": f"{_HTTP_FILTERS}grpc_http1_bridge.v3.Config"},
            },
            _router(),
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": "palisade_log",
        "ignore_global_conn_limit": True,
        "address": {"pipe": {"path": str(run_dir / handover.SOCKET), "mode": 0o600}},
        "filter_chains": [{"filters": filters}],
    }


def _routes(protocol: Upstream) -> Json:
    # A function may answer for as long as it likes; `stream_idle_timeout` ends what is stuck.
    def to(cluster: str) -> Json:
        return {
            "cluster": cluster,
            "timeout": "0s",
            # Only what never reached the function is tried again: no request is ever carried out twice.
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream,reset-before-request",
                "num_retries": 2,
            },
        }

    first = {"http1": UPSTREAM, "http2": UPSTREAM_HTTP2, "auto": UPSTREAM}[protocol]
    routes = [{"match": {"prefix": "/"}, "route": to(first)}]
    if protocol == "auto":
        routes.insert(0, {"match": {"prefix": "/", "grpc": {}}, "route": to(UPSTREAM_HTTP2)})
    return {
        "name": "palisade",
        "request_headers_to_remove": [ASK_HEADER, CHUNKS_HEADER],
        "response_headers_to_remove": [ANSWER_HEADER],
        "virtual_hosts": [{"name": "function", "domains": ["*"], "routes": routes}],
    }


def _upstream_clusters(settings: Settings) -> list[Json]:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    most = min(10_000, most_connections(settings))
    limits = {"max_connections": most, "max_pending_requests": 10_000, "max_requests": 10_000}

    def cluster(name: str, explicit: Json) -> Json:
        return {
            "name": name,
            "type": "STATIC" if settings.upstream.is_ip else "STRICT_DNS",
            "connect_timeout": _seconds(settings.limits.upstream_connect),
            "circuit_breakers": {"thresholds": [limits]},
            "typed_extension_protocol_options": {
                options: {
                    "@type": _TYPE + options,
                    "explicit_http_config": explicit,
                    # Node and uvicorn close idle connections after 5 s: leave first, or a request may be
                    # sent on a connection that is being closed.
                    "common_http_protocol_options": {"idle_timeout": "4s"},
                }
            },
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _socket(settings.upstream)}}]}],
            },
        }

    return [
        cluster(UPSTREAM, {"http_protocol_options": {}}),
        cluster(UPSTREAM_HTTP2, {"http2_protocol_options": {}}),
    ]


def _socket(address: Address) -> Json:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _seconds(value: float) -> str:
    return f"{value:g}s"
