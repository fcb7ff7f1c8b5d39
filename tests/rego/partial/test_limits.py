"""What is too much for partial evaluation is left to the evaluator, rule by rule, and is never an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import pytest

from palisade import rego
from palisade.rego import ir
from palisade.rego.partial import evaluate
from palisade.rego.partial.execution import blocks, collecting, failures, flow, outcome
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, Formula

AnyOf: TypeAlias = Callable[[Builder, Iterable[Formula]], Formula]


def test_a_rule_that_loops_long_is_left_to_the_evaluator_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "MAX_OF_RULE", 40_000)
    loops = "count([1 | some i in numbers.range(1, 220); some j in numbers.range(1, 220); i * j == 7]) == 2"
    policy = rego.compile({"p.rego": f'package p\n\np if {loops}\n\np if input.x == "a"\n'})
    outcome = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    long, short = (case for case in outcome.cases if case.value is not None)
    assert "too much work" in str(long.condition)
    assert not short.condition.opaque


def test_a_rule_that_is_too_much_is_not_followed_anew_in_each_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the rules before it add to a set, or do not, there are many states, and each time it took as
    long to find out: a policy of two lines took two minutes."""
    spent = 0
    spend = collecting.Collecting._spend

    def counting(self: collecting.Collecting, statements: int) -> None:
        nonlocal spent
        spent += statements
        spend(self, statements)

    monkeypatch.setattr(collecting.Collecting, "_spend", counting)
    monkeypatch.setattr(failures, "MAX_OF_RULE", 20_000)
    first = 'p contains [x, y] if { x := object.get(input, "a", "n"); y := object.get(input, "b", "n") }'
    loops = "count([1 | some i in numbers.range(1, 220); some j in numbers.range(1, 220); i * j == 7]) == 2"
    policy = rego.compile({"p.rego": f'package p\n\n{first}\n\np contains "x" if {{ input.y; {loops} }}\n'})
    outcome = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    assert any("too much work" in str(case.condition) for case in outcome.cases)
    assert any(not case.condition.opaque for case in outcome.cases)
    assert spent < 3 * 20_000


def test_the_rows_of_a_table_are_followed_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were followed twice, first as if each gave a value of its own: with ten thousand of them that was
    too much, and every request was the engine's."""
    monkeypatch.setattr(failures, "MAX_OF_RULE", 2_500)
    rows = [{"path": f"/{at}", "role": f"r{at}"} for at in range(200)]
    rule = "p if {\n\tsome row in data.rows\n\trow.path == input.path\n\trow.role in input.roles\n}"
    policy = rego.compile({"p.rego": f"package p\n\n{rule}\n"}, {"rows": rows})
    outcome = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    assert not any(case.condition.opaque for case in outcome.cases)


def test_each_statement_of_a_long_rule_is_looked_at_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """What those behind a statement need was found out anew for each: a rule of a thousand negations took
    1.4 s, and one of four thousand half a minute."""
    looked_at = 0
    read = flow.read

    def counting(stmt: ir.AnyStmt) -> list[int]:
        nonlocal looked_at
        looked_at += 1
        return read(stmt)

    monkeypatch.setattr(flow, "read", counting)
    body = "\n".join(f'\tnot startswith(input.x, "/{at}/")' for at in range(300))
    policy = rego.compile({"p.rego": f"package p\n\np if {{\n{body}\n}}\n"})
    found = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    assert not any(case.condition.opaque for case in found.cases)
    assert 300 <= looked_at < 10 * 300


def test_what_takes_long_to_look_through_counts_for_more_than_its_statements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reasons with statuses of their own, over a table of routes, took a minute for as many statements as
    others for which two seconds are enough, and were the engine's then all the same."""
    monkeypatch.setattr(failures, "MAX_OF_RULE", 50_000)
    ways = '{ input.a# in {"x", "y"}; input.b# }', '{ input.b#; input.c# == "u" }', "{ input.d# }"
    rule = "r# := 1 if # else := 2 if # else := 3 if #".replace("#", "{}")
    rules = [rule.format(at, *(way.replace("#", str(at)) for way in ways)) for at in range(5)]
    policy = rego.compile({"p.rego": "\n\n".join(["package p", *rules, "p := [r0, r1, r2, r3, r4]"])})
    found = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    assert "too much work" in "".join(str(case.condition) for case in found.cases)


@pytest.mark.parametrize(
    "rules",
    [
        [f"a{at} if {{\n\tinput.x{at}\n\ta{at + 1}\n}}" for at in range(300)],
        [f"a{at} if {{\n\tinput.x{at}\n\tnot a{at + 1}\n}}" for at in range(300)],
        [f"a{at} if f{at}(input.x)\n\nf{at}(x) if a{at + 1}\n\nf{at}(x) if x" for at in range(150)],
    ],
    ids=["rules", "negations", "functions"],
)
def test_rules_that_call_one_another_too_deep_are_left_to_the_evaluator(rules: list[str]) -> None:
    """Following them took more of Python's stack than there is, which ended compiling in an error."""
    last = f"a{len(rules)} := true"
    policy = rego.compile(
        {"p.rego": "\n\n".join(["package t", *rules, last, "p if a0", 'p if input.y == "a"'])}
    )
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    deep, other = (case for case in outcome.cases if case.value is not None)
    assert "too many levels deep" in str(deep.condition)
    assert not other.condition.opaque


