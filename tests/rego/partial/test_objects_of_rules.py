"""Objects of many rules, each entry there under a condition, hold what the evaluator says, in few states.

With and without each of fourteen there were 16,384 states: `count(errors) == 0` over so many rules took
nine seconds of a processor, a loop over them twenty, and all of the decision was the engine's then.
"""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import some

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.execution import gathering

MANY = 14
DOCUMENTS: list[dict[str, Any]] = [
    {**{f"h{at}": True for at in range(MANY) if number >> (at % 5) & 1}, "y": y}
    for number in (0, 1, 3, 6, 17, 31)
    for y in ("m1", "v2", "", ["m1"])
]

NAMED = "".join(f'o.m{at} := "v{at % 3}" if input.h{at}\n' for at in range(MANY))
COMPUTED = "".join(
    f'o[k] := "v{at % 3}" if {{ k := concat("", ["m", "{at}"]); input.h{at} }}\n' for at in range(MANY)
)
MEMBERS = "".join(f'e contains {{"k": "m{at}", "v": "v{at % 3}"}} if input.h{at}\n' for at in range(MANY))
GATHERED = MEMBERS + "o := {each.k: each.v | some each in e}\n"
MADE = {
    "names": NAMED,
    "keys": COMPUTED,
    "documents": NAMED.replace("o.m", "o.x.m") + "o.y.m1 := 1 if input.h1\n",
    "a rule that always holds": f'{NAMED}o.z := "v1"\n',
    "values of the request": NAMED.replace('"v1"', "input.y"),
    "several rules for a name": f'{NAMED}o.m1 := "v1" if input.y\n',
    "two values for a key": f"{COMPUTED}o[k] := input.y if {{ k := input.k; input.h2 }}\n"
    + 'o[k] := "v2" if { k := "m1"; input.h3 }\n',
    "members": GATHERED,
    "members for one key": GATHERED + 'e contains {"k": "m1", "v": input.y} if input.h2\n',
    "members that are members": MEMBERS + "o := {each.k: each | some each in e}\n",
    "members and rows": MEMBERS + 'o := {k: v | some each in e; some k, v in {each.k: each.v, "z": "v1"}}\n',
}
ASKED = (
    "r if count(o) == 0",
    "r if { some k, v in o; k == input.y }",
    "r if { some v in o; v == input.y }",
    'r if every v in o { v != "v2" }',
    "r := o.m1",
    "r := o[input.y]",
    "r if not o.m1",
    'r := object.get(o, "m1", 7)',
    "r := count(o)",
    "r := {k | some k, _ in o}",
    "r := [v | some v in o]",
    "r if o == {}",
    'r contains sprintf("%s: %v", [k, v]) if some k, v in o',
    "r := o",
    "r := json.marshal(o)",
    "r if o.x.m1",
    "r if count(o.x) == 0",
    "r := count(data.p.o)",
)


@pytest.mark.parametrize(
    "asked", ["r if count(o) == 0", "r if { some v in o; v == input.y }", "r if o[input.y]"]
)
@pytest.mark.parametrize("made", ["names", "keys", "members"])
def test_many_rules_are_as_many_entries_of_one_object(made: str, asked: str) -> None:
    policy, outcome = outcome_of(f"{MADE[made]}{asked}", {})
    assert outcome.builder.size < 10_000
    assert all(judged(policy, outcome, document) != "unsure" for document in DOCUMENTS)


@pytest.mark.parametrize("made", MADE)
def test_objects_of_rules_are_what_the_evaluator_makes(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where two rules give a key other values, which ends in an error."""
    monkeypatch.setattr(gathering, "FEWEST_RULES", 1)
    monkeypatch.setattr(gathering, "MOST_STATES_OF_RULES", 4)
    monkeypatch.setattr(gathering, "MOST_STATES_OF_MEMBERS", 4)
    for asked in some(ASKED, 5, beside=made):
        if "o.x" in asked and (made in ("keys", "two values for a key") or "members" in made):
            continue  # nothing is below `o.x`, which the compiler knows
        policy, outcome = outcome_of(f"{MADE[made]}{asked}", {})
        for document in DOCUMENTS:
            judged(policy, outcome, document)
            judged(policy, outcome, {**document, "k": "m2"})


def test_data_stand_below_what_rules_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "FEWEST_RULES", 1)
    monkeypatch.setattr(gathering, "MOST_STATES_OF_RULES", 4)
    rules = "".join(NAMED.splitlines(keepends=True)[:4])
    for asked in ("r := count(o)", "r := o", "r if { some k, v in o; v == input.y }"):
        policy, outcome = outcome_of(f"{rules}{asked}", {"p": {"o": {"m7": "v2", "q": 1}}})
        assert all(judged(policy, outcome, document) != "unsure" for document in DOCUMENTS)


@pytest.mark.parametrize("made", ["names", "keys"])
def test_an_edit_of_one_rule_comes_to_what_it_does_by_itself(made: str) -> None:
    """Rules that were followed before, in states or not, are taken over as what they are now."""
    before = None
    texts = MADE[made], MADE[made].replace("input.h2", "input.y")
    few = "".join(MADE[made].splitlines(keepends=True)[:3])
    for rules in (*texts, few, *texts):
        policy = rego.compile({"p.rego": f"package p\n{rules}r if {{ some v in o; v == input.y }}\n"})
        outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data, None, before)
        for document in DOCUMENTS:
            assert judged(policy, outcome, document) != "unsure"
        before = outcome
