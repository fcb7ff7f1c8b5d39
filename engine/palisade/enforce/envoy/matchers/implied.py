"""What an expression of CEL implies of one text, to be asked before it.

`path == sprintf("/users/%s/orders", [claims.sub])` holds of no path that does not begin with `/users/` and
end with `/orders`. An expression takes Envoy some ten microseconds, a prefix or a pattern a small part of
one. Maps tell prefixes apart, and of many patterns RE2 tells in one go whether any matches: so it costs the
same whether there are ten such conditions or thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cel.expr.syntax_pb2 import Expr
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import DynamicMetadataInput
from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher

from palisade.enforce.envoy.matchers.alike import behind_alike
from palisade.enforce.envoy.matchers.forms import (
    ANY,
    Form,
    Piece,
    around,
    form_of,
    of_pattern,
    pieces_of,
    taken_by,
)
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


def implied(expr: Expr) -> Predicate | None:
    """What holds wherever the expression is true; None where nothing is known."""
    found = _implied(expr, ())
    return None if found == YES else found


class Guarded(Rewriting):
    """Asks before each check what it implies: the same, at less cost."""

    def __init__(self) -> None:
        super().__init__(0)

    def of(self, predicate: Predicate) -> Predicate:
        if isinstance(predicate, Check):
            if predicate.implied is None or not predicate.evaluates:
                return predicate
            return all_of((predicate.implied, predicate))
        return super().of(predicate)

    def _of(self, predicate: All | AnyOf | Not) -> Predicate:
        parts = (predicate.part,) if isinstance(predicate, Not) else predicate.parts
        same = all(self.of(part) is part for part in parts)
        return predicate if same else super()._of(predicate)

    def _alternatives(self, parts: Sequence[Predicate]) -> Iterable[Predicate]:
        return behind_alike(list(map(self.of, common_apart(parts) or parts)))


def _implied(expr: Expr, lists: Sequence[Expr]) -> Predicate:
    """The same, where each of the values in `lists` is a list."""
    call = expr.call_expr
    match call.function, len(call.args):
        case "_&&_", 2:
            parts = list(_conjuncts(expr))
            lists = [each for part in parts for each in _is_list(part)]
            return all_of(_implied(part, lists) for part in parts)
        case "_==_", 2:
            left, right = call.args
            return all_of((_asked(left, form_of(pieces_of(right))), _asked(right, form_of(pieces_of(left)))))
        case "@in", 2:
            member, among = call.args
            if among in lists:
                return _asked_of_member(among, form_of(pieces_of(member)))
            items = among.list_expr.elements
            return any_of(_asked(member, form_of(pieces_of(item))) for item in items) if items else YES
        case "startsWith", 1:
            return _asked(call.target, form_of([*pieces_of(call.args[0]), Expr()]))
        case "endsWith", 1:
            return _asked(call.target, form_of([Expr(), *pieces_of(call.args[0])]))
        case "contains", 1:
            return _asked(call.target, form_of([Expr(), *pieces_of(call.args[0]), Expr()]))
        case "matches", 1:
            form = of_pattern(pieces_of(call.args[0]))
            if form is None:
                return YES
            return all_of((_asked(call.target, form), _beginning(pieces_of(call.target), form.prefix)))
    return YES


def _conjuncts(expr: Expr) -> Iterator[Expr]:
    if expr.call_expr.function == "_&&_":
        for arg in expr.call_expr.args:
            yield from _conjuncts(arg)
    else:
        yield expr


def _is_list(expr: Expr) -> Iterator[Expr]:
    """What is a list wherever the expression is true."""
    call = expr.call_expr
    if call.function != "_==_" or call.args[1].ident_expr.name != "list":
        return
    kind = call.args[0].call_expr
    if kind.function == "type":
        yield kind.args[0]


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
            known.append(_asked(piece, Form(patterns.quote(prefix) + ANY, prefix)))
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


_SLASH = 1
"""Characters of a prefix that tells nothing: all paths begin with a slash."""


def _asked(expr: Expr, form: Form | None) -> Predicate:
    """What is known of a header, or of a text in the metadata, where the text made of it has the form; of a
    member of a list there, that some member is so."""
    if form is None:
        return YES
    call = expr.call_expr
    if call.function == "re.capture":
        return _asked(call.args[0], around(call.args[1].const_expr.string_value, form))
    if call.function == "_[_]" and _is_number(call.args[1]):
        return _asked_of_member(call.args[0], form)
    place = _place(expr)
    if place is None or len(place) < 3:
        return YES
    matcher = taken_by(form)
    if place[:2] == ("request", "headers"):
        text = header_text(place[2])
        prefixed = Prefixed(text, frozenset((form.prefix,))) if len(form.prefix) > _SLASH else YES
        return all_of((prefixed, YES if matcher is None else text_check(text, matcher)))
    value = ValueMatcher()
    return _asked_of_metadata(place, form, value, value.string_match)


def _asked_of_member(among: Expr, form: Form | None) -> Predicate:
    """What is known of a list where some member has the form."""
    place = _place(among)
    if form is None or place is None:
        return YES
    value = ValueMatcher()
    return _asked_of_metadata(place, form, value, value.list_match.one_of.string_match)


def _asked_of_metadata(
    place: Sequence[str], form: Form, value: ValueMatcher, found: StringMatcher
) -> Predicate:
    """The value at that place is taken by the matcher, of which `found` is a part, to be set to the form."""
    matcher = taken_by(form)
    begins = len(form.prefix) > _SLASH
    if len(place) < 3 or place[:2] != ("metadata", "filter_metadata") or not (begins or matcher):
        return YES
    if matcher is None:
        found.prefix = form.prefix
    elif matcher.HasField("safe_regex"):
        found.safe_regex.regex = matcher.safe_regex.regex
    else:
        found.MergeFromString(matcher.SerializeToString())
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
