"""What `palisade check` warns of: slips that leave a decision undefined for every request."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.policy.warning_helpers import warned

from palisade.policy import revisions, sets, warnings

HTTP = "input.attributes.request.http"
METADATA = "input.attributes.metadataContext.filterMetadata"
JWT_AUTHN = "envoy.filters.http.jwt_authn"
PROVIDERS = """package palisade.identity

providers := {"corp": {"issuer": "https://corp.example", "any_audience": true, "jwks_uri": "https://corp.example/keys"}}
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            f'{HTTP}.metod == "GET"',
            "undefined ref: input.attributes.request.http.metod; did you mean method?",
        ),
        ('http.header.x == "1"', "undefined ref: data.a.http.header.x; did you mean headers?"),
        ("input.attributes.source.address.socket_address.address", "did you mean socketAddress?"),
        (f"{HTTP}.zzz", "; there are id, method, path, host"),
        ('input.parsed_path == "/orders"', "never equal: input.attributes.request.http.path is a text, and"),
        (f'{HTTP}.path == ["orders", "7"]', "never equal: input.attributes.request.http.path is a text, and"),
        ("input.truncated_body == 1", "match error; left: boolean, right: number, so never equal"),
        ("input.atributes.request", "input.atributes is undefined in all requests; did you mean input.attri"),
        ("input.identiy.claims.sub", "did you mean input.identity?"),
        (f'{HTTP}.headers["X-Tenant"] == "a"', 'in lower case; write headers["x-tenant"]'),
        (
            f'split({HTTP}.headers["x-forwarded-client-cert"], ";")[0] == "By=a"',
            'headers["x-forwarded-client-cert"] is undefined in all requests: the sidecar removes it, as a '
            "client can write it itself; who calls is input.attributes.source.principal",
        ),
        (f'{HTTP}.headers.host == "a"', "write input.attributes.request.http.host"),
        (f'{HTTP}.headers.Host == "a"', "write input.attributes.request.http.host"),
        (
            'input.attributes.source.ip == "10.0.0.1"',
            "there are address, service, labels, principal, certificate",
        ),
        (
            'input.method == "GET"',
            "input.method is undefined in all requests; a request has input.attributes.request.http.method",
        ),
        ('input.path == ["orders"]', "or its segments, input.parsed_path"),
        ('input.request.http.method == "GET"', "write input.attributes.request.http"),
        (
            'input.request.path == "/login"',
            "input.request.path is undefined in all requests; write input.attributes.request.http.path, or",
        ),
        ('input.role == "admin"', "a request has input.identity.claims.role, or another claim"),
        ('"admin" in input.subject.roles', "a request has input.identity.claims.sub, or another claim"),
        ('startswith(input.url, "/static/")', "a request has input.attributes.request.http.path, or its"),
        ("input.claims.sub in data.a.http", "a request has input.identity.claims"),
        (f'{HTTP}.query == "a=1"', "write input.parsed_query"),
        ('input.attributes.source.certificate == "a"', "no sidecar tells it; who calls is"),
        ('input.attributes.contextExtensions.tier == "a"', "is told by input.function, and by data"),
        (
            f'{HTTP}.headers["x-groups"][0] == "a"',
            'headers["x-groups"] is a text: below it all is undefined; what a client sends in several',
        ),
        (f"{HTTP}.headers[input.function][_]", "a header is a text: below it all is undefined"),
        (f'{HTTP}.query.foo[0] == "a"', "it is part of the path; write input.parsed_query"),
        ("data.grants[input.function]", "data.grants is undefined: no rule and no document defines it"),
        (
            f'{METADATA}["envoy.filters.http.lua"].user == "a"',
            'filterMetadata["envoy.filters.http.lua"] is undefined in all requests: no filter of a sidecar'
            ' leaves any there; claims of tokens are in filterMetadata["envoy.filters.http.jwt_authn"],'
            " by provider",
        ),
        (
            f'{METADATA}["envoy.filters.http.jwt_authn"].jwt_payload.sub == "a"',
            'filterMetadata["envoy.filters.http.jwt_authn"].jwt_payload is undefined in all requests: no'
            " provider is called so; there are none: name one in data.palisade.identity.providers",
        ),
    ],
)
def test_slips(tmp_path: Path, body: str, message: str) -> None:
    source = f"package a\n\nhttp := {HTTP}\n\nallow if {body}\n"
    ((file, row, text),) = warned(tmp_path, a=source)
    assert (file, row) == ("p/a.rego", 5)
    assert message in text


