"""Modules that OPA's own engine refuses are refused here, too."""

from __future__ import annotations

import pytest
from opa_answers import OpaAnswers

from palisade import rego


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        # No name in an argument means a document or a rule: the value is matched against it.
        ("f(input.x) := 1", "var input is unsafe"),
        ("f([data.a.b]) := 1", "var data is unsafe"),
        ('f({"a": input.x}) := 1', "var input is unsafe"),
        ('f(q.a) := 1\nq := {"a": 1}', "var q is unsafe"),
        ('f({q.a: 1}) := 1\nq := {"a": 1}', "var q is unsafe"),
        ("f([y | y := q]) := 1\nq := 1", "var q is unsafe"),
        # Nothing binds `_` where a reference starts: it was found when the policy was put in force.
        ("p if _.a", "var _ is unsafe"),
        ("p if input[_.a]", "var _ is unsafe"),
        ("p contains _.a", "var _ is unsafe"),
        # A statement gives its variables a value at once: what one part of it gives, no other part has.
        ("p if data.a.b[x] = x[_]", "var _ is unsafe"),
        ("p if [w | w := z] = data.c[z]", "var z is unsafe"),
        ("p if data.c[x] == lower(x)", "var x is unsafe"),
        ("p if startswith(data.c[x], lower(x))", "var x is unsafe"),
        ('p if { some x; data.c[x] == $"{x}" }', "var x is un"),
        ("p := z if [count(x), x] = [z, input]", "var z is unsafe"),
        ("p := z if [[y | y := x], x] = [z, input]", "var x is unsafe"),
        # Of objects that are written out what has the same key is matched, as the keys are written.
        ('p if {{"a": 1}: y} = {"x": "y"}', "var y is unsafe"),
        ('p := x if { k = "a"; {k: x} = {"a": 1} }', "var x is unsafe"),
        ('p := x if [x, {x: y}] = ["b", {"b": 3}]', "var y is unsafe"),
        # On the left of `:=` keys are no declared variables.
        ('p := x if { k := "a"; {k: x} := q }\nq := {"a": 1}', "var k is unsafe"),
        ('p := x if { some k in ["a"]; {k: x} := q }\nq := {"a": 1}', "var k is unsafe"),
        ('f(k) := x if { {k: x} := q }\nq := {"a": 1}', "var k is unsafe"),
        # A pattern on the left of an object that a comprehension makes.
        ('p := x if {"k": x} = {a: b | some a, b in input}', "var x is unsafe"),
        ('p := x if {"k": x} := {a: b | some a, b in input}', "var x is unsafe"),
        ('p if {"k": [_]} = {a: [b] | some a, b in input}', "var _ is unsafe"),
        # A variable that is called as a builtin, which need not be declared, is what is called there.
        ('p if { count("a", count) }', "undefined function count"),
        ('p if { input[count]; count("a") }', "undefined function count"),
        # Keys that are constant collections, and literals as operands, by their whole types.
        ('p if { urlquery.encode_object({[]: "a"}) }', "urlquery.encode_object: invalid argument(s)"),
        ('p if { urlquery.encode_object({input.x: 1, "b": "c"}) }', "urlquery.encode_object: invalid"),
        ('p if f({input.x: 1})\nf({"a": b}) := lower(b)', "data.p.f: invalid argument(s)"),
        ('p := io.jwt.decode_verify("x", {[]: "a"})', "io.jwt.decode_verify: invalid argument(s)"),
        ("q := 1\np := data[0]", "undefined ref: data[0]"),
        # Places in arrays are written as integers.
        ("p := [1, 2][1.0]", "undefined ref: "),
        ("p := q[1e0]\nq := [1, 2]", "undefined ref: data.p.q[1"),
        ('p := split(input, ".")[0.0]', 'undefined ref: split(input, ".")[0.0]'),
        # In a body of `every` comprehensions are looked at.
        ("p if { every x in [1] { count([y | y := lower(1)]) == x } }", "lower: invalid argument(s)"),
        ('p if { every x in [1] { [y | some y in lower("a")] == x } }', 'undefined ref: lower("a")[_]'),
        ('p if { every x in [1] { count([y | y := 1; y == "a"]) == x } }', "match error"),
        # What OPA takes for a reference behind `every`.
        (
            "p if { every x in [1] { x == 1 } with count as 3 }",
            "function count used as reference, not called",
        ),
        (
            'p if { every x in ["A"] { lower(x) == x } with lower as upper }',
            "function lower used as reference",
        ),
        ("p if { every x in [1] { f(x) } with f as true }\nf(x) := x", "function data.p.f used as reference"),
        # What `with` puts somewhere: a function in no part of the input, and for one that takes the same.
        ("p if { input with input as f }\nf(x) := x", "undefined ref: data.p.f"),
        ("p if { input.y with input.y as f }\nf(x) := x", "undefined ref: data.p.f"),
        ("p if { count([1]) with count as time.now_ns }", "count: arity mismatch"),
        ("p if { count([1]) with count as print }", "count: arity mismatch"),
        ("p if { time.now_ns() with time.now_ns as count }", "time.now_ns: arity mismatch"),
        ("p if { time.now_ns() with time.now_ns as f }\nf(x) := x", "time.now_ns: arity mismatch"),
        ('p if { lower("A") with lower as abs }', "lower: arity mismatch"),
        ('p if { concat("", ["a"]) with concat as split }', "concat: arity mismatch"),
        ("p if { f(1) with f as g }\nf(x) := x\ng(x, y) := x", "data.p.f: arity mismatch"),
        ("p if { min(input) with input.x as 1 }", "min: invalid argument(s)"),
        ("p if {1} with input as 1", "unexpected with keyword"),
        ("f.a(x) := 1\nf[k] := 2 if some k in input", "function data.p.f.a conflicts with data.p.f[k] at"),
        ("p if { every x in [1] { x == 1; count([z | z := 1; z.a]) > 0 } }", "undefined ref: z.a"),
        ('p[$"a"] := 1 if false else := 2', "else keyword cannot be used on rules with variables in head"),
        ("p[input.x] := 1 if false else := 2", "else keyword cannot be used on"),
        # What `with` replaces may be that or what it was; what is above it is an object with texts as keys.
        ("p if input[0] with input.x as 1", "undefined ref: input[0]"),
        ("p if input.a[0] with input.a.b as 1", "undefined ref: input.a[0]"),
        ("p if data.a[0] with data.a.b as 1", "undefined ref: data.a[0]"),
        ("p if { limits[0].x with limits as 5 }\nlimits := [1]", "undefined ref: data.p.limits[0].x"),
        ('p if { limits.b with limits as {"c": 1} }\nlimits := {"a": 1}', "undefined ref: data.p.limits.b"),
        ('p if { limits == "a" with limits as [1] }\nlimits := 5', "match error"),
        ("p if { count(limits) == 1 with limits as 7 }\nlimits := 5", "count: invalid argument(s)"),
        # A rule is called like a function without arguments only where it may be anything.
        ("p := q()\nq() := 1", "undefined function data.p.q"),
        ("p := q()\nq() := [input]", "undefined function data.p.q"),
        ("p := q()\nq contains input", "undefined function data.p.q"),
        ("p := q(1)\nq() := input", "undefined function data.p.q"),
        # Keys that are constant collections; and what builtins yield in newer versions of OPA.
        ('p if {{}: 1} = {"a": 1}', "match error"),
        ('p if { y := {[1]: 1}; z := {"a": 1}; y == z }', "match error"),
        ("p := - object.union_n(input)", "minus: invalid argument(s)"),
        ("p := abs(json.filter(input, []))", "abs: invalid argument(s)"),
        ("# METADATA\n# title: a: b\np := rego.metadata.rule()", "yaml: line 1: mapping values"),
    ],
)
def test_what_opa_refuses_is_refused(opa: OpaAnswers, rules: str, message: str) -> None:
    """Each was taken: a policy that was written for another engine, or that nobody else can check."""
    with pytest.raises(ValueError, match="error"):
        opa.ask(f"package p\n\n{rules}\n", None, ["p"])
    with pytest.raises(rego.CompileError) as refused:
        rego.compile({"p.rego": f"package p\n\n{rules}\n"})
    assert any(each.message.startswith(message) for each in refused.value.errors), refused.value


