"""What a browser saves of its traffic: HTTP Archive 1.2.

http://www.softwareishard.com/blog/har-12-spec/
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.interface import Sent

_MOST_LISTED = 10


def is_har(document: Any) -> bool:
    """Whether a JSON document is an archive."""
    log = document.get("log") if isinstance(document, dict) else None
    return isinstance(log, dict) and isinstance(log.get("entries"), list)


def read(document: Any, number: int | None) -> Sent:
    """The request of an archive: entry `number`, counted from 1, or the only one. Raises CommandError."""
    entries = document["log"]["entries"]
    if not entries:
        raise CommandError("the HAR file has no entries")
    if number is None and len(entries) > 1:
        listed = "\n    ".join(f"{at}: {_title(each)}" for at, each in enumerate(entries[:_MOST_LISTED], 1))
        more = f"\n    ... {len(entries) - _MOST_LISTED} more" if len(entries) > _MOST_LISTED else ""
        raise CommandError(
            f"the HAR file has {len(entries)} entries", hint=f"add --entry N:\n    {listed}{more}"
        )
    at = 1 if number is None else number
    if not 1 <= at <= len(entries):
        raise CommandError(f"the HAR file has no entry {at}", hint=f"it has entries 1 to {len(entries)}")
    try:
        return _sent(entries[at - 1]["request"])
    except (KeyError, TypeError, AttributeError) as error:
        raise CommandError(
            f"entry {at} of the HAR file has no request as HAR 1.2 has it: {error!r}"
        ) from None


def _title(entry: Any) -> str:
    request = entry.get("request", {}) if isinstance(entry, dict) else {}
    return f"{request.get('method', '?')} {request.get('url', '?')}"[:100]


def _sent(request: dict[str, Any]) -> Sent:
    # Browsers list the pseudo-headers of HTTP/2 among the others; the method and the URL say the same.
    headers = [
        (each["name"].lower(), each["value"])
        for each in request["headers"]
        if not each["name"].startswith(":")
    ]
    if "cookie" not in dict(headers) and request.get("cookies"):
        pairs = (f"{each['name']}={each['value']}" for each in request["cookies"])
        headers.append(("cookie", "; ".join(pairs)))
    data = request.get("postData") or {}
    body = data.get("text") or ""
    if not body and data.get("params"):
        body = urlencode([(each["name"], each.get("value", "")) for each in data["params"]])
    return Sent(request["method"], request["url"], tuple(headers), body)
