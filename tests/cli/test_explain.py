"""`palisade explain`: the outcome, where and why, and what would turn it, for requests in every form."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

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


class TestForms:
    def test_an_entry_of_the_decision_log(self, run: Run, project: Path) -> None:
        entry = {"result": True, "input": {"parsed_path": ["open"], "function": "hello"}}
        assert run("explain", "-", stdin=json.dumps(entry)).code == 0
        # Of several lines the last.
        other = {"result": False, "input": {"parsed_path": ["x"], "function": "hello"}}
        assert run("explain", "-", stdin=f"{json.dumps(entry)}\n{json.dumps(other)}\n").code == 1
        native = {**entry, "palisade": {"decider": "native"}, "masked": ["/input/parsed_query/token"]}
        out = run("explain", "-", stdin=json.dumps(native)).out
        assert "few headers and no body" in out
        assert "parsed_query/token" in out

    @pytest.mark.parametrize(
        ("decider", "place", "told"),
        [
            (None, "in the sidecar", True),
            ("native", "in the sidecar", False),
            ("residual", "by the engine, which the sidecar asks", True),
            ("of another program", "in the sidecar", True),
        ],
    )
    def test_a_header_whose_bytes_the_log_does_not_tell(
        self, run: Run, project: Path, decider: str | None, place: str, told: bool
    ) -> None:
        """It has "!" where the header had a byte that is no UTF-8, for which the sidecar asks: that it
        decides by itself was said of requests of which the same entry says that the engine did."""
        rule = '\nallow if startswith(input.attributes.request.http.headers["x-name"], "bob")\n'
        (project / "policies" / "allow.rego").write_text(ALLOW + rule)

        def explained(name: str) -> str:
            headers = {"x-name": name, "x-other": "!"}
            asked = {"attributes": {"request": {"http": {"method": "GET", "path": "/", "headers": headers}}}}
            entry = {"input": asked, "palisade": {"function": "hello", "decider": decider}}
            return run("explain", "-", stdin=json.dumps(entry)).out

        out = explained("bob!")
        assert f"decided  {place}" in out
        assert ('where a "!" in a header stands for a byte that is no UTF-8' in out) is told
        assert "no UTF-8" not in explained("bob")  # no rule asks for the other header

    def test_an_entry_that_the_explanation_differs_from_says_so(self, run: Run, project: Path) -> None:
        """What is masked counts as missing, so another rule may decide: that looked like what happened."""
        (project / "policies" / "allow.rego").write_text(
            "package palisade.identity\n\ndefault allow := false\n\n"
            'allow if input.attributes.request.http.headers["x-api-key"] == "k"\n'
        )
        told = {
            "allowed": True,
            "status": 200,
            "rule": "elsewhere/policies/allow.rego:5",
            "function": "hello",
        }
        http = {"method": "GET", "path": "/", "headers": {}}
        entry: dict[str, Any] = {
            "input": {"attributes": {"request": {"http": http}}},
            "palisade": told,
            "erased": ["/input/attributes/request/http/headers/x-api-key"],
        }
        ended = run("explain", "-", stdin=json.dumps(entry))
        assert ended.code == 1
        assert "the log has it otherwise, allowed by elsewhere/policies/allow.rego:5" in ended.out
        ended = run("explain", "-", "-H", "X-Api-Key: k", stdin=json.dumps(entry))
        assert ended.code == 0
        assert "note" not in ended.out
        other = run("explain", "-", stdin=json.dumps({**entry, "palisade": {**told, "revision": "0123abcd"}}))
        assert "revision 0123abcd decided, and these policies are " in other.out
        failed = {
            **entry,
            "palisade": {**told, "allowed": False, "status": 429},
            "error": {"message": "late"},
        }
        assert (
            "denied with 429 by elsewhere/policies/allow.rego:5: late"
            in run("explain", "-", stdin=json.dumps(failed)).out
        )

    def test_options_add_to_an_input(self, run: Run, project: Path) -> None:
        """They were passed over in silence."""
        (project / "policies" / "allow.rego").write_text(
            "package palisade.identity\n\nallow if {\n"
            '\tinput.identity.claims == {"sub": "a", "roles": ["x"]}\n'
            '\tinput.identity.provider == "corp"\n\tinput.parsed_body.n == 1\n\tinput.peer == "spiffe://a/b"\n'
            '\tinput.attributes.source.address.socketAddress.address == "192.0.2.1"\n}\n'
        )
        http = {"headers": {"content-type": "application/json", "content-length": "0"}}
        attributes = {"request": {"http": http}, "source": {"address": {"socketAddress": {"portValue": 1}}}}
        identity = {"provider": "corp", "claims": {"sub": "a", "roles": ["y"]}}
        (project / "input.json").write_text(json.dumps({"attributes": attributes, "identity": identity}))
        options = {
            "--claim": 'roles=["x"]',
            "--body": '{"n": 1}',
            "--source": "192.0.2.1",
            "--caller": "spiffe://a/b",
        }
        given = [part for option in options.items() for part in option]
        assert run("explain", "input.json", *given).code == 0
        for option in options:
            without = [part for each in options.items() if each[0] != option for part in each]
            assert run("explain", "input.json", *without).code == 1, option
        broken = run("explain", "input.json", "--body", "{")
        assert (broken.code, "the body is no JSON" in broken.err) == (2, True)
        (project / "input.json").write_text('{"attributes": []}')
        odd = run("explain", "input.json", "-H", "a: b")
        assert (odd.code, "other than JSON objects" in odd.err) == (2, True)

    def test_an_entry_names_its_function(self, run: Run, project: Path) -> None:
        """With several functions no option is needed for it, and one that names none is asked for."""
        settings = (project / "palisade.yaml").read_text()
        more = "{other: {upstream: 127.0.0.1:8, listen: 127.0.0.1:0}, "
        (project / "palisade.yaml").write_text(settings.replace("{", more, 1))
        entry: dict[str, Any] = {"input": {"parsed_path": ["open"]}, "palisade": {"function": "other"}}
        assert run("explain", "-", stdin=json.dumps(entry)).out.startswith(
            "allowed  the input on function other"
        )
        asked = run("explain", "-", stdin=json.dumps({"input": {"parsed_path": ["open"]}}))
        assert (asked.code, "which function is called?" in asked.err) == (2, True)
        assert run("explain", "GET /open").code == 2

    def test_a_curl_command(self, run: Run, project: Path) -> None:
        command = "curl -sS 'https://hello.example/open?x=1' -H 'Accept: */*' --compressed"
        ended = run("explain", command)
        assert (ended.code, ended.out.splitlines()[0]) == (0, "allowed  GET /open?x=1 on function hello")
        (project / "command").write_text(f"{command} \\\n  --data-raw 'a=1'")
        assert run("explain", "command").out.startswith("allowed  POST /open?x=1")
        refused = run("explain", "curl -T file http://hello.example")
        assert (refused.code, "option -T is not read here" in refused.err) == (2, True)

    def har(self, *urls: str) -> dict[str, Any]:
        entries = [{"request": {"method": "GET", "url": url, "headers": []}} for url in urls]
        return {"log": {"version": "1.2", "entries": entries}}

    def test_a_har_file(self, run: Run, project: Path) -> None:
        (project / "one.har").write_text(json.dumps(self.har("https://hello.example/open")))
        assert run("explain", "one.har").code == 0
        (project / "two.har").write_text(
            json.dumps(self.har("https://a.example/x", "https://a.example/open"))
        )
        asked = run("explain", "two.har")
        assert asked.code == 2
        assert "2: GET https://a.example/open" in asked.err
        assert run("explain", "two.har", "--entry", "2").code == 0
        assert run("explain", "two.har", "--entry", "1").code == 1
        assert run("explain", "two.har", "--entry", "3").code == 2

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["GET /x", "--function", "helo"], "did you mean 'hello'?"),
            (["GET /x", "-H", "nonsense"], "is no header"),
            (["GET /x", "--claim", "nonsense"], "is no claim"),
            (["GET /x", "--claim", "a=1", "--provider", "cop"], "no provider 'cop'"),
            (["GET open"], "write GET /open"),
            (["GET ftp://x/y"], "is no URL of HTTP"),
            (["GET /x", "--source", "here"], "'here' is no IP address"),
            (["GET /x", "--entry", "1"], "only a HAR file has entries"),
            (["gone.json"], "no such file"),
            # As Python reads bytes that are no UTF-8, or any but ASCII under LC_ALL=C.
            (["GET /\udcf6"], "cannot be read as text"),
        ],
    )
    def test_wrong_usage(self, run: Run, project: Path, arguments: list[str], message: str) -> None:
        ended = run("explain", *arguments)
        assert ended.code == 2
        assert message in ended.err


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
