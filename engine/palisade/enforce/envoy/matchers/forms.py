"""What is known of a text without knowing the whole of it: how it begins and ends, and the pattern of it.

The texts are those of expressions of CEL, of which constants are known and what stands between them is not,
and those that patterns match or take something of. Envoy matches headers byte by byte, and CEL reads UTF-8:
what is known must hold of all bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import TypeAlias

from cel.expr.syntax_pb2 import Expr
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.regex import patterns

_REPEATED = ("*", "+", "?", "{")
LONGEST = 400
"""Characters of a pattern that is asked before an expression."""

_WHOLE = "(?s)^(.*)$"
"""What puts constants around a text: see `cel.around`."""
_WRITTEN = re.compile(r"\\[\\1]|[^\\]+")
"""What is written of it: its group, a backslash, or what stands there."""
ANY = ".*"
_TOKEN = re.compile(
    r"\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|.", re.DOTALL
)
"""An escape, a class, what opens a group that takes nothing, or one character."""
_PLAIN = re.compile(
    r"\\x\{?0*(?P<code>[0-7]?[0-9A-Fa-f])\}?|\\(?P<escaped>[^\w])|(?P<itself>[^\\.+*?()|\[\]{}^$])", re.DOTALL
)
"""A character of a pattern that is nothing but itself."""
_BEYOND = r"\\x\{?0*(?:[89A-Fa-f][0-9A-Fa-f]|[0-9A-Fa-f]{3,})"
_OTHER_IN_BYTES = re.compile(
    rf"\\[pPbBCQEAzZDWS0-9]|{_BEYOND}\}}?|\[.*(?:[^\x00-\x7f]|\\[pPDWS0-9]|\[:\^|{_BEYOND}).*\]", re.DOTALL
)
"""Parts of patterns that mean one thing in characters and another in bytes."""


@dataclass(frozen=True, slots=True)
class Form:
    """A pattern of whole texts, in which dots are any character, and what all of them begin with. With a
    `suffix`, or a part, it is that they end with it, or have it: many such are joined, and patterns that may
    begin anywhere are not."""

    pattern: str
    prefix: str = ""
    suffix: str = ""
    part: str = ""


Piece: TypeAlias = str | Expr
"""A part of a text: a constant, or what is not known of it; an empty expression may be any text."""


def taken_by(form: Form) -> StringMatcher | None:
    """What takes texts of the form; None where its prefix tells all, or what is known is too large."""
    if form.pattern == patterns.quote(form.prefix) + ANY:
        return None
    if len(form.pattern) > LONGEST or not _is_of_bytes(form.pattern):
        return None
    if form.suffix:
        return StringMatcher(suffix=form.suffix)
    if form.part:
        return StringMatcher(contains=form.part)
    try:
        return patterns.regex(f"(?s){form.pattern}")
    except ValueError:  # as where an open part is repeated: less is asked then
        return None


def pieces_of(expr: Expr) -> list[Piece]:
    """The constants of a text, and what may stand between them."""
    if expr.const_expr.WhichOneof("constant_kind") == "string_value":
        return [expr.const_expr.string_value]
    call = expr.call_expr
    if call.function != "re.extract" or call.args[1].const_expr.string_value != _WHOLE:
        return [expr]
    found: list[Piece] = []
    for piece in pieces_of(call.args[2]):
        if not isinstance(piece, str):
            found.append(piece)
            continue
        parts = _WRITTEN.findall(piece)
        if "".join(parts) != piece:  # a backslash before what is not known
            return [expr]
        for part in parts:
            found += pieces_of(call.args[0]) if part == "\\1" else ["\\" if part == "\\\\" else part]
    return _joined(found)


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Constants next to each other are one."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if isinstance(piece, str) and isinstance(last, str):
            found[-1] = last + piece
        else:
            found.append(piece)
    return found


def form_of(pieces: Sequence[Piece]) -> Form | None:
    """What begins with the first constant and ends with the last, or else has the longest in it: of patterns
    in which more may be any text, RE2 would need too many states together. None without constants."""
    texts: list[str] = [""]
    """Constants, with any text between each and the next."""
    for piece in pieces:
        if isinstance(piece, str):
            texts[-1] += piece
        else:
            texts.append("")
    if len(texts) == 1:
        return Form(patterns.quote(texts[0]), texts[0])
    if not any(texts):
        return None
    inner = "" if texts[-1] else max(texts[1:-1], key=len, default="")
    middle = f"{ANY}{patterns.quote(inner)}{ANY}" if inner else ANY
    pattern = f"{patterns.quote(texts[0])}{middle}{patterns.quote(texts[-1])}"
    return Form(pattern, texts[0]) if texts[0] else Form(pattern, suffix=texts[-1], part=inner)


def of_pattern(pieces: Sequence[Piece]) -> Form | None:
    """What a pattern matches, whatever stands in its open parts; None where it may begin anywhere."""
    tokens = _all_dots(_TOKEN.findall("".join(piece if isinstance(piece, str) else ANY for piece in pieces)))
    if tokens[:1] != ["^"]:
        return None
    ends = tokens[-1] == "$"
    inner = tokens[1 : len(tokens) - ends]
    if not _is_one_way(inner):
        return None
    core = inner
    while core and core[0] == "(?:" and _closing(core, 0) == len(core) - 1:
        core = core[1:-1]
    return Form("".join(inner) + ("" if ends else ANY), _begin(core)[0] if _is_one_way(core) else "")


@lru_cache(4096)
def beginnings(pattern: str) -> frozenset[str]:
    """What the texts begin with all of which the pattern matches: each with one of these, of more than one
    character. None of them where that is not known."""
    tokens = _all_dots(_TOKEN.findall(pattern))
    found = frozenset(_begin(_opened(way))[0] for way in _ways(_opened(tokens)))
    return found if all(len(each) > 1 and each.isascii() for each in found) else frozenset()


def _opened(tokens: Sequence[str]) -> Sequence[str]:
    """The pattern without groups that are all of it, or what it begins with, of one way and not repeated."""
    while tokens and tokens[0] in ("(?:", "("):
        end = _closing(tokens, 0)
        inner, behind = tokens[1:end], tokens[end + 1 :]
        if behind and (behind[0] in _REPEATED or len(list(_ways(inner))) > 1):
            break
        tokens = [*inner, *behind]
    return tokens


def _ways(tokens: Sequence[str]) -> Iterator[Sequence[str]]:
    """The alternatives of a pattern."""
    depth, start = 0, 0
    for at, each in enumerate(tokens):
        depth += each.startswith("(") - (each == ")")
        if each == "|" and not depth:
            yield tokens[start:at]
            start = at + 1
    yield tokens[start:]


def around(pattern: str, form: Form) -> Form | None:
    """What a text is, of which the one group of the pattern takes something of the form; None where that is
    not known."""
    tokens = _all_dots(_TOKEN.findall(pattern))
    if len(tokens) < 2 or (tokens[0], tokens[-1]) != ("^", "$"):
        return None
    inner = tokens[1:-1]
    if not _is_one_way(inner) or inner.count("(") != 1:
        return None
    start = inner.index("(")
    end = _closing(inner, start)
    before, behind = inner[:start], inner[end + 1 :]
    # Of a group within others, or of one that is repeated, not all that it matches is what it takes.
    within = sum(each.startswith("(") for each in before) > before.count(")")
    if within or (behind and behind[0] in _REPEATED):
        return None
    begin, are_all = _begin(before)
    return Form(
        f"{''.join(before)}(?:{form.pattern}){''.join(behind)}", begin + form.prefix if are_all else begin
    )


def _all_dots(tokens: Sequence[str]) -> list[str]:
    """The pattern without what has dots stand for line feeds too, as they do in all patterns here."""
    found: list[str] = []
    for each in tokens:
        found.append(each)
        if found[-4:] == ["(", "?", "s", ")"]:
            del found[-4:]
        elif found[-4:] == ["(", "?", "s", ":"]:
            found[-4:] = ["(?:"]
    return found


def _is_one_way(tokens: Sequence[str]) -> bool:
    """Whether a pattern has no anchors, and no alternatives but within groups."""
    depth = 0
    for each in tokens:
        depth += each.startswith("(") - (each == ")")
        if each in ("^", "$") or (each == "|" and not depth):
            return False
    return True


def _closing(tokens: Sequence[str], start: int) -> int:
    """Where the group ends that begins there."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += tokens[at].startswith("(") - (tokens[at] == ")")
        if not depth:
            return at
    return len(tokens)


def _begin(tokens: Sequence[str]) -> tuple[str, bool]:
    """The characters that a pattern begins with, and whether it is nothing else."""
    found = ""
    for token in tokens:
        plain = _PLAIN.fullmatch(token)
        if plain is None:
            return (found[:-1] if token in ("*", "?", "{") else found), False
        found += chr(int(plain["code"], 16)) if plain["code"] else plain["escaped"] or plain["itself"]
    return found, True


def _is_of_bytes(pattern: str) -> bool:
    """Whether the pattern matches the bytes of each text that it matches."""
    tokens = _TOKEN.findall(pattern)
    for each, following in zip_longest(tokens, tokens[1:], fillvalue=""):
        if _OTHER_IN_BYTES.fullmatch(each) or (each, following) == ("(", "?"):
            return False
        several = each == "." or each.startswith("[^")  # one character, which may be several bytes
        if (several and following not in ("*", "+")) or (not each.isascii() and following in _REPEATED):
            return False
    return True
