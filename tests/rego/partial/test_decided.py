"""What other parts of a formula decide: taken out, and nothing else, whatever the formula is."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.partial.formulas import builder as making
from palisade.rego.partial.formulas import ways
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.decided import Beside, simplified
from palisade.rego.partial.formulas.factored import factored
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula, In
from palisade.rego.partial.formulas.terms import Input

NAMES, VALUES = ("a", "b", "c"), ("1", "2", "3")

_SEVERAL = st.frozensets(st.sampled_from(VALUES), min_size=1)
_ATOMS = st.one_of(
    st.builds(lambda name, values: ("in", name, values), st.sampled_from(NAMES), _SEVERAL),
    st.builds(lambda name: ("defined", name), st.sampled_from(NAMES)),
)
_TREES = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda part: ("not", part), inner),
        st.builds(lambda parts: ("and", *parts), st.lists(inner, min_size=2, max_size=4)),
        st.builds(lambda parts: ("or", *parts), st.lists(inner, min_size=2, max_size=4)),
    ),
    max_leaves=14,
)

REQUESTS = [dict(zip(NAMES, each, strict=True)) for each in product((*VALUES, "4", None), repeat=len(NAMES))]
"""All that can be told apart: each name has a value, maybe one that none asks for, or is not there."""


def _built(tree, builder):
    kind, *rest = tree
    if kind == "in":
        return builder.is_in(Input((rest[0],)), rest[1])
    if kind == "defined":
        return builder.atom(Defined(Input((rest[0],))))
    if kind == "not":
        return builder.negate(_built(rest[0], builder))
    parts = [_built(each, builder) for each in rest]
    return builder.all(parts) if kind == "and" else builder.any(parts)


def _meant(tree, request):
    kind, *rest = tree
    if kind == "in":
        return request[rest[0]] in rest[1]
    if kind == "defined":
        return request[rest[0]] is not None
    if kind == "not":
        return not _meant(rest[0], request)
    return (all if kind == "and" else any)(_meant(each, request) for each in rest)


def _holds(formula: Formula, request) -> bool:
    if isinstance(formula.atom, In):
        return request[formula.atom.term.path[0]] in formula.atom.values
    if isinstance(formula.atom, Defined):
        return request[formula.atom.term.path[0]] is not None
    if formula.kind == "not":
        return not _holds(formula.args[0], request)
    return (any if formula.kind == "or" else all)(_holds(arg, request) for arg in formula.args)


@given(_TREES)
def test_what_is_left_holds_of_the_same_requests(tree):
    formula = _built(tree, Builder())
    for request in REQUESTS:
        found = False if formula is FALSE else formula is TRUE or _holds(formula, request)
        assert found == _meant(tree, request), request


@given(_TREES, st.integers(0, 3))
def test_what_is_left_of_many_alternatives_holds_of_the_same_requests(tree, many):
    """Those that a constant beside them rules out are left out."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ways, "MANY", many)
        test_what_is_left_holds_of_the_same_requests.hypothesis.inner_test(tree)


@given(st.lists(_TREES, min_size=1, max_size=5))
def test_factored_alternatives_hold_of_the_same_requests(trees):
    builder = Builder()
    parts = [_built(tree, builder) for tree in trees]
    whole = factored(builder, parts)
    for request in REQUESTS:
        found = False if whole is FALSE else whole is TRUE or _holds(whole, request)
        assert found == any(_meant(tree, request) for tree in trees), request


def test_alternatives_that_differ_in_a_part_are_one():
    """All combinations of what two claims may be came to one alternative each."""
    builder = Builder()
    some = {name: builder.is_in(Input((name,)), {"1", "2"}) for name in NAMES}
    both = [(some[name], builder.negate(some[name])) for name in "bc"]
    assert factored(builder, [builder.all((some["a"], *each)) for each in product(*both)]) is some["a"]
    rest = [builder.both(some["a"], each) for each in (some["b"], some["c"])]
    assert factored(builder, rest) is builder.both(some["a"], builder.any((some["b"], some["c"])))
    assert factored(builder, ()) is FALSE


def test_of_a_table_a_row_is_left_where_its_key_is_known():
    """All rows in each of as many conditions were a million parts of a thousand."""
    builder = Builder()
    keys = [builder.is_in(Input(("a",)), {str(at)}) for at in range(100)]
    rows = builder.any(
        builder.both(key, builder.is_in(Input(("b",)), {str(at), "x"})) for at, key in enumerate(keys)
    )
    beside = builder.is_in(Input(("b",)), {"7", "x"})
    assert builder.both(keys[7], builder.negate(rows)) is builder.both(keys[7], builder.negate(beside))
    assert builder.both(keys[7], rows) is builder.both(keys[7], beside)
    other = builder.is_in(Input(("a",)), {"other"})
    assert builder.both(other, rows) is FALSE
    assert builder.both(other, builder.negate(rows)) is other


