"""The places in a decision that is an object: which of them Envoy is told of, and what the log calls them."""

from __future__ import annotations

from collections.abc import Sequence

from palisade.decide.decision import FIELDS_OF_DECISIONS
from palisade.decide.mask import escape
from palisade.rego.values import to_json

METADATA = "dynamic_metadata"
_HEADERS = ("headers", "response_headers_to_add")


def is_only_logged(path: Sequence[object]) -> bool:
    """Whether the place is below a key that nobody is told of, `reason`: the decision log alone shows it."""
    return bool(path) and path[0] not in FIELDS_OF_DECISIONS


def may_be_filled(path: Sequence[object]) -> bool:
    """Whether the place is the body, the value of a header or in the metadata: not a name, nor a status."""
    if path[:1] == (METADATA,):
        return len(path) > 1
    return tuple(path) == ("body",) or (len(path) in (2, 3) and path[0] in _HEADERS)


def pointer(path: Sequence[object]) -> str:
    """The place as the decision log names it (RFC 6901)."""
    return "/result" + "".join(f"/{escape(name_in_json(each))}" for each in path)


def name_in_json(form: object) -> str:
    """What JSON calls a key."""
    (name,) = to_json({form: None})
    return str(name)
