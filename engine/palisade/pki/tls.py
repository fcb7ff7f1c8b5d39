"""Identities as contexts of the standard library's `ssl`, for servers that gRPC does not run."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from palisade.pki.identity import Identity
from palisade.pki.renewal import IdentitySource


class ServerContexts:
    """Contexts for a server that asks every client for a certificate of the same authority, by TLS 1.3."""

    def __init__(self, source: IdentitySource) -> None:
        self._source = source
        self._used: tuple[Identity, ssl.SSLContext] | None = None

    @property
    def current(self) -> ssl.SSLContext:
        """The context for a handshake now: a renewal takes no restart."""
        identity = self._source.current
        if self._used is None or self._used[0] is not identity:
            self._used = identity, _context(identity)
        return self._used[1]


def _context(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=identity.bundle.decode())
    # `ssl` takes a chain with its key from a file only. The folder is readable for this user alone.
    with tempfile.TemporaryDirectory(prefix="palisade-") as folder:
        file = Path(folder) / "identity.pem"
        file.touch(mode=0o600)
        file.write_bytes(identity.key + b"\n" + identity.certificate)
        context.load_cert_chain(file)
    return context
