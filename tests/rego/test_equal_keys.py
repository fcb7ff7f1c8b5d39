"""Objects with keys that turn out to be equal hold what OPA's own engine has there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego import plan
from palisade.rego.errors import EvalError

INPUT = {"c": "a", "d": "a", "n": {"c": "a"}, "list": ["a"], "x": 1}


@pytest.mark.parametrize(
    "literal",
    [
        '{"a": 1, input.c: 2}',
        '{input.c: 1, "a": 2}',
        "{input.d: 1, input.c: 2}",
        "{input.c: 1, input.d: 2}",
        '{input.c: 1, input.d: 2, "a": 3}',
        "{input.n.c: 1, input.d: 2}",
        "{input.list[0]: 1, input.d: 2}",
        "{lower(input.d): 1, input.d: 2}",
        "{input.d: 1, lower(input.d): 2}",
        "{lower(input.d): 1, concat(``, [`a`]): 2}",
        "{input.x: 1, 1: 2}",
        '{[input.d]: 1, ["a"]: 2}',
        '{"a": {"z": 1}, input.c: {"y": 2}}',
    ],
)
def test_the_key_that_counts_is_the_one_of_opa(opa: OpaAnswers, literal: str) -> None:
    """`{claims.role: false, "admin": true}` is false for an admin, wherever the two stand."""
    source = f"package p\n\nr := {literal}\n\nf(x) := {literal}\n\nl := f(1)\n"
    theirs = opa.ask(source, INPUT, ["r", "l"], {})
    policy = rego.compile({"p.rego": source})
    found = [policy.query(f"x = data.p.{name}", json.loads(json.dumps(INPUT))) for name in ("r", "l")]
    assert [json.loads(rego.text.dumps([each["x"] for each in rows])) for rows in found] == theirs


OBJECT = '{input.c: 1, "a": 2, input.d: 3}'


@pytest.mark.parametrize(
    "rules",
    [
        f"r := {OBJECT}.a",
        f"r := {OBJECT}[input.d]",
        f"r := x if {{ o := {OBJECT}; x := o.a }}",
        f"r := x if {{ o := {OBJECT}; q := o; x := q.a }}",
        f"r := x if {{ o := [{OBJECT}]; x := o[0].a }}",
        f'r := x if {{ o := {{"x": {OBJECT}}}; x := o.x.a }}',
        f"r := [o.a | some o in [{OBJECT}]]",
        f"r := [o.a, o.a] if o := {OBJECT}",
        f"r if {{ not {OBJECT}.a == 3 }}",
        f"o := {OBJECT}\nr := o.a",
        f"o := {OBJECT}\nr := x if {{ q := o; x := q[input.c] }}",
        f"o := {OBJECT}\nr := data.p.o.a",
        f"o.x := {OBJECT}\nr := o.x[input.c]",
        f'o := {{"below": n}}\nn := {OBJECT}\nr := o.below.a',
        f"o := {OBJECT} if input.never\nelse := {OBJECT}\nr := o.a",
        f"f(x) := {OBJECT}\nr := f(1).a",
        f"f(x) := {OBJECT}\nr := x if {{ y := f(1); x := y.a }}",
        f"f(x) := x.a\nr := f({OBJECT})",
        f"f(x) := [x.a, x.a]\nr := f(o) if o := {OBJECT}",
        f"r if {{ {OBJECT}[_] == 3 }}",
        f"r if {{ some k; {OBJECT}[k] == 2 }}",
    ],
)
def test_where_it_is_looked_up_the_first_one_counts(
    opa: OpaAnswers, rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`{claims.role: true, "admin": false}.admin` is false for an admin: OPA goes through the entries."""
    assert _found(rules) == _theirs(opa, rules)
    monkeypatch.setattr(plan, "taken_whole", lambda *_: _All())
    assert _found(rules) != _theirs(opa, rules)


