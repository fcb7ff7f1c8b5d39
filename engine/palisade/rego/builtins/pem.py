"""PEM: https://www.rfc-editor.org/rfc/rfc7468, read as leniently as Go's `encoding/pem`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from palisade.rego.builtins.encoding import decode_base64
from palisade.rego.builtins.operands import from_bytes, to_bytes
from palisade.rego.errors import BuiltinError

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"\n-----END ", b"-----"


@dataclass(frozen=True, slots=True)
class Block:
    """What a PEM block holds; `rest` is what follows it in the text."""

    label: str
    data: bytes
    rest: bytes


def blocks(text: bytes) -> Iterator[Block]:
    """The well-formed blocks of a text in turn. What stands around them and is no block is passed over.

    Goes as Go's `pem.Decode` does since Go 1.25: from each end back to the last beginning before it.
    """
    at = 0
    while (end := text.find(_END, at)) >= 0:
        trailer = end + len(_END)
        begin = text.rfind(_BEGIN, at, end)
        begins_line = begin == at or text[begin - 1 : begin] == b"\n"
        at = trailer
        if begin < 0 or not begins_line:
            continue
        line, first = _line(text, begin + len(_BEGIN))
        if not line.endswith(_DASHES):
            continue
        label = line.removesuffix(_DASHES)
        body = _behind_headers(text, first)
        if body is None or body > trailer:
            return
        if body > max(first, end):
            continue
        behind = trailer + len(label) + len(_DASHES)
        if text[trailer:behind] != label + _DASHES or _line(text, behind)[0]:
            continue
        try:
            data = decode_base64(from_bytes(text[body:end].replace(b" ", b"").replace(b"\t", b"")))
        except BuiltinError:
            continue
        at = _line(text, trailer)[1]
        yield Block(label.decode("utf-8", "replace"), data, text[at:])


def _behind_headers(text: bytes, at: int) -> int | None:
    """Where the lines with a colon that stand at a place end (RFC 1421), None where nothing follows."""
    while at < len(text):
        line, behind = _line(text, at)
        if b":" not in line:
            return at
        at = behind
    return None


def _line(text: bytes, at: int) -> tuple[bytes, int]:
    """The line that goes on at a place, without space at its end, and where the next one begins."""
    newline = text.find(b"\n", at)
    end, behind = (len(text), len(text)) if newline < 0 else (newline, newline + 1)
    return text[at:end].removesuffix(b"\r").rstrip(b" \t"), behind


def pem_or_base64(text: str) -> bytes:
    """PEM as it stands; else what the text is the Base64 of, which may be PEM or DER. Raises BuiltinError."""
    return to_bytes(text) if text.startswith("-----BEGIN") else decode_base64(text)