def test_values_of_which_nothing_is_known_do_not_double_with_each_rule() -> None:
    """Rules each of which tells two values of the last from each other took all memory, and later half a
    minute, where the last was too deep to be followed: each had twice as many unknown values as the last."""
    rules = [f"a{at} := a{at + 1} != (input.x{at} == 1)" for at in range(50)]
    policy = rego.compile({"p.rego": "\n\n".join(["package t", *rules, "a50 := true", "p if a0"])})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    assert any(case.condition.opaque for case in outcome.cases)
    assert outcome.builder.size < 1_000


def test_values_that_double_with_each_rule_are_left_to_the_evaluator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has both values of the last with either of its own. The limit is that of any states, and lower."""
    monkeypatch.setattr(blocks, "MAX_STATES", 1_000)
    rules = [f"a{at} := [a{at + 1}, input.x{at} == 1]" for at in range(38)]
    asked = ("a38 := true", "p if a0[1]", 'p if input.y == "a"')
    policy = rego.compile({"p.rego": "\n\n".join(["package t", *rules, *asked])})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    doubled, other = (case for case in outcome.cases if case.value is not None)
    assert "too many different outcomes" in str(doubled.condition)
    assert not other.condition.opaque


def test_two_tables_that_are_joined_take_no_more_work_than_may_be_left_of_them() -> None:
    """Each pair of a user and a document was made before they were counted: of two tables of thousands, all
    millions of them."""
    data = {
        "users": {f"u{at}": {"level": at} for at in range(300)},
        "documents": {f"d{at}": {"level": at} for at in range(600)},
    }
    rules = (
        "user := data.users[input.user]",
        "document := data.documents[input.document]",
        "p if user.level >= document.level",
        'p if input.x == "a"',
    )
    policy = rego.compile({"p.rego": "\n\n".join(["package p", *rules])}, data)
    outcome = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    joined, other = (case for case in outcome.cases if case.value is not None)
    assert "too many different outcomes" in str(joined.condition)
    assert not other.condition.opaque
    assert outcome.builder.size < 60_000 + 300 + 600


def test_answers_of_rules_that_exclude_each_other_are_no_conflicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule was looked at with all before it for each that may conflict: five hundred routes with an
    answer for each took 10 s of a processor, and as long after each edit."""
    count = 120
    rules = [
        f'p := {{"allowed": false, "http_status": {at}}} if input.path == "/{at}"' for at in range(count)
    ]
    policy = rego.compile({"p.rego": "\n".join(["package t", *rules])})
    looked_at = 0

    def counted(builder: Builder, parts: Iterable[Formula], any_of: AnyOf = Builder.any) -> Formula:
        nonlocal looked_at
        parts = tuple(parts)
        looked_at += len(parts)
        return any_of(builder, parts)

    monkeypatch.setattr(Builder, "any", counted)
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    assert outcome.error is FALSE
    assert len([case for case in outcome.cases if case.value is not None]) == count
    assert looked_at < 5 * count * count


CHAINED = """package p

user := data.users[input.name]

allow if {
	user.active
	some role in user.roles
	input.method in data.roles[role]
	input.project in user.projects
}

allow := true if {
	input.key in data.keys
	not input.late
} else := null if input.tired
"""


def test_conditions_of_too_many_parts_are_left_to_the_evaluator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether two values conflict, of users each of whom is a case, was a condition of millions of parts,
    which took a minute to lower."""
    users = {
        f"u{at}": {"active": at % 3 > 0, "roles": [f"r{at % 5}"], "projects": [f"p{at % 40}"]}
        for at in range(60)
    }
    data = {"users": users, "roles": {f"r{at}": ["GET", "PUT"][: at % 3] for at in range(5)}, "keys": ["k"]}
    policy = rego.compile({"p.rego": CHAINED}, data=data)
    plan = policy.plan(["data.p.allow"])
    whole = evaluate(plan, ("p", "allow"), policy.data)
    assert not whole.error.opaque
    monkeypatch.setattr(outcome, "MOST_PARTS", whole.builder.parts)
    again = evaluate(plan, ("p", "allow"), policy.data)
    assert not any(each.opaque for each in (again.error, *(case.condition for case in again.cases)))
    monkeypatch.setattr(outcome, "MOST_PARTS", 500)
    short = evaluate(plan, ("p", "allow"), policy.data)
    assert "too much work" in str(short.error)
    kept = [case for case in short.cases if not case.condition.opaque]
    assert len(kept) > 1
    assert len(short.cases) == len(whole.cases)
    for one, other in zip(short.cases, whole.cases, strict=True):
        assert one.value == other.value
        assert one.condition.opaque or str(one.condition) == str(other.condition)
