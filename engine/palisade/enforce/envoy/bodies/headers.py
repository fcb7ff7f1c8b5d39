"""Conditions on all headers: `some name, _ in http.headers; startswith(name, "x-internal-")`.

Nothing of Envoy's looks at the names of headers but a script. So the sidecar's reader makes the tests itself,
and lays down whether some header passes all of them. It is told each conjunction of tests by a code: for each
test what is asked (the name or the value, in small letters or as it is), of which constants, in hexadecimal,
and whether it is to be so or not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from math import prod

from palisade.enforce.envoy.tokens.taking import HEADERS
from palisade.enforce.envoy.values.sources import PARTIAL_BODY
from palisade.rego.partial.formulas.formula import Defined, Exists, Formula, In, Test
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Input, Known, Symbol
from palisade.rego.values import Set, unkey
from palisade_sidecar.asking import ASK_HEADER
from palisade_sidecar.chunks import CHUNKS_HEADER

ALL = Input(HEADERS)
"""The headers of a request, an object of texts."""
LOOP = f"iterates over {ALL}"
"""Why a condition is the engine's before these are read."""
COUNT = "count"
"""By this key the reader tells how many headers there are."""
COUNTED = Apply("count", (ALL,))
COUNTING = "counts all headers"
"""Why a condition on that is the engine's before they are read."""

HIDDEN = (ASK_HEADER, CHUNKS_HEADER, PARTIAL_BODY)
"""No policy is told of these where a client sends them."""

_MOST = 16
"""So many ways to fulfil a condition are told apart."""
_KINDS = {"startswith": "p", "endswith": "s", "contains": "c"}
_SEVERAL = {"strings.any_prefix_match": "p", "strings.any_suffix_match": "s"}

_Test = tuple[str, str, str, tuple[str, ...], bool]
"""Of the name or value (n, v), in small letters or not (l, x), that it is, begins with, ends with or holds
(e, p, s, c) one of the texts, or has more characters than one says (m); and whether that is to be so."""


def codes_of(atom: Exists) -> tuple[str, ...] | None:
    """The codes of which one must be passed by some header; None where the condition is no such one."""
    found = _ways(atom.body, atom)
    if found is None or any(_passes(way, PARTIAL_BODY, said) for way in found for said in ("true", "false")):
        return None
    return tuple(map(_code, found))


def passes(code: str, name: str, value: str) -> bool:
    """Whether a header passes the tests of a code, as the reader finds it."""
    return _passes([_decoded(each) for each in code[1:].split("_")[1:]], name, value)


def _code(way: Sequence[_Test]) -> str:
    return "h" + "".join(
        f"_{of}{fold}{kind}{'y' if asked else 'n'}{'z'.join(text.encode().hex() for text in texts)}"
        for of, fold, kind, texts, asked in way
    )


def _decoded(test: str) -> _Test:
    texts = tuple(bytes.fromhex(each).decode() for each in test[4:].split("z"))
    return test[0], test[1], test[2], texts, test[3] == "y"


def _passes(way: Iterable[_Test], name: str, value: str) -> bool:
    ask: Mapping[str, Callable[[str, str], bool]] = {
        "e": operator.eq,
        "p": str.startswith,
        "s": str.endswith,
        "c": operator.contains,
        "m": lambda said, text: len(said) > int(text),
    }
    for of, fold, kind, texts, asked in way:
        said = name if of == "n" else value
        said = said.lower() if fold == "l" else said
        if any(ask[kind](said, text) for text in texts) != asked:
            return False
    return True


def _ways(body: Formula, atom: Exists, *, holds: bool = True) -> list[list[_Test]] | None:
    """The conjunctions of tests of which one must be passed for the condition to hold, or not to hold."""
    if body.kind in ("true", "false"):
        return [[]] if (body.kind == "true") == holds else []
    if body.kind == "not":
        return _ways(body.args[0], atom, holds=not holds)
    if body.kind in ("and", "or"):
        parts = [_ways(each, atom, holds=holds) for each in body.args]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or prod(max(1, len(each)) for each in known) > _MOST:
            return None
        if (body.kind == "or") == holds:
            return [way for part in known for way in part]
        return [[test for way in ways for test in way] for ways in product(*known)]
    test = _test(body, atom)
    if isinstance(test, bool):
        return [[]] if test == holds else []
    return None if test is None else [[(*test[:4], holds == test[4])]]


def _test(part: Formula, atom: Exists) -> _Test | bool | None:
    """The test that an atom is; whether it holds of all headers or none; None for others."""
    match part.atom:
        case Defined(term):
            return True if _always(term, atom) else None
        case In(term, values):
            return _asked(term, "e", [text for text in map(unkey, values) if isinstance(text, str)], atom)
        case Test(Apply("gt" | "gte" | "lt" | "lte" as name, (Apply("count", (term,)), Known(int(limit))))):
            most = limit - (name in ("gte", "lt"))
            found = _asked(term, "m", [str(most)], atom) if most >= 0 else None
            return (*found[:4], name in ("gt", "gte")) if isinstance(found, tuple) else found
        case Test(Apply(name, (term, Known(str(text))))) if name in _KINDS:
            return _asked(term, _KINDS[name], [text], atom)
        case Test(Apply(name, (term, Known(texts)))) if name in _SEVERAL:
            several = (
                [texts] if isinstance(texts, str) else texts if isinstance(texts, list | Set) else [None]
            )
            if not all(isinstance(each, str) for each in several):
                return None
            return _asked(term, _SEVERAL[name], [each for each in several if isinstance(each, str)], atom)
    return None


def _asked(term: Symbol, kind: str, texts: Sequence[str], atom: Exists) -> _Test | bool | None:
    fold = "x"
    if isinstance(term, Apply) and term.name == "lower" and len(term.args) == 1:
        (term,), fold = term.args, "l"
    if not isinstance(term, Element) or (term.source, term.loop, term.path) != (ALL, atom.loop, ()):
        return None
    # A header with letters beyond ASCII is left to the engine.
    some = sorted({text for text in texts if text.isascii()})
    return ("n" if term.of_keys else "v", fold, kind, tuple(some), True) if some else False


def _always(term: Symbol, atom: Exists) -> bool:
    """Whether a term is defined of all headers: names and values are texts."""
    match term:
        case Element():
            return (term.source, term.loop, term.path) == (ALL, atom.loop, ())
        case Apply("lower" | "count", (inner,)):
            return _always(inner, atom)
        case Apply(name, (inner, Known(str()))) if name in _KINDS:
            return _always(inner, atom)
        case Apply("sprintf", (Known(str()), ArrayOf(items))):
            return all(_always(each, atom) for each in items if not isinstance(each, Known))
        case Apply("concat", (Known(str()), ArrayOf(items))):
            return all(
                isinstance(each.value, str) if isinstance(each, Known) else _always(each, atom)
                for each in items
            )
    return False
