"""Identities as gRPC credentials: both sides show a certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import grpc

from palisade.pki.identity import Identity
from palisade.pki.renewal import IdentitySource


def server_credentials(source: IdentitySource) -> grpc.ServerCredentials:
    """Credentials for a server that asks every client for a certificate of the same authority.

    Each handshake uses the identity of its moment: a renewal takes no restart.
    """
    used = source.current

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        identity = source.current
        if identity is used:
            return None
        used = identity
        return _configuration(identity)

    # None means that nothing changed (the documentation says so, the stubs do not).
    fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], changed)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(used), fetch, require_client_authentication=True
    )


def channel_credentials(identity: Identity) -> grpc.ChannelCredentials:
    """Credentials for a client, which checks the server's certificate against the identity's bundle."""
    return grpc.ssl_channel_credentials(identity.bundle, identity.key, identity.certificate)


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(identity.key, identity.certificate)], identity.bundle)
