"""The same request over another protocol: what only HTTP/2 can spell, and calls as gRPC sends them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from palisade.testing.equivalence.requests import Request

_RAW = ("\udcff", "x=a\udcc3", "x=\u00fc")
"""What a query may hold over HTTP/2 alone: bytes beyond ASCII, and some that are no UTF-8."""
_MESSAGE = "\0\0\0\0\0"
"""An empty message in gRPC's framing."""


def over_http1(request: Request) -> Request:
    """The request as HTTP/1.1 can send it."""
    headers = [("host" if name == ":authority" else name, value) for name, value in request.headers]
    hosts = [at for at, (name, _) in enumerate(headers) if name.lower() == "host"]
    kept = [
        each
        for at, each in enumerate(headers)
        if at not in hosts[1:] and not each[0].startswith(":") and each[0].lower() != "te"
    ]
    return replace(request, headers=tuple(kept), http2=False, trailers=())


def over_http2(request: Request, chooser: random.Random, words: Sequence[str]) -> Request:
    """The request over HTTP/2, spelled in one of the ways that there are."""
    headers = [(name.lower(), value) for name, value in over_http1(request).headers]
    host = next((value for name, value in headers if name == "host"), "localhost")
    others = [each for each in headers if each[0] != "host"]
    other = chooser.choice([*words, "localhost"])
    named = chooser.choices(
        (
            [(":authority", host)],
            [("host", host)],
            [(":authority", host), ("host", host)],
            [(":authority", host), ("host", other)],
            [(":authority", other), ("host", host)],
        ),
        (12, 2, 1, 2, 1),
    )[0]
    if chooser.random() < 0.5 and named == [(":authority", "localhost")]:
        named = []
    headers = [*named, *_crumbled(others, chooser)]
    found = replace(request, headers=tuple(headers), http2=True, trailers=(), chunked=False)
    odd = chooser.random()
    if odd < 0.06:
        return replace(found, headers=(*found.headers, ("te", "trailers")))
    if odd < 0.12:
        name, value = chooser.choice(others or [("x-last", "1")])
        return replace(found, trailers=((name, value),))
    if odd < 0.16:
        return replace(found, headers=((":scheme", chooser.choice(("https", "HTTP", "ftp"))), *found.headers))
    if odd < 0.26:
        spaced = tuple((name, f"{value} ") for name, value in others)
        return replace(found, headers=(*named, *spaced))
    if odd < 0.36:
        mark = "&" if "?" in found.target else "?"
        return replace(found, target=f"{found.target}{mark}{chooser.choice(_RAW)}")
    return found


def as_grpc(request: Request, chooser: random.Random, words: Sequence[str]) -> Request:
    """The request as a call of gRPC: a POST over HTTP/2 of a message in gRPC's framing."""
    found = over_http2(request, chooser, words)
    kind = chooser.choice(("application/grpc", "application/grpc", "application/grpc+proto"))
    headers = [each for each in found.headers if each[0] not in ("content-type", "te")]
    return replace(
        found,
        method="POST",
        headers=(*headers, ("content-type", kind), ("te", "trailers")),
        body=_MESSAGE,
        trailers=(),
    )


def _crumbled(headers: Sequence[tuple[str, str]], chooser: random.Random) -> list[tuple[str, str]]:
    """The headers with each cookie in a field of its own, or not (RFC 9113, section 8.2.3)."""
    if chooser.random() < 0.5:
        return list(headers)
    return [
        (name, part)
        for name, value in headers
        for part in (value.split("; ") if name == "cookie" else [value])
    ]
