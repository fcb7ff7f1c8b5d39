"""Globs from requests: what they may cost, and that what was not followed is no answer."""

from __future__ import annotations

import time

import pytest

from palisade.rego.builtins.globs import expression_of, matcher
from palisade.rego.errors import EVAL_CANCEL_ERROR, BuiltinError


@pytest.mark.parametrize(
    "glob",
    ["{" * 100_000, "{a," * 40_000, "?" * 60_000, "[ab]" * 15_000, "a*" * 30_000, "{a,b}" * 12_000],
    ids=lambda glob: glob[:5],
)
def test_globs_with_too_many_parts_end_the_evaluation(glob: str) -> None:
    """As undefined, `not glob.match(...)` would allow."""
    start = time.process_time()
    with pytest.raises(BuiltinError) as raised:
        matcher(glob, "/")
    assert raised.value.fatal
    assert raised.value.code == EVAL_CANCEL_ERROR
    assert time.process_time() - start < 5


@pytest.mark.parametrize("times", [20, 300])
def test_what_takes_too_long_ends_the_evaluation(times: int) -> None:
    """The library looks for each of what is next to each other in all that is left of the text."""
    glob, delimiters = "*{a,bc}" * 8 + "*{x,yz}", "./"
    assert expression_of(glob, list(delimiters)) is None
    start = time.process_time()
    with pytest.raises(BuiltinError) as raised:
        matcher(glob, delimiters)("abcde" * times)
    assert raised.value.fatal
    assert time.process_time() - start < 10


def test_what_opa_crashes_at_ends_the_evaluation() -> None:
    with pytest.raises(BuiltinError) as raised:
        matcher("a{b}{", "/")("ab")
    assert raised.value.fatal


def test_many_alternatives_are_one_expression() -> None:
    """Of one length, as roles and codes are, and of several."""
    for names in ([f"p{number:04}" for number in range(5000)], [f"p{number}*" for number in range(5000)]):
        found = expression_of(f"/a/{{{','.join(names)}}}/x", ["/"])
        assert found is not None
        assert matcher(f"/a/{{{','.join(names)}}}/x", "/")(f"/a/{names[4321].strip('*')}/x")
