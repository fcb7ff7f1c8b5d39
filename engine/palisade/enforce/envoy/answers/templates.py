"""Answers that carry claims of tokens, fields of documents, who calls, the path or a header: constants, with
marks where Envoy puts these in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from palisade.enforce.envoy.answers.filled import CALLERS, SHOWN, UNESCAPED_TEXT, Brought, is_filled, matches
from palisade.enforce.envoy.answers.scripts import MADE_METADATA
from palisade.enforce.envoy.matchers.predicate import NO, YES, Predicate, all_of
from palisade.enforce.envoy.values.messages import Made
from palisade.enforce.envoy.values.sources import (
    ADDRESS_FORMAT,
    BODY_METADATA,
    FIELDS,
    JWT_AUTHN,
    Address,
    ClaimSource,
    FieldSource,
    TextSource,
    field_name,
)
from palisade.enforce.envoy.values.written import Kept, Noted
from palisade.rego.values import Value

_OPEN, _CLOSE = "\ue000", "\ue001"  # for private use: constants that have them are left alone
MARK = re.compile(f"({_OPEN}[0-9]+{_CLOSE})")
_HEADER = re.compile(
    r"header (?!x-envoy-|x-b3-|x-palisade-)"
    r"(?!(?:host|te|expect|grpc-timeout|traceparent|tracestate|connection|keep-alive|upgrade)$)"
    r"(?!(?:content-length|transfer-encoding)$)([a-z0-9_-]+)"
)
"""Other headers that can be put in: those that Envoy itself does not change on the way."""


@dataclass(frozen=True, slots=True)
class Template:
    """A value of the decision in which marks stand for claims, for who calls and for texts of the request."""

    value: Value
    sources: Mapping[str, Brought]
    """By the mark."""
    quoted: frozenset[str] = frozenset()
    """The marks of those that stand in JSON."""
    asked: tuple[Predicate, ...] = ()
    """Where each of the conditions under which messages stand holds, by their numbers."""
    told: Predicate = YES
    """Of each of these Envoy can tell whether it holds, and what it puts into a message where it does."""
    erased: tuple[str, ...] = ()
    """The JSON pointers of what is left out, which only the decision log would show."""

    @property
    def fillable(self) -> Predicate:
        """All of them are texts that a header may hold, or JSON as they are: with others the decision is
        another."""
        texts = [is_filled(source) for source in self.sources.values()]
        texts += [matches(self.sources[mark], UNESCAPED_TEXT) for mark in sorted(self.quoted)]
        return all_of((*(NO if each is None else each for each in texts), self.told))

    @property
    def formats(self) -> dict[str, str]:
        """What Envoy puts in the place of each mark."""
        return {mark: _format(source) for mark, source in self.sources.items()}

    @property
    def kept(self) -> dict[str, ClaimSource]:
        """The claims that stand in the metadata as the values that they are."""
        return {mark: source.base for mark, source in self.sources.items() if isinstance(source, Kept)}

    @property
    def claims(self) -> dict[str, list[str]]:
        """Where each claim stands in the metadata of the JWT filter."""
        return {
            mark: [str(key) for key in source.path]
            for mark, source in (*self.sources.items(), *self.kept.items())
            if isinstance(source, ClaimSource) and not isinstance(source, FieldSource)
        }

    @property
    def noted(self) -> dict[str, list[str]]:
        """Where each claim stands in the metadata that only the decision log shows."""
        return {
            mark: [str(key) for key in source.base.path]
            for mark, source in self.sources.items()
            if isinstance(source, Noted)
        }

    @property
    def fields(self) -> dict[str, str]:
        """Under which name the sidecar's reader lays each field of a document down."""
        return {
            mark: f"v{field_name(source.path)}"
            for mark, source in self.sources.items()
            if isinstance(source, FieldSource)
        }

    @property
    def made(self) -> dict[str, Made]:
        """The texts that a script joins, or makes of others."""
        return {mark: source for mark, source in self.sources.items() if isinstance(source, Made)}

    @property
    def callers(self) -> list[str]:
        """The marks of the principal, or of the SPIFFE ID that it is."""
        return sorted(mark for mark, source in self.sources.items() if source in CALLERS)

    @property
    def addresses(self) -> list[str]:
        """The marks of the address that the connection came from."""
        return sorted(mark for mark, source in self.sources.items() if isinstance(source, Address))

    @property
    def texts(self) -> dict[str, str]:
        """What the decision log calls each text of the request."""
        return {
            mark: SHOWN.get(source.text.name, source.text.name)
            for mark, source in self.sources.items()
            if isinstance(source, TextSource) and source not in CALLERS
        }

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that are put in, but for those of the request's line: the log has them only if told."""
        found = (_HEADER.fullmatch(name) for name in self.texts.values())
        return tuple(sorted({each[1] for each in found if each is not None}))

    def puts(self, header: str, value: Value) -> bool:
        """Whether a header is put into a part of the value."""
        marks = (mark for mark, name in self.texts.items() if name == f"header {header}")
        return any(has_mark(value, mark) for mark in marks)


def has_mark(value: object, mark: str) -> bool:
    """Whether a mark stands anywhere in the value."""
    return repr(mark)[1:-1] in repr(value)


def _format(source: Brought) -> str:
    if isinstance(source, TextSource):
        if source in CALLERS:
            return source.text.format
        return f"%REQ({source.text.name.removeprefix('header ').upper()})%"
    if isinstance(source, Address):
        return ADDRESS_FORMAT
    if isinstance(source, Made):
        return f"%DYNAMIC_METADATA({MADE_METADATA}:{source.name})%"
    if isinstance(source, FieldSource):
        return f"%DYNAMIC_METADATA({BODY_METADATA}:{FIELDS}:v{field_name(source.path)})%"
    path = source.base.path if isinstance(source, Kept | Noted) else source.path
    return f"%DYNAMIC_METADATA({JWT_AUTHN}:{':'.join(map(str, path))})%"


def mark_of(number: int) -> str:
    """The mark of this number."""
    return f"{_OPEN}{number}{_CLOSE}"


def can_be_shown(source: TextSource) -> bool:
    """Whether Envoy can put the text in."""
    name = source.text.name
    return source in CALLERS or name in SHOWN or _HEADER.fullmatch(name) is not None


def has_marks(value: object) -> bool:
    """Whether anything like a mark stands in a value, so that it must be left alone."""
    return _OPEN in repr(value) or "\\ue000" in repr(value)
