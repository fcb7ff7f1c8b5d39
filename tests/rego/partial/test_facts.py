"""What atoms say of their terms tells of other atoms what the terms themselves would."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.facts import Facts
from palisade.rego.partial.formulas.formula import FALSE, Defined, Formula, In
from palisade.rego.partial.formulas.formula import Test as Asked
from palisade.rego.partial.formulas.terms import Apply, Input, Known
from palisade.rego.values import key

BUILDER = Builder()
TERMS = Input(("x",)), Input(("y",))
WORLDS = tuple(product((None, "a", "b", "ba", "bc", 7, False), repeat=2))
"""What the terms may be; None where one is not there."""
KINDS = {str: "string", int: "number", bool: "boolean"}


FALSEHOOD = (key(False),)


def _begins(term: Input, prefix: str) -> Formula:
    return BUILDER.atom(Asked(Apply("startswith", (term, Known(prefix)))))


def _is(term: Input, kind: str) -> Formula:
    return BUILDER.atom(Asked(Apply(f"is_{kind}", (term,))))


def _split(term: Input) -> Formula:
    return BUILDER.atom(Defined(Apply("split", (term, Known(" ")))))


ATOMS = [
    *map(BUILDER.atom, map(Defined, TERMS)),
    *map(_split, TERMS),
    *(_is(term, kind) for term in TERMS for kind in KINDS.values()),
    *(
        BUILDER.is_in(term, values)
        for term in TERMS
        for values in (("a",), ("b",), ("a", "b"), ("ba", "bc"), ("b", 7), FALSEHOOD)
    ),
    *(_begins(term, prefix) for term in TERMS for prefix in ("", "a", "b", "ba", "bc")),
]
NOTED = st.lists(st.tuples(st.sampled_from(ATOMS), st.booleans()), max_size=4)


def _holds(atom: Formula, world: tuple[str | int | None, ...]) -> bool:
    match atom.atom:
        case Defined(Apply("split", (Input() as term, _))):
            return isinstance(world[TERMS.index(term)], str)
        case Asked(Apply(str(name), (Input() as term,))):
            return KINDS.get(type(world[TERMS.index(term)])) == name.removeprefix("is_")
        case Defined(term):
            return world[TERMS.index(term)] is not None
        case In(term, values):
            return key(world[TERMS.index(term)]) in values
        case Asked(Apply(_, (Input() as term, Known(prefix)))):
            text = world[TERMS.index(term)]
            return isinstance(text, str) and text.startswith(prefix)
    raise TypeError(atom)


@given(NOTED)
def test_it_is_never_wrong(noted: list[tuple[Formula, bool]]) -> None:
    """Wherever all that was noted is so, what it tells is so."""
    facts = Facts()
    for atom, holds in noted:
        facts.take(atom, holds)
    possible = [world for world in WORLDS if all(_holds(atom, world) is holds for atom, holds in noted)]
    for asked in ATOMS:
        found = facts.value(asked)
        assert found is None or all(_holds(asked, world) is found for world in possible)


@given(st.lists(st.sampled_from(ATOMS), max_size=4))
def test_what_is_put_together_is_possible_where_it_was(parts: list[Formula]) -> None:
    """Of parts that contradict each other nothing is left, and of no others."""
    whole = BUILDER.all(parts)
    if any(all(_holds(part, world) for part in parts) for world in WORLDS):
        assert whole is not FALSE


@given(NOTED, st.sampled_from(ATOMS), st.booleans())
def test_what_goes_on_leaves_what_it_began_with(
    noted: list[tuple[Formula, bool]], atom: Formula, holds: bool
) -> None:
    facts = Facts()
    for each, so in noted:
        facts.take(each, so)
    before = [facts.value(asked) for asked in ATOMS]
    more = Facts(facts)
    assert [more.value(asked) for asked in ATOMS] == before
    more.take(atom, holds)
    assert [facts.value(asked) for asked in ATOMS] == before


def test_what_it_tells() -> None:
    x = TERMS[0]
    facts = Facts()
    facts.take(BUILDER.is_in(x, ("a", "b")), holds=True)
    facts.take(BUILDER.is_in(x, ("b",)), holds=False)
    assert facts.value(BUILDER.is_in(x, ("a",))) is True
    assert facts.value(BUILDER.is_in(x, ("b", "c"))) is False
    assert facts.value(BUILDER.atom(Defined(x))) is True
    facts.take(BUILDER.atom(Defined(TERMS[1])), holds=False)
    assert facts.value(BUILDER.is_in(TERMS[1], ("a",))) is False


def test_what_it_tells_of_how_texts_begin() -> None:
    """Schemes of a header exclude each other, so what each is for never meets."""
    x = TERMS[0]
    facts = Facts()
    facts.take(_begins(x, "Bearer "), holds=True)
    assert facts.value(_begins(x, "Bear")) is True
    assert facts.value(_begins(x, "Basic ")) is False
    assert facts.value(_begins(x, "Bearer a")) is None
    assert facts.value(BUILDER.is_in(x, ("Basic a", 7))) is False
    facts.take(_begins(x, "Bearer a"), holds=False)
    assert facts.value(_begins(x, "Bearer ab")) is False
    assert facts.value(BUILDER.is_in(x, ("Bearer ab",))) is False
    among = Facts()
    among.take(BUILDER.is_in(x, ("ab", "ac")), holds=True)
    assert [among.value(_begins(x, each)) for each in ("a", "ab", "b")] == [True, None, False]
    assert BUILDER.all((_begins(x, "Bearer "), _begins(x, "Basic "))) is FALSE


def test_what_it_tells_of_kinds() -> None:
    """`is_string(x)` or `split(x, " ")` in one rule, and `not x` in the other: they never meet."""
    x = TERMS[0]
    for asks in (_is(x, "string"), _split(x), _begins(x, "a")):
        facts = Facts()
        facts.take(asks, holds=True)
        assert facts.value(BUILDER.is_in(x, FALSEHOOD)) is False
        assert facts.value(_is(x, "number")) is False
        assert facts.value(_is(x, "string")) is True
        assert facts.value(BUILDER.is_in(x, ("a", 7))) is None
        of_false = Facts()
        of_false.take(BUILDER.is_in(x, FALSEHOOD), holds=True)
        assert of_false.value(asks) is False
        assert BUILDER.all((asks, BUILDER.is_in(x, FALSEHOOD))) is FALSE
