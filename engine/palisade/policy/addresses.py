"""Addresses as people write them: `127.0.0.1:8081`, `orders.internal:80`, `[::1]:8081`; and hosts alone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

from palisade.policy.inventory import Address

T = TypeVar("T")

EXAMPLE = "127.0.0.1:8081"

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")


class AddressError(ValueError):
    """A text that is no address; `hint` says what would be."""

    def __init__(self, message: str, hint: str) -> None:
        self.hint = hint
        super().__init__(message)


def parse_address(text: str, lowest_port: int = 1) -> Address:
    """The address that `HOST:PORT` spells. Raises AddressError."""
    if "://" in text:
        bare = text.split("://", 1)[1].split("/", 1)[0]
        hint = f"write {bare}" if ":" in bare else f"write {bare}:80"
        raise AddressError(f"{text} is a URL, not an address", hint)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"'{text}' lacks a port", f"write {text}:8081")
    if not host:
        raise AddressError(f"'{text}' lacks a host", f"write 127.0.0.1{text}")
    if not port.isascii() or not port.isdigit() or not lowest_port <= int(port) <= 65535:
        raise AddressError(f"'{port}' is no port", f"write a number from {lowest_port} to 65535")
    return Address(_host(host, port), int(port))


def parse_host_pattern(text: str) -> str:
    """A host that policies may reach, in lower case: an IP address, a name, or `*.name` for those below.

    Raises AddressError.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    name = text.removeprefix("*.")
    if "*" in name:
        hint = "name each host, or *.example.com for all below one name"
        raise AddressError(f"'{text}' is no host: '*' stands at the front of a name only", hint)
    if len(name) <= 253 and _HOST.fullmatch(name) and not re.fullmatch(r"[\d.]+", name):
        return text.lower()
    near = re.fullmatch(r"(?:[a-z]+://)?((?:\*\.)?[\w.-]+)(?::\d+)?(?:/.*)?", text, re.IGNORECASE)
    right = near[1] if near and not re.fullmatch(r"[\d.]+", near[1]) else "api.example.com"
    raise AddressError(f"'{text}' is no host", f"write the name or IP address alone, such as {right}")


def collisions(bound: Iterable[tuple[T, Address]]) -> Iterator[tuple[T, T]]:
    """Of listeners that are to be bound in this order those that cannot be, each with the first that has its
    address. Port 0 is never the same port twice."""
    taken: dict[int, list[tuple[T, Address]]] = {}
    for what, address in bound:
        others = taken.setdefault(address.port, []) if address.port else []
        found = next((other for other, its in others if _collide(address.host, its.host)), None)
        if found is not None:
            yield what, found
        others.append((what, address))


def _collide(a: str, b: str) -> bool:
    return a == b or any(ipaddress.ip_address(host).is_unspecified for host in (a, b))


def _host(host: str, port: str) -> str:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        version = ipaddress.ip_address(bare).version
    except ValueError:
        looks_numeric = re.fullmatch(r"[\d.]+", bare) is not None
        if bare == host and not looks_numeric and len(host) <= 253 and _HOST.fullmatch(host):
            return host
        hint = f"write an IP address or a DNS name, such as {EXAMPLE}"
        raise AddressError(f"'{host}' is no host", hint) from None
    if version == 6 and bare == host:
        hint = f'put an IPv6 address into brackets: [{host}]:{port}, in quotes: "[::1]:80"'
        raise AddressError(f"'{host}:{port}' is ambiguous", hint)
    return bare
