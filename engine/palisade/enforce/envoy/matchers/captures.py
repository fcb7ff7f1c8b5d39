"""What patterns capture of a request's target and host, laid down once for all expressions that compare it.

Envoy compiles the pattern of a `re.capture` or `re.extract` anew on every request: 10 us and more of the 20
that such an expression takes. The filter header_to_metadata compiles it once and writes what it captures into
the metadata, under a key made of the pattern. What stands under a key is so what the expression would have
made of a header in ASCII that the pattern matches, whichever revision laid it down; of others, and where
nothing stands there, the expression is asked as it was. No decision depends on the filter:
docs/decisions/captures-laid-down-once.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from cel.expr.syntax_pb2 import Expr
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import DynamicMetadataInput
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute, RegexMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from google.protobuf.message import Message
from xds.type.matcher.v3.cel_pb2 import CelMatcher

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.framed import TARGET, framed
from palisade.enforce.envoy.matchers.predicate import (
    Check,
    Predicate,
    Single,
    Text,
    all_of,
    any_of,
    custom_check,
    header_text,
    negate,
    text_check,
    typed,
)
from palisade.enforce.envoy.regex import patterns
from palisade.rego.records import record

CAPTURES = "palisade.captures"
"""The slot of the filter, and where in the metadata it writes."""

MOST_LAID = 8
"""So many captures are laid down: each is made of every request, also of those that no rule asks for it."""

MOST_WRITTEN = 400
"""So many expressions of a decision read what is laid down. They stand beside those that do without, and each
takes Envoy 8 kB."""

_HEADERS = (":path", ":authority")
"""Of which a request has one at most, so that all read the same text."""


@record()
class Capture:
    """What a group of a pattern takes of a header that the pattern matches: the `whole` of it, which is what
    `re.capture` asks for, or some of it, as `re.extract` does."""

    header: str
    pattern: str
    group: int
    whole: bool

    @property
    def key(self) -> str:
        """Its name in the metadata, the same in all revisions."""
        said = repr((self.header, self.pattern, self.group, self.whole))
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @property
    def of_all(self) -> str:
        """The pattern as one of all of the header.

        The filter puts what the group takes in place of what the pattern matches, and leaves the rest.
        """
        found = f"(?:{self.pattern})"
        if self.whole:
            return found
        anchored = self.pattern.startswith(("^", "(?s)^")) and "|" not in self.pattern
        return f"{'' if anchored else '(?s:.*?)'}{found}(?s:.*)"

    @property
    def text(self) -> Text:
        """What of the request a tree reads that asks for it."""
        source = typed(f"palisade.capture {self.key}", self._source)
        return Text(source.name, source.SerializeToString(deterministic=True), capture=self)

    def laid(self, matching: str = "") -> Predicate:
        """It stands in the metadata, for headers that this pattern matches; by default its own.

        Of a header that its own does not match the whole stands there, as the filter does not replace it.
        And the filter reads Latin-1, and CEL UTF-8.
        """
        header = header_text(self.header)
        odd = text_check(header, patterns.regex(patterns.BEYOND_ASCII))
        matched = text_check(header, patterns.regex(matching or self.of_all))
        matcher = typed("palisade.laid", Metadata(value=ValueMatcher(present_match=True)))
        return all_of((custom_check(self.text.input(), matcher), matched, negate(odd)))

    @property
    def _source(self) -> DynamicMetadataInput:
        source = DynamicMetadataInput(filter=CAPTURES)
        source.path.add(key=self.key)
        return source

    def expr(self) -> Expr:
        """It, as an expression; an error where it is not laid down."""
        return cel.metadata(CAPTURES, self.key)


class Capturing:
    """Has the expressions of one tree read captures where these are laid down."""

    def __init__(self, room: int) -> None:
        """Up to so many expressions read them."""
        self._room = room
        self.texts: dict[Text, None] = {}
        """What is read."""

    def of(self, check: Check) -> Predicate:
        """The same, of which an expression asks nothing of a pattern whose capture is laid down."""
        found = _read(check.single) if self._room and check.evaluates else None
        if found is None:
            return check
        self._room -= 1
        self.texts.update((each.text, None) for each in found.captures)
        laid = all_of(each.laid(matching) for each, matching in found.captures.items())
        return any_of((all_of((laid, found.check)), all_of((negate(laid), check))))


@record()
class _Reading:
    """An expression that reads what is captured in place of capturing it."""

    captures: Mapping[Capture, str]
    """Each with the pattern of the headers that it counts for; empty for those that its own matches."""
    check: Check


@lru_cache(4096)
def _read(single: bytes) -> _Reading | None:
    """What asks the same as an expression; None where that captures nothing."""
    if not any(name in single for name in (b"re.capture", b"re.extract")):
        return None
    matcher = CelMatcher()
    Single.FromString(single).custom_match.typed_config.Unpack(matcher)
    expr = matcher.expr_match.cel_expr_parsed.expr
    captures: dict[Capture, str] = {}
    compared = framed(expr)
    if compared is not None:
        between = Capture(TARGET, compared.capture, 1, whole=False)
        captures[between] = compared.plain
        expr = compared.told(between.expr(), expr)
    for each in _calls(expr):
        capture = _capture(each)
        if capture is not None:
            captures.setdefault(capture, "")
            each.CopyFrom(capture.expr())
    while expr.WhichOneof("expr_kind") == "list_expr":  # what `cel.check` puts around deep ones
        expr = expr.list_expr.elements[0]
    return _Reading(captures, cel.check(expr)) if captures else None


def _calls(expr: Expr) -> Iterator[Expr]:
    """The calls in an expression; what is put in place of one is gone through in its stead."""
    if expr.WhichOneof("expr_kind") == "call_expr":
        yield expr
    kind = expr.WhichOneof("expr_kind")
    if kind == "select_expr":
        yield from _calls(expr.select_expr.operand)
    elif kind == "list_expr":
        for item in expr.list_expr.elements:
            yield from _calls(item)
    elif kind == "call_expr":
        if expr.call_expr.HasField("target"):
            yield from _calls(expr.call_expr.target)
        for arg in expr.call_expr.args:
            yield from _calls(arg)


def _capture(expr: Expr) -> Capture | None:
    call = expr.call_expr
    if call.function not in ("re.capture", "re.extract"):
        return None
    header, pattern = _header(call.args[0]), call.args[1].const_expr.string_value
    form = call.args[2].const_expr.string_value if call.function == "re.extract" else "\\1"
    if header is None or not pattern.isascii() or len(form) != 2 or form[1] not in "123456789":
        return None
    return Capture(header, pattern, int(form[1]), call.function == "re.capture")


def _header(expr: Expr) -> str | None:
    """The name of the header that the expression is, where one request has no two of them."""
    if expr.call_expr.function != "_[_]":
        return None
    operand, key = expr.call_expr.args
    whole = operand.select_expr
    if (whole.field, whole.operand.ident_expr.name) != ("headers", "request"):
        return None
    return key.const_expr.string_value if key.const_expr.string_value in _HEADERS else None


def capturing(texts: Iterable[Text]) -> Message:
    """The filter that lays down what of the texts is captured; one that does nothing where nothing is."""
    captures = {each.capture for each in texts if each.capture is not None}
    rules = [_rule(each) for each in sorted(captures, key=lambda each: each.key)[:MOST_LAID]]
    found: Message = Config(request_rules=rules) if rules else RBAC()
    return found


def _rule(capture: Capture) -> Message:
    rule: Message = Config.Rule(
        header=capture.header,
        on_header_present=Config.KeyValuePair(
            metadata_namespace=CAPTURES,
            key=capture.key,
            regex_value_rewrite=RegexMatchAndSubstitute(
                pattern=RegexMatcher(regex=f"^(?:{capture.of_all})$"), substitution=f"\\{capture.group}"
            ),
        ),
    )
    return rule
