"""Making a request small where parts of it must stay the same as each other: a header and a claim, say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from palisade.testing.equivalence.requests import Request
from palisade.testing.equivalence.smallest import Differs, smallest

PLAIN = "a"


def small(request: Request, differs: Differs) -> Request:
    """A request of which no part can be left out, nor a text that it has several times be made plainer."""
    request = smallest(request, differs)
    while True:
        plainer = [each for each in _renamed(request) if each != request]
        found = next((each for each, yes in zip(plainer, differs(plainer), strict=True) if yes), None)
        if found is None:
            return request
        request = smallest(found, differs)


def _renamed(request: Request) -> Iterator[Request]:
    """The request with one of the texts that it has several times replaced throughout."""
    counts = Counter(_texts(request))
    for text, count in counts.items():
        if count > 1 and text != PLAIN:
            yield _with(request, text)


def _texts(request: Request) -> Iterator[str]:
    yield from (value for _, value in request.headers)
    yield from (each for each in request.target.partition("?")[0].split("/") if each)
    if request.token is not None:
        yield from _strings(request.token.claims)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)


def _with(request: Request, text: str) -> Request:
    path, mark, query = request.target.partition("?")
    path = "/".join(PLAIN if each == text else each for each in path.split("/"))
    token = request.token
    return replace(
        request,
        target=f"{path}{mark}{query}",
        headers=tuple((name, PLAIN if value == text else value) for name, value in request.headers),
        token=None if token is None else replace(token, claims=_changed(token.claims, text)),
    )


def _changed(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [_changed(each, text) for each in value]
    if isinstance(value, dict):
        return {name: _changed(each, text) for name, each in value.items()}
    return PLAIN if value == text else value