@pytest.mark.parametrize(
    ("read", "row", "message"),
    [
        ('allow if http.headers["X-Tenant"] == "a"', 5, 'write headers["x-tenant"]'),
        ('allow if below.headers["X-Tenant"] == "a"', 5, 'write headers["x-tenant"]'),
        ('allow if {\n\ths := http.headers\n\ths["X-Tenant"] == "a"\n}', 7, 'write headers["x-tenant"]'),
        (
            'allow if {\n\this = input\n\this.http.method == "GET"\n}',
            7,
            "a request has input.attributes.request.http",
        ),
        ('allow if object.get(http.headers, "X-Tenant", "") == "a"', 5, 'write headers["x-tenant"]'),
        (
            'allow if object.get(input, ["attributes", "request", "http", "headers", "X-Tenant"], "") == "a"',
            5,
            'write headers["x-tenant"]',
        ),
        (
            'allow if object.get(object.get(http, "headers", {}), "X-Tenant", null) == "a"',
            5,
            'write headers["x-tenant"]',
        ),
        ('allow if object.get(http, "headers", {})["X-Tenant"] == "a"', 5, 'write headers["x-tenant"]'),
        ('allow if object.get(http.headers, "X-Tenant", "", "a")', 5, 'write headers["x-tenant"]'),
        (
            'allow if object.get(input, ["attributes", "requst", "http"], null) == "a"',
            5,
            "input.attributes.requst is undefined in all requests; did you mean request?",
        ),
        (
            'allow if object.get(http, "header", {}).x == "a"',
            5,
            "input.attributes.request.http.header is undefined in all requests; did you mean headers?",
        ),
        (
            f'allow if {{\n\tjwt := {METADATA}["jwt"]\n\tjwt.iss == "a"\n\tjwt.sub == "b"\n}}',
            6,
            'filterMetadata["jwt"] is undefined in all requests',
        ),
        (
            'allow if object.get(input.attributes, ["metadataContext", "filterMetadata", "jwt"], {}).sub',
            5,
            'filterMetadata["jwt"] is undefined in all requests',
        ),
    ],
)
def test_slips_below_a_name_and_by_object_get(tmp_path: Path, read: str, row: int, message: str) -> None:
    """So most policies read requests: none of it was seen, and each slip is told once, where it stands."""
    source = f"package a\n\nhttp := {HTTP}\nbelow := http\n{read}\n"
    ((file, at, text),) = warned(tmp_path, a=source)
    assert (file, at) == ("p/a.rego", row)
    assert message in text


@pytest.mark.parametrize(
    "source",
    [
        # What stands in place of a missing key is read as well.
        f'allow if object.get({HTTP}, "headers", {{"X-Tenant": "a"}})["X-Tenant"] == "a"',
        # Of two rules either may be meant.
        f'of := {HTTP}.headers if {HTTP}.method == "GET"\n\nof := data.a.table\n\nallow if of["X-Tenant"]',
        f'default of := {{}}\n\nof := {HTTP}.headers if {HTTP}.method == "GET"\n\nallow if of["X-Tenant"]',
        f'of := {HTTP}.headers if {HTTP}.method == "GET" else := data.a.table\n\nallow if of["X-Tenant"]',
        f'of(x) := {HTTP}.headers if x\n\nallow if of(1)["x-tenant"]',
        # Another rule of the name of a variable.
        f'allow if {{\n\ttable := {HTTP}.headers\n\ttable.x == "a"\n}}\n\nother if table["X-Tenant"]',
        f'allow if object.get({HTTP}.headers, "x-tenant", "") == "a"',
        f'allow if object.get({HTTP}.headers, lower("X-Tenant"), "") == "a"',
        'allow if object.get(input.parsed_body, ["Attributes", "X"], "") == "a"',
        f'allow if object.get({METADATA}, ["{JWT_AUTHN}", "corp"], 0)',
    ],
)
def test_names_that_may_stand_for_something_else(tmp_path: Path, source: str) -> None:
    table = 'table := {"X-Tenant": 1}'
    assert warned(tmp_path, a=f"package a\n\n{table}\n\n{source}\n", p=PROVIDERS) == []


@pytest.mark.parametrize(
    "body",
    [
        f'{HTTP}.headers["x-tenant"] == input.identity.claims.tenant',
        'input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].corp.sub == "a"',
        'input.attributes.source.address.socketAddress.address == "10.0.0.1"',
        "input.parsed_body.a[0].b == input.parsed_query.x[0]",
        "input.source == input.destination",
        "input.event.kind == 1",
        'input.request.kind.kind == "Pod"',
    ],
)
def test_what_requests_and_other_inputs_have(tmp_path: Path, body: str) -> None:
    assert warned(tmp_path, a=f"package a\n\nallow if {body}\n", p=PROVIDERS) == []


