"""The headers of a request as a sidecar's Envoy hands them on, before anything else looks at them.

Its settings are those of docs/decisions/static-listener.md: what a client says of its address, its scheme and
the request's id is not believed, and what belongs to a connection stays with it. A test holds it to a real
Envoy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

ID = "x-request-id"
PROTO = "x-forwarded-proto"
FOR = "x-forwarded-for"
CLIENT = "x-envoy-external-address"

_OF_A_CONNECTION = frozenset(("connection", "keep-alive", "proxy-connection"))
"""RFC 9110, section 7.6.1."""

_ACTED_ON = (
    *("decorator-operation", "downstream-service-cluster", "downstream-service-node", "force-trace"),
    *("expected-rq-timeout-ms", "hedge-on-per-try-timeout", "internal", "ip-tags", "max-retries"),
    *("original-host", "original-path", "original-url", "retriable-header-names", "retriable-status-codes"),
    *("retry-grpc-on", "retry-on", "upstream-alt-stat-name", "upstream-rq-per-try-timeout-ms"),
    *("upstream-rq-timeout-alt-response", "upstream-rq-timeout-ms", "upstream-stream-duration-ms"),
)
_TAKEN_OUT = _OF_A_CONNECTION | {"x-forwarded-client-cert", *(f"x-envoy-{name}" for name in _ACTED_ON)}

_OWN = _TAKEN_OUT | {ID, CLIENT}


def is_for_clients(name: str, *, behind: bool = False) -> bool:
    """Whether a client says what policies see of a header; `behind` trusted proxies they may say more."""
    return name not in _OWN and "_" not in name and (behind or name != PROTO)


def arriving(
    headers: Mapping[str, str], notes: list[str], *, scheme: str, trusted_hops: int = 0, source: str = ""
) -> dict[str, str]:
    """The headers that policies see of those that a client sends, which are in lower case and joined.

    `scheme` is the connection's, and `source` the address it comes from, empty where that is not known. The
    `notes` get what should be said of it.
    """
    found = dict(headers)
    for name in list(found):
        if "_" in name:
            notes.append(f"the sidecar drops headers with an underscore, so nobody sees {name}")
            del found[name]
    for name in list(_left_out(found)):
        notes.append(f"the sidecar takes {name} out of what a client sends, so no policy sees it")
        del found[name]
    if "te" in found:
        found["te"] = "trailers"
    if ID in found:
        notes.append(f"the sidecar makes {ID} anew, whatever a client sends")
    found[ID] = _NO_ID
    if not (trusted_hops and PROTO in found):
        if found.get(PROTO, scheme) != scheme:
            notes.append(f"{PROTO} is the connection's own, {scheme}, where trusted_hops is 0")
        found[PROTO] = scheme
    return _with_addresses(found, notes, trusted_hops, source)


_NO_ID = "00000000-0000-4000-8000-000000000000"
"""An id in Envoy's form, of no request."""


def _left_out(headers: Mapping[str, str]) -> Iterator[str]:
    options = {each.strip().lower() for each in headers.get("connection", "").split(",")}
    named = options - {"upgrade"}
    for name in headers:
        if name == "te":
            kept = "trailers" in {each.strip().lower() for each in headers["te"].split(",")}
        elif name == "connection":
            kept = "upgrade" in options
        else:
            kept = name not in _TAKEN_OUT and name not in named
        if not kept:
            yield name


def _with_addresses(headers: dict[str, str], notes: list[str], hops: int, source: str) -> dict[str, str]:
    """With whom the request comes from, by the connection and by the proxies before it."""
    before = headers.get(FOR, "")
    known = [each.strip() for each in before.split(",")] if before else []
    client = known[-hops] if 0 < hops <= len(known) else source
    if headers.pop(CLIENT, client) != client:
        notes.append(f"the sidecar makes {CLIENT} itself, whatever a client sends")
    if client:
        headers[CLIENT] = client
    if source and not ipaddress.ip_address(source).is_loopback:
        headers[FOR] = f"{before},{source}" if before else source
    elif before:
        notes.append(
            f"the sidecar adds its own address to {FOR}"
            if source
            else f"the sidecar adds the connection's address to {FOR}: name it by --source"
        )
    return headers
