"""What is cut out of a text, as a pattern of the whole text.

`trim_space(split(h, ",")[0])` is `10.0.0.1` where `h` is that, with spaces around it and whatever behind a
comma. A pattern of what is cut out becomes one of the text itself by what may stand before and behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.paths import FURTHEST
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol, back_from
from palisade.rego.partial.symbols.listed import filled_in

_SPACE = "\t\n\v\f\r "
_ANY = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Cut:
    """A text that is cut out of `base`, which stands between what `before` and `behind` match.

    It has none of the characters in `without`. What is taken off its ends begins with one of `firsts` and
    ends with one of `lasts`: of texts that do so themselves nothing is said here. `one` tells whether that is
    one character at a time.
    """

    base: Symbol
    before: str = ""
    behind: str = ""
    without: frozenset[str] = _ANY
    firsts: frozenset[str] = _ANY
    lasts: frozenset[str] = _ANY
    one: bool = True
    fold: str = ""
    """`lower` or `upper`, where letters are folded before anything is cut."""
    trimmed: bool = False
    """Whether no text that is cut out begins or ends so, as that is taken off last."""
    filled: bool = False
    """Whether it is a piece that is not empty, of which a pattern may speak that takes no empty text."""
    apart: str = ""
    """Two characters that it does not have one behind the other, where it was split at these."""

    def around(self, pattern: str) -> str:
        """A pattern of the text itself, from one of what is cut out."""
        return f"(?s){self.before}(?:{pattern}){self.behind}"

    @property
    def is_plain(self) -> bool:
        """Whether it may be any text without some characters, as it stands there."""
        return not (self.firsts or self.lasts or self.fold or self.apart or self.filled)

    @property
    def any(self) -> str:
        """Any characters that can stand in it."""
        return self.any_but("")

    def any_but(self, mark: str) -> str:
        """The same, without a mark of one character. Of a text that was split at two characters these never
        stand one behind the other."""
        without = self.without | {*mark}
        if self.apart:
            return patterns.apart(self.apart, _class(without))
        return f"[^{_class(without)}]*" if without else ".*"

    def takes(self, characters: Iterable[str]) -> bool:
        """Whether texts of such characters, one at least, are what a pattern may speak of."""
        return not {*characters} & (self.without | self.firsts | self.lasts | {*self.apart})

    def is_one_of(self, texts: Iterable[str]) -> str | None:
        """The pattern of the text where what is cut out is one of those; None where that is not known."""
        kept: list[str] = []
        for text in texts:
            if {*text} & self.without or (self.fold and _folded(self.fold, text) != text):
                continue
            if self.apart and self.apart in text:
                continue
            if not text and (self.firsts or self.lasts or self.filled):
                return None
            if text and (text[0] in self.firsts or text[-1] in self.lasts):
                if self.trimmed:
                    continue
                return None
            if not text.isascii():
                return None
            kept.append(text)
        return self.around("|".join(map(self._constant, sorted(kept))) if kept else patterns.NOTHING)

    def has(self, kind: str, text: str) -> str | None:
        """The pattern of the text where what is cut out has the constant as `prefix` or `suffix`, or
        `contains` it; None where that is not known."""
        if self.apart and kind == "prefix" and text.isascii() and self.takes(text):
            return self.around(f"{patterns.quote(text)}{self.any}")
        if not text or not text.isascii() or not self.one:
            return None
        if {*text} & self.without or (self.fold and _folded(self.fold, text) != text):
            return self.around(patterns.NOTHING)
        if text[0] in self.firsts or text[-1] in self.lasts:
            return None
        before = "" if kind == "prefix" else self.any
        behind = "" if kind == "suffix" else self.any
        return self.around(f"{before}{self._constant(text)}{behind}")

    def _constant(self, text: str) -> str:
        return patterns.folded(self.fold, text) if self.fold else patterns.quote(text)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of a text joined by the mark at which it was split: those from one on, up to another that is not
    among them, up to the end, or with an `end` of -1 up to the last. A `start` of -2 is the last but one, or
    the first where there are fewer."""

    text: Symbol
    mark: str
    start: int
    end: int | None

    @property
    def base(self) -> Symbol:
        """The text of the request that the text is cut out of."""
        return cut_of(self.text).base

    def are(self, wanted: str) -> str | None:
        """The pattern of the base where that is so joined; None where it is not known."""
        cut, mark = cut_of(self.text), self.mark
        if not wanted or not wanted.isascii() or not _parts(cut, mark) or cut.apart:
            return None  # the empty text is no piece, or one
        # A text off whose ends the mark itself is taken begins and ends with other characters.
        ends = cut.trimmed and cut.firsts == cut.lasts == {mark}
        if (self.start and cut.firsts and not ends) or wanted[0] in cut.firsts or wanted[-1] in cut.lasts:
            return None
        if {*wanted} & cut.without or (cut.fold and _folded(cut.fold, wanted) != wanted):
            return cut.around(patterns.NOTHING)
        sign, other = patterns.quote(mark), cut.any_but(mark)
        if self.start < 0:
            if (cut.firsts or cut.lasts) and not ends:
                return None
            more = wanted.count(mark) + 1 + self.start
            if more > 0:
                return cut.around(patterns.NOTHING)
            return cut.around(f"{'' if more else f'(?:{cut.any}{sign})?'}{cut._constant(wanted)}")
        some = f"{other[:-1]}+" if ends else other
        behind = ""
        if self.end is not None and self.end < 0:
            behind = f"(?:{sign}{other}){{{-self.end - 1}}}" if self.end < -1 else ""
            behind += f"{sign}{some}"
        elif self.end is not None:
            left = self.end - self.start - wanted.count(mark) - 1
            if left < 0:
                return cut.around(patterns.NOTHING)
            behind = "" if left else f"(?:{sign}{cut.any})?"
        if behind and cut.lasts and not ends:
            return None
        before = f"{some}{sign}(?:{other}{sign}){{{self.start - 1}}}" if self.start else ""
        return cut.around(f"{before}{cut._constant(wanted)}{behind}")


