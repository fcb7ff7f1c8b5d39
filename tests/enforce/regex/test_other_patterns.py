"""Patterns that RE2 takes for another than OPA does, or does not take: none is given to Envoy as it is."""

from __future__ import annotations

import pytest

from palisade.enforce.envoy.conditions.patterned import _room
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.strings import is_for_ascii, text_matcher
from palisade.rego.partial.formulas.terms import Apply, Input, Known

TEXT = Input(("x",))


def _test(pattern: str) -> Apply:
    return Apply("regex.match", (Known(pattern), TEXT))


@pytest.mark.parametrize("pattern", [r"^\p{Letter}+$", r"^\p{greek}", r"\pL{1000}", r"\p{ASCII}"])
def test_what_envoy_would_refuse_is_for_the_engine(pattern: str) -> None:
    assert text_matcher(_test(pattern)) is None
    assert patterns.groups(pattern) == -1


@pytest.mark.parametrize("pattern", [r"a\C", "(?P<é>a)", "("])
def test_what_opa_refuses_is_undefined(pattern: str) -> None:
    """Envoy would take some of them."""
    assert text_matcher(_test(pattern)) == (TEXT, None)
    assert patterns.groups(pattern) == -1


def test_a_boundary_within_a_character_is_none() -> None:
    assert is_for_ascii(_test(r"a\B"))
    assert not is_for_ascii(_test(r"a\b"))


@pytest.mark.parametrize("part", [r"\C", r"\p{Letter}", r"\B"])
def test_no_such_pattern_is_put_together_in_the_sidecar(part: str) -> None:
    assert _room(["^/a", TEXT, f"{part}$"], 0) is None
    assert _room(["^/a", TEXT, "$"], 0) is not None
