"""What is asked of the parameters of a query together: which there are, how many, and whether any is so.

`object.keys(input.parsed_query) - {"page", "size"} == set()` is a pattern of the whole query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import re2
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.conditions.keyed import Keyed
from palisade.enforce.envoy.matchers.bounds import ALWAYS, NEVER, Bounds, both, either, inverse
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.paths import ALL_PAIRS, FURTHEST, Pairs, is_plain_parameter, values_are
from palisade.enforce.envoy.regex.strings import text_matcher
from palisade.enforce.envoy.regex.within import within
from palisade.enforce.envoy.values.sources import Parameters, Query, Source, Unspelled
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import (
    FALSE,
    TRUE,
    Atom,
    Defined,
    Exists,
    Formula,
    In,
    IsKind,
    Test,
)
from palisade.rego.partial.formulas.rewriting import substitute
from palisade.rego.partial.formulas.terms import Apply, Element, Known, Symbol
from palisade.rego.values import unkey

REPEATED = "the query has so many pairs, of which some may be of one parameter"


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts in clean queries: what the pattern matches, none where that is empty, and the `empty` one."""

    pattern: str
    empty: bool = False


class Queries(Keyed):
    """Lowers conditions on the parameters of a query."""

    def _equals(self, source: Source | None, values: list[object]) -> Bounds | None:
        if isinstance(source, Parameters) and [each for each in values if isinstance(each, dict)] == [{}]:
            return inverse(self._names(_some(ALL_PAIRS)))
        return super()._equals(source, values)

    def _some_parameter(self, atom: Exists) -> Bounds | None:
        """Some parameter makes the body hold. None for what no pattern says."""
        name, values = Element(atom.source, atom.loop, of_keys=True), Element(atom.source, atom.loop)
        named: list[_Texts] = []
        others: list[_Texts] = []
        valued: list[_Texts] = []
        body = _known(self._builder, atom.body, values, several=True)
        for part in body.args if body.kind == "and" else (body,):
            if part is TRUE:
                continue
            negated = part.kind == "not"
            asked = part.args[0] if negated else part
            texts = _texts(asked, name, value=False)
            if texts is not None:
                (others if negated else named).append(texts)
                continue
            inner = asked.atom
            if isinstance(inner, In) and inner.term == values and not any(map(_is_list, inner.values)):
                if not negated:
                    return NEVER
                continue  # the values of a name are a list, and nothing else
            if negated or not isinstance(inner, Exists) or inner.source != values:
                return None
            value = Element(inner.source, inner.loop)
            texts = _texts(inner.body, value, value=True)
            if texts is None:
                return self._some_such(None, inner.body, value) if body is asked else None
            valued.append(texts)
        if len(named) > 1 or len(valued) > 1 or (others and (named or valued)):
            return None
        if others:
            return inverse(self._all_are(others))
        pairs = _named(named[0]) if named else ALL_PAIRS
        return self._some_pair(pairs, valued[0]) if valued else self._names(_some(pairs))

    def _some_value(self, parameter: str, atom: Exists) -> Bounds | None:
        """Some value of the parameter makes the body hold. None for what no pattern says."""
        value = Element(atom.source, atom.loop)
        body = _known(self._builder, atom.body, value)
        if body is TRUE:
            return self._names(_some(Pairs(patterns.quote(parameter))))
        return self._some_such(parameter, body, value)

    def _some_such(self, parameter: str | None, body: Formula, value: Element) -> Bounds | None:
        """Some value of the parameter, or of any, meets a condition. None for what no pattern says."""
        texts = _texts(body, value, value=True)
        if texts is not None:
            return self._some_pair(Pairs(patterns.quote(parameter)) if parameter else ALL_PAIRS, texts)
        ways = _ways(self._builder, body)
        if ways:
            found = [self._some_such(parameter, each, value) for each in ways]
            return None if None in found else either(each for each in found if each)
        asked = body.args if body.kind == "and" else (body,)
        if any(each.kind != "not" for each in asked):
            return None
        others = _texts(self._builder.any(each.args[0] for each in asked), value, value=True)
        if others is None:
            return None
        return inverse(self._query(values_are(parameter, others.pattern, valueless=others.empty)))

    def _all_are(self, named: Sequence[_Texts]) -> Bounds:
        """Every parameter has one of those names. There may be none."""
        ways = [f"(?:{each.pattern})" for each in named if each.pattern]
        pairs = _named(_Texts("|".join(ways), any(each.empty for each in named)))
        return inverse(self._names(_some(ALL_PAIRS))) if pairs is None else self._names(pairs.all)

    def _some_pair(self, pairs: Pairs | None, value: _Texts) -> Bounds:
        if pairs is not None:
            some = value.pattern or value.empty
            pairs = replace(pairs, value=value.pattern, valueless=value.empty) if some else None
        return self._query(_some(pairs))

    # Counts ---------------------------------------------------------------------------------------------

    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        match self._source(argument):
            case Parameters():
                return self._counted(ALL_PAIRS, relation, numbers, repeated=True)
            case Unspelled(True):
                return self._names(patterns.NOTHING)
            case Query(name) as source:
                found = self._counted(Pairs(patterns.quote(name)), relation, numbers)
                return None if found is None else both((self._found(source) or NEVER, found))
        return super()._count(argument, relation, numbers)

    def _counted(
        self, pairs: Pairs, relation: str, numbers: Sequence[int], *, repeated: bool = False
    ) -> Bounds | None:
        """How many such pairs there are, compared with any of the numbers; those of one name are one where
        they may be `repeated`."""
        if any(abs(number) > FURTHEST for number in numbers):
            return None

        def at_least(count: int) -> Bounds:
            if count < 1:
                return ALWAYS
            found = self._names(pairs.at_least(count))
            return self._unless(found, found.possibly, REPEATED) if repeated and count > 1 else found

        ways: list[Bounds] = []
        for number in numbers:
            least = at_least(number + (relation in ("_>_", "_<=_")))
            if relation == "_==_":
                ways.append(both((least, inverse(at_least(number + 1)))))
            else:
                ways.append(least if relation in ("_>_", "_>=_") else inverse(least))
        return either(ways)


