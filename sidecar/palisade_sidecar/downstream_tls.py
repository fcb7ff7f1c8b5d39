"""TLS between callers and the sidecar: the listener's transport socket, and where its certificates are.

They come from files by SDS, as the sidecar's own do (`engine_cluster`). Those of the sidecar are watched by
Envoy; files that a user names may change in any way, so the sidecar watches them (`tls_files`) and tells
Envoy by a rename in `NOTICES`. docs/decisions/peer-identity.md says why.
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/transport_sockets/tls/v3/tls.proto
"""

from __future__ import annotations

from typing import Any

from palisade_sidecar.engine_cluster import CA_SECRET, CERTIFICATE_SECRET, TLS, sds_file, sds_source
from palisade_sidecar.settings import Settings, Tls

Json = dict[str, Any]

NOTICES = "tls"
"""The folder in the run folder in which a rename has Envoy read a user's files again."""

SERVER_SECRET, CLIENTS_SECRET = "palisade_tls", "palisade_clients"

HANDSHAKE = "10s"
"""How long a handshake may take."""


def transport_socket(settings: Settings, tls: Tls) -> Json:
    """What the listener's filter chain has for TLS."""
    asked = tls.client_certificate != "none"
    common: Json = {
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_2",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [
            sds_source(settings.run_dir, SERVER_SECRET if tls.certificate else CERTIFICATE_SECRET)
        ],
    }
    context: Json = {"@type": f"{TLS}DownstreamTlsContext", "common_tls_context": common}
    if asked:
        common["validation_context_sds_secret_config"] = sds_source(
            settings.run_dir, CLIENTS_SECRET if tls.client_ca else CA_SECRET
        )
        context["require_client_certificate"] = tls.client_certificate == "required"
        # A session that is resumed is not verified again: it would outlive the certificate of its caller.
        context["disable_stateless_session_resumption"] = True
        context["disable_stateful_session_resumption"] = True
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def tls_secrets(settings: Settings) -> dict[str, Json]:
    """The SDS files for what a user named, by file name; none where the sidecar's own serve."""
    tls = settings.tls
    files: dict[str, Json] = {}
    if tls is None:
        return files
    watched = {"path": str(settings.run_dir / NOTICES)}
    if tls.certificate is not None and tls.key is not None:
        certificate = {
            "certificate_chain": {"filename": str(tls.certificate.absolute())},
            "private_key": {"filename": str(tls.key.absolute())},
            "watched_directory": watched,
        }
        files[f"{SERVER_SECRET}.json"] = sds_file(SERVER_SECRET, {"tls_certificate": certificate})
    if tls.client_ca is not None:
        ca = {"trusted_ca": {"filename": str(tls.client_ca.absolute())}, "watched_directory": watched}
        files[f"{CLIENTS_SECRET}.json"] = sds_file(CLIENTS_SECRET, {"validation_context": ca})
    return files
