"""What a client sends: a request and the token that it carries, as bytes for a connection or a curl line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Token:
    """What a token says. `spoiled` breaks its signature; `foreign` is made for another audience."""

    provider: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    spoiled: bool = False
    foreign: bool = False


@dataclass(frozen=True)
class Request:
    """One request. `target` and the values of headers are sent as they are, in UTF-8.

    A surrogate escape (PEP 383) in a header's value is a byte that is no UTF-8. `source` is the address from
    which the connection comes.
    """

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    token: Token | None = None
    body: str = ""
    source: str = LOOPBACK


def encoded(request: Request, carried: tuple[tuple[str, str], ...] = (), target: str = "") -> bytes:
    """The request as HTTP/1.1 sends it. `carried` are headers that carry its token; or `target` does."""
    headers = [*request.headers, *carried]
    names = {name.lower() for name, _ in headers}
    if "host" not in names:
        headers.insert(0, ("host", "localhost"))
    body = _raw(request.body)
    if body and "content-length" not in names:
        headers.append(("content-length", str(len(body))))
    lines = [
        f"{request.method} {target or request.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return b"".join(_raw(line) + b"\r\n" for line in lines) + b"\r\n" + body


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def curl(request: Request, host: str = "localhost:9080") -> str:
    """A line for a shell that sends the request to a sidecar at `host`; its token stands in $TOKEN."""
    words = ["curl", "-i", "--path-as-is"]
    if request.method != "GET":
        words += ["-I"] if request.method == "HEAD" else ["-X", request.method]
    for name, value in request.headers:
        # "name;" is how curl spells a header without a value.
        words += ["-H", f"{name}: {value}" if value else f"{name};"]
    line = " ".join(map(quoted, words))
    if request.token is not None:
        line += ' -H "authorization: Bearer $TOKEN"'
    if request.body:
        line += " --data-binary " + quoted(request.body)
    target = request.target if request.target.startswith("/") else "/"
    if target != request.target:
        line += " --request-target " + quoted(request.target)
    return f"{line} {_url(f'http://{host}{target}')}"


def _url(url: str) -> str:
    # curl would take brackets and braces for patterns of many URLs.
    globs = " --globoff" if set(url) & set("[]{}") else ""
    return quoted(url) + globs


def quoted(text: str) -> str:
    """The text as a word of a shell; with bytes that a terminal would not show as bash and zsh spell them."""
    if text.isprintable():
        return shlex.quote(text)
    raw = _raw(text).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return "$'" + "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in raw) + "'"
