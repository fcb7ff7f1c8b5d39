"""`palisade diff`: what it compares, how it prints what it finds, and how it ends."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import pytest
from cli_helpers import ALLOW, SETTINGS, Run

from palisade.control.engine import Engine


@pytest.fixture
def following(project: Path) -> Path:
    """A set beside the project's that allows another path."""
    (project / "next").mkdir()
    (project / "next" / "allow.rego").write_text(ALLOW.replace('"open"', '"opened"'))
    return project / "next"


def test_two_folders_are_told_apart_by_their_smallest_requests(run: Run, following: Path) -> None:
    ended = run("diff", "policies", "next", "--examples", "500")
    assert ended.code == 1
    assert ended.out.splitlines()[:4] == [
        "GET /open  to hello",
        "    old      allow            policies/allow.rego:7",
        "    new      deny with 403    next/allow.rego:5",
        "    palisade explain 'GET /open' --function hello",
    ]
    assert "2 differences in" in ended.out


def test_equal_sets_have_no_difference(run: Run, project: Path) -> None:
    ended = run("diff", "policies", "policies", "--examples", "200")
    assert ended.code == 0
    assert ended.out.startswith("no difference in")


def test_programs_get_json(run: Run, following: Path) -> None:
    ended = run("diff", "policies", "next", "--examples", "500", "-o", "json")
    assert ended.code == 1
    [function] = ended.json["functions"]
    first = function["differences"][0]
    assert (first["request"]["method"], first["request"]["target"]) == ("GET", "/open")
    assert (first["old"]["allowed"], first["new"]["allowed"]) == (True, False)
    assert first["new"]["rule"] == "next/allow.rego:5"
    assert first["input"]["parsed_path"] == ["open"]


def test_callers_show_certificates_where_no_inventory_says_otherwise(run: Run, following: Path) -> None:
    """A change for one caller was no difference, as nobody showed any."""
    for folder, caller in (("policies", "spiffe://a/b"), ("next", "spiffe://a/c")):
        rule = f'package palisade.identity\n\nallow if input.peer == "{caller}"\n'
        (following.parent / folder / "allow.rego").write_text(rule)
    assert run("diff", "policies", "next", "--examples", "500").code == 0, "the function here has no tls"
    (following.parent / "palisade.yaml").unlink()
    ended = run("diff", "policies", "next", "--examples", "500")
    assert ended.code == 1
    callers = [line.split()[1] for line in ended.out.splitlines() if line.startswith("    caller")]
    assert callers == ["spiffe://a/b", "spiffe://a/c"]
    assert "explain -f next 'GET /' --function function --caller spiffe://a/b\n" in ended.out


def test_tokens_that_cannot_be_made_are_told(run: Run, following: Path) -> None:
    for folder in ("policies", "next"):
        call = "io.jwt.verify_rs256(input.parsed_query.t[0], input.function)"
        rule = f"package palisade.identity\n\nallow if {call}\n"
        (following.parent / folder / "allow.rego").write_text(rule)
    ended = run("diff", "policies", "next", "--examples", "200")
    assert ended.code == 0
    assert ended.out.startswith("tokens: not made")


def test_each_function_is_asked_about_where_rules_look_at_it(run: Run, following: Path) -> None:
    (following.parent / "palisade.yaml").write_text(
        SETTINGS.replace("}}", "}, orders: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0}}")
    )
    rule = '\nallow if {\n\tinput.function == "orders"\n\tinput.parsed_path == ["more"]\n}\n'
    (following / "allow.rego").write_text(ALLOW + rule)
    ended = run("diff", "policies", "next", "--examples", "500")
    assert "GET /more  to orders" in ended.out
    assert "to hello" not in ended.out
    assert run("diff", "policies", "next", "--examples", "300", "--function", "hello").code == 0


def test_a_revision_of_the_history_is_compared_by_its_id(run: Run, following: Path) -> None:
    async def once() -> str:
        async with Engine(following.parent / "palisade.yaml") as engine:
            assert engine.deployment is not None
            return engine.deployment.id

    (following.parent / "palisade.yaml").write_text(
        SETTINGS + "engine: {listen: 127.0.0.1:0, admin: 127.0.0.1:0}\ndecision_log: {path: log}\n"
    )
    kept = asyncio.run(once())
    (following.parent / "policies" / "allow.rego").write_text(ALLOW.replace('"open"', '"opened"'))
    assert run("diff", kept[:8], "next", "--examples", "500").code == 1
    assert run("diff", "policies", "next", "--examples", "500").code == 0


def test_wrong_usage_is_named(run: Run, project: Path) -> None:
    assert "compare what with what?" in run("diff", "policies").err
    unknown = run("diff", "policies", "nowhere")
    assert unknown.code == 2
    assert "nowhere is no folder, and no revision is kept yet" in unknown.err
    assert run("diff", "policies", "policies", "--live").code == 2
    assert run("diff", "policies", "policies", "--function", "helo").code == 2
    (project / "policies" / "allow.rego").write_text("package palisade.identity\nallow if x\n")
    broken = run("diff", "policies", "policies")
    assert broken.code == 2
    assert "policies/allow.rego:2:10: rego_unsafe_var_error" in broken.err


def test_policies_without_an_inventory_need_none(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, status in (("a.rego", 401), ("b.rego", 403)):
        text = f'package envoy.authz\n\ndefault allow := {{"allowed": false, "http_status": {status}}}\n'
        (tmp_path / name).write_text(text)
    ended = run("diff", "a.rego", "b.rego", "--decision", "envoy/authz/allow", "--examples", "200")
    assert ended.code == 1
    assert "old      deny with 401    a.rego:3" in ended.out


def test_the_older_set_says_which_rule_decides_where_nothing_names_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """compile, verify and explain took the only rule called allow; diff asked for --decision."""
    monkeypatch.chdir(tmp_path)

    def one(name: str, package: str, path: str) -> None:
        rule = f'package {package}\n\nallow if input.parsed_path == ["{path}"]\n'
        (tmp_path / name).write_text(rule)

    one("a.rego", "envoy.authz", "a")
    one("b.rego", "envoy.authz", "b")
    ended = run("diff", "a.rego", "b.rego", "--examples", "200")
    assert (ended.code, ended.out.splitlines()[0]) == (1, "GET /a  to function")
    explain = shlex.split(next(line for line in ended.out.splitlines() if "palisade explain" in line))
    explained = run(*explain[1:])  # without palisade.yaml the command names what it reads
    assert (explained.code, "b.rego:3" in explained.out) == (1, True)
    one("b.rego", "envoy.moved", "a")
    moved = run("diff", "a.rego", "b.rego", "--examples", "200")
    assert (moved.code, "no rule defines envoy/authz/allow" in moved.err) == (2, True)
    one("b.rego", "palisade.identity", "a")
    assert run("diff", "a.rego", "b.rego", "--examples", "200").code == 2
    assert run("diff", "b.rego", "a.rego", "--examples", "200").code == 2
