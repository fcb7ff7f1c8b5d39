"""Variants of a request: the same but for one part, which may decide otherwise, or should not."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from palisade.decide.body import PARSED_TYPES
from palisade.rego.text import dumps, loads
from palisade.testing.equivalence import near
from palisade.testing.equivalence.callers import Caller
from palisade.testing.equivalence.protocols import as_grpc, over_http1, over_http2
from palisade.testing.equivalence.requests import Request, Token, is_grpc
from palisade.testing.equivalence.tokens import NAMES

MOST_HEADERS = 6
_HOST = re.compile(r"[A-Za-z0-9.-]{1,60}(?::[0-9]{1,5})?")

Change = Callable[[Request], Request]


class Varying:
    """Makes variants with words of a policy. Equal seeds make equal ones."""

    def __init__(
        self,
        words: Sequence[str],
        providers: Sequence[str],
        sources: Sequence[str],
        callers: Sequence[Caller] = (),
        *,
        http2: bool = False,
        bodies: bool = True,
    ) -> None:
        """`http2`: whether requests are sent over HTTP/2 too. `bodies`: whether the policy reads bodies."""
        self._http2 = http2
        self._bodies = bodies
        self._words = tuple(words) or ("a",)
        self._hosts = [each for each in self._words if _HOST.fullmatch(each)]
        self._providers = tuple(providers)
        self._sources = tuple(sources)
        self._callers = tuple(callers)
        self._chooser = random.Random(0)  # noqa: S311 -- what is drawn is test data

    def protocol(self, request: Request, seed: int) -> Request:
        """The request over the protocol that a seed chooses; as it is for 0, to which examples shrink."""
        self._chooser = random.Random(seed)  # noqa: S311
        if not self._http2 or seed % 3 != 1:
            return request
        return self._over(request)

    def _over(self, request: Request) -> Request:
        if self._chooser.random() < 0.1:
            return as_grpc(request, self._chooser, self._hosts)
        return over_http2(request, self._chooser, self._hosts)

    def _protocol(self, request: Request) -> Request:
        return over_http1(request) if request.http2 and self._chooser.random() < 0.3 else self._over(request)

    def variants(self, request: Request, seed: int, count: int) -> list[Request]:
        """So many variants of a request; some may be the request itself."""
        self._chooser = random.Random(seed)  # noqa: S311
        changes: list[Change] = [self._target, self._query]
        if request.token is not None:
            changes += [self._claim, self._claim, self._token]
        if request.headers:
            changes += [self._header, self._header]
        if request.body:
            changes += [self._body, self._body, self._body]
            changes.append(self._framing)
        if any(value in PARSED_TYPES for _, value in request.headers):
            changes.append(self._content_type)
        if self._sources:
            changes.append(self._source)
        if self._callers:
            changes += [self._caller, self._caller]
        if self._http2:
            changes.append(self._protocol)
        found = []
        for _ in range(count):
            change = self._chooser.choice([*changes, self._method])
            found.append(self._read(change(request)))
        return found

    def _read(self, request: Request) -> Request:
        """The request without a body that only an engine would look at: the policy reads none, so a sidecar
        does not, and a message of gRPC that is said to be JSON would seem to be decided otherwise."""
        kinds = [value for name, value in request.headers if name.lower() == "content-type"]
        whole = self._bodies or (kinds and all(map(is_grpc, kinds)))
        return request if whole else replace(request, body="")

    def _framing(self, request: Request) -> Request:
        return replace(over_http1(request), chunked=not request.chunked)

    def _pick(self, items: Sequence[Any]) -> Any:
        return self._chooser.choice(items)

    def _text(self, text: str) -> str:
        """Nearly the text, or a word in its place."""
        if self._chooser.random() < 0.4:
            word: str = self._pick(self._words)
            return word
        found: str = self._pick([*near.texts(text), *near.ODD_TEXTS])
        return found

    def _method(self, request: Request) -> Request:
        return replace(
            request, method=self._pick(("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "get"))
        )

    def _target(self, request: Request) -> Request:
        path, mark, query = request.target.partition("?")
        spelled = list(near.spelled(path))
        segments = path.split("/")
        at = self._chooser.randrange(len(segments))
        others = [
            "/".join([*segments[:at], *segments[at + 1 :]]) or "/",
            "/".join([*segments[:at], segments[at], *segments[at:]]) or "/",
            "/".join([*segments[:at], self._pick(self._words), *segments[at + 1 :]]),
            "/".join([*segments[:at], self._pick(list(near.spelled(segments[at]))), *segments[at + 1 :]]),
            f"{path}/{self._pick(self._words)}",
        ]
        chosen: str = self._pick([*others, *others, *spelled])
        return replace(request, target=f"{chosen if chosen.startswith('/') else '/' + chosen}{mark}{query}")

    def _query(self, request: Request) -> Request:
        path, mark, query = request.target.partition("?")
        pairs = query.split("&") if mark else []
        at = self._chooser.randrange(len(pairs) + 1)
        before = pairs[at - 1] if pairs else "a=b"
        added = self._pick(
            (
                *(
                    "a=b",
                    before,
                    f"{before}x",
                    before.swapcase(),
                    before.partition("=")[0],
                    f"{before};c",
                    f"{before}+",
                ),
                *(
                    before.replace("=", "=%61", 1),
                    before.replace("=", "==", 1),
                    f"{before}%",
                    "",
                    f"x{before}",
                ),
            )
        )
        return replace(request, target=f"{path}?{'&'.join([*pairs[:at], added, *pairs[at:]])}")

    def _header(self, request: Request) -> Request:
        at = self._chooser.randrange(len(request.headers))
        name, value = request.headers[at]
        rest = (*request.headers[:at], *request.headers[at + 1 :])
        choice = self._chooser.randrange(7)
        if choice == 0:
            return replace(request, headers=rest)
        if choice == 1 and len(rest) < MOST_HEADERS:
            return replace(request, headers=(*request.headers, (name, self._text(value))))
        if choice == 2 and len(rest) < MOST_HEADERS:
            return replace(request, headers=((name.swapcase(), self._pick(self._words)), *request.headers))
        if choice == 3:
            return replace(request, headers=(*rest, (name.upper(), value)))
        if choice == 4:
            return replace(request, headers=(*rest, (name.replace("-", "_"), value)))
        if choice == 5:
            return replace(request, headers=(*rest, (name, "")))
        return replace(request, headers=(*rest, (name, self._text(value))))

    def _token(self, request: Request) -> Request:
        token = request.token
        if token is None:
            return request
        choices: list[Token | None] = [None, replace(token, spoiled=True), replace(token, foreign=True)]
        choices.append(replace(token, named=self._pick(NAMES)))
        choices += [replace(token, provider=each) for each in self._providers if each != token.provider]
        return replace(request, token=self._pick(choices))

    def _claim(self, request: Request) -> Request:
        if request.token is None:
            return request
        claims = self._changed(dict(request.token.claims))
        token = replace(request.token, claims=claims if isinstance(claims, dict) else {})
        return replace(request, token=token)

    def _changed(self, value: Any) -> Any:
        """A JSON value with one part changed or left out."""
        if isinstance(value, Mapping) and value:
            name = self._pick(sorted(value))
            if self._chooser.random() < 0.2:
                return {each: item for each, item in value.items() if each != name}
            return {**value, name: self._part(value[name])}
        if isinstance(value, list) and value:
            at = self._chooser.randrange(len(value))
            if self._chooser.random() < 0.3:
                return value[:at] + value[at + 1 :]
            if self._chooser.random() < 0.2:
                return value[:at] + [self._pick((*near.ODD_VALUES, *self._words))] * 9 + value[at:]
            return [*value[:at], self._part(value[at]), *value[at + 1 :]]
        return self._other(value)

    def _part(self, value: Any) -> Any:
        deeper = isinstance(value, Mapping | list) and value and self._chooser.random() < 0.7
        return self._changed(value) if deeper else self._other(value)

    def _other(self, value: Any) -> Any:
        roll = self._chooser.random()
        if roll < 0.5:
            return self._pick(list(near.values(value)))
        return self._pick(near.ODD_VALUES if roll < 0.75 else self._words)

    def _body(self, request: Request) -> Request:
        body = request.body
        at = self._chooser.randrange(len(body))
        word = self._pick(self._words)
        document = _parsed(body)
        if document is not None and self._chooser.random() < 0.5:
            return replace(request, body=dumps(self._changed(document)))
        return replace(
            request,
            body=self._pick(
                (
                    *(body[:at] + body[at + 1 :], body[:at] + word + body[at:], body[:at]),
                    *(f" {body}", f"\ufeff{body}", f"{body}{word}", f"{body}\0", f"[{body}]"),
                    _NUMBER.sub(lambda found: self._pick(near.digits(found[0])), body),
                    body.replace("{", f'{{"a": {word[:1] or 0}, '),
                )
            ),
        )

    def _content_type(self, request: Request) -> Request:
        others = tuple(each for each in request.headers if each[0].lower() != "content-type")
        kind = self._pick(
            (*PARSED_TYPES, "text/plain", "Application/JSON", "application/json; charset=utf-8")
        )
        return replace(request, headers=(*others, ("content-type", kind)))

    def _source(self, request: Request) -> Request:
        return replace(request, source=self._pick(self._sources))

    def _caller(self, request: Request) -> Request:
        caller = request.caller
        if caller is None or self._chooser.random() < 0.5:
            return replace(request, caller=self._pick((None, *self._callers)))
        other = self._pick(self._callers)
        return replace(
            request,
            caller=self._pick(
                (
                    replace(caller, uris=(*other.uris, *caller.uris)),
                    replace(caller, uris=(*caller.uris, *other.uris)),
                    replace(caller, uris=tuple(map(self._text, caller.uris))),
                    replace(caller, hosts=(*caller.hosts, *other.hosts)),
                    replace(caller, hosts=tuple(map(self._text, caller.hosts))),
                    replace(caller, common_name=self._text(caller.common_name)),
                )
            ),
        )


_NUMBER = re.compile(r"\d+")


def _parsed(body: str) -> Any:
    """The JSON value that a body is; None where it is none."""
    try:
        return loads(body)
    except (ValueError, RecursionError):
        return None
