"""Who calls, by the certificate that a caller has shown, as Envoy's ext_authz filter tells it to the engine.

That filter names the first URI among the certificate's alternative names, or else the first DNS name, or
else the subject; a name that is empty is none. This says the same in CEL, so that what a sidecar decides and
logs by itself is about the same caller: `%DOWNSTREAM_PEER_URI_SAN%` and Envoy's input for matchers join all
names by commas, which a name may hold too.
https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/auth/v3/attribute_context.proto
"""

from __future__ import annotations

from collections.abc import Iterable

NAMES = ("uri_san_peer_certificate", "dns_san_peer_certificate", "subject_peer_certificate")
"""The attributes of a connection that name the caller. The first that there is counts."""

OWN_NAMES = ("uri_san_local_certificate", "dns_san_local_certificate", "subject_local_certificate")
"""Those that name who is called, by the certificate that the sidecar has shown."""


def _first(names: Iterable[str]) -> str:
    uri, dns, subject = (f"connection.{name}" for name in names)
    return f"has({uri}) ? {uri} : has({dns}) ? {dns} : {subject}"


_URI, _DNS, _ = (f"connection.{name}" for name in NAMES)
_PRINCIPAL = _first(NAMES)

PRINCIPAL = f"%CEL({_PRINCIPAL})%"
"""The caller in a format of Envoy's; nothing where there is none."""

OWN_PRINCIPAL = f"%CEL({_first(OWN_NAMES)})%"
"""Who is called, in the same way."""

SPIFFE = "spiffe://"

_ID = f"{{0}}.startsWith('{SPIFFE}') ? {{0}} : ''"
SPIFFE_ID = f"%CEL(has({_URI}) ? ({_ID.format(_URI)}) : ({_ID.format(_DNS)}))%"
"""The caller where that is a SPIFFE ID; nothing otherwise. A subject begins with the name of an attribute."""

UNPRINTABLE = "(unprintable)"

LOGGED_PRINCIPAL = f"%CEL(({_PRINCIPAL}).matches('[[:cntrl:]]') ? '{UNPRINTABLE}' : ({_PRINCIPAL}))%"
"""The same for a line of a log, which a name with control characters must not end or divide."""
