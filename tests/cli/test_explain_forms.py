"""`palisade explain` of requests in each form: entries of the decision log, inputs, curl commands and HAR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import ALLOW, Run


def test_an_entry_of_the_decision_log(run: Run, project: Path) -> None:
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
    run: Run, project: Path, decider: str | None, place: str, told: bool
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


def test_a_url_whose_scheme_is_not_the_sidecars(run: Run, project: Path) -> None:
    """The policy sees the connection's scheme, whatever the URL says: that of a function without `tls`."""
    rule = '\nallow if input.attributes.request.http.scheme == "https"\n'
    (project / "policies" / "allow.rego").write_text(ALLOW + rule)
    ended = run("explain", "GET https://shop.example/orders")
    assert ended.code == 1
    assert "arrives by http, not https" in ended.out
    assert "arrives by" not in run("explain", "GET http://shop.example/orders").out


def test_an_entry_that_the_explanation_differs_from_says_so(run: Run, project: Path) -> None:
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


def test_options_add_to_an_input(run: Run, project: Path) -> None:
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


def test_an_entry_names_its_function(run: Run, project: Path) -> None:
    """With several functions no option is needed for it, and one that names none is asked for."""
    settings = (project / "palisade.yaml").read_text()
    more = "{other: {upstream: 127.0.0.1:8, listen: 127.0.0.1:0}, "
    (project / "palisade.yaml").write_text(settings.replace("{", more, 1))
    entry: dict[str, Any] = {"input": {"parsed_path": ["open"]}, "palisade": {"function": "other"}}
    assert run("explain", "-", stdin=json.dumps(entry)).out.startswith("allowed  the input on function other")
    asked = run("explain", "-", stdin=json.dumps({"input": {"parsed_path": ["open"]}}))
    assert (asked.code, "which function is called?" in asked.err) == (2, True)
    assert run("explain", "GET /open").code == 2


def test_a_curl_command(run: Run, project: Path) -> None:
    command = "curl -sS 'https://hello.example/open?x=1' -H 'Accept: */*' --compressed"
    ended = run("explain", command)
    assert (ended.code, ended.out.splitlines()[0]) == (0, "allowed  GET /open?x=1 on function hello")
    (project / "command").write_text(f"{command} \\\n  --data-raw 'a=1'")
    assert run("explain", "command").out.startswith("allowed  POST /open?x=1")
    refused = run("explain", "curl -T file http://hello.example")
    assert (refused.code, "option -T is not read here" in refused.err) == (2, True)


def _har(*urls: str) -> dict[str, Any]:
    entries = [{"request": {"method": "GET", "url": url, "headers": []}} for url in urls]
    return {"log": {"version": "1.2", "entries": entries}}


def test_a_har_file(run: Run, project: Path) -> None:
    (project / "one.har").write_text(json.dumps(_har("https://hello.example/open")))
    assert run("explain", "one.har").code == 0
    (project / "two.har").write_text(json.dumps(_har("https://a.example/x", "https://a.example/open")))
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
        ([""], "the request is empty"),
        # As Python reads bytes that are no UTF-8, or any but ASCII under LC_ALL=C.
        (["GET /\udcf6"], "cannot be read as text"),
    ],
)
def test_wrong_usage(run: Run, project: Path, arguments: list[str], message: str) -> None:
    ended = run("explain", *arguments)
    assert ended.code == 2
    assert message in ended.err


def test_where_no_issuer_is_named_no_token_is_made_up(run: Run, project: Path) -> None:
    """It was advised to send a claim, with which the sidecar's denial was called a fault of Palisade's."""
    rule = 'default allow := false\n\nallow if input.identity.claims.sub == "a"\n'
    (project / "policies" / "allow.rego").write_text(f"package palisade.identity\n\n{rule}")
    assert "--claim" not in run("explain", "GET /x").out
    ended = run("explain", "GET /x", "--claim", "sub=a")
    assert (ended.code, "the policies name no provider" in ended.err) == (2, True)
    document = {"function": "hello", "identity": {"provider": "p", "claims": {"sub": "a"}}}
    (project / "input.json").write_text(json.dumps({**document, "parsed_path": ["x"]}))
    out = run("explain", "input.json").out
    assert ("data.palisade.identity.providers names nobody" in out, "a fault" in out) == (True, False)


@pytest.mark.parametrize("rule", ["port == 8443", "port; not port == 80"])
def test_the_port_that_the_function_is_called_at(run: Run, project: Path, rule: str) -> None:
    """The sidecar knows it, and neither a request that is written down nor the sidecar's log tells it."""
    port = "input.attributes.destination.address.socketAddress.portValue"
    policy = f"package palisade.identity\n\nport := {port}\n\nallow if {{ {rule} }}\n"
    (project / "policies" / "allow.rego").write_text(policy)
    settings = (project / "palisade.yaml").read_text()
    (project / "palisade.yaml").write_text(settings.replace("127.0.0.1:0", "127.0.0.1:8443"))
    found = run("explain", "GET /x")
    assert found.code == 0, found.out
    http = {"method": "GET", "path": "/x"}
    entry = {"input": {"attributes": {"request": {"http": http}}}, "palisade": {"decider": "native"}}
    assert run("explain", "-", stdin=json.dumps(entry)).code == 0
