"""The way to the engine: one cluster over mTLS for xDS, residual decisions and the access log.

The certificates come from files by SDS, so that Envoy takes renewed ones without a restart:
https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/security/secret
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from palisade_sidecar.settings import CERTIFICATE, PRIVATE_KEY, TRUSTED_CA, Settings

Json = dict[str, Any]

ENGINE = "palisade_engine"
ENGINE_ID = "spiffe://palisade.local/engine"
_SNI = "engine.palisade.local"
_TYPE = "type.googleapis.com/"
_TLS = f"{_TYPE}envoy.extensions.transport_sockets.tls.v3."
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

CERTIFICATE_SECRET, CA_SECRET = "palisade_sidecar", "palisade_ca"


def grpc_service() -> Json:
    """A gRPC service of the engine; a stream that broke is opened again after 50 ms, at most 1 s."""
    backoff = {"base_interval": "0.05s", "max_interval": "1s"}
    return {"envoy_grpc": {"cluster_name": ENGINE, "retry_policy": {"retry_back_off": backoff}}}


def engine_cluster(settings: Settings) -> Json:
    """The cluster `palisade_engine`: HTTP/2 over TLS 1.3, the engine known by its SPIFFE ID."""
    endpoint = {"socket_address": {"address": settings.engine.host, "port_value": settings.engine.port}}
    return {
        "name": ENGINE,
        "type": "STATIC" if settings.engine.is_ip else "STRICT_DNS",
        "connect_timeout": "1s",
        # Above these Envoy would answer for the engine, and every residual request be denied.
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": 1024, "max_pending_requests": 100_000, "max_requests": 100_000}
            ]
        },
        "typed_extension_protocol_options": {
            _OPTIONS: {
                "@type": _TYPE + _OPTIONS,
                "explicit_http_config": {
                    "http2_protocol_options": {
                        # An engine whose machine vanished sends no RST: pings find it out.
                        "connection_keepalive": {"interval": "5s", "timeout": "3s"}
                    }
                },
            }
        },
        "load_assignment": {
            "cluster_name": ENGINE,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": endpoint}}]}],
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _tls_context(settings.run_dir),
        },
    }


def _tls_context(run_dir: Path) -> Json:
    return {
        "@type": f"{_TLS}UpstreamTlsContext",
        "sni": _SNI,
        "common_tls_context": {
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificate_sds_secret_configs": [_secret(run_dir, CERTIFICATE_SECRET)],
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": ENGINE_ID}}]
                },
                "validation_context_sds_secret_config": _secret(run_dir, CA_SECRET),
            },
        },
    }


def _secret(run_dir: Path, name: str) -> Json:
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
        f"{CERTIFICATE_SECRET}.json": _resource(CERTIFICATE_SECRET, {"tls_certificate": certificate}),
        f"{CA_SECRET}.json": _resource(CA_SECRET, {"validation_context": ca}),
    }


def _resource(name: str, content: Json) -> Json:
    return {"resources": [{"@type": f"{_TLS}Secret", "name": name, **content}]}
