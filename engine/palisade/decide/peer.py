"""Which function's sidecar is at the other end of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FUNCTION_ID = "spiffe://palisade.local/function/"
"""What the SPIFFE ID of a sidecar starts with; the function's name follows."""

_SANS = "x509_subject_alternative_name"


def function_of(auth_context: Mapping[str, Iterable[bytes]]) -> str | None:
    """The function that a verified client certificate names; "" if none, None without a certificate."""
    names = auth_context.get(_SANS)
    if names is None:
        return None
    return _named(name.decode("utf-8", "replace") for name in names)


def function_of_certificate(certificate: Mapping[str, Any]) -> str:
    """The function that a verified certificate names, as `ssl.SSLSocket.getpeercert` gives it; "" if none."""
    return _named(name for kind, name in certificate.get("subjectAltName", ()) if kind == "URI")


def _named(names: Iterable[str]) -> str:
    return next((name[len(FUNCTION_ID) :] for name in names if name.startswith(FUNCTION_ID)), "")
