"""Cases without what those before them leave: the first that holds is the one that it was."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from hypothesis import event, given
from hypothesis import strategies as st

from palisade.enforce.envoy.failing import in_turn
from palisade.rego.errors import NOWHERE
from palisade.rego.partial import Case
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula, In
from palisade.rego.partial.formulas.terms import Input, Known

NAMES = "abcdef"


def _holds(formula: Formula, request: Mapping[str, bool]) -> bool:
    if formula in (TRUE, FALSE):
        return formula is TRUE
    if isinstance(formula.atom, In) and isinstance(formula.atom.term, Input):
        return request[str(formula.atom.term.path[0])]
    if formula.kind == "not":
        return not _holds(formula.args[0], request)
    return (any if formula.kind == "or" else all)(_holds(arg, request) for arg in formula.args)


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=2),
            st.sets(st.integers(0, 2), min_size=1),
            st.booleans(),
            st.booleans(),
        ),
        min_size=3,
        max_size=6,
    )
)
def test_the_first_case_that_holds_is_the_same(
    drawn: list[tuple[list[str], set[int], bool, bool]],
) -> None:
    """Whatever a case excludes: conditions of cases before it, one by one or together, or of those behind."""
    builder = Builder()
    own = [builder.all(builder.is_in(Input((name,)), "1") for name in names) for names, *_ in drawn]
    cases: list[Case] = []
    for (_, excluded, together, opposite), asked in zip(drawn, own, strict=True):
        others = [own[each] for each in sorted(excluded) if each < len(own) and own[each] is not asked]
        before = [each.condition for each in cases] if together else []
        apart = map(builder.negate, before or others)
        left = builder.all((asked, *apart, builder.negate(builder.any((*others, *before)))))
        cases.append(Case(builder.negate(left) if opposite else left, Known(len(cases)), NOWHERE))
    found = in_turn(cases, builder)
    event(
        "shorter" if any(one is not other for one, other in zip(cases, found, strict=True)) else "as it was"
    )
    for values in product((True, False), repeat=len(NAMES)):
        request = dict(zip(NAMES, values, strict=True))
        firsts = [
            next((str(each.value) for each in some if _holds(each.condition, request)), "none")
            for some in (cases, found)
        ]
        assert firsts[0] == firsts[1]


def test_branches_of_an_else_ask_for_themselves_alone() -> None:
    builder = Builder()
    own = [builder.is_in(Input((str(at),)), "1") for at in range(50)]
    branches = [builder.both(each, builder.negate(builder.any(own[:at]))) for at, each in enumerate(own)]
    last = builder.negate(builder.any(own))
    cases = [Case(each, Known(at), NOWHERE) for at, each in enumerate((*branches, last))]
    assert [each.condition for each in in_turn(cases, builder)] == [*own, last]
