"""What reaches outside: refused unless the evaluation's `Network` names the host."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from palisade.rego.builtins.operands import string
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Set, Value


def is_listed(host: str, hosts: Iterable[str]) -> bool:
    """Whether a host is one of those, of which `*.example.com` are all below that."""
    name = host.rstrip(".").lower()
    for pattern in hosts:
        allowed = pattern.rstrip(".").lower()
        if name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:])):
            return True
    return False


def check_host(ctx: Context, host: str) -> None:
    """Raises a fatal BuiltinError for a host that the evaluation may not reach."""
    if not is_listed(host, ctx.network.hosts):
        raise BuiltinError(f"unallowed host: {host}: add it to the hosts that policies may reach", fatal=True)


@builtin("net.lookup_ip_addr")
def lookup_ip_addr(ctx: Context, name: Value) -> Set:
    """The addresses of a host, IPv4 and IPv6."""
    host = string(name, 1)
    check_host(ctx, host)
    cached = ctx.cache.get(("net.lookup_ip_addr", host))
    if cached is None:
        try:
            found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError) as error:
            raise BuiltinError(f"lookup {host}: {error}") from error
        cached = Set(str(address[0]) for *_, address in found)
        ctx.cache["net.lookup_ip_addr", host] = cached
    return cached


@builtin("http.send")
def http_send(ctx: Context, request: Value) -> Value:
    """The response to a request; the same request is sent once in a query.

    The object's parameters are OPA's: https://www.openpolicyagent.org/docs/latest/policy-reference/builtins/http
    """
    from palisade.rego.builtins import http_client  # which takes a while to load

    return http_client.send(ctx, request)
