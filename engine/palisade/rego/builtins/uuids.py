"""UUIDs: https://www.rfc-editor.org/rfc/rfc4122"""

from __future__ import annotations

import re
import uuid

from palisade.rego.builtins.operands import string
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.values import UNDEFINED, Value, key

_PLAIN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_FORMS = re.compile(
    # OPA takes any two characters for braces.
    rf"(?:(?:urn:uuid:)?({_PLAIN})|[\0-\x7f]({_PLAIN})[\0-\x7f]|([0-9a-f]{{32}}))",
    re.IGNORECASE | re.ASCII,
)
# Between the epoch of UUIDs, 15 October 1582, and the one of Unix, in units of 100 ns.
_EPOCHS = 0x01B21DD213814000
_DOMAINS = ("Person", "Group", "Org")


@builtin("uuid.rfc4122")
def uuid_rfc4122(ctx: Context, k: Value) -> str:
    """A random UUID, the same for the same operand within a query."""
    cached = ctx.cache.get(("uuid.rfc4122", key(k)))
    if cached is None:
        cached = str(uuid.uuid4())
        ctx.cache["uuid.rfc4122", key(k)] = cached
    return str(cached)


@builtin("uuid.parse", pure=True)
def uuid_parse(x: Value) -> Value:
    """Version and variant, for the versions 1 and 2 what else they tell; undefined for what is no UUID."""
    text = string(x, 1)
    found = _FORMS.fullmatch(text)
    if found is None:
        return UNDEFINED
    parsed = uuid.UUID(found[found.lastindex or 0])
    version = parsed.bytes[6] >> 4
    result: dict[str, Value] = {"version": version, "variant": _variant(parsed)}
    if version in (1, 2):
        node = parsed.bytes[10:]
        result["time"] = _wrapped((parsed.time - _EPOCHS) * 100)
        result["nodeid"] = node.hex("-")
        result["macvariables"] = _scope(node[0])
        result["clocksequence"] = parsed.clock_seq
    if version == 2:
        domain = parsed.bytes[9]
        result["id"] = int.from_bytes(parsed.bytes[:4])
        result["domain"] = _DOMAINS[domain] if domain < len(_DOMAINS) else f"Domain{domain}"
    return result


def _variant(parsed: uuid.UUID) -> str:
    byte = parsed.bytes[8]
    if byte & 0xC0 == 0x80:
        return "RFC4122"
    if byte & 0xE0 == 0xC0:
        return "Microsoft"
    return "Future" if byte & 0xE0 == 0xE0 else "Reserved"


def _wrapped(nanoseconds: int) -> int:
    """As OPA has them, in 64 bits: some 292 years about 1970, and of other times nonsense."""
    return (nanoseconds + 2**63) % 2**64 - 2**63


def _scope(first: int) -> str:
    return f"{'local' if first & 2 else 'global'}:{'multicast' if first & 1 else 'unicast'}"
