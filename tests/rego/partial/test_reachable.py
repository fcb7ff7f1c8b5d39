"""What is called unreachable is: no assignment of the atoms comes to it."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula
from palisade.rego.partial.formulas.reachable import MAX_ATOMS, reachable
from palisade.rego.partial.formulas.terms import Input

BUILDER = Builder()
ATOMS = [BUILDER.atom(Defined(Input((name,)))) for name in "abcd"]

formulas = st.recursive(
    st.sampled_from((*ATOMS, TRUE, FALSE)),
    lambda inner: st.one_of(
        inner.map(BUILDER.negate),
        st.lists(inner, min_size=2, max_size=3).map(BUILDER.all),
        st.lists(inner, min_size=2, max_size=3).map(BUILDER.any),
    ),
    max_leaves=8,
)


def holds(formula: Formula, true: set[Formula]) -> bool:
    if formula.atom is not None:
        return formula in true
    parts = [holds(each, true) for each in formula.args]
    return {"and": all(parts), "or": any(parts), "true": True, "false": False}.get(
        formula.kind, not any(parts)
    )


@given(st.lists(formulas, max_size=5))
def test_a_case_is_reached_by_what_meets_it_first(conditions: list[Formula]) -> None:
    first = {
        next((at for at, each in enumerate(conditions) if holds(each, true)), None)
        for chosen in product((False, True), repeat=len(ATOMS))
        for true in [{atom for atom, taken in zip(ATOMS, chosen, strict=True) if taken}]
    }
    assert reachable(conditions) == [at in first for at in range(len(conditions))]


def test_of_many_atoms_nothing_is_known() -> None:
    atoms = [BUILDER.atom(Defined(Input((f"a{at}",)))) for at in range(MAX_ATOMS + 1)]
    assert reachable([BUILDER.any(atoms), FALSE]) == [True, True]
