"""Values as they may be shown: what the decision log hides of a request is hidden in its explanation too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from palisade.decide.mask import REDACTED, Mask, scrub
from palisade.explain.edits import HTTP, Change, look_up
from palisade.rego.values import Set, Value, to_json

_SHORTEST = 4
"""Shorter texts than this are not looked for within others: `a` stands in too many."""


class Discreet:
    """Hides the secrets of one request. With `bodies` the body is one of them."""

    def __init__(
        self, document: Value, mask: Mask, *, bodies: bool = False, secrets: Iterable[str] = ()
    ) -> None:
        """`secrets` are texts that are hidden beside those of the request."""
        self._mask = mask
        self._bodies = bodies
        self._secrets = {text for text in (*self._secret_texts(document), *secrets) if text}

    def _secret_texts(self, document: Value) -> Iterator[str]:
        headers = look_up(document, (*HTTP, "headers"))
        for name, value in headers.items() if isinstance(headers, dict) else ():
            if str(name).lower() in self._mask.headers and isinstance(value, str):
                yield value
                yield from value.split(" ", 1)[1:]  # what follows an authentication scheme
        query = document.get("parsed_query")
        for name, values in query.items() if isinstance(query, dict) else ():
            if str(name).lower() in self._mask.parameters:
                yield from (each for each in values if isinstance(each, str))
        if self._bodies:
            for path in ((*HTTP, "body"), (*HTTP, "rawBody"), ("parsed_body",)):
                yield from _texts(look_up(document, path))

    def value(self, value: Value) -> Any:
        """A value as JSON, without secrets. Not for UNDEFINED."""
        return self._plain(to_json(value))

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if isinstance(value, dict):
            return {name: self._member(name, each) for name, each in value.items()}
        return value

    def _member(self, name: Any, value: Any) -> Any:
        """A member of an object: of all headers, say."""
        hidden = str(name).lower() in self._mask.headers or (
            self._bodies and name in ("body", "rawBody", "parsed_body")
        )
        return REDACTED if hidden and value is not None else self._plain(value)

    def text(self, text: str) -> str:
        """A text without secrets and tokens."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if text == secret or (len(secret) >= _SHORTEST and secret in text):
                text = text.replace(secret, REDACTED)
        return scrub(text)

    def hides(self, change: Change) -> bool:
        """Whether what a change puts into the request is the kind of thing that is kept secret."""
        path = change.path
        if path[: len(HTTP) + 1] == (*HTTP, "headers"):
            return str(path[-1]).lower() in self._mask.headers
        if path[:1] == ("parsed_query",) and len(path) > 1:
            return str(path[1]).lower() in self._mask.parameters
        if path[:1] == ("parsed_body",) or path == (*HTTP, "body"):
            return self._bodies
        return False


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | Set):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
