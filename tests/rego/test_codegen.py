"""Generated code means what the plan says: against the plainest interpreter, and where code is special."""

from __future__ import annotations

import gc
import linecache
import re
import weakref
from typing import Any

import pytest
from any_policies import documents, policies
from effort import examples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from plan_interpreter import Interpreter

from palisade import rego
from palisade.rego import codegen
from palisade.rego.builtins.terms import show


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(policies(), documents(), documents())
def test_generated_policies_evaluate_as_the_plan_reads(
    source: str, asked: dict[str, Any], base: dict[str, Any]
) -> None:
    """Tables, inlined builtins, folded constants and early exits change no result."""
    policy = _compiled(source, {"base": base})
    for rule in sorted(set(re.findall(r"^(?:default )?(r\w+)(?![\w(])", source, re.MULTILINE))):
        path = f"data.p.{rule}"
        plan = policy.plan([path])
        plainly = _outcome(Interpreter(plan, policy.data).run, path, asked)
        compiled = _outcome(policy.query, f"result = {path}", asked, plain=False)
        if isinstance(plainly, str) and not isinstance(compiled, str):
            # OPA's early exit: where all values are the same, what was not evaluated may hide a conflict.
            continue
        assert _shown(compiled) == _shown(plainly), plan


def _compiled(source: str, data: dict[str, Any]) -> rego.Policy:
    try:
        return rego.compile({"p.rego": source}, data)
    except rego.CompileError:
        assume(False)
        raise


def _outcome(call: Any, *args: Any, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except rego.EvalError as error:
        return error.code


def _shown(outcome: Any) -> str:
    return outcome if isinstance(outcome, str) else show(outcome)


# Where Python has limits of its own --------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression", ["input.n * input.n", "input.n + input.n", "-input.n - input.n", f"input.n * {10**4_000}"]
)
def test_numbers_that_python_does_not_show_end_the_evaluation(expression: str) -> None:
    """Inlined arithmetic has the bound of the builtins: no answer can have such a number."""
    policy = rego.compile({"p.rego": f"package p\n\nr := {expression}"})
    outcome = _outcome(policy.query, "result = data.p.r", {"n": 10**4_300 - 1})
    assert outcome == "eval_cancel_error"
    assert policy.query("result = data.p.r", {"n": 7})


@pytest.mark.parametrize("operator", ["+", "-", "*"])
@given(a=st.integers(-(1 << 70), 1 << 70), b=st.integers(-(1 << 70), 1 << 70))
def test_inlined_arithmetic_is_exact(operator: str, a: int, b: int) -> None:
    known = rego.compile(
        {"p.rego": f"package p\n\nr := input.a {operator} ({b})\nq := input.a {operator} input.b"}
    )
    wanted = {"+": a + b, "-": a - b, "*": a * b}[operator]
    assert known.query("result = [data.p.r, data.p.q]", {"a": a, "b": b}) == [{"result": [wanted, wanted]}]


@pytest.mark.long
@pytest.mark.parametrize("levels", [5, 15, 17, 40, 150])
def test_loops_nest_deeper_than_python_allows(levels: int) -> None:
    """Python has some twenty nested loops and a hundred indentations."""
    loops = "; ".join(f"some v{level} in input.x" for level in range(levels))
    source = (
        f"package p\n\nlast contains v{levels - 1} if {{ {loops}; v0 == 1 }}\n"
        f"found if {{ {loops}; v{levels - 1} == 2 }}\nlist := [v0 | {loops}]\n"
        f"f(a) := b if {{ {loops}; b := a + v{levels - 1} }}\ncalled := f(1)\n"
    )
    policy = rego.compile({"p.rego": source})
    answer = policy.evaluate("data.p", {"x": [1]})
    assert rego.to_json(answer) == {"last": [1], "list": [1], "called": 2}
    assert rego.to_json(policy.evaluate("data.p", {"x": []})) == {"last": [], "list": []}


