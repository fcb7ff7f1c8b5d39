"""Answers that carry claims of the token, or who calls: constants, with marks where Envoy puts these in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from palisade.enforce.envoy import patterns
from palisade.enforce.envoy.claims import claim_matches
from palisade.enforce.envoy.predicate import NO, Predicate, all_of, text_check
from palisade.enforce.envoy.sources import JWT_AUTHN, PEER, PRINCIPAL, ClaimSource, Source, TextSource
from palisade.rego.partial.terms import Apply, ArrayOf, Input, Known, ObjectOf, Symbol
from palisade.rego.values import Value

_OPEN, _CLOSE = "\ue000", "\ue001"  # for private use: constants that have them are left alone
_TEXT = r"[^\x00-\x08\x0a-\x1f\x7f]+"
_NAME = r"[^\x00-\x1f\x7f]+"  # what the decision log shows of who calls has no control character
_HEADERS = ("headers", "response_headers_to_add")


@dataclass(frozen=True, slots=True)
class Template:
    """A value of the decision in which marks stand for claims and for who calls."""

    value: Value
    claims: Mapping[str, ClaimSource]
    """By the mark."""
    callers: Mapping[str, TextSource] = field(default_factory=dict)
    """The principal, or the SPIFFE ID that it is, by the mark."""

    @property
    def fillable(self) -> Predicate:
        """All of them are texts that a header may hold: with others the decision is another."""
        claims = (claim_matches(claim, patterns.regex(_TEXT)) for claim in self.claims.values())
        callers = (text_check(each.text, patterns.regex(_NAME)) for each in self.callers.values())
        return all_of(NO if each is None else each for each in (*claims, *callers))

    @property
    def formats(self) -> dict[str, str]:
        """What Envoy puts in the place of each mark."""
        return {
            mark: f"%DYNAMIC_METADATA({JWT_AUTHN}:{_path(claim)})%" for mark, claim in self.claims.items()
        } | {mark: caller.text.format for mark, caller in self.callers.items()}

    @property
    def paths(self) -> dict[str, list[str]]:
        """Where each claim stands in the metadata of the JWT filter."""
        return {mark: [str(key) for key in claim.path] for mark, claim in self.claims.items()}


def _path(claim: ClaimSource) -> str:
    return ":".join(map(str, claim.path))


def template(symbol: Symbol, source: Callable[[Symbol], Source | None]) -> Template | None:
    """The template of a value with claims, or who calls, in headers or the body; None for one with more."""
    making = _Making(source)
    try:
        value = making.value(symbol, ())
    except _OtherError:
        return None
    return Template(value, making.claims, making.callers)


class _OtherError(Exception):
    pass


@dataclass(slots=True)
class _Making:
    source: Callable[[Symbol], Source | None]
    claims: dict[str, ClaimSource] = field(default_factory=dict)
    callers: dict[str, TextSource] = field(default_factory=dict)

    def value(self, symbol: Symbol, path: tuple[object, ...]) -> Value:
        match symbol:
            case Known(value):
                if _has_marks(value):
                    raise _OtherError
                return value
            case ObjectOf(items):
                return {form: self.value(item, (*path, form)) for form, item in items}
            case ArrayOf(items):
                return [self.value(item, (*path, at)) for at, item in enumerate(items)]
            case Input() | Apply() if _may_be_filled(path):
                return self._text(symbol)
        raise _OtherError

    def _text(self, symbol: Input | Apply) -> str:
        before, part, behind = patterns.pieces(symbol) or ("", symbol, "")
        source = self.source(part)
        if _has_marks((before, behind)):
            raise _OtherError
        marks = {**self.claims, **self.callers}
        mark = next((mark for mark, each in marks.items() if each == source), f"{_OPEN}{len(marks)}{_CLOSE}")
        if isinstance(source, ClaimSource) and source.text is not None:
            self.claims[mark] = source
        elif isinstance(source, TextSource) and source in (PEER, PRINCIPAL):
            self.callers[mark] = source
        else:
            raise _OtherError
        return f"{before}{mark}{behind}"


def _may_be_filled(path: Sequence[object]) -> bool:
    """Whether the place is the body, or the value of a header: not a name, nor a status."""
    return tuple(path) == ("body",) or (len(path) in (2, 3) and path[0] in _HEADERS)


def _has_marks(value: object) -> bool:
    return _OPEN in repr(value) or "\\ue000" in repr(value)
