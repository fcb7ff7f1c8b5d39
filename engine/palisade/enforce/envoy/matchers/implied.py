"""What an expression of CEL implies of one text, to be asked before it.

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
from typing import TypeAlias

from cel.expr.syntax_pb2 import Expr
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import DynamicMetadataInput
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.value_pb2 import ValueMatcher

from palisade.enforce.envoy.matchers.alike import behind_alike
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    All,
    AnyOf,
    Check,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    all_of,
    any_of,
    custom_check,
    header_text,
    text_check,
    typed,
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
_BEYOND = r"\\x\{?0*(?:[89A-Fa-f][0-9A-Fa-f]|[0-9A-Fa-f]{3,})"
_OTHER_IN_BYTES = re.compile(
    rf"\\[pPbBCQEAzZDWS0-9]|{_BEYOND}\}}?|\[.*(?:[^\x00-\x7f]|\\[pPDWS0-9]|\[:\^|{_BEYOND}).*\]", re.DOTALL
)
"""Parts of patterns that mean one thing in characters and another in bytes."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A pattern of whole texts, in which dots are any character, and what all of them begin with."""

    pattern: str
    prefix: str = ""


Piece: TypeAlias = str | Expr
"""A part of a text: a constant, or what is not known of it; an empty expression may be any text."""


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
        return behind_alike(list(map(self.of, common_apart(parts) or parts)))


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
            return _asked(call.target, _form([*_pieces(call.args[0]), Expr()]))
        case "endsWith", 1:
            return _asked(call.target, _form([Expr(), *_pieces(call.args[0])]))
        case "matches", 1:
            form = _of_pattern(_pieces(call.args[0]))
            if form is None:
                return YES
            return all_of((_asked(call.target, form), _beginning(_pieces(call.target), form.prefix)))
    return YES


def _pieces(expr: Expr) -> list[Piece]:
    """The constants of a text, and what may stand between them."""
    if expr.const_expr.WhichOneof("constant_kind") == "string_value":
        return [expr.const_expr.string_value]
    call = expr.call_expr
    if call.function != "re.extract" or call.args[1].const_expr.string_value != _WHOLE:
        return [expr]
    found: list[Piece] = []
    for piece in _pieces(call.args[2]):
        if not isinstance(piece, str):
            found.append(piece)
            continue
        parts = _WRITTEN.findall(piece)
        if "".join(parts) != piece:  # a backslash before what is not known
            return [expr]
        for part in parts:
            found += _pieces(call.args[0]) if part == "\\1" else ["\\" if part == "\\\\" else part]
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


def _form(pieces: Sequence[Piece]) -> _Form | None:
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
        return _Form(patterns.quote(texts[0]), texts[0])
    if not any(texts):
        return None
    inner = "" if texts[-1] else max(texts[1:-1], key=len, default="")
    middle = f"{_ANY}{patterns.quote(inner)}{_ANY}" if inner else _ANY
    return _Form(f"{patterns.quote(texts[0])}{middle}{patterns.quote(texts[-1])}", texts[0])


def _of_pattern(pieces: Sequence[Piece]) -> _Form | None:
    """What a pattern matches, whatever stands in its open parts; None where it may begin anywhere."""
    tokens = _all_dots(_TOKEN.findall("".join(piece if isinstance(piece, str) else _ANY for piece in pieces)))
    if tokens[:1] != ["^"]:
        return None
    ends = tokens[-1] == "$"
    inner = tokens[1 : len(tokens) - ends]
    if not _is_one_way(inner):
        return None
    core = inner
    while core and core[0] == "(?:" and _closing(core, 0) == len(core) - 1:
        core = core[1:-1]
    return _Form("".join(inner) + ("" if ends else _ANY), _begin(core)[0] if _is_one_way(core) else "")


def _around(pattern: str, form: _Form) -> _Form | None:
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
    return _Form(
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


def _beginning(pieces: Sequence[Piece], prefix: str) -> Predicate:
    """What is known of the parts of a text that begins so, as of a method and a segment of `GET:orders`."""
    known: list[Predicate] = []
    for at, piece in enumerate(pieces):
        following = pieces[at + 1] if at + 1 < len(pieces) else ""
        if isinstance(piece, str):
            if not prefix.startswith(piece):
                break
            prefix = prefix.removeprefix(piece)
        elif not prefix:
            break
        elif not following:
            known.append(_asked(piece, _Form(patterns.quote(prefix) + _ANY, prefix)))
        elif _place(piece) == _METHOD and isinstance(following, str) and following[0] in _OF_NO_METHOD:
            method, mark, _ = prefix.partition(following[0])
            if not mark:
                break
            known.append(OneOf(header_text(":method"), frozenset((method,))))
            prefix = prefix.removeprefix(method)
        else:
            break
    return all_of(known)


_METHOD = ("request", "headers", ":method")
_OF_NO_METHOD = "/:@ "
"""Characters that no method has: Envoy refuses such requests over either protocol (tried on 1.40)."""


def _asked(expr: Expr, form: _Form | None) -> Predicate:
    """What is known of a header, or of a text in the metadata, where the text made of it has the form; of a
    member of a list there, that some member is so."""
    if form is None:
        return YES
    call = expr.call_expr
    if call.function == "re.capture":
        return _asked(call.args[0], _around(call.args[1].const_expr.string_value, form))
    is_member = call.function == "_[_]" and _is_number(call.args[1])
    place = _place(call.args[0] if is_member else expr)
    if place is None or len(place) < 3:
        return YES
    told = form.pattern == patterns.quote(form.prefix) + _ANY
    begins = len(form.prefix) > 1  # all paths begin with a slash
    whole = form.pattern if len(form.pattern) <= LONGEST and _is_of_bytes(form.pattern) else ""
    try:
        matcher = patterns.regex(f"(?s){whole}") if whole and not told else None
    except ValueError:  # as where an open part is repeated: less is asked then
        matcher = None
    if place[:2] == ("request", "headers") and not is_member:
        text = header_text(place[2])
        prefixed = Prefixed(text, frozenset((form.prefix,))) if begins else YES
        return all_of((prefixed, YES if matcher is None else text_check(text, matcher)))
    if place[:2] != ("metadata", "filter_metadata") or not (begins or matcher):
        return YES
    value = ValueMatcher()
    found = value.list_match.one_of.string_match if is_member else value.string_match
    if matcher is not None:
        found.safe_regex.regex = matcher.safe_regex.regex
    else:
        found.prefix = form.prefix
    source = DynamicMetadataInput(filter=place[2])
    for key in place[3:]:
        source.path.add(key=key)
    return custom_check(typed("palisade.text", source), typed("palisade.value", Metadata(value=value)))


def _is_number(expr: Expr) -> bool:
    kind: str | None = expr.const_expr.WhichOneof("constant_kind")
    return kind == "int64_value"


def _place(expr: Expr) -> tuple[str, ...] | None:
    """The names by which a value is reached; None where one of them is no name."""
    kind = expr.WhichOneof("expr_kind")
    if kind == "ident_expr":
        return (expr.ident_expr.name,)
    if kind == "select_expr":
        before, name = _place(expr.select_expr.operand), expr.select_expr.field
    elif expr.call_expr.function == "_[_]":
        before, name = _place(expr.call_expr.args[0]), expr.call_expr.args[1].const_expr.string_value
    else:
        return None
    return (*before, name) if before and name else None


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
