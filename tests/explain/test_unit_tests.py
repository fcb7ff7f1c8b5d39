"""The tests of a policy set: each is run alone, and none passes in silence that should not."""

from __future__ import annotations

from pathlib import Path

import pytest

from palisade.explain.unit_tests import Ended, Outcome, Suite
from palisade.policy import sets
from palisade.rego.errors import CompileError

POLICY = "package p\n\ndefault allow := false\n\nallow if input.n > data.least\n"


def run(folder: Path, tests: str) -> dict[str, Ended]:
    """What became of each test, by its name."""
    (folder / "p.rego").write_text(POLICY)
    (folder / "p_test.rego").write_text(f"package p_test\n\nimport data.p\n\n{tests}")
    (folder / "data.json").write_text('{"least": 1}')
    suite = Suite.of(sets.load(folder, shown="policies"))
    return {each.path[-1]: suite.run(each) for each in suite.tests}


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ('test_a if p.allow with input as {"n": 2}', Outcome.PASSED),
        ("test_a if p.allow with input.n as 1 with data.least as 0", Outcome.PASSED),
        ("test_a if p.allow", Outcome.FAILED),
        ("test_a if not p.allow", Outcome.PASSED),
        ("test_a := p.allow", Outcome.FAILED),
        ("test_a := 1", Outcome.FAILED),
        ("test_a if p.nothing", Outcome.FAILED),
        ("default test_a := false\ntest_a if p.allow with input.n as 2", Outcome.PASSED),
        ("default test_a := false\ntest_a if p.allow", Outcome.FAILED),
        ("test_a if false\nelse if p.allow with input.n as 2", Outcome.PASSED),
        ("test_a if true\n\ntest_a if false", Outcome.FAILED),
        ("test_a if true\n\ntest_a if 1 == 1", Outcome.PASSED),
        ("test_a := 1 if true\n\ntest_a := 2 if true", Outcome.ERROR),
        ("todo_test_a if p.allow", Outcome.SKIPPED),
    ],
)
def test_what_becomes_of_a_test(tmp_path: Path, test: str, outcome: Outcome) -> None:
    [ended] = run(tmp_path, test).values()
    assert ended.outcome is outcome
    assert bool(ended.error) is (outcome is Outcome.ERROR)


@pytest.mark.parametrize(
    "test",
    [
        'test_a[name] if { some name, n in {"x": 1, "y": 2}; p.allow with input.n as n }',
        'test_a[name] := ok if { some name, n in {"x": 1}; got := p.none with input.n as n; ok := got == 1 }',
        "test_a contains x if some x in [1]",
        "test_a.b := true",
    ],
)
def test_what_would_miss_a_case_that_fails_is_refused(tmp_path: Path, test: str) -> None:
    """Such a case is undefined, and so in no set and no object: the others would pass for all."""
    [ended] = run(tmp_path, test).values()
    assert ended.outcome is Outcome.ERROR
    assert "`every`" in ended.error


def test_functions_are_no_tests(tmp_path: Path) -> None:
    found = run(tmp_path, "test_a if helper(1)\n\nhelper(x) if x == 1\n\ntest_f(x) if x == 1\n")
    assert list(found) == ["test_a"]


def test_tests_stand_in_any_file_and_behind_other_names(tmp_path: Path) -> None:
    """As `opa test` finds them: those in the file of the policy itself were run by nothing, in silence."""
    run(tmp_path, "test_a if true\n\nreaders.test_b if false\n\nreaders.other if false\n")
    (tmp_path / "p.rego").write_text(f"{POLICY}\ntest_c if allow\n\ntodo_test_d if allow\n")
    suite = Suite.of(sets.load(tmp_path))
    assert {each.name: suite.run(each).outcome for each in suite.tests} == {
        "data.p.test_c": Outcome.FAILED,
        "data.p.todo_test_d": Outcome.SKIPPED,
        "data.p_test.test_a": Outcome.PASSED,
        "data.p_test.readers.test_b": Outcome.FAILED,
    }


def test_a_failed_test_tells_which_expressions_failed(tmp_path: Path) -> None:
    body = '\tgot := p.allow with input.n as 0\n\tprint("got", got)\n\tgot == true\n'
    ended = run(tmp_path, f"test_a if {{\n{body}}}\n")["test_a"]
    [account] = ended.accounts
    assert [(each.text, each.held) for each in account.expressions if each.held is False] == [
        ("got == true", False)
    ]
    assert [(each.text, each.value) for each in account.expressions[-1].seen] == [("got", False)]
    assert str(account.expressions[-1].location) == "policies/p_test.rego:8:2"
    assert ended.printed == ("got false",)


def test_of_several_rules_each_is_a_test(tmp_path: Path) -> None:
    """Their value is true where one of them holds."""
    [account] = run(tmp_path, "test_a if true\n\ntest_a if 1 == 2\n")["test_a"].accounts
    assert account.location.row == 7


def test_tests_reach_no_host(tmp_path: Path) -> None:
    source = 'test_a if http.send({"method": "get", "url": "http://127.0.0.1:1", "raise_error": false})'
    assert run(tmp_path, source)["test_a"].outcome is not Outcome.PASSED
    replaced = f'{source}.status_code == 200 with http.send as {{"status_code": 200}}'
    assert run(tmp_path, replaced)["test_a"].outcome is Outcome.PASSED


def test_a_set_with_errors_has_no_tests(tmp_path: Path) -> None:
    with pytest.raises(CompileError):
        run(tmp_path, "test_a if nosuch(1)")
