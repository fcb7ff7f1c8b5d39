"""Comprehensions within loops over the request: what they gather depends on where the loop is at."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of

_SETS = (
    "s contains x.a if { some x in input.xs; count({y | some y in x.ys; y > 1}) > 1 }\n",
    "s contains x.a if { some x in input.xs; count([1 | some y in x.ys]) > 1 }\n",
    "s contains x.a if { some x in input.xs; sum([y | some y in x.ys]) > 4 }\n",
    "s contains x.a if { some x in input.xs; 2 in {y | some y in x.ys} }\n",
    "s contains x.a if { some x in input.xs; not 2 in [y | some y in x.ys] }\n",
    "s contains x.a if { some x in input.xs; {y | some y in x.ys} == {2, 3} }\n",
    "s contains x.a if { some x in input.xs; every y in x.ys { y in {z | some z in input.zs} } }\n",
    "s contains x.a if { some x in input.xs; count([y | some y in x.ys; y in [z | z := x.ys[_]]]) > 1 }\n",
    "s contains x.a if { some x in input.xs; count([1 | some k; x.ys[k] == input.zs[k]]) == 2 }\n",
    "f(x) if count({y | some y in x.ys; y > 1}) > 1\ns contains x.a if { some x in input.xs; f(x) }\n",
    "f(x) := count([1 | some y in x.ys])\ns contains x.a if { some x in input.xs; f(x) == 2 }\n",
    "s := {x.a | some x in input.xs; max([y | some y in x.ys]) == 3}\n",
)
_ASKING = (
    'r if "q" in s',
    'r if not "q" in s',
    'r if { "q" in s; not "r" in s }',
    't if { "q" in s; not "r" in s }\nr if not t',
    'r if s == {"q"}',
    "r if count(s) == 1",
    'r := "q" if "q" in s else := "r" if "r" in s',
    'r if { some a in s; not a == "q" }',
)
_VALUES = (
    "r := count([1 | some y in x.ys]) if some x in input.xs",
    "r := {1 | some y in x.ys} if some x in input.xs",
    "r := [x.a | some x in input.xs; count([1 | some y in x.ys]) == 2]",
    "r := {x.a: count([1 | some y in x.ys]) | some x in input.xs}",
    "n := count([1 | some y in x.ys]) if some x in input.xs\nr if is_number(n)",
    "n := [1 | some y in x.ys] if some x in input.xs\nr if n",
    "s contains {1 | some y in x.ys} if some x in input.xs\nr if not set() in s",
    "r := {k: x | some k, x in input.xs; count([1 | some y in x.ys]) == 2}.k",
    "o[k] := x if { some k, x in input.xs; count({y | some y in x.ys}) == 2 }\nr if not o.k",
    "r if { some x in input.xs; x.a == input.a; count({1 | some y in x.ys}) == 0 }",
    "r if { some x in input.xs; {x.a, count([1 | some y in x.ys])} == {input.a, 2} }",
)
_MEMBERS = (
    {"a": "q", "ys": [2, 3]},
    {"a": "r", "ys": []},
    {"a": "q", "ys": [1]},
    {"a": "r", "ys": [2, 3]},
    {"ys": [3]},
)
_LISTS: tuple[Any, ...] = (
    *([one, other] for one in _MEMBERS for other in _MEMBERS),
    *([one] for one in _MEMBERS),
    *(
        [],
        None,
        "q",
        {"k": _MEMBERS[0], "l": _MEMBERS[1]},
        [{"a": "q", "ys": "no"}, {"a": "q", "ys": {"m": 2, "n": 3}}],
    ),
)
_DOCUMENTS = [{"xs": xs, "zs": zs, "a": "q"} for xs in _LISTS for zs in ([2, 3], [], {"m": 2})]


@pytest.mark.parametrize("rules", [*(f"{made}{asked}" for made in _SETS for asked in _ASKING), *_VALUES])
def test_what_is_gathered_within_a_loop_is_of_its_member(rules: str) -> None:
    """Each use of a set has a loop of its own. What was gathered within kept the loop that the set was made
    in: of two uses, both were about one member, so that `"q" in s; not "r" in s` contradicted itself."""
    policy, outcome = outcome_of(rules, {})
    for document in [*_DOCUMENTS, {}]:
        judged(policy, outcome, document)
