"""What a client sends: a request and the token that it carries, as bytes for a connection or a curl line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from palisade.testing.equivalence.callers import Caller

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Token:
    """What a token says. `spoiled` breaks its signature; `foreign` is made for another audience; `named` is
    the algorithm of which its header speaks, where it was not signed by that."""

    provider: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    spoiled: bool = False
    foreign: bool = False
    named: str = ""


@dataclass(frozen=True)
class Request:
    """One request. `target` and the values of headers are sent as they are, in UTF-8.

    A surrogate escape (PEP 383) in a header's value is a byte that is no UTF-8. `source` is the address from
    which the connection comes. Over HTTP/2 (`http2`) headers may be `:authority`, `:scheme` and `:protocol`,
    beside which `host` is a header as any other, and `trailers` follow the body. `caller` shows a certificate
    to a function that asks for one; None shows none. `chunked` sends the body in chunks, of which HTTP/2 has
    none, and without its length.
    """

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    token: Token | None = None
    body: str = ""
    source: str = LOOPBACK
    http2: bool = False
    trailers: tuple[tuple[str, str], ...] = ()
    caller: Caller | None = None
    chunked: bool = False

    @property
    def protocol(self) -> str:
        """What it is counted as: gRPC apart from what else HTTP/2 carries."""
        if self.http2 and any(name == "content-type" and is_grpc(value) for name, value in self.headers):
            return "gRPC"
        return "HTTP/2" if self.http2 else "HTTP/1.1"


def is_grpc(content_type: str) -> bool:
    """Whether Envoy answers a request of this content type as gRPC asks: by a status of its own."""
    return content_type == "application/grpc" or content_type.startswith("application/grpc+")


def encoded(request: Request, carried: tuple[tuple[str, str], ...] = (), target: str = "") -> bytes:
    """The request as HTTP/1.1 sends it. `carried` are headers that carry its token; or `target` does."""
    headers = [*request.headers, *carried]
    names = {name.lower() for name, _ in headers}
    if "host" not in names:
        headers.insert(0, ("host", "localhost"))
    body = _raw(request.body)
    if request.chunked:
        headers.append(_CHUNKED)
        middle = len(body) // 2
        body = b"".join(
            b"%x\r\n%b\r\n" % (len(each), each) for each in (body[:middle], body[middle:]) if each
        )
        body += b"0\r\n\r\n"
    elif body and "content-length" not in names:
        headers.append(("content-length", str(len(body))))
    lines = [
        f"{request.method} {target or request.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return b"".join(_raw(line) + b"\r\n" for line in lines) + b"\r\n" + body


_CHUNKED = ("transfer-encoding", "chunked")


@dataclass(frozen=True, slots=True)
class Stream:
    """A request as HTTP/2 sends it: the fields of its head in their order, the body, and the trailers."""

    head: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()


def streamed(
    request: Request, carried: tuple[tuple[str, str], ...] = (), target: str = "", *, tls: bool = False
) -> Stream:
    """The request as HTTP/2 sends it; otherwise as `encoded`. No field tells the body's length."""
    headers = [*request.headers, *carried]
    given = {name: value for name, value in headers if name.startswith(":")}
    scheme = "https" if tls else "http"
    pseudo = {":method": request.method, ":scheme": scheme, ":path": target or request.target}
    if request.method == "CONNECT" and ":protocol" not in given:  # RFC 9113, section 8.5
        pseudo = {":method": request.method}
        given.pop(":scheme", None)
    if not any(name.lower() == "host" for name, _ in headers):
        pseudo[":authority"] = "localhost"
    fields = [*(pseudo | given).items(), *(each for each in headers if not each[0].startswith(":"))]
    return Stream(_fields(fields), _raw(request.body), _fields(request.trailers))


def _fields(headers: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((_raw(name), _raw(value)) for name, value in headers)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def curl(request: Request, host: str = "localhost:9080", *, tls: bool = False) -> str:
    """A line for a shell that sends the request to a sidecar at `host`; its token stands in $TOKEN, and with
    `tls` its certificate in caller.pem."""
    words = ["curl", "-i", "--path-as-is"]
    if tls:
        words += ["--insecure", "--http2" if request.http2 else "--http1.1"]
        words += ["--cert", "caller.pem", "--key", "caller-key.pem"] if request.caller else []
    elif request.http2:
        words.append("--http2-prior-knowledge")
    if request.method != "GET":
        words += ["-I"] if request.method == "HEAD" else ["-X", request.method]
    for name, value in _spellable(request):
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
    scheme = "https" if tls else "http"
    return f"{line} {_url(f'{scheme}://{host}{target}')}"


def _spellable(request: Request) -> list[tuple[str, str]]:
    """The headers as curl is told of them: what it is given as `host` it sends as `:authority`."""
    if not request.http2:
        return [*request.headers, *([_CHUNKED] if request.chunked else [])]
    named = any(name == ":authority" for name, _ in request.headers)
    found = [("host", value) if name == ":authority" else (name, value) for name, value in request.headers]
    return [
        each
        for each, (name, _) in zip(found, request.headers, strict=True)
        if not each[0].startswith(":") and not (named and name == "host")
    ]


def beyond_curl(request: Request) -> list[str]:
    """What the line of `curl` cannot say of the request, in words."""
    if not request.http2:
        return []
    names = [name for name, _ in request.headers]
    found = []
    if "host" in names:
        beside = "beside :authority" if ":authority" in names else "and no :authority"
        hosts = ", ".join(quoted(value) for name, value in request.headers if name == "host")
        found.append(f"with a field host: {hosts} {beside}")
    found += [f"with {name}: {quoted(value)}" for name, value in request.headers if name == ":scheme"]
    if names.count("cookie") > 1:
        found.append("with the cookies in fields of their own")
    found += [f"with the trailer {name}: {quoted(value)}" for name, value in request.trailers]
    return found


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
