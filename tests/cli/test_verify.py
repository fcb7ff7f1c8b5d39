"""`palisade verify`: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Run

from palisade.enforce.envoy.conditions import atoms
from palisade.enforce.envoy.matchers import bounds

POLICY = """package p

import input.attributes.request.http

default allow := false

allow if input.identity.claims.sub != "mallory"
allow if http.method == data.methods[_]
"""
PROVIDERS = """package palisade.identity

providers := {"corp": {"issuer": "https://corp.example", "audiences": ["orders"]}}
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "p.rego").write_text(POLICY)
    (folder / "providers.rego").write_text(PROVIDERS)
    (folder / "data.json").write_text('{"methods": ["GET"]}')
    return folder


def test_no_difference(run: Run, policies: Path) -> None:
    result = run("verify", str(policies), "--decision", "p/allow", "--examples", "200", "--seed", "1")
    assert result.code == 0
    assert re.search(r"function: no difference in \d+ pairs in [\d.]+ s, [\d,]+ a second", result.out)
    assert re.search(r"\d+ over HTTP/1.1, \d+ over HTTP/2, \d+ over gRPC", result.out)


def test_the_only_allow_decides_where_none_is_named(run: Run, policies: Path) -> None:
    """As for `palisade compile` and `explain`: it was refused, and had to be named here alone."""
    assert run("verify", str(policies), "--examples", "20", "--seed", "1").code == 0
    (policies / "q.rego").write_text("package q\n\nallow := true\n")
    refused = run("verify", str(policies))
    assert refused.code == 2
    assert "p/allow, q/allow" in refused.err


