"""PEM: https://www.rfc-editor.org/rfc/rfc7468, read as leniently as Go's `encoding/pem`."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from palisade.rego.builtins.encoding import decode_base64
from palisade.rego.builtins.operands import to_bytes

_BLOCK = re.compile(
    rb"-----BEGIN ([^\r\n]*?)-----[ \t]*\r?\n(.*?)\r?\n?-----END \1-----[ \t]*(?:\r?\n|$)", re.DOTALL
)
_HEADERS = re.compile(rb"(?:[^\r\n:]+:[^\r\n]*\r?\n)+\r?\n")


@dataclass(frozen=True, slots=True)
class Block:
    """What a PEM block holds; `rest` is what follows it in the text."""

    label: str
    data: bytes
    rest: bytes


def blocks(text: bytes) -> Iterator[Block]:
    """The well-formed blocks of a text in turn. What stands around them and is no block is passed over."""
    for match in _BLOCK.finditer(text):
        body = match.group(2)
        headers = _HEADERS.match(body)
        try:
            data = binascii.a2b_base64(b"".join(body[headers.end() if headers else 0 :].split()))
        except binascii.Error:
            continue
        yield Block(match.group(1).decode("utf-8", "replace"), data, text[match.end() :])


def pem_or_base64(text: str) -> bytes:
    """PEM as it stands; else what the text is the Base64 of, which may be PEM or DER. Raises BuiltinError."""
    return to_bytes(text) if text.startswith("-----BEGIN") else decode_base64(text)
