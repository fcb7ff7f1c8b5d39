"""The path as a sidecar's Envoy normalizes it before anything else looks at it.

Its settings are those of docs/decisions/static-listener.md: dot segments are resolved, escapes of characters
that need none are undone, backslashes become slashes, repeated slashes one. A test holds it to a real Envoy.
https://www.rfc-editor.org/rfc/rfc3986#section-6
"""

from __future__ import annotations

import re

_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
ESCAPED_SLASH = re.compile("%(?:2f|5c)", re.IGNORECASE)
"""What a function's `escaped_slashes` is about."""

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normalized(target: str, *, unescape: bool = False) -> str:
    """A request target as the policy and the function see it; one that is no path stays as it is.

    `unescape` is for a function whose `escaped_slashes` says so.
    """
    if not target.startswith("/"):
        return target
    path, mark, query = target.partition("#")[0].partition("?")
    if unescape:
        path = ESCAPED_SLASH.sub("/", path)
    path = _ESCAPE.sub(_plain, path.replace("\\", "/"))
    segments: list[str] = []
    parts = path.split("/")[1:]
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "..":
            if segments:
                segments.pop()
            segments += [""] if last else []
        elif part == ".":
            segments += [""] if last else []
        else:
            segments.append(part)
    return _merged("/" + "/".join(segments)) + mark + query


def _merged(path: str) -> str:
    """The path with one slash for several. Envoy keeps the last one, so that of `//` both stay."""
    if "//" not in path:
        return path
    return "/" + "/".join(filter(None, path.split("/"))) + ("/" if path.endswith("/") else "")


def _plain(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0]