@pytest.mark.parametrize(
    "rules",
    [
        f"r := {OBJECT}",
        f"o := {OBJECT}\nr := o",
        f'o := {OBJECT}\nr := {{"allowed": true, "headers": o}}',
        f"o := {OBJECT}\nr := object.get(o, `a`, 0)",
        f"r := x if {{ o := {OBJECT}; x := object.get(o, `a`, 0) }}",
        f"r := json.marshal({OBJECT})",
        f"r := [v | v := {OBJECT}][0].a",
        f"o contains {OBJECT}\nr := [x.a | some x in o]",
        f"r if 3 in {OBJECT}",
        f"r := x if {{ o := object.union({OBJECT}, {{}}); x := o.a }}",
        f"f(x) := {OBJECT}\nr := json.filter(f(1), [`a`])",
        f"r := [{OBJECT}, 1][0]",
        f"r := x if {{ o := [{OBJECT}]; x := o[0] }}",
        f'r := x if {{ o := {{"x": {OBJECT}}}; x := json.marshal(o.x) }}',
        f"f(x) := x\nr := object.get(f({OBJECT}), `a`, 0)",
        f"f(x) := y if {{ y := x[0] }}\nr := f([{OBJECT}])",
        f"f(x) := [x]\nr := x if {{ o := f({OBJECT}); x := o[0] }}",
        f"r := x if {{ some o in [{OBJECT}]; x := object.get(o, `a`, 0) }}",
        f"r := x if {{ [x, 1] = [{OBJECT}, 1] }}",
        f"o := {OBJECT}\nr := x if {{ q := [o]; x := q[0] }}",
        f"o[k] := {OBJECT} if k := input.c\nr := o.a.a",
        f"o.x := {OBJECT} if input.x\no.y := 1\nr := x if {{ q := o; x := q.x.a }}",
        f"q := input.o.a\nr := x if {{ x := q with input.o as {OBJECT} }}",
        f"q := data.o.a\nr := x if {{ x := q with data.o as {OBJECT} }}",
    ],
)
def test_where_it_is_taken_whole_the_last_one_counts(
    opa: OpaAnswers, rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPA puts the object together then, entry by entry."""
    assert _found(rules) == _theirs(opa, rules)
    monkeypatch.setattr(plan, "taken_whole", lambda *_: ())
    assert _found(rules) != _theirs(opa, rules)


@pytest.mark.parametrize("keys", ["{input.c: 1, `a`: 2}", "{`a`: 2, input.c: 2}", "{input.c: 1, input.d: 1}"])
@pytest.mark.parametrize("other", ["{`a`: 1}", "{`a`: 2}", "input.one", "input.two"])
@pytest.mark.parametrize(
    "rules",
    [
        "r if L == R",
        "r if L = R",
        "r if R == L",
        "r if L != R",
        "r if not L == R",
        "r if not L != R",
        "r if L == input.more",
        "r if input.more == L",
        "r if L != input.more",
        "r if not L == input.more",
        "r if [1, L] == [1, R]",
        "r if [1, L] != [1, R]",
        "r if {`k`: L} == {`k`: R}",
        "r if [[L], 1] == input.nested",
        "r := [x | x := L == R]",
        "r := [x | x := L != R]",
        "f(x) if x != R\nr if f(L)",
        "o := L\nr if o != R",
        "r if { x := L; x != R }",
        "r if { some x in [L]; x != R }",
        "r := [k | some k in [`a`, `b`]; {k: 2, `a`: 2} == R]",
        "r := [k | some k in [`a`, `b`]; {`a`: 1, k: 2} == input.more]",
        "r := [x, y] if {input.d: x, input.c: y} = input.more",
    ],
)
def test_what_has_equal_keys_is_compared_as_by_opa(
    opa: OpaAnswers, rules: str, other: str, keys: str
) -> None:
    """`{claims.role: 1, "admin": 2} == {"admin": 2}` holds for no admin: two entries are never one."""
    given = INPUT | {"one": {"a": 1}, "two": {"a": 2}, "more": {"a": 2, "b": 2}, "nested": [[{"a": 2}], 1]}
    rules = rules.replace("L", keys).replace("R", other)
    (theirs,) = opa.ask(f"package p\n\n{rules}\n", given, ["r"], {})
    assert _found(rules, given) == theirs


@pytest.mark.parametrize(
    "literal", ["{input.c: 1, input.c: 2}", "{`a`: input.x, `a`: 2}", "{`a`: input.no, `a`: 2}"]
)
@pytest.mark.parametrize(
    "rules", ["r := L", "r := L.a", "r if L == input.two", "r if input.two == L", "r if not L == input.two"]
)
def test_a_key_that_is_written_twice_has_the_last_value(opa: OpaAnswers, rules: str, literal: str) -> None:
    """`not {claims.role: 1, claims.role: 2} == input.limits` let pass what OPA stops."""
    given = INPUT | {"two": {"a": 2}}
    rules = rules.replace("L", literal)
    (theirs,) = opa.ask(f"package p\n\n{rules}\n", given, ["r"], {})
    assert _found(rules, given) == theirs


def test_an_edit_elsewhere_decides_which_one_counts() -> None:
    """What one rule says of its value depends on what others do with it."""
    rule, asked = f"package p\n\no := {OBJECT}\n", "package p\n\nr := o.a\n"
    whole = rego.compile({"a.rego": rule, "b.rego": "package p\n"})
    looked_up = rego.compile({"a.rego": rule, "b.rego": asked}, previous=whole)
    again = rego.compile({"a.rego": rule, "b.rego": "package p\n"}, previous=looked_up)
    found = []
    for policy in (whole, looked_up, again):
        policy.plan(["data.p.o"])  # which the next one starts from
        found.append(policy.evaluate("data.p.o", INPUT))
    assert found == [{"a": 3}, {"a": 2}, {"a": 3}]


class _All:
    def __contains__(self, place: object) -> bool:
        return True


def _theirs(opa: OpaAnswers, rules: str) -> list[Any]:
    (found,) = opa.ask(f"package p\n\n{rules}\n", INPUT, ["r"], {})
    return found


def _found(rules: str, given: dict[str, Any] = INPUT) -> list[Any]:
    policy = rego.compile({"p.rego": f"package p\n\n{rules}\n"})
    return [json.loads(rego.text.dumps(each["x"])) for each in policy.query("x = data.p.r", given)]


COMPARED = "{input.c: 1, `a`: 2}"


@pytest.mark.parametrize(
    "rules",
    [
        "r if { x := L; x == R }",
        "r if { x := L; not x == R }",
        "r if { x := L; q := x; q = R }",
        "r if { x := [L]; x == [R] }",
        "r if { x := [L]; x[_] == R }",
        "r if { x := {`k`: L}; x.k == R }",
        "r if { some x in [L]; x == R }",
        "r if { xs := [L]; some x in xs; x == R }",
        "r if { xs := [L]; some R in xs }",
        "r if { every x in [L] { x == R } }",
        "r if { [x] = [L]; x == R }",
        "r if { not L == L }",
        "r if { not L == {input.c: 1, `a`: 3} }",
        "r if { not L == {`a`: input.x, `b`: 9} }",
        "r if { x := {`a`: 2, `b`: 9}; not L == x }",
        "o := L\nr if o == R",
        "o := L\nr if not o == R",
        "o := L\nr if { x := o; x == R }",
        "o := [L]\nr if o == [R]",
        "o.x := L\nr if o.x == R",
        "o := {} if input.never\nelse := L\nr if o == R",
        "f(_) := L\nr if f(1) == R",
        "f(_) := L\nr if { y := f(1); y == R }",
        "f(_) := L\nr if f(1, R)",
        "f(x) := x\nr if f(L) == R",
        "f(x) if x == R\nr if { y := [L]; f(y[0]) }",
        "f({`z`: 1, `a`: 2})\nr if { y := [L]; f(y[0]) }",
    ],
)
@pytest.mark.parametrize("other", ["{`a`: 1}", "{`a`: 2}", "{`z`: 1, `a`: 2}", "input.one"])
def test_equal_keys_of_what_is_compared_elsewhere_are_an_error(
    opa: OpaAnswers, rules: str, other: str
) -> None:
    """`limits := {claims.role: 1, "admin": 2}; limits == {"admin": 1}` let an admin pass.

    OPA counts the entries of one that it has not put together yet, so that no value is the right one.
    """
    given = INPUT | {"one": {"a": 1}}
    rules = rules.replace("L", COMPARED).replace("R", other)
    (theirs,) = opa.ask(f"package p\n\n{rules}\n", given | {"c": "z"}, ["r"], {})
    assert _found(rules, given | {"c": "z"}) == theirs
    with pytest.raises(EvalError, match="unique"):
        _found(rules, given)


@pytest.mark.parametrize(
    "rules",
    [
        "r := x if { x := L; x.a == 1 }",
        "r if { x := L; x.a in [1, 2]; input.one == input.one }",
        "r if { x := L; x != input.one }",
        "r if { x := L; json.marshal(x) == `{}` }",
        "r if { x := [1, L]; x[0] == 1 }",
        "r := x if { [x, 1] = [L, 1] }",
        "r := y if { f(1) = [_, y] }\nf(_) := [1, L]",
        "r := x if { some x in {`k`: L} }",
        "r := x if { x := L; y := input.one; y == {`a`: 1} }",
        "o := L\nr if o.a == 1",
        "o := L\nr := o",
        "o contains L\nr if { some x in o; x == {`a`: 1} }",
        "o[k] := L if k := input.c\nr if o.a == {`a`: 1}",
    ],
)
def test_equal_keys_of_what_is_not_compared_are_none(opa: OpaAnswers, rules: str) -> None:
    """A table with a role of the request beside others is looked up, and no error is made of that."""
    given = INPUT | {"one": {"a": 1}}
    rules = rules.replace("L", COMPARED)
    (theirs,) = opa.ask(f"package p\n\n{rules}\n", given, ["r"], {})
    assert _found(rules, given) == theirs
