"""Networks and addresses, as https://pkg.go.dev/net reads and writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from palisade.rego.builtins.budget import check_deadline, check_size
from palisade.rego.builtins.operands import string
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Set, Value, key, sorted_keys, sorted_values

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network

_PREFIX = re.compile(r"[0-9]{1,3}")
_MAPPED = IPv6Network("::ffff:0:0/96")


@builtin("net.cidr_is_valid", pure=True)
def cidr_is_valid(cidr: Value) -> bool:
    """Whether the string is an address with a prefix length; false for what is no string."""
    return type(cidr) is str and _parse_cidr(cidr) is not None


@builtin("net.cidr_contains", pure=True)
@builtin("net.cidr_overlap", pure=True)
def cidr_contains(cidr: Value, cidr_or_ip: Value) -> bool:
    """Whether the address, or the whole of the other network, lies in the network."""
    network = _network(cidr)
    text = string(cidr_or_ip, 1)
    address = parse_ip(text)
    if address is not None:
        return address.version == network.version and address in network
    inner = _parse_cidr(text)
    if inner is None:
        raise BuiltinError(f"not a valid textual representation of an IP address or CIDR: {text}")
    return _is_subnet(inner, network)


@builtin("net.cidr_intersects", pure=True)
def cidr_intersects(cidr1: Value, cidr2: Value) -> bool:
    first, second = _network(cidr1), _network(cidr2)
    return first.version == second.version and first.overlaps(second)


@builtin("net.cidr_contains_matches")
def cidr_contains_matches(ctx: Context, cidrs: Value, cidrs_or_ips: Value) -> Set:
    """The pairs of what names a network and what names an address or network that lies in it.

    A string names itself, an array's element has its index, a set's member itself, an object's value its key.
    """
    networks = list(_named(cidrs, 1))
    inner = list(_named(cidrs_or_ips, 2)) if networks else []
    found = Set()
    for cidr, outer in networks:
        check_deadline(ctx, "timed out before all pairs were compared")
        found.forms.update(key([outer, name]) for ip, name in inner if cidr_contains(cidr, ip))
    return found


def _named(operand: Value, position: int) -> Iterator[tuple[Value, Value]]:
    kind = type(operand)
    if kind is str:
        yield operand, operand
    elif kind is list:
        yield from ((_cidr_of(element, position), index) for index, element in enumerate(operand))
    elif kind is Set:
        yield from ((_cidr_of(member, position), member) for member in sorted_values(operand))
    elif kind is dict:
        yield from ((_cidr_of(operand[key(name)], position), name) for name in sorted_keys(operand))


def _cidr_of(element: Value, position: int) -> Value:
    if type(element) is str:
        return element
    if type(element) is list and element:
        return element[0]
    raise BuiltinError(f"operand {position}: element must be string or non-empty array")


@builtin("net.cidr_expand", pure=True)
def cidr_expand(cidr: Value) -> Set:
    """All addresses of the network, its own and the broadcast address too."""
    network = _network(cidr)
    check_size(network.num_addresses)
    return Set(map(str, network))


@builtin("net.cidr_merge", pure=True)
def cidr_merge(addrs: Value) -> Set:
    """The fewest networks that cover the given ones and no more. To Go, those of IPv4 are some of IPv6."""
    if type(addrs) is Set:
        addrs = sorted_values(addrs)
    elif type(addrs) is not list:
        raise BuiltinError("operand must be an array")
    given = [_mergeable(each) for each in addrs]
    four = [network for network, _ in given if isinstance(network, IPv4Network)]
    six = [network for network, _ in given if isinstance(network, IPv6Network)]
    result: list[str] = []
    wide = [each for each in six if _MAPPED.subnet_of(each)]
    networks: list[_Network] = [*(() if wide else collapse_addresses(four)), *collapse_addresses(six)]
    for merged in networks:
        sources = [shown for network, shown in given if _is_subnet(network, merged)]
        result.append(sources[0] if len(sources) == 1 else str(merged))
    return Set(result)


def _mergeable(element: Value) -> tuple[_Network, str]:
    """The network, and how OPA shows it as long as it is merged with no other."""
    if type(element) is not str:
        raise BuiltinError("element must be string")
    address = parse_ip(element)
    if address is None:
        network = _network(element)
        return network, str(network)
    if isinstance(address, IPv6Address):
        raise BuiltinError("IPv6 invalid: needs prefix length")
    # Go gives a plain address the mask of its class, and leaves its host bits where they are.
    first = address.packed[0]
    prefix = 8 if first < 128 else 16 if first < 192 else 24
    return ip_network((address, prefix), strict=False), f"{address}/{prefix}"


def _network(cidr: Value) -> _Network:
    text = string(cidr, 1)
    network = _parse_cidr(text)
    if network is None:
        raise BuiltinError(f"invalid CIDR address: {text}")
    return network


@lru_cache(maxsize=4096)
def _parse_cidr(text: str) -> _Network | None:
    host, separator, prefix = text.partition("/")
    if not separator or not _PREFIX.fullmatch(prefix) or "%" in host:
        return None
    try:
        network = ip_network((host, int(prefix)), strict=False)
    except ValueError:
        return None
    if network.version == 6 and network.prefixlen >= 96 and network.network_address in _MAPPED:
        mapped = IPv6Address(network.network_address).ipv4_mapped
        return ip_network((mapped, network.prefixlen - 96)) if mapped is not None else network
    return network


@lru_cache(maxsize=4096)
def parse_ip(text: str) -> _Address | None:
    """The address. One of the form ::ffff:1.2.3.4 is the IPv4 address to Go, and one with a zone is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def _is_subnet(inner: _Network, outer: _Network) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and inner.network_address in outer
    )
