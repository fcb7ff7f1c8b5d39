"""Arrays that list a set of which the request brings the members, `[role | some role in roles]`, are that set
sorted."""

from __future__ import annotations

import pytest
from agreement import INPUTS, judged, outcome_of
from effort import some

from palisade.rego.partial.formulas.terms import Apply

SETS = "s contains m if some m in input.x\ns contains m if some m in input.y\n"
LISTS = (
    "[m | some m in s]",
    "[m | s[m]]",
    '[m | some m in s; m != "a"]',
    "[m | some m in s; is_string(m); not m in data.words]",
    "[m | some m in s; input.y]",
    '[m | some _ in ["k", "l"]; some m in s]',
    '[m | some m in s; some _ in ["k", "l"]]',
    "[m | some m in s; some _ in input.y]",
    "[lower(m) | some m in s; is_string(m)]",
    "[m | some m in array.reverse(sort(s))]",
    "array.concat([m | some m in s], [m | some m in s])",
    '[m | some m in s | {"a", "z"}]',
    "[m | some m in {m | some m in input.x}]",
)
ASKED = (
    'r := concat(",", xs)',
    'r := concat(",", sort(xs))',
    'r := json.marshal({"of": xs})',
    "r := sort(xs)",
    "r := count(xs)",
    'r if "a" in xs',
    "r := xs[0]",
    'r if xs == ["a"]',
    "r := {x | some x in xs}",
    "r := [[x, 1] | some x in xs]",
)


@pytest.mark.parametrize("made", LISTS)
def test_what_is_asked_of_a_list_of_a_set(made: str) -> None:
    """What is no array of the set's members alone is none of these: such as has some twice, or the other way
    round."""
    for asked in ASKED:
        policy, outcome = outcome_of(f"{SETS}{asked.replace('xs', made)}\n", {"words": ["b"]})
        for document in some(INPUTS[::15]):
            judged(policy, outcome, document)


@pytest.mark.parametrize(("made", "sets"), [(LISTS[0], 1), (LISTS[1], 1), (LISTS[5], 0), (LISTS[9], 0)])
def test_a_list_of_a_set_is_known_as_such(made: str, sets: int) -> None:
    """Or nobody could join it but the evaluator."""
    outcome = outcome_of(f'{SETS}r := concat(",", {made})\n', {})[1]
    joined = [case.value.args[1] for case in outcome.cases if isinstance(case.value, Apply)]
    assert sum(isinstance(each, Apply) and each.name == "sort" for each in joined) == sets
