"""A small certificate authority: short-lived certificates with SPIFFE IDs for the engine and the sidecars.

    authority = Authority.open(Path("state/pki"))
    source = IdentitySource(lambda: authority.issue_engine(dns_names=["engine"]))
    server.add_secure_port("[::]:18000", server_credentials(source))
    authority.issue_function("hello").save(Path("certificates/hello"))

It imports nothing else of palisade.
"""

from palisade.pki.authority import Authority, AuthorityError
from palisade.pki.credentials import channel_credentials, server_credentials
from palisade.pki.identity import Identity, engine_id, function_id
from palisade.pki.renewal import IdentitySource, keep_fresh
from palisade.pki.secrets import certificate_secret, validation_secret
from palisade.pki.tls import ServerContexts

__all__ = [
    "Authority",
    "AuthorityError",
    "Identity",
    "IdentitySource",
    "ServerContexts",
    "certificate_secret",
    "channel_credentials",
    "engine_id",
    "function_id",
    "keep_fresh",
    "server_credentials",
    "validation_secret",
]
