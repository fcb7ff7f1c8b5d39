"""Texts that a policy makes of the request's texts, as expressions that Envoy evaluates on each request.

A part of a split text, a text without a prefix, a text between two constants, a segment of the path: each is
one `re.capture` or `re.extract` of CEL. Such an expression fails where the text is not there or no string,
and Envoy takes that for "no match", which is what undefined means to a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cel.expr.syntax_pb2 import Expr
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.conditions.context import DIRTY, DIRTY_QUERY, ESCAPED
from palisade.enforce.envoy.conditions.segments import joined_segments
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import NO, Predicate, all_of, any_of, negate, text_check
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.enforce.envoy.regex.preimages import anchored
from palisade.enforce.envoy.regex.rejoined import Pieces, pieces_of
from palisade.enforce.envoy.values.claims import claim_defined, claim_kind
from palisade.enforce.envoy.values.sources import (
    ADDRESS,
    DIRECT,
    FORWARDED,
    PATH_TEXT,
    TARGET_TEXT,
    Address,
    ClaimSource,
    Parameter,
    Segment,
    Source,
    TextSource,
)
from palisade.rego.partial.formulas.terms import ENDLESS, Apply, Known, Symbol, back_from, last_of
from palisade.rego.partial.symbols.listed import filled_in

_TARGET = cel.header(":path")
_CLEAN = "[!-.0->@-~]"
"""A character of a segment in a clean path. What such a class compiles to is half of what others do."""
_RAW = text_check(TARGET_TEXT, patterns.regex(patterns.BEYOND_ASCII))


RAW = "the path has letters beyond ASCII"
SLASHED = "what is put into a text has a backslash"
_ASCII = "[\\x00-\\x7f]"
_SPACED = f"^{patterns.SPACE}[^\\x00-\\x7f]|[^\\x00-\\x7f]{patterns.SPACE}$"
"""Of texts that begin so, or end so, Rego may take off more."""
_CAPITAL, _SMALL = "[A-Z]|[^\\x00-\\x7f]", "[a-z]|[^\\x00-\\x7f]"
_UNFOLDED = "has letters to be folded, or beyond ASCII"
_FORWARDED = "X-Forwarded-For says that a request is somebody else's, where hops are trusted"
_STEP = 2
"""So many marks an expression reads at once, where it would be too large for all."""
MOST_PUT_TOGETHER = 6
"""So many values of the request a text may be put together of."""


@dataclass(frozen=True)
class View:
    """`expr` is the text, for all requests but those of `unsure`. With `typed` it may also be no string.

    `when` says in words which requests those are.
    """

    expr: Expr
    unsure: Predicate = NO
    when: str = ""
    typed: bool = False


def view(term: Symbol, source: Callable[[Symbol], Source | None]) -> View | None:
    """The text that a term is, or None for one that no expression makes."""
    match source(term):
        case TextSource() as text:
            return View(text.expr)
        case ClaimSource() as claim:
            return View(claim.expr, typed=True)
        case Address():
            return None if ADDRESS is None else View(ADDRESS, negate(_is_direct()), _FORWARDED)
        case Segment(index):
            lead, behind = (
                (f"(?:{_CLEAN}*/){{{index}}}", "[/?]") if index >= 0 else ("(?:[!->@-~]*/)?", "[?]")
            )
            further = f"(?:/{_CLEAN}*){{{-index - 1}}}" if index < -1 else ""
            found = cel.captured(_TARGET, f"^/{lead}({_CLEAN}*){further}(?:{behind}(?s:.*))?$")
            escaped = text_check(PATH_TEXT, patterns.regex(paths.segment_escaped(index)))
            # CEL makes nothing of a text that is no UTF-8, as a query may be over HTTP/2.
            return None if found is None else View(found, any_of((escaped, _RAW)), ESCAPED)
        case Parameter(name):
            found = cel.captured(_TARGET, paths.first_parameter(name))
            bare = text_check(TARGET_TEXT, patterns.regex(paths.bare_parameter(name)))
            return None if found is None else View(found, any_of((DIRTY_QUERY, bare, _RAW)), DIRTY)
    if not isinstance(term, Apply) or not term.args:
        return None
    joined = joined_segments(term, source)
    if joined is not None:
        escaped = text_check(PATH_TEXT, StringMatcher(contains="%"))
        return View(joined, any_of((escaped, _RAW)), ESCAPED)
    pieces = pieces_of(term)
    if pieces is not None:
        return _joined_pieces(pieces, source)
    made = patterns.parts(term)
    if made is not None:
        return _made(made, term.name, source)
    if term.name == "regex.replace":
        return _replaced(term, source)
    searched = patterns.found_in(term)
    if searched is not None:
        return _found(*searched, source)
    if term.name in ("lower", "upper"):
        return _folded(term, source)
    if term.name == "urlquery.decode":
        return _unescaped(term.args[0], source)
    if term.name in ("trim_space", "substring"):
        found = _ends_off(term, source)
        if found is not None:
            return found
    parts = filled_in(term.args[0]) if term.name == "." else None
    if parts is not None:
        return _filled_piece(*parts, term, source)
    pattern = _taken(term)
    if pattern is None:
        return None
    whole = term.args[0]
    if term.name == "." and isinstance(whole, Apply):
        whole = whole.args[0]
    inner = view(whole, source)
    if inner is None:
        return None
    taken = cel.captured(inner.expr, pattern) or _far_piece(term, inner.expr)
    return None if taken is None else View(taken, inner.unsure, inner.when)


def _is_direct() -> Predicate:
    """The address that expressions see is that of the connection."""
    laid = [text_check(each, patterns.regex("(?s).+")) for each in (DIRECT, FORWARDED)]
    states = [cel.index(cel.name("filter_state"), cel.text(each.state)) for each in (DIRECT, FORWARDED)]
    return all_of((*laid, cel.check(cel.equal(*states))))


def _filled_piece(
    text: Symbol, mark: str, term: Apply, source: Callable[[Symbol], Source | None]
) -> View | None:
    """One of the pieces that are not empty; of a text without any the first and the last one is empty."""
    inner, (pieces, at) = view(text, source), term.args
    if inner is None:
        return None
    other, sign = f"[^{_class(mark)}]", _class(mark)
    match at:
        case Known(0):
            pattern = f"(?s)^{sign}*({other}*)(?:{sign}.*)?$"
        case Known(int(number)) if type(number) is int and number > 0:
            pattern = f"(?s)^{sign}*(?:{other}+{sign}+){{{number}}}({other}+)(?:{sign}.*)?$"
        case last if last == last_of(pieces):
            pattern = f"(?s)^(?:(?:.*{sign})?({other}+))?{sign}*$"
        case place if back := back_from(pieces, place):
            pattern = f"(?s)^(?:.*{sign})?({other}+)(?:{sign}+{other}+){{{back - 1}}}{sign}*$"
        case _:
            return None
    taken = cel.captured(inner.expr, pattern)
    return None if taken is None else View(taken, inner.unsure, inner.when)


def _joined_pieces(pieces: Pieces, source: Callable[[Symbol], Source | None]) -> View | None:
    """Pieces of a text as they stand in it, from one on; of texts with too few that is the empty text."""
    inner, start, end = view(pieces.text, source), pieces.start, pieces.end
    if inner is None or start < 0:
        return None
    sign, other = _class(pieces.mark), f"[^{_class(pieces.mark)}]*"
    lead = f"(?:{other}{sign}){{{start}}}" if start else ""
    if end is None or end >= ENDLESS:
        taken = f"{lead}(.*)"
    elif end < 0:
        taken = f"{lead}(.*)(?:{sign}{other}){{{-end}}}"
    elif start < end <= FURTHEST:
        taken = f"{lead}({other}(?:{sign}{other}){{0,{end - start - 1}}})(?:{sign}.*)?"
    else:
        return None
    made = cel.captured(inner.expr, f"(?s)^(?:{taken}|.*)$")
    return None if made is None else View(made, inner.unsure, inner.when)


def _far_piece(term: Apply, text: Expr) -> Expr | None:
    """A piece behind so many marks that one expression would be too large: a piece of what is behind some."""
    match term:
        case Apply(".", (Apply("split", (_, Known(str(mark)))) as pieces, Known(int(at)))) if at > _STEP:
            rest: Expr | None = cel.captured(text, f"(?s)^(?:.*?{patterns.quote(mark)}){{{_STEP}}}(.*)$")
            near = _taken(Apply(".", (pieces, Known(at - _STEP))))
            if rest is None or near is None:
                return None
            return cel.captured(rest, near) or _far_piece(Apply(".", (pieces, Known(at - _STEP))), rest)
    return None


def _made(parts: Sequence[str | Symbol], name: str, source: Callable[[Symbol], Source | None]) -> View | None:
    """A text that a builtin makes of constants and of values of the request."""
    chunks, values = [""], list[View]()
    for part in parts:
        if isinstance(part, str):
            chunks[-1] += part
            continue
        found = _put_in(part, name, source)
        if found is None:
            return None
        values.append(found)
        chunks.append("")
    unsure, when = any_of(each.unsure for each in values), next((v.when for v in values if v.when), "")
    if len(values) == 1:
        return View(cel.around(chunks[0], values[0].expr, chunks[1]), unsure, when)
    if not 0 < len(values) <= MOST_PUT_TOGETHER or any("\\" in each for each in chunks):
        return None
    # A text that another is put before becomes what an expression replaces by, where backslashes are read.
    slashed = [cel.check(cel.holds(each.expr, "\\")) for each in values[1:]]
    expr = cel.around("", values[-1].expr, chunks[-1])
    for value, behind in zip(values[-2::-1], chunks[-2:0:-1], strict=True):
        expr = cel.put_before(value.expr, behind, expr)
    return View(cel.between(chunks[0], expr, ""), any_of((unsure, *slashed)), when or SLASHED)


def _put_in(part: Symbol, name: str, source: Callable[[Symbol], Source | None]) -> View | None:
    """A value as it stands in a text that the builtin of this name makes."""
    inner = view(part, source)
    if inner is None or name == "concat" or not inner.typed:
        return inner
    claim = source(part)
    if not isinstance(claim, ClaimSource):
        return None
    # Numbers and the rest have a text in templates too, which only the engine makes.
    other = all_of((claim_defined(claim), negate(claim_kind(claim, "string"))))
    return View(inner.expr, any_of((inner.unsure, other)), f"{part} is no string")


def _found(pattern: str, text: Symbol, group: int, source: Callable[[Symbol], Source | None]) -> View | None:
    inner = view(text, source)
    taken = None if inner is None else cel.extracted(inner.expr, pattern, f"\\{group}")
    return None if taken is None or inner is None else View(taken, inner.unsure, inner.when)


def _replaced(term: Apply, source: Callable[[Symbol], Source | None]) -> View | None:
    """A text without what an anchored pattern finds, or with something else in its place."""
    match term.args:
        case (text, Known(str(pattern)), Known(str(new))):
            ways, inner = anchored(pattern, new), view(text, source)
        case _:
            return None
    if ways is None or inner is None:
        return None
    found, made = cel.matches(inner.expr, ways[0]), cel.extracted(inner.expr, ways[1], ways[2])
    if found is None or made is None:
        return None
    # Text that is no UTF-8 is an error of the expression, where Rego's is a text.
    unsure = any_of((inner.unsure, _RAW))
    return View(cel.call("_?_:_", found, made, inner.expr), unsure, inner.when or RAW)


def _folded(term: Apply, source: Callable[[Symbol], Source | None]) -> View | None:
    """A text whose letters are small, or capital ones, already: no expression makes them so."""
    inner = view(term.args[0], source)
    if inner is None:
        return None
    # What is no text has none of this: taking all of it is an error then, as for what is not there.
    whole = cel.captured(inner.expr, "(?s)^(.*)$")
    other = cel.matches(inner.expr, _CAPITAL if term.name == "lower" else _SMALL)
    if whole is None or other is None:
        return None
    return View(whole, any_of((inner.unsure, cel.check(other))), f"{term.args[0]} {_UNFOLDED}")


def _unescaped(text: Symbol, source: Callable[[Symbol], Source | None]) -> View | None:
    """A text that is the same once it is decoded, as nothing in it is escaped."""
    inner = view(text, source)
    if inner is None:
        return None
    whole, escaped = cel.captured(inner.expr, "(?s)^(.*)$"), cel.matches(inner.expr, "[%+]")
    if whole is None or escaped is None:
        return None
    return View(whole, any_of((inner.unsure, cel.check(escaped), _RAW)), f"{text} has escapes")


def _ends_off(term: Apply, source: Callable[[Symbol], Source | None]) -> View | None:
    """A text without space around, or some characters of one. Beyond ASCII more than is told here is space,
    and a character is several bytes."""
    match term:
        case Apply("trim_space", (text,)):
            pattern, odd = f"(?s)^{patterns.SPACE}(.*?){patterns.SPACE}$", _SPACED
        case Apply("substring", (text, Known(int(start)), Known(int(size)))) if (
            type(start) is type(size) is int and start >= 0
        ):
            taken = ".*" if size < 0 else f"{_ASCII}{{0,{size}}}"
            behind = "" if size < 0 else ".*"
            pattern, odd = f"(?s)^{_ASCII}{{0,{start}}}({taken}){behind}$", "[^\\x00-\\x7f]"
        case _:
            return None
    inner = view(text, source)
    if inner is None:
        return None
    made, beyond = cel.captured(inner.expr, pattern), cel.matches(inner.expr, odd)
    if made is None or beyond is None:
        return None
    return View(
        made, any_of((inner.unsure, cel.check(beyond))), inner.when or f"{text} has letters beyond ASCII"
    )


def up_to(term: Apply) -> Apply | None:
    """What stands before the first mark in a text, or all of it, as the first piece of the text: that is
    `substring(x, 0, indexof(x, "://"))` where -1, for none, is all that follows."""
    match term:
        case Apply(
            "substring", (text, Known(start), Apply("indexof", (searched, Known(str(mark)) as sign)))
        ) if text == searched and mark and mark.isascii() and type(start) is int and not start:
            return Apply(".", (Apply("split", (text, sign)), Known(0)))
    return None


def behind(term: Apply) -> str | None:
    """The pattern whose group is `substring(x, indexof(x, "://") + 3, -1)`: what stands behind the first
    mark, or behind two characters, as none is at -1.
    """
    match term:
        case Apply("substring", (text, Apply("plus", (left, right)), Known(size))):
            found, add = (right, left) if isinstance(left, Known) else (left, right)
            match found, add:
                case Apply("indexof", (searched, Known(str(mark)))), Known(number) if (
                    text == searched and mark and mark.isascii() and number == len(mark)
                ):
                    if type(number) is type(size) is int and size < 0:
                        return f"(?s)^(?:.*?{patterns.quote(mark)}|.{{0,{number - 1}}})(.*)$"
    return None


def _taken(term: Apply) -> str | None:
    """The pattern whose group is what a builtin leaves of a text."""
    first = up_to(term)
    if first is not None:
        return _taken(first)
    match term:
        case Apply("substring"):
            return behind(term)
        case Apply(".", (Apply("split", (_, Known(str(mark)))), Known(int(at)))) if (
            len(mark) == 1 and at >= 0
        ):
            other = f"[^{_class(mark)}]*"
            return f"(?s)^(?:{other}{_class(mark)}){{{at}}}({other})(?:{_class(mark)}.*)?$"
        case Apply(".", (Apply("split", (_, Known(str(mark)))), Known(int(at)))) if len(mark) > 1 and at >= 0:
            # As few characters as there can be stand before each mark: it is the next one, also where marks
            # could overlap, as in `a:::b`.
            sign = patterns.quote(mark)
            return f"(?s)^(?:.*?{sign}){{{at}}}(.*?)(?:{sign}.*)?$"
        case Apply(".", (Apply("split", (_, Known(str(mark)))) as whole, last)) if len(
            mark
        ) > 1 and last == last_of(whole):
            return f"(?s)^(?:.*?{patterns.quote(mark)})*(.*)$"
        case Apply(".", (Apply("split", (_, Known(str(mark)))) as whole, place)) if len(mark) == 1 and (
            back := back_from(whole, place)
        ):
            other = f"[^{_class(mark)}]*"
            further = f"(?:{_class(mark)}{other}){{{back - 1}}}" if back > 1 else ""
            return f"(?s)^(?:.*{_class(mark)})?({other}){further}$"
        case Apply("trim_prefix", (_, Known(str(text)))):
            return f"(?s)^(?:{patterns.quote(text)})?(.*)$"
        case Apply("trim_suffix", (_, Known(str(text)))):
            return f"(?s)^(.*?)(?:{patterns.quote(text)})?$"
        case Apply("trim" | "trim_left" | "trim_right" as name, (_, Known(str(cutset)))) if cutset:
            cut = f"[{''.join(map(_class, cutset))}]*"
            left = "" if name == "trim_right" else cut
            right = "" if name == "trim_left" else cut
            return f"(?s)^{left}(.*?){right}$"
    return None


def _class(char: str) -> str:
    """A character, as it stands in and outside of a class."""
    return f"\\x{{{ord(char):x}}}"
