"""`GET http://orders.example/7`: a method and a URL or a path."""

from __future__ import annotations

import re

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.interface import Sent

_LINE = re.compile(r"([A-Z]+)\s+(\S+)")


def read(text: str) -> Sent | None:
    """The request that a line spells; None for what is no such line. Raises CommandError."""
    found = _LINE.fullmatch(text.strip())
    if found is None:
        return None
    method, url = found.groups()
    if not url.startswith("/") and "://" not in url and url != "*":
        raise CommandError(f"'{url}' is no path and no URL", hint=f"write {method} /{url}")
    return Sent(method, url)
