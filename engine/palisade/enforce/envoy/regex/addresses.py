"""RE2 expressions for IPv4 addresses in text, as headers have them: whether they lie in a network."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from palisade.enforce.envoy.regex import patterns
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])"

CHARACTERS = "0123456789."
"""What an address consists of."""
IPV4 = "[.]".join([_OCTET] * 4)
"""The addresses that `net.cidr_contains` takes, of IPv4."""


def may_be(without: frozenset[str]) -> str:
    """All else that `net.cidr_contains` takes, of texts that have none of some characters: IPv6, networks."""
    known = "".join(each for each in "0123456789abcdefABCDEF.:/" if each not in without)
    marks = "".join(each for each in ":/" if each not in without)
    return f"[{known}]*[{marks}][{known}]*" if marks else patterns.NOTHING


@lru_cache(4096)
def network_of(ranges: object) -> IPv4Network | IPv6Network | None:
    """The network that a text names; None for what `net.cidr_contains` refuses."""
    try:
        if not isinstance(ranges, str) or BUILTINS["net.cidr_contains"].function(ranges, "10.0.0.1") is None:
            return None
    except BuiltinError:
        return None
    network = ip_network(ranges, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    # To Go's net package, and so to OPA, these are networks of IPv4.
    return (
        network if mapped is None or network.prefixlen < 96 else ip_network((mapped, network.prefixlen - 96))
    )


def inside(network: IPv4Network | IPv6Network) -> str:
    """The addresses of IPv4 in the network."""
    if isinstance(network, IPv6Network):
        return patterns.NOTHING
    whole, bits = divmod(network.prefixlen, 8)
    octets = list(network.network_address.packed)
    parts = [str(octet) for octet in octets[:whole]]
    if bits:
        first = octets[whole]
        parts.append(f"(?:{'|'.join(map(str, range(first, first + (1 << (8 - bits)))))})")
    parts += [_OCTET] * (4 - len(parts))
    return "[.]".join(parts)