@pytest.mark.parametrize(
    "rules",
    [
        "f(x, x.y) := x",
        "f(x.y, x) := x",
        'f(y.a) if y = {"a": 1}',
        "f({input.x: y}) := y",
        'f($"{input.x}") := 1',
        "f(q) if q\nq := 1",
        'p := x if { k = "a"; {k: x} := q }\nq := {"a": 1}',
        # A statement gives all of its variables a value, keys among them.
        "p if { some y, {x: x} in data.array }",
        'p if { some {"a": x, x: y} in data.array }',
        "p if { {x: y} = input[x] }",
        'p := x if {a: b | some a, b in input} = {"k": x}',
        'p := x if { y := {a: b | some a, b in input}; {"k": x} = y }',
        'p if {"k": 1} = {a: b | some a, b in input}',
        "p := x if [x] = [a | some a in input]",
        "p if { every x in [1] { count([x]) == 3 with count as 3 } }",
        "p if { every x in [1] { x == input.y } with input.y as 1 }",
        'p if { every x in [1] { some y in "ab"; y == x } }',
        'p if { every x in [1] { z := "ab"; count([y | some y in z]) == x } }',
        "p := input.x[1.0]",
        "p := {1: 2}[1.0]",
        "f({y: 1}) if y := 1",
        "f({y: z}) := z if not y",
        "p if { input[count] } else if { count([1]) > 0 }",
        "p if { input[time]; time.now_ns() }",
        "p if {1}, 1 in []",
        "p := data[0]",
        "q[0] := 1\np := q[[]]",
        "q.a := 1\np := q[{}]",
        'p if {input.x: 1, [input.x]: 1} = {{}: 1, "b": "s"}',
        "p if { data.c[x] = lower(x) }",
        "p if { data.c[x][count(x)] }",
        "p if { [y, x] = [x, input] }",
        'p if { lower("A") with lower as upper }',
        'p if { lower("A") with lower as is_array }',
        'p if { concat("", ["a"]) with concat as f }\nf("", _) := "b"',
        "p if { time.now_ns() with time.now_ns as opa.runtime }",
        "p if { data.z with data.z as f }\nf(x) := x",
        "p if {1} == {1} with input as 1",
        "f.a(x) := 1\nf.b := 2",
        # What `with` puts in a rule's place is of another type, as tests put it.
        'p if { limits.gold == 5 with limits as {"gold": 5} }\nlimits := {"silver": 1}',
        'p if { count(limits) == 1 with limits as ["a"] }\nlimits := 5',
        "p if { some x in limits with limits as [1]; x == 1 }\nlimits := 5",
        'p if { some x in {"a": input.xs[_]}; x > 1 }',
        'p if { some k, x in {input.xs[i]: 1, "b": [input.ys[i]]}; k == x }',
        'p if { some {"a": x} in [{"a": input.xs[_]}]; x > 1 }',
        'p if { limits.b with limits as {"b": 1} }\nlimits := {"a": 1}',
        "p if { limits[0].x with limits as input.y }\nlimits := [1]",
        "p if { limits.x.y with limits as 5 with limits as {} }\nlimits := [1]",
        "p if input[0] with input.x as {} with input as 5",
        "p if { input.y with input.x as 1; input[0] }",
        "p if {{1}: 1} = {[1]: 1}",
        "p if {[input.x]: 1} = {{}: 1}",
        "p if { x := {{1}: input.w}; x[[input.x]] }",
        'p if {"b": 1, [input.x]: "s"} = {"a": [1], []: [1], null: 1}',
        'p if q = {["a"]: 1, []: [1]}\nq[[1]] := 3\nq.a := "s"',
        # METADATA blocks are read where a rule asks for what they say.
        "# METADATA\n# title: a: b\np := 1",
        "# METADATA\n# schemas: 5\np := input.x",
        "# METADATA\n# scope: package\np := 1",
        # Of a body of `every` OPA looks at references to documents alone.
        "p if { every x in [1] { v := 0; x != 2; not v.c } }",
        "p if { data.d == 1 with data.d as input.l[_] }",
        "p contains [i, x] if { some i; x := data.d.a with data.d.a as input.l[i] }",
        "p contains x if { x := q with q as input.l[_] }\nq := 1",
    ],
)
def test_what_is_close_to_it_is_taken(opa: OpaAnswers, rules: str) -> None:
    opa.ask(f"package p\n\n{rules}\n", None, ["p"])
    rego.compile({"p.rego": f"package p\n\n{rules}\n"})
