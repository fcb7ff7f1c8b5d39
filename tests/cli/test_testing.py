"""`palisade test`: what failed and why, for people and for programs, and exit codes that CI can trust."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Run

TESTS = """package palisade.identity_test

import data.palisade.identity

test_open if identity.allow with input as {"parsed_path": ["open"]}

test_closed if {
	allowed := identity.allow with input as {"parsed_path": ["closed"]}
	print("allowed:", allowed)
	allowed == true
}

todo_test_later if false
"""


@pytest.fixture
def tested(project: Path) -> Path:
    (project / "policies" / "allow_test.rego").write_text(TESTS)
    return project


def test_a_test_that_fails_is_shown_with_what_failed(run: Run, tested: Path) -> None:
    ended = run("test", "policies")
    assert ended.code == 1
    head, *rest = ended.out.splitlines()
    assert head.startswith("failed   policies/allow_test.rego:7:1  data.palisade.identity_test.test_closed  ")
    assert rest == [
        '    ✓ allowed := identity.allow with input as {"parsed_path": ["closed"]}',
        '    ✓ print("allowed:", allowed)',
        "    ✗ allowed == true",
        "        allowed is false",
        "    print: allowed: false",
        "3 tests: 1 passed, 1 failed, 1 skipped",
    ]


def test_those_that_pass_are_named_where_it_is_asked_for(run: Run, tested: Path) -> None:
    ended = run("test", "policies", "--run", "open")
    assert (ended.code, ended.out) == (0, "1 test: 1 passed\n")
    assert "passed   policies/allow_test.rego:5:1" in run("test", "policies", "-v").out
    assert run("test", "policies/allow_test.rego", "--run", "later").out == "1 test: 1 skipped\n"


def test_for_programs(run: Run, tested: Path) -> None:
    """As `opa test --format json` has it."""
    passed, failed, skipped = run("test", "policies", "-o", "json").json
    assert passed["name"] == "test_open"
    assert passed["package"] == "data.palisade.identity_test"
    assert passed["location"] == {"file": "policies/allow_test.rego", "row": 5, "col": 1}
    assert passed["duration"] > 0
    assert "fail" not in passed
    assert failed["fail"] is True
    assert failed["printed"] == ["allowed: false"]
    assert failed["failures"] == [
        {
            "location": {"file": "policies/allow_test.rego", "row": 10, "col": 2},
            "text": "allowed == true",
            "values": ["allowed is false"],
        }
    ]
    assert skipped["skip"] is True


def test_that_nothing_was_tested_is_no_success(run: Run, tested: Path) -> None:
    """A folder or a name that is mistyped must not pass in CI."""
    none = run("test", "policies", "--run", "nonsense")
    assert (none.code, "none of 3 tests in policies matches 'nonsense'" in none.err) == (1, True)
    (tested / "policies" / "allow_test.rego").unlink()
    empty = run("test", "policies")
    assert (empty.code, "let the name of its file end in _test.rego" in empty.err) == (1, True)
    assert run("test", "policies", "-o", "json").out == "[]\n"
    assert run("test", "gone").code == 2
    assert run("test", "policies", "--run", "[").code == 2


def test_a_set_with_errors_is_not_tested(run: Run, tested: Path) -> None:
    (tested / "policies" / "b.rego").write_text("package b\n\np if nosuch(1)\n")
    ended = run("test", "policies")
    assert ended.code == 1
    assert "policies/b.rego:3:6" in ended.err
    assert "no test was run" in ended.err


def test_an_inventory_stands_for_its_policies(run: Run, tested: Path) -> None:
    """It was read as a document of no folder, and had no tests; and it says itself in which Rego they are."""
    for arguments in ((), ("palisade.yaml",), ("-f", "palisade.yaml")):
        assert run("test", *arguments, "--run", "open").out == "1 test: 1 passed\n"
    assert run("test", "--v0-compatible").code == 2
    assert run("test", "policies", "-f", "palisade.yaml").code == 2
    (tested / "policies" / "allow.rego").write_text(
        "package palisade.identity\n\nallow { input.parsed_path }\n"
    )
    (tested / "policies" / "allow_test.rego").write_text("package a\n\ntest_older { 1 == 1 }\n")
    assert run("test").code == 1
    settings = (tested / "palisade.yaml").read_text()
    (tested / "palisade.yaml").write_text(f"{settings}rego: v0\n")
    assert run("test").out == "1 test: 1 passed\n"