def pieces_of(term: Symbol) -> Pieces | None:
    """Of which text a term joins pieces again; None for others."""
    match term:
        case Apply("concat", (Known(str(glue)), Apply("array.slice", (Apply("split") as whole, start, end)))):
            text, mark = whole.args
        case _:
            return None
    if mark != Known(glue) or not patterns.is_one(glue):
        return None
    count = Apply("count", (whole,))
    back = _back(whole, start)
    if back:
        return Pieces(text, glue, -back, None) if end == count else None
    if not isinstance(start, Known) or type(start.value) is not int or not 0 <= start.value <= FURTHEST:
        return None
    if end == count:
        return Pieces(text, glue, start.value, None)
    back = _back(whole, end)
    if back:
        return Pieces(text, glue, start.value, -back)
    if isinstance(end, Known) and type(end.value) is int and end.value >= 0:
        return Pieces(text, glue, start.value, end.value)
    return None


def is_bare_path(term: Symbol) -> bool:
    """Whether it is the path without its query, which Envoy has as a text of its own."""
    match term:
        case Apply(".", (Apply("split", (Input(path), Known("?"))), Known(int(at)))):
            return path == _TARGET and type(at) is int and at == 0
        case Apply("regex.replace", (Input(path), Known(str(pattern)), Known(""))):
            return path == _TARGET and _QUERY.fullmatch(pattern) is not None
    return False


_TARGET = ("attributes", "request", "http", "path")
_QUERY = re.compile(r"(?:\\\?|\[\\?\?\])(?:\.\*|\(\.\*\))\$?")
"""The patterns of a query: `\\?.*$`, `[?].*`."""


def cut_of(term: Symbol) -> Cut:
    """What a term cuts out of which text; of a term that cuts nothing, the whole."""
    if is_bare_path(term):
        return Cut(term, without=frozenset("?"))
    found = _cut(term) if isinstance(term, Apply) else None
    return Cut(term) if found is None else found


def _cut(term: Apply) -> Cut | None:
    match term:
        case Apply(".", (pieces, at)) if (parts := filled_in(pieces)) is not None:
            back = _back(pieces, at)
            return _filled_piece(cut_of(parts[0]), parts[1], -back if back else getattr(at, "value", None))
        case Apply(".", (Apply("split", (text, Known(str(mark)))) as pieces, at)) if patterns.is_one(mark):
            cut = cut_of(text)
            if back := _back(pieces, at):
                return _last_piece(cut, mark, back)
            if isinstance(at, Known) and type(at.value) is int and 0 <= at.value <= FURTHEST:
                return _piece(cut, mark, at.value)
        case Apply(".", (Apply("split", (text, Known(str(mark)))) as pieces, at)) if patterns.is_pair(mark):
            if cut_of(text).base != text:
                return None
            last = back_from(pieces, at) == 1
            return _piece_apart(text, mark, -1 if last else getattr(at, "value", None))
        case Apply("trim_space", (text,)):
            return _trimmed(cut_of(text), _SPACE, "both")
        case Apply("trim" | "trim_left" | "trim_right" as name, (text, Known(str(cutset)))) if (
            cutset.isascii()
        ):
            side = {"trim": "both", "trim_left": "left", "trim_right": "right"}[name]
            return _trimmed(cut_of(text), cutset, side)
        case Apply("trim_prefix" | "trim_suffix" as name, (text, Known(str(affix)))) if (
            affix.isascii() and affix
        ):
            return _without_affix(cut_of(text), name, affix)
        case Apply("lower" | "upper" as name, (text,)):
            cut = cut_of(text)
            letters = any(map(str.isalpha, cut.without | cut.firsts | cut.lasts))
            return None if cut.fold or letters or not cut.one else replace(cut, fold=name, trimmed=False)
    return None


