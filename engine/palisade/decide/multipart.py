"""Multipart forms (RFC 7578), read as OPA-Envoy reads them: by Go's `mime` and `mime/multipart`.

Where readers of forms differ, a policy that sees another form than the function does can be gone around. So
this follows Go to the letter, as to names that stand twice and folded lines, and refuses the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
_SPECIAL = r'()<>@,;:\\"/\[\]?='
_TYPE = re.compile(rf"{_WORD}(/{_WORD})?")
# A backslash stands for itself, but where it stands before one of the special characters.
# What has been read is not read again (`*+`): two parts that may share a run of spaces would try each way.
_PARAMETER = re.compile(
    rf"[{_SPACE}]*+;[{_SPACE}]*+({_WORD})[{_SPACE}]*+=[{_SPACE}]*+"
    rf'(?:({_WORD})|"((?:[^"\\\r\n]|\\[{_SPECIAL}]|\\(?![{_SPECIAL}]))*)")'
)
_END = re.compile(rf"[{_SPACE}]*+;?[{_SPACE}]*+")
_ESCAPED = re.compile(rf"\\([{_SPECIAL}])")

_FOLD = re.compile(rb"\r\n[ \t]+")
_HEADER = re.compile(rf"({_WORD}):[ \t]*([\t -~\x80-\U0010ffff]*)")


class FormError(ValueError):
    """A form, or a media type, that Go does not read, or that is not read here."""


class Part(NamedTuple):
    """A part of a form: its name, empty where it has none, its content type, its content."""

    name: str
    type: str
    content: bytes


def media_type(value: str) -> tuple[str, dict[str, str] | None]:
    """A media type or disposition in lower case, and its parameters; None where these are not well formed.

    Raises FormError for what is neither, and for a name or boundary in pieces or character sets (RFC 2231).
    """
    of, _, _ = value.partition(";")
    kind = of.strip(_SPACE).lower()
    if not _TYPE.fullmatch(kind):
        raise FormError("its content type, or that of a part, is no media type (RFC 2045)")
    found: dict[str, str] = {}
    at = len(of)
    while parameter := _PARAMETER.match(value, at):
        at = parameter.end()
        name, word, quoted = parameter[1].lower(), parameter[2], parameter[3]
        text = word if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if name.startswith(("name*", "boundary*")):
            raise FormError("a name or its boundary is in pieces or names its character set (RFC 2231)")
        if found.setdefault(name, text) != text:
            return kind, None
    return kind, found if _END.fullmatch(value, at) else None


def parts(boundary: str, body: bytes) -> Iterator[Part]:
    """The parts of a form. Raises FormError for one that does not end, or has a part without headers."""
    if not boundary:
        raise FormError("its boundary is empty")
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if piece.startswith(b"--"):
            line, _, _ = piece[2:].partition(b"\r\n")
            if line.strip(b" \t"):
                break
            return
        line, newline, rest = piece.partition(b"\r\n")
        head, blank, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if not newline or line.strip(b" \t") or not blank:
            break
        yield _part(head.removeprefix(b"\r\n"), content)
    raise FormError("it has no closing boundary, or a part without headers")


def _part(head: bytes, content: bytes) -> Part:
    headers: dict[str, str] = {}
    *folded, last = _FOLD.split(head)
    unfolded = b" ".join((*(each.rstrip(b" \t") for each in folded), last))
    lines = unfolded.decode("utf-8", "surrogateescape").split("\r\n") if head else []
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise FormError("a part has a line among its headers that is none")
        headers.setdefault(header[1].lower(), header[2].rstrip(" \t"))
    if headers.get("content-transfer-encoding", "").lower() == "quoted-printable":
        raise FormError("a part is quoted-printable, which no part of a form may be (RFC 7578)")
    kind, parameters = "", None
    if "content-disposition" in headers:
        kind, parameters = media_type(headers["content-disposition"])
    name = (parameters or {}).get("name", "") if kind == "form-data" else ""
    return Part(name, headers.get("content-type", ""), content)
