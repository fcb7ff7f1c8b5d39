"""Identities as Envoy's secrets, for the secret discovery service.

Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2
from envoy.type.matcher.v3 import string_pb2

from palisade.pki.identity import Identity


def certificate_secret(identity: Identity, name: str) -> secret_pb2.Secret:
    """The certificate and the key, as the secret `name`."""
    secret = secret_pb2.Secret(name=name)
    secret.tls_certificate.certificate_chain.inline_bytes = identity.certificate
    secret.tls_certificate.private_key.inline_bytes = identity.key
    return secret


def validation_secret(
    identity: Identity, name: str, *, peers: Iterable[string_pb2.StringMatcher] = ()
) -> secret_pb2.Secret:
    """Whom to trust, as the secret `name`: the authority's peers, if their SPIFFE ID matches one of `peers`.

    Without `peers` everybody with a certificate of the authority is trusted.
    """
    secret = secret_pb2.Secret(name=name)
    secret.validation_context.trusted_ca.inline_bytes = identity.bundle
    for peer in peers:
        secret.validation_context.match_typed_subject_alt_names.add(
            san_type=common_pb2.SubjectAltNameMatcher.URI, matcher=peer
        )
    return secret
