"""The public face of the language: what a user of `palisade.rego` relies on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from palisade import rego
from palisade.rego import ir, ir_json

SOURCE = """package authz

default allow := false

allow if {
	some role in data.roles[input.user]
	role == "admin"
}

names contains name if some name in input.names

ratio := 10 / input.by

double(x) := x * 2
"""
DATA = {"roles": {"alice": ["admin", "dev"], "bob": ["dev"]}}


@pytest.fixture(scope="module")
def policy() -> rego.Policy:
    return rego.compile({"authz.rego": SOURCE}, DATA)


def test_evaluate_gives_the_value_of_a_rule(policy: rego.Policy) -> None:
    assert policy.evaluate("data.authz.allow", {"user": "alice"}) is True
    assert policy.evaluate("data.authz.allow", {"user": "bob"}) is False


def test_evaluate_gives_undefined_where_there_is_no_value(policy: rego.Policy) -> None:
    assert policy.evaluate("data.authz.ratio", {}) is rego.UNDEFINED
    assert policy.evaluate("data.nothing.here", {}) is rego.UNDEFINED
    assert policy.evaluate("data.authz.names") == rego.Set()


def test_evaluate_reaches_base_documents_and_packages(policy: rego.Policy) -> None:
    assert policy.evaluate("data.roles.bob") == ["dev"]
    whole = policy.evaluate("data.authz", {"names": ["b", "a"], "by": 5})
    assert rego.to_json(whole) == {"allow": False, "names": ["a", "b"], "ratio": 2}


def test_a_prepared_path_is_a_function_of_the_input(policy: rego.Policy) -> None:
    allow = policy.prepare("data.authz.allow")
    assert [allow({"user": name}) for name in ("alice", "bob", "carol")] == [True, False, False]


def test_query_results_are_plain_json(policy: rego.Policy) -> None:
    results = policy.query("data.authz.names = x; y := 1", {"names": ["b", "a", "b"]})
    assert results == [{"x": ["a", "b"], "y": 1}]
    assert json.loads(json.dumps(results)) == results


def test_query_returns_one_binding_for_each_way_it_holds(policy: rego.Policy) -> None:
    results = policy.query('data.roles[user][_] == "dev"')
    assert sorted(result["user"] for result in results) == ["alice", "bob"]
    assert policy.query('data.roles[user][_] == "boss"') == []


def test_query_can_stand_in_a_package(policy: rego.Policy) -> None:
    assert policy.query("x := double(4)", package=("authz",)) == [{"x": 8}]


def test_a_query_may_put_a_builtin_function_in_the_place_of_another(policy: rego.Policy) -> None:
    """Its name is no variable of the query, which has a value there."""
    assert policy.query("x := data.authz.double(-3) with data.authz.double as abs") == [{"x": 3}]


def test_builtin_errors_are_undefined_unless_strict(policy: rego.Policy) -> None:
    assert policy.query("data.authz.ratio = x", {"by": 0}) == []
    with pytest.raises(rego.EvalError) as raised:
        policy.query("data.authz.ratio = x", {"by": 0}, strict_builtin_errors=True)
    assert raised.value.code == "eval_builtin_error"
    assert str(raised.value) == "authz.rego:12: eval_builtin_error: div: divide by zero"


def test_a_lenient_result_is_not_kept_for_a_strict_query() -> None:
    """What does not depend on the input is kept between queries, but not its errors between the modes."""
    policy = rego.compile({"a.rego": "package a\nx := 1 / 0\n"})
    assert policy.evaluate("data.a.x") is rego.UNDEFINED
    with pytest.raises(rego.EvalError):
        policy.query("data.a.x = y", strict_builtin_errors=True)
    assert policy.evaluate("data.a.x") is rego.UNDEFINED


def test_all_errors_of_all_files_are_reported_at_once() -> None:
    broken = {"a.rego": "package a\n\np if {\n", "b.rego": "package b\n\np := := 1\n"}
    with pytest.raises(rego.CompileError) as raised:
        rego.compile(broken)
    assert {error.file for error in raised.value.errors} == {"a.rego", "b.rego"}
    assert all(error.code == "rego_parse_error" and error.row and error.col for error in raised.value.errors)


@pytest.mark.parametrize("path", ["authz.allow", "data.authz[x]", "1 + 1", "input.user"])
def test_a_path_that_is_none_is_refused(policy: rego.Policy, path: str) -> None:
    with pytest.raises(rego.CompileError, match=r"no path of a document"):
        policy.evaluate(path)


def test_a_query_that_is_wrong_is_refused(policy: rego.Policy) -> None:
    with pytest.raises(rego.CompileError) as raised:
        policy.query("x = y")
    assert {error.code for error in raised.value.errors} == {"rego_unsafe_var_error"}


def test_data_has_to_be_an_object() -> None:
    with pytest.raises(TypeError, match="data is an object"):
        rego.compile({}, ["no", "object"])


def test_version_0_reads_rego_as_it_was() -> None:
    policy = rego.compile({"a.rego": "package a\np { input.x }\n"}, version=0)
    assert policy.evaluate("data.a.p", {"x": True}) is True


def test_previous_spares_the_files_that_did_not_change(policy: rego.Policy) -> None:
    other = "package other\nallow := data.authz.allow\n"
    first = rego.compile({"authz.rego": SOURCE, "other.rego": other}, DATA)
    second = rego.compile(
        {"authz.rego": SOURCE, "other.rego": other.replace("allow :=", "may :=")}, DATA, previous=first
    )
    kept = {module.loc.file: module for module in first.checked.modules}
    assert [module is kept[module.loc.file] for module in second.checked.modules] == [True, False]
    assert second.evaluate("data.other.may", {"user": "alice"}) is True
    assert second.evaluate("data.other.allow", {"user": "alice"}) is rego.UNDEFINED


def test_a_compacted_policy_answers_as_before() -> None:
    policy = rego.compile({"authz.rego": SOURCE}, DATA)
    assert policy.evaluate("data.authz.allow", {"user": "alice"}) is True
    policy.compact()
    assert policy.evaluate("data.authz.allow", {"user": "bob"}) is False
    assert policy.query("data.authz.ratio = x", {"by": 5}) == [{"x": 2}]
    changed = rego.compile({"authz.rego": SOURCE.replace('"admin"', '"dev"')}, DATA, previous=policy)
    assert changed.evaluate("data.authz.allow", {"user": "bob"}) is True


def test_what_goes_wrong_in_an_edited_set_is_told_at_its_row_of_now() -> None:
    """Rules that lines were put above are the ones they were: code, plans and places of before serve them."""
    said: list[int] = []
    source = "package a\n\np := input.x\n\np := 2\n\nq if print(input.x)\n"
    policy = None
    for text in (source, source.replace("a\n", "a\n\n# c\nimport data.b\n", 1), source, "\n\n" + source):
        row = text[: text.index("q if")].count("\n") + 1
        policy = rego.compile({"a.rego": text}, printed=lambda _, at: said.append(at.row), previous=policy)
        for ask in (policy.evaluate, policy.query, policy.evaluate):
            with pytest.raises(rego.EvalError) as failed:
                ask("data.a.p", {"x": 1})
            assert failed.value.location.row in (row - 4, row - 2)
            assert ask("data.a.q", {"x": 1})
            assert said.pop() == row
            policy.compact()  # the last one is asked of trees that were made again
        known = policy.query("data.a.q", {"x": 1})
        assert known
        assert said.pop() == row


def test_what_is_wrong_with_an_edited_set_is_told_as_of_one_that_is_new() -> None:
    """Rules that conflict stand in lines of before, which have moved, and in new ones."""
    good = "package a\n\ndefault p := 1\n\nq := 1\n\nf(x) := x\n\nr contains 1\n"
    wrong = [
        "default p := 2\n",
        "q contains 1\n",
        "f(x, y) := x\n",
        "r := data.a.f(1, 2)\n",
        "s if { not x; x }\n",
        "q.t := 1\n",
        "u := data.a.q.v\n",
        "w := 1 + u\nu := w\n",
    ]
    other = {"b.rego": "package a.q\n\nz := 1\n"}
    policy = rego.compile({"a.rego": good})
    policy = rego.compile({"a.rego": good.replace("a\n", "a\n\n# c\n", 1)}, previous=policy)
    assert policy.checked.modules[0].lines
    for text in wrong:
        for sources in (
            {"a.rego": good.replace("a\n", f"a\n\n{text}\n", 1)},
            {"a.rego": f"{good}\n{text}\n"},
            {"a.rego": f"{good}\n{text}\n", **other},
        ):
            with pytest.raises(rego.CompileError) as by_itself:
                rego.compile(sources)
            with pytest.raises(rego.CompileError) as edited:
                rego.compile(sources, previous=policy)
            assert edited.value.errors == by_itself.value.errors


def test_print_goes_where_it_is_told() -> None:
    said: list[tuple[str, int]] = []
    source = 'package a\np if {\n\tprint("hello", input.x)\n}\n'
    policy = rego.compile({"a.rego": source}, printed=lambda text, where: said.append((text, where.row)))
    assert policy.evaluate("data.a.p", {"x": 1}) is True
    assert said == [("hello 1", 3)]


def test_the_plan_of_paths_is_named_by_them(policy: rego.Policy) -> None:
    plan = policy.plan(["data.authz.allow", "data.authz.names"])
    assert isinstance(plan, ir.Policy)
    assert [each.name for each in plan.plans] == ["data.authz.allow", "data.authz.names"]


def test_a_plan_written_as_json_runs_elsewhere(policy: rego.Policy) -> None:
    document = ir_json.dumps(policy.plan(["data.authz.allow"]))
    loaded = rego.load_plan(document, DATA)
    assert loaded.entrypoints == ("data.authz.allow",)
    assert loaded.run("data.authz.allow", {"user": "alice"}) == [{"result": True}]
    with pytest.raises(KeyError, match=r"it has: data\.authz\.allow"):
        loaded.run("authz/allow")


@pytest.mark.parametrize(
    "stmt",
    [
        {"type": "BreakStmt", "stmt": {"index": 7}},
        {"type": "MakeNumberRefStmt", "stmt": {"Index": 9, "target": 2}},
        {"type": "IsDefinedStmt", "stmt": {"source": -1}},
        {"type": "NoStmt", "stmt": {}},
    ],
)
def test_a_plan_that_refers_to_what_it_does_not_have_is_refused(stmt: dict[str, Any]) -> None:
    plan = {"plans": {"plans": [{"name": "p", "blocks": [{"stmts": [stmt]}]}]}}
    with pytest.raises(ir_json.PlanFormatError):
        rego.load_plan(plan)


def test_no_name_in_a_plan_becomes_code() -> None:
    """A plan comes from elsewhere: what it calls is looked up, never written into Python."""
    name = "x(l0)\nimport sys; sys.exit(3)  # "
    call = {"type": "CallStmt", "stmt": {"func": name, "args": [], "result": 2}}
    loaded = rego.load_plan({"plans": {"plans": [{"name": "p", "blocks": [{"stmts": [call]}]}]}})
    with pytest.raises(rego.EvalError, match="no builtin here"):
        loaded.run("p", {})


# Limits -----------------------------------------------------------------------------------------------


LONG = """package long