def test_claims_of_a_provider_of_another_name(tmp_path: Path) -> None:
    """A mesh's policy has a name for them that its filter was told. Nothing else said that all is denied."""
    body = f'{METADATA}["envoy.filters.http.jwt_authn"].jwt_payload.sub == "a"'
    source = f'package a\n\nimport {METADATA}["envoy.filters.http.jwt_authn"] as jwt\n\nallow if {body}\n\n'
    found = warned(
        tmp_path, a=f"{source}allow if jwt.jwt_payload.iss\n\nallow if jwt.corp.sub\n", p=PROVIDERS
    )
    assert [row for _, row, _ in found] == [5, 7]
    assert all("there are corp; or call one so in data.palisade" in text for _, _, text in found)


def test_claims_where_no_issuer_is_named(tmp_path: Path) -> None:
    """A first policy asks for claims, and no token counts yet: all was denied, and nothing said so. Each
    module is told of once."""
    source = 'package a\n\nclaims := input.identity.claims\n\nallow if input.identity.claims.sub == "a"\n'
    ((file, row, text),) = warned(tmp_path, a=source)
    assert (file, row) == ("p/a.rego", 3)
    assert "there are no providers; name the issuers whose tokens count in data.palisade.identity" in text
    assert warned(tmp_path, p=PROVIDERS) == []


def test_inputs_of_any_shape_where_rules_give_them(tmp_path: Path) -> None:
    """An application's own policy, asked with what the request tells; and rules that are asked of events."""
    own = 'package app\n\nallow if input.method == "GET"\n'
    asked = f'package a\n\nallow if data.app.allow with input as {{"method": {HTTP}.method}}\n'
    events = 'package palisade.detection\n\nalert contains "a" if input.path == "/etc/shadow"\n'
    assert warned(tmp_path, own=own, asked=asked, events=events) == []
    assert warned(tmp_path, asked="package a\n\nallow if data.app.allow\n")[0][:2] == ("p/own.rego", 3)


def test_inputs_of_other_gateways_where_the_rules_decide(tmp_path: Path) -> None:
    """Policies for other gateways have inputs of their own: all is denied, and nothing else said so."""
    source = 'package a\n\nallow if input.soup.headers.x == "a"\n'
    helper = "package b\n\nb if input.event.kind == 1\n"
    assert warned(tmp_path, a=source, b=helper) == []
    ((file, row, text),) = warned(tmp_path, decision=("a", "allow"))
    assert (file, row) == ("p/a.rego", 3)
    assert "input.soup is undefined in all requests; a request has attributes, function, ide" in text
    assert warned(tmp_path, decision=("b", "allow"))[0][:2] == ("p/b.rego", 3)
    given = 'package c\n\nc if data.a.allow with input as {"soup": {"headers": {"x": "a"}}}\n'
    assert warned(tmp_path, decision=("a", "allow"), c=given) == []


def test_a_rule_that_is_called_without_arguments(tmp_path: Path) -> None:
    """OPA takes and evaluates it, as it knows no types of requests; it was told to be no function."""
    source = f'package a\n\nmethod() := m if m := {HTTP}.method\n\nallow if upper(method()) == "GET"\n'
    assert warned(tmp_path, a=source, decision=("a", "allow")) == []


def test_what_opa_would_ask_about_itself(tmp_path: Path) -> None:
    """A mask that nothing reads: whoever wrote it takes for masked what is logged."""
    mask = 'package system.log\n\nmask contains "/input/attributes/request/http/headers/x-session"\n'
    ((file, row, text),) = warned(tmp_path, mask=mask, other="package system.logs\n\na := 1\n")
    assert (file, row) == ("p/mask.rego", 1)
    assert "nothing asks about data.system.log here" in text
    assert "decision_log.mask of palisade.yaml" in text
    ((_, _, text),) = warned(tmp_path, mask="package system.authz\n\nallow := true\n")
    assert "data.system.authz" in text


def test_metadata_that_is_wrong_and_asked_for_by_nothing(tmp_path: Path) -> None:
    """OPA-Envoy takes such a policy: OPA reads these comments only for rules that ask. So does the engine."""
    wrong = "package a\n\n# METADATA\n# description: admins: all\nallow := true\n"
    ((file, row, text),) = warned(tmp_path, a=wrong)
    assert (file, row) == ("p/a.rego", 4)
    assert "mapping values are not allowed" in text
    assert "nothing of this METADATA block counts" in text