def _some(builder, *names):
    return [builder.is_in(Input((name,)), {"1"}) for name in names]


def test_of_a_table_the_rows_of_a_class_are_left_where_its_keys_are_known():
    """Thousands of customers have twenty plans: what one plan allows was asked beside what each other does.
    The class is known by alternatives, too, as of customers with the plan some are active."""
    builder = Builder()
    customer = Input(("customer",))
    keys = {plan: [f"c{plan}-{at}" for at in range(29)] for plan in range(20)}
    rows = {
        plan: builder.all((builder.is_in(customer, own), builder.atom(Defined(Input((f"p{plan}",))))))
        for plan, own in keys.items()
    }
    active, other = keys[3][:20], keys[3][20:]
    known = builder.any(
        builder.all((builder.is_in(customer, own), builder.atom(Defined(Input((name,))))))
        for name, own in (("a", active), ("b", other))
    )
    assert builder.both(known, builder.any(rows.values())) is builder.both(known, rows[3])


def test_one_outcome_does_not_go_with_another_of_the_same_rule():
    builder = Builder()
    first, second = (builder.all(_some(builder, *each)) for each in (("a", "b"), ("b", "c")))
    otherwise = builder.both(second, builder.negate(builder.any((first, *_some(builder, "d")))))
    assert builder.both(first, otherwise) is FALSE


def test_a_part_that_the_others_imply_is_left_out():
    builder = Builder()
    a, b, c = _some(builder, "a", "b", "c")
    either = builder.any((a, b))
    assert builder.all((a, either)) is a
    assert builder.all((a, c, builder.negate(builder.all((builder.negate(a), b))))) is builder.all((a, c))
    assert builder.any((a, builder.all((a, b)))) is a


def test_what_is_decided_within_a_part_is_left_out_of_it():
    builder = Builder()
    a, b, c = _some(builder, "a", "b", "c")
    no = builder.negate(a)
    assert builder.both(no, builder.any((a, b))) is builder.both(no, b)
    assert builder.both(no, builder.any((a, builder.both(b, c)))).size == builder.all((no, b, c)).size


def test_values_of_one_text_exclude_each_other():
    builder = Builder()
    one, two = (builder.is_in(Input(("a",)), {each}) for each in "12")
    there = builder.atom(Defined(Input(("a",))))
    b, c = _some(builder, "b", "c")
    ways = builder.any((builder.both(two, b), builder.both(builder.negate(there), c)))
    assert builder.both(one, ways) is FALSE


def test_alternatives_none_of_which_goes_with_the_others_are_seen():
    builder = Builder()
    a, b, c, d = _some(builder, "a", "b", "c", "d")
    left = builder.any((builder.both(a, b), builder.both(a, c)))
    right = builder.any((builder.both(builder.negate(a), b), builder.both(builder.negate(a), d)))
    assert builder.both(left, right) is FALSE


def test_what_stands_in_many_places_is_looked_at_once(monkeypatch):
    """Rules build on each other, so parts are shared: each way down to one was gone anew."""
    builder = Builder()
    shared = builder.any(_some(builder, "x", "y"))
    for level in range(2):
        ways = _some(builder, *(f"{level}{at}" for at in range(8)))
        shared = builder.any(builder.all((way, builder.negate(shared))) for way in ways)
    looked: list[Formula] = []
    of_parts = Beside._of_parts

    def counted(self, node, depth):
        looked.append(node)
        return of_parts(self, node, depth)

    monkeypatch.setattr(Beside, "_of_parts", counted)
    assert Beside(True, ()).value(shared) is None
    assert len(looked) == len(set(looked)) > 16


def test_the_same_parts_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that look at one another come to the same parts hundreds of times, which took half a minute."""
    asked: list[tuple[str, ...]] = []

    def counted(kind: str, flat: list[Formula], builder: Builder) -> list[Formula] | None:
        asked.append((kind, *map(repr, flat)))
        return simplified(kind, flat, builder)

    monkeypatch.setattr(making, "simplified", counted)
    builder = Builder()
    one, two, three = (builder.is_in(Input((name,)), VALUES[:1]) for name in NAMES)
    parts = [one, builder.all((two, three)), builder.all((one, two))]
    found = {builder.any(list(parts)) for _ in range(3)}
    assert found == {builder.any((one, builder.all((two, three))))}
    assert len(asked) == len(set(asked))
