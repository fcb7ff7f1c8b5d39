"""Predicates over what Envoy sees of a request, before they become protobuf.

They are two-valued and exact: a `Check` is one of Envoy's matchers, an `OneOf` a comparison of a text with
constants, which a tree can look up. Combinations simplify as they are built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from google.protobuf.message import Message
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.cel_pb2 import CelMatcher
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers.forms import beginnings
from palisade.rego.records import record

if TYPE_CHECKING:
    from palisade.enforce.envoy.matchers.captures import Capture

FEW = 4
"""Up to so many constants are compared one by one; more are one expression, which RE2 matches in one go."""

MAX_EXPRESSION = 32_000
"""Characters of one expression: RE2 keeps the automaton of longer ones with difficulty."""

CONSTANTS = 20
"""So many constants of a set count as one matcher more."""

CHARACTERS = 1_000
"""So many characters of constants, or bytes of a matcher, count as one matcher more."""

EXPRESSION = 4
"""An expression in CEL counts as so many matchers: Envoy takes 8 kB for it."""

_CEL = CelMatcher.DESCRIPTOR.full_name.encode()

Single: TypeAlias = Matcher.MatcherList.Predicate.SinglePredicate
Proto: TypeAlias = Matcher.MatcherList.Predicate


def typed(name: str, message: Message) -> TypedExtensionConfig:
    """An extension of the name with the message as its configuration."""
    config = TypedExtensionConfig(name=name)
    config.typed_config.Pack(message, deterministic=True)
    return config


@record()
class Text:
    """A text of the request that a matcher can read: a header, a part of the filter state, an address.

    `name` identifies it; `config` is the serialized TypedExtensionConfig of Envoy's input. A text with a
    `state` is one that the attributes' filter lays down under that key by a `format`, for maps to look up: it
    may be read only where `guard`, a serialized SinglePredicate, holds. Single comparisons do without, by
    `claim`, the serialized input of the claim. Without a `guard` it is laid down only where there is such a
    text, and read from there by single comparisons too. What patterns take of headers is a `capture`, which
    another filter lays down; nothing depends on it.
    """

    name: str
    config: bytes
    state: str = ""
    format: str = ""
    guard: bytes = b""
    claim: bytes = b""
    capture: Capture | None = None

    @classmethod
    def of(cls, name: str, message: Message) -> Text:
        return cls(name, typed(name, message).SerializeToString(deterministic=True))

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def laid(self) -> bool:
        """Whether all who read it need it laid down."""
        return bool(self.state) and not self.guard

    def input(self) -> TypedExtensionConfig:
        return TypedExtensionConfig.FromString(self.config)

    def equals(self, value: str) -> Single:
        """The comparison with one constant."""
        if not self.claim:
            return Single(input=self.input(), value_match=StringMatcher(exact=value))
        matcher = ValueMatcher()
        matcher.string_match.exact = value
        return self._claim_is(matcher)

    def matches(self, pattern: str) -> Single:
        """The whole text matches the RE2 expression."""
        if not self.claim:
            found = StringMatcher()
            found.safe_regex.google_re2.SetInParent()
            found.safe_regex.regex = pattern
            return Single(input=self.input(), value_match=found)
        matcher = ValueMatcher()
        matcher.string_match.safe_regex.regex = pattern
        return self._claim_is(matcher)

    def _claim_is(self, matcher: ValueMatcher) -> Single:
        source = TypedExtensionConfig.FromString(self.claim)
        return Single(input=source, custom_match=typed("palisade.value", Metadata(value=matcher)))


def header_text(name: str) -> Text:
    """A request header, repeated ones joined by commas, as the CheckRequest has them."""
    return Text.of(f"header {name}", HttpRequestHeaderMatchInput(header_name=name))


# Predicates of predicates share parts. What is asked of the whole is kept with it: found out anew, it would
# take as long as if each part were written out wherever it stands. `size` says how many matchers it has where
# each is written as often as it stands in it: as Envoy gets it. Large ones count for several.


@record()
class Constant:
    value: bool
    size = 1


@record()
class _Compared:
    """A text, and constants that it is compared with."""

    text: Text
    values: frozenset[str]
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        among = self.values
        size = 1 + len(among) // CONSTANTS + sum(map(len, among)) // CHARACTERS
        object.__setattr__(self, "size", size)


@record()
class OneOf(_Compared):
    """The text is there and is one of the values."""


@record()
class Prefixed(_Compared):
    """The text is there and begins with one of the values, none of which is empty."""


@record()
class Within(_Compared):
    """The text is an address in one of the values, ranges in CIDR notation."""


@record()
class Check:
    """One SinglePredicate, serialized. `reads` is the text in it that must be laid down, if any; `implied`
    holds wherever the check does, and is cheaper to ask."""

    single: bytes
    reads: Text | None = field(default=None, compare=False)
    implied: Predicate | None = field(default=None, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        evaluated = EXPRESSION if self.evaluates else 1
        object.__setattr__(self, "size", evaluated + len(self.single) // CHARACTERS)

    @property
    def evaluates(self) -> bool:
        """Whether it is an expression in CEL."""
        return _CEL in self.single


@record()
class _Together:
    parts: tuple[Predicate, ...]
    size: int = field(init=False, compare=False, repr=False)
    digest: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + sum([part.size for part in self.parts]))
        object.__setattr__(self, "digest", hash((type(self), self.parts)))

    def __hash__(self) -> int:
        return self.digest


@record(hashed_as_parent=True)
class All(_Together):
    """All of the parts hold."""


@record(hashed_as_parent=True)
class AnyOf(_Together):
    """Some of the parts hold."""


@record()
class Not:
    part: Predicate
    size: int = field(init=False, compare=False, repr=False)
    digest: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + self.part.size)
        object.__setattr__(self, "digest", hash((Not, self.part)))

    def __hash__(self) -> int:
        return self.digest


Predicate: TypeAlias = Constant | OneOf | Prefixed | Within | Check | All | AnyOf | Not

YES = Constant(True)
NO = Constant(False)


def evaluates(predicate: Predicate) -> bool:
    """Whether Envoy evaluates an expression for it, which takes it as long as a hundred comparisons."""
    if isinstance(predicate, Check):
        return predicate.evaluates
    if isinstance(predicate, Not):
        return evaluates(predicate.part)
    return isinstance(predicate, All | AnyOf) and any(map(evaluates, predicate.parts))


def all_of(parts: Iterable[Predicate]) -> Predicate:
    """The conjunction."""
    flat: dict[Predicate, None] = {}
    for part in parts:
        if isinstance(part, Constant):
            if not part.value:
                return NO
        elif isinstance(part, All):
            flat.update(dict.fromkeys(part.parts))
        else:
            flat[part] = None
    if _contradictory(flat):
        return NO
    return _joined(All, flat, YES)


def any_of(parts: Iterable[Predicate]) -> Predicate:
    """The disjunction."""
    flat: dict[Predicate, None] = {}
    for part in parts:
        if isinstance(part, Constant):
            if part.value:
                return YES
        elif isinstance(part, AnyOf):
            flat.update(dict.fromkeys(part.parts))
        else:
            flat[part] = None
    flat = _united(flat)
    if _contradictory(flat):
        return YES
    return _joined(AnyOf, flat, NO)


def _contradictory(flat: Mapping[Predicate, None]) -> bool:
    """Whether of one of them the negation is there too."""
    return not flat.keys().isdisjoint([part.part for part in flat if type(part) is Not])


def _united(flat: dict[Predicate, None]) -> dict[Predicate, None]:
    """Address ranges together, so that all of them are one look-up."""
    ranges = [part for part in flat if isinstance(part, Within)]
    if len(ranges) < 2:
        return flat
    rest: dict[Predicate, None] = {part: None for part in flat if not isinstance(part, Within)}
    for text in dict.fromkeys(part.text for part in ranges):
        together = frozenset[str]().union(*(part.values for part in ranges if part.text == text))
        rest[Within(text, together)] = None
    return rest


def _joined(kind: type[All] | type[AnyOf], flat: dict[Predicate, None], neutral: Constant) -> Predicate:
    if not flat:
        return neutral
    if len(flat) == 1:
        return next(iter(flat))
    return kind(tuple(flat))


def negate(part: Predicate) -> Predicate:
    if isinstance(part, Constant):
        return NO if part.value else YES
    return part.part if isinstance(part, Not) else Not(part)


def one_of(text: Text, values: Iterable[str]) -> Predicate:
    """The text is one of the values; where there are none, never."""
    chosen = frozenset(values)
    return OneOf(text, chosen) if chosen else NO


def text_check(text: Text, matcher: StringMatcher) -> Check:
    """The text is there and the matcher takes it. What such texts of a pattern begin with is implied."""
    single = Single(input=text.input(), value_match=matcher)
    begin = beginnings(matcher.safe_regex.regex) if matcher.HasField("safe_regex") else None
    implied = Prefixed(text, begin) if begin else None
    return Check(single.SerializeToString(deterministic=True), text if text.laid else None, implied)


def custom_check(
    source: TypedExtensionConfig, matcher: TypedExtensionConfig, implied: Predicate | None = None
) -> Check:
    """A custom matcher takes what the input gives; wherever it does `implied` holds."""
    single = Single(input=source, custom_match=matcher)
    return Check(single.SerializeToString(deterministic=True), implied=implied)


def laid_texts(predicates: Iterable[Predicate]) -> Iterator[Text]:
    """The texts that the predicates read and that must be laid down for it, some more than once."""
    stack = list(predicates)
    seen: set[int] = set()
    while stack:
        predicate = stack.pop()
        if isinstance(predicate, Check):
            if predicate.reads is not None:
                yield predicate.reads
        elif isinstance(predicate, _Compared):
            if predicate.text.laid:
                yield predicate.text
        elif isinstance(predicate, Not):
            stack.append(predicate.part)
        elif isinstance(predicate, _Together) and id(predicate) not in seen:
            seen.add(id(predicate))
            stack += predicate.parts
