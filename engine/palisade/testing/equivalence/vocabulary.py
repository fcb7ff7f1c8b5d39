"""What a policy speaks of: its constants, and the parts of a request that it compares with them.

Constants come from the plan of the decision and from the data; which part of a request each belongs to comes
from the conditions of partial evaluation, where it can follow the policy.
"""

from __future__ import annotations

import base64
import ipaddress
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from palisade.decide.input import FOLDED, known_of
from palisade.enforce.envoy.bodies import headers
from palisade.enforce.envoy.bodies.documents import PARSED_BODY, Back, Document, field_of
from palisade.enforce.envoy.bodies.made import DECODES, FOLDS
from palisade.enforce.envoy.tokens.calls import claim_of
from palisade.enforce.envoy.tokens.places import Place as HeaderPlace
from palisade.enforce.envoy.values.walks import METADATA
from palisade.rego import ir
from palisade.rego.partial import evaluate
from palisade.rego.partial.execution.flow import all_stmts
from palisade.rego.partial.formulas.formula import (
    FALSE,
    TRUE,
    Defined,
    Exists,
    Formula,
    In,
    IsKind,
    Same,
    Test,
    nodes,
)
from palisade.rego.partial.formulas.terms import Apply, Element, Input, Known, Symbol, subterms
from palisade.rego.values import Key, Set, Value, unkey
from palisade.testing.equivalence.subject import Subject
from palisade.testing.equivalence.walks import MEMBER, OWN_CLAIMS, WRITTEN, Place, walks

MOST_WORDS = 60
"""So many strings are used at once: with few, two parts of a request are often the same."""
MOST_FORMULAS = 400

_HTTP = ("attributes", "request", "http")
_HEADER = re.compile("[0-9a-z_-]+")
_BODIES = frozenset(
    (("parsed_body",), ("truncated_body",), *((*_HTTP, name) for name in ("body", "rawBody", "size")))
)


@dataclass(frozen=True)
class Vocabulary:
    """`places` are the parts of a request that the policy reads, each with what it is compared to there.

    `words` and `numbers` are its other constants, those of the rules before those of the data. `aims` are the
    conditions under which rules hold. `ranges` are networks in CIDR notation, `patterns` RE2 expressions.
    """

    words: tuple[str, ...]
    numbers: tuple[int | float, ...]
    places: Mapping[Place, tuple[Value, ...]]
    aims: tuple[Formula, ...]
    ranges: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    body: bool = False
    """Whether the policy reads the body."""

    def below(self, *prefix: str) -> dict[Place, tuple[Value, ...]]:
        """The places below a prefix, without it."""
        size = len(prefix)
        return {place[size:]: found for place, found in self.places.items() if place[:size] == prefix}


