"""`palisade compile`: what it prints is what Envoy takes, and its exit code is for CI."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import ALLOW, Run
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from palisade.cli import yaml_text

RESIDUAL = ALLOW + '\nallow if crypto.sha256(input.attributes.request.http.path) == "a"\n'
OTHERS = (
    "policies: ./policies\nfunctions:\n"
    "  a: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0}\n  b: {upstream: 127.0.0.1:8, listen: 127.0.0.1:0}\n"
)


def read(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def test_yaml_is_what_the_engine_would_send(run: Run, project: Path) -> None:
    ended = run("compile")
    assert ended.code == 0
    [document] = read(ended.out)
    names = [each["name"] for each in document["resources"]]
    slots = ("identity", "attributes", "captures", "native", "body", "told", "residual")
    assert names == [f"palisade.{slot}" for slot in slots]
    assert ParseDict(document, DiscoveryResponse()) == ParseDict(
        run("compile", "-o", "json").json["functions"]["hello"]["resources"], DiscoveryResponse()
    )
    assert "palisade.native" in ended.err
    assert "coverage for hello: 1 native" in ended.err
    assert "https://corp.example/.well-known" not in ended.err
    assert "keys of provider corp by https://corp.example/keys" in ended.err


@pytest.mark.parametrize("body", [False, True])
def test_sizes_are_of_what_decides(run: Run, project: Path, body: bool) -> None:
    """Other slots hold filters of the same kind, which are empty: one was counted in place of it. Where a
    body is read, what decides stands in such a slot, too."""
    source = "input.parsed_body.name" if body else 'input.attributes.request.http.headers["x-name"]'
    rules = "".join(f'\nallow if {source} == "n{number}"\n' for number in range(50))
    (project / "policies" / "allow.rego").write_text(ALLOW + rules)
    found = run("compile", "-o", "json").json["functions"]["hello"]["sizes"]["matcher"]
    assert found["entries"] + found["comparisons"] >= 50
    assert found["depth"] >= 1


def test_every_function_has_a_document_of_its_own(run: Run, project: Path) -> None:
    (project / "palisade.yaml").write_text(OTHERS)
    assert len(read(run("compile").out)) == 2
    assert len(read(run("compile", "--function", "b").out)) == 1
    assert run("compile", "--coverage").out.count("coverage for a, b: ") == 1  # told once, as it is the same
    refused = run("compile", "--function", "c")
    assert (refused.code, "no function 'c'" in refused.err) == (2, True)
    refused = run("compile", "--output", "protobuf")
    assert (refused.code, "one of a, b" in refused.err) == (2, True)


def test_envoy_takes_what_is_written(run: Run, project: Path) -> None:
    """The files are responses as Envoy reads them; their filters are valid in a static listener."""
    key = '{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
    keys = f'"jwks": {{"keys": [{key}]}}'
    (project / "policies" / "allow.rego").write_text(
        RESIDUAL.replace('"jwks_uri": "https://corp.example/keys"', keys)
    )
    ended = run("compile", "--out", "made")
    assert (ended.code, ended.out) == (0, "")
    filters = []
    for name in ("identity", "attributes", "native", "residual"):
        file = project / "made" / "hello" / f"palisade.{name}.pb"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        [resource] = DiscoveryResponse.FromString(file.read_bytes()).resources
        assert resource.type_url.endswith(".TypedExtensionConfig")
    [document] = read(run("compile").out)
    for each in document["resources"]:
        filters.append({"name": each["name"], "typed_config": each["typed_config"]})
    checked = _validate(filters, project)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _validate(filters: list[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    kinds = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "router", "typed_config": {"@type": f"{kinds}.http.router.v3.Router"}}
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"virtual_hosts": []},
        "http_filters": [*filters, router],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {
        "address": address,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    clusters = [{"name": "palisade_residual", "load_assignment": {"cluster_name": "palisade_residual"}}]
    config = folder / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}}))
    binary = shutil.which("envoy", path=str(Path(sys.executable).parent))
    assert binary is not None
    return subprocess.run(
        [binary, "--mode", "validate", "-c", str(config)], capture_output=True, text=True, timeout=60
    )


def test_protobuf_is_one_response(run: Run, project: Path) -> None:
    command = [str(Path(sys.executable).with_name("palisade")), "compile", "-o", "protobuf"]
    ended = subprocess.run(command, capture_output=True, timeout=60, cwd=project, check=True)
    assert len(DiscoveryResponse.FromString(ended.stdout).resources) == 7
    assert run("compile", "-o", "protobuf", "--coverage").code == 2


def test_the_coverage_report_alone(run: Run, project: Path) -> None:
    (project / "policies" / "allow.rego").write_text(RESIDUAL)
    ended = run("compile", "--coverage")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "coverage for hello: 1 native, 2 conditional, 1 residual"
    at = lines.index("residual    policies/allow.rego:20:1  " + RESIDUAL.splitlines()[-1])
    assert lines[at + 1 : at + 5] == [
        "    policies/allow.rego:20:10: residual: calls crypto.sha256 on what the request brings",
        "        " + RESIDUAL.splitlines()[-1],
        "                 ^",
        "        compare the value itself; or let the issuer put the digest into a claim",
    ]
    shown = run("compile", "--coverage", "--output", "json").json["functions"]["hello"]
    assert "resources" not in shown
    assert shown["coverage"]["residual"] == 1
    [reason] = shown["coverage"]["rules"][3]["reasons"]
    assert reason["location"] == {"file": "policies/allow.rego", "row": 20, "col": 10}
    assert reason["expression"].startswith("crypto.sha256(")
    assert shown["sizes"]["slots"]["palisade.native"] < shown["sizes"]["total"]


def test_of_many_rules_it_is_told_what_keeps_how_many_from_envoy(run: Run, project: Path) -> None:
    """Which of two reasons is worth to be mended, nobody sees by reading hundreds of rules."""
    rule = 'allow if {{\n\tinput.parsed_path == ["a{0}"]\n\t{1}\n}}\n'
    digest = 'crypto.sha256(input.attributes.request.http.path) == "{0}"'
    rules = [rule.format(n, digest.format(n)) for n in range(30)]
    rules += [rule.format(n, f'input.parsed_query.page[0] == "{n}"') for n in range(30, 42)]
    file = project / "policies" / "allow.rego"
    file.write_text("package palisade.identity\n\n" + "\n".join(rules))
    told = run("compile", "--coverage").out
    assert told.splitlines()[-5:-3] == [
        "     30  residual    calls crypto.sha256 on what the request brings",
        "     12  conditional is for the engine where the query has escapes, plus signs or semicolons",
    ]
    file.write_text("package palisade.identity\n\n" + "\n".join(rules[:5]))
    assert "how many" not in run("compile", "--coverage").out


def test_what_may_conflict_is_told_with_its_line(run: Run, project: Path) -> None:
    (project / "policies" / "allow.rego").write_text(
        "package palisade.identity\n\n"
        'globs := {"a": ["/a/*"], "b": ["/b/*"]}\n\n'
        'allow := {"allowed": true, "why": {role, "member"}} if {\n'
        "\tsome role in input.parsed_body.roles\n\tsome pattern in globs[role]\n"
        '\tglob.match(pattern, ["/"], input.attributes.request.http.path)\n}\n'
    )
    lines = run("compile", "--coverage").out.splitlines()
    at = lines.index("residual    before any rule")
    assert lines[at + 1].startswith("    policies/allow.rego:6:2: residual: where two values may conflict")
    shown = run("compile", "--coverage", "--output", "json").json["functions"]["hello"]
    told = {each["message"]: each for each in shown["coverage"]["before_any_rule"]}
    [conflict] = [each for message, each in told.items() if "an error: gives a value for each" in message]
    assert conflict["location"] == {"file": "policies/allow.rego", "row": 6, "col": 2}
    assert conflict["expression"] == "some role in input.parsed_body.roles"


def test_ci_can_ask_that_nothing_is_left_to_the_engine(run: Run, project: Path) -> None:
    assert run("compile", "--fail-on-residual").code == 0
    assert run("compile", "--fail-on-conditional").code == 1
    (project / "policies" / "allow.rego").write_text(RESIDUAL)
    ended = run("compile", "--coverage", "--fail-on-residual")
    assert (ended.code, "crypto.sha256" in ended.out) == (1, True)


class TestPolicySets:
    OPA = 'package envoy.authz\n\nallow if input.parsed_path == ["open"]\n'

    def test_a_folder_or_a_file_is_enough(self, run: Run, project: Path) -> None:
        for path in ("policies", "policies/allow.rego"):
            assert "coverage for function:" in run("compile", path, "--coverage").out
        assert "coverage for b:" in run("compile", "policies", "--function", "b", "--coverage").out

    def test_the_rule_that_decides_is_the_only_allow_or_named(self, run: Run, project: Path) -> None:
        (project / "opa").mkdir()
        (project / "opa" / "a.rego").write_text(self.OPA)
        assert run("compile", "opa", "-o", "json").json["decision"] == "envoy/authz/allow"
        (project / "opa" / "b.rego").write_text(self.OPA.replace("authz", "other"))
        refused = run("compile", "opa")
        assert (refused.code, "envoy/authz/allow, envoy/other/allow" in refused.err) == (2, True)
        chosen = run("compile", "opa", "--decision", "envoy/other/allow", "-o", "json")
        assert chosen.json["decision"] == "envoy/other/allow"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["policies", "-f", "palisade.yaml"], "leave one of the two out"),
            (["nowhere"], "no such file"),
            (["policies", "--decision", "a/b"], "no rule defines a/b"),
            (["--decision", "a/b"], "palisade compile DIR"),
        ],
    )
    def test_wrong_usage(self, run: Run, project: Path, arguments: list[str], message: str) -> None:
        ended = run("compile", *arguments)
        assert ended.code == 2
        assert message in ended.err

    def test_errors_of_the_set_are_shown_as_by_check(self, run: Run, project: Path) -> None:
        (project / "policies" / "b.rego").write_text("package b\n\np if x\n")
        ended = run("compile", "policies")
        assert ended.code == 2
        assert "policies/b.rego:3:6: rego_unsafe_var_error" in ended.err


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["yes", "null", "- a", "a: b", "\x85", "#"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_yaml_reads_back_as_what_was_written(value: Any) -> None:
    stream = StringIO()
    yaml_text.dump(value, stream.write)
    assert read(stream.getvalue()) == [value]


def test_what_an_engine_would_ask_ahead_is_told(run: Run, project: Path) -> None:
    """Nobody is asked here, and the coverage of such rules is that of an engine that gets no answer."""
    asks = (
        '\nallow if http.send({"method": "GET", "url": "https://a.example/open", "force_cache": true,'
        ' "force_cache_duration_seconds": %d}).body.open\n'
    )
    (project / "policies" / "allow.rego").write_text(ALLOW + asks % 60)
    told = "the engine asks https://a.example/open ahead"
    assert told in run("compile").err
    assert told in run("compile", "--coverage").err
    assert any(told in note for note in run("compile", "-o", "json").json["notes"])
    (project / "policies" / "allow.rego").write_text(ALLOW + asks % 5)
    assert told not in run("compile", "--coverage").err
