"""Walks into the input that lead nowhere in any request: what no input has is undefined in the sidecar."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from effort import some
from lowered import judge_natively, subject_of

from palisade import rego
from palisade.enforce.envoy import compile_sidecar
from palisade.enforce.envoy.values.walks import leads_nowhere
from palisade.policy.inventory import OpaSettings
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
source := input.attributes.source
"""
NOWHERE = (
    "input.user",
    "input.user.name",
    'object.get(input, ["user", "name"], "a")',
    "input.attributes.metadata_context.user",
    "source.namespace",
    "source.address.Address.SocketAddress.address",
    "source.address.socketAddress.port",
    "http.headerMap",
    "http.url",
    'object.get(source, "user", "a")',
    # What an ext_authz filter tells only where it is asked to, which those of sidecars are not.
    'input.attributes.metadataContext.filterMetadata["envoy.filters.http.mcp"].method',
    "input.attributes.metadataContext.filterMetadata.open_policy_agent.decision_id",
    "input.attributes.routeMetadataContext.filterMetadata.x",
    "input.attributes.tlsSession.sni",
    "input.attributes.destination.service",
    "input.attributes.destination.labels.app",
    "source.labels.app",
    "source.certificate",
    "input.attributes.destination.certificate",
    # The engine shows policies neither its environment nor settings.
    "opa.runtime().env.STAGE",
    "opa.runtime().config.labels.environment",
)
TESTS = (
    *('{} == "a"', 'not {} == "a"', '{} != "a"', 'lower({}) == "a"', 'not startswith({}, "a")'),
    *('{} == http.headers["x-a"]', '"a" in {}.roles', "not {}.roles", "every r in {}.roles {{ r == 1 }}"),
    *("count([r | some r in {}.roles]) == 0", 'sprintf("%s/%s", [{}, http.method]) != "a/GET"'),
    *('data.roles[{}] == "x"', "[_, p, _] := io.jwt.decode({}); p.sub", "to_number({}) > 3"),
)


def test_what_no_input_has_is_undefined_natively(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Rules of another input, or with a name that is misspelt, are decided as by the evaluator."""
    asked = [
        Request("GET", "/a", (("x-a", "a"),)),
        Request("POST", "/", (("x-a", "b"),), Token("corp", {"roles": ["a"]})),
    ]
    data = {"roles": {"a": "x"}}
    subjects = [
        subject_of(
            rego.compile({"p.rego": f"{HEAD}allow if {{ {test.format(term)} }}"}, data=data),
            providers,
            issuers,
        )
        for term, test in some([*product(NOWHERE, TESTS)])
    ]
    judge_natively(bed, subjects, asked, residual=0.01)


VERSIONS = (
    'input.version.ext_authz == "v3"',
    'input.version.encoding == "protojson"',
    'input.version == {"ext_authz": "v3", "encoding": "protojson"}',
    "not input.version.ext_authz",
    'input.version.ext_authz != "v2"',
    'input.version.envoy == "1.40"',
    'input.version.ext_authz == http.headers["x-a"]',
    'input.version[http.headers["x-a"]] == "protojson"',
    'some name, value in input.version; name == http.headers["x-a"]; value == "v3"',
    'startswith(input.version.ext_authz, "v"); count(input.version) == 2',
    'input.version.ext_authz == "v2" with input.version as {"ext_authz": "v2"}',
    'input.version.ext_authz == "v2" with input.version.ext_authz as "v2"',
)


def test_the_version_of_the_input_is_known_beforehand(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Policies written for several versions of OPA-Envoy ask of each request what is the same in all."""
    asked = [Request("GET", "/a", (("x-a", each),)) for each in ("v3", "v2", "encoding", "ext_authz", "")]
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}), providers, issuers)
        for each in VERSIONS
    ]
    judge_natively(bed, subjects, [*asked, Request("GET", "/a")], residual=0.01)


@pytest.mark.parametrize(
    "path",
    [
        ("parsed_body", "a"),
        ("version",),
        ("identity", "claims", "a", "b"),
        ("attributes", "contextExtensions", "x"),
        ("attributes", "metadataContext", "filterMetadata", "x"),
        ("attributes", "source", "labels", "x"),
        ("attributes", "tlsSession", "sni"),
        ("attributes", "destination", "principal"),
        ("attributes", "request", "http", "headers", "x"),
        ("parsed_query", "a", 0),
        ("parsed_path", 3),
    ],
)
def test_what_an_input_may_have_is_told_from_that(path: tuple[object, ...]) -> None:
    assert not leads_nowhere(path)


def test_metadata_is_left_out_where_no_token_is_looked_for() -> None:
    """Policies of meshes look up what other filters leave, with a default."""
    looked_up = 'object.get(input.attributes.metadataContext.filterMetadata, "x", {})'
    source = f"{HEAD}default allow := false\n\nallow if object.get({looked_up}, `user`, `nobody`) != `a`"
    enforcement = subject_of(rego.compile({"p.rego": source}), (), Issuers()).enforcement
    assert all(each.native for each in enforcement.coverage)


def test_the_settings_of_an_opa_are_its_own() -> None:
    """Where one decides what is left, nothing of it is known beforehand, nor from a revision before."""
    policy = rego.compile(
        {"p.rego": f"{HEAD}default allow := false\n\nallow if opa.runtime().env.STAGE == `a`"}
    )
    subject = subject_of(policy, (), Issuers())
    here = subject.enforcement
    assert all(each.native for each in here.coverage)
    inventory = replace(subject.revision.inventory, backend=OpaSettings("http://127.0.0.1:1"))
    there = replace(subject.revision, inventory=inventory)
    function = subject.function
    for previous in (None, here):
        asked = compile_sidecar(there, function, {}, previous=previous)
        assert not all(each.native for each in asked.coverage)
        again = compile_sidecar(subject.revision, function, {}, previous=asked)
        assert all(each.native for each in again.coverage)
