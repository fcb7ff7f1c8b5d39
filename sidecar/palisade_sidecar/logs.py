"""Envoy's log as ours: one logger, levels that fit, and nothing said twice."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import MutableMapping
from typing import Any, TypeAlias

Log: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"

FORMAT = "%l|%n|%v"
"""What Envoy is told to write: level, component and message."""

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    # At its "info" Envoy tells of each step of its start, which is for the debugging of Envoy.
    "info": logging.DEBUG,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_CLOSED = "gRPC config stream to palisade_engine closed"
_TLS_ERROR = re.compile(r"TLS_error:(?P<what>.*?):?TLS_error_end")
_LOWERED = (
    # What the sidecar itself reports, once and in its own words: an engine that is out of reach.
    _CLOSED,
    "gRPC config: initial fetch timed out",
    # What we asked for.
    "caught ENVOY_SIGTERM",
    # Weighed in docs/decisions/answers-in-the-sidecar.md; Envoy says it once for each answer.
    "marked as work-in-progress",
)
_STACKS = ("envoy_bug", "backtrace")
"""Components that print stacks: dozens of addresses below the line that says what went wrong."""
_CRASH = "backtrace"
"""The component that speaks where Envoy ends by a signal. Behind its lines, and without a level, come the
requests that were under way, with their tokens."""
_LAST_WORDS = re.compile(r"terminate called|libc\+\+abi|\s+what\(\)|.*(tcmalloc|free\(\)|malloc\(\))")
"""What the language's own runtime says before a crash."""
_FRAME = re.compile(r"#\d+: (?P<name>.*?) ?\[0x(?P<address>[0-9a-f]+)\]")


class Named(logging.LoggerAdapter[logging.Logger]):
    """The log of one sidecar of several in a process: each message says whose it is."""

    def __init__(self, function: str) -> None:
        super().__init__(logging.getLogger(f"palisade_sidecar.{function}"), {})
        self._function = function

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"{self._function}: {msg}", kwargs


_KEPT = 20


class EnvoyLog:
    """Takes Envoy's lines, of one run after the other. `tail` are the last that matter, for the report of a
    start that failed; `crash` is where Envoy was when it ended by a signal; `tls_error` is what was wrong
    with the TLS of the last connection to the engine, as `certificate is not yet valid`, or nothing."""

    def __init__(self, logger: Log) -> None:
        self._logger = logger
        self._level = logging.WARNING
        self.tail: deque[str] = deque(maxlen=_KEPT)
        self.crash: list[str] = []
        self.tls_error = ""

    def begin(self) -> None:
        """Envoy is started: what an earlier run said last is not why this one ends."""
        self._level = logging.WARNING
        self.tail.clear()
        self.crash.clear()
        self.tls_error = ""

    def take(self, line: str) -> None:
        """One line of Envoy's standard error. One without a level belongs to the line before it."""
        level, _, rest = line.partition("|")
        component, bar, message = rest.partition("|")
        if bar and level in _LEVELS:
            if component == _CRASH:
                self.crash.append(message)
            text = f"envoy {component}: {message}" if component else f"envoy: {message}"
            if _CLOSED in text:
                found = _TLS_ERROR.search(text)
                self.tls_error = found["what"].rpartition(":")[2].replace("_", " ").strip() if found else ""
            lowered = component in _STACKS or any(part in text for part in _LOWERED)
            self._level = logging.DEBUG if lowered else _LEVELS[level]
            if self._level >= logging.WARNING:
                self.tail.append(text)
        elif self.crash:
            return  # requests, which no log may hold
        else:
            text = f"envoy: {line}"
            if _LAST_WORDS.match(line):
                self._level = logging.ERROR
            if self._level >= logging.WARNING:
                self.tail.append(f"{self.tail.pop()} {line.strip()}" if self.tail else text)
        self._logger.log(self._level, "%s", text)

    def reason(self) -> str:
        """The last error, or what else Envoy said last, or nothing."""
        return self.tail[-1] if self.tail else ""

    def stack(self) -> str:
        """Of a crash, in one line: the build, where it was mapped, and the frames, as Envoy's
        tools/stack_decode.py needs them. Nothing where there was none."""
        frames = [_FRAME.match(line) for line in self.crash]
        found = [f"{each['name']}@0x{each['address']}".lstrip("@") for each in frames if each]
        head = [line for line in self.crash if line.startswith(("Envoy version", "Address mapping"))]
        return "; ".join([*head, "stack: " + " ".join(found)]) if found else ""
