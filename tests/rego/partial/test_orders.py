"""Lists of what is joined, cut, sorted or turned round, and loops in which the first member decides."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import examples
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from palisade import rego

_MEMBERS = ("a", "b", "ok", "boom", 1)
_values = (
    st.lists(st.sampled_from(_MEMBERS), max_size=4)
    | st.sampled_from(("ok", "boom", "abcd", "", 1, None, {}, {"k": "ok", "l": "boom"}))
    | st.dictionaries(st.sampled_from(("k", "l", "ok")), st.sampled_from(_MEMBERS), max_size=2)
)
_documents = st.fixed_dictionaries(
    {}, optional={"x": _values, "y": _values, "k": st.sampled_from(("u", "v", "w"))}
)
DATA = {
    "many": {f"user{number}": ["a"] for number in range(100)}
    | {"u": ["ok", "boom"], "v": ["boom", "ok"], "w": ["a", "ok"]},
    "list": ["ok", "boom", "a"],
}


def _sets() -> st.SearchStrategy[str]:
    return st.sampled_from(
        (
            *("{e | some e in input.x}", "{input.x, input.y}", '{input.x, "ok"}', "{1 | input.x}"),
            *("({e | some e in input.x} | {e | some e in input.y})", "({1 | input.x} | {1 | input.y})"),
            *("({input.x} | {input.y})", "s", "{k | some k, _ in input.x}", '{"ok", "boom"}'),
            "{e | some e in data.list; e != input.x}",
        )
    )


def _lists() -> st.SearchStrategy[str]:
    listed = st.sampled_from(
        ("[e | some e in input.x]", "[1 | some e in input.y]", '["a", input.x]', '["ok"]')
    )
    plain = st.sampled_from(("input.x", "input.y")) | listed | st.builds("sort({})".format, _sets())

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return (
            st.builds("array.concat({}, {})".format, inner, inner)
            | st.builds("{}({})".format, st.sampled_from(("array.reverse", "sort")), inner)
            | st.builds("array.slice({}, {}, 3)".format, inner, st.sampled_from((0, 1)))
            | st.builds("[e | some e in {}]".format, inner | _sets())
        )

    return st.recursive(plain, deeper, max_leaves=3)


_ASKING = (
    "r := count({})",
    "r if count({}) == 2",
    "r := [e | some e in {}]",
    "r := count([e | some e in {}])",
    "r if count([1 | some e in {}]) > 1",
    "r if sum([1 | some e in {}]) == 1",
    "r if sum([e | some e in {}; e == 1]) > 1",
    'r := concat(",", {})',
    'r := concat(",", [e | some e in {}; e != "a"])',
    "r if max({}) == 1",
    "r := {}[0]",
    "t := {}\nr if count({{k | some k, _ in t}}) > 1",
    "t := {}\nr if not count({{k | some k, _ in t}}) > 1",
    "r if {{ some e in {}; f(e) == 3 }}",
    "t if {{ some e in {}; f(e) == 3 }}\nr if not t",
    "r := [3 | some e in {}; f(e) == 3]",
    "r if {{ some k, _ in {}; f(k) == 3 }}",
    "r if {{ every e in {} {{ f(e) == 3 }} }}",
)
_HEAD = """s contains e if some e in input.x
s contains e if some e in input.y
f(v) := 1 if v == "boom"
f(v) := 2 if v == "boom"
f(v) := 3 if v == "ok"
"""


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
@given(_lists() | _sets(), st.sampled_from(_ASKING), st.lists(_documents, min_size=8, max_size=8))
def test_what_is_listed_is_what_the_evaluator_lists(
    made: str, asking: str, documents: list[dict[str, Any]]
) -> None:
    """In its order, and as often. Where one member ends the loop and another the evaluation, the first of the
    two decides."""
    try:
        policy, outcome = outcome_of(f"{_HEAD}{asking.format(made)}", DATA)
    except rego.CompileError:  # no set is turned round, and no number joined
        reject()
    for document in documents:
        judged(policy, outcome, document)


@pytest.mark.parametrize(
    "rules",
    [
        "r if { v := input.x; count({k | some k, _ in v}) > 1 }",
        "r if { v := input.x; count({k | some k, _ in v}) == 0 }",
        "r if { v := input.x; not count({k | some k, _ in v}) == 4 }",
        "n(v) := count({k | some k, _ in v})\nr if n(input.x) > 1",
    ],
)
@pytest.mark.parametrize(
    "document", [{"x": x} for x in ("abcd", "", 1, None, True, [], ["a"], ["a", "b"], {}, {"a": 1, "b": 1})]
)
def test_what_is_no_collection_has_no_keys(rules: str, document: dict[str, Any]) -> None:
    """Though a text has characters, of which there is a count."""
    policy, outcome = outcome_of(rules, {})
    assert judged(policy, outcome, document) != "unsure"


@pytest.mark.parametrize(
    "rules",
    [
        "r if { some e in {input.x, input.y}; f(e) == 3 }",
        "r if { some e in {e | some e in input.x} | {e | some e in input.y}; f(e) == 3 }",
        "r if { some e in s; f(e) == 3 }",
        "r if { some e in data.many[input.k]; f(e) == 3 }",
        "r if { some e in array.concat(array.reverse(input.x), input.y); f(e) == 3 }",
        'r if { some e in {"ok", "boom"}; f(e) == 3 }',
        "r if { some e in {e | some e in data.list; e != input.k}; f(e) == 3 }",
        'r if { some e in {"l": input.x, "k": input.y}; f(e) == 3 }',
        'r if { some e in {"l": input.x, "k": "ok"}; f(e) == 3 }',
        "r if { every e in [input.x, input.y] { f(e) == 3 } }",
    ],
)
def test_the_first_of_two_members_decides(rules: str) -> None:
    """One of them ends the loop, for the other the evaluation ends in an error."""
    policy, outcome = outcome_of(_HEAD + rules, DATA)
    for x, y in (("ok", "boom"), ("boom", "ok"), (["ok"], ["boom"]), (["boom"], ["ok"]), ("a", "boom")):
        for k in ("u", "v", "w"):
            judged(policy, outcome, {"x": x, "y": y, "k": k})


def test_lists_that_are_joined_are_known_where_their_order_is() -> None:
    """As those of arrays in turn are, and not those of what is turned round or sorted."""
    rules = 'r := concat(",", array.concat([e | some e in input.x], {}))'
    document = {"x": ["a"], "y": ["b", "a"]}
    for joined, known in (
        ("input.y", "defined"),
        ("array.reverse(input.y)", "unsure"),
        ("sort(input.y)", "unsure"),
    ):
        assert judged(*outcome_of(rules.format(joined), {}), document) == known