@pytest.mark.parametrize("levels", [5, 20, 40])
def test_closures_nest_deeper_than_python_allows(levels: int) -> None:
    every, counted = "input.x[0] == 1", "input.x[0] == 1"
    for level in range(levels):
        every = f"every e{level} in input.x {{ {every}; e{level} >= 0 }}"
        counted = f"count([1 | {counted}]) == 1"
    policy = rego.compile({"p.rego": f"package p\n\na if {{ {every} }}\n\nb if {{ {counted} }}\n"})
    assert policy.evaluate("data.p", {"x": [1]}) == {"a": True, "b": True}
    assert policy.evaluate("data.p", {"x": [0]}) == {}


def test_a_loop_in_which_nothing_can_come_about_is_python() -> None:
    """A body that Python would find empty: what stands behind the condition never holds."""
    off = 's contains 1 if { some x in input.x; x == "a"; false }'
    policy = rego.compile({"p.rego": f"package p\n\n{off}\ns contains 2 if true\n"})
    assert rego.to_json(policy.evaluate("data.p.s", {"x": ["a"]})) == [2]


def test_statements_that_nest_too_deep_are_refused() -> None:
    loops = "; ".join(f"some v{level} in input.x" for level in range(2000))
    policy = rego.compile({"p.rego": f"package p\n\nr if {{ {loops} }}\n"})
    with pytest.raises(rego.CompileError, match="nest too deep"):
        policy.evaluate("data.p.r", {"x": [1]})


def test_a_thousand_rules_that_share_nothing_do_not_nest() -> None:
    rules = "\n".join(f"r{n} if input.x == {n}\nany if _ = r{n}" for n in range(1000))
    policy = rego.compile({"p.rego": f"package p\n\n{rules}\n"})
    assert policy.evaluate("data.p.any", {"x": 999}) is True
    assert policy.evaluate("data.p.any", {"x": 1000}) is rego.UNDEFINED


@pytest.mark.long
def test_a_long_chain_of_rules_evaluates_or_ends_as_an_error() -> None:
    rules = "\n".join(f"r{n} := r{n + 1} + input.x" for n in range(3000))
    policy = rego.compile({"p.rego": f"package p\n\n{rules}\n\nr3000 := 0\n"})
    assert policy.evaluate("data.p.r2800", {"x": 1}) == 200
    with pytest.raises(rego.EvalError) as raised:
        policy.evaluate("data.p.r0", {"x": 1})
    assert raised.value.code == "eval_internal_error"


# Where the code is not what the plan spells ------------------------------------------------------------


def test_a_conflict_in_a_table_names_the_line_of_its_rule() -> None:
    rules = "\n".join(f'r := {n} if input.x == "{n // 2}"' for n in range(6))
    policy = rego.compile({"p.rego": f"package p\n\n{rules}\n"})
    with pytest.raises(rego.EvalError) as raised:
        policy.evaluate("data.p.r", {"x": "1"})
    assert str(raised.value) == (
        "p.rego:6: eval_conflict_error: complete rules must not produce multiple outputs"
    )


def test_rules_alike_in_several_files_are_one_table_that_knows_their_files() -> None:
    """Ten thousand rules over a thousand files are looked up once, not in a thousand tables."""
    sources = {
        f"{file}.rego": "package p\n\n"
        + "\n" * at
        + "\n".join(f'r := {n} if input.x == "{n % 3}"' for n in range(3 * at, 3 * at + 3))
        for at, file in enumerate("ab")
    }
    policy = rego.compile(sources)
    assert codegen.compile_plan(policy.plan(["data.p.r"])).text.count("for k") == 1
    with pytest.raises(rego.EvalError) as raised:
        policy.evaluate("data.p.r", {"x": "1"})
    assert str(raised.value) == (
        "b.rego:5: eval_conflict_error: complete rules must not produce multiple outputs"
    )


