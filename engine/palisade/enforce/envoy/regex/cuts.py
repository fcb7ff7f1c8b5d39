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
    short: bool = False
    """Whether of texts that are too short it is empty, of which nothing is said here."""
    taken: str = ""
    """The end of `before`, where that takes off all of one character, or one of it: `[/]*`, `(?:/)?`."""

    def around(self, pattern: str) -> str:
        """A pattern of the text itself, from one of what is cut out."""
        return f"(?s){self.before}(?:{pattern}){self.behind}"

    @property
    def is_plain(self) -> bool:
        """Whether it may be any text without some characters, as it stands there."""
        return not (self.firsts or self.lasts or self.fold or self.apart or self.filled or self.short)

    @property
    def any(self) -> str:
        """Any characters that can stand in it."""
        return self.any_but("")

    def any_but(self, mark: str) -> str:
        """The same, without a mark of one character. Of a text that was split at two characters these never
        stand one behind the other."""
        without = self.without | {*mark}
        if self.apart:
            return patterns.apart(self.apart, class_of(without))
        return f"[^{class_of(without)}]*" if without else ".*"

    def takes(self, characters: Iterable[str]) -> bool:
        """Whether texts of such characters, one at least, are what a pattern may speak of."""
        return not {*characters} & (self.without | self.firsts | self.lasts | {*self.apart})

    def is_one_of(self, texts: Iterable[str]) -> str | None:
        """The pattern of the text where what is cut out is one of those; None where that is not known."""
        kept: list[str] = []
        for text in texts:
            if {*text} & self.without or (self.fold and fold_of(self.fold, text) != text):
                continue
            if self.apart and self.apart in text:
                continue
            if not text and (self.firsts or self.lasts or self.filled or self.short):
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
        if {*text} & self.without or (self.fold and fold_of(self.fold, text) != text):
            return self.around(patterns.NOTHING)
        if text[0] in self.firsts or text[-1] in self.lasts:
            return None
        before = "" if kind == "prefix" else self.any
        behind = "" if kind == "suffix" else self.any
        return self.around(f"{before}{self._constant(text)}{behind}")

    def _constant(self, text: str) -> str:
        return patterns.folded(self.fold, text) if self.fold else patterns.quote(text)


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
            back = place_from_end(pieces, at)
            return _filled_piece(cut_of(parts[0]), parts[1], -back if back else getattr(at, "value", None))
        case Apply(".", (Apply("split", (text, Known(str(mark)))) as pieces, at)) if patterns.is_one(mark):
            cut = cut_of(text)
            if back := place_from_end(pieces, at):
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
        case Apply("substring", (text, Known(int(start)), length)) if type(start) is int and start > 0:
            return _behind(cut_of(text), start) if _is_rest(text, start, length) else None
        case Apply("lower" | "upper" as name, (text,)):
            cut = cut_of(text)
            letters = any(map(str.isalpha, cut.without | cut.firsts | cut.lasts))
            return None if cut.fold or letters or not cut.one else replace(cut, fold=name, trimmed=False)
    return None


def _piece(cut: Cut, mark: str, at: int) -> Cut | None:
    if not can_part(cut, mark) or (cut.lasts and not cut.one):
        return None
    sign = patterns.quote(mark)
    found = replace(
        cut, behind=f"(?:{sign}{cut.any})?{cut.behind}", without=cut.without | {mark}, trimmed=False
    )
    if not at:
        return found
    before = _leading(cut, mark, at)
    return None if before is None else replace(found, before=before, firsts=_ANY, taken="", short=False)


def _leading(cut: Cut, mark: str, count: int) -> str | None:
    """What stands before the piece with so many before it, with what is taken off the first of these. None
    where something else than the mark is taken off."""
    other, sign = cut.any_but(mark), patterns.quote(mark)
    if not cut.firsts:
        return f"{cut.before}(?:{other}{sign}){{{count}}}"
    if not _takes_off(cut, mark):
        return None
    some = f"[^{class_of(cut.without | {mark})}]+"
    if cut.taken == _all_of(mark):  # so what is left begins with something else
        first = f"{cut.before}{some}"
    else:  # what stands behind the one may begin with the mark
        first = f"{cut.before.removesuffix(cut.taken)}(?:{sign}{other}|{some})"
    return f"{first}{sign}(?:{other}{sign}){{{count - 1}}}"


def _takes_off(cut: Cut, mark: str) -> bool:
    """Whether it is the mark, and nothing else, that is taken off the beginning."""
    return cut.firsts == {mark} and cut.taken != "" and not cut.apart


