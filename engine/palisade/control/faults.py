"""The log of the HTTP servers for people: of faults of this program's, not of what others send."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

log = logging.getLogger(__name__)


def _ours(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, HttpProcessingError)


# What is no HTTP is answered with 400. A traceback of it, with what was sent, would be a way for anybody to
# fill the disk, and for a token to get into the log.
log.addFilter(_ours)
