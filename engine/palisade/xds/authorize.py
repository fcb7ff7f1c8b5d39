"""Who may read a node's resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from palisade.xds.errors import denied

AuthContext = Mapping[str, Iterable[bytes]]
"""What the transport knows of the client: the properties of gRPC's `auth_context()`."""

_SPIFFE_ID: Final = "peer_spiffe_id"


class Authorizer(Protocol):
    """Decides, from the client's certificate, whether it may be a node. Raises StreamError where not."""

    def __call__(self, node_id: str, context: AuthContext, /) -> None: ...


def allow_all(node_id: str, context: AuthContext, /) -> None:
    """Trust every client. For servers that only trusted clients can reach, such as those of tests."""


class SpiffeAuthorizer:
    """A node is who its certificate says: `spiffe://<trust domain>/function/<node id>`.

    gRPC gives a SPIFFE ID only where the verified certificate has exactly one URI name, and a valid one:
    https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#2-spiffe-id
    """

    def __init__(self, trust_domain: str = "palisade.local") -> None:
        self._trust_domain = trust_domain

    def __call__(self, node_id: str, context: AuthContext, /) -> None:
        ids = [each.decode("utf-8", "replace") for each in context.get(_SPIFFE_ID, ())]
        expected = f"spiffe://{self._trust_domain}/function/{node_id}"
        if not ids:
            raise denied(f"no client certificate with a SPIFFE ID; node {node_id!r} has to show {expected}")
        if ids != [expected]:
            raise denied(f"the client certificate is for {ids[0]}; node {node_id!r} has to show {expected}")