def with_pieces(cut: Cut, mark: str, count: int) -> str | None:
    """The pattern of the text where what is cut out, once something is taken off its ends, has so many pieces
    between the marks, two at least; None where that is not known, or nothing is taken off."""
    if not can_part(cut, mark) or cut.apart or not (cut.firsts or cut.lasts or cut.short):
        return None
    before, sign = _leading(cut, mark, count - 1), patterns.quote(mark)
    if before is None or (cut.lasts and cut.lasts != {mark}):
        return None
    if not cut.lasts:
        return f"(?s){before}{cut.any}{cut.behind}"
    if cut.behind.startswith(_all_of(cut.lasts)):
        return f"(?s){before}{cut.any}[^{class_of(cut.without | {mark})}]{cut.behind}"
    once = f"(?:{sign})?"
    if not cut.behind.startswith(once):
        return None
    return f"(?s){before}{cut.any[:-1]}+{cut.behind.removeprefix(once)}"


def _filled_piece(cut: Cut, mark: str, at: object) -> Cut | None:
    """One of the pieces that are not empty; with -1 the last, with -2 the one before."""
    if type(at) is not int or not -FURTHEST <= at <= FURTHEST or not can_part(cut, mark) or cut.filled:
        return None
    if not cut.one or (cut.firsts | cut.lasts) - {mark}:
        return None
    other, sign = f"[^{class_of(cut.without | {mark})}]+", f"{patterns.quote(mark)}"
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
    if not can_part(cut, mark) or (cut.firsts and not _takes_off(cut, mark)):
        return None
    other, sign = cut.any_but(mark), patterns.quote(mark)
    # Of marks that are taken off those before it are some: but for an empty piece, which is not told.
    before = f"{cut.before.removesuffix(cut.taken)}(?:{cut.any}{sign})?"
    further = f"(?:{sign}{other}){{{back - 1}}}" if back > 1 else ""
    if further and cut.lasts:
        if cut.lasts != {mark} or cut.apart or not cut.behind.startswith(_all_of(cut.lasts)):
            return None
        further = f"(?:{sign}{other}){{{back - 2}}}{sign}[^{class_of(cut.without | {mark})}]+"
    return replace(
        cut, before=before, behind=further + cut.behind, without=cut.without | {mark}, trimmed=False, taken=""
    )


def place_from_end(pieces: Symbol, place: Symbol) -> int | None:
    """How far from the end a place is, where that is not too far for an expression; None for others."""
    back = back_from(pieces, place)
    return None if back is None or back > FURTHEST else back


def can_part(cut: Cut, mark: str) -> bool:
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
    ends = _all_of(taken)
    left, right = side != "right", side != "left"
    return replace(
        cut,
        before=cut.before + ends if left else cut.before,
        behind=ends + cut.behind if right else cut.behind,
        firsts=cut.firsts | taken if left else cut.firsts,
        lasts=cut.lasts | taken if right else cut.lasts,
        trimmed=side == "both" and not (cut.firsts | cut.lasts) - taken,
        taken=ends if left else cut.taken,
    )


def _all_of(characters: Iterable[str]) -> str:
    return f"[{class_of(characters)}]*"


def _behind(cut: Cut, start: int) -> Cut | None:
    """What stands behind so many characters."""
    if cut.firsts or cut.filled or cut.apart or start > FURTHEST:
        return None
    return replace(cut, before=f"{cut.before}{cut.any[:-1]}{{{start}}}", short=True, trimmed=False)


def _is_rest(text: Symbol, start: int, length: Symbol) -> bool:
    """Whether so many characters from there on are all that there are."""
    whole = Apply("count", (text,))
    match length:
        case Known(int(number)):
            return type(number) is int and number < 0
        case Apply("minus", (counted, Known(int(number)))):
            return counted == whole and type(number) is int and number <= start
    return length == whole


def _without_affix(cut: Cut, name: str, affix: str) -> Cut | None:
    if {*affix} & cut.without or _is_letter(cut, affix) or not cut.one or cut.filled:
        return None
    optional = f"(?:{patterns.quote(affix)})?"
    single = len(affix) == 1
    if name == "trim_prefix":
        if cut.firsts:
            return None
        return replace(
            cut,
            before=cut.before + optional,
            firsts=frozenset(affix[0]),
            one=single,
            trimmed=False,
            taken=optional if single else "",
        )
    if cut.lasts:
        return None
    return replace(cut, behind=optional + cut.behind, lasts=frozenset(affix[-1]), one=single, trimmed=False)


def _is_letter(cut: Cut, text: str) -> bool:
    """Whether it has letters, where these stand for others too."""
    return bool(cut.fold) and any(map(str.isalpha, text))


def fold_of(name: str, text: str) -> str:
    return text.lower() if name == "lower" else text.upper()


def class_of(characters: Iterable[str]) -> str:
    """The characters, as they stand in a class."""
    return patterns.in_class(sorted(characters))
