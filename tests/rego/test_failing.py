"""Where one member or rule ends the evaluation in an error and another makes it needless, the first decides.

Members come in Rego's order, as in OPA. Rules come as they are written: in OPA, as its index has them.
"""

from __future__ import annotations

import string

import pytest

from palisade import rego

_LETTERS = ", ".join(f'"{letter}"' for letter in string.ascii_lowercase)
_PASSES_FIRST = f"""package p

set := {{{_LETTERS}}}

# Two values of every letter but the first.
f(x) := true if x >= "a"
f(x) := false if x > "a"

# Two values of every letter but the last.
g(x) := true if x <= "z"
g(x) := false if x < "z"

object := {{letter: letter | some letter in set}}
"""
_LOOPS = {
    "a set": "some x in set; F(x)",
    "an object": "some x in object; F(x)",
    "keys": "some x, _ in object; F(x)",
    "a set put together": "some x in {y | some y in input.letters}; F(x)",
    "two loops": "some x in set; some _ in set; F(x)",
    "a block of its own": "some x in set; y := [1 | F(x)]; y != []",
}
_RULES = {
    "true": "r if {{ {0} }}",
    "a number": "r := 7 if {{ {0} }}",
    "null": "r := null if {{ {0} }}",
    "a text": 'r := "x" if {{ {0} }}',
    "a default": "default r := 1\n\nr := 2 if {{ {0} }}",
    "a negation": "r if not s\n\ns if {{ {0} }}\n\nr := false if s",
    "a function": "r := s(1)\n\ns(_) if {{ {0} }}",
}


@pytest.mark.parametrize("rule", _RULES.values(), ids=_RULES)
@pytest.mark.parametrize("loop", _LOOPS.values(), ids=_LOOPS)
def test_members_are_taken_in_order_where_one_may_fail(loop: str, rule: str) -> None:
    """In the order of Python's hashes a loop over a set failed in one process and not in another."""
    asked = {"letters": [*string.ascii_lowercase[::-1]]}
    passing = rego.compile({"p.rego": _PASSES_FIRST + "\n" + rule.format(loop.replace("F", "f"))})
    assert passing.evaluate("data.p.r", asked) is not rego.UNDEFINED
    failing = rego.compile({"p.rego": _PASSES_FIRST + "\n" + rule.format(loop.replace("F", "g"))})
    with pytest.raises(rego.EvalError, match="must not produce multiple outputs"):
        failing.evaluate("data.p.r", asked)


def test_every_ends_at_its_first_member_that_does_not_hold() -> None:
    source = _PASSES_FIRST + "\nr if every x in set { not f(x) }\n\ns if every x in set { not g(x) }\n"
    policy = rego.compile({"p.rego": source})
    assert policy.evaluate("data.p.r") is rego.UNDEFINED
    with pytest.raises(rego.EvalError):
        policy.evaluate("data.p.s")


def test_keys_that_clash_are_met_in_order() -> None:
    source = 'package p\n\nr if { some x in input; o := {"k": v | some v in x}; o != {} }\n'
    policy = rego.compile({"p.rego": source})
    assert policy.evaluate("data.p.r", {"b": [1, 2], "a": [1]}) is True
    with pytest.raises(rego.EvalError, match="keys must be unique"):
        policy.evaluate("data.p.r", {"b": [1], "a": [1, 2]})


def test_rules_that_may_fail_keep_their_turn() -> None:
    """Rules alike stand in a table where the first stood: one failed before the one that holds was asked."""
    source = (
        f"{_PASSES_FIRST}\nr if {{ f(input.u); input.x == 1 }}\n\nr if g(input.y)\n\n"
        "r if { f(input.v); input.x == 2 }\n\nr if { f(input.w); input.x == 3 }\n"
    )
    asked = {"u": "A", "y": "z", "v": "z", "w": "z", "x": 2}
    assert rego.compile({"p.rego": source}).evaluate("data.p.r", asked) is True
