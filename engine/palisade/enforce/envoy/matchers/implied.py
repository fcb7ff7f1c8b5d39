"""What an expression of CEL implies of one header, to be asked before it.

`path == sprintf("/users/%s/orders", [claims.sub])` holds of no path that does not begin with `/users/` and
end with `/orders`. An expression takes Envoy some ten microseconds, a prefix or a pattern a small part of
one. Maps tell prefixes apart, and of many patterns RE2 tells in one go whether any matches: so it costs the
same whether there are ten such conditions or thousands.

Envoy matches headers byte by byte, and CEL reads UTF-8: what is implied must hold of all bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.matchers.predicate import (
    YES,
    All,
    AnyOf,
    Check,
    Not,
    Predicate,
    Prefixed,
    all_of,
    any_of,
    header_text,
    text_check,
)
from palisade.enforce.envoy.matchers.rewriting import Rewriting
from palisade.enforce.envoy.matchers.together import common_apart
from palisade.enforce.envoy.regex import patterns

_REPEATED = ("*", "+", "?", "{")
LONGEST = 400
"""Characters of a pattern that is asked before an expression."""

_WHOLE = "(?s)^(.*)$"
"""What puts constants around a text: see `cel.around`."""
_WRITTEN = re.compile(r"\\[\\1]|[^\\]+")
"""What is written of it: its group, a backslash, or what stands there."""
_ANY = ".*"
_TOKEN = re.compile(
    r"\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|.", re.DOTALL
)
"""An escape, a class, what opens a group that takes nothing, or one character."""
_PLAIN = re.compile(
    r"\\x\{?0*(?P<code>[0-7]?[0-9A-Fa-f])\}?|\\(?P<escaped>[^\w])|(?P<itself>[^\\.+*?()|\[\]{}^$])", re.DOTALL
)
"""A character of a pattern that is nothing but itself."""
_OTHER_IN_BYTES = re.compile(
    r"\\[pPbBCQEAzZDWS]|\\x\{?0*(?:[89A-Fa-f][0-9A-Fa-f]|[0-9A-Fa-f]{3,})\}?|\[.*[^\x00-\x7f].*\]"
)
"""Parts of patterns that mean one thing in characters and another in bytes."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A pattern of whole texts, in which dots are any character, and what all of them begin with."""

    pattern: str
    prefix: str = ""


def implied(expr: Expr) -> Predicate | None:
    """What holds wherever the expression is true; None where nothing is known."""
    found = _implied(expr)
    return None if found == YES else found


class Guarded(Rewriting):
    """Asks before each check what it implies: the same, at less cost."""

    def __init__(self) -> None:
        super().__init__(0)

    def of(self, predicate: Predicate) -> Predicate:
        if isinstance(predicate, Check):
            return predicate if predicate.implied is None else all_of((predicate.implied, predicate))
        return super().of(predicate)

    def _of(self, predicate: All | AnyOf | Not) -> Predicate:
        parts = (predicate.part,) if isinstance(predicate, Not) else predicate.parts
        same = all(self.of(part) is part for part in parts)
        return predicate if same else super()._of(predicate)

    def _alternatives(self, parts: Sequence[Predicate]) -> Iterable[Predicate]:
        return map(self.of, common_apart(parts) or parts)


def _implied(expr: Expr) -> Predicate:
    call = expr.call_expr
    match call.function, len(call.args):
        case "_&&_", 2:
            return all_of(map(_implied, call.args))
        case "_==_", 2:
            left, right = call.args
            return all_of((_asked(left, _form(_pieces(right))), _asked(right, _form(_pieces(left)))))
        case "@in", 2:
            items = call.args[1].list_expr.elements
            return any_of(_asked(call.args[0], _form(_pieces(item))) for item in items) if items else YES
        case "startsWith", 1:
            return _asked(call.target, _form([*_pieces(call.args[0]), None]))
        case "endsWith", 1:
            return _asked(call.target, _form([None, *_pieces(call.args[0])]))
        case "matches", 1:
            return _asked(call.target, _of_pattern(_pieces(call.args[0])))
    return YES