def test_defaults_that_are_passed_over(tmp_path: Path) -> None:
    """As in OPA, and hardly meant: a limit that stands in for all others stands in for none."""
    rules = "default limits.max := 5\n\nlimits[tier] := 7 if some tier in data.tiers\n"
    (tmp_path / "data.json").write_text('{"tiers": []}')
    assert warned(tmp_path, a=f"package a\n\n{rules}", b="package b\n\ndefault limits.max := 5\n") == [
        (
            "p/a.rego",
            3,
            "default data.a.limits.max is passed over: data.a.limits[tier] has a variable in its path;"
            " give one of them another path",
        )
    ]


def test_a_package_spelt_nearly_as_one_that_the_engine_asks(tmp_path: Path) -> None:
    """All of it is dead then, and the engine denies everything, or has no rule that decides."""
    source = "package {}\n\nallow := true\n"
    ((file, row, text),) = warned(tmp_path, a=source.format("palisade.identiy"))
    assert (file, row) == ("p/a.rego", 1)
    assert "nothing asks about data.palisade.identiy; did you mean palisade.identity?" in text
    assert not warned(tmp_path, decision=("palisade", "identiy", "allow"))
    assert not warned(tmp_path, a=source.format("palisade.identity_tables"))
    assert not warned(tmp_path, a=source.format("palisade.identiy"), b=source.format("palisade.identity"))


def test_where_documents_are_read_from(tmp_path: Path) -> None:
    """A file of another name is not read, which nothing else says."""
    (tmp_path / "grants.json").write_text("{}")
    ((_, _, text),) = warned(tmp_path, a="package a\n\nallow if data.grants[input.function]\n")
    assert "data.json, data.yaml, data.yml" in text


def test_what_tests_put_in_its_place_is_no_warning_in_tests(tmp_path: Path) -> None:
    source = "package a\n\nallow if data.grants[input.function]\n"
    test = "package a_test\n\ntest_it if data.a.allow with data.grants as {}\n\ntest_no if not data.a.alow\n"
    found = warned(tmp_path, a=source, a_test=test)
    assert [(file, row) for file, row, _ in found] == [("p/a.rego", 3), ("p/a_test.rego", 5)]


def test_patterns_that_are_none_are_told(tmp_path: Path) -> None:
    """With `not` before it such a line lets through what it was to deny."""
    rules = 'package a\n\ndeny if regex.match("(/admin", input.attributes.request.http.path)\n'
    [(_, row, told)] = warned(tmp_path, a=rules)
    assert row == 3
    assert told.startswith('regex.match fails on "(/admin": ')
    assert told.endswith("holds with not before it: correct it")


def test_what_is_unused_only_where_it_is_asked_for(tmp_path: Path) -> None:
    source = "package a\n\nimport data.palisade.lib.claims\n\nallow if {\n\tx := input.function\n}\n"
    assert warned(tmp_path, a=source) == []
    assert [row for _, row, _ in warned(tmp_path, strict=True)] == [3, 6]


def test_a_schema_of_the_input_takes_the_place_of_requests(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package a\n\nallow if input.attributes.mine\n")
    loaded = sets.load(tmp_path, shown="p")
    policy = revisions.compile_set(loaded)
    assert warnings.find(policy, policy, loaded, schemas={"input": {"type": "object"}}) == ()
    assert len(warnings.find(policy, policy, loaded, schemas={"data.x": {"type": "object"}})) == 1


def test_what_only_a_test_defines_is_not_there_when_the_set_is_served(tmp_path: Path) -> None:
    found = warned(tmp_path, a="package a\n\nallow if data.b.c\n", b_test="package b\n\nc := 1\n")
    assert [(file, row) for file, row, _ in found] == [("p/a.rego", 3)]


def test_the_policies_of_this_project_have_none() -> None:
    loaded = sets.load(Path(__file__).parents[2] / "policies")
    served, tested = revisions.compile_set(loaded), revisions.compile_set(loaded, tests=True)
    assert warnings.find(served, tested, loaded, strict=True) == ()


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ('{"header": "Authorization"}', True),
        ('{"header": "authorization", "prefix": "Bearer "}', False),
        ('{"header": "x-token"}', False),
        ('{"cookie": "authorization"}', False),
    ],
)
def test_a_whole_header_of_authorization_is_no_token(tmp_path: Path, token: str, told: bool) -> None:
    """No token counted, and nothing said why."""
    source = PROVIDERS.replace('"any_audience"', f'"tokens": [{token}], "any_audience"')
    found = warned(tmp_path, a=source)
    text = 'all of the header Authorization is taken for the token, `Bearer` too; add "prefix": "Bearer "'
    assert found == ([("p/a.rego", 3, text)] if told else [])
