"""The heads of calls by HTTP/2, compressed by HPACK (RFC 7541).

A sidecar's calls have the same head each time. Once its fields stand in the dynamic table the same bytes
come for it, and are read once.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpack import Decoder, HPACKError

from palisade.decide.calls import METHOD, seconds

_MOST_KEPT = 256


class HeadError(ValueError):
    """Bytes that are no compressed head: nothing on the connection can be read after them."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a call's head says: whether it is for `Check`, and how many seconds the sidecar waits."""

    checks: bool
    patience: float | None


class Heads:
    """Of one connection, as they follow each other."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._known: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """What a block says. Raises HeadError."""
        found = self._known.get(block)
        if found is None:
            found = self._read(block)
        return found

    def _read(self, block: bytes) -> Head:
        try:
            fields = self._decoder.decode(block, raw=True)
        except HPACKError as error:
            raise HeadError(str(error)) from error
        checks, patience = False, None
        for name, value in fields:
            if name == b":path":
                checks = value == METHOD
            elif name == b"grpc-timeout":
                patience = seconds(bytes(value))
        head = Head(checks, patience)
        if not _changes_nothing(block) or len(self._known) >= _MOST_KEPT:
            self._known.clear()
        if _changes_nothing(block):
            self._known[block] = head
        return head


def _changes_nothing(block: bytes) -> bool:
    """Whether a block, which has been decoded, leaves the dynamic table as it was: then the same bytes say
    the same again."""
    at = 0
    while at < len(block):
        first = block[at]
        if first & 0x80:  # a field of a table
            _, at = _integer(block, at, 7)
        elif first & 0x60:  # a field that goes into the table, or the size of that
            return False
        else:  # a field as it is: its name may be one of a table
            name, at = _integer(block, at, 4)
            for _ in range(1 if name else 2):
                size, at = _integer(block, at, 7)
                at += size
    return True


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """An integer whose first byte has so many bits of it, and where it ends (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    shift = 0
    while True:
        value += (block[at] & 0x7F) << shift
        at += 1
        if not block[at - 1] & 0x80:
            return value, at
        shift += 7
