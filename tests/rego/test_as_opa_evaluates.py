"""Rules of generated modules are worth what OPA's own engine says of them."""

from __future__ import annotations

from typing import Any

import pytest
from effort import some
from opa_answers import OpaAnswers
from typed_modules import Typed

from palisade import rego
from palisade.rego.values import equal, from_python


def test_generated_modules_find_something() -> None:
    """Where all is undefined the comparison below would compare nothing."""
    found = 0
    for seed in range(40):
        typed = Typed(seed)
        policy = rego.compile({"p.rego": typed.source}, {"d": typed.document()})
        found += sum(bool(_answer(policy, rule, typed.document())) for rule in typed.names)
    assert found > 60


@pytest.mark.parametrize("seed", some(range(120)))
def test_rules_are_worth_what_opa_says(opa: OpaAnswers, seed: int) -> None:
    typed = Typed(seed)
    data = {"d": typed.document()}
    policy = rego.compile({"p.rego": typed.source}, data)
    for asked in (typed.document() for _ in range(3)):
        theirs = opa.ask(typed.source, asked, typed.names, data)
        for rule, wanted in zip(typed.names, theirs, strict=True):
            found = _answer(policy, rule, asked)
            # OPA does not see every conflict: its index leaves rules out whose comparisons do not hold.
            assert found is None or equal(from_python(found), from_python(wanted)), (
                f"{rule} of\n{typed.source}"
            )


@pytest.mark.parametrize(
    "rules",
    [
        # Beside a variable in a path OPA passes over what stands in where nothing else holds.
        'default r.max := 5\nr[k] := v if some k, v in {"gold": 10}',
        'r[k] := v if some k, v in {"gold": 10}\nr.max := 7 if input.x\ndefault r.max := 5',
        'default r.a.b := 1\nr[k].c := v if some k, v in {"a": 10}',
        'default r[1].b := 1\nr[1][k] := v if some k, v in {"a": 10}',
        'default r.max := 5\nr.max := 7 if input.x\nr.gold[k] := v if some k, v in {"a": 10}',
        'default r[true].b := 1\nr[1][k] := v if some k, v in {"a": 10}',
        "r if not is_object(input)",
        "r if not f(input)\nf(x) if x == 1",
        "r if not walk(input)",
        "r if not 1 in input",
        "r if not {input} == {1}",
        "r if not data.nothing[input]",
        'r if not q[input]\nq := {"a": 1}',
        'r := $"<{input}>"',
        "r if not input == 1",
        "r if not count([1]) == 1 with count as f\nf(_) := 5",
        "r := [1 | not input]",
        # A rule that may be anything is called without arguments, too: what `with` puts there, it is not.
        "r := q()\nq() := input.x",
        "r if not q()\nq() := y if { y := input.x } else := input.y",
        "r := y if { y := q() with input.x as 3 }\nq := input.x",
        "r := y if { y := q() with data.p.q as 5 }\ndefault q() := 7\nq := input.x",
    ],
)
def test_rules_of_documents_are_worth_what_opa_says(opa: OpaAnswers, rules: str) -> None:
    """Documents are evaluated without an input: what asks for it is undefined, also within `not`."""
    source = f"package p\n\n{rules}\n"
    policy = rego.compile({"p.rego": source})
    for asked in (None, {"x": 1}):
        (theirs,) = opa.ask(source, asked, ["r"])
        assert _answer(policy, "r", rego.UNDEFINED if asked is None else asked) == theirs


@pytest.mark.parametrize(
    "rules",
    [
        'r := [x | {"a": x, x: y} = input[_]]',
        'r := [x | some {"a": x, x: y} in input]',
        'r := [x | x = "b"; {"a": x, x: y} = input[_]]',
        "r := [x | some y, {x: x} in input]",
        "r := [x | [x, {x: y}] = [input[1].k, input[1]]]",
        "r := [x | [x, {x: y}] = [input[1].k, input[1]][_]]",
        "r := [y | {y: x} = {input[1].k: input[1]}[y]]",
        "r := [x | {[x]: x} = input[_]]",
        'r := f({"a": 1}, "a")\nf({y: z}, y) := z',
        'r := f("a", {"a": 1})\nf(y, {y: z}) := z',
        "r := f({2: 3})\nf({y: z}) := z if y = 2",
        "r := f({2: 3})\nf({y: z}) := z\ny := 2",
    ],
)
def test_keys_of_patterns_are_looked_up_before_their_values(opa: OpaAnswers, rules: str) -> None:
    """A variable that has its value of the same object is no key that is found: rules held where OPA's do
    not, or failed where they were planned."""
    source = f"package p\n\n{rules}\n"
    asked = [{"a": "b", "b": 3}, {"k": "k"}]
    (theirs,) = opa.ask(source, asked, ["r"])
    assert _answer(rego.compile({"p.rego": source}), "r", asked) == theirs