pairs := [1 | some a in input.xs; some b in input.xs; a == b]

waits if { some a in input.xs; some b in input.xs; a + b == -1 }
"""


def _ended(limits: rego.Limits, path: str, asked: Any) -> rego.EvalError:
    policy = rego.compile({"long.rego": LONG})
    with pytest.raises(rego.EvalError) as raised:
        policy.query(f"{path} = x", asked, limits=limits)
    return raised.value


def test_a_budget_of_steps_ends_an_evaluation() -> None:
    error = _ended(rego.Limits(steps=1000), "data.long.pairs", {"xs": list(range(100))})
    assert error.code == "eval_cancel_error"
    assert "limits.steps" in error.message


def test_a_budget_of_time_ends_an_evaluation_within_one_long_loop() -> None:
    error = _ended(rego.Limits(seconds=0.05), "data.long.waits", {"xs": list(range(100_000))})
    assert error.code == "eval_cancel_error"
    assert "limits.seconds" in error.message


def test_a_budget_of_memory_ends_an_evaluation() -> None:
    error = _ended(rego.Limits(memory=8 << 20), "data.long.pairs", {"xs": [1] * 4000})
    assert error.code == "eval_cancel_error"
    assert "limits.memory" in error.message


def test_a_budget_is_each_querys_own() -> None:
    policy = rego.compile({"long.rego": LONG}, limits=rego.Limits(steps=2000))
    for _ in range(5):
        assert len(policy.evaluate("data.long.pairs", {"xs": list(range(30))})) == 30


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "rule",
    ["p if input.a == input.b", "p contains input.a", "p := json.marshal(input.a)", "p if input.a < input.b"],
)
def test_deep_input_ends_as_an_error(rule: str) -> None:
    """A hundred thousand levels neither crash the interpreter nor escape as a RecursionError."""
    policy = rego.compile({"a.rego": f"package a\n{rule}\n"})
    with pytest.raises(rego.EvalError) as raised:
        policy.evaluate("data.a.p", {"a": _deep(100_000), "b": _deep(100_000)})
    assert raised.value.code == "eval_internal_error"
    assert "nests too deep" in raised.value.message


def test_deep_results_and_deep_data_end_as_errors() -> None:
    policy = rego.compile({"a.rego": "package a\np := input\n"})
    with pytest.raises(rego.EvalError):
        policy.query("data.a.p = x", _deep(100_000))
    with pytest.raises(rego.EvalError):
        rego.compile({}, {"a": _deep(100_000)})


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        rego.Limits(steps=0)


def test_the_path_of_any_names_is_one_that_evaluates() -> None:
    names = ["a", "b-c", "if", "1", 'q"', "ä b", "allow"]
    package = "".join(f"[{json.dumps(name)}]" for name in names[1:-1])
    policy = rego.compile({"a.rego": f"package a{package}\n\nallow := 7\n"})
    assert rego.path_of(names[:3]) == 'data.a["b-c"].if'
    assert policy.evaluate(rego.path_of(names)) == 7
    assert rego.path_of([]) == "data"
