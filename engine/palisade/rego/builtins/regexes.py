"""Regular expressions: RE2, with the rules of Go's `regexp` for what counts as a match.

Patterns and texts go to RE2 as bytes, where matching costs a fifth of what it does through `str`.
Source: https://pkg.go.dev/regexp and https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import re2

from palisade.rego.builtins.budget import check_size
from palisade.rego.builtins.globs_match import intersects
from palisade.rego.builtins.operands import from_bytes, integer, string, to_bytes
from palisade.rego.builtins.registry import builtin
from palisade.rego.builtins.terms import quote
from palisade.rego.errors import BuiltinError
from palisade.rego.re2_options import QUIET
from palisade.rego.values import Value

_Pattern: TypeAlias = Any  # re2 ships no type information
_Span: TypeAlias = tuple[int, int]


_CATEGORIES = """
C other, Cc control cntrl, Cf format, Co privateuse, Cs surrogate,
L letter, Ll lowercaseletter, Lm modifierletter, Lo otherletter, Lt titlecaseletter, Lu uppercaseletter,
M mark combiningmark, Mc spacingmark, Me enclosingmark, Mn nonspacingmark,
N number, Nd decimalnumber digit, Nl letternumber, No othernumber,
P punctuation punct, Pc connectorpunctuation, Pd dashpunctuation, Pe closepunctuation,
Pf finalpunctuation, Pi initialpunctuation, Po otherpunctuation, Ps openpunctuation,
S symbol, Sc currencysymbol, Sk modifiersymbol, Sm mathsymbol, So othersymbol,
Z separator, Zl lineseparator, Zp paragraphseparator, Zs spaceseparator, Any
"""
_SHORT = {name.lower(): names.split()[0] for names in _CATEGORIES.split(",") for name in names.split()}
"""The categories as RE2 has them, by their names without marks between words, in small letters."""
_UNKNOWN_TO_RE2 = frozenset(("ascii", "assigned", "cn", "unassigned", "lc", "casedletter"))
_NAMED = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\[pP]\{\^?(?P<name>[^{}]*)\}|\(\?P?<(?P<group>\w+)>|\\(?P<byte>C)|\\.",
    re.DOTALL,
)


@lru_cache(maxsize=1024)
def as_re2(pattern: str) -> str:
    """The pattern as RE2 has it, where Go has other names of classes, and none for a byte; names of groups
    are of ASCII there.

    Raises BuiltinError for what Go does not take, a fatal one for classes that RE2 does not know.
    """
    return _NAMED.sub(_as_re2, pattern) if re.search(r"\\(?:[pP]\{|C)|\(\?P?<", pattern) else pattern


def _as_re2(found: re.Match[str]) -> str:
    if found["byte"]:
        raise BuiltinError("error parsing regexp: invalid escape sequence: `\\C`")
    if found["group"] and not found["group"].isascii():
        raise BuiltinError(f"error parsing regexp: invalid named capture: `{found[0]}`")
    if found["name"] is None:
        return found[0]
    name = re.sub("[ _-]", "", found["name"]).lower()
    if name in _UNKNOWN_TO_RE2:
        raise BuiltinError(f"pattern has a class that is not known here: {found[0]}", fatal=True)
    begin = found[0][: found.start("name") - found.start()]
    script = found["name"].capitalize() if found["name"].isalpha() else found["name"]
    return f"{begin}{_SHORT.get(name, script)}}}"


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> _Pattern:
    """A compiled pattern that takes bytes. Raises BuiltinError with the words of Go's `regexp`, a fatal one
    for a pattern that Go takes and RE2 does not, as it has no answer."""
    try:
        return re2.compile(to_bytes(as_re2(pattern)), QUIET)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "invalid pattern"
        if reason.startswith("pattern too large"):
            raise BuiltinError(f"error compiling regexp: {reason}", fatal=True) from error
        what, separator, where = reason.partition(": ")
        shown = f"{what}: `{where}`" if separator else what
        raise BuiltinError(f"error parsing regexp: {shown}") from error


@builtin("regex.is_valid", pure=True)
def regex_is_valid(pattern: Value) -> bool:
    """Whether RE2 takes the pattern; false for what is no string."""
    if type(pattern) is not str:
        return False
    try:
        compile_pattern(pattern)
    except BuiltinError as error:
        return error.fatal  # Go takes it
    return True


@builtin("re_match", pure=True)
@builtin("regex.match", pure=True)
def regex_match(pattern: Value, value: Value) -> bool:
    """Whether the pattern matches anywhere in the string."""
    if type(pattern) is str and type(value) is str:
        compiled, text = compile_pattern(pattern), _searched(value)
        if "\\B" in pattern and not text.isascii():
            return next(_matches(compiled, text, 1), None) is not None
        return compiled.search(text) is not None
    string(pattern, 1)
    string(value, 2)
    return False


@builtin("regex.find_n", pure=True)
def regex_find_n(pattern: Value, value: Value, number: Value) -> list[str]:
    """The first `number` matches, all if it is negative."""
    text, compiled, limit = _search(pattern, value, number)
    part = _parts_of(value, text)
    return [part(*spans[0]) for spans in _matches(compiled, text, limit)]


@builtin("regex.find_all_string_submatch_n", pure=True)
def regex_find_all_string_submatch_n(pattern: Value, value: Value, number: Value) -> list[list[str]]:
    """The first `number` matches with what their groups caught, the empty string for those without."""
    text, compiled, limit = _search(pattern, value, number)
    part = _parts_of(value, text)
    return [
        ["" if start < 0 else part(start, end) for start, end in spans]
        for spans in _matches(compiled, text, limit)
    ]


def _search(pattern: Value, value: Value, number: Value) -> tuple[bytes, _Pattern, int]:
    searched, text, limit = string(pattern, 1), string(value, 2), integer(number, 3)
    return _searched(text), compile_pattern(searched), limit


def _searched(value: str) -> bytes:
    """The text in which is looked for matches. To Go a byte that is no UTF-8 is the character U+FFFD; to RE2
    it is none."""
    text = to_bytes(value)
    return text if value.isascii() or not _ESCAPED.search(value) else to_bytes(_ESCAPED.sub("\ufffd", value))


_ESCAPED = re.compile("[\udc80-\udcff]")


def _parts_of(value: str, searched: bytes) -> Callable[[int, int], str]:
    """What stands in the text from a byte of `searched` up to another."""
    if value.isascii() or not _ESCAPED.search(value):
        return lambda start, end: from_bytes(searched[start:end])
    # Each character is one in both.
    return lambda start, end: value[len(searched[:start].decode()) : len(searched[:end].decode())]


@builtin("regex.split", pure=True)
def regex_split(pattern: Value, value: Value) -> list[str]:
    """The parts between the matches."""
    searched, whole = string(pattern, 1), string(value, 2)
    compiled, text = compile_pattern(searched), _searched(whole)
    if searched and not text:
        return [""]
    part = _parts_of(whole, text)
    parts: list[str] = []
    begin = end = 0
    for spans in _matches(compiled, text, -1):
        start, stop = spans[0]
        if stop == 0:  # an empty match at the very start splits nothing off
            continue
        end = start
        parts.append(part(begin, end))
        begin = stop
    if end != len(text):
        parts.append(part(begin, len(text)))
    return parts


@builtin("regex.replace", pure=True)
def regex_replace(value: Value, pattern: Value, replacement: Value) -> str:
    """Every match replaced; `$1`, `$name` and `${name}` stand for groups, `$$` for a dollar."""
    whole, searched, new = string(value, 1), string(pattern, 2), string(replacement, 3)
    text, compiled = _searched(whole), compile_pattern(searched)
    part = _parts_of(whole, text)
    names = {name.decode(): index for name, index in compiled.groupindex.items()}
    pieces = _expansion(new)
    out: list[str] = []
    last = size = 0
    for spans in _matches(compiled, text, -1):
        size += len(new)
        check_size(size)
        out.append(part(last, spans[0][0]))
        for piece in pieces:
            if isinstance(piece, bytes):
                out.append(from_bytes(piece))
                continue
            group = int(piece) if _NUMBER.fullmatch(piece) else names.get(piece, -1)
            if 0 <= group < len(spans) and spans[group][0] >= 0:
                out.append(part(*spans[group]))
        last = spans[0][1]
    out.append(part(last, len(text)))
    return from_bytes(to_bytes("".join(out)))  # bytes that are no UTF-8 may have become a character


_NUMBER = re.compile("0|[1-9][0-9]{0,7}")
_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


@lru_cache(maxsize=256)
def _expansion(template: str) -> tuple[bytes | str, ...]:
    """The template as literal bytes and names of groups. A `$` that names nothing stays as it is."""
    pieces: list[bytes | str] = []
    last = 0
    for match in _REFERENCE.finditer(template):
        pieces.append(to_bytes(template[last : match.start()]))
        name = match.group(1) or match.group(2)
        pieces.append(name if name else b"$")
        last = match.end()
    pieces.append(to_bytes(template[last:]))
    return tuple(pieces)


def _matches(compiled: _Pattern, text: bytes, limit: int) -> Iterator[list[_Span]]:
    """The spans of each match and its groups, -1 for a group without; no empty match right behind another."""
    at, previous = 0, -1
    while limit != 0 and at <= len(text):
        match = compiled.search(text, at)
        if match is None:
            return
        start, end = match.span()
        if _is_within(text, start):  # `\B`, to RE2, is between bytes
            at = start + 1
            continue
        accept = end > start or start != previous
        if end > at:
            at = end
        else:
            at += 1
            while at < len(text) and text[at] & 0xC0 == 0x80:  # on to the next character
                at += 1
        previous = end
        if accept:
            limit -= 1
            yield [match.span(group) for group in range(compiled.groups + 1)]


def _is_within(text: bytes, at: int) -> bool:
    """Whether a place is within a character."""
    if not 0 < at < len(text) or text[at] & 0xC0 != 0x80:
        return False
    begin = next((each for each in range(at - 1, max(at - 4, -1), -1) if text[each] & 0xC0 != 0x80), 0)
    try:
        return len(text[begin : at + 1].decode()) != len(text[begin : at + 1])
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"


@builtin("regex.globs_match", pure=True)
def regex_globs_match(glob1: Value, glob2: Value) -> bool:
    """Whether some string that is not empty is matched by both globs."""
    return intersects(string(glob1, 1), string(glob2, 2))


@builtin("regex.template_match", pure=True)
def regex_template_match(template: Value, value: Value, start: Value, end: Value) -> bool:
    """Whether the whole string is matched by the template: literal but for what is delimited."""
    pattern, text = string(template, 1), string(value, 2)
    opening, closing = string(start, 3), string(end, 4)
    for delimiter, which in ((opening, "start"), (closing, "end")):
        size = len(to_bytes(delimiter))
        if size != 1:
            raise BuiltinError(
                f"{which} delimiter has to be exactly one character long but is {len(to_bytes(opening))} long"
            )
    return compile_pattern(_template(pattern, opening, closing)).search(_searched(text)) is not None


@lru_cache(maxsize=256)
def _template(template: str, opening: str, closing: str) -> str:
    out = ["^"]
    level = last = begin = 0
    for at, char in enumerate(template):
        if char == opening:
            level += 1
            if level == 1:
                begin = at
        elif char == closing:
            level -= 1
            if level == 0:
                inner = template[begin + 1 : at]
                compile_pattern(f"^{inner}$")
                out.append(f"{re2.escape(template[last:begin])}({inner})")
                last = at + 1
            elif level < 0:
                break
    if level != 0:
        raise BuiltinError(f"unbalanced braces in {quote(template)}")
    out.append(f"{re2.escape(template[last:])}$")
    return "".join(out)