def _pieces(expr: Expr) -> list[str | None]:
    """The constants of a text, None for what may stand between them."""
    if expr.const_expr.WhichOneof("constant_kind") == "string_value":
        return [expr.const_expr.string_value]
    call = expr.call_expr
    if call.function != "re.extract" or call.args[1].const_expr.string_value != _WHOLE:
        return [None]
    found: list[str | None] = []
    for piece in _pieces(call.args[2]):
        if piece is None:
            found.append(None)
            continue
        parts = _WRITTEN.findall(piece)
        if "".join(parts) != piece:  # a backslash before what is not known
            return [None]
        for part in parts:
            found += _pieces(call.args[0]) if part == "\\1" else ["\\" if part == "\\\\" else part]
    return _joined(found)


def _joined(pieces: Iterable[str | None]) -> list[str | None]:
    """Constants next to each other are one."""
    found: list[str | None] = []
    for piece in pieces:
        last = found[-1] if found else None
        if piece is None or last is None:
            found.append(piece)
        else:
            found[-1] = last + piece
    return found


def _form(pieces: Sequence[str | None]) -> _Form | None:
    """What begins with the first constant and ends with the last, or else has the longest in it: of patterns
    in which more may be any text, RE2 would need too many states together. None without constants."""
    texts: list[str] = [""]
    """Constants, with any text between each and the next."""
    for piece in pieces:
        if piece is None:
            texts.append("")
        else:
            texts[-1] += piece
    if len(texts) == 1:
        return _Form(patterns.quote(texts[0]), texts[0])
    if not any(texts):
        return None
    inner = "" if texts[-1] else max(texts[1:-1], key=len, default="")
    middle = f"{_ANY}{patterns.quote(inner)}{_ANY}" if inner else _ANY
    return _Form(f"{patterns.quote(texts[0])}{middle}{patterns.quote(texts[-1])}", texts[0])


def _of_pattern(pieces: Sequence[str | None]) -> _Form | None:
    """What a pattern matches, whatever stands in its open parts; None where it may begin anywhere."""
    tokens = _TOKEN.findall("".join(_ANY if piece is None else piece for piece in pieces))
    if tokens[:1] != ["^"]:
        return None
    ends = tokens[-1] == "$"
    inner = tokens[1 : len(tokens) - ends]
    if "".join(inner[:4]) == "(?s)":
        del inner[:4]
    if not _is_one_way(inner):
        return None
    core = inner
    while core and core[0] == "(?:" and _closing(core, 0) == len(core) - 1:
        core = core[1:-1]
    return _Form("".join(inner) + ("" if ends else _ANY), _begin(core)[0] if _is_one_way(core) else "")


def _around(pattern: str, form: _Form) -> _Form | None:
    """What a text is, of which the one group of the pattern takes something of the form; None where that is
    not known."""
    tokens = _TOKEN.findall(pattern.removeprefix("(?s)").replace("(?s:.*)", _ANY))
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
    return _Form(
        f"{''.join(before)}(?:{form.pattern}){''.join(behind)}", begin + form.prefix if are_all else begin
    )


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


def _asked(expr: Expr, form: _Form | None) -> Predicate:
    """What is known of a header where the text that is made of it has the form."""
    if form is None:
        return YES
    call = expr.call_expr
    if call.function == "re.capture":
        return _asked(call.args[0], _around(call.args[1].const_expr.string_value, form))
    headers = call.args[0].select_expr if call.function == "_[_]" else None
    if headers is None or (headers.operand.ident_expr.name, headers.field) != ("request", "headers"):
        return YES
    text = header_text(call.args[1].const_expr.string_value)
    parts: list[Predicate] = []
    if len(form.prefix) > 1:  # all paths begin with a slash
        parts.append(Prefixed(text, frozenset((form.prefix,))))
    told = form.pattern == patterns.quote(form.prefix) + _ANY
    if not told and len(form.pattern) <= LONGEST and _is_of_bytes(form.pattern):
        try:
            parts.append(text_check(text, patterns.regex(f"(?s){form.pattern}")))
        except ValueError:  # as where an open part is repeated: less is asked then
            return all_of(parts)
    return all_of(parts)


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