_ALIKE = st.lists(
    st.sampled_from(
        [
            'r contains 1 if input.x == "a"',
            'r contains 1 if input.x == "b"',
            'r contains 2 if input.x == "a"',
            'r contains 1 if input.x in ["a", "b"]',
            'r contains 1 if input.x in ["c", input.y]',
            "r contains x if some x in [1, 2]",
            'r contains 3 if { not input.y; input.x == "a" }',
            "",
        ]
    ),
    min_size=5,
    max_size=9,
)


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.tuples(_ALIKE, _ALIKE), min_size=2, max_size=4))
def test_code_made_of_what_was_kept_is_the_code_made_of_nothing(steps: list[tuple[list[str], ...]]) -> None:
    """Rules come, go and change among rules alike, in two files; tables, literals and text are the same."""
    policy, kept = None, None
    for step in steps:
        sources = {f"{file}.rego": "package p\n" + "\n".join(step[file]) for file in range(2)}
        sources["c.rego"] = "package p\n\nr contains 0"
        policy = rego.compile(sources, previous=policy)
        program = codegen.compile_plan(policy.plan(["data.p.r"]), kept)
        kept = program.kept
        assert program.text == codegen.compile_plan(policy.plan(["data.p.r"])).text
        fresh = rego.compile(sources)
        for document in ({"x": "a"}, {"x": "b", "y": 1}, {"x": 1, "y": 1}, {}):
            assert policy.evaluate("data.p.r", document) == fresh.evaluate("data.p.r", document)


def test_a_table_takes_numbers_for_what_they_denote_and_booleans_for_no_numbers() -> None:
    rules = "\n".join(f"r contains {n} if input.x == {n}" for n in (0, 1, 2))
    policy = rego.compile({"p.rego": f"package p\n\n{rules}\nr contains true if input.x == true\n"})
    found = [
        rego.to_json(policy.evaluate("data.p.r", {"x": x})) for x in (1, 1.0, True, False, "1", [1], None)
    ]
    assert found == [[1], [1], [True], [], [], [], []]


def test_arrays_come_in_regos_order_of_keys() -> None:
    source = """package p

values := [v | some v in input.o]

keys := [k | some k, _ in input.o]

members := [m | some m in {3, 1, "a", null, [2], true}]
"""
    policy = rego.compile({"p.rego": source})
    answer = policy.evaluate("data.p", {"o": {"b": 1, "c": 2, "a": 3}})
    assert answer == {"values": [3, 1, 2], "keys": ["a", "b", "c"], "members": [None, True, 1, 3, "a", [2]]}


def test_what_a_with_changes_is_not_remembered_outside() -> None:
    source = """package p

role := input.role

inside := value if value := role with input.role as "b"

listed := [role, inside, role]

limit := data.limit * 2

changed := [limit, other, limit] if other := limit with data.limit as 5
"""
    policy = rego.compile({"p.rego": source}, {"limit": 1})
    for _ in range(2):
        assert policy.evaluate("data.p.listed", {"role": "a"}) == ["a", "b", "a"]
        assert policy.evaluate("data.p.changed", {}) == [2, 10, 2]


def test_what_does_not_depend_on_the_input_is_computed_once() -> None:
    squares = "squares := [square | some n in numbers.range(1, 2000); square := n * n]"
    source = f"package p\n\n{squares}\n\nlast := squares[input.at]\n"
    policy = rego.compile({"p.rego": source}, limits=rego.Limits(steps=2500))
    ask = policy.prepare("data.p.last")
    assert [ask({"at": at}) for at in (0, 1, 1999)] == [1, 4, 4_000_000]


def test_time_does_not_stand_still_between_queries() -> None:
    policy = rego.compile({"p.rego": "package p\n\nnow := time.now_ns()\n\nsame if now == time.now_ns()\n"})
    first, second = policy.evaluate("data.p.now"), policy.evaluate("data.p.now")
    assert first < second
    assert policy.evaluate("data.p.same") is True


def test_a_traceback_finds_the_generated_line() -> None:
    policy = rego.compile({"p.rego": "package p\n\nr if startswith(input.x, `a`)\n"})
    program = codegen.compile_plan(policy.plan(["data.p.r"]))
    function = program.functions["g0.data.p.r"]
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    assert lines[code.co_firstlineno - 1].startswith("def f0(")
    assert any("startswith" in line for line in lines)


def test_the_code_of_a_policy_goes_with_it() -> None:
    """Without the collector, for which a large policy's would wait until it looks at everything."""
    policy = rego.compile({"p.rego": "package p\n\nr if f(input.x)\n\nf(x) if x == 1\n"})
    prepared: Any = policy.prepare("data.p.r")
    generated = next(cell.cell_contents for cell in prepared.__closure__ if callable(cell.cell_contents))
    code = weakref.ref(generated)
    del generated, policy
    gc.disable()
    try:
        assert prepared({"x": 1}) is True
        del prepared
        assert code() is None
    finally:
        gc.enable()