def _piece(cut: Cut, mark: str, at: int) -> Cut | None:
    if not _parts(cut, mark) or (at and cut.firsts) or (cut.lasts and not cut.one):
        return None
    other, sign = cut.any_but(mark), patterns.quote(mark)
    return replace(
        cut,
        before=f"{cut.before}(?:{other}{sign}){{{at}}}" if at else cut.before,
        behind=f"(?:{sign}{cut.any})?{cut.behind}",
        without=cut.without | {mark},
        trimmed=False,
    )


def _filled_piece(cut: Cut, mark: str, at: object) -> Cut | None:
    """One of the pieces that are not empty; with -1 the last, with -2 the one before."""
    if type(at) is not int or not -FURTHEST <= at <= FURTHEST or not _parts(cut, mark) or cut.filled:
        return None
    if not cut.one or (cut.firsts | cut.lasts) - {mark}:
        return None
    other, sign = f"[^{_class(cut.without | {mark})}]+", f"{patterns.quote(mark)}"
    if at < 0:
        further = f"(?:{sign}+{other}){{{-at - 1}}}" if at < -1 else ""
        before, behind = f"(?:{cut.any}{sign})?", f"{further}{sign}*"
    else:
        before, behind = f"{sign}*(?:{other}{sign}+){{{at}}}", f"(?:{sign}{cut.any})?"
    return Cut(
        cut.base,
        cut.before + before,
        behind + cut.behind,
        without=cut.without | {mark},
        fold=cut.fold,
        filled=True,
    )


def _last_piece(cut: Cut, mark: str, back: int) -> Cut | None:
    """The last piece; with a `back` of 2 the one before."""
    if not _parts(cut, mark) or cut.firsts or (cut.lasts and back > 1):
        return None
    sign = patterns.quote(mark)
    before = f"{cut.before}(?:{cut.any}{sign})?"
    further = f"(?:{sign}{cut.any_but(mark)}){{{back - 1}}}" if back > 1 else ""
    return replace(
        cut, before=before, behind=further + cut.behind, without=cut.without | {mark}, trimmed=False
    )


def _back(pieces: Symbol, place: Symbol) -> int | None:
    """How far from the end a place is, where that is not too far for an expression; None for others."""
    back = back_from(pieces, place)
    return None if back is None or back > FURTHEST else back


def _parts(cut: Cut, mark: str) -> bool:
    """Whether a mark can stand in what is cut out, wherever, and is no part of what stands around."""
    return not cut.filled and not _is_letter(cut, mark) and mark not in cut.without and mark not in cut.apart


def _piece_apart(text: Symbol, mark: str, at: object) -> Cut | None:
    """A piece of a text that is split at two characters; with -1 the last."""
    if type(at) is not int or not -1 <= at <= FURTHEST:
        return None
    sign = patterns.quote(mark)
    other = f"{patterns.apart(mark)}{sign}"
    before = f"(?:.*{sign})?" if at < 0 else f"(?:{other}){{{at}}}" if at else ""
    return Cut(text, before, "" if at < 0 else f"(?:{sign}.*)?", one=False, apart=mark)


def _trimmed(cut: Cut, cutset: str, side: str) -> Cut | None:
    taken = frozenset(cutset) - cut.without
    if not taken or _is_letter(cut, cutset) or not cut.one:
        return None
    ends = f"[{_class(taken)}]*"
    left, right = side != "right", side != "left"
    return replace(
        cut,
        before=cut.before + ends if left else cut.before,
        behind=ends + cut.behind if right else cut.behind,
        firsts=cut.firsts | taken if left else cut.firsts,
        lasts=cut.lasts | taken if right else cut.lasts,
        trimmed=side == "both" and not (cut.firsts | cut.lasts) - taken,
    )


def _without_affix(cut: Cut, name: str, affix: str) -> Cut | None:
    if {*affix} & cut.without or _is_letter(cut, affix) or not cut.one or cut.filled:
        return None
    optional = f"(?:{patterns.quote(affix)})?"
    single = len(affix) == 1
    if name == "trim_prefix":
        if cut.firsts:
            return None
        return replace(
            cut, before=cut.before + optional, firsts=frozenset(affix[0]), one=single, trimmed=False
        )
    if cut.lasts:
        return None
    return replace(cut, behind=optional + cut.behind, lasts=frozenset(affix[-1]), one=single, trimmed=False)


def _is_letter(cut: Cut, text: str) -> bool:
    """Whether it has letters, where these stand for others too."""
    return bool(cut.fold) and any(map(str.isalpha, text))


def _folded(name: str, text: str) -> str:
    return text.lower() if name == "lower" else text.upper()


def _class(characters: Iterable[str]) -> str:
    """The characters, as they stand in a class."""
    return patterns.in_class(sorted(characters))
