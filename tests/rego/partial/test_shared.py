"""What formulas that share their parts hold is what each holds by itself, and each part is looked at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Exists, Formula, nodes
from palisade.rego.partial.formulas.formula import Test as Asked
from palisade.rego.partial.formulas.shared import Shared
from palisade.rego.partial.formulas.terms import Apply, Input

_plans = st.lists(
    st.tuples(st.sampled_from(("and", "or", "not", "loop")), st.lists(st.integers(0, 40), max_size=3)),
    max_size=30,
)


def _made(builder: Builder, plan: list[tuple[str, list[int]]]) -> list[Formula]:
    """Formulas of which each is made of some before it."""
    made = [builder.atom(Asked(Apply("is_string", (Input((f"x{at}",)),)))) for at in range(5)]
    for number, (kind, picked) in enumerate(plan):
        parts = [made[at % len(made)] for at in picked] or made[:1]
        if kind == "loop":
            made.append(builder.atom(Exists(Input(("xs",)), 100 + number, parts[0])))
        elif kind == "not":
            made.append(builder.negate(parts[0]))
        else:
            made.append(builder.all(parts) if kind == "and" else builder.any(parts))
    return made


@given(_plans, st.booleans())
def test_formulas_hold_what_each_holds_by_itself(plan: list[tuple[str, list[int]]], bodies: bool) -> None:
    builder = Builder()
    looked_at: list[Formula] = []

    def told(node: Formula) -> list[Formula]:
        looked_at.append(node)
        return [node] if node.atom is not None else []

    shared = Shared(told, bodies=bodies)
    for formula in _made(builder, plan):
        found = shared.of(formula)
        assert len(found) == len(set(found))
        assert {*found} == {node for node in nodes(formula, bodies=bodies) if node.atom is not None}
    assert len(looked_at) == len(set(looked_at))


def test_what_is_left_out_is_with_all_below_it_but_for_what_others_have() -> None:
    builder = Builder()
    one, two, three = (builder.atom(Asked(Apply("is_string", (Input((name,)),)))) for name in "abc")
    inner = builder.any((one, two))
    shared = Shared(lambda node: None if node is inner else [node] if node.atom is not None else ())
    assert {*shared.of(builder.all((inner, three)))} == {three}
    assert {*shared.of(builder.all((one, three)))} == {one, three}


def test_few_and_many_are_told_alike_whichever_they_are_made_of() -> None:
    builder = Builder()
    atoms = [builder.atom(Asked(Apply("is_string", (Input((f"x{at}",)),)))) for at in range(200)]
    shared = Shared(lambda node: [node] if node.atom is not None else ())
    above: list[Formula] = []
    for at in range(0, 200, 4):
        own = atoms[at : at + 4]
        above += own
        few = builder.all(own)
        assert {*shared.of(few)} == {*own}
        assert shared.of(builder.any((few, builder.negate(builder.any(above))))).count(own[0]) == 1
        assert {*shared.of(builder.any((few, builder.negate(builder.any(above)))))} == {*above}


def test_another_run_looks_again_only_at_what_is_new() -> None:
    """Of a condition with thousands of parts an edit changes one: all were looked through again. What is
    found comes in the order of its own parts, whatever the run before asked for."""
    builder, looked_at = Builder(), list[Formula]()
    atoms = [builder.atom(Asked(Apply("is_string", (Input((f"x{at}",)),)))) for at in range(202)]
    pairs = [builder.all(atoms[at : at + 2]) for at in range(0, 202, 2)]

    def told(node: Formula) -> list[Formula]:
        looked_at.append(node)
        return [node] if node.atom is not None else []

    shared = Shared(told)
    shared.of(builder.any(reversed(pairs[:100])))
    looked_at.clear()
    shared.begin()
    assert shared.of(builder.any(pairs[1:])) == tuple(atoms[2:])
    assert len(looked_at) <= 4
