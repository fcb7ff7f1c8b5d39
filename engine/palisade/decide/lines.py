"""The lines that sidecars hand on: what Envoy says of each request, in the fields that its bootstrap names.

Bytes that are no UTF-8 are replaced, as the access log may tell of any header that a client sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from palisade.policy.numbering import unmarked
from palisade_sidecar.access_log import FIELD_SEPARATOR, FIELDS


@dataclass(frozen=True, slots=True)
class Line:
    """One request. Absent fields are empty; times are nanoseconds.

    `result` and `rule` are what the native filter decided, `allowed` or `denied`, and under which name;
    `shadow_result` and `shadow_rule` the same of a revision that is only tried. `answered` is the id of the
    engine's decision. `noted` stands beside an answer of the sidecar's own; `claims` are by provider.
    `principal` is who called, where the sidecar speaks TLS.
    """

    start: int
    duration: int
    method: str
    path: str
    host: str
    scheme: str
    request_id: str
    user_agent: str
    referer: str
    forwarded_for: str
    content_type: str
    content_length: str
    status: int
    flags: str
    details: str
    direct: str
    revision: str
    result: str
    rule: str
    shadow_result: str
    shadow_rule: str
    answered: str
    noted: Mapping[str, Any]
    claims: Mapping[str, Any]
    principal: str = ""
    numbering: str = ""
    """The id of the numbering of lines by which `rule` names the rule (`palisade.policy.numbering`)."""


_NAMES = tuple(FIELDS)
_REVISION = _NAMES.index("revision")
_NUMBERS = tuple(map(_NAMES.index, ("start", "duration", "status")))
_JSON = tuple(map(_NAMES.index, ("noted", "claims")))
_EMPTY: Mapping[str, Any] = {}


def read(content: bytes) -> Iterator[Line | None]:
    """The lines of a batch, each with its end; None for one that is none, as from a sidecar of another
    version."""
    *whole, rest = content.decode("utf-8", "replace").split("\n")
    for line in (*whole, rest) if rest else whole:
        yield _line(line)


def _line(text: str) -> Line | None:
    fields: list[Any] = text.split(FIELD_SEPARATOR)
    if len(fields) not in (len(_NAMES), len(_NAMES) + 1):
        return None
    try:
        for at in _NUMBERS:
            fields[at] = int(fields[at] or 0)
        for at in _JSON:
            fields[at] = orjson.loads(fields[at]) if fields[at] else _EMPTY
    except ValueError:
        return None
    fields[_REVISION], numbering = unmarked(fields[_REVISION])
    if len(fields) == len(_NAMES):
        fields.append("")  # who called
    fields.append(numbering)
    return Line(*fields)