@pytest.mark.long
def test_nothing_is_left_in_the_folder_of_the_user(policies: Path, tmp_path: Path) -> None:
    """What draws the requests keeps tables from run to run, and would keep them where it is run."""
    caches, here = tmp_path / "caches", tmp_path / "here"
    here.mkdir()
    environment = {each: os.environ[each] for each in os.environ if each != "HYPOTHESIS_STORAGE_DIRECTORY"}
    program = str(Path(sys.executable).with_name("palisade"))
    subprocess.run(
        [program, "verify", str(policies), "--decision", "p/allow", "--examples", "400", "--seed", "1"],
        cwd=here,
        env={**environment, "XDG_CACHE_HOME": str(caches)},
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert list(here.iterdir()) == []
    assert (caches / "palisade" / "hypothesis").is_dir(), "kept elsewhere, so that the next run is fast"


def test_an_inventory_may_stand_where_a_policy_set_does(run: Run, policies: Path) -> None:
    """As for `check` and `compile`: it was read as a policy set without a rule."""
    file = policies.parent / "palisade.yaml"
    function = "{upstream: 127.0.0.1:1, listen: 127.0.0.1:2}"
    file.write_text(f"policies: ./policies\ndecision: p/allow\nfunctions:\n  orders: {function}\n")
    result = run("verify", str(file), "--examples", "50", "--seed", "1")
    assert result.code == 0
    assert "orders: no difference in" in result.out


def test_where_nothing_was_compared_nothing_is_known(run: Run, policies: Path) -> None:
    """A pipeline with too little time for its policies was told that there is no difference in 0 pairs."""
    result = run("verify", str(policies), "--decision", "p/allow", "--seconds", "0.1")
    assert " 0 pairs" not in result.out
    if "no difference in" in result.out:  # a fast machine
        assert result.code == 0
    else:
        assert result.code == 4
        assert "no request was compared in the time given" in result.err
        assert "--seconds" in result.err


def test_the_same_for_programs(run: Run, policies: Path, tmp_path: Path) -> None:
    """Of every function of an inventory; more documents may stand beside the set's own."""
    (tmp_path / "palisade.yaml").write_text(
        "policies: ./policies\ndecision: p/allow\nfunctions:\n"
        "  a: {upstream: 127.0.0.1:1, listen: 127.0.0.1:2}\n"
        "  b: {upstream: 127.0.0.1:3, listen: 127.0.0.1:4}\n"
    )
    (tmp_path / "more.yaml").write_text("more: [a]\n")
    result = run(
        *("verify", "-f", str(tmp_path / "palisade.yaml"), "-d", str(tmp_path / "more.yaml")),
        *("--examples", "80", "--seed", "1", "-o", "json"),
    )
    assert result.code == 0
    found = json.loads(result.out)
    assert [each["function"] for each in found["functions"]] == ["a", "b"]
    assert all(each["difference"] is None and each["pairs"] for each in found["functions"])
    assert all(sum(each["protocols"].values()) == each["pairs"] for each in found["functions"])


def test_callers_show_certificates_where_a_policy_asks_who_calls(
    run: Run, policies: Path, tmp_path: Path
) -> None:
    """And where a function has no TLS, so that it can know nobody, that is said."""
    (policies / "p.rego").write_text(POLICY + 'allow if startswith(input.peer, "spiffe://a/")\n')
    options = ("--examples", "80", "--seed", "1")
    ended = run("verify", str(policies), "--decision", "p/allow", *options)
    assert ended.code == 0
    assert re.search(r"\d+ with a certificate of who calls", ended.out)
    (tmp_path / "palisade.yaml").write_text(
        "policies: ./policies\ndecision: p/allow\nfunctions:\n"
        "  a: {upstream: 127.0.0.1:1, listen: 127.0.0.1:2}\n"
        "  b: {upstream: 127.0.0.1:3, listen: 127.0.0.1:4, tls: {client_certificate: required}}\n"
    )
    inventory = ("verify", "-f", str(tmp_path / "palisade.yaml"), *options)
    assert "nobody shows this function a certificate" in run(*inventory, "--function", "a").out
    found = run(*inventory, "-o", "json").json["functions"]
    assert [(each["function"], each["callers"] > 0) for each in found] == [("a", False), ("b", True)]


def test_requests_that_end_in_an_error_of_the_policy_are_told(run: Run, policies: Path) -> None:
    """They are denied by both, which is no difference, and hardly meant."""
    (policies / "p.rego").write_text(
        'package p\n\nallow := true\n\nallow := false if input.parsed_path[0] == "a"\n'
    )
    options = ("verify", str(policies), "--decision", "p/allow", "--examples", "200", "--seed", "1")
    ended = run(*options)
    assert ended.code == 0
    error = r"eval_conflict_error: .*p.rego:5: complete rules must not produce multiple outputs"
    assert re.search(rf"\d+ requests end in an error of the policy, and are denied: {error}", ended.out)
    assert re.search(r"        curl -i --path-as-is .*/a'?$", ended.out, re.M)
    (found,) = run(*options, "-o", "json").json["functions"]
    ((told, requests),) = found["errors"].items()
    assert re.fullmatch(error, told)
    assert requests > 0


def test_a_difference_can_be_pasted(run: Run, policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a fault in the compiler: the smallest request, and the command that tells what is right."""
    monkeypatch.setattr(atoms.Atoms, "_defined", lambda self, atom: bounds.ALWAYS)
    result = run("verify", str(policies), "--decision", "p/allow", "--seed", "1")
    assert result.code == 1
    head, curl, *rest = result.out.splitlines()
    assert head.startswith("function: Envoy allows it, and the evaluator decides to deny it with 403")
    assert curl.strip().startswith("curl -i --path-as-is -X ")
    (pasted,) = (line for line in rest if "palisade eval" in line)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    answer = subprocess.run(
        ["sh", "-c", pasted], check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert json.loads(answer.stdout)["result"][0]["expressions"][0]["value"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        ([], "which policies?"),
        (["{policies}", "-f", "x.yaml"], "leave one of the two out"),
        (["{policies}", "--decision", "p/alow"], "did you mean 'p/allow'?"),
        (["{policies}", "-d", "nowhere.json"], "nowhere.json does not exist"),
        (["{policies}", "--function", "a", "--function", "b"], "one function is called"),
    ],
)
def test_wrong_usage(
    run: Run, policies: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(policies)
    result = run("verify", *(each.replace("{policies}", str(policies)) for each in arguments))
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize("package", ["hypothesis", "h2"])
def test_without_a_package(run: Run, policies: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, package, missing)
    result = run("verify", str(policies))
    assert result.code == 4
    assert f"needs the package {package}" in result.err
    assert "pip install 'palisade[verify]'" in result.err