def _known(builder: Builder, body: Formula, part: Element, *, several: bool = False) -> Formula:
    """A condition on a value, or with `several` on the values of a name, without what is so of all: these are
    arrays of texts."""

    def told(atom: Atom) -> Formula:
        match atom:
            case IsKind(term, kind) if term == part:
                return TRUE if several and kind == "array" else FALSE
            case Defined(term) if term == part:
                return TRUE
            case Defined(Apply(name, (term,))) if name in _OF_ANY_TEXT and term == part and not several:
                return TRUE
            case Exists(source, loop, inner) if several and source == part:
                return builder.atom(Exists(source, loop, _known(builder, inner, Element(part, loop))))
        return builder.atom(atom)

    return substitute(builder, body, told)


_OF_ANY_TEXT = ("count", "lower", "upper")
_LONGEST = 1_000
"""RE2 counts no further."""


def _ways(builder: Builder, body: Formula) -> Sequence[Formula]:
    """The conditions of which one must hold; none for one that is not so many."""
    if body.kind == "not" and body.args[0].kind == "and":
        return [builder.negate(each) for each in body.args[0].args]
    return body.args if body.kind == "or" else ()


def _is_list(form: object) -> bool:
    return isinstance(unkey(form), list)


def _some(pairs: Pairs | None) -> str:
    return patterns.NOTHING if pairs is None else pairs.at_least(1)


def _named(texts: _Texts) -> Pairs | None:
    """The pairs with such names; None where there is no such name."""
    if texts.pattern:
        return Pairs(texts.pattern, nameless=texts.empty)
    return Pairs(patterns.NOTHING, nameless=True) if texts.empty else None


def _texts(body: Formula, element: Element, *, value: bool) -> _Texts | None:
    """The texts that a condition on a name, or on a value, holds of; None for other conditions."""
    if body.kind == "or":
        ways = [_texts(each, element, value=value) for each in body.args]
        found = [each for each in ways if each is not None]
        if len(found) < len(ways):
            return None
        some = [f"(?:{each.pattern})" for each in found if each.pattern]
        return _Texts("|".join(some), any(each.empty for each in found))
    if isinstance(body.atom, In):
        fold = _fold(body.atom.term, element)
        if fold is None:
            return None
        texts = sorted({each for each in map(unkey, body.atom.values) if isinstance(each, str)})
        said = [_said(each, fold, value=value) for each in texts if each]
        return _Texts("|".join(filter(None, said)), "" in texts)
    sizes = _sizes(body, element)
    if sizes is not None:
        least, most = sizes
        class_ = "[^&]" if value else "[^&=]"
        return (
            _Texts(f"{class_}{{{max(least, 1)},{most}}}", least < 1) if most != "0" else _Texts("", least < 1)
        )
    asked = text_matcher(body.atom.term) if isinstance(body.atom, Test) else None
    return None if asked is None else _matched(*asked, element, value=value)


def _sizes(body: Formula, element: Element) -> tuple[int, str] | None:
    """How many characters a text has at least and, if any number is said, at most, by a condition on their
    count; None for other conditions, and large numbers."""
    match body.atom:
        case Test(Apply("gt" | "gte" | "lt" | "lte" as name, (Apply("count", (text,)), Known(int(limit))))):
            if text != element or type(limit) is not int or not 0 <= limit < _LONGEST:
                return None
            if name in ("gt", "gte"):
                return limit + (name == "gt"), ""
            return (0, str(limit - (name == "lt"))) if limit or name == "lte" else None
    return None


def _matched(text: Symbol, matcher: StringMatcher | None, element: Element, *, value: bool) -> _Texts | None:
    """The same of a test of the text, or of it with its letters folded."""
    fold = _fold(text, element)
    if fold is None:
        return None
    if matcher is None:
        return _Texts("")
    kind = str(matcher.WhichOneof("match_pattern"))
    if kind == "safe_regex":
        if not value or fold:
            return None
        pattern = within(patterns.searched(matcher.safe_regex.regex), "&")
        return None if pattern is None else _Texts(pattern, re2.fullmatch(pattern, "") is not None)
    if kind not in ("prefix", "suffix", "contains"):
        return None
    said = _said(getattr(matcher, kind), fold, value=value)
    any_ = "[^&]*" if value else "[^&=]*"
    before, behind = {"prefix": ("", any_), "suffix": (any_, ""), "contains": (any_, any_)}[kind]
    return _Texts(f"{before}{said}{behind}" if said else "")


def _fold(text: Symbol, element: Element) -> str | None:
    """How the letters of a name or a value are folded: by `lower`, `upper` or, where it stands as it is, not
    at all; None for other texts."""
    match text:
        case Apply("lower" | "upper" as name, (inner,)) if inner == element:
            return name
    return "" if text == element else None


def _said(constant: str, fold: str, *, value: bool) -> str:
    """The pattern of what a clean query has where a text is that constant once it is folded; empty where no
    clean query has it."""
    if not is_plain_parameter(constant, name=not value):
        return ""
    if not fold:
        return patterns.quote(constant)
    same = constant == (constant.lower() if fold == "lower" else constant.upper())
    return patterns.folded(fold, constant) if same else ""
