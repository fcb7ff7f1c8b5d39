"""URIs taken apart, as Go's https://pkg.go.dev/net/url#Parse does it, on which OPA's `uri.*` stand."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

from palisade.rego.builtins.operands import from_bytes, string, to_bytes
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import quote
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value


@builtin("uri.parse", pure=True)
def uri_parse(uri: Value) -> dict[str, str]:
    """What it has of `scheme`, `hostname`, `port`, `path`, `raw_path`, `raw_query` and `fragment`."""
    text = string(uri, 1)
    try:
        parts = _parse(text)
    except _WrongError as wrong:
        raise BuiltinError(f"parse {quote(text)}: {wrong}") from wrong
    return {name: part for name, part in parts.items() if part}


@builtin("uri.is_valid", pure=True)
def uri_is_valid(uri: Value) -> bool:
    if type(uri) is not str or not uri:  # which `uri.parse` takes all the same
        return False
    try:
        _parse(uri)
    except _WrongError:
        return False
    return True


def scheme_of(text: str) -> str | None:
    """The scheme, which may be missing; None where Go takes it for no URL."""
    try:
        return _parse(text)["scheme"]
    except _WrongError:
        return None


def path_of(text: str) -> str | None:
    """The path of a URL, decoded; None where Go takes it for none."""
    try:
        return _parse(text)["path"]
    except _WrongError:
        return None


def url_tree(text: str) -> dict[str, Value]:
    """As Go's encoder writes a URL. Raises BuiltinError."""
    try:
        parts = _parse(text)
    except _WrongError as wrong:
        raise BuiltinError(f"parse {quote(text)}: {wrong}") from wrong
    rest, _, fragment = text.partition("#")
    scheme, rest = _scheme(rest)
    rest, mark, query = rest.partition("?")
    is_opaque = bool(scheme) and not rest.startswith("/")
    has_host = not is_opaque and rest.startswith("//") and bool(scheme or not rest.startswith("///"))
    authority, slash, behind = rest[2:].partition("/") if has_host else ("", "", rest)
    path, raw = ("", "") if is_opaque else (parts["path"], slash + behind)
    _, at, host = authority.rpartition("@")
    return {
        "Scheme": scheme,
        "Opaque": rest if is_opaque else "",
        "User": {} if at else None,
        "Host": _unescape(host),
        "Path": path,
        "RawPath": "" if raw == _as_go_escapes(path) else raw,
        "OmitHost": bool(scheme) and rest.startswith("/") and not has_host,
        "ForceQuery": bool(mark) and not query,
        "RawQuery": query,
        "Fragment": parts["fragment"],
        "RawFragment": "" if fragment == _as_go_escapes(parts["fragment"], "?!()*") else fragment,
    }


class _WrongError(Exception):
    """Go's message of what is wrong."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_WRONG_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_ASCII_IN_HOST = re.compile(r"%(?!25)[0-7][0-9A-Fa-f]")
_NOT_IN_HOST = re.compile(r"[^A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::[0-9]*)?")


def _parse(text: str) -> dict[str, str]:
    rest, _, fragment = text.partition("#")
    if _CONTROL.search(rest):
        raise _WrongError("net/url: invalid control character in URL")
    scheme, rest = _scheme(rest)
    rest, _, query = rest.partition("?")
    hostname = port = ""
    if not rest.startswith("/"):
        if scheme:
            rest = ""  # it is opaque, which OPA's answer has no name for
        elif ":" in rest.partition("/")[0]:
            raise _WrongError("first path segment in URL cannot contain colon")
    elif rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, rest = rest[2:].partition("/")
        hostname, port = _authority(authority, scheme)
        rest = slash + rest
    path = _unescape(rest)
    return {
        "scheme": scheme,
        "hostname": hostname,
        "port": port,
        "path": path,
        "raw_path": path if rest == _as_go_escapes(path) else rest,
        "raw_query": query,
        "fragment": _unescape(fragment),
    }


def _as_go_escapes(path: str, more: str = "") -> str:
    """Go keeps a path as it was written only where that is not how it would write it."""
    return quote_from_bytes(to_bytes(path), safe=f"$&+,/:;=@~{more}")


def _scheme(text: str) -> tuple[str, str]:
    if text.startswith(":"):
        raise _WrongError("missing protocol scheme")
    found = _SCHEME.fullmatch(text)
    return (found[1].lower(), found[2]) if found else ("", text)


def _authority(text: str, scheme: str) -> tuple[str, str]:
    """The host and the port."""
    user, _, host = text.rpartition("@")
    if not _USER.fullmatch(user):
        raise _WrongError("net/url: invalid userinfo")
    for part in user.split(":", 1):
        _unescape(part)
    if host.startswith("["):
        inside, bracket, port = host[1:].rpartition("]")
        if not bracket:
            raise _WrongError("missing ']' in host")
        host = _literal(inside, port)
    else:
        if "[" in host:
            raise _WrongError("invalid IP-literal")
        # Go is strict about a second colon only where it knows the scheme.
        at = host.find(":") if scheme in ("http", "https") else host.rfind(":")
        port = host[at:] if at >= 0 else ""
        host = host.removesuffix(port)
        _check_port(port)
        host = _in_host(host)
    return host, port[1:]


def _check_port(port: str) -> None:
    if not _PORT.fullmatch(port):
        raise _WrongError(f"invalid port {quote(port)} after host")


def _literal(inside: str, port: str) -> str:
    """An IPv6 address, which stood in brackets; its zone may have any character escaped."""
    _check_port(port)
    address, percent, zone = inside.partition("%25")
    found = _in_host(address) + (f"%{_unescape(zone)}" if percent else "")
    try:
        ipaddress.IPv6Address(found)
    except ValueError as wrong:
        raise _WrongError(f"invalid host: {wrong}") from wrong
    return found


def _in_host(text: str) -> str:
    wrong = _WRONG_ESCAPE.search(text) or _ASCII_IN_HOST.search(text)
    if wrong:
        raise _WrongError(f"invalid URL escape {quote(wrong[0])}")
    strange = _NOT_IN_HOST.search(text)
    if strange:
        raise _WrongError(f"invalid character {quote(strange[0])} in host name")
    return _unescape(text)


def _unescape(text: str) -> str:
    wrong = _WRONG_ESCAPE.search(text)
    if wrong:
        raise _WrongError(f"invalid URL escape {quote(wrong[0])}")
    return from_bytes(unquote_to_bytes(to_bytes(text)))