def gather(subject: Subject, *, seed: int = 0) -> Vocabulary:
    """The vocabulary of a subject. Of large data a part is taken, another one for another seed."""
    policy = subject.revision.policy
    plan = policy.plan([subject.rule])
    path = subject.revision.inventory.decision.split("/")
    work = subject.enforcement.work
    if work is None:
        outcome = evaluate(plan, path, policy.data, known_of(subject.function.name), folded=FOLDED)
    else:
        outcome = work.outcome
    chooser = random.Random(seed)  # noqa: S311 -- what is drawn is test data
    formulas = [each.condition for each in outcome.cases if each.condition not in (TRUE, FALSE)]
    formulas += [
        outcome.builder.both(each.condition, outcome.builder.is_in(each.value, (Key(True),)))
        for each in outcome.cases
        if isinstance(each.value, Input)
    ]
    if outcome.error is not FALSE:
        formulas.append(outcome.error)
    formulas = _some(formulas, MOST_FORMULAS, chooser)
    places: dict[Place, dict[str, Value]] = {}
    patterns: dict[str, None] = {}
    for formula in formulas:
        for place, values in _compared(formula, patterns):
            known = places.setdefault(place, {})
            for value in values:
                known[repr(value)] = value
    for each in outcome.cases:
        for place, _ in () if each.value is None else _at(each.value, []):
            places.setdefault(place, {}).update({"True": True, "'x'": "x"})
    for place in walks(plan):
        places.setdefault(place, {})
    texts, numbers = _constants(plan)
    stored = list(dict.fromkeys(_leaves(policy.data)))
    texts += _some([each for each in stored if isinstance(each, str)], MOST_WORDS // 2, chooser)
    numbers += _some([each for each in stored if not isinstance(each, str)], 10, chooser)
    words = list(dict.fromkeys(texts))
    return Vocabulary(
        words=tuple(words[: 2 * MOST_WORDS]),
        numbers=tuple(dict.fromkeys(numbers)),
        places={
            place: tuple(_some(list(known.values()), MOST_WORDS, chooser)) for place, known in places.items()
        },
        aims=tuple(formulas),
        ranges=tuple(dict.fromkeys(each for each in words if _is_network(each)))
        if "socketAddress" in plan.strings
        else (),
        patterns=tuple(patterns),
        body=any(place[:1] in _BODIES or place[:4] in _BODIES for place in places),
    )


def _some(items: Sequence[Any], most: int, chooser: random.Random) -> list[Any]:
    """At most so many of the items, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[at] for at in sorted(chooser.sample(range(len(items)), most))]


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _leaves(value: Value) -> Iterator[str | int | float]:
    """The strings and numbers of a document, its keys among them."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(unkey(name))
            yield from _leaves(each)
    elif isinstance(value, list | Set):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def _constants(plan: ir.Policy) -> tuple[list[str], list[int | float]]:
    """The strings and numbers of the rules."""
    numbers: list[int | float] = []
    refs: set[int] = set()
    blocks = [block for each in plan.plans for block in each.blocks]
    blocks += [block for each in plan.funcs for block in each.blocks]
    for stmt in (stmt for block in blocks for stmt in all_stmts(block)):
        if isinstance(stmt, ir.MakeNumberIntStmt):
            numbers.append(stmt.value)
        elif isinstance(stmt, ir.MakeNumberRefStmt):
            refs.add(stmt.index)
            number = Decimal(plan.strings[stmt.index])
            if abs(number) < Decimal("1e308"):
                numbers.append(float(number))
    return [text for at, text in enumerate(plan.strings) if at not in refs], numbers


# What is compared with what -------------------------------------------------------------------------------


def place_of(term: object) -> Place | None:
    """Where in the input a term walks to; None for one that is no walk, or whose steps are not all known."""
    if isinstance(term, Input):
        steps = term.path
        if any(isinstance(step, Apply) for step in steps):
            return _in_document(term)
        if steps[: len(METADATA)] == METADATA and len(steps) > len(METADATA):
            steps = ("identity", "claims", *steps[len(METADATA) + 1 :])  # of the provider who signs
    elif isinstance(term, Element) and not term.of_keys:
        source = place_of(term.source)
        if source is None:
            return None
        steps = (*source, MEMBER, *term.path)
    elif isinstance(term, Apply):
        return _in_token(term)
    else:
        return None
    return steps if all(isinstance(step, str | int) for step in steps) else None


def _in_token(term: Apply) -> Place | None:
    """Where in the claims of a token, or in other JSON, that the policy takes apart a term walks to."""
    written = _in_document(term)
    if written is not None:
        return written
    claim = claim_of(term)
    if claim is None or not all(isinstance(step, str | int) for step in claim):
        return None
    return (OWN_CLAIMS, *claim)


def _in_document(term: Input | Apply) -> Place | None:
    """Where in JSON that the policy decodes, out of the body or a header, a term walks to."""
    document, *steps = field_of(term) or (None,)
    steps = [0 if isinstance(step, Back) else step for step in steps]
    if document == PARSED_BODY:
        return (PARSED_BODY, *steps)
    if not isinstance(document, Document) or document.coding == "token":
        return None
    if document.place is None:
        return (PARSED_BODY, *steps)  # a body that says that it is JSON is both
    if not isinstance(document.place, HeaderPlace):
        return None
    return (WRITTEN, document.place.header, document.place.prefix, document.coding, *steps)


def _compared(formula: Formula, patterns: dict[str, None]) -> Iterator[tuple[Place, list[Value]]]:
    """The places that a formula reads, and the constants that each is compared with."""
    for node in nodes(formula):
        match node.atom:
            case In(Element(source, _, True, ()), values):
                # Keys that are allowed, or looked for: beside them others are drawn.
                whole = place_of(source)
                keys = [each for each in map(unkey, values) if isinstance(each, str)]
                yield from (((*whole, each), []) for each in keys if whole)
            case In(term, values):
                yield from _at(term, [unkey(each) for each in values])
                if isinstance(term, Element) and term.source == headers.ALL:
                    yield (*_HTTP, "headers", "x-any"), [unkey(each) for each in values]
            case Test(term):
                if term.name in ("regex.match", "re_match") and isinstance(term.args[0], Known):
                    patterns[str(term.args[0].value)] = None
                yield from _at(term, list(_known(term)))
                yield from _of_headers(term)
            case Same(left, right):
                # Of texts that are made of others, some that are the same then.
                alike: list[Value] = ["a", "A", "é"] if _is_made(left) or _is_made(right) else []
                yield from _at(left, alike)
                yield from _at(right, alike)
            case Defined(term) | IsKind(term, _):
                yield from _at(term, [])
            case Exists(source):
                yield from _at(source, [])


def _of_headers(test: Apply) -> Iterator[tuple[Place, list[Value]]]:
    """Headers by whose names, or values, a test of all headers may hold."""
    for part in subterms(test):
        if isinstance(part, Element) and part.source == headers.ALL:
            for text in _known(test):
                if isinstance(text, str) and part.of_keys:
                    names = filter(_HEADER.fullmatch, (text.lower(), f"{text.lower()}x", f"x{text.lower()}"))
                    yield from (((*_HTTP, "headers", name), []) for name in names)
                elif isinstance(text, str):
                    yield (*_HTTP, "headers", "x-any"), [text, f"a{text}", f"{text}a"]


def _at(symbol: Symbol, values: list[Value]) -> Iterator[tuple[Place, list[Value]]]:
    """The walks that a symbol is made of. What a walk goes through on its way is no place of its own."""
    for part in subterms(symbol):
        place = place_of(part)
        if place:
            inner = values if part is symbol or not isinstance(symbol, Input | Element) else []
            yield place, inner
        if isinstance(part, Apply) and part.name in DECODES:
            encoded = place_of(part.args[0])
            if encoded:
                yield encoded, [way for each in values if isinstance(each, str) for way in _encodings(each)]


def _is_made(symbol: Symbol) -> bool:
    return isinstance(symbol, Apply) and symbol.name in DECODES | FOLDS


def _encodings(text: str) -> Iterator[str]:
    whole = base64.b64encode(text.encode()).decode()
    yield whole
    yield whole.rstrip("=")


def _known(symbol: Symbol) -> Iterable[Value]:
    """The constants among the operands of a call."""
    for part in subterms(symbol):
        if isinstance(part, Known):
            value = part.value
            yield from value if isinstance(value, list | Set) else (value,)
