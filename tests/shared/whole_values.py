"""Constants that are objects and arrays, what policies ask of documents by them, and what nearly is one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from palisade.rego.text import dumps

CONSTANTS: tuple[Any, ...] = (
    {"a": 1},
    {"a": 1, "b": "x"},
    {"a": {"b": 1, "c": ["x", None]}, "n": False},
    {"": ""},
    [1],
    ["a", "b"],
    [{"a": 1}, []],
    [[1], {"a": {}}],
)
ASKED = (
    "allow if {body} == {one}",
    "allow if {body} != {one}",
    "allow if not {body} == {one}",
    "allow if {body} in [{one}, {other}, 1, true]",
    "allow if {one} in {body}",
    "allow if {body}.a == {one}",
    "allow if {{ some each in {body}.a; each == {one} }}",
    "allow if {one} == json.unmarshal(input.attributes.request.http.body)",
)


def near(value: Any) -> list[Any]:
    """The value, and what differs from it in one place."""
    found = [value, [value], {"a": value}, {"a": [value, 7]}]
    if isinstance(value, dict):
        found += [{**value, "more": None}, {**value, "a": None}, {}]
        found += [{name: each for name, each in value.items() if name != left} for left in value]
        for name, each in value.items():
            found += [{**value, name: other} for other in near(each)[1:3]]
    elif isinstance(value, list):
        found += [[*value, None], value[:-1], value[::-1], {str(at): each for at, each in enumerate(value)}]
        for at, each in enumerate(value):
            for other in near(each)[1:3]:
                changed = deepcopy(value)
                changed[at] = other
                found.append(changed)
    elif value == 1:
        found += [True, "1", 1.0, 1.5]
    return found


def rule_of(asked: str, one: Any, other: Any) -> str:
    return asked.format(body="input.parsed_body", one=dumps(one), other=dumps(other))