@pytest.mark.parametrize(
    "found",
    [
        *(
            "data.t[input.x][c.a]",
            "data.t.zz[c.a]",
            "input.zz[c.a]",
            "made[input.x][c.a]",
            "data.p.made.zz[c.a]",
        ),
        *(
            "data.t[input.x][lower(c.a)]",
            "data.t[input.x][one(c.a)]",
            "x := data.t[input.x][c.a]",
            "none[c.a]",
        ),
        *("data.t[input.x][c[_]]", "some _ in data.t[input.x][c.a]", "[data.t[input.x][c.a]] == [1]"),
        *("not not_found\nnot_found if data.t[input.x][c.a]", "{x | x := data.t[input.x][c.a]} == set()"),
        *("data.t[x].zz[c.a]", "data.q[input.x].r[c.a]", "input.x == data.t[input.x][data.p.c.a]"),
        *("none == data.t[c.a]", "none != data.t[c.a]", 'input.zz == {"a": data.t[c.a]}', "none = one(c.a)"),
        *("none == data.t[{x | x := c.a}]", "x := [none, one(c.a)]", "one(none) == one(c.a)", "[none][c.a]"),
        *("input.x in {data.t[input.x], c.a}", 'x := {"b": none, "a": c.a}', 'x := {"a": none, "b": c.a}'),
        *("count([data.t[input.x], c.a]) == 2", "data.t[input.x][input.zz][c.a]", "x := {none, c.a}"),
        *("none.a == count([one(c.a)])", "none == one(1) with input.x as c.a"),
        *("some x in {none[c.a]}", "every x in [none, one(c.a)] { x }"),
        *("one([c[data.keys[_]], none]) == 1", "one([none, c[data.keys[_]]]) == 1"),
        *("one([c[data.keys[x]], none]) == 1", "one({none: c[one(data.keys[_])]})"),
        *("one(c[data.keys[_]]) == none[_]", "x := [[none[_]], [c[data.keys[_]]]]"),
        *("one([c[x], none]) == x", "one([c[x], none]) == [x, 1]", "[x, c[x]] = input.zz"),
        *("one([c[x], none[x]]) == 1", "one([none[x], c[x]]) == 1", "walk(none, [[x], c[x]])"),
    ],
)
def test_keys_that_rules_make_are_evaluated_before_anything_is_looked_up(opa: OpaAnswers, found: str) -> None:
    """A key whose evaluation ends in an error, as of two cookies with one name, denies in OPA also where
    there is nothing to look it up in: undefined, a `not` before it would allow."""
    first, _, more = found.partition("\n")
    source = f"""package p
        c := {{k: v | some [k, v] in input.pairs}}
        made[x] := y if some x, y in {{"a": {{"b": 1}}}}
        none := {{"a": 1}} if input.zz
        one(x) := x
        h if {{ {first} }}
        {more}
        allow if not h"""
    data = {"t": {"a": {"b": 1}}, "q": {"a": {"r": {"b": 1}}}, "keys": ["a"]}
    policy = rego.compile({"p.rego": source}, data)
    for pairs in ([["a", "b"], ["a", "c"]], [["a", "b"]]):
        for name in ("zz", "a"):
            asked = {"pairs": pairs, "x": name}
            (theirs,) = opa.ask(source, asked, ["allow"], data)
            assert (_answer(policy, "allow", asked) or []) == theirs, asked


