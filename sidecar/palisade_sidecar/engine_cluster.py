"""The way to the engine, over mTLS: a cluster for xDS and the access log, and one for residual decisions.

Both lead to the same address. The certificates come from files by SDS, so that Envoy takes renewed ones
without a restart:
https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/security/secret
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from palisade_sidecar.settings import CERTIFICATE, PRIVATE_KEY, TRUSTED_CA, Settings

Json = dict[str, Any]

ENGINE, RESIDUAL = "palisade_engine", "palisade_residual"
ENGINE_ID = "spiffe://palisade.local/engine"
_ENGINE_NAME, _RESIDUAL_NAME = "engine.palisade.local", "residual.engine.palisade.local"
"""The server names by which the engine knows which of its services is asked for."""
_TYPE = "type.googleapis.com/"
TLS = f"{_TYPE}envoy.extensions.transport_sockets.tls.v3."
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

CERTIFICATE_SECRET, CA_SECRET = "palisade_sidecar", "palisade_ca"


def grpc_service() -> Json:
    """A gRPC service of the engine; a stream that broke is opened again after 50 ms, at most 1 s."""
    backoff = {"base_interval": "0.05s", "max_interval": "1s"}
    return {"envoy_grpc": {"cluster_name": ENGINE, "retry_policy": {"retry_back_off": backoff}}}


def engine_cluster(settings: Settings) -> Json:
    """The cluster `palisade_engine`: HTTP/2 over TLS 1.3, the engine known by its SPIFFE ID."""
    # An engine whose machine vanished sends no RST: pings find it out. One that came back at the same address
    # answers the next ping with RST, so they are sent often. One that is busy, or stopped by its machine for
    # some seconds, is not dead: it has as long to answer as gRPC gives by default. Nothing waits meanwhile.
    pings = {"connection_keepalive": {"interval": "5s", "timeout": "20s"}}
    return {
        **_cluster(settings, ENGINE, _ENGINE_NAME, max_connections=1024),
        **_protocol({"explicit_http_config": {"http2_protocol_options": pings}}),
    }


def residual_cluster(settings: Settings) -> Json:
    """The cluster `palisade_residual`: gRPC's calls over HTTP/1.1, with the status in the trailers.

    docs/decisions/residual-over-http1.md says why.
    """
    options = {
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
        "common_http_protocol_options": {"idle_timeout": "300s"},
    }
    return {
        # Each request under way has a connection of its own; more of them would not be answered faster.
        **_cluster(settings, RESIDUAL, _RESIDUAL_NAME, max_connections=128),
        **_protocol(options),
        # What lies between may forget connections that say nothing for long.
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 10, "keepalive_interval": 5}
        },
    }


def _cluster(settings: Settings, name: str, server_name: str, *, max_connections: int) -> Json:
    endpoint = {"socket_address": {"address": settings.engine.host, "port_value": settings.engine.port}}
    return {
        "name": name,
        "type": "STATIC" if settings.engine.is_ip else "STRICT_DNS",
        # Where one connection fails, Envoy denies all requests that wait for one, those too that have just
        # come. An engine that compiles on a busy machine may be a second late for a handshake: how long to
        # wait for it is the question's own patience, of two seconds.
        "connect_timeout": "4s",
        # Above these Envoy would answer for the engine, and every residual request be denied.
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": max_connections, "max_pending_requests": 100_000, "max_requests": 100_000}
            ]
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": endpoint}}]}],
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _tls_context(settings.run_dir, server_name),
        },
    }


def _protocol(options: Json) -> Json:
    return {"typed_extension_protocol_options": {_OPTIONS: {"@type": _TYPE + _OPTIONS, **options}}}


def _tls_context(run_dir: Path, server_name: str) -> Json:
    return {
        "@type": f"{TLS}UpstreamTlsContext",
        "sni": server_name,
        "common_tls_context": {
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificate_sds_secret_configs": [sds_source(run_dir, CERTIFICATE_SECRET)],
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": ENGINE_ID}}]
                },
                "validation_context_sds_secret_config": sds_source(run_dir, CA_SECRET),
            },
        },
    }


def sds_source(run_dir: Path, name: str) -> Json:
    """Where Envoy takes a secret from: the SDS file of its name in the run folder."""
    source = {"path_config_source": {"path": str(run_dir / f"{name}.json")}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def secrets(settings: Settings) -> dict[str, Json]:
    """The SDS files to write into `run_dir`, by file name. They name the credentials and hold none."""
    folder = settings.credentials.absolute()
    # Envoy reads the files again when something is moved into the folder: a rename, or the symlink swap
    # by which Kubernetes renews a mounted secret.
    watched = {"path": str(folder)}
    certificate = {
        "certificate_chain": {"filename": str(folder / CERTIFICATE)},
        "private_key": {"filename": str(folder / PRIVATE_KEY)},
        "watched_directory": watched,
    }
    ca = {"trusted_ca": {"filename": str(folder / TRUSTED_CA)}, "watched_directory": watched}
    return {
        f"{CERTIFICATE_SECRET}.json": sds_file(CERTIFICATE_SECRET, {"tls_certificate": certificate}),
        f"{CA_SECRET}.json": sds_file(CA_SECRET, {"validation_context": ca}),
    }


def sds_file(name: str, content: Json) -> Json:
    """The content of an SDS file: one secret."""
    return {"resources": [{"@type": f"{TLS}Secret", "name": name, **content}]}
