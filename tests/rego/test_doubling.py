"""Values that double from rule to rule end an evaluation in an error, a denial, where it would never end."""

from __future__ import annotations

import pytest

from palisade import rego
from palisade.rego.errors import EVAL_CANCEL_ERROR, EvalError
from palisade.rego.extents import MOST, check_hashed
from palisade.rego.values import Key, Set, key

ENDLESS = (
    ('["a"]', "[{0}, {0}]", 'y40 in {1, "a"}'),
    ('["a"]', '{{"a": {0}, "b": {0}}}', "{y40, 1} == input.x"),
    ("[1]", "{{[{0}, 1], [{0}, 2]}}", "y40 == input.x"),
    ('"aaaa"', 'sprintf("%s%s", [{0}, {0}])', "y40 == input.x"),
    ('"aaaa"', 'sprintf("%[1]s%[1]s", [{0}])', "y40 == input.x"),
    ('"aaaa"', '$"{{{0}}}{{{0}}}"', "y40 == input.x"),
    ('["a"]', "array.concat({0}, {0})", "y40 == input.x"),
    ('["a"]', "[{0}, {0}]", "json.marshal(y40) == input.x"),
    ('["a"]', "[{0}, {0}]", "yaml.marshal(y40) == input.x"),
    ('["a"]', "[{0}, {0}]", 'sprintf("%v", [y40]) == input.x'),
    ('["a"]', "[{0}, {0}]", '$"{y40}" == input.x'),
)


@pytest.mark.long
@pytest.mark.parametrize(("first", "step", "asked"), ENDLESS)
def test_what_looks_at_each_part_of_it_is_an_error(first: str, step: str, asked: str) -> None:
    """No clock is looked at in the middle of a hash or a text: the process stood still for all it serves."""
    rules = "\n".join(f"y{at + 1} := {step.format(f'y{at}')}" for at in range(40))
    policy = rego.compile({"p.rego": f"package p\n\ny0 := {first}\n{rules}\np if {asked}\n"})
    with pytest.raises(EvalError) as told:
        policy.evaluate("data.p.p", {"x": 1})
    assert told.value.code == EVAL_CANCEL_ERROR


def test_large_values_that_do_not_share_are_keys_all_the_same() -> None:
    rows = [[at, {"a": at}] for at in range(20_000)]
    assert key(rows) in {Key([[at, {"a": at}] for at in range(20_000)])}
    check_hashed(Set.of(map(str, range(MOST // 2))))