@pytest.mark.parametrize(
    "statements",
    [
        *("every x in lists[_] { x == c }; none", "some i; every x in lists[i] { x == c }; none"),
        *("every x in [c, lists[_]] { x }; none", "every x in one([c, lists[_]]) { x }; none"),
        *("some x; every y in [c, 1] { y == x }; none; x = 1", "c == 1 with input.y as lists[_]; none"),
        *('some x in {"a": type_name(pair[keys[_]])}; none', "one(lists[i]) == [c | i > 0]; none"),
        *(
            "count(lists[i]) > i + c; none",
            "some x; one(c) == x; none; x = 1",
            "some x; c + x == 2; none; x = 1",
        ),
        *("some x; y := [one(c), x]; none; x = 1", "some x; lists[one(c)][_] == one(x); none; x = 1"),
        *(
            "some x; x in one([c]); none; x = 1",
            "x := [y | some z; y := one(c) + z; none; z = 1]; count(x) > 0",
        ),
    ],
)
def test_parts_of_statements_stand_as_soon_as_they_can(opa: OpaAnswers, statements: str) -> None:
    """What ends in an error stood behind what is undefined, where a part of its statement had to wait or
    looped: a `not` before the rule allowed what OPA denies."""
    source = f"""package p
        c := x if {{ some x in input.cs }}
        pair := {{"a": x}} if {{ some x in input.cs }}
        lists := [[1], [2]]
        keys := ["a", "b"]
        one(x) := x
        none if input.none
        h if {{ {statements} }}
        allow if not h"""
    policy = rego.compile({"p.rego": source})
    for cs in ([1], [1, 2], []):
        for asked in ({"cs": cs}, {"cs": cs, "none": True}):
            (theirs,) = opa.ask(source, asked, ["allow"])
            assert (_answer(policy, "allow", asked) or []) == theirs, asked


@pytest.mark.parametrize(
    "asked_last",
    [
        *('input.m == "GET"', '"GET" == input.m', 'input.m = "GET"', "input.m", 'startswith(input.m, "G")'),
        *(
            'x := input.m; startswith(x, "G")',
            "input.p == [1, 2]",
            "input.p = [x, 2]; x == 1",
            "input.p[0] == 1",
        ),
        *(
            "count(input.p) > 1",
            "some x in input.p; x == 1",
            "every x in input.p { x > 0 }",
        ),
        *('not input.m == "GET"', 'not startswith(input.m, "G")', 'input.m == "GET" with input.m as "GET"'),
        *(
            "data.t[input.m] == 1",
            "data.t.GET == 1",
            "data.t.GET == 2",
            "input.b",
            "input.b == false",
            "f(1, 2)",
        ),
        *(
            '{"a": input.m} == {"a": "GET"}',
            "input.m == input.k",
            'print("x"); input.m == "GET"',
            "f(input.m, 1)",
        ),
        *(
            'f("GET", input.m)',
            'input.m == "GET"; startswith(input.m, "")',
            'startswith(input.m, ""); input.m == "GET"',
        ),
        *("input.m == made", 'made == "GET"', "input", "is_object(input)"),
    ],
)
@pytest.mark.parametrize(
    "rules",
    [
        'h if {{ c == "a"; {} }}',
        'h if {{ pairs.k == "a"; {} }}',
        'h contains 1 if {{ c == "a"; {} }}',
        'h := y if {{ c == "a"; y := 1; {} }}',
        'h if {{ c == "a"; {} }} else := true if {{ c == "a"; input.b }}',
        'h if {{ g(input.m, 1) }}\ng(y, z) if {{ c == "a"; y == "GET"; z == 1; {} }}',
    ],
)
def test_rules_are_passed_over_before_they_end_in_an_error(
    opa: OpaAnswers, rules: str, asked_last: str
) -> None:
    """A rule that asks for GET last is not asked at POST at all, so that it ends in no error there: a request
    was denied that another rule allows."""
    source = f"""package p
        c := x if {{ some x in input.xs }}
        pairs := {{k: v | some [k, v] in input.pairs}}
        f(x, y) if {{ x == "GET"; y == 1 }}
        f(x, y) if {{ c == "a"; x == y }}
        made := input.m
        {rules.format(asked_last)}
        r if not h"""
    data = {"t": {"GET": 1}}
    policy = rego.compile({"p.rego": source}, data)
    for more in ({"m": "GET", "b": True}, {"m": "POST", "p": [1, 2], "b": False}, {"p": [2], "k": "GET"}, {}):
        for xs in (["a"], ["a", "b"]):
            asked = {"xs": xs, "pairs": [["k", each] for each in xs], **more}
            (theirs,) = opa.ask(source, asked, ["r"], data)
            assert (_answer(policy, "r", asked) or []) == theirs, asked


