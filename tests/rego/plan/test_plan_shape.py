"""The plan itself: what other readers of the intermediate representation rely on."""

from collections.abc import Iterator
from dataclasses import fields

import pytest

from palisade.rego import ast, ir, ir_json
from palisade.rego.check import check
from palisade.rego.parser import parse_module
from palisade.rego.plan import Entrypoint, PlanError, Planner, plan, rule_entrypoint


def _statements(blocks: tuple[ir.Block, ...]) -> Iterator[ir.AnyStmt]:
    for block in blocks:
        for stmt in block.stmts:
            yield stmt
            for each in fields(stmt):
                value = getattr(stmt, each.name)
                if isinstance(value, ir.Block):
                    yield from _statements((value,))
                elif isinstance(value, tuple) and value and isinstance(value[0], ir.Block):
                    yield from _statements(value)


def _function(policy: ir.Policy, name: str) -> ir.Func:
    return next(func for func in policy.funcs if func.name == name)


def test_a_constant_comparison_is_a_step_and_an_equality_with_the_constant_on_the_right(planned):
    for rule in (
        'p if input.method == "GET"',
        'p if "GET" == input.method',
        'p if { m := "GET"; m == input.method }',
    ):
        policy = planned(f"package a\n{rule}", "x := data.a.p")
        (block, _) = _function(policy, "g0.data.a.p").blocks
        dot, equal, _ = block.stmts
        assert isinstance(dot, ir.DotStmt)
        assert isinstance(equal, ir.EqualStmt)
        assert equal.a == ir.Local(dot.target)
        assert equal.b == ir.StringIndex(policy.strings.index("GET"))


def test_functions_are_named_and_called_as_opa_does(planned):
    policy = planned('package a["b-c"]\np := f(1, 2)\nf(x, y) := x + y', 'x := data.a["b-c"].p')
    func = _function(policy, 'g0.data.a["b-c"].f')
    assert func.path == ("g0", "a", "b-c", "f")
    assert func.params[:2] == (ir.INPUT, ir.DATA)
    assert len(func.params) == 4
    assert func.result not in func.params
    assert policy.builtins == ("plus",)


def test_only_what_the_entry_point_needs_is_planned(planned):
    policy = planned("package a\np := q\nq := 1\nunused := 2", "x := data.a.p")
    assert {func.name for func in policy.funcs} == {"g0.data.a.p", "g0.data.a.q"}


def test_every_statement_knows_the_line_it_comes_from(planned):
    source = """package a

p := x if {
    some x in input.xs
    not x == 1
    y := [z |
        z := x + 1]
    count(y) == 1 with input.q as 5
}
"""
    policy = planned(source, "x := data.a.p")
    stmts = list(_statements(_function(policy, "g0.data.a.p").blocks))
    assert {policy.files[stmt.file] for stmt in stmts} == {"m0.rego"}
    assert {stmt.row for stmt in stmts} == {3, 4, 5, 6, 7, 8}
    (result,) = (stmt for stmt in stmts if isinstance(stmt, ir.AssignVarOnceStmt))
    assert (result.row, result.col) == (3, 1)
    (negation,) = (stmt for stmt in stmts if isinstance(stmt, ir.NotStmt))
    assert (negation.row, negation.col) == (5, 5)


def test_each_branch_reports_its_own_line(planned):
    policy = planned("package a\np := 1 if {\n  input.x\n} else := 2 if {\n  input.y\n}", "x := data.a.p")
    stmts = _statements(_function(policy, "g0.data.a.p").blocks)
    assert [stmt.row for stmt in stmts if isinstance(stmt, ir.AssignVarOnceStmt)] == [2, 4, 2]


def test_a_key_known_only_when_evaluating_is_one_call_by_path(planned):
    tenants = [f"package t.n{i}\nallow := input.x == {i}" for i in range(50)]
    policy = planned([*tenants, "package a\np := data.t[input.tenant].allow"], "x := data.a.p")
    stmts = list(_statements(_function(policy, "g0.data.a.p").blocks))
    (dynamic,) = (stmt for stmt in stmts if isinstance(stmt, ir.CallDynamicStmt))
    assert len(dynamic.path) == 4
    assert not any(isinstance(stmt, ir.CallStmt) for stmt in stmts)
    assert len(policy.funcs) == 51


def test_places_that_replace_the_same_share_the_functions_planned_for_it(planned):
    tests = "\n".join(f"t{i} if {{ q with count as {i} with input.x as {i} }}" for i in range(20))
    rules = " ".join(f"t{i};" for i in range(20))
    policy = planned(
        f"package a\nq := count(input.xs)\n{tests}\nall if {{ {rules} true }}", "x := data.a.all"
    )
    assert sum(func.path[-1] == "q" for func in policy.funcs) == 1


def test_replacing_base_data_or_input_plans_nothing_anew(planned):
    source = "package a\nq := data.k[input.x]\np if { q with data.k as {} with input.x as 1; q }"
    assert {func.path[0] for func in planned(source, "x := data.a.p").funcs} == {"g0"}


def test_print_is_erased_unless_it_is_wanted(planned):
    source = 'package a\np if print("x", input.y)'
    assert planned(source, "x := data.a.p").builtins == ()
    assert planned(source, "x := data.a.p", prints=True).builtins == ("internal.print",)


def test_a_with_of_one_result_closes_before_what_follows(planned):
    policy = planned("package a\nq := input.x\np if { q with input.x as 1; input.y }", "x := data.a.p")
    block = _function(policy, "g0.data.a.p").blocks[0]
    assert [type(stmt) for stmt in block.stmts][1:4] == [ir.WithStmt, ir.DotStmt, ir.NotEqualStmt]


def test_the_entry_point_of_a_rule_shows_its_value_as_the_result():
    checked = check([parse_module("package a.b\np := 1\nq := 2", "m.rego")])
    planner = Planner(checked)
    policy = planner.plan([rule_entrypoint(("a", "b", "p")), rule_entrypoint(("a", "b", "q"), "other")])
    assert [each.name for each in policy.plans] == ["a/b/p", "other"]
    assert "result" in policy.strings
    assert planner.plan([rule_entrypoint(("a", "b", "p"))]) == plan(
        checked, [rule_entrypoint(("a", "b", "p"))]
    )


def test_a_plan_survives_being_written_as_opa_writes_it(planned):
    policy = planned("package a\np[x] := y if { some x, y in input; not y in {1, 2.5} }", "x := data.a.p")
    assert ir_json.loads(ir_json.dumps(policy)) == policy


def test_an_unchecked_tree_is_refused_where_it_stands():
    checked = check([parse_module("package a\np := 1", "m.rego")])
    call = ast.Expression(ast.Call(ast.Var("nope"), ()))
    with pytest.raises(PlanError, match="unknown function nope"):
        plan(checked, [Entrypoint("query", (call,))])
    with pytest.raises(PlanError, match="x has no value"):
        plan(checked, [Entrypoint("query", (ast.Expression(ast.Var("x")),))])
