"""What every form of a request is read into: what a client sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from palisade.cli.exit_codes import CommandError


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as a client sends it. `url` may be a path; names of headers are in lower case.

    A header that stands twice is sent twice. `notes` say what of the form was passed over.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    notes: tuple[str, ...] = field(default=())


def split_url(url: str) -> tuple[str, str, str]:
    """Scheme, host and target of a URL; a path alone has no scheme and no host. Raises CommandError."""
    if url.startswith("/"):
        return "", "", url.partition("#")[0]
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise CommandError(f"'{url}' is no URL: {error}") from None
    if parts.scheme and parts.scheme not in ("http", "https"):
        raise CommandError(f"'{url}' is no URL of HTTP", hint="write http://HOST/PATH, or a path")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.netloc.rpartition("@")[2], target


def header(text: str, what: str) -> tuple[str, str]:
    """Name and value of `name: value`. Raises CommandError, which calls it `what`."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandError(f"{what}: '{text}' is no header", hint="write it as 'name: value'")
    return name.strip().lower(), value.strip()
