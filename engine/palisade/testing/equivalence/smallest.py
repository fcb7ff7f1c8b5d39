"""From a request on which two sides differ to the smallest one: parts go, as long as the difference stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from palisade.testing.equivalence.callers import plainer
from palisade.testing.equivalence.protocols import over_http1
from palisade.testing.equivalence.requests import Request, Token

Differs = Callable[[list[Request]], list[bool]]
"""Which of the requests still make a difference."""

ROUNDS = 200


def smallest(request: Request, differs: Differs) -> Request:
    """A request of which no part can be left out or made plainer. `differs` is asked with many at a time."""
    for _ in range(ROUNDS):
        smaller = [
            each for each in {repr(each): each for each in _smaller(request)}.values() if each != request
        ]
        found = next((each for each, yes in zip(smaller, differs(smaller), strict=True) if yes), None)
        if found is None:
            return request
        request = found
    return request


def _smaller(request: Request) -> Iterator[Request]:
    """Requests that are a little plainer, those that leave out most first."""
    plain = Request()
    if request.http2:
        yield over_http1(request)
    for name in ("token", "body", "source", "caller", "trailers", "chunked", "headers", "method", "target"):
        yield replace(request, **{name: getattr(plain, name)})
    if request.caller is not None:
        yield from (replace(request, caller=each) for each in plainer(request.caller))
    for at in range(len(request.headers)):
        yield replace(request, headers=request.headers[:at] + request.headers[at + 1 :])
    for at, (name, value) in enumerate(request.headers):
        for text in (*_shorter(value), value.lower()):
            yield _with_header(request, at, name, text)
        yield _with_header(request, at, name.lower(), value)
    path, mark, query = request.target.partition("?")
    if mark:
        yield replace(request, target=path)
        pairs = query.split("&")
        for at in range(len(pairs)):
            yield replace(request, target=f"{path}?{'&'.join(pairs[:at] + pairs[at + 1 :])}")
    segments = path.split("/")[1:]
    for at in range(len(segments)):
        rest = segments[:at] + segments[at + 1 :]
        yield replace(request, target=f"/{'/'.join(rest)}{mark}{query}")
    for text in _shorter(request.target[1:]):
        yield replace(request, target=f"/{text}")
    for text in _shorter(request.body):
        yield replace(request, body=text)
    if request.token is not None:
        for token in _smaller_tokens(request.token):
            yield replace(request, token=token)


def _with_header(request: Request, at: int, name: str, value: str) -> Request:
    return replace(request, headers=(*request.headers[:at], (name, value), *request.headers[at + 1 :]))


def _smaller_tokens(token: Token) -> Iterator[Token]:
    if token.spoiled or token.foreign or token.named:
        yield replace(token, spoiled=False, foreign=False, named="")
        yield replace(token, spoiled=False, foreign=False)
    for claims in _plainer(token.claims):
        if isinstance(claims, dict):
            yield replace(token, claims=claims)


def _plainer(value: Any) -> Iterator[Any]:
    """JSON values with one part less, or one part plainer."""
    if isinstance(value, dict):
        if value:
            yield list(value.values())  # whose members have no names
        for name in value:
            yield {each: item for each, item in value.items() if each != name}
        for name, inner in value.items():
            for plainer in _plainer(inner):
                yield {**value, name: plainer}
    elif isinstance(value, list):
        for at in range(len(value)):
            yield value[:at] + value[at + 1 :]
        for at, inner in enumerate(value):
            for plainer in _plainer(inner):
                yield [*value[:at], plainer, *value[at + 1 :]]
    elif isinstance(value, str):
        yield from _shorter(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and value not in (0, 1):
        yield from (0, 1, int(value) if abs(value) < 1e15 else 2)


def _shorter(text: str) -> Iterator[str]:
    if not text:
        return
    yield ""
    yield text[: len(text) // 2]
    yield text[len(text) // 2 :]
    if len(text) < 40:
        for at in range(len(text)):
            yield text[:at] + text[at + 1 :]