@pytest.mark.parametrize(
    "given",
    [
        *("[c, input.k]", '{"a": {"b": c}, "d": [input.k]}', "{c, input.k}", "[c, [x | x := input.k]]"),
        *(
            "[c, one(input.k)]",
            '$"{c}{input.k}"',
            '[$"{c}", input.k]',
            "[c, input.xs[_], input.k]",
            "[c, made]",
        ),
    ],
)
@pytest.mark.parametrize(
    "rules",
    [
        "h := {} if not input.b",
        "h := 1 if input.m else := {} if not input.b",
        "h := {} if not input.b else := 1 if input.m",
        "h contains {} if not input.b",
        "h[{}] := 1 if not input.b",
        "h if f(1) == 1\nf(x) := {} if {{ x; not input.b }}\nf(x) := x if input.m",
    ],
)
def test_rules_are_passed_over_before_what_they_give_ends_in_an_error(
    opa: OpaAnswers, rules: str, given: str
) -> None:
    """An answer that names who asks, and more that may end in an error, is not made where nobody is named: a
    request was denied that another rule allows."""
    source = f"""package p
        c := x if {{ some x in input.xs }}
        one(x) := x
        made := input.k
        {rules.format(given)}
        r if not h"""
    policy = rego.compile({"p.rego": source})
    for more in ({"k": 1}, {"k": 1, "m": True}, {}, {"m": True}, {"b": True}):
        for xs in (["a"], ["a", "b"]):
            asked = {"xs": xs, **more}
            for rule in ("h", "r"):
                (theirs,) = opa.ask(source, asked, [rule])
                found = _answer(policy, rule, asked) or []
                assert equal(from_python(found), from_python(theirs)), (rule, asked)


@pytest.mark.parametrize(
    "shown",
    [
        "none",
        "[none]",
        '"none", [none]',
        'sprintf("%v", [none])',
        "[one(none)]",
        '{"a": none}',
        "[x | x := none]",
    ],
)
@pytest.mark.parametrize("where", ["print({})", "every _ in [1] {{ print({}) }}", "some _ in [1]; print({})"])
def test_what_is_shown_may_be_undefined(opa: OpaAnswers, shown: str, where: str) -> None:
    """A rule that denies, and shows who is denied, does so where nobody is known: it was undefined where the
    argument was made of a rule that is."""
    source = f"""package p
        none := input.none
        one(x) := x
        denied if {{ {where.format(shown)}; input.bad }}
        r if not denied"""
    for printed in (None, lambda *_: None):
        policy = rego.compile({"p.rego": source}, printed=printed)
        for asked in ({"bad": True}, {"bad": True, "none": "x"}, {}):
            (theirs,) = opa.ask(source, asked, ["r"])
            assert (_answer(policy, "r", asked) or []) == theirs, asked


_NEAR = ("+1", "01", "1.0")
"""Integers whose text is kept in `$"{n}"` alone. Here it is `1`."""


@pytest.mark.parametrize(
    "text", ["1", "+1", "01", "1.0", "1e0", "10e-1", "0_1", "0x1p0", "1" + "0" * 20, "0" * 20 + "1", "1e30"]
)
def test_numbers_of_texts_are_integers_where_they_are_in_opa(opa: OpaAnswers, text: str) -> None:
    """By a number in another spelling than digits nothing is found in OPA, so a client that writes it so is
    let pass by no such rule. It can be compared and counted with, and where its text is asked for, which is
    not kept, the decision ends in an error."""
    rules = [
        *(
            "[5, 6, 7][n] == 6",
            "data.list[n] == 6",
            'substring("abc", n, -1) == "bc"',
            "n == 1",
            "n - 1 == 0",
        ),
        *("array.slice([1, 2], n, 2) == [2]", "sum([n, 1]) == 2", "n % 2 == 1", 'format_int(n, 2) == "1"'),
        *('{1: "a"}[n] == "a"', "n in {1}", "max([n, 0]) == n", "n, 6 in [5, 6]", "sum([n, 1]) > n"),
    ]
    texts = ['sprintf("%v", [n]) == "1"', 'sprintf("%d", [n]) == "1"', '$"{n}" == "1"'][: 3 - (text in _NEAR)]
    names = [f"r{number}" for number in range(len(rules + texts))]
    told = "\n".join(f"{name} if {rule}" for name, rule in zip(names, rules + texts, strict=True))
    source, data = f"package p\n\nn := to_number(input)\n{told}\n", {"list": [5, 6, 7]}
    policy = rego.compile({"p.rego": source}, data)
    theirs = opa.ask(source, text, names, data)
    ours = [_answer(policy, name, text) for name in names]
    assert ours[: len(rules)] == theirs[: len(rules)]
    for found, wanted in zip(ours[len(rules) :], theirs[len(rules) :], strict=True):
        assert found in (None, wanted)


def _answer(policy: rego.Policy, rule: str, asked: Any) -> list[Any] | None:
    """The value in a list, an empty one where it is undefined; None where the evaluation ends in an error."""
    try:
        return [each["x"] for each in policy.query(f"x = data.p.{rule}", asked)]
    except rego.EvalError:
        return None
