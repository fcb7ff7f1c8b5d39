"""`graph.reachable` from nodes of the request: a node is there where the evaluator reaches it."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

DATA: dict[str, Any] = {
    "graph": {
        "boss": ["lead", "clerk"],
        "lead": ["dev", "outside"],
        "dev": [],
        "clerk": ["boss", "clerk"],
        "odd": "dev",
        "none": None,
        "alone": {"dev": 1},
    },
    "grants": {"dev": ["GET"], "lead": ["POST"], "outside": ["DELETE"]},
    "text": "graph",
}
RULES = (
    'r if "dev" in graph.reachable(data.graph, input.xs)',
    'r if not "dev" in graph.reachable(data.graph, input.xs)',
    'r if "dev" in graph.reachable(data.graph, {input.x})',
    'r if "outside" in graph.reachable(data.graph, {input.x})',
    "r if input.y in graph.reachable(data.graph, {input.x, input.y})",
    "r if graph.reachable(data.graph, {input.x})[input.y]",
    "r if { some x in graph.reachable(data.graph, input.xs); input.y in data.grants[x] }",
    "f if { some x in graph.reachable(data.graph, input.xs); input.y in data.grants[x] }\nr if not f",
    "r if { some one in graph.reachable(data.graph, input.xs); one == input.y }",
    "r if every x in graph.reachable(data.graph, input.xs) { x != input.y }",
    "r if count(graph.reachable(data.graph, input.xs)) == 0",
    "r if graph.reachable(data.graph, [input.x])",
    "r if not graph.reachable(data.graph, input.xs)",
    "r if graph.reachable(data.graph, {x | some x in input.xs; x != input.y}) == {input.y}",
    'r if graph.reachable(data.graph, {input.x}) == {"dev", "lead"}',
    'r if "dev" in graph.reachable(data.graph, {x | some x in input.xs; x != input.y})',
    'r if "dev" in graph.reachable(data.graph, [[input.x, 1], input.y])',
    'r if "dev" in graph.reachable({n: es | some n, es in data.graph; is_array(es)}, {input.x})',
    "r if { some x in input.xs; some y in graph.reachable(data.graph, {x}); y == input.y }",
    'r if "dev" in graph.reachable(data.text, {input.x})',
    "r := count(graph.reachable(data.graph, {input.x}) & {input.y}) > 0",
)
NODES = ("boss", "lead", "dev", "clerk", "odd", "none", "alone", "outside", "GET", 1, None, ["dev"], {})

members = st.lists(st.sampled_from(NODES), max_size=3)
documents = st.fixed_dictionaries(
    {},
    optional={
        "x": st.sampled_from(NODES),
        "y": st.sampled_from(NODES),
        "xs": st.one_of(
            members,
            st.sampled_from(("dev", 1, None, {"dev": "lead"}, {"lead": "dev"})),
        ),
    },
)


@pytest.mark.parametrize("rule", RULES)
def test_what_is_reached_is_what_the_evaluator_reaches(rule: str) -> None:
    """From members of arrays, of objects (which are refused), of sets, and from single values."""
    policy, outcome = outcome_of(rule, DATA)
    told: list[str] = []

    @given(documents)
    @settings(max_examples=examples(60), deadline=None)
    def compared(document: dict[str, Any]) -> None:
        told.append(judged(policy, outcome, document))

    compared()
    assert told.count("unsure") == 0 or "== {input.y}" in rule


def test_a_graph_of_too_many_ways_stays_one_call() -> None:
    """Of a chain all pairs would have to be told apart: no table of that size is made."""
    asked = 'r if "n3" in graph.reachable(data.graph, {input.x})'
    assert {length: _is_called(asked, length) for length in (200, 400)} == {200: False, 400: True}


def _is_called(rule: str, length: int) -> bool:
    """Whether the conditions of a rule on a chain call `graph.reachable`."""
    chain = {f"n{at}": [f"n{at + 1}"] for at in range(length)}
    policy, outcome = outcome_of(rule, {"graph": chain})
    for start, wanted in (("n1", "defined"), ("n4", "undefined")):
        assert judged(policy, outcome, {"x": start}) == wanted
    return "graph.reachable" in str([case.condition for case in outcome.cases])
