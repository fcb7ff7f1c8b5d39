"""Builtins that ask whether one of several things matches: a text that begins with one of some prefixes, an
address in one of some networks. They are what the members of these are asked, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import NOWHERE, BuiltinError
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula, Test
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    Part,
    Symbol,
)
from palisade.rego.partial.symbols.construct import parts_of
from palisade.rego.partial.symbols.kinds import is_text
from palisade.rego.partial.symbols.sets import KNOWN_FALSE, KNOWN_TRUE, Cases
from palisade.rego.values import Set, Value, unkey

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_TERMS = (Input, Element, Apply)

TEXTS = "asks how several texts of the request begin or end"
ADDRESSES = "asks which networks several addresses lie in"
LARGE = "asks whether large numbers are those of a version"
"""Why only the evaluator knows it."""


def any_affix(test: str) -> Callable[[Members, Sequence[Symbol]], Cases | None]:
    """`strings.any_prefix_match(text, prefixes)`, where `test` asks it of one prefix.

    The prefixes are constants, texts made of the request's, or an array of a claim. OPA refuses any that is
    no text, whichever of the others match."""

    def made(run: Members, args: Sequence[Symbol]) -> Cases | None:
        text, bases = args
        if not isinstance(text, _TERMS) or (isinstance(bases, Known) and not is_text(text)):
            return None
        builder = run.builder
        if isinstance(bases, Known) and isinstance(bases.value, str):
            bases = Known([bases.value])
        whole = parts_of(bases)
        parts: Sequence[Part] = whole[1] if whole is not None else ()
        if whole is None:
            if not isinstance(bases, _TERMS) or is_text(bases):
                return None
            parts = [part for part, _ in run.members(bases)]
        is_listed = TRUE if whole is not None else run.is_kind(bases, "array")
        asked = [(part, Apply(test, (text, part.item))) for part in map(run.fresh, parts)]
        some = builder.any(run.some(part, _holds(run, each)) for part, each in asked)
        odd = builder.any(
            run.some(part, builder.negate(_is_taken(run, part.item, each))) for part, each in asked
        )
        there = builder.atom(Defined(text if is_text(text) else Apply(test, (text, Known("")))))
        plain = builder.all((there, is_listed, builder.negate(odd)))
        found = [
            (builder.both(plain, some), KNOWN_TRUE),
            (builder.both(plain, builder.negate(some)), KNOWN_FALSE),
        ]
        if whole is None:
            one = Apply(test, (text, bases))  # a claim may be a text, too, and is a prefix itself then
            holds, there = builder.atom(Test(one)), builder.atom(Defined(one))
            found += [(holds, KNOWN_TRUE), (builder.both(there, builder.negate(holds)), KNOWN_FALSE)]
        return [*found, *_unfollowed(run, _is_several(run, text), TEXTS)]

    return made


def _holds(run: Members, test: Apply) -> Formula:
    if isinstance(test.args[1], Known) and not isinstance(test.args[1].value, str):
        return FALSE
    return run.builder.atom(Test(test))


def _is_taken(run: Members, item: Symbol, test: Apply) -> Formula:
    """A prefix is one that the builtin takes: a text."""
    if is_text(item):
        return TRUE
    if isinstance(item, _TERMS):
        return run.builder.atom(Defined(test))
    return FALSE


def networks_of(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`net.cidr_contains_matches(networks, address)` of constant networks: a pair for each that the address
    lies in, of what names the network and the address. Several addresses are the evaluator's."""
    networks, address = args
    named = _named(networks.value) if isinstance(networks, Known) else None
    if not isinstance(address, _TERMS) or not named:
        return None
    builder = run.builder
    tests = [Apply("net.cidr_contains", (Known(cidr), address)) for _, cidr in named]
    parts = tuple(
        Part(builder.atom(Test(test)), (), ArrayOf((Known(name), address)))
        for (name, _), test in zip(named, tests, strict=True)
    )
    found: Cases = [(builder.atom(Defined(tests[0])), Gathered("set", parts))]
    several = _is_several(run, address)
    if not is_text(address):
        # What is neither a text nor a collection is in no network, and no error.
        a_text = builder.atom(Test(Apply("is_string", (address,))))
        found.append((builder.negate(builder.any((a_text, several))), Known(Set())))
    return [*found, *_unfollowed(run, several, ADDRESSES)]


def _is_several(run: Members, asked: Input | Element | Apply) -> Formula:
    """It is no text that is asked of, but a collection of them."""
    if is_text(asked):
        return FALSE
    return run.builder.any(run.is_kind(asked, kind) for kind in ("array", "object", "set"))


def _unfollowed(run: Members, several: Formula, why: str) -> Cases:
    """What only the evaluator says there."""
    if several is FALSE:
        return []
    return [(run.builder.both(several, run.opaque(why, NOWHERE)), run.unknown(why, NOWHERE))]


def _named(networks: Value) -> list[tuple[Value, str]] | None:
    """The networks, each with what names it; None where the builtin refuses one."""
    pairs: list[tuple[Value, Value]]
    match networks:
        case str():
            pairs = [(networks, networks)]
        case list():
            pairs = list(enumerate(networks))
        case Set():
            pairs = [(each, each) for each in networks]
        case dict():
            pairs = [(unkey(form), each) for form, each in networks.items()]
        case _:
            return None
    found: list[tuple[Value, str]] = []
    for name, each in pairs:
        cidr = each[0] if isinstance(each, list) and each else each
        try:
            BUILTINS["net.cidr_contains"].function(cidr, "10.0.0.1")
        except BuiltinError:
            return None
        found.append((name, cidr))
    return found


def is_version(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`semver.is_valid(x)`, by what versions look like; of long numbers only the evaluator says whether they
    are too large."""
    (version,) = args
    if not isinstance(version, _TERMS):
        return None
    builder = run.builder
    alike, long = (
        builder.atom(Test(Apply("regex.match", (Known(each), version)))) for each in (_VERSION, _LONG)
    )
    doubt = builder.both(alike, long)
    return [
        (builder.both(alike, builder.negate(long)), KNOWN_TRUE),
        (builder.both(builder.atom(Defined(version)), builder.negate(alike)), KNOWN_FALSE),
        *_unfollowed(run, doubt, LARGE),
    ]


_NAMES = "[0-9A-Za-z-]+(?:[.][0-9A-Za-z-]+)*"
_VERSION = f"^v?[0-9]+[.][0-9]+[.][0-9]+(?:-(?:{_NAMES})?)?(?:[+](?:{_NAMES})?)?$"
_LONG = "[0-9]{19}"


def marks(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`strings.count(text, "/")` of one character: one fewer than the text has pieces between them."""
    text, mark = args
    if not isinstance(text, _TERMS) or not isinstance(mark, Known):
        return None
    if not isinstance(mark.value, str) or len(mark.value) != 1:
        return None
    pieces = Apply("split", (text, mark))
    return [(run.builder.atom(Defined(pieces)), Apply("minus", (Apply("count", (pieces,)), Known(1))))]


SPECIAL: dict[str, Callable[[Members, Sequence[Symbol]], Cases | None]] = {
    "net.cidr_contains_matches": networks_of,
    "semver.is_valid": is_version,
    "strings.any_prefix_match": any_affix("startswith"),
    "strings.any_suffix_match": any_affix("endswith"),
    "strings.count": marks,
}
