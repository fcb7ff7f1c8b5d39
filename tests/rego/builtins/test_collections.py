"""Comparison, aggregates, arrays, sets, objects, `walk`."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("equal", (1, True), False),
        ("equal", ([1, {"a": None}], [1, {"a": None}]), True),
        ("neq", ({1, 2}, {2, 1}), False),
        ("lt", (None, False), True),
        ("lt", (2, "1"), True),
        ("gte", ("b", "a"), True),
        ("lte", ([1, 2], [1, 3]), True),
        ("gt", ({1}, {"a": 1}), True),
        ("count", ("åb",), 2),
        ("count", ({"a": 1},), 1),
        ("max", ([1, "a", None],), "a"),
        ("min", ({3, 2},), 2),
        ("max", ([],), "undefined"),
        ("sort", ([3, None, "a", 1, True],), [None, True, 1, 3, "a"]),
        ("sum", ({1, 2.5},), 3.5),
        ("all", ([True, 1],), False),
        ("all", ([],), True),
        ("any", ([False, True],), True),
        ("any", ([1],), False),
        ("internal.member_2", (1, [True, 2]), False),
        ("internal.member_2", (True, [1, True]), True),
        ("internal.member_2", ("v", {"k": "v"}), True),
        ("internal.member_2", (1, "a"), False),
        ("internal.member_3", ("k", "v", {"k": "v"}), True),
        ("internal.member_3", (0, "a", ["a"]), True),
        ("internal.member_3", (True, "a", ["b", "a"]), False),
        ("internal.member_3", (1, 1, {1}), True),
        ("array.concat", ([1], [2]), [1, 2]),
        ("array.slice", ([1, 2, 3], -1, 2), [1, 2]),
        ("array.slice", ([1, 2, 3], 2, 1), []),
        ("array.reverse", ([1, 2],), [2, 1]),
        ("array.flatten", ([1, [2, [3]], {4}],), [1, 2, [3], [4]]),
        ("and", ({1, 2}, {2, 3}), [2]),
        ("or", ({1}, {2}), [1, 2]),
        ("minus", ({1, 2}, {2}), [1]),
        ("set_diff", ({1, 2}, {2}), [1]),
        ("object.get", ({"a": 1}, "a", 0), 1),
        ("object.get", ({"a": {"b": [5]}}, ["a", "b", 0], 0), 5),
        ("object.get", ({"a": {"b": [5]}}, ["a", "b", True], 0), 0),
        ("object.get", ({"a": 1}, [], 0), {"a": 1}),
        ("object.get", ({True: 1}, True, 0), 1),
        ("object.keys", ({"a": 1, "b": 2},), ["a", "b"]),
        ("object.remove", ({"a": 1, "b": 2}, {"a"}), {"b": 2}),
        ("object.filter", ({"a": 1, "b": 2}, {"a": 0}), {"a": 1}),
        ("object.union", ({"a": {"x": 1}}, {"a": {"y": 2}}), {"a": {"x": 1, "y": 2}}),
        ("object.union", ({"a": {"x": 1}}, {"a": 3}), {"a": 3}),
        ("object.union_n", ([{"a": {"b": 2}}, {"a": 4}, {"a": {"c": 3}}],), {"a": {"c": 3}}),
        ("object.subset", ({"a": {"b": [1, 2, 3]}}, {"a": {"b": [2, 3]}}), True),
        ("object.subset", ([1, 2, 3], [1, 3]), False),
        ("object.subset", ({1, 2}, {2}), True),
        ("object.subset", ([1, 2], {2, 1}), True),
        ("object.subset", ([], set()), False),  # as OPA
        ("type_name", (set(),), "set"),
        ("is_number", (True,), False),
        ("is_boolean", (True,), True),
        ("cast_array", ({2, 1},), [1, 2]),
        ("cast_set", ([1, 1],), [1]),
        ("cast_null", (None,), None),
    ],
)
def test_results(call: Any, name: str, operands: tuple[Any, ...], result: Any) -> None:
    found = call(name, *operands)
    assert found == result
    assert type(found) is type(result)


def test_sets_of_sets(call: Any) -> None:
    assert call("union", {frozenset({1, 2}), frozenset({3})}) == [1, 2, 3]
    assert call("intersection", {frozenset({1, 2}), frozenset({2, 3})}) == [2]
    assert call("intersection", set()) == []


def test_walk_goes_through_objects_arrays_and_sets(call: Any) -> None:
    pairs = call("walk", {"b": [True], "a": {7}})
    assert pairs == [
        [[], {"a": [7], "b": [True]}],
        [["a"], [7]],
        [["a", 7], 7],
        [["b"], [True]],
        [["b", 0], True],
    ]


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("count", (None,), "operand 1 must be one of {array, object, set, string} but got null"),
        ("max", ("a",), "operand 1 must be one of {set, array} but got string"),
        ("union", ({1},), "operand 1 must be set of sets but got set containing number"),
        ("object.get", ([], 0, 0), "operand 1 must be object but got array"),
        ("object.remove", ({}, "a"), "operand 2 must be one of {object, set, array} but got string"),
        ("object.union_n", ([1],), "operand 1 must be array of objects but got array containing number"),
        ("object.subset", ({}, []), "both arguments object.subset must be of the same type or array and set"),
        ("cast_boolean", (1,), "operand 1 must be boolean but got number"),
    ],
)
def test_refuses(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert fails(name, *operands) == f"eval_type_error: {message}"


GRAPH = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": [], "e": ["e"], "f": ["missing"]}


@pytest.mark.parametrize(
    ("initial", "nodes"), [(["a"], ["a", "b", "c", "d"]), ({"e"}, ["e"]), (["x"], []), (["f"], ["f"])]
)
def test_reachable_nodes(call: Any, initial: Any, nodes: list[str]) -> None:
    assert call("graph.reachable", GRAPH, initial) == nodes


@pytest.mark.parametrize(
    ("initial", "paths"),
    [
        (["a"], [["a", "b", "d"], ["a", "c", "d"]]),
        (["d"], [["d"]]),
        (["e"], [["e", "e"]]),  # its only neighbour is itself, which OPA enters once
        (["f"], [["f"]]),
        (["x"], []),
    ],
)
def test_reachable_paths(call: Any, initial: Any, paths: list[list[str]]) -> None:
    assert call("graph.reachable_paths", GRAPH, initial) == paths


def test_a_long_path_is_no_recursion(call: Any) -> None:
    graph = {str(at): [str(at + 1)] for at in range(5000)}
    (path,) = call("graph.reachable_paths", graph, ["0"])
    assert len(path) == 5000
