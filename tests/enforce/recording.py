"""What a function gets of each request, byte by byte, and the input that a policy would have of that: by code
of its own, so that it shares no mistake with the engine's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from stand import Stand

from palisade.rego.text import loads
from palisade.testing.equivalence.http2 import Http2Connection
from palisade.testing.equivalence.requests import Stream

_SECONDS = 20.0
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Got:
    """A request as the function got it, over HTTP/1.1."""

    method: str
    target: str
    headers: tuple[tuple[str, bytes], ...]
    body: bytes

    def named(self, name: str) -> bytes | None:
        values = [value for each, value in self.headers if each == name]
        return b",".join(values) if values else None


class Recording(Stand):
    """A stand whose function keeps all that it gets, and whose client sends bytes as they are."""

    def __init__(self) -> None:
        super().__init__()
        self._got: list[Got] = []

    def exchange(self, raw: bytes | Stream, answers: int = 1) -> list[Got]:
        """Sends a request, or bytes that make up some, on a connection of its own, and waits for so many
        answers, or its end. What the function got of them."""
        return self._run(self._exchange(raw, answers))

    async def _exchange(self, raw: bytes | Stream, answers: int) -> list[Got]:
        self._got.clear()
        async with asyncio.timeout(_SECONDS):
            await (self._over_http1(raw, answers) if isinstance(raw, bytes) else self._over_http2(raw))
        return list(self._got)

    async def _over_http1(self, raw: bytes, answers: int) -> None:
        reader, writer = await asyncio.open_connection(self._listen.host, self._listen.port)
        try:
            writer.write(raw)
            for _ in range(answers):
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 100"):
                    head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"\r\ncontent-length: (\d+)", head)
                bodiless = raw.startswith(b"HEAD ") or length is None
                await reader.readexactly(0 if bodiless or length is None else int(length[1]))
        except EOFError:
            pass  # Envoy has ended the connection, behind a request that is none
        finally:
            writer.close()

    async def _over_http2(self, request: Stream) -> None:
        loop = asyncio.get_running_loop()
        where = self._listen.host, self._listen.port
        _, connection = await loop.create_connection(lambda: Http2Connection(b""), *where)
        try:
            await connection.send(request)
        finally:
            connection.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
                method, target, version = first.split(b" ")
                assert version == b"HTTP/1.1"
                pairs = [line.split(b":", 1) for line in lines]
                headers = tuple((name.decode().lower(), value.strip(b" \t")) for name, value in pairs)
                body = await _body(reader, headers)
                self._got.append(Got(method.decode(), target.decode("latin-1"), headers, body))
                only_head = self.reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                writer.write(only_head if method == b"HEAD" else self.reply)
                await writer.drain()
        except (EOFError, OSError):
            pass
        finally:
            writer.close()


async def _body(reader: asyncio.StreamReader, headers: Sequence[tuple[str, bytes]]) -> bytes:
    lengths = [value for name, value in headers if name == "content-length"]
    codings = [value for name, value in headers if name == "transfer-encoding"]
    assert len(lengths) + len(codings) < 2, headers
    if not codings:
        return await reader.readexactly(int(lengths[0])) if lengths else b""
    assert codings == [b"chunked"]
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


class NoInputError(ValueError):
    """Of such a request OPA-Envoy makes no input, and denies it."""


def input_of(got: Got, protocol: str, *, reads_body: bool) -> Any:
    """The input of a request: what the page "How a request is spelled" and OPA-Envoy say of it. Raises
    NoInputError. Where a policy reads no body, what that holds is nothing to it."""
    headers = {name: (got.named(name) or b"").decode("utf-8", "replace") for name, _ in got.headers}
    host = headers.pop("host", "")
    for name in ("transfer-encoding", "x-request-id"):
        headers.pop(name, None)
    path, _, query = got.target.partition("?")
    if _BAD_ESCAPE.search(path):
        raise NoInputError("path")
    http: dict[str, Any] = {
        "method": got.method,
        "path": got.target,
        "headers": headers | {":path": got.target, ":method": got.method, ":authority": host},
        "protocol": protocol,
        "scheme": "http",
    }
    http |= {"host": host} if host else {}
    with suppress(UnicodeDecodeError):  # what is no text stands in rawBody, which no policy here asks for
        http |= {"body": got.body.decode()} if got.body else {}
    parsed = _parsed(headers.get("content-type", ""), got.body) if reads_body else None
    return {
        "attributes": {"request": {"http": http}},
        "parsed_path": _unquoted(path).lstrip("/").split("/"),
        "parsed_query": _pairs(query, strict=False),
        "parsed_body": parsed,
        "truncated_body": False,
        "function": "orders",
    }


def _parsed(kind: str, body: bytes) -> Any:
    if not body:
        return None
    text = body.decode("utf-8", "surrogateescape")
    if "application/json" in kind:
        try:
            return loads(re.sub("[\udc80-\udcff]", "\ufffd", text))
        except (ValueError, RecursionError) as error:
            raise NoInputError("JSON") from error
    if "application/grpc" not in kind and "application/x-www-form-urlencoded" in kind:
        return _pairs(text, strict=True)
    return None


def _unquoted(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def _pairs(text: str, *, strict: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in filter(None, text.split("&")):
        if ";" in pair or _BAD_ESCAPE.search(pair):
            if strict:
                raise NoInputError("form")
            continue
        name, _, value = pair.replace("+", " ").partition("=")
        found.setdefault(_unquoted(name), []).append(_unquoted(value))
    return found
