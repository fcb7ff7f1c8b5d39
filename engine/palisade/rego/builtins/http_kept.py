"""Answers of `http.send` that outlive a query: OPA keeps them where a request says `cache` or `force_cache`.

https://www.openpolicyagent.org/docs/latest/policy-reference/builtins/http
https://www.openpolicyagent.org/docs/latest/configuration/#caching
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from palisade.rego.builtins.http_requests import flag
from palisade.rego.builtins.operands import Object
from palisade.rego.builtins.terms import show
from palisade.rego.errors import BuiltinError

_CACHEABLE = frozenset((200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501))
_MODES = ("serialized", "deserialized")
_SECOND = 1_000_000_000
_MOST_SECONDS = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came: its status line without the version, its headers in order, its body."""

    code: int
    phrase: str
    headers: tuple[tuple[str, str], ...]
    """By names in lower case."""
    body: bytes

    def first(self, name: str) -> str:
        """The first value of a header; empty where it is not there."""
        return next((value for each, value in self.headers if each == name), "")

    def renewed(self, headers: tuple[tuple[str, str], ...]) -> Answer:
        """The answer with the headers of one that says that it has not changed."""
        new = {name for name, _ in headers}
        kept = tuple(each for each in self.headers if each[0] not in new)
        return Answer(self.code, self.phrase, kept + headers, self.body)

    @property
    def _size(self) -> int:
        return len(self.body) + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a request wants its answer kept: for so many seconds, or as long as the answer itself says."""

    seconds: int = 0

    def until(self, answer: Answer, now: int) -> int | None:
        """The end of an answer's life in nanoseconds; None for one that is not to be kept."""
        if answer.code not in _CACHEABLE:
            return None
        if self.seconds:
            return now + self.seconds * _SECOND
        directives = _directives(answer.first("cache-control"))
        return None if "no-store" in directives else _end(answer, directives)

    def until_again(self, unchanged: Answer, now: int) -> int:
        """The new end of a life, where the server has answered that nothing has changed."""
        if self.seconds:
            return now + self.seconds * _SECOND
        return _end(unchanged, _directives(unchanged.first("cache-control"))) or 0


def keeping(request: Object) -> Keeping | None:
    """How the request wants its answer kept, None where it does not. Raises BuiltinError."""
    cache, force = flag(request, "cache"), flag(request, "force_cache")
    if not force:
        return Keeping() if cache and _mode_is_known(request) else None
    seconds = request.get("force_cache_duration_seconds")
    if seconds is None:
        raise BuiltinError("'force_cache' set but 'force_cache_duration_seconds' parameter is missing")
    if type(seconds) is not int or abs(seconds) > _MOST_SECONDS:
        raise BuiltinError(f"invalid value {show(seconds)} for field force_cache_duration_seconds")
    return Keeping(max(seconds, 0)) if _mode_is_known(request) else None


class Kept:
    """Answers by what was asked, and until when they serve, in nanoseconds since 1970. For all threads.

    It holds `most` bytes; the answer that was used longest ago goes first.
    """

    def __init__(self, most: int = 64 << 20) -> None:
        self._most = most
        self._answers: OrderedDict[object, tuple[Answer, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: object) -> tuple[Answer, int] | None:
        """The answer, and the end of its life, which may be past: the server is then asked whether it has
        changed."""
        with self._lock:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
            return found

    def put(self, key: object, answer: Answer, until: int) -> None:
        """Keeps the answer in place of that which was there."""
        self.drop(key)
        size = answer._size
        if size > self._most:
            return
        with self._lock:
            self._answers[key] = answer, until
            self._bytes += size
            while self._bytes > self._most:
                _, (oldest, _) = self._answers.popitem(last=False)
                self._bytes -= oldest._size

    def drop(self, key: object) -> None:
        """Forgets the answer, if there is one."""
        with self._lock:
            found = self._answers.pop(key, None)
            if found is not None:
                self._bytes -= found[0]._size


def _mode_is_known(request: Object) -> bool:
    # OPA answers also with another one, and only keeps nothing then.
    return request.get("caching_mode", _MODES[0]) in _MODES


def _directives(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.strip(" ").partition("=")
        if name and "=" not in value:
            found[name.strip(" ")] = value
    return found


def _end(answer: Answer, directives: dict[str, str]) -> int | None:
    """Until when an answer serves by its headers; 0, long past, where they say nothing."""
    age = directives.get("max-age")
    if age is None:
        return _moment(answer.first("expires")) or 0  # `Expires: 0` is no date, and means the past
    began = _moment(answer.first("date"))
    if began is None or not (age.isascii() and age.isdigit()):
        return None
    return began + min(int(age), _MOST_SECONDS) * _SECOND


def _moment(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) * _SECOND
    except (ValueError, TypeError, OverflowError):
        return None
