"""`palisade explain`: the outcome, where and why, and what would turn it, for requests in every form."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import jwt
import pytest
from cli_helpers import ALLOW, Run

SECRET = "s3cr3t-of-this-request"
RESIDUAL = (
    ALLOW + "\nallow if crypto.sha256(input.attributes.request.http.path) == input.identity.claims.digest\n"
)


def test_an_allowed_request_with_the_rule_and_the_values(run: Run, project: Path) -> None:
    ended = run("explain", "GET http://hello.example/open?x=1")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "allowed  GET /open?x=1 on function hello",
        "by       policies/allow.rego:7",
        "decided  in the sidecar",
        "",
        "since",
        '  policies/allow.rego:7:1  allow if input.parsed_path == ["open"]',
        '    ✓ input.parsed_path == ["open"]',
        '        input.parsed_path is ["open"]',
        "",
        "to be denied",
        '    path must be "/open/x?x=1" (now "/open?x=1")',
        "    palisade explain 'GET http://hello.example/open/x?x=1' --function hello",
    ]


def test_a_denied_request_with_the_nearest_rules_and_the_smallest_change(run: Run, project: Path) -> None:
    ended = run("explain", "POST /closed", "--claim", 'roles=["writer"]')
    assert ended.code == 1
    assert ended.out.splitlines() == [
        "denied with 403  POST /closed on function hello",
        "by       policies/allow.rego:5, as no other rule holds",
        "decided  in the sidecar",
        "",
        "nearest",
        "  policies/allow.rego:9:1  allow if {",
        '    ✗ input.attributes.request.http.method == "GET"',
        '        input.attributes.request.http.method is "POST"',
        '    ✗ "reader" in input.identity.claims.roles',
        '        input.identity.claims.roles is ["writer"]',
        "",
        "then",
        '  policies/allow.rego:7:1  allow if input.parsed_path == ["open"]',
        '    ✗ input.parsed_path == ["open"]',
        '        input.parsed_path is ["closed"]',
        "",
        "to be allowed",
        '    method must be "GET" (now "POST")',
        '    claim roles must contain "reader" too (now ["writer"])',
        "    palisade explain 'GET /closed' --function hello --provider corp "
        '--claim \'roles=["writer","reader"]\'',
        "",
        "or, to be allowed",
        '    path must be "/open" (now "/closed")',
    ]


def test_the_command_that_is_shown_has_the_other_outcome(run: Run, project: Path) -> None:
    import shlex

    shown = run("explain", "POST /closed", "--claim", 'roles=["writer"]', "-o", "json").json
    for change in shown["changes"]:
        program, *arguments = shlex.split(change["command"])
        assert program == "palisade"
        assert run(*arguments).code == 0


def test_the_command_has_no_headers_that_nobody_chose_but_where_a_rule_looks_at_them(
    run: Run, project: Path
) -> None:
    """Entries of the log have six of them, behind which the change could not be seen."""
    rule = '\nallow if startswith(input.attributes.request.http.headers["user-agent"], "probe/")\n'
    (project / "policies" / "allow.rego").write_text(ALLOW + rule)
    sent = [option for name in ("x-request-id", "accept", "x-tenant") for option in ("-H", f"{name}: a")]
    found = json.loads(run("explain", "GET /closed", *sent, "-H", "user-agent: probe", "-o", "json").out)
    commands = [each["command"] for each in found["changes"]]
    assert all("x-tenant: a" in each for each in commands)
    assert not [each for each in commands if "x-request-id" in each or "accept" in each]
    assert [each for each in commands if "user-agent: probe/" in each]


def test_what_is_missing_is_named(run: Run, project: Path) -> None:
    out = run("explain", "GET /x").out
    assert "input.identity.claims.roles is undefined: there is no input.identity" in out
    assert 'claim roles must be ["reader"] (now there is no token)' in out


def test_a_residual_request_says_what_keeps_it_from_the_sidecar(run: Run, project: Path) -> None:
    (project / "policies" / "allow.rego").write_text(RESIDUAL)
    out = run("explain", "POST /x", "--claim", "digest=a").out
    assert "decided  by the engine, which the sidecar asks" in out
    assert "policies/allow.rego:20:10: residual: compares crypto.sha256(" in out
    assert "let the issuer put the digest into a claim" in out
    # What the same policy decides without the engine is native for that request.
    assert "decided  in the sidecar" in run("explain", "GET /open").out


def test_for_programs(run: Run, project: Path) -> None:
    ended = run("explain", "POST /closed", "--claim", 'roles=["writer"]', "-o", "json")
    assert ended.code == 1
    found = ended.json
    assert {name: found[name] for name in ("allowed", "status", "value", "rule", "default", "decided")} == {
        "allowed": False,
        "status": 403,
        "value": False,
        "rule": "policies/allow.rego:5",
        "default": True,
        "decided": "native",
    }
    method, roles = found["nearest"][0]["expressions"]
    assert (method["held"], method["values"]) == (False, {"input.attributes.request.http.method": "POST"})
    assert (roles["held"], roles["values"]) == (False, {"input.identity.claims.roles": ["writer"]})
    assert found["changes"][0]["changes"][0] == {
        "path": ["attributes", "request", "http", "method"],
        "before": "POST",
        "after": "GET",
    }


def test_claims_and_tokens_stand_for_a_valid_token(run: Run, project: Path) -> None:
    assert run("explain", "GET /x", "--claim", 'roles=["reader"]').code == 0
    token = jwt.encode({"iss": "https://corp.example", "roles": ["reader"]}, "k" * 32)
    ended = run("explain", "GET /x", "-H", f"Authorization: Bearer {token}")
    assert ended.code == 0
    assert "verifies neither signature nor times" in ended.out
    other = jwt.encode({"iss": "https://else.example", "roles": ["reader"]}, "k" * 32)
    ended = run("explain", "GET /x", "-H", f"Authorization: Bearer {other}")
    assert ended.code == 1
    assert "is not that of provider corp" in ended.out
    assert token not in ended.out


def test_a_token_behind_a_prefix_without_its_space_counts(run: Run, project: Path) -> None:
    """As it does for Envoy, which looks for where a token begins."""
    rules = project / "policies" / "allow.rego"
    prefixed = '"tokens": [{"header": "authorization", "prefix": "Bearer"}], "audiences"'
    rules.write_text(rules.read_text().replace('"audiences"', prefixed))
    assert prefixed in rules.read_text()
    token = jwt.encode({"iss": "https://corp.example", "roles": ["reader"]}, "k" * 32)
    assert run("explain", "GET /x", "-H", f"Authorization: Bearer {token}").code == 0


def test_claims_that_no_token_can_have_are_told(run: Run, project: Path) -> None:
    """They ended in an OverflowError; and NaN, a text as any other, was a number."""
    for number in ("1e400", "1" + "0" * 309, "[1, 1e999]"):
        ended = run("explain", "GET /x", "--claim", f"roles={number}")
        assert ended.code == 2
        assert "roles has a number that is larger than all doubles" in ended.err
    assert 'input.identity.claims.roles is "NaN"' in run("explain", "POST /x", "--claim", "roles=NaN").out


def test_an_identity_without_a_provider_is_read(run: Run, project: Path) -> None:
    """An input that somebody wrote by hand ended in a KeyError."""
    document = {"attributes": {"request": {"http": {"method": "GET", "path": "/x", "headers": {}}}}}
    (project / "input.json").write_text(
        json.dumps({**document, "identity": {"claims": {"roles": ["reader"]}}})
    )
    ended = run("explain", "input.json")
    assert (ended.code, ended.err) == (0, "")


def test_a_body_without_a_type_and_claims_of_nobody_are_told(run: Run, project: Path) -> None:
    """The member that was given counted as missing, and nothing said that no header says what the body is."""
    (project / "policies" / "allow.rego").write_text(
        "package palisade.identity\n\n"
        'providers := {name: {"issuer": sprintf("https://%s.example", [name]), "audiences": ["a"]} | '
        'some name in ["corp", "staff"]}\n\n'
        'allow if input.parsed_body.amount == 1\nallow if input.identity.provider == "staff"\n'
    )
    ended = run("explain", "POST /x", "--body", '{"amount": 1}', "--claim", "sub=a")
    assert ended.code == 1
    assert "add -H 'content-type: application/json' if it is JSON" in ended.out
    assert "taken for those of provider corp: --provider names another, of staff" in ended.out
    told = run("explain", "POST /x", "--body", '{"amount": 1}', "-H", "content-type: application/json")
    assert told.code == 0
    assert "content-type says" not in told.out
    assert "taken for those" not in run("explain", "GET /x", "--claim", "sub=a", "--provider", "staff").out


def test_secrets_of_the_request_are_not_shown(run: Run, project: Path) -> None:
    (project / "policies" / "allow.rego").write_text(
        ALLOW
        + '\nallow if input.attributes.request.http.headers["x-api-key"] == "another"\n'
        + '\nallow if trim_prefix(input.attributes.request.http.headers.authorization, "Key ") == "another"\n'
    )
    for form in ((), ("-o", "json")):
        ended = run(
            "explain", "GET /x", "-H", f"x-api-key: {SECRET}", "-H", f"authorization: Key {SECRET}", *form
        )
        assert ended.code == 1
        assert SECRET not in ended.out
        assert "header x-api-key must be one that the policy takes" in ended.out


def test_what_envoy_does_before_any_policy(run: Run, project: Path) -> None:
    normalized = run("explain", "GET /x/../%6fpen//")
    assert "Envoy makes /open/ of the path /x/../%6fpen//" in normalized.out
    refused = run("explain", "GET /a%2fb")
    assert (refused.code, "denied with 400" in refused.out) == (1, True)
    assert "by Envoy, before any policy is asked" in refused.out
    broken = run("explain", "GET /%zz")
    assert (broken.code, "the path has a % that starts no escape" in broken.out) == (1, True)


def test_a_policy_folder_will_do(run: Run, project: Path) -> None:
    (project / "palisade.yaml").unlink()
    assert run("explain", "-f", "policies", "GET /open").code == 0
    # What is suggested asks the same policies.
    told = run("explain", "-f", "policies", "--decision", "palisade/identity/allow", "GET /shut").out
    suggested = next(line for line in told.splitlines() if line.startswith("    palisade explain "))
    assert run(*shlex.split(suggested)[1:]).code == 0
    assert "-f policies --decision palisade/identity/allow" in suggested
    (project / "old.rego").write_text(
        'package old\n\nallow { input.parsed_path == ["a"] }\n\nother { true }\n'
    )
    assert run("explain", "-f", "old.rego", "--v0-compatible", "GET /b").code == 1
    assert run("explain", "-f", "old.rego", "--v0-compatible", "--decision", "old/other", "GET /b").code == 0


PEERS = (
    "package palisade.identity\n\ndefault allow := false\n\n"
    'allow if input.peer == "spiffe://palisade.local/function/orders"\n\n'
    'allow if startswith(input.attributes.source.principal, "CN=")\n'
)


def test_a_caller_is_given_by_an_option_and_proposed_with_it(run: Run, project: Path) -> None:
    (project / "policies" / "allow.rego").write_text(PEERS)
    (project / "palisade.yaml").write_text(
        "policies: ./policies\nfunctions: {hello: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0, tls: {}}}\n"
    )
    ended = run("explain", "GET /x", "--caller", "spiffe://palisade.local/function/orders")
    assert ended.code == 0
    assert "decided  in the sidecar" in ended.out
    assert run("explain", "GET /x", "--caller", "CN=x,O=y").code == 0
    ended = run("explain", "GET /x", "--caller", "orders.example")
    assert ended.code == 1
    assert "who calls must be " in ended.out
    assert "--caller " in ended.out


@pytest.mark.parametrize("name", ["peer", "principal"])
def test_an_input_that_names_its_caller_once_is_one_that_names_it_twice(
    run: Run, project: Path, name: str
) -> None:
    """As all inputs that requests bring do: `peer` is the principal where that is a SPIFFE ID."""
    (project / "policies" / "allow.rego").write_text(
        PEERS + 'allow if { input.peer == "spiffe://a/b"; input.attributes.source.principal == input.peer }\n'
    )
    caller = {"peer": "spiffe://a/b"} if name == "peer" else {}
    source = {"principal": "spiffe://a/b"} if name == "principal" else {}
    (project / "input.json").write_text(json.dumps({**caller, "attributes": {"source": source}}))
    ended = run("explain", "input.json", "--function", "hello")
    assert ended.code == 0, ended.err
    assert "asks nobody for a certificate" in ended.out


def test_negation_is_explained_as_the_module_has_it(run: Run, project: Path) -> None:
    """The expressions of a rule are asked one by one, which knew nothing of the module's imports."""
    rules = project / "policies" / "allow.rego"
    header = "input.attributes.request.http.headers.a"
    expressions = (f'not startswith({header}, "x")', "not { input.parsed_path[0] == input.parsed_path[1] }")
    body = "\n\t".join((*expressions, "input.parsed_path[2]"))
    text = f"package palisade.identity\n\nimport future.keywords\n\nallow if {{\n\t{body}\n}}\n"
    rules.write_text(text)
    ended = run("explain", "GET /a/b")
    assert [f"✓ {each}" in ended.out for each in expressions] == [True, True]
    ended = run("explain", "GET /a/a/b", "-H", "a: xy")
    assert [f"✗ {each}" in ended.out for each in expressions] == [True, True]
