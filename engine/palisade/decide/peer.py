"""Which function's sidecar is at the other end of a gRPC connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FUNCTION_ID = "spiffe://palisade.local/function/"
"""What the SPIFFE ID of a sidecar starts with; the function's name follows."""

_SANS = "x509_subject_alternative_name"


def function_of(auth_context: Mapping[str, Iterable[bytes]]) -> str | None:
    """The function that a verified client certificate names; "" if none, None without a certificate."""
    names = auth_context.get(_SANS)
    if names is None:
        return None
    for name in names:
        text = name.decode("utf-8", "replace")
        if text.startswith(FUNCTION_ID):
            return text[len(FUNCTION_ID) :]
    return ""
